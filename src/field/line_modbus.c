/*
 * Modbus transactions, RTU and TCP, without blocking.  The only door to libmodbus.
 *
 * libmodbus builds and checks frames on an fd that is opened here; waiting is the bus's business.  So requests go out
 * as raw requests and answers are collected only when they are whole:
 *  - RTU: libmodbus only sends.  What comes in is looked at by line_rtu, because libmodbus compares the unit before the
 *    checksum, takes frames that stand behind others for damaged ones, and knows nothing of late answers.
 *  - TCP: the header is peeked at; its length field says when the frame is whole, and the socket is told not to wake us
 *    sooner.  The request's header is written here, because modbus_send_raw_request leaves the transaction id at 0, and
 *    the id is what tells a late answer from the one that is waited for: others are discarded and waited past.  Id 0
 *    is never used, so a host that always answers with it never seems to be right.
 * libmodbus's own time-outs, recovery and connecting are never used: it would sleep, retry and reconnect on its own.
 *
 * Invariant: `asked` is the question under way; an answer is handed out only if unit, function and length fit it, and
 * on TCP its transaction id, too, in a frame that came after the question. Sources: MODBUS Application Protocol V1.1b3;
 * MODBUS over Serial Line V1.02; MODBUS Messaging on TCP/IP V1.0b, 3.1.3.
 */
#include "field/line_rtu.h"
#include "field/rs485.h"

#include <errno.h>
#include <modbus/modbus.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#define UNITS           256
#define TCP_FRAME_MAX   260
#define MBAP_SIZE       7     /* transaction id, protocol id, length, unit */
#define MBAP_COUNTED    6     /* its length field counts what comes after these */
#define OLD_FRAMES_MAX  64    /* looked through before a question; more is no conversation */
#define BYTE_TIMEOUT_US 20000 /* libmodbus only ever waits for bytes that are there already */

struct line_modbus {
	struct line line;
	const struct plan_bus *bus;
	modbus_t *context;
	struct line_rtu rtu; /* all but Modbus TCP */
	struct line_tcp tcp;
	struct line_question asked;
	bool writing;
	bool told_slow;                     /* the port's driver */
	uint8_t written[RTU_WRITTEN_BYTES]; /* the beginning of the request, of a write the whole answer */
	uint16_t transaction;
	int lowat; /* bytes that the socket waits for */
	uint8_t frame[TCP_FRAME_MAX];
};

static struct line_modbus *of(struct line *line)
{
	return (struct line_modbus *)(void *)((char *)line - offsetof(struct line_modbus, line));
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
	modbus_set_socket(self->context, -1);
}

static int modbus_line_open(struct line *line, int64_t now_us)
{
	struct line_modbus *self = of(line);
	if (self->bus->wire == WIRE_SERIAL) {
		int fd = line_serial_open(self->bus, &self->told_slow);
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
	self->lowat = 1;
	modbus_set_socket(self->context, line->fd);
	if (self->bus->wire != WIRE_TCP)
		line_rtu_opened(&self->rtu, now_us);
	return 0;
}

static bool is_gone(int error)
{
	return error == EIO || error == ENODEV || error == ENXIO || error == EBADF || error == EPIPE ||
	       error == ECONNRESET || error == ECONNREFUSED || error == ETIMEDOUT || error == EHOSTUNREACH ||
	       error == ENETUNREACH || error == ENOTCONN;
}

static int ask_rtu(struct line_modbus *self, const struct line_question *question, int64_t now_us)
{
	uint8_t request[RTU_FRAME_MAX];
	int rc = line_rtu_ready(&self->rtu, now_us);
	if (rc < 0)
		return rc;
	size_t n = line_rtu_request(question, request);
	if (modbus_set_slave(self->context, question->unit) < 0)
		return -EINVAL;
	int64_t taken_at = rs485_before(self->bus, self->line.fd);
	int sent = modbus_send_raw_request(self->context, request, (int)n - 2);
	rs485_after(self->bus, self->line.fd, taken_at, n);
	if (sent < 0 && is_gone(errno))
		return -ENODEV;
	/* Noted even if only a part went out: who knows what a device makes of it. */
	line_rtu_asked(&self->rtu, question, now_us);
	if (sent != (int)n) {
		tcflush(self->line.fd, TCOFLUSH);
		return -ENOBUFS;
	}
	return 0;
}

static void tell(struct line_modbus *self, enum line_stray what, uint8_t unit)
{
	if (self->line.watch)
		self->line.watch->stray(self->line.watch, what, unit, 0);
}

/* The socket is readable only when so many bytes are there: half a frame wakes nobody. */
static void wake_at(struct line_modbus *self, int n_bytes)
{
	if (n_bytes != self->lowat)
		setsockopt(self->line.fd, SOL_SOCKET, SO_RCVLOWAT, &n_bytes, sizeof(n_bytes));
	self->lowat = n_bytes;
}

/* Do the lengths that a frame tells agree with each other?  If not, nobody knows where the next one begins. */
static bool lengths_agree(const uint8_t *frame, size_t length)
{
	const uint8_t *pdu = frame + MBAP_SIZE;
	if (pdu[0] & 0x80)
		return length == 3;
	if (pdu[0] == 5 || pdu[0] == 6 || pdu[0] == 15 || pdu[0] == 16)
		return length == RTU_WRITTEN_BYTES;
	return pdu[0] >= 1 && pdu[0] <= 4 && length == 3 + (size_t)pdu[1];
}

/* Takes the next whole frame off the socket.  Its length from the unit on; -EAGAIN; -ENODEV. */
static int next_frame(struct line_modbus *self)
{
	uint8_t head[TCP_FRAME_MAX];
	ssize_t n = recv(self->line.fd, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0)
		return -ENODEV;
	size_t length = n < MBAP_SIZE ? 3 : (size_t)head[4] << 8 | head[5];
	if (n >= MBAP_SIZE && (head[2] || head[3] || length < 3 || length > TCP_FRAME_MAX - MBAP_COUNTED))
		return -ENODEV; /* not Modbus, or out of step: only a new connection helps */
	if ((size_t)n < MBAP_COUNTED + length) {
		struct pollfd closed = {.fd = self->line.fd, .events = POLLRDHUP};
		wake_at(self, (int)(MBAP_COUNTED + length));
		return poll(&closed, 1, 0) == 1 ? -ENODEV : -EAGAIN;
	}
	wake_at(self, 1);
	if (!lengths_agree(head, length))
		return -ENODEV;
	/* Exactly one frame is taken, so that what follows stays in step. */
	int got = modbus_receive_confirmation(self->context, self->frame);
	return got == (int)(MBAP_COUNTED + length) ? (int)length : -ENODEV;
}

/* The frame answers another question than the one under way: an earlier one, or none. */
static void pass_over(struct line_modbus *self)
{
	uint16_t id = (uint16_t)(self->frame[0] << 8 | self->frame[1]);
	bool late = id != 0 && (uint16_t)(self->transaction - id) < 0x8000;
	tell(self, late ? LINE_LATE : LINE_FOREIGN, self->frame[MBAP_COUNTED]);
}

static int ask_tcp(struct line_modbus *self, const struct line_question *question)
{
	int rc = 0;
	/* What is there already answers nothing that is asked now, whatever its id. */
	for (int i = 0; i < OLD_FRAMES_MAX && (rc = next_frame(self)) > 0; i++)
		pass_over(self);
	if (rc != -EAGAIN)
		return -ENODEV;
	if (++self->transaction == 0)
		self->transaction = 1;
	uint8_t frame[MBAP_COUNTED + RTU_FRAME_MAX] = {(uint8_t)(self->transaction >> 8), (uint8_t)self->transaction};
	size_t length = line_rtu_request(question, frame + MBAP_COUNTED) - 2; /* there is no checksum */
	frame[MBAP_COUNTED - 1] = (uint8_t)length;
	memcpy(self->written, frame + MBAP_COUNTED, sizeof(self->written));
	ssize_t n = send(self->line.fd, frame, MBAP_COUNTED + length, MSG_NOSIGNAL);
	/* A full socket buffer means that nobody reads: as good as gone. */
	return n == (ssize_t)(MBAP_COUNTED + length) ? 0 : -ENODEV;
}

static int modbus_line_ask(struct line *line, const struct line_question *question, int64_t now_us)
{
	struct line_modbus *self = of(line);
	self->asked = *question;
	self->asked.write = NULL; /* it is the caller's */
	self->writing = question->write != NULL;
	if (self->bus->wire != WIRE_TCP)
		return ask_rtu(self, question, now_us);
	line->begun = false;
	line->events = POLLIN;
	line->look_at = CLOCK_NEVER;
	return ask_tcp(self, question);
}

/* The id is right.  frame begins at the unit; n is its length. */
static int check_answer(struct line_modbus *self, const uint8_t *frame, size_t n, struct line_answer *ret_answer)
{
	size_t expected = rtu_answer_bytes(&self->asked.place);
	if (frame[0] != self->written[0] || (frame[1] & 0x7F) != self->written[1]) {
		tell(self, LINE_FOREIGN, self->asked.unit);
		return -EBADMSG;
	}
	if (frame[1] & 0x80) {
		*ret_answer = (struct line_answer){.exception = frame[2]};
		return -EREMOTEIO;
	}
	if (self->writing) {
		*ret_answer = (struct line_answer){0};
		bool fits = n == sizeof(self->written) && memcmp(frame, self->written, sizeof(self->written)) == 0;
		return fits ? 0 : -EBADMSG;
	}
	if (frame[2] != expected || n != 3 + expected)
		return -EBADMSG;
	*ret_answer = (struct line_answer){.bytes = frame + 3, .n = expected};
	return 0;
}

static int answer_tcp(struct line_modbus *self, struct line_answer *ret_answer)
{
	for (int i = 0; i < OLD_FRAMES_MAX; i++) {
		int n = next_frame(self);
		if (n < 0)
			return n;
		if ((self->frame[0] << 8 | self->frame[1]) == self->transaction)
			return check_answer(self, self->frame + MBAP_COUNTED, (size_t)n, ret_answer);
		pass_over(self);
	}
	return -EAGAIN; /* more of them may wait: the socket says so */
}

static int modbus_line_answer(struct line *line, int64_t now_us, struct line_answer *ret_answer)
{
	struct line_modbus *self = of(line);
	return self->bus->wire == WIRE_TCP ? answer_tcp(self, ret_answer)
					   : line_rtu_answer(&self->rtu, now_us, ret_answer);
}

static int modbus_line_listen(struct line *line, int64_t now_us)
{
	return line_rtu_listen(&of(line)->rtu, now_us);
}

static void modbus_line_destroy(struct line *line)
{
	if (!line)
		return;
	struct line_modbus *self = of(line);
	modbus_line_close(line);
	modbus_free(self->context);
	free(line->trusts);
	free(self);
}

static const struct line_ops tcp_ops = {.open = modbus_line_open,
	.close = modbus_line_close,
	.ask = modbus_line_ask,
	.answer = modbus_line_answer,
	.destroy = modbus_line_destroy};

static const struct line_ops serial_ops = {.open = modbus_line_open,
	.close = modbus_line_close,
	.ask = modbus_line_ask,
	.answer = modbus_line_answer,
	.listen = modbus_line_listen,
	.destroy = modbus_line_destroy};

int line_modbus_init(const struct plan_bus *bus, struct line **ret_line)
{
	struct line_modbus *self = calloc(1, sizeof(*self));
	if (!self)
		return -ENOMEM;
	bool serial = bus->wire != WIRE_TCP;
	self->line = (struct line){
		.ops = serial ? &serial_ops : &tcp_ops, .fd = -1, .look_at = CLOCK_NEVER, .echo_known = !serial};
	self->bus = bus;
	self->tcp = (struct line_tcp){.host = bus->host, .port = bus->tcp_port};
	/* Neither of the two opens anything here; address and settings are never used. */
	self->context = serial ? modbus_new_rtu("/dev/null", 9600, 'N', 8, 1) : modbus_new_tcp("127.0.0.1", 502);
	self->line.trusts = serial ? calloc(UNITS, sizeof(*self->line.trusts)) : NULL;
	if (!self->context || (serial && !self->line.trusts)) {
		modbus_line_destroy(&self->line);
		return -ENOMEM;
	}
	line_rtu_init(&self->rtu, &self->line, bus);
	modbus_set_response_timeout(self->context, 0, BYTE_TIMEOUT_US);
	modbus_set_byte_timeout(self->context, 0, BYTE_TIMEOUT_US);
	*ret_line = &self->line;
	return 0;
}
