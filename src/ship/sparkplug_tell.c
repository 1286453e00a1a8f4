/*
 * The messages of a Sparkplug node.  See sparkplug_tell.h.
 *
 * Why a reading may be of the past although it was read in this session: a birth shows the newest value of a metric,
 * and what was put before and still waits must not come behind it as the present one.  So readings that are not newer
 * than what the birth told are historical, until nothing of that time waits any more: a clock that is set back must
 * not make all that follows history.
 *
 * Invariant: seq counts what was taken by the uplink, nothing else.
 */
#include "ship/sparkplug_tell.h"
#include "base/log.h"
#include "ship/payload.h"
#include "ship/sparkplug_command.h"
#include "ship/sparkplug_id.h"
#include "ship/sparkplug_type.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DATA_MAX  16384 /* bytes of a DDATA */
#define DATA_N    100   /* its metrics */
#define HEAD_ROOM 16    /* of a packet, for all but its payload and its topic, with an alias (MQTT 5, 3.3) */

struct sparkplug_said {
	int64_t birth_ms; /* of the value that the birth told; INT64_MIN = none that matters */
	int64_t last_ms;  /* of what was told last as present; 0 = nothing */
	bool bad;         /* its quality was told, and was not good */
};

/* ---- Publishing ---- */

int sparkplug_tell_publish(
	struct sparkplug_tell *tell, const char *type, const char *device_id, const void *bytes, size_t n)
{
	char topic[SPARKPLUG_TOPIC_MAX];
	int id;
	const struct plan_sparkplug *told = &tell->plan->sparkplug;
	sparkplug_topic(topic, told->group, type, told->node, device_id);
	const struct message message = {.topic = topic, .payload = bytes, .payload_n = n, .kind = MESSAGE_STANDING};
	const struct uplink_publish publish = {
		.message = &message, .payload = bytes, .payload_n = n, .recurs = strcmp(type, "DDATA") == 0};
	return tell->uplink->ops->publish(tell->uplink, &publish, &id);
}

static void begin(struct sparkplug_tell *tell, size_t size)
{
	int64_t time_ms = tell->clock->wall_ms(tell->clock);
	sparkplug_pack_begin(&tell->pack, tell->bytes, size, time_ms, tell->seq);
}

static int finish(struct sparkplug_tell *tell, const char *type, const char *device_id)
{
	int rc = sparkplug_tell_publish(tell, type, device_id, tell->pack.bytes, tell->pack.n);
	tell->pack = (struct sparkplug_pack){0};
	if (rc == 0)
		tell->seq++;
	return rc;
}

/* ---- Births and deaths ---- */

static struct sparkplug_metric of_node(const char *name, int64_t time_ms, enum sparkplug_type type, bool births)
{
	return (struct sparkplug_metric){
		.name = name, .time_ms = time_ms, .type = type, .births = births, .quality = -1};
}

size_t sparkplug_tell_death_payload(
	const struct sparkplug_tell *tell, uint8_t bd_seq, uint8_t bytes[static SPARKPLUG_DEATH_BYTES])
{
	struct sparkplug_pack pack;
	int64_t time_ms = tell->clock->wall_ms(tell->clock);
	struct sparkplug_metric metric = of_node("bdSeq", time_ms, SPARKPLUG_INT64, true);
	metric.value = (struct bf_value){.kind = BF_SIGNED, .i = bd_seq};
	sparkplug_pack_begin(&pack, bytes, SPARKPLUG_DEATH_BYTES, time_ms, -1);
	sparkplug_pack_add(&pack, &metric);
	return pack.n;
}

int sparkplug_tell_node_birth(struct sparkplug_tell *tell, uint8_t bd_seq, uint32_t maximum_packet)
{
	tell->seq = 0;
	tell->caught_up = false;
	size_t head = HEAD_ROOM + tell->topic_max, room = maximum_packet > head ? maximum_packet - head : 0;
	tell->data_max = maximum_packet && room < DATA_MAX ? room : DATA_MAX;
	for (size_t i = 0; i < tell->plan->n_devices; i++) {
		tell->devices[i].born = tell->devices[i].refused = false;
		tell->devices[i].dies_at = CLOCK_NEVER;
	}
	begin(tell, tell->size);
	int64_t time_ms = tell->clock->wall_ms(tell->clock);
	struct sparkplug_metric metric = of_node("bdSeq", time_ms, SPARKPLUG_INT64, true);
	metric.value = (struct bf_value){.kind = BF_SIGNED, .i = bd_seq};
	sparkplug_pack_add(&tell->pack, &metric);
	metric = of_node(SPARKPLUG_REBIRTH, time_ms, SPARKPLUG_BOOLEAN, true);
	metric.value = (struct bf_value){.kind = BF_BOOLEAN};
	sparkplug_pack_add(&tell->pack, &metric);
	return finish(tell, "NBIRTH", NULL);
}

static int quality_of(enum quality quality)
{
	return quality == QUALITY_GOOD                                    ? SPARKPLUG_QUALITY_GOOD
	       : quality == QUALITY_TIMEOUT || quality == QUALITY_OFFLINE ? SPARKPLUG_QUALITY_STALE
									  : SPARKPLUG_QUALITY_BAD;
}

/* A reading as its metric is told; false when its value can't be. */
static bool tell_value(const struct plan_metric *metric, const struct reading *reading, struct sparkplug_metric *told,
	char text[static BF_STRING_MAX + 1])
{
	told->time_ms = reading->time_ms;
	told->value = reading->value;
	told->quality = quality_of(reading->quality);
	bool good = reading->quality == QUALITY_GOOD && sparkplug_type_fit(metric, &told->value, text);
	if (!good)
		told->value = (struct bf_value){.kind = BF_NONE};
	if (!good && told->quality == SPARKPLUG_QUALITY_GOOD)
		told->quality = SPARKPLUG_QUALITY_BAD;
	return good;
}

/* What has no value has had none since something was told last: an answer may be on its way that came before now. */
static void add_birth(struct sparkplug_tell *tell, uint32_t index, bool stale)
{
	const struct plan_metric *metric = &tell->plan->metrics[index];
	const struct sparkplug_place *place = &tell->places[metric->device];
	uint32_t there = place->first_metric + (index - tell->plan->devices[metric->device].first_metric);
	struct sparkplug_said *said = &tell->said[index];
	struct sparkplug_metric told = {.name = payload_label(tell->plan, metric),
		.alias = (uint64_t)index + 1,
		.time_ms = said->last_ms ? said->last_ms : tell->since_ms,
		.type = sparkplug_type_of(metric),
		.births = true,
		.quality = SPARKPLUG_QUALITY_STALE};
	char text[BF_STRING_MAX + 1], fitted[BF_STRING_MAX + 1];
	struct reading reading;
	int64_t at_us;
	said->birth_ms = INT64_MIN;
	said->bad = true;
	if (!stale && board_look(place->board, there, text, &reading, &at_us)) {
		said->birth_ms = said->last_ms = reading.time_ms;
		said->bad = !tell_value(metric, &reading, &told, fitted);
		if (!said->bad)
			told.quality = -1;
	}
	sparkplug_pack_add(&tell->pack, &told);
}

int sparkplug_tell_birth(struct sparkplug_tell *tell, uint32_t index, bool stale)
{
	const struct plan_device *device = &tell->plan->devices[index];
	struct sparkplug_device *told = &tell->devices[index];
	tell->caught_up = false;
	begin(tell, tell->size);
	for (uint32_t i = 0; i < device->n_metrics; i++)
		add_birth(tell, device->first_metric + i, stale);
	int rc = finish(tell, "DBIRTH", told->id);
	told->born = rc == 0;
	if (rc == -EMSGSIZE && !told->complained)
		log_about(LOG_LEVEL_ERROR, &(struct log_about){.device = device->path},
			"sparkplug: %s: its birth is longer than the broker takes: nothing of it is told",
			device->path);
	told->refused = rc == -EMSGSIZE;
	told->complained = told->refused || (told->complained && !told->born);
	return rc;
}

int sparkplug_tell_death(struct sparkplug_tell *tell, uint32_t index)
{
	struct sparkplug_device *told = &tell->devices[index];
	begin(tell, tell->size);
	int rc = finish(tell, "DDEATH", told->id);
	if (rc == 0) {
		told->born = false;
		told->dies_at = CLOCK_NEVER;
	}
	return rc;
}

/* ---- Data ---- */

int sparkplug_tell_add(struct sparkplug_tell *tell, const struct reading *reading, bool past)
{
	const struct plan_metric *metric = &tell->plan->metrics[reading->metric];
	struct sparkplug_said *said = &tell->said[reading->metric];
	char text[BF_STRING_MAX + 1];
	bool newer = tell->caught_up || reading->time_ms > said->birth_ms;
	struct sparkplug_metric told = {.alias = (uint64_t)reading->metric + 1,
		.type = sparkplug_type_of(metric),
		.historical = past || !newer};
	bool good = tell_value(metric, reading, &told, text);
	if (good && (told.historical || !said->bad))
		told.quality = -1;
	if (tell->pack.n_metrics == DATA_N)
		return -ENOSPC;
	if (tell->pack.n_metrics == 0) {
		begin(tell, tell->data_max);
		tell->device = metric->device;
	}
	int rc = sparkplug_pack_add(&tell->pack, &told);
	if (rc == 0 && !told.historical) {
		said->bad = !good;
		said->birth_ms = INT64_MIN;
		said->last_ms = reading->time_ms;
	}
	return rc;
}

int sparkplug_tell_send(struct sparkplug_tell *tell)
{
	if (tell->pack.n_metrics == 0)
		return 0;
	return finish(tell, "DDATA", tell->devices[tell->device].id);
}

/* ---- Finding ---- */

struct wanted_topic {
	const struct plan *plan;
	const char *topic;
};

static int by_wanted_topic(const void *key, const void *element)
{
	const struct wanted_topic *wanted = key;
	return strcmp(wanted->topic, wanted->plan->metrics[*(const uint32_t *)element].topic);
}

ptrdiff_t sparkplug_tell_find(const struct sparkplug_tell *tell, const char *topic)
{
	const struct wanted_topic wanted = {tell->plan, topic};
	const uint32_t *found =
		bsearch(&wanted, tell->by_topic, tell->plan->n_metrics, sizeof(*found), by_wanted_topic);
	return found ? (ptrdiff_t)*found : -1;
}

/* ---- Life ---- */

static int by_topic(const void *a, const void *b, void *user)
{
	const struct plan *plan = user;
	return strcmp(plan->metrics[*(const uint32_t *)a].topic, plan->metrics[*(const uint32_t *)b].topic);
}

/* The longest text that the metric can have. */
static size_t text_bytes(const struct plan_metric *metric)
{
	size_t n = sparkplug_type_of(metric) == SPARKPLUG_STRING ? BF_STRING_MAX : 0;
	for (uint32_t i = 0; i < metric->n_words; i++)
		n = strlen(metric->words[i].word) > n ? strlen(metric->words[i].word) : n;
	return n;
}

/* The longest birth. */
static size_t birth_bytes(const struct plan *plan)
{
	size_t most = DATA_MAX;
	for (size_t d = 0; d < plan->n_devices; d++) {
		const struct plan_device *device = &plan->devices[d];
		size_t n = SPARKPLUG_METRIC_BYTES;
		for (size_t i = device->first_metric; i < device->first_metric + device->n_metrics; i++) {
			n += SPARKPLUG_METRIC_BYTES + strlen(payload_label(plan, &plan->metrics[i])) +
			     text_bytes(&plan->metrics[i]);
		}
		most = n > most ? n : most;
	}
	return most;
}

static int init_devices(struct sparkplug_tell *tell)
{
	const struct plan_sparkplug *told = &tell->plan->sparkplug;
	for (size_t i = 0; i < tell->plan->n_devices; i++) {
		char id[SPARKPLUG_ID_MAX + 1], topic[SPARKPLUG_TOPIC_MAX];
		sparkplug_id_of(tell->plan->devices[i].path, id);
		sparkplug_topic(topic, told->group, "DDATA", told->node, id);
		if (strlen(topic) > tell->topic_max)
			tell->topic_max = strlen(topic);
		tell->devices[i] = (struct sparkplug_device){.id = strdup(id), .dies_at = CLOCK_NEVER};
		if (!tell->devices[i].id)
			return -ENOMEM;
	}
	return 0;
}

int sparkplug_tell_init(struct sparkplug_tell *tell, const struct plan *plan, const struct sparkplug_place *places,
	const struct clock *clock, struct uplink *uplink)
{
	*tell = (struct sparkplug_tell){.plan = plan, .places = places, .clock = clock, .uplink = uplink};
	tell->since_ms = clock->wall_ms(clock);
	tell->size = birth_bytes(plan);
	tell->bytes = malloc(tell->size);
	tell->devices = calloc(plan->n_devices + 1, sizeof(*tell->devices));
	tell->said = calloc(plan->n_metrics + 1, sizeof(*tell->said));
	tell->by_topic = calloc(plan->n_metrics + 1, sizeof(*tell->by_topic));
	if (!tell->bytes || !tell->devices || !tell->said || !tell->by_topic || init_devices(tell) < 0) {
		sparkplug_tell_destroy(tell);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < plan->n_metrics; i++)
		tell->by_topic[i] = i;
	qsort_r(tell->by_topic, plan->n_metrics, sizeof(*tell->by_topic), by_topic, (void *)(uintptr_t)plan);
	return 0;
}

void sparkplug_tell_destroy(struct sparkplug_tell *tell)
{
	for (size_t i = 0; tell->devices && i < tell->plan->n_devices; i++)
		free((char *)(uintptr_t)tell->devices[i].id);
	free(tell->devices);
	free(tell->said);
	free(tell->by_topic);
	free(tell->bytes);
	*tell = (struct sparkplug_tell){0};
}
