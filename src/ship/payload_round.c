/*
 * Rounds of devices.
 *
 * Why the head is written last: json begins with the time of the last answer, which is known at the end only.  So the
 * values start at a fixed place with room before them, the head is set right before it, and nothing is moved.
 *
 * Invariant: `n` never exceeds what payload_round_init has counted for each metric once, and leaves the room for the
 * tail; a metric that comes twice in a round and finds no room is left out.
 *
 * Thread: that of the device's bus.
 */
#include "ship/payload_round.h"
#include "ship/pen.h"

/* `{"time":-9223372036854775808,"values":{`, and the end: qualities' frame, clock, id, braces. */
#define ROUND_HEAD 48
#define ROUND_TAIL 128

struct payload_round {
	const struct plan_delivery *delivery;
	char *text; /* head room, values, room for qualities and the tail */
	/* Of each metric of the device, one behind the other: json `"voltage":`, influx `voltage=`. */
	char *labels;
	uint32_t *label_at; /* where each begins, and the end of the last */
	uint32_t first_metric;
	size_t first, size; /* where the values begin; up to where they may grow */
	size_t whole;       /* of text */
	struct pen values, quality;
	bool worth, answered;
	int64_t time_ms;
};

static bool round_is_influx(const struct payload_round *round)
{
	return round->delivery->payload == PAYLOAD_INFLUX;
}

static void round_clear(struct payload_round *round)
{
	round->values = (struct pen){.text = round->text, .size = round->size, .n = round->first};
	round->quality.n = 0;
	round->worth = round->answered = false;
	round->time_ms = 0;
}

/* Into text, of PAYLOAD_READING_MAX bytes; nothing for one that is told alone.  Returns its length. */
static size_t round_label(const struct plan *plan, const struct plan_metric *metric, bool influx, char *text)
{
	struct pen pen = {.text = text, .size = PAYLOAD_READING_MAX};
	const char *label = payload_label(plan, metric);
	if (!metric->delivery.per_device)
		return 0;
	if (influx)
		pen_escape(&pen, label, strlen(label), ", =");
	else
		pen_json(&pen, label, strlen(label));
	pen_put(&pen, influx ? "=" : ":", 1);
	return pen.n;
}

/* There may be thousands of metrics, so their labels lie close together. */
static void round_labels(struct payload_rounds *rounds, const struct plan_device *device, struct payload_round *round)
{
	const struct plan *plan = rounds->payload->plan;
	const struct plan_metric *metrics = &plan->metrics[device->first_metric];
	bool influx = round_is_influx(round);
	char text[PAYLOAD_READING_MAX];
	round->label_at = arena_array(&rounds->arena, device->n_metrics + 1, sizeof(*round->label_at));
	for (uint32_t i = 0; i < device->n_metrics; i++)
		round->label_at[i + 1] = round->label_at[i] + (uint32_t)round_label(plan, &metrics[i], influx, text);
	round->labels = arena_alloc(&rounds->arena, round->label_at[device->n_metrics] + 1);
	for (uint32_t i = 0; i < device->n_metrics; i++)
		memcpy(round->labels + round->label_at[i], text, round_label(plan, &metrics[i], influx, text));
}

static struct payload_part round_label_of(const struct payload_round *round, uint32_t i)
{
	return (struct payload_part){round->labels + round->label_at[i], round->label_at[i + 1] - round->label_at[i]};
}

static struct payload_round *payload_round_init(struct payload_rounds *rounds, uint32_t index)
{
	const struct plan *plan = rounds->payload->plan;
	const struct plan_device *device = &plan->devices[index];
	const struct plan_delivery *delivery = plan_device_delivery(plan, device);
	if (!delivery)
		return NULL;
	struct payload_round *round = arena_alloc(&rounds->arena, sizeof(*round));
	round->delivery = delivery;
	round->first_metric = device->first_metric;
	round_labels(rounds, device, round);
	size_t values = 0, quality = 0;
	for (uint32_t i = 0; i < device->n_metrics; i++) {
		const struct plan_metric *metric = &plan->metrics[device->first_metric + i];
		if (!metric->delivery.per_device)
			continue;
		size_t label = round_label_of(round, i).n;
		values += label + payload_value_room(metric) + 1;
		quality += label + sizeof("\"exception\",");
	}
	round->first = round_is_influx(round) ? rounds->payload->devices[index].n + 1 : ROUND_HEAD;
	round->size = round->first + values;
	round->whole = round->size + quality + ROUND_TAIL;
	round->text = arena_alloc(&rounds->arena, round->whole);
	round->quality = (struct pen){.text = arena_alloc(&rounds->arena, quality), .size = quality};
	if (round_is_influx(round)) {
		memcpy(round->text, rounds->payload->devices[index].text, round->first - 1);
		round->text[round->first - 1] = ' ';
	}
	round_clear(round);
	return round;
}

void payload_rounds_init(struct payload_rounds *rounds, struct payload *payload)
{
	const struct plan *plan = payload->plan;
	*rounds = (struct payload_rounds){.payload = payload};
	rounds->devices = arena_array(&rounds->arena, plan->n_devices, sizeof(struct payload_round *));
	for (uint32_t i = 0; i < plan->n_devices; i++)
		rounds->devices[i] = payload_round_init(rounds, i);
}

void payload_rounds_destroy(struct payload_rounds *rounds)
{
	arena_free(&rounds->arena);
}

/* Writes the label, with a comma before all but the first. */
static void round_label_put(struct pen *pen, size_t first, const struct payload_part *label)
{
	if (pen->n > first)
		pen_put(pen, ",", 1);
	pen_put(pen, label->text, label->n);
}

/* Takes back what was written since before, if there was no room for all of it.  True when there was. */
static bool round_wrote(struct pen *pen, size_t before)
{
	if (!pen->overflow)
		return true;
	pen->n = before;
	pen->overflow = false;
	return false;
}

/* `label value` behind the other values.  0; -ENOSPC; -EINVAL for what has no text; nothing is written then. */
static int round_value(struct payload_round *round, const struct payload_part *label, const struct plan_metric *metric,
	const struct bf_value *value)
{
	struct pen *pen = &round->values;
	size_t before = pen->n;
	round_label_put(pen, round->first, label);
	int n = payload_value(metric, value, round_is_influx(round) ? PAYLOAD_INFLUX : PAYLOAD_JSON, pen->text + pen->n,
		pen->size - pen->n);
	if (n > 0)
		pen->n += (size_t)n;
	if (n < 0)
		pen->overflow = true;
	return round_wrote(pen, before) ? 0 : n < 0 ? n : -ENOSPC;
}

static bool is_answer(enum quality quality)
{
	return quality != QUALITY_TIMEOUT && quality != QUALITY_OFFLINE && quality != QUALITY_CHECKSUM;
}

static void round_time(struct payload_round *round, const struct reading *reading)
{
	bool answer = is_answer(reading->quality);
	if (answer == round->answered ? reading->time_ms > round->time_ms : answer)
		round->time_ms = reading->time_ms;
	round->answered |= answer;
}

void payload_round_add(struct payload_rounds *rounds, const struct reading *reading, bool worth)
{
	const struct plan_metric *metric = &rounds->payload->plan->metrics[reading->metric];
	struct payload_round *round = rounds->devices[metric->device];
	const struct payload_part label = round_label_of(round, reading->metric - round->first_metric);
	round_time(round, reading);
	enum quality quality = reading->quality;
	if (quality == QUALITY_GOOD) {
		int error = round_value(round, &label, metric, &reading->value);
		round->worth |= worth && error == 0;
		if (error != -EINVAL)
			return;
		quality = QUALITY_INVALID;
	}
	if (round_is_influx(round)) /* has no words for it */
		return;
	struct pen *pen = &round->quality;
	size_t before = pen->n;
	round_label_put(pen, 0, &label);
	pen_put(pen, "\"", 1);
	pen_text(pen, quality_word(quality));
	pen_put(pen, "\"", 1);
	round->worth |= round_wrote(pen, before) && worth;
}

static void round_finish_influx(struct payload_round *round)
{
	struct pen *text = &round->values;
	pen_put(text, " ", 1);
	pen_int(text, round->time_ms);
	pen_text(text, "000000");
}

/* Returns where the text begins. */
static const char *round_finish_json(struct payload_rounds *rounds, struct payload_round *round)
{
	struct pen *text = &round->values;
	pen_put(text, "}", 1);
	if (round->quality.n) {
		pen_text(text, ",\"quality\":{");
		pen_put(text, round->quality.text, round->quality.n);
		pen_put(text, "}", 1);
	}
	payload_close(rounds->payload, round->time_ms, text);

	char head[ROUND_HEAD];
	struct pen pen = {.text = head, .size = sizeof(head)};
	pen_text(&pen, "{\"time\":");
	pen_int(&pen, round->time_ms);
	pen_text(&pen, ",\"values\":{");
	/* cppcheck-suppress uninitvar ; what the pen has written */
	return memcpy(round->text + round->first - pen.n, head, pen.n);
}

int payload_round_end(struct payload_rounds *rounds, uint32_t device, struct message *ret_message)
{
	struct payload_round *round = rounds->devices[device];
	if (!round)
		return -ENOMSG;
	bool influx = round_is_influx(round);
	if (!round->worth || (influx && round->values.n == round->first)) {
		round_clear(round);
		return -ENOMSG;
	}
	const char *start = round->text;
	round->values.size = round->whole;
	if (influx)
		round_finish_influx(round);
	else
		start = round_finish_json(rounds, round);
	const struct plan_delivery *delivery = round->delivery;
	*ret_message = (struct message){
		.topic = rounds->payload->plan->devices[device].topic,
		.payload = start,
		.payload_n = (size_t)(round->text + round->values.n - start),
		.time_ms = round->time_ms,
		.expire_s = delivery->expire_s,
		.qos = delivery->qos,
		.retain = delivery->retain,
		.json = !influx,
		.line = influx,
		.buffer = delivery->buffer,
		.latest_only = delivery->latest_only,
		.kind = MESSAGE_READING,
	};
	round_clear(round);
	return 0;
}
