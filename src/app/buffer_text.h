/*
 * What is told of the buffer, in JSON: by the gateway over its control socket, and in the same words by the commands
 * that look at the file.  Pure; any thread.
 */
#ifndef APP_BUFFER_TEXT_H
#define APP_BUFFER_TEXT_H

#include "base/json.h"
#include "model/plan.h"
#include "ship/outbox_view.h"

struct buffer_facts {
	const struct plan_buffer *limits; /* with the path */
	bool running;                     /* told by a gateway; else from the file */
	bool durable;                     /* what waits is, or will be, on disk */
	uint64_t waiting, in_flight, damaged;
	int64_t oldest_ms; /* 0 = none */
	int64_t disk_bytes;
	int64_t memory_bytes, memory_max; /* only when running, as the rest */
	uint64_t rows_written;            /* to disk, since the start */
	struct outbox_counts counts;      /* of what was dropped */
};

/* Bytes that buffer_status_json may need. */
size_t buffer_status_size(const struct buffer_facts *facts);

/*
 * {"running":true,"file":"/var/lib/busferry/buffer.db","durable":true,"waiting":3,"in_flight":1,
 *  "oldest":1764000000123,"memory_bytes":290,"disk_bytes":16384,"rows_written":12,"damaged":0,
 *  "limits":{"memory":…,"max_size":…,"max_age_s":…,"when_full":"drop_oldest"},
 *  "dropped":{"full":0,"offline":0,"refused":0,"expired":0,"superseded":0,"damaged":0,"command":0}}
 *
 * All keys are always there; null is what is not known: without a gateway memory, in_flight, rows_written and dropped,
 * without a file its name, disk_bytes and limits.max_size if that bounds the memory.
 */
void buffer_status_json(struct json *json, const struct buffer_facts *facts);

/* Bytes that buffer_message_json may need. */
size_t buffer_message_size(const struct outbox_view_message *message);

/* {"topic":"home/meter/power","payload":"{\"value\":1}","qos":1,"retain":true,"time":1764000000123}; a payload that is
 * not UTF-8 stands as base64 under "payload_base64". */
void buffer_message_json(struct json *json, const struct outbox_view_message *message);

#endif
