/*
 * Readings of the time before the clock was set, and clocks that jump: outbox, store and journal in virtual time, over
 * restarts of the process and of the machine.
 */
#include "ship/outbox_store.h"
#include "ship/outbox_view.h"
#include "ship/payload_date.h"
#include "ship/store.h"
#include "virtual_clock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define S   ((int64_t)1000000)
#define SET INT64_C(2764000000000) /* the wall time at the monotonic instant 0, once the clock is set */

struct stage {
	char folder[64], path[96];
	struct plan_buffer buffer;
	struct outbox *outbox;
	struct store *store;
	char *view_bytes;
	unsigned n_put;
};

static char copy[OUTBOX_MESSAGE_BYTES];

static void stage_open(struct stage *stage)
{
	assert_int_equal(outbox_init(&stage->buffer, 32 << 20, &virtual_clock, &stage->outbox), 0);
	assert_int_equal(store_init(&stage->buffer, stage->outbox, &virtual_clock, &stage->store), 0);
}

static void stage_set(struct stage *stage, int64_t max_age_us)
{
	*stage = (struct stage){0};
	snprintf(stage->folder, sizeof(stage->folder), "/dev/shm/busferry-clock-XXXXXX");
	assert_non_null(mkdtemp(stage->folder));
	snprintf(stage->path, sizeof(stage->path), "%s/buffer.db", stage->folder);
	stage->buffer = (struct plan_buffer){
		.path = stage->path, .path_given = true, .max_size = 16 << 20, .sync_us = S, .max_age_us = max_age_us};
	virtual_now = 10 * S;
	virtual_wall_ms = 0;
	virtual_boot = UINT64_C(0x3fedcba98765);
	stage_open(stage);
}

/* What a kill leaves. */
static void stage_kill(struct stage *stage)
{
	store_destroy(stage->store);
	outbox_destroy(stage->outbox);
}

static void stage_clear(struct stage *stage)
{
	char command[128];
	stage_kill(stage);
	snprintf(command, sizeof(command), "rm -rf %s", stage->folder);
	assert_int_equal(system(command), 0);
}

enum shape { JSON, ROUND, LINE, PLAIN, N_SHAPES };

/* A payload of that shape, at a time, as payload.c writes it. */
static int print(char *text, size_t size, enum shape shape, unsigned number, int64_t time_ms)
{
	const char *mark = clock_plausible(time_ms) ? "" : ",\"clock\":\"unset\"";
	long long time = time_ms;
	switch (shape) {
	case JSON:
		return snprintf(text, size, "{\"value\":%u,\"unit\":\"\\\"time\\\":1\",\"time\":%lld%s,\"id\":\"0-1\"}",
			number, time, mark);
	case ROUND:
		return snprintf(text, size, "{\"time\":%lld,\"values\":{\"time\":%u,\"clock\":\"unset\"}%s}", time,
			number, mark);
	case LINE:
		return snprintf(text, size, "reading,site=h value=\"%u 5000000\" %lld000000", number, time);
	default:
		return snprintf(text, size, "%u 5000000", number);
	}
}

/* Puts one of each shape. */
static void put(struct stage *stage)
{
	struct message_sink *sink = outbox_sink(stage->outbox);
	for (unsigned shape = 0; shape < N_SHAPES; shape++) {
		char text[256];
		unsigned number = stage->n_put++;
		virtual_now += S;
		struct message message = {.topic = "home/meter",
			.payload = text,
			.payload_n = (size_t)print(text, sizeof(text), shape, number, virtual_time_ms()),
			.time_ms = virtual_time_ms(),
			.put_at = virtual_now,
			.qos = 1,
			.json = shape == JSON || shape == ROUND,
			.line = shape == LINE,
			.buffer = true};
		assert_int_equal(sink->put(sink, &message), 0);
	}
	sink->flush(sink);
}

static void tick(struct stage *stage, int64_t us)
{
	int64_t end = virtual_now + us;
	for (int64_t wake = virtual_now; wake < end;) {
		virtual_now = wake > virtual_now ? wake : virtual_now + 1000;
		wake = store_step(stage->store, virtual_now);
	}
	virtual_now = end;
}

/* The next one that leaves is that number, and shows that time. */
static void comes(struct stage *stage, unsigned number, int64_t time_ms)
{
	struct outbox_message message;
	char right[256];
	int error = outbox_next(stage->outbox, NULL, copy, &message);
	for (int turns = 0; error && turns < 3; turns++) {
		tick(stage, S / 10);
		error = outbox_next(stage->outbox, NULL, copy, &message);
	}
	assert_int_equal(error, 0);
	int n = print(right, sizeof(right), number % N_SHAPES, number, time_ms);
	assert_int_equal(message.message.payload_n, n);
	assert_memory_equal(message.message.payload, right, (size_t)n);
	outbox_done(stage->outbox, false, message.sequence, OUTBOX_ACKNOWLEDGED);
}

/* Number n was read at 11 + n s. */
static int64_t read_at(unsigned number)
{
	return (11 + (int64_t)number) * 1000;
}

static void come(struct stage *stage, unsigned first, unsigned last, int64_t offset_ms)
{
	for (unsigned i = first; i <= last; i++)
		comes(stage, i, offset_ms + read_at(i));
}

static void test_shapes(void **state)
{
	(void)state;
	for (unsigned shape = 0; shape < N_SHAPES; shape++) {
		static const int64_t times[] = {0, 5000, 1234567890123, -1577836800000};
		for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
			char text[256], right[256];
			int n = print(text, sizeof(text), shape, 7, times[i]);
			int n_right = print(right, sizeof(right), shape, 7, SET);
			size_t n_now = payload_date(text, (size_t)n, (size_t)n + PAYLOAD_DATE_GROWS,
				shape == JSON || shape == ROUND, shape == LINE, SET);
			assert_int_equal(n_now, n_right);
			assert_memory_equal(text, right, n_now);
		}
	}
}

/* What is not marked, or no payload of ours, stays as it is. */
static void test_others_stay(void **state)
{
	(void)state;
	static const char *const texts[] = {"{\"value\":1,\"time\":5}", "{\"value\":1,\"clock\":\"unset\"}",
		"{\"time\":5, \"clock\":\"unset\"}", "{\"time\":5,\"clock\":\"wrong\"}",
		"{\"time\":5,\"clock\":\"unset\"", "", "{", "reading value=1", "5000000000", "reading value=1 -", " "};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		for (int json = 0; json < 2; json++) {
			char text[64];
			size_t n = strlen(texts[i]);
			memcpy(text, texts[i], n);
			assert_int_equal(payload_date(text, n, sizeof(text), json, !json, SET), n);
			assert_memory_equal(text, texts[i], n);
		}
	char line[] = "reading value=1 5000000";
	assert_int_equal(payload_date(line, 23, 23, false, true, SET), 23); /* no room */
}

static void test_memory(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, 0);
	put(&stage);
	put(&stage);
	outbox_connected(stage.outbox);
	come(&stage, 0, 3, 0); /* the broker is there: they go as they are */
	virtual_wall_ms = SET;
	put(&stage);
	come(&stage, 4, 11, SET);
	stage_clear(&stage);
}

/* A clock that was set wrong first, and then better. */
static void test_set_in_steps(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, 0);
	put(&stage);
	tick(&stage, 5 * S);
	virtual_wall_ms = SET - 86400000;
	tick(&stage, 5 * S);
	virtual_wall_ms = SET;
	tick(&stage, 5 * S);
	stage_kill(&stage);
	virtual_now = S;
	virtual_boot++;
	stage_open(&stage);
	outbox_connected(stage.outbox);
	come(&stage, 0, 3, SET);
	stage_clear(&stage);
}

/* A restart in the same boot, before and after the clock is set. */
static void test_restart(void **state)
{
	(void)state;
	for (int before = 0; before < 2; before++) {
		struct stage stage;
		stage_set(&stage, 0);
		put(&stage);
		tick(&stage, 3 * S);
		if (before)
			virtual_wall_ms = SET;
		stage_kill(&stage);
		virtual_now += 60 * S;
		stage_open(&stage);
		struct outbox_counts counts;
		tick(&stage, 12 * S);
		outbox_counts(stage.outbox, &counts);
		assert_int_equal(counts.oldest_ms, before ? SET + read_at(0) : 0);
		virtual_wall_ms = SET;
		tick(&stage, 12 * S);
		outbox_counts(stage.outbox, &counts);
		assert_int_equal(counts.oldest_ms, SET + read_at(0));
		outbox_connected(stage.outbox);
		come(&stage, 0, 3, SET);
		stage_clear(&stage);
	}
}

/* They were read back while the clock was not set, and wait in memory when it is. */
static void test_read_back(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, 0);
	put(&stage);
	tick(&stage, 3 * S);
	stage_kill(&stage);
	stage_open(&stage);
	outbox_connected(stage.outbox);
	tick(&stage, S);
	comes(&stage, 0, read_at(0));
	virtual_wall_ms = SET;
	come(&stage, 1, 3, SET);
	stage_clear(&stage);
}

/* Another boot: only what was known of the clock in that one counts. */
static void test_another_boot(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, 0);
	put(&stage);
	tick(&stage, 3 * S);
	stage_kill(&stage);
	virtual_now = 10 * S;
	virtual_boot ^= (uint64_t)1 << 46;
	virtual_wall_ms = SET;
	stage_open(&stage);
	stage.n_put = 4;
	tick(&stage, S);
	outbox_connected(stage.outbox);
	come(&stage, 0, 3, 0);
	stage_clear(&stage);
}

static void test_set_before_the_next_boot(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, 0);
	put(&stage);
	tick(&stage, 3 * S);
	stage_kill(&stage);
	virtual_now += 10 * S;
	stage_open(&stage); /* another process of the same boot sees the clock set */
	virtual_wall_ms = SET;
	tick(&stage, 12 * S);
	stage_kill(&stage);
	virtual_now = 5 * S;
	virtual_boot = 77;
	virtual_wall_ms = 0;
	stage_open(&stage);
	outbox_connected(stage.outbox);
	come(&stage, 0, 3, SET);
	stage_clear(&stage);
}

/* A damaged file: the notes of clocks go into the new one. */
static void test_rescued(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, 0);
	put(&stage);
	tick(&stage, 3 * S);
	virtual_wall_ms = SET;
	tick(&stage, 12 * S);
	stage_kill(&stage);
	int fd = open(stage.path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\0\0\0\1", 4, 68), 4); /* the application id: foreign */
	close(fd);
	virtual_now = 5 * S;
	virtual_boot++;
	stage_open(&stage);
	outbox_connected(stage.outbox);
	come(&stage, 0, 3, SET);
	stage_clear(&stage);
}

/* As somebody sees them who looks. */
static void test_view(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, 0);
	put(&stage);
	virtual_wall_ms = SET;
	struct outbox_view *view = calloc(1, sizeof(*view));
	assert_int_equal(outbox_view_pull(view, stage.outbox, NULL), 0);
	for (int where = 0; where < 2; where++) {
		assert_int_equal(view->n, 4);
		for (unsigned i = 0; i < 4; i++) {
			char right[256];
			int n = print(right, sizeof(right), i, i, SET + read_at(i));
			assert_int_equal(view->messages[i].time_ms, SET + read_at(i));
			assert_int_equal(view->messages[i].payload_n, n);
			assert_memory_equal(view->messages[i].payload, right, (size_t)n);
		}
		assert_int_equal(view->oldest_ms, SET + read_at(0));
		if (where == 1)
			break;
		tick(&stage, 3 * S);
		stage_kill(&stage);
		struct journal *journal = NULL;
		*view = (struct outbox_view){0};
		assert_int_equal(journal_look(stage.path, &journal), 0);
		assert_int_equal(outbox_view_pull(view, NULL, journal), 0); /* of the file alone, by its note */
		journal_close(journal);
		stage_open(&stage);
	}
	free(view);
	stage_clear(&stage);
}

/* Nothing grows too old by a time that is not true; by its own instant it does. */
static void test_age(void **state)
{
	(void)state;
	const int64_t offsets[] = {0, SET, SET - 50 * INT64_C(31557600000)};
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct stage stage;
		stage_set(&stage, 100 * S);
		put(&stage);
		tick(&stage, 3 * S);
		stage_kill(&stage);
		virtual_wall_ms = offsets[i];
		stage_open(&stage);
		tick(&stage, 60 * S);
		struct outbox_counts counts;
		outbox_counts(stage.outbox, &counts);
		assert_int_equal(counts.dropped_expired, 0);
		assert_int_equal(counts.waiting, 4);
		tick(&stage, 60 * S);
		outbox_counts(stage.outbox, &counts);
		assert_int_equal(counts.dropped_expired, 4);
		stage_clear(&stage);
	}
}

/* A clock that jumps while a backlog waits and is sent: nothing is lost by its age, and order is that of reading. */
static void test_jumps(void **state)
{
	(void)state;
	static const int64_t jumps_ms[] = {86400000, -3600000, -50 * INT64_C(31557600000), 50 * INT64_C(31557600000)};
	for (size_t i = 0; i < sizeof(jumps_ms) / sizeof(jumps_ms[0]); i++) {
		struct stage stage;
		stage_set(&stage, 3600 * S);
		stage_kill(&stage);
		virtual_wall_ms = SET;
		stage_open(&stage);
		put(&stage);
		tick(&stage, 3 * S);
		stage_kill(&stage); /* so that they are on disk alone */
		stage_open(&stage);
		tick(&stage, 12 * S);
		virtual_wall_ms = SET + jumps_ms[i];
		tick(&stage, 60 * S);
		struct outbox_counts counts;
		outbox_counts(stage.outbox, &counts);
		assert_int_equal(counts.dropped_expired, 0);
		outbox_connected(stage.outbox);
		come(&stage, 0, 1, SET);
		virtual_wall_ms = SET;
		come(&stage, 2, 3, SET);
		stage_clear(&stage);
	}
}

/* What a clock says for an hour counts. */
static void test_a_jump_that_stays(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, 86400 * S);
	stage_kill(&stage);
	virtual_wall_ms = SET;
	stage_open(&stage);
	put(&stage);
	tick(&stage, 3 * S);
	stage_kill(&stage);
	stage_open(&stage);
	tick(&stage, 12 * S);
	virtual_wall_ms = SET + 10 * INT64_C(86400000);
	struct outbox_counts counts;
	tick(&stage, 3500 * S);
	outbox_counts(stage.outbox, &counts);
	assert_int_equal(counts.waiting, 4);
	tick(&stage, 200 * S);
	outbox_counts(stage.outbox, &counts);
	assert_int_equal(counts.dropped_expired, 4);
	stage_clear(&stage);
}

/* Notes of more boots than are kept, and none when nothing waits. */
static void test_notes(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, 0);
	stage_kill(&stage);
	struct journal *journal = NULL;
	struct journal_found found;
	struct journal_clock clocks[JOURNAL_CLOCKS];
	size_t n = 9;
	assert_int_equal(journal_open(stage.path, 16 << 20, &journal, &found), 0);
	assert_int_equal(journal_clocks(journal, clocks, &n), 0);
	assert_int_equal(n, 0);
	for (unsigned i = 1; i <= 20; i++) {
		assert_int_equal(journal_note_clock(journal, &(struct journal_clock){i, 0}), 0);
		if (i != 15)
			assert_int_equal(journal_note_clock(journal, &(struct journal_clock){i, SET + i}), 0);
	}
	assert_int_equal(journal_note_clock(journal, &(struct journal_clock){21, 0}), 0);
	assert_int_equal(journal_clocks(journal, clocks, &n), 0);
	assert_int_equal(n, JOURNAL_CLOCKS);
	assert_true(clocks[0].boot == 21 && clocks[0].offset_ms == 0);
	assert_true(clocks[7].boot == 20 && clocks[7].offset_ms == SET + 20);
	assert_int_equal(clocks[1].boot, 13); /* of the fifteenth nobody knows anything */
	journal_close(journal);
	stage_open(&stage); /* no rows */
	stage_kill(&stage);
	assert_int_equal(journal_open(stage.path, 16 << 20, &journal, &found), 0);
	assert_int_equal(journal_clocks(journal, clocks, &n), 0);
	assert_int_equal(n, 0);
	journal_close(journal);
	stage_open(&stage);
	stage_clear(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_others_stay),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_set_in_steps),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_read_back),
		cmocka_unit_test(test_another_boot),
		cmocka_unit_test(test_set_before_the_next_boot),
		cmocka_unit_test(test_rescued),
		cmocka_unit_test(test_view),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_jumps),
		cmocka_unit_test(test_a_jump_that_stays),
		cmocka_unit_test(test_notes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
