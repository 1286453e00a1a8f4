/*
 * Rounds, availability, back-off of one device: see device.h.
 *
 * Invariant: the reads of a round together cover each of its items exactly once, whatever was split.  A device is
 * `online` from its first answer (an exception is one), `offline` after DEVICE_POLLS_MISSED polls without any.
 */
#include "field/device.h"
#include "field/convert.h"

#include <string.h>

#define DEVICE_POLLS_MISSED 3
#define BACKOFF_FIRST_US    500000
#define BACKOFF_CAP_US      10000000
#define BATCH               64

#define count(counter) atomic_fetch_add_explicit(&(counter), 1, memory_order_relaxed)

static void round_plan(struct round *round, const struct planner_cost *cost, struct arena *arena)
{
	const struct plan_device *told = round->device->told;
	struct planner_limits limits = {
		.max_registers = told->max_registers, .max_bits = 2000, .max_gap = told->max_gap};
	round->reads = arena_array(arena, round->n_items, sizeof(*round->reads));
	int64_t *scratch = arena_array(arena, round->n_items + 1, sizeof(*scratch));
	round->n_reads = (uint32_t)planner_merge(round->items, round->n_items, &limits, cost, round->reads, scratch);
}

static struct round *round_of(struct device *device, int64_t every_us)
{
	const struct plan_metric *metrics = device->plan->metrics;
	for (uint32_t r = 0; r < device->n_rounds; r++)
		if (metrics[device->rounds[r].items[0].metric].every_us == every_us)
			return &device->rounds[r];
	return NULL;
}

void device_init(struct device *device, const struct plan *plan, uint32_t index, const struct planner_cost *cost,
	struct reading_sink *sink, struct arena *arena)
{
	const struct plan_device *told = &plan->devices[index];
	device->plan = plan;
	device->told = told;
	device->index = index;
	device->sink = sink;
	device->backoff = (struct backoff){.first_us = BACKOFF_FIRST_US, .cap_us = BACKOFF_CAP_US};
	device->rounds = arena_array(arena, told->n_metrics, sizeof(*device->rounds));
	for (uint32_t i = 0; i < told->n_metrics; i++) {
		const struct plan_metric *metric = &plan->metrics[told->first_metric + i];
		struct round *round = round_of(device, metric->every_us);
		if (!round) {
			uint32_t n = 0;
			for (uint32_t k = i; k < told->n_metrics; k++)
				n += plan->metrics[told->first_metric + k].every_us == metric->every_us;
			round = &device->rounds[device->n_rounds++];
			round->device = device;
			round->items = arena_array(arena, n, sizeof(*round->items));
		}
		round->items[round->n_items++] =
			(struct planner_item){.place = convert_place(metric), .metric = told->first_metric + i};
	}
	for (uint32_t r = 0; r < device->n_rounds; r++)
		round_plan(&device->rounds[r], cost, arena);
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

/* The shortest interval at which the device is polled; 0 = none is timed. */
static int64_t device_every(const struct device *device)
{
	int64_t shortest = 0;
	for (uint32_t r = 0; r < device->n_rounds; r++) {
		int64_t every_us = device->plan->metrics[device->rounds[r].items[0].metric].every_us;
		if (every_us > 0 && (shortest == 0 || every_us < shortest))
			shortest = every_us;
	}
	return shortest;
}

static void heard(struct telling *telling, struct device *device, int64_t now_us)
{
	int64_t lasted = 0;
	uint64_t missed = 0;
	count(device->counts.answers);
	atomic_store_explicit(&device->counts.answered_at, now_us, memory_order_relaxed);
	device->missed = 0;
	backoff_reset(&device->backoff);
	change_availability(telling, device, AVAILABILITY_ONLINE);
	if (complaint_clear(&device->silence, now_us, &lasted, &missed)) {
		char length[LOG_LENGTH_SIZE];
		int64_t every_us = device_every(device);
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

void device_answered(struct device *device, struct round *round, const struct planner_read *read,
	const struct line_answer *answer, int64_t wall_ms, int64_t now_us)
{
	struct telling telling;
	char text[BF_STRING_MAX + 1];
	telling_begin(&telling, device, now_us);
	heard(&telling, device, now_us);
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

static int64_t not_heard(struct telling *telling, struct device *device, int64_t now_us)
{
	count(device->counts.timeouts);
	device->missed++;
	if (complaint_raise(&device->silence, now_us))
		log_warning("%s does not answer (unit address %u on bus %s)", device->told->path, device->told->address,
			device->plan->buses[device->told->bus].name);
	if (device->missed >= DEVICE_POLLS_MISSED)
		change_availability(telling, device, AVAILABILITY_OFFLINE);
	return backoff_next(&device->backoff);
}

int64_t device_failed(struct device *device, struct round *round, const struct planner_read *read, enum quality quality,
	uint8_t code, int64_t wall_ms, int64_t now_us)
{
	struct telling telling;
	struct reading like = {.quality = quality, .code = code, .time_ms = wall_ms};
	int64_t leave_us = 0;
	telling_begin(&telling, device, now_us);
	switch (quality) {
	case QUALITY_EXCEPTION:
		count(device->counts.exceptions);
		heard(&telling, device, now_us);
		break;
	case QUALITY_TIMEOUT:
		leave_us = not_heard(&telling, device, now_us);
		break;
	default:
		count(device->counts.checksum);
		break;
	}
	tell_read(&telling, device, round, read, &like);
	if (quality == QUALITY_TIMEOUT)
		while (!is_last(round, read))
			tell_read(&telling, device, round, ++read, &like);
	telling_send(&telling, device, is_last(round, read));
	return leave_us;
}

/* The end of what the items [first, at) of a read cover. */
static uint32_t covered_end(const struct round *round, uint32_t first, uint32_t at)
{
	uint32_t end = 0;
	for (uint32_t i = first; i < at; i++) {
		uint32_t item_end = (uint32_t)round->items[i].place.at + round->items[i].place.count;
		if (item_end > end)
			end = item_end;
	}
	return end;
}

/* Fits the place of a read to the items that it answers. */
static void read_fit(const struct round *round, struct planner_read *read)
{
	read->place = round->items[read->first].place;
	read->place.count = (uint16_t)(covered_end(round, read->first, read->first + read->n) - read->place.at);
}

/* Where to cut: at the widest gap, else in the middle, but never between items that overlap unless all do. */
static uint32_t split_at(const struct round *round, const struct planner_read *read)
{
	uint32_t best = read->first + read->n / 2;
	uint32_t widest = 0;
	for (uint32_t i = read->first + 1; i < read->first + read->n; i++) {
		uint32_t end = covered_end(round, read->first, i);
		uint32_t at = round->items[i].place.at;
		if (at > end && at - end > widest) {
			widest = at - end;
			best = i;
		}
	}
	return best;
}

bool device_split(struct round *round, uint32_t at)
{
	struct planner_read *read = &round->reads[at];
	if (read->n < 2)
		return false;
	uint32_t cut = split_at(round, read);
	memmove(read + 2, read + 1, (round->n_reads - at - 1) * sizeof(*read));
	round->n_reads++;
	read[1] = (struct planner_read){.first = cut, .n = read->first + read->n - cut};
	read[0].n = cut - read->first;
	read_fit(round, &read[0]);
	read_fit(round, &read[1]);
	return true;
}

void device_port_lost(struct device *device, int64_t wall_ms, int64_t now_us)
{
	struct telling telling;
	struct reading like = {.quality = QUALITY_OFFLINE, .time_ms = wall_ms};
	telling_begin(&telling, device, now_us);
	change_availability(&telling, device, AVAILABILITY_OFFLINE);
	for (uint32_t r = 0; r < device->n_rounds; r++) {
		struct round *round = &device->rounds[r];
		for (uint32_t i = 0; i < round->n_reads; i++)
			tell_read(&telling, device, round, &round->reads[i], &like);
		round->next = 0;
		round->unheard = false;
		telling_send(&telling, device, true);
	}
}

void device_note_time(struct device *device, int64_t took_us)
{
	unsigned bucket = 0;
	for (int64_t bound = 64; bound < took_us && bucket + 1 < ANSWER_BUCKETS; bucket++)
		bound += bound / 5;
	_Atomic uint16_t *times = device->counts.answer_times;
	uint16_t n = atomic_load_explicit(&times[bucket], memory_order_relaxed);
	if (n == UINT16_MAX) /* halve all: old answers count less and less */
		for (unsigned i = 0; i < ANSWER_BUCKETS; i++)
			atomic_store_explicit(&times[i],
				(uint16_t)(atomic_load_explicit(&times[i], memory_order_relaxed) / 2),
				memory_order_relaxed);
	count(times[bucket]);
}

int64_t device_answer_time(const struct device_counts *counts, unsigned percent)
{
	uint64_t total = 0, seen = 0;
	for (unsigned i = 0; i < ANSWER_BUCKETS; i++)
		total += atomic_load_explicit(&counts->answer_times[i], memory_order_relaxed);
	int64_t bound = 64;
	for (unsigned i = 0; i < ANSWER_BUCKETS && total; i++, bound += bound / 5) {
		seen += atomic_load_explicit(&counts->answer_times[i], memory_order_relaxed);
		if (seen * 100 >= total * percent)
			return bound;
	}
	return 0;
}
