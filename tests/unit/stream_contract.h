/*
 * What every driver of streams owes, whatever its device: tried out on bytes that are sound, which are cut, split,
 * damaged and put among noise.  A driver or profile gets it for nothing: it needs its keys and one golden input.
 *
 * The search is the core's (field/source.c) in small, with more care: what a driver is shown ends at a page that can't
 * be read, and each call is made twice.
 */
#ifndef TEST_STREAM_CONTRACT_H
#define TEST_STREAM_CONTRACT_H

#include "sdk/driver.h"

#include <stdbool.h>

struct contract_metric {
	const void *keys; /* the struct that metric_keys fill */
	unsigned kind, index;
};

struct contract {
	const struct bf_driver *driver;
	struct bf_device device; /* its memory is made here */
	const struct contract_metric *metrics;
	size_t n_metrics;
	bool checked;         /* a message has a check: what is damaged gives no other reading */
	uint8_t blind;        /* bits of a byte that the check does not see, such as the parity's */
	unsigned noise_lucky; /* readings that its check lets 64 kB of noise have */
};

#define CONTRACT_SIZE 512

/* Does the driver do as sdk/driver.h says?  True; false with what it did. */
bool contract_holds(
	const struct contract *contract, const uint8_t *golden, size_t n_golden, char ret_broken[static CONTRACT_SIZE]);

#endif
