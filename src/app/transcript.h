/*
 * Bytes of a line as people look at them: gathered until the line is silent, and cut into rows.  One owner thread.
 */
#ifndef APP_TRANSCRIPT_H
#define APP_TRANSCRIPT_H

#include "model/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRANSCRIPT_CHUNK ((size_t)1024)
#define TRANSCRIPT_ROW   ((size_t)16) /* bytes that are shown in a row: as hex and text they fit a terminal */

/* Who gets them. */
struct transcript_reader {
	/* at_us: of the first byte. */
	void (*chunk)(struct transcript_reader *reader, bool sent, int64_t at_us, const uint8_t *bytes, size_t n);
};

struct transcript {
	struct transcript_reader *reader;
	int64_t gap_us; /* the silence that ends a chunk */
	bool sent;
	int64_t first_at, last_at;
	size_t n;
	uint8_t bytes[TRANSCRIPT_CHUNK];
};

void transcript_init(struct transcript *transcript, struct transcript_reader *reader);

/* The line has these settings from now on. */
void transcript_line(struct transcript *transcript, const struct plan_line *line);

/* Bytes that came, or were sent. */
void transcript_take(struct transcript *transcript, bool sent, const uint8_t *bytes, size_t n, int64_t now_us);

/* Hands on what is complete.  Returns when to call again; CLOCK_NEVER: not before more comes. */
int64_t transcript_step(struct transcript *transcript, int64_t now_us);

/* Hands on what is there. */
void transcript_flush(struct transcript *transcript);

/* Is it text, by most of it? */
bool transcript_is_text(const uint8_t *bytes, size_t n);

/* How many bytes of a chunk the next row has (text: its lines end rows); at least 1. */
size_t transcript_row(const uint8_t *bytes, size_t n, bool text);

/* "42 4D" and "BM", of at most TRANSCRIPT_ROW bytes; what can't be printed is a point. */
#define TRANSCRIPT_HEX_SIZE  (3 * TRANSCRIPT_ROW + 1)
#define TRANSCRIPT_TEXT_SIZE (TRANSCRIPT_ROW + 1)
void transcript_hex(const uint8_t *bytes, size_t n, char text[static TRANSCRIPT_HEX_SIZE]);
void transcript_text(const uint8_t *bytes, size_t n, char text[static TRANSCRIPT_TEXT_SIZE]);

#endif
