/*
 * Rows to columns and back.  See journal_row.h.
 */
#include "ship/journal_row.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>

enum { FLAG_RETAIN = 4, FLAG_JSON = 8, FLAG_AGAIN = 16, FLAG_LATEST = 32 };

/*
 * The CRC-32 of sdk/check.h, four bytes a step (Kounavis and Berry, "Novel table lookup-based algorithms for
 * high-performance CRC generation", 2008): it is what a row costs most.  steps[k][byte] is the CRC of the byte and k
 * zeros.
 */
static uint32_t steps[4][256];
static pthread_once_t steps_once = PTHREAD_ONCE_INIT;

static void steps_init(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint32_t crc = i;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
		steps[0][i] = crc;
	}
	for (unsigned k = 1; k < 4; k++)
		for (unsigned i = 0; i < 256; i++)
			steps[k][i] = steps[k - 1][i] >> 8 ^ steps[0][steps[k - 1][i] & 255];
}

uint32_t journal_row_crc(uint32_t crc, const void *data, size_t n)
{
	const unsigned char *bytes = data;
	pthread_once(&steps_once, steps_init);
	crc = ~crc;
	for (; n >= 4; n -= 4, bytes += 4) {
		uint32_t word;
		memcpy(&word, bytes, sizeof(word));
		crc ^= le32toh(word);
		crc = steps[3][crc & 255] ^ steps[2][crc >> 8 & 255] ^ steps[1][crc >> 16 & 255] ^ steps[0][crc >> 24];
	}
	for (; n; n--, bytes++)
		crc = crc >> 8 ^ steps[0][(crc ^ *bytes) & 255];
	return ~crc;
}

static uint32_t crc_of(const struct journal_columns *columns)
{
	int64_t numbers[3] = {columns->id, columns->ts, columns->flags};
	uint32_t crc = journal_row_crc(0, numbers, sizeof(numbers));
	crc = journal_row_crc(crc, columns->topic, columns->topic_n);
	return journal_row_crc(crc, columns->body, columns->body_n);
}

void journal_row_pack(const struct journal_row *row, struct journal_columns *ret_columns)
{
	const struct message *message = &row->message;
	*ret_columns = (struct journal_columns){
		.id = (int64_t)row->sequence,
		.ts = message->time_ms,
		.flags = (int64_t)message->qos | (message->retain ? FLAG_RETAIN : 0) | (message->json ? FLAG_JSON : 0) |
			 (row->again ? FLAG_AGAIN : 0) | (message->latest_only ? FLAG_LATEST : 0) |
			 (int64_t)message->expire_s << 32,
		.topic = message->topic,
		.topic_n = strlen(message->topic),
		.body = message->payload_n ? message->payload : "",
		.body_n = message->payload_n,
	};
	ret_columns->crc = crc_of(ret_columns);
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
			.buffer = true,
			.latest_only = columns->flags & FLAG_LATEST,
			.kind = MESSAGE_READING},
		.again = columns->flags & FLAG_AGAIN,
	};
	return true;
}
