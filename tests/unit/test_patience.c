/*
 * Learnt time-outs and the budgets of silence.
 */
#include "field/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define MS   1000
#define S    (1000 * (int64_t)MS)
#define WIRE (12 * MS)

static uint64_t seed = 99;

static uint32_t chance(uint32_t below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 0x2545F4914F6CDD1Du >> 33) % below);
}

/* The wait for a live device. */
static int64_t wait_of(struct patience *patience, struct patience_bus *bus)
{
	int64_t at, wait_us = patience_ask(patience, bus, WIRE, 0, S, &at);
	assert_int_equal(at, S);
	return wait_us;
}

static void the_time_out_follows_the_answers(void **state)
{
	(void)state;
	struct patience_bus bus;
	struct patience quick, slow, capped;
	patience_bus_init(&bus, false);
	patience_init(&quick, 1000 * MS);
	patience_init(&slow, 1000 * MS);
	patience_init(&capped, 100 * MS);
	assert_int_equal(wait_of(&quick, &bus), 60 * MS); /* nothing is known */
	for (int i = 0; i < 500; i++) {
		patience_answered(&quick, &bus, 2 * MS);
		patience_answered(&slow, &bus, 200 * MS + chance(20) * MS);
		patience_answered(&capped, &bus, 90 * MS);
	}
	assert_int_equal(quick.learnt_us, 35 * MS); /* never shorter */
	assert_int_equal(wait_of(&quick, &bus), 60 * MS);
	assert_in_range(wait_of(&slow, &bus), 400 * MS, 600 * MS);
	assert_int_equal(wait_of(&capped, &bus), 100 * MS);
	/* one odd answer is waited for, until it was one of thousands */
	patience_answered(&quick, &bus, 300 * MS);
	assert_in_range(wait_of(&quick, &bus), 300 * MS, 700 * MS);
	for (int i = 0; i < 1500; i++)
		patience_answered(&quick, &bus, 2 * MS);
	assert_int_equal(quick.learnt_us, 35 * MS);
}

static void a_device_never_heard_gets_what_is_learnt_on_its_bus(void **state)
{
	(void)state;
	struct patience_bus bus;
	struct patience heard, unheard;
	patience_bus_init(&bus, false);
	patience_init(&heard, 1000 * MS);
	patience_init(&unheard, 1000 * MS);
	for (int i = 0; i < 20; i++)
		patience_answered(&heard, &bus, 2 * MS);
	assert_int_equal(bus.bound_us, 35 * MS);
	assert_int_equal(wait_of(&unheard, &bus), 60 * MS);
	for (int i = 0; i < 20; i++)
		patience_answered(&heard, &bus, 150 * MS);
	assert_int_equal(wait_of(&unheard, &bus), 80 * MS - WIRE); /* five of them fit the budget */
}

/* A bus where somebody always waits. */
static int64_t next_ask(struct patience *patience, struct patience_bus *bus, int64_t now_us, int64_t *ret_wait_us)
{
	int64_t at;
	*ret_wait_us = patience_ask(patience, bus, WIRE, now_us, now_us, &at);
	return at;
}

static void a_device_that_goes_silent_is_asked_ever_less(void **state)
{
	(void)state;
	struct patience_bus bus;
	struct patience patience;
	int64_t now = S, wait_us, asked[12];
	patience_bus_init(&bus, false);
	patience_init(&patience, 1000 * MS);
	for (int i = 0; i < 20; i++)
		patience_answered(&patience, &bus, 2 * MS);
	int64_t not_before = now;
	for (int i = 0; i < 12; i++) {
		now = next_ask(&patience, &bus, not_before, &wait_us);
		asked[i] = now;
		assert_int_equal(wait_us, (i ? 35 : 60) * MS);
		not_before = now + patience_missed(&patience, &bus, WIRE + wait_us, now + WIRE + wait_us);
	}
	assert_int_equal(asked[1] - asked[0], 500 * MS);
	for (int i = 2; i < 12; i++) {
		assert_in_range(asked[i] - asked[i - 1], 500 * MS, 10 * S);
		assert_true(asked[i] - asked[i - 2] >= 10 * S - 2 * (WIRE + 60 * MS)); /* two in any ten seconds */
	}
	/* it lives: everything is as before, but a second chance must be earned */
	patience_answered(&patience, &bus, 2 * MS);
	assert_int_equal(patience_missed(&patience, &bus, 80 * MS, now + 20 * S), 500 * MS);
	assert_true(next_ask(&patience, &bus, now + 21 * S, &wait_us) > now + 22 * S);
	for (int i = 0; i < PATIENCE_EARNED; i++)
		patience_answered(&patience, &bus, 2 * MS);
	patience_missed(&patience, &bus, 80 * MS, now + 40 * S);
	assert_int_equal(next_ask(&patience, &bus, now + 41 * S, &wait_us), now + 41 * S);
}

static void the_whole_time_out_is_rare(void **state)
{
	(void)state;
	struct patience_bus bus;
	struct patience heard, silent;
	int64_t at, now = S;
	unsigned whole = 0;
	patience_bus_init(&bus, false);
	patience_init(&heard, 1000 * MS);
	patience_init(&silent, 1000 * MS);
	patience_answered(&heard, &bus, 2 * MS);
	for (int64_t end = now + 1000 * S; now < end; now += 100 * MS) {
		int64_t wait_us = patience_ask(&silent, &bus, WIRE, now, now, &at);
		if (at > now)
			continue;
		whole += wait_us == 1000 * MS;
		patience_missed(&silent, &bus, WIRE + wait_us, now + WIRE + wait_us);
	}
	assert_in_range(whole, 7, 9); /* once in two minutes */
	/* nobody else is due for a while */
	assert_int_equal(patience_ask(&silent, &bus, WIRE, now + 32 * S, now + 30 * S, &at), 1000 * MS);
	assert_int_equal(at, now + 30 * S);
}

static void on_its_own_bus_a_device_is_waited_for(void **state)
{
	(void)state;
	struct patience_bus bus;
	struct patience patience;
	int64_t at;
	patience_bus_init(&bus, true);
	patience_init(&patience, 1000 * MS);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(patience_ask(&patience, &bus, WIRE, 0, S, &at), 1000 * MS);
		assert_int_equal(at, S);
		patience_missed(&patience, &bus, 1012 * MS, S);
	}
}

/* The longest sum within any ten seconds of what was spent. */
struct record {
	int64_t until, us;
};

static int64_t worst_window(const struct record *records, size_t n)
{
	int64_t worst = 0;
	for (size_t i = 0; i < n; i++) {
		int64_t sum = 0;
		for (size_t k = i + 1; k-- > 0;) {
			int64_t from = records[i].until - PATIENCE_WINDOW_US;
			if (records[k].until <= from)
				break;
			sum += records[k].until - records[k].us < from ? records[k].until - from : records[k].us;
		}
		if (sum > worst)
			worst = sum;
	}
	return worst;
}

static void no_ten_seconds_hold_more_than_the_budget(void **state)
{
	(void)state;
	static struct record records[20000];
	for (int round = 0; round < 200; round++) {
		struct spending spending = {0};
		int64_t now = 0, limit_us = (100 + chance(400)) * MS;
		size_t n = 0;
		while (n < 300) {
			int64_t cost_us = (5 + chance(90)) * MS;
			now = spending_room_at(&spending, cost_us, limit_us, now + chance(700) * MS);
			now += cost_us;
			spending_add(&spending, now, cost_us);
			records[n++] = (struct record){now, cost_us};
		}
		assert_true(worst_window(records, n) <= limit_us);
		/* and it is used: the budget is no tighter than it says */
		assert_true(worst_window(records, n) > limit_us - 95 * MS);
	}
}

/* When there is no room for more marks, what is remembered counts no less. */
static void many_small_ones_are_counted_together(void **state)
{
	(void)state;
	struct spending spending = {0};
	for (int i = 0; i < 1000; i++)
		spending_add(&spending, i * (int64_t)MS, MS);
	assert_true(spending_room_at(&spending, MS, 1000 * MS, S) >= 9900 * MS);
	assert_int_equal(spending_room_at(&spending, MS, 1000 * MS, 21 * S), 21 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_time_out_follows_the_answers),
		cmocka_unit_test(a_device_never_heard_gets_what_is_learnt_on_its_bus),
		cmocka_unit_test(a_device_that_goes_silent_is_asked_ever_less),
		cmocka_unit_test(the_whole_time_out_is_rare),
		cmocka_unit_test(on_its_own_bus_a_device_is_waited_for),
		cmocka_unit_test(no_ten_seconds_hold_more_than_the_budget),
		cmocka_unit_test(many_small_ones_are_counted_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
