/*
 * A Sparkplug node against a scripted broker, by the rules of the specification: the session, births, deaths.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sparkplug_stage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NCMD "spBv1.0/s/NCMD/g"

static struct sparkplug_status status(void)
{
	struct sparkplug_status s;
	sparkplug_status(sparkplug, &s);
	return s;
}

static void test_session_and_will(void **state)
{
	(void)state;
	for (int protocol = 4; protocol <= 5; protocol++) {
		begin(NULL, 1, protocol);
		up();
		assert_true(mqtt.target.clean_session); /* which with MQTT 5 is a clean start without an expiry */
		assert_true(mqtt.target.dies);
		assert_string_equal(mqtt.will_topic, "spBv1.0/s/NDEATH/g");
		assert_int_equal(mqtt.target.will_qos, 1);
		assert_false(mqtt.target.will_retain);
		struct said will = {.n = mqtt.target.will_n};
		memcpy(will.bytes, mqtt.will, will.n);
		assert_int_equal(seq_of(&will), -1);
		assert_int_equal(n_metrics_of(&will), 1);
		assert_string_equal(name_of(&will, 0), "bdSeq");
		assert_int_equal((int)field_of(&will, 0, 4), 4); /* Int64 */
		assert_int_equal((int)field_of(&will, 0, 11), 254);
		end();
	}
}

static void test_subscribes_before_births(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	mqtt.grants = false;
	up();
	assert_int_equal(n_published(""), 0);
	size_t n = 0;
	for (size_t i = 0; i < mqtt.n_said; i++)
		if (mqtt.said[i].kind == SAID_SUBSCRIBE) {
			assert_int_equal(mqtt.said[i].qos, 1);
			assert_string_equal(
				mqtt.said[i].topic, n++ ? "spBv1.0/s/DCMD/g/f-heat" : NCMD); /* writable only */
		}
	assert_int_equal(n, 2);
	mqtt.grants = true;
	up();
	assert_int_equal(n_published("NBIRTH/g"), 1);
	end();

	begin(NULL, 1, 4); /* refused, or never answered: births all the same */
	mqtt.reason = 0x87;
	up();
	assert_int_equal(n_published("NBIRTH/g"), 1);
	end();
	begin(NULL, 1, 4);
	mqtt.grants = false;
	run(6 * SECOND);
	assert_int_equal(n_published("NBIRTH/g"), 1);
	end();
}

static void test_births(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(HEAT, true);
	reads(SETPOINT, real(21.5));
	turns_bad(COUNT, QUALITY_INVALID);
	comes(METER, true);
	int64_t read_ms = virtual_time_ms();
	virtual_now += SECOND;
	up();
	const struct said *node = published("NBIRTH/g", 0), *heat = published("DBIRTH/g/f-heat", 0),
			  *meter = published("DBIRTH/g/f-meter", 0);
	assert_int_equal(seq_of(node), 0);
	assert_int_equal(n_metrics_of(node), 2);
	assert_string_equal(name_of(node, 0), "bdSeq");
	assert_int_equal((int)field_of(node, 0, 11), 254); /* as the will */
	assert_int_equal((int)field_of(node, 0, 2), -1);
	assert_string_equal(name_of(node, 1), "Node Control/Rebirth");
	assert_int_equal((int)field_of(node, 1, 14), 0);
	assert_int_equal((int)field_of(node, 1, 2), -1); /* never an alias */
	assert_int_equal((int)field_of(node, 1, 4), 11);
	assert_true(index_of(node) < index_of(heat) && index_of(heat) < index_of(meter));
	assert_int_equal(seq_of(heat), 1);
	assert_int_equal(seq_of(meter), 2);
	assert_null(published("DBIRTH/g/far", 0)); /* nobody knows whether it is there */

	assert_int_equal(n_metrics_of(heat), 2);
	assert_string_equal(name_of(heat, 0), "setpoint");
	assert_int_equal((int)field_of(heat, 0, 2), 1);
	assert_true(field_of(heat, 0, 3) == (double)read_ms);
	assert_int_equal((int)field_of(heat, 0, 4), 10);
	assert_true(field_of(heat, 0, 13) == 21.5);
	assert_int_equal((int)quality_of(heat, 0), -1);
	assert_string_equal(name_of(heat, 1), "count");
	assert_int_equal((int)field_of(heat, 1, 7), 1); /* null */
	assert_int_equal((int)field_of(heat, 1, 4), 4);
	assert_int_equal((int)quality_of(heat, 1), 0);
	assert_int_equal((int)field_of(meter, 0, 7), 1); /* not read yet */
	assert_int_equal((int)quality_of(meter, 0), 500);
	assert_int_equal((int)field_of(meter, 0, 2), 3); /* unique over the node */
	for (size_t i = 0; i < mqtt.n_said; i++)
		if (mqtt.said[i].kind == SAID_PUBLISH)
			assert_true(mqtt.said[i].qos == 0 && !mqtt.said[i].retain);
	assert_string_equal(status().state, "online");
	end();
}

/* What has no value has the time since when it has none, as an answer that is older than the birth may be on its way.
 */
static void test_births_without_a_value(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	int64_t begun_ms = virtual_time_ms();
	virtual_now += 5 * SECOND;
	comes(METER, true);
	up();
	assert_true(field_of(published("DBIRTH/g/f-meter", 0), 0, 3) == (double)begun_ms);
	virtual_now -= 2 * SECOND; /* the answer */
	int64_t read_ms = virtual_time_ms();
	reads(POWER, number(7));
	virtual_now += 2 * SECOND;
	up();
	assert_true(field_of(published("DDATA/g/f-meter", 0), 0, 3) == (double)read_ms);
	assert_int_equal((int)field_of(published("DDATA/g/f-meter", 0), 0, 5), -1); /* the present one */
	virtual_now += SECOND;
	comes(METER, false);
	run(SECOND);
	assert_int_equal(n_published("DDEATH/g/f-meter"), 1);
	reads(POWER, number(8)); /* was on its way, too: born without it, after what was told */
	up();
	assert_int_equal((int)field_of(published("DBIRTH/g/f-meter", 1), 0, 7), 1);
	assert_true(field_of(published("DBIRTH/g/f-meter", 1), 0, 3) == (double)read_ms);
	end();
}

/* More than one turn tells: no turn is waited for while the socket takes all. */
static void test_births_of_many(void **state)
{
	(void)state;
	crowd(CROWD_MAX);
	begin(NULL, 1, 4);
	for (uint32_t i = 0; i < CROWD_MAX; i++)
		comes(N_DEVICES + i, true);
	for (int64_t wake_us = 0; wake_us <= virtual_now || !published("NBIRTH/g", 0);)
		wake_us = step();
	assert_non_null(published("DBIRTH/g/x-99", 0));
	assert_string_equal(status().state, "online");
	end();
	crowd(0);
}

/* The socket has to take one birth before the next one is handed over, also when devices come all at once. */
static void test_births_wait_for_the_socket(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	up();
	mqtt.fills = true;
	comes(HEAT, true);
	comes(METER, true);
	step();
	step();
	assert_int_equal(n_published("f-heat") + n_published("f-meter"), 1);
	mqtt.full = false;
	step();
	assert_int_equal(n_published("DBIRTH/g/f-heat"), 1);
	assert_int_equal(n_published("DBIRTH/g/f-meter"), 1);
	end();
}

/* Whatever is due: while the socket takes nothing, or a birth is still to wait, nobody turns in circles. */
static void test_no_busy_loop(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(METER, true);
	up();
	reads(POWER, number(1));
	up();
	reads(POWER, number(2)); /* the next question is due in 200 ms */
	up();
	hear(NCMD, rebirth, sizeof(rebirth), false);
	virtual_now += 300000;
	assert_true(step() > virtual_now);
	run(2 * SECOND);
	assert_int_equal(n_published("NBIRTH/g"), 2);
	mqtt.full = true;
	comes(METER, false);
	step();
	virtual_now += 15 * SECOND; /* its death is due */
	assert_true(step() > virtual_now);
	mqtt.full = false;
	step();
	assert_int_equal(n_published("DDEATH/g/f-meter"), 1);
	end();
}

static void test_a_node_birth_that_is_too_long(void **state)
{
	(void)state;
	begin(NULL, 1, 5);
	mqtt.maximum_packet = 84; /* it takes the birth of the meter, not that of the node */
	comes(METER, true);
	run(30 * SECOND);
	assert_int_equal(n_published(""), 0);
	unsigned n = 0;
	for (size_t i = 0; i < mqtt.n_said; i++)
		n += mqtt.said[i].kind == SAID_OPEN;
	assert_in_range(n, 3, 40); /* tried again, at growing intervals */
	end();
}

static void test_names_keep_their_folders(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(FAR, true);
	up();
	assert_string_equal(name_of(published("DBIRTH/g/far", 0), 0), "deep/down");
	end();
}

static void test_data_by_alias_only(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(METER, true);
	up();
	reads(POWER, number(7));
	int64_t read_ms = virtual_time_ms();
	virtual_now += 300000;
	up();
	const struct said *data = published("DDATA/g/f-meter", 0);
	assert_int_equal(n_metrics_of(data), 1);
	assert_null(name_of(data, 0));
	assert_int_equal((int)field_of(data, 0, 2), 3);
	assert_int_equal((int)field_of(data, 0, 4), -1);
	assert_int_equal((int)field_of(data, 0, 5), -1); /* not historical */
	assert_int_equal((int)field_of(data, 0, 10), 7);
	assert_true(field_of(data, 0, 3) == (double)read_ms);
	assert_int_equal((int)quality_of(data, 0), 192); /* the birth said that it is stale */
	reads(POWER, number(7));                         /* only changes */
	up();
	assert_int_equal(n_published("DDATA/g/f-meter"), 1);
	reads(POWER, number(8));
	up();
	assert_int_equal((int)quality_of(published("DDATA/g/f-meter", 1), 0), -1); /* good is no news */
	turns_bad(POWER, QUALITY_TIMEOUT);
	up();
	data = published("DDATA/g/f-meter", 2);
	assert_int_equal((int)field_of(data, 0, 7), 1);
	assert_int_equal((int)field_of(data, 0, 10), -1);
	assert_int_equal((int)quality_of(data, 0), 500);
	reads(POWER, number(8));
	up();
	assert_int_equal((int)quality_of(published("DDATA/g/f-meter", 3), 0), 192);
	end();
}

static void test_seq_goes_round(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(METER, true);
	up();
	for (int i = 0; i < 300; i++) {
		reads(POWER, number(i));
		step();
	}
	assert_int_equal(n_published("DDATA/g/f-meter"), 300);
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(seq_of(published("DDATA/g/f-meter", i)), (i + 2) % 256);
	comes(METER, false);
	run(SECOND);
	assert_int_equal(seq_of(published("DDEATH/g/f-meter", 0)), 302 % 256);
	end();
}

static void test_a_refused_publish_takes_no_seq(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(METER, true);
	up();
	reads(POWER, number(1));
	mqtt.publish_error = -EAGAIN;
	up();
	assert_int_equal(waiting(), 1);
	mqtt.publish_error = 0;
	up();
	const struct said *data = published("DDATA/g/f-meter", 0);
	assert_int_equal(seq_of(data), 2);
	assert_int_equal((int)field_of(data, 0, 5), -1); /* it never left: it is no history */
	end();
}

static void test_bdseq_counts_connects(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	for (int i = 0; i < 4; i++) {
		up();
		assert_int_equal((int)field_of(published("NBIRTH/g", (unsigned)i), 0, 11), (254 + i) % 256);
		lose();
		run(20 * SECOND);
	}
	unsigned before = status().bd_seq;
	again();
	up();
	assert_int_equal(status().bd_seq, (before + 1) % 256);
	end();
}

static void test_rebirth(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(HEAT, true);
	comes(METER, true);
	run(2 * SECOND);
	hear(NCMD, rebirth, sizeof(rebirth), true); /* retained: refused */
	hear(NCMD, "nonsense", 8, false);
	hear("spBv1.0/s/NCMD/other", rebirth, sizeof(rebirth), false);
	run(2 * SECOND);
	assert_int_equal(n_published("NBIRTH/g"), 1);
	reads(POWER, number(1));
	reads(SETPOINT, real(20));
	hear(NCMD, rebirth, sizeof(rebirth), false);
	hear(NCMD, rebirth, sizeof(rebirth), false);
	run(SECOND / 2);
	assert_int_equal(n_published("NBIRTH/g"), 2);
	assert_int_equal(seq_of(published("NBIRTH/g", 1)), 0);
	assert_int_equal((int)field_of(published("NBIRTH/g", 1), 0, 11), 254); /* the same session */
	assert_int_equal(n_published("DBIRTH/g/f-heat"), 2);
	/* Data stopped at once, and what the births told already is history. */
	assert_true(index_of(published("DDATA/g/f-meter", 0)) > index_of(published("DBIRTH/g/f-meter", 1)));
	assert_int_equal((int)field_of(published("DBIRTH/g/f-meter", 1), 0, 10), 1);
	assert_int_equal((int)field_of(published("DDATA/g/f-meter", 0), 0, 5), 1);
	virtual_now += 10000;
	reads(POWER, number(2));
	up();
	assert_int_equal((int)field_of(published("DDATA/g/f-meter", 1), 0, 5), -1);
	for (int i = 0; i < 100; i++) { /* a flood is one a second */
		hear(NCMD, rebirth, sizeof(rebirth), false);
		run(SECOND / 20);
	}
	assert_in_range(n_published("NBIRTH/g"), 5, 9);
	end();
}

/* A flood of wishes does not keep births from ever being told to their end. */
static void test_rebirths_while_births_are_told(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(HEAT, true);
	comes(METER, true);
	comes(FAR, true);
	mqtt.fills = true;
	for (int i = 0; i < 12; i++) {
		mqtt.full = false;
		step();
		if (mqtt.active)
			hear(NCMD, rebirth, sizeof(rebirth), false);
	}
	assert_int_equal(n_published("NBIRTH/g"), 1);
	assert_int_equal(n_published("DBIRTH/g/far"), 1);
	mqtt.full = mqtt.fills = false;
	run(2 * SECOND);
	assert_int_equal(n_published("NBIRTH/g"), 2); /* told once more: who asked may have missed the first one */
	end();
}

static void test_a_device_comes_and_goes(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	up();
	assert_int_equal(n_published("NBIRTH/g"), 1);
	turns_bad(POWER, QUALITY_TIMEOUT);
	comes(METER, false);
	run(SECOND);
	assert_int_equal(n_published("f-meter"), 0); /* it never answered */
	assert_int_equal(waiting(), 0);
	comes(METER, true);
	reads(POWER, number(5));
	run(SECOND);
	assert_int_equal(n_published("DBIRTH/g/f-meter"), 1);
	assert_int_equal((int)field_of(published("DBIRTH/g/f-meter", 0), 0, 10), 5);
	assert_int_equal((int)field_of(published("DDATA/g/f-meter", 0), 0, 5), 1); /* what the birth told is past */
	reads(POWER, number(6));
	turns_bad(POWER, QUALITY_TIMEOUT);
	comes(METER, false);
	run(SECOND);
	const struct said *death = published("DDEATH/g/f-meter", 0);
	assert_int_equal(n_metrics_of(death), 0);
	assert_true(seq_of(death) > 0);
	assert_true(index_of(death) > index_of(published("DDATA/g/f-meter", 1))); /* behind its last words */
	run(20 * SECOND);
	assert_int_equal(n_published("DDEATH/g/f-meter"), 1);
	comes(METER, true);
	run(SECOND);
	assert_int_equal(n_published("DBIRTH/g/f-meter"), 2);
	end();
}

static void test_leaves_in_order(void **state)
{
	(void)state;
	for (int protocol = 4; protocol <= 5; protocol++) {
		begin(NULL, 1, protocol);
		comes(METER, true);
		up();
		reads(POWER, number(1));
		sparkplug_stop(sparkplug);
		mqtt.grants = false;
		step();
		assert_int_equal(n_published("DDATA/g/f-meter"), 1);
		assert_int_equal(n_published("NDEATH/g"), 0); /* what was sent is not known to be read */
		mqtt.grants = true;
		int64_t wake_us = 0;
		for (int i = 0; i < 5; i++)
			wake_us = step();
		assert_true(wake_us == CLOCK_NEVER);
		assert_int_equal(n_published("NDEATH/g"), protocol == 4 ? 1 : 0); /* else the broker does it: `dies` */
		assert_int_equal(waiting(), 0);
		if (protocol == 4) {
			const struct said *death = published("NDEATH/g", 0);
			assert_int_equal(n_metrics_of(death), 1);
			assert_int_equal(seq_of(death), -1);
			assert_int_equal((int)field_of(death, 0, 11), 254);
		}
		bool orderly = false;
		for (size_t i = 0; i < mqtt.n_said; i++)
			orderly |= mqtt.said[i].kind == SAID_CLOSE && mqtt.said[i].orderly;
		assert_true(orderly);
		end();
	}
}

static void test_a_stop_is_bounded(void **state)
{
	(void)state;
	begin(NULL, 1, 4);
	comes(METER, true);
	up();
	mqtt.full = true;
	reads(POWER, number(1));
	sparkplug_stop(sparkplug);
	run(3 * SECOND);
	assert_true(step() == CLOCK_NEVER);
	assert_int_equal(waiting(), 1);
	end();
	begin(NULL, 1, 4);
	mqtt.answers = false;
	step();
	sparkplug_stop(sparkplug);
	step();
	assert_true(step() == CLOCK_NEVER);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session_and_will),
		cmocka_unit_test(test_subscribes_before_births),
		cmocka_unit_test(test_births),
		cmocka_unit_test(test_births_without_a_value),
		cmocka_unit_test(test_births_of_many),
		cmocka_unit_test(test_births_wait_for_the_socket),
		cmocka_unit_test(test_no_busy_loop),
		cmocka_unit_test(test_a_node_birth_that_is_too_long),
		cmocka_unit_test(test_names_keep_their_folders),
		cmocka_unit_test(test_data_by_alias_only),
		cmocka_unit_test(test_seq_goes_round),
		cmocka_unit_test(test_a_refused_publish_takes_no_seq),
		cmocka_unit_test(test_bdseq_counts_connects),
		cmocka_unit_test(test_rebirth),
		cmocka_unit_test(test_rebirths_while_births_are_told),
		cmocka_unit_test(test_a_device_comes_and_goes),
		cmocka_unit_test(test_leaves_in_order),
		cmocka_unit_test(test_a_stop_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
