/*
 * FNV-1a, 64 bit: a hash of texts that people or the map's own author choose.  Not against somebody who picks texts so
 * that they collide.
 *
 * Its value is part of names that users see (client id, control socket) and of a file (learnt gaps): it stays.
 * Source: draft-eastlake-fnv, sections 2 and 5.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

/* hash: HASH_BEGIN, or of what comes before. */
static inline uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n)
{
	const unsigned char *at = bytes;
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static inline uint64_t hash_text(const char *text)
{
	return hash_bytes(HASH_BEGIN, text, strlen(text));
}

/* For tables: both halves count. */
static inline uint32_t hash_fold(uint64_t hash)
{
	return (uint32_t)(hash ^ hash >> 32);
}

#endif
