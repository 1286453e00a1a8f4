/*
 * Stations in virtual time: frames in pieces, noise, wrong checksums, strangers, pace,
 * mishaps.  Sockets and ptys are real, the clock is not; nothing sleeps.
 */
#include "station_bench.h"
#include "base/clock.h"
#include "sdk/check.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void seal(uint8_t *frame, size_t n)
{
	uint16_t crc = bf_crc16_modbus(frame, n);
	frame[n] = (uint8_t)crc;
	frame[n + 1] = (uint8_t)(crc >> 8);
}

/* A read of one input register by RTU. */
static void rtu_request(uint8_t unit, uint16_t at, uint8_t frame[static 8])
{
	memcpy(frame, ((uint8_t[]){unit, 4, (uint8_t)(at >> 8), (uint8_t)at, 0, 1}), 6);
	seal(frame, 6);
}

static void assert_rtu_answer(struct bench *bench, uint8_t unit)
{
	uint8_t answer[300];
	assert_int_equal(bench_get(bench, answer, sizeof(answer)), 7);
	assert_int_equal(bf_crc16_modbus(answer, 7), 0);
	assert_int_equal(answer[0], unit);
	assert_int_equal(answer[1], 4);
	assert_int_equal(answer[2], 2);
	int value = answer[3] << 8 | answer[4];
	assert_in_range(value, 220, 240);
}

static void assert_silence(struct bench *bench)
{
	uint8_t answer[300];
	assert_int_equal(bench_get(bench, answer, sizeof(answer)), 0);
}

static void frames_may_come_in_any_pieces(void **state)
{
	(void)state;
	struct station_options options = {0};
	struct bench bench = bench_open(&buses[0], &options);
	uint8_t frame[8];
	rtu_request(1, 0, frame);
	for (size_t cut = 1; cut < 8; cut++) {
		int64_t look_at = bench_put(&bench, frame, cut);
		assert_true(look_at > bench.now && look_at < bench.now + 10 * MS);
		assert_silence(&bench);
		bench.now += 1 * MS;
		assert_int_equal(bench_put(&bench, frame + cut, 8 - cut), CLOCK_NEVER);
		assert_rtu_answer(&bench, 1);
		bench.now += 50 * MS;
	}
	for (size_t i = 0; i < 8; i++, bench.now += MS)
		bench_put(&bench, frame + i, 1);
	assert_rtu_answer(&bench, 1);
	bench_close(&bench);
}

static void silence_ends_a_beginning(void **state)
{
	(void)state;
	struct station_options options = {0};
	struct bench bench = bench_open(&buses[0], &options);
	uint8_t frame[8];
	rtu_request(1, 0, frame);
	for (size_t cut = 1; cut < 8; cut++) {
		int64_t look_at = bench_put(&bench, frame, cut);
		bench.now = look_at;
		assert_int_equal(station_set_step(bench.set, bench.now), CLOCK_NEVER);
		assert_silence(&bench);
		bench_put(&bench, frame, 8);
		assert_rtu_answer(&bench, 1);
		/* and when the loop was too slow to see the silence */
		bench_put(&bench, frame, cut);
		bench.now += 100 * MS;
		bench_put(&bench, frame, 8);
		assert_rtu_answer(&bench, 1);
	}
	bench_close(&bench);
}

static void noise_costs_nothing_but_itself(void **state)
{
	(void)state;
	struct station_options options = {0};
	struct bench bench = bench_open(&buses[0], &options);
	uint64_t random = 1;
	for (int round = 0; round < 2000; round++) {
		uint8_t bytes[64];
		size_t n = (size_t)round % 40;
		for (size_t i = 0; i < n; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			bytes[i] = (uint8_t)(random >> 56);
		}
		rtu_request(2, 100, bytes + n);
		int64_t look_at = bench_put(&bench, bytes, n + 8);
		for (int i = 0; look_at != CLOCK_NEVER && i < 10; i++)
			look_at = station_set_step(bench.set, bench.now = look_at);
		assert_int_equal(look_at, CLOCK_NEVER);
		assert_rtu_answer(&bench, 2);
		bench.now += 50 * MS;
	}
	/* endless noise without a pause fills nothing up */
	uint8_t bytes[1000];
	memset(bytes, 0x63, sizeof(bytes));
	for (int i = 0; i < 20; i++, bench.now += MS)
		bench_put(&bench, bytes, sizeof(bytes));
	bench.now += 50 * MS;
	rtu_request(2, 100, bytes);
	bench_put(&bench, bytes, 8);
	assert_rtu_answer(&bench, 2);
	bench_close(&bench);
}

static void wrong_checksums_and_strangers_get_silence(void **state)
{
	(void)state;
	struct station_options options = {0};
	struct bench bench = bench_open(&buses[0], &options);
	uint8_t frame[8];
	for (int bit = 0; bit < 64; bit++) {
		rtu_request(1, 0, frame);
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		bench_put(&bench, frame, 8);
		bench.now += 50 * MS;
		assert_int_equal(station_set_step(bench.set, bench.now), CLOCK_NEVER);
		assert_silence(&bench);
	}
	for (int unit = 0; unit < 256; unit++) {
		if (unit == 1 || unit == 2)
			continue;
		rtu_request((uint8_t)unit, 0, frame);
		bench_put(&bench, frame, 8);
		assert_silence(&bench);
	}
	rtu_request(1, 0, frame);
	bench_put(&bench, frame, 8);
	assert_rtu_answer(&bench, 1);
	bench_close(&bench);
}

static void functions_without_a_known_length_are_refused(void **state)
{
	(void)state;
	struct station_options options = {0};
	struct bench bench = bench_open(&buses[0], &options);
	uint8_t frame[] = {1, 0x2B, 0x0E, 0x01, 0x00, 0, 0};
	seal(frame, 5);
	int64_t look_at = bench_put(&bench, frame, sizeof(frame));
	assert_silence(&bench);
	bench.now = look_at;
	station_set_step(bench.set, bench.now);
	uint8_t answer[16];
	assert_int_equal(bench_get(&bench, answer, sizeof(answer)), 5);
	assert_memory_equal(answer, ((uint8_t[]){1, 0xAB, 1}), 3);
	assert_int_equal(bf_crc16_modbus(answer, 5), 0);
	bench_close(&bench);
}

static void broadcasts_are_obeyed_and_not_answered(void **state)
{
	(void)state;
	metrics[0].place.space = BF_SPACE_HOLDING;
	struct station_options options = {0};
	struct bench bench = bench_open(&buses[0], &options);
	uint8_t frame[13] = {0, 16, 0, 0, 0, 1, 2, 0x12, 0x34};
	seal(frame, 9);
	bench_put(&bench, frame, 11);
	assert_silence(&bench);
	rtu_request(1, 0, frame);
	frame[1] = 3;
	seal(frame, 6);
	bench_put(&bench, frame, 8);
	uint8_t answer[16];
	assert_int_equal(bench_get(&bench, answer, sizeof(answer)), 7);
	assert_memory_equal(answer, ((uint8_t[]){1, 3, 2, 0x12, 0x34}), 5);
	metrics[0].place.space = BF_SPACE_INPUT;
	bench_close(&bench);
}

static void paced_answers_take_their_wire_time(void **state)
{
	(void)state;
	struct station_options options = {.pace = true, .turnaround_us = 5 * MS};
	struct bench bench = bench_open(&buses[0], &options);
	uint8_t frame[8];
	rtu_request(1, 0, frame);
	int64_t look_at = bench_put(&bench, frame, 8);
	/* 8 + 3.5 + 7 characters of 10 bits at 9600 baud, and the turnaround */
	assert_in_range(look_at - bench.now, 24270, 24275);
	station_set_step(bench.set, look_at - 1);
	assert_silence(&bench);
	assert_int_equal(station_set_step(bench.set, look_at), CLOCK_NEVER);
	assert_rtu_answer(&bench, 1);
	bench_close(&bench);
}

static void a_pty_is_linked_and_cleared_away(void **state)
{
	(void)state;
	struct station_options options = {0};
	char folder[] = "/tmp/busferry-test-XXXXXX", link[64], file[64];
	assert_non_null(mkdtemp(folder));
	snprintf(link, sizeof(link), "%s/rs485", folder);
	snprintf(file, sizeof(file), "%s/file", folder);
	assert_int_equal(symlink("/dev/pts/no-more", link), 0); /* left by one that was killed */
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));

	struct station_set *set;
	assert_int_equal(station_set_init(&set), 0);
	assert_int_equal(station_set_pty(set, &plan, &buses[0], &options, link), 0);
	assert_int_equal(station_set_pty(set, &plan, &buses[0], &options, file), -EEXIST);
	for (int round = 0; round < 3; round++) { /* masters come and go */
		int fd = open(link, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		assert_true(fd >= 0);
		struct bench bench = {.set = set, .fd = fd};
		uint8_t frame[8];
		rtu_request(2, 100, frame);
		assert_int_equal(write(fd, frame, 8), 8);
		bench_wait(set, fd);
		assert_rtu_answer(&bench, 2);
		close(fd);
	}
	station_set_destroy(set);
	struct stat st;
	assert_int_equal(lstat(link, &st), -1);
	assert_int_equal(lstat(file, &st), 0);
	unlink(file);
	rmdir(folder);
}

static void a_dead_device_is_silent_and_its_neighbour_not(void **state)
{
	(void)state;
	struct arena arena = {0};
	struct mishaps mishaps;
	char complaint[160];
	assert_int_equal(mishaps_parse("dead@a/one", &plan, 7, &arena, &mishaps, complaint), 0);
	struct station_options options = {.mishaps = &mishaps};
	struct bench bench = bench_open(&buses[0], &options);
	uint8_t frame[8];
	for (int i = 0; i < 20; i++) {
		rtu_request(1, 0, frame);
		assert_int_equal(bench_put(&bench, frame, 8), CLOCK_NEVER);
		assert_silence(&bench);
		rtu_request(2, 100, frame);
		bench_put(&bench, frame, 8);
		assert_rtu_answer(&bench, 2);
	}
	bench_close(&bench);
	arena_free(&arena);
}

static void a_late_device_answers_in_order_and_holds_nobody_up(void **state)
{
	(void)state;
	const struct mishap_rule rule = {.what = MISHAP_LATE, .device = 0, .rate = 1, .bus = MISHAP_ANY};
	const struct mishaps mishaps = {.rules = &rule, .n_rules = 1, .seed = 3};
	struct station_options options = {.mishaps = &mishaps};
	struct bench bench = bench_open(&buses[0], &options);
	uint8_t frame[8];
	int64_t asked_at = bench.now;
	rtu_request(1, 0, frame);
	int64_t first = bench_put(&bench, frame, 8);
	assert_true(first > asked_at + 500 * MS && first < asked_at + 2300 * MS);
	rtu_request(2, 100, frame);
	bench_put(&bench, frame, 8);
	assert_rtu_answer(&bench, 2);
	/* what the late one is asked meanwhile comes behind what it owes */
	rtu_request(1, 5, frame);
	bench_put(&bench, frame, 8);
	assert_silence(&bench);
	bench.now = first;
	int64_t second = station_set_step(bench.set, bench.now);
	uint8_t answers[32];
	size_t n = bench_get(&bench, answers, sizeof(answers));
	assert_int_equal(answers[1], 4);
	if (n == 7) {
		station_set_step(bench.set, second);
		n += bench_get(&bench, answers + n, sizeof(answers) - n);
	}
	assert_int_equal(n, 7 + 5);
	assert_memory_equal(answers + 7, ((uint8_t[]){1, 0x84, 2}), 3);
	bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_may_come_in_any_pieces),
		cmocka_unit_test(silence_ends_a_beginning),
		cmocka_unit_test(noise_costs_nothing_but_itself),
		cmocka_unit_test(wrong_checksums_and_strangers_get_silence),
		cmocka_unit_test(functions_without_a_known_length_are_refused),
		cmocka_unit_test(broadcasts_are_obeyed_and_not_answered),
		cmocka_unit_test(paced_answers_take_their_wire_time),
		cmocka_unit_test(a_pty_is_linked_and_cleared_away),
		cmocka_unit_test(a_dead_device_is_silent_and_its_neighbour_not),
		cmocka_unit_test(a_late_device_answers_in_order_and_holds_nobody_up),
	};
	return cmocka_run_group_tests(tests, bench_group_setup, NULL);
}
