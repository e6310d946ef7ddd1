#include "global_name.h"

#include <string.h>

static const struct mapping {
    size_t length; /* of module: most names are told apart by it */
    const char *module, *name; /* name NULL: the whole module */
    const char *to_module, *to_name;
} mappings[] = {
#define PAIR(module, name, to_module, to_name) {sizeof(module) - 1, module, name, to_module, to_name},
#define MODULE(module, to_module) {sizeof(module) - 1, module, NULL, to_module, NULL},
#include "pickle_compat.def"
#undef PAIR
#undef MODULE
};

static bool spelt(const char *text, size_t length, const char *literal)
{
    return strlen(literal) == length && memcmp(text, literal, length) == 0;
}

bool global_name_mapped(const char *module, size_t module_length, const char *name, size_t name_length,
                        const char **to_module, const char **to_name)
{
    for (size_t i = 0; i < sizeof(mappings) / sizeof(mappings[0]); i++) {
        if (mappings[i].length != module_length || memcmp(module, mappings[i].module, module_length) != 0 ||
            (mappings[i].name != NULL && !spelt(name, name_length, mappings[i].name)))
            continue;
        *to_module = mappings[i].to_module;
        *to_name = mappings[i].to_name;
        return true;
    }
    return false;
}

static char *write_half(char *to, const char *from, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    const char *const start = to;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)from[i];
        bool plain = byte >= 0x20 && byte != 0x7F && byte != ':' && byte != '\\';
        if ((size_t)(to - start) + (plain ? 1 : 4) > LIMIT_NAME) {
            memcpy(to, "...", 3);
            return to + 3;
        }
        if (plain) {
            *to++ = (char)byte;
            continue;
        }
        *to++ = '\\';
        *to++ = 'x';
        *to++ = digits[byte >> 4];
        *to++ = digits[byte & 15];
    }
    return to;
}

void global_name_write(char buffer[GLOBAL_NAME_SIZE], const char *module, size_t module_length, const char *name,
                       size_t name_length)
{
    char *to = write_half(buffer, module, module_length);
    *to++ = memchr(name, '.', name_length) != NULL ? ':' : '.';
    *write_half(to, name, name_length) = '\0';
}
