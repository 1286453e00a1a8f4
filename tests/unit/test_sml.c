/*
 * The SML driver: telegrams of meters that are out there, whole, in pieces, cut off, damaged, in noise; files that are
 * built to be malformed; numbers of every width.
 */
#include "driver_bench.h"
#include "sdk/check.h"
#include "sml_telegrams.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct bf_driver bf_driver_sml;

static const char *const telegrams[] = {sml_iskra_mt175, sml_iskra, sml_dzg_dvs7420, sml_dzg_dwsb20, sml_holley_dtz541,
	sml_holley_zdba, sml_ebz_dd3, sml_emh_ehz, sml_easymeter_q3b, sml_apator_norax};

#define N_TELEGRAMS (sizeof(telegrams) / sizeof(telegrams[0]))

static void start(struct driver_bench *bench)
{
	driver_bench_start(bench, &bf_driver_sml, "", 0);
}

static void test_meters(void **state)
{
	(void)state;
	static const struct {
		const char *telegram, *metric, *expected;
	} rows[] = {
		{sml_iskra_mt175, "obis=1-0:1.8.0", "22462413.6"},
		{sml_iskra_mt175, "obis=1-0:1.8.2*255", "0"},
		{sml_iskra_mt175, "obis=1-0:16.7.0", "168"},
		{sml_iskra_mt175, "obis=1-0:76.7.0 type=integer", "29"},
		{sml_iskra_mt175, "obis=129-129:199.130.3 type=text", "ISK"},
		{sml_iskra_mt175, "obis=1-0:0.0.9 type=id", "1ISK0067362659"},
		{sml_iskra_mt175, "obis=1-0:0.0.9 type=hex", "090149534b000403df63"},
		{sml_iskra_mt175, "obis=1-0:1.8.0 type=status", "386"},
		{sml_iskra_mt175, "obis=1-0:2.8.0", "absent"},
		{sml_iskra_mt175, "obis=1-0:1.8.0*1", "absent"},
		{sml_iskra, "obis=1-0:1.8.0", "79139.3"},
		{sml_iskra, "obis=1-0:2.8.0", "0"},
		{sml_iskra, "obis=1-0:16.7.0", "2144"},
		{sml_iskra, "obis=1-0:96.1.0 type=id", "1ISK0075126084"},
		{sml_dzg_dvs7420, "obis=1-0:16.7.0", "-105.5"}, /* as its submitter says */
		{sml_dzg_dvs7420, "obis=1-0:16.7.0 type=unsigned", "549.86"},
		{sml_dzg_dvs7420, "obis=1-0:16.7.0 type=integer", "-10550"},
		{sml_dzg_dvs7420, "obis=1-0:1.8.0", "13232.9"},
		{sml_dzg_dvs7420, "obis=1-0:2.8.0", "1500321.3"},
		{sml_dzg_dvs7420, "obis=1-0:96.50.1*1 type=text", "DZG"},
		{sml_dzg_dvs7420, "obis=1-0:96.1.0 type=id", "1DZG0060694611"},
		{sml_dzg_dvs7420, "obis=1-0:1.8.0 type=status", "1861892"},
		{sml_dzg_dvs7420, "obis=1-0:16.7.0 type=status", "none"},
		{sml_dzg_dwsb20, "obis=1-0:1.8.0", "142429.8"},
		{sml_dzg_dwsb20, "obis=1-0:2.8.0", "2016204.9"},
		{sml_dzg_dwsb20, "obis=1-0:16.7.0", "-788.51"},
		{sml_holley_dtz541, "obis=1-0:1.8.0", "2355929"},
		{sml_holley_dtz541, "obis=1-0:16.7.0", "376"},
		{sml_holley_dtz541, "obis=1-0:96.1.0 type=id", "1HLY0200879590"},
		{sml_holley_zdba, "obis=1-0:1.8.2", "177360.1"},
		{sml_holley_zdba, "obis=1-0:2.8.0", "314926"},
		{sml_holley_zdba, "obis=1-0:32.7.0", "232.3"},
		{sml_holley_zdba, "obis=1-0:71.7.0", "0.91"},
		{sml_holley_zdba, "obis=1-0:81.7.4", "298"},
		{sml_holley_zdba, "obis=1-0:14.7.0", "50"},
		{sml_holley_zdba, "obis=1-0:0.2.0*0 type=text", "1.02.007"},
		{sml_ebz_dd3, "obis=1-0:1.8.0", "450091.89911"},
		{sml_ebz_dd3, "obis=1-0:2.8.0", "2198"},
		{sml_ebz_dd3, "obis=1-0:16.7.0", "352.89"},
		{sml_ebz_dd3, "obis=1-0:76.7.0", "243.57"},
		{sml_ebz_dd3, "obis=129-129:199.130.3 type=text", "EBZ"},
		{sml_emh_ehz, "obis=1-0:1.8.0", "15338555.7"},
		{sml_emh_ehz, "obis=1-0:16.7.0", "563.5"},
		{sml_emh_ehz, "obis=1-0:0.0.9 type=id", "1EMH0004321349"},
		{sml_emh_ehz, "obis=129-129:199.130.5 type=text", "none"},
		{sml_emh_ehz, "obis=129-129:199.130.3", "none"},
		{sml_easymeter_q3b, "obis=1-0:1.8.0", "8603838.7975"}, /* jSML: 86038387975, scaler -4 */
		{sml_easymeter_q3b, "obis=1-0:2.8.2", "1340"},         /* 134, scaler 1 */
		{sml_easymeter_q3b, "obis=1-0:1.7.0", "109.52"},       /* 10952, scaler -2 */
		{sml_easymeter_q3b, "obis=1-0:96.5.5", "384"},
		{sml_apator_norax, "obis=1-0:1.8.0", "449720.8"},
		{sml_apator_norax, "obis=1-0:16.7.0", "463"},
		{sml_apator_norax, "obis=1-0:32.7.0", "232.1"},
		{sml_apator_norax, "obis=1-0:31.7.0", "0.11"},
		{sml_apator_norax, "obis=1-0:96.90.2*1 type=text", "C6C8"},
	};
	struct driver_bench bench;
	start(&bench);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		driver_bench_hear_digits(&bench, rows[i].telegram);
		driver_bench_reads(&bench, rows[i].metric, rows[i].expected);
	}
	driver_bench_stop(&bench);
}

static void test_pieces_of_every_size(void **state)
{
	(void)state;
	struct driver_bench bench;
	start(&bench);
	for (size_t i = 0; i < N_TELEGRAMS; i++) {
		size_t n;
		const uint8_t *bytes = driver_bench_bytes(&bench, telegrams[i], &n);
		for (size_t piece = 1; piece <= n; piece++) {
			driver_bench_clear(&bench);
			driver_bench_feed(&bench, bytes, n, piece);
			assert_int_equal(bench.n_messages, 1);
			assert_int_equal(bench.n_damaged + bench.n_skipped + bench.n_input, 0);
		}
		for (size_t cut = 1; cut < n; cut++) {
			driver_bench_clear(&bench);
			driver_bench_feed(&bench, bytes, cut, cut);
			assert_int_equal(bench.n_messages, 0);
			driver_bench_feed(&bench, bytes + cut, n - cut, n);
			assert_int_equal(bench.n_messages, 1);
		}
	}
	driver_bench_stop(&bench);
}

static void test_every_bit(void **state)
{
	(void)state;
	struct driver_bench bench;
	start(&bench);
	for (size_t i = 0; i < N_TELEGRAMS; i++) {
		size_t n;
		uint8_t *bytes = (uint8_t *)driver_bench_bytes(&bench, telegrams[i], &n);
		for (size_t bit = 0; bit < 8 * n; bit++) {
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			driver_bench_clear(&bench);
			driver_bench_feed(&bench, bytes, n, n);
			assert_int_equal(bench.n_messages, 0);
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	driver_bench_stop(&bench);
}

/* What is cut off anywhere, and the telegram after it is heard. */
static void test_cut_off_at_every_byte(void **state)
{
	(void)state;
	struct driver_bench bench;
	start(&bench);
	for (size_t i = 0; i < N_TELEGRAMS; i++) {
		size_t n, n_next;
		const uint8_t *bytes = driver_bench_bytes(&bench, telegrams[i], &n);
		const uint8_t *following = driver_bench_bytes(&bench, telegrams[(i + 1) % N_TELEGRAMS], &n_next);
		for (size_t cut = 0; cut < n; cut++) {
			driver_bench_clear(&bench);
			driver_bench_feed(&bench, bytes, cut, cut + 1);
			assert_int_equal(bench.n_messages, 0);
			driver_bench_feed(&bench, following, n_next, n_next);
			assert_int_equal(bench.n_messages, 1);
			driver_bench_clear(&bench);
			driver_bench_feed(&bench, bytes + cut + 1, n - cut - 1, n);
			assert_int_equal(bench.n_messages, 0);
		}
	}
	driver_bench_stop(&bench);
}

static void test_lost_bytes_of_a_real_line(void **state)
{
	(void)state;
	struct driver_bench bench;
	size_t n;
	start(&bench);
	const uint8_t *bytes = driver_bench_bytes(&bench, sml_hager_ehz, &n);
	driver_bench_feed(&bench, bytes, n, n);
	assert_int_equal(bench.n_messages, 0);
	assert_int_equal(bench.n_damaged, 1);
	driver_bench_stop(&bench);
}

static void test_noise(void **state)
{
	(void)state;
	struct driver_bench bench;
	uint64_t seed = 1;
	uint8_t noise[600];
	start(&bench);
	for (unsigned run = 0; run < 3000; run++) {
		size_t n, n_noise = (size_t)(driver_bench_chance(&seed) % sizeof(noise));
		const char *telegram = telegrams[run % N_TELEGRAMS];
		for (size_t i = 0; i < n_noise; i++) /* with more of what a file begins with than chance has */
			noise[i] = (uint8_t)(run % 3 == 0                     ? 0x1B
					     : run % 3 == 1                   ? driver_bench_chance(&seed)
					     : driver_bench_chance(&seed) & 1 ? 0x1B
									      : 1);
		const uint8_t *bytes = driver_bench_bytes(&bench, telegram, &n);
		driver_bench_clear(&bench);
		driver_bench_feed(&bench, noise, n_noise, 1 + driver_bench_chance(&seed) % 64);
		driver_bench_feed(&bench, bytes, n, 1 + driver_bench_chance(&seed) % 64);
		driver_bench_feed(&bench, bytes, n, n);
		assert_int_equal(bench.n_messages, 2);
	}
	driver_bench_stop(&bench);
}

/* A file around a payload: escaped, filled up, with either CRC.  Returns its length. */
static size_t file_of(const uint8_t *payload, size_t n, bool kermit, uint8_t *file)
{
	static const uint8_t mark[] = {0x1B, 0x1B, 0x1B, 0x1B};
	size_t at = 8, filled = (4 - n % 4) % 4, run = 0;
	memcpy(file, mark, 4);
	memset(file + 4, 1, 4);
	for (size_t i = 0; i < n; i++) {
		file[at++] = payload[i];
		run = payload[i] == mark[0] ? run + 1 : 0;
		if (run < 4)
			continue;
		memcpy(file + at, mark, 4);
		at += 4;
		run = 0;
	}
	memset(file + at, 0, filled);
	at += filled;
	memcpy(file + at, mark, 4);
	file[at + 4] = 0x1A;
	file[at + 5] = (uint8_t)filled;
	at += 6;
	uint16_t crc = kermit ? bf_crc16_kermit(file, at) : bf_crc16_x25(file, at);
	file[at + kermit] = (uint8_t)crc;
	file[at + !kermit] = (uint8_t)(crc >> 8);
	return at + 2;
}

/* A message around one entry's scaler and value, as hex digits; its telling as 1-0:1.8.0. */
static const char *entry(struct driver_bench *bench, const char *scaler, const char *value, const char *type)
{
	char digits[2 * 1024];
	uint8_t file[2048];
	size_t n;
	snprintf(digits, sizeof(digits),
		"76 0101 01 72 630701 77 01 01 01 01 71 77 070100010800FF 01 01 01 %s %s 01 01 01 01 00", scaler,
		value);
	const uint8_t *payload = driver_bench_bytes(bench, digits, &n);
	n = file_of(payload, n, false, file);
	driver_bench_clear(bench);
	driver_bench_feed(bench, file, n, n);
	assert_int_equal(bench->n_messages, 1);
	char keys[64];
	snprintf(keys, sizeof(keys), "obis=1-0:1.8.0 type=%s", type);
	return driver_bench_value(bench, keys);
}

static void test_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *scaler, *value, *type, *expected;
	} rows[] = {
		{"52FF", "65 0012D687", "number", "123456.7"},
		{"01", "62 FF", "number", "255"},
		{"01", "52 FF", "number", "-1"},
		{"01", "63 FFFE", "number", "65534"},
		{"01", "53 FFFE", "number", "-2"},
		{"52FE", "54 800000", "number", "-83886.08"},
		{"5203", "64 FFFFFF", "number", "16777215000"},
		{"52FD", "55 FFFFFFFF", "number", "-0.001"},
		{"52FF", "66 0100000000", "number", "429496729.6"},
		{"52FF", "56 FF00000000", "number", "-429496729.6"},
		{"52FF", "67 010000000000", "number", "109951162777.6"},
		{"52FC", "57 FFFFFFFFFFFF", "number", "-0.0001"},
		{"5200", "68 01000000000000", "number", "281474976710656"},
		{"52FF", "69 001FFFFFFFFFFFFF", "number", "900719925474099.1"},
		{"01", "59 8000000000000000", "integer", "-9223372036854775808"},
		{"01", "69 FFFFFFFFFFFFFFFF", "integer", "none"},
		{"01", "69 7FFFFFFFFFFFFFFF", "integer", "9223372036854775807"},
		{"62FF", "62 7B", "number", "12.3"}, /* scalers are signed, whatever they are called */
		{"01", "42 01", "number", "1"},      /* a boolean */
		{"01", "53 8025", "unsigned", "32805"},
		{"527F", "62 01", "number", "none"},
		{"5280", "62 01", "number", "none"},
		{"53FFFF", "62 01", "number", "none"},
		{"02AA", "62 01", "number", "none"},
		{"72 6201 6202", "62 01", "number", "none"},
		{"01", "01", "number", "none"},
		{"01", "6A 000000000000000001", "number", "none"},
		{"01", "72 62016202", "number", "none"},
		{"01", "62 01", "text", "none"},
		{"01", "01", "text", "none"},
		{"01", "03 4105", "text", "none"},
		{"01", "03 4142", "text", "AB"},
		{"01", "04 414243", "id", "none"},
		{"01", "0B 0A01616263000000000F", "id", "none"},
	};
	struct driver_bench bench;
	start(&bench);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *told = entry(&bench, rows[i].scaler, rows[i].value, rows[i].type);
		if (strcmp(told, rows[i].expected) != 0)
			fail_msg("%s × %s is %s, not %s", rows[i].value, rows[i].scaler, told, rows[i].expected);
	}
	driver_bench_stop(&bench);
}

static void test_escapes(void **state)
{
	(void)state;
	struct driver_bench bench;
	start(&bench);
	assert_string_equal(entry(&bench, "01", "65 1B1B1B1B", "integer"), "454761243");
	assert_string_equal(entry(&bench, "01", "69 1B1B1B1B1B1B1B1B", "integer"), "1953184666628070171");
	assert_string_equal(entry(&bench, "01", "67 1B1B1B1B1B1A", "integer"), "29803232828186");
	assert_string_equal(entry(&bench, "01", "05 1B1B1B1B", "hex"), "1b1b1b1b");
	assert_string_equal(entry(&bench, "01", "09 1B1B1B1B01010101", "hex"), "1b1b1b1b01010101");
	driver_bench_stop(&bench);
}

static void test_kermit(void **state)
{
	(void)state;
	struct driver_bench bench;
	size_t n;
	uint8_t file[1024];
	driver_bench_start(&bench, &bf_driver_sml, "crc=kermit", 0);
	const uint8_t *bytes = driver_bench_bytes(&bench, sml_iskra, &n);
	driver_bench_feed(&bench, bytes, n, n);
	assert_int_equal(bench.n_messages, 0);
	driver_bench_clear(&bench);
	n = file_of(bytes + 8, n - 16, true, file);
	driver_bench_feed(&bench, file, n, n);
	assert_int_equal(bench.n_messages, 1);
	driver_bench_reads(&bench, "obis=1-0:1.8.0", "79139.3");
	driver_bench_stop(&bench);
	start(&bench);
	driver_bench_feed(&bench, file, n, n);
	assert_int_equal(bench.n_messages, 0);
	driver_bench_stop(&bench);
}

/* Sound by its CRC, and no file within: nothing is told, and nothing read that is not there. */
static void test_malformed(void **state)
{
	(void)state;
	static const char *const files[] = {
		"",
		"00",
		"0000",
		"76",
		"F6",
		"FFFFFFFF",
		"8F8F8F8F8F8F8F8F",
		"7F7F7F7F",
		"76 05",
		"0F",
		"8000",
		"8001",
		"71717171717171717171717171717171717171717171",
		"F00001",
		"FFFFFF7F 01 01 01",
		"76 0101 01 72 630701 77 01 01 01 01 7F 77 070100010800FF 01 01 01 01",                 /* cut off */
		"76 0101 01 72 630701 77 01 01 01 01 71 76 070100010800FF 01 01 01 01 6205 0101 01 00", /* six */
		"76 0101 01 72 630101 77 01 01 01 01 71 77 070100010800FF 01 01 01 01 6205 01 0101 01 00",
		"76 0101 01 72 630701 76 01 01 01 01 71 77 070100010800FF 01 01 01 01 6205 01 01 01 00",
		"76 0101 01 72 630701 77 01 01 01 01 05 77070100 01 01 01 01 00",
		"76 0101 01 72 02AA 77 01 01 01 01 71 77 070100010800FF 01 01 01 01 6205 01 0101 01 00",
		"76 0101 01 72 630701 77 01 01 01 01 71 77 06010001080A 01 01 01 01 6205 01 0101 01 00",
		"76 0101 01 72 630701 77 01 01 01 01 71 77 070100010800FF 01 01 01 01 6F05 01 0101 01 00",
	};
	struct driver_bench bench;
	uint8_t file[256];
	start(&bench);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		size_t n;
		const uint8_t *payload = driver_bench_bytes(&bench, files[i], &n);
		n = file_of(payload, n, false, file);
		driver_bench_clear(&bench);
		driver_bench_feed(&bench, file, n, n);
		assert_int_equal(bench.n_messages, 1);
		driver_bench_reads(&bench, "obis=1-0:1.8.0", "absent");
	}
	driver_bench_stop(&bench);
}

/* Each byte of a message in turn is each other byte, with the CRC made right again: only the sanitizers may complain.
 */
static void test_any_structure(void **state)
{
	(void)state;
	struct driver_bench bench;
	size_t n;
	uint8_t file[1024];
	start(&bench);
	const void *metric = driver_bench_metric(&bench, "obis=1-0:16.7.0");
	uint8_t *bytes = (uint8_t *)driver_bench_bytes(&bench, sml_iskra, &n) + 8;
	n -= 16;
	for (size_t at = 0; at + 1 < n;
		at++) /* the last is 00 in every file: no escape begins before the mark of the end */
		for (unsigned byte = 0; byte < 256; byte++) {
			uint8_t was = bytes[at];
			bytes[at] = (uint8_t)byte;
			size_t length = file_of(bytes, n, false, file);
			bytes[at] = was;
			driver_bench_clear(&bench);
			driver_bench_feed(&bench, file, length, length);
			assert_int_equal(bench.n_messages, 1);
			const char *told = driver_bench_told(&bench, metric, &bench.last);
			assert_true(byte != was || strcmp(told, "2144") == 0);
		}
	driver_bench_stop(&bench);
}

/* A CRC of 16 bits: chance passes one of 65536 files that have all else right. */
static void test_none_invented(void **state)
{
	(void)state;
	struct driver_bench bench;
	uint64_t seed = 7;
	uint8_t bytes[64];
	start(&bench);
	for (size_t i = 0; i < 4000000; i += sizeof(bytes)) {
		for (size_t k = 0; k < sizeof(bytes); k++)
			bytes[k] = (uint8_t)driver_bench_chance(&seed);
		driver_bench_feed(&bench, bytes, sizeof(bytes), sizeof(bytes));
	}
	assert_int_equal(bench.n_messages, 0);
	driver_bench_clear(&bench);
	for (unsigned run = 0; run < 400000; run++) {
		for (size_t k = 8; k < 24; k++)
			bytes[k] = (uint8_t)driver_bench_chance(&seed);
		memcpy(bytes, "\x1B\x1B\x1B\x1B\x01\x01\x01\x01", 8);
		memcpy(bytes + 16, "\x1B\x1B\x1B\x1B\x1A\x00", 6);
		driver_bench_feed(&bench, bytes, 24, 24);
	}
	assert_in_range(bench.n_messages, 1, 20); /* 6.1 are expected */
	driver_bench_stop(&bench);
}

static void test_keys(void **state)
{
	(void)state;
	static const char *const none[] = {"1.8.0", "1-0:1.8", "1-0:1.8.0*", "1-0:1.8.256", "1-0:1.8.0*0255",
		"1-0:1.8.0 ", "1-0.1.8.0", "-0:1.8.0", "1-0:1.8.0*255*1", "", "C.1.0", "1-0:1.8.0&255"};
	static const struct {
		const char *type;
		enum bf_type shape;
	} types[] = {{"number", BF_TYPE_F64}, {"unsigned", BF_TYPE_F64}, {"integer", BF_TYPE_S64},
		{"status", BF_TYPE_U64}, {"text", BF_TYPE_STRING}, {"hex", BF_TYPE_STRING}, {"id", BF_TYPE_STRING}};
	struct driver_bench bench;
	struct bf_shape shape;
	char keys[64];
	start(&bench);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		snprintf(keys, sizeof(keys), "obis=\"%s\"", none[i]);
		assert_int_equal(driver_bench_shape(&bench, keys, &shape), -EINVAL);
		assert_string_equal(bench.complaint.key, "obis");
		assert_string_equal(bench.complaint.what, "is no OBIS code of six numbers");
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		snprintf(keys, sizeof(keys), "obis=1-0:1.8.0 type=%s", types[i].type);
		assert_int_equal(driver_bench_shape(&bench, keys, &shape), 0);
		assert_int_equal(shape.type, types[i].shape);
		assert_int_equal(shape.length, shape.type == BF_TYPE_STRING ? BF_STRING_MAX : 0);
	}
	struct bf_message_told two[2] = {{.name = "a"}, {.name = "b"}};
	struct bf_device device = {.messages = two, .n_messages = 2};
	assert_int_equal(bf_driver_sml.check(&device, &bench.complaint), -EINVAL);
	assert_string_equal(bench.complaint.message, "b");
	assert_int_equal(bf_driver_sml.check(&bench.device, &bench.complaint), 0);
	driver_bench_stop(&bench);
}

/* Longer than any file, and more than the driver asked for: no file, and nothing is written beyond the body. */
static void test_too_long(void **state)
{
	(void)state;
	const int x25 = 0; /* the struct of the driver's keys */
	struct bf_device device = {.keys = &x25};
	struct bf_found found;
	size_t longest = bf_driver_sml.longest(&device);
	uint8_t *input = malloc(2 * longest), *body = malloc(longest);
	memset(input, 0x55, 2 * longest);
	memcpy(input, "\x1B\x1B\x1B\x1B\x01\x01\x01\x01", 8);
	assert_int_equal(bf_driver_sml.find(&device, input, 2 * longest, body, &found), BF_FIND_SKIP);
	assert_int_equal(found.n, 1);
	assert_int_equal(bf_driver_sml.find(&device, input, longest / 2, body, &found), BF_FIND_MORE);
	free(input);
	free(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meters),
		cmocka_unit_test(test_pieces_of_every_size),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_cut_off_at_every_byte),
		cmocka_unit_test(test_lost_bytes_of_a_real_line),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_kermit),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_any_structure),
		cmocka_unit_test(test_none_invented),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
