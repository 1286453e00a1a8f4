/*
 * Readings of the time before the clock was set, and clocks that jump: outbox, store and journal in virtual time, over
 * restarts of the process and of the machine.
 */
#include "ship/outbox_view.h"
#include "ship/payload_date.h"
#include "store_stage.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define SET INT64_C(2764000000000) /* the wall time at the monotonic instant 0, once the clock is set */

static struct stage stage;
static unsigned n_put;

static void restart(void)
{
	stage_kill(&stage);
	stage_open(&stage);
}

/* The clock of the machine counts from 1970 on. */
static void begin(int64_t max_age_us)
{
	n_put = 0;
	virtual_now = 10 * S;
	virtual_wall_ms = 0;
	virtual_boot = UINT64_C(0x3fedcba98765);
	stage_set(&stage, S, 1);
	stage.buffer.max_age_us = max_age_us;
	restart();
}

static int setup(void **state)
{
	(void)state;
	begin(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stage_clear(&stage);
	return 0;
}

static void begin_anew(int64_t max_age_us)
{
	stage_clear(&stage);
	begin(max_age_us);
}

/* The machine has started again, after a kill; at that instant of its own the file is opened. */
static void reboot(int64_t now_us)
{
	virtual_now = now_us;
	virtual_boot++;
	stage_open(&stage);
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
static void put(void)
{
	struct message_sink *sink = outbox_sink(stage.outbox);
	for (unsigned shape = 0; shape < N_SHAPES; shape++) {
		char text[256];
		unsigned number = n_put++;
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

/* They go to disk as well. */
static void put_on_disk(void)
{
	put();
	stage_tick(&stage, 3 * S);
}

/* The next one that leaves is that number, and shows that time. */
static void comes(unsigned number, int64_t time_ms)
{
	struct outbox_message message;
	char right[256];
	int error = outbox_next(stage.outbox, NULL, message_buffer, &message);
	for (int turns = 0; error && turns < 3; turns++) {
		stage_tick(&stage, S / 10);
		error = outbox_next(stage.outbox, NULL, message_buffer, &message);
	}
	assert_int_equal(error, 0);
	int n = print(right, sizeof(right), number % N_SHAPES, number, time_ms);
	assert_int_equal(message.message.payload_n, n);
	assert_memory_equal(message.message.payload, right, (size_t)n);
	outbox_done(stage.outbox, false, message.sequence, OUTBOX_ACKNOWLEDGED);
}

/* Number n was read at 11 + n s. */
static int64_t read_at(unsigned number)
{
	return (11 + (int64_t)number) * 1000;
}

static void come(unsigned first, unsigned last, int64_t offset_ms)
{
	for (unsigned i = first; i <= last; i++)
		comes(i, offset_ms + read_at(i));
}

/* The broker is there, and gets the four of the first put. */
static void all_come(int64_t offset_ms)
{
	stage_connect(&stage);
	come(0, 3, offset_ms);
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
	put();
	put();
	all_come(0); /* the broker is there: they go as they are */
	virtual_wall_ms = SET;
	put();
	come(4, 11, SET);
}

/* A clock that was set wrong first, and then better. */
static void test_set_in_steps(void **state)
{
	(void)state;
	put();
	stage_tick(&stage, 5 * S);
	virtual_wall_ms = SET - 86400000;
	stage_tick(&stage, 5 * S);
	virtual_wall_ms = SET;
	stage_tick(&stage, 5 * S);
	stage_kill(&stage);
	reboot(S);
	all_come(SET);
}

/* A restart in the same boot, before and after the clock is set. */
static void test_restart(void **state)
{
	(void)state;
	for (int before = 0; before < 2; before++) {
		begin_anew(0);
		put_on_disk();
		if (before)
			virtual_wall_ms = SET;
		stage_kill(&stage);
		virtual_now += 60 * S;
		stage_open(&stage);
		stage_tick(&stage, 12 * S);
		assert_int_equal(stage_counts(&stage).oldest_ms, before ? SET + read_at(0) : 0);
		virtual_wall_ms = SET;
		stage_tick(&stage, 12 * S);
		assert_int_equal(stage_counts(&stage).oldest_ms, SET + read_at(0));
		all_come(SET);
	}
}

/* They were read back while the clock was not set, and wait in memory when it is. */
static void test_read_back(void **state)
{
	(void)state;
	put_on_disk();
	restart();
	stage_connect(&stage);
	stage_tick(&stage, S);
	comes(0, read_at(0));
	virtual_wall_ms = SET;
	come(1, 3, SET);
}

/* Another boot: only what was known of the clock in that one counts. */
static void test_another_boot(void **state)
{
	(void)state;
	put_on_disk();
	stage_kill(&stage);
	virtual_now = 10 * S;
	virtual_boot ^= (uint64_t)1 << 46;
	virtual_wall_ms = SET;
	stage_open(&stage);
	stage_tick(&stage, S);
	all_come(0);
}

static void test_set_before_the_next_boot(void **state)
{
	(void)state;
	put_on_disk();
	stage_kill(&stage);
	virtual_now += 10 * S;
	stage_open(&stage); /* another process of the same boot sees the clock set */
	virtual_wall_ms = SET;
	stage_tick(&stage, 12 * S);
	stage_kill(&stage);
	virtual_now = 5 * S;
	virtual_boot = 77;
	virtual_wall_ms = 0;
	stage_open(&stage);
	all_come(SET);
}

/* A damaged file: the notes of clocks go into the new one. */
static void test_rescued(void **state)
{
	(void)state;
	put_on_disk();
	virtual_wall_ms = SET;
	stage_tick(&stage, 12 * S);
	stage_kill(&stage);
	int fd = open(stage.path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\0\0\0\1", 4, 68), 4); /* the application id: foreign */
	close(fd);
	reboot(5 * S);
	all_come(SET);
}

/* As somebody sees them who looks. */
static void test_view(void **state)
{
	(void)state;
	put();
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
		stage_tick(&stage, 3 * S);
		stage_kill(&stage);
		struct journal *journal = NULL;
		*view = (struct outbox_view){0};
		assert_int_equal(journal_look(stage.path, &journal), 0);
		assert_int_equal(outbox_view_pull(view, NULL, journal), 0); /* of the file alone, by its note */
		journal_close(journal);
		stage_open(&stage);
	}
	free(view);
}

/* Nothing grows too old by a time that is not true; by its own instant it does. */
static void test_age(void **state)
{
	(void)state;
	const int64_t offsets[] = {0, SET, SET - 50 * INT64_C(31557600000)};
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		begin_anew(100 * S);
		put_on_disk();
		stage_kill(&stage);
		virtual_wall_ms = offsets[i];
		stage_open(&stage);
		stage_tick(&stage, 60 * S);
		assert_int_equal(stage_counts(&stage).dropped_expired, 0);
		assert_int_equal(stage_counts(&stage).waiting, 4);
		stage_tick(&stage, 60 * S);
		assert_int_equal(stage_counts(&stage).dropped_expired, 4);
	}
}

/* They are read while the clock is right, and are on disk alone. */
static void put_with_the_clock_set(int64_t max_age_us)
{
	begin_anew(max_age_us);
	stage_kill(&stage);
	virtual_wall_ms = SET;
	stage_open(&stage);
	put_on_disk();
	restart();
	stage_tick(&stage, 12 * S);
}

/* A clock that jumps while a backlog waits and is sent: nothing is lost by its age, and order is that of reading. */
static void test_jumps(void **state)
{
	(void)state;
	static const int64_t jumps_ms[] = {86400000, -3600000, -50 * INT64_C(31557600000), 50 * INT64_C(31557600000)};
	for (size_t i = 0; i < sizeof(jumps_ms) / sizeof(jumps_ms[0]); i++) {
		put_with_the_clock_set(3600 * S);
		virtual_wall_ms = SET + jumps_ms[i];
		stage_tick(&stage, 60 * S);
		assert_int_equal(stage_counts(&stage).dropped_expired, 0);
		stage_connect(&stage);
		come(0, 1, SET);
		virtual_wall_ms = SET;
		come(2, 3, SET);
	}
}

/* What a clock says for an hour counts. */
static void test_a_jump_that_stays(void **state)
{
	(void)state;
	put_with_the_clock_set(86400 * S);
	virtual_wall_ms = SET + 10 * INT64_C(86400000);
	stage_tick(&stage, 3500 * S);
	assert_int_equal(stage_counts(&stage).waiting, 4);
	stage_tick(&stage, 200 * S);
	assert_int_equal(stage_counts(&stage).dropped_expired, 4);
}

/* Notes of more boots than are kept, and none when nothing waits. */
static void test_notes(void **state)
{
	(void)state;
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
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_others_stay),
		UNIT(test_memory),
		UNIT(test_set_in_steps),
		UNIT(test_restart),
		UNIT(test_read_back),
		UNIT(test_another_boot),
		UNIT(test_set_before_the_next_boot),
		UNIT(test_rescued),
		UNIT(test_view),
		UNIT(test_age),
		UNIT(test_jumps),
		UNIT(test_a_jump_that_stays),
		UNIT(test_notes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
