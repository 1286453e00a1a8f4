/*
 * The wall clock against the monotonic one.
 *
 * Why not a timer that the kernel cancels when the clock is set (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET): the main
 * thread looks every five seconds anyway, and that also sees a machine that slept.
 *
 * Thread: the main one.
 */
#include "app/clock_watch.h"

#include <stdio.h>
#include <time.h>

#define JUMP_MS    3000
#define CALM_US    ((int64_t)3600 * 1000000)
#define DATE_BYTES 40

static const char *date_of(int64_t wall_ms, char text[static DATE_BYTES])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	if (!gmtime_r(&seconds, &tm) || !strftime(text, DATE_BYTES, "%Y-%m-%d %H:%M:%S UTC", &tm))
		snprintf(text, DATE_BYTES, "a date beyond all calendars");
	return text;
}

void clock_watch_init(struct clock_watch *watch, const struct clock *clock)
{
	int64_t wall_ms = clock->wall_ms(clock), now_us = clock_now(clock);
	*watch = (struct clock_watch){.clock = clock,
		.offset_ms = wall_ms - now_us / 1000,
		.since_us = now_us,
		.plausible = clock_plausible(wall_ms)};
	char date[DATE_BYTES];
	if (!watch->plausible)
		log_warning("the clock is not set, it shows %s: readings are marked, those that wait until it is set "
			    "are corrected",
			date_of(wall_ms, date));
}

static void tell_jump(struct clock_watch *watch, int64_t jump_ms, int64_t wall_ms, int64_t now_us)
{
	char length[LOG_LENGTH_SIZE], date[DATE_BYTES];
	if (now_us - watch->jumped_at > CALM_US)
		complaint_clear(&watch->jumps, now_us, NULL, NULL);
	watch->jumped_at = now_us;
	if (complaint_raise(&watch->jumps, now_us))
		log_notice("the clock went %s by %s and shows %s: it was set, or the machine slept; only the times of "
			   "readings follow it",
			jump_ms > 0 ? "forward" : "back", log_length((jump_ms > 0 ? jump_ms : -jump_ms) * 1000, length),
			date_of(wall_ms, date));
}

void clock_watch_look(struct clock_watch *watch)
{
	int64_t wall_ms = watch->clock->wall_ms(watch->clock), now_us = clock_now(watch->clock);
	int64_t offset_ms = wall_ms - now_us / 1000, jump_ms = offset_ms - watch->offset_ms;
	bool plausible = clock_plausible(wall_ms), was_plausible = watch->plausible;
	char length[LOG_LENGTH_SIZE], date[DATE_BYTES];
	watch->offset_ms = offset_ms;
	watch->plausible = plausible;
	if (plausible && !was_plausible)
		log_notice("the clock is set after %s, it shows %s: readings that wait are corrected",
			log_length(now_us - watch->since_us, length), date_of(wall_ms, date));
	else if (jump_ms > JUMP_MS || jump_ms < -JUMP_MS)
		tell_jump(watch, jump_ms, wall_ms, now_us);
}
