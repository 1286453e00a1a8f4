/*
 * A value as 64 bits, and back: for what is compared, kept in records, or passed between threads in one word.
 * Pure; any thread.
 */
#ifndef MODEL_BITS_H
#define MODEL_BITS_H

#include "base/hash.h"
#include "sdk/value.h"

#include <stdint.h>
#include <string.h>

/* Of a text its hash.  Two values of one kind are the same if their bits are. */
static inline uint64_t bits_of(const struct bf_value *value)
{
	uint64_t bits = 0;
	uint32_t narrow;
	switch (value->kind) {
	case BF_NONE:
		break;
	case BF_BOOLEAN:
		bits = value->yes;
		break;
	case BF_FLOAT16:
	case BF_FLOAT32:
		memcpy(&narrow, &value->f32, sizeof(narrow));
		bits = narrow;
		break;
	case BF_SIGNED:
	case BF_UNSIGNED:
	case BF_FLOAT64:
		memcpy(&bits, &value->u, sizeof(bits)); /* i, u and f64 share their place */
		break;
	case BF_TEXT:
		bits = hash_bytes(HASH_BEGIN, value->text.at, value->text.n);
		break;
	}
	return bits;
}

/* The value of that kind, which is no text. */
static inline struct bf_value bits_value(enum bf_kind kind, uint64_t bits)
{
	struct bf_value value = {.kind = kind};
	uint32_t narrow = (uint32_t)bits;
	if (kind == BF_BOOLEAN)
		value.yes = bits != 0;
	else if (kind == BF_FLOAT16 || kind == BF_FLOAT32)
		memcpy(&value.f32, &narrow, sizeof(narrow));
	else
		memcpy(&value.u, &bits, sizeof(bits));
	return value;
}

#endif
