/*
 * Which broker the publisher is with, and when: retries and their pauses, the next of several, and the way back to the
 * first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "publisher_stage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void test_refused_walks_and_backs_off(void **state)
{
	(void)state;
	begin(2, false);
	fake.refuses = true;
	fake.refusal = UPLINK_REFUSED;
	step();
	assert_int_equal(fake.n_opens, 1);
	int64_t start_us = virtual_now;
	run(1500000); /* the other one at once, then within a second from the top */
	assert_true(fake.n_opens >= 3);
	virtual_now = start_us;
	run(60 * SECOND);
	unsigned before = fake.n_opens;
	int64_t gap_us = 0, last_us = virtual_now;
	for (int64_t t = 0; t < 120 * SECOND; t += 100000) {
		virtual_now += 100000;
		step();
		if (fake.n_opens != before) {
			gap_us = virtual_now - last_us > gap_us ? virtual_now - last_us : gap_us;
			last_us = virtual_now;
			before = fake.n_opens;
		}
	}
	assert_true(gap_us > 5 * SECOND && gap_us <= 15 * SECOND + 200000);
	fake.refuses = false;
	run(16 * SECOND);
	assert_true(status().connected);
	end();
}

static void test_auth_waits_longer(void **state)
{
	(void)state;
	begin(1, false);
	fake.refuses = true;
	fake.refusal = UPLINK_AUTH;
	run(120 * SECOND);
	assert_in_range(fake.n_opens, 5, 16);
	unsigned before = fake.n_opens;
	run(31 * SECOND);
	assert_true(fake.n_opens > before && fake.n_opens <= before + 3);
	end();
}

static void test_first_retry_within_a_second(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		begin(1, false);
		steps(3);
		virtual_now += i * SECOND + 12345;
		step();
		fake_drop(UPLINK_CLOSED);
		int64_t wake_us = step();
		assert_true(wake_us - virtual_now >= 100000 && wake_us - virtual_now <= SECOND);
		virtual_now = wake_us;
		steps(2);
		assert_true(status().connected);
		assert_int_equal(status().reconnects, 1);
		end();
	}
}

/* The longest pause between two attempts until an instant. */
static int64_t longest_pause(int64_t until_us)
{
	unsigned before = fake.n_opens;
	int64_t longest_us = 0, last_us = virtual_now;
	for (; virtual_now < until_us; virtual_now += 10000) {
		step();
		if (fake.n_opens == before)
			continue;
		longest_us = virtual_now - last_us > longest_us ? virtual_now - last_us : longest_us;
		last_us = virtual_now;
		before = fake.n_opens;
	}
	return longest_us;
}

static void test_within_a_second_for_a_minute(void **state)
{
	(void)state;
	begin(1, false);
	steps(3);
	run(60 * SECOND);
	fake.refuses = true;
	fake.refusal = UPLINK_REFUSED;
	fake_drop(UPLINK_CLOSED);
	step();
	int64_t start_us = virtual_now;
	assert_in_range(longest_pause(start_us + 59 * SECOND), 300000, 810000);
	assert_in_range(longest_pause(start_us + 300 * SECOND), 5 * SECOND, 15 * SECOND);
	fake.refuses = false;
	run(16 * SECOND);
	assert_true(status().connected);
	end();
}

/* A broker that takes connections and drops them is no restart: it is left alone for longer and longer at once. */
static void test_flapping_is_backed_off_from(void **state)
{
	(void)state;
	begin(1, false);
	steps(3);
	run(60 * SECOND);
	int64_t start_us = virtual_now;
	unsigned n = 0;
	for (; virtual_now < start_us + 60 * SECOND; virtual_now += 10000) {
		step();
		if (!status().connected)
			continue;
		n++;
		fake_drop(UPLINK_CLOSED);
		step();
	}
	assert_in_range(n, 4, 12);
	end();
}

static void test_no_connack(void **state)
{
	(void)state;
	begin(1, false);
	fake.answers = false;
	step();
	run(9 * SECOND);
	assert_int_equal(fake.n_abrupt, 0);
	run(3 * SECOND);
	assert_int_equal(fake.n_abrupt, 1);
	assert_int_equal(fake.n_opens, 2);
	end();
}

/* What an endpoint refuses of the will it is not asked again, the others are. */
static void test_will_refused(void **state)
{
	(void)state;
	begin(2, false);
	fake.refuses = true;
	fake.refusal = UPLINK_NO_RETAIN;
	step();
	assert_ptr_equal(fake.target.endpoint, &endpoints[0]);
	assert_true(fake.target.will_retain);
	assert_int_equal(fake.target.will_qos, 1);
	fake.refusal = UPLINK_NO_QOS;
	while (fake.n_opens < 2)
		run(SECOND / 10);
	assert_ptr_equal(fake.target.endpoint, &endpoints[1]);
	assert_true(fake.target.will_retain);
	fake.refusal = UPLINK_REFUSED;
	while (fake.n_opens < 3)
		run(SECOND / 10);
	assert_ptr_equal(fake.target.endpoint, &endpoints[0]);
	assert_false(fake.target.will_retain);
	assert_int_equal(fake.target.will_qos, 1);
	while (fake.n_opens < 4)
		run(SECOND / 10);
	assert_true(fake.target.will_retain);
	assert_int_equal(fake.target.will_qos, 0);
	end();
}

static void begin_with_two(void)
{
	begin(2, false);
	steps(3);
	assert_string_equal(status().broker_url, "mqtt://one");
	assert_true(status().connected);
	fake.refuses_host = "one";
	fake.refusal = UPLINK_REFUSED;
}

/* From now on until a connection stands. */
static int64_t us_until_connected(void)
{
	int64_t start_us = virtual_now;
	step(); /* a loss is noticed */
	while (!status().connected && virtual_now - start_us < 60 * SECOND) {
		int64_t wake_us = step();
		if (!status().connected)
			virtual_now = wake_us > virtual_now + 50000 ? virtual_now + 50000
				      : wake_us > virtual_now       ? wake_us
								    : virtual_now + 1000;
	}
	assert_true(status().connected);
	return virtual_now - start_us;
}

/* Within two seconds of a refused connection, also when it had stood for long. */
static void test_refused_moves_on_in_time(void **state)
{
	(void)state;
	for (int stood_s = 0; stood_s < 100; stood_s += 9) {
		begin_with_two();
		run(stood_s * SECOND);
		fake.refuses = true;
		fake_drop(UPLINK_CLOSED);
		assert_true(us_until_connected() <= 2 * SECOND);
		assert_string_equal(status().broker_url, "mqtt://two");
		end();
	}
}

/* A restart is waited for, a broker that fell silent or is shutting down is not. */
static void test_where_a_loss_leads_to(void **state)
{
	(void)state;
	static const struct {
		enum uplink_fault fault;
		int stood_s;
		const char *url;
	} cases[] = {
		{UPLINK_CLOSED, 30, "mqtt://one"},
		{UPLINK_PROTOCOL, 30, "mqtt://one"},
		{UPLINK_TAKEN_OVER, 1, "mqtt://one"},
		{UPLINK_REFUSED, 30, "mqtt://two"},
		{UPLINK_BUSY, 30, "mqtt://two"},
		{UPLINK_CLOSED, 3, "mqtt://two"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		begin_with_two();
		run(cases[i].stood_s * SECOND);
		fake_drop(cases[i].fault);
		int64_t us = us_until_connected();
		assert_string_equal(status().broker_url, cases[i].url);
		if (strcmp(cases[i].url, "mqtt://two") == 0)
			assert_true(us <= SECOND / 2);
		end();
	}
}

/* No answer to CONNECT: not waited for longer than the keepalive. */
static void test_no_connack_within_the_keepalive(void **state)
{
	(void)state;
	begin(2, false);
	broker.keepalive_s = 5;
	fake.answers = false;
	step();
	run(5 * SECOND + SECOND / 2);
	assert_int_equal(fake.n_opens, 2);
	assert_string_equal(fake.target.endpoint->url, "mqtt://two");
	end();
}

/* The uplink that looks whether the first is back. */
static struct {
	struct uplink uplink;
	bool answers, refuses, open;
	enum uplink_fault refusal;
	unsigned n_opens, n_forgets, n_orderly;
	char client_id[64];
	struct uplink_target target;
} look;

static int look_open(struct uplink *uplink, const struct uplink_target *target)
{
	(void)uplink;
	assert_false(look.open);
	look.n_opens++;
	look.target = *target;
	snprintf(look.client_id, sizeof(look.client_id), "%s", target->broker->client_id);
	look.open = true;
	if (!look.refuses)
		return 0;
	look.uplink.events.lost(look.uplink.events.user, look.refusal, "refused by the script");
	return -ECONNREFUSED;
}

static int look_fd(const struct uplink *uplink)
{
	(void)uplink;
	return -1;
}

static void look_step(struct uplink *uplink, bool readable, bool writable)
{
	(void)writable;
	assert_true(look.open && readable);
	if (look.answers)
		look.uplink.events.connected(uplink->events.user, false, &fake.limits);
}

static bool look_wants_write(const struct uplink *uplink)
{
	(void)uplink;
	return false;
}

static void look_let_go(struct uplink *uplink)
{
	(void)uplink;
}

static void look_close(struct uplink *uplink, bool orderly)
{
	(void)uplink;
	look.n_orderly += orderly;
}

static void look_forget(struct uplink *uplink)
{
	(void)uplink;
	look.n_forgets++;
	look.open = false;
}

static const struct uplink_ops look_ops = {.open = look_open,
	.wants_write = look_wants_write,
	.fd = look_fd,
	.step = look_step,
	.let_go = look_let_go,
	.close = look_close,
	.forget = look_forget};

/* The second serves, the first is looked at each minute. */
static void begin_looking(void)
{
	begin(2, false);
	memset(&look, 0, sizeof(look));
	look.uplink.ops = &look_ops;
	broker.prefer_first_us = 60 * SECOND;
	assert_int_equal(publisher_look_with(publisher, &look.uplink), 0);
	fake.refuses = true;
	fake.refuses_host = "one";
	fake.refusal = UPLINK_REFUSED;
	us_until_connected();
	assert_string_equal(status().broker_url, "mqtt://two");
	assert_int_equal(look.n_opens, 0);
}

static void test_the_first_is_back(void **state)
{
	(void)state;
	begin_looking();
	run(44 * SECOND);
	assert_int_equal(look.n_opens, 0); /* a quarter of the minute is left to chance */
	fake.acks = false;
	reading("a", 1);
	reading("b", 0);
	look.answers = true;
	fake.refuses = false;
	run(17 * SECOND);
	assert_int_equal(look.n_opens, 1);
	assert_string_equal(look.client_id, "test-look");
	assert_true(look.target.clean_session && !look.target.will_topic);
	assert_string_equal(look.target.endpoint->host, "one");
	assert_true(look.n_orderly == 1 && !look.open);

	/* Something is in flight: it stays, and hands over nothing more. */
	unsigned opens = fake.n_opens;
	reading("c", 1);
	run(5 * SECOND);
	assert_true(status().connected && fake.n_opens == opens);
	assert_int_equal(n_sent_on("c"), 0);

	fake.acks = true;
	run(SECOND);
	assert_string_equal(status().broker_url, "mqtt://one");
	assert_true(status().connected);
	assert_int_equal(n_leaving, 1); /* its last words were sent to the second */
	assert_int_equal(n_sent_on("state/offline"), 1);
	assert_int_equal(fake.n_orderly, 1);
	assert_true(outbox_empty(outbox));
	assert_int_equal(n_sent_on("a"), 1);
	assert_int_equal(n_sent_on("b"), 1);
	assert_int_equal(n_sent_on("c"), 1);

	/* There is nothing better to look for now. */
	run(300 * SECOND);
	assert_int_equal(look.n_opens, 1);
	end();
}

static void test_the_first_is_not_back(void **state)
{
	(void)state;
	static const struct {
		bool refuses;
		enum uplink_fault refusal;
	} cases[] = {{true, UPLINK_REFUSED}, {true, UPLINK_AUTH}, {true, UPLINK_TLS}, {false, UPLINK_REFUSED}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		begin_looking();
		look.refuses = cases[i].refuses;
		look.refusal = cases[i].refusal;
		unsigned opens = fake.n_opens;
		run(600 * SECOND);
		assert_in_range(look.n_opens, 8, 14);
		assert_in_range(look.n_forgets, look.n_opens - 1, look.n_opens);
		assert_true(status().connected && fake.n_opens == opens);
		reading("a", 1);
		run(SECOND);
		assert_int_equal(n_sent_on("a"), 1);
		end();
		assert_false(look.open);
	}
	/* One that only knows our own client id is there. */
	begin_looking();
	look.refuses = true;
	look.refusal = UPLINK_CLIENT_ID;
	fake.refuses = false;
	run(62 * SECOND);
	assert_string_equal(status().broker_url, "mqtt://one");
	end();
}

/* A broker that does not acknowledge in time is not left for now; one that goes meanwhile is no matter. */
static void test_leaving_that_comes_to_nothing(void **state)
{
	(void)state;
	begin_looking();
	look.answers = true;
	fake.acks = false;
	run(44 * SECOND);
	reading("a", 1);
	run(31 * SECOND);
	reading("b", 1);
	run(20 * SECOND);
	assert_int_equal(n_sent_on("b"), 1); /* given up after 30 s */
	assert_string_equal(status().broker_url, "mqtt://two");
	end();

	begin_looking();
	look.answers = true;
	fake.acks = false;
	reading("a", 1);
	run(61 * SECOND);
	assert_int_equal(look.n_opens, 1);
	fake_drop(UPLINK_CLOSED);
	fake.acks = true;
	run(2 * SECOND);
	assert_true(status().connected);
	assert_string_equal(status().broker_url, "mqtt://two");
	assert_true(outbox_empty(outbox));
	assert_int_equal(n_leaving, 0);
	end();
}

static void test_stop_while_leaving(void **state)
{
	(void)state;
	begin_looking();
	look.answers = true;
	fake.acks = false;
	reading("a", 1);
	run(61 * SECOND);
	publisher_stop(publisher);
	fake.acks = true;
	run(SECOND);
	assert_int_equal(n_leaving, 1);
	assert_int_equal(fake.n_orderly, 1);
	assert_true(outbox_empty(outbox));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_walks_and_backs_off),
		cmocka_unit_test(test_auth_waits_longer),
		cmocka_unit_test(test_first_retry_within_a_second),
		cmocka_unit_test(test_within_a_second_for_a_minute),
		cmocka_unit_test(test_flapping_is_backed_off_from),
		cmocka_unit_test(test_no_connack),
		cmocka_unit_test(test_will_refused),
		cmocka_unit_test(test_refused_moves_on_in_time),
		cmocka_unit_test(test_where_a_loss_leads_to),
		cmocka_unit_test(test_no_connack_within_the_keepalive),
		cmocka_unit_test(test_the_first_is_back),
		cmocka_unit_test(test_the_first_is_not_back),
		cmocka_unit_test(test_leaving_that_comes_to_nothing),
		cmocka_unit_test(test_stop_while_leaving),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
