/*
 * The strip of a wire: what was when, that time clears it, and that the counters go up with it.
 */
#include "field/strip.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define S ((int64_t)1000000)

static struct strip strip;
static struct bus_counts counts;
static uint8_t blocks[STRIP_BLOCKS];

static int setup(void **state)
{
	(void)state;
	memset(&strip, 0, sizeof(strip));
	memset(&counts, 0, sizeof(counts));
	counts.strip = &strip;
	return 0;
}

static int n_of(enum outcome outcome)
{
	int n = 0;
	for (int i = 0; i < STRIP_BLOCKS; i++)
		n += blocks[i] == (uint8_t)outcome;
	return n;
}

static void what_was_when(void **state)
{
	(void)state;
	int64_t now = 100000 * S;
	strip_count(&counts, OUTCOME_ANSWER, now);
	strip_count(&counts, OUTCOME_CHECKSUM, now + S);
	strip_count(&counts, OUTCOME_TIMEOUT, now + 2 * S);
	strip_count(&counts, OUTCOME_EXCEPTION, now + 3 * S);
	strip_read(&strip, now + 10 * S, blocks);
	assert_int_equal(blocks[STRIP_BLOCKS - 1 - 100], OUTCOME_ANSWER);
	assert_int_equal(blocks[STRIP_BLOCKS - 1 - 90], OUTCOME_CHECKSUM);
	assert_int_equal(blocks[STRIP_BLOCKS - 1 - 80], OUTCOME_TIMEOUT);
	assert_int_equal(blocks[STRIP_BLOCKS - 1 - 70], OUTCOME_EXCEPTION);
	assert_int_equal(n_of(OUTCOME_NONE), STRIP_BLOCKS - 4);
	assert_int_equal(counts.answers, 1);
	assert_int_equal(counts.checksum, 1);
	assert_int_equal(counts.timeouts, 1);
	assert_int_equal(counts.exceptions, 1);
	strip_read(&strip, now + 60 * S, blocks);
	assert_int_equal(n_of(OUTCOME_NONE), STRIP_BLOCKS - 3);
	strip_read(&strip, now + 64 * S, blocks);
	assert_int_equal(n_of(OUTCOME_NONE), STRIP_BLOCKS);
}

static void the_worst_of_a_block_is_kept(void **state)
{
	(void)state;
	strip_count(&counts, OUTCOME_ANSWER, 50 * S);
	strip_count(&counts, OUTCOME_TIMEOUT, 50 * S + 10);
	strip_count(&counts, OUTCOME_ANSWER, 50 * S + 20);
	strip_read(&strip, 50 * S, blocks);
	assert_int_equal(blocks[STRIP_BLOCKS - 1], OUTCOME_TIMEOUT);
	assert_int_equal(counts.answers, 2);
}

/* A minute is never seen twice, however long the wire was idle in between. */
static void idle_time_clears(void **state)
{
	(void)state;
	static const int64_t idle[] = {
		STRIP_BLOCK_US, 59 * S, 61 * S, 64 * S, 65 * S, 128 * S, 3600 * S, 30 * 86400 * S};
	for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++) {
		setup(state);
		for (int64_t at = 0; at < 70 * S; at += STRIP_BLOCK_US)
			strip_count(&counts, OUTCOME_TIMEOUT, at);
		int64_t now = 70 * S - STRIP_BLOCK_US + idle[i];
		strip_count(&counts, OUTCOME_ANSWER, now);
		strip_read(&strip, now, blocks);
		assert_int_equal(n_of(OUTCOME_ANSWER), 1);
		int64_t left = STRIP_BLOCKS - idle[i] / STRIP_BLOCK_US;
		assert_int_equal(n_of(OUTCOME_TIMEOUT), left > 0 ? left : 0);
	}
}

static void without_a_strip_it_is_counted(void **state)
{
	(void)state;
	counts.strip = NULL;
	strip_count(&counts, OUTCOME_TIMEOUT, 5 * S);
	assert_int_equal(counts.timeouts, 1);
}

static void *write_on(void *user)
{
	(void)user;
	for (int64_t at = 0; at < 200 * S; at += STRIP_BLOCK_US / 4)
		strip_count(&counts, OUTCOME_ANSWER, at);
	return NULL;
}

/* For TSan, and for outcomes that nobody told. */
static void one_looks_while_another_writes(void **state)
{
	(void)state;
	pthread_t writer;
	assert_int_equal(pthread_create(&writer, NULL, write_on, NULL), 0);
	for (int64_t at = 0; at < 200 * S; at += S / 2) {
		strip_read(&strip, at, blocks);
		assert_int_equal(n_of(OUTCOME_NONE) + n_of(OUTCOME_ANSWER), STRIP_BLOCKS);
	}
	pthread_join(writer, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_was_when, setup),
		cmocka_unit_test_setup(the_worst_of_a_block_is_kept, setup),
		cmocka_unit_test_setup(idle_time_clears, setup),
		cmocka_unit_test_setup(without_a_strip_it_is_counted, setup),
		cmocka_unit_test_setup(one_looks_while_another_writes, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
