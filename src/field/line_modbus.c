/*
 * Modbus transactions, RTU and TCP, without blocking.  The only door to libmodbus.
 *
 * libmodbus builds and checks frames on an fd that is opened here; waiting is the bus's business.  So requests go out
 * as raw requests and answers are collected only when they are whole:
 *  - RTU: the kernel says how many bytes wait (FIONREAD); the length of the answer is known from the question, or it is
 *    an exception, five bytes and then silence.  Until then nothing is read.
 *  - TCP: header and length are all that a frame has besides its content, so both ways are done here: libmodbus leaves
 *    the transaction id of a raw request at 0, and the id is what tells a late answer from the one that is waited for
 *    (older ones are discarded and waited past); and it would take six system calls for an answer that is one recv().
 * libmodbus's own time-outs, recovery and connecting are never used: it would sleep, retry and reconnect on its own.
 *
 * Invariant: `asked` is the question under way; an answer is handed out only if unit, function and length fit it.
 * Sources: MODBUS Application Protocol V1.1b3; MODBUS over Serial Line V1.02; MODBUS Messaging on TCP/IP V1.0b, 3.1.3.
 */
#include "field/line.h"
#include "field/rs485.h"

#include <errno.h>
#include <modbus/modbus.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define RTU_FRAME_MAX   256
#define TCP_FRAME_MAX   260
#define MBAP_SIZE       7     /* transaction id, protocol id, length, unit */
#define RTU_REQUEST     8     /* unit, function, address, quantity, checksum */
#define RTU_EXCEPTION   5     /* unit, function, code, checksum */
#define RTU_REST_US     3000  /* silence after which a short frame will not grow any more; USB adapters pause */
#define BYTE_TIMEOUT_US 20000 /* libmodbus only ever waits for bytes that are there already */

struct line_modbus {
	struct line line;
	const struct plan_bus *bus;
	modbus_t *context; /* RTU */
	struct line_tcp tcp;
	struct line_question asked;
	uint16_t transaction;
	int n_seen; /* RTU: bytes that waited when last looked */
	int64_t seen_at;
	uint8_t frame[TCP_FRAME_MAX];
	size_t n_frame, n_handed; /* TCP: bytes in `frame`; of these the answer that was handed out */
};

static struct line_modbus *of(struct line *line)
{
	return (struct line_modbus *)(void *)((char *)line - offsetof(struct line_modbus, line));
}

static bool is_bits(enum bf_space space)
{
	return space == BF_SPACE_COIL || space == BF_SPACE_DISCRETE;
}

static uint8_t function_of(enum bf_space space)
{
	static const uint8_t functions[BF_N_SPACES] = {
		[BF_SPACE_COIL] = 1, [BF_SPACE_DISCRETE] = 2, [BF_SPACE_HOLDING] = 3, [BF_SPACE_INPUT] = 4};
	return functions[space];
}

static size_t answered_bytes(const struct bf_place *place)
{
	return is_bits(place->space) ? ((size_t)place->count + 7) / 8 : (size_t)place->count * 2;
}

static void modbus_line_close(struct line *line)
{
	struct line_modbus *self = of(line);
	line_tcp_abort(&self->tcp);
	if (self->bus->wire == WIRE_SERIAL)
		line_serial_close(line->fd);
	else if (line->fd >= 0)
		close(line->fd);
	line->fd = -1;
	self->n_frame = self->n_handed = 0;
	if (self->context)
		modbus_set_socket(self->context, -1);
}

static int modbus_line_open(struct line *line, int64_t now_us)
{
	struct line_modbus *self = of(line);
	if (self->bus->wire == WIRE_SERIAL) {
		int fd = line_serial_open(self->bus);
		if (fd < 0)
			return fd;
		line->fd = fd;
	} else {
		int rc = line_tcp_open(&self->tcp, &line->fd, &line->events, &line->look_at, now_us);
		if (rc < 0)
			return rc;
	}
	line->events = POLLIN;
	line->look_at = CLOCK_NEVER;
	if (self->context)
		modbus_set_socket(self->context, line->fd);
	return 0;
}

static bool is_gone(int error)
{
	return error == EIO || error == ENODEV || error == ENXIO || error == EBADF || error == EPIPE ||
	       error == ECONNRESET || error == ECONNREFUSED || error == ETIMEDOUT || error == EHOSTUNREACH ||
	       error == ENETUNREACH || error == ENOTCONN;
}

static int ask_rtu(struct line_modbus *self, const uint8_t request[static 6])
{
	if (modbus_set_slave(self->context, request[0]) < 0)
		return -EINVAL;
	bool by_hand = self->bus->wire == WIRE_SERIAL && self->bus->rs485 == RS485_RTS;
	int64_t taken_at = by_hand ? rs485_take(&rs485_kernel, self->line.fd) : 0;
	int sent = modbus_send_raw_request(self->context, request, 6);
	int error = errno;
	int64_t char_us = plan_line_char_ns(&self->bus->line) / 1000 + 1;
	if (by_hand)
		rs485_let_go(&rs485_kernel, self->line.fd, taken_at, RTU_REQUEST * char_us, char_us);
	return sent >= 0 ? 0 : is_gone(error) ? -ENODEV : -EBADMSG;
}

static int ask_tcp(struct line_modbus *self, const uint8_t request[static 6])
{
	uint8_t frame[MBAP_SIZE + 5] = {(uint8_t)(++self->transaction >> 8), (uint8_t)self->transaction, 0, 0, 0, 6};
	memcpy(frame + MBAP_SIZE - 1, request, 6);
	ssize_t n = send(self->line.fd, frame, sizeof(frame), MSG_NOSIGNAL);
	return n == (ssize_t)sizeof(frame)
		       ? 0
		       : -ENODEV; /* a full socket buffer means that nobody reads: as good as gone */
}

static int modbus_line_ask(struct line *line, const struct line_question *question, int64_t now_us)
{
	struct line_modbus *self = of(line);
	const struct bf_place *place = &question->place;
	uint8_t request[6] = {question->unit, function_of(place->space), (uint8_t)(place->at >> 8), (uint8_t)place->at,
		(uint8_t)(place->count >> 8), (uint8_t)place->count};
	self->asked = *question;
	self->n_seen = 0;
	self->seen_at = now_us;
	line->begun = false;
	line->events = POLLIN;
	line->look_at = CLOCK_NEVER;
	if (self->bus->wire == WIRE_TCP) {
		char byte; /* late answers stay: their transaction id tells them; but a closed connection must show now
			    */
		if (recv(line->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
			return -ENODEV;
		return ask_tcp(self, request);
	}
	int rc = line_drain(line->fd);
	return rc < 0 ? rc : ask_rtu(self, request);
}

/* Does the unit and function part of a frame answer the question?  frame starts at the unit address. */
static int check_answer(struct line_modbus *self, const uint8_t *frame, size_t n, struct line_answer *ret_answer)
{
	uint8_t function = function_of(self->asked.place.space);
	if (frame[0] != self->asked.unit || (frame[1] & 0x7F) != function) {
		self->line.n_foreign++;
		return -EAGAIN;
	}
	if (frame[1] & 0x80) {
		if (n < 3)
			return -EBADMSG;
		*ret_answer = (struct line_answer){.exception = frame[2]};
		return -EREMOTEIO;
	}
	size_t expected = answered_bytes(&self->asked.place);
	if (n < 3 + expected || frame[2] != expected)
		return -EBADMSG;
	*ret_answer = (struct line_answer){.bytes = frame + 3, .n = expected};
	return 0;
}

static int look_again(struct line_modbus *self, short events, int64_t at)
{
	self->line.events = events;
	self->line.look_at = at;
	return -EAGAIN;
}

/* Is a whole frame there, or one that will not grow any more?  1 yes, 0 not yet, -ENODEV. */
static int rtu_whole(struct line_modbus *self, int64_t now_us)
{
	int n = 0;
	if (ioctl(self->line.fd, FIONREAD, &n) < 0)
		return -ENODEV;
	int expected = RTU_EXCEPTION + (int)answered_bytes(&self->asked.place);
	if (n >= expected)
		return 1;
	if (n == 0) { /* readable, yet nothing there: hung up */
		struct pollfd ready = {.fd = self->line.fd, .events = POLLIN};
		if (poll(&ready, 1, 0) == 1)
			return -ENODEV;
		look_again(self, POLLIN, CLOCK_NEVER);
		return 0;
	}
	self->line.begun = true;
	int64_t char_us = plan_line_char_ns(&self->bus->line) / 1000 + 1;
	int64_t rest_us = 4 * char_us > RTU_REST_US ? 4 * char_us : RTU_REST_US;
	if (n != self->n_seen) {
		self->n_seen = n;
		self->seen_at = now_us;
	} else if (n >= RTU_EXCEPTION && now_us - self->seen_at >= rest_us) {
		return 1;
	}
	int64_t left_us = (expected - n) * char_us;
	look_again(self, 0, now_us + (n >= RTU_EXCEPTION && rest_us < left_us ? rest_us : left_us));
	return 0;
}

static int answer_rtu(struct line_modbus *self, int64_t now_us, struct line_answer *ret_answer)
{
	int whole = rtu_whole(self, now_us);
	if (whole <= 0)
		return whole < 0 ? whole : -EAGAIN;
	look_again(self, POLLIN, CLOCK_NEVER);
	int n = modbus_receive_confirmation(self->context, self->frame);
	self->n_seen = 0;
	self->seen_at = now_us;
	if (n < 0)
		return is_gone(errno) && errno != ETIMEDOUT ? -ENODEV : -EBADMSG;
	if (n == 0) { /* libmodbus: a frame of another unit */
		self->line.n_foreign++;
		return -EAGAIN;
	}
	return check_answer(self, self->frame, (size_t)n - 2, ret_answer);
}

/* Collects what has come until a whole frame lies at the beginning of `frame`: its length.  -EAGAIN; -ENODEV. */
static int tcp_collect(struct line_modbus *self)
{
	const uint8_t *head = self->frame;
	for (;;) {
		if (self->n_frame >= MBAP_SIZE) {
			unsigned length = (unsigned)head[4] << 8 | head[5];
			if (head[2] || head[3] || length < 3 || length > TCP_FRAME_MAX - 6)
				return -ENODEV; /* not Modbus, or out of step: only a new connection helps */
			if (self->n_frame >= 6 + length)
				return (int)(6 + length);
		}
		ssize_t n = recv(
			self->line.fd, self->frame + self->n_frame, sizeof(self->frame) - self->n_frame, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return -EAGAIN;
		if (n <= 0)
			return -ENODEV;
		self->n_frame += (size_t)n;
	}
}

/* The frame at the beginning of `frame` is done with. */
static void tcp_drop(struct line_modbus *self, size_t n)
{
	self->n_frame -= n;
	memmove(self->frame, self->frame + n, self->n_frame);
}

static int answer_tcp(struct line_modbus *self, struct line_answer *ret_answer)
{
	tcp_drop(self, self->n_handed);
	self->n_handed = 0;
	for (;;) {
		int whole = tcp_collect(self);
		if (whole < 0)
			return whole;
		size_t n = (size_t)whole;
		if (((unsigned)self->frame[0] << 8 | self->frame[1]) != self->transaction) {
			self->line.n_late++;
			tcp_drop(self, n);
			continue;
		}
		int rc = check_answer(self, self->frame + 6, n - 6, ret_answer);
		if (rc == -EAGAIN) {
			tcp_drop(self, n);
			continue;
		}
		self->n_handed = n;
		bool padded = rc == 0 && n != 6 + 3 + ret_answer->n;
		return padded ? -EBADMSG : rc;
	}
}

static int modbus_line_answer(struct line *line, int64_t now_us, struct line_answer *ret_answer)
{
	struct line_modbus *self = of(line);
	return self->bus->wire == WIRE_TCP ? answer_tcp(self, ret_answer) : answer_rtu(self, now_us, ret_answer);
}

static void modbus_line_destroy(struct line *line)
{
	if (!line)
		return;
	struct line_modbus *self = of(line);
	modbus_line_close(line);
	modbus_free(self->context);
	free(self);
}

static const struct line_ops modbus_line_ops = {.open = modbus_line_open,
	.close = modbus_line_close,
	.ask = modbus_line_ask,
	.answer = modbus_line_answer,
	.destroy = modbus_line_destroy};

int line_modbus_init(const struct plan_bus *bus, struct line **ret_line)
{
	struct line_modbus *self = calloc(1, sizeof(*self));
	if (!self)
		return -ENOMEM;
	self->line = (struct line){.ops = &modbus_line_ops, .fd = -1, .look_at = CLOCK_NEVER};
	self->bus = bus;
	self->tcp = (struct line_tcp){.host = bus->host, .port = bus->tcp_port};
	/* Opens nothing here; address and settings are never used. */
	if (bus->wire != WIRE_TCP) {
		self->context = modbus_new_rtu("/dev/null", 9600, 'N', 8, 1);
		if (!self->context) {
			free(self);
			return -ENOMEM;
		}
		modbus_set_response_timeout(self->context, 0, BYTE_TIMEOUT_US);
		modbus_set_byte_timeout(self->context, 0, BYTE_TIMEOUT_US);
	}
	*ret_line = &self->line;
	return 0;
}
