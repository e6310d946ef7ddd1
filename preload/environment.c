#define _GNU_SOURCE
#include "environment.h"

#include "raw.h"

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

struct environment environment;

/* Variables that go to children. */
static const struct kept {
    const char *name;
    char *value;
} kept[] = {
    {"GUARD_MODE", environment.mode}, {"GUARD_POLICY", environment.policy}, {"GUARD_LOCK", environment.lock},
    {"GUARD_LOG", environment.log},   {"GUARD_QUIET", environment.quiet},
};
#define KEPT (sizeof kept / sizeof kept[0])

/* The value of `name` in `envp`, or NULL. */
static const char *find(char *const envp[], const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; envp && envp[i]; i++)
        if (!strncmp(envp[i], name, length) && envp[i][length] == '=')
            return envp[i] + length + 1;
    return NULL;
}

static void copy_value(char *to, size_t size, const char *name)
{
    const char *value = find(environ, name);
    if (!value)
        return;
    size_t length = strlen(value);
    if (length >= size) {
        environment.too_long = true;
        length = size - 1;
    }
    memcpy(to, value, length);
    to[length] = 0;
}

void environment_capture(void)
{
    copy_value(environment.mode, sizeof environment.mode, "GUARD_MODE");
    copy_value(environment.policy, sizeof environment.policy, "GUARD_POLICY");
    copy_value(environment.lock, sizeof environment.lock, "GUARD_LOCK");
    copy_value(environment.log, sizeof environment.log, "GUARD_LOG");
    copy_value(environment.quiet, sizeof environment.quiet, "GUARD_QUIET");
    bool values_fit = !environment.too_long;
    copy_value(environment.home, sizeof environment.home, "HOME");
    copy_value(environment.cache, sizeof environment.cache, "XDG_CACHE_HOME");
    copy_value(environment.temporary, sizeof environment.temporary, "TMPDIR");
    copy_value(environment.inductor, sizeof environment.inductor, "TORCHINDUCTOR_CACHE_DIR");
    environment.too_long = !values_fit;

    Dl_info self;
    if (!dladdr(&environment, &self) || !self.dli_fname)
        return;
    size_t used = 0, length = strlen(self.dli_fname);
    if (self.dli_fname[0] != '/') {
        long got = raw_syscall6(SYS_getcwd, (long)environment.library, sizeof environment.library, 0, 0, 0, 0);
        if (got <= 0)
            return;
        used = (size_t)got - 1;
        environment.library[used++] = '/';
    }
    if (used + length >= sizeof environment.library) {
        environment.library[0] = 0;
        return;
    }
    memcpy(environment.library + used, self.dli_fname, length + 1);
}

/* Is our library among the entries of `list`? ld.so splits LD_PRELOAD at spaces and colons. */
static bool preloads_us(const char *list)
{
    size_t length = strlen(environment.library);
    while (list && *list) {
        size_t entry = strcspn(list, " :");
        if (entry == length && !memcmp(list, environment.library, length))
            return true;
        list += entry;
        list += strspn(list, " :");
    }
    return false;
}

static bool add_needed(char *const envp[], const struct kept *variable)
{
    return variable->value[0] && !find(envp, variable->name);
}

size_t environment_child_size(char *const envp[])
{
    if (!environment.library[0])
        return 0;
    size_t count = 0, bytes = 0, added = 0;
    while (envp && envp[count])
        count++;
    const char *preload = find(envp, "LD_PRELOAD");
    if (!preloads_us(preload)) {
        bytes += sizeof "LD_PRELOAD=:" + strlen(environment.library) + (preload ? strlen(preload) : 0);
        added++;
    }
    for (size_t i = 0; i < KEPT; i++)
        if (add_needed(envp, &kept[i])) {
            bytes += strlen(kept[i].name) + strlen(kept[i].value) + 2;
            added++;
        }
    return added ? (count + added + 1) * sizeof(char *) + bytes : 0;
}

static char *append(char *to, const char *text)
{
    size_t length = strlen(text);
    memcpy(to, text, length + 1);
    return to + length;
}

char **environment_child(char *const envp[], void *scratch)
{
    size_t count = 0, added = 0;
    while (envp && envp[count])
        count++;
    const char *preload = find(envp, "LD_PRELOAD");
    bool insert = !preloads_us(preload);
    added += insert;
    for (size_t i = 0; i < KEPT; i++)
        added += add_needed(envp, &kept[i]);

    char **child = scratch;
    char *text = (char *)(child + count + added + 1);
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        if (!(insert && !strncmp(envp[i], "LD_PRELOAD=", sizeof "LD_PRELOAD=" - 1)))
            child[used++] = envp[i];
    if (insert) {
        child[used++] = text;
        text = append(text, "LD_PRELOAD=");
        if (preload && *preload)
            text = append(append(text, preload), ":"); /* the sanitizers' libraries insist on being the first */
        text = append(text, environment.library) + 1;
    }
    for (size_t i = 0; i < KEPT; i++)
        if (add_needed(envp, &kept[i])) {
            child[used++] = text;
            text = append(append(append(text, kept[i].name), "="), kept[i].value) + 1;
        }
    child[used] = NULL;
    return child;
}

/* Every ' may become '\'' . */
static size_t quoted_size(const char *text)
{
    size_t size = 2;
    for (; *text; text++)
        size += *text == '\'' ? 4 : 1;
    return size;
}

static char *append_quoted(char *to, const char *text)
{
    *to++ = '\'';
    for (; *text; text++)
        if (*text == '\'')
            to = append(to, "'\\''");
        else
            *to++ = *text;
    return append(to, "'");
}

size_t environment_shell_size(const char *command)
{
    if (!environment_child_size(environ))
        return 0;
    const char *preload = find(environ, "LD_PRELOAD");
    size_t size =
        sizeof "export LD_PRELOAD=:\n" + quoted_size(environment.library) + (preload ? quoted_size(preload) : 0);
    for (size_t i = 0; i < KEPT; i++)
        size += sizeof "export =\n" + strlen(kept[i].name) + quoted_size(kept[i].value);
    return size + strlen(command) + 1;
}

const char *environment_shell(const char *command, char *scratch)
{
    char *text = scratch;
    const char *preload = find(environ, "LD_PRELOAD");
    if (!preloads_us(preload)) {
        text = append(text, "export LD_PRELOAD=");
        if (preload && *preload)
            text = append(append_quoted(text, preload), ":");
        text = append(append_quoted(text, environment.library), "\n");
    }
    for (size_t i = 0; i < KEPT; i++)
        if (add_needed(environ, &kept[i]))
            text =
                append(append_quoted(append(append(append(text, "export "), kept[i].name), "="), kept[i].value), "\n");
    append(text, command);
    return scratch;
}
