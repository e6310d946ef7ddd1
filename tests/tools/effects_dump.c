/* Prints what the analyzer says of files: a line "kind TAB name TAB alias TAB arguments TAB via@position TAB format TAB
 * member TAB offset TAB detail" an effect, "-" for what there is none of; then "status TAB formats". A blank line
 * between files.
 *
 *   effects_dump [-q] [-s] [-m] [-r] [-j] FILE...
 *     -q  print the status only        -s  answer SCAN_SETTLED to every effect
 *     -m  print the peak of memory     -r  the file lies in a model root
 *     -j  print what the built-in policy decides of each effect at rest: TAB decision TAB rule */
#include "../../policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool quiet, settle, model_root, show_memory;
static size_t memory_now, memory_peak;
static struct policy *policy;

static void *take(void *context, size_t bytes)
{
    /* Mapped like in the library, so that zeroed memory that is never touched costs nothing. */
    void *pointer = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)context;
    if (pointer == MAP_FAILED)
        return NULL;
    memory_now += bytes;
    if (memory_now > memory_peak)
        memory_peak = memory_now;
    return pointer;
}

static void give(void *context, void *pointer, size_t bytes)
{
    (void)context;
    memory_now -= bytes;
    munmap(pointer, bytes);
}

static ssize_t file_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    ssize_t got = pread(*(int *)context, buffer, length, (off_t)offset);

    return got < 0 ? -errno : got;
}

static const char *shown(const char *text) { return text && *text ? text : "-"; }

static void print_judgement(const struct effect *effect)
{
    const struct subject subject = {.effect = effect, .moment = MOMENT_REST};
    struct judgement judgement;

    policy_judge(policy, &subject, &judgement);
    printf("\t%s\t%s", decision_name(judgement.decision), judgement.rule);
}

static enum scan_answer print_effect(void *context, const struct effect *effect)
{
    char arguments[4096];

    (void)context;
    if (!quiet) {
        effect_render_arguments(effect, arguments, sizeof arguments);
        if (effect->kind != EFFECT_CALL && effect->kind != EFFECT_CREATE)
            arguments[0] = '\0';
        printf("%s\t%s\t%s\t%s\t", effect_kind_name(effect->kind), shown(effect->name), shown(effect->alias),
               shown(arguments));
        if (effect->via)
            printf("%s@%u", effect->via, effect->position);
        else
            putchar('-');
        printf("\t%s\t%s\t%llu\t%s", shown(effect->format), shown(effect->member), (unsigned long long)effect->offset,
               shown(effect->detail));
        if (policy)
            print_judgement(effect);
        putchar('\n');
    }
    return settle ? SCAN_SETTLED : SCAN_GO_ON;
}

static int file_dump(const char *path)
{
    static const char *const statuses[] = {"done", "not-model", "stopped", "io", "memory"};
    struct scan_request request = {.path = path, .in_model_root = model_root, .memory = {.take = take, .give = give},
                                   .sink = print_effect};
    struct scan_result result;
    struct stat status;
    unsigned char head[SCAN_HEAD], tail[SCAN_TAIL];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t head_length, tail_length;
    size_t i;

    if (fd < 0 || fstat(fd, &status) < 0) {
        perror(path);
        return 1;
    }
    request.source = (struct source){.pread = file_pread, .context = &fd, .size = (uint64_t)status.st_size};
    head_length = pread(fd, head, sizeof head, 0);
    tail_length = pread(fd, tail, sizeof tail, status.st_size > SCAN_TAIL ? status.st_size - SCAN_TAIL : 0);
    memory_peak = 0;
    scan_run(&request, &result);
    printf("%s", statuses[result.status]);
    for (i = 0; i < result.format_count; i++)
        printf("%c%s", i ? ' ' : '\t', result.formats[i]);
    if (head_length > 0 && tail_length >= 0 && result.status == SCAN_DONE &&
        !scan_bid(head, (size_t)head_length, tail, (size_t)tail_length, request.source.size))
        printf("\tscan_bid says no");
    if (show_memory)
        printf("\t%zu", memory_peak);
    if (memory_now)
        printf("\tleaked %zu", memory_now);
    putchar('\n');
    close(fd);
    return 0;
}

int main(int count, char **arguments)
{
    struct policy_fault fault;
    int failed = 0, option;

    while ((option = getopt(count, arguments, "qsmrj")) != -1) {
        quiet |= option == 'q';
        settle |= option == 's';
        show_memory |= option == 'm';
        model_root |= option == 'r';
        if (option == 'j' && !policy)
            policy = policy_load(NULL, 0, &fault);
        if (option == '?' || (option == 'j' && !policy))
            return 2;
    }
    for (; optind < count; optind++)
        failed |= file_dump(arguments[optind]);
    policy_free(policy);
    return failed;
}
