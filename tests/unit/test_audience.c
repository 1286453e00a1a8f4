/*
 * Several listeners of one publisher: what each is told, and how one takes the place of another.
 */
#include "ship/audience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char heard[256];

struct member {
	struct publisher_listener listener;
	char name;
};

static void note(struct publisher_listener *listener, char what)
{
	size_t n = strlen(heard);
	snprintf(heard + n, sizeof(heard) - n, "%c%c ", ((struct member *)(void *)listener)->name, what);
}

static void on_connected(struct publisher_listener *listener, const char *url, struct uplink *uplink, bool resumed)
{
	assert_string_equal(url, "mqtt://a");
	assert_non_null(uplink);
	note(listener, resumed ? 'R' : 'C');
}

static void on_lost(struct publisher_listener *listener)
{
	note(listener, 'L');
}

static void on_turned(struct publisher_listener *listener, struct uplink *uplink)
{
	note(listener, uplink ? 'T' : 't');
}

static void on_replaced(struct publisher_listener *listener, struct publisher_listener *next, struct uplink *uplink)
{
	assert_non_null(uplink);
	note(listener, next ? 'P' : 'p');
}

#define MEMBER(letter)                                                                                                 \
	{                                                                                                              \
		.listener = {.connected = on_connected,                                                                \
			.lost = on_lost,                                                                               \
			.turned = on_turned,                                                                           \
			.replaced = on_replaced},                                                                      \
		.name = letter                                                                                         \
	}
static struct member one = MEMBER('1'), two = MEMBER('2'), three = MEMBER('3');
static struct uplink uplink;
static struct audience audience;
static struct publisher_listener *all;

static int setup(void **state)
{
	(void)state;
	audience_init(&audience);
	all = &audience.listener;
	audience_add(&audience, &one.listener);
	audience_add(&audience, &two.listener);
	heard[0] = '\0';
	return 0;
}

static void expect(const char *expected)
{
	assert_string_equal(heard, expected);
	heard[0] = '\0';
}

static void test_change_while_connected(void **state)
{
	(void)state;
	all->connected(all, "mqtt://a", &uplink, true);
	expect("1R 2R ");
	audience_change(&audience, &two.listener, &three.listener);
	assert_true(audience_changes(&audience));
	expect("");
	all->turned(all, &uplink);
	assert_false(audience_changes(&audience));
	expect("2P 2L 3C 1T 3T "); /* it has not missed the connection */
	all->turned(all, &uplink);
	expect("1T 3T ");
	audience_change(&audience, &three.listener, NULL);
	all->turned(all, &uplink);
	expect("3p 3L 1T ");
	audience_change(&audience, NULL, &two.listener);
	all->turned(all, &uplink);
	expect("2C 1T 2T ");
	all->lost(all);
	expect("1L 2L ");
}

static void test_change_while_away(void **state)
{
	(void)state;
	audience_change(&audience, &two.listener, &three.listener);
	all->turned(all, NULL);
	expect("1t 3t ");
	all->connected(all, "mqtt://a", &uplink, false);
	expect("1C 3C ");
	all->lost(all);
	audience_change(&audience, NULL, NULL);
	all->turned(all, NULL);
	expect("1L 3L 1t 3t ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_change_while_connected, setup),
		cmocka_unit_test_setup(test_change_while_away, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
