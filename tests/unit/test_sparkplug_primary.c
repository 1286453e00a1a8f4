/*
 * A Sparkplug node and its primary host, which is there or not, at one of several brokers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log_capture.h"
#include "sparkplug_stage.h"

#include <stdio.h>
#include <string.h>

static void state_of(const char *host, bool online, int64_t time_ms)
{
	char topic[64], text[96];
	snprintf(topic, sizeof(topic), "spBv1.0/STATE/%s", host);
	int n = snprintf(text, sizeof(text), "{\"online\":%s,\"timestamp\":%lld}", online ? "true" : "false",
		(long long)time_ms);
	hear(topic, text, (size_t)n, true);
}

static void test_primary_host(void **state)
{
	(void)state;
	begin("scada", 1, 4);
	comes(METER, true);
	reads(POWER, number(1));
	run(30 * SECOND);
	assert_int_equal(n_published(""), 0); /* no birth before it is online */
	state_of("scada", false, 4000);
	state_of("scada", true, 3999); /* older than what was heard */
	state_of("other", true, 5000);
	run(SECOND);
	assert_int_equal(n_published(""), 0);
	state_of("scada", true, 4000);
	run(SECOND);
	assert_int_equal(n_published("NBIRTH/g"), 1);
	assert_int_equal((int)field_of(published("DDATA/g/f-meter", 0), 0, 5), 1); /* it has waited */
	state_of("scada", false, 3000); /* the late will of an older session of its */
	run(SECOND);
	assert_int_equal(n_published("NDEATH/g"), 0);
	reads(POWER, number(2));
	state_of("scada", false, 4000);
	step();
	assert_int_equal(n_published("NDEATH/g"), 1);
	assert_false(mqtt.open);
	assert_int_equal(waiting(), 1);
	run(10 * SECOND);
	assert_true(mqtt.active); /* it is there again, and waits */
	assert_int_equal(n_published("NBIRTH/g"), 1);
	state_of("scada", true, 9000);
	run(SECOND);
	assert_int_equal(n_published("NBIRTH/g"), 2);
	assert_int_equal(waiting(), 0);
	end();
}

static void test_primary_host_of_older_days(void **state)
{
	(void)state;
	begin("scada", 1, 4);
	run(SECOND);
	hear("STATE/scada", "OFFLINE", 7, true);
	hear("STATE/scada", "ONLINE ", 7, true);
	run(SECOND);
	assert_int_equal(n_published(""), 0);
	hear("STATE/scada", "ONLINE", 6, true);
	run(SECOND);
	assert_int_equal(n_published("NBIRTH/g"), 1);
	hear("STATE/scada", "OFFLINE", 7, true);
	step();
	assert_int_equal(n_published("NDEATH/g"), 1);
	run(5 * SECOND);
	state_of("scada", false, 1); /* it speaks as hosts do today: then only that counts */
	hear("STATE/scada", "ONLINE", 6, true);
	run(SECOND);
	assert_int_equal(n_published("NBIRTH/g"), 1);
	end();
}

static void test_the_next_broker(void **state)
{
	(void)state;
	begin("scada", 2, 4);
	run(SECOND);
	assert_string_equal(mqtt.target.endpoint->host, "one");
	run(20 * SECOND); /* it says nothing: the next */
	assert_string_equal(mqtt.target.endpoint->host, "two");
	state_of("scada", true, 1000);
	run(SECOND);
	assert_int_equal(n_published("NBIRTH/g"), 1);
	state_of("scada", false, 1000);
	run(SECOND);
	assert_int_equal(n_published("NDEATH/g"), 1);
	run(SECOND);
	assert_string_equal(mqtt.target.endpoint->host, "one");
	assert_int_equal(n_published("NBIRTH/g"), 1);
	state_of("scada", false, 1000); /* it says that it is not: sooner */
	run(8 * SECOND);
	assert_string_equal(mqtt.target.endpoint->host, "two");
	end();
}

/* To each broker the host tells when its session there began, so times of two brokers are not compared. */
static void test_the_next_broker_has_its_own_times(void **state)
{
	(void)state;
	begin("scada", 2, 4);
	run(SECOND);
	state_of("scada", true, 5000);
	run(SECOND);
	assert_int_equal(n_published("NBIRTH/g"), 1);
	state_of("scada", false, 5000);
	run(2 * SECOND);
	assert_string_equal(mqtt.target.endpoint->host, "two");
	state_of("scada", true, 2000);
	run(SECOND);
	assert_int_equal(n_published("NBIRTH/g"), 2);
	state_of("scada", false, 2000);
	run(2 * SECOND);
	assert_string_equal(mqtt.target.endpoint->host, "one");
	state_of("scada", true, 4999); /* what is left of a session before the last */
	run(SECOND);
	assert_int_equal(n_published("NBIRTH/g"), 2);
	end();
}

/* It may be away for weeks: each broker is told of once, then that it is there again. */
static void test_what_the_log_says(void **state)
{
	(void)state;
	unsigned n = 0;
	begin("scada", 2, 4);
	run(1000 * SECOND);
	char text[8192];
	snprintf(text, sizeof(text), "%s", log_captured());
	for (const char *at = text; (at = strstr(at, ": connected")); at++)
		n++;
	assert_int_equal(n, 1);
	assert_non_null(strstr(text, "the primary host scada is not there; readings wait"));
	while (!mqtt.active)
		run(SECOND);
	state_of("scada", true, 1000);
	run(SECOND);
	assert_non_null(strstr(log_captured(), "the primary host scada is there after"));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_primary_host),
		cmocka_unit_test(test_primary_host_of_older_days),
		cmocka_unit_test(test_the_next_broker),
		cmocka_unit_test(test_the_next_broker_has_its_own_times),
		cmocka_unit_test_setup_teardown(test_what_the_log_says, log_capture_begin, log_capture_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
