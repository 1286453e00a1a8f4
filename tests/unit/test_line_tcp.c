/*
 * A Modbus TCP line and its bytes, as a peer of ours sends them over the loopback: whole, in pieces, late, wrong.
 */
#include "field/line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct plan_bus bus = {.name = "tcp", .wire = WIRE_TCP, .host = "127.0.0.1"};
static const struct line_question question = {.unit = 7, .place = {.space = BF_SPACE_HOLDING, .at = 16, .count = 2}};
static struct line *line;
static int listener, peer;

static int begin(void **state)
{
	(void)state;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof(address);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n), 0);
	bus.tcp_port = ntohs(address.sin_port);
	assert_int_equal(line_modbus_init(&bus, &line), 0);
	int rc;
	while ((rc = line->ops->open(line, 0)) == -EINPROGRESS) {
		struct pollfd fd = {.fd = line->events ? line->fd : -1, .events = line->events};
		poll(&fd, 1, 20);
	}
	assert_int_equal(rc, 0);
	peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(peer >= 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	line->ops->destroy(line);
	close(peer);
	close(listener);
	return 0;
}

/* Asks; the transaction id under which the question arrived. */
static uint16_t ask(void)
{
	uint8_t request[12];
	assert_int_equal(line->ops->ask(line, &question, 0), 0);
	assert_int_equal(recv(peer, request, sizeof(request), MSG_WAITALL), sizeof(request));
	static const uint8_t rest[] = {0, 0, 0, 6, 7, 3, 0, 16, 0, 2};
	assert_memory_equal(request + 2, rest, sizeof(rest));
	return (uint16_t)(request[0] << 8 | request[1]);
}

static void answers(uint16_t transaction, uint8_t unit, uint8_t first)
{
	uint8_t frame[] = {(uint8_t)(transaction >> 8), (uint8_t)transaction, 0, 0, 0, 7, unit, 3, 4, first, 2, 3, 4};
	assert_int_equal(send(peer, frame, sizeof(frame), 0), sizeof(frame));
}

static int answer(struct line_answer *ret_answer)
{
	struct pollfd fd = {.fd = line->fd, .events = POLLIN};
	assert_int_equal(poll(&fd, 1, 10000), 1);
	return line->ops->answer(line, 0, ret_answer);
}

static void gets_value(uint8_t first)
{
	struct line_answer got = {0};
	assert_int_equal(answer(&got), 0);
	assert_int_equal(got.n, 4);
	assert_int_equal(got.bytes[0], first);
	assert_int_equal(got.bytes[3], 4);
}

static void test_whole(void **state)
{
	(void)state;
	for (uint8_t i = 1; i < 4; i++) {
		answers(ask(), 7, i);
		gets_value(i);
	}
	struct line_answer none = {0};
	assert_int_equal(line->ops->answer(line, 0, &none), -EAGAIN);
}

static void test_byte_by_byte(void **state)
{
	(void)state;
	uint16_t transaction = ask();
	uint8_t frame[] = {(uint8_t)(transaction >> 8), (uint8_t)transaction, 0, 0, 0, 7, 7, 3, 4, 9, 2, 3, 4};
	for (size_t i = 0; i < sizeof(frame); i++) {
		struct line_answer got = {0};
		assert_int_equal(send(peer, &frame[i], 1, 0), 1);
		if (i + 1 < sizeof(frame))
			assert_int_equal(answer(&got), -EAGAIN);
	}
	gets_value(9);
}

/* Answers that were given up come before the one that is waited for, all in one piece, cut anywhere. */
static void test_late_ones_are_waited_past(void **state)
{
	(void)state;
	uint16_t first = ask(), last = first;
	for (int i = 1; i <= 30; i++)
		last = ask();
	for (uint16_t late = first; late != last; late++)
		answers(late, 7, 1);
	answers(last, 8, 3); /* of another unit */
	answers(last, 7, 4);
	gets_value(4);
	assert_int_equal(line->n_late, 30);
	assert_int_equal(line->n_foreign, 1);
}

/* What comes behind an answer is no answer to the next question, however early it came. */
static void test_twice(void **state)
{
	(void)state;
	uint16_t transaction = ask();
	answers(transaction, 7, 1);
	answers(transaction, 7, 2);
	gets_value(1);
	answers(ask(), 7, 3);
	gets_value(3);
	assert_int_equal(line->n_late, 1);
}

static void send_frame(uint16_t transaction, const uint8_t *rest, size_t n)
{
	uint8_t frame[64] = {(uint8_t)(transaction >> 8), (uint8_t)transaction};
	memcpy(frame + 2, rest, n);
	assert_int_equal(send(peer, frame, n + 2, 0), (ssize_t)n + 2);
}

static void test_exception(void **state)
{
	(void)state;
	struct line_answer got = {0};
	static const uint8_t refused[] = {0, 0, 0, 3, 7, 0x83, 2};
	send_frame(ask(), refused, sizeof(refused));
	assert_int_equal(answer(&got), -EREMOTEIO);
	assert_int_equal(got.exception, 2);
}

static void test_wrong_shapes(void **state)
{
	(void)state;
	struct line_answer got = {0};
	static const uint8_t fewer[] = {0, 0, 0, 5, 7, 3, 2, 1, 2};              /* one register */
	static const uint8_t longer[] = {0, 0, 0, 9, 7, 3, 4, 1, 2, 3, 4, 5, 6}; /* more than it says */
	static const uint8_t cut[] = {0, 0, 0, 5, 7, 3, 4, 1, 2};                /* less */
	send_frame(ask(), fewer, sizeof(fewer));
	assert_int_equal(answer(&got), -EBADMSG);
	send_frame(ask(), longer, sizeof(longer));
	assert_int_equal(answer(&got), -EBADMSG);
	send_frame(ask(), cut, sizeof(cut));
	assert_int_equal(answer(&got), -EBADMSG);
	answers(ask(), 7, 5);
	gets_value(5);
}

/* Out of step or not Modbus: only a new connection helps. */
static void test_out_of_step(void **state)
{
	(void)state;
	struct line_answer got = {0};
	static const uint8_t text[] = "TP/1.1 400 Bad Request";
	send_frame(ask(), text, sizeof(text));
	assert_int_equal(answer(&got), -ENODEV);
}

static void test_closed(void **state)
{
	(void)state;
	struct line_answer got = {0};
	ask();
	shutdown(peer, SHUT_WR);
	assert_int_equal(answer(&got), -ENODEV);
	assert_int_equal(line->ops->ask(line, &question, 0), -ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole, begin, end),
		cmocka_unit_test_setup_teardown(test_byte_by_byte, begin, end),
		cmocka_unit_test_setup_teardown(test_late_ones_are_waited_past, begin, end),
		cmocka_unit_test_setup_teardown(test_twice, begin, end),
		cmocka_unit_test_setup_teardown(test_exception, begin, end),
		cmocka_unit_test_setup_teardown(test_wrong_shapes, begin, end),
		cmocka_unit_test_setup_teardown(test_out_of_step, begin, end),
		cmocka_unit_test_setup_teardown(test_closed, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
