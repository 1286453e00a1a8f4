/*
 * What to ask a unit whose answers can't be told apart any more: a canary, a small read whose answer can be confused
 * with none that may still come.  When it is answered, the questions before it are over, and what the plan asks can be
 * asked again.  Pure; one owner thread (the bus's).
 */
#ifndef FIELD_CANARY_H
#define FIELD_CANARY_H

#include "field/device.h"
#include "field/trust.h"

enum canary_advice {
	CANARY_NOT_NEEDED, /* ask what the plan asks */
	CANARY_ASK,        /* ask *ret_canary */
	CANARY_WAIT,       /* there is no such read: ask nothing until *ret_until */
};

struct canary {
	struct bf_place place;
	bool parts; /* it reads a part of a value, which some devices refuse */
};

/* How a unit may be asked this question at now_us.  Devices of the bus that share its address share its doubts. */
enum canary_advice canary_advise(const struct device *devices, size_t n_devices, const struct line_question *question,
	struct trust *trust, int64_t now_us, struct canary *ret_canary, int64_t *ret_until);

#endif
