/* Calls one hooked symbol on a file, by its exact name, and says what a program would see.
 *
 *     driver SITUATION SYMBOL FILE
 *
 * prints "denied" (failed with EACCES), "bytes" (the file's first byte came through), "errno N", or "leak" when a
 * descriptor was left open. For a library "bytes" means that it was loaded. SITUATION: plain, thread, fork, vfork,
 * constructor (of an independent library, in driver_early.c). The symbol OrtGetApiBase makes this a process that runs
 * models. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

void OrtGetApiBase(void) {}

static void *find(const char *name)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);
    if (!symbol) {
        printf("missing\n");
        exit(3);
    }
    return symbol;
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static char first;

static int took(ssize_t got)
{
    return got == 1 ? 0 : -1;
}

/* A descriptor on `path` that no open hook has seen. */
static int unseen(const char *path)
{
    return (int)((long (*)(long, ...))dlsym(dlopen("libc.so.6", RTLD_NOW), "syscall"))(SYS_openat, AT_FDCWD, path,
                                                                                       O_RDONLY);
}

static int try_open(const char *name, const char *path)
{
    int fd;
    if (!strncmp(name, "creat", 5)) {
        fd = ((int (*)(const char *, mode_t))find(name))("/dev/null", 0600);
        first = 1;
        close(fd);
        return fd < 0 ? -1 : 0;
    }
    if (!strcmp(name, "syscall"))
        fd = (int)((long (*)(long, ...))find(name))(SYS_openat, AT_FDCWD, path, O_RDONLY);
    else if (strstr(name, "openat"))
        fd = ((int (*)(int, const char *, int, ...))find(name))(AT_FDCWD, path, O_RDONLY);
    else
        fd = ((int (*)(const char *, int, ...))find(name))(path, O_RDONLY);
    if (fd < 0)
        return -1;
    int result = took(read(fd, &first, 1));
    close(fd);
    return result;
}

static int try_stream(const char *name, const char *path)
{
    FILE *stream, *before = NULL;
    int fd = -1;
    if (strstr(name, "fdopen")) {
        fd = unseen(path);
        stream = ((FILE * (*)(int, const char *)) find(name))(fd, "r");
    } else if (strstr(name, "freopen")) {
        before = fopen("/dev/null", "r");
        stream = ((FILE * (*)(const char *, const char *, FILE *)) find(name))(path, "r", before);
    } else {
        stream = ((FILE * (*)(const char *, const char *)) find(name))(path, "r");
    }
    if (!stream) {
        int failed = errno;
        if (fd >= 0)
            close(fd);
        errno = failed;
        return -1;
    }
    int result = took((ssize_t)fread(&first, 1, 1, stream));
    fclose(stream);
    return result;
}

static ssize_t call_read(const char *name, int fd)
{
    struct iovec part = {&first, 1};
    void *symbol = find(name);
    if (!strcmp(name, "read") || !strcmp(name, "__read"))
        return ((ssize_t(*)(int, void *, size_t))symbol)(fd, &first, 1);
    if (!strcmp(name, "__read_chk"))
        return ((ssize_t(*)(int, void *, size_t, size_t))symbol)(fd, &first, 1, 1);
    if (!strcmp(name, "readv"))
        return ((ssize_t(*)(int, const struct iovec *, int))symbol)(fd, &part, 1);
    if (!strncmp(name, "preadv", 6) && strstr(name, "v2"))
        return ((ssize_t(*)(int, const struct iovec *, int, off_t, int))symbol)(fd, &part, 1, 0, 0);
    if (!strcmp(name, "preadv2"))
        return ((ssize_t(*)(int, const struct iovec *, int, off_t, int))symbol)(fd, &part, 1, 0, 0);
    if (!strncmp(name, "preadv", 6))
        return ((ssize_t(*)(int, const struct iovec *, int, off_t))symbol)(fd, &part, 1, 0);
    if (strstr(name, "_chk"))
        return ((ssize_t(*)(int, void *, size_t, off_t, size_t))symbol)(fd, &first, 1, 0, 1);
    return ((ssize_t(*)(int, void *, size_t, off_t))symbol)(fd, &first, 1, 0);
}

static int try_descriptor(const char *name, const char *path)
{
    int fd = unseen(path), result;
    if (strstr(name, "mmap")) {
        void *mapped =
            ((void *(*)(void *, size_t, int, int, int, off_t))find(name))(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
        result = mapped == MAP_FAILED ? -1 : 0;
        if (!result) {
            first = *(char *)mapped;
            munmap(mapped, 1);
        }
    } else {
        result = took(call_read(name, fd));
    }
    int failed = errno;
    close(fd);
    errno = failed;
    return result;
}

/* The loader's error stands for errno. */
static int try_library(const char *name, const char *path)
{
    void *library = !strcmp(name, "dlmopen")
                        ? ((void *(*)(Lmid_t, const char *, int))find(name))(LM_ID_BASE, path, RTLD_NOW)
                        : ((void *(*)(const char *, int))find(name))(path, RTLD_NOW);
    const char *error = library ? NULL : dlerror();
    if (!library)
        errno = error && !strncmp(error, "guard: denied ", 14) ? EACCES : ENOEXEC;
    else
        dlclose(library);
    return library ? 0 : -1;
}

static const char *symbol_name, *file_name;

static int attempt(void)
{
    if (!strcmp(symbol_name, "dlopen") || !strcmp(symbol_name, "dlmopen"))
        return try_library(symbol_name, file_name);
    if (strstr(symbol_name, "fopen") || strstr(symbol_name, "fdopen") || strstr(symbol_name, "freopen"))
        return try_stream(symbol_name, file_name);
    if (strstr(symbol_name, "open") || strstr(symbol_name, "creat") || !strcmp(symbol_name, "syscall"))
        return try_open(symbol_name, file_name);
    return try_descriptor(symbol_name, file_name);
}

static void say(void)
{
    dlopen("libc.so.6", RTLD_NOW);
    int before = open_descriptors();
    errno = 77;
    int result = attempt(), failed = errno;
    if (open_descriptors() != before)
        printf("leak\n");
    else if (result == 0)
        printf("bytes%s\n", failed == 77 ? "" : " but errno changed");
    else if (failed == EACCES)
        printf("denied\n");
    else
        printf("errno %d\n", failed);
    fflush(stdout);
}

static void *in_thread(void *nothing)
{
    say();
    return nothing;
}

int main(int count, char **words)
{
    if (count != 4)
        return 2;
    symbol_name = words[2];
    file_name = words[3];
    if (!strcmp(words[1], "thread")) {
        pthread_t thread;
        pthread_create(&thread, NULL, in_thread, NULL);
        pthread_join(thread, NULL);
    } else if (!strcmp(words[1], "fork")) {
        if (fork() == 0) {
            say();
            _exit(0);
        }
        wait(NULL);
    } else if (!strcmp(words[1], "vfork")) {
        /* Opens pass through on borrowed memory; what matters is that the parent is judged as before. */
        pid_t child = vfork();
        if (child == 0) {
            attempt();
            _exit(0);
        }
        waitpid(child, NULL, 0);
        say();
    } else {
        say();
    }
    return 0;
}
