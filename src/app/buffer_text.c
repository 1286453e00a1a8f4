/*
 * The buffer in JSON.  See buffer_text.h.
 */
#include "app/buffer_text.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <string.h>

#define ESCAPED      6 /* bytes that one byte of a text may take */
#define STATUS_BYTES 1024
#define FRAME_BYTES  128

size_t buffer_status_size(const struct buffer_facts *facts)
{
	return STATUS_BYTES + ESCAPED * (facts->limits->path ? strlen(facts->limits->path) : 0);
}

/* A count that only a running gateway knows. */
static void known(struct json *json, const struct buffer_facts *facts, const char *key, int64_t number)
{
	if (facts->running)
		json_int(json, key, number);
	else
		json_null(json, key);
}

static void dropped_json(struct json *json, const struct buffer_facts *facts)
{
	const struct outbox_counts *counts = &facts->counts;
	if (!facts->running) {
		json_null(json, "dropped");
		return;
	}
	json_object(json, "dropped");
	json_int(json, "full", (int64_t)counts->dropped_full);
	json_int(json, "offline", (int64_t)counts->dropped_offline);
	json_int(json, "refused", (int64_t)counts->dropped_refused);
	json_int(json, "expired", (int64_t)counts->dropped_expired);
	json_int(json, "superseded", (int64_t)counts->dropped_superseded);
	json_int(json, "damaged", (int64_t)counts->dropped_damaged);
	json_int(json, "command", (int64_t)counts->dropped_command);
	json_object_end(json);
}

static void limits_json(struct json *json, const struct buffer_facts *facts)
{
	const struct plan_buffer *limits = facts->limits;
	json_object(json, "limits");
	known(json, facts, "memory", facts->memory_max);
	if (limits->path)
		json_int(json, "max_size", limits->max_size);
	else
		json_null(json, "max_size");
	json_int(json, "max_age_s", limits->max_age_us / 1000000);
	json_text(json, "when_full", limits->when_full == WHEN_FULL_DROP_OLDEST ? "drop_oldest" : "drop_newest");
	json_object_end(json);
}

void buffer_status_json(struct json *json, const struct buffer_facts *facts)
{
	json_object(json, NULL);
	json_bool(json, "running", facts->running);
	if (facts->limits->path)
		json_text(json, "file", facts->limits->path);
	else
		json_null(json, "file");
	json_bool(json, "durable", facts->durable);
	json_int(json, "waiting", (int64_t)facts->waiting);
	known(json, facts, "in_flight", (int64_t)facts->in_flight);
	if (facts->oldest_ms && clock_plausible(facts->oldest_ms))
		json_int(json, "oldest", facts->oldest_ms);
	else
		json_null(json, "oldest");
	known(json, facts, "memory_bytes", facts->memory_bytes);
	if (facts->limits->path)
		json_int(json, "disk_bytes", facts->disk_bytes);
	else
		json_null(json, "disk_bytes");
	known(json, facts, "rows_written", (int64_t)facts->rows_written);
	json_int(json, "damaged", (int64_t)facts->damaged);
	limits_json(json, facts);
	dropped_json(json, facts);
	json_object_end(json);
}

size_t buffer_message_size(const struct outbox_view_message *message)
{
	return FRAME_BYTES + ESCAPED * (strlen(message->topic) + message->payload_n);
}

void buffer_message_json(struct json *json, const struct outbox_view_message *message)
{
	json_object(json, NULL);
	json_text(json, "topic", message->topic);
	if (utf8_valid(message->payload, message->payload_n))
		json_text_n(json, "payload", message->payload, message->payload_n);
	else
		json_base64(json, "payload_base64", message->payload, message->payload_n);
	json_int(json, "qos", message->qos);
	json_bool(json, "retain", message->retain);
	json_int(json, "time", message->time_ms);
	json_object_end(json);
}
