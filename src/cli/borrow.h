/*
 * A port that a gateway of this machine holds, borrowed question by question: the gateway asks, between its own polls
 * and with its own line settings.  One thread.
 */
#ifndef CLI_BORROW_H
#define CLI_BORROW_H

#include "cli/cells.h"
#include "field/errand.h"
#include "field/scan.h"

#include <stdio.h>

struct borrow {
	FILE *gateway;
	const char *port;
	struct plan_line line; /* of the gateway's bus */
	uint8_t bytes[ERRAND_BYTES];
	size_t n;
	uint8_t exception; /* of the last question */
};

/* Asks the gateways of this machine, one after the other, whether one has the port.  0; -ENOENT. */
int borrow_open(const char *port, struct borrow *ret_borrow);
void borrow_close(struct borrow *borrow);

/* A read.  0 and the bytes as line_answer has them; -EBUSY too much is asked at once; else what transact says. */
int borrow_ask(struct borrow *borrow, uint8_t unit, const struct bf_place *place);

/* A wire for a search.  It pauses as long as silence took, so the gateway keeps half of its bus. */
struct borrow_wire {
	struct scan_wire wire;
	struct borrow borrow;
};

/* 0; -ENOENT no gateway has the port. */
int borrow_wire_open(const char *port, struct borrow_wire *ret_wire);

#endif
