/* The one vocabulary of guard: what a file, or code that came out of a file, does or would do.
 *
 * The analyzer and the live hooks report effects; the policy judges effects and nothing else. */
#ifndef GUARD_EFFECT_H
#define GUARD_EFFECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum effect_kind {
    EFFECT_IMPORT,    /* a name appears (pickle GLOBAL, `pickle.find_class`) */
    EFFECT_CREATE,    /* an object is instantiated without its class being called (NEWOBJ, BUILD) */
    EFFECT_CALL,      /* a callable is called */
    EFFECT_DEPEND,    /* another model is named or loaded */
    EFFECT_CODE,      /* the file carries or causes code: marshal, TorchScript, template, Python */
    EFFECT_READ,      /* a file is read */
    EFFECT_WRITE,     /* a file is written, renamed or deleted */
    EFFECT_EXEC,      /* a process is started */
    EFFECT_CONNECT,   /* a network connection is made */
    EFFECT_NATIVE,    /* a shared object is loaded */
    EFFECT_MALFORMED, /* readers would disagree about these bytes */
    EFFECT_OPAQUE,    /* a model that cannot be inspected */
    EFFECT_KINDS
};

/* "import", "create", ... as policies and records spell them. Static strings. */
const char *effect_kind_name(enum effect_kind kind);

/* The kind spelt `name` (`length` bytes), or EFFECT_KINDS when there is none. */
enum effect_kind effect_kind_find(const char *name, size_t length);

/* One argument of a call, as far as the stream tells it. */
enum argument_kind {
    ARGUMENT_UNKNOWN, /* cannot be told (computed, or past a cap) */
    ARGUMENT_NONE,
    ARGUMENT_BOOL,    /* text "True" or "False" */
    ARGUMENT_NUMBER,  /* text in decimal */
    ARGUMENT_STRING,  /* text: the string, UTF-8, not quoted */
    ARGUMENT_BYTES,   /* text: printable rendering without the b'' */
    ARGUMENT_NAME,    /* a global; text as in effect.name */
    ARGUMENT_OBJECT,  /* made by the stream itself; text: the class it came from, or NULL */
    ARGUMENT_SEQUENCE /* tuple, list, set or dict; text: a short rendering or NULL */
};

struct argument {
    enum argument_kind kind;
    const char *text; /* NUL-terminated, cut at LIMIT_ARGUMENT_TEXT; NULL where the kind says so */
};

enum depend_how {
    DEPEND_DECLARED, /* a config or card says so */
    DEPEND_PICKLED,  /* a stream calls a loader */
    DEPEND_OBSERVED  /* it was opened */
};

/* An effect as reported. All strings are owned by the reporter and live until the sink returns.
 *
 * Names of callables are written canonically: "module.name", or "module:qual.name" when the name part itself
 * has dots (pickle protocol 4 and up walks attributes), so that ("numpy", "core.x") never equals
 * ("numpy.core", "x"). */
struct effect {
    enum effect_kind kind;
    const char *name;   /* callable; DEPEND: the target as written; READ/WRITE/NATIVE/EXEC/CONNECT: path or address;
                           CODE, MALFORMED, OPAQUE: a short stable token such as "marshal" or "zip-names-differ" */
    const char *alias;  /* the name after CPython's fix_imports mapping when that differs, else NULL */
    const struct argument *arguments;
    size_t argument_count;
    bool argument_known; /* false: the argument list itself could not be told */
    const char *via;    /* this name was handed to the callable `via` as an argument, and so may be called by it; NULL
                           otherwise */
    unsigned position;  /* with via: which argument, from 0 */
    bool attribute;     /* IMPORT: taken of a class or object by getattr(), so that no unpickler will resolve it */
    const char *field;  /* the config field that says so ("vision_config.auto_map"), or NULL */
    const char *revision; /* DEPEND: the revision named, or NULL */
    enum depend_how how;  /* DEPEND */
    const char *format; /* the format that reported: "pickle", "torch-zip", ... */
    const char *member; /* path inside the file ("archive/data.pkl", nested with "!"), or NULL */
    uint64_t offset;    /* bytes from the start of the innermost member */
    const char *detail; /* one clause for people on what exactly is wrong, or NULL */
};

/* Is `revision` a full commit id (40 hex digits), so that the dependency cannot be swapped? NULL: no. */
bool effect_revision_pinned(const char *revision);

/* Writes the arguments of `effect` as a person reads them: `"id", 3, os.path`. Always NUL-terminates; cuts with
 * "...". Control characters and invalid UTF-8 come out as \xNN. Returns the length written. */
size_t effect_render_arguments(const struct effect *effect, char *buffer, size_t size);

#endif
