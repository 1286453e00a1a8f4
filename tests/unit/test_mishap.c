/*
 * Mishaps as text, and that they repeat with their seed.
 */
#include "sim/mishap.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct plan_device devices[] = {{.path = "a/one"}, {.path = "a/two"}, {.path = "a/net"}};
static const struct plan plan = {.devices = devices, .n_devices = 3};

static void mishaps_are_read_from_text(void **state)
{
	(void)state;
	struct arena arena = {0};
	struct mishaps mishaps;
	char complaint[160];
	assert_int_equal(
		mishaps_parse("late,dead@a/two,lost:5%,slow@a/net:0.25", &plan, 7, &arena, &mishaps, complaint), 0);
	assert_int_equal(mishaps.n_rules, 4);
	assert_int_equal(mishaps.rules[1].what, MISHAP_DEAD);
	assert_int_equal(mishaps.rules[1].device, 1);
	assert_true(mishaps.rules[1].rate == 1);
	assert_true(fabs(mishaps.rules[2].rate - 0.05) < 1e-12);
	assert_int_equal(mishaps.rules[3].device, 2);
	assert_true(mishaps.rules[3].rate == 0.25);
	static const char *const bad[] = {"", "rude", "late,", "late@a/three", "late:", "late:200%", "late:5%%",
		"late:nan", "late@", "dead@a/two:x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		complaint[0] = '\0';
		assert_int_equal(mishaps_parse(bad[i], &plan, 7, &arena, &mishaps, complaint), -EINVAL);
		assert_true(complaint[0] != '\0');
	}
	arena_free(&arena);
}

static void mishaps_repeat_with_their_seed(void **state)
{
	(void)state;
	const struct mishap_rule rules[] = {{MISHAP_LOST, MISHAP_ANY_DEVICE, 0.3}, {MISHAP_SLOW, 1, 0.5}};
	const struct mishaps mishaps = {.rules = rules, .n_rules = 2, .seed = 42};
	struct mishap_state one, again, other;
	mishap_begin(&mishaps, 1, &one);
	mishap_begin(&mishaps, 1, &again);
	mishap_begin(&mishaps, 2, &other);
	int lost = 0, slow = 0, same = 0;
	for (int i = 0; i < 10000; i++) {
		struct mishap_fate a = mishap_draw(&mishaps, 1, 1000, &one);
		struct mishap_fate b = mishap_draw(&mishaps, 1, 1000, &again);
		struct mishap_fate c = mishap_draw(&mishaps, 2, 1000, &other);
		assert_int_equal(a.silent, b.silent);
		assert_int_equal(a.delay_us, b.delay_us);
		assert_int_equal(c.delay_us, 0);
		lost += a.silent;
		slow += a.delay_us > 0;
		same += a.silent == c.silent;
		assert_true(a.delay_us < 1000);
	}
	assert_in_range(lost, 2800, 3200);
	assert_in_range(slow, 4800, 5200);
	assert_in_range(same, 5000, 6600); /* 0.58 by chance */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mishaps_are_read_from_text),
		cmocka_unit_test(mishaps_repeat_with_their_seed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
