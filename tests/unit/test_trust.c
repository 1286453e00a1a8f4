/*
 * Which question an answer belongs to.
 */
#include "field/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MS 1000
#define S  1000000

#define ONE   TRUST_SHAPE(3, 2) /* one holding register */
#define TWO   TRUST_SHAPE(3, 4)
#define THREE TRUST_SHAPE(3, 6)
#define INPUT TRUST_SHAPE(4, 2)

static void an_answer_in_time_is_certain(void **state)
{
	(void)state;
	struct trust trust = {0};
	assert_false(trust_doubtful(&trust, 0));
	trust_asked(&trust, ONE, 1 * S);
	assert_int_equal(trust_heard(&trust, ONE, false, 1 * S + 20 * MS), TRUST_CERTAIN);
	assert_false(trust_doubtful(&trust, 2 * S));
	assert_int_equal(trust.latest_us, 20 * MS);
	/* a second one was never asked for */
	assert_int_equal(trust_heard(&trust, ONE, false, 1 * S + 40 * MS), TRUST_UNASKED);
}

static void after_a_time_out_the_same_shape_proves_nothing(void **state)
{
	(void)state;
	struct trust trust = {0};
	trust_asked(&trust, ONE, 0);
	assert_true(trust_doubtful(&trust, 1 * S));
	trust_asked(&trust, ONE, 1 * S);
	assert_int_equal(trust_heard(&trust, ONE, false, 1 * S + 10 * MS), TRUST_UNCERTAIN);
	/* of the two, the older one at least is over */
	assert_int_equal(trust_heard(&trust, ONE, false, 1 * S + 20 * MS), TRUST_CERTAIN);
}

static void what_comes_while_another_unit_is_asked_ends_nothing(void **state)
{
	(void)state;
	struct trust trust = {0};
	trust_asked(&trust, ONE, 0);
	assert_int_equal(trust_heard(&trust, ONE, true, 2 * S), TRUST_LATE);
	assert_int_equal(trust.latest_us, 2 * S);
	assert_true(trust_doubtful(&trust, 2 * S));
	trust_overheard(&trust, TWO, 3 * S);
	assert_int_equal(trust_heard(&trust, TWO, true, 3 * S), TRUST_FOREIGN);
	assert_true(trust_is_open(&trust, TWO));
}

static void a_canary_of_another_shape_ends_what_is_older(void **state)
{
	(void)state;
	struct trust trust = {0};
	trust_asked(&trust, ONE, 0);
	trust_asked(&trust, TWO, 1 * S);
	assert_int_equal(trust_heard(&trust, ONE, false, 1100 * MS), TRUST_LATE);
	assert_int_equal(trust.heard_us, 1100 * MS);
	assert_true(trust_doubtful(&trust, 1100 * MS));
	assert_int_equal(trust_heard(&trust, TWO, false, 1200 * MS), TRUST_CERTAIN);
	assert_false(trust_doubtful(&trust, 1200 * MS));

	/* the late one never came: in order means that it will not */
	trust_asked(&trust, ONE, 2 * S);
	trust_asked(&trust, TWO, 3 * S);
	assert_int_equal(trust_heard(&trust, TWO, false, 3100 * MS), TRUST_CERTAIN);
	assert_false(trust_doubtful(&trust, 3200 * MS));
}

static void two_canaries_of_one_shape_are_not_told_apart(void **state)
{
	(void)state;
	struct trust trust = {0};
	trust_asked(&trust, ONE, 0);
	trust_asked(&trust, TWO, 1 * S);
	assert_true(trust_is_open(&trust, TWO));
	trust_asked(&trust, TWO, 2 * S);
	assert_int_equal(trust_heard(&trust, TWO, false, 2100 * MS), TRUST_UNCERTAIN);
	assert_true(trust_doubtful(&trust, 2200 * MS));
	/* only the newest one counts */
	trust_asked(&trust, THREE, 3 * S);
	assert_int_equal(trust_heard(&trust, TWO, false, 3100 * MS), TRUST_LATE);
	assert_int_equal(trust_heard(&trust, THREE, false, 3200 * MS), TRUST_CERTAIN);
	assert_false(trust_doubtful(&trust, 3200 * MS));
}

static void an_exception_counts_where_its_function_is_asked_once(void **state)
{
	(void)state;
	struct trust trust = {0};
	trust_asked(&trust, INPUT, 0);
	assert_false(trust_function_is_open(&trust, 3));
	trust_asked(&trust, TWO, 1 * S);
	assert_int_equal(trust_heard(&trust, TRUST_EXCEPTION(3), false, 1100 * MS), TRUST_CERTAIN);
	assert_false(trust_doubtful(&trust, 1100 * MS));

	trust_asked(&trust, ONE, 2 * S);
	assert_true(trust_function_is_open(&trust, 3));
	trust_asked(&trust, TWO, 3 * S);
	assert_int_equal(trust_heard(&trust, TRUST_EXCEPTION(3), false, 3100 * MS), TRUST_UNCERTAIN);
	assert_true(trust_doubtful(&trust, 3100 * MS));
	assert_int_equal(trust_heard(&trust, TRUST_EXCEPTION(4), false, 3200 * MS), TRUST_UNASKED);
	assert_int_equal(trust_heard(&trust, TWO, false, 3300 * MS), TRUST_CERTAIN);
}

static void silence_is_longer_than_the_latest_answer(void **state)
{
	(void)state;
	struct trust trust = {.timeout_us = S};
	trust_asked(&trust, ONE, 0);
	assert_int_equal(trust_silent_until(&trust), 6 * S);
	assert_int_equal(trust_heard(&trust, ONE, false, 5 * S), TRUST_CERTAIN);
	trust_asked(&trust, ONE, 10 * S);
	assert_int_equal(trust_silent_until(&trust), 20 * S);
	trust_let_go(&trust);
	assert_false(trust_doubtful(&trust, 20 * S));

	/* it was later than that, and what was let go of is under way again */
	trust_asked(&trust, TWO, 20 * S);
	assert_int_equal(trust_heard(&trust, ONE, false, 21 * S), TRUST_LATE);
	assert_int_equal(trust.latest_us, 11 * S);
	assert_int_equal(trust_heard(&trust, TWO, false, 22 * S), TRUST_CERTAIN);

	trust_asked(&trust, ONE, 30 * S);
	trust_asked(&trust, ONE, 31 * S);
	trust_let_go(&trust);
	assert_int_equal(trust_heard(&trust, ONE, false, 60 * S), TRUST_LATE);
	assert_true(trust_doubtful(&trust, 60 * S));
	assert_int_equal(trust_heard(&trust, ONE, false, 61 * S), TRUST_CERTAIN);

	struct trust slow = {.timeout_us = 5 * S};
	trust_asked(&slow, ONE, 0);
	assert_int_equal(trust_silent_until(&slow), 10 * S);
}

static void what_is_a_minute_old_is_let_go_of(void **state)
{
	(void)state;
	struct trust trust = {0};
	trust_asked(&trust, ONE, 0);
	trust_asked(&trust, TWO, 30 * S);
	assert_true(trust_doubtful(&trust, 61 * S));
	assert_false(trust_is_open(&trust, ONE));
	assert_true(trust_is_open(&trust, TWO));
	assert_false(trust_doubtful(&trust, 91 * S));
}

static void the_question_of_another_master_is_one_too(void **state)
{
	(void)state;
	struct trust trust = {0};
	trust_overheard(&trust, ONE, 0);
	assert_true(trust_doubtful(&trust, 100 * MS));
	assert_int_equal(trust_heard(&trust, ONE, false, 100 * MS), TRUST_FOREIGN);
	assert_false(trust_doubtful(&trust, 200 * MS));

	/* it asks while we wait: whose answer is the first one? */
	trust_asked(&trust, ONE, 1 * S);
	assert_true(trust_is_alone(&trust));
	trust_overheard(&trust, ONE, 1010 * MS);
	assert_false(trust_is_alone(&trust));
	assert_int_equal(trust_heard(&trust, ONE, false, 1020 * MS), TRUST_UNCERTAIN);
	assert_int_equal(trust_heard(&trust, ONE, false, 1030 * MS), TRUST_FOREIGN);
	assert_false(trust_doubtful(&trust, 1040 * MS));

	/* its answers do not end what we wait for */
	trust_asked(&trust, ONE, 2 * S);
	trust_overheard(&trust, TWO, 2010 * MS);
	assert_int_equal(trust_heard(&trust, TWO, false, 2020 * MS), TRUST_FOREIGN);
	assert_true(trust_doubtful(&trust, 2030 * MS));
	assert_int_equal(trust_heard(&trust, ONE, false, 2040 * MS), TRUST_CERTAIN);

	/* nor are they ours if they come in a wrong length */
	trust_asked(&trust, ONE, 2200 * MS);
	trust_overheard(&trust, TWO, 2210 * MS);
	assert_int_equal(trust_heard(&trust, ONE, false, 2220 * MS), TRUST_UNCERTAIN);
	assert_int_equal(trust_heard(&trust, TWO, false, 2230 * MS), TRUST_FOREIGN);
	assert_false(trust_doubtful(&trust, 2240 * MS));

	/* a certain answer of ours says that older ones of others are over when another says so, too */
	trust_overheard(&trust, TWO, 2500 * MS);
	trust_asked(&trust, ONE, 2600 * MS);
	assert_int_equal(trust_heard(&trust, ONE, false, 2610 * MS), TRUST_CERTAIN);
	assert_true(trust_is_open(&trust, TWO));
	assert_true(trust_is_open(&trust, ONE)); /* the second one has to be of another shape */
	trust_asked(&trust, THREE, 2700 * MS);
	assert_int_equal(trust_heard(&trust, THREE, false, 2710 * MS), TRUST_CERTAIN);
	assert_false(trust_doubtful(&trust, 2720 * MS));

	/* one that nobody answers is no reason to be silent for ever */
	trust_overheard(&trust, ONE, 3 * S);
	assert_true(trust_doubtful(&trust, 8 * S));
	assert_false(trust_doubtful(&trust, 10 * S));
}

static void a_question_that_nobody_understood_takes_two_canaries(void **state)
{
	(void)state;
	struct trust trust = {0};
	trust_overheard(&trust, TRUST_ANY, 0);
	assert_true(trust_doubtful(&trust, 1 * S));
	trust_asked(&trust, ONE, 1 * S);
	assert_int_equal(trust_heard(&trust, ONE, false, 1100 * MS), TRUST_UNCERTAIN);
	assert_true(trust_is_open(&trust, ONE));
	trust_asked(&trust, TWO, 2 * S);
	assert_int_equal(trust_heard(&trust, TWO, false, 2100 * MS), TRUST_CERTAIN);
	assert_false(trust_doubtful(&trust, 2200 * MS));

	/* noise without end does not fill the list */
	for (int i = 0; i < 100; i++)
		trust_overheard(&trust, TRUST_ANY, 3 * S + i);
	assert_false(trust.overfull);
	assert_false(trust_doubtful(&trust, 20 * S));
}

static void too_many_questions_leave_only_silence(void **state)
{
	(void)state;
	struct trust trust = {0};
	for (int i = 0; i <= TRUST_OPEN_MAX; i++)
		trust_asked(&trust, TRUST_SHAPE(3, 2 + 2 * i), i * (int64_t)S);
	assert_true(trust.overfull);
	assert_int_equal(trust_heard(&trust, TRUST_SHAPE(3, 2 + 2 * TRUST_OPEN_MAX), false, 20 * S), TRUST_UNCERTAIN);
	assert_true(trust_doubtful(&trust, 20 * S));
	trust_let_go(&trust);
	assert_false(trust_doubtful(&trust, 20 * S));
}

static void a_damaged_answer_is_one_if_nothing_else_is_open(void **state)
{
	(void)state;
	struct trust trust = {0};
	trust_asked(&trust, ONE, 0);
	trust_spoilt(&trust);
	assert_true(trust_doubtful(&trust, 100 * MS));
	assert_true(trust_only_spoilt(&trust));
	trust_asked(&trust, TWO, 200 * MS);
	assert_false(trust_only_spoilt(&trust));
}

/* Against a model: a unit that answers in order, or not at all; nothing that is certain is wrong. */
static void certain_is_never_wrong(void **state)
{
	(void)state;
	srand(7);
	for (int run = 0; run < 20000; run++) {
		struct trust trust = {0};
		trust_shape asked[12];
		int n = 1 + rand() % 12, answered = -1;
		for (int i = 0; i < n; i++) {
			asked[i] = TRUST_SHAPE(3 + rand() % 2, 2 + 2 * (rand() % 3));
			trust_asked(&trust, asked[i], i * (int64_t)S);
			while (rand() % 3 == 0 && answered < i) { /* the next one that it answers */
				answered += 1 + rand() % (i - answered);
				bool refuses = rand() % 4 == 0;
				trust_shape shape = refuses ? TRUST_EXCEPTION(asked[answered] >> 8) : asked[answered];
				enum trust_verdict verdict =
					trust_heard(&trust, shape, false, i * (int64_t)S + 10 * MS);
				assert_int_not_equal(verdict, TRUST_UNASKED);
				if (verdict == TRUST_CERTAIN)
					assert_int_equal(answered, i);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_in_time_is_certain),
		cmocka_unit_test(after_a_time_out_the_same_shape_proves_nothing),
		cmocka_unit_test(what_comes_while_another_unit_is_asked_ends_nothing),
		cmocka_unit_test(a_canary_of_another_shape_ends_what_is_older),
		cmocka_unit_test(two_canaries_of_one_shape_are_not_told_apart),
		cmocka_unit_test(an_exception_counts_where_its_function_is_asked_once),
		cmocka_unit_test(silence_is_longer_than_the_latest_answer),
		cmocka_unit_test(what_is_a_minute_old_is_let_go_of),
		cmocka_unit_test(the_question_of_another_master_is_one_too),
		cmocka_unit_test(a_question_that_nobody_understood_takes_two_canaries),
		cmocka_unit_test(too_many_questions_leave_only_silence),
		cmocka_unit_test(a_damaged_answer_is_one_if_nothing_else_is_open),
		cmocka_unit_test(certain_is_never_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
