/*
 * Frames of real sensors for tests of the frame driver, made byte by byte; their checks are computed by other code than
 * the driver's.
 */
#ifndef FRAME_SAMPLES_H
#define FRAME_SAMPLES_H

#include "frame_bench.h"

#define FRAME_MAX 512

struct bytes {
	uint8_t at[FRAME_MAX];
	size_t n;
};

/* Adds bytes in hexadecimal digits; the check of the bytes from `from` on; flags around it all, and stuffing. */
void frame_add(struct bytes *bytes, const char *hex);
void frame_seal(struct bytes *frame, const char *kind, size_t from);
struct bytes frame_stuffed(const struct bytes *body);

/* The same bytes for the same state, which must not be 0. */
extern uint64_t frame_random_state;
uint8_t frame_random(void);

/* A table that must be sound, bytes for it, and a number that a metric must have. */
void frame_load(struct frame_bench *bench, const char *table);
void frame_feed(struct frame_bench *bench, const struct bytes *bytes);
void frame_is(struct frame_bench *bench, const char *name, double number);

/* The sensors of the field notes. */
extern const char frame_table_pms5003[], frame_table_sds011[], frame_table_mhz19b[], frame_table_sps30[],
	frame_table_tfmini[], frame_table_a02yyuw[], frame_table_rdm6300[], frame_table_ld2410[], frame_table_daly[],
	frame_table_jk[];
struct bytes frame_pms5003(unsigned pm25);
struct bytes frame_jk(void);
struct bytes frame_sps30_body(void);

#endif
