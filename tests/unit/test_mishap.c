/*
 * Mishaps as text, and that they repeat with their seed.
 */
#include "sim/mishap.h"
#include "sdk/check.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct plan_device devices[] = {{.path = "a/one"}, {.path = "a/two"}, {.path = "a/net", .bus = 1}};
static struct plan_bus buses[] = {{.name = "rs485"}, {.name = "plc"}};
static const struct plan plan = {.devices = devices, .n_devices = 3, .buses = buses, .n_buses = 2};

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
	assert_int_equal(mishaps_parse("noise,wrong-unit@plc,echoing@a/net:50%,unplugged", &plan, 7, &arena, &mishaps,
				 complaint),
		0);
	assert_int_equal(mishaps.rules[0].what, MISHAP_NOISY);
	assert_int_equal(mishaps.rules[0].bus, MISHAP_ANY);
	assert_int_equal(mishaps.rules[1].device, MISHAP_ANY);
	assert_int_equal(mishaps.rules[1].bus, 1);
	assert_int_equal(mishaps.rules[2].device, MISHAP_ANY); /* it is the bus that echoes */
	assert_int_equal(mishaps.rules[2].bus, 1);
	assert_true(mishaps.rules[3].rate == 0.01);
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
	const struct mishap_rule rules[] = {
		{MISHAP_LOST, 0.3, MISHAP_ANY, MISHAP_ANY}, {MISHAP_SLOW, 0.5, 1, MISHAP_ANY}};
	const struct mishaps mishaps = {.rules = rules, .n_rules = 2, .seed = 42};
	struct mishap_state one, again, other;
	mishap_begin(&mishaps, 1, 0, &one);
	mishap_begin(&mishaps, 1, 0, &again);
	mishap_begin(&mishaps, 2, 0, &other);
	int lost = 0, slow = 0, same = 0;
	for (int i = 0; i < 10000; i++) {
		struct mishap_fate a = mishap_draw(&mishaps, 1000, &one);
		struct mishap_fate b = mishap_draw(&mishaps, 1000, &again);
		struct mishap_fate c = mishap_draw(&mishaps, 1000, &other);
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

static void a_rule_behind_others_does_not_move_their_mishaps(void **state)
{
	(void)state;
	const struct mishap_rule rules[] = {{MISHAP_LOST, 0.3, MISHAP_ANY, MISHAP_ANY},
		{MISHAP_NOISY, 0.5, MISHAP_ANY, MISHAP_ANY}, {MISHAP_EXCEPTION, 0.5, MISHAP_ANY, MISHAP_ANY}};
	const struct mishaps alone = {.rules = rules, .n_rules = 1, .seed = 5},
			     all = {.rules = rules, .n_rules = 3, .seed = 5};
	struct mishap_state one, other;
	mishap_begin(&alone, 0, 0, &one);
	mishap_begin(&all, 0, 0, &other);
	int lost = 0, noisy = 0;
	for (int i = 0; i < 1000; i++) {
		struct mishap_fate a = mishap_draw(&alone, 1000, &one), b = mishap_draw(&all, 1000, &other);
		assert_int_equal(a.silent, b.silent);
		assert_true(
			!b.exception || b.exception == 4 || b.exception == 5 || b.exception == 6 || b.exception == 11);
		lost += b.silent;
		noisy += b.silent && b.noisy;
	}
	assert_in_range(noisy, lost * 35 / 100, lost * 65 / 100); /* neither follows from the other */
}

static void seeds_differ(void **state)
{
	(void)state;
	const struct mishap_rule rule = {MISHAP_LOST, 0.5, MISHAP_ANY, MISHAP_ANY};
	const struct mishaps seven = {.rules = &rule, .n_rules = 1, .seed = 7},
			     eight = {.rules = &rule, .n_rules = 1, .seed = 8};
	struct mishap_state one, other;
	mishap_begin(&seven, 0, 0, &one);
	mishap_begin(&eight, 0, 0, &other);
	int same = 0;
	for (int i = 0; i < 1000; i++)
		same += mishap_draw(&seven, 1, &one).silent == mishap_draw(&eight, 1, &other).silent;
	assert_in_range(same, 400, 600);
}

static void what_befalls_a_bus_is_drawn_of_the_bus(void **state)
{
	(void)state;
	struct arena arena = {0};
	struct mishaps mishaps;
	char complaint[160];
	assert_int_equal(mishaps_parse("echoing@rs485,unplugged@plc:10%", &plan, 7, &arena, &mishaps, complaint), 0);
	struct mishap_state serial, net;
	mishap_begin_bus(&mishaps, 0, &serial);
	mishap_begin_bus(&mishaps, 1, &net);
	assert_true(serial.echoing);
	assert_false(net.echoing);
	int unplugged = 0;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(mishap_unplugs(&mishaps, &serial), 0);
		int64_t away = mishap_unplugs(&mishaps, &net);
		unplugged += away > 0;
		if (away)
			assert_in_range(away, 1000000, 5000000);
	}
	assert_in_range(unplugged, 60, 140);
	arena_free(&arena);
}

static uint16_t crc(const uint8_t *bytes, size_t n)
{
	return bf_crc16_modbus(bytes, n);
}

static void noise_is_always_found_by_the_checksum(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 20000; i++) {
		uint8_t frame[32] = {1, 3, 20}, sound[32];
		size_t n = 5 + (size_t)(i % 28);
		uint16_t sum = crc(frame, n - 2);
		frame[n - 2] = (uint8_t)sum;
		frame[n - 1] = (uint8_t)(sum >> 8);
		memcpy(sound, frame, sizeof(frame));
		struct mishap_fate fate = {.noisy = true, .dice = i};
		assert_int_equal(mishap_spoil(&fate, frame, n), n);
		assert_int_not_equal(crc(frame, n), 0);
		assert_memory_equal(frame + n, sound + n, sizeof(frame) - n);
	}
}

static void what_is_cut_off_is_shorter_and_else_as_it_was(void **state)
{
	(void)state;
	bool seen[9] = {false};
	for (uint64_t i = 0; i < 1000; i++) {
		uint8_t frame[9] = {1, 3, 4, 5, 6, 7, 8, 9, 10};
		struct mishap_fate fate = {.truncated = true, .dice = i};
		size_t n = mishap_spoil(&fate, frame, 9);
		assert_in_range(n, 1, 8);
		seen[n] = true;
		assert_memory_equal(frame, ((uint8_t[]){1, 3, 4, 5, 6, 7, 8, 9, 10}), 9);
	}
	for (size_t n = 1; n < 9; n++)
		assert_true(seen[n]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mishaps_are_read_from_text),
		cmocka_unit_test(mishaps_repeat_with_their_seed),
		cmocka_unit_test(a_rule_behind_others_does_not_move_their_mishaps),
		cmocka_unit_test(seeds_differ),
		cmocka_unit_test(what_befalls_a_bus_is_drawn_of_the_bus),
		cmocka_unit_test(noise_is_always_found_by_the_checksum),
		cmocka_unit_test(what_is_cut_off_is_shorter_and_else_as_it_was),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
