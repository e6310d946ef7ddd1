#include "pickle_decode.h"

#include <string.h>

/* The longest spelling of one byte: \U000000ff. */
#define SPELLING_MAX 10u

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_decode(const unsigned char *from, const unsigned char *end, unsigned digits, uint32_t *value)
{
    *value = 0;
    if ((size_t)(end - from) < digits)
        return false;
    while (digits--) {
        int digit = hex_digit(*from++);

        if (digit < 0)
            return false;
        *value = *value << 4 | (uint32_t)digit;
    }
    return true;
}

size_t escape_decode(const unsigned char *from, const unsigned char *end, unsigned char *value)
{
    static const char letters[] = "\\'\"bftnrva";
    static const char meanings[] = "\\'\"\b\f\t\n\r\v\a";
    const char *letter;
    uint32_t code = 0;
    size_t taken;

    if (from == end)
        return 0;
    letter = memchr(letters, from[0], sizeof letters - 1);
    if (letter) {
        *value = (unsigned char)meanings[letter - letters];
        return 1;
    }
    for (taken = 0; taken < 3 && from + taken < end && from[taken] >= '0' && from[taken] <= '7'; taken++)
        code = code << 3 | (uint32_t)(from[taken] - '0');
    if (taken == 0 && from[0] == 'x' && hex_decode(from + 1, end, 2, &code))
        taken = 3;
    *value = (unsigned char)code;
    return taken;
}

/* What is spelt from `raw` on: SPELLING_MAX bytes, or all that is left. */
static const unsigned char *ahead(struct decoder *decoder, size_t *length)
{
    uint64_t left = decoder->end - decoder->raw;
    uint64_t at = decoder->raw - decoder->window_start;
    ssize_t got;

    if (decoder->raw < decoder->window_start || at > decoder->window_length ||
        (decoder->window_length - (size_t)at < SPELLING_MAX && decoder->window_length - (size_t)at < left)) {
        size_t want = left < sizeof decoder->window ? (size_t)left : sizeof decoder->window;

        decoder->window_start = decoder->raw;
        decoder->window_length = 0;
        got = source_read(decoder->whole, decoder->window, want, decoder->raw);
        if (got < 0)
            decoder->error = (int)-got;
        else
            decoder->window_length = (size_t)got;
        at = 0;
    }
    *length = decoder->window_length - (size_t)at;
    return decoder->window + at;
}

static bool next_escaped(struct decoder *decoder, const unsigned char *at, size_t length, unsigned char *value)
{
    size_t taken = 0;

    if (decoder->raw + 1 == decoder->end && at[0] == decoder->quote)
        return false; /* the closing quote */
    *value = at[0];
    if (at[0] == '\\')
        taken = escape_decode(at + 1, at + length, value);
    if (!taken)
        *value = at[0];
    decoder->raw += 1 + taken;
    return true;
}

/* Characters beyond Latin-1 make encode() raise: nothing would be loaded. */
static bool next_unicode(struct decoder *decoder, const unsigned char *at, size_t length, unsigned char *value)
{
    *value = at[0];
    if (at[0] >= 0x80) {
        if ((at[0] & 0xfe) != 0xc2 || length < 2)
            return false;
        *value = (unsigned char)(at[0] << 6 | (at[1] & 0x3f));
        decoder->raw++;
    }
    decoder->raw++;
    return true;
}

static bool next_raw_unicode(struct decoder *decoder, const unsigned char *at, size_t length, unsigned char *value)
{
    unsigned digits = length < 2 || at[0] != '\\' ? 0 : at[1] == 'u' ? 4 : at[1] == 'U' ? 8 : 0;
    uint32_t code;

    if (digits && hex_decode(at + 2, at + length, digits, &code)) {
        if (code > 0xff)
            return false;
        *value = (unsigned char)code;
        decoder->raw += 2 + digits;
        return true;
    }
    *value = at[0];
    decoder->raw++;
    return true;
}

static bool next(struct decoder *decoder, unsigned char *value)
{
    size_t length;
    const unsigned char *at = ahead(decoder, &length);

    if (!length)
        return false;
    switch (decoder->spelling) {
    case SPELT_ESCAPED:
        return next_escaped(decoder, at, length, value);
    case SPELT_UNICODE:
        return next_unicode(decoder, at, length, value);
    case SPELT_RAW_UNICODE:
        return next_raw_unicode(decoder, at, length, value);
    }
    return false;
}

static void decoder_restart(struct decoder *decoder)
{
    size_t length;
    const unsigned char *at;

    decoder->raw = decoder->start;
    decoder->decoded = 0;
    if (decoder->spelling != SPELT_ESCAPED)
        return;
    at = ahead(decoder, &length);
    decoder->quote = length && (at[0] == '\'' || at[0] == '"') ? at[0] : '\n';
    decoder->raw += decoder->quote != '\n';
}

static ssize_t decoder_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    struct decoder *decoder = context;
    unsigned char *to = buffer, skipped;
    size_t done = 0;

    if (offset < decoder->decoded)
        decoder_restart(decoder);
    for (; decoder->decoded < offset; decoder->decoded++)
        if (!next(decoder, &skipped))
            return decoder->error ? -decoder->error : 0;
    while (done < length && next(decoder, to + done))
        done++;
    decoder->decoded += done;
    return done || !decoder->error ? (ssize_t)done : -decoder->error;
}

struct source source_from_spelling(struct decoder *decoder, const struct source *whole, uint64_t start, uint64_t length,
                                   enum spelling spelling)
{
    *decoder = (struct decoder){.whole = whole, .start = start, .end = start + length, .spelling = spelling};
    decoder_restart(decoder);
    return (struct source){.pread = decoder_pread, .context = decoder, .size = SOURCE_SIZE_UNKNOWN, .streamed = true};
}
