/*
 * Writes on a serial wire: the frames of the four functions, and what may pass for their answer and must not: echoes,
 * late answers, other values, other masters.
 */
#include "line_bench.h"
#include "sdk/check.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static int setup(void **state)
{
	(void)state;
	bench_open(WIRE_SERIAL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bench_close();
	return 0;
}

static int ask(enum bf_space space, uint16_t at, uint16_t count, const uint8_t *write, bool many)
{
	return bench_ask(&(struct line_question){.unit = 5, .place = {space, at, count}, .write = write, .many = many});
}

/* A read without an echo: now the line is known to have none. */
static void is_plain(void)
{
	assert_false(bench.line->echo_known);
	assert_int_equal(ask(BF_SPACE_HOLDING, 10, 1, NULL, false), 0);
	frame("\x05\x03\x02\x00\x01", 5);
	assert_int_equal(answer(), 0);
	assert_true(bench.line->echo_known);
}

static const uint8_t cells[] = {0x12, 0x34, 0x56, 0x78};

static void the_frames_are_those_of_the_standard(void **state)
{
	(void)state;
	static const struct {
		enum bf_space space;
		uint16_t count;
		bool many;
		const char *pdu, *answer;
		size_t n;
	} cases[] = {
		{BF_SPACE_HOLDING, 1, false, "\x05\x06\x01\x2C\x12\x34", "\x05\x06\x01\x2C\x12\x34", 6},
		{BF_SPACE_HOLDING, 1, true, "\x05\x10\x01\x2C\x00\x01\x02\x12\x34", "\x05\x10\x01\x2C\x00\x01", 9},
		{BF_SPACE_HOLDING, 2, false, "\x05\x10\x01\x2C\x00\x02\x04\x12\x34\x56\x78", "\x05\x10\x01\x2C\x00\x02",
			11},
		{BF_SPACE_COIL, 1, false, "\x05\x05\x01\x2C\x00\x00", "\x05\x05\x01\x2C\x00\x00", 6},
		{BF_SPACE_COIL, 1, true, "\x05\x0F\x01\x2C\x00\x01\x01\x00", "\x05\x0F\x01\x2C\x00\x01", 8},
		{BF_SPACE_COIL, 10, false, "\x05\x0F\x01\x2C\x00\x0A\x02\x12\x00", "\x05\x0F\x01\x2C\x00\x0A", 9},
	};
	is_plain();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ask(cases[i].space, 300, cases[i].count, cells, cases[i].many), 0);
		assert_int_equal(bench.n_request, cases[i].n + 2);
		assert_memory_equal(bench.request, cases[i].pdu, cases[i].n);
		assert_int_equal(bf_crc16_modbus(bench.request, (size_t)bench.n_request), 0);
		assert_int_equal(answer(), -EAGAIN);
		frame(cases[i].answer, 6);
		assert_int_equal(answer(), 0);
		assert_int_equal(bench.answer.n, 0);
	}
	static const uint8_t on[] = {1};
	assert_int_equal(ask(BF_SPACE_COIL, 300, 1, on, false), 0);
	assert_memory_equal(bench.request, "\x05\x05\x01\x2C\xFF\x00", 6);
	frame("\x05\x85\x02", 3);
	assert_int_equal(answer(), -EREMOTEIO);
	assert_int_equal(bench.answer.exception, 2);
	assert_int_equal(bench.strays[LINE_FOREIGN], 0);
	assert_int_equal(bench.strays[LINE_LATE], 0);
}

/* The request comes back; only the copy behind it is the answer. */
static void an_echo_is_no_answer(void **state)
{
	(void)state;
	assert_int_equal(ask(BF_SPACE_HOLDING, 10, 1, NULL, false), 0);
	says(bench.request, 8);
	frame("\x05\x03\x02\x00\x01", 5);
	assert_int_equal(answer(), 0);
	assert_true(bench.line->echo_known);
	assert_int_equal(ask(BF_SPACE_HOLDING, 300, 1, cells, false), 0);
	says(bench.request, 8);
	assert_int_equal(answer(), -EAGAIN);
	says(bench.request, 8);
	assert_int_equal(answer(), 0);
	assert_int_equal(ask(BF_SPACE_HOLDING, 300, 2, cells, false), 0); /* of function 16 */
	says(bench.request, (size_t)bench.n_request);
	assert_int_equal(answer(), -EAGAIN);
	frame("\x05\x10\x01\x2C\x00\x02", 6);
	assert_int_equal(answer(), 0);
	assert_int_equal(bench.strays[LINE_ECHO], 3);
	assert_int_equal(bench.strays[LINE_FOREIGN], 0);
}

static void where_nobody_knows_the_first_copy_is_an_echo(void **state)
{
	(void)state;
	assert_int_equal(ask(BF_SPACE_HOLDING, 300, 1, cells, false), 0);
	says(bench.request, 8);
	assert_int_equal(answer(), -EAGAIN);
	says(bench.request, 8);
	assert_int_equal(answer(), 0);
}

/* The answer to a write that was given up ends nothing else, and nobody else is thought to speak. */
static void a_late_answer_is_none_to_what_is_asked_now(void **state)
{
	(void)state;
	is_plain();
	assert_int_equal(ask(BF_SPACE_HOLDING, 300, 1, cells, false), 0);
	bench.now_us += 1 * S;
	assert_false(trust_doubtful(&bench.line->trusts[5], bench.now_us));
	assert_int_equal(ask(BF_SPACE_HOLDING, 10, 1, NULL, false), 0);
	frame("\x05\x06\x01\x2C\x12\x34", 6);
	assert_int_equal(answer(), -EAGAIN);
	assert_int_equal(bench.strays[LINE_LATE], 1);
	assert_int_equal(bench.strays[LINE_FOREIGN], 0);
	frame("\x05\x03\x02\x00\x01", 5);
	assert_int_equal(answer(), 0);

	assert_int_equal(ask(BF_SPACE_HOLDING, 300, 1, cells, false), 0); /* refused too late */
	bench.now_us += 1 * S;
	assert_int_equal(ask(BF_SPACE_HOLDING, 10, 1, NULL, false), 0);
	frame("\x05\x86\x02", 3);
	assert_int_equal(answer(), -EAGAIN);
	frame("\x05\x03\x02\x00\x01", 5);
	assert_int_equal(answer(), 0);
	assert_int_equal(bench.strays[LINE_LATE], 2);

	assert_int_equal(ask(BF_SPACE_HOLDING, 300, 1, cells, false), 0); /* nor to another write */
	bench.now_us += 1 * S;
	assert_int_equal(ask(BF_SPACE_HOLDING, 301, 1, cells, false), 0);
	frame("\x05\x06\x01\x2C\x12\x34", 6);
	assert_int_equal(answer(), -EAGAIN);
	frame("\x05\x06\x01\x2D\x12\x34", 6);
	assert_int_equal(answer(), 0);
	assert_int_equal(bench.strays[LINE_LATE], 3);
	assert_int_equal(bench.strays[LINE_FOREIGN], 0);
}

static void a_refusal_of_one_of_two_is_nobodys(void **state)
{
	(void)state;
	is_plain();
	assert_int_equal(ask(BF_SPACE_HOLDING, 300, 1, cells, false), 0);
	bench.now_us += 1 * S;
	assert_int_equal(ask(BF_SPACE_HOLDING, 301, 1, cells, false), 0);
	frame("\x05\x86\x02", 3);
	assert_int_equal(answer(), -ESTALE);
}

static void a_late_answer_to_a_read_is_none_to_a_write(void **state)
{
	(void)state;
	is_plain();
	assert_int_equal(ask(BF_SPACE_HOLDING, 10, 1, NULL, false), 0);
	bench.now_us += 1 * S;
	assert_int_equal(ask(BF_SPACE_HOLDING, 300, 1, cells, false), 0);
	frame("\x05\x03\x02\x00\x01", 5);
	assert_int_equal(answer(), -EAGAIN);
	assert_int_equal(bench.strays[LINE_LATE], 1);
	frame("\x05\x06\x01\x2C\x12\x34", 6);
	assert_int_equal(answer(), 0);
}

static void another_value_is_damage_and_another_register_somebody_else(void **state)
{
	(void)state;
	is_plain();
	assert_int_equal(ask(BF_SPACE_HOLDING, 300, 1, cells, false), 0);
	frame("\x05\x06\x01\x2C\x12\x35", 6);
	assert_int_equal(answer(), -EBADMSG);
	assert_int_equal(ask(BF_SPACE_HOLDING, 300, 1, cells, false), 0);
	frame("\x07\x06\x01\x2C\x12\x34", 6);
	assert_int_equal(answer(), -EAGAIN);
	assert_int_equal(bench.strays[LINE_FOREIGN], 1);
	frame("\x05\x06\x01\x2D\x12\x34", 6);
	assert_int_equal(answer(), -EAGAIN);
	assert_int_equal(bench.strays[LINE_FOREIGN], 2);
}

static void damage_ends_the_wait(void **state)
{
	(void)state;
	is_plain();
	assert_int_equal(ask(BF_SPACE_HOLDING, 300, 1, cells, false), 0);
	says("\x05\x06\x01\x2C\x12\x34\xFF\xFF", 8);
	assert_int_equal(answer(), -EAGAIN);
	bench.now_us += 200 * MS;
	assert_int_equal(answer(), -EBADMSG);
}

/* Over TCP each answer has the number of its question, and must be the beginning of it besides. */
static void over_tcp_the_answer_repeats_the_question(void **state)
{
	(void)state;
	bench_close();
	bench_open(WIRE_TCP);
	assert_true(bench.line->echo_known);
	assert_int_equal(ask(BF_SPACE_HOLDING, 300, 2, cells, false), 0);
	assert_int_equal(bench.n_request, 17);
	assert_memory_equal(bench.request, "\x00\x01\x00\x00\x00\x0B\x05\x10\x01\x2C\x00\x02\x04\x12\x34\x56\x78", 17);
	says("\x00\x01\x00\x00\x00\x06\x05\x10\x01\x2C\x00\x02", 12);
	assert_int_equal(answer(), 0);
	assert_int_equal(ask(BF_SPACE_HOLDING, 300, 1, cells, false), 0);
	says("\x00\x01\x00\x00\x00\x06\x05\x06\x01\x2C\x12\x34", 12); /* of the question before */
	assert_int_equal(answer(), -EAGAIN);
	assert_int_equal(bench.strays[LINE_LATE], 1);
	says("\x00\x02\x00\x00\x00\x06\x05\x06\x01\x2C\x12\x34", 12);
	assert_int_equal(answer(), 0);
	static const char *const others[] = {"\x05\x06\x01\x2C\x12\x35", "\x05\x06\x01\x2D\x12\x34",
		"\x06\x06\x01\x2C\x12\x34", "\x05\x10\x01\x2C\x12\x34"};
	for (size_t i = 0; i < 4; i++) {
		char whole[12] = {0, (char)(3 + i), 0, 0, 0, 6};
		memcpy(whole + 6, others[i], 6);
		assert_int_equal(ask(BF_SPACE_HOLDING, 300, 1, cells, false), 0);
		says(whole, 12);
		assert_int_equal(answer(), -EBADMSG);
	}
	assert_int_equal(ask(BF_SPACE_HOLDING, 300, 1, cells, false), 0);
	says("\x00\x07\x00\x00\x00\x03\x05\x86\x04", 9);
	assert_int_equal(answer(), -EREMOTEIO);
	assert_int_equal(bench.answer.exception, 4);
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(the_frames_are_those_of_the_standard),
		UNIT(an_echo_is_no_answer),
		UNIT(where_nobody_knows_the_first_copy_is_an_echo),
		UNIT(a_late_answer_is_none_to_what_is_asked_now),
		UNIT(a_refusal_of_one_of_two_is_nobodys),
		UNIT(a_late_answer_to_a_read_is_none_to_a_write),
		UNIT(another_value_is_damage_and_another_register_somebody_else),
		UNIT(damage_ends_the_wait),
		UNIT(over_tcp_the_answer_repeats_the_question),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
