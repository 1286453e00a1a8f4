/*
 * The inside of the reader of tables: schema_value.c reads one value by its row, schema_read.c walks the groups.  No
 * one else includes this.
 */
#ifndef APP_SCHEMA_VALUE_H
#define APP_SCHEMA_VALUE_H

#include "app/schema.h"

struct schema_reader {
	struct arena *arena;
	struct faults *faults;
	const struct bf_key *key;
	const struct tree *value; /* NULL: the fallback is read */
	unsigned char *field;
	bool ok;
};

/* Reads the value into the field, or tells what is wrong with it and clears `ok`. */
void schema_value_read(struct schema_reader *reader);

/* What the row says when the map does not: the fallback, read as if it stood there. */
void schema_value_fall_back(struct schema_reader *reader);

#endif
