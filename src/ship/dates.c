/*
 * Instants to wall times.
 *
 * Why not fixed once: the clock of a machine that has no battery may be set in steps, and the last one is the best; so
 * what waits is dated when it leaves.  Order is by sequence and is not touched.
 *
 * Thread: whose the struct is.
 */
#include "ship/dates.h"

#define SAME_MS    5000 /* a clock that is slewed, and the two looks at it */
#define SETTLES_US ((int64_t)3600 * 1000000)

void dates_init(struct dates *dates, const struct clock *clock)
{
	*dates = (struct dates){.clock = clock, .boot = clock_boot(clock)};
}

int64_t dates_offset_ms(const struct clock *clock)
{
	int64_t wall_ms = clock->wall_ms(clock);
	return clock_plausible(wall_ms) ? wall_ms - clock_now(clock) / 1000 : 0;
}

/* With what was noted of a boot, or 0. */
static int64_t noted(const struct dates *dates, uint64_t boot, int64_t at_us)
{
	for (size_t i = 0; i < dates->n_known; i++)
		if (boot && dates->known[i].boot == boot && dates->known[i].offset_ms)
			return dates->known[i].offset_ms + at_us / 1000;
	return 0;
}

int64_t dates_of_instant(const struct dates *dates, int64_t at_us)
{
	int64_t offset_ms = dates_offset_ms(dates->clock);
	int64_t time_ms = offset_ms ? offset_ms + at_us / 1000 : noted(dates, dates->boot, at_us);
	return clock_plausible(time_ms) ? time_ms : 0;
}

int64_t dates_of_row(const struct dates *dates, const struct journal_row *row)
{
	if (!row->boot)
		return row->message.time_ms;
	if (row->boot == dates->boot)
		return dates_of_instant(dates, row->message.put_at);
	int64_t time_ms = noted(dates, row->boot, row->message.put_at);
	return clock_plausible(time_ms) ? time_ms : 0;
}

static bool same(int64_t a_ms, int64_t b_ms)
{
	return a_ms - b_ms <= SAME_MS && b_ms - a_ms <= SAME_MS;
}

/* The offset that was there an hour ago; the first one at once. */
static int64_t settled(struct dates *dates, int64_t offset_ms, int64_t now_us)
{
	bool moved = dates->settled_ms && !same(offset_ms, dates->settled_ms);
	bool again = moved && dates->moved_ms && same(offset_ms, dates->moved_ms);
	if (!moved || (again && now_us - dates->moved_at >= SETTLES_US)) {
		dates->settled_ms = offset_ms;
		dates->moved_ms = 0;
	} else if (!again) {
		dates->moved_ms = offset_ms;
		dates->moved_at = now_us;
	}
	return dates->settled_ms;
}

int64_t dates_age_ms(struct dates *dates, int64_t time_ms)
{
	int64_t offset_ms = dates_offset_ms(dates->clock), now_us = clock_now(dates->clock);
	if (!offset_ms || !clock_plausible(time_ms))
		return 0;
	int64_t stood_ms = settled(dates, offset_ms, now_us);
	int64_t age_ms = (stood_ms < offset_ms ? stood_ms : offset_ms) + now_us / 1000 - time_ms;
	return age_ms > 0 ? age_ms : 0;
}
