/*
 * Availability and readings of one device: see device.h.
 *
 * Invariant: a device is `online` from its first answer (an exception is one), `offline` after DEVICE_POLLS_MISSED
 * polls without any.
 */
#include "field/device.h"
#include "field/convert.h"

#include <string.h>

#define DEVICE_POLLS_MISSED 3
#define BACKOFF_FIRST_US    500000
#define BACKOFF_CAP_US      10000000
#define BATCH               64

#define count(counter) atomic_fetch_add_explicit(&(counter), 1, memory_order_relaxed)

void device_init(struct device *device, const struct plan *plan, uint32_t index, const struct planner_cost *cost,
	const struct learnt *learnt, struct reading_sink *sink, struct arena *arena)
{
	const struct plan_device *told = &plan->devices[index];
	device->plan = plan;
	device->told = told;
	device->index = index;
	device->sink = sink;
	device->behind = (struct backoff){.first_us = BACKOFF_FIRST_US, .cap_us = BACKOFF_CAP_US};
	patience_init(&device->patience, told->timeout_us);
	if (learnt)
		learnt_recall(learnt, plan, told, &device->refusals);
	device->cost = *cost;
	turnaround_init(&device->turnaround, PLANNER_TURNAROUND_US);
	rounds_init(&device->rounds, plan, told, &device->cost, &device->refusals, arena);
}

/* Tells the sink, in batches on the stack.  quality_of fills each reading. */
struct telling {
	struct batch batch;
	struct reading readings[BATCH];
};

static void telling_begin(struct telling *telling, struct device *device, int64_t now_us)
{
	telling->batch = (struct batch){.device = device->index, .readings = telling->readings, .now_us = now_us};
}

static void telling_send(struct telling *telling, struct device *device, bool round_over)
{
	telling->batch.round_over = round_over;
	if (telling->batch.n == 0 && telling->batch.availability == AVAILABILITY_SAME && !round_over)
		return;
	device->sink->take(device->sink, &telling->batch);
	telling->batch.n = 0;
	telling->batch.availability = AVAILABILITY_SAME;
}

static struct reading *telling_next(struct telling *telling, struct device *device)
{
	if (telling->batch.n == BATCH)
		telling_send(telling, device, false);
	return &telling->readings[telling->batch.n++];
}

static void change_availability(struct telling *telling, struct device *device, enum availability to)
{
	int before = atomic_exchange_explicit(&device->counts.availability, (int)to, memory_order_relaxed);
	if (before != (int)to)
		telling->batch.availability = to;
}

static void heard(struct telling *telling, struct device *device, int64_t now_us)
{
	int64_t lasted = 0;
	uint64_t missed = 0;
	count(device->counts.answers);
	atomic_store_explicit(&device->counts.answered_at, now_us, memory_order_relaxed);
	device->missed = 0;
	device->too_late = 0;
	change_availability(telling, device, AVAILABILITY_ONLINE);
	if (complaint_clear(&device->silence, now_us, &lasted, &missed)) {
		char length[LOG_LENGTH_SIZE];
		int64_t every_us = device->rounds.n_timed ? device->rounds.every_us[0] : 0;
		if (every_us > 0 && (uint64_t)(lasted / every_us) > missed)
			missed = (uint64_t)(lasted / every_us); /* back-off spared the others */
		log_notice("%s answers again after %s, %llu polls missed", device->told->path,
			log_length(lasted, length), (unsigned long long)missed);
	}
}

static bool is_last(const struct round *round, const struct planner_read *read)
{
	return read + 1 >= round->reads + round->n_reads;
}

void device_took(struct device *device, int64_t whole_us)
{
	const struct plan_bus *bus = &device->plan->buses[device->told->bus];
	const struct bf_place *place = &device->turn->reads[device->turn->next].place;
	if (bus->wire == WIRE_TCP)
		return;
	/* Before it answers a device is silent for as long as we are before we ask. */
	int64_t took_us = whole_us - planner_request_us(bus) - planner_answer_us(bus, place) - plan_bus_gap_us(bus);
	if (!turnaround_note(&device->turnaround, took_us > 0 ? took_us : 0))
		return;
	device->cost = planner_cost_of(bus, device->turnaround.planned_us);
	rounds_outdated(&device->rounds);
}

void device_answered(struct device *device, const struct line_answer *answer, int64_t wall_ms, int64_t now_us)
{
	struct round *round = device->turn;
	const struct planner_read *read = &round->reads[round->next];
	struct telling telling;
	char text[BF_STRING_MAX + 1];
	telling_begin(&telling, device, now_us);
	heard(&telling, device, now_us);
	round->marks[round->next] |= ROUND_ANSWERED;
	for (uint32_t i = read->first; i < read->first + read->n; i++) {
		const struct plan_metric *metric = &device->plan->metrics[round->items[i].metric];
		/* A text lives in `text` until the batch is sent, so it is sent alone. */
		bool is_text = metric->shape.type == BF_TYPE_STRING;
		if (is_text)
			telling_send(&telling, device, false);
		struct reading *reading = telling_next(&telling, device);
		*reading = (struct reading){.metric = round->items[i].metric, .time_ms = wall_ms};
		reading->quality = convert_metric(metric, &read->place, answer->bytes, text, &reading->value);
		if (is_text)
			telling_send(&telling, device, false);
	}
	telling_send(&telling, device, is_last(round, read));
}

static void tell_read(struct telling *telling, struct device *device, const struct round *round,
	const struct planner_read *read, const struct reading *like)
{
	for (uint32_t i = read->first; i < read->first + read->n; i++) {
		struct reading *reading = telling_next(telling, device);
		*reading = *like;
		reading->metric = round->items[i].metric;
	}
}

/* What a device answers is damaged, poll after poll: that is no answer either. */
static void not_understood(struct telling *telling, struct device *device, int64_t now_us)
{
	count(device->counts.checksum);
	device->missed += !device->turn->unheard;
	if (device->missed < DEVICE_POLLS_MISSED)
		return;
	if (complaint_raise(&device->silence, now_us))
		log_warning("%s: what it answers is damaged (unit address %u on bus %s)", device->told->path,
			device->told->address, device->plan->buses[device->told->bus].name);
	change_availability(telling, device, AVAILABILITY_OFFLINE);
}

static void not_heard(struct telling *telling, struct device *device, int64_t now_us)
{
	count(device->counts.timeouts);
	device->missed++;
	if (complaint_raise(&device->silence, now_us))
		log_warning("%s does not answer (unit address %u on bus %s)", device->told->path, device->told->address,
			device->plan->buses[device->told->bus].name);
	if (device->missed >= DEVICE_POLLS_MISSED)
		change_availability(telling, device, AVAILABILITY_OFFLINE);
}

void device_failed(
	struct device *device, enum quality quality, uint8_t code, bool rest, int64_t wall_ms, int64_t now_us)
{
	const struct round *round = device->turn;
	const struct planner_read *read = &round->reads[round->next];
	struct telling telling;
	struct reading like = {.quality = quality, .code = code, .time_ms = wall_ms};
	telling_begin(&telling, device, now_us);
	switch (quality) {
	case QUALITY_EXCEPTION:
		count(device->counts.exceptions);
		heard(&telling, device, now_us);
		break;
	case QUALITY_TIMEOUT:
		not_heard(&telling, device, now_us);
		break;
	default:
		not_understood(&telling, device, now_us);
		break;
	}
	tell_read(&telling, device, round, read, &like);
	while (rest && !is_last(round, read))
		tell_read(&telling, device, round, ++read, &like);
	telling_send(&telling, device, is_last(round, read));
}

void device_port_lost(struct device *device, int64_t wall_ms, int64_t now_us)
{
	struct telling telling;
	struct reading like = {.quality = QUALITY_OFFLINE, .time_ms = wall_ms};
	telling_begin(&telling, device, now_us);
	change_availability(&telling, device, AVAILABILITY_OFFLINE);
	for (uint32_t r = 0; r < device->rounds.n_rates; r++) { /* each metric is in one of these */
		const struct round *round = &device->rounds.list[r];
		for (uint32_t i = 0; i < round->n_reads; i++)
			tell_read(&telling, device, round, &round->reads[i], &like);
		telling_send(&telling, device, true);
	}
}
