/*
 * What faults make of a station's answers, and strict stations, in virtual time.  Sockets and ptys are real, the clock
 * is not; nothing sleeps.
 */
#include "station_bench.h"
#include "base/clock.h"
#include "base/tty_speed.h"
#include "sdk/check.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ALWAYS(kind)                                                                                                   \
	{                                                                                                              \
		.what = (kind), .rate = 1, .device = MISHAP_ANY, .bus = MISHAP_ANY                                     \
	}

/* A read of one input register by RTU. */
static void rtu_request(uint8_t unit, uint16_t at, uint8_t frame[static 8])
{
	memcpy(frame, ((uint8_t[]){unit, 4, (uint8_t)(at >> 8), (uint8_t)at, 0, 1}), 6);
	uint16_t crc = bf_crc16_modbus(frame, 6);
	frame[6] = (uint8_t)crc;
	frame[7] = (uint8_t)(crc >> 8);
}

/* Asks a station with that fault and steps until nothing is due; what came is in answer. */
static size_t ask_faulty(const struct plan_bus *bus, enum mishap what, uint64_t seed, const uint8_t *question,
	size_t n_question, uint8_t answer[static 512])
{
	const struct mishap_rule rule = ALWAYS(what);
	const struct mishaps mishaps = {.rules = &rule, .n_rules = 1, .seed = seed};
	struct station_options options = {.mishaps = &mishaps};
	struct bench bench = bench_open(bus, &options);
	int64_t next = bench_put(&bench, question, n_question);
	size_t n = bench_get(&bench, answer, 512);
	for (int i = 0; i < 10 && next != CLOCK_NEVER; i++) {
		next = station_set_step(bench.set, next);
		n += bench_get(&bench, answer + n, 512 - n);
	}
	bench_close(&bench);
	return n;
}

static void an_answer_can_be_cut_off(void **state)
{
	(void)state;
	uint8_t question[8], answer[512];
	rtu_request(1, 0, question);
	for (uint64_t seed = 0; seed < 50; seed++) {
		size_t n = ask_faulty(&buses[0], MISHAP_TRUNCATED, seed, question, 8, answer);
		assert_in_range(n, 1, 6);
		assert_memory_equal(answer, ((uint8_t[]){1, 4, 2}), n < 3 ? n : 3);
	}
}

static void noise_spoils_the_checksum(void **state)
{
	(void)state;
	uint8_t question[8], answer[512];
	rtu_request(1, 0, question);
	for (uint64_t seed = 0; seed < 50; seed++) {
		assert_int_equal(ask_faulty(&buses[0], MISHAP_NOISY, seed, question, 8, answer), 7);
		assert_int_not_equal(bf_crc16_modbus(answer, 7), 0);
	}
}

static void an_answer_can_bear_another_unit(void **state)
{
	(void)state;
	uint8_t question[8], answer[512];
	rtu_request(2, 100, question);
	for (uint64_t seed = 0; seed < 500; seed++) {
		assert_int_equal(ask_faulty(&buses[0], MISHAP_WRONG_UNIT, seed, question, 8, answer), 7);
		assert_int_equal(bf_crc16_modbus(answer, 7), 0);
		assert_int_not_equal(answer[0], 2);
		assert_in_range(answer[0], 1, 247);
	}
}

static void exceptions_come_instead_of_an_answer(void **state)
{
	(void)state;
	uint8_t question[8], answer[512];
	rtu_request(1, 0, question);
	for (uint64_t seed = 0; seed < 20; seed++) {
		assert_int_equal(ask_faulty(&buses[0], MISHAP_EXCEPTION, seed, question, 8, answer), 5);
		assert_int_equal(bf_crc16_modbus(answer, 5), 0);
		assert_int_equal(answer[1], 0x84);
		assert_non_null(memchr(((uint8_t[]){4, 5, 6, 11}), answer[2], 4));
	}
}

static void another_master_speaks_before_the_answer(void **state)
{
	(void)state;
	uint8_t question[8], answer[512];
	rtu_request(1, 0, question);
	for (uint64_t seed = 0; seed < 50; seed++) {
		size_t n = ask_faulty(&buses[0], MISHAP_FOREIGN, seed, question, 8, answer);
		assert_true(n >= 8 + 7 + 7);
		assert_int_equal(bf_crc16_modbus(answer, 8), 0); /* its question */
		assert_int_not_equal(answer[0], 1);
		size_t foreign = (size_t)answer[10] + 5; /* what it was answered */
		assert_int_equal(answer[8], answer[0]);
		assert_int_equal(answer[10], 2 * answer[5]);
		assert_int_equal(bf_crc16_modbus(answer + 8, foreign), 0);
		assert_int_equal(n, 8 + foreign + 7); /* ours */
		assert_int_equal(bf_crc16_modbus(answer + 8 + foreign, 7), 0);
		assert_int_equal(answer[8 + foreign], 1);
	}
}

static void an_echo_comes_first_and_for_strangers_too(void **state)
{
	(void)state;
	uint8_t question[8], answer[512];
	rtu_request(1, 0, question);
	assert_int_equal(ask_faulty(&buses[0], MISHAP_ECHOING, 1, question, 8, answer), 15);
	assert_memory_equal(answer, question, 8);
	assert_int_equal(bf_crc16_modbus(answer + 8, 7), 0);
	rtu_request(9, 0, question);
	assert_int_equal(ask_faulty(&buses[0], MISHAP_ECHOING, 1, question, 8, answer), 8);
	assert_memory_equal(answer, question, 8);
}

static void modbus_tcp_has_its_own_kinds_of_them(void **state)
{
	(void)state;
	const uint8_t question[] = {1, 44, 0, 0, 0, 6, 1, 4, 0, 200, 0, 1};
	uint8_t answer[512];
	for (uint64_t seed = 0; seed < 20; seed++) {
		assert_int_equal(ask_faulty(&buses[1], MISHAP_NOISY, seed, question, 12, answer), 11);
		assert_memory_equal(answer, ((uint8_t[]){1, 44, 0, 0, 0, 5, 1, 4, 2}), 9);
		assert_int_equal(ask_faulty(&buses[1], MISHAP_ECHOING, seed, question, 12, answer), 11);
		assert_int_equal(ask_faulty(&buses[1], MISHAP_WRONG_UNIT, seed, question, 12, answer), 11);
		assert_int_not_equal(answer[6], 1);
		size_t n = ask_faulty(&buses[1], MISHAP_FOREIGN, seed, question, 12, answer);
		size_t foreign = 6 + (size_t)answer[5];
		assert_int_equal(n, foreign + 11);
		assert_memory_not_equal(answer, question, 2); /* another transaction */
		assert_memory_equal(answer + foreign, question, 2);
		assert_in_range(ask_faulty(&buses[1], MISHAP_TRUNCATED, seed, question, 12, answer), 1, 10);
	}
}

static void a_connection_ends_behind_a_truncated_answer(void **state)
{
	(void)state;
	const struct mishap_rule rule = ALWAYS(MISHAP_TRUNCATED);
	const struct mishaps mishaps = {.rules = &rule, .n_rules = 1, .seed = 3};
	struct station_options options = {.mishaps = &mishaps};
	struct bench bench = bench_open(&buses[1], &options);
	const uint8_t question[] = {1, 44, 0, 0, 0, 6, 1, 4, 0, 200, 0, 1};
	uint8_t answer[64];
	bench_put(&bench, question, 12);
	assert_true(bench_get(&bench, answer, sizeof(answer)) > 0);
	assert_int_equal(read(bench.fd, answer, sizeof(answer)), 0);
	bench_close(&bench);
}

/* 9600 8N1: a character takes 1041.7 µs, 3.5 of them 3645.9, a request 8333.4, an answer of 7 bytes 7291.7. */
static void strict_devices_want_silence(void **state)
{
	(void)state;
	struct station_options options = {.strict = true};
	struct bench bench = bench_open(&buses[0], &options);
	uint8_t question[8], answer[64];
	rtu_request(1, 0, question);
	int64_t answered_at = bench_put(&bench, question, 8);
	assert_in_range(answered_at - bench.now, 19270, 19275);
	station_set_step(bench.set, answered_at);
	assert_int_equal(bench_get(&bench, answer, sizeof(answer)), 7);

	bench.now = answered_at + 3640; /* too early: it is lost, and the line busy with it */
	assert_int_equal(bench_put(&bench, question, 8), CLOCK_NEVER);
	bench.now += 8333 + 3640;
	assert_int_equal(bench_put(&bench, question, 8), CLOCK_NEVER);
	bench.now += 8334 + 3646;
	answered_at = bench_put(&bench, question, 8);
	assert_true(answered_at != CLOCK_NEVER);
	station_set_step(bench.set, answered_at);
	assert_int_equal(bench_get(&bench, answer, sizeof(answer)), 7);
	bench.now = answered_at + 3647;
	assert_true(bench_put(&bench, question, 8) != CLOCK_NEVER);
	bench_close(&bench);
}

static void the_gap_of_the_map_does_not_change_what_they_want(void **state)
{
	(void)state;
	struct station_options options = {.strict = true};
	int64_t told = buses[0].gap_us;
	buses[0].gap_us = 0;
	struct bench bench = bench_open(&buses[0], &options);
	uint8_t question[8], answer[64];
	rtu_request(1, 0, question);
	int64_t answered_at = bench_put(&bench, question, 8);
	station_set_step(bench.set, answered_at);
	assert_int_equal(bench_get(&bench, answer, sizeof(answer)), 7);
	bench.now = answered_at + 1000;
	assert_int_equal(bench_put(&bench, question, 8), CLOCK_NEVER);
	buses[0].gap_us = told;
	bench_close(&bench);
}

/* Opens what is behind the link and asks at that speed; true when there is an answer. */
static bool answers_at(struct station_set *set, const char *link, uint32_t baud, int64_t now_us)
{
	int fd = open(link, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(tty_speed_set(fd, baud), 0);
	uint8_t question[8];
	rtu_request(1, 0, question);
	assert_int_equal(write(fd, question, 8), 8);
	bench_wait(set, station_set_fd(set)); /* the kernel hands it over when it likes */
	int64_t due_at = station_set_step(set, now_us);
	bool answered = due_at != CLOCK_NEVER;
	if (answered)
		station_set_step(set, due_at);
	close(fd);
	return answered;
}

static void strict_devices_hear_their_own_speed_only(void **state)
{
	(void)state;
	struct station_options options = {.strict = true};
	char folder[] = "/tmp/busferry-test-XXXXXX", link[64];
	assert_non_null(mkdtemp(folder));
	snprintf(link, sizeof(link), "%s/rs485", folder);
	struct station_set *set;
	assert_int_equal(station_set_init(&set), 0);
	assert_int_equal(station_set_pty(set, &plan, &buses[0], &options, link), 0);
	assert_false(answers_at(set, link, 19200, 1000 * MS));
	assert_true(answers_at(set, link, 9600, 2000 * MS));
	station_set_destroy(set);
	assert_int_equal(rmdir(folder), 0);
}

static void an_unplugged_port_goes_and_comes_back(void **state)
{
	(void)state;
	const struct mishap_rule rule = ALWAYS(MISHAP_UNPLUGGED);
	const struct mishaps mishaps = {.rules = &rule, .n_rules = 1, .seed = 3};
	struct station_options options = {.mishaps = &mishaps};
	char folder[] = "/tmp/busferry-test-XXXXXX", link[64];
	assert_non_null(mkdtemp(folder));
	snprintf(link, sizeof(link), "%s/rs485", folder);
	struct station_set *set;
	assert_int_equal(station_set_init(&set), 0);
	assert_int_equal(station_set_pty(set, &plan, &buses[0], &options, link), 0);
	int64_t now = 1000 * MS;
	for (int round = 0; round < 3; round++) {
		int fd = open(link, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		assert_true(fd >= 0);
		uint8_t question[8], answer[16];
		rtu_request(1, 0, question);
		assert_int_equal(write(fd, question, 8), 8);
		bench_wait(set, station_set_fd(set));
		int64_t back_at = station_set_step(set, now);
		assert_in_range(back_at, now + 1000 * MS, now + 5000 * MS);
		struct stat st;
		assert_int_equal(lstat(link, &st), -1);
		ssize_t n = read(fd, answer, sizeof(answer)); /* hung up */
		assert_true(n == 0 || (n < 0 && errno == EIO));
		assert_int_equal(station_set_step(set, back_at - 1), back_at);
		assert_int_equal(lstat(link, &st), -1);
		assert_int_equal(station_set_step(set, back_at), CLOCK_NEVER);
		assert_int_equal(lstat(link, &st), 0);
		close(fd);
		now = back_at;
	}
	station_set_destroy(set);
	assert_int_equal(rmdir(folder), 0);
}

static int connect_to(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void an_unplugged_server_refuses_until_it_is_back(void **state)
{
	(void)state;
	const struct mishap_rule rule = ALWAYS(MISHAP_UNPLUGGED);
	const struct mishaps mishaps = {.rules = &rule, .n_rules = 1, .seed = 3};
	struct station_options options = {.mishaps = &mishaps};
	struct station_set *set;
	assert_int_equal(station_set_init(&set), 0);
	int port = station_set_listen(set, &plan, &buses[1], &options, 0);
	assert_true(port > 0);
	int fd = connect_to(port);
	assert_true(fd >= 0);
	bench_wait(set, station_set_fd(set));
	station_set_step(set, 0);
	const uint8_t question[] = {1, 44, 0, 0, 0, 6, 1, 4, 0, 200, 0, 1};
	uint8_t answer[16];
	assert_int_equal(write(fd, question, 12), 12);
	bench_wait(set, fd);
	int64_t back_at = station_set_step(set, 0);
	assert_in_range(back_at, 1000 * MS, 5000 * MS);
	assert_int_equal(read(fd, answer, sizeof(answer)), 0);
	assert_int_equal(connect_to(port), -1);
	assert_int_equal(station_set_step(set, back_at), CLOCK_NEVER);
	int again = connect_to(port);
	assert_true(again >= 0);
	close(again);
	close(fd);
	station_set_destroy(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_can_be_cut_off),
		cmocka_unit_test(noise_spoils_the_checksum),
		cmocka_unit_test(an_answer_can_bear_another_unit),
		cmocka_unit_test(exceptions_come_instead_of_an_answer),
		cmocka_unit_test(another_master_speaks_before_the_answer),
		cmocka_unit_test(an_echo_comes_first_and_for_strangers_too),
		cmocka_unit_test(modbus_tcp_has_its_own_kinds_of_them),
		cmocka_unit_test(a_connection_ends_behind_a_truncated_answer),
		cmocka_unit_test(strict_devices_want_silence),
		cmocka_unit_test(the_gap_of_the_map_does_not_change_what_they_want),
		cmocka_unit_test(strict_devices_hear_their_own_speed_only),
		cmocka_unit_test(an_unplugged_port_goes_and_comes_back),
		cmocka_unit_test(an_unplugged_server_refuses_until_it_is_back),
	};
	return cmocka_run_group_tests(tests, bench_group_setup, NULL);
}
