/*
 * The contract of stream drivers: the example of docs/writing-a-driver.md keeps it, and each driver that breaks it in
 * some way is found out.
 */
#include "stream_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct bf_driver bf_driver_vane;

/* The structs that the tables of the driver fill. */
static const int keys = 16;
static const char *const tags[] = {"W", "D", "R", "T"};
static const struct contract_metric metrics[] = {
	{&tags[0], 0, 0}, {&tags[1], 0, 0}, {&tags[2], 0, 0}, {&tags[3], 0, 0}};
static const struct bf_message_told messages[] = {{"", {NULL, 0}, NULL}};

/* The two frames of docs/example-driver/vane.conf, noise between them. */
static const uint8_t golden[] = {0xA9, 0x04, 0x57, 0x22, 0x00, 0x44, 0x13, 0x01, 0x52, 0xB3, 0x04, 0x54, 0xCC, 0xFF,
	0xAA, 0x28, 0x11, 0xA9, 0x03, 0x57, 0x00, 0x00, 0x44, 0x00, 0x80, 0x54, 0xD7, 0x00, 0xF4, 0xC2};

static bool holds(const struct bf_driver *driver, char broken[static CONTRACT_SIZE])
{
	const struct contract contract = {.driver = driver,
		.device = {.keys = &keys, .messages = messages, .n_messages = 1},
		.metrics = metrics,
		.n_metrics = 4,
		.checked = true};
	return contract_holds(&contract, golden, sizeof(golden), broken);
}

static void test_the_example_keeps_it(void **state)
{
	(void)state;
	char broken[CONTRACT_SIZE];
	bool fine = holds(&bf_driver_vane, broken);
	if (!fine)
		print_message("%s\n", broken);
	assert_true(fine);
}

static enum bf_find sound_find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	return bf_driver_vane.find(device, input, n, body, ret_found);
}

/* Throws the whole frame away when its check fails. */
static enum bf_find hasty_find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	enum bf_find what = sound_find(device, input, n, body, ret_found);
	if (what != BF_FIND_DAMAGED)
		return what;
	ret_found->n = 4 + 3 * (size_t)input[1];
	return BF_FIND_SKIP;
}

/* Takes any frame for a sound one. */
static enum bf_find credulous_find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	enum bf_find what = sound_find(device, input, n, body, ret_found);
	if (what != BF_FIND_DAMAGED)
		return what;
	size_t size = 4 + 3 * (size_t)input[1];
	*ret_found = (struct bf_found){size, {0, input, size}};
	return BF_FIND_MESSAGE;
}

static enum bf_find greedy_find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	enum bf_find what = sound_find(device, input, n, body, ret_found);
	ret_found->n += what == BF_FIND_MESSAGE;
	return what;
}

static enum bf_find forgetful_find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	static unsigned calls;
	return ++calls % 5 == 0 ? BF_FIND_MORE : sound_find(device, input, n, body, ret_found);
}

/* Gives up what is not complete yet. */
static enum bf_find impatient_find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	enum bf_find what = sound_find(device, input, n, body, ret_found);
	if (what == BF_FIND_MORE && n > 1)
		ret_found->n = n;
	return what == BF_FIND_MORE && n > 1 ? BF_FIND_SKIP : what;
}

static enum bf_find scribbling_find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	enum bf_find what = sound_find(device, input, n, body, ret_found);
	if (what == BF_FIND_MESSAGE)
		((uint8_t *)input)[1] = 0;
	return what;
}

static enum bf_find farsighted_find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	const volatile uint8_t *behind = input + n;
	return *behind == 0xA9 ? BF_FIND_MORE : sound_find(device, input, n, body, ret_found);
}

static int lost_value(const struct bf_device *device, const void *metric, unsigned index,
	const struct bf_message *message, char text[static BF_STRING_MAX + 1], struct bf_value *ret_value)
{
	int rc = bf_driver_vane.value(device, metric, index, message, text, ret_value);
	return rc < 0 ? -1 : rc;
}

static void test_those_that_break_it_are_found_out(void **state)
{
	(void)state;
	static const struct {
		enum bf_find (*find)(const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body,
			struct bf_found *ret_found);
		const char *says;
	} breakers[] = {
		{hasty_find, "what is sound is not found behind"},
		{credulous_find, "a reading of a damaged message"},
		{greedy_find, "find() takes 14 of 13 bytes"},
		{forgetful_find, "find() says something else when it is asked again"},
		{impatient_find, "other readings when the bytes are split"},
		{scribbling_find, "find() writes to its input"},
	};
	char broken[CONTRACT_SIZE];
	struct bf_driver driver = bf_driver_vane;
	for (size_t i = 0; i < sizeof(breakers) / sizeof(breakers[0]); i++) {
		driver.find = breakers[i].find;
		assert_false(holds(&driver, broken));
		if (!strstr(broken, breakers[i].says))
			print_message("%s, not %s\n", broken, breakers[i].says);
		assert_non_null(strstr(broken, breakers[i].says));
	}
	driver = bf_driver_vane;
	driver.value = lost_value;
	assert_false(holds(&driver, broken));
	assert_string_equal(broken, "value() returns -1");
}

static void test_a_look_behind_the_bytes_is_a_crash(void **state)
{
	(void)state;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		char broken[CONTRACT_SIZE];
		struct bf_driver driver = bf_driver_vane;
		driver.find = farsighted_find;
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		fclose(stderr);
		close(STDERR_FILENO);
		holds(&driver, broken);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_example_keeps_it),
		cmocka_unit_test(test_those_that_break_it_are_found_out),
		cmocka_unit_test(test_a_look_behind_the_bytes_is_a_crash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
