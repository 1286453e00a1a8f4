/*
 * Does the broker still answer?  libmosquitto asks (PINGREQ) after a keepalive of silence and gives up after another
 * one: twice as long as people expect from what they set.  So the library is given less, and the end is found here:
 * asked after three quarters of the keepalive, given up at its end.
 *
 * One owner thread; pure.
 */
#ifndef SHIP_PULSE_H
#define SHIP_PULSE_H

#include <stdbool.h>
#include <stdint.h>

struct pulse {
	int64_t ask_us;                   /* the silence after which the broker is asked */
	int64_t grace_us;                 /* its time to answer */
	int64_t heard_at_us, asked_at_us; /* asked: 0 = not since it was heard */
};

/* What the library, and by it the broker, is told as keepalive: three quarters, and never less than it takes. */
unsigned pulse_ask_s(unsigned keepalive_s);

/* The connection stands. */
void pulse_begin(struct pulse *pulse, unsigned keepalive_s, int64_t now_us);

/* Bytes of the broker were read. */
void pulse_heard(struct pulse *pulse, int64_t now_us);

/* When pulse_stopped is to be asked. */
int64_t pulse_due_at(const struct pulse *pulse);

/* After the library had its turn.  True when the broker was asked and has not answered. */
bool pulse_stopped(struct pulse *pulse, int64_t now_us);

#endif
