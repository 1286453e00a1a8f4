/*
 * The end of a broker's patience.  See pulse.h.
 *
 * Why by what was read and not by what the kernel has received: the library counts silence from what it has read, and
 * only with the same count it has asked when we think so.  It counts in whole seconds, hence the margin.
 *
 * Why `asked` is noted at all, and silence not simply measured: a process that was stopped, or a machine that slept,
 * has heard nothing for long and asked nothing; the broker then gets its time to answer.
 */
#include "ship/pulse.h"

#define ASK_MIN_S   5 /* the library takes no less */
#define MARGIN_US   50000
#define GRACE_MIN_S 1

unsigned pulse_ask_s(unsigned keepalive_s)
{
	unsigned s = keepalive_s - keepalive_s / 4;
	return s < ASK_MIN_S ? ASK_MIN_S : s > UINT16_MAX ? UINT16_MAX : s;
}

void pulse_begin(struct pulse *pulse, unsigned keepalive_s, int64_t now_us)
{
	unsigned grace_s = keepalive_s / 4;
	*pulse = (struct pulse){
		.ask_us = pulse_ask_s(keepalive_s) * (int64_t)1000000,
		.grace_us = (grace_s < GRACE_MIN_S ? GRACE_MIN_S : grace_s) * (int64_t)1000000,
		.heard_at_us = now_us,
	};
}

void pulse_heard(struct pulse *pulse, int64_t now_us)
{
	pulse->heard_at_us = now_us;
	pulse->asked_at_us = 0;
}

int64_t pulse_due_at(const struct pulse *pulse)
{
	return pulse->asked_at_us ? pulse->asked_at_us + pulse->grace_us
				  : pulse->heard_at_us + pulse->ask_us + MARGIN_US;
}

bool pulse_stopped(struct pulse *pulse, int64_t now_us)
{
	if (now_us < pulse_due_at(pulse))
		return false;
	if (pulse->asked_at_us)
		return true;
	pulse->asked_at_us = now_us;
	return false;
}
