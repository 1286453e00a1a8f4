/*
 * One line at a time, byte by byte: what is taken for the answer on a serial wire and on Modbus TCP, and what is not.
 */
#include "line_bench.h"
#include "sdk/check.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static int ask(uint8_t unit, enum bf_space space, uint16_t at, uint16_t count)
{
	return bench_ask(&(struct line_question){.unit = unit, .place = {space, at, count}});
}

/* The line rests for so long that what has come will not grow. */
static int answer_after_rest(void)
{
	int rc = answer();
	if (rc != -EAGAIN)
		return rc;
	bench.now_us += 200 * MS;
	return answer();
}

/* 520 µs a character: an answer that has begun is not looked at before its last two. */
static void an_answer_that_grows_is_left_to_grow(void **state)
{
	(void)state;
	uint8_t whole[5 + 20] = {5, 3, 20};
	uint16_t crc = bf_crc16_modbus(whole, 23);
	whole[23] = (uint8_t)crc;
	whole[24] = (uint8_t)(crc >> 8);
	bench_open(WIRE_SERIAL);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 10), 0);
	says(whole, 1); /* it may be an exception, of 5 bytes */
	assert_int_equal(answer(), -EAGAIN);
	assert_int_equal(bench.line->events, 0);
	assert_in_range(bench.line->look_at - bench.now_us, 500, 4 * 521);
	says(whole + 1, 4);
	assert_int_equal(answer(), -EAGAIN);
	assert_int_equal(bench.line->events, 0);
	assert_in_range(bench.line->look_at - bench.now_us, 17 * 520, 18 * 521);
	says(whole + 5, 18);
	assert_int_equal(answer(), -EAGAIN);
	assert_int_equal(bench.line->events, POLLIN);
	says(whole + 23, 2);
	assert_int_equal(answer(), 0);

	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 10), 0);
	says(whole, 5); /* it stops */
	assert_int_equal(answer(), -EAGAIN);
	bench.now_us = bench.line->look_at + 25 * MS;
	assert_int_equal(bench.line->ops->answer(bench.line, bench.now_us, &bench.answer), -EBADMSG);

	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 10), 0);
	says("\x00\x05", 2); /* what begins otherwise may end at any time */
	assert_int_equal(answer(), -EAGAIN);
	assert_int_equal(bench.line->events, POLLIN);
	bench_close();
}

static void the_answer_is_taken_and_nothing_else_on_a_serial_wire(void **state)
{
	(void)state;
	bench_open(WIRE_SERIAL);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 2), 0);
	assert_memory_equal(bench.request, "\x05\x03\x00\x0a\x00\x02", 6);
	assert_int_equal(bench.n_request, 8);
	assert_int_equal(answer(), -EAGAIN);
	frame("\x06\x03\x04\x00\x01\x00\x02", 7); /* another unit */
	assert_int_equal(answer(), -EAGAIN);
	frame("\x05\x03\x04\x00\x03\x00\x04", 7);
	assert_int_equal(answer(), 0);
	assert_int_equal(bench.answer.n, 4);
	assert_memory_equal(bench.answer.bytes, "\x00\x03\x00\x04", 4);
	assert_int_equal(bench.strays[LINE_FOREIGN], 1);

	assert_int_equal(ask(5, BF_SPACE_COIL, 0, 9), 0);
	frame("\x05\x81\x02", 3);
	assert_int_equal(answer(), -EREMOTEIO);
	assert_int_equal(bench.answer.exception, 2);

	static const struct {
		const char *bytes;
		size_t n;
	} wrong[] = {
		{"\x05\x04\x04\x00\x01\x00\x02", 7},                              /* function */
		{"\x05\x03\x02\x00\x01", 5},                                      /* too short */
		{"\x05\x03\x06\x00\x01\x00\x02\x00\x03", 9}, {"\x05\x84\x02", 3}, /* another function refuses */
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		bench_close();
		bench_open(WIRE_SERIAL);
		assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 2), 0);
		frame(wrong[i].bytes, wrong[i].n);
		assert_int_equal(answer(), -EBADMSG);
	}
	bench_close();
}

static void damaged_and_cut_off_answers_are_no_answers(void **state)
{
	(void)state;
	bench_open(WIRE_SERIAL);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	says("\x05\x03\x02\x00\x01\x00\x00", 7);
	assert_int_equal(answer(), -EAGAIN);
	assert_true(bench.line->look_at > bench.now_us && bench.line->look_at < bench.now_us + 100 * MS);
	assert_int_equal(answer_after_rest(), -EBADMSG);
	bench_close();

	bench_open(WIRE_SERIAL);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	says("\x05\x03\x02\x00", 4);
	assert_int_equal(answer_after_rest(), -EBADMSG);
	bench_close();

	/* what a transceiver adds in front and behind does no harm; pauses within a frame do none either */
	bench_open(WIRE_SERIAL);
	assert_int_equal(ask(0x11, BF_SPACE_HOLDING, 0x6b, 1), 0);
	says("\xff\x00\x11\x03", 4);
	assert_int_equal(answer(), -EAGAIN);
	assert_true(bench.line->begun);
	bench.now_us += 15 * MS;
	says("\x02\x02", 2);
	assert_int_equal(answer(), -EAGAIN);
	says("\x2b\x38\xf8\x00", 4); /* ends with a byte too many */
	assert_int_equal(answer(), 0);
	assert_memory_equal(bench.answer.bytes, "\x02\x2b", 2);
	bench_close();
}

static void a_late_answer_and_the_right_one_come_glued(void **state)
{
	(void)state;
	bench_open(WIRE_SERIAL);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	bench.now_us += 1 * S;
	assert_int_equal(answer(), -EAGAIN); /* given up */
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 20, 2), 0);
	frame("\x05\x03\x02\x00\x01", 5);
	frame("\x05\x03\x04\x00\x02\x00\x03", 7);
	assert_int_equal(answer(), 0);
	assert_memory_equal(bench.answer.bytes, "\x00\x02\x00\x03", 4);
	assert_int_equal(bench.strays[LINE_LATE], 1);
	assert_int_equal(bench.stray_unit, 5);

	/* of one shape nobody knows */
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	bench.now_us += 1 * S;
	assert_int_equal(answer(), -EAGAIN);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 20, 1), 0);
	frame("\x05\x03\x02\x00\x01", 5);
	assert_int_equal(answer(), -ESTALE);
	bench_close();

	/* two answers to one question */
	bench_open(WIRE_SERIAL);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	frame("\x05\x03\x02\x00\x01", 5);
	frame("\x05\x03\x02\x00\x02", 5);
	assert_int_equal(answer(), -EBADMSG);
	bench_close();
}

static void what_comes_between_questions_is_looked_at(void **state)
{
	(void)state;
	bench_open(WIRE_SERIAL);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	bench.now_us += 1 * S;
	assert_true(trust_doubtful(&bench.line->trusts[5], bench.now_us));
	frame("\x05\x03\x02\x00\x01", 5);
	assert_int_equal(bench.line->ops->listen(bench.line, bench.now_us), 0);
	assert_int_equal(bench.strays[LINE_LATE], 1);
	assert_false(trust_doubtful(&bench.line->trusts[5], bench.now_us));
	/* and nobody speaks into it */
	assert_true(bench.line->free_at > bench.now_us);
	const struct line_question question = {.unit = 5, .place = {BF_SPACE_HOLDING, 10, 1}};
	assert_int_equal(bench.line->ops->ask(bench.line, &question, bench.now_us), -EAGAIN);
	bench.now_us = bench.line->free_at;
	assert_int_equal(bench.line->ops->ask(bench.line, &question, bench.now_us), 0);
	bench_close();

	bench_open(WIRE_SERIAL);
	says("\x12\x34\x56\x78\x9a", 5);
	assert_int_equal(bench.line->ops->listen(bench.line, bench.now_us), 0);
	assert_int_equal(bench.strays[LINE_NOISE], 0);
	bench.now_us = bench.line->look_at;
	assert_int_equal(bench.line->ops->listen(bench.line, bench.now_us), 0);
	assert_int_equal(bench.strays[LINE_NOISE], 1);
	port_pair_unplug();
	assert_int_equal(bench.line->ops->listen(bench.line, bench.now_us), -ENODEV);
	bench_close();
}

static void an_echo_is_skipped_and_remembered(void **state)
{
	(void)state;
	bench_open(WIRE_SERIAL);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
		says(bench.request, 8);
		assert_int_equal(answer(), -EAGAIN);
		frame("\x05\x03\x02\x00\x01", 5);
		assert_int_equal(answer(), 0);
	}
	assert_int_equal(bench.strays[LINE_ECHO], 5);
	assert_int_equal(bench.strays[LINE_FOREIGN], 0);
	/* the same request once more is somebody else's */
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	says(bench.request, 8);
	says(bench.request, 8);
	frame("\x05\x03\x02\x00\x01", 5);
	assert_int_equal(answer(), -ESTALE);
	assert_int_equal(bench.strays[LINE_FOREIGN], 1);
	bench_close();

	/* an answer can be the request's twin, where there is no echo, too: it is rather another master's request */
	bench_open(WIRE_SERIAL);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
		frame("\x05\x03\x02\x00\x01", 5);
		assert_int_equal(answer(), 0);
	}
	assert_int_equal(ask(5, BF_SPACE_COIL, 0x0310, 20), 0);
	frame("\x05\x01\x03\x10\x00\x15", 6); /* nearly */
	assert_int_equal(answer(), 0);
	assert_int_equal(ask(5, BF_SPACE_COIL, 0x0310, 20), 0);
	says(bench.request, 8);
	assert_int_equal(answer(), -EAGAIN);
	assert_int_equal(bench.strays[LINE_FOREIGN], 1);
	assert_int_equal(bench.strays[LINE_ECHO], 0);
	bench_close();

	/* an echo comes at once: later the same bytes are another master's request */
	bench_open(WIRE_SERIAL);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	says(bench.request, 8);
	assert_int_equal(answer(), -EAGAIN);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	bench.now_us += 1 * S;
	assert_int_equal(bench.line->ops->listen(bench.line, bench.now_us), 0);
	says(bench.request, 8);
	assert_int_equal(bench.line->ops->listen(bench.line, bench.now_us), 0);
	assert_int_equal(bench.strays[LINE_ECHO], 1);
	assert_int_equal(bench.strays[LINE_FOREIGN], 1);
	bench_close();
}

static void the_answer_to_another_master_is_not_ours(void **state)
{
	(void)state;
	bench_open(WIRE_SERIAL);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	frame("\x05\x03\x00\x20\x00\x01", 6);
	assert_int_equal(answer(), -EAGAIN);
	frame("\x05\x03\x02\x00\x20", 5);
	assert_int_equal(answer(), -ESTALE);
	bench_close();

	/* it asks before us and we wait for its answer */
	bench_open(WIRE_SERIAL);
	frame("\x05\x03\x00\x20\x00\x01", 6);
	assert_int_equal(bench.line->ops->listen(bench.line, bench.now_us), 0);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), -EAGAIN);
	frame("\x05\x03\x02\x00\x20", 5);
	assert_int_equal(bench.line->ops->listen(bench.line, bench.now_us), 0);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	assert_int_equal(answer(), -EAGAIN);
	frame("\x05\x03\x02\x00\x0a", 5);
	assert_int_equal(answer(), 0);
	assert_memory_equal(bench.answer.bytes, "\x00\x0a", 2);

	/* where another master is known, noise before an answer may have been its request */
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	says("\x85\x03\x40\x20\x00\x01\xff\xff", 8);
	frame("\x05\x03\x02\x00\x20", 5);
	assert_int_equal(answer(), -ESTALE);
	bench_close();
}

static void the_first_that_is_heard_of_another_master_may_be_damaged(void **state)
{
	(void)state;
	bench_open(WIRE_SERIAL);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	frame("\x05\x03\x02\x00\x0a", 5);
	assert_int_equal(answer(), 0);
	says("\x05\x03\x40\x20\x00\x01\xff\xff", 8); /* as long as a request */
	bench.now_us += 10 * MS;
	assert_int_equal(bench.line->ops->listen(bench.line, bench.now_us), 0);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	frame("\x05\x03\x02\x00\x20", 5);
	assert_int_equal(answer(), -ESTALE);
	bench_close();
}

static void who_babbles_is_read_in_sips(void **state)
{
	(void)state;
	char noise[256];
	memset(noise, 'y', sizeof(noise));
	bench_open(WIRE_SERIAL);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	int rc = -EAGAIN;
	for (int i = 0; i < 10 && rc == -EAGAIN; i++) {
		says(noise, sizeof(noise));
		rc = answer();
	}
	assert_int_equal(rc, -EBADMSG);
	for (int i = 0; i < 20; i++) {
		says(noise, sizeof(noise));
		bench.now_us += 50 * MS;
		assert_int_equal(bench.line->ops->listen(bench.line, bench.now_us), 0);
	}
	assert_true(bench.line->babbles);
	assert_int_equal(bench.line->events, 0); /* it wakes nobody */
	assert_true(bench.line->look_at >= bench.now_us + 50 * MS);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), -EAGAIN);
	bench.now_us += 1 * S; /* silent at last */
	assert_int_equal(bench.line->ops->listen(bench.line, bench.now_us), 0);
	assert_false(bench.line->babbles);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	bench_close();
}

static void a_port_that_takes_nothing_is_no_lost_port(void **state)
{
	(void)state;
	char noise[4096] = {0};
	bench_open(WIRE_SERIAL);
	while (send(bench.line->fd, noise, sizeof(noise), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), -ENOBUFS);
	bench_close();
}

/* Modbus TCP: header and the rest. */
static void mbap(unsigned id, unsigned protocol, unsigned length, const char *pdu, size_t n)
{
	uint8_t bytes[64] = {(uint8_t)(id >> 8), (uint8_t)id, (uint8_t)(protocol >> 8), (uint8_t)protocol,
		(uint8_t)(length >> 8), (uint8_t)length};
	memcpy(bytes + 6, pdu, n);
	says(bytes, 6 + n);
}

static unsigned asked_id(void)
{
	return (unsigned)bench.request[0] << 8 | bench.request[1];
}

static void only_the_right_transaction_is_the_answer_on_tcp(void **state)
{
	(void)state;
	bench_open(WIRE_TCP);
	assert_null(bench.line->trusts);
	assert_int_equal(ask(1, BF_SPACE_HOLDING, 10, 1), 0);
	unsigned first = asked_id();
	assert_memory_equal(bench.request + 2, "\x00\x00\x00\x06\x01\x03\x00\x0a\x00\x01", 10);
	assert_int_equal(answer(), -EAGAIN);
	assert_int_equal(ask(1, BF_SPACE_HOLDING, 20, 1), 0);
	mbap(first, 0, 5, "\x01\x03\x02\x00\x0a", 5);      /* late */
	mbap(0, 0, 5, "\x01\x03\x02\x00\x0b", 5);          /* a host that never says which */
	mbap(first + 2, 0, 5, "\x01\x03\x02\x00\x0c", 5);  /* from the future */
	mbap(asked_id(), 0, 5, "\x01\x03\x02\x00\x14", 5); /* at last */
	assert_int_equal(answer(), 0);
	assert_memory_equal(bench.answer.bytes, "\x00\x14", 2);
	assert_int_equal(bench.strays[LINE_LATE], 1);
	assert_int_equal(bench.strays[LINE_FOREIGN], 2);

	/* what came before the question answers it not even with its id */
	mbap(asked_id() + 1, 0, 5, "\x01\x03\x02\x00\x0c", 5);
	assert_int_equal(ask(1, BF_SPACE_HOLDING, 30, 1), 0);
	assert_int_equal(answer(), -EAGAIN);
	mbap(asked_id(), 0, 3, "\x01\x83\x06", 3);
	assert_int_equal(answer(), -EREMOTEIO);
	assert_int_equal(bench.answer.exception, 6);
	bench_close();
}

static void the_id_goes_round_and_is_never_0(void **state)
{
	(void)state;
	bench_open(WIRE_TCP);
	unsigned before = 0;
	for (unsigned i = 0; i < 65540; i++) {
		assert_int_equal(ask(1, BF_SPACE_HOLDING, 10, 1), 0);
		assert_int_not_equal(asked_id(), 0);
		if (i)
			assert_int_equal(asked_id(), before == 65535 ? 1 : before + 1);
		before = asked_id();
	}
	mbap(65535, 0, 5, "\x01\x03\x02\x00\x0a", 5); /* late, from before it went round */
	assert_int_equal(answer(), -EAGAIN);
	assert_int_equal(bench.strays[LINE_LATE], 1);
	mbap(asked_id(), 0, 5, "\x01\x03\x02\x00\x14", 5);
	assert_int_equal(answer(), 0);
	bench_close();
}

static void frames_that_lie_end_the_connection_or_the_wait(void **state)
{
	(void)state;
	static const struct {
		unsigned protocol, length;
		const char *pdu;
		size_t n;
		int rc;
	} lies[] = {
		{1, 5, "\x01\x03\x02\x00\x0a", 5, -ENODEV},          /* no Modbus */
		{0, 6, "\x01\x03\x02\x00\x0a\x00", 6, -ENODEV},      /* longer than its bytes */
		{0, 4, "\x01\x03\x02\x00", 4, -ENODEV},              /* shorter */
		{0, 2, "\x01\x03", 2, -ENODEV},                      /* nothing in it */
		{0, 300, "\x01\x03\x02\x00\x0a", 5, -ENODEV},        /* longer than any */
		{0, 4, "\x01\x83\x02\x00", 4, -ENODEV},              /* an exception with more */
		{0, 5, "\x01\x2b\x02\x00\x0a", 5, -ENODEV},          /* a function that was not asked for */
		{0, 7, "\x01\x03\x04\x00\x0a\x00\x0b", 7, -EBADMSG}, /* honest, but not what was asked */
		{0, 5, "\x02\x03\x02\x00\x0a", 5, -EBADMSG},         /* another unit */
		{0, 5, "\x01\x04\x02\x00\x0a", 5, -EBADMSG},         /* another function */
		{0, 3, "\x01\x84\x02", 3, -EBADMSG},
	};
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		bench_open(WIRE_TCP);
		assert_int_equal(ask(1, BF_SPACE_HOLDING, 10, 1), 0);
		mbap(asked_id(), lies[i].protocol, lies[i].length, lies[i].pdu, lies[i].n);
		assert_int_equal(answer(), lies[i].rc);
		bench_close();
	}
}

static void segments_are_put_together(void **state)
{
	(void)state;
	bench_open(WIRE_TCP);
	assert_int_equal(ask(1, BF_SPACE_HOLDING, 10, 1), 0);
	uint8_t whole[] = {bench.request[0], bench.request[1], 0, 0, 0, 5, 1, 3, 2, 0x12, 0x34};
	for (size_t i = 0; i + 1 < sizeof(whole); i++) {
		says(whole + i, 1);
		assert_int_equal(answer(), -EAGAIN);
	}
	says(whole + sizeof(whole) - 1, 1);
	assert_int_equal(answer(), 0);
	assert_memory_equal(bench.answer.bytes, "\x12\x34", 2);
	/* half a frame, then nothing: the other end is gone */
	assert_int_equal(ask(1, BF_SPACE_HOLDING, 10, 1), 0);
	says(whole, 4);
	assert_int_equal(answer(), -EAGAIN);
	shutdown(port_pair_fd, SHUT_WR);
	assert_int_equal(answer(), -ENODEV);
	bench_close();
}

static void a_serial_device_server_is_a_serial_wire(void **state)
{
	(void)state;
	bench_open(WIRE_SERIAL_TCP);
	assert_non_null(bench.line->trusts);
	assert_int_equal(ask(5, BF_SPACE_HOLDING, 10, 1), 0);
	assert_int_equal(bench.n_request, 8);
	frame("\x05\x03\x02\x00\x01", 5);
	assert_int_equal(answer(), 0);
	port_pair_unplug();
	assert_int_equal(bench.line->ops->listen(bench.line, bench.now_us), -ENODEV);
	bench_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_that_grows_is_left_to_grow),
		cmocka_unit_test(the_answer_is_taken_and_nothing_else_on_a_serial_wire),
		cmocka_unit_test(damaged_and_cut_off_answers_are_no_answers),
		cmocka_unit_test(a_late_answer_and_the_right_one_come_glued),
		cmocka_unit_test(what_comes_between_questions_is_looked_at),
		cmocka_unit_test(an_echo_is_skipped_and_remembered),
		cmocka_unit_test(the_answer_to_another_master_is_not_ours),
		cmocka_unit_test(the_first_that_is_heard_of_another_master_may_be_damaged),
		cmocka_unit_test(who_babbles_is_read_in_sips),
		cmocka_unit_test(a_port_that_takes_nothing_is_no_lost_port),
		cmocka_unit_test(only_the_right_transaction_is_the_answer_on_tcp),
		cmocka_unit_test(the_id_goes_round_and_is_never_0),
		cmocka_unit_test(frames_that_lie_end_the_connection_or_the_wait),
		cmocka_unit_test(segments_are_put_together),
		cmocka_unit_test(a_serial_device_server_is_a_serial_wire),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
