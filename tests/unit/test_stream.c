/* Streams: what is found in what comes, what of it is told and when; who is asked; silence, damage, ports that go. */
#include "toy_stream.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct stage stage;

static int setup(void **state)
{
	(void)state;
	memset(&stage, 0, sizeof(stage));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stage_close(&stage);
	return 0;
}

/* Seconds after the start. */
static void until(double seconds)
{
	stage_until(&stage, 100 * SECOND + (int64_t)(seconds * 1e6));
}

#define told(text) assert_string_equal(stage_told(&stage), text)
#define sent(text) assert_string_equal(stage_sent(&stage), text)

static void test_what_comes_by_itself(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 2, SECOND);
	stage_open(&stage, false);
	until(0.1);
	told("");
	stage_message(&stage, 0, 5);
	until(0.11);
	told(""); /* it is left to gather */
	until(0.2);
	told("d0+ d0.m0=5 d0. ");
	stage_message(&stage, 1, 6);
	stage_message(&stage, 0, 7);
	until(0.3);
	told("d0.m1=6 d0. "); /* m0 is not due yet */
	until(1.1);
	stage_message(&stage, 0, 0xFF);
	stage_message(&stage, 1, 0xFE);
	until(1.3);
	told("d0.m0=invalid d0. ");
	assert_int_equal(stage.stream.sources[0].counts.answers, 5);
}

/* Bytes that belong to nothing, a false beginning, damage: what is sound behind them is found. */
static void test_search(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 1, 0);
	stage_open(&stage, false);
	until(0.1);
	stage_come(&stage, "\x01\x02\xAA\xAA\x00\x09\x09", 7);
	until(0.2);
	told("d0+ d0.m0=9 d0. ");
	assert_int_equal(stage.stream.sources[0].counts.checksum, 1);
	stage_come(&stage, "\xAA\x00\x09\x08\xAA\x00\x03\x03", 8);
	until(0.3);
	told("d0.m0=3 d0. ");
	assert_int_equal(stage.stream.sources[0].counts.checksum, 2);
	stage_come(&stage, "\xAA\x07\x01\x08", 4); /* of a kind that is none of ours */
	until(0.4);
	told("");
	assert_int_equal(stage.stream.sources[0].counts.answers, 3);
}

static void test_byte_by_byte(void **state)
{
	(void)state;
	static const uint8_t bytes[] = {0xAA, 0, 1, 1, 0xAA, 0, 2, 2};
	stage_device(&stage, &toy, 1, 0);
	stage_open(&stage, false);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		stage_come(&stage, &bytes[i], 1);
		until(0.1 * (double)(i + 1));
	}
	told("d0+ d0.m0=1 d0. d0.m0=2 d0. ");
}

/* The beginning of a message that does not go on is given up; one behind it is not lost. */
static void test_cut_off(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 1, 0);
	stage_open(&stage, false);
	until(0.1);
	stage_come(&stage, "\xAA\x00\xAA", 3);
	until(0.2);
	assert_int_equal(stage.stream.sources[0].n, 3);
	until(0.9);
	assert_int_equal(stage.stream.sources[0].n, 0);
	stage_message(&stage, 0, 4);
	until(1.0);
	told("d0+ d0.m0=4 d0. ");
}

/* More than the input holds, at once. */
static void test_burst(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 1, 0);
	stage_open(&stage, false);
	until(0.1);
	for (unsigned i = 0; i < 1000; i++)
		stage_message(&stage, 0, i % 200);
	until(0.2);
	assert_int_equal(stage.stream.sources[0].counts.answers, 1000);
	assert_int_equal(stage.stream.sources[0].counts.checksum, 0);
}

static void test_told_when_due(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 4, 10 * SECOND);
	stage.metrics[1].reduce = REDUCE_MEAN; /* the report makes it of all */
	stage.metrics[2].event = true;
	stage.metrics[3].every_us = PLAN_EVERY_START;
	stage_open(&stage, false);
	for (unsigned s = 0; s < 21; s++) {
		for (unsigned k = 0; k < 4; k++)
			if (k != 1 || s < 2)
				stage_message(&stage, k, s);
		until(s + 0.5);
		if (s == 0)
			told("d0+ d0.m0=0 d0. d0.m1=0 d0. d0.m2=0 d0. d0.m3=0 d0. ");
		else if (s == 1)
			told("d0.m1=1 d0. d0.m2=1 d0. ");
		else if (s == 10)
			told("d0.m0=10 d0. d0.m2=10 d0. "); /* a tenth early is on time */
		else
			stage_told(&stage);
	}
}

static void test_warm_up(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 1, SECOND);
	stage.streams[0].ignore_first_us = 30 * SECOND;
	stage_open(&stage, false);
	until(0.1);
	stage_message(&stage, 0, 1);
	until(1);
	told("d0+ ");
	for (int s = 2; s < 31; s++) {
		stage_message(&stage, 0, 2);
		until(s);
	}
	told("");
	stage_message(&stage, 0, 3);
	until(31);
	told("d0.m0=3 d0. ");
}

static void test_silence(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 2, 5 * SECOND);
	stage.metrics[1].event = true;
	stage_open(&stage, false);
	until(0.1);
	stage_message(&stage, 0, 1);
	until(1);
	told("d0+ d0.m0=1 d0. ");
	until(5);
	told("");
	until(6);
	told("d0.m0=timeout d0. ");
	until(16);
	told("d0.m0=timeout d0. d0- d0.m0=timeout d0. ");
	stage_message(&stage, 0, 2);
	until(17);
	told("d0+ d0.m0=2 d0. ");
}

/* What comes is damaged, every time. */
static void test_damage(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 1, SECOND);
	stage_open(&stage, false);
	until(0.1);
	for (int s = 1; s < 4; s++) {
		stage_come(&stage, "\xAA\x00\x09\x08", 4);
		until(s);
	}
	told("d0.m0=checksum d0. d0.m0=checksum d0. d0- d0.m0=checksum d0. ");
}

/* A sensor that is slower than `every` is not missed: its gaps are learnt. */
static void test_slow_sender(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 1, SECOND);
	stage_open(&stage, false);
	for (unsigned s = 0; s < 60; s += 10) {
		stage_message(&stage, 0, s);
		until(s + 9.9);
		const char *all = stage_told(&stage);
		if (s >= 20)
			assert_null(strstr(all, "timeout"));
	}
}

/* Messages come, but say nothing of one of the metrics any more. */
static void test_stale(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 2, SECOND);
	stage_open(&stage, false);
	stage_message(&stage, 1, 1);
	for (int s = 0; s < 10; s++) {
		stage_message(&stage, 0, 1);
		until(s + 0.9);
	}
	const char *all = stage_told(&stage);
	assert_non_null(strstr(all, "d0.m1=timeout"));
	assert_null(strstr(strstr(all, "d0.m1=timeout") + 1, "d0.m1=timeout")); /* once */
	stage_message(&stage, 1, 2);
	until(10.5);
	assert_non_null(strstr(stage_told(&stage), "d0.m1=2"));
}

static void test_asked(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 2, 10 * SECOND);
	stage_request(&stage, 0, 0, "F0");
	stage_request(&stage, 0, 1, "F1");
	stage_open(&stage, false);
	until(0.02);
	sent("F0 ");
	stage_message(&stage, 0, 5);
	until(1);
	told("d0+ d0.m0=5 d0. ");
	sent("F1 ");
	until(2); /* not answered */
	told("d0.m1=timeout d0. ");
	until(9.9);
	sent("");
	until(10.03);
	sent("F0 ");
	stage_message(&stage, 1, 9); /* another kind than was asked: taken, but no answer */
	until(10.5);
	told("d0.m1=9 d0. ");
	sent("");
	until(11.2);
	assert_non_null(strstr(stage_told(&stage), "d0.m0=timeout"));
	assert_int_equal(stage.stream.sources[0].counts.requests, 4);
}

/* What lay in the input before the request answers nothing. */
static void test_old_bytes(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 1, SECOND);
	stage_device(&stage, &toy, 1, SECOND);
	stage_request(&stage, 0, 0, "F0");
	stage_request(&stage, 1, 0, "F1");
	stage_open(&stage, false);
	stage_message(&stage, 0, 1);
	until(0.01);
	sent("F0 ");
	told("");
	stage_message(&stage, 0, 2);
	until(0.2);
	sent("F1 ");
	told("d0+ d0.m0=2 d0. ");
}

/* More comes with an answer than a message takes: nothing of it is lost. */
static void test_much_behind_an_answer(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 2, 10 * SECOND);
	stage_request(&stage, 0, 0, "F0");
	stage_open(&stage, false);
	until(0.02);
	for (unsigned i = 0; i < 256; i++)
		stage_message(&stage, i > 0, i % 100);
	until(0.2);
	stage_message(&stage, 1, 7);
	until(0.5);
	assert_int_equal(stage.stream.sources[0].counts.answers, 257);
}

/* A battery with fewer cells than its profile has: those that were never there are not missed. */
static void test_repeats_that_are_not_there(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 2, SECOND);
	stage.metrics[1].index = 5;
	stage_open(&stage, false);
	for (int s = 0; s < 20; s++) {
		stage_message(&stage, 0, 1);
		until(s + 0.9);
	}
	assert_null(strstr(stage_told(&stage), "d0.m1"));
}

/* A device that is dead among others is asked less often. */
static void test_dead_among_others(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 1, SECOND);
	stage_device(&stage, &toy, 1, SECOND);
	stage_request(&stage, 0, 0, "F0");
	stage_request(&stage, 1, 0, "F1");
	stage_open(&stage, false);
	unsigned alive = 0, dead = 0;
	for (int i = 0; i < 6000; i++) {
		until(i * 0.01);
		const char *bytes = stage_sent(&stage);
		if (strstr(bytes, "F0")) {
			alive++;
			stage_message(&stage, 0, 1);
		}
		dead += strstr(bytes, "F1") != NULL;
	}
	assert_in_range(alive, 45, 60);
	assert_in_range(dead, 5, 10);
}

static void test_conversation(void **state)
{
	(void)state;
	stage_device(&stage, &toy_talker, 2, 10 * SECOND);
	stage_open(&stage, false);
	until(0.02);
	sent("0101 ");
	stage_message(&stage, 0, 7);
	until(0.1);
	sent(""); /* the pause before the second */
	until(0.4);
	sent("0202 @9600 ");
	stage_message(&stage, 1, 8);
	until(0.5);
	told("d0+ d0.m0=7 d0. d0.m1=8 d0. ");
	sent("@19200 ");
	until(10.02);
	sent("0103 ");
	until(11.2); /* not answered: all of it is without a value */
	told("d0.m0=timeout d0.m1=timeout d0. ");
	until(20.01);
	sent("0104 ");
	stage_message(&stage, 0, 99); /* the driver can't go on */
	until(20.2);
	assert_non_null(strstr(stage_told(&stage), "d0.m1=timeout"));
	sent("");
}

static void test_greeting_and_farewell(void **state)
{
	(void)state;
	static const uint8_t bytes[] = {0x7E, 1, 2};
	static const struct bf_bytes init[] = {{bytes, 2}, {bytes + 2, 1}}, stop[] = {{bytes, 3}};
	stage_device(&stage, &toy, 1, SECOND);
	stage_request(&stage, 0, 0, "F0");
	stage.streams[0].init = init;
	stage.streams[0].n_init = 2;
	stage.streams[0].stop = stop;
	stage.streams[0].n_stop = 1;
	stage_open(&stage, false);
	until(0.05);
	sent("7E01 ");
	until(0.15);
	sent("02 ");
	until(0.3);
	sent("F0 ");
	stream_destroy(&stage.stream);
	sent("7E0102 ");
}

static void test_port_goes_and_comes(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 1, SECOND);
	stage_open(&stage, false);
	stage.opens = -ENOENT;
	until(0.1);
	told("d0- d0.m0=offline d0. ");
	assert_int_equal(stream_events(&stage.stream), 0);
	stage.opens = 0;
	until(1);
	stage_message(&stage, 0, 1);
	until(1.2);
	told("d0+ d0.m0=1 d0. ");
	stage_come(&stage, "\xAA", 1);
	until(1.3);
	stage.gone = true;
	until(1.4);
	told("d0- d0.m0=offline d0. ");
	assert_int_equal(stage.port.fd, -1);
	stage.gone = false;
	until(2.4);
	assert_int_equal(stream_events(&stage.stream), POLLIN);
	stage_come(&stage, "\x00\x01\x01", 3); /* no rest of what came before */
	until(2.5);
	told("");
	stage_message(&stage, 0, 2);
	until(2.6);
	told("d0+ d0.m0=2 d0. ");
}

static void test_once(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 2, 10 * SECOND);
	stage_open(&stage, true);
	until(0.1);
	stage_message(&stage, 0, 1);
	until(0.2);
	assert_false(stream_finished(&stage.stream));
	stage_message(&stage, 1, 1);
	until(0.3);
	assert_true(stream_finished(&stage.stream));
}

static void test_once_asked(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 2, SECOND);
	stage_request(&stage, 0, 0, "F0");
	stage_request(&stage, 0, 1, "F1");
	stage_open(&stage, true);
	until(0.02);
	stage_message(&stage, 0, 1);
	until(0.2);
	assert_false(stream_finished(&stage.stream));
	until(2);
	assert_true(stream_finished(&stage.stream));
	sent("F0 F1 ");
}

static void test_once_without_a_port(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 1, SECOND);
	stage_open(&stage, true);
	stage.opens = -ENOENT;
	until(0.1);
	assert_true(stream_finished(&stage.stream));
}

/* A port that takes nothing is asked again. */
static void test_full_port(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 1, SECOND);
	stage_request(&stage, 0, 0, "F0");
	stage_open(&stage, false);
	stage.writes = -ENOBUFS;
	until(0.5);
	told("d0.m0=timeout d0. ");
	stage.writes = 0;
	until(1.1);
	sent("F0 ");
}

/* A sensor at full speed does not wake the process with each byte. */
static void test_few_steps(void **state)
{
	(void)state;
	stage_device(&stage, &toy, 1, SECOND);
	stage_open(&stage, false);
	until(0.1);
	unsigned n_steps = 0;
	for (int ms = 100; ms < 1100; ms++) {
		stage.now_us = 100 * SECOND + ms * 1000;
		stage_come(&stage, &"\xAA\x00\x01\x01"[ms % 4], 1);
		bool ready = stream_events(&stage.stream) != 0;
		if (!ready && stage.now_us < stage.wake_at)
			continue;
		stage.wake_at = stream_step(&stage.stream, ready, stage.now_us);
		n_steps++;
	}
	assert_in_range(stage.stream.sources[0].counts.answers, 230, 250);
	assert_in_range(n_steps, 20, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_comes_by_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_search, setup, teardown),
		cmocka_unit_test_setup_teardown(test_byte_by_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_burst, setup, teardown),
		cmocka_unit_test_setup_teardown(test_told_when_due, setup, teardown),
		cmocka_unit_test_setup_teardown(test_warm_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_sender, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(test_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_old_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_much_behind_an_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repeats_that_are_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dead_among_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_conversation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_greeting_and_farewell, setup, teardown),
		cmocka_unit_test_setup_teardown(test_port_goes_and_comes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_once_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_once_without_a_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_few_steps, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
