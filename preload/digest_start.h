/* Which of its ways to hash OpenSSL takes. */
#ifndef GUARD_DIGEST_START_H
#define GUARD_DIGEST_START_H

/* Asks the processor what it can do: OpenSSL's own start, a dozen CPUID instructions, each of which costs some
 * microseconds in a virtual machine. So it is put off to here, for processes that may have much to hash; in all others
 * SHA-256 works as well, only slower. Reads the environment: to be called before there are other threads. */
void digest_start(void);

#endif
