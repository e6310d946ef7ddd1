/* SHA-256, by OpenSSL's libcrypto. */
#ifndef GUARD_DIGEST_H
#define GUARD_DIGEST_H

#include <openssl/sha.h>
#include <stddef.h>

#define DIGEST_SIZE 32 /* bytes */
#define DIGEST_HEX 65  /* characters with the NUL */

void digest_sha256(const void *bytes, size_t length, unsigned char digest[DIGEST_SIZE]);
void digest_hex(const void *bytes, size_t length, char hex[DIGEST_HEX]);
void digest_write(const unsigned char digest[DIGEST_SIZE], char hex[DIGEST_HEX]);

/* In parts: SHA256_Init, SHA256_Update ..., and this. The streaming interface, because SHA256() of OpenSSL 3 drags in
 * the provider machinery. */
void digest_end(SHA256_CTX *context, char hex[DIGEST_HEX]);

#endif
