/*
 * From readings to records.  See sparkplug_intake.h.
 *
 * A record: kind of the value, quality, code of the exception (a byte each), then eight bytes, the lowest first, or
 * those of the text.  Metric and time stand beside it, as the outbox has them for all messages.
 *
 * Invariant: `last` of a metric is of what was put last; what could not be put was not told.
 */
#include "ship/sparkplug_intake.h"
#include "base/wake.h"
#include "model/bits.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define UNTOLD 0xff /* as a quality */

struct last {
	uint64_t bits; /* of a text a hash */
	int64_t time_ms;
	uint8_t kind, quality, code;
	_Atomic bool watched;
};

struct sparkplug_intake {
	struct report_tap tap;
	const struct plan *plan;
	struct message_sink *records;
	int news_fd;
	struct last *last; /* of each metric */
};

size_t sparkplug_record_pack(const struct reading *reading, uint8_t bytes[static SPARKPLUG_RECORD_MAX])
{
	const struct bf_value *value = &reading->value;
	bytes[0] = (uint8_t)value->kind;
	bytes[1] = (uint8_t)reading->quality;
	bytes[2] = reading->code;
	if (value->kind == BF_TEXT) {
		size_t n = value->text.n < BF_STRING_MAX ? value->text.n : BF_STRING_MAX;
		memcpy(bytes + 3, value->text.at, n);
		return 3 + n;
	}
	uint64_t bits = bits_of(value);
	for (int i = 0; i < 8; i++)
		bytes[3 + i] = (uint8_t)(bits >> 8 * i);
	return 11;
}

int sparkplug_record_unpack(const void *bytes, size_t n, struct reading *ret_reading)
{
	const uint8_t *at = bytes;
	if (n < 3 || at[0] > BF_TEXT || at[1] > QUALITY_OFFLINE ||
		(at[0] == BF_TEXT ? n > SPARKPLUG_RECORD_MAX : n != 11))
		return -EBADMSG;
	enum bf_kind kind = (enum bf_kind)at[0];
	if ((kind == BF_NONE) != (at[1] != QUALITY_GOOD))
		return -EBADMSG;
	uint64_t bits = 0;
	for (int i = 0; kind != BF_TEXT && i < 8; i++)
		bits |= (uint64_t)at[3 + i] << 8 * i;
	struct bf_value value = bits_value(kind, bits);
	if (kind == BF_TEXT) {
		value.text.at = (const char *)at + 3;
		value.text.n = n - 3;
	}
	*ret_reading = (struct reading){.quality = (enum quality)at[1], .code = at[2], .value = value};
	return 0;
}

static struct sparkplug_intake *intake_of(struct report_tap *tap)
{
	return (struct sparkplug_intake *)(void *)tap; /* its first member */
}

static void judged(struct report_tap *tap, const struct reading *reading, int64_t now_us, bool told)
{
	struct sparkplug_intake *intake = intake_of(tap);
	struct last *last = &intake->last[reading->metric];
	bool watched = atomic_load_explicit(&last->watched, memory_order_acquire);
	if (!told && !watched)
		return;
	uint64_t bits = bits_of(&reading->value);
	bool same = last->quality == reading->quality && last->kind == reading->value.kind && last->bits == bits &&
		    last->code == reading->code;
	if (same && !watched)
		return;
	if (same && reading->time_ms == last->time_ms) /* a poll and what was read back */
		return;
	uint8_t bytes[SPARKPLUG_RECORD_MAX];
	const struct message record = {.topic = intake->plan->metrics[reading->metric].topic,
		.payload = bytes,
		.payload_n = sparkplug_record_pack(reading, bytes),
		.time_ms = reading->time_ms,
		.put_at = now_us,
		.qos = 1, /* so that it is kept */
		.buffer = true,
		.kind = MESSAGE_READING};
	bool put = intake->records->put(intake->records, &record) == 0;
	last->bits = bits;
	last->time_ms = reading->time_ms;
	last->kind = (uint8_t)reading->value.kind;
	last->quality = put ? (uint8_t)reading->quality : UNTOLD;
	last->code = reading->code;
}

static void rest(struct report_tap *tap)
{
	struct sparkplug_intake *intake = intake_of(tap);
	intake->records->flush(intake->records);
}

static void availability(struct report_tap *tap, uint32_t device, bool online)
{
	(void)device;
	(void)online; /* the roster has it */
	wake_up(intake_of(tap)->news_fd);
}

int sparkplug_intake_init(
	const struct plan *plan, struct message_sink *records, int news_fd, struct sparkplug_intake **ret_intake)
{
	struct sparkplug_intake *intake = calloc(1, sizeof(*intake));
	struct last *last = calloc(plan->n_metrics + 1, sizeof(*last));
	if (!intake || !last) {
		free(intake);
		free(last);
		return -ENOMEM;
	}
	*intake = (struct sparkplug_intake){.tap = {.judged = judged, .availability = availability, .rest = rest},
		.plan = plan,
		.records = records,
		.news_fd = news_fd,
		.last = last};
	for (size_t i = 0; i < plan->n_metrics; i++)
		last[i].quality = UNTOLD;
	*ret_intake = intake;
	return 0;
}

void sparkplug_intake_destroy(struct sparkplug_intake *intake)
{
	if (!intake)
		return;
	free(intake->last);
	free(intake);
}

struct report_tap *sparkplug_intake_tap(struct sparkplug_intake *intake)
{
	return &intake->tap;
}

void sparkplug_intake_watch(struct sparkplug_intake *intake, uint32_t metric, bool on)
{
	atomic_store_explicit(&intake->last[metric].watched, on, memory_order_release);
}
