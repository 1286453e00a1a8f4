/* See frame_samples.h. */
#include "frame_samples.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void frame_add(struct bytes *bytes, const char *hex)
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
void frame_seal(struct bytes *frame, const char *kind, size_t from)
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
struct bytes frame_stuffed(const struct bytes *body)
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

uint64_t frame_random_state;

/* xorshift64* (Vigna, 2016). */
uint8_t frame_random(void)
{
	frame_random_state ^= frame_random_state >> 12;
	frame_random_state ^= frame_random_state << 25;
	frame_random_state ^= frame_random_state >> 27;
	return (uint8_t)(frame_random_state * 0x2545F4914F6CDD1DULL >> 56);
}

void frame_load(struct frame_bench *bench, const char *table)
{
	bool sound = frame_bench_load(bench, table);
	if (!sound) {
		faults_print(&bench->faults, stderr, false);
		fprintf(stderr, "%s: %s\n", bench->complaint.key ? bench->complaint.key : "-", bench->complaint.what);
	}
	assert_true(sound);
}

void frame_feed(struct frame_bench *bench, const struct bytes *bytes)
{
	frame_bench_feed(bench, bytes->at, bytes->n, 0);
}

void frame_is(struct frame_bench *bench, const char *name, double number)
{
	double told = frame_bench_number(bench, name);
	if (!(fabs(told - number) < 1e-6))
		fail_msg("%s is %.9g, not %.9g", name, told, number);
}

/* ---- the sensors of the field notes, by frames that are made here ---- */

const char frame_table_pms5003[] = "frame: { start: \"42 4D\"  length: { at: 2  type: \"u16be\"  plus: 4  max: 40 }\n"
				   "  check: { kind: \"sum16be\" } }\n"
				   "metrics: { pm1: { at: 10  type: \"u16be\" }  pm25: { at: 12  type: \"u16be\" }\n"
				   "  pm10: { at: 14  type: \"u16be\" } }\n";
const char frame_table_sds011[] = "frame: { start: \"AA C0\"  end: \"AB\"  length: 10\n"
				  "  check: { kind: \"sum8\"  from: 2  at: 8 } }\n"
				  "metrics: { pm25: { at: 2  type: \"u16le\" }  pm10: { at: 4  type: \"u16le\" } }\n";
const char frame_table_mhz19b[] =
	"frame: { start: \"FF 86\"  length: 9  check: { kind: \"neg8\"  from: 1 } }\n"
	"messages: { read: { request: \"FF 01 86 00 00 00 00 00 79\"\n"
	"  metrics: { co2: { at: 2  type: \"u16be\" }  temperature: { at: 4  type: \"u8\" } } } }\n";
const char frame_table_sps30[] =
	"frame: { flag: \"7E\"  escape: { byte: 0x7D }  length: { at: 3  plus: 5 }\n"
	"  check: { kind: \"inv8\" } }\n"
	"messages: { read: { request: \"7E 00 03 00 FC 7E\"  match: { at: 1  is: 0x03 }\n"
	"  min_length: 45  metrics: { pm1: { at: 4  type: \"f32be\" }  pm25: { at: 8  type: \"f32be\" }\n"
	"  typical_size: { at: 40  type: \"f32be\" } } } }\n";
const char frame_table_tfmini[] =
	"frame: { start: \"59 59\"  length: 9  check: { kind: \"sum8\" } }\n"
	"metrics: { distance: { at: 2  type: \"u16le\" }  strength: { at: 4  type: \"u16le\" }\n"
	"  temperature: { at: 6  type: \"u16le\" } }\n";
const char frame_table_a02yyuw[] = "frame: { start: \"FF\"  length: 4  check: { kind: \"sum8\" } }\n"
				   "metrics: { distance: { at: 1  type: \"u16be\" } }\n";
const char frame_table_rdm6300[] = "frame: { start: \"02\"  end: \"03\"  length: 14\n"
				   "  check: { kind: \"xor8\"  from: 1  coding: \"hex\" } }\n"
				   "metrics: { tag: { at: 3  type: \"hex\"  length: 8 }\n"
				   "  printed: { at: 1  type: \"ascii\"  length: 10 } }\n";
const char frame_table_ld2410[] =
	"frame: { start: \"F4 F3 F2 F1\"  end: \"F8 F7 F6 F5\"\n"
	"  length: { at: 4  type: \"u16le\"  plus: 10 } }\n"
	"messages: { basic: { match: { at: 6  is: 0x02 }  metrics: { state: { at: 8  type: \"u8\" }\n"
	"  moving: { at: 9  type: \"u16le\" }  distance: { at: 15  type: \"u16le\" } } } }\n";
const char frame_table_daly[] =
	"frame: { start: \"A5 01\"  length: 13  check: { kind: \"sum8\" } }\n"
	"messages: { pack: { match: { at: 2  is: 0x90 }  metrics: { voltage: { at: 4  type: \"u16be\" }\n"
	"  current: { at: 8  type: \"u16be\" } } }\n"
	"  cells: { match: { at: 2  is: 0x91 }  metrics: { highest: { at: 4  type: \"u16be\" }\n"
	"  lowest: { at: 7  type: \"u16be\" } } } }\n";
const char frame_table_jk[] =
	"frame: { start: \"4E 57\"  length: { at: 2  type: \"u16be\"  plus: 2 }\n"
	"  check: { kind: \"sum16be\" } }\n"
	"messages: { all: { tagged: { from: 11  to: -9  sizes: { t79: -1  t81: 2  t83: 2  t84: 2  t85: 1  tC0: 1 } }\n"
	"  metrics: { temperature: { tag: 0x81  type: \"u16be\" }  voltage: { tag: 0x83  type: \"u16be\" }\n"
	"  current: { tag: 0x84  type: \"m16be\"  when: { tag: 0xC0  is: 1 } }  soc: { tag: 0x85  type: \"u8\" }\n"
	"  cell: { tag: 0x79  at: 1  type: \"u16be\"  repeat: { count: 4  step: 3 } } } } }\n";

struct bytes frame_pms5003(unsigned pm25)
{
	struct bytes frame = {0};
	frame_add(&frame, "42 4D 00 1C  00 05 00 08 00 09  00 07");
	frame.at[frame.n++] = (uint8_t)(pm25 >> 8);
	frame.at[frame.n++] = (uint8_t)pm25;
	frame_add(&frame, "00 0E  03 21 01 02 00 41 00 10 00 03 00 01  97 00");
	frame_seal(&frame, "sum16be", 0);
	assert_int_equal(frame.n, 32);
	return frame;
}

struct bytes frame_jk(void)
{
	struct bytes frame = {0};
	frame_add(&frame, "4E 57 00 35 00 00 00 00 06 00 01");
	frame_add(&frame, "79 09 01 0E ED 02 0E FA 03 0E F7");
	frame_add(&frame, "81 00 1E  83 14 EF  84 80 D0  85 0F  C0 01");
	frame_add(&frame, "00 00 00 00 68 00 00");
	frame.at[3] = (uint8_t)frame.n;
	frame_seal(&frame, "sum16be", 0);
	return frame;
}

struct bytes frame_sps30_body(void)
{
	struct bytes body = {0};
	frame_add(&body, "00 03 00 28  40 49 0F DB  7E 7D 11 13"); /* pi, and a number of nothing but what is stuffed */
	for (int i = 0; i < 7; i++)
		frame_add(&body, "3F 80 00 00");
	frame_add(&body, "3F 00 00 00");
	frame_seal(&body, "inv8", 0);
	return body;
}
