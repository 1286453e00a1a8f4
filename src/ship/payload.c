/*
 * Payloads of readings.
 *
 * Why parts: of a payload only the value and the time differ from one reading to the next, so what lies between them
 * (unit, tags, keys, all escaped) is written once at start, in one arena.  A reading then costs a few copies and two
 * numbers.
 *
 * Invariant: a json payload is one object, its first byte is { and its last }, so that payload_mark can add to it.
 *
 * Thread: payload_init before the threads start; then any.
 *
 * Escapes of the influx line protocol: "Line protocol reference" of the InfluxDB OSS 2 manual, "Special characters":
 * comma, equals sign and space in tags and field keys; quote and backslash in field texts.
 */
#include "ship/payload.h"
#include "base/clock.h"
#include "ship/pen.h"

#include <stdatomic.h>
#include <sys/random.h>

/* `{"value":null,"quality":"exception","code":255`, time, clock, id, the closing brace. */
#define PAYLOAD_FRAME 192

#define SAME_LOOKED_FOR 16

void payload_ids_init(struct payload_ids *ids)
{
	uint32_t chance;
	/* Never waits: a Pi may start us before its random pool is ready, and then the clocks differ anyway. */
	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) != (ssize_t)sizeof(chance))
		chance = (uint32_t)clock_now(&clock_system) ^ (uint32_t)clock_system.wall_ms(&clock_system) << 16;
	for (int i = 0; i < 8; i++, chance >>= 4)
		ids->boot[i] = "0123456789abcdef"[chance & 15];
	ids->boot[8] = '\0';
	atomic_store_explicit(&ids->sequence, 0, memory_order_relaxed);
}

static void pen_tag(struct pen *pen, const char *key, const char *text, size_t n)
{
	if (n == 0) /* a tag without a value is no tag */
		return;
	pen_put(pen, ",", 1);
	pen_text(pen, key);
	pen_put(pen, "=", 1);
	pen_escape(pen, text, n, ", =");
}

static struct payload_part payload_keep(struct payload *payload, struct pen *pen)
{
	struct payload_part part = {arena_text_n(&payload->arena, pen->text, pen->n), pen->n};
	pen->n = 0;
	return part;
}

static struct payload_part payload_influx_device(
	struct payload *payload, const struct plan_device *device, struct pen *pen)
{
	const char *slash = strrchr(device->path, '/');
	const char *name = slash ? slash + 1 : device->path;
	pen_text(pen, "reading");
	pen_tag(pen, "site", payload->plan->site, strlen(payload->plan->site));
	pen_tag(pen, "path", device->path, slash ? (size_t)(slash - device->path) : 0);
	pen_tag(pen, "device", name, strlen(name));
	return payload_keep(payload, pen);
}

/* What stands around the value: before it in influx, behind it in json. */
static void payload_middle(struct payload *payload, const struct plan_metric *metric, struct pen *pen)
{
	switch (metric->delivery.payload) {
	case PAYLOAD_JSON:
		if (metric->unit) {
			pen_text(pen, ",\"unit\":");
			pen_json(pen, metric->unit, strlen(metric->unit));
		}
		pen_text(pen, ",\"time\":");
		break;
	case PAYLOAD_INFLUX: {
		const char *label = payload_label(payload->plan, metric);
		const struct payload_part *device = &payload->devices[metric->device];
		pen_put(pen, device->text, device->n);
		pen_tag(pen, "metric", label, strlen(label));
		pen_text(pen, " value=");
		break;
	}
	case PAYLOAD_PLAIN:
		break;
	}
}

/* Thousands of metrics have a handful of units between them: what is the same as one of the last few is kept once. */
static struct payload_part payload_keep_once(struct payload *payload, size_t metric, struct pen *pen)
{
	for (size_t i = metric; i > 0 && metric - i < SAME_LOOKED_FOR; i--) {
		struct payload_part *same = &payload->metrics[i - 1];
		if (same->n != pen->n || (pen->n && memcmp(same->text, pen->text, pen->n) != 0))
			continue;
		pen->n = 0;
		return *same;
	}
	return payload_keep(payload, pen);
}

const char *payload_label(const struct plan *plan, const struct plan_metric *metric)
{
	const char *device = plan->devices[metric->device].topic;
	size_t n = strlen(device);
	if (strncmp(metric->topic, device, n) == 0 && metric->topic[n] == '/' && metric->topic[n + 1])
		return metric->topic + n + 1;
	return metric->name;
}

/* Escaped, with what stands around it. */
static size_t unit_room(const char *unit)
{
	return 6 * strlen(unit) + sizeof(",\"unit\":\"\"");
}

void payload_init(struct payload *payload, const struct plan *plan)
{
	*payload = (struct payload){.plan = plan};
	payload_ids_init(&payload->own);
	payload->ids = &payload->own;
	payload->devices = arena_array(&payload->arena, plan->n_devices, sizeof(*payload->devices));
	payload->metrics = arena_array(&payload->arena, plan->n_metrics, sizeof(*payload->metrics));
	size_t size = PAYLOAD_READING_MAX;
	for (size_t i = 0; i < plan->n_metrics; i++)
		if (plan->metrics[i].unit && unit_room(plan->metrics[i].unit) + PAYLOAD_READING_MAX > size)
			size = unit_room(plan->metrics[i].unit) + PAYLOAD_READING_MAX;
	struct arena scratch = {0};
	struct pen pen = {.text = arena_alloc(&scratch, size), .size = size};
	for (size_t i = 0; i < plan->n_devices; i++)
		payload->devices[i] = payload_influx_device(payload, &plan->devices[i], &pen);
	for (size_t i = 0; i < plan->n_metrics; i++) {
		payload_middle(payload, &plan->metrics[i], &pen);
		payload->metrics[i] = payload_keep_once(payload, i, &pen);
	}
	arena_free(&scratch);
}

void payload_destroy(struct payload *payload)
{
	arena_free(&payload->arena);
}

size_t payload_value_room(const struct plan_metric *metric)
{
	size_t longest = metric->shape.type == BF_TYPE_STRING ? metric->shape.length : 0;
	for (size_t i = 0; i < metric->n_words; i++)
		if (strlen(metric->words[i].word) > longest)
			longest = strlen(metric->words[i].word);
	longest = longest * 6 + 3;
	return longest > BF_NUMBER_SIZE ? longest : BF_NUMBER_SIZE;
}

size_t payload_room(const struct payload *payload, uint32_t metric)
{
	return payload_value_room(&payload->plan->metrics[metric]) + payload->metrics[metric].n + PAYLOAD_FRAME;
}

/* The word of a number, or NULL. */
static const char *payload_word(const struct plan_metric *metric, const struct bf_value *value)
{
	int64_t number;
	if (value->kind == BF_SIGNED)
		number = value->i;
	else if (value->kind == BF_UNSIGNED && value->u <= INT64_MAX)
		number = (int64_t)value->u;
	else if (value->kind == BF_BOOLEAN)
		number = value->yes;
	else
		return NULL;
	size_t low = 0, high = metric->n_words;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (metric->words[middle].number == number)
			return metric->words[middle].word;
		if (metric->words[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static void pen_words(struct pen *pen, enum plan_payload format, const char *text, size_t n)
{
	switch (format) {
	case PAYLOAD_JSON:
		pen_json(pen, text, n);
		break;
	case PAYLOAD_PLAIN:
		pen_put(pen, text, n);
		break;
	case PAYLOAD_INFLUX:
		pen_put(pen, "\"", 1);
		pen_escape(pen, text, n, "\"\\");
		pen_put(pen, "\"", 1);
		break;
	}
}

int payload_value(const struct plan_metric *metric, const struct bf_value *value, enum plan_payload format,
	char *buffer, size_t size)
{
	struct pen pen = {.text = buffer, .size = size};
	if (value->kind == BF_TEXT) {
		pen_words(&pen, format, value->text.at, value->text.n);
		return pen_end(&pen);
	}
	const char *word = metric->n_words ? payload_word(metric, value) : NULL;
	if (word) {
		pen_words(&pen, format, word, strlen(word));
		return pen_end(&pen);
	}
	char number[BF_NUMBER_SIZE];
	int n = bf_value_print(value, metric->decimals, number);
	if (n < 0)
		return -EINVAL;
	pen_put(&pen, number, (size_t)n);
	return pen_end(&pen);
}

void payload_close(struct payload *payload, int64_t time_ms, struct pen *pen)
{
	if (!clock_plausible(time_ms))
		pen_text(pen, ",\"clock\":\"unset\"");
	if (payload->plan->ids) {
		uint64_t sequence = atomic_fetch_add_explicit(&payload->ids->sequence, 1, memory_order_relaxed) + 1;
		pen_text(pen, ",\"id\":\"");
		pen_put(pen, payload->ids->boot, 8);
		pen_put(pen, "-", 1);
		pen_int(pen, (int64_t)sequence);
		pen_put(pen, "\"", 1);
	}
	pen_put(pen, "}", 1);
}

/* The value by its format, behind what is there. */
static int pen_value(struct pen *pen, const struct plan_metric *metric, const struct bf_value *value)
{
	int n = payload_value(metric, value, metric->delivery.payload, pen->text + pen->n, pen->size - pen->n);
	if (n > 0)
		pen->n += (size_t)n;
	return n < 0 ? n : 0;
}

static int payload_json(struct payload *payload, const struct reading *reading, struct pen *pen)
{
	const struct plan_metric *metric = &payload->plan->metrics[reading->metric];
	const struct payload_part *middle = &payload->metrics[reading->metric];
	pen_text(pen, "{\"value\":");
	int error = reading->quality == QUALITY_GOOD ? pen_value(pen, metric, &reading->value) : 0;
	if (error == -ENOSPC)
		return error;
	if (reading->quality != QUALITY_GOOD || error) {
		enum quality quality = error ? QUALITY_INVALID : reading->quality;
		pen_text(pen, "null,\"quality\":\"");
		pen_text(pen, quality_word(quality));
		pen_put(pen, "\"", 1);
		if (quality == QUALITY_EXCEPTION) {
			pen_text(pen, ",\"code\":");
			pen_int(pen, reading->code);
		}
	}
	pen_put(pen, middle->text, middle->n);
	pen_int(pen, reading->time_ms);
	payload_close(payload, reading->time_ms, pen);
	return 0;
}

int payload_reading(struct payload *payload, const struct reading *reading, char *buffer, size_t size)
{
	const struct plan_metric *metric = &payload->plan->metrics[reading->metric];
	const struct payload_part *middle = &payload->metrics[reading->metric];
	enum plan_payload format = metric->delivery.payload;
	if (size == 0)
		return -ENOSPC;
	struct pen pen = {.text = buffer, .size = size - 1};
	int error;
	if (format == PAYLOAD_JSON) {
		error = payload_json(payload, reading, &pen);
	} else if (reading->quality != QUALITY_GOOD) {
		return -ENOMSG;
	} else {
		pen_put(&pen, middle->text, middle->n);
		error = pen_value(&pen, metric, &reading->value);
		if (format == PAYLOAD_INFLUX) {
			pen_put(&pen, " ", 1);
			pen_int(&pen, reading->time_ms);
			pen_text(&pen, "000000");
		}
	}
	if (error)
		return error == -EINVAL ? -ENOMSG : error;
	if (pen.overflow)
		return -ENOSPC;
	buffer[pen.n] = '\0';
	return (int)pen.n;
}

size_t payload_mark(char *payload, size_t n, size_t size, bool replayed, bool again)
{
	if ((!replayed && !again) || n < 2 || payload[0] != '{' || payload[n - 1] != '}')
		return n;
	bool comma = payload[n - 2] != '{';
	struct pen pen = {.text = payload, .size = size, .n = n - 1};
	static const char marks[2][17] = {",\"replayed\":true", ",\"again\":true"};
	const bool wanted[2] = {replayed, again};
	size_t room = 1;
	for (int i = 0; i < 2; i++)
		room += wanted[i] ? strlen(marks[i]) : 0;
	if (size - pen.n < room)
		return n;
	for (int i = 0; i < 2; i++) {
		if (!wanted[i])
			continue;
		pen_text(&pen, marks[i] + !comma);
		comma = true;
	}
	pen_put(&pen, "}", 1);
	return pen.n;
}
