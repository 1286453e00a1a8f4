/*
 * The parts of `busferry watch`: what a message says, the table of what was last heard of each topic, and the lines
 * that a pipe gets.  One thread.
 *
 * Everything that comes from the broker is hostile: bounded in memory, and shown through screen.h only.
 */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include "ship/uplink.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define WATCH_TEXT 128 /* bytes of a value that are kept */
#define WATCH_UNIT 24

enum watch_kind {
	WATCH_READING, /* of ours, or a number or word that stands alone */
	WATCH_STATE,   /* online or offline */
	WATCH_OTHER,   /* anything */
	WATCH_CLEARED  /* empty: what was retained is gone */
};

struct watch_value {
	enum watch_kind kind;
	char text[WATCH_TEXT];                      /* any bytes but NUL; cut off at its size */
	char unit[WATCH_UNIT], quality[WATCH_UNIT]; /* "" = none */
	bool has_number;                            /* also true and false, as 1 and 0 */
	double number;
	int64_t time_ms; /* when it was read; 0 = not said */
	const char *raw; /* the value as JSON, if it is sound JSON of one line; in the payload */
	size_t raw_n;
};

/*
 * Takes a payload apart: one value, or those of a whole device, each with the name of its metric (else NULL, and valid
 * during the call like the value).
 */
void watch_values(const char *topic, const void *payload, size_t n,
	void (*take)(void *user, const char *metric, const struct watch_value *value), void *user);

/* A line for people, or for programs. */
void watch_print_line(FILE *to, const struct uplink_message *message, int64_t now_ms);
void watch_print_json(FILE *to, const struct uplink_message *message, int64_t now_ms);

struct watch_table;

/* NULL without memory. */
struct watch_table *watch_table_make(void);
void watch_table_free(struct watch_table *table);

void watch_table_put(struct watch_table *table, const struct uplink_message *message, int64_t now_ms);

struct watch_screen {
	unsigned columns, rows;
	bool coloured;
	const char *title;   /* the first line */
	const char *trouble; /* why there is no connection; NULL = there is one */
};

/* Draws it over what the terminal shows. */
void watch_table_draw(struct watch_table *table, const struct watch_screen *screen, int64_t now_ms, FILE *to);

/* How many topics are in it, and how many messages have come. */
size_t watch_table_topics(const struct watch_table *table);
uint64_t watch_table_messages(const struct watch_table *table);

#endif
