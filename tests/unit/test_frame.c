/*
 * The frame driver: real sensors' tables, every kind of check and type, and the search among noise, cuts and damage.
 * The checks of the frames that are made here are computed bit by bit, by other code than the driver's.
 */
#include "frame_bench.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define FRAME_MAX 512

struct bytes {
	uint8_t at[FRAME_MAX];
	size_t n;
};

static void add(struct bytes *bytes, const char *hex)
{
	int n = bf_bytes_parse(hex, bytes->at + bytes->n, sizeof(bytes->at) - bytes->n);
	assert_true(n >= 0);
	bytes->n += (size_t)n;
}

/* ---- checks, by their definitions ---- */

static unsigned reflected(const uint8_t *at, size_t n, unsigned polynomial, unsigned crc)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= at[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
	}
	return crc;
}

static unsigned crc8(const uint8_t *at, size_t n)
{
	unsigned crc = 0;
	for (size_t i = 0; i < n; i++) {
		crc ^= at[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc & 0x80 ? crc << 1 ^ 0x07 : crc << 1) & 0xFF;
	}
	return crc;
}

/* Ends the frame with its check of the bytes from `from` on. */
static void seal(struct bytes *frame, const char *kind, size_t from)
{
	const uint8_t *at = frame->at + from;
	size_t n = frame->n - from;
	unsigned sum = 0, all = 0;
	for (size_t i = 0; i < n; i++) {
		sum += at[i];
		all ^= at[i];
	}
	const struct {
		const char *kind;
		unsigned value, size;
		bool little;
	} kinds[] = {{"sum8", sum, 1, false}, {"neg8", 256 - sum % 256, 1, false}, {"inv8", 255 - sum % 256, 1, false},
		{"xor8", all, 1, false}, {"sum16be", sum, 2, false}, {"sum16le", sum, 2, true},
		{"neg16be", 65536 - sum % 65536, 2, false}, {"crc8", crc8(at, n), 1, false},
		{"crc16-modbus", reflected(at, n, 0xA001, 0xFFFF), 2, true},
		{"crc16-arc", reflected(at, n, 0xA001, 0), 2, true},
		{"crc16-x25", reflected(at, n, 0x8408, 0xFFFF) ^ 0xFFFF, 2, true},
		{"crc16-kermit", reflected(at, n, 0x8408, 0), 2, true}};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].kind, kind) != 0)
			continue;
		unsigned value = kinds[i].value & 0xFFFF, high = value >> 8, low = value & 0xFF;
		if (kinds[i].size == 2)
			frame->at[frame->n++] = (uint8_t)(kinds[i].little ? low : high);
		frame->at[frame->n++] = (uint8_t)(kinds[i].size == 2 && kinds[i].little ? high : low);
		return;
	}
	fail_msg("no check %s", kind);
}

/* Flags around it, and what must not stand between them stuffed. */
static struct bytes stuffed(const struct bytes *body)
{
	struct bytes frame = {0};
	frame.at[frame.n++] = 0x7E;
	for (size_t i = 0; i < body->n; i++) {
		uint8_t byte = body->at[i];
		if (byte == 0x7E || byte == 0x7D || byte == 0x11 || byte == 0x13) {
			frame.at[frame.n++] = 0x7D;
			byte ^= 0x20;
		}
		frame.at[frame.n++] = byte;
	}
	frame.at[frame.n++] = 0x7E;
	return frame;
}

static uint32_t random_state;

static uint8_t random_byte(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return (uint8_t)(random_state >> 11);
}

static void load(struct frame_bench *bench, const char *table)
{
	bool sound = frame_bench_load(bench, table);
	if (!sound) {
		faults_print(&bench->faults, stderr, false);
		fprintf(stderr, "%s: %s\n", bench->complaint.key ? bench->complaint.key : "-", bench->complaint.what);
	}
	assert_true(sound);
}

static void feed(struct frame_bench *bench, const struct bytes *bytes)
{
	frame_bench_feed(bench, bytes->at, bytes->n, 0);
}

static void is(struct frame_bench *bench, const char *name, double number)
{
	double told = frame_bench_number(bench, name);
	if (!(fabs(told - number) < 1e-6))
		fail_msg("%s is %.9g, not %.9g", name, told, number);
}

/* ---- the sensors of the field notes, by frames that are made here ---- */

static const char pms5003[] = "frame: { start: \"42 4D\"  length: { at: 2  type: \"u16be\"  plus: 4  max: 40 }\n"
			      "  check: { kind: \"sum16be\" } }\n"
			      "metrics: { pm1: { at: 10  type: \"u16be\" }  pm25: { at: 12  type: \"u16be\" }\n"
			      "  pm10: { at: 14  type: \"u16be\" } }\n";
static const char sds011[] = "frame: { start: \"AA C0\"  end: \"AB\"  length: 10\n"
			     "  check: { kind: \"sum8\"  from: 2  at: 8 } }\n"
			     "metrics: { pm25: { at: 2  type: \"u16le\" }  pm10: { at: 4  type: \"u16le\" } }\n";
static const char mhz19b[] =
	"frame: { start: \"FF 86\"  length: 9  check: { kind: \"neg8\"  from: 1 } }\n"
	"messages: { read: { request: \"FF 01 86 00 00 00 00 00 79\"\n"
	"  metrics: { co2: { at: 2  type: \"u16be\" }  temperature: { at: 4  type: \"u8\" } } } }\n";
static const char sps30[] =
	"frame: { flag: \"7E\"  escape: { byte: 0x7D }  length: { at: 3  plus: 5 }\n"
	"  check: { kind: \"inv8\" } }\n"
	"messages: { read: { request: \"7E 00 03 00 FC 7E\"  match: { at: 1  is: 0x03 }\n"
	"  min_length: 45  metrics: { pm1: { at: 4  type: \"f32be\" }  pm25: { at: 8  type: \"f32be\" }\n"
	"  typical_size: { at: 40  type: \"f32be\" } } } }\n";
static const char tfmini[] = "frame: { start: \"59 59\"  length: 9  check: { kind: \"sum8\" } }\n"
			     "metrics: { distance: { at: 2  type: \"u16le\" }  strength: { at: 4  type: \"u16le\" }\n"
			     "  temperature: { at: 6  type: \"u16le\" } }\n";
static const char a02yyuw[] = "frame: { start: \"FF\"  length: 4  check: { kind: \"sum8\" } }\n"
			      "metrics: { distance: { at: 1  type: \"u16be\" } }\n";
static const char rdm6300[] = "frame: { start: \"02\"  end: \"03\"  length: 14\n"
			      "  check: { kind: \"xor8\"  from: 1  coding: \"hex\" } }\n"
			      "metrics: { tag: { at: 3  type: \"hex\"  length: 8 }\n"
			      "  printed: { at: 1  type: \"ascii\"  length: 10 } }\n";
static const char ld2410[] =
	"frame: { start: \"F4 F3 F2 F1\"  end: \"F8 F7 F6 F5\"\n"
	"  length: { at: 4  type: \"u16le\"  plus: 10 } }\n"
	"messages: { basic: { match: { at: 6  is: 0x02 }  metrics: { state: { at: 8  type: \"u8\" }\n"
	"  moving: { at: 9  type: \"u16le\" }  distance: { at: 15  type: \"u16le\" } } } }\n";
static const char daly[] =
	"frame: { start: \"A5 01\"  length: 13  check: { kind: \"sum8\" } }\n"
	"messages: { pack: { match: { at: 2  is: 0x90 }  metrics: { voltage: { at: 4  type: \"u16be\" }\n"
	"  current: { at: 8  type: \"u16be\" } } }\n"
	"  cells: { match: { at: 2  is: 0x91 }  metrics: { highest: { at: 4  type: \"u16be\" }\n"
	"  lowest: { at: 7  type: \"u16be\" } } } }\n";
static const char jk[] =
	"frame: { start: \"4E 57\"  length: { at: 2  type: \"u16be\"  plus: 2 }\n"
	"  check: { kind: \"sum16be\" } }\n"
	"messages: { all: { tagged: { from: 11  to: -9  sizes: { t79: -1  t81: 2  t83: 2  t84: 2  t85: 1  tC0: 1 } }\n"
	"  metrics: { temperature: { tag: 0x81  type: \"u16be\" }  voltage: { tag: 0x83  type: \"u16be\" }\n"
	"  current: { tag: 0x84  type: \"m16be\"  when: { tag: 0xC0  is: 1 } }  soc: { tag: 0x85  type: \"u8\" }\n"
	"  cell: { tag: 0x79  at: 1  type: \"u16be\"  repeat: { count: 4  step: 3 } } } } }\n";

static struct bytes pms5003_frame(unsigned pm25)
{
	struct bytes frame = {0};
	add(&frame, "42 4D 00 1C  00 05 00 08 00 09  00 07");
	frame.at[frame.n++] = (uint8_t)(pm25 >> 8);
	frame.at[frame.n++] = (uint8_t)pm25;
	add(&frame, "00 0E  03 21 01 02 00 41 00 10 00 03 00 01  97 00");
	seal(&frame, "sum16be", 0);
	assert_int_equal(frame.n, 32);
	return frame;
}

static struct bytes jk_frame(void)
{
	struct bytes frame = {0};
	add(&frame, "4E 57 00 35 00 00 00 00 06 00 01");
	add(&frame, "79 09 01 0E ED 02 0E FA 03 0E F7");
	add(&frame, "81 00 1E  83 14 EF  84 80 D0  85 0F  C0 01");
	add(&frame, "00 00 00 00 68 00 00");
	frame.at[3] = (uint8_t)frame.n;
	seal(&frame, "sum16be", 0);
	return frame;
}

static void test_pms5003(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, pms5003);
	struct bytes frame = pms5003_frame(11);
	feed(&bench, &frame);
	assert_int_equal(bench.n_messages, 1);
	is(&bench, "pm1", 7);
	is(&bench, "pm25", 11);
	is(&bench, "pm10", 14);
	/* a PMS3003 sends less, with the same beginning */
	struct bytes less = {0};
	add(&less, "42 4D 00 14  00 01 00 02 00 03  00 04 00 05 00 06  00 00 00 00 00 00");
	seal(&less, "sum16be", 0);
	feed(&bench, &less);
	assert_int_equal(bench.n_messages, 2);
	is(&bench, "pm25", 5);
	frame_bench_destroy(&bench);
}

static void test_sds011(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, sds011);
	struct bytes frame = {0};
	add(&frame, "AA C0 D4 04 3A 0A A1 60");
	seal(&frame, "sum8", 2);
	add(&frame, "AB");
	feed(&bench, &frame);
	is(&bench, "pm25", 1236);
	is(&bench, "pm10", 2618);
	assert_int_equal(bench.n_skipped + bench.n_damaged, 0);
	frame_bench_destroy(&bench);
}

static void test_mhz19b(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, mhz19b);
	assert_int_equal(bench.device.messages[0].request.n, 9);
	struct bytes frame = {0};
	add(&frame, "FF 86 02 60 47 00 00 00");
	seal(&frame, "neg8", 1);
	assert_int_equal(frame.at[8], 0xD1); /* as the manual has it */
	feed(&bench, &frame);
	is(&bench, "co2", 608);
	is(&bench, "temperature", 71);
	frame_bench_destroy(&bench);
}

static struct bytes sps30_body(void)
{
	struct bytes body = {0};
	add(&body, "00 03 00 28  40 49 0F DB  7E 7D 11 13"); /* pi, and a number of nothing but what is stuffed */
	for (int i = 0; i < 7; i++)
		add(&body, "3F 80 00 00");
	add(&body, "3F 00 00 00");
	seal(&body, "inv8", 0);
	return body;
}

static void test_sps30(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, sps30);
	struct bytes body = sps30_body(), frame = stuffed(&body);
	feed(&bench, &frame);
	assert_int_equal(bench.n_messages, 1);
	is(&bench, "pm1", (double)3.14159274f);
	assert_true(frame_bench_number(&bench, "pm25") > 8e37);
	is(&bench, "typical_size", 0.5);
	/* nothing new: a sound message that says nothing */
	struct bytes none = {0};
	add(&none, "00 03 00 00");
	seal(&none, "inv8", 0);
	frame = stuffed(&none);
	feed(&bench, &frame);
	assert_int_equal(bench.n_messages, 2);
	assert_int_equal(frame_bench_metric(&bench, "pm1")->error[0], -ENOENT);
	frame_bench_destroy(&bench);
}

static void test_tfmini(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, tfmini);
	struct bytes frame = {0};
	add(&frame, "59 59 D2 04 E8 03 50 09");
	seal(&frame, "sum8", 0);
	for (int i = 0; i < 3; i++)
		feed(&bench, &frame);
	assert_int_equal(bench.n_messages, 3);
	is(&bench, "distance", 1234);
	is(&bench, "strength", 1000);
	is(&bench, "temperature", 2384);
	frame_bench_destroy(&bench);
}

/* The start byte within data, where a search that drops its whole buffer loses frames. */
static void test_a02yyuw(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, a02yyuw);
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
		is(&bench, "distance", 0x1FF);
	}
	frame_bench_destroy(&bench);
}

static void test_rdm6300(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, rdm6300);
	struct bytes frame = {0};
	add(&frame, "02");
	memcpy(frame.at + frame.n, "0100A1B2C3", 10);
	frame.n += 10;
	memcpy(frame.at + frame.n, "D1", 2); /* 01 ^ 00 ^ A1 ^ B2 ^ C3 */
	frame.n += 2;
	add(&frame, "03");
	feed(&bench, &frame);
	is(&bench, "tag", 0x00A1B2C3);
	assert_int_equal(frame_bench_metric(&bench, "tag")->last[0].kind, BF_UNSIGNED);
	struct bf_value *printed = &frame_bench_metric(&bench, "printed")->last[0];
	assert_int_equal(printed->text.n, 10);
	assert_memory_equal(printed->text.at, "0100A1B2C3", 10);
	frame.at[5] = 'g'; /* no digit */
	feed(&bench, &frame);
	assert_int_equal(bench.n_messages, 1);
	assert_int_equal(bench.n_damaged, 1);
	frame_bench_destroy(&bench);
}

static void test_ld2410(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, ld2410);
	struct bytes frame = {0};
	add(&frame, "F4 F3 F2 F1 0D 00 02 AA 02 51 00 00 00 00 3B 3C 00 55 00 F8 F7 F6 F5");
	feed(&bench, &frame);
	is(&bench, "state", 2);
	is(&bench, "moving", 0x51);
	is(&bench, "distance", 0x3C);
	frame.at[6] = 1; /* engineering mode: known, but none of the messages */
	feed(&bench, &frame);
	assert_int_equal(bench.n_other, 1);
	assert_int_equal(bench.n_messages, 1);
	frame.at[22] = 0; /* another end */
	feed(&bench, &frame);
	assert_int_equal(bench.n_skipped, 23);
	assert_int_equal(bench.n_damaged, 0);
	frame_bench_destroy(&bench);
}

static void test_daly(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, daly);
	struct bytes pack = {0}, cells = {0}, other = {0};
	add(&pack, "A5 01 90 08 02 12 00 00 75 30 03 E8");
	seal(&pack, "sum8", 0);
	add(&cells, "A5 01 91 08 0D 03 02 0C FB 04 00 00");
	seal(&cells, "sum8", 0);
	add(&other, "A5 01 98 08 00 00 00 00 00 00 00 00");
	seal(&other, "sum8", 0);
	feed(&bench, &pack);
	feed(&bench, &other);
	feed(&bench, &cells);
	assert_int_equal(bench.of_kind[0], 1);
	assert_int_equal(bench.of_kind[1], 1);
	assert_int_equal(bench.n_other, 1);
	is(&bench, "voltage", 530);
	is(&bench, "current", 30000);
	is(&bench, "highest", 3331);
	is(&bench, "lowest", 3323);
	frame_bench_destroy(&bench);
}

static void test_jk(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, jk);
	struct bytes frame = jk_frame();
	feed(&bench, &frame);
	assert_int_equal(bench.n_messages, 1);
	is(&bench, "temperature", 30);
	is(&bench, "voltage", 5359);
	is(&bench, "current", 208);
	is(&bench, "soc", 15);
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
	load(&bench,
		"frame: { start: \"55 5A\"  start_or: \"F2 5A\"  length: 24  check: { kind: \"sum8\"  from: 2 } }\n"
		"metrics: { voltage: { at: 2  type: \"u24be\"  over: { at: 5  type: \"u24be\" }\n"
		"    when: { at: 20  mask: 0x40 } }\n"
		"  power: { at: 14  type: \"u24be\"  over: { at: 17  type: \"u24be\" }\n"
		"    when: { at: 20  mask: 0x10  else: 0 } } }\n");
	struct bytes load_on = {0}, no_load = {0};
	add(&load_on, "55 5A 02 F7 60 00 03 AB 00 40 10 02 60 5D 51 A6 58 03 E9 EF 71 0B 7A 36");
	add(&no_load, "F2 5A 02 F7 60 00 03 61 00 40 10 05 72 40 51 A6 58 63 10 1B E1 7F 4D 4E");
	feed(&bench, &load_on);
	is(&bench, "voltage", 194400.0 / 939);
	is(&bench, "power", 5351000.0 / 256495);
	feed(&bench, &no_load);
	is(&bench, "voltage", 194400.0 / 865);
	is(&bench, "power", 0);
	struct bytes dark = no_load;
	memcpy(dark.at + 5, "\0\0\0", 3); /* over nothing */
	dark.n = 23;
	seal(&dark, "sum8", 2);
	feed(&bench, &dark);
	assert_int_equal(bench.n_messages, 3);
	assert_int_equal(frame_bench_metric(&bench, "voltage")->error[0], -EDOM);
	dark.at[20] = 0; /* neither is there */
	dark.n = 23;
	seal(&dark, "sum8", 2);
	feed(&bench, &dark);
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
	add(ret_frame, "A5 5A 12 34 56 78 9A 00 FF 01");
	seal(ret_frame, kind, 1);
	snprintf(table, sizeof(table),
		"frame: { start: \"A5 5A\"  length: %zu  check: { kind: \"%s\"  from: 1 } }\n"
		"metrics: { number: { at: 2  type: \"u32be\" } }\n",
		10 + check_size(kind), kind);
	load(bench, table);
}

static void test_every_check(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++) {
		struct frame_bench bench;
		struct bytes frame;
		load_kind(&bench, kinds[k], &frame);
		feed(&bench, &frame);
		assert_int_equal(bench.n_messages, 1);
		is(&bench, "number", 0x12345678);
		/* no bit may be damaged unseen */
		for (size_t bit = 0; bit < 8 * frame.n; bit++) {
			struct bytes damaged = frame;
			damaged.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
			frame_bench_forget(&bench);
			feed(&bench, &damaged);
			frame_bench_quiet(&bench);
			if (bit / 8 == 0)
				assert_int_equal(bench.n_messages, 0); /* not checked, but no start */
			assert_int_equal(bench.n_messages, 0);
			assert_int_equal(bench.n_damaged, bit / 8 < 2 ? 0 : 1);
			/* and the next one is found */
			feed(&bench, &frame);
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
		load(&bench, table);
		struct bytes frame = {0};
		add(&frame, "A5 01 02 04 07 AA BB CC");
		feed(&bench, &frame);
		is(&bench, "number", 0xAABBCC);
		frame_bench_destroy(&bench);
	}
}

/* ---- every type ---- */

static void test_every_type(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, "frame: { start: \"A5\"  length: 9 }\n"
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
	add(&frame, "A5 C1 48 00 00 00 00 C0 41");
	feed(&bench, &frame);
	is(&bench, "u8", 0xC1);
	is(&bench, "s8", -63);
	is(&bench, "u16be", 0xC148);
	is(&bench, "u16le", 0x48C1);
	is(&bench, "s16be", -16056);
	is(&bench, "s16le", 0x48C1);
	is(&bench, "m16be", 0x4148);
	is(&bench, "m16le", -0x48C1);
	is(&bench, "u24be", 0xC14800);
	is(&bench, "u24le", 0x0048C1);
	is(&bench, "u32be", 0xC1480000);
	is(&bench, "u32le", 0x48C1);
	is(&bench, "s32be", -1052246016.0);
	is(&bench, "s32le", 0x48C1);
	assert_true(frame_bench_metric(&bench, "u64be")->last[0].u == 0xC14800000000C041);
	assert_true(frame_bench_metric(&bench, "u64le")->last[0].u == 0x41C00000000048C1);
	assert_true(frame_bench_metric(&bench, "s64be")->last[0].i == (int64_t)0xC14800000000C041);
	assert_true(frame_bench_metric(&bench, "s64le")->last[0].i == 0x41C00000000048C1);
	is(&bench, "f32be", -12.5);
	assert_true(fabs(frame_bench_number(&bench, "f32le")) < 1e-39);
	assert_true(frame_bench_number(&bench, "f64be") < -3145728);
	assert_true(frame_bench_number(&bench, "f64le") > 536870912);
	assert_int_equal(frame_bench_metric(&bench, "bcd")->error[0], -EDOM);
	assert_int_equal(frame_bench_metric(&bench, "hex")->error[0], -EDOM);
	assert_int_equal(frame_bench_metric(&bench, "ascii")->error[0], -EDOM); /* no UTF-8 */

	frame.n = 0;
	add(&frame, "A5 31 32 62 46 20 20 00 41");
	feed(&bench, &frame);
	is(&bench, "bcd", 313262);
	is(&bench, "hex", 0x12BF);
	struct bf_value *text = &frame_bench_metric(&bench, "ascii")->last[0];
	assert_int_equal(text->text.n, 4);
	assert_memory_equal(text->text.at, "12bF", 4);

	frame.n = 0;
	add(&frame, "A5 7F C0 00 00 00 00 F0 7F"); /* NaN, infinity */
	feed(&bench, &frame);
	assert_int_equal(frame_bench_metric(&bench, "f32be")->error[0], -EDOM);
	assert_int_equal(frame_bench_metric(&bench, "f64le")->error[0], -EDOM);
	frame_bench_destroy(&bench);
}

/* ---- the search ---- */

struct sample {
	const char *table, *metric;
	struct bytes frame;
	double number;
};

static struct sample sample(size_t i)
{
	struct bytes body = sps30_body(), tfmini_frame = {0}, ld2410_frame = {0};
	add(&tfmini_frame, "59 59 D2 04 59 59 50 09");
	seal(&tfmini_frame, "sum8", 0);
	add(&ld2410_frame, "F4 F3 F2 F1 0D 00 02 AA 02 F4 F3 F2 F1 00 3B 3C 00 55 00 F8 F7 F6 F5");
	const struct sample samples[] = {
		{pms5003, "pm25", pms5003_frame(0x424D), 0x424D},
		{sps30, "typical_size", stuffed(&body), 0.5},
		{tfmini, "strength", tfmini_frame, 0x5959},
		{jk, "voltage", jk_frame(), 5359},
		{ld2410, "moving", ld2410_frame, 0xF3F4},
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
		load(&bench, of.table);
		random_state = 20250301u + (uint32_t)i;
		for (size_t before = 0; before < 300; before++) {
			struct bytes all = {0};
			while (all.n < before % 150)
				all.at[all.n++] = random_byte();
			memcpy(all.at + all.n, of.frame.at, of.frame.n);
			all.n += of.frame.n;
			for (size_t k = 0; k < 20; k++)
				all.at[all.n++] = random_byte();
			frame_bench_forget(&bench);
			frame_bench_feed(&bench, all.at, all.n, before % 7);
			frame_bench_quiet(&bench);
			assert_int_equal(bench.n_messages, 1);
			is(&bench, of.metric, of.number);
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
		load(&bench, of.table);
		for (size_t cut = 0; cut <= of.frame.n; cut++) {
			frame_bench_forget(&bench);
			frame_bench_feed(&bench, of.frame.at, cut, 0);
			frame_bench_feed(&bench, of.frame.at + cut, of.frame.n - cut, 0);
			assert_int_equal(bench.n_messages, 1);
			is(&bench, of.metric, of.number);
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
		load(&bench, of.table);
		for (size_t from = 0; from < of.frame.n; from++)
			for (size_t to = from; to < of.frame.n; to++) {
				frame_bench_forget(&bench);
				frame_bench_feed(&bench, of.frame.at, from, 0);
				frame_bench_feed(&bench, of.frame.at + to, of.frame.n - to, 0);
				size_t before = bench.n_messages;
				assert_int_equal(before, from == to ? 1 : 0);
				for (int k = 0; k < 2; k++)
					feed(&bench, &of.frame);
				frame_bench_quiet(&bench);
				assert_int_equal(bench.n_messages, before + 2);
				is(&bench, of.metric, of.number);
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
		load(&bench, of.table);
		for (size_t bit = 0; bit < 8 * of.frame.n; bit++) {
			struct bytes damaged = of.frame;
			damaged.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
			frame_bench_forget(&bench);
			feed(&bench, &damaged);
			assert_int_equal(bench.n_messages, 0);
			feed(&bench, &of.frame);
			feed(&bench, &of.frame);
			frame_bench_quiet(&bench);
			assert_int_equal(bench.n_messages, 2);
			is(&bench, of.metric, of.number);
		}
		frame_bench_destroy(&bench);
	}
}

/* A length that no frame has is no reason to wait for so many bytes. */
static void test_lengths_that_make_no_sense(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, pms5003);
	static const char *const starts[] = {"42 4D 00 00", "42 4D 00 01", "42 4D 00 25", "42 4D 7F FF", "42 4D FF FF"};
	struct bytes frame = pms5003_frame(3);
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		struct bytes all = {0};
		add(&all, starts[i]);
		frame_bench_forget(&bench);
		feed(&bench, &all);
		assert_int_equal(bench.n_input, 0);
		feed(&bench, &frame);
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
	add(&body, "05");
	body.at[body.n++] = (uint8_t)(number >> 8);
	body.at[body.n++] = (uint8_t)number;
	seal(&body, "crc16-x25", 0);
	return body;
}

static void test_stuffing(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, hdlc);
	/* every number, so every byte stuffed or not */
	for (unsigned number = 0; number < 65536; number += 7) {
		struct bytes body = hdlc_body(number), frame = stuffed(&body);
		feed(&bench, &frame);
		is(&bench, "number", number);
	}
	assert_int_equal(bench.n_damaged, 0);
	/* one flag between two frames, and more than two */
	for (unsigned n_flags = 1; n_flags < 6; n_flags++) {
		frame_bench_forget(&bench);
		struct bytes first_body = hdlc_body(0x7E7D), second_body = hdlc_body(77), all = stuffed(&first_body),
			     second = stuffed(&second_body);
		for (unsigned k = 1; k < n_flags; k++)
			all.at[all.n++] = 0x7E;
		memcpy(all.at + all.n, second.at + 1, second.n - 1);
		all.n += second.n - 1;
		for (size_t piece = 0; piece < all.n; piece++) {
			frame_bench_forget(&bench);
			frame_bench_feed(&bench, all.at, all.n, piece);
			assert_int_equal(bench.n_messages, 2);
			is(&bench, "number", 77);
		}
	}
	frame_bench_destroy(&bench);
}

static void test_broken_stuffing(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, hdlc);
	static const char *const broken[] = {"7E 7D 7E", "7E 05 00 7D 7E", "7E", "7E 7E 7E 7E 7E 7E 7E 7E", "00 01 02",
		"7E 00", "7E 05 00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 7E",
		"7E 05 00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 11 12 13 14 15 16 17 18 19 1A 1B 1C 1D"};
	struct bytes body = hdlc_body(9), frame = stuffed(&body);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct bytes all = {0};
		add(&all, broken[i]);
		frame_bench_forget(&bench);
		feed(&bench, &all);
		assert_int_equal(bench.n_messages, 0);
		feed(&bench, &frame);
		assert_int_equal(bench.n_messages, 1);
		is(&bench, "number", 9);
	}
	/* a sound check, but another length than it tells */
	struct bytes longer = {0};
	add(&longer, "06 00 01");
	seal(&longer, "crc16-x25", 0);
	frame_bench_forget(&bench);
	frame = stuffed(&longer);
	feed(&bench, &frame);
	assert_int_equal(bench.n_messages + bench.n_other + bench.n_damaged, 0);
	frame_bench_destroy(&bench);
}

/* ---- tagged records ---- */

static void test_records_that_make_no_sense(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, jk);
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
		add(&frame, "4E 57 00 00 00 00 00 00 06 00 01");
		add(&frame, cases[i].records);
		add(&frame, "00 00 00 00 68 00 00");
		frame.at[3] = (uint8_t)frame.n;
		seal(&frame, "sum16be", 0);
		frame_bench_forget(&bench);
		feed(&bench, &frame);
		assert_int_equal(bench.n_messages, 1);
		assert_int_equal(frame_bench_metric(&bench, "soc")->error[0], cases[i].error);
		if (cases[i].error == 0)
			is(&bench, "soc", 15);
	}
	/* shorter than the records' place */
	struct bytes least = {0};
	add(&least, "4E 57 00 04");
	seal(&least, "sum16be", 0);
	frame_bench_forget(&bench);
	feed(&bench, &least);
	assert_int_equal(bench.n_messages, 1);
	assert_int_equal(frame_bench_metric(&bench, "soc")->error[0], -ENOENT);
	frame_bench_destroy(&bench);
}

/* A value beyond a frame of another length than the usual one. */
static void test_beyond_a_short_frame(void **state)
{
	(void)state;
	struct frame_bench bench;
	load(&bench, "frame: { start: \"A5\"  length: { at: 1  type: \"u8\" } }\n"
		     "metrics: { near: { at: 2  type: \"u8\" }  far: { at: 3  type: \"u16le\" }\n"
		     "  all: { at: 2  type: \"u8\"  repeat: { count: 8 } } }\n");
	struct bytes frame = {0};
	add(&frame, "A5 04 01 02  A5 05 03 04 05");
	feed(&bench, &frame);
	assert_int_equal(bench.n_messages, 2);
	is(&bench, "near", 3);
	is(&bench, "far", 0x0504);
	frame.n = 4;
	feed(&bench, &frame);
	assert_int_equal(frame_bench_metric(&bench, "far")->error[0], -ENOENT);
	assert_int_equal(frame_bench_metric(&bench, "all")->error[1], 0);
	assert_int_equal(frame_bench_metric(&bench, "all")->error[2], -ENOENT);
	frame_bench_destroy(&bench);
}

/* ---- what chance may bring ---- */

static size_t sound_ones(const char *table, size_t n_bytes, uint32_t seed)
{
	struct frame_bench bench;
	load(&bench, table);
	random_state = seed;
	uint8_t bytes[4096];
	for (size_t n = 0; n < n_bytes; n += sizeof(bytes)) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = random_byte();
		frame_bench_feed(&bench, bytes, sizeof(bytes), 0);
	}
	size_t sound = bench.n_messages + bench.n_other;
	frame_bench_destroy(&bench);
	return sound;
}

static void test_random_bytes_give_no_more_than_chance(void **state)
{
	(void)state;
	const size_t n = 16u << 20;
	/* a start of 8 bits and a check of 8: one place in 65536, so 256; 6 standard deviations are 96 */
	size_t sum8 = sound_ones(a02yyuw, n, 1);
	assert_in_range(sum8, 256 - 96, 256 + 96);
	/* of 8 and 16: 1 is expected, 9 have a chance of one in a million */
	size_t crc16 = sound_ones("frame: { start: \"A5\"  length: 8  check: { kind: \"crc16-modbus\" } }\n"
				  "metrics: { number: { at: 1  type: \"u32be\" } }\n",
		n, 2);
	assert_in_range(crc16, 0, 9);
	/* of 16 and 16, with a length that must be one of 36: none */
	assert_int_equal(sound_ones(pms5003, n, 3), 0);
}

/* ---- what is refused ---- */

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *frame, *rest, *key, *what;
	} cases[] = {
		{"length: 4", "", "frame", "has neither \"start\" nor \"flag\""},
		{"start: \"A5\"", "", "frame", "has no \"length\""},
		{"start: \"A5 01\"  start_or: \"F2\"  length: 4", "", "frame.start_or", "is not as long as \"start\""},
		{"flag: \"7E 7E\"", "", "frame.flag", "is one byte"},
		{"flag: \"7E\"  start: \"A5\"", "", "frame.start", "is given beside \"frame.flag\""},
		{"flag: \"7E\"  end: \"A5\"", "", "frame.end", "is given beside \"frame.flag\""},
		{"flag: \"7E\"  escape: { byte: 0x7E }", "", "frame.escape.byte", "is the flag itself"},
		{"start: \"A5\"  length: 4  escape: { byte: 0x7D }", "", "frame.escape", "goes with \"frame.flag\""},
		{"flag: \"7E\"  check: { kind: \"sum8\"  coding: \"hex\" }", "", "frame.check.coding",
			"can't be \"hex\""},
		{"start: \"A5\"  length: 4  check: { kind: \"crc16-arc\"  from: 3 }", "", "frame.length",
			"is 4, but start, check and end alone take 5 bytes"},
		{"start: \"A5\"  length: { at: 6  max: 6 }", "", "frame.length.max", "is 6, but start"},
		{"start: \"A5\"  length: 9  check: { kind: \"sum8\"  from: 3  at: 3 }", "", "frame.check.at",
			"is 3, but what is checked begins at 3"},
		{"start: \"A5\"  length: 9  check: { kind: \"sum16be\"  at: -1 }", "", "frame.check.at",
			"leaves no room"},
		{"start: \"A5\"  length: 9", "messages: { a: {}  b: { match: { at: 1  is: 1 } } }", NULL,
			"has no \"match\""},
		{"start: \"A5\"  length: 9",
			"messages: { a: { match: { at: 1  is: 1 } }  b: { match: { at: 1  is: 1 } } }", "match.is",
			"is that of message \"a\" too"},
		{"start: \"A5\"  length: 9", "messages: { a: { match: { at: 9  is: 1 } } }", "match.at",
			"lies beyond the frame: byte 10 of 9"},
		{"start: \"A5\"  length: 9", "messages: { a: { min_length: 10 } }", "min_length", "lies beyond"},
		{"start: \"A5\"  length: 9", "messages: { a: { tagged: { from: 1  sizes: { x: 1 } } } }",
			"tagged.sizes", "has \"x\", which names no byte"},
		{"start: \"A5\"  length: 9", "messages: { a: { tagged: { from: 9  sizes: { t01: 1 } } } }",
			"tagged.from", "lies beyond"},
		{"start: \"A5\"  length: 9", "metrics: { m: { type: \"u8\" } }", NULL, "has no place"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 6  type: \"u32be\" } }", "at", "byte 10 of 9"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"u8\"  length: 2 } }", "length",
			"goes with"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"bcd\" } }", "type", "needs a \"length\""},
		{"start: \"A5\"  length: 99", "metrics: { m: { at: 1  type: \"bcd\"  length: 10 } }", "length",
			"is 10, a value of this type has at most 9 bytes"},
		{"start: \"A5\"  length: 99", "metrics: { m: { at: 1  type: \"hex\"  length: 17 } }", "length",
			"at most 16"},
		{"start: \"A5\"  length: 9", "metrics: { m: { tag: 1  type: \"u8\" } }", "tag", "needs a message with"},
		{"start: \"A5\"  length: 9",
			"messages: { a: { tagged: { from: 1  sizes: { t01: 1 } }\n"
			"metrics: { m: { tag: 2  type: \"u8\" } } } }",
			"tag", "is 0x02, which is not among"},
		{"start: \"A5\"  length: 9",
			"messages: { a: { tagged: { from: 1  sizes: { t01: 1 } }\n"
			"metrics: { m: { tag: 1  type: \"u16be\" } } } }",
			"type", "lies beyond the value of tag 0x01: byte 2 of 1"},
		{"start: \"A5\"  length: 9",
			"metrics: { m: { at: 1  type: \"u8\"  over: { at: 8  type: \"u16be\" } } }", "over.at",
			"lies beyond"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"u8\"  over: { at: 2  type: \"bcd\" } } }",
			"over.type", "must be a number of known size"},
		{"start: \"A5\"  length: 9",
			"metrics: { m: { at: 1  type: \"ascii\"  length: 2  over: { at: 2  type: \"u8\" } } }", "over",
			"divides a number, no text"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"u8\"  when: { is: 1 } } }", "when",
			"has neither \"at\" nor \"tag\""},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"u8\"  when: { at: 9 } } }", "when.at",
			"lies beyond"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"u8\"  when: { tag: 1 } } }", "when.tag",
			"needs a message with"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"u8\"  when: { at: 2  mask: 1  is: 2 } } }",
			"when.is", "has bits that"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"u8\"  when: { at: 2  else: 256 } } }",
			"when.else", "does not fit the type"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char table[512];
		struct frame_bench bench;
		snprintf(table, sizeof(table), "frame: { %s }\n%s\n", cases[i].frame, cases[i].rest);
		bool sound = frame_bench_load(&bench, table);
		if (bench.faults.n_errors)
			faults_print(&bench.faults, stderr, false);
		assert_int_equal(bench.faults.n_errors, 0);
		assert_false(sound);
		if (!strstr(bench.complaint.what, cases[i].what))
			fail_msg("%s %s: \"%s\", not \"%s\"", cases[i].frame, cases[i].rest, bench.complaint.what,
				cases[i].what);
		if (cases[i].key)
			assert_string_equal(bench.complaint.key, cases[i].key);
		else
			assert_null(bench.complaint.key);
		frame_bench_destroy(&bench);
	}
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
		cmocka_unit_test(test_among_noise_at_every_offset),
		cmocka_unit_test(test_split_at_every_byte),
		cmocka_unit_test(test_behind_what_is_left_of_a_frame),
		cmocka_unit_test(test_damaged_at_every_bit),
		cmocka_unit_test(test_lengths_that_make_no_sense),
		cmocka_unit_test(test_stuffing),
		cmocka_unit_test(test_broken_stuffing),
		cmocka_unit_test(test_records_that_make_no_sense),
		cmocka_unit_test(test_beyond_a_short_frame),
		cmocka_unit_test(test_random_bytes_give_no_more_than_chance),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
