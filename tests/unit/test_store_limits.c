/*
 * What the store does at its limits: files that are full, readings that are too old, folders that come late, pages that
 * are damaged and disks that fail.  What is dropped is dropped by the rule and counted.
 */
#include "store_stage.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static int64_t file_bytes(const struct stage *stage)
{
	struct stat st;
	assert_int_equal(stat(stage->path, &st), 0);
	return st.st_size;
}

/* Offline, into a file that is far too small; then all that is left is taken. Returns the numbers that came. */
static unsigned fill_and_drain(struct stage *stage, unsigned n, bool *came)
{
	static char payload[600];
	struct message_sink *sink = outbox_sink(stage->outbox);
	for (unsigned i = 0; i < n; i++) {
		int length = snprintf(payload, sizeof(payload), "%u %*s", i, (int)stage_chance(stage, 500), "");
		struct message message = {.topic = "home/meter/energy",
			.payload = payload,
			.payload_n = (size_t)length,
			.time_ms = virtual_time_ms(),
			.qos = 1,
			.buffer = true};
		sink->put(sink, &message);
		stage_tick(stage, 10 * MS);
		if (i % 100 == 0)
			stage_counts(stage);
	}
	stage_tick(stage, 3 * S); /* until all of it is on disk */
	struct outbox_counts full = stage_counts(stage);
	assert_int_equal(full.taken, n);
	assert_int_equal(full.waiting + full.dropped_full, n);
	assert_true(full.waiting > 30 && full.waiting < n / 2);
	struct store_status status;
	store_status(stage->store, &status);
	assert_true(status.nearly_full && status.bytes <= status.max_bytes);
	assert_true(status.max_bytes <= stage->buffer.max_size);
	unsigned n_came = 0;
	stage_connect(stage);
	for (unsigned i = 0; i < 40 * n && !outbox_empty(stage->outbox); i++) {
		struct outbox_message message;
		if (outbox_next(stage->outbox, NULL, message_buffer, &message) < 0) {
			stage_tick(stage, 50 * MS);
			continue;
		}
		came[strtoul(message.message.payload, NULL, 10)] = true;
		outbox_done(stage->outbox, false, message.sequence, OUTBOX_ACKNOWLEDGED);
		n_came++;
	}
	struct outbox_counts after = stage_counts(stage);
	assert_int_equal(after.waiting, 0);
	assert_int_equal(after.dropped_full, full.dropped_full); /* what waits can't be lost any more */
	assert_int_equal(after.dropped_damaged, 0);
	assert_int_equal(n_came, full.waiting);
	stage_tick(stage, 3 * S);
	store_status(stage->store, &status);
	assert_false(status.nearly_full);
	return n_came;
}

/* The rule, its count and the size of the file, all of them exact. */
static void a_full_file_drops_by_the_rule_and_counts(void **state)
{
	(void)state;
	enum { N = 30000 };
	static bool came[N];
	static const int64_t sizes[] = {64000, 300000, 1 << 20};
	for (size_t i = 0; i < 6; i++) {
		struct stage stage;
		bool oldest = i % 2;
		unsigned n = i < 2 ? N / 20 : i < 4 ? N / 4 : N;
		memset(came, 0, sizeof(came));
		stage_set(&stage, S, 21 + (uint32_t)i);
		stage_kill(&stage);
		assert_int_equal(unlink(stage.path), 0);
		stage.buffer.max_size = sizes[i / 2];
		stage.buffer.when_full = oldest ? WHEN_FULL_DROP_OLDEST : WHEN_FULL_DROP_NEWEST;
		stage_open(&stage);
		unsigned n_came = fill_and_drain(&stage, n, came);
		assert_true(file_bytes(&stage) <= stage.buffer.max_size);
		for (unsigned number = 0; number < n_came; number++)
			if (!came[oldest ? n - 1 - number : number])
				fail_msg("size %lld oldest %d n %u came %u missing %u",
					(long long)stage.buffer.max_size, oldest, n, n_came,
					oldest ? n - 1 - number : number);
		stage_clear(&stage);
	}
}

/* Killed at any time, the count is known at the next start, without counting. */
static void the_count_survives_a_kill(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, S, 31);
	for (unsigned round = 0; round < 8; round++) {
		uint64_t before = stage_counts(&stage).waiting;
		unsigned n = 100 + stage_chance(&stage, 2000);
		for (unsigned i = 0; i < n; i++) {
			stage_put(&stage, 20);
			stage_tick(&stage, MS);
		}
		stage_connect(&stage);
		for (unsigned i = 0; i < 50; i++) {
			stage_take(&stage);
			stage_acknowledge(&stage);
			stage_tick(&stage, 20 * MS);
		}
		uint64_t gone = stage_counts(&stage).done;
		stage_lose(&stage);
		stage_tick(&stage, 5 * S);
		assert_int_equal(stage_counts(&stage).waiting, before + n - gone);
		stage_kill(&stage);
		stage_open(&stage);
		assert_int_equal(stage_counts(&stage).waiting, before + n - gone);
		assert_int_equal(stage_counts(&stage).taken, before + n - gone);
		stage.model->newest = 0;
		memset(stage.model->seen, 0, sizeof(stage.model->seen));
	}
	stage_clear(&stage);
}

/* What is only on disk grows too old there, while nobody asks for it; its age goes on over a restart. */
static void max_age_holds_on_disk(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, S, 33);
	stage_kill(&stage);
	stage.buffer.max_age_us = 3600 * S;
	stage_open(&stage);
	int64_t first_ms = virtual_time_ms();
	for (unsigned i = 0; i < 3000; i++) {
		stage_put(&stage, 20);
		stage_tick(&stage, S);
	}
	assert_int_equal(stage_counts(&stage).waiting, 3000);
	stage_kill(&stage);
	stage_open(&stage);
	stage_tick(&stage, S);
	assert_int_equal(stage_counts(&stage).waiting, 3000);
	assert_int_equal(stage_counts(&stage).oldest_ms, first_ms);
	stage_tick(&stage, 1600 * S); /* 4600 s after the first, 1600 after the last */
	struct outbox_counts counts = stage_counts(&stage);
	assert_true(counts.dropped_expired >= 990 && counts.dropped_expired <= 1002);
	assert_int_equal(counts.waiting, 3000 - counts.dropped_expired);
	assert_true(counts.oldest_ms >= first_ms + 990000 && counts.oldest_ms <= first_ms + 1002000);
	stage_tick(&stage, 2 * S);
	counts = stage_counts(&stage);
	stage_kill(&stage); /* and it does not come back */
	stage_open(&stage);
	assert_int_equal(stage_counts(&stage).waiting, counts.waiting);
	stage_clear(&stage);
}

/* A reading whose time nobody knew does not expire by a clock that was set since. */
static void an_unset_clock_expires_nothing(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, S, 35);
	stage.buffer.max_age_us = 60 * S;
	stage_kill(&stage);
	stage_open(&stage);
	struct message message = {
		.topic = "t", .payload = "1", .payload_n = 1, .time_ms = 12345, .qos = 1, .buffer = true};
	struct message_sink *sink = outbox_sink(stage.outbox);
	assert_int_equal(sink->put(sink, &message), 0);
	stage_tick(&stage, 5 * S);
	stage_kill(&stage);
	stage_open(&stage);
	stage_tick(&stage, 300 * S);
	assert_int_equal(stage_counts(&stage).waiting, 1);
	stage_clear(&stage);
}

/* The folder comes after the start: what was put before goes to disk too, and what lay there is sent as well. */
static void a_journal_that_comes_late_takes_what_was_put_before(void **state)
{
	(void)state;
	struct stage stage;
	char away[128];
	stage_set(&stage, S, 37);
	for (unsigned i = 0; i < 10; i++)
		stage_put(&stage, 20);
	stage_tick(&stage, 3 * S);
	stage_kill(&stage);
	snprintf(away, sizeof(away), "%s.away", stage.folder);
	assert_int_equal(rename(stage.folder, away), 0);
	stage.buffer.path_given = false;
	virtual_now += 10 * S;
	stage_open(&stage);
	for (unsigned i = 0; i < 10; i++)
		stage_put(&stage, 20);
	stage_tick(&stage, 3 * S);
	struct store_status status;
	store_status(stage.store, &status);
	assert_false(status.durable);
	assert_int_equal(stage_counts(&stage).waiting, 10);
	assert_int_equal(rename(away, stage.folder), 0);
	stage_tick(&stage, 90 * S);
	store_status(stage.store, &status);
	assert_true(status.durable);
	assert_int_equal(stage_counts(&stage).waiting, 20);
	stage_kill(&stage); /* nothing is in memory alone any more */
	stage_open(&stage);
	assert_int_equal(stage_counts(&stage).waiting, 20);
	stage.model->newest = 0;
	stage_audit(&stage, INT64_MAX);
	stage_clear(&stage);
}

/* A page that is met only when it is read: the file is set aside while the gateway runs, what is sound in it arrives.
 */
static void damage_that_is_met_later_costs_its_rows_only(void **state)
{
	(void)state;
	static const char zeros[4096];
	struct stage stage;
	stage_set(&stage, S, 43);
	for (unsigned i = 0; i < 4000; i++) {
		stage_put(&stage, 1000);
		stage_tick(&stage, MS);
	}
	stage_tick(&stage, 5 * S);
	stage_kill(&stage);
	int fd = open(stage.path, O_RDWR);
	assert_true(fd >= 0);
	for (int page = 400; page < 420; page++)
		assert_int_equal(pwrite(fd, zeros, sizeof(zeros), page * 4096), sizeof(zeros));
	close(fd);
	stage_open(&stage);
	assert_int_equal(stage_counts(&stage).waiting, 4000);
	stage_connect(&stage);
	for (unsigned i = 0; i < 200000 && !outbox_empty(stage.outbox); i++) {
		stage_take(&stage);
		stage_acknowledge(&stage);
		if (i % 20 == 0)
			stage_tick(&stage, 100 * MS);
	}
	struct outbox_counts counts = stage_counts(&stage);
	assert_int_equal(counts.waiting, 0);
	assert_int_equal(counts.done + counts.dropped_damaged, 4000);
	assert_true(counts.dropped_damaged >= 20 && counts.dropped_damaged <= 100);
	stage_clear(&stage);
}

/* A disk that fails stops nothing, with sync "0s" neither; when it works again all that waits goes there. */
static void a_disk_that_fails_stops_nothing(void **state)
{
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	for (int round = 0; round < 2; round++) {
		struct stage stage;
		struct outbox_message message;
		struct store_status status;
		stage_set(&stage, round ? 0 : S, 39);
		for (unsigned i = 0; i < 100; i++) {
			stage_put(&stage, 1000);
			stage_tick(&stage, 20 * MS);
		}
		stage_tick(&stage, 2 * S);
		stage_limit_files(1);
		for (unsigned i = 0; i < 100; i++) {
			stage_put(&stage, 1000);
			stage_tick(&stage, 20 * MS);
		}
		stage_tick(&stage, 2 * S);
		stage_limit_files(RLIM_INFINITY);
		store_status(stage.store, &status);
		assert_false(status.durable);
		assert_int_equal(stage_counts(&stage).waiting, 200);
		stage_connect(&stage);
		assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), 0);
		outbox_back(stage.outbox, false, message.sequence, false);
		stage_lose(&stage);
		stage_tick(&stage, 70 * S);
		store_status(stage.store, &status);
		assert_true(status.durable);
		stage_kill(&stage);
		stage_open(&stage);
		assert_int_equal(stage_counts(&stage).waiting, 200);
		stage_audit(&stage, INT64_MAX);
		assert_int_equal(stage_counts(&stage).dropped_damaged, 0);
		stage_clear(&stage);
	}
}

int main(void)
{
	virtual_now = 100 * S;
	virtual_wall_ms = 2764000000000; /* after any build */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_file_drops_by_the_rule_and_counts),
		cmocka_unit_test(the_count_survives_a_kill),
		cmocka_unit_test(max_age_holds_on_disk),
		cmocka_unit_test(an_unset_clock_expires_nothing),
		cmocka_unit_test(a_journal_that_comes_late_takes_what_was_put_before),
		cmocka_unit_test(damage_that_is_met_later_costs_its_rows_only),
		cmocka_unit_test(a_disk_that_fails_stops_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
