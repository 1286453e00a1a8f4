/*
 * A serial line on which everything goes wrong, in virtual time: slaves that answer late and in order, drop what is old
 * or send two answers at once; answers that are lost, cut off, noisy, of a wrong unit, function or length; another
 * master, noise, somebody who babbles, adapters that echo, frames that collide.  Below it is a socket pair, whose other
 * end the real line_modbus has.
 *
 * What a slave answers carries the number of the question that it answers, so that it is right for that one only.  One
 * unit has registers that keep what is written to them, as soon as the request has come whole.
 * Noise that its checksum can't see is drawn again: no receiver could tell.
 */
#ifndef TESTS_HOSTILE_WIRE_H
#define TESTS_HOSTILE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_SENDINGS 64

#define WIRE_WRITTEN_UNIT 12
#define WIRE_WRITTEN_AT   500
#define WIRE_WRITTEN_N    8

enum wire_temper {
	TEMPER_QUEUES, /* answers everything, in order */
	TEMPER_DROPS,  /* a new question ends the old one */
	TEMPER_GLUES,  /* sends a late answer together with the next one */
	TEMPER_DEAD,
};

/* Shares of answers, in thousandths. */
struct wire_faults {
	unsigned lost, late, slow, cut, noisy, exception, wrong_unit, wrong_function, wrong_length, glitch;
	unsigned request_lost;
	int64_t late_from_us, late_to_us;
	int64_t foreign_every_us, noise_every_us, babble_every_us; /* on average; 0 = never */
	bool echoes, collides;
};

struct wire_sending {
	bool used, collided, to_slaves;
	int64_t start_at, next_at; /* its next piece is complete */
	size_t n, sent, piece;
	uint64_t number; /* of the question, or of the one that it answers */
	bool heard;      /* by the master that is tested */
	uint8_t bytes[300];
};

struct wire_slave {
	enum wire_temper temper;
	int64_t free_at; /* its last answer is out */
	int pending;     /* index of a sending that may not have begun, -1 = none */
	uint64_t pending_number;
	unsigned n_holes; /* registers from 60000 on are refused */
};

struct wire {
	struct wire_faults faults;
	int fd;       /* ours */
	int their_fd; /* the line's, until it is closed */
	int64_t char_us, now_us;
	uint64_t random;
	uint64_t n_questions; /* by anybody: numbers them */
	uint64_t n_frames;    /* that were on the line */
	struct wire_slave slaves[248];
	struct wire_sending sendings[WIRE_SENDINGS];
	int64_t foreign_at, noise_at, babble_until, babble_at;

	/* The unit that is written: what its registers hold, what it held when it answered a question, and how often it
	 * took each value that was written. */
	uint16_t held[WIRE_WRITTEN_N], shown[1024][WIRE_WRITTEN_N];
	uint8_t n_taken[65536];

	/* The last question of the master that is tested. */
	uint64_t asked_number;
	uint8_t asked_unit, asked_function;
	uint16_t asked_place, asked_count;
};

void wire_init(struct wire *wire, const struct wire_faults *faults, uint64_t seed, int64_t now_us);
void wire_destroy(struct wire *wire);

/* The master's end, anew. */
int wire_connect(struct wire *wire);

/* The master may have sent something. */
void wire_look(struct wire *wire);

/* When the next thing happens. */
int64_t wire_next(const struct wire *wire);

/* Lets it happen.  True when bytes have come to the master. */
bool wire_step(struct wire *wire, int64_t now_us);

/* What register or bit the slave shows in the answer to a question. */
uint16_t wire_register(uint8_t unit, uint8_t function, uint16_t at, uint64_t number);

/* This unit has a chain of models: its mark, ids and lengths do not depend on the question. */
#define WIRE_CHAIN_UNIT     11
#define WIRE_CHAIN_COMMON   40002 /* model 1 */
#define WIRE_CHAIN_INVERTER 40070 /* model 103 */
#define WIRE_CHAIN_END      40122

bool wire_bit(uint8_t unit, uint8_t function, uint16_t at, uint64_t number);

#endif
