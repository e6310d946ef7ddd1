#define _GNU_SOURCE
#include "record.h"

#include "decimal.h"
#include "environment.h"
#include "guard.h"
#include "json_out.h"
#include "native.h"
#include "raw.h"
#include "say.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

static unsigned long sequence, lost;

bool record_wanted(void)
{
    return environment.log[0] != 0;
}

void record_failure(const char *name, const char *why)
{
    struct record record = {.event = "error", .decision = DECISION_WARN, .name = name, .size = -1, .why = why};
    if (record_wanted())
        record_write(&record);
}

unsigned long record_lost(void)
{
    return __atomic_load_n(&lost, __ATOMIC_RELAXED);
}

static char *put_number(char *to, uint64_t number, unsigned digits)
{
    for (unsigned i = digits; i-- > 0; number /= 10)
        to[i] = (char)('0' + number % 10);
    return to + digits;
}

/* RFC 3339 in UTC with microseconds. Days to a date as in Howard Hinnant's "days_from_civil"; gmtime takes a lock. */
static void put_time(char text[32])
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t days = now.tv_sec / 86400, seconds = now.tv_sec % 86400;
    int64_t z = days + 719468, era = z / 146097, of_era = z - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153, month = shifted < 10 ? shifted + 3 : shifted - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    char *at = put_number(text, (uint64_t)year, 4);
    *at++ = '-';
    at = put_number(at, (uint64_t)month, 2);
    *at++ = '-';
    at = put_number(at, (uint64_t)(day_of_year - (153 * shifted + 2) / 5 + 1), 2);
    *at++ = 'T';
    at = put_number(at, (uint64_t)(seconds / 3600), 2);
    *at++ = ':';
    at = put_number(at, (uint64_t)(seconds / 60 % 60), 2);
    *at++ = ':';
    at = put_number(at, (uint64_t)(seconds % 60), 2);
    *at++ = '.';
    at = put_number(at, (uint64_t)now.tv_nsec / 1000, 6);
    *at++ = 'Z';
    *at = 0;
}

static void put_stacks(struct json_out *out, const struct record *record)
{
    json_out_object(out, "by");
    json_out_array(out, "python");
    for (unsigned i = 0; i < record->frame_count; i++) {
        json_out_object(out, NULL);
        json_out_string(out, "file", record->frames[i].file);
        json_out_number(out, "line", record->frames[i].line);
        json_out_string(out, "function", record->frames[i].function);
        json_out_close_object(out);
    }
    json_out_close_array(out);
    json_out_string(out, "no_python", record->frames && record->frame_count == 0 ? frames_missing() : NULL);
    json_out_array(out, "native");
    struct native_frame native[24];
    unsigned count = record->native ? native_walk(native, sizeof native / sizeof native[0], false) : 0;
    for (unsigned i = 0; i < count; i++) {
        struct native_symbol name = native_name(native[i].ip);
        if (!name.object || !strcmp(name.object, environment.library))
            continue;
        json_out_object(out, NULL);
        json_out_string(out, "object", name.object);
        json_out_string(out, "symbol", name.symbol);
        json_out_close_object(out);
    }
    json_out_close_array(out);
    json_out_close_object(out);
}

static void put_naming(struct json_out *out, const struct naming *naming)
{
    if (!naming || naming->by == NAMING_NONE) {
        json_out_null(out, "named");
        return;
    }
    json_out_object(out, "named");
    json_out_string(out, "by", naming_by_name(naming->by));
    json_out_string(out, "file", naming->line ? naming->file : NULL);
    json_out_number(out, "line", naming->line);
    json_out_close_object(out);
}

static size_t compose(const struct record *record, char *buffer)
{
    static const char *const modes[] = {"unset", "enforce", "audit", "off"};
    struct json_out out;
    char time[32];
    put_time(time);
    json_out_start(&out, buffer, RECORD_MAX - 1);
    json_out_object(&out, NULL);
    json_out_number(&out, "v", 1);
    json_out_string(&out, "time", time);
    json_out_number(&out, "pid", raw_getpid());
    json_out_number(&out, "tid", raw_gettid());
    json_out_number(&out, "seq", (int64_t)__atomic_fetch_add(&sequence, 1, __ATOMIC_RELAXED));
    json_out_string(&out, "event", record->event);
    json_out_string(&out, "mode", modes[guard_mode()]);
    json_out_string(&out, "decision", decision_name(record->decision));
    json_out_string(&out, "rule", record->rule);
    json_out_string(&out, "severity", record->severity);
    json_out_string(&out, "effect", record->effect);
    json_out_string(&out, "name", record->name);
    json_out_string(&out, "args", record->arguments);
    json_out_string(&out, "path", record->path);
    json_out_string(&out, "format", record->format);
    if (record->size >= 0)
        json_out_number(&out, "size", record->size);
    else
        json_out_null(&out, "size");
    json_out_string(&out, "sha256", record->sha256);
    if (record->locked) {
        json_out_object(&out, "locked");
        json_out_string(&out, "sha256", record->locked_sha256);
        json_out_string(&out, "revision", record->locked_revision);
        json_out_close_object(&out);
    } else {
        json_out_null(&out, "locked");
    }
    if (record->model && record->model->id[0]) {
        json_out_object(&out, "model");
        json_out_string(&out, "id", record->model->id);
        json_out_string(&out, "revision", record->model->revision[0] ? record->model->revision : NULL);
        json_out_string(&out, "inside", record->model->inside[0] ? record->model->inside : NULL);
        json_out_close_object(&out);
    } else {
        json_out_null(&out, "model");
    }
    json_out_string(&out, "real", record->real);
    json_out_string(&out, "parent", record->parent);
    json_out_string(&out, "from", record->from);
    json_out_string(&out, "edge", record->edge);
    json_out_string(&out, "target", record->target);
    json_out_string(&out, "field", record->field);
    json_out_string(&out, "revision", record->revision);
    if (record->pinned)
        json_out_bool(&out, "pinned", *record->pinned);
    else
        json_out_null(&out, "pinned");
    json_out_string(&out, "origin", origin_name(record->origin));
    json_out_string(&out, "why", record->why);
    put_naming(&out, record->naming);
    put_stacks(&out, record);
    json_out_close_object(&out);
    buffer[out.length] = '\n';
    return out.length + 1;
}

/* GUARD_LOG with %p replaced by the pid. */
static bool log_path(char path[ENVIRONMENT_VALUE])
{
    size_t used = 0;
    for (const char *from = environment.log; *from; from++) {
        char digits[DECIMAL_SIZE];
        size_t length = 1;
        const char *piece = from;
        if (from[0] == '%' && from[1] == 'p') {
            piece = decimal((unsigned long)raw_getpid(), digits);
            length = strlen(piece);
            from++;
        }
        if (used + length >= ENVIRONMENT_VALUE)
            return false;
        memcpy(path + used, piece, length);
        used += length;
    }
    path[used] = 0;
    return true;
}

static long write_whole(int fd, const char *line, size_t length)
{
    size_t done = 0;
    while (done < length) {
        long wrote = raw_write(fd, line + done, length - done);
        if (wrote == -EINTR)
            continue;
        if (wrote <= 0)
            return wrote ? wrote : -EIO;
        done += (size_t)wrote;
    }
    return 0;
}

static long send_datagram(const char *path, const char *line, size_t length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    long fd = raw_syscall6(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, 0, 0, 0);
    if (fd < 0)
        return fd;
    long sent = raw_syscall6(SYS_sendto, fd, (long)line, (long)length - 1, MSG_DONTWAIT | MSG_NOSIGNAL, (long)&address,
                             sizeof address);
    raw_close((int)fd);
    return sent < 0 ? sent : 0;
}

/* No descriptor is kept: close_range would take it, and its number would then be some file of the program's. */
static long deliver(const char *line, size_t length)
{
    if (!strcmp(environment.log, "stderr"))
        return say_raw(2, line, length) ? 0 : -EBADF;
    if (!strcmp(environment.log, "stdout"))
        return say_raw(1, line, length) ? 0 : -EBADF;
    if (!strncmp(environment.log, "unix:", 5))
        return send_datagram(environment.log + 5, line, length);
    char path[ENVIRONMENT_VALUE];
    if (!log_path(path))
        return -ENAMETOOLONG;
    long fd = raw_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd < 0)
        return fd;
    long result = write_whole((int)fd, line, length);
    raw_close((int)fd);
    return result;
}

bool record_write(const struct record *record)
{
    if (!record_wanted())
        return true;
    char *line = raw_take(NULL, RECORD_MAX);
    long result = line ? deliver(line, compose(record, line)) : -ENOMEM;
    if (line)
        raw_give(NULL, line, RECORD_MAX);
    if (result < 0 && __atomic_fetch_add(&lost, 1, __ATOMIC_RELAXED) == 0)
        say_fault("records cannot be written to ", environment.log, -(int)result);
    return result >= 0;
}
