/*
 * The driver of IEC 62056-21: readouts of meters that are out there, whole, in pieces, cut off, damaged, in noise;
 * codes and data sets in all their spellings; and the handshake.
 */
#include "driver_bench.h"
#include "iec62056_readouts.h"
#include "sdk/check.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct bf_driver bf_driver_iec62056;

static const char *const readouts[] = {iec62056_e350, iec62056_logarex, iec62056_em4t, iec62056_t550};

#define N_READOUTS (sizeof(readouts) / sizeof(readouts[0]))

static void start(struct driver_bench *bench)
{
	driver_bench_start(bench, &bf_driver_iec62056, "", 0);
}

static void feed(struct driver_bench *bench, const char *text, size_t piece)
{
	driver_bench_feed(bench, (const uint8_t *)text, strlen(text), piece);
}

static void hear(struct driver_bench *bench, const char *text)
{
	driver_bench_hear(bench, (const uint8_t *)text, strlen(text));
}

static void test_meters(void **state)
{
	(void)state;
	static const struct {
		const char *readout, *metric, *expected;
	} rows[] = {
		{iec62056_e350, "obis=1.8.0", "61561.289"},
		{iec62056_e350, "obis=1-0:1.8.0", "61561.289"},
		{iec62056_e350, "obis=1-0:1.8.0*255", "61561.289"},
		{iec62056_e350, "obis=2.8.0", "10.49"},
		{iec62056_e350, "obis=1.8.1", "42951.721"},
		{iec62056_e350, "obis=15.8.0", "61571.78"},
		{iec62056_e350, "obis=32.7.0", "241"},
		{iec62056_e350, "obis=31.7", "0.35"},
		{iec62056_e350, "obis=71.7.0", "0.47"},
		{iec62056_e350, "obis=0.0 type=text", "120858"},
		{iec62056_e350, "obis=0.0.0", "120858"},
		{iec62056_e350, "obis=C.1.0 type=text", "13647123"},
		{iec62056_e350, "obis=96.1.0 type=text", "13647123"},
		{iec62056_e350, "obis=C.1.1 type=text", "none"},
		{iec62056_e350, "obis=C.1.1", "none"},
		{iec62056_e350, "obis=F.F type=hex", "0"},
		{iec62056_e350, "obis=C.5.0 type=hex", "1025"},
		{iec62056_e350, "obis=0.2.0 type=text", "M26"},
		{iec62056_e350, "obis=0.2.0", "none"},
		{iec62056_e350, "obis=0.2.0 type=hex", "none"},
		{iec62056_e350, "obis=16.7.0", "absent"},
		{iec62056_e350, "obis=1.8.0 meter_unit=kWh", "61561.289"},
		{iec62056_e350, "obis=1.8.0 meter_unit=Wh", "absent"},
		{iec62056_e350, "obis=1.8.0 meter_unit=kW", "absent"},
		{iec62056_e350, "obis=C.7.0 meter_unit=kWh", "absent"},
		{iec62056_logarex, "obis=1.8.0", "15882.6927"},
		{iec62056_logarex, "obis=1.8.0*97", "158.7"},
		{iec62056_logarex, "obis=1-0:1.8.0*100", "15882.6"},
		{iec62056_logarex, "obis=1-0:1.8.0&100", "15882.6"},
		{iec62056_logarex, "obis=0-0:1.8.0", "absent"},
		{iec62056_logarex, "obis=16.7.0", "28"},
		{iec62056_logarex, "obis=C.1.0 type=text", "001LOG0065282495"},
		{iec62056_logarex, "obis=81.7.26", "73"},
		{iec62056_logarex, "obis=14.7", "49.9"},
		{iec62056_logarex, "obis=0.2.0 type=text", "ver.03,432F,20170504"},
		{iec62056_logarex, "obis=96.90.2 type=hex", "3942"},
		{iec62056_logarex, "obis=F.F.0 type=hex", "0"},
		{iec62056_em4t, "obis=C.90.2 type=hex", "2668862658"},
		{iec62056_em4t, "obis=0.3.0", "6"},
		{iec62056_em4t, "obis=0.0.1 type=text", "none"},
		{iec62056_em4t, "obis=0.2.1*50 type=text", "121120??"},
		{iec62056_t550, "obis=6.8", "1.015"},
		{iec62056_t550, "obis=6.8 meter_unit=MWh", "1.015"},
		{iec62056_t550, "obis=6.8 meter_unit=GJ", "absent"},
		{iec62056_t550, "obis=6.8*01", "0"},
		{iec62056_t550, "obis=6.26", "36.23"},
		{iec62056_t550, "obis=6.6", "8.9"},
		{iec62056_t550, "obis=6.33", "0.312"},
		{iec62056_t550, "obis=6.31", "1545"},
		{iec62056_t550, "obis=9.31", "275"},
		{iec62056_t550, "obis=6.8.1", "none"},
		{iec62056_t550, "obis=9.4", "77.6"}, /* and the other one behind the unit */
		{iec62056_t550, "obis=9.36 type=text", "2022-12-25&01:23:39"},
		{iec62056_t550, "obis=0.0 type=text", "71708961"},
	};
	struct driver_bench bench;
	start(&bench);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		hear(&bench, rows[i].readout);
		driver_bench_reads(&bench, rows[i].metric, rows[i].expected);
	}
	driver_bench_stop(&bench);
}

/* A readout around data sets. */
static const char *with(struct driver_bench *bench, const char *sets, const char *metric)
{
	char text[512];
	size_t n = (size_t)snprintf(text, sizeof(text), "\x02%s!\r\n\x03", sets);
	text[n] = (char)bf_xor8((const uint8_t *)text + 1, n - 1);
	driver_bench_clear(bench);
	driver_bench_feed(bench, (const uint8_t *)text, n + 1, n + 1);
	assert_int_equal(bench->n_messages, 1);
	return driver_bench_value(bench, metric);
}

static void test_sets(void **state)
{
	(void)state;
	static const struct {
		const char *sets, *metric, *expected;
	} rows[] = {
		{"1.6.1(12.345*kW)(2501021530)\r\n", "obis=1.6.1", "12.345"},
		{"1.6.1(12.345*kW)(2501021530)\r\n", "obis=1.6.1 bracket=2 type=text", "2501021530"},
		{"1.6.1(12.345*kW)(2501021530)\r\n", "obis=1.6.1 bracket=3", "absent"},
		{"1.6.1(12.3)(1)\r\n(2)\r\n", "obis=1.6.1 bracket=3", "absent"},
		{"1.6.1(1)1.6.2(2)(3)1.6.3(4)\r\n", "obis=1.6.2 bracket=2", "3"},
		{"1.6.1(1)1.6.2(2)(3)1.6.3(4)\r\n", "obis=1.6.3", "4"},
		{"1.8.0(1)\r\n1.8.0(2)\r\n", "obis=1.8.0", "1"},
		{"1.8.0(-12.50*kWh)\r\n", "obis=1.8.0", "-12.5"},
		{"1.8.0(+12.5)\r\n", "obis=1.8.0", "12.5"},
		{"1.8.0( 12.5 *kWh)\r\n", "obis=1.8.0", "12.5"},
		{"1.8.0(.5)\r\n", "obis=1.8.0", "0.5"},
		{"1.8.0(5.)\r\n", "obis=1.8.0", "5"},
		{"1.8.0(000000123456.7*kWh)\r\n", "obis=1.8.0", "123456.7"},
		{"1.8.0()\r\n", "obis=1.8.0", "none"},
		{"1.8.0(*kWh)\r\n", "obis=1.8.0", "none"},
		{"1.8.0(-)\r\n", "obis=1.8.0", "none"},
		{"1.8.0(.)\r\n", "obis=1.8.0", "none"},
		{"1.8.0(--------*kWh)\r\n", "obis=1.8.0", "none"},
		{"1.8.0(1.2.3)\r\n", "obis=1.8.0", "none"},
		{"1.8.0(1,5)\r\n", "obis=1.8.0", "none"},
		{"1.8.0(1e5)\r\n", "obis=1.8.0", "none"},
		{"1.8.0(1 5)\r\n", "obis=1.8.0", "none"},
		{"1.8.0(0x10)\r\n", "obis=1.8.0", "none"},
		{"1.8.0(inf)\r\n", "obis=1.8.0", "none"},
		{"1.8.0(1111111111111111111111111111111111111111)\r\n", "obis=1.8.0", "1.1111111111111112e39"},
		{"1.8.0(11111111111111111111111111111111111111111)\r\n", "obis=1.8.0", "none"},
		{"F.F(FFFFFFFFFFFFFFFF)\r\n", "obis=F.F type=hex", "18446744073709551615"},
		{"F.F(1FFFFFFFFFFFFFFFF)\r\n", "obis=F.F type=hex", "none"},
		{"F.F(12G4)\r\n", "obis=F.F type=hex", "none"},
		{"F.F( 12)\r\n", "obis=F.F type=hex", "none"},
		{"F.F()\r\n", "obis=F.F type=hex", "none"},
		{"0.0(A\tB)\r\n", "obis=0.0 type=text", "none"},
		{"0.0(A\xC4)\r\n", "obis=0.0 type=text", "none"},
		{"1.8.0(5\r\n", "obis=1.8.0", "absent"},
		{"1.8.0 5)\r\n", "obis=1.8.0", "absent"},
		{"(5)\r\n", "obis=1.8.0", "absent"},
		{"1.8(5)\r\n", "obis=1.8.0", "5"},
		{"1(5)\r\n", "obis=1.0.0", "absent"},
		{"1.8.0.0(5)\r\n", "obis=1.8.0", "absent"},
		{"1-1:1.8.0(5)\r\n", "obis=1-0:1.8.0", "absent"},
		{"1-1:1.8.0(5)\r\n", "obis=1.8.0", "5"},
		{"256.8.0(5)\r\n", "obis=1.8.0", "absent"},
		{"L.1.0(5)\r\n", "obis=98.1.0", "5"},
		{"P.1.0(5)\r\n", "obis=99.1.0", "5"},
		{"", "obis=1.8.0", "absent"},
	};
	struct driver_bench bench;
	start(&bench);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *told = with(&bench, rows[i].sets, rows[i].metric);
		if (strcmp(told, rows[i].expected) != 0)
			fail_msg("%s: %s is %s, not %s", rows[i].sets, rows[i].metric, told, rows[i].expected);
	}
	driver_bench_stop(&bench);
}

static void test_pieces_of_every_size(void **state)
{
	(void)state;
	struct driver_bench bench;
	start(&bench);
	for (size_t i = 0; i < N_READOUTS; i++) {
		size_t n = strlen(readouts[i]);
		const uint8_t *bytes = (const uint8_t *)readouts[i];
		for (size_t cut = 1; cut <= n; cut++) {
			driver_bench_clear(&bench);
			driver_bench_feed(&bench, bytes, n, cut);
			assert_int_equal(bench.n_messages, 1);
			assert_int_equal(bench.n_damaged + bench.n_skipped + bench.n_input, 0);
			driver_bench_clear(&bench);
			driver_bench_feed(&bench, bytes, cut, cut);
			assert_int_equal(bench.n_messages, cut == n);
			/* Cut off there, and the next one is whole. */
			driver_bench_clear(&bench);
			driver_bench_feed(&bench, bytes, cut - 1, cut);
			driver_bench_feed(&bench, bytes, n, n);
			assert_int_equal(bench.n_messages, 1);
		}
	}
	driver_bench_stop(&bench);
}

/*
 * Seven bits of exclusive or: a bit that makes an STX of a line's end has the rest looked at on its own, and where what
 * is before it adds up to nothing, that rest is sound.  It has nothing in it that the meter did not send.
 */
static void test_every_bit(void **state)
{
	(void)state;
	struct driver_bench bench;
	size_t n_lucky = 0, n_tried = 0;
	start(&bench);
	for (size_t i = 0; i < N_READOUTS; i++) {
		size_t n = strlen(readouts[i]);
		uint8_t bytes[2048];
		assert_true(n < sizeof(bytes));
		memcpy(bytes, readouts[i], n);
		for (size_t bit = 0; bit < 8 * n; bit++, n_tried++) {
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			driver_bench_clear(&bench);
			driver_bench_feed(&bench, bytes, n, n);
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (bench.n_messages == 0 || bench.last.bytes[0] == '/') /* "Imp/kWh" with another bracket */
				continue;
			n_lucky++;
			assert_memory_equal(bench.last.bytes + 1, readouts[i] + n - bench.last.n + 1, bench.last.n - 1);
		}
	}
	assert_true(n_tried > 20000 && n_lucky <= 3);
	driver_bench_stop(&bench);
}

/* Noise may hold STX and ETX, so a checksum of eight bits finds a readout in it now and then: nothing is in that. */
static void test_noise(void **state)
{
	(void)state;
	struct driver_bench bench;
	uint64_t seed = 5;
	uint8_t noise[200];
	size_t n_lucky = 0;
	start(&bench);
	const void *metric = driver_bench_metric(&bench, "obis=1.8.0");
	for (unsigned run = 0; run < 20000; run++) {
		const char *readout = readouts[run % N_READOUTS];
		size_t n = (size_t)(driver_bench_chance(&seed) % sizeof(noise));
		for (size_t i = 0; i < n; i++)
			noise[i] = (uint8_t)driver_bench_chance(&seed);
		driver_bench_clear(&bench);
		driver_bench_feed(&bench, noise, n, 1 + driver_bench_chance(&seed) % 64);
		n_lucky += bench.n_messages;
		if (bench.n_messages > 0)
			assert_string_equal(driver_bench_told(&bench, metric, &bench.last), "absent");
		feed(&bench, readout, 1 + driver_bench_chance(&seed) % 64);
		assert_memory_equal(bench.last.bytes, readout, strlen(readout));
	}
	assert_true(n_lucky < 60); /* two million bytes, a pair of marks in every 400 or so, one in 256 of these */
	driver_bench_stop(&bench);
}

static void test_identification(void **state)
{
	(void)state;
	static const char *const sound[] = {"/LGZ4ZMF100AC.M26\r\n", "/EMH5\\@D4EM4TIIW001--\r\n", "/LUGCUH50\r\n",
		"/ABC0\r\n", "/abc 1234567890123456\r\n"};
	static const char *const none[] = {"/?!\r\n", "/?12345678!\r\n", "/kWh)\r\n", "/h*3)\r\n", "/AB\r\n",
		"/ABC\r\n", "/ABC\n\r\n", "/AB14X\r\n", "/ABC4\x01x\r\n", "/ABC4X\n", "\006050\r\n",
		"/ABC45678901234567890123456789012345678901234567890123456789012345\r\n"};
	struct driver_bench bench;
	start(&bench);
	for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
		hear(&bench, sound[i]);
		driver_bench_reads(&bench, "obis=1.8.0", "absent");
		driver_bench_clear(&bench);
		feed(&bench, sound[i], 1);
		assert_int_equal(bench.n_messages, 1);
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		driver_bench_clear(&bench);
		feed(&bench, none[i], 1);
		if (bench.n_messages + bench.n_input != 0)
			fail_msg("%s is taken for an identification", none[i]);
		hear(&bench, iec62056_e350);
	}
	driver_bench_stop(&bench);
}

struct step {
	const char *bytes;
	uint32_t baud;
	int64_t pause_us, timeout_us;
	bool unanswered;
};

static void asks(struct driver_bench *bench, unsigned step, const char *answer, const struct step *expected)
{
	struct bf_ask ask;
	struct bf_message message = {0, (const uint8_t *)answer, answer ? strlen(answer) : 0};
	assert_int_equal(bf_driver_iec62056.ask(&bench->device, step, answer ? &message : NULL, &ask), 1);
	assert_int_equal(ask.n, strlen(expected->bytes));
	assert_memory_equal(ask.bytes, expected->bytes, ask.n);
	assert_int_equal(ask.baud, expected->baud);
	assert_int_equal(ask.unanswered, expected->unanswered);
	assert_true(ask.pause_us == expected->pause_us);
	assert_true(ask.timeout_us >= expected->timeout_us);
	assert_int_equal(ask.kind, 0);
}

static int after(struct driver_bench *bench, unsigned step, const char *answer)
{
	struct bf_ask ask;
	struct bf_message message = {0, (const uint8_t *)answer, strlen(answer)};
	return bf_driver_iec62056.ask(&bench->device, step, &message, &ask);
}

static void test_handshake(void **state)
{
	(void)state;
	static const struct {
		const char *keys, *name;
		struct step expected;
	} rows[] = {
		{"", "/LGZ4ZMF\r\n", {"\006040\r\n", 4800, 250000, 10000000, false}},
		{"", "/ABC0\r\n", {"\006000\r\n", 300, 250000, 200000000, false}},
		{"", "/ABC6X\r\n", {"\006060\r\n", 19200, 250000, 4000000, false}},
		{"fastest=9600", "/ABC6X\r\n", {"\006050\r\n", 9600, 250000, 4000000, false}},
		{"fastest=300", "/ABC6X\r\n", {"\006000\r\n", 300, 250000, 4000000, false}},
		{"fastest=5000", "/ABC5X\r\n", {"\006040\r\n", 4800, 250000, 4000000, false}},
		{"", "/LUGCUH50\r\n", {"", 2400, 0, 10000000, false}},
		{"", "/ABCAX\r\n", {"", 600, 0, 10000000, false}},
		{"", "/ABCFX\r\n", {"", 19200, 0, 4000000, false}},
		{"", "/ABCGX\r\n", {"", 0, 0, 200000000, false}}, /* a letter that is for later use */
		{"", "/ABC9X\r\n", {"", 0, 0, 200000000, false}},
		{"", "/ABC@X\r\n", {"", 0, 0, 200000000, false}},
	};
	static const struct step first = {"/?!\r\n", 0, 0, 1000000, false};
	struct driver_bench bench;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		driver_bench_start(&bench, &bf_driver_iec62056, rows[i].keys, 0);
		asks(&bench, 0, NULL, &first);
		asks(&bench, 1, rows[i].name, &rows[i].expected);
		assert_int_equal(after(&bench, 2, iec62056_e350), 0);
		assert_int_equal(after(&bench, 1, iec62056_e350), 0); /* it did not wait for us */
		assert_int_equal(after(&bench, 2, rows[i].name), -EBADMSG);
		driver_bench_stop(&bench);
	}
}

static void test_waking_and_address(void **state)
{
	(void)state;
	struct driver_bench bench;
	struct bf_ask ask;
	driver_bench_start(&bench, &bf_driver_iec62056, "meter=\"12345678\"", 0);
	static const struct step addressed = {"/?12345678!\r\n", 0, 0, 1000000, false};
	asks(&bench, 0, NULL, &addressed);
	driver_bench_stop(&bench);

	driver_bench_start(&bench, &bf_driver_iec62056, "wake=70", 0);
	assert_int_equal(bf_driver_iec62056.ask(&bench.device, 0, NULL, &ask), 1);
	assert_int_equal(ask.n, 70);
	assert_true(ask.unanswered);
	for (size_t i = 0; i < ask.n; i++)
		assert_int_equal(ask.bytes[i], 0);
	static const struct step woken = {"/?!\r\n", 0, 1600000, 1000000, false};
	asks(&bench, 1, NULL, &woken);
	static const struct step second = {"", 2400, 0, 1000000, false};
	asks(&bench, 2, "/LUGCUH50\r\n", &second);
	assert_int_equal(after(&bench, 3, iec62056_t550), 0);
	assert_int_equal(after(&bench, 3, "/LUGCUH50\r\n"), -EBADMSG);
	driver_bench_stop(&bench);

	driver_bench_start(
		&bench, &bf_driver_iec62056, "wake=200 wake_pause=0s meter=\"12345678901234567890123456789012\"", 0);
	assert_int_equal(bf_driver_iec62056.ask(&bench.device, 0, NULL, &ask), 1);
	assert_int_equal(ask.n, 200 + 2 + 32 + 3);
	assert_false(ask.unanswered);
	assert_memory_equal(ask.bytes + 200, "/?12345678901234567890123456789012!\r\n", 37);
	asks(&bench, 1, "/LUGCUH50\r\n", &second);
	driver_bench_stop(&bench);
}

static void test_device_keys(void **state)
{
	(void)state;
	static const char *const none[] = {
		"meter=123456789012345678901234567890123", "meter=12/3", "meter=!", "meter=\xC4"};
	struct driver_bench bench;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		char keys[64];
		snprintf(keys, sizeof(keys), "meter=\"%s\"", none[i] + 6);
		driver_bench_start(&bench, &bf_driver_iec62056, keys, 0);
		assert_int_equal(bf_driver_iec62056.check(&bench.device, &bench.complaint), -EINVAL);
		assert_string_equal(bench.complaint.key, "meter");
		driver_bench_stop(&bench);
	}
	driver_bench_start(&bench, &bf_driver_iec62056, "meter=\"0012 AB\"", 0);
	assert_int_equal(bf_driver_iec62056.check(&bench.device, &bench.complaint), 0);
	struct bf_message_told two[2] = {{.name = "a"}, {.name = "b"}};
	struct bf_device device = {.keys = bench.device.keys, .messages = two, .n_messages = 2};
	assert_int_equal(bf_driver_iec62056.check(&device, &bench.complaint), -EINVAL);
	assert_string_equal(bench.complaint.message, "b");
	driver_bench_stop(&bench);
}

static void test_metric_keys(void **state)
{
	(void)state;
	static const char *const none[] = {"", "1", "1.", ".8", "1.8.", "1-0:1", "1-0:", "1.8.0*", "1.8.0*256",
		"1.8.0*1*2", "1-0:1-0:1.8.0", "1:0:1.8.0", "1.8.0 ", "X.8.0", "1.8.0(", "CC.1.0", "1-0:1.8.0.0", "1*8",
		"-1.8.0"};
	static const struct {
		const char *keys;
		enum bf_type type;
	} sound[] = {{"obis=1.8.0", BF_TYPE_F64}, {"obis=1-0:1.8.0*255 type=hex", BF_TYPE_U64},
		{"obis=C.1.0 type=text", BF_TYPE_STRING}, {"obis=6.8*01", BF_TYPE_F64},
		{"obis=0-1:24.2.1", BF_TYPE_F64}};
	struct driver_bench bench;
	struct bf_shape shape;
	char keys[64];
	start(&bench);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		snprintf(keys, sizeof(keys), "obis=\"%s\"", none[i]);
		if (driver_bench_shape(&bench, keys, &shape) != -EINVAL)
			fail_msg("%s is taken for a code", none[i]);
		assert_string_equal(bench.complaint.key, "obis");
	}
	for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
		assert_int_equal(driver_bench_shape(&bench, sound[i].keys, &shape), 0);
		assert_int_equal(shape.type, sound[i].type);
	}
	assert_int_equal(driver_bench_shape(&bench, "obis=1.8.0 type=text meter_unit=kWh", &shape), -EINVAL);
	assert_string_equal(bench.complaint.key, "meter_unit");
	driver_bench_stop(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meters),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_pieces_of_every_size),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_identification),
		cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_waking_and_address),
		cmocka_unit_test(test_device_keys),
		cmocka_unit_test(test_metric_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
