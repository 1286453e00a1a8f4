/*
 * The box of errands, see errand.h.
 *
 *   FREE ──put──► FILLING ──► READY ──take──► TAKEN ──end──► FREE
 *
 * Why no queue with head and tail: with several that put and one that takes, a slot which is being filled would hold up
 * those behind it, or need a lock.  Sixteen slots are looked through faster than a cache line travels.
 *
 * Why closing looks twice: who puts makes the slot READY and then looks whether the box is closed; who closes says so
 * and then looks for READY slots.  One of the two sees the other, so no errand is left without an answer.
 *
 * Invariant: a slot belongs to one thread in each state but READY, which only an exchange leaves.
 */
#include "field/errand.h"
#include "base/wake.h"

#include <errno.h>
#include <string.h>

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_READY, SLOT_TAKEN };

void errand_box_init(struct errand_box *box, int wake_fd)
{
	memset(box, 0, sizeof(*box));
	box->wake_fd = wake_fd;
}

static bool is_sound(const struct errand *errand)
{
	const struct bf_place *place = &errand->place;
	if (!errand->done)
		return false;
	if (errand->kind == ERRAND_POLL)
		return true;
	if ((unsigned)place->space >= BF_N_SPACES || place->count == 0 || (uint32_t)place->at + place->count > 65536)
		return false;
	bool bits = place->space == BF_SPACE_COIL || place->space == BF_SPACE_DISCRETE;
	if (errand->kind == ERRAND_READ)
		return place->count <= (bits ? 8 * ERRAND_BYTES : ERRAND_BYTES / 2);
	if (place->space == BF_SPACE_COIL)
		return place->count <= ERRAND_WRITE_BITS;
	return place->space == BF_SPACE_HOLDING && place->count <= ERRAND_WRITE_REGISTERS;
}

static void wake(const struct errand_box *box)
{
	if (box->wake_fd >= 0)
		wake_up(box->wake_fd);
}

static bool become(struct errand_slot *slot, enum slot_state from, enum slot_state to)
{
	int expected = (int)from;
	return atomic_compare_exchange_strong(&slot->state, &expected, (int)to);
}

int errand_put(struct errand_box *box, const struct errand *errand)
{
	struct errand_slot *slot = NULL;
	if (!is_sound(errand))
		return -EINVAL;
	if (atomic_load(&box->closed))
		return -ESHUTDOWN;
	for (size_t i = 0; i < ERRAND_SLOTS && !slot; i++)
		if (become(&box->slots[i], SLOT_FREE, SLOT_FILLING))
			slot = &box->slots[i];
	if (!slot)
		return -EBUSY;
	uint64_t ticket = atomic_fetch_add_explicit(&box->tickets, 1, memory_order_relaxed);
	atomic_store_explicit(&slot->ticket, ticket, memory_order_relaxed);
	slot->errand = *errand;
	slot->next = NULL;
	atomic_fetch_add(&box->n_put, 1);
	atomic_store(&slot->state, SLOT_READY);
	if (atomic_load(&box->closed) && become(slot, SLOT_READY, SLOT_FREE)) {
		atomic_fetch_sub(&box->n_put, 1);
		return -ESHUTDOWN;
	}
	wake(box);
	return 0;
}

struct errand_slot *errand_take(struct errand_box *box)
{
	struct errand_slot *oldest;
	do {
		oldest = NULL;
		uint64_t first = UINT64_MAX;
		for (size_t i = 0; i < ERRAND_SLOTS; i++) {
			struct errand_slot *slot = &box->slots[i];
			uint64_t ticket = atomic_load_explicit(&slot->ticket, memory_order_relaxed);
			if (atomic_load(&slot->state) != SLOT_READY || ticket >= first)
				continue;
			oldest = slot;
			first = ticket;
		}
		/* who put it may have taken it back, since the box is closed */
	} while (oldest && !become(oldest, SLOT_READY, SLOT_TAKEN));
	if (oldest)
		atomic_fetch_sub(&box->n_put, 1);
	return oldest;
}

void errand_end(struct errand_slot *slot, const struct errand_outcome *outcome)
{
	slot->errand.done(slot->errand.user, &slot->errand, outcome);
	atomic_store(&slot->state, SLOT_FREE);
}

void errand_fail(struct errand_slot *slot, int rc)
{
	const struct errand_outcome outcome = {.rc = rc};
	errand_end(slot, &outcome);
}

void errand_close(struct errand_box *box)
{
	struct errand_slot *slot;
	atomic_store(&box->closed, true);
	while ((slot = errand_take(box)))
		errand_fail(slot, -ECANCELED);
}
