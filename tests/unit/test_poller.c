/*
 * Which thread drives which bus, and how a wire leaves one that goes on.
 */
#include "field/poller.h"
#include "virtual_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { N_BUSES = 7 };

static const struct bf_driver driver = {.name = "modbus"};
static struct plan_bus buses[N_BUSES];
static struct plan_device devices[N_BUSES];
static struct plan_metric metrics[N_BUSES];
static uint32_t on_bus[N_BUSES];
static struct plan plan = {.buses = buses,
	.n_buses = N_BUSES,
	.devices = devices,
	.n_devices = N_BUSES,
	.metrics = metrics,
	.n_metrics = N_BUSES};

static unsigned n_rests;

static void sink_take(struct reading_sink *sink, const struct batch *batch)
{
	(void)sink;
	(void)batch;
}

static void sink_rest(struct reading_sink *sink)
{
	(void)sink;
	n_rests++;
}

static struct reading_sink sink = {.take = sink_take, .rest = sink_rest};

/* Buses 0 to 2 are ports that are not there, the others hosts on one machine that has no such port. */
static int setup(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < N_BUSES; i++) {
		bool host = i >= 3;
		on_bus[i] = i;
		buses[i] = (struct plan_bus){.name = "b",
			.wire = host ? WIRE_TCP : WIRE_SERIAL,
			.port = host ? NULL : "/nonexistent/port",
			.host = host ? "127.0.0.1" : NULL,
			.tcp_port = 1,
			.line = {.baud = 9600, .data_bits = 8, .parity = 'N', .stop_bits = 1},
			.timeout_us = 1000000,
			.gap_us = PLAN_ADAPTIVE,
			.devices = &on_bus[i],
			.n_devices = 1};
		devices[i] = (struct plan_device){.topic = "s/d",
			.path = "d",
			.bus = i,
			.driver = &driver,
			.address = 1,
			.first_metric = i,
			.n_metrics = 1,
			.timeout_us = 1000000,
			.max_registers = 125,
			.max_gap = PLAN_ADAPTIVE};
		metrics[i] = (struct plan_metric){.topic = "s/d/m",
			.name = "m",
			.device = i,
			.every_us = 1000000,
			.scale = 1,
			.place = {.space = BF_SPACE_INPUT, .count = 1},
			.shape = {.type = BF_TYPE_U16}};
	}
	virtual_now = 1000000;
	return 0;
}

static struct poller *make(const bool *wanted, size_t nth)
{
	struct poller *poller = NULL;
	assert_int_equal(poller_init(&plan, wanted, nth, NULL, &sink, &virtual_clock, false, &poller), 0);
	return poller;
}

/* Each bus that is wanted is driven by one poller, and no other bus by any. */
static void expect_buses(const bool *wanted, size_t n_pollers)
{
	unsigned n_times[N_BUSES] = {0};
	assert_int_equal(poller_count(&plan, wanted), n_pollers);
	for (size_t p = 0; p < n_pollers; p++) {
		struct poller *poller = make(wanted, p);
		size_t n;
		const struct wire *wires = poller_wires(poller, &n);
		assert_true(n > 0);
		for (size_t w = 0; w < n; w++) {
			n_times[wires[w].told - buses]++;
			assert_true(wire_stays(&wires[w]));
			assert_false(wire_leaves(&wires[w]));
		}
		poller_destroy(poller);
	}
	for (size_t i = 0; i < N_BUSES; i++)
		assert_int_equal(n_times[i], !wanted || wanted[i]);
}

static void test_who_drives_what(void **state)
{
	(void)state;
	static const bool none[N_BUSES], few[N_BUSES] = {[1] = true, [4] = true, [6] = true},
					 hosts[N_BUSES] = {[5] = true}, ports[N_BUSES] = {[0] = true, [2] = true};
	expect_buses(NULL, 4);
	expect_buses(few, 2);
	expect_buses(hosts, 1);
	expect_buses(ports, 2);
	expect_buses(none, 0);
}

/* How many wires a walk over the poller twice finds. */
static size_t walk_twice(struct poller *poller)
{
	struct poller *const both[] = {poller, poller};
	size_t n = 0;
	for (struct wire_walk walk = {0}; poller_next_wire(both, 2, &walk); n++)
		assert_in_range(walk.poller, 0, 1);
	return n;
}

/* The others go on; when the last one has left the thread has nothing to wait for. */
static void test_leaving(void **state)
{
	(void)state;
	struct poller *poller = make(NULL, 3);
	size_t n;
	const struct wire *wires = poller_wires(poller, &n);
	assert_int_equal(n, 4);
	assert_int_equal(walk_twice(poller), 8);
	poller_step(poller, virtual_now);
	poller_release(poller, 1);
	assert_int_equal(walk_twice(poller), 6);
	assert_true(wire_leaves(&wires[1]));
	assert_false(wire_stays(&wires[1]));
	assert_true(poller_step(poller, virtual_now) >= virtual_now);
	assert_false(wire_leaves(&wires[1]) || wire_stays(&wires[1]));
	assert_true(wire_stays(&wires[0]) && wire_stays(&wires[2]) && wire_stays(&wires[3]));
	poller_release(poller, 1); /* it is gone already */
	for (int i = 0; i < 100; i++)
		virtual_now = poller_step(poller, virtual_now + 1);
	assert_true(wire_counts(&wires[0]) != NULL);
	for (size_t w = 0; w < n; w++)
		poller_release(poller, w);
	unsigned before = n_rests;
	assert_true(poller_step(poller, virtual_now) <= virtual_now);
	assert_int_equal(n_rests, before + 1); /* what it had told may leave */
	for (size_t w = 0; w < n; w++)
		assert_false(wire_leaves(&wires[w]) || wire_stays(&wires[w]));
	assert_int_equal(walk_twice(poller), 0);
	poller_destroy(poller);
}

/* With a real thread: it ends by itself, and until its first step it says what it was told to. */
static void test_the_last_one_ends_the_thread(void **state)
{
	(void)state;
	struct poller *poller = NULL;
	assert_int_equal(poller_init(&plan, NULL, 0, NULL, &sink, &clock_system, false, &poller), 0);
	assert_int_equal(poller_alive_until(poller), 0);
	poller_alive_by(poller, 7);
	assert_int_equal(poller_alive_until(poller), 7);
	assert_int_equal(poller_start(poller), 0);
	poller_release(poller, 0);
	assert_int_equal(poller_join(poller, 20000000), 0);
	assert_int_equal(poller_alive_until(poller), CLOCK_NEVER);
	poller_destroy(poller);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_who_drives_what, setup),
		cmocka_unit_test_setup(test_leaving, setup),
		cmocka_unit_test_setup(test_the_last_one_ends_the_thread, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
