/*
 * Stations of Modbus TCP in virtual time: pipelines, masters that don't read, units, many hosts in
 * one loop.
 */
#include "station_bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* One read by Modbus TCP. */
static size_t tcp_request(uint16_t transaction, uint8_t unit, uint8_t *frame)
{
	memcpy(frame,
		((uint8_t[]){(uint8_t)(transaction >> 8), (uint8_t)transaction, 0, 0, 0, 6, unit, 4, 0, 200, 0, 1}),
		12);
	return 12;
}

static void tcp_pipelines_keep_their_order(void **state)
{
	(void)state;
	struct station_options options = {0};
	struct bench bench = bench_open(&buses[1], &options);
	enum { N = 1500 };
	static uint8_t requests[N * 12], answers[N * 11 + 1];
	size_t n = 0, got = 0;
	for (uint16_t i = 0; i < N; i++)
		n += tcp_request(i, 1, requests + n);
	assert_int_equal(write(bench.fd, requests, n), n);
	for (int i = 0; i < 100 && got < N * 11; i++) {
		station_set_step(bench.set, bench.now);
		got += bench_get(&bench, answers + got, sizeof(answers) - got);
	}
	assert_int_equal(got, N * 11);
	for (uint16_t i = 0; i < N; i++) {
		const uint8_t *answer = answers + i * 11;
		assert_int_equal(answer[0] << 8 | answer[1], i);
		assert_memory_equal(answer + 2, ((uint8_t[]){0, 0, 0, 5, 1, 4, 2}), 7);
	}
	/* and byte by byte */
	for (size_t i = 0; i < 24; i++)
		bench_put(&bench, requests + i, 1);
	assert_int_equal(bench_get(&bench, answers, sizeof(answers)), 22);
	bench_close(&bench);
}

static void a_master_that_does_not_read_is_not_read(void **state)
{
	(void)state;
	struct station_options options = {.turnaround_us = 10 * MS};
	struct bench bench = bench_open(&buses[1], &options);
	int small = 4096;
	setsockopt(bench.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	uint8_t frame[12];
	size_t asked = 0, got = 0;
	for (int stuck = 0; stuck < 10; bench.now += 10 * MS) {
		tcp_request((uint16_t)asked, 1, frame);
		if (write(bench.fd, frame, 12) == 12)
			asked++;
		else
			stuck++;
		station_set_step(bench.set, bench.now);
		assert_true(asked < 1000000);
	}
	for (int idle = 0; idle < 10; bench.now += 10 * MS) {
		uint8_t answer[11];
		size_t n = bench_get(&bench, answer, sizeof(answer));
		if (n == 0) {
			station_set_step(bench.set, bench.now);
			idle++;
			continue;
		}
		idle = 0;
		assert_int_equal(n, 11);
		assert_int_equal(answer[0] << 8 | answer[1], got & 0xFFFF);
		got++;
	}
	assert_int_equal(got, asked);
	bench_close(&bench);
}

static void tcp_units_have_their_rules(void **state)
{
	(void)state;
	struct station_options options = {0};
	struct bench bench = bench_open(&buses[1], &options);
	uint8_t frame[12], answer[64];
	for (int unit = 0; unit < 256; unit++) {
		tcp_request(7, (uint8_t)unit, frame);
		bench_put(&bench, frame, 12);
		bool known = unit <= 1 || unit == 255;
		assert_int_equal(bench_get(&bench, answer, sizeof(answer)), known ? 11 : 9);
		assert_int_equal(answer[6], unit);
		if (!known)
			assert_memory_equal(answer + 7, ((uint8_t[]){0x84, 11}), 2);
	}
	frame[2] = 1; /* another protocol */
	bench_put(&bench, frame, 12);
	assert_int_equal(read(bench.fd, answer, sizeof(answer)), 0);
	bench_close(&bench);
}

static int connect_to(int port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void one_loop_serves_many_connections(void **state)
{
	(void)state;
	struct station_options options = {0};
	struct station_set *set;
	assert_int_equal(station_set_init(&set), 0);
	enum { N = 100 };
	int fds[N];
	for (int i = 0; i < N; i++) { /* four connections to each of 25 hosts */
		static int port;
		if (i % 4 == 0)
			port = station_set_listen(set, &plan, &buses[1], &options, 0);
		assert_true(port > 0);
		fds[i] = connect_to(port);
	}
	for (int round = 0; round < 3; round++) {
		uint8_t frame[12], answer[64];
		for (int i = 0; i < N; i++) {
			tcp_request((uint16_t)i, 1, frame);
			assert_int_equal(write(fds[i], frame, 12), 12);
		}
		for (int i = 0; i < N; i++) {
			bench_wait(set, fds[i]);
			assert_int_equal(read(fds[i], answer, sizeof(answer)), 11);
			assert_int_equal(answer[1], i);
		}
	}
	for (int i = 0; i < N; i++)
		close(fds[i]);
	station_set_step(set, 0);
	station_set_destroy(set);
}

static void a_taken_port_is_told(void **state)
{
	(void)state;
	struct station_options options = {0};
	struct station_set *set;
	assert_int_equal(station_set_init(&set), 0);
	int port = station_set_listen(set, &plan, &buses[1], &options, 0);
	assert_int_equal(station_set_listen(set, &plan, &buses[1], &options, (uint16_t)port), -EADDRINUSE);
	station_set_destroy(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_pipelines_keep_their_order),
		cmocka_unit_test(a_master_that_does_not_read_is_not_read),
		cmocka_unit_test(tcp_units_have_their_rules),
		cmocka_unit_test(one_loop_serves_many_connections),
		cmocka_unit_test(a_taken_port_is_told),
	};
	return cmocka_run_group_tests(tests, bench_group_setup, NULL);
}
