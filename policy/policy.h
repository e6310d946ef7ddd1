/* The policy's public header: effects and their circumstances in, decisions out.
 *
 * Opens no file and prints nothing: the caller hands in the texts. A loaded policy is immutable and may be used by any
 * number of threads. */
#ifndef GUARD_POLICY_H
#define GUARD_POLICY_H

#include "../analyzer/scan.h"

struct policy;

enum decision { DECISION_ALLOW, DECISION_WARN, DECISION_DENY };
const char *decision_name(enum decision decision); /* "allow", "warn", "deny" */

enum policy_mode { MODE_UNSET, MODE_ENFORCE, MODE_AUDIT, MODE_OFF };

/* When is it judged? */
enum moment {
    MOMENT_REST, /* guard scan: the file lies there; nothing will be settled later */
    MOMENT_LOAD, /* the file is being opened by a program; names nobody lists are settled when they are resolved */
    MOMENT_LIVE  /* it is happening now */
};

/* Who asks. The names are those of the records' "origin". */
enum origin {
    ORIGIN_UNKNOWN, ORIGIN_APP, ORIGIN_LIBRARY, ORIGIN_UNPICKLER, ORIGIN_TORCHSCRIPT, ORIGIN_LAMBDA, ORIGIN_TEMPLATE,
    ORIGIN_MODEL_CODE, ORIGIN_IMPORT, ORIGIN_IPC, ORIGIN_CACHE, ORIGIN_GRAPH, ORIGINS
};
const char *origin_name(enum origin origin); /* "unknown", "app", "library", "unpickler", ... "model-code", "cache" */

/* What the live ring finds out about a name that no rule lists: where it comes from, what it is. */
enum home { HOME_UNKNOWN, HOME_APP, HOME_STDLIB, HOME_INSTALLED, HOME_MODEL, HOME_TEMPORARY, HOMES };
enum object {
    OBJECT_UNKNOWN, OBJECT_VALUE_CLASS, OBJECT_CLASS,
    OBJECT_FINALIZER, /* a class whose objects act when they go: __del__ */
    OBJECT_FUNCTION, OBJECT_MODULE, OBJECT_OTHER, OBJECTS
};
const char *home_name(enum home home);       /* "unknown", "app", "stdlib", "installed", "model", "temporary" */
const char *object_name(enum object object); /* "unknown", "value-class", "class", "finalizer", "function", ... */

/* An effect with its circumstances. NULL: unknown; a rule that names such a field then does not match. */
struct subject {
    const struct effect *effect;
    enum moment moment;
    enum origin origin;
    enum home home;
    enum object object;
    const char *path;     /* absolute path of the file the effect comes from */
    const char *model;    /* "hf:org/name" or "file:PATH" */
    const char *revision; /* commit of the model */
    const char *process;  /* the program's name */
    /* SHA-256 of the file as 64 hex digits into `hex`; asked only when a rule needs it. NULL: cannot be had. */
    bool (*sha256)(void *context, char hex[65]);
    void *sha256_context;
};

struct judgement {
    enum decision decision;
    const char *rule;     /* id of the deciding rule; owned by the policy */
    const char *severity; /* "info", "low", "medium", "high", "critical" */
    const char *why;      /* one clause for people; owned by the policy */
    bool attack;          /* known to be an attack: no hint on how to allow it is printed */
    bool edge;            /* the callee loads a model named by its first string argument */
    bool unlisted;        /* no rule names it; at load it is settled live */
    bool whatever_arguments; /* the same for any arguments, member and offset: SCAN_SETTLED may be answered */
};

/* A policy text and what to call it in messages. Order: lowest precedence first (site, then user); the built-in policy
 * is always below all. */
struct policy_text {
    const char *name;
    const char *text;
    size_t length;
    bool site; /* may say "locked" */
};

struct policy_fault {
    char message[256]; /* "unknown key \"mach\"; did you mean \"match\"?" */
    char name[256];    /* policy_text.name */
    unsigned line, column; /* from 1; 0 where it concerns the whole */
};

/* Compiles the texts on top of the built-in policy. NULL on a fault (filled in). Takes memory by malloc; reentrant, no
 * static state, except cJSON's which is never altered. */
struct policy *policy_load(const struct policy_text *texts, size_t count, struct policy_fault *fault);
void policy_free(struct policy *policy);

/* First match wins; name and alias are both judged, the worse counts. Always fills the judgement: what no rule decides
 * is the rule "unlisted-*" of the built-in policy. Thread-safe; allocates nothing. */
void policy_judge(const struct policy *policy, const struct subject *subject, struct judgement *judgement);

enum policy_mode policy_mode(const struct policy *policy);
bool policy_locked(const struct policy *policy);
bool policy_log_required(const struct policy *policy);

/* Is RTLD_DEEPBIND to be left out of dlopen's flags, so that no library finds libc before the guard? */
bool policy_no_deepbind(const struct policy *policy);

/* So many seconds without a model being opened end the phase of loading: the program serves. 0: it never does. */
unsigned policy_quiet_seconds(const struct policy *policy);

/* Environment variables by which libraries are made stricter: those that are on, with the value they get; and, `value`
 * NULL, those that make a library laxer, to be reported where they are set. */
struct policy_switch { const char *variable, *value, *why; };
void policy_switches(const struct policy *policy, void (*visit)(void *context, const struct policy_switch *found),
                     void *context);

/* Does the code in the source file `path` start threads that serve the whole program, whoever happens to need them
 * first? */
bool policy_is_service_file(const struct policy *policy, const char *path);

/* Does a program of this name (without its folder) run the file that it is given, native code as well: a shell, a
 * loader? */
bool policy_is_starter(const struct policy *policy, const char *name);

/* Facts about frameworks that the live ring and the report need, kept as data in default.json: which modules... */
enum module_list {
    MODULES_IPC,       /* ...unpickle bytes from a pipe as talk between the program's own processes */
    MODULES_EXCHANGES, /* ...unpickle what their own program or cluster pickled, through whatever it came */
    MODULES_WRAPPERS,  /* ...are an unpickler around Python's, called by whoever unpickles */
    MODULES_LOADERS,   /* ...load the models that their callers name ("transformers") */
    MODULES_RESTORERS, /* ...restore objects through a temporary folder of their own */
    MODULES_CACHES,    /* ...read back caches that libraries write for themselves */
    MODULES_COMPILERS  /* ...compile wrappers of their own package's functions when these are first called */
};
bool policy_lists_module(const struct policy *policy, enum module_list list, const char *module);

/* Is `path` under a pattern of such caches, with `home` the user's? */
bool policy_is_cache_path(const struct policy *policy, const char *path, const char *home);

/* The clause that messages, records and scan findings use for an effect: `calls posix.system("id")`,
 * `names the base model org/base`, `carries marshalled code`. NUL-terminates; returns the length. */
size_t policy_describe(const struct effect *effect, char *buffer, size_t size);

/* Glob over names, paths or model ids: `*` and `?` do not cross `separator`, `**` does, `[a-z]` and `\` as
 * in fnmatch. */
bool policy_glob(const char *pattern, const char *text, char separator);

/* Adds one rule to the text of a policy file (or makes one when `text` is NULL), in front of its rules, keeping the
 * rest. Strings NULL where not wanted. Returns malloc'd JSON text, or NULL with the fault. */
struct policy_rule_request {
    enum effect_kind effect;
    const char *const *names; /* NULL at the end; the whole NULL: any. Taken literally, as `path` is not */
    const char *id, *model, *revision, *path, *sha256, *why; /* id NULL: made of the rest */
    enum decision then;
};
char *policy_add_rule(const char *text, const struct policy_rule_request *request, struct policy_fault *fault);

/* Is the rule of this id, built-in or not, for what is known to be an attack? False too when there is no such rule. */
bool policy_rule_is_attack(const struct policy *policy, const char *id);

/* `text` as a pattern that matches nothing else; malloc'd, NULL: no memory. */
char *policy_escape(const char *text);

/* For people who look at a policy. The built-in one as it was written; static. */
struct policy_text policy_built_in(void);

/* Where a user's or site's rule comes before a built-in denial and decides less strictly: what the two have
 * in common. */
struct policy_shadow {
    const char *rule;    /* id of the rule in front */
    const char *denial;  /* id of the built-in rule behind it */
    const char *pattern; /* one name or glob that both match */
    enum effect_kind effect;
    bool narrowed;       /* the rule in front holds for some models, paths, contents, arguments ... only */
};

/* Calls `visit` once for each such pair of rules. Of two globs only those are found of which one matches the other's
 * text. */
void policy_shadows(const struct policy *policy, void (*visit)(void *context, const struct policy_shadow *shadow),
                    void *context);

#endif
