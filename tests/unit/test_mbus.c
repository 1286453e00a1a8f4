/*
 * The M-Bus driver: telegrams of meters that are out there, whole, in pieces, cut off, damaged, in noise; records that
 * are built to be malformed; every kind of data; and the conversation.
 */
#include "driver_bench.h"
#include "mbus_telegrams.h"
#include "sdk/check.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct bf_driver bf_driver_mbus;

static const char *const telegrams[] = {mbus_kamstrup, mbus_engelmann, mbus_pollucom, mbus_itron, mbus_landis, mbus_svm,
	mbus_emh, mbus_aquametro, mbus_elvaco, mbus_eastron, mbus_pollusonic};

#define N_TELEGRAMS (sizeof(telegrams) / sizeof(telegrams[0]))

static void start(struct driver_bench *bench)
{
	driver_bench_start(bench, &bf_driver_mbus, "", 0);
}

static void test_meters(void **state)
{
	(void)state;
	static const struct {
		const char *telegram, *metric, *expected;
	} rows[] = {
		{mbus_kamstrup, "header=id", "06855817"},
		{mbus_kamstrup, "header=manufacturer", "KAM"},
		{mbus_kamstrup, "header=version", "8"},
		{mbus_kamstrup, "header=medium", "4"},
		{mbus_kamstrup, "header=access", "4"},
		{mbus_kamstrup, "header=status", "0"},
		{mbus_kamstrup, "quantity=fabrication_number", "06855817"},
		{mbus_kamstrup, "quantity=energy", "37351000"},
		{mbus_kamstrup, "quantity=volume", "561.08"},
		{mbus_kamstrup, "quantity=on_time", "985"},
		{mbus_kamstrup, "quantity=flow_temperature", "101.69"},
		{mbus_kamstrup, "quantity=return_temperature", "46.16"},
		{mbus_kamstrup, "quantity=temperature_difference", "55.53"},
		{mbus_kamstrup, "quantity=power", "34700"},
		{mbus_kamstrup, "quantity=power function=max", "44800"},
		{mbus_kamstrup, "quantity=volume_flow", "0.543"},
		{mbus_kamstrup, "quantity=volume_flow function=max", "0.628"},
		{mbus_kamstrup, "quantity=energy tariff=1", "0"},
		{mbus_kamstrup, "quantity=energy tariff=2", "0"},
		{mbus_kamstrup, "quantity=volume subunit=1", "0"},
		{mbus_kamstrup, "quantity=energy subunit=3", "0"},
		{mbus_kamstrup, "quantity=energy tariff=3", "absent"},
		{mbus_kamstrup, "quantity=date_time", "2011-01-05T15:26:00"},
		{mbus_kamstrup, "quantity=energy storage=1", "33361000"},
		{mbus_kamstrup, "quantity=volume storage=1", "500.98"},
		{mbus_kamstrup, "quantity=power function=max storage=1", "55000"},
		{mbus_kamstrup, "quantity=volume_flow function=max storage=1", "1.027"},
		{mbus_kamstrup, "quantity=date storage=1", "2010-12-31"},
		{mbus_kamstrup, "record=9", "0.543"},
		{mbus_kamstrup, "record=26 type=date", "2010-12-31"},
		{mbus_kamstrup, "record=27", "absent"},
		{mbus_engelmann, "header=id", "10380010"},
		{mbus_engelmann, "header=manufacturer", "EFE"},
		{mbus_engelmann, "quantity=date_time", "2012-06-06T20:50:00"},
		{mbus_engelmann, "quantity=volume", "12.9"},
		{mbus_engelmann, "quantity=energy", "800000"},
		{mbus_engelmann, "quantity=energy storage=2", "500000"},
		{mbus_engelmann, "quantity=energy tariff=3", "0"},
		{mbus_engelmann, "quantity=flow_temperature", "95"},
		{mbus_engelmann, "quantity=return_temperature", "43"},
		{mbus_engelmann, "quantity=temperature_difference", "52.58"},
		{mbus_engelmann, "quantity=operating_time", "12144"}, /* 506 days */
		{mbus_engelmann, "quantity=error_flags", "0"},
		{mbus_engelmann, "quantity=volume vife=\"28\"", "0.1"}, /* a pulse: the volume of one */
		{mbus_engelmann, "quantity=date storage=2", "2010-12-31"},
		{mbus_pollucom, "header=manufacturer", "SEN"},
		{mbus_pollucom, "quantity=energy", "19019000"},
		{mbus_pollucom, "quantity=volume", "1621.119"},
		{mbus_pollucom, "quantity=flow_temperature", "35.9"},
		{mbus_pollucom, "quantity=return_temperature", "23.3"},
		{mbus_pollucom, "quantity=temperature_difference", "12.614"},
		{mbus_pollucom, "quantity=location", "63940045"},
		{mbus_itron, "quantity=volume", "453.5"},
		{mbus_itron, "quantity=volume storage=1", "453.5"},
		{mbus_itron, "label=\"bat. time\"", "4050"},
		{mbus_itron, "label=\"cust. ID\" type=text", "none"}, /* blanks */
		{mbus_itron, "label=\"cust. I\" type=text", "absent"},
		{mbus_itron, "quantity=date_time", "2011-10-25T15:39:00"},
		{mbus_landis, "header=id", "66660205"},
		{mbus_landis, "header=status", "16"},
		{mbus_landis, "quantity=flow_temperature", "19.5"},
		{mbus_landis, "quantity=temperature_difference", "-0.2"},
		{mbus_landis, "quantity=flow_temperature function=max tariff=1", "30.7"},
		{mbus_landis, "quantity=flow_temperature function=max tariff=1 vife=6F type=date",
			"2011-08-26T20:50:00"},
		{mbus_landis, "quantity=return_temperature function=max tariff=1 vife=6F type=date",
			"2011-08-09T11:43:00"},
		{mbus_landis, "quantity=on_time", "3769"},
		{mbus_landis, "quantity=on_time function=error storage=1", "3469"},
		{mbus_landis, "quantity=averaging_time", "8"},
		{mbus_landis, "quantity=averaging_time tariff=1", "420"},
		{mbus_landis, "quantity=actuality_time", "4"},
		{mbus_landis, "quantity=date_time", "2012-01-13T12:04:00"},
		{mbus_landis, "quantity=date_time storage=510", "none"}, /* year 127 */
		{mbus_svm, "quantity=energy", "28014000"},
		{mbus_svm, "quantity=volume", "640.581"},
		{mbus_svm, "quantity=power", "0"},
		{mbus_svm, "quantity=on_time", "6370"},
		{mbus_svm, "quantity=operating_time", "6363"},
		{mbus_svm, "quantity=date_time", "2021-02-08T21:12:00"},
		{mbus_svm, "quantity=hca subunit=2", "0"},
		{mbus_svm, "header=status", "112"},
		{mbus_emh, "quantity=energy tariff=1", "4090"},
		{mbus_emh, "quantity=power storage=1", "0"},
		{mbus_aquametro, "quantity=energy", "1389817000"},
		{mbus_aquametro, "quantity=volume", "504647"},
		{mbus_aquametro, "quantity=flow_temperature", "41.737434"},
		{mbus_aquametro, "quantity=return_temperature", "35.46365"},
		{mbus_elvaco, "label=%RH", "45.64"},
		{mbus_elvaco, "label=%RH function=min", "45.52"},
		{mbus_elvaco, "label=%RH function=max", "58.12"},
		{mbus_elvaco, "quantity=temperature", "22.56"},
		{mbus_elvaco, "quantity=temperature function=min", "21.6"},
		{mbus_elvaco, "quantity=temperature function=max", "23.39"},
		{mbus_elvaco, "quantity=temperature storage=2", "22.69"},
		{mbus_elvaco, "quantity=averaging_time", "86400"},
		{mbus_elvaco, "quantity=digital_input", "0"},
		{mbus_elvaco, "record=11 type=flags", "262144"}, /* the software's version, of no quantity here */
		{mbus_eastron, "quantity=voltage", "1234.56"},
		{mbus_eastron, "quantity=voltage nth=6", "1234.56"},
		{mbus_eastron, "quantity=voltage nth=7", "absent"},
		{mbus_eastron, "quantity=current nth=4", "123.456"},
		{mbus_eastron, "quantity=power nth=2", "12345.6"},
		{mbus_eastron, "quantity=count nth=9", "50"},
		{mbus_pollusonic, "quantity=energy", "absent"},
		{mbus_pollusonic, "header=id", "absent"},
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
		for (size_t cut = 1; cut <= n; cut++) {
			driver_bench_clear(&bench);
			driver_bench_feed(&bench, bytes, n, cut);
			assert_int_equal(bench.n_messages, 1);
			assert_int_equal(bench.n_damaged + bench.n_skipped + bench.n_input, 0);
			driver_bench_clear(&bench);
			driver_bench_feed(&bench, bytes, cut, cut);
			assert_int_equal(bench.n_messages, cut == n);
			driver_bench_feed(&bench, bytes + cut, n - cut, n);
			assert_int_equal(bench.n_messages, 1);
		}
	}
	driver_bench_stop(&bench);
}

static void count_telegram(struct driver_bench *bench, const struct bf_message *message)
{
	*(size_t *)bench->owner += message->n > 1; /* what is longer than an acknowledgement */
}

/* A byte like any other acknowledges, and damaged telegrams are full of it: it must carry no value, and no telegram
 * may come of them. */
static void test_every_bit(void **state)
{
	(void)state;
	struct driver_bench bench;
	size_t n_telegrams = 0;
	start(&bench);
	bench.heard = count_telegram;
	bench.owner = &n_telegrams;
	for (size_t i = 0; i < N_TELEGRAMS; i++) {
		size_t n;
		uint8_t *bytes = (uint8_t *)driver_bench_bytes(&bench, telegrams[i], &n);
		for (size_t bit = 0; bit < 8 * n; bit++) {
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			driver_bench_clear(&bench);
			driver_bench_feed(&bench, bytes, n, n);
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(n_telegrams, 0);
		}
	}
	driver_bench_stop(&bench);
}

static void test_an_acknowledgement_says_nothing(void **state)
{
	(void)state;
	struct driver_bench bench;
	start(&bench);
	driver_bench_feed(&bench, (const uint8_t *)"\xE5", 1, 1);
	assert_int_equal(bench.n_messages, 1);
	driver_bench_reads(&bench, "quantity=energy", "absent");
	driver_bench_reads(&bench, "record=0", "absent");
	driver_bench_reads(&bench, "header=status", "absent");
	driver_bench_stop(&bench);
}

/* Cut off anywhere, or behind noise.  Without a pause in between, a beginning that noise makes up may swallow as much
 * as it says it is long; what comes after that is heard. */
static void test_cut_off_and_noise(void **state)
{
	(void)state;
	struct driver_bench bench;
	uint64_t seed = 3;
	size_t n_telegrams = 0;
	start(&bench);
	bench.heard = count_telegram;
	bench.owner = &n_telegrams;
	for (size_t i = 0; i < N_TELEGRAMS; i++) {
		size_t n;
		const uint8_t *bytes = driver_bench_bytes(&bench, telegrams[i], &n);
		for (size_t cut = 0; cut < n; cut++) {
			uint8_t noise[64];
			for (size_t k = 0; k < sizeof(noise); k++)
				noise[k] =
					(uint8_t)(driver_bench_chance(&seed) & 1 ? 0x68 : driver_bench_chance(&seed));
			driver_bench_clear(&bench);
			driver_bench_feed(&bench, bytes, cut, cut + 1);
			driver_bench_feed(&bench, noise, sizeof(noise), 7);
			assert_int_equal(n_telegrams, 0);
			for (unsigned k = 0; k * n < 600; k++)
				driver_bench_feed(&bench, bytes, n, n);
			assert_in_range(n_telegrams, 1, 600 / n + 1);
			n_telegrams = 0;
		}
	}
	driver_bench_stop(&bench);
}

/* 68 L L 68 … sum 16, and C of an answer: of random bytes one place in 2^42 or so. */
static void test_none_invented(void **state)
{
	(void)state;
	struct driver_bench bench;
	uint64_t seed = 11;
	uint8_t bytes[64];
	size_t n_telegrams = 0;
	start(&bench);
	bench.heard = count_telegram;
	bench.owner = &n_telegrams;
	for (size_t i = 0; i < 4000000; i += sizeof(bytes)) {
		for (size_t k = 0; k < sizeof(bytes); k++)
			bytes[k] = (uint8_t)driver_bench_chance(&seed);
		driver_bench_feed(&bench, bytes, sizeof(bytes), sizeof(bytes));
	}
	assert_int_equal(n_telegrams, 0);
	driver_bench_clear(&bench);
	for (unsigned run = 0; run < 100000; run++) { /* all but the sum, of eight bits, is right */
		memcpy(bytes, "\x68\x05\x05\x68\x08\x01\x72", 7);
		bytes[7] = bytes[8] = (uint8_t)(driver_bench_chance(&seed) & 7);
		bytes[9] = (uint8_t)driver_bench_chance(&seed);
		bytes[10] = 0x16;
		driver_bench_feed(&bench, bytes, 11, 11);
	}
	assert_in_range(n_telegrams, 250, 550); /* 390 are expected */
	driver_bench_stop(&bench);
}

/* A telegram around records. */
static void telegram(struct driver_bench *bench, const char *records)
{
	size_t n;
	uint8_t frame[300] = {0x68, 0, 0, 0x68, 0x08, 0x01, 0x72, 0x78, 0x56, 0x34, 0x12, 0x2D, 0x2C, 1, 4, 0, 0, 0, 0};
	const uint8_t *bytes = driver_bench_bytes(bench, records, &n);
	assert_true(n <= 240);
	memcpy(frame + 19, bytes, n);
	frame[1] = frame[2] = (uint8_t)(15 + n);
	frame[19 + n] = bf_sum8(frame + 4, 15 + n);
	frame[20 + n] = 0x16;
	driver_bench_clear(bench);
	driver_bench_feed(bench, frame, 21 + n, 21 + n);
	assert_int_equal(bench->n_messages, 1);
}

static void test_data(void **state)
{
	(void)state;
	static const struct {
		const char *records, *metric, *expected;
	} rows[] = {
		{"01 03 FF", "quantity=energy", "-1"},
		{"02 03 0080", "quantity=energy", "none"},
		{"01 03 80", "quantity=energy", "none"},
		{"03 03 010080", "quantity=energy", "-8388607"},
		{"04 00 D2029649", "quantity=energy", "1234567.89"},
		{"04 07 01000000", "quantity=energy", "10000"},
		{"06 03 FFFFFFFFFF7F", "quantity=energy", "140737488355327"},
		{"07 03 FFFFFFFFFFFFFF7F", "quantity=energy", "9.223372036854776e18"},
		{"07 03 0000000000000080", "quantity=energy", "none"},
		{"04 0F 01000000", "quantity=energy_joule", "10000000"},
		{"04 0F 01000000", "quantity=energy", "absent"},
		{"04 FB01 01000000", "quantity=energy", "1000000"},
		{"04 FB09 01000000", "quantity=energy_joule", "1000000000"},
		{"04 10 01000000", "quantity=volume", "1e-6"},
		{"04 FB11 01000000", "quantity=volume", "1000"},
		{"04 1F 01000000", "quantity=mass", "10000"},
		{"04 37 01000000", "quantity=power_joule", "10000000"},
		{"04 FB29 01000000", "quantity=power", "1000000"},
		{"04 40 01000000", "quantity=volume_flow", "6e-6"},
		{"04 47 01000000", "quantity=volume_flow", "60"},
		{"04 48 01000000", "quantity=volume_flow", "3.6e-6"},
		{"04 4F 0F270000", "quantity=volume_flow", "359964"},
		{"04 57 01000000", "quantity=mass_flow", "10000"},
		{"02 6A 7B00", "quantity=pressure", "12.3"},
		{"02 FB1A 0102", "quantity=humidity", "51.3"},
		{"02 FB2D 8813", "quantity=frequency", "50"},
		{"02 FD49 E600", "quantity=voltage", "230"},
		{"02 FD59 1027", "quantity=current", "10"},
		{"02 20 100E", "quantity=on_time", "1"},
		{"02 25 1E00", "quantity=operating_time", "0.5"},
		{"01 77 02", "quantity=actuality_time", "172800"},
		{"01 FD74 64", "quantity=battery_days", "100"},
		{"09 03 42", "quantity=energy", "42"},
		{"09 03 F2", "quantity=energy", "-2"},
		{"0A 03 34F2", "quantity=energy", "-234"},
		{"0A 03 34C2", "quantity=energy", "none"},
		{"0A 03 3A12", "quantity=energy", "none"},
		{"0B 03 563412", "quantity=energy", "123456"},
		{"0C 03 78563412", "quantity=energy", "12345678"},
		{"0E 03 129078563412", "quantity=energy", "123456789012"},
		{"0E 79 129078563412", "quantity=identification", "123456789012"},
		{"05 03 00004842", "quantity=energy", "50"},
		{"05 06 00004842", "quantity=energy", "50000"},
		{"05 00 CDCCCC3D", "quantity=energy", "0.0001"},
		{"05 03 0000C07F", "quantity=energy", "none"},
		{"05 03 0000807F", "quantity=energy", "none"},
		{"05 03 CDCC0CC0", "quantity=energy", "-2.2"},
		{"05 03 CAF24971", "quantity=energy", "1e30"},
		{"05 03 5F708930", "quantity=energy", "1e-9"},
		{"05 FD17 00000000", "quantity=error_flags", "none"},
		{"00 03", "quantity=energy", "none"},
		{"08 03", "quantity=energy", "none"},
		{"01 FD17 FF", "quantity=error_flags", "255"},
		{"02 FD17 0080", "quantity=error_flags", "32768"},
		{"07 FD17 FFFFFFFFFFFFFFFF", "quantity=error_flags", "18446744073709551615"},
		{"09 FD17 12", "quantity=error_flags", "12"},
		{"04 78 D2029649", "quantity=fabrication_number", "1234567890"},
		{"0D FD11 03 434241", "quantity=customer", "ABC"},
		{"0D FD11 03 204241", "quantity=customer", "AB"},
		{"0D FD11 00", "quantity=customer", "none"},
		{"0D FD11 02 0A41", "quantity=customer", "none"},
		{"0D 03 C2 3412", "quantity=energy", "1234"},
		{"0D 03 D2 3412", "quantity=energy", "-1234"},
		{"0D 03 E2 3412", "quantity=energy", "4660"},
		{"0D 03 E0", "quantity=energy", "none"},
		{"0D 03 C0", "quantity=energy", "none"},
		{"0D 03 CF 000000000000000000000000000000", "quantity=energy", "none"},
		{"0D 03 EF 000000000000000000000000000000", "quantity=energy", "none"},
		{"0D 03 F0 0000", "quantity=energy", "absent"},
		{"02 6C 7F1C", "quantity=date", "2011-12-31"},
		{"02 6C 0000", "quantity=date", "none"},
		{"02 6C FFFF", "quantity=date", "none"},
		{"02 6C 21CC", "quantity=date", "1997-12-01"},
		{"04 6D BB0F791A", "quantity=date_time", "none"}, /* said to be invalid */
		{"04 6D 3C0F791A", "quantity=date_time", "none"}, /* minute 60 */
		{"04 6D 0018791A", "quantity=date_time", "none"}, /* hour 24 */
		{"06 6D 1E0F0D791A00", "quantity=date_time", "2011-10-25T13:15:30"},
		{"03 6D 1E0F0D", "quantity=date_time", "none"},
		{"0A 6C 3412", "quantity=date", "none"},
		/* What stands behind the VIF */
		{"04 86 3C 01000000", "quantity=energy", "absent"},
		{"04 86 3C 01000000", "quantity=energy vife=3C", "1000"},
		{"04 86 3C 01000000", "quantity=energy vife=\"3C 3C\"", "absent"},
		{"04 83 00 01000000", "quantity=energy", "1"},
		{"04 83 7D 01000000", "quantity=energy", "1000"},
		{"04 83 70 01000000", "quantity=energy", "1e-6"},
		{"04 83 F7 3C 01000000", "quantity=energy vife=3C", "10"},
		{"04 83 FF 09 01000000", "quantity=energy vife=\"7F 09\"", "1"},
		{"04 83 FF 74 01000000", "quantity=energy vife=\"7F 74\"", "1"}, /* no power of ten: the maker's own */
		{"04 FF 74 01000000", "record=0", "1"},
		{"04 7F 01000000", "record=0", "1"},
		{"04 FB7F 01000000", "record=0", "1"},
		{"2F 2F 01 03 05 2F", "quantity=energy", "5"},
		{"41 03 05", "quantity=energy storage=1", "5"},
		{"C1 8F 8F 8F 8F 8F 8F 8F 0F 03 05", "quantity=energy storage=2147483647", "absent"},
		{"81 40 03 05", "quantity=energy subunit=1", "5"},
		{"81 30 03 05", "quantity=energy tariff=3", "5"},
		{"81 B0 30 03 05", "quantity=energy tariff=15", "5"},
		{"81 80 80 80 80 80 80 80 80 80 00 03 05", "quantity=energy", "5"},         /* ten */
		{"81 80 80 80 80 80 80 80 80 80 80 00 03 05", "quantity=energy", "absent"}, /* eleven */
		{"01 83 80 80 80 80 80 80 80 80 80 00 05", "quantity=energy", "5"},
		{"01 83 80 80 80 80 80 80 80 80 80 80 00 05", "quantity=energy", "absent"},
		/* Cut off, and what is not known */
		{"04 03 0100", "quantity=energy", "absent"},
		{"04", "quantity=energy", "absent"},
		{"84", "quantity=energy", "absent"},
		{"84 80", "quantity=energy", "absent"},
		{"04 83", "quantity=energy", "absent"},
		{"04 FB", "quantity=energy", "absent"},
		{"04 7C", "quantity=energy", "absent"},
		{"04 7C 05 41", "label=A", "absent"},
		{"0D 03", "quantity=energy", "absent"},
		{"0D 03 05 41", "quantity=energy", "absent"},
		{"3F 01 03 05", "quantity=energy", "absent"},
		{"7F 01 03 05", "quantity=energy", "absent"},
		{"0F 01 03 05", "quantity=energy", "absent"},
		{"01 03 05 01 03 06", "quantity=energy nth=2", "6"},
	};
	struct driver_bench bench;
	start(&bench);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		telegram(&bench, rows[i].records);
		const char *told = driver_bench_value(&bench, rows[i].metric);
		if (strcmp(told, rows[i].expected) != 0)
			fail_msg("%s: %s is %s, not %s", rows[i].records, rows[i].metric, told, rows[i].expected);
	}
	driver_bench_stop(&bench);
}

/* Other structures and headers: sound, and only what is known is read. */
static void test_headers(void **state)
{
	(void)state;
	struct driver_bench bench;
	start(&bench);
	driver_bench_hear_digits(&bench, "68 0A 0A 68 08 01 7A 01 02 00 00 01 03 05 8F 16"); /* the short header */
	driver_bench_reads(&bench, "quantity=energy", "5");
	driver_bench_reads(&bench, "header=status", "absent");
	driver_bench_hear_digits(&bench, "68 06 06 68 08 01 78 01 03 05 8A 16"); /* none */
	driver_bench_reads(&bench, "quantity=energy", "5");
	driver_bench_hear_digits(&bench, "68 04 04 68 08 01 70 08 81 16"); /* the error of an application */
	driver_bench_reads(&bench, "quantity=energy", "absent");
	driver_bench_hear_digits(&bench, "68 05 05 68 08 01 72 01 02 7E 16"); /* shorter than its header */
	driver_bench_reads(&bench, "quantity=energy", "absent");
	driver_bench_reads(&bench, "header=id", "absent");
	driver_bench_stop(&bench);
}

/* What a master says (a converter's echo) and other meters' telegrams are none of the device's. */
static void test_others(void **state)
{
	(void)state;
	struct driver_bench bench;
	size_t n;
	driver_bench_start(&bench, &bf_driver_mbus, "", 17);
	driver_bench_hear_digits(&bench, mbus_kamstrup);
	driver_bench_clear(&bench);
	const uint8_t *bytes = driver_bench_bytes(&bench, "10 7B 11 8C 16 10 40 FE 3E 16", &n);
	for (size_t piece = 1; piece <= n; piece++) {
		driver_bench_clear(&bench);
		driver_bench_feed(&bench, bytes, n, piece);
		assert_int_equal(bench.n_messages + bench.n_others + bench.n_damaged, 0);
		assert_int_equal(bench.n_skipped, n);
	}
	bytes = driver_bench_bytes(&bench, "68 0B 0B 68 53 FD 52 10 00 38 10 FF FF FF FF F6 16", &n);
	driver_bench_clear(&bench);
	driver_bench_feed(&bench, bytes, n, n);
	assert_int_equal(bench.n_skipped, n);
	bytes = driver_bench_bytes(&bench, mbus_engelmann, &n);
	driver_bench_clear(&bench);
	driver_bench_feed(&bench, bytes, n, n);
	assert_int_equal(bench.n_others, 1);
	assert_int_equal(bench.n_messages, 0);
	driver_bench_stop(&bench);

	driver_bench_start(&bench, &bf_driver_mbus, "secondary=\"1038FF10\"", 0);
	driver_bench_hear_digits(&bench, mbus_engelmann);
	bytes = driver_bench_bytes(&bench, mbus_kamstrup, &n);
	driver_bench_clear(&bench);
	driver_bench_feed(&bench, bytes, n, n);
	assert_int_equal(bench.n_others, 1);
	driver_bench_stop(&bench);

	driver_bench_start(&bench, &bf_driver_mbus, "", 254);
	driver_bench_hear_digits(&bench, mbus_engelmann);
	driver_bench_stop(&bench);
}

static void asks(struct driver_bench *bench, unsigned step, const struct bf_message *answer, const char *expected)
{
	struct bf_ask ask = {0};
	size_t n;
	const uint8_t *bytes = driver_bench_bytes(bench, expected, &n);
	assert_int_equal(bf_driver_mbus.ask(&bench->device, step, answer, &ask), 1);
	assert_int_equal(ask.n, n);
	assert_memory_equal(ask.bytes, bytes, n);
	assert_true(ask.pause_us > 0);
	assert_int_equal(ask.baud, 0);
	assert_false(ask.unanswered);
}

static void test_conversation(void **state)
{
	(void)state;
	struct driver_bench bench;
	struct bf_ask ask;
	const struct bf_message acknowledged = {0, (const uint8_t *)"\xE5", 1};
	driver_bench_start(&bench, &bf_driver_mbus, "", 3);
	asks(&bench, 0, NULL, "10 40 03 43 16");
	asks(&bench, 1, &acknowledged, "10 7B 03 7E 16");
	driver_bench_hear_digits(&bench, mbus_engelmann);
	assert_int_equal(bf_driver_mbus.ask(&bench.device, 2, &bench.last, &ask), 0);
	assert_int_equal(bf_driver_mbus.ask(&bench.device, 1, &bench.last, &ask), -EBADMSG);
	assert_int_equal(bf_driver_mbus.ask(&bench.device, 2, &acknowledged, &ask), -EBADMSG);
	driver_bench_stop(&bench);

	/* Several telegrams: the bit toggles, and records are counted on. */
	start(&bench);
	asks(&bench, 0, NULL, "10 40 FE 3E 16");
	asks(&bench, 1, &acknowledged, "10 7B FE 79 16");
	driver_bench_hear_digits(&bench, mbus_svm);
	driver_bench_reads(&bench, "record=0", "28014000");
	driver_bench_reads(&bench, "record=13", "absent");
	asks(&bench, 2, &bench.last, "10 5B FE 59 16");
	driver_bench_hear_digits(&bench, mbus_pollucom);
	driver_bench_reads(&bench, "record=13", "19019000");
	driver_bench_reads(&bench, "record=0", "absent");
	driver_bench_reads(&bench, "quantity=energy", "19019000");
	asks(&bench, 3, &bench.last, "10 7B FE 79 16");
	driver_bench_hear_digits(&bench, mbus_emh);
	driver_bench_reads(&bench, "record=22", "4090");
	assert_int_equal(bf_driver_mbus.ask(&bench.device, 4, &bench.last, &ask), 0);
	asks(&bench, 0, NULL, "10 40 FE 3E 16");
	driver_bench_hear_digits(&bench, mbus_svm);
	driver_bench_reads(&bench, "record=0", "28014000");
	/* One that never ends. */
	for (unsigned step = 2; step <= 16; step++)
		assert_int_equal(bf_driver_mbus.ask(&bench.device, step, &bench.last, &ask), 1);
	assert_int_equal(bf_driver_mbus.ask(&bench.device, 17, &bench.last, &ask), 0);
	driver_bench_stop(&bench);

	driver_bench_start(&bench, &bf_driver_mbus, "secondary=\"10380010\"", 0);
	asks(&bench, 0, NULL, "68 0B 0B 68 53 FD 52 10 00 38 10 FF FF FF FF F6 16");
	asks(&bench, 1, &acknowledged, "10 7B FD 78 16");
	driver_bench_stop(&bench);
}

static void refused(const char *keys, uint8_t address, const char *key, const char *what)
{
	struct driver_bench bench;
	driver_bench_start(&bench, &bf_driver_mbus, keys, address);
	int err = bf_driver_mbus.check(&bench.device, &bench.complaint);
	assert_int_equal(err, what ? -EINVAL : 0);
	if (what) {
		assert_string_equal(bench.complaint.key, key);
		assert_non_null(strstr(bench.complaint.what, what));
	}
	driver_bench_stop(&bench);
}

static void test_device_keys(void **state)
{
	(void)state;
	refused("", 0, NULL, NULL);
	refused("", 1, NULL, NULL);
	refused("", 250, NULL, NULL);
	refused("", 254, NULL, NULL);
	refused("", 251, "address", "no meter's address");
	refused("", 253, "address", "no meter's address");
	refused("", 255, "address", "no meter's address");
	refused("secondary=\"12345678\"", 0, NULL, NULL);
	refused("secondary=\"1234FFFF\"", 0, NULL, NULL);
	refused("secondary=\"12345678\"", 1, "secondary", "beside an address");
	refused("secondary=\"1234567\"", 0, "secondary", "eight digits");
	refused("secondary=\"123456789\"", 0, "secondary", "eight digits");
	refused("secondary=\"1234567A\"", 0, "secondary", "eight digits");
	struct bf_message_told two[2] = {{.name = "a"}, {.name = "b"}};
	struct bf_device device = {.messages = two, .n_messages = 2};
	struct bf_complaint complaint;
	assert_int_equal(bf_driver_mbus.check(&device, &complaint), -EINVAL);
	assert_string_equal(complaint.message, "b");
}

static void test_metric_keys(void **state)
{
	(void)state;
	static const struct {
		const char *keys;
		enum bf_type type;
	} sound[] = {{"quantity=energy", BF_TYPE_F64}, {"quantity=date", BF_TYPE_STRING},
		{"quantity=error_flags", BF_TYPE_U64}, {"quantity=customer", BF_TYPE_STRING},
		{"quantity=customer type=number", BF_TYPE_F64}, {"record=3", BF_TYPE_F64},
		{"record=3 type=date", BF_TYPE_STRING}, {"label=x", BF_TYPE_F64}, {"label=x type=text", BF_TYPE_STRING},
		{"header=id", BF_TYPE_STRING}, {"header=manufacturer", BF_TYPE_STRING}, {"header=status", BF_TYPE_U64}};
	static const struct {
		const char *keys, *key, *what;
	} faulty[] = {{"", NULL, "says nothing of what it reads"}, {"type=text", NULL, "says nothing of what it reads"},
		{"quantity=energy record=3", NULL, "more than one of"}, {"header=id label=x", NULL, "more than one of"},
		{"header=id type=text", "type", "beside a header"}};
	struct driver_bench bench;
	struct bf_shape shape;
	start(&bench);
	for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
		assert_int_equal(driver_bench_shape(&bench, sound[i].keys, &shape), 0);
		assert_int_equal(shape.type, sound[i].type);
	}
	for (size_t i = 0; i < sizeof(faulty) / sizeof(faulty[0]); i++) {
		assert_int_equal(driver_bench_shape(&bench, faulty[i].keys, &shape), -EINVAL);
		assert_true(faulty[i].key ? strcmp(bench.complaint.key, faulty[i].key) == 0 : !bench.complaint.key);
		assert_non_null(strstr(bench.complaint.what, faulty[i].what));
	}
	driver_bench_stop(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meters),
		cmocka_unit_test(test_pieces_of_every_size),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_an_acknowledgement_says_nothing),
		cmocka_unit_test(test_cut_off_and_noise),
		cmocka_unit_test(test_none_invented),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_conversation),
		cmocka_unit_test(test_device_keys),
		cmocka_unit_test(test_metric_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
