/* A station under test: see station_bench.h. */
#include "station_bench.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct plan_metric metrics[3];
static struct plan_device devices[] = {
	{.path = "a/one", .address = 1, .first_metric = 0, .n_metrics = 1, .timeout_us = 500 * MS},
	{.path = "a/two", .address = 2, .first_metric = 1, .n_metrics = 1, .timeout_us = 500 * MS},
	{.path = "a/net", .address = 1, .first_metric = 2, .n_metrics = 1, .timeout_us = 500 * MS},
};
static const uint32_t on_serial[] = {0, 1}, on_tcp[] = {2};
struct plan_bus buses[2] = {
	{.name = "rs485",
		.wire = WIRE_SERIAL,
		.line = {9600, 8, 'N', 1},
		.gap_us = PLAN_ADAPTIVE,
		.devices = on_serial,
		.n_devices = 2},
	{.name = "plc", .wire = WIRE_TCP, .devices = on_tcp, .n_devices = 1},
};
const struct plan plan = {
	.buses = buses, .n_buses = 2, .devices = devices, .n_devices = 3, .metrics = metrics, .n_metrics = 3};

int bench_group_setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		metrics[i] = (struct plan_metric){.unit = "V",
			.place = {BF_SPACE_INPUT, (uint16_t)(100 * i), 1},
			.min = NAN,
			.max = NAN,
			.max_step = NAN};
	return 0;
}

struct bench bench_open(const struct plan_bus *bus, const struct station_options *options)
{
	struct bench bench = {.now = 1000 * MS};
	int ends[2];
	assert_int_equal(station_set_init(&bench.set), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(station_set_adopt(bench.set, &plan, bus, options, ends[0]), 0);
	bench.fd = ends[1];
	return bench;
}

void bench_close(struct bench *bench)
{
	close(bench->fd);
	station_set_destroy(bench->set);
}

int64_t bench_put(struct bench *bench, const uint8_t *bytes, size_t n)
{
	assert_int_equal(write(bench->fd, bytes, n), n);
	return station_set_step(bench->set, bench->now);
}

size_t bench_get(struct bench *bench, uint8_t *bytes, size_t size)
{
	ssize_t n = read(bench->fd, bytes, size);
	if (n < 0)
		assert_int_equal(errno, EAGAIN);
	return n < 0 ? 0 : (size_t)n;
}

void bench_wait(struct station_set *set, int fd)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	for (int i = 0; i < 1000 && poll(&readable, 1, 1) == 0; i++)
		station_set_step(set, 0);
	assert_true(readable.revents & POLLIN);
}
