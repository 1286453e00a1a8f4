/*
 * What the data of an M-Bus record say: a number, whole bits, a text, a date.  Pure; any thread.
 */
#ifndef MBUS_VALUE_H
#define MBUS_VALUE_H

#include "mbus_record.h"
#include "sdk/decode.h"

/* In the order of the key's choices. */
enum mbus_as { MBUS_AS_NUMBER, MBUS_AS_FLAGS, MBUS_AS_TEXT, MBUS_AS_DATE };

/* What a quantity is read as where nothing else is said. */
enum mbus_as mbus_value_usual(enum mbus_quantity quantity);

/*
 * The value of a record, a text in `text`.
 * 0; -EDOM when the meter says that there is none, or it is not of that kind.
 */
int mbus_value_of(const struct mbus_record *record, enum mbus_as as, char text[static BF_STRING_MAX + 1],
	struct bf_value *ret_value);

/* n bytes of BCD as 2n digits, as they are; the length. */
size_t mbus_value_digits(const uint8_t *bytes, size_t n, char *text);

#endif
