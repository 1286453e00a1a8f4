/*
 * The bench, see line_bench.h.
 */
#include "line_bench.h"
#include "sdk/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

struct line_bench bench;

static void note(struct line_watch *watch, enum line_stray what, uint8_t unit, int64_t late_us)
{
	(void)watch;
	(void)late_us;
	bench.strays[what]++;
	bench.stray_unit = unit;
}

void bench_open(enum plan_wire wire)
{
	bench = (struct line_bench){.now_us = 100 * (int64_t)S, .watch = {note}};
	bench.bus = (struct plan_bus){.name = "b",
		.wire = wire,
		.port = "/dev/none",
		.host = "none",
		.line = {19200, 8, 'N', 1},
		.gap_us = PLAN_ADAPTIVE};
	assert_int_equal(line_modbus_init(&bench.bus, &bench.line), 0);
	bench.line->watch = &bench.watch;
	assert_int_equal(bench.line->ops->open(bench.line, bench.now_us), 0);
	bench.now_us += 100 * MS;
}

void bench_close(void)
{
	bench.line->ops->destroy(bench.line);
	port_pair_unplug();
}

int bench_ask(const struct line_question *question)
{
	bench.now_us += 10 * MS;
	int rc = bench.line->ops->ask(bench.line, question, bench.now_us);
	if (rc == 0)
		bench.n_request = recv(port_pair_fd, bench.request, sizeof(bench.request), MSG_DONTWAIT);
	return rc;
}

void says(const void *bytes, size_t n)
{
	assert_int_equal(send(port_pair_fd, bytes, n, MSG_NOSIGNAL), n);
}

void frame(const char *bytes, size_t n)
{
	uint8_t whole[64];
	memcpy(whole, bytes, n);
	uint16_t crc = bf_crc16_modbus(whole, n);
	whole[n] = (uint8_t)crc;
	whole[n + 1] = (uint8_t)(crc >> 8);
	says(whole, n + 2);
}

int answer(void)
{
	bench.now_us += 5 * MS;
	return bench.line->ops->answer(bench.line, bench.now_us, &bench.answer);
}
