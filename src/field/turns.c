/*
 * Turns, see turns.h.
 *
 * Invariant: an entry whose round is under way stays due until the turn is over, so the schedule that picked it picks
 * it again for the next read.
 */
#include "field/turns.h"

#define START_AGAIN_US 1000000
#define LONG_US        5000000 /* intervals for which a few transactions are no delay … */
#define BUNCH          3       /* … so that many devices are asked one after the other, and the threads sleep on */
#define TICKS_MOST     50      /* of an interval, where instants lie on ticks … */
#define TICKS_LEAST    10      /* … of which there are enough to spread devices over them */
#define TICK_MIN_US    20000
#define TICK_MAX_US    200000

void turns_init(struct turns *turns, struct device *devices, uint32_t n_devices, bool once, struct arena *arena)
{
	*turns = (struct turns){.devices = devices, .n_devices = n_devices, .once = once, .last = UINT32_MAX};
	turns->first = arena_array(arena, (size_t)n_devices + 1, sizeof(*turns->first));
	for (uint32_t d = 0; d < n_devices; d++) {
		turns->first[d] = turns->n_entries;
		turns->n_entries += devices[d].rounds.n_rates;
	}
	turns->first[n_devices] = turns->n_entries;
	turns->entries = arena_array(arena, turns->n_entries, sizeof(*turns->entries));
	turns->served = arena_array(arena, turns->n_entries, sizeof(*turns->served));
	turns->n_unserved = turns->n_entries;
}

/* The tick of the thread, fitted to an interval. */
static int64_t tick_of(int64_t tick_us, int64_t every_us)
{
	int64_t fine_us = every_us / TICKS_MOST, coarse_us = every_us / TICKS_LEAST;
	if (tick_us <= 1)
		return tick_us;
	if (fine_us > tick_us)
		return fine_us < TICK_MAX_US ? fine_us : TICK_MAX_US;
	if (coarse_us < TICK_MIN_US)
		coarse_us = TICK_MIN_US;
	return tick_us < coarse_us ? tick_us : coarse_us;
}

static void start_device(struct turns *turns, uint32_t d, size_t index, size_t n_all, int64_t tick_us, int64_t now_us)
{
	const struct rounds *rounds = &turns->devices[d].rounds;
	int64_t fastest_us = rounds->every_us[0];
	if (fastest_us >= LONG_US)
		index -= index % BUNCH;
	tick_us = tick_of(tick_us, fastest_us);
	for (uint32_t rate = 0; rate < rounds->n_rates; rate++) {
		struct schedule_entry *entry = &turns->entries[turns->first[d] + rate];
		*entry = (struct schedule_entry){.every_us = rounds->every_us[rate],
			.step_us = rounds_step(rounds, rate),
			.unit = d,
			.due_at = now_us,
			.served_at = now_us - START_AGAIN_US + (int64_t)index};
		if (rounds->every_us[rate] == PLAN_EVERY_START) {
			entry->every_us = START_AGAIN_US;
			continue;
		}
		if (entry->every_us > 0)
			schedule_first(entry, rounds->every_us[0], rounds->every_us[rounds->n_timed - 1], index, n_all,
				tick_us, now_us);
		if (turns->once)
			entry->due_at = now_us;
	}
}

void turns_start(struct turns *turns, size_t first, size_t n_all, int64_t tick_us, int64_t now_us)
{
	for (uint32_t d = 0; d < turns->n_devices; d++)
		start_device(turns, d, first + d, n_all, tick_us, now_us);
}

static bool is_start(const struct turns *turns, uint32_t d, uint32_t rate)
{
	return turns->devices[d].rounds.every_us[rate] == PLAN_EVERY_START;
}

int turns_next(struct turns *turns, int64_t now_us)
{
	int picked = schedule_pick(turns->entries, turns->n_entries, turns->last, now_us);
	if (picked < 0)
		return -1;
	uint32_t d = turns->entries[picked].unit;
	struct device *device = &turns->devices[d];
	if (device->turn)
		return (int)d;
	if (device->models && models_due(device->models, now_us)) {
		device->turn = &device->models->round;
		return (int)d;
	}
	const struct schedule_entry *entries = &turns->entries[turns->first[d]];
	uint8_t due = 0;
	for (uint32_t rate = 0; rate < device->rounds.n_timed && rate < ROUND_SHARED_MAX; rate++)
		if (schedule_is_due(&entries[rate], now_us))
			due |= (uint8_t)(1u << rate);
	device->turn = rounds_find(&device->rounds, (uint32_t)((size_t)picked - turns->first[d]), due);
	return (int)d;
}

int64_t turns_wake(const struct turns *turns)
{
	return schedule_wake(turns->entries, turns->n_entries);
}

int64_t turns_others_at(const struct turns *turns, uint32_t device, int64_t now_us)
{
	return schedule_others_at(turns->entries, turns->n_entries, device, now_us);
}

int64_t turns_asked(struct turns *turns, uint32_t d, int64_t now_us)
{
	const struct device *device = &turns->devices[d];
	struct round *round = device->turn;
	int64_t late_us = -1;
	turns->last = d;
	if (round->next > 0 || round->tries > 0)
		return -1;
	round->began_at = now_us;
	for (uint32_t rate = 0; rate < device->rounds.n_timed; rate++) {
		const struct schedule_entry *entry = &turns->entries[turns->first[d] + rate];
		if (!round_has(&device->rounds, round, rate) || entry->not_before || entry->due_at > now_us)
			continue;
		if (now_us - entry->due_at > late_us)
			late_us = now_us - entry->due_at;
	}
	return late_us;
}

uint64_t turns_over(struct turns *turns, uint32_t d, bool heard, int64_t now_us)
{
	struct device *device = &turns->devices[d];
	const struct round *round = device->turn;
	uint64_t merged = 0;
	bool walked = device_walks(device);
	bool in_vain = walked && turns->once && device->models->stuck;
	for (uint32_t rate = 0; rate < device->rounds.n_rates; rate++) {
		size_t at = turns->first[d] + rate;
		struct schedule_entry *entry = &turns->entries[at];
		if (walked && heard)
			entry->not_before = 0;
		if (!in_vain && (walked || !round_has(&device->rounds, round, rate)))
			continue;
		uint64_t before = entry->n_merged;
		turns->n_unserved -= !turns->served[at];
		turns->served[at] = true;
		bool held_back = entry->not_before > 0;
		schedule_served(entry, now_us);
		entry->served_at = round->began_at; /* so that a turn of many reads comes as often as one of few */
		if (!held_back && !is_start(turns, d, rate)) /* else it was not for want of time */
			merged += entry->n_merged - before;
		if (heard)
			entry->not_before = 0;
		if (turns->once || is_start(turns, d, rate))
			entry->due_at = turns->once || heard ? CLOCK_NEVER : now_us + START_AGAIN_US;
	}
	device->turn = NULL;
	return merged;
}

void turns_leave_alone(struct turns *turns, uint32_t d, int64_t until_us)
{
	struct device *device = &turns->devices[d];
	if (device->turn)
		round_reset(device->turn);
	device->turn = NULL;
	turns_pause(turns, d, until_us); /* also what was to be asked though it is not due */
	bool offline = atomic_load_explicit(&device->counts.availability, memory_order_relaxed) != AVAILABILITY_ONLINE;
	if (offline && !turns->once && device->rounds.n_timed)
		turns->entries[turns->first[d]].probe_at = until_us;
}

void turns_pause(struct turns *turns, uint32_t d, int64_t until_us)
{
	for (size_t i = turns->first[d]; i < turns->first[d + 1]; i++) {
		struct schedule_entry *entry = &turns->entries[i];
		entry->not_before = until_us;
		if (entry->probe_at && entry->probe_at < until_us)
			entry->probe_at = until_us;
	}
}

void turns_appeared(struct turns *turns, uint32_t d, int64_t now_us)
{
	const struct device *device = &turns->devices[d];
	for (uint32_t rate = 0; rate < device->rounds.n_rates; rate++) {
		struct schedule_entry *entry = &turns->entries[turns->first[d] + rate];
		entry->not_before = 0;
		entry->probe_at = 0;
		bool under_way = device->turn && round_has(&device->rounds, device->turn, rate);
		if (is_start(turns, d, rate) && !under_way && !turns->once)
			entry->due_at = now_us;
	}
}

void turns_poll(struct turns *turns, uint32_t d, int64_t now_us)
{
	const struct device *device = &turns->devices[d];
	for (uint32_t rate = 0; rate < device->rounds.n_rates; rate++) {
		struct schedule_entry *entry = &turns->entries[turns->first[d] + rate];
		bool under_way = device->turn && round_has(&device->rounds, device->turn, rate);
		if (is_start(turns, d, rate) && !under_way && !turns->once)
			entry->due_at = now_us;
		else if (!turns->once)
			entry->probe_at = now_us;
	}
}

void turns_opened(struct turns *turns, int64_t now_us)
{
	for (uint32_t d = 0; d < turns->n_devices; d++)
		turns_appeared(turns, d, now_us);
}

void turns_returned(struct turns *turns, int64_t now_us)
{
	for (size_t i = 0; i < turns->n_entries; i++)
		if (turns->entries[i].due_at != CLOCK_NEVER)
			turns->entries[i].probe_at = now_us;
}

void turns_lost(struct turns *turns)
{
	for (uint32_t d = 0; d < turns->n_devices; d++) {
		if (turns->devices[d].turn)
			round_reset(turns->devices[d].turn);
		turns->devices[d].turn = NULL;
	}
	if (turns->once)
		turns->n_unserved = 0;
}
