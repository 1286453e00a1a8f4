/*
 * The hostile line, see hostile_wire.h.
 */
#include "hostile_wire.h"
#include "sdk/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS 1000
#define S  1000000

static uint32_t draw(struct wire *wire, uint32_t n)
{
	uint64_t x = wire->random += 0x9E3779B97F4A7C15u;
	x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
	x = (x ^ x >> 27) * 0x94D049BB133111EBu;
	return (uint32_t)((x ^ x >> 31) >> 16) % n;
}

static bool chance(struct wire *wire, unsigned thousandths)
{
	return draw(wire, 1000) < thousandths;
}

static int64_t between(struct wire *wire, int64_t from, int64_t to)
{
	return from + (int64_t)draw(wire, (uint32_t)(to - from + 1));
}

static int64_t soon(struct wire *wire, int64_t now_us, int64_t every_us)
{
	return every_us ? now_us + between(wire, every_us / 10, every_us * 19 / 10) : INT64_MAX;
}

static bool chain_register(uint8_t unit, uint8_t function, uint16_t at, uint16_t *ret_value)
{
	static const struct {
		uint16_t at, value;
	} cells[] = {{40000, 0x5375}, {40001, 0x6E53}, {WIRE_CHAIN_COMMON, 1}, {WIRE_CHAIN_COMMON + 1, 66},
		{WIRE_CHAIN_INVERTER, 103}, {WIRE_CHAIN_INVERTER + 1, 50}, {WIRE_CHAIN_END, 0xFFFF},
		{WIRE_CHAIN_END + 1, 0}};
	for (size_t i = 0; unit == WIRE_CHAIN_UNIT && function == 3 && i < sizeof(cells) / sizeof(cells[0]); i++)
		if (cells[i].at == at) {
			*ret_value = cells[i].value;
			return true;
		}
	return false;
}

uint16_t wire_register(uint8_t unit, uint8_t function, uint16_t at, uint64_t number)
{
	uint16_t fixed;
	if (chain_register(unit, function, at, &fixed))
		return fixed;
	uint64_t x = number * 0x9E3779B97F4A7C15u ^ ((uint64_t)unit << 32 | (uint64_t)function << 24 | at);
	x = (x ^ x >> 31) * 0xD6E8FEB86659FD93u;
	x = (x ^ x >> 32) * 0xD6E8FEB86659FD93u;
	return (uint16_t)(x >> 40);
}

bool wire_bit(uint8_t unit, uint8_t function, uint16_t at, uint64_t number)
{
	return wire_register(unit, function, at, number) & 1;
}

void wire_init(struct wire *wire, const struct wire_faults *faults, uint64_t seed, int64_t now_us)
{
	*wire = (struct wire){.faults = *faults, .fd = -1, .their_fd = -1, .char_us = 573, .random = seed};
	wire->now_us = now_us;
	wire->foreign_at = soon(wire, now_us, faults->foreign_every_us);
	wire->noise_at = soon(wire, now_us, faults->noise_every_us);
	wire->babble_at = soon(wire, now_us, faults->babble_every_us);
	for (int i = 0; i < 248; i++)
		wire->slaves[i] = (struct wire_slave){.temper = TEMPER_DEAD, .pending = -1};
}

void wire_destroy(struct wire *wire)
{
	if (wire->fd >= 0)
		close(wire->fd);
	wire->fd = -1;
}

int wire_connect(struct wire *wire)
{
	int ends[2];
	wire_destroy(wire);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
		return -errno;
	wire->fd = ends[0];
	wire->their_fd = ends[1];
	return ends[1];
}

static void seal(uint8_t *frame, size_t n)
{
	uint16_t crc = bf_crc16_modbus(frame, n);
	frame[n] = (uint8_t)crc;
	frame[n + 1] = (uint8_t)(crc >> 8);
}

static void flip_some(struct wire *wire, uint8_t *bytes, size_t n)
{
	uint8_t sound[300];
	memcpy(sound, bytes, n);
	do {
		memcpy(bytes, sound, n);
		if (draw(wire, 4) == 0) /* a burst */
			for (size_t i = draw(wire, (uint32_t)n), k = 0; i < n && k < 4; i++, k++)
				bytes[i] = (uint8_t)draw(wire, 256);
		else
			for (uint32_t k = 0, flips = 1 + draw(wire, 4); k < flips; k++)
				bytes[draw(wire, (uint32_t)n)] ^= (uint8_t)(1u << draw(wire, 8));
	} while (memcmp(bytes, sound, n) == 0 || bf_crc16_modbus(bytes, n) == 0);
}

static struct wire_sending *sending_new(struct wire *wire, int64_t start_at, const uint8_t *bytes, size_t n, bool heard)
{
	for (int i = 0; i < WIRE_SENDINGS; i++) {
		struct wire_sending *sending = &wire->sendings[i];
		if (sending->used)
			continue;
		*sending = (struct wire_sending){.used = true, .start_at = start_at, .n = n, .heard = heard};
		memcpy(sending->bytes, bytes, n);
		sending->piece = draw(wire, 2) ? n : 1 + draw(wire, (uint32_t)n);
		sending->next_at = start_at + (int64_t)sending->piece * wire->char_us;
		wire->n_frames++;
		return sending;
	}
	abort(); /* the line would be booked for minutes */
}

static void collide(struct wire *wire, struct wire_sending *sending)
{
	int64_t end_at = sending->start_at + (int64_t)sending->n * wire->char_us;
	for (int i = 0; wire->faults.collides && i < WIRE_SENDINGS; i++) {
		struct wire_sending *other = &wire->sendings[i];
		int64_t other_end_at = other->start_at + (int64_t)other->n * wire->char_us;
		if (!other->used || other == sending || other->start_at >= end_at || other_end_at <= sending->start_at)
			continue;
		other->collided = sending->collided = true;
	}
}

static bool is_free(const struct wire *wire, int64_t now_us)
{
	for (int i = 0; i < WIRE_SENDINGS; i++)
		if (wire->sendings[i].used && wire->sendings[i].start_at <= now_us + 2 * MS)
			return false;
	return true;
}

/* The registers that keep what is written: takes a write, or fills an answer.  False: it is not about them. */
static bool written(struct wire *wire, const uint8_t *request, uint64_t number, uint8_t *frame)
{
	unsigned at = (unsigned)(request[2] << 8 | request[3]), value = (unsigned)(request[4] << 8 | request[5]);
	unsigned end = at + (request[1] == 6 ? 1 : value);
	if (request[0] != WIRE_WRITTEN_UNIT || at < WIRE_WRITTEN_AT || end > WIRE_WRITTEN_AT + WIRE_WRITTEN_N)
		return false;
	if (request[1] == 6) {
		wire->held[at - WIRE_WRITTEN_AT] = (uint16_t)value;
		if (wire->n_taken[value] < 255)
			wire->n_taken[value]++;
		memcpy(frame, request, 6);
		return true;
	}
	memcpy(wire->shown[number % 1024], wire->held, sizeof(wire->held));
	for (unsigned i = at; request[1] == 3 && i < end; i++) {
		frame[3 + 2 * (i - at)] = (uint8_t)(wire->held[i - WIRE_WRITTEN_AT] >> 8);
		frame[4 + 2 * (i - at)] = (uint8_t)wire->held[i - WIRE_WRITTEN_AT];
	}
	return request[1] == 3;
}

/* The answer of a slave, as it should be; its length without the checksum. */
static size_t answer_of(struct wire *wire, const uint8_t *request, uint64_t number, uint8_t *frame)
{
	if (request[1] == 6 && request[0] == WIRE_WRITTEN_UNIT && chance(wire, wire->faults.exception)) {
		memcpy(frame, (const uint8_t[]){request[0], 0x86, 4}, 3);
		return 3;
	}
	uint16_t at = (uint16_t)(request[2] << 8 | request[3]), count = (uint16_t)(request[4] << 8 | request[5]);
	bool bits = request[1] <= 2;
	size_t n = bits ? ((size_t)count + 7) / 8 : (size_t)count * 2;
	frame[0] = request[0];
	frame[1] = request[1];
	if (request[1] < 1 || request[1] > 4) { /* a write: told back */
		written(wire, request, number, frame);
		memcpy(frame, request, 6);
		return 6;
	}
	if (at >= 60000) {
		frame[1] |= 0x80;
		frame[2] = 2;
		return 3;
	}
	frame[2] = (uint8_t)n;
	memset(frame + 3, 0, n);
	if (written(wire, request, number, frame))
		return 3 + n;
	for (uint16_t i = 0; i < count; i++) {
		uint16_t cell = (uint16_t)(at + i), shown = wire_register(request[0], request[1], cell, number);
		if (bits) {
			frame[3 + i / 8] |= (uint8_t)((shown & 1) << (i % 8));
		} else {
			frame[3 + 2 * i] = (uint8_t)(shown >> 8);
			frame[4 + 2 * i] = (uint8_t)shown;
		}
	}
	return 3 + n;
}

/* What a device makes of its answer that no receiver may believe.  Under a wrong name it answers at once: a late one
 * could not be told from the answer of who is asked then.  True for that. */
static bool spoil(struct wire *wire, bool at_once, uint8_t *frame, size_t *n)
{
	static const uint8_t codes[] = {1, 4, 5, 6}; /* 2 and 3 would have reads cut into ever smaller ones */
	if (chance(wire, wire->faults.exception)) {
		frame[1] |= 0x80;
		frame[2] = codes[draw(wire, 4)];
		*n = 3;
		return false;
	}
	if (*n > 5 && chance(wire, wire->faults.wrong_length)) {
		size_t less = 2 * (1 + draw(wire, (uint32_t)(*n - 3) / 2));
		less = less + 3 >= *n ? 2 : less;
		*n -= less;
		frame[2] = (uint8_t)(*n - 3);
		return false;
	}
	if (at_once && chance(wire, wire->faults.wrong_function)) {
		frame[1] = (uint8_t)(frame[1] == 3 ? 4 : frame[1] == 4 ? 3 : 3 - frame[1]);
		return true;
	}
	if (at_once && chance(wire, wire->faults.wrong_unit)) {
		frame[0] = (uint8_t)(1 + draw(wire, 20));
		return true;
	}
	return false;
}

static void slave_answer(struct wire *wire, const uint8_t *request, uint64_t number, int64_t now_us)
{
	struct wire_slave *slave = &wire->slaves[request[0]];
	uint8_t frame[300];
	if (slave->temper == TEMPER_DEAD || chance(wire, wire->faults.lost))
		return;
	size_t n = answer_of(wire, request, number, frame);
	bool may_be_at_once = number == wire->asked_number && slave->free_at <= now_us;
	bool at_once = n > 3 && request[1] <= 4 && spoil(wire, may_be_at_once, frame, &n);
	seal(frame, n);
	n += 2;
	int64_t delay_us = between(wire, 3 * MS, 20 * MS);
	if (!at_once && chance(wire, wire->faults.late))
		delay_us = between(wire, wire->faults.late_from_us, wire->faults.late_to_us);
	else if (!at_once && chance(wire, wire->faults.slow))
		delay_us = between(wire, 50 * MS, 300 * MS);
	if (chance(wire, wire->faults.cut))
		n = 1 + draw(wire, (uint32_t)n - 1);
	else if (chance(wire, wire->faults.noisy))
		flip_some(wire, frame, n);
	if (chance(wire, wire->faults.glitch)) {
		memmove(frame + 1, frame, n);
		frame[0] = draw(wire, 2) ? 0x00 : 0xFF;
		n++;
	}
	int64_t start_at = now_us + delay_us;
	struct wire_sending *pending = slave->pending >= 0 ? &wire->sendings[slave->pending] : NULL;
	if (pending && (!pending->used || pending->number != slave->pending_number || pending->start_at <= now_us))
		pending = NULL;
	if (pending && slave->temper == TEMPER_DROPS) {
		pending->used = false;
		slave->free_at = now_us;
	} else if (pending && slave->temper == TEMPER_GLUES) {
		start_at = now_us + between(wire, 3 * MS, 20 * MS);
		pending->start_at = start_at;
		pending->next_at = start_at + (int64_t)pending->piece * wire->char_us;
		slave->free_at = start_at + (int64_t)pending->n * wire->char_us;
		collide(wire, pending);
	}
	if (start_at < slave->free_at)
		start_at = slave->free_at; /* right behind the other: glued */
	struct wire_sending *sending = sending_new(wire, start_at, frame, n, true);
	slave->free_at = start_at + (int64_t)n * wire->char_us;
	sending->number = slave->pending_number = number;
	slave->pending = (int)(sending - wire->sendings);
	collide(wire, sending);
}

void wire_look(struct wire *wire)
{
	uint8_t bytes[64];
	ssize_t n = recv(wire->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n != 8)
		return;
	wire->asked_number = ++wire->n_questions;
	wire->asked_unit = bytes[0];
	wire->asked_function = bytes[1];
	wire->asked_place = (uint16_t)(bytes[2] << 8 | bytes[3]);
	wire->asked_count = (uint16_t)(bytes[4] << 8 | bytes[5]);
	struct wire_sending *sending = sending_new(wire, wire->now_us, bytes, 8, wire->faults.echoes);
	sending->to_slaves = true;
	sending->number = wire->asked_number;
	collide(wire, sending);
}

/* Another master, who listens before it speaks; it mostly asks what we ask. */
static void foreign(struct wire *wire, int64_t now_us)
{
	static const uint16_t places[] = {0, 10, 20, 30, 40, 100, 200, 300, 0x0310, 5};
	uint8_t request[8] = {(uint8_t)(1 + draw(wire, 12)), (uint8_t)(1 + draw(wire, 4))};
	uint16_t at = places[draw(wire, 10)], count = (uint16_t)(1 + draw(wire, request[1] <= 2 ? 20 : 10));
	if (draw(wire, 20) == 0)
		request[1] = 6;
	if (draw(wire, 3) == 0 && wire->asked_unit && wire->asked_function <= 4) {
		request[0] = wire->asked_unit;
		request[1] = wire->asked_function;
		count = wire->asked_count;
		at = draw(wire, 3) ? at : wire->asked_place;
	}
	request[2] = (uint8_t)(at >> 8);
	request[3] = (uint8_t)at;
	request[4] = (uint8_t)(count >> 8);
	request[5] = (uint8_t)count;
	seal(request, 6);
	struct wire_sending *sending = sending_new(wire, now_us, request, 8, true);
	sending->to_slaves = true;
	sending->number = ++wire->n_questions;
	collide(wire, sending);
}

static void noise(struct wire *wire, int64_t now_us, size_t n)
{
	uint8_t bytes[300];
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)draw(wire, 256);
	wire->n_frames--;
	collide(wire, sending_new(wire, now_us, bytes, n, true));
}

int64_t wire_next(const struct wire *wire)
{
	int64_t next_at = wire->foreign_at < wire->noise_at ? wire->foreign_at : wire->noise_at;
	if (wire->babble_at < next_at)
		next_at = wire->babble_at;
	for (int i = 0; i < WIRE_SENDINGS; i++)
		if (wire->sendings[i].used && wire->sendings[i].next_at < next_at)
			next_at = wire->sendings[i].next_at;
	return next_at;
}

/* A piece of a frame arrives. */
static bool piece(struct wire *wire, struct wire_sending *sending)
{
	size_t n = sending->piece < sending->n - sending->sent ? sending->piece : sending->n - sending->sent;
	uint8_t *bytes = sending->bytes + sending->sent;
	uint8_t heard[300];
	memcpy(heard, bytes, n);
	if (sending->collided)
		for (size_t i = 0; i < n; i++)
			heard[i] = (uint8_t)draw(wire, 256);
	else if (sending->to_slaves && sending->sent == 0 && n == sending->n && chance(wire, wire->faults.noisy))
		flip_some(wire, heard, n); /* for us alone */
	bool was_heard = sending->heard && send(wire->fd, heard, n, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
	sending->sent += n;
	size_t next = sending->sent + sending->piece < sending->n ? sending->sent + sending->piece : sending->n;
	sending->next_at = sending->start_at + (int64_t)next * wire->char_us;
	if (sending->sent < sending->n)
		return was_heard;
	sending->used = false;
	if (sending->to_slaves && !sending->collided && sending->bytes[0] < 248 &&
		!chance(wire, wire->faults.request_lost)) {
		struct wire_sending request = *sending;
		slave_answer(wire, request.bytes, request.number, wire->now_us);
	}
	return was_heard;
}

bool wire_step(struct wire *wire, int64_t now_us)
{
	bool heard = false;
	wire->now_us = now_us;
	if (wire->foreign_at <= now_us) {
		if (is_free(wire, now_us))
			foreign(wire, now_us);
		wire->foreign_at = soon(wire, now_us, wire->faults.foreign_every_us);
	}
	if (wire->noise_at <= now_us) {
		noise(wire, now_us, 1 + draw(wire, 30));
		wire->noise_at = soon(wire, now_us, wire->faults.noise_every_us);
	}
	if (wire->babble_at <= now_us) {
		if (wire->babble_until <= now_us - 10 * (int64_t)S)
			wire->babble_until = now_us + between(wire, 100 * MS, 4 * S);
		noise(wire, now_us, 200);
		wire->babble_at = now_us + 200 * wire->char_us;
		if (wire->babble_at >= wire->babble_until)
			wire->babble_at = soon(wire, now_us + 10 * (int64_t)S, wire->faults.babble_every_us);
	}
	for (int i = 0; i < WIRE_SENDINGS; i++)
		if (wire->sendings[i].used && wire->sendings[i].next_at <= now_us)
			heard |= piece(wire, &wire->sendings[i]);
	return heard;
}
