/* Values of the text driver: each way to name a place, each type, their edges; and what the keys of a map may say. */
#include "text_bench.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct text_bench bench;

/* One field of a line "x;FIELD;y" read as a type: the metric "v" told, "?" when it is no value. */
static void field(const char *type, const char *is, const char *told)
{
	char line[512], wanted[300];
	text_bench_start(&bench, "text.split", ";", "text.first", "read", NULL);
	text_bench_metric(&bench, "v", "column", "1", "type", type, NULL);
	assert_int_equal(text_bench_check(&bench), 0);
	snprintf(line, sizeof(line), "x;%s;y\r\n", is);
	snprintf(wanted, sizeof(wanted), " v=%s\n", told);
	text_bench_feed(&bench, line, strlen(line));
	assert_string_equal(bench.told, wanted);
}

static void test_numbers(void **state)
{
	(void)state;
	field("dec", "21.4", "21.4");
	field("dec", "  +0021.40 ", "21.4");
	field("dec", "-0.5", "-0.5");
	field("dec", "-", "?");
	field("dec", "+    123.45", "123.45");
	field("dec", "- 7", "-7");
	field("dec", ".5", "0.5");
	field("dec", "5.", "5");
	field("dec", ".", "?");
	field("dec", "", "?");
	field("dec", "1e3", "1000");
	field("dec", "1.5E-2", "0.015");
	field("dec", "1e", "?");
	field("dec", "1e+", "?");
	field("dec", "1e400", "?");
	field("dec", "1e9999999999", "?");
	field("dec", "1e-400", "0");
	field("dec", "21,4", "?");
	field("dec", "21.4C", "?");
	field("dec", "2 1", "?");
	field("dec", "--1", "?");
	field("dec", "1.2.3", "?");
	field("dec", "nan", "?");
	field("dec", "inf", "?");
	field("dec", "0x10", "?");
	field("dec", "0.1234567890123456789", "0.12345678901234568");
	field("dec", "9007199254740993", "9.007199254740992e15");
	field("dec", "00000000000000000000000000000000000000000000000000000000000000001", "?"); /* 65 digits */
	field("int", "9223372036854775807", "9223372036854775807");
	field("int", "-9223372036854775808", "-9223372036854775808");
	field("int", "9223372036854775808", "?");
	field("int", "-9223372036854775809", "?");
	field("int", "0042", "42");
	field("int", "4.0", "?");
	field("int", "", "?");
	field("hex", "0xA042", "41026");
	field("hex", "ffFFffFFffFFffFF", "18446744073709551615");
	field("hex", "10000000000000000", "?");
	field("hex", "0x", "?");
	field("hex", "G", "?");
	field("bool", "ON", "true");
	field("bool", "off", "false");
	field("bool", "1", "true");
	field("bool", "2", "?");
	field("text", "  HQ1411 ", "HQ1411");
	field("text", "µ", "µ");
	field("text", "\xB5", "?");
	field("text", "", "?");
	field("hex_text", "4B384547", "K8EG");
	field("hex_text", "4B3", "?");
	field("hex_text", "FF", "?");
	field("hex_text", "4x", "?");
}

static void test_no_locale_has_a_say(void **state)
{
	(void)state;
	static const char *const commas[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "C"};
	size_t i = 0;
	while (!setlocale(LC_ALL, commas[i]))
		i++;
	field("dec", "21.4", "21.4");
	field("dec", "21,4", "?");
	setlocale(LC_ALL, "C");
}

static void test_decimal_comma(void **state)
{
	(void)state;
	text_bench_start(&bench, "text.split", ";", "text.first", "read", "text.decimal", "comma", NULL);
	text_bench_metric(&bench, "a", "column", "0", NULL);
	text_bench_metric(&bench, "b", "column", "1", NULL);
	assert_int_equal(text_bench_check(&bench), 0);
	text_bench_feed(&bench, "21,4;1.5\n", 9);
	assert_string_equal(bench.told, " a=21.4 b=?\n");
}

static void nmea(const char *line, const char *told)
{
	text_bench_start(&bench, "text.first", "read", NULL);
	text_bench_metric(&bench, "angle", "column", "0", "type", "nmea_angle", "sign", "1", NULL);
	text_bench_metric(&bench, "speed", "column", "2", "type", "nmea_speed", "letter", "3", NULL);
	assert_int_equal(text_bench_check(&bench), 0);
	text_bench_feed(&bench, line, strlen(line));
	text_bench_feed(&bench, "\n", 1);
	assert_string_equal(bench.told, told);
}

static void test_nmea_types(void **state)
{
	(void)state;
	nmea("4807.038,N,10,M", " angle=48.1173 speed=10\n");
	nmea("01131.000,W,36,K", " angle=-11.516666666666667 speed=10\n");
	nmea("3345.6789,S,3600,N", " angle=-33.761315 speed=1852\n");
	nmea("18000.000,E,1,S", " angle=180 speed=0.44704\n");
	nmea("9000.001,N,1,X", " angle=? speed=?\n");
	nmea("4860.000,N,1,", " angle=? speed=?\n");
	nmea("4807.038,,1", " angle=? speed=?\n");
	nmea("07.0,N,,M", " angle=? speed=?\n");
	nmea("-4807.038,N,1,MM", " angle=? speed=?\n");
	nmea(",,,", " angle=? speed=?\n");
}

static void read_line(const char *line, const char *told)
{
	assert_int_equal(text_bench_check(&bench), 0);
	text_bench_feed(&bench, line, strlen(line));
	assert_string_equal(bench.told, told);
}

static void test_columns(void **state)
{
	(void)state;
	text_bench_start(&bench, "text.split", "; ", "text.first", "read", NULL);
	text_bench_metric(&bench, "a", "column", "0", NULL);
	text_bench_metric(&bench, "c", "column", "2", NULL);
	read_line("  1   2 ;; 3  \r\n", " a=1 c=3\n"); /* runs */

	text_bench_start(&bench, "text.first", "read", NULL);
	text_bench_metric(&bench, "b", "column", "1", NULL);
	text_bench_metric(&bench, "far", "column", "9", NULL);
	read_line("1,,3\n", " b=?\n"); /* an empty one is no value, one that is not there says nothing */

	text_bench_start(&bench, "text.first", "read", NULL);
	text_bench_metric(&bench, "cell_1", "column", "1", "step", "2", NULL);
	text_bench_metric(&bench, "cell_2", "column", "1", "step", "2", NULL);
	bench.metrics[1].index = 1;
	read_line("0,1,2,3,4\n", " cell_1=1 cell_2=3\n");
}

static void test_pairs(void **state)
{
	(void)state;
	text_bench_start(&bench, "text.keys", "pairs", "text.assign", "=", "text.first", "read", NULL);
	text_bench_metric(&bench, "t", "key", "T", NULL);
	text_bench_metric(&bench, "h", "key", "H", NULL);
	text_bench_metric(&bench, "gone", "key", "X", NULL);
	read_line("T=21.4  H=48 TT=9\n", " t=21.4 h=48\n");

	text_bench_start(
		&bench, "text.keys", "pairs", "text.split", ",", "text.assign", ":=", "text.first", "read", NULL);
	text_bench_metric(&bench, "t", "key", "T", NULL);
	text_bench_metric(&bench, "h", "key", "H", NULL);
	read_line("T: 21.4, H: , x\n", " t=21.4 h=?\n");

	text_bench_start(&bench, "text.keys", "pairs", "text.split", ":", "text.first", "read", NULL);
	text_bench_metric(&bench, "t", "key", "Temp", NULL);
	text_bench_metric(&bench, "second", "key", "Temp", "column", "2", NULL);
	read_line("Temp: 21.4 : 7\n", " t=21.4 second=7\n");
}

static void obis(const char *line, const char *key, const char *bracket, const char *told)
{
	text_bench_start(&bench, "text.keys", "obis", "text.first", "read", NULL);
	if (bracket)
		text_bench_metric(&bench, "v", "key", key, "bracket", bracket, "type", "text", NULL);
	else
		text_bench_metric(&bench, "v", "key", key, "type", "text", NULL);
	read_line(line, told);
}

static void test_obis(void **state)
{
	(void)state;
	obis("1-0:1.8.1(001234.567*kWh)\n", "1-0:1.8.1", NULL, " v=001234.567\n");
	obis("1-0:1.8.1(001234.567*kWh)\n", "1.8.1", NULL, " v=001234.567\n");
	obis("1-0:1.8.1*255(001234.567*kWh)\n", "1-0:1.8.1", NULL, " v=001234.567\n");
	obis("1.8.1*01(7)1.8.1(8)\n", "1.8.1", NULL, " v=8\n"); /* not that of the past */
	obis("1.8.1*01(7)1.8.1(8)\n", "1.8.1*01", NULL, " v=7\n");
	obis("2.8.1(7)\n", "1-0:2.8.1", NULL, "\n"); /* the map asks for more than the meter says */
	obis("0-1:24.2.1(101209112500W)(12785.123*m3)\n", "0-1:24.2.1", NULL, " v=12785.123\n");
	obis("0-1:24.2.1(101209112500W)(12785.123*m3)\n", "0-1:24.2.1", "0", " v=101209112500W\n");
	obis("0-1:24.2.1(101209112500W)(12785.123*m3)\n", "0-1:24.2.1", "2", "\n");
	obis("0-0:96.13.0()\n", "0-0:96.13.0", NULL, " v=?\n");
	obis("1.8.1(7\n", "1.8.1", NULL, "\n"); /* never closed */
	obis("1.8.1(7(8)\n", "1.8.1", NULL, "\n");
	obis("1.8.1\n", "1.8.1", NULL, "\n");
	obis("(7)\n", "", NULL, "\n");
	obis("1.8.0(1)(2)3.8.0(4)\n", "3.8.0", NULL, " v=4\n");
}

static void in_unit(const char *line, const char *unit, const char *told)
{
	text_bench_start(&bench, "text.keys", "obis", "text.first", "read", NULL);
	text_bench_metric(&bench, "v", "key", "1.8.0", "in", unit, NULL);
	read_line(line, told);
}

static void test_obis_units(void **state)
{
	(void)state;
	in_unit("1.8.0(001234.567*kWh)\n", "kWh", " v=1234.567\n");
	in_unit("1.8.0(006545766*Wh)\n", "kWh", " v=6545.766\n");
	in_unit("1.8.0(1.5*MWh)\n", "kWh", " v=1500\n");
	in_unit("1.8.0(1.5*kW)\n", "W", " v=1500\n");
	in_unit("1.8.0(1500*W)\n", "MW", " v=0.0015\n");
	in_unit("1.8.0(15*varh)\n", "kvarh", " v=0.015\n");
	in_unit("1.8.0(15*kW)\n", "kWh", " v=?\n");
	in_unit("1.8.0(15)\n", "kWh", " v=?\n");
	in_unit("1.8.0(15*m3)\n", "m3", " v=15\n");
	in_unit("1.8.0(15*Mm3)\n", "m3", " v=?\n");
	in_unit("1.8.0(x*kWh)\n", "kWh", " v=?\n");
}

static void json(const char *path, const char *type, const char *line, const char *told)
{
	text_bench_start(&bench, "text.keys", "json", "text.first", "read", NULL);
	text_bench_metric(&bench, "v", "key", path, "type", type, NULL);
	read_line(line, told);
}

static void test_json(void **state)
{
	(void)state;
	json("t", "dec", "{\"t\":21.4,\"h\":{\"x\":1}}\n", " v=21.4\n");
	json("h.x", "int", "{\"t\":21.4,\"h\":{\"x\":1}}\n", " v=1\n");
	json("h.x", "int", "{ \"t\" : [ { } , [ ] ] , \"h\" : { \"y\" : \"a}\\\"\" , \"x\" : -12 } }\r\n", " v=-12\n");
	json("l.1.b", "dec", "{\"l\":[{\"b\":1},{\"b\":2}]}\n", " v=2\n");
	json("l.2", "dec", "{\"l\":[1,2]}\n", "\n");
	json("l.x", "dec", "{\"l\":[1,2]}\n", "\n");
	json("t.x", "dec", "{\"t\":1}\n", "\n");
	json("t", "dec", "{\"t\":\"21.4\"}\n", " v=21.4\n");
	json("t", "dec", "{\"t\":null}\n", " v=?\n");
	json("t", "dec", "{\"t\":{}}\n", " v=?\n");
	json("t", "text", "{\"t\":null}\n", " v=?\n");
	json("t", "bool", "{\"t\":true}\n", " v=true\n");
	json("t", "bool", "{\"t\":false}\n", " v=false\n");
	json("t", "dec", "{\"t\":1.5e2}\n", " v=150\n");
	json("t", "text", "{\"t\":\"a\\u00b5\\ud83d\\ude00\\u20AC/\\/\\n.\"}\n", " v=aµ😀€//\n.\n");
	json("t", "text", "{\"t\":\"\\ud83d\"}\n", " v=?\n");
	json("t", "text", "{\"t\":\"\\u0000\"}\n", " v=?\n");
	json("t", "dec", "{}\n", "\n");
}

static void unsound(const char *line)
{
	json("t", "dec", line, "");
	if (bench.n_damaged != 1)
		fail_msg("not damaged: %s", line);
}

static void test_json_unsound(void **state)
{
	(void)state;
	unsound("{\"t\":1\n");
	unsound("{\"t\":1}}\n");
	unsound("{\"t\":1}{\"t\":2}\n");
	unsound("{\"t\":01x}\n");
	unsound("{\"t\":.5}\n");
	unsound("{\"t\":1.}\n");
	unsound("{\"t\":1e}\n");
	unsound("{\"t\":tru}\n");
	unsound("{\"t\":\"a}\n");
	unsound("{\"t\":\"\\x\"}\n");
	unsound("{\"t\":\"\\u12g4\"}\n");
	unsound("{\"t\":\"\x01\"}\n");
	unsound("{\"t\":[1,]}\n");
	unsound("{\"t\":[1}\n");
	unsound("{\"t\":[1]]\n");
	unsound("{\"t\" 1}\n");
	unsound("{t:1}\n");
	unsound("{,}\n");
	unsound("{\"t\":}\n");
	unsound("{\n");
	unsound("{\"t\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}\n"); /* 17 deep */
	json("t", "dec", "boot: ok\n", "");
	assert_int_equal(bench.n_damaged, 0);
	json("t", "dec", "{\"t\":{\"a\":[[[[[[[[[[[[[1]]]]]]]]]]]]]},\"u\":1}\n", " v=?\n"); /* 15 deep */
}

static void test_patterns(void **state)
{
	(void)state;
	text_bench_start(&bench, "text.first", "read", NULL);
	text_bench_metric(&bench, "t", "pattern", "T=([-0-9.]+)", NULL);
	text_bench_metric(&bench, "unit", "pattern", "[CF]$", "type", "text", NULL);
	text_bench_metric(&bench, "none", "pattern", "H=([0-9]+)", NULL);
	text_bench_metric(&bench, "optional", "pattern", "T=(x)?", NULL);
	read_line("noise T=-4.5 C\r\n", " t=-4.5 unit=C optional=?\n");
}

static const char *complaint(void)
{
	static char told[400];
	if (text_bench_check(&bench) == 0)
		return "";
	snprintf(told, sizeof(told), "%s %s", bench.complaint.key ? bench.complaint.key : "-", bench.complaint.what);
	return told;
}

static void test_keys_of_devices(void **state)
{
	(void)state;
	text_bench_start(&bench, "text.assign", "=", NULL);
	assert_string_equal(complaint(), "text.assign is of names, but this text has none");
	text_bench_start(&bench, "text.block.begin", "/", NULL);
	assert_string_equal(complaint(), "text.block.begin is only one end of the block");
	text_bench_start(&bench, "text.block.end", "!", NULL);
	assert_string_equal(complaint(), "text.block.end is only one end of the block");
	text_bench_start(&bench, "text.block.end", "!", "text.block.end_key", "Checksum", NULL);
	assert_non_null(strstr(complaint(), "text.block.end is given beside \"end_key\""));
	static const char *const first[] = {"PID", NULL};
	text_bench_start(&bench, "text.block.begin_key", (const void *)first, NULL);
	assert_string_equal(complaint(), "text.block.begin_key needs \"end_key\" beside it");
	text_bench_start(&bench, "text.start", "$", "text.block.begin", "/", "text.block.end", "!", NULL);
	assert_string_equal(complaint(), "text.start is of lines, not of blocks");
	text_bench_start(&bench, "text.end", ";", "text.block.end_key", "Checksum", NULL);
	assert_string_equal(complaint(), "text.end is of lines, not of blocks");
	text_bench_start(&bench, "text.check.kind", "xor8", "text.block.end_key", "Checksum", NULL);
	assert_string_equal(complaint(), "text.check.kind is no check of blocks that a key ends");
	text_bench_start(&bench, "text.check.kind", "bcc", NULL);
	assert_string_equal(complaint(), "text.check.kind is no check of lines");
	text_bench_start(&bench, "text.check.kind", "sum8", "text.check.coding", "bin", NULL);
	assert_non_null(strstr(complaint(), "text.check.coding is \"bin\""));
	text_bench_start(
		&bench, "text.check.kind", "teleinfo", "text.block.begin", "\x02", "text.block.end", "\x03", NULL);
	assert_string_equal(complaint(), "text.check.kind is no check of whole blocks");
	text_bench_start(&bench, "text.check.kind", "bcc", "text.check.each", "line", "text.block.begin", "\x02",
		"text.block.end", "\x03", NULL);
	assert_string_equal(complaint(), "text.check.kind is no check of the lines of a block");
	text_bench_start(&bench, "text.keys", "json", NULL);
	text_bench_message(&bench, "m", "match.column", "0", NULL);
	assert_string_equal(complaint(), "match.column is a column, but this text has names");
	assert_string_equal(bench.complaint.message, "m");
	text_bench_start(&bench, NULL);
	text_bench_message(&bench, "m", "match.key", "x", NULL);
	assert_string_equal(complaint(), "match.key is a name, but this text has columns");
}

static void test_keys_of_metrics(void **state)
{
	(void)state;
	text_bench_start(&bench, NULL);
	text_bench_metric(&bench, "v", NULL);
	assert_string_equal(complaint(), "- has no place in the text");
	text_bench_start(&bench, NULL);
	text_bench_metric(&bench, "v", "key", "T", NULL);
	assert_string_equal(complaint(), "key is a name, but this text has columns");
	text_bench_start(&bench, "text.keys", "pairs", "text.assign", "=", NULL);
	text_bench_metric(&bench, "v", "key", "T", "column", "1", NULL);
	assert_string_equal(complaint(), "column is a column, but this text has names");
	text_bench_start(&bench, NULL);
	text_bench_metric(&bench, "v", "column", "1", "pattern", "x", NULL);
	assert_non_null(strstr(complaint(), "column is given beside \"pattern\""));
	text_bench_start(&bench, NULL);
	text_bench_metric(&bench, "v", "column", "1", "in", "kWh", NULL);
	assert_string_equal(complaint(), "in is of numbers with an OBIS code");
	text_bench_start(&bench, NULL);
	text_bench_metric(&bench, "v", "pattern", "T=([0-9", NULL);
	assert_non_null(strstr(complaint(), "pattern is no regular expression: "));
	text_bench_start(&bench, NULL);
	text_bench_metric(&bench, "v", "column", "1", "type", "nmea_angle", NULL);
	assert_string_equal(complaint(), "type needs the column of its letter");
	text_bench_start(&bench, NULL);
	text_bench_metric(&bench, "v", "column", "1", "type", "nmea_speed", NULL);
	assert_string_equal(complaint(), "type needs the column of its letter");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_no_locale_has_a_say),
		cmocka_unit_test(test_decimal_comma),
		cmocka_unit_test(test_nmea_types),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_obis),
		cmocka_unit_test(test_obis_units),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_unsound),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_keys_of_devices),
		cmocka_unit_test(test_keys_of_metrics),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
