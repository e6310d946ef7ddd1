#include "digest.h"

#include <openssl/sha.h>

/* The streaming interface, because SHA256() of OpenSSL 3 drags in the provider machinery. */
void digest_sha256(const void *bytes, size_t length, unsigned char digest[DIGEST_SIZE])
{
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, bytes, length);
    SHA256_Final(digest, &context);
}

void digest_hex(const void *bytes, size_t length, char hex[DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[DIGEST_SIZE];
    digest_sha256(bytes, length, digest);
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[DIGEST_HEX - 1] = 0;
}
