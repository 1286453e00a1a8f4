/* The frame driver's search: among noise, cuts and damage, in stuffed frames, and in bytes that mean nothing. */
#include "frame_samples.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- the search ---- */

struct sample {
	const char *table, *metric;
	struct bytes frame;
	double number;
};

static struct sample sample(size_t i)
{
	struct bytes body = frame_sps30_body(), tfmini_frame = {0}, ld2410_frame = {0};
	frame_add(&tfmini_frame, "59 59 D2 04 59 59 50 09");
	frame_seal(&tfmini_frame, "sum8", 0);
	frame_add(&ld2410_frame, "F4 F3 F2 F1 0D 00 02 AA 02 F4 F3 F2 F1 00 3B 3C 00 55 00 F8 F7 F6 F5");
	const struct sample samples[] = {
		{frame_table_pms5003, "pm25", frame_pms5003(0x424D), 0x424D},
		{frame_table_sps30, "typical_size", frame_stuffed(&body), 0.5},
		{frame_table_tfmini, "strength", tfmini_frame, 0x5959},
		{frame_table_jk, "voltage", frame_jk(), 5359},
		{frame_table_ld2410, "moving", ld2410_frame, 0xF3F4},
	};
	return samples[i];
}
#define N_SAMPLES 5

static void test_among_noise_at_every_offset(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		struct sample of = sample(i);
		struct frame_bench bench;
		frame_load(&bench, of.table);
		frame_random_state = 20250301u + (uint32_t)i;
		for (size_t before = 0; before < 300; before++) {
			struct bytes all = {0};
			while (all.n < before % 150)
				all.at[all.n++] = frame_random();
			memcpy(all.at + all.n, of.frame.at, of.frame.n);
			all.n += of.frame.n;
			for (size_t k = 0; k < 20; k++)
				all.at[all.n++] = frame_random();
			frame_bench_forget(&bench);
			frame_bench_feed(&bench, all.at, all.n, before % 7);
			frame_bench_quiet(&bench);
			assert_int_equal(bench.n_messages, 1);
			frame_is(&bench, of.metric, of.number);
		}
		frame_bench_destroy(&bench);
	}
}

static void test_split_at_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		struct sample of = sample(i);
		struct frame_bench bench;
		frame_load(&bench, of.table);
		for (size_t cut = 0; cut <= of.frame.n; cut++) {
			frame_bench_forget(&bench);
			frame_bench_feed(&bench, of.frame.at, cut, 0);
			frame_bench_feed(&bench, of.frame.at + cut, of.frame.n - cut, 0);
			assert_int_equal(bench.n_messages, 1);
			frame_is(&bench, of.metric, of.number);
			for (int k = 0; k < 3; k++)
				frame_bench_feed(&bench, of.frame.at, of.frame.n, cut + 1);
			assert_int_equal(bench.n_messages, 4);
			assert_int_equal(bench.n_damaged, 0);
		}
		frame_bench_destroy(&bench);
	}
}

/* What is left of a frame whose end, beginning or middle was lost never takes the next one with it. */
static void test_behind_what_is_left_of_a_frame(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		struct sample of = sample(i);
		struct frame_bench bench;
		frame_load(&bench, of.table);
		for (size_t from = 0; from < of.frame.n; from++)
			for (size_t to = from; to < of.frame.n; to++) {
				frame_bench_forget(&bench);
				frame_bench_feed(&bench, of.frame.at, from, 0);
				frame_bench_feed(&bench, of.frame.at + to, of.frame.n - to, 0);
				size_t before = bench.n_messages;
				assert_int_equal(before, from == to ? 1 : 0);
				for (int k = 0; k < 2; k++)
					frame_feed(&bench, &of.frame);
				frame_bench_quiet(&bench);
				assert_int_equal(bench.n_messages, before + 2);
				frame_is(&bench, of.metric, of.number);
			}
		frame_bench_destroy(&bench);
	}
}

static void test_damaged_at_every_bit(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SAMPLES - 1; i++) { /* but for the one without a check */
		struct sample of = sample(i);
		struct frame_bench bench;
		frame_load(&bench, of.table);
		for (size_t bit = 0; bit < 8 * of.frame.n; bit++) {
			struct bytes damaged = of.frame;
			damaged.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
			frame_bench_forget(&bench);
			frame_feed(&bench, &damaged);
			assert_int_equal(bench.n_messages, 0);
			frame_feed(&bench, &of.frame);
			frame_feed(&bench, &of.frame);
			frame_bench_quiet(&bench);
			assert_int_equal(bench.n_messages, 2);
			frame_is(&bench, of.metric, of.number);
		}
		frame_bench_destroy(&bench);
	}
}

/* A length that no frame has is no reason to wait for so many bytes. */
static void test_lengths_that_make_no_sense(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, frame_table_pms5003);
	static const char *const starts[] = {"42 4D 00 00", "42 4D 00 01", "42 4D 00 25", "42 4D 7F FF", "42 4D FF FF"};
	struct bytes frame = frame_pms5003(3);
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		struct bytes all = {0};
		frame_add(&all, starts[i]);
		frame_bench_forget(&bench);
		frame_feed(&bench, &all);
		assert_int_equal(bench.n_input, 0);
		frame_feed(&bench, &frame);
		assert_int_equal(bench.n_messages, 1);
		assert_int_equal(bench.n_damaged, 0);
	}
	frame_bench_destroy(&bench);
}

/* ---- stuffing ---- */

static const char hdlc[] = "frame: { flag: \"7E\"  escape: { byte: 0x7D }  check: { kind: \"crc16-x25\" }\n"
			   "  length: { at: 0  type: \"u8\"  max: 12 } }\n"
			   "metrics: { number: { at: 1  type: \"u16be\" } }\n";

static struct bytes hdlc_body(unsigned number)
{
	struct bytes body = {0};
	frame_add(&body, "05");
	body.at[body.n++] = (uint8_t)(number >> 8);
	body.at[body.n++] = (uint8_t)number;
	frame_seal(&body, "crc16-x25", 0);
	return body;
}

static void test_stuffing(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, hdlc);
	/* every number, so every byte stuffed or not */
	for (unsigned number = 0; number < 65536; number += 7) {
		struct bytes body = hdlc_body(number), frame = frame_stuffed(&body);
		frame_feed(&bench, &frame);
		frame_is(&bench, "number", number);
	}
	assert_int_equal(bench.n_damaged, 0);
	/* one flag between two frames, and more than two */
	for (unsigned n_flags = 1; n_flags < 6; n_flags++) {
		frame_bench_forget(&bench);
		struct bytes first_body = hdlc_body(0x7E7D), second_body = hdlc_body(77),
			     all = frame_stuffed(&first_body), second = frame_stuffed(&second_body);
		for (unsigned k = 1; k < n_flags; k++)
			all.at[all.n++] = 0x7E;
		memcpy(all.at + all.n, second.at + 1, second.n - 1);
		all.n += second.n - 1;
		for (size_t piece = 0; piece < all.n; piece++) {
			frame_bench_forget(&bench);
			frame_bench_feed(&bench, all.at, all.n, piece);
			assert_int_equal(bench.n_messages, 2);
			frame_is(&bench, "number", 77);
		}
	}
	frame_bench_destroy(&bench);
}

static void test_broken_stuffing(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, hdlc);
	static const char *const broken[] = {"7E 7D 7E", "7E 05 00 7D 7E", "7E", "7E 7E 7E 7E 7E 7E 7E 7E", "00 01 02",
		"7E 00", "7E 05 00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 7E",
		"7E 05 00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 11 12 13 14 15 16 17 18 19 1A 1B 1C 1D"};
	struct bytes body = hdlc_body(9), frame = frame_stuffed(&body);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct bytes all = {0};
		frame_add(&all, broken[i]);
		frame_bench_forget(&bench);
		frame_feed(&bench, &all);
		assert_int_equal(bench.n_messages, 0);
		frame_feed(&bench, &frame);
		assert_int_equal(bench.n_messages, 1);
		frame_is(&bench, "number", 9);
	}
	/* a sound check, but another length than it tells */
	struct bytes longer = {0};
	frame_add(&longer, "06 00 01");
	frame_seal(&longer, "crc16-x25", 0);
	frame_bench_forget(&bench);
	frame = frame_stuffed(&longer);
	frame_feed(&bench, &frame);
	assert_int_equal(bench.n_messages + bench.n_other + bench.n_damaged, 0);
	frame_bench_destroy(&bench);
}

/* ---- what chance may bring ---- */

static size_t sound_ones(const char *table, uint64_t n_bytes, uint64_t seed)
{
	struct frame_bench bench;
	frame_load(&bench, table);
	frame_random_state = seed;
	uint8_t bytes[4096];
	for (uint64_t n = 0; n < n_bytes; n += sizeof(bytes)) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = frame_random();
		frame_bench_feed(&bench, bytes, sizeof(bytes), 0);
	}
	size_t sound = bench.n_messages + bench.n_other;
	frame_bench_destroy(&bench);
	return sound;
}

/* So many come by chance, give or take six standard deviations, and nine where they are few. */
static void by_chance(const char *what, const char *table, uint64_t n_bytes, double share, uint64_t seed)
{
	double expected = (double)n_bytes * share, slack = 6 * sqrt(expected) + 9;
	size_t sound = sound_ones(table, n_bytes, seed);
	printf("%s: %zu sound frames in %.3g random bytes, %.3g expected\n", what, sound, (double)n_bytes, expected);
	if (fabs((double)sound - expected) > slack)
		fail_msg("%s: %zu sound frames, %.6g expected", what, sound, expected);
}

/* Hours of a busy line at 9600 baud; BUSFERRY_RANDOM_HOURS=1000 for many. */
static void test_random_bytes_give_no_more_than_chance(void **state)
{
	(void)state;
	const char *given = getenv("BUSFERRY_RANDOM_HOURS");
	uint64_t n = (given ? strtoul(given, NULL, 10) : 5) * 3600ull * 960;
	/* a start of 8 bits and a check of 8; of 8 and 16; of 16 and 16, and a length of 16 that is one of 35 */
	by_chance("sum8", frame_table_a02yyuw, n, 0x1p-16, 1);
	by_chance("crc16",
		"frame: { start: \"A5\"  length: 8  check: { kind: \"crc16-modbus\" } }\n"
		"metrics: { number: { at: 1  type: \"u32be\" } }\n",
		n, 0x1p-24, 2);
	by_chance("sum16", frame_table_pms5003, n, 0x1p-32 * 35 / 65536, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_among_noise_at_every_offset),
		cmocka_unit_test(test_split_at_every_byte),
		cmocka_unit_test(test_behind_what_is_left_of_a_frame),
		cmocka_unit_test(test_damaged_at_every_bit),
		cmocka_unit_test(test_lengths_that_make_no_sense),
		cmocka_unit_test(test_stuffing),
		cmocka_unit_test(test_broken_stuffing),
		cmocka_unit_test(test_random_bytes_give_no_more_than_chance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
