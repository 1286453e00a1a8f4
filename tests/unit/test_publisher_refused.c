/*
 * What becomes of a message that the broker refuses, does not take now, or at which it drops the connection; and of the
 * others meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log_capture.h"
#include "publisher_stage.h"

#include <string.h>

static void test_negative_acknowledgements(void **state)
{
	(void)state;
	begin(1, false);
	fake.reason = 0x87;
	steps(3);
	reading("denied", 1);
	steps(3);
	assert_int_equal(counts().dropped_refused, 1);
	assert_int_equal(status().refused, 1);
	fake.reason = 0x97;
	reading("later", 1);
	steps(2);
	unsigned sent = fake.n_sent;
	steps(5);
	assert_int_equal(fake.n_sent, sent); /* a pause */
	assert_int_equal(counts().waiting, 1);
	fake.reason = 0x10; /* no subscribers: delivered */
	run(2 * SECOND);
	assert_true(outbox_empty(outbox));
	assert_int_equal(counts().done, 1);
	end();
}

/* "does not take messages now" is a fault that lasts; its end is told when none was put off for a minute. */
static void test_putting_off_has_an_end(void **state)
{
	(void)state;
	begin(1, false);
	steps(3);
	fake.reason = 0x97;
	reading("later", 1);
	run(100 * SECOND);
	fake.reason = 0;
	for (int i = 0; i < 200; i++) {
		reading("on", 1);
		run(SECOND);
	}
	assert_true(outbox_empty(outbox));
	end();
	const char *text = log_captured();
	assert_non_null(strstr(text, "does not take messages now: "));
	const char *over = strstr(text, ": takes messages again after ");
	assert_non_null(over);
	assert_null(strstr(over + 1, ": takes messages again after "));
}

/* A broker that never has room for one message and always for others: it is about the message. */
static void test_put_off_for_long(void **state)
{
	(void)state;
	begin(1, false);
	fake.reason = 0x97;
	fake.refuses_on = "heavy";
	steps(3);
	reading("heavy", 1);
	for (int i = 0; i < 500; i++) {
		reading("light", 1);
		run(SECOND);
	}
	assert_int_equal(counts().dropped_refused, 0);
	assert_true(counts().done > 400); /* the others go on */
	for (int i = 0; i < 200; i++) {
		reading("light", 1);
		run(SECOND);
	}
	assert_int_equal(counts().dropped_refused, 1);
	run(60 * SECOND);
	assert_true(outbox_empty(outbox));

	fake.refuses_on = NULL; /* none is taken: that is about now, for however long */
	reading("heavy", 1);
	reading("light", 1);
	run(3600 * SECOND);
	assert_int_equal(counts().dropped_refused, 1);
	assert_int_equal(counts().waiting, 2);
	end();
}

static void test_not_for_the_wire(void **state)
{
	(void)state;
	begin(1, false);
	fake.limits.maximum_packet = 60;
	steps(3);
	reading("a/+/b", 1);
	reading("a/very/long/topic/that/makes/the/packet/larger/than/that/60", 1);
	reading("good", 1);
	steps(3);
	assert_int_equal(fake.n_sent, 1);
	assert_int_equal(counts().dropped_refused, 2);
	assert_int_equal(counts().done, 1);
	end();
}

static void test_poison(void **state)
{
	(void)state;
	begin(1, false);
	says_state = true;
	steps(3);
	fake.drops_at = "poison";
	reading("before", 1);
	reading("poison", 1);
	reading("after", 1);
	run(60 * SECOND);
	assert_int_equal(counts().dropped_refused, 1);
	assert_int_equal(counts().done, 2);
	assert_true(outbox_empty(outbox));
	assert_in_range(n_sent_on("poison"), 3, 6);
	/* The topic becomes an outcast after three of them, and the others never stop. */
	for (int i = 0; i < 6; i++) {
		reading("poison", 1);
		reading("after", 1);
		run(120 * SECOND);
	}
	assert_true(outbox_empty(outbox));
	assert_int_equal(counts().done, 8);
	assert_int_equal(counts().dropped_refused, 7);
	end();
}

/* Two readings at which the connection drops, among others or not; how long until all are settled. */
static int64_t hunt(bool among_others)
{
	int64_t start_us = virtual_now;
	reading("poison", 1);
	reading(among_others ? "good" : "poison", 1);
	while (!outbox_empty(outbox) && virtual_now < start_us + 300 * SECOND)
		run(100000);
	assert_true(outbox_empty(outbox));
	return virtual_now - start_us;
}

/* With a broker that takes everything else there is no reason to wait long between the attempts; with one that took
 * nothing since the last message was set aside there is. */
static void test_poison_is_found_soon(void **state)
{
	(void)state;
	begin(1, false);
	steps(3);
	reading("good", 1);
	run(SECOND);
	fake.drops_at = "poison";
	assert_in_range(hunt(true), 4 * SECOND, 8 * SECOND);
	assert_int_equal(counts().dropped_refused, 1);
	run(60 * SECOND);
	assert_in_range(hunt(false), 12 * SECOND, 120 * SECOND); /* the second of them takes its time */
	assert_int_equal(counts().dropped_refused, 3);
	end();
}

static void test_broker_that_falls_over_is_no_poison(void **state)
{
	(void)state;
	begin(1, false);
	fake.acks = false;
	reading("innocent", 1);
	/* A broker that ends each connection after half a second, before it acknowledges anything. */
	for (int i = 0; i < 60; i++) {
		while (!status().connected)
			run(100000);
		run(500000);
		fake_drop(UPLINK_CLOSED);
		step();
	}
	assert_int_equal(counts().dropped_refused, 0);
	fake.acks = true;
	run(20 * SECOND);
	assert_int_equal(counts().done, 1);
	end();
}

static void test_standing_poison_does_not_block(void **state)
{
	(void)state;
	begin(1, false);
	says_state = true;
	fake.drops_at = "state";
	reading("a", 1);
	run(120 * SECOND);
	assert_int_equal(counts().done, 1);
	assert_true(status().connected);
	assert_in_range(n_sent_on("state"), 3, 5);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_negative_acknowledgements),
		cmocka_unit_test_setup_teardown(test_putting_off_has_an_end, log_capture_begin, log_capture_end),
		cmocka_unit_test(test_put_off_for_long),
		cmocka_unit_test(test_not_for_the_wire),
		cmocka_unit_test(test_poison),
		cmocka_unit_test(test_poison_is_found_soon),
		cmocka_unit_test(test_broker_that_falls_over_is_no_poison),
		cmocka_unit_test(test_standing_poison_does_not_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
