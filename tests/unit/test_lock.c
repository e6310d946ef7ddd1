/* Locks: what is read out of a BOM, what is refused, and what a lock says of a file. */
#include "../../policy/lock.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEAD "{\"bomFormat\": \"CycloneDX\", \"specVersion\": \"1.6\", "
#define METADATA "\"metadata\": {\"properties\": [{\"name\": \"guard:lock\", \"value\": \"1\"}]}"
#define FILE_OF(name, hash)                                                                                            \
    "{\"type\": \"file\", \"name\": \"" name "\", \"hashes\": [{\"alg\": \"SHA-1\", \"content\": \"x\"}, "             \
    "{\"alg\": \"SHA-256\", \"content\": \"" hash "\"}]}"
#define MODEL(id, commit, files)                                                                                       \
    "{\"type\": \"machine-learning-model\", \"name\": \"n\", \"properties\": "                                         \
    "[{\"name\": \"guard:model\", \"value\": \"" id "\"}" commit "], \"components\": [" files "]}"
#define COMMIT(value) ", {\"name\": \"guard:commit\", \"value\": \"" value "\"}"

static const struct {
    const char *text;
    unsigned line, column;
    const char *says;
} faults[] = {
    {"", 1, 1, "not JSON"},
    {"[]", 1, 1, "a lock is a JSON object"},
    {"{\"bomFormat\": \"SPDX\"}", 1, 1, "CycloneDX BOM"},
    {"{\"bomFormat\": \"CycloneDX\",\n \"specVersion\": \"1.4\"}", 2, 17, "CycloneDX 1.6"},
    {HEAD "\"components\": []}", 1, 1, "guard:lock"},
    {HEAD "\n" METADATA ", \"metadata\": {}}", 2, 69, "given twice"},
    {HEAD METADATA ", \"components\": [\n" MODEL("hf:a/b", "", "{\"type\": \"file\", \"name\": \"x\"}") "]}", 2, 124,
     "no SHA-256"},
    {HEAD METADATA ", \"components\": [\n" MODEL("hf:a/b", "", FILE_OF("x", "AB")) "]}", 2, 124, "64 lower-case"},
    {HEAD METADATA ", \"components\": [" MODEL("hf:a/b", "", FILE_OF("x", HASH_A) "," FILE_OF("x", HASH_B)) "]}", 1, 1,
     "two files"},
    {HEAD METADATA ", \"components\": [" MODEL("hf:a/b", "", "") "," MODEL("hf:a/b", "", "") "]}", 1, 1, "two models"},
};

static struct lock *load(const char *text, struct policy_fault *fault)
{
    struct policy_text one = {.name = "m.lock", .text = text, .length = strlen(text)};
    return lock_load(&one, fault);
}

static void test_faults(void)
{
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct policy_fault fault;
        struct lock *lock = load(faults[i].text, &fault);
        bool right = lock == NULL && fault.line == faults[i].line && fault.column == faults[i].column &&
                     strstr(fault.message, faults[i].says) != NULL && strcmp(fault.name, "m.lock") == 0;
        if (!unit_ok(right, "fault %zu: %s", i, faults[i].says))
            printf("# got %u:%u %s\n", fault.line, fault.column, lock == NULL ? fault.message : "(no fault)");
        lock_free(lock);
    }
}

static const struct {
    const char *model, *revision, *inside;
    enum lock_state state;
    const char *sha256;
} questions[] = {
    {"hf:a/b", "c1", "x", LOCK_FILE, HASH_A},
    {"hf:a/b", "c2", "x", LOCK_FILE, HASH_B},
    {"hf:a/b", "c1", "y", LOCK_NO_FILE, NULL},
    {"hf:a/b", "c3", "x", LOCK_MOVED, NULL},
    {"hf:a/b", NULL, "x", LOCK_NO_COMMIT, NULL},
    {"hf:a/b", "", "x", LOCK_NO_COMMIT, NULL},
    {"hf:a/bb", "c1", "x", LOCK_NO_MODEL, NULL},
    {"hf:unpinned/m", "c9", "x", LOCK_FILE, HASH_A},
    {"file:/srv/models/clf", NULL, "x", LOCK_FILE, HASH_A},
    {"file:/clf", NULL, "x", LOCK_FILE, HASH_A},
    {"file:/srv/notclf", NULL, "x", LOCK_NO_MODEL, NULL},
    {"file:/srv/clf/deeper", NULL, "x", LOCK_NO_MODEL, NULL},
    {"file:/srv/a/unet", NULL, "x", LOCK_FILE, HASH_B},
    {"file:/srv/b/unet", NULL, "x", LOCK_FILE, HASH_A},
    {"", NULL, "x", LOCK_NO_MODEL, NULL},
    {"hf:datasets/a/b", "c1", "x", LOCK_OUTSIDE, NULL},
};

static void test_answers(void)
{
    struct policy_fault fault;
    struct lock *lock = load(HEAD METADATA ", \"components\": [{\"type\": \"library\", \"name\": \"other\"}, "
                             MODEL("hf:unpinned/m", "", FILE_OF("x", HASH_A)) ", "
                             MODEL("hf:a/b", COMMIT("c2"), FILE_OF("x", HASH_B)) ", "
                             MODEL("hf:a/b", COMMIT("c1"), FILE_OF("z", HASH_B) "," FILE_OF("x", HASH_A)) ", "
                             MODEL("file:unet", "", FILE_OF("x", HASH_A)) ", "
                             MODEL("file:a/unet", "", FILE_OF("x", HASH_B)) ", "
                             MODEL("file:clf", "", FILE_OF("x", HASH_A)) "]}", &fault);
    if (!unit_ok(lock != NULL, "a lock loads"))
        printf("# %s\n", fault.message);
    for (size_t i = 0; lock != NULL && i < sizeof questions / sizeof questions[0]; i++) {
        struct lock_found found = lock_find(lock, questions[i].model, questions[i].revision, questions[i].inside);
        bool right = found.state == questions[i].state && (questions[i].sha256 == NULL) == (found.sha256 == NULL) &&
                     (found.sha256 == NULL || strcmp(found.sha256, questions[i].sha256) == 0);
        if (!unit_ok(right, "%s@%s %s", questions[i].model, questions[i].revision ? questions[i].revision : "",
                     questions[i].inside))
            printf("# got state %d\n", (int)found.state);
    }
    unit_ok(lock != NULL && lock_has_content(lock, HASH_A) && !lock_has_content(lock, "cc"), "contents");
    unit_ok(lock != NULL && lock_models(lock) == 6, "models of others are passed over");
    lock_free(lock);
}

static void test_scope(void)
{
    static const char text[] = HEAD
        "\"metadata\": {\"properties\": [{\"name\": \"guard:lock\", \"value\": \"1\"}, "
        "{\"name\": \"guard:scope\", \"value\": \"hf:a/*\"}, {\"name\": \"guard:scope\", \"value\": \"file:**/m\"}]}}";
    struct policy_fault fault;
    struct lock *lock = load(text, &fault);
    static const struct { const char *model; bool in; } models[] = {
        {"hf:a/b", true}, {"hf:c/b", false}, {"file:/x/y/m", true}, {"file:/x/y/m/n", false},
        {"hf:datasets/a/b", false},
    };
    for (size_t i = 0; lock != NULL && i < sizeof models / sizeof models[0]; i++)
        unit_ok((lock_find(lock, models[i].model, NULL, "x").state != LOCK_OUTSIDE) == models[i].in, "scope: %s",
                models[i].model);
    unit_ok(lock != NULL && lock_scopes(lock) == 2 && strcmp(lock_scope(lock, 1), "file:**/m") == 0, "scopes are read");
    lock_free(lock);
}

#define NAMED(ref, id, more)                                                                                           \
    "{\"type\": \"machine-learning-model\", \"bom-ref\": \"" ref "\", \"name\": \"n\", \"properties\": "               \
    "[{\"name\": \"guard:model\", \"value\": \"" id "\"}" more "]}"
#define PINNED(ref) ", {\"name\": \"guard:pinned\", \"value\": \"" ref "\"}"

static void test_edges(void)
{
    static const char models[] =
        HEAD METADATA ", \"components\": [" NAMED("1", "hf:a/adapter", PINNED("none") PINNED("2")) ", " NAMED(
            "2", "hf:a/base", "") ", " NAMED("3", "file:clf", PINNED("1")) ", " NAMED("4", "file:x/clf", "") "]";
    static const char edges[] = ", \"dependencies\": [{\"ref\": \"application\", \"dependsOn\": [\"1\", \"3\"]}, "
                                "{\"ref\": \"1\", \"dependsOn\": [\"2\", \"2\", \"none\"]}, {\"ref\": \"2\"}, "
                                "{\"ref\": \"4\", \"dependsOn\": [\"1\"]}, {\"dependsOn\": [\"1\"]}]";
    static const struct {
        const char *from, *to;
        enum lock_led led;
    } rows[] = {
        {"hf:a/adapter", "hf:a/base", LOCK_LED},          {"hf:a/base", "hf:a/adapter", LOCK_LED_NOT},
        {"file:/srv/x/clf", "hf:a/adapter", LOCK_LED},    {"file:/srv/y/clf", "hf:a/adapter", LOCK_LED_NOT},
        {"hf:a/adapter", "file:/x/clf", LOCK_LED_NOT},    {"file:/srv/x/clf", "file:/else/x/clf", LOCK_LED},
        {"hf:a/adapter", "hf:a/else", LOCK_LED_UNKNOWN},  {"", "hf:a/base", LOCK_LED_UNKNOWN},
    };
    char whole[sizeof models + sizeof edges + 2];
    struct policy_fault fault;
    snprintf(whole, sizeof whole, "%s%s}", models, edges);
    struct lock *lock = load(whole, &fault);
    for (size_t i = 0; lock != NULL && i < sizeof rows / sizeof rows[0]; i++)
        unit_ok(lock_leads(lock, rows[i].from, rows[i].to) == rows[i].led, "%s leads to %s", rows[i].from, rows[i].to);
    unit_ok(lock != NULL && lock_edge_count(lock) == 2 && strcmp(lock_edge(lock, 0)->from, "file:x/clf") == 0,
            "each edge once");
    unit_ok(lock != NULL && lock_led_to(lock, "hf:a/base") && !lock_led_to(lock, "file:/clf"), "what is led to");
    unit_ok(lock != NULL && lock_pins(lock, "hf:a/adapter", "hf:a/base") &&
                !lock_pins(lock, "file:/x/clf", "hf:a/adapter") && !lock_pins(lock, "file:/clf", "hf:a/adapter"),
            "pins of dependencies");
    lock_free(lock);
    snprintf(whole, sizeof whole, "%s}", models);
    lock = load(whole, &fault);
    unit_ok(lock != NULL && lock_leads(lock, "hf:a/base", "hf:a/adapter") == LOCK_LED_UNKNOWN,
            "without dependencies nothing is new");
    lock_free(lock);
}

int main(void)
{
    test_faults();
    test_answers();
    test_scope();
    test_edges();
    return unit_done();
}
