/*
 * The box of errands: order, the number of slots, what is no errand, closing, and threads that put while one takes and
 * closes: each errand that was taken in is answered once.
 */
#include "field/errand.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static int n_done;
static int last_rc;

static void note(void *user, const struct errand *errand, const struct errand_outcome *outcome)
{
	(void)user;
	(void)errand;
	n_done++;
	last_rc = outcome->rc;
}

static struct errand read_of(uint16_t at, uint16_t count)
{
	return (struct errand){.kind = ERRAND_READ,
		.metric = ERRAND_NO_METRIC,
		.unit = 1,
		.place = {BF_SPACE_HOLDING, at, count},
		.done = note};
}

static void are_taken_in_their_order(void **state)
{
	(void)state;
	static struct errand_box box;
	errand_box_init(&box, -1);
	n_done = 0;
	for (uint16_t round = 0; round < 3; round++) { /* slots are used again */
		for (uint16_t i = 0; i < ERRAND_SLOTS; i++) {
			struct errand errand = read_of((uint16_t)(i + round), 1);
			assert_int_equal(errand_put(&box, &errand), 0);
		}
		struct errand one_more = read_of(99, 1);
		assert_int_equal(errand_put(&box, &one_more), -EBUSY);
		assert_true(errand_waits(&box));
		for (uint16_t i = 0; i < ERRAND_SLOTS; i++) {
			struct errand_slot *slot = errand_take(&box);
			assert_non_null(slot);
			assert_int_equal(slot->errand.place.at, i + round);
			errand_fail(slot, -ETIMEDOUT);
			assert_int_equal(last_rc, -ETIMEDOUT);
		}
		assert_false(errand_waits(&box));
		assert_null(errand_take(&box));
	}
	assert_int_equal(n_done, 3 * ERRAND_SLOTS);
}

static void what_no_request_can_carry_is_refused(void **state)
{
	(void)state;
	static struct errand_box box;
	errand_box_init(&box, -1);
	const struct {
		enum errand_kind kind;
		struct bf_place place;
		int rc;
	} cases[] = {
		{ERRAND_READ, {BF_SPACE_INPUT, 0, 125}, 0},
		{ERRAND_READ, {BF_SPACE_INPUT, 0, 126}, -EINVAL},
		{ERRAND_READ, {BF_SPACE_COIL, 0, 2000}, 0},
		{ERRAND_READ, {BF_SPACE_COIL, 0, 2001}, -EINVAL},
		{ERRAND_READ, {BF_SPACE_HOLDING, 65535, 1}, 0},
		{ERRAND_READ, {BF_SPACE_HOLDING, 65535, 2}, -EINVAL},
		{ERRAND_READ, {BF_SPACE_HOLDING, 0, 0}, -EINVAL},
		{ERRAND_READ, {BF_N_SPACES, 0, 1}, -EINVAL},
		{ERRAND_WRITE, {BF_SPACE_HOLDING, 0, 123}, 0},
		{ERRAND_WRITE, {BF_SPACE_HOLDING, 0, 124}, -EINVAL},
		{ERRAND_WRITE, {BF_SPACE_COIL, 0, 1968}, 0},
		{ERRAND_WRITE, {BF_SPACE_COIL, 0, 1969}, -EINVAL},
		{ERRAND_WRITE, {BF_SPACE_INPUT, 0, 1}, -EINVAL},
		{ERRAND_WRITE, {BF_SPACE_DISCRETE, 0, 1}, -EINVAL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct errand errand = read_of(0, 1);
		errand.kind = cases[i].kind;
		errand.place = cases[i].place;
		assert_int_equal(errand_put(&box, &errand), cases[i].rc);
	}
	struct errand nobodys = read_of(0, 1);
	nobodys.done = NULL;
	assert_int_equal(errand_put(&box, &nobodys), -EINVAL);
	errand_close(&box);
}

static void closing_answers_those_that_wait(void **state)
{
	(void)state;
	static struct errand_box box;
	errand_box_init(&box, -1);
	n_done = 0;
	struct errand errand = read_of(0, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(errand_put(&box, &errand), 0);
	struct errand_slot *taken = errand_take(&box);
	errand_close(&box);
	assert_int_equal(n_done, 4);
	assert_int_equal(last_rc, -ECANCELED);
	assert_int_equal(errand_put(&box, &errand), -ESHUTDOWN);
	errand_fail(taken, -ECANCELED);
	errand_close(&box);
	assert_int_equal(n_done, 5);
}

#define PUTTERS 4

struct crowd {
	struct errand_box box;
	_Atomic long put, done;
	_Atomic int running;
};

static void count(void *user, const struct errand *errand, const struct errand_outcome *outcome)
{
	(void)outcome;
	assert_int_equal(errand->place.count, errand->place.at % 100 + 1); /* it is whole */
	atomic_fetch_add(&((struct crowd *)user)->done, 1);
}

static void *put_many(void *user)
{
	struct crowd *crowd = user;
	int rc = 0;
	for (uint16_t i = 0; rc != -ESHUTDOWN; i = (uint16_t)(i + 1) % 1000) {
		struct errand errand = read_of(i, (uint16_t)(i % 100 + 1));
		errand.done = count;
		errand.user = crowd;
		rc = errand_put(&crowd->box, &errand);
		if (rc == 0)
			atomic_fetch_add(&crowd->put, 1);
		if (rc == -EBUSY)
			sched_yield();
	}
	atomic_fetch_sub(&crowd->running, 1);
	return NULL;
}

static void threads_lose_none_also_when_it_closes(void **state)
{
	(void)state;
	for (int round = 0; round < 50; round++) {
		static struct crowd crowd;
		pthread_t threads[PUTTERS];
		crowd.put = crowd.done = 0;
		crowd.running = PUTTERS;
		errand_box_init(&crowd.box, -1);
		for (int i = 0; i < PUTTERS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, put_many, &crowd), 0);
		while (crowd.done < 200) {
			struct errand_slot *slot = errand_take(&crowd.box);
			if (slot)
				errand_fail(slot, -ETIMEDOUT);
			else
				sched_yield();
		}
		errand_close(&crowd.box);
		for (int i = 0; i < PUTTERS; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(crowd.put, crowd.done);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(are_taken_in_their_order),
		cmocka_unit_test(what_no_request_can_carry_is_refused),
		cmocka_unit_test(closing_answers_those_that_wait),
		cmocka_unit_test(threads_lose_none_also_when_it_closes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
