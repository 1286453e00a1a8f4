/*
 * What a driver is.  A driver knows one way in which devices speak.  It declares its keys, and then it goes one of two
 * ways: of registers, it says where each metric lies and the core asks, merges and decodes; of a stream, the core hands
 * it the bytes that have come and it says what is a message and what each metric is in it.  Either way the core owns
 * the bytes, the time-outs, the retries, the scheduling and all memory; nothing here is called while a lock is held,
 * and each device is used by one thread only.
 *
 * A driver is a constant of type struct bf_driver: bf_driver_NAME in drivers/NAME/ when it is built in, bf_driver in a
 * module (.so) that is found at run time.  BF_DRIVER(NAME) = { … }; is either, so one source serves for both: the flags
 * of busferry-driver.pc define BF_DRIVER_MODULE.
 */
#ifndef BF_SDK_DRIVER_H
#define BF_SDK_DRIVER_H

#include "sdk/decode.h"
#include "sdk/key.h"
#include "sdk/value.h"

#define BF_DRIVER_ABI 2u

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
	const char *key;     /* the key at fault ("frame.length"), or NULL for the whole group */
	const char *message; /* the name of the message whose group it is; NULL = the device's, or the metric's */
	char what[160];      /* "is a holding register by its first digit" */
	char hint[160];      /* "write …", or empty */
};

/*
 * For a driver that refuses a key (NULL: the whole group): fills what, and the hint unless that is NULL; message stays.
 * The key must outlive the complaint; all else is copied, and cut where it is too long.  Returns -EINVAL, for
 * `return bf_refuse(…)`.
 */
int bf_refuse(struct bf_complaint *complaint, const char *key, const char *hint, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

enum bf_way {
	BF_WAY_REGISTERS, /* the core asks for places and merges neighbours into one request */
	BF_WAY_STREAM,    /* bytes come, by themselves or because something was asked */
};

/* One of the kinds of messages of a device: a group of `messages` in the map or profile. */
struct bf_message_told {
	const char *name;
	struct bf_bytes request; /* what asks for it; n = 0: it comes by itself */
	const void *keys;        /* the struct that the driver's message_keys fill */
};

/* A device as its driver sees it. */
struct bf_device {
	const void *keys; /* the struct that device_keys fill */
	const struct bf_message_told *messages;
	size_t n_messages; /* at least 1: without `messages` there is one without a name, its keys as if nothing were
			      given */
	uint8_t address;   /* unit address; 0 = not given */
	void *memory;      /* memory_size bytes, zeroed at the start and whenever the port was opened; NULL in check and
			      shape */
};

/* A message that was found: what metrics are read from. */
struct bf_message {
	unsigned kind;        /* index in messages */
	const uint8_t *bytes; /* within the input or the body that `find` was given */
	size_t n;
};

/* What stands at the beginning of the input. */
enum bf_find {
	BF_FIND_MORE,    /* the beginning of a message, as far as can be seen; or nothing yet */
	BF_FIND_SKIP,    /* n bytes that are no part of any message */
	BF_FIND_DAMAGED, /* a message by its shape, but its check fails: counted, and the core goes on one byte further
			  */
	BF_FIND_MESSAGE, /* a sound message that takes the first n bytes */
	BF_FIND_OTHER,   /* a sound message of n bytes that is none of the device's: passed over, and a sign of life */
};

struct bf_found {
	size_t n; /* bytes of the input, 1..n of the input; not set with MORE */
	struct bf_message message;
};

/* One step of a conversation: what to send, and how long to wait for what answers it. */
#define BF_ASK_MAX 256
struct bf_ask {
	uint8_t bytes[BF_ASK_MAX];
	size_t n;           /* 0 = only wait */
	uint32_t baud;      /* speed from behind these bytes until the conversation ends; 0 = as it is */
	int64_t pause_us;   /* silence before these bytes */
	int64_t timeout_us; /* 0 = the device's */
	unsigned kind;      /* of the message that answers; a sound one of another kind is passed over */
	bool any;           /* or whichever comes first */
	bool unanswered;    /* nothing answers these bytes (they wake a meter up): the next step follows at once, after
			       its pause, with a NULL answer */
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

	/* ---- BF_WAY_REGISTERS ---- */

	/*
	 * The place of one metric, from its keys.  *shape arrives as the map has it and may be changed to what the
	 * place asks for (a coil is a bool).  0; -EINVAL with *ret_complaint filled.
	 */
	int (*place)(const void *device, const void *metric, struct bf_shape *shape, struct bf_place *ret_place,
		struct bf_complaint *ret_complaint);

	/* ---- BF_WAY_STREAM ---- */

	const struct bf_key *message_keys; /* of each group of `messages`; NULL = none but the core's */
	size_t message_size;
	size_t memory_size; /* bytes that the driver keeps for each device; 0 = none */

	/*
	 * Do the keys of the device and its messages make sense together?  Called once, at the start.  NULL: always.
	 * 0; -EINVAL with *ret_complaint filled.
	 */
	int (*check)(const struct bf_device *device, struct bf_complaint *ret_complaint);

	/*
	 * What a metric of that message will be: its type says how wide and of which kind (BF_TYPE_F64 for any number
	 * with a fraction, BF_TYPE_S64 for one without, BF_TYPE_STRING for a text); bits, words and sentinels follow
	 * from it. 0; -EINVAL with *ret_complaint filled.
	 */
	int (*shape)(const struct bf_device *device, unsigned kind, const void *metric, struct bf_shape *ret_shape,
		struct bf_complaint *ret_complaint);

	/* The most bytes that a message can take on the line, 1..BF_INPUT_MAX; what is longer is no message. */
	size_t (*longest)(const struct bf_device *device);

	/*
	 * What stands at the beginning of the input (n >= 1).  Pure but for device->memory: the same bytes may be shown
	 * again, with more behind them.  What had to be unpacked is written to the body, of as many bytes as `longest`
	 * says.
	 */
	enum bf_find (*find)(const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body,
		struct bf_found *ret_found);

	/*
	 * The raw value of a metric in a message of its kind, before sentinels, bits and scale; index: which of
	 * `repeat`, from 0.  A text may lie in the message or be written to `text`.
	 * 0; -ENOENT the message says nothing of it; -EDOM it says that there is none, or something that is no value.
	 */
	int (*value)(const struct bf_device *device, const void *metric, unsigned index,
		const struct bf_message *message, char text[static BF_STRING_MAX + 1], struct bf_value *ret_value);

	/*
	 * A conversation by steps from 0, for devices that want more than a request: answer is what the step before
	 * brought, NULL at the first and after one that is not answered.  An answer may be told as a message (its
	 * metrics are read) or be a step only: the core reads whatever metrics its kind has.  NULL: the core sends the
	 * request of each message. 1 with *ret_ask: send and wait; 0: the conversation is over; -EBADMSG: it can't go
	 * on from that answer.
	 */
	int (*ask)(
		const struct bf_device *device, unsigned step, const struct bf_message *answer, struct bf_ask *ret_ask);
};

#define BF_INPUT_MAX 16384

#ifdef BF_DRIVER_MODULE
#define BF_DRIVER(name_)                                                                                               \
	extern const struct bf_driver bf_driver __attribute__((visibility("default")));                                \
	const struct bf_driver bf_driver
#else
#define BF_DRIVER(name_)                                                                                               \
	extern const struct bf_driver bf_driver_##name_;                                                               \
	const struct bf_driver bf_driver_##name_
#endif

#endif
