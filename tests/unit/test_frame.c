/* The frame driver: real sensors, every kind of check and type, tagged records. */
#include "frame_samples.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_pms5003(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, frame_table_pms5003);
	struct bytes frame = frame_pms5003(11);
	frame_feed(&bench, &frame);
	assert_int_equal(bench.n_messages, 1);
	frame_is(&bench, "pm1", 7);
	frame_is(&bench, "pm25", 11);
	frame_is(&bench, "pm10", 14);
	/* a PMS3003 sends less, with the same beginning */
	struct bytes less = {0};
	frame_add(&less, "42 4D 00 14  00 01 00 02 00 03  00 04 00 05 00 06  00 00 00 00 00 00");
	frame_seal(&less, "sum16be", 0);
	frame_feed(&bench, &less);
	assert_int_equal(bench.n_messages, 2);
	frame_is(&bench, "pm25", 5);
	frame_bench_destroy(&bench);
}

static void test_sds011(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, frame_table_sds011);
	struct bytes frame = {0};
	frame_add(&frame, "AA C0 D4 04 3A 0A A1 60");
	frame_seal(&frame, "sum8", 2);
	frame_add(&frame, "AB");
	frame_feed(&bench, &frame);
	frame_is(&bench, "pm25", 1236);
	frame_is(&bench, "pm10", 2618);
	assert_int_equal(bench.n_skipped + bench.n_damaged, 0);
	frame_bench_destroy(&bench);
}

static void test_mhz19b(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, frame_table_mhz19b);
	assert_int_equal(bench.device.messages[0].request.n, 9);
	struct bytes frame = {0};
	frame_add(&frame, "FF 86 02 60 47 00 00 00");
	frame_seal(&frame, "neg8", 1);
	assert_int_equal(frame.at[8], 0xD1); /* as the manual has it */
	frame_feed(&bench, &frame);
	frame_is(&bench, "co2", 608);
	frame_is(&bench, "temperature", 71);
	frame_bench_destroy(&bench);
}

static void test_sps30(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, frame_table_sps30);
	struct bytes body = frame_sps30_body(), frame = frame_stuffed(&body);
	frame_feed(&bench, &frame);
	assert_int_equal(bench.n_messages, 1);
	frame_is(&bench, "pm1", (double)3.14159274f);
	assert_true(frame_bench_number(&bench, "pm25") > 8e37);
	frame_is(&bench, "typical_size", 0.5);
	/* nothing new: a sound message that says nothing */
	struct bytes none = {0};
	frame_add(&none, "00 03 00 00");
	frame_seal(&none, "inv8", 0);
	frame = frame_stuffed(&none);
	frame_feed(&bench, &frame);
	assert_int_equal(bench.n_messages, 2);
	assert_int_equal(frame_bench_metric(&bench, "pm1")->error[0], -ENOENT);
	frame_bench_destroy(&bench);
}

static void test_tfmini(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, frame_table_tfmini);
	struct bytes frame = {0};
	frame_add(&frame, "59 59 D2 04 E8 03 50 09");
	frame_seal(&frame, "sum8", 0);
	for (int i = 0; i < 3; i++)
		frame_feed(&bench, &frame);
	assert_int_equal(bench.n_messages, 3);
	frame_is(&bench, "distance", 1234);
	frame_is(&bench, "strength", 1000);
	frame_is(&bench, "temperature", 2384);
	frame_bench_destroy(&bench);
}

/* The start byte within data, where a search that drops its whole buffer loses frames. */
static void test_a02yyuw(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, frame_table_a02yyuw);
	struct bytes all = {0};
	for (unsigned low = 0; low < 64; low++) {
		all.at[all.n++] = 0xFF;
		all.at[all.n++] = 0x01;
		all.at[all.n++] = (uint8_t)(0xC0 + low);
		all.at[all.n++] = (uint8_t)(0xC0 + low);
	}
	for (size_t cut = 0; cut < 4; cut++) {
		frame_bench_forget(&bench);
		frame_bench_feed(&bench, all.at + cut, all.n - cut, 0);
		assert_int_equal(bench.n_messages, cut ? 63 : 64);
		frame_is(&bench, "distance", 0x1FF);
	}
	frame_bench_destroy(&bench);
}

static void test_rdm6300(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, frame_table_rdm6300);
	struct bytes frame = {0};
	frame_add(&frame, "02");
	memcpy(frame.at + frame.n, "0100A1B2C3", 10);
	frame.n += 10;
	memcpy(frame.at + frame.n, "D1", 2); /* 01 ^ 00 ^ A1 ^ B2 ^ C3 */
	frame.n += 2;
	frame_add(&frame, "03");
	frame_feed(&bench, &frame);
	frame_is(&bench, "tag", 0x00A1B2C3);
	assert_int_equal(frame_bench_metric(&bench, "tag")->last[0].kind, BF_UNSIGNED);
	struct bf_value *printed = &frame_bench_metric(&bench, "printed")->last[0];
	assert_int_equal(printed->text.n, 10);
	assert_memory_equal(printed->text.at, "0100A1B2C3", 10);
	frame.at[5] = 'g'; /* no digit */
	frame_feed(&bench, &frame);
	assert_int_equal(bench.n_messages, 1);
	assert_int_equal(bench.n_damaged, 1);
	frame_bench_destroy(&bench);
}

static void test_ld2410(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, frame_table_ld2410);
	struct bytes frame = {0};
	frame_add(&frame, "F4 F3 F2 F1 0D 00 02 AA 02 51 00 00 00 00 3B 3C 00 55 00 F8 F7 F6 F5");
	frame_feed(&bench, &frame);
	frame_is(&bench, "state", 2);
	frame_is(&bench, "moving", 0x51);
	frame_is(&bench, "distance", 0x3C);
	frame.at[6] = 1; /* engineering mode: known, but none of the messages */
	frame_feed(&bench, &frame);
	assert_int_equal(bench.n_other, 1);
	assert_int_equal(bench.n_messages, 1);
	frame.at[22] = 0; /* another end */
	frame_feed(&bench, &frame);
	assert_int_equal(bench.n_skipped, 23);
	assert_int_equal(bench.n_damaged, 0);
	frame_bench_destroy(&bench);
}

static void test_daly(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, frame_table_daly);
	struct bytes pack = {0}, cells = {0}, other = {0};
	frame_add(&pack, "A5 01 90 08 02 12 00 00 75 30 03 E8");
	frame_seal(&pack, "sum8", 0);
	frame_add(&cells, "A5 01 91 08 0D 03 02 0C FB 04 00 00");
	frame_seal(&cells, "sum8", 0);
	frame_add(&other, "A5 01 98 08 00 00 00 00 00 00 00 00");
	frame_seal(&other, "sum8", 0);
	frame_feed(&bench, &pack);
	frame_feed(&bench, &other);
	frame_feed(&bench, &cells);
	assert_int_equal(bench.of_kind[0], 1);
	assert_int_equal(bench.of_kind[1], 1);
	assert_int_equal(bench.n_other, 1);
	frame_is(&bench, "voltage", 530);
	frame_is(&bench, "current", 30000);
	frame_is(&bench, "highest", 3331);
	frame_is(&bench, "lowest", 3323);
	frame_bench_destroy(&bench);
}

static void test_jk(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, frame_table_jk);
	struct bytes frame = frame_jk();
	frame_feed(&bench, &frame);
	assert_int_equal(bench.n_messages, 1);
	frame_is(&bench, "temperature", 30);
	frame_is(&bench, "voltage", 5359);
	frame_is(&bench, "current", 208);
	frame_is(&bench, "soc", 15);
	struct frame_bench_metric *cell = frame_bench_metric(&bench, "cell");
	assert_int_equal(cell->last[0].u, 3821);
	assert_int_equal(cell->last[1].u, 3834);
	assert_int_equal(cell->last[2].u, 3831);
	assert_int_equal(cell->error[3], -ENOENT); /* it has three */
	frame_bench_destroy(&bench);
}

/* CSE7766: quotients, and values that are there only when a bit says so. */
static void test_cse7766(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench,
		"frame: { start: \"55 5A\"  start_or: \"F2 5A\"  length: 24  check: { kind: \"sum8\"  from: 2 } }\n"
		"metrics: { voltage: { at: 2  type: \"u24be\"  over: { at: 5  type: \"u24be\" }\n"
		"    when: { at: 20  mask: 0x40 } }\n"
		"  power: { at: 14  type: \"u24be\"  over: { at: 17  type: \"u24be\" }\n"
		"    when: { at: 20  mask: 0x10  else: 0 } } }\n");
	struct bytes load_on = {0}, no_load = {0};
	frame_add(&load_on, "55 5A 02 F7 60 00 03 AB 00 40 10 02 60 5D 51 A6 58 03 E9 EF 71 0B 7A 36");
	frame_add(&no_load, "F2 5A 02 F7 60 00 03 61 00 40 10 05 72 40 51 A6 58 63 10 1B E1 7F 4D 4E");
	frame_feed(&bench, &load_on);
	frame_is(&bench, "voltage", 194400.0 / 939);
	frame_is(&bench, "power", 5351000.0 / 256495);
	frame_feed(&bench, &no_load);
	frame_is(&bench, "voltage", 194400.0 / 865);
	frame_is(&bench, "power", 0);
	struct bytes dark = no_load;
	memcpy(dark.at + 5, "\0\0\0", 3); /* over nothing */
	dark.n = 23;
	frame_seal(&dark, "sum8", 2);
	frame_feed(&bench, &dark);
	assert_int_equal(bench.n_messages, 3);
	assert_int_equal(frame_bench_metric(&bench, "voltage")->error[0], -EDOM);
	dark.at[20] = 0; /* neither is there */
	dark.n = 23;
	frame_seal(&dark, "sum8", 2);
	frame_feed(&bench, &dark);
	assert_int_equal(frame_bench_metric(&bench, "voltage")->error[0], -ENOENT);
	assert_int_equal(frame_bench_metric(&bench, "power")->error[0], 0);
	frame_bench_destroy(&bench);
}

/* ---- every kind of check ---- */

static const char *const kinds[] = {"sum8", "neg8", "inv8", "xor8", "sum16be", "sum16le", "neg16be", "crc8",
	"crc16-modbus", "crc16-arc", "crc16-x25", "crc16-kermit"};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static size_t check_size(const char *kind)
{
	return strchr(kind, '1') ? 2 : 1;
}

static void load_kind(struct frame_bench *bench, const char *kind, struct bytes *ret_frame)
{
	char table[512];
	*ret_frame = (struct bytes){0};
	frame_add(ret_frame, "A5 5A 12 34 56 78 9A 00 FF 01");
	frame_seal(ret_frame, kind, 1);
	snprintf(table, sizeof(table),
		"frame: { start: \"A5 5A\"  length: %zu  check: { kind: \"%s\"  from: 1 } }\n"
		"metrics: { number: { at: 2  type: \"u32be\" } }\n",
		10 + check_size(kind), kind);
	frame_load(bench, table);
}

static void test_every_check(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++) {
		struct frame_bench bench;
		struct bytes frame;
		load_kind(&bench, kinds[k], &frame);
		frame_feed(&bench, &frame);
		assert_int_equal(bench.n_messages, 1);
		frame_is(&bench, "number", 0x12345678);
		/* no bit may be damaged unseen */
		for (size_t bit = 0; bit < 8 * frame.n; bit++) {
			struct bytes damaged = frame;
			damaged.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
			frame_bench_forget(&bench);
			frame_feed(&bench, &damaged);
			frame_bench_quiet(&bench);
			if (bit / 8 == 0)
				assert_int_equal(bench.n_messages, 0); /* not checked, but no start */
			assert_int_equal(bench.n_messages, 0);
			assert_int_equal(bench.n_damaged, bit / 8 < 2 ? 0 : 1);
			/* and the next one is found */
			frame_feed(&bench, &frame);
			assert_int_equal(bench.n_messages, 1);
		}
		frame_bench_destroy(&bench);
	}
}

/* The check in another place than at the end; counted from either side. */
static void test_place_of_the_check(void **state)
{
	(void)state;
	static const char *const places[] = {"4", "-4"};
	for (size_t i = 0; i < 2; i++) {
		char table[256];
		snprintf(table, sizeof(table),
			"frame: { start: \"A5\"  length: 8  check: { kind: \"xor8\"  from: 1  at: %s } }\n"
			"metrics: { number: { at: 5  type: \"u24be\" } }\n",
			places[i]);
		struct frame_bench bench;
		frame_load(&bench, table);
		struct bytes frame = {0};
		frame_add(&frame, "A5 01 02 04 07 AA BB CC");
		frame_feed(&bench, &frame);
		frame_is(&bench, "number", 0xAABBCC);
		frame_bench_destroy(&bench);
	}
}

/* ---- every type ---- */

static void test_every_type(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, "frame: { start: \"A5\"  length: 9 }\n"
			   "metrics: { u8: { at: 1  type: \"u8\" }  s8: { at: 1  type: \"s8\" }\n"
			   "  u16be: { at: 1  type: \"u16be\" }  u16le: { at: 1  type: \"u16le\" }\n"
			   "  s16be: { at: 1  type: \"s16be\" }  s16le: { at: 1  type: \"s16le\" }\n"
			   "  m16be: { at: 1  type: \"m16be\" }  m16le: { at: 1  type: \"m16le\" }\n"
			   "  u24be: { at: 1  type: \"u24be\" }  u24le: { at: 1  type: \"u24le\" }\n"
			   "  u32be: { at: 1  type: \"u32be\" }  u32le: { at: 1  type: \"u32le\" }\n"
			   "  s32be: { at: 1  type: \"s32be\" }  s32le: { at: 1  type: \"s32le\" }\n"
			   "  u64be: { at: 1  type: \"u64be\" }  u64le: { at: 1  type: \"u64le\" }\n"
			   "  s64be: { at: 1  type: \"s64be\" }  s64le: { at: 1  type: \"s64le\" }\n"
			   "  f32be: { at: 1  type: \"f32be\" }  f32le: { at: 1  type: \"f32le\" }\n"
			   "  f64be: { at: 1  type: \"f64be\" }  f64le: { at: 1  type: \"f64le\" }\n"
			   "  hex: { at: 1  type: \"hex\"  length: 4 }  bcd: { at: 1  type: \"bcd\"  length: 3 }\n"
			   "  ascii: { at: 1  type: \"ascii\"  length: 8 } }\n");
	struct bytes frame = {0};
	frame_add(&frame, "A5 C1 48 00 00 00 00 C0 41");
	frame_feed(&bench, &frame);
	frame_is(&bench, "u8", 0xC1);
	frame_is(&bench, "s8", -63);
	frame_is(&bench, "u16be", 0xC148);
	frame_is(&bench, "u16le", 0x48C1);
	frame_is(&bench, "s16be", -16056);
	frame_is(&bench, "s16le", 0x48C1);
	frame_is(&bench, "m16be", 0x4148);
	frame_is(&bench, "m16le", -0x48C1);
	frame_is(&bench, "u24be", 0xC14800);
	frame_is(&bench, "u24le", 0x0048C1);
	frame_is(&bench, "u32be", 0xC1480000);
	frame_is(&bench, "u32le", 0x48C1);
	frame_is(&bench, "s32be", -1052246016.0);
	frame_is(&bench, "s32le", 0x48C1);
	assert_true(frame_bench_metric(&bench, "u64be")->last[0].u == 0xC14800000000C041);
	assert_true(frame_bench_metric(&bench, "u64le")->last[0].u == 0x41C00000000048C1);
	assert_true(frame_bench_metric(&bench, "s64be")->last[0].i == (int64_t)0xC14800000000C041);
	assert_true(frame_bench_metric(&bench, "s64le")->last[0].i == 0x41C00000000048C1);
	frame_is(&bench, "f32be", -12.5);
	assert_true(fabs(frame_bench_number(&bench, "f32le")) < 1e-39);
	assert_true(frame_bench_number(&bench, "f64be") < -3145728);
	assert_true(frame_bench_number(&bench, "f64le") > 536870912);
	assert_int_equal(frame_bench_metric(&bench, "bcd")->error[0], -EDOM);
	assert_int_equal(frame_bench_metric(&bench, "hex")->error[0], -EDOM);
	assert_int_equal(frame_bench_metric(&bench, "ascii")->error[0], -EDOM); /* no UTF-8 */

	frame.n = 0;
	frame_add(&frame, "A5 31 32 62 46 20 20 00 41");
	frame_feed(&bench, &frame);
	frame_is(&bench, "bcd", 313262);
	frame_is(&bench, "hex", 0x12BF);
	struct bf_value *text = &frame_bench_metric(&bench, "ascii")->last[0];
	assert_int_equal(text->text.n, 4);
	assert_memory_equal(text->text.at, "12bF", 4);

	frame.n = 0;
	frame_add(&frame, "A5 7F C0 00 00 00 00 F0 7F"); /* NaN, infinity */
	frame_feed(&bench, &frame);
	assert_int_equal(frame_bench_metric(&bench, "f32be")->error[0], -EDOM);
	assert_int_equal(frame_bench_metric(&bench, "f64le")->error[0], -EDOM);
	frame_bench_destroy(&bench);
}

/* ---- tagged records ---- */

static void test_records_that_make_no_sense(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, frame_table_jk);
	static const struct {
		const char *records;
		int error; /* of soc, the last of them */
	} cases[] = {
		{"83 00 01 85 0F", 0},
		{"85 0F", 0},
		{"83 00 01", -ENOENT},
		{"", -ENOENT},
		{"77 00 85 0F", -EDOM},          /* a tag that nobody told of */
		{"83 00", -EDOM},                /* cut off */
		{"79 FF 01 0E ED 85 0F", -EDOM}, /* a size beyond the end */
		{"79", -EDOM},
		{"79 00 85 0F", 0},
		{"85", -EDOM},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bytes frame = {0};
		frame_add(&frame, "4E 57 00 00 00 00 00 00 06 00 01");
		frame_add(&frame, cases[i].records);
		frame_add(&frame, "00 00 00 00 68 00 00");
		frame.at[3] = (uint8_t)frame.n;
		frame_seal(&frame, "sum16be", 0);
		frame_bench_forget(&bench);
		frame_feed(&bench, &frame);
		assert_int_equal(bench.n_messages, 1);
		assert_int_equal(frame_bench_metric(&bench, "soc")->error[0], cases[i].error);
		if (cases[i].error == 0)
			frame_is(&bench, "soc", 15);
	}
	/* shorter than the records' place */
	struct bytes least = {0};
	frame_add(&least, "4E 57 00 04");
	frame_seal(&least, "sum16be", 0);
	frame_bench_forget(&bench);
	frame_feed(&bench, &least);
	assert_int_equal(bench.n_messages, 1);
	assert_int_equal(frame_bench_metric(&bench, "soc")->error[0], -ENOENT);
	frame_bench_destroy(&bench);
}

/* A value beyond a frame of another length than the usual one. */
static void test_beyond_a_short_frame(void **state)
{
	(void)state;
	struct frame_bench bench;
	frame_load(&bench, "frame: { start: \"A5\"  length: { at: 1  type: \"u8\" } }\n"
			   "metrics: { near: { at: 2  type: \"u8\" }  far: { at: 3  type: \"u16le\" }\n"
			   "  all: { at: 2  type: \"u8\"  repeat: { count: 8 } } }\n");
	struct bytes frame = {0};
	frame_add(&frame, "A5 04 01 02  A5 05 03 04 05");
	frame_feed(&bench, &frame);
	assert_int_equal(bench.n_messages, 2);
	frame_is(&bench, "near", 3);
	frame_is(&bench, "far", 0x0504);
	frame.n = 4;
	frame_feed(&bench, &frame);
	assert_int_equal(frame_bench_metric(&bench, "far")->error[0], -ENOENT);
	assert_int_equal(frame_bench_metric(&bench, "all")->error[1], 0);
	assert_int_equal(frame_bench_metric(&bench, "all")->error[2], -ENOENT);
	frame_bench_destroy(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pms5003),
		cmocka_unit_test(test_sds011),
		cmocka_unit_test(test_mhz19b),
		cmocka_unit_test(test_sps30),
		cmocka_unit_test(test_tfmini),
		cmocka_unit_test(test_a02yyuw),
		cmocka_unit_test(test_rdm6300),
		cmocka_unit_test(test_ld2410),
		cmocka_unit_test(test_daly),
		cmocka_unit_test(test_jk),
		cmocka_unit_test(test_cse7766),
		cmocka_unit_test(test_every_check),
		cmocka_unit_test(test_place_of_the_check),
		cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_records_that_make_no_sense),
		cmocka_unit_test(test_beyond_a_short_frame),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
