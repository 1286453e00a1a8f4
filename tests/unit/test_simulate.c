/*
 * Where a simulation puts the buses of a map, what it says about it, and that it leaves nothing
 * behind.  It is told to stop before it starts, so it serves one step.
 */
#include "sim/simulate.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct plan_metric metric = {.place = {BF_SPACE_INPUT, 0, 1}, .min = NAN, .max = NAN, .max_step = NAN};
static struct plan_device device = {.path = "a/b", .address = 1, .n_metrics = 1};
static const uint32_t on_bus[] = {0};

static char folder[64], port_path[96], text[4096];

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/busferry-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(port_path, sizeof(port_path), "%s/ttyV0", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(folder); /* fails when something was left in it */
}

/* Runs a plan of one bus; the lines it printed are in `text`. */
static int run(struct plan_bus bus, struct simulate_options options)
{
	bus.line = (struct plan_line){9600, 8, 'N', 1};
	bus.gap_us = PLAN_ADAPTIVE;
	bus.devices = on_bus;
	bus.n_devices = 1;
	struct plan plan = {
		.buses = &bus, .n_buses = 1, .devices = &device, .n_devices = 1, .metrics = &metric, .n_metrics = 1};
	int stop[2];
	assert_int_equal(pipe(stop), 0);
	close(stop[1]); /* end of file: readable */
	memset(text, 0, sizeof(text));
	options.out = fmemopen(text, sizeof(text), "w");
	options.clock = &clock_system;
	options.stop_fd = stop[0];
	int rc = simulate_run(&plan, &options);
	fclose(options.out);
	close(stop[0]);
	return rc;
}

static void serial_buses_take_the_path_of_the_map(void **state)
{
	(void)state;
	assert_int_equal(run((struct plan_bus){.name = "rs485", .port = port_path}, (struct simulate_options){0}), 0);
	char expected[256];
	snprintf(expected, sizeof(expected), "rs485: %s (pty, 1 device)\nready\n", port_path);
	assert_string_equal(text, expected);
}

static void or_the_folder_that_is_given(void **state)
{
	(void)state;
	assert_int_equal(run((struct plan_bus){.name = "dev/ttyUSB0", .port = "/dev/ttyUSB0"},
				 (struct simulate_options){.folder = folder, .json = true}),
		0);
	char expected[256];
	snprintf(expected, sizeof(expected),
		"{\"bus\":\"dev/ttyUSB0\",\"wire\":\"pty\",\"path\":\"%s/dev_ttyUSB0\","
		"\"devices\":1}\n{\"ready\":true}\n",
		folder);
	assert_string_equal(text, expected);
}

static void or_a_folder_of_their_own(void **state)
{
	(void)state;
	setenv("TMPDIR", folder, 1);
	assert_int_equal(
		run((struct plan_bus){.name = "rs485", .port = "/dev/ttyUSB0"}, (struct simulate_options){0}), 0);
	unsetenv("TMPDIR");
	char expected[256];
	snprintf(expected, sizeof(expected), "rs485: %s/busferry-", folder);
	assert_memory_equal(text, expected, strlen(expected));
	assert_non_null(strstr(text, "/rs485 (pty, 1 device)\nready\n"));
}

static void what_is_there_already_is_left_alone(void **state)
{
	(void)state;
	char taken[160];
	snprintf(taken, sizeof(taken), "%s/rs485", folder);
	FILE *file = fopen(taken, "w");
	fclose(file);
	assert_int_equal(
		run((struct plan_bus){.name = "rs485", .port = port_path}, (struct simulate_options){.folder = folder}),
		-EEXIST);
	assert_string_equal(text, "");
	assert_int_equal(unlink(taken), 0);
}

static void tcp_buses_listen_on_this_machine_only(void **state)
{
	(void)state;
	static const enum plan_wire wires[] = {WIRE_TCP, WIRE_SERIAL_TCP};
	static const char *const words[] = {"tcp", "rtu over tcp"};
	for (size_t i = 0; i < 2; i++) {
		struct plan_bus bus = {.name = "plc", .wire = wires[i], .host = "192.0.2.7", .tcp_port = 502};
		assert_int_equal(run(bus, (struct simulate_options){0}), 0);
		char wire[32];
		unsigned port, n;
		assert_int_equal(sscanf(text, "plc: 127.0.0.1:%u (%31[^,], %u device)\nready\n", &port, wire, &n), 3);
		assert_true(port > 1024);
		assert_string_equal(wire, words[i]);

		/* that port was free a moment ago */
		bus.host = "localhost";
		bus.tcp_port = (uint16_t)port;
		assert_int_equal(run(bus, (struct simulate_options){0}), 0);
		unsigned again;
		assert_int_equal(sscanf(text, "plc: 127.0.0.1:%u (", &again), 1);
		assert_int_equal(again, port);
		bus.tcp_port = 1;
		assert_int_equal(run(bus, (struct simulate_options){.shift_ports = true}), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(serial_buses_take_the_path_of_the_map, setup, teardown),
		cmocka_unit_test_setup_teardown(or_the_folder_that_is_given, setup, teardown),
		cmocka_unit_test_setup_teardown(or_a_folder_of_their_own, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_there_already_is_left_alone, setup, teardown),
		cmocka_unit_test(tcp_buses_listen_on_this_machine_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
