/*
 * The file of refused gaps: it comes back for the same device only, and from no bytes whatever comes harm.
 */
#include "base/whole_file.h"
#include "field/learnt.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static uint64_t seed = 77;

static uint32_t chance(uint32_t below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 0x2545F4914F6CDD1Du >> 33) % below);
}

static struct plan_bus bus = {.wire = WIRE_SERIAL, .port = "/dev/ttyUSB0"};
static struct plan_metric metrics[2] = {{.place = {BF_SPACE_INPUT, 0, 1}}, {.place = {BF_SPACE_INPUT, 5, 2}}};
static const struct plan plan = {.buses = &bus, .metrics = metrics};
static struct plan_device told = {.address = 3, .n_metrics = 2, .max_registers = 125, .max_gap = -1};

static void what_was_learnt_comes_back(void **state)
{
	(void)state;
	struct refusals known = {.list = {{BF_SPACE_INPUT, 1, 5}, {BF_SPACE_COIL, 7, 7}, {BF_SPACE_HOLDING, 0, 65536}},
		.kept = {true, false, true},
		.n = 3};
	struct refusals back = {0};
	struct learnt learnt;
	struct arena arena = {0};
	char text[1024] = LEARNT_HEAD;
	size_t n = strlen(text);
	n += learnt_print(&plan, &told, &known, text + n);
	learnt_parse(text, n, &learnt, &arena);
	assert_int_equal(learnt.n, 2);
	learnt_recall(&learnt, &plan, &told, &back);
	assert_int_equal(back.n, 2);
	assert_memory_equal(&back.list[0], &known.list[0], sizeof(back.list[0]));
	assert_memory_equal(&back.list[1], &known.list[2], sizeof(back.list[1]));
	assert_true(back.kept[0] && back.kept[1]);
	arena_free(&arena);
}

static void another_device_is_another_key(void **state)
{
	(void)state;
	uint64_t key = learnt_key(&plan, &told);
	struct plan_device changed = told;
	assert_true(learnt_key(&plan, &changed) == key);
	changed.address = 4;
	assert_true(learnt_key(&plan, &changed) != key);
	changed = told;
	changed.max_registers = 20;
	assert_true(learnt_key(&plan, &changed) != key);
	changed = told;
	changed.n_metrics = 1;
	assert_true(learnt_key(&plan, &changed) != key);
	metrics[1].place.at = 6;
	assert_true(learnt_key(&plan, &told) != key);
	metrics[1].place.at = 5;
	bus.port = "/dev/ttyUSB1";
	assert_true(learnt_key(&plan, &told) != key);
	bus.port = "/dev/ttyUSB0";
	assert_true(learnt_key(&plan, &told) == key);
}

static size_t sound_lines(const char *text)
{
	struct learnt learnt;
	struct arena arena = {0};
	learnt_parse(text, strlen(text), &learnt, &arena);
	arena_free(&arena);
	return learnt.n;
}

static void lines_that_are_not_sound_are_passed_over(void **state)
{
	(void)state;
	assert_int_equal(sound_lines(LEARNT_HEAD "0123456789abcdef input 2 5\n"), 1);
	assert_int_equal(sound_lines(LEARNT_HEAD "0123456789abcdef input 2 5"), 0); /* cut off */
	assert_int_equal(sound_lines("busferry learnt 2\n0123456789abcdef input 2 5\n"), 0);
	assert_int_equal(sound_lines(LEARNT_HEAD "0123456789abcdef input 5 2\n"), 0);
	assert_int_equal(sound_lines(LEARNT_HEAD "0123456789abcdef input 2 65537\n"), 0);
	assert_int_equal(sound_lines(LEARNT_HEAD "0123456789abcdef input -2 5\n"), 0);
	assert_int_equal(sound_lines(LEARNT_HEAD "0123456789abcdef input 2 5 6\n"), 0);
	assert_int_equal(sound_lines(LEARNT_HEAD "0123456789abcdef output 2 5\n"), 0);
	assert_int_equal(sound_lines(LEARNT_HEAD "0123456789abcde input 2 5\n"), 0);
	assert_int_equal(sound_lines(LEARNT_HEAD "0123456789abcdef0 input 2 5\n"), 0);
	assert_int_equal(sound_lines(LEARNT_HEAD "\n\nrubbish\n0123456789abcdef coil 2 2\n"), 1);
	assert_int_equal(sound_lines(""), 0);
}

static void any_bytes_are_taken(void **state)
{
	(void)state;
	static const char sound[] = LEARNT_HEAD "0123456789abcdef input 2 5\n0123456789abcdef holding 100 120\n";
	char text[4096];
	for (int round = 0; round < 20000; round++) {
		size_t n = sizeof(sound) - 1;
		memcpy(text, sound, n);
		for (unsigned i = 0, changes = 1 + chance(6); i < changes; i++)
			text[strlen(LEARNT_HEAD) + chance((uint32_t)(n - strlen(LEARNT_HEAD)))] = (char)chance(256);
		n -= chance(20);
		struct learnt learnt;
		struct arena arena = {0};
		learnt_parse(text, n, &learnt, &arena);
		for (size_t i = 0; i < learnt.n; i++) {
			assert_true(learnt.list[i].refusal.from <= learnt.list[i].refusal.to);
			assert_true(learnt.list[i].refusal.to <= 65536);
			assert_true(learnt.list[i].refusal.space < BF_N_SPACES);
		}
		arena_free(&arena);
	}
}

static void a_device_takes_no_more_than_it_holds(void **state)
{
	(void)state;
	struct learnt_gap list[3 * REFUSALS_MAX];
	struct learnt learnt = {.list = list, .n = 3 * REFUSALS_MAX};
	struct refusals refusals = {0};
	for (uint32_t i = 0; i < learnt.n; i++)
		list[i] = (struct learnt_gap){learnt_key(&plan, &told), {BF_SPACE_INPUT, i, i + 1}};
	learnt_recall(&learnt, &plan, &told, &refusals);
	assert_int_equal(refusals.n, REFUSALS_MAX);
}

static void the_file_is_replaced_as_a_whole(void **state)
{
	(void)state;
	char folder[] = "/tmp/busferry-learnt-XXXXXX", path[64], beside[80];
	struct learnt learnt;
	struct arena arena = {0};
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/learnt", folder);
	snprintf(beside, sizeof(beside), "%s.new", path);
	assert_int_equal(learnt_load(path, &learnt, &arena), -ENOENT);
	assert_int_equal(learnt.n, 0);
	const char text[] = LEARNT_HEAD "0123456789abcdef input 2 5\n";
	assert_int_equal(whole_file_save(path, text, strlen(text)), 0);
	assert_int_equal(learnt_load(path, &learnt, &arena), 0);
	assert_int_equal(learnt.n, 1);
	assert_int_equal(access(beside, F_OK), -1);
	/* it can't be written: the old one stays */
	assert_int_equal(symlink("/nowhere/at/all", beside), 0);
	assert_true(whole_file_save(path, "x", 1) < 0);
	assert_int_equal(learnt_load(path, &learnt, &arena), 0);
	assert_int_equal(learnt.n, 1);
	unlink(beside);
	unlink(path);
	assert_true(learnt_load(folder, &learnt, &arena) < 0);
	rmdir(folder);
	assert_true(whole_file_save(path, text, strlen(text)) < 0);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_learnt_comes_back),
		cmocka_unit_test(another_device_is_another_key),
		cmocka_unit_test(lines_that_are_not_sound_are_passed_over),
		cmocka_unit_test(any_bytes_are_taken),
		cmocka_unit_test(a_device_takes_no_more_than_it_holds),
		cmocka_unit_test(the_file_is_replaced_as_a_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
