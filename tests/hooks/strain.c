/* What a program may do that a library inside it has to bear.
 *
 *     strain CASE FILE OTHER
 *
 * prints "denied" (EACCES), "bytes" (FILE's bytes came through) or "errno N". The symbol OrtGetApiBase makes this a
 * process that runs models. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

void OrtGetApiBase(void) {}

static const char *file, *other;
static char block[4096] __attribute__((aligned(4096)));

static void say(long result)
{
    int failed = errno;
    if (result >= 0)
        printf("bytes\n");
    else if (failed == EACCES)
        printf("denied\n");
    else
        printf("errno %d\n", failed);
    fflush(stdout);
}

/* Another program's bytes of FILE, in a pipe whose end is descriptor 20: nothing here touches lower
 * numbers afterwards. */
static void send_bytes(void)
{
    int ends[2];
    if (pipe(ends) < 0 || dup2(ends[0], 20) < 0 || dup2(ends[1], 21) < 0)
        exit(3);
    close(ends[0]);
    close(ends[1]);
    if (fork() == 0) {
        dup2(21, 1);
        execl("/bin/cat", "cat", file, (char *)NULL);
        _exit(127);
    }
    wait(NULL);
}

/* A descriptor with FILE's bytes that no open hook has seen, which has to get the number `expected`. */
static int received(int expected)
{
    int memory = memfd_create("received", 0);
    if (memory != expected)
        exit(4);
    ssize_t got = read(20, block, sizeof block);
    if (write(memory, block, (size_t)got) != got || lseek(memory, 0, SEEK_SET) != 0)
        exit(5);
    return memory;
}

/* libc closes descriptors that were known to be harmless, and their numbers come back as something else. */
static void after_fclose(void)
{
    send_bytes();
    FILE *stream = fopen(other, "r");
    int number = fileno(stream);
    fgetc(stream);
    fclose(stream);
    say(read(received(number), block, sizeof block));
}

static void after_closedir(void)
{
    send_bytes();
    int number = open(".", O_RDONLY);
    closedir(fdopendir(number));
    say(read(received(number), block, sizeof block));
}

static void *open_and_read(void *nothing)
{
    int fd = open(file, O_RDONLY);
    say(fd < 0 ? -1 : read(fd, block, sizeof block));
    return nothing;
}

/* An environment without the guard, so that it has to be made anew. */
static void *spawn_in_small_thread(void *nothing)
{
    static char *environment[3000];
    char *words[] = {"true", NULL};
    pid_t child;
    int status = -1;
    for (size_t i = 0; i + 1 < sizeof environment / sizeof environment[0]; i++)
        environment[i] = "NAME=value";
    if (posix_spawn(&child, "/bin/true", NULL, NULL, words, environment) == 0)
        waitpid(child, &status, 0);
    say(status);
    return nothing;
}

static void run_in_small_thread(void *(*run)(void *))
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN);
    if (pthread_create(&thread, &attributes, run, NULL) == 0)
        pthread_join(thread, NULL);
}

static void small_stack(void)
{
    run_in_small_thread(open_and_read);
}

static void small_spawn(void)
{
    run_in_small_thread(spawn_in_small_thread);
}

static sigjmp_buf before;

static void jump(int number)
{
    (void)number;
    siglongjmp(before, 1);
}

/* A time-out around opens, as open() is async-signal-safe: it strikes while OTHER is being judged. */
static void after_jump(void)
{
    struct itimerval soon = {.it_value = {.tv_usec = 30000}};
    signal(SIGALRM, jump);
    if (sigsetjmp(before, 1) == 0) {
        setitimer(ITIMER_REAL, &soon, NULL);
        for (;;)
            close(open(other, O_RDONLY));
    }
    say(open(file, O_RDONLY));
}

/* Around the page cache, in sectors of 512 bytes. */
static void direct(void)
{
    int fd = open(file, O_RDONLY | O_DIRECT);
    long total = 0, got = fd < 0 ? -1 : 0;
    while (fd >= 0 && (got = read(fd, block, 512)) == 512)
        total += got;
    say(got < 0 ? -1 : total + got);
}

/* A sandbox that does not know fstat(). */
static void sandbox(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fstat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof rules / sizeof rules[0], rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        exit(7);
    open_and_read(NULL);
}

static void exhausted(int resource, rlim_t left)
{
    struct rlimit limit = {left, left};
    if (setrlimit(resource, &limit) < 0)
        exit(8);
    open_and_read(NULL);
}

static void no_memory(void)
{
    static char buffer[BUFSIZ];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    exhausted(RLIMIT_AS, 1 << 20);
}

/* The file gets the last one. */
static void no_descriptors(void)
{
    exhausted(RLIMIT_NOFILE, 4);
}

static long resident(void)
{
    long total, pages = -1;
    FILE *stream = fopen("/proc/self/statm", "r");
    if (stream && fscanf(stream, "%ld %ld", &total, &pages) != 2)
        pages = -1;
    fclose(stream);
    return pages;
}

/* A file that was just written, so that no verdict on it may be reused. Prints the pages that reading it 240 times
 * took. */
static void again_and_again(void)
{
    long before = 0;
    for (int i = 0; i < 300; i++) {
        int fd = open(file, O_RDWR);
        if (pread(fd, block, sizeof block, 0) <= 0 || futimens(fd, NULL) < 0)
            exit(6);
        close(fd);
        if (i == 60)
            before = resident();
    }
    printf("%ld\n", resident() - before);
}

static void no_message(void)
{
    say(sendmsg(socket(AF_UNIX, SOCK_DGRAM, 0), NULL, 0));
}

int main(int count, char **words)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        {"after-fclose", after_fclose},
        {"after-closedir", after_closedir},
        {"small-stack", small_stack},
        {"small-spawn", small_spawn},
        {"after-jump", after_jump},
        {"direct", direct},
        {"again-and-again", again_and_again},
        {"sandbox", sandbox},
        {"no-memory", no_memory},
        {"no-descriptors", no_descriptors},
        {"no-message", no_message},
    };
    if (count != 4)
        return 2;
    file = words[2];
    other = words[3];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (!strcmp(words[1], cases[i].name))
            return cases[i].run(), 0;
    return 2;
}
