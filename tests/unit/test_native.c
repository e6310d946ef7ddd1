/* The native walk where libunwind alone would open pipes, write to the program's files, or crash. */
#define _GNU_SOURCE
#include "../../preload/native.h"
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAMES 64

static unsigned descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder != NULL && readdir(folder) != NULL)
        count++;
    if (folder != NULL)
        closedir(folder);
    return count;
}

struct walk {
    unsigned count;
    bool complete;
    uintptr_t starts[FRAMES];
    uintptr_t cfas[FRAMES];
    uintptr_t ips[FRAMES];
};

static enum native_answer keep(void *context, const struct native_frame *frame)
{
    struct walk *walk = context;
    walk->starts[walk->count] = frame->start;
    walk->cfas[walk->count] = frame->cfa;
    walk->ips[walk->count] = frame->ip;
    return ++walk->count < FRAMES ? NATIVE_GO_ON : NATIVE_ENOUGH;
}

static struct walk walked;

static __attribute__((noinline)) int walk_here(void)
{
    memset(&walked, 0, sizeof walked);
    walked.complete = native_visit(keep, &walked, FRAMES, true);
    return (int)walked.count;
}

static __attribute__((noinline)) int walk_below(int depth)
{
    volatile int result = depth == 0 ? walk_here() : walk_below(depth - 1);
    return result;
}

static bool walked_through(uintptr_t start)
{
    for (unsigned i = 0; i < walked.count; i++)
        if (walked.starts[i] == start)
            return true;
    return false;
}

static void test_plain(void)
{
    unsigned before = descriptors();
    walk_below(10);
    unit_ok(walked.complete, "the walk reaches the first frame");
    unit_ok(walked_through((uintptr_t)walk_here) && walked_through((uintptr_t)walk_below),
            "it names the functions' starts");
    bool slots = true;
#if defined(__x86_64__)
    for (unsigned i = 0; i + 1 < walked.count; i++)
        slots = slots && walked.cfas[i] > (uintptr_t)&before - 65536 && walked.ips[i + 1] != 0;
#endif
    unit_ok(slots, "canonical frame addresses lie on the stack");
    unit_ok(descriptors() == before, "no descriptor is opened");
    struct native_frame two[2];
    unit_ok(native_walk(two, 2, false) == 2 && two[0].start == 0,
            "no more frames than asked for, no details unless asked");
    uintptr_t start, end;
    native_function((uintptr_t)walk_below + 1, &start, &end);
    unit_ok(start == (uintptr_t)walk_below && end > start, "a function's extent is found by an address in it");
    native_function((uintptr_t)&walked, &start, &end);
    unit_ok(start == 0 && end == 0, "data has no extent");
}

static void test_readable(void)
{
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unit_ok(native_readable((uintptr_t)pages), "a page is readable");
    mprotect(pages, 4096, PROT_NONE);
    unit_ok(!native_readable((uintptr_t)pages) && native_readable((uintptr_t)pages + 4096), "a guard page is not");
    munmap(pages, 8192);
    unit_ok(!native_readable((uintptr_t)pages) && !native_readable(8) && !native_readable((uintptr_t)-4096),
            "nor is what is not mapped");
}

#if defined(__x86_64__)
/* push rbp; mov rbp, imm64 (or rsp); call rdi; pop rbp; ret: a frame without unwind information, as compilers at run
 * time make them. */
static int call_through_jit(int (*function)(void), bool own_frame, uint64_t frame_pointer)
{
    unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t at = 0;
    code[at++] = 0x55;
    if (own_frame) {
        memcpy(code + at, "\x48\x89\xe5", 3);
        at += 3;
    } else {
        memcpy(code + at, "\x48\xbd", 2);
        memcpy(code + at + 2, &frame_pointer, 8);
        at += 10;
    }
    memcpy(code + at, "\xff\xd7\x5d\xc3", 4);
    int (*jit)(int (*)(void));
    memcpy(&jit, &code, sizeof jit);
    int result = jit(function);
    munmap(code, 4096);
    return result;
}

static void test_without_unwind_information(void)
{
    char path[] = "/tmp/test_native_XXXXXX", other[] = "/tmp/test_native_XXXXXX";
    struct stat status = {0};
    walk_here();
    close_range(3, ~0u, 0);
    int victim = mkstemp(path), second = mkstemp(other);
    call_through_jit(walk_here, true, 0);
    unit_ok(walked.count >= 2 && !walked.complete, "a frame without unwind information makes the walk incomplete");
    unit_ok(fstat(victim, &status) == 0 && status.st_size == 0 && fstat(second, &status) == 0 && status.st_size == 0,
            "the program's own files stay untouched after close_range");
    char *guard = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const uint64_t wild[] = {0, 1, 8, 4095, 0x7fffffffffff, 0xffffffffffffffff, 0x8000000000000000, (uint64_t)guard,
                             (uint64_t)guard + 4090, (uint64_t)&walked};
    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++)
        call_through_jit(walk_here, false, wild[i]);
    unit_ok(true, "wild frame pointers are survived");
    walk_here();
    unit_ok(walked.complete, "and the next walk is whole again");
    close(victim);
    close(second);
    unlink(path);
    unlink(other);
}
#endif

static volatile sig_atomic_t interrupted, nested_frames;

static void on_signal(int number)
{
    struct native_frame frames[4];
    (void)number;
    interrupted++;
    if (native_walk(frames, 4, false) > 0)
        nested_frames++;
}

static void *walk_much(void *unused)
{
    struct native_frame frames[FRAMES];
    for (int i = 0; i < 20000; i++)
        native_walk(frames, FRAMES, i % 7 == 0);
    return unused;
}

static void test_signals_threads_and_forks(void)
{
    static char stack[65536];
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART};
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 300}, {0, 300}}, NULL);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, walk_much, NULL);
    bool children = true;
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20); /* a child that waits for a thread it does not have dies of it */
            signal(SIGALRM, SIG_DFL);
            struct native_frame frames[FRAMES];
            _exit(native_walk(frames, FRAMES, true) > 1 ? 0 : 1);
        }
        int status = -1;
        while (waitpid(child, &status, 0) < 0)
            continue;
        children = children && status == 0;
    }
    walk_much(NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    unit_ok(children, "children of a fork walk, whoever walked when they were made");
    unit_ok(interrupted > 0 && nested_frames > 0, "signal handlers walk from a stack of their own");
    walk_here();
    unit_ok(walked.complete, "all is well afterwards");
}

int main(void)
{
    native_prepare();
    test_plain();
    test_readable();
#if defined(__x86_64__)
    test_without_unwind_information();
#endif
    test_signals_threads_and_forks();
    return unit_done();
}
