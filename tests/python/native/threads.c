/* Threads that open a model where taking the GIL would stop the program, or crash it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_t late;
static int started;

void open_under_mutex(void)
{
    pthread_mutex_lock(&mutex);
    usleep(200000);
    int fd = open64("poison.pkl", O_RDONLY);
    if (fd >= 0)
        close(fd);
    pthread_mutex_unlock(&mutex);
}

void wait_for_mutex(void)
{
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
}

static void *open_now(void *unused)
{
    (void)unused;
    int fd = open64("poison.pkl", O_RDONLY);
    if (fd >= 0)
        close(fd);
    return NULL;
}

void open_aside(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, open_now, NULL) == 0)
        pthread_join(thread, NULL);
}

static void *open_late(void *unused)
{
    (void)unused;
    usleep(700000);
    int fd = open64("poison.pkl", O_RDONLY);
    dprintf(2, "opened after the end: %d\n", fd >= 0);
    if (fd >= 0)
        close(fd);
    return NULL;
}

void open_later(void)
{
    started = pthread_create(&late, NULL, open_late, NULL) == 0;
}

/* Runs when the interpreter is gone. */
__attribute__((destructor)) static void wait_for_late(void)
{
    struct timespec until;
    if (!started)
        return;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    if (pthread_timedjoin_np(late, NULL, &until) != 0)
        dprintf(2, "the thread never came back\n");
}
