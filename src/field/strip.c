/*
 * The strip of a wire.  See strip.h.
 *
 * Why blocks that are cleared when time passes them, and not an instant with each: a byte a block is all that a gateway
 * with a hundred wires should give for a picture, and a wire that is at work clears one block at a time.
 *
 * Invariant: blocks between the last minute's first and `last` say what was then; those behind `last` are nothing.
 */
#include "field/strip.h"

static void note(struct strip *strip, enum outcome outcome, int64_t now_us)
{
	int64_t block = now_us / STRIP_BLOCK_US, last = atomic_load_explicit(&strip->last, memory_order_relaxed);
	if (block - last > STRIP_RING)
		last = block - STRIP_RING;
	while (last < block)
		atomic_store_explicit(&strip->blocks[++last % STRIP_RING], OUTCOME_NONE, memory_order_relaxed);
	_Atomic uint8_t *at = &strip->blocks[block % STRIP_RING];
	if (atomic_load_explicit(at, memory_order_relaxed) < outcome)
		atomic_store_explicit(at, (uint8_t)outcome, memory_order_relaxed);
	atomic_store_explicit(&strip->last, last, memory_order_release);
}

void strip_count(struct bus_counts *counts, enum outcome outcome, int64_t now_us)
{
	_Atomic uint64_t *counter = outcome == OUTCOME_ANSWER      ? &counts->answers
				    : outcome == OUTCOME_EXCEPTION ? &counts->exceptions
				    : outcome == OUTCOME_CHECKSUM  ? &counts->checksum
								   : &counts->timeouts;
	counts_bump(*counter);
	if (counts->strip)
		note(counts->strip, outcome, now_us);
}

void strip_read(const struct strip *strip, int64_t now_us, uint8_t ret_blocks[static STRIP_BLOCKS])
{
	int64_t last = atomic_load_explicit(&strip->last, memory_order_acquire);
	int64_t at = now_us / STRIP_BLOCK_US - STRIP_BLOCKS;
	for (int i = 0; i < STRIP_BLOCKS; i++) {
		at++;
		ret_blocks[i] = at < 0 || at > last
					? OUTCOME_NONE
					: atomic_load_explicit(&strip->blocks[at % STRIP_RING], memory_order_relaxed);
	}
}
