/*
 * Which question does an answer belong to?  On a serial wire an answer names its unit and function and shows its
 * length, nothing else.  This module keeps, for one unit address, the questions that may still be answered, and says of
 * each answer that is heard whether it can belong to one of them only.
 *
 * It rests on one property of a serial device: it answers in the order in which it was asked, or not at all.  So an
 * answer ends the question that it belongs to and all older ones.
 *
 * The shape of an answer is what tells it from others: its function and its count of bytes.  Reads of 1 to 8 coils all
 * have one shape.  Pure; one owner thread (the wire's).
 */
#ifndef FIELD_TRUST_H
#define FIELD_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRUST_OPEN_MAX    16
#define TRUST_SHAPE_WORDS (4 * 256 / 64)

/* Shapes of answers, function 1 to 4 in the high byte; an exception has 0x80 in it as well and 0 in the low one. */
typedef uint16_t trust_shape;

#define TRUST_SHAPE(function, n_bytes) ((trust_shape)((unsigned)(function) << 8 | (unsigned)(n_bytes)))
#define TRUST_EXCEPTION(function)      ((trust_shape)(((unsigned)(function) | 0x80u) << 8))

/* A question that may yet be answered. */
struct trust_open {
	int64_t asked_at;
	trust_shape shape; /* of its answer; TRUST_ANY: nobody knows */
	bool ours;
	bool passed; /* somebody else's: one certain answer says that it is over */
	bool spoilt; /* ours: something damaged came in its place that can hardly be anything else */
};

#define TRUST_ANY ((trust_shape)0xFFFF)

struct trust {
	struct trust_open open[TRUST_OPEN_MAX]; /* oldest first; the first n_past are believed to be over */
	uint8_t n_open, n_past;
	bool overfull;                     /* some had to be dropped: only silence helps */
	bool whole_values;                 /* the device refuses to be read in parts of a value */
	int64_t latest_us;                 /* its latest answer ever, from the question on */
	int64_t others_at;                 /* when somebody else asked, or may have; 0 = never */
	int64_t timeout_us;                /* the longest wait that the map allows */
	int64_t heard_us;                  /* after its question, at most, came the answer that was heard last */
	uint64_t asked[TRUST_SHAPE_WORDS]; /* shapes in which it was ever asked */
};

enum trust_verdict {
	TRUST_CERTAIN,   /* the answer to our newest question, and to none else */
	TRUST_UNCERTAIN, /* to our newest question or to another one */
	TRUST_LATE,      /* to an older question of ours */
	TRUST_FOREIGN,   /* to a question of somebody else */
	TRUST_UNASKED,   /* to no question that is known */
};

/* We have asked. */
void trust_asked(struct trust *trust, trust_shape shape, int64_t now_us);

/* Somebody else has, or may have (TRUST_ANY). */
void trust_overheard(struct trust *trust, trust_shape shape, int64_t now_us);

/*
 * An answer or exception of this unit was heard.  elsewhere: while another unit was being asked, which may have
 * answered under a wrong name; it is then no reason to believe that anything is over, and never certain.
 */
enum trust_verdict trust_heard(struct trust *trust, trust_shape shape, bool elsewhere, int64_t now_us);

/* Where the answer to our newest question was due, a damaged one of just that length and head came. */
void trust_spoilt(struct trust *trust);

/* May an answer to an earlier question still come?  What is too old is let go of first. */
bool trust_doubtful(struct trust *trust, int64_t now_us);

/* May an answer of this shape; may an answer or exception of this function? */
bool trust_is_open(const struct trust *trust, trust_shape shape);
bool trust_function_is_open(const struct trust *trust, uint8_t function);

/* Is all that is open a damaged answer? */
bool trust_only_spoilt(const struct trust *trust);

/*
 * Until when a device must be left alone that can't be asked in any other way: longer after its newest question than
 * its latest answer ever took.
 */
int64_t trust_silent_until(const struct trust *trust);

/* That silence is over, or what was open came damaged: nothing is awaited any more. */
void trust_let_go(struct trust *trust);

/* Is our newest question the only one that may be answered? */
bool trust_is_alone(const struct trust *trust);

/* Was it ever asked in this shape? */
bool trust_was_asked(const struct trust *trust, trust_shape shape);

#endif
