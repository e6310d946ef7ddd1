#define _GNU_SOURCE
#include "native.h"

#include "guard.h"
#include "native_outside.h"
#include "raw.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <string.h>

#define UNW_LOCAL_ONLY
#include <libunwind.h>

/* --- one walk at a time
 * ---------------------------------------------------------------------------------------------- */

/* Process and thread id of the walker, 0 when nobody walks. A copy that fork made of another thread's lock names
 * another process, and is taken over. */
static uint64_t walker;
#define WALKER_GONE 1u /* no process: the holder jumped away */

/* What the walk under way found out; the holder of the lock alone uses it. */
static uintptr_t readable_low, readable_high; /* pages proved readable */
static bool guessed;                          /* a frame had no unwind information */
static uintptr_t stepping_from;               /* ip of the frame whose caller is being found */
static void *abort_point[5];

/* A walk takes tens of microseconds; after so many yields the holder was stopped (a debugger, a signal handler that
 * waits). */
#define WALKER_YIELDS 20000u

static bool walker_enter(bool *inherited)
{
    uint32_t process = (uint32_t)raw_getpid(), thread = (uint32_t)raw_gettid();
    uint64_t self = (uint64_t)process << 32 | thread;
    *inherited = false;
    for (unsigned i = 0; i < WALKER_YIELDS; i++) {
        uint64_t holder = 0;
        if (__atomic_compare_exchange_n(&walker, &holder, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return true;
        if (holder == self)
            return false; /* a signal handler on top of a walk */
        if (holder >> 32 != process) {
            *inherited = true;
            if (__atomic_compare_exchange_n(&walker, &holder, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
                return true;
        }
        raw_syscall6(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    }
    return false;
}

static void walker_leave(void)
{
    __atomic_store_n(&walker, 0, __ATOMIC_RELEASE);
}

/* As after a fork, what the walk was writing is not believed. */
void native_leave(void)
{
    uint64_t self = (uint64_t)(uint32_t)raw_getpid() << 32 | (uint32_t)raw_gettid();
    __atomic_compare_exchange_n(&walker, &self, WALKER_GONE, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void native_abort(void)
{
    __builtin_longjmp(abort_point, 1);
}

/* --- what libunwind asks for
 * ----------------------------------------------------------------------------------------- */

#define PAGE 4096u /* no larger than any page of the machine */

/* The kernel reads the new mask before it looks at `how`: EFAULT or EINVAL, and no effect either way. */
bool native_readable(uintptr_t address)
{
    return raw_syscall6(SYS_rt_sigprocmask, -1, (long)(address & ~(uintptr_t)7), 0, 8, 0, 0) != -EFAULT;
}

/* May the 8 bytes at `address` be read? The stack is read upwards, so that the proved range grows page by page. */
static bool word_readable(uintptr_t address)
{
    uintptr_t first = address & ~(uintptr_t)(PAGE - 1), last = (address + 7) & ~(uintptr_t)(PAGE - 1);
    if (first < PAGE || last < first)
        return false;
    for (uintptr_t page = first; page <= last; page += PAGE) {
        if (page >= readable_low && page < readable_high)
            continue;
        if (!native_readable(page))
            return false;
        if (page == readable_high) {
            readable_high = page + PAGE;
        } else {
            readable_low = page;
            readable_high = page + PAGE;
        }
    }
    return true;
}

static int access_memory(unw_addr_space_t space, unw_word_t address, unw_word_t *value, int write, void *context)
{
    (void)space, (void)context;
    /* Code is looked at only where there is no unwind information: is it a signal's trampoline, a PLT entry? */
    guessed = guessed || address == stepping_from;
    if (write != 0 || !word_readable(address))
        return -UNW_EINVAL;
    memcpy(value, (const void *)address, sizeof(*value));
    return 0;
}

#ifdef DLFO_EH_SEGMENT_TYPE
static int (*find_object)(void *address, struct dl_find_object *result); /* glibc 2.35 and later: takes no lock */

/* The object that holds `ip` as dl_iterate_phdr would describe it: its program headers follow its ELF header, which
 * every linker maps at its start. */
static bool object_at(uintptr_t ip, struct dl_phdr_info *object)
{
    struct dl_find_object found;
    if (find_object((void *)ip, &found) != 0)
        return false;
    const ElfW(Ehdr) *header = found.dlfo_map_start;
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_phentsize != sizeof(ElfW(Phdr)))
        return false;
    memset(object, 0, sizeof(*object));
    object->dlpi_addr = found.dlfo_link_map->l_addr;
    object->dlpi_name = found.dlfo_link_map->l_name;
    object->dlpi_phdr = (const ElfW(Phdr) *)((const char *)header + header->e_phoff);
    object->dlpi_phnum = header->e_phnum;
    return true;
}
#endif

int native_objects(int (*visit)(struct dl_phdr_info *, size_t, void *), void *search)
{
#ifdef DLFO_EH_SEGMENT_TYPE
    struct dl_phdr_info object;
    uintptr_t ip;
    memcpy(&ip, search, sizeof(ip)); /* first in struct dwarf_callback_data of libunwind 1.6.2 */
    if (find_object != NULL)
        return object_at(ip, &object) ? visit(&object, sizeof(object), search) : 0;
#endif
    return dl_iterate_phdr(visit, search);
}

void native_prepare(void)
{
#ifdef DLFO_EH_SEGMENT_TYPE
    void *address = dlsym(RTLD_DEFAULT, "_dl_find_object");
    memcpy(&find_object, &address, sizeof(find_object));
#endif
}

static void prepare(void)
{
    static bool done; /* under the walker's lock */
    if (done)
        return;
    done = true;
    unw_accessors_t *accessors = unw_get_accessors(unw_local_addr_space);
    accessors->access_mem = access_memory;
    /* States of that many call sites are kept, so that a deep Python stack is unwound from memory. */
    unw_set_cache_size(unw_local_addr_space, 1024, 0);
}

/* --- the walk
 * -------------------------------------------------------------------------------------------------------- */

struct visit {
    native_visitor visitor;
    void *context;
    unsigned max;
    bool details;
    bool complete; /* result */
};

static void walk(struct visit *visit)
{
    unw_context_t context;
    unw_cursor_t cursor;
    if (unw_getcontext(&context) != 0 || unw_init_local(&cursor, &context) != 0)
        return;
    for (unsigned seen = 0;; seen++) {
        unw_word_t ip = 0, sp = 0;
        if (unw_get_reg(&cursor, UNW_REG_IP, &ip) != 0 || ip == 0) {
            visit->complete = !guessed;
            return;
        }
        if (seen == visit->max)
            return;
        struct native_frame frame = {.ip = ip};
        unw_proc_info_t procedure;
        if (visit->details && unw_get_proc_info(&cursor, &procedure) == 0) {
            frame.start = procedure.start_ip;
            frame.end = procedure.end_ip;
        }
        stepping_from = ip;
        int step = unw_step(&cursor);
        if (step > 0 && unw_get_reg(&cursor, UNW_REG_SP, &sp) == 0)
            frame.cfa = sp;
        enum native_answer answer = visit->visitor(visit->context, &frame);
        if (step <= 0)
            visit->complete = step == 0 && !guessed;
        if (step <= 0 || answer == NATIVE_ENOUGH)
            return;
    }
}

/* Apart from native_visit: what lives across the jump must not lie in registers. */
static __attribute__((noinline)) void walk_or_abort(struct visit *visit)
{
    if (__builtin_setjmp(abort_point) == 0)
        walk(visit);
}

bool native_visit(native_visitor visitor, void *context, unsigned max, bool details)
{
    struct visit visit = {visitor, context, max, details, false};
    bool inherited;
    int saved_errno = errno;
    /* A vfork child walks on its parent's memory, lock included: leave both alone. */
    if (!guard_borrowed_memory() && walker_enter(&inherited)) {
        prepare();
        if (inherited) /* it may have been half written */
            unw_flush_cache(unw_local_addr_space, 0, 0);
        readable_low = readable_high = 0;
        guessed = false;
        walk_or_abort(&visit);
        walker_leave();
    }
    errno = saved_errno;
    return visit.complete;
}

struct array {
    struct native_frame *frames;
    unsigned count, max;
};

static enum native_answer array_add(void *context, const struct native_frame *frame)
{
    struct array *array = context;
    array->frames[array->count++] = *frame;
    return array->count < array->max ? NATIVE_GO_ON : NATIVE_ENOUGH;
}

unsigned native_walk(struct native_frame *frames, unsigned max, bool details)
{
    struct array array = {frames, 0, max};
    if (max > 0)
        native_visit(array_add, &array, max, details);
    return array.count;
}

void native_function(uintptr_t address, uintptr_t *start, uintptr_t *end)
{
    bool inherited;
    unw_proc_info_t procedure;
    *start = *end = 0;
    if (guard_borrowed_memory() || !walker_enter(&inherited))
        return;
    prepare();
    if (unw_get_proc_info_by_ip(unw_local_addr_space, address, &procedure, NULL) == 0) {
        *start = procedure.start_ip;
        *end = procedure.end_ip;
    }
    walker_leave();
}

struct native_symbol native_name(uintptr_t ip)
{
    struct native_symbol name = {NULL, NULL};
    Dl_info information;
    if (dladdr((const void *)ip, &information) != 0) {
        name.object = information.dli_fname;
        name.symbol = information.dli_sname;
    }
    return name;
}
