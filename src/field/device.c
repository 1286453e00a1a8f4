/*
 * Availability and readings of one device: see device.h.
 *
 * Invariant: a device is `online` from its first answer (an exception is one), `offline` after DEVICE_POLLS_MISSED
 * polls without any.
 */
#include "field/device.h"
#include "field/convert.h"
#include "field/telling.h"

#include <stdio.h>
#include <string.h>

#define DEVICE_POLLS_MISSED 3
#define BACKOFF_FIRST_US    500000
#define BACKOFF_CAP_US      10000000

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

void device_find_models(struct device *device, struct arena *arena)
{
	static const struct chain nothing;
	device->models = models_make(device->plan, device->told, arena);
	if (device->models)
		rounds_place(&device->rounds, device->plan, &nothing);
}

static void change_availability(struct telling *telling, struct device *device, enum availability to)
{
	bool changed = telling_availability(telling, &device->counts, to);
	if (changed && to == AVAILABILITY_OFFLINE && device->models) /* who knows what it is when it comes back */
		models_forget(device->models);
}

static struct log_about about_of(const struct device *device)
{
	return (struct log_about){.device = device->told->path, .bus = device->plan->buses[device->told->bus].name};
}

static void heard(struct telling *telling, struct device *device, int64_t now_us)
{
	int64_t lasted = 0;
	uint64_t missed = 0;
	counts_bump(device->counts.answers);
	atomic_store_explicit(&device->counts.answered_at, now_us, memory_order_relaxed);
	device->missed = 0;
	device->too_late = 0;
	change_availability(telling, device, AVAILABILITY_ONLINE);
	int64_t since_us = device->silence.since_us, every_us = device->rounds.n_timed ? device->rounds.every_us[0] : 0;
	uint64_t n_asked = device->silence.count,
		 n_due = since_us && every_us > 0 ? (uint64_t)((now_us - since_us) / every_us) : 0;
	if (n_due > n_asked) /* back-off spared the others */
		atomic_fetch_add_explicit(&device->counts.missed, n_due - n_asked, memory_order_relaxed);
	if (complaint_clear(&device->silence, now_us, &lasted, &missed)) {
		struct log_about about = about_of(device);
		char length[LOG_LENGTH_SIZE];
		if (n_due > missed)
			missed = n_due;
		log_about(LOG_LEVEL_NOTICE, &about, "%s answers again after %s, %llu polls missed", device->told->path,
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

static void tell_read(
	struct telling *telling, const struct round *round, const struct planner_read *read, const struct reading *like)
{
	for (uint32_t i = read->first; i < read->first + read->n; i++) {
		if (round->items[i].metric == PLANNER_GUARD)
			continue;
		struct reading *reading = telling_next(telling);
		*reading = *like;
		reading->metric = round->items[i].metric;
	}
}

/* Each metric that the device has or may have. */
static void tell_all(struct telling *telling, struct device *device, const struct reading *like)
{
	for (uint32_t i = 0; i < device->told->n_metrics; i++) {
		uint32_t metric = device->told->first_metric + i;
		if (device->models && !models_have(device->models, &device->plan->metrics[metric]))
			continue;
		struct reading *reading = telling_next(telling);
		*reading = *like;
		reading->metric = metric;
	}
}

/* What the read was answered with, as far as the item needs it. */
static enum quality convert_item(const struct plan_metric *metric, const struct planner_read *read,
	const struct planner_item *item, const uint8_t *bytes, char text[static BF_STRING_MAX + 1],
	struct bf_value *ret_value)
{
	if (metric->n_models == 0)
		return convert_metric(metric, &read->place, bytes, text, ret_value);
	struct bf_place own = convert_place(metric); /* counts from its model, as the metric's places do */
	return convert_metric(metric, &own, bytes + 2 * (size_t)(item->place.at - read->place.at), text, ret_value);
}

static void tell_values(struct telling *telling, struct device *device, const struct planner_read *read,
	const uint8_t *bytes, int64_t wall_ms)
{
	char text[BF_STRING_MAX + 1];
	for (uint32_t i = read->first; i < read->first + read->n; i++) {
		const struct planner_item *item = &device->turn->items[i];
		if (item->metric == PLANNER_GUARD)
			continue;
		const struct plan_metric *metric = &device->plan->metrics[item->metric];
		/* A text lives in `text` until the batch is sent, so it is sent alone. */
		bool is_text = metric->shape.type == BF_TYPE_STRING;
		if (is_text)
			telling_send(telling, false);
		struct reading *reading = telling_next(telling);
		*reading = (struct reading){.metric = item->metric, .time_ms = wall_ms};
		reading->quality = convert_item(metric, read, item, bytes, text, &reading->value);
		if (is_text)
			telling_send(telling, false);
	}
}

static void log_models(const struct device *device)
{
	struct log_about about = about_of(device);
	const struct models *models = device->models;
	char list[CHAIN_MODELS_MAX * sizeof(" 65535") + 1] = " of none";
	size_t n = 0;
	if (models->walk.state == WALK_NONE) {
		log_about(LOG_LEVEL_WARNING, &about,
			"%s has no SunSpec models: \"SunS\" is at none of the holding registers %u, %u and %u",
			device->told->path, chain_bases[0], chain_bases[1], chain_bases[2]);
		return;
	}
	for (uint32_t i = 0; i < models->chain.n; i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, " %u", models->chain.models[i].id);
	log_about(LOG_LEVEL_NOTICE, &about, "%s has the SunSpec models%s, from holding register %u on",
		device->told->path, list, chain_bases[models->walk.base]);
	for (uint32_t i = 0; i < device->told->n_metrics; i++) {
		const struct plan_metric *metric = &device->plan->metrics[device->told->first_metric + i];
		if (!models_have(models, metric))
			log_about(LOG_LEVEL_NOTICE,
				&(struct log_about){.device = device->told->path, .topic = metric->topic},
				"%s: the device has no such model", metric->topic);
	}
}

/* After each question of the walk.  Once the chain is known the metrics get their places, and of those that have none
 * it is told why: as if the device had been asked for them and had refused. */
static void walked(struct telling *telling, struct device *device, int64_t wall_ms, int64_t now_us)
{
	struct models *models = device->models;
	if (!models_settle(models, device->plan, device->told, now_us) || !models->changed)
		return;
	rounds_place(&device->rounds, device->plan, &models->chain);
	log_models(device);
	for (uint32_t i = 0; i < device->told->n_metrics; i++) {
		uint32_t metric = device->told->first_metric + i;
		if (!models_have(models, &device->plan->metrics[metric]))
			*telling_next(telling) = (struct reading){.metric = metric,
				.quality = QUALITY_EXCEPTION,
				.code = LINE_ILLEGAL_ADDRESS,
				.time_ms = wall_ms};
	}
}

static void forget_models(struct device *device)
{
	struct log_about about = about_of(device);
	log_about(LOG_LEVEL_NOTICE, &about, "%s: its SunSpec models are not where they were, they are looked for again",
		device->told->path);
	models_forget(device->models);
}

/* The models are not where they were: what the turn has read, and has not, means nothing. */
static void moved(struct telling *telling, struct device *device, int64_t wall_ms)
{
	const struct round *round = device->turn;
	const struct reading like = {.quality = QUALITY_INVALID, .time_ms = wall_ms};
	forget_models(device);
	for (uint32_t r = round->next; r < round->n_reads; r++)
		tell_read(telling, round, &round->reads[r], &like);
}

bool device_answered(struct device *device, const struct line_answer *answer, int64_t wall_ms, int64_t now_us)
{
	struct round *round = device->turn;
	const struct planner_read *read = &round->reads[round->next];
	struct telling telling;
	telling_begin(&telling, device->sink, device->index, now_us);
	heard(&telling, device, now_us);
	round->marks[round->next] |= ROUND_ANSWERED;
	if (device_walks(device)) {
		walk_answered(&device->models->walk, answer->bytes);
		walked(&telling, device, wall_ms, now_us);
		telling_send(&telling, telling.batch.n > 0);
		return true;
	}
	bool agrees = !device->models || models_agree(device->models, round, read, answer->bytes);
	if (agrees)
		tell_values(&telling, device, read, answer->bytes, wall_ms);
	else
		moved(&telling, device, wall_ms);
	telling_send(&telling, !agrees || is_last(round, read));
	return agrees;
}

bool device_lost_model(struct device *device)
{
	const struct round *round = device->turn;
	const struct planner_read *read = &round->reads[round->next];
	if (!device->models || device_walks(device) || round_metrics(round, read) == read->n)
		return false;
	forget_models(device);
	return true;
}

/* What a device answers is damaged, poll after poll: that is no answer either. */
static void not_understood(struct telling *telling, struct device *device, int64_t now_us)
{
	struct log_about about = about_of(device);
	counts_bump(device->counts.checksum);
	counts_bump(device->counts.missed);
	device->missed += !device->turn->unheard;
	if (device->missed < DEVICE_POLLS_MISSED)
		return;
	if (complaint_raise(&device->silence, now_us))
		log_about(LOG_LEVEL_WARNING, &about, "%s: what it answers is damaged (unit address %u on bus %s)",
			device->told->path, device->told->address, device->plan->buses[device->told->bus].name);
	change_availability(telling, device, AVAILABILITY_OFFLINE);
}

static void not_heard(struct telling *telling, struct device *device, int64_t now_us)
{
	struct log_about about = about_of(device);
	counts_bump(device->counts.timeouts);
	counts_bump(device->counts.missed);
	device->missed++;
	if (complaint_raise(&device->silence, now_us))
		log_about(LOG_LEVEL_WARNING, &about, "%s does not answer (unit address %u on bus %s)",
			device->told->path, device->told->address, device->plan->buses[device->told->bus].name);
	if (device->missed >= DEVICE_POLLS_MISSED)
		change_availability(telling, device, AVAILABILITY_OFFLINE);
}

/* A question of the walk had no usable answer.  That the device has no such register is one of the answers that the
 * walk can use; whatever else it is, it holds for all metrics, since none is asked for before the walk is over. */
static void walk_failed(struct telling *telling, struct device *device, const struct reading *like)
{
	struct models *models = device->models;
	if (like->quality == QUALITY_EXCEPTION && like->code <= LINE_ILLEGAL_VALUE) { /* or no such function */
		walk_refused(&models->walk);
		walked(telling, device, like->time_ms, telling->batch.now_us);
		return;
	}
	if (like->quality == QUALITY_EXCEPTION)
		walk_put_off(&models->walk);
	else
		walk_missed(&models->walk);
	models->stuck = true;
	tell_all(telling, device, like);
}

void device_failed(
	struct device *device, enum quality quality, uint8_t code, bool rest, int64_t wall_ms, int64_t now_us)
{
	const struct round *round = device->turn;
	const struct planner_read *read = &round->reads[round->next];
	struct telling telling;
	struct reading like = {.quality = quality, .code = code, .time_ms = wall_ms};
	telling_begin(&telling, device->sink, device->index, now_us);
	switch (quality) {
	case QUALITY_EXCEPTION:
		counts_bump(device->counts.exceptions);
		heard(&telling, device, now_us);
		break;
	case QUALITY_TIMEOUT:
		not_heard(&telling, device, now_us);
		break;
	default:
		not_understood(&telling, device, now_us);
		break;
	}
	if (device_walks(device)) {
		walk_failed(&telling, device, &like);
		telling_send(&telling, telling.batch.n > 0);
		return;
	}
	tell_read(&telling, round, read, &like);
	while (rest && !is_last(round, read))
		tell_read(&telling, round, ++read, &like);
	telling_send(&telling, is_last(round, read));
}

void device_port_lost(struct device *device, int64_t wall_ms, int64_t now_us)
{
	struct telling telling;
	struct reading like = {.quality = QUALITY_OFFLINE, .time_ms = wall_ms};
	telling_begin(&telling, device->sink, device->index, now_us);
	change_availability(&telling, device, AVAILABILITY_OFFLINE);
	if (device->models && !device->models->placed) { /* they are in no round yet */
		tell_all(&telling, device, &like);
		telling_send(&telling, true);
		return;
	}
	for (uint32_t r = 0; r < device->rounds.n_rates; r++) { /* each metric that the device has is in one of these */
		const struct round *round = &device->rounds.list[r];
		for (uint32_t i = 0; i < round->n_reads; i++)
			tell_read(&telling, round, &round->reads[i], &like);
		telling_send(&telling, true);
	}
}
