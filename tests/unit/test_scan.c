/*
 * A search on a wire that is played, in virtual time: who is found, in which order, and that no answer is taken for
 * somebody else's.
 */
#include "field/scan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct plan_line lines[] = {{9600, 8, 'N', 1}, {19200, 8, 'E', 1}, {9600, 8, 'E', 1}};

/* A device: the settings it hears, how long it thinks, and what it does. */
struct device {
	uint8_t unit;
	int line; /* -1 = any */
	int64_t thinks_us;
	uint8_t exception;
	int damaged; /* so many answers are damaged at first */
};

/* An answer on its way. */
struct owed {
	int64_t at;
	uint8_t unit, exception;
	uint16_t count;
};

static struct {
	struct scan_wire wire;
	const struct device *devices;
	size_t n_devices;
	bool any_unit, gateway;
	int refuses; /* the index of settings that the port can't do, -1 = none */
	int line;    /* open with these, -1 = closed */
	int64_t now;
	struct owed owed[16];
	size_t n_owed;
	uint64_t strangers;
	uint8_t bytes[64];
	int damaged[256];
	size_t n_asks, n_wrong;
	int64_t spent_us;
} bus;

static int wire_open(struct scan_wire *wire, const struct plan_line *settings)
{
	assert_ptr_equal(wire, &bus.wire);
	int line = settings ? (int)(settings - lines) : 0;
	if (settings && line == bus.refuses)
		return -EINVAL;
	bus.line = line;
	bus.strangers = 0;
	return 0;
}

static void wire_close(struct scan_wire *wire)
{
	(void)wire;
	bus.line = -1;
}

/* What came before a question is thrown away with the input. */
static void forget(void)
{
	size_t n = 0;
	for (size_t i = 0; i < bus.n_owed; i++)
		if (bus.owed[i].at > bus.now)
			bus.owed[n++] = bus.owed[i];
	bus.n_owed = n;
}

static void speak(const struct line_question *question)
{
	for (size_t i = 0; i < bus.n_devices; i++) {
		const struct device *device = &bus.devices[i];
		if ((device->unit == question->unit || bus.any_unit) &&
			(device->line < 0 || device->line == bus.line) && bus.n_owed < 16)
			bus.owed[bus.n_owed++] = (struct owed){.at = bus.now + 20000 + device->thinks_us,
				.unit = question->unit,
				.exception = device->exception,
				.count = question->place.count};
	}
	if (bus.gateway && bus.n_owed == 0)
		bus.owed[bus.n_owed++] = (struct owed){.at = bus.now + 20000, .unit = question->unit, .exception = 11};
}

static const struct device *device_of(uint8_t unit)
{
	for (size_t i = 0; i < bus.n_devices; i++)
		if (bus.devices[i].unit == unit)
			return &bus.devices[i];
	return &bus.devices[0];
}

/* As a line does: unit, and the length of what is no exception, must fit. */
static int wire_ask(struct scan_wire *wire, const struct line_question *question, int64_t timeout_us,
	struct line_answer *ret_answer)
{
	(void)wire;
	assert_true(bus.line >= 0);
	bus.n_asks++;
	forget();
	speak(question);
	int64_t end = bus.now + timeout_us;
	for (;;) {
		struct owed *next = NULL;
		for (size_t i = 0; i < bus.n_owed; i++)
			if (bus.owed[i].at > bus.now && (!next || bus.owed[i].at < next->at))
				next = &bus.owed[i];
		if (!next || next->at > end) {
			bus.spent_us += end - bus.now;
			bus.now = end;
			return -ETIMEDOUT;
		}
		bus.spent_us += next->at - bus.now;
		bus.now = next->at;
		if (next->unit != question->unit) {
			bus.strangers++;
			continue;
		}
		if (bus.n_devices && bus.damaged[next->unit]++ < device_of(next->unit)->damaged)
			return -EBADMSG;
		if (next->exception) {
			*ret_answer = (struct line_answer){.exception = next->exception};
			return -EREMOTEIO;
		}
		if (next->count != question->place.count) {
			bus.n_wrong++;
			return -EBADMSG;
		}
		bus.bytes[0] = 0x12;
		bus.bytes[1] = next->unit;
		*ret_answer = (struct line_answer){.bytes = bus.bytes, .n = 2 * (size_t)next->count};
		return 0;
	}
}

static uint64_t wire_strangers(const struct scan_wire *wire)
{
	(void)wire;
	return bus.strangers;
}

static void wire_rest(struct scan_wire *wire, int64_t for_us)
{
	(void)wire;
	bus.now += for_us;
}

static int64_t wire_now(const struct scan_wire *wire)
{
	(void)wire;
	return bus.now;
}

static char told[1024];
static size_t stop_after;

static bool found(struct scan *scan, struct scan_wire *wire, const struct scan_found *found)
{
	(void)scan;
	assert_ptr_equal(wire, &bus.wire);
	size_t n = strlen(told);
	snprintf(told + n, sizeof(told) - n, "%s%u@%d", n ? " " : "", found->unit,
		found->settings ? (int)(found->settings - lines) : -1);
	n = strlen(told);
	if (found->exception)
		snprintf(told + n, sizeof(told) - n, "!%u", found->exception);
	else
		assert_int_equal(found->value, 0x1200 | found->unit);
	if (found->any_unit)
		strcat(told, "*");
	return true;
}

static bool goes_on(struct scan *scan, size_t n_asked, size_t n_all, const struct plan_line *settings, uint8_t unit)
{
	(void)scan;
	(void)settings;
	(void)unit;
	assert_true(n_asked < n_all || n_asked == n_all);
	return bus.n_asks < stop_after;
}

/* Searches units 1 to n_units. */
static int search(const struct device *devices, size_t n_devices, size_t n_lines, size_t n_units, struct scan *ret_scan)
{
	static uint8_t units[256];
	for (size_t i = 0; i < n_units; i++)
		units[i] = (uint8_t)(i + 1);
	bus.wire = (struct scan_wire){wire_open, wire_close, wire_ask, wire_strangers, wire_rest, wire_now};
	bus.devices = devices;
	bus.n_devices = n_devices;
	bus.line = -1;
	*ret_scan = (struct scan){.lines = n_lines ? lines : NULL,
		.n_lines = n_lines,
		.units = units,
		.n_units = n_units,
		.ask = {BF_SPACE_HOLDING, 0, 1},
		.turnaround_us = 100000,
		.found = found,
		.goes_on = goes_on};
	return scan_run(ret_scan, &bus.wire);
}

static int setup(void **state)
{
	(void)state;
	memset(&bus, 0, sizeof(bus));
	bus.refuses = -1;
	told[0] = '\0';
	stop_after = SIZE_MAX;
	return 0;
}

static void devices_are_found_with_their_settings_the_first_addresses_first(void **state)
{
	(void)state;
	const struct device devices[] = {{3, 1, 0, 0, 0}, {40, 0, 0, 0, 0}, {7, 2, 0, 2, 0}, {5, -1, 0, 0, 0}};
	struct scan scan;
	assert_int_equal(search(devices, 4, 3, 60, &scan), 0);
	assert_string_equal(told, "5@0 3@1 7@2!2 40@0");
	assert_int_equal(scan.n_found, 4);
	assert_int_equal(bus.line, -1);
	assert_int_equal(scan.n_damaged, 0);
}

static void nobody_is_an_end_too_and_takes_bounded_time(void **state)
{
	(void)state;
	struct scan scan;
	assert_int_equal(search(NULL, 0, 3, 247, &scan), 0);
	assert_string_equal(told, "");
	assert_int_equal(bus.n_asks, 3 * 247);
	assert_true(bus.spent_us < 3 * 247 * 165000);
}

static void a_late_device_is_asked_again_with_patience(void **state)
{
	(void)state;
	const struct device devices[] = {{3, 0, 400000, 0, 0}, {6, 0, 0, 0, 0}};
	struct scan scan;
	assert_int_equal(search(devices, 2, 1, 20, &scan), 0);
	assert_string_equal(told, "6@0 3@0");
}

static void an_answer_of_other_settings_is_not_taken_for_one_of_these(void **state)
{
	(void)state;
	/* Unit 1 hears the first settings only and answers when the second ones are tried, in the middle of the wait.
	 */
	const struct device devices[] = {{1, 0, 550000, 0, 0}};
	struct scan scan;
	assert_int_equal(search(devices, 1, 2, 1, &scan), 0);
	assert_string_equal(told, "");
	assert_int_equal(bus.n_wrong, 1); /* it did come */
}

static void a_damaged_answer_is_asked_for_once_more(void **state)
{
	(void)state;
	const struct device devices[] = {{3, 0, 0, 0, 1}, {4, 0, 0, 0, 9}};
	struct scan scan;
	assert_int_equal(search(devices, 2, 1, 6, &scan), 0);
	assert_string_equal(told, "3@0");
	assert_int_equal(scan.n_damaged, 1);
	assert_ptr_equal(scan.damaged_at, &lines[0]);
}

static void settings_that_the_port_cannot_do_are_left_out(void **state)
{
	(void)state;
	const struct device devices[] = {{3, 2, 0, 0, 0}};
	struct scan scan;
	bus.refuses = 1;
	assert_int_equal(search(devices, 1, 3, 60, &scan), 0);
	assert_string_equal(told, "3@2");
	assert_int_equal(scan.n_refused, 1);
	setup(NULL);
	bus.refuses = 0;
	assert_int_equal(search(devices, 1, 1, 60, &scan), -EINVAL);
}

static void a_gateway_that_reaches_nobody_is_nobody(void **state)
{
	(void)state;
	struct scan scan;
	bus.gateway = true;
	assert_int_equal(search(NULL, 0, 0, 20, &scan), 0);
	assert_string_equal(told, "");
}

static void a_host_that_ignores_the_unit_is_found_once(void **state)
{
	(void)state;
	const struct device devices[] = {{1, -1, 0, 0, 0}};
	struct scan scan;
	bus.any_unit = true;
	assert_int_equal(search(devices, 1, 0, 200, &scan), 0);
	assert_string_equal(told, "1@-1*");
	assert_int_equal(bus.n_asks, 3);
}

static void units_behind_a_host_are_told_apart(void **state)
{
	(void)state;
	const struct device devices[] = {{1, -1, 0, 0, 0}, {173, -1, 0, 0, 0}};
	struct scan scan;
	assert_int_equal(search(devices, 2, 0, 200, &scan), 0);
	assert_string_equal(told, "1@-1 173@-1");
}

static void it_stops_when_it_is_told_to(void **state)
{
	(void)state;
	const struct device devices[] = {{2, 0, 0, 0, 0}, {9, 0, 0, 0, 0}};
	struct scan scan;
	stop_after = 5;
	assert_int_equal(search(devices, 2, 1, 60, &scan), -EINTR);
	assert_string_equal(told, "2@0");
	assert_int_equal(bus.line, -1);
}

static void the_wait_follows_the_line(void **state)
{
	(void)state;
	const struct bf_place one = {BF_SPACE_HOLDING, 0, 1}, bits = {BF_SPACE_COIL, 0, 9};
	/* 15 characters, two silences of 3.5, the adapter's 35 ms */
	assert_in_range(scan_timeout_us(&lines[0], &one, 100000), 157900, 157930);
	assert_in_range(scan_timeout_us(&lines[0], &bits, 100000), 157900, 157930);
	assert_true(scan_timeout_us(&lines[1], &one, 100000) < scan_timeout_us(&lines[2], &one, 100000));
	assert_int_equal(scan_timeout_us(NULL, &one, 500000), 500000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(devices_are_found_with_their_settings_the_first_addresses_first, setup),
		cmocka_unit_test_setup(nobody_is_an_end_too_and_takes_bounded_time, setup),
		cmocka_unit_test_setup(a_late_device_is_asked_again_with_patience, setup),
		cmocka_unit_test_setup(an_answer_of_other_settings_is_not_taken_for_one_of_these, setup),
		cmocka_unit_test_setup(a_damaged_answer_is_asked_for_once_more, setup),
		cmocka_unit_test_setup(settings_that_the_port_cannot_do_are_left_out, setup),
		cmocka_unit_test_setup(a_gateway_that_reaches_nobody_is_nobody, setup),
		cmocka_unit_test_setup(a_host_that_ignores_the_unit_is_found_once, setup),
		cmocka_unit_test_setup(units_behind_a_host_are_told_apart, setup),
		cmocka_unit_test_setup(it_stops_when_it_is_told_to, setup),
		cmocka_unit_test_setup(the_wait_follows_the_line, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
