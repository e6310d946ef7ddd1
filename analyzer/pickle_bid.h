/* Does a pickle begin here? */
#ifndef GUARD_PICKLE_BID_H
#define GUARD_PICKLE_BID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Evidence, in bits, that a pickle begins at `bytes`, of which `length` of `size` can be seen. Pure, allocates nothing.
 *
 * With PROTO the head must walk as opcodes until it names something, stops, or ends. Without PROTO it must call, create
 * or set state, or name a global and reach STOP, or walk validly to the end of what is shown. */
unsigned pickle_bid(const unsigned char *bytes, size_t length, uint64_t size);

/* Would an unpickler in the middle of a stream, with any stack, name or run something in these bytes before
 * it fails? */
bool pickle_walk_acts(const unsigned char *bytes, size_t length);

#endif
