/*
 * The arena: zeroed, aligned, apart from each other, and empty after it is freed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/arena.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PIECES 2000

static void test_pieces(void **state)
{
	(void)state;
	struct arena arena = {0};
	static struct {
		unsigned char *at;
		size_t size;
	} pieces[PIECES];
	uint64_t seed = 8;
	size_t sum = 0;
	for (size_t i = 0; i < PIECES; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		size_t size = (size_t)(seed >> 40) % (i % 100 == 0 ? 200000 : 300);
		unsigned char *at = arena_alloc(&arena, size);
		assert_non_null(at);
		assert_int_equal((uintptr_t)at % _Alignof(max_align_t), 0);
		for (size_t k = 0; k < size; k++)
			assert_true(at[k] == 0);
		memset(at, (int)(i & 0xFF), size);
		pieces[i].at = at;
		pieces[i].size = size;
		sum += size;
	}
	for (size_t i = 0; i < PIECES; i++) /* nobody wrote into another's */
		for (size_t k = 0; k < pieces[i].size; k++)
			assert_true(pieces[i].at[k] == (i & 0xFF));
	assert_true(arena.used >= sum);
	arena_free(&arena);
	assert_null(arena.blocks);
	assert_int_equal(arena.used, 0);
}

static void test_a_mark_is_gone_back_to(void **state)
{
	(void)state;
	struct arena arena = {0};
	struct arena_mark empty = arena_mark(&arena);
	arena_alloc(&arena, 100);
	arena_release(&arena, empty);
	assert_null(arena.blocks);
	char *before = arena_text(&arena, "stays");
	struct arena_mark mark = arena_mark(&arena);
	char *small = arena_text(&arena, "goes");
	memset(arena_alloc(&arena, 300000), 1, 300000);
	arena_text(&arena, "goes too");
	arena_release(&arena, mark);
	assert_string_equal(before, "stays");
	assert_int_equal(arena.used, mark.used);
	char *again = arena_alloc(&arena, 5);
	assert_ptr_equal(again, small);
	assert_memory_equal(again, "\0\0\0\0\0", 5);
	arena_free(&arena);
}

static void test_texts(void **state)
{
	(void)state;
	struct arena arena = {0};
	char *a = arena_text(&arena, "home/cellar"), *b = arena_text_n(&arena, "voltage and more", 7);
	char *c = arena_format(&arena, "%s/%s/%d", a, b, 42), *empty = arena_text(&arena, "");
	assert_string_equal(a, "home/cellar");
	assert_string_equal(b, "voltage");
	assert_string_equal(c, "home/cellar/voltage/42");
	assert_string_equal(empty, "");
	char *wide = arena_format(&arena, "%0100000d", 7);
	assert_int_equal(strlen(wide), 100000);
	arena_free(&arena);
}

static void test_arrays(void **state)
{
	(void)state;
	struct arena arena = {0};
	uint64_t *numbers = arena_array(&arena, 1000, sizeof(*numbers));
	for (size_t i = 0; i < 1000; i++)
		assert_true(numbers[i] == 0);
	assert_non_null(arena_array(&arena, 0, 16));
	arena_free(&arena);
}

static void test_free_of_none(void **state)
{
	(void)state;
	struct arena arena = {0};
	arena_free(&arena);
	arena_free(&arena);
	assert_non_null(arena_alloc(&arena, 1)); /* and it may be used again */
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_a_mark_is_gone_back_to),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_free_of_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
