/*
 * How a reading looks on the wire to the broker: json, plain and influx line protocol.  The shapes are those of the
 * contract, section 2, to the letter; nothing here allocates after payload_init, and nothing prints through stdio.
 *
 * payload_reading may be called from any thread.
 */
#ifndef SHIP_PAYLOAD_H
#define SHIP_PAYLOAD_H

#include "base/arena.h"
#include "model/plan.h"
#include "model/reading.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pen;

/* Room for the payload of nearly any reading: a text of BF_STRING_MAX bytes, escaped, or the longest topic as tags.
 * Long units and words of an enum need more: payload_room. */
#define PAYLOAD_READING_MAX 4096

/* A text that is the same in every payload of a metric or device. */
struct payload_part {
	const char *text;
	size_t n;
};

/* What ids of readings are made of.  All payloads of one process that live at once share one. */
struct payload_ids {
	char boot[9]; /* eight hex digits by chance for each start of the process */
	_Atomic uint64_t sequence;
};

struct payload {
	const struct plan *plan;
	struct payload_part *metrics; /* json: `,"unit":"V","time":`; influx: all before the value; plain: nothing */
	struct payload_part *devices; /* influx: `reading,site=home,path=ground,device=meter` */
	struct payload_ids own, *ids;
	struct arena arena;
};

void payload_ids_init(struct payload_ids *ids);

/* The plan outlives the payload, which is not moved.  Its ids are its own, unless others are set. */
void payload_init(struct payload *payload, const struct plan *plan);
void payload_destroy(struct payload *payload);

/* The longest text that a value of the metric can take in any format: each byte may become \uXXXX. */
size_t payload_value_room(const struct plan_metric *metric);

/* Bytes that are enough for any payload of the metric, its NUL included. */
size_t payload_room(const struct payload *payload, uint32_t metric);

/*
 * Writes the payload of one reading, in the format of its metric, NUL-terminated.  Returns its length; -ENOMSG when
 * the format has no words for it (a reading that is not good, in plain and influx); -ENOSPC.
 */
int payload_reading(struct payload *payload, const struct reading *reading, char *buffer, size_t size);

/*
 * Writes a good value as it stands in that format: json `230.1`, `true`, `"heating"`; plain without quotes; influx as a
 * field.  An integer or boolean that has a word in the metric's enum is told by the word.
 * Returns the length, not NUL-terminated; -EINVAL for what has no text (BF_NONE, NaN); -ENOSPC.
 */
int payload_value(const struct plan_metric *metric, const struct bf_value *value, enum plan_payload format,
	char *buffer, size_t size);

/* Ends a json payload: `"clock":"unset"` when the time cannot be right, `"id"` when the plan has ids, `}`. */
void payload_close(struct payload *payload, int64_t time_ms, struct pen *pen);

/* What names a metric within its device: its topic without the device's. */
const char *payload_label(const struct plan *plan, const struct plan_metric *metric);

/* Adds "replayed":true and "again":true before the closing brace of a json object of n bytes.  Returns the new length;
 * n when there is nothing to add, no object, or no room. */
size_t payload_mark(char *payload, size_t n, size_t size, bool replayed, bool again);

#endif
