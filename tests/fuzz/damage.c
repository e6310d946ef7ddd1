/* Drives a fuzzer's entry point over files and over damaged copies of them. Speaks TAP; a crash is the sanitizer's.
 *
 *   damage_NAME        over all files below build/corpus and tests/fuzz/crashes, which once brought something down
 *
 * Damage is what disks, networks and attackers do: cut short anywhere, bytes changed (about 1 %), a stretch gone, a
 * stretch twice, numbers at their extremes. It is the same in every run. */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_MAX (1u << 20) /* seeds are small; what is larger teaches nothing new and takes long */

static unsigned rounds = 120; /* damaged copies of each kind a file, unless DAMAGE_ROUNDS says otherwise */

static uint64_t dice;

static size_t roll(size_t sides)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return sides ? (size_t)(dice % sides) : 0;
}

/* An exact copy on the heap, so that a read behind the end is seen. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        exit(2);
    if (size)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void damage(const uint8_t *data, size_t size)
{
    static const uint8_t extremes[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff};
    static uint8_t work[2 * FILE_MAX];
    for (unsigned round = 0; round < rounds; round++) {
        run(data, roll(size + 1));

        memcpy(work, data, size);
        for (size_t changes = size / 100 + 1; changes > 0; changes--)
            work[roll(size)] = (uint8_t)roll(256);
        run(work, size);

        size_t at = roll(size), length = roll(size - at);
        memcpy(work, data, at);
        memcpy(work + at, data + at + length, size - at - length);
        run(work, size - length);

        memcpy(work, data, at + length);
        memcpy(work + at + length, data + at, size - at);
        run(work, size + length);

        memcpy(work, data, size);
        uint8_t extreme = extremes[roll(sizeof extremes)];
        at = roll(size);
        for (size_t i = at; i < size && i < at + 8; i++)
            work[i] = extreme;
        run(work, size);
    }
}

static bool replay(const char *path)
{
    static uint8_t data[FILE_MAX];
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    dice = 0x9e3779b97f4a7c15u;
    run(data, size);
    if (size > 0)
        damage(data, size);
    return true;
}

/* Every file of `folder`; how many there were. */
static int replay_folder(const char *folder, int tests)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[512];
        struct stat status;
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (stat(path, &status) == 0 && S_ISREG(status.st_mode)) {
            bool ran = replay(path);
            printf("%s %d - %s and damaged copies\n", ran ? "ok" : "not ok", ++tests, entries[i]->d_name);
            fflush(stdout);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return tests;
}

int main(void)
{
    const char *wanted = getenv("DAMAGE_ROUNDS");
    if (wanted)
        rounds = (unsigned)strtoul(wanted, NULL, 10);
    int seeds = replay_folder("build/corpus", 0), tests = replay_folder("tests/fuzz/crashes", seeds);
    printf("1..%d\n", tests);
    return seeds > 0 && tests > seeds ? 0 : 1;
}
