/*
 * A walk over the elements of an SML file: each says its type and its own length, lists hold others.  Pure; any thread.
 */
#ifndef SML_WALK_H
#define SML_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the walk is; `left` bytes from `at` are still before it. */
struct sml_walk {
	const uint8_t *at;
	size_t left;
};

enum sml_type { SML_OCTETS = 0, SML_BOOLEAN = 4, SML_SIGNED = 5, SML_UNSIGNED = 6, SML_LIST = 7 };

struct sml_element {
	enum sml_type type;
	size_t count;      /* bytes of what it holds, 0 where the meter leaves it out; of a list the elements */
	const uint8_t *at; /* what it holds, within the file */
};

/* The next element; of a list only its head, so that its elements are next.  0; -EBADMSG when it does not fit in. */
int sml_walk_next(struct sml_walk *walk, struct sml_element *ret_element);

/* Past n elements with all that they hold.  0; -EBADMSG, also for lists in lists beyond all reason. */
int sml_walk_pass(struct sml_walk *walk, size_t n);

/* Into the list that is next, if it has n elements.  0; -EBADMSG. */
int sml_walk_enter(struct sml_walk *walk, size_t n);

/*
 * The number that an element's bytes are, 1 to 8 of them, the highest first; in two's complement if it is signed, and
 * filled up to 64 bits accordingly.  0; -EDOM when it is no number.
 */
int sml_walk_number(const struct sml_element *element, bool is_signed, uint64_t *ret_number);

#endif
