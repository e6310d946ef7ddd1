#include "digest.h"

void digest_sha256(const void *bytes, size_t length, unsigned char digest[DIGEST_SIZE])
{
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, bytes, length);
    SHA256_Final(digest, &context);
}

void digest_write(const unsigned char digest[DIGEST_SIZE], char hex[DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[DIGEST_HEX - 1] = 0;
}

void digest_hex(const void *bytes, size_t length, char hex[DIGEST_HEX])
{
    unsigned char digest[DIGEST_SIZE];
    digest_sha256(bytes, length, digest);
    digest_write(digest, hex);
}

void digest_end(SHA256_CTX *context, char hex[DIGEST_HEX])
{
    unsigned char digest[DIGEST_SIZE];
    SHA256_Final(digest, context);
    digest_write(digest, hex);
}
