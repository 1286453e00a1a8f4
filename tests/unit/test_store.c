/*
 * Outbox, store and journal together in virtual time: the seven properties of the outbox over random interleavings of
 * put, acknowledge, settle, lose the connection, kill and open again, against a model.
 */
#include "ship/retained.h"
#include "store_stage.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void walk(uint32_t seed, int64_t sync_us)
{
	struct stage stage;
	stage_set(&stage, sync_us, seed);
	int64_t lost_after = INT64_MAX;
	for (int step = 0; step < 6000; step++) {
		switch (stage_chance(&stage, 40)) {
		case 0:
			if (stage.connected)
				stage_lose(&stage);
			else
				stage_connect(&stage);
			break;
		case 1:
			stage_tick(&stage, stage_chance(&stage, 3000 * MS));
			break;
		case 2:
			if (stage_chance(&stage, 20) == 0) {
				/* Killed: at most the last `sync` and a tick may be gone; without sync nothing that was
				 * there at the last commit. */
				if (sync_us == 0)
					stage_tick(&stage, 1);
				stage_tick(&stage, 1);
				lost_after = virtual_now - sync_us - 1;
				stage_kill(&stage);
				stage.model->newest = 0;
				for (unsigned i = 0; i < stage.model->n; i++) {
					if (stage.model->put_us[i] >= lost_after)
						stage.model->acknowledged[i] = true; /* not promised */
					stage.model->seen[i] = false;
				}
				stage_open(&stage);
			}
			break;
		case 3:
		case 4:
		case 5:
		case 6:
		case 7:
		case 8:
		case 9:
		case 10:
			if (stage.connected)
				stage_take(&stage);
			break;
		case 11:
		case 12:
		case 13:
		case 14:
		case 15:
		case 16:
			if (stage.connected)
				stage_acknowledge(&stage);
			break;
		default:
			stage_put(&stage, stage_chance(&stage, 4) ? 20 : 2000);
			virtual_now += stage_chance(&stage, 20 * MS);
			stage_tick(&stage, 1);
			break;
		}
	}
	stage_audit(&stage, INT64_MAX);
	stage_clear(&stage);
}

static void nothing_is_lost_whatever_happens(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 12; seed++)
		walk(seed, seed % 3 == 0 ? 0 : S);
}

static void a_healthy_gateway_writes_nothing(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, S, 7);
	stage_connect(&stage);
	for (int i = 0; i < 6000; i++) { /* ten minutes at ten a second, acknowledged after 100 ms */
		stage_put(&stage, 50);
		stage_take(&stage);
		stage_tick(&stage, 100 * MS);
		stage_acknowledge(&stage);
	}
	struct store_status status;
	store_status(stage.store, &status);
	assert_int_equal(status.rows_written, 0);
	assert_int_equal(status.commits, 0);
	stage_clear(&stage);
}

static void a_long_outage_stays_out_of_memory(void **state)
{
	(void)state;
	struct stage stage;
	struct outbox_counts counts;
	stage_set(&stage, S, 9);
	for (int i = 0; i < 3000; i++) {
		stage_put(&stage, 2000);
		stage_tick(&stage, 10 * MS);
	}
	outbox_counts(stage.outbox, &counts);
	assert_int_equal(counts.waiting, 3000);
	assert_true(counts.waiting_bytes <= 6 << 20);
	assert_int_equal(counts.dropped_full, 0);
	stage_audit(&stage, INT64_MAX);
	stage_clear(&stage);
}

static void sync_0_is_on_disk_before_it_leaves(void **state)
{
	(void)state;
	struct stage stage;
	struct outbox_message message;
	stage_set(&stage, 0, 11);
	stage_connect(&stage);
	stage_put(&stage, 10);
	assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), -EAGAIN);
	store_step(stage.store, virtual_now);
	assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), 0);
	stage_clear(&stage);
}

/* A reading that gave way to a newer one does not come back from disk, wherever it was when it gave way. */
static void what_was_superseded_is_gone_from_disk_too(void **state)
{
	(void)state;
	for (int in_flight = 0; in_flight < 2; in_flight++) {
		struct stage stage;
		struct outbox_message message;
		struct outbox_counts counts;
		stage_set(&stage, S, 13);
		stage_connect(&stage);
		stage_put_text(&stage, "t", "1", true);
		if (in_flight)
			assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), 0);
		stage_tick(&stage, 5 * S); /* it goes to disk */
		stage_put_text(&stage, "t", "2", true);
		if (in_flight)
			outbox_back(stage.outbox, false, message.sequence, true);
		outbox_counts(stage.outbox, &counts);
		assert_int_equal(counts.dropped_superseded, 1);
		assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), 0);
		assert_memory_equal(message.message.payload, "2", 1);
		outbox_done(stage.outbox, false, message.sequence, OUTBOX_ACKNOWLEDGED);
		stage_tick(&stage, 60 * S);
		stage_kill(&stage);
		stage_open(&stage);
		outbox_counts(stage.outbox, &counts);
		assert_int_equal(counts.waiting, 0);
		stage_clear(&stage);
	}
}

/* What comes back from disk is retained only if the map still says so; otherwise it would undo the sweep. */
static void what_the_map_no_longer_retains_comes_back_unretained(void **state)
{
	(void)state;
	struct plan_metric metrics[] = {{.topic = "kept", .delivery.retain = true}, {.topic = "changed"}};
	struct plan plan = {.metrics = metrics, .n_metrics = 2};
	struct retained retained;
	struct stage stage;
	struct outbox_message message;
	retained_init(&retained, &plan);
	stage_set(&stage, S, 17);
	stage_put_text(&stage, "kept", "1", false);
	stage_put_text(&stage, "changed", "2", false);
	stage_put_text(&stage, "gone", "3", false);
	stage_tick(&stage, 5 * S);
	stage_kill(&stage);
	stage_open(&stage);
	outbox_retain_only(stage.outbox, &retained);
	stage_connect(&stage);
	stage_tick(&stage, S);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), 0);
		assert_int_equal(*(const char *)message.message.payload, '1' + i);
		assert_int_equal(message.message.retain, i == 0);
		assert_true(message.replayed);
	}
	stage_clear(&stage);
	retained_destroy(&retained);
}

/* Of a topic of which only the newest waits there is one, over a restart too, and those that gave way count once. */
static void latest_waits_once_over_a_restart(void **state)
{
	(void)state;
	struct stage stage;
	struct outbox_message message;
	stage_set(&stage, S, 41);
	for (unsigned i = 0; i < 3000; i++)
		stage_put(&stage, 1500); /* so that much of it is on disk only */
	stage_put_text(&stage, "t", "1", true);
	stage_put_text(&stage, "u", "1", true);
	for (unsigned i = 0; i < 3000; i++)
		stage_put(&stage, 1500);
	stage_tick(&stage, 5 * S);
	stage_kill(&stage);
	stage_open(&stage);
	assert_int_equal(stage_counts(&stage).waiting, 6002);
	stage_put_text(&stage, "t", "2", true);
	stage_put_text(&stage, "t", "3", true);
	assert_int_equal(stage_counts(&stage).waiting, 6002);
	assert_int_equal(stage_counts(&stage).dropped_superseded, 2);
	stage_tick(&stage, 5 * S);
	stage_kill(&stage);
	stage_open(&stage);
	assert_int_equal(stage_counts(&stage).waiting, 6002);
	stage_connect(&stage);
	unsigned n_t = 0, n_u = 0, n = 0;
	for (unsigned i = 0; i < 100000 && !outbox_empty(stage.outbox); i++) {
		if (outbox_next(stage.outbox, NULL, message_buffer, &message) < 0) {
			stage_tick(&stage, 100 * MS);
			continue;
		}
		n++;
		n_u += message.message.topic[0] == 'u';
		if (message.message.topic[0] == 't') {
			n_t++;
			assert_memory_equal(message.message.payload, "3", 1);
		}
		outbox_done(stage.outbox, false, message.sequence, OUTBOX_ACKNOWLEDGED);
	}
	assert_int_equal(n, 6002);
	assert_int_equal(n_t, 1);
	assert_int_equal(n_u, 1);
	stage_clear(&stage);
}

int main(void)
{
	virtual_now = 100 * S;
	virtual_wall_ms = 2764000000000; /* after any build */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_whatever_happens),
		cmocka_unit_test(a_healthy_gateway_writes_nothing),
		cmocka_unit_test(a_long_outage_stays_out_of_memory),
		cmocka_unit_test(sync_0_is_on_disk_before_it_leaves),
		cmocka_unit_test(what_was_superseded_is_gone_from_disk_too),
		cmocka_unit_test(what_the_map_no_longer_retains_comes_back_unretained),
		cmocka_unit_test(latest_waits_once_over_a_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
