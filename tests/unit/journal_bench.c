/*
 * The bench, see journal_bench.h.
 */
#include "journal_bench.h"
#include "ship/acked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

char folder[64], path[96];

int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/dev/shm/busferry-journal-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/buffer.db", folder);
	return 0;
}

int tear_down(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

struct journal *open_journal(struct journal_found *found)
{
	struct journal *journal = NULL;
	assert_int_equal(journal_open(path, MEGA, &journal, found), 0);
	return journal;
}

static char payloads[1000][64];

struct journal_row row_at(uint64_t sequence)
{
	char *payload = payloads[sequence % 1000];
	snprintf(payload, sizeof(payloads[0]), "{\"value\":%llu}", (unsigned long long)sequence);
	return (struct journal_row){
		.sequence = sequence,
		.message = {.topic = "home/ground/meter/voltage",
			.payload = payload,
			.payload_n = strlen(payload),
			.time_ms = 1764000000000 + (int64_t)sequence,
			.qos = 1 + sequence % 2,
			.retain = sequence % 3 == 0,
			.json = true,
			.expire_s = sequence % 5 == 0 ? 3600 : 0},
	};
}

uint64_t write_rows(struct journal *journal, uint64_t first, uint64_t n, bool drop_oldest)
{
	uint64_t dropped = 0;
	for (uint64_t done = 0; done < n;) {
		struct journal_row rows[100];
		size_t batch = 0;
		while (batch < 100 && done < n)
			rows[batch++] = row_at(first + done++);
		uint64_t more = 0;
		assert_int_equal(journal_write(journal, NULL, 0, rows, batch, drop_oldest, &more), 0);
		dropped += more;
	}
	return dropped;
}

bool read_row(void *user, const struct journal_row *row)
{
	struct reader *reader = user;
	struct journal_row expected = row_at(row->sequence);
	const struct message *a = &row->message, *b = &expected.message;
	assert_true(row->sequence > reader->last);
	reader->last = row->sequence;
	reader->n++;
	if (a->payload_n != b->payload_n || memcmp(a->payload, b->payload, a->payload_n) != 0 ||
		strcmp(a->topic, b->topic) != 0 || a->time_ms != b->time_ms || a->qos != b->qos ||
		a->retain != b->retain || a->json != b->json || a->expire_s != b->expire_s)
		reader->wrong++;
	return true;
}

struct reader read_all(struct journal *journal, uint64_t *damaged)
{
	struct reader reader = {0};
	assert_true(journal_read(journal, 1, INT64_MAX, 1000000, read_row, &reader, damaged) >= 0);
	return reader;
}

void drop_log(void)
{
	char wal[112];
	snprintf(wal, sizeof(wal), "%s-wal", path);
	assert_int_equal(unlink(wal), 0);
}

void note(const struct journal *journal, uint64_t first, uint64_t last)
{
	struct acked *acked = NULL;
	assert_int_equal(acked_open(journal_path(journal), journal_opening(journal), &acked), 0);
	for (uint64_t sequence = first; sequence <= last; sequence++)
		acked_note(acked, sequence);
	acked_write(acked);
	acked_close(acked);
}

struct reader look_at_all(void)
{
	struct journal *journal = NULL;
	struct reader reader = {0};
	uint64_t damaged = 0;
	assert_int_equal(journal_look(path, &journal), 0);
	assert_true(journal_peek(journal, 1, INT64_MAX, 1000000, read_row, &reader, &damaged) >= 0);
	assert_int_equal(reader.wrong + damaged, 0);
	journal_close(journal);
	return reader;
}
