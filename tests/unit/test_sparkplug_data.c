/*
 * A Sparkplug node's data against a scripted broker: what is kept until it was read, history, batches, devices whose
 * history comes while they are away; and commands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log_capture.h"
#include "ship/outbox_store.h"
#include "sparkplug_stage.h"

#include <errno.h>
#include <string.h>

#define DCMD "spBv1.0/s/DCMD/g/f-heat"

static struct outbox_counts counts(void)
{
	struct outbox_counts c;
	outbox_counts(outbox, &c);
	return c;
}

static unsigned n_subscribed(const char *filter)
{
	unsigned n = 0;
	for (size_t i = 0; i < mqtt.n_said; i++)
		n += mqtt.said[i].kind == SAID_SUBSCRIBE && strcmp(mqtt.said[i].topic, filter) == 0;
	return n;
}

static void read_powers(unsigned from, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		virtual_now += 100000;
		reads(POWER, number((int64_t)from + i));
	}
}

static void test_done_only_when_it_was_read(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(METER, true);
	up();
	mqtt.grants = false;
	unsigned before = n_subscribed("spBv1.0/s/NCMD/g");
	read_powers(0, 3);
	up();
	assert_int_equal(n_published("DDATA/g/f-meter"), 1); /* what waits of one device goes in one message */
	assert_int_equal(n_metrics_of(published("DDATA/g/f-meter", 0)), 3);
	assert_int_equal(n_subscribed("spBv1.0/s/NCMD/g"), before + 1);
	assert_int_equal(counts().done, 0);
	assert_int_equal(counts().in_flight, 3);
	read_powers(3, 1);
	run(5 * SECOND);
	assert_int_equal(n_subscribed("spBv1.0/s/NCMD/g"), before + 1); /* one question at a time */
	mqtt.grants = true;
	step();
	assert_int_equal(counts().done, 3); /* what was sent behind the question is not answered by it */
	up();
	assert_int_equal(counts().done, 4);
	read_powers(4, 1);
	up();
	assert_int_equal(n_subscribed("spBv1.0/s/NCMD/g"), before + 2); /* and one in 200 ms */
	run(2 * SECOND);
	assert_int_equal(counts().done, 5);
	end();
}

static void test_lost_before_it_was_read(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(METER, true);
	up();
	mqtt.grants = false;
	read_powers(1, 2);
	up();
	lose();
	mqtt.grants = true;
	read_powers(3, 1); /* read without a connection */
	run(5 * SECOND);
	assert_int_equal(n_published("NBIRTH/g"), 2);
	assert_int_equal((int)field_of(published("DBIRTH/g/f-meter", 1), 0, 10), 3); /* what is now */
	const struct said *data = published("DDATA/g/f-meter", 1);
	assert_int_equal(n_metrics_of(data), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal((int)field_of(data, i, 5), 1);
		assert_int_equal((int)field_of(data, i, 10), (int)i + 1);
	}
	assert_int_equal(counts().done, 3);
	end();
}

static void test_a_broker_that_answers_no_question(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(METER, true);
	up();
	mqtt.grants = false;
	read_powers(1, 1);
	run(70 * SECOND);
	mqtt.grants = true;
	run(10 * SECOND);
	assert_int_equal(n_published("NBIRTH/g"), 2);
	assert_int_equal(counts().done, 1);
	end();
}

static void test_history_beside_what_is_read_now(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(METER, true);
	read_powers(0, 2500);
	up();
	virtual_now += 100000;
	reads(POWER, number(9999));
	run(10 * SECOND);
	unsigned n_history = 0;
	int64_t before = -1;
	bool told_now = false;
	for (unsigned i = 0; published("DDATA/g/f-meter", i); i++) {
		const struct said *data = published("DDATA/g/f-meter", i);
		assert_true(n_metrics_of(data) <= 100); /* bounded */
		for (unsigned m = 0; m < n_metrics_of(data); m++) {
			int64_t value = (int64_t)field_of(data, m, 10);
			if (value == 9999) {
				assert_int_equal((int)field_of(data, m, 5), -1);
				told_now = true;
				continue;
			}
			assert_int_equal((int)field_of(data, m, 5), 1);
			assert_true(value == before + 1);
			before = value;
			n_history++;
		}
	}
	assert_true(told_now);
	assert_int_equal(n_history, 2500);
	assert_int_equal(counts().done, 2501);
	end();
}

/* A clock that is set back does not make all that follows history. */
static void test_clock_set_back(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(METER, true);
	reads(POWER, number(1));
	run(2 * SECOND);
	virtual_wall_ms -= 3600000;
	reads(POWER, number(2));
	up();
	assert_int_equal((int)field_of(published("DDATA/g/f-meter", 1), 0, 5), -1);
	virtual_wall_ms += 3600000;
	end();
}

static void test_history_of_a_device_that_is_away(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	mqtt.answers = false;
	comes(METER, true);
	comes(HEAT, true);
	read_powers(1, 2);
	turns_bad(POWER, QUALITY_TIMEOUT);
	comes(METER, false);
	mqtt.answers = true;
	run(15 * SECOND);
	const struct said *birth = published("DBIRTH/g/f-meter", 0), *data = published("DDATA/g/f-meter", 0),
			  *death = published("DDEATH/g/f-meter", 0);
	assert_true(index_of(birth) > index_of(published("DBIRTH/g/f-heat", 0)));
	assert_int_equal((int)field_of(birth, 0, 7), 1); /* born with nothing, … */
	assert_int_equal((int)quality_of(birth, 0), 500);
	assert_true(index_of(birth) < index_of(data) && index_of(data) < index_of(death)); /* … and dead again */
	assert_int_equal(n_metrics_of(data), 3);
	assert_int_equal((int)field_of(data, 0, 10), 1);
	assert_int_equal((int)field_of(data, 0, 5), 1);
	assert_int_equal(n_published("DBIRTH/g/f-meter"), 1);
	assert_int_equal(counts().waiting, 0);
	end();
}

static void test_what_no_map_has_any_more(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	struct message_sink *sink = outbox_sink(outbox);
	uint8_t bytes[SPARKPLUG_RECORD_MAX];
	const struct reading reading = {.value = number(1)};
	struct message record = {.topic = "s/f/gone/power",
		.payload = bytes,
		.payload_n = sparkplug_record_pack(&reading, bytes),
		.time_ms = virtual_time_ms(),
		.qos = 1,
		.buffer = true};
	sink->put(sink, &record);
	record.topic = "s/f/meter/power";
	record.payload_n = 5; /* damaged */
	sink->put(sink, &record);
	comes(METER, true);
	reads(POWER, number(2));
	run(2 * SECOND);
	assert_int_equal(counts().dropped_refused, 2);
	assert_int_equal(counts().done, 1);
	end();
}

static void test_a_birth_that_is_too_long(void **state)
{
	(void)state;
	begin(NULL, 1, 5);
	mqtt.maximum_packet = 100; /* one metric, not two */
	comes(HEAT, true);
	comes(METER, true);
	reads(POWER, number(1));
	reads(COUNT, number(1));
	run(2 * SECOND);
	virtual_now += 100000;
	reads(POWER, number(2));
	reads(COUNT, number(2));
	run(2 * SECOND);
	assert_int_equal(n_published("DBIRTH/g/f-heat"), 0);
	assert_int_equal(n_published("DBIRTH/g/f-meter"), 1);
	assert_int_equal(n_published("DDATA/g/f-meter"), 2);
	assert_int_equal(counts().waiting, 0);
	assert_int_equal(counts().dropped_refused, 2);
	for (int i = 0; i < 5; i++) {
		hear("spBv1.0/s/NCMD/g", rebirth, sizeof(rebirth), false);
		run(2 * SECOND);
	}
	assert_true(n_published("NBIRTH/g") > 5);
	const char *first = strstr(log_captured(), "its birth is longer than the broker takes");
	assert_non_null(first);
	assert_null(strstr(first + 1, "its birth is longer")); /* once, and not once more for each wish */
	end();
}

/* A broker that takes short messages only is told in as many as it needs. */
static void test_short_messages(void **state)
{
	(void)state;
	begin(NULL, 1, 5);
	mqtt.maximum_packet = 100;
	comes(METER, true);
	up();
	read_powers(0, 30);
	run(2 * SECOND);
	assert_int_equal(counts().done, 30);
	assert_true(n_published("DDATA/g/f-meter") > 5);
	end();
}

/* With sync "0s" what a birth shows may still be on its way to disk: it comes behind the birth, and is history. */
static void test_on_its_way_to_disk(void **state)
{
	(void)state;
	static struct outbox_batch batch;
	const struct journal_room room = {0};
	begin(NULL, 1, 4);
	outbox_journal_opened(outbox, 0, 0, 0, 0, true);
	up();
	comes(METER, true);
	read_powers(1, 2);
	up();
	assert_int_equal((int)field_of(published("DBIRTH/g/f-meter", 0), 0, 10), 2);
	assert_int_equal(n_published("DDATA/g/f-meter"), 0);
	batch.max_bytes = BATCH_BYTES;
	assert_true(outbox_batch_fill(outbox, virtual_now, false, &batch));
	outbox_batch_stored(outbox, &batch, &room);
	up();
	const struct said *data = published("DDATA/g/f-meter", 0);
	assert_int_equal(n_metrics_of(data), 2);
	assert_int_equal((int)field_of(data, 0, 5), 1);
	assert_int_equal((int)field_of(data, 1, 5), 1);
	read_powers(3, 1);
	outbox_batch_fill(outbox, virtual_now, false, &batch);
	outbox_batch_stored(outbox, &batch, &room);
	up();
	assert_int_equal((int)field_of(published("DDATA/g/f-meter", 1), 0, 5), -1);
	end();
}

/* ---- Commands ---- */

/* setpoint, by its alias: as a double, or as a float. */
static const uint8_t to_21_5[] = {0x12, 11, 0x10, 1, 0x69, 0, 0, 0, 0, 0, 0x80, 0x35, 0x40};
static const uint8_t to_99[] = {0x12, 11, 0x10, 1, 0x69, 0, 0, 0, 0, 0, 0xc0, 0x58, 0x40};
static const uint8_t to_22[] = {0x12, 7, 0x10, 1, 0x65, 0, 0, 0xb0, 0x41};
static const uint8_t to_null[] = {0x12, 4, 0x10, 1, 0x38, 1};
static const uint8_t count_to_1[] = {0x12, 4, 0x10, 2, 0x50, 1};

static void test_a_command_writes(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(HEAT, true);
	reads(SETPOINT, real(20));
	up();
	hear(DCMD, to_21_5, sizeof(to_21_5), false);
	assert_int_equal(n_ordered, 1);
	assert_int_equal(ordered, SETPOINT);
	assert_true(bf_value_number(&ordered_value) == 21.5);
	virtual_now += 10000;
	written(SETPOINT, real(21.5));
	up();
	const struct said *data = published("DDATA/g/f-heat", n_published("DDATA/g/f-heat") - 1);
	assert_true(field_of(data, 0, 13) == 21.5);
	unsigned before = n_published("DDATA/g/f-heat");
	reads(SETPOINT, real(21.5)); /* the next poll: nobody waits for it */
	up();
	assert_int_equal(n_published("DDATA/g/f-heat"), before);
	hear(DCMD, to_21_5, sizeof(to_21_5), false); /* what it is already: answered all the same */
	virtual_now += 10000;
	written(SETPOINT, real(21.5));
	up();
	assert_int_equal(n_published("DDATA/g/f-heat"), before + 1);
	hear(DCMD, to_21_5, sizeof(to_21_5), false);
	virtual_now += 10000;
	reads(SETPOINT, real(21.5)); /* a poll in the same millisecond is the same reading */
	written(SETPOINT, real(21.5));
	up();
	assert_int_equal(n_metrics_of(published("DDATA/g/f-heat", before + 1)), 1);
	end();
}

static void test_commands_that_are_refused(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(HEAT, true);
	up();
	hear(DCMD, to_21_5, sizeof(to_21_5), true); /* retained */
	hear(DCMD, to_99, sizeof(to_99), false);
	hear(DCMD, to_null, sizeof(to_null), false);
	hear(DCMD, count_to_1, sizeof(count_to_1), false);                 /* has no `write` */
	hear("spBv1.0/s/DCMD/g/f-meter", to_21_5, sizeof(to_21_5), false); /* another device's alias */
	hear("spBv1.0/s/DCMD/g/none", to_21_5, sizeof(to_21_5), false);
	hear(DCMD, NULL, 0, false);
	for (size_t n = 1; n < sizeof(to_21_5); n++)
		hear(DCMD, to_21_5, n, false);
	assert_int_equal(n_ordered, 0);
	order_rc = -ERANGE;
	hear(DCMD, to_22, sizeof(to_22), false);
	assert_int_equal(n_ordered, 1);
	order_rc = 0;
	hear(DCMD, to_22, sizeof(to_22), false);
	assert_int_equal(n_ordered, 2);
	end();
}

static void test_a_flood_of_commands(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(HEAT, true);
	up();
	for (int i = 0; i < 1000; i++)
		hear(DCMD, to_21_5, sizeof(to_21_5), false);
	hear(DCMD, to_22, sizeof(to_22), false);
	assert_int_equal(n_ordered, 1); /* one under way, one waits: the newest */
	written(SETPOINT, real(21.5));
	up();
	assert_int_equal(n_ordered, 2);
	assert_true(bf_value_number(&ordered_value) == 22);
	hear(DCMD, to_21_5, sizeof(to_21_5), false);
	run(7 * SECOND); /* a bus that does not come to it */
	written(SETPOINT, real(22));
	run(SECOND);
	assert_int_equal(n_ordered, 2);
	hear(DCMD, to_21_5, sizeof(to_21_5), false);
	assert_int_equal(n_ordered, 3);
	hear(DCMD, to_22, sizeof(to_22), false); /* waits … */
	lose();                                  /* … and nobody would hear of it */
	written(SETPOINT, real(21.5));
	run(2 * SECOND);
	assert_int_equal(n_ordered, 3);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_done_only_when_it_was_read),
		cmocka_unit_test(test_lost_before_it_was_read),
		cmocka_unit_test(test_a_broker_that_answers_no_question),
		cmocka_unit_test(test_history_beside_what_is_read_now),
		cmocka_unit_test(test_clock_set_back),
		cmocka_unit_test(test_history_of_a_device_that_is_away),
		cmocka_unit_test(test_what_no_map_has_any_more),
		cmocka_unit_test_setup_teardown(test_a_birth_that_is_too_long, log_capture_begin, log_capture_end),
		cmocka_unit_test(test_short_messages),
		cmocka_unit_test(test_on_its_way_to_disk),
		cmocka_unit_test(test_a_command_writes),
		cmocka_unit_test(test_commands_that_are_refused),
		cmocka_unit_test(test_a_flood_of_commands),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
