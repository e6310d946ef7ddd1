#include "way.h"

#include <string.h>

/* All levels together; longer ways are cut. */
#define KEYS_SIZE 4096u
#define KEY_SIZE 256u

bool way_open(struct way *way, struct arena *arena)
{
    way->levels = arena_take(arena, LIMIT_JSON_DEPTH * sizeof(*way->levels));
    way->keys = arena_take(arena, KEYS_SIZE);
    way->keys_length = 0;
    return way->levels != NULL && way->keys != NULL;
}

void way_enter(struct way *way, unsigned depth, bool array)
{
    way->levels[depth] = (struct way_level){.array = array};
}

void way_leave(struct way *way, unsigned depth)
{
    const struct way_level *level = &way->levels[depth];

    if (level->begun && !level->array)
        way->keys_length = level->key_start;
}

void way_key(struct way *way, unsigned depth, const char *key, size_t length)
{
    struct way_level *level = &way->levels[depth];

    if (level->begun)
        way->keys_length = level->key_start;
    if (length > KEY_SIZE)
        length = KEY_SIZE;
    if (length > KEYS_SIZE - way->keys_length)
        length = KEYS_SIZE - way->keys_length;
    level->begun = true;
    level->key_start = (uint16_t)way->keys_length;
    level->key_length = (uint16_t)length;
    memcpy(way->keys + way->keys_length, key, length);
    way->keys_length += length;
}

void way_element(struct way *way, unsigned depth)
{
    struct way_level *level = &way->levels[depth];

    if (level->begun && level->index < UINT32_MAX)
        level->index++;
    level->begun = true;
}

/* Adds to a path; false when it is full. */
static bool path_add(char *buffer, size_t size, size_t *length, const char *text, size_t text_length)
{
    if (size - *length <= text_length)
        return false;
    memcpy(buffer + *length, text, text_length);
    *length += text_length;
    return true;
}

size_t way_text(const struct way *way, unsigned depth, char *buffer, size_t size)
{
    size_t length = 0;

    if (size == 0)
        return 0;
    for (unsigned i = 0; i < depth && way->levels[i].begun; i++) {
        const struct way_level *level = &way->levels[i];
        if (level->array) {
            char digits[13];
            size_t at = sizeof(digits);
            uint32_t index = level->index;
            digits[--at] = ']';
            do {
                digits[--at] = (char)('0' + index % 10);
                index /= 10;
            } while (index > 0);
            digits[--at] = '[';
            if (!path_add(buffer, size, &length, digits + at, sizeof(digits) - at))
                break;
        } else {
            if (length > 0 && !path_add(buffer, size, &length, ".", 1))
                break;
            if (!path_add(buffer, size, &length, way->keys + level->key_start, level->key_length))
                break;
        }
    }
    buffer[length] = '\0';
    return length;
}
