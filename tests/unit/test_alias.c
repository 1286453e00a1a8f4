/*
 * Topic aliases of one connection: who gets one, and that each is heard of once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ship/alias.h"

#include <stdio.h>

static struct aliases aliases;

static uint16_t ask(unsigned topic, bool *ret_known)
{
	char text[32];
	snprintf(text, sizeof(text), "home/ground/meter/m%u", topic);
	return alias_of(&aliases, text, ret_known);
}

static void test_the_first_get_them(void **state)
{
	(void)state;
	bool known;
	aliases_begin(&aliases, 2);
	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(ask(7, &known), 1);
		assert_int_equal(known, round > 0);
		assert_int_equal(ask(8, &known), 2);
		assert_int_equal(known, round > 0);
		assert_int_equal(ask(9, &known), 0);
		assert_false(known);
	}
	aliases_begin(&aliases, 1);
	assert_int_equal(ask(9, &known), 1);
	assert_false(known);
	assert_int_equal(ask(7, &known), 0);
	aliases_begin(&aliases, 0);
	assert_int_equal(ask(9, &known), 0);
	assert_false(known);
}

static void test_as_many_as_there_are(void **state)
{
	(void)state;
	bool known;
	aliases_begin(&aliases, UINT16_MAX);
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < ALIAS_MOST + 50; i++) {
			assert_int_equal(ask(i, &known), i < ALIAS_MOST ? i + 1 : 0);
			assert_int_equal(known, round == 1 && i < ALIAS_MOST);
		}
	aliases_begin(&aliases, 0);
}

static void test_one_that_was_not_sent(void **state)
{
	(void)state;
	bool known;
	aliases_begin(&aliases, 3);
	assert_int_equal(ask(1, &known), 1);
	assert_int_equal(ask(2, &known), 2);
	alias_take_back(&aliases);
	assert_int_equal(ask(1, &known), 1);
	assert_true(known);
	for (unsigned topic = 2; topic < 4; topic++) {
		assert_int_equal(ask(topic, &known), topic);
		assert_false(known);
	}
	aliases_begin(&aliases, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_get_them),
		cmocka_unit_test(test_as_many_as_there_are),
		cmocka_unit_test(test_one_that_was_not_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
