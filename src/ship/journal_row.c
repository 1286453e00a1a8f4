/*
 * Rows to columns and back.  See journal_row.h.
 */
#include "ship/journal_row.h"
#include "base/clock.h"
#include "sdk/check.h"

#include <string.h>

enum { FLAG_RETAIN = 4, FLAG_JSON = 8, FLAG_AGAIN = 16, FLAG_LATEST = 32, FLAG_UNSET = 64, FLAG_LINE = 128 };

/* Where the instant and the boot of a reading lie that was read while the clock was not set. */
#define INSTANT_MASK   (((int64_t)1 << 40) - 1) /* 34 years */
#define BOOT_LOW_BITS  23
#define BOOT_LOW_SHIFT 40
#define BOOT_LOW_MASK  (((uint64_t)1 << BOOT_LOW_BITS) - 1)
#define BOOT_TOP_SHIFT 8
#define BOOT_TOP_MASK  ((uint64_t)0xffffff)

_Static_assert(BOOT_LOW_BITS + 24 == CLOCK_BOOT_BITS, "a boot has its place in the row");

static uint32_t crc_of(const struct journal_columns *columns)
{
	int64_t numbers[3] = {columns->id, columns->ts, columns->flags};
	uint32_t crc = bf_crc32(0, (const uint8_t *)numbers, sizeof(numbers));
	crc = bf_crc32(crc, (const uint8_t *)columns->topic, columns->topic_n);
	return bf_crc32(crc, columns->body, columns->body_n);
}

void journal_row_pack(const struct journal_row *row, struct journal_columns *ret_columns)
{
	const struct message *message = &row->message;
	*ret_columns = (struct journal_columns){
		.id = (int64_t)row->sequence,
		.ts = message->time_ms,
		.flags = (int64_t)message->qos | (message->retain ? FLAG_RETAIN : 0) | (message->json ? FLAG_JSON : 0) |
			 (row->again ? FLAG_AGAIN : 0) | (message->latest_only ? FLAG_LATEST : 0) |
			 (message->line ? FLAG_LINE : 0) | (int64_t)message->expire_s << 32,
		.topic = message->topic,
		.topic_n = strlen(message->topic),
		.body = message->payload_n ? message->payload : "",
		.body_n = message->payload_n,
	};
	if (row->boot) {
		ret_columns->ts = (message->put_at / 1000 & INSTANT_MASK) |
				  (int64_t)((row->boot & BOOT_LOW_MASK) << BOOT_LOW_SHIFT);
		ret_columns->flags |=
			FLAG_UNSET | (int64_t)((row->boot >> BOOT_LOW_BITS & BOOT_TOP_MASK) << BOOT_TOP_SHIFT);
	}
	ret_columns->crc = crc_of(ret_columns);
}

static void unpack_unset(const struct journal_columns *columns, struct journal_row *row)
{
	uint64_t low = (uint64_t)columns->ts >> BOOT_LOW_SHIFT & BOOT_LOW_MASK;
	row->boot = low | ((uint64_t)columns->flags >> BOOT_TOP_SHIFT & BOOT_TOP_MASK) << BOOT_LOW_BITS;
	row->message.put_at = (columns->ts & INSTANT_MASK) * 1000;
	row->message.time_ms = 0;
}

bool journal_row_unpack(const struct journal_columns *columns, struct journal_row *ret_row)
{
	if (!columns->topic || columns->id <= 0 || columns->topic_n == 0 || columns->topic_n > MESSAGE_TOPIC_MAX ||
		columns->body_n > MESSAGE_PAYLOAD_MAX || (columns->flags & 3) == 3 || crc_of(columns) != columns->crc)
		return false;
	*ret_row = (struct journal_row){
		.sequence = (uint64_t)columns->id,
		.message = {.topic = columns->topic,
			.payload = columns->body_n ? columns->body : "",
			.payload_n = columns->body_n,
			.time_ms = columns->ts,
			.expire_s = (uint32_t)(columns->flags >> 32),
			.qos = (uint8_t)(columns->flags & 3),
			.retain = columns->flags & FLAG_RETAIN,
			.json = columns->flags & FLAG_JSON,
			.line = columns->flags & FLAG_LINE,
			.buffer = true,
			.latest_only = columns->flags & FLAG_LATEST,
			.kind = MESSAGE_READING},
		.again = columns->flags & FLAG_AGAIN,
	};
	if (columns->flags & FLAG_UNSET)
		unpack_unset(columns, ret_row);
	return true;
}
