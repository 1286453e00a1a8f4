/*
 * The parts below a Sparkplug node: ids, datatypes and values, payloads, records, bdSeq, the host's state.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ship/sparkplug.h"
#include "ship/sparkplug_count.h"
#include "ship/sparkplug_host.h"
#include "ship/sparkplug_id.h"
#include "ship/sparkplug_type.h"
#include "virtual_clock.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_ids(void **state)
{
	(void)state;
	char id[SPARKPLUG_ID_MAX + 1], topic[SPARKPLUG_TOPIC_MAX], longest[SPARKPLUG_ID_MAX + 2];
	assert_null(sparkplug_id_fault("Größe 1-x"));
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	const char *const wrong[] = {"", "a/b", "a+", "#", "a\x01", "\xff", longest};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_non_null(sparkplug_id_fault(wrong[i]));
	sparkplug_id_of("cellar/left/pump", id);
	assert_string_equal(id, "cellar-left-pump");
	sparkplug_topic(topic, "g", "NBIRTH", "n", NULL);
	assert_string_equal(topic, "spBv1.0/g/NBIRTH/n");
	sparkplug_topic(topic, "g", "DCMD", "n", id);
	assert_string_equal(topic, "spBv1.0/g/DCMD/n/cellar-left-pump");
}

static void test_client_id(void **state)
{
	(void)state;
	struct arena arena = {0};
	assert_string_equal(sparkplug_client_id("busferry-01234567", &arena), "busferry-01234567-spb");
	const char *cut = sparkplug_client_id("a-client-id-of-22-bytes", &arena);
	assert_true(strlen(cut) <= 23);
	assert_string_not_equal(cut, sparkplug_client_id("a-client-id-of-22-bytez", &arena));
	assert_string_equal(
		sparkplug_client_id("whose-broker-takes-longer-ones", &arena), "whose-broker-takes-longer-ones-spb");
	arena_free(&arena);
}

static void test_types(void **state)
{
	(void)state;
	static const struct {
		enum bf_type type;
		enum sparkplug_type told;
	} rows[] = {{BF_TYPE_U8, SPARKPLUG_UINT8}, {BF_TYPE_U16, SPARKPLUG_UINT16}, {BF_TYPE_U32, SPARKPLUG_INT64},
		{BF_TYPE_U24, SPARKPLUG_INT64}, {BF_TYPE_S8, SPARKPLUG_INT32}, {BF_TYPE_S16, SPARKPLUG_INT32},
		{BF_TYPE_S32, SPARKPLUG_INT32}, {BF_TYPE_S64, SPARKPLUG_INT64}, {BF_TYPE_U64, SPARKPLUG_UINT64},
		{BF_TYPE_F16, SPARKPLUG_FLOAT}, {BF_TYPE_F32, SPARKPLUG_FLOAT}, {BF_TYPE_F64, SPARKPLUG_DOUBLE},
		{BF_TYPE_BCD16, SPARKPLUG_UINT16}, {BF_TYPE_BCD32, SPARKPLUG_INT64}, {BF_TYPE_STRING, SPARKPLUG_STRING},
		{BF_TYPE_BOOL, SPARKPLUG_BOOLEAN}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct plan_metric metric = {.shape = {.type = rows[i].type}, .place = {BF_SPACE_HOLDING, 0, 1}};
		assert_int_equal(sparkplug_type_of(&metric), rows[i].told);
	}
	const struct plan_word word = {0, "off"};
	struct plan_metric metric = {.place = {BF_SPACE_HOLDING, 0, 1}, .words = &word, .n_words = 1};
	assert_int_equal(sparkplug_type_of(&metric), SPARKPLUG_STRING);
	metric = (struct plan_metric){.place = {BF_SPACE_COIL, 0, 1}};
	assert_int_equal(sparkplug_type_of(&metric), SPARKPLUG_BOOLEAN);
	metric = (struct plan_metric){.place = {BF_SPACE_HOLDING, 0, 1}, .n_bits = 1};
	assert_int_equal(sparkplug_type_of(&metric), SPARKPLUG_BOOLEAN);
	metric.n_bits = 20;
	assert_int_equal(sparkplug_type_of(&metric), SPARKPLUG_INT64);
	metric = (struct plan_metric){.place = {BF_SPACE_HOLDING, 0, 1}, .scaled = true};
	assert_int_equal(sparkplug_type_of(&metric), SPARKPLUG_DOUBLE);
	metric = (struct plan_metric){.place = {BF_SPACE_HOLDING, 0, 1}, .reduce = REDUCE_MEAN};
	assert_int_equal(sparkplug_type_of(&metric), SPARKPLUG_DOUBLE);
}

static void test_values(void **state)
{
	(void)state;
	char text[BF_STRING_MAX + 1];
	const struct plan_word words[] = {{0, "off"}, {1, "on"}};
	struct plan_metric metric = {.words = words, .n_words = 2, .decimals = -1};
	struct bf_value value = {.kind = BF_UNSIGNED, .u = 1};
	assert_true(sparkplug_type_fit(&metric, &value, text));
	assert_string_equal(value.text.at, "on");
	value = (struct bf_value){.kind = BF_UNSIGNED, .u = 7};
	assert_true(sparkplug_type_fit(&metric, &value, text));
	assert_string_equal(value.text.at, "7"); /* a number without a word */

	metric = (struct plan_metric){.place = {BF_SPACE_HOLDING, 0, 1}, .scaled = true, .decimals = 1};
	value = (struct bf_value){.kind = BF_FLOAT64, .f64 = 215 * 0.1};
	assert_true(sparkplug_type_fit(&metric, &value, text));
	assert_true(value.f64 == 21.5);
	value = (struct bf_value){.kind = BF_FLOAT64, .f64 = INFINITY};
	assert_false(sparkplug_type_fit(&metric, &value, text));
	value = (struct bf_value){.kind = BF_BOOLEAN, .yes = true};
	assert_false(sparkplug_type_fit(&metric, &value, text));

	metric = (struct plan_metric){.place = {BF_SPACE_HOLDING, 0, 1}, .shape = {.type = BF_TYPE_S16}};
	value = (struct bf_value){.kind = BF_SIGNED, .i = -5};
	assert_true(sparkplug_type_fit(&metric, &value, text));
	assert_int_equal(value.i, -5);
	value = (struct bf_value){.kind = BF_SIGNED, .i = INT64_C(1) << 40};
	assert_false(sparkplug_type_fit(&metric, &value, text));
	metric.shape.type = BF_TYPE_U16;
	value = (struct bf_value){.kind = BF_SIGNED, .i = -5};
	assert_false(sparkplug_type_fit(&metric, &value, text));
	metric.shape.type = BF_TYPE_STRING;
	value = (struct bf_value){.kind = BF_TEXT};
	value.text.at = "abcdef";
	value.text.n = 3;
	assert_true(sparkplug_type_fit(&metric, &value, text));
	assert_string_equal(value.text.at, "abc"); /* terminated */
	value = (struct bf_value){.kind = BF_UNSIGNED, .u = 7};
	assert_false(sparkplug_type_fit(&metric, &value, text));
}

static void test_records(void **state)
{
	(void)state;
	struct reading rows[] = {
		{.value = {.kind = BF_BOOLEAN, .yes = true}},
		{.value = {.kind = BF_SIGNED, .i = INT64_MIN}},
		{.value = {.kind = BF_UNSIGNED, .u = UINT64_MAX}},
		{.value = {.kind = BF_FLOAT32, .f32 = 1.5f}},
		{.value = {.kind = BF_FLOAT64, .f64 = -0.1}},
		{.quality = QUALITY_EXCEPTION, .code = 2},
		{.value = {.kind = BF_TEXT, .text = {"größer", 8}}},
		{.value = {.kind = BF_TEXT, .text = {"", 0}}},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[SPARKPLUG_RECORD_MAX];
		struct reading back;
		size_t n = sparkplug_record_pack(&rows[i], bytes);
		assert_int_equal(sparkplug_record_unpack(bytes, n, &back), 0);
		assert_int_equal(back.quality, rows[i].quality);
		assert_int_equal(back.code, rows[i].code);
		assert_true(back.value.kind == BF_NONE ? rows[i].value.kind == BF_NONE
						       : bf_value_equal(&back.value, &rows[i].value));
		for (size_t cut = 0; cut < n && rows[i].value.kind != BF_TEXT; cut++)
			assert_int_equal(sparkplug_record_unpack(bytes, cut, &back), -EBADMSG);
	}
	struct reading back;
	assert_int_equal(sparkplug_record_unpack("\x09\0\0\0\0\0\0\0\0\0\0", 11, &back), -EBADMSG); /* no kind */
	assert_int_equal(sparkplug_record_unpack("\x01\x09\0\0\0\0\0\0\0\0\0", 11, &back), -EBADMSG);
	assert_int_equal(
		sparkplug_record_unpack("\x01\x01\0\0\0\0\0\0\0\0\0", 11, &back), -EBADMSG); /* bad, and a value */
}

/* ---- Payloads ---- */

static unsigned n_read;
static struct bf_value last;

static unsigned any_type(void *user, const char *name, uint64_t alias)
{
	(void)name;
	(void)alias;
	return *(const unsigned *)user;
}

static void note(void *user, const struct sparkplug_told *told)
{
	(void)user;
	n_read++;
	last = told->value;
}

static int read_payload(const void *bytes, size_t n, unsigned type)
{
	const struct sparkplug_reader reader = {.user = &type, .type_of = any_type, .each = note};
	n_read = 0;
	return sparkplug_payload_read(bytes, n, &reader);
}

static void test_payloads_there_and_back(void **state)
{
	(void)state;
	uint8_t bytes[400];
	struct sparkplug_pack pack;
	assert_int_equal(sparkplug_payload_load(), 0);
	struct sparkplug_metric metric = {.alias = 3,
		.time_ms = 1764000000123,
		.type = SPARKPLUG_INT32,
		.births = true,
		.quality = -1,
		.value = {.kind = BF_SIGNED, .i = -7}};
	sparkplug_pack_begin(&pack, bytes, sizeof(bytes), 1764000000000, 255);
	unsigned n = 0;
	while (sparkplug_pack_add(&pack, &metric) == 0)
		n++;
	assert_in_range(n, 10, 30);
	assert_int_equal(pack.n_metrics, n);
	assert_true(pack.n <= sizeof(bytes));
	assert_int_equal(read_payload(bytes, pack.n, 0), n);
	assert_int_equal(n_read, n);
	assert_int_equal(last.kind, BF_SIGNED);
	assert_int_equal(last.i, -7);
	for (size_t cut = 1; cut < pack.n; cut++) /* as sound, or as none */
		read_payload(bytes, cut, 0);
}

static void test_payloads_of_others(void **state)
{
	(void)state;
	assert_int_equal(read_payload("", 0, 0), -EBADMSG);
	assert_int_equal(read_payload("\xff\xff\xff", 3, 0), -EBADMSG);
	/* Int16 −1 in 16 bits and in 32: both are meant. */
	assert_int_equal(read_payload("\x12\x06\x20\x02\x50\xff\xff\x03", 8, 0), 1);
	assert_int_equal(last.i, -1);
	assert_int_equal(read_payload("\x12\x08\x20\x02\x50\xff\xff\xff\xff\x0f", 10, 0), 1);
	assert_int_equal(last.i, -1);
	/* UInt32 in long_value. */
	assert_int_equal(read_payload("\x12\x08\x20\x07\x58\xff\xff\xff\xff\x0f", 10, 0), 1);
	assert_int_equal(last.u, UINT32_MAX);
	/* Without a datatype as the metric's own. */
	assert_int_equal(read_payload("\x12\x02\x50\x05", 4, SPARKPLUG_UINT16), 1);
	assert_int_equal(last.kind, BF_UNSIGNED);
	assert_int_equal(read_payload("\x12\x02\x50\x05", 4, SPARKPLUG_INT32), 1);
	assert_int_equal(last.kind, BF_SIGNED);
	/* A data set is none of our values; null is none. */
	assert_int_equal(read_payload("\x12\x03\x8a\x01\x00", 5, 0), 1);
	assert_int_equal(last.kind, BF_NONE);
	/* More metrics than a command means, and more memory than one may take. */
	uint8_t many[16384];
	for (size_t i = 0; i < sizeof(many); i += 2) {
		many[i] = 0x12;
		many[i + 1] = 0;
	}
	assert_int_equal(read_payload(many, 2 * 65, 0), -EBADMSG);
	assert_int_equal(read_payload(many, 2 * 64, 0), 64);
	assert_int_equal(read_payload(many, sizeof(many), 0), -EBADMSG);
}

/* ---- bdSeq ---- */

static void test_bdseq_over_restarts(void **state)
{
	(void)state;
	char path[] = "/tmp/busferry-bdseq-XXXXXX", text[8] = "";
	struct sparkplug_count count;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "254\n", 4), 4);
	close(fd);
	sparkplug_count_init(&count, path, &virtual_clock);
	assert_int_equal(sparkplug_count_next(&count, 0), 255);
	sparkplug_count_init(&count, path, &virtual_clock);
	assert_int_equal(sparkplug_count_next(&count, 0), 0);
	sparkplug_count_init(&count, path, &virtual_clock);
	assert_int_equal(sparkplug_count_next(&count, 0), 1);
	FILE *file = fopen(path, "r");
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	assert_string_equal(text, "1\n");
	static const char *const damaged[] = {"", "\n", "256\n", "12", "1x\n", "00000012\n", "-1\n", "12\n3\n"};
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		file = fopen(path, "w");
		fputs(damaged[i], file);
		fclose(file);
		sparkplug_count_init(&count, path, &virtual_clock);
		assert_int_equal(count.number, (uint8_t)(virtual_time_ms() / 1000));
	}
	unlink(path);
	sparkplug_count_init(&count, "/nowhere/at/all", &virtual_clock); /* told, and no reason to stop */
	uint8_t before = count.number;
	assert_int_equal(sparkplug_count_next(&count, 1), (uint8_t)(before + 1));
}

static int heard(struct sparkplug_host *host, const char *topic, const char *text)
{
	return sparkplug_host_heard(host, topic, text, strlen(text));
}

static void test_host(void **state)
{
	(void)state;
	struct sparkplug_host host = {.id = "h"}, none = {0};
	int64_t last_ms = 0, there_ms = 0;
	const char *topic = "spBv1.0/STATE/h";
	sparkplug_host_connected(&host, &last_ms);
	assert_int_equal(heard(&none, topic, "{}"), -ENOENT);
	assert_int_equal(heard(&host, "spBv1.0/STATE/h2", "{}"), -ENOENT);
	static const char *const wrong[] = {"{}", "ONLINE", "{\"online\":true}", "{\"online\":1,\"timestamp\":5}",
		"{\"online\":true,\"timestamp\":-5}", "{\"online\":true,\"timestamp\":\"5\"}", "[true,5]"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(heard(&host, topic, wrong[i]), -EBADMSG);
	assert_false(host.online);
	assert_int_equal(heard(&host, topic, "{\"timestamp\": 10, \"more\": [1], \"online\": true }"), 0);
	assert_true(host.online);
	assert_int_equal(heard(&host, topic, "{\"online\":false,\"timestamp\":9}"), 1);
	assert_true(host.online);
	assert_int_equal(heard(&host, "STATE/h", "OFFLINE"), 1);
	assert_int_equal(heard(&host, topic, ""), 1);
	assert_true(host.online);
	assert_int_equal(heard(&host, topic, "{\"online\":false,\"timestamp\":10}"), 0);
	assert_false(host.online);
	sparkplug_host_connected(&host, &last_ms);
	assert_int_equal(heard(&host, topic, "{\"online\":true,\"timestamp\":9}"), 1); /* the time is kept */
	assert_false(host.online);
	sparkplug_host_connected(&host, &there_ms); /* of this broker: at another one it has a session of its own */
	assert_int_equal(heard(&host, topic, "{\"online\":true,\"timestamp\":8}"), 0);
	assert_true(host.online);
	sparkplug_host_connected(&host, &last_ms);
	assert_int_equal(heard(&host, topic, "{\"online\":true,\"timestamp\":9}"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_client_id),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_payloads_there_and_back),
		cmocka_unit_test(test_payloads_of_others),
		cmocka_unit_test(test_bdseq_over_restarts),
		cmocka_unit_test(test_host),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
