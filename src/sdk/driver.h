/*
 * What a driver is.  A driver knows one way in which devices speak; it declares its keys, says where each metric lies,
 * and turns answered bytes into values.  The core owns the bytes, the time-outs, the retries, the scheduling and all
 * memory; nothing here is called while a lock is held, and each device is used by one thread only.
 *
 * A driver is a constant of type struct bf_driver named bf_driver_NAME, in drivers/NAME/.
 */
#ifndef BF_SDK_DRIVER_H
#define BF_SDK_DRIVER_H

#include "sdk/decode.h"
#include "sdk/key.h"
#include "sdk/value.h"

#define BF_DRIVER_ABI 1u

/* Where a register driver's values lie.  The numbers are the MODBUS object tables. */
enum bf_space { BF_SPACE_COIL, BF_SPACE_DISCRETE, BF_SPACE_INPUT, BF_SPACE_HOLDING, BF_N_SPACES };

/* A run of cells of one space: registers of 16 bit, or single bits in the spaces COIL and DISCRETE. */
struct bf_place {
	enum bf_space space;
	uint16_t at;    /* zero-based */
	uint16_t count; /* at + count <= 65536 */
};

/* What is wrong with a key, for a message that points at it. */
struct bf_complaint {
	const char *key; /* the key at fault, or NULL for the whole group */
	char what[160];  /* "is a holding register by its first digit" */
	char hint[160];  /* "write …", or empty */
};

enum bf_way {
	BF_WAY_REGISTERS, /* the core asks for places and merges neighbours into one request */
};

struct bf_driver {
	unsigned abi; /* BF_DRIVER_ABI */
	const char *name;
	const char *summary; /* one line for `busferry drivers` */
	enum bf_way way;

	const struct bf_key *device_keys; /* ends with a row without name; besides the core's own keys */
	const struct bf_key *metric_keys;
	size_t device_size; /* bytes of the structs that the two tables fill */
	size_t metric_size;

	/*
	 * The place of one metric, from its keys.  *shape arrives as the map has it and may be changed to what the
	 * place asks for (a coil is a bool).  0; -EINVAL with *ret_complaint filled.
	 */
	int (*place)(const void *device, const void *metric, struct bf_shape *shape, struct bf_place *ret_place,
		struct bf_complaint *ret_complaint);
};

#endif
