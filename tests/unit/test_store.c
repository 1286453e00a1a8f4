/*
 * Outbox, store and journal together in virtual time: the seven properties of the outbox over random interleavings of
 * put, acknowledge, settle, lose the connection, kill and open again, against a model.
 */
#include "ship/outbox_store.h"
#include "ship/retained.h"
#include "ship/store.h"
#include "virtual_clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define MS        1000
#define S         1000000
#define MODEL_MAX 60000

/* What has become of each reading, by its number. */
struct model {
	int64_t put_us[MODEL_MAX];
	bool acknowledged[MODEL_MAX], seen[MODEL_MAX];
	unsigned n, newest; /* put; highest number seen by the broker since the last (re)connect */
};

struct stage {
	char folder[64], path[96];
	struct plan_buffer buffer;
	struct outbox *outbox;
	struct store *store;
	struct model *model;
	bool connected;
	uint64_t in_flight[64];
	unsigned numbers[64];
	size_t n_in_flight;
	uint32_t random;
};

static char message_buffer[OUTBOX_MESSAGE_BYTES];

static unsigned chance(struct stage *stage, unsigned n)
{
	stage->random = stage->random * 1664525u + 1013904223u;
	return (stage->random >> 8) % n;
}

static void stage_open(struct stage *stage)
{
	assert_int_equal(outbox_init(&stage->buffer, 32 << 20, &virtual_clock, &stage->outbox), 0);
	assert_int_equal(store_init(&stage->buffer, stage->outbox, &virtual_clock, &stage->store), 0);
	stage->connected = false;
	stage->n_in_flight = 0;
}

static void stage_set(struct stage *stage, int64_t sync_us, uint32_t seed)
{
	*stage = (struct stage){.random = seed, .model = calloc(1, sizeof(struct model))};
	snprintf(stage->folder, sizeof(stage->folder), "/dev/shm/busferry-store-XXXXXX");
	assert_non_null(mkdtemp(stage->folder));
	snprintf(stage->path, sizeof(stage->path), "%s/buffer.db", stage->folder);
	stage->buffer =
		(struct plan_buffer){.path = stage->path, .path_given = true, .max_size = 16 << 20, .sync_us = sync_us};
	stage_open(stage);
}

/* What a kill leaves: the file as it is.  Memory is freed so that the sanitizers see no leak. */
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
	free(stage->model);
}

static void put(struct stage *stage, size_t padding)
{
	static char payload[3000];
	struct model *model = stage->model;
	unsigned number = model->n++;
	assert_true(number < MODEL_MAX);
	int n = snprintf(payload, sizeof(payload), "%u %*s", number, (int)padding, "");
	struct message message = {.topic = "home/meter/energy",
		.payload = payload,
		.payload_n = (size_t)n,
		.time_ms = virtual_time_ms(),
		.qos = 1,
		.buffer = true};
	struct message_sink *sink = outbox_sink(stage->outbox);
	model->put_us[number] = virtual_now;
	assert_int_equal(sink->put(sink, &message), 0);
	sink->flush(sink);
}

static void take(struct stage *stage)
{
	struct outbox_message message;
	if (stage->n_in_flight == 64 || outbox_next(stage->outbox, NULL, message_buffer, &message) < 0)
		return;
	unsigned number = (unsigned)strtoul(message.message.payload, NULL, 10);
	struct model *model = stage->model;
	assert_true(number < model->n);
	/* Order: what was never seen before comes in ascending order. */
	if (!model->seen[number]) {
		assert_true(number >= model->newest);
		model->newest = number;
	}
	model->seen[number] = true;
	stage->in_flight[stage->n_in_flight] = message.sequence;
	stage->numbers[stage->n_in_flight++] = number;
}

static void acknowledge(struct stage *stage)
{
	if (!stage->n_in_flight)
		return;
	outbox_done(stage->outbox, false, stage->in_flight[0], OUTBOX_ACKNOWLEDGED);
	stage->model->acknowledged[stage->numbers[0]] = true;
	stage->n_in_flight--;
	memmove(stage->in_flight, stage->in_flight + 1, stage->n_in_flight * sizeof(stage->in_flight[0]));
	memmove(stage->numbers, stage->numbers + 1, stage->n_in_flight * sizeof(stage->numbers[0]));
}

static void lose(struct stage *stage)
{
	for (size_t i = 0; i < stage->n_in_flight; i++)
		outbox_back(stage->outbox, false, stage->in_flight[i], true);
	stage->n_in_flight = 0;
	outbox_lost(stage->outbox);
	stage->connected = false;
}

static void connect(struct stage *stage)
{
	outbox_connected(stage->outbox);
	stage->connected = true;
}

static void tick(struct stage *stage, int64_t us)
{
	int64_t end = virtual_now + us;
	int64_t wake = store_step(stage->store, virtual_now);
	while (wake < end) {
		virtual_now = wake > virtual_now ? wake : virtual_now + 1000;
		wake = store_step(stage->store, virtual_now);
	}
	virtual_now = end;
}

/* Sends all that waits, then: nothing older than `sync` is missing. */
static void audit(struct stage *stage, int64_t lost_after_us)
{
	if (!stage->connected)
		connect(stage);
	for (int i = 0; i < 2000000 && !outbox_empty(stage->outbox); i++) {
		take(stage);
		acknowledge(stage);
		if (i % 200 == 0)
			tick(stage, 100 * MS);
	}
	assert_true(outbox_empty(stage->outbox));
	for (unsigned i = 0; i < stage->model->n; i++)
		if (!stage->model->acknowledged[i] && stage->model->put_us[i] < lost_after_us)
			fail_msg("reading %u of %u is lost", i, stage->model->n);
}

static void walk(uint32_t seed, int64_t sync_us)
{
	struct stage stage;
	stage_set(&stage, sync_us, seed);
	int64_t lost_after = INT64_MAX;
	for (int step = 0; step < 6000; step++) {
		switch (chance(&stage, 40)) {
		case 0:
			if (stage.connected)
				lose(&stage);
			else
				connect(&stage);
			break;
		case 1:
			tick(&stage, chance(&stage, 3 * S));
			break;
		case 2:
			if (chance(&stage, 20) == 0) {
				/* Killed: at most the last `sync` and a tick may be gone; without sync nothing that was
				 * there at the last commit. */
				if (sync_us == 0)
					tick(&stage, 1);
				tick(&stage, 1);
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
				take(&stage);
			break;
		case 11:
		case 12:
		case 13:
		case 14:
		case 15:
		case 16:
			if (stage.connected)
				acknowledge(&stage);
			break;
		default:
			put(&stage, chance(&stage, 4) ? 20 : 2000);
			virtual_now += chance(&stage, 20 * MS);
			tick(&stage, 1);
			break;
		}
	}
	audit(&stage, INT64_MAX);
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
	connect(&stage);
	for (int i = 0; i < 6000; i++) { /* ten minutes at ten a second, acknowledged after 100 ms */
		put(&stage, 50);
		take(&stage);
		tick(&stage, 100 * MS);
		acknowledge(&stage);
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
		put(&stage, 2000);
		tick(&stage, 10 * MS);
	}
	outbox_counts(stage.outbox, &counts);
	assert_int_equal(counts.waiting, 3000);
	assert_true(counts.waiting_bytes <= 6 << 20);
	assert_int_equal(counts.dropped_full, 0);
	audit(&stage, INT64_MAX);
	stage_clear(&stage);
}

static void sync_0_is_on_disk_before_it_leaves(void **state)
{
	(void)state;
	struct stage stage;
	struct outbox_message message;
	stage_set(&stage, 0, 11);
	connect(&stage);
	put(&stage, 10);
	assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), -EAGAIN);
	store_step(stage.store, virtual_now);
	assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), 0);
	stage_clear(&stage);
}

static void put_text(struct stage *stage, const char *topic, const char *payload, bool latest_only)
{
	struct message message = {.topic = topic,
		.payload = payload,
		.payload_n = strlen(payload),
		.time_ms = virtual_time_ms(),
		.qos = 1,
		.retain = true,
		.latest_only = latest_only,
		.buffer = true};
	struct message_sink *sink = outbox_sink(stage->outbox);
	assert_int_equal(sink->put(sink, &message), 0);
	sink->flush(sink);
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
		connect(&stage);
		put_text(&stage, "t", "1", true);
		if (in_flight)
			assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), 0);
		tick(&stage, 5 * S); /* it goes to disk */
		put_text(&stage, "t", "2", true);
		if (in_flight)
			outbox_back(stage.outbox, false, message.sequence, true);
		outbox_counts(stage.outbox, &counts);
		assert_int_equal(counts.dropped_superseded, 1);
		assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), 0);
		assert_memory_equal(message.message.payload, "2", 1);
		outbox_done(stage.outbox, false, message.sequence, OUTBOX_ACKNOWLEDGED);
		tick(&stage, 60 * S);
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
	put_text(&stage, "kept", "1", false);
	put_text(&stage, "changed", "2", false);
	put_text(&stage, "gone", "3", false);
	tick(&stage, 5 * S);
	stage_kill(&stage);
	stage_open(&stage);
	outbox_retain_only(stage.outbox, &retained);
	connect(&stage);
	tick(&stage, S);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), 0);
		assert_int_equal(*(const char *)message.message.payload, '1' + i);
		assert_int_equal(message.message.retain, i == 0);
		assert_true(message.replayed);
	}
	stage_clear(&stage);
	retained_destroy(&retained);
}

/* As QoS 1 and QoS 2 do side by side: every second reading is acknowledged twenty readings later than its neighbour. */
static void what_is_acknowledged_out_of_order_is_not_sent_again(void **state)
{
	(void)state;
	enum { N = 6000, BEHIND = 20 };
	struct stage stage;
	stage_set(&stage, S, 1);
	for (int i = 0; i < N; i++)
		put(&stage, 0);
	tick(&stage, 2 * S);
	connect(&stage);
	static uint64_t sequences[N];
	for (int i = 0; i < N; i++) {
		struct outbox_message message;
		while (outbox_next(stage.outbox, NULL, message_buffer, &message) == -EAGAIN)
			tick(&stage, 100);
		sequences[i] = message.sequence;
		if (i % 2)
			outbox_done(stage.outbox, false, sequences[i], OUTBOX_ACKNOWLEDGED);
		else if (i >= BEHIND)
			outbox_done(stage.outbox, false, sequences[i - BEHIND], OUTBOX_ACKNOWLEDGED);
	}
	for (int i = N - BEHIND; i < N; i += 2)
		outbox_done(stage.outbox, false, sequences[i], OUTBOX_ACKNOWLEDGED);
	assert_true(outbox_empty(stage.outbox));
	tick(&stage, 20 * S);
	stage_kill(&stage);
	stage_open(&stage);
	connect(&stage);
	tick(&stage, S);
	assert_true(outbox_empty(stage.outbox));
	stage_clear(&stage);
}

static struct outbox_counts counts_of(struct stage *stage)
{
	struct outbox_counts c;
	outbox_counts(stage->outbox, &c);
	assert_int_equal(c.taken, c.waiting + c.done + c.dropped_full + c.dropped_offline + c.dropped_refused +
					  c.dropped_expired + c.dropped_superseded + c.dropped_damaged);
	return c;
}

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
		int length = snprintf(payload, sizeof(payload), "%u %*s", i, (int)chance(stage, 500), "");
		struct message message = {.topic = "home/meter/energy",
			.payload = payload,
			.payload_n = (size_t)length,
			.time_ms = virtual_time_ms(),
			.qos = 1,
			.buffer = true};
		sink->put(sink, &message);
		tick(stage, 10 * MS);
		if (i % 100 == 0)
			counts_of(stage);
	}
	tick(stage, 3 * S); /* until all of it is on disk */
	struct outbox_counts full = counts_of(stage);
	assert_int_equal(full.taken, n);
	assert_int_equal(full.waiting + full.dropped_full, n);
	assert_true(full.waiting > 30 && full.waiting < n / 2);
	unsigned n_came = 0;
	connect(stage);
	for (unsigned i = 0; i < 40 * n && !outbox_empty(stage->outbox); i++) {
		struct outbox_message message;
		if (outbox_next(stage->outbox, NULL, message_buffer, &message) < 0) {
			tick(stage, 50 * MS);
			continue;
		}
		came[strtoul(message.message.payload, NULL, 10)] = true;
		outbox_done(stage->outbox, false, message.sequence, OUTBOX_ACKNOWLEDGED);
		n_came++;
	}
	struct outbox_counts after = counts_of(stage);
	assert_int_equal(after.waiting, 0);
	assert_int_equal(after.dropped_full, full.dropped_full); /* what waits can't be lost any more */
	assert_int_equal(after.dropped_damaged, 0);
	assert_int_equal(n_came, full.waiting);
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
		uint64_t before = counts_of(&stage).waiting;
		unsigned n = 100 + chance(&stage, 2000);
		for (unsigned i = 0; i < n; i++) {
			put(&stage, 20);
			tick(&stage, MS);
		}
		connect(&stage);
		for (unsigned i = 0; i < 50; i++) {
			take(&stage);
			acknowledge(&stage);
			tick(&stage, 20 * MS);
		}
		uint64_t gone = counts_of(&stage).done;
		lose(&stage);
		tick(&stage, 5 * S);
		assert_int_equal(counts_of(&stage).waiting, before + n - gone);
		stage_kill(&stage);
		stage_open(&stage);
		assert_int_equal(counts_of(&stage).waiting, before + n - gone);
		assert_int_equal(counts_of(&stage).taken, before + n - gone);
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
	stage.buffer.max_age_us = 3600 * (int64_t)S;
	stage_open(&stage);
	int64_t first_ms = virtual_time_ms();
	for (unsigned i = 0; i < 3000; i++) {
		put(&stage, 20);
		tick(&stage, S);
	}
	assert_int_equal(counts_of(&stage).waiting, 3000);
	stage_kill(&stage);
	stage_open(&stage);
	tick(&stage, S);
	assert_int_equal(counts_of(&stage).waiting, 3000);
	assert_int_equal(counts_of(&stage).oldest_ms, first_ms);
	tick(&stage, 1600 * (int64_t)S); /* 4600 s after the first, 1600 after the last */
	struct outbox_counts counts = counts_of(&stage);
	assert_true(counts.dropped_expired >= 990 && counts.dropped_expired <= 1002);
	assert_int_equal(counts.waiting, 3000 - counts.dropped_expired);
	assert_true(counts.oldest_ms >= first_ms + 990000 && counts.oldest_ms <= first_ms + 1002000);
	tick(&stage, 2 * S);
	counts = counts_of(&stage);
	stage_kill(&stage); /* and it does not come back */
	stage_open(&stage);
	assert_int_equal(counts_of(&stage).waiting, counts.waiting);
	stage_clear(&stage);
}

/* A reading whose time nobody knew does not expire by a clock that was set since. */
static void an_unset_clock_expires_nothing(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, S, 35);
	stage.buffer.max_age_us = 60 * (int64_t)S;
	stage_kill(&stage);
	stage_open(&stage);
	struct message message = {
		.topic = "t", .payload = "1", .payload_n = 1, .time_ms = 12345, .qos = 1, .buffer = true};
	struct message_sink *sink = outbox_sink(stage.outbox);
	assert_int_equal(sink->put(sink, &message), 0);
	tick(&stage, 5 * S);
	stage_kill(&stage);
	stage_open(&stage);
	tick(&stage, 300 * (int64_t)S);
	assert_int_equal(counts_of(&stage).waiting, 1);
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
		put(&stage, 20);
	tick(&stage, 3 * S);
	stage_kill(&stage);
	snprintf(away, sizeof(away), "%s.away", stage.folder);
	assert_int_equal(rename(stage.folder, away), 0);
	stage.buffer.path_given = false;
	virtual_now += 10 * S;
	stage_open(&stage);
	for (unsigned i = 0; i < 10; i++)
		put(&stage, 20);
	tick(&stage, 3 * S);
	struct store_status status;
	store_status(stage.store, &status);
	assert_false(status.durable);
	assert_int_equal(counts_of(&stage).waiting, 10);
	assert_int_equal(rename(away, stage.folder), 0);
	tick(&stage, 90 * S);
	store_status(stage.store, &status);
	assert_true(status.durable);
	assert_int_equal(counts_of(&stage).waiting, 20);
	stage_kill(&stage); /* nothing is in memory alone any more */
	stage_open(&stage);
	assert_int_equal(counts_of(&stage).waiting, 20);
	stage.model->newest = 0;
	audit(&stage, INT64_MAX);
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
		put(&stage, 1000);
		tick(&stage, MS);
	}
	tick(&stage, 5 * S);
	stage_kill(&stage);
	int fd = open(stage.path, O_RDWR);
	assert_true(fd >= 0);
	for (int page = 400; page < 420; page++)
		assert_int_equal(pwrite(fd, zeros, sizeof(zeros), page * 4096), sizeof(zeros));
	close(fd);
	stage_open(&stage);
	assert_int_equal(counts_of(&stage).waiting, 4000);
	connect(&stage);
	for (unsigned i = 0; i < 200000 && !outbox_empty(stage.outbox); i++) {
		take(&stage);
		acknowledge(&stage);
		if (i % 20 == 0)
			tick(&stage, 100 * MS);
	}
	struct outbox_counts counts = counts_of(&stage);
	assert_int_equal(counts.waiting, 0);
	assert_int_equal(counts.done + counts.dropped_damaged, 4000);
	assert_true(counts.dropped_damaged >= 20 && counts.dropped_damaged <= 100);
	stage_clear(&stage);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
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
			put(&stage, 1000);
			tick(&stage, 20 * MS);
		}
		tick(&stage, 2 * S);
		limit_files(1);
		for (unsigned i = 0; i < 100; i++) {
			put(&stage, 1000);
			tick(&stage, 20 * MS);
		}
		tick(&stage, 2 * S);
		limit_files(RLIM_INFINITY);
		store_status(stage.store, &status);
		assert_false(status.durable);
		assert_int_equal(counts_of(&stage).waiting, 200);
		connect(&stage);
		assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), 0);
		outbox_back(stage.outbox, false, message.sequence, false);
		lose(&stage);
		tick(&stage, 70 * S);
		store_status(stage.store, &status);
		assert_true(status.durable);
		stage_kill(&stage);
		stage_open(&stage);
		assert_int_equal(counts_of(&stage).waiting, 200);
		audit(&stage, INT64_MAX);
		assert_int_equal(counts_of(&stage).dropped_damaged, 0);
		stage_clear(&stage);
	}
}

/* Of a topic of which only the newest waits there is one, over a restart too, and those that gave way count once. */
static void latest_waits_once_over_a_restart(void **state)
{
	(void)state;
	struct stage stage;
	struct outbox_message message;
	stage_set(&stage, S, 41);
	for (unsigned i = 0; i < 3000; i++)
		put(&stage, 1500); /* so that much of it is on disk only */
	put_text(&stage, "t", "1", true);
	put_text(&stage, "u", "1", true);
	for (unsigned i = 0; i < 3000; i++)
		put(&stage, 1500);
	tick(&stage, 5 * S);
	stage_kill(&stage);
	stage_open(&stage);
	assert_int_equal(counts_of(&stage).waiting, 6002);
	put_text(&stage, "t", "2", true);
	put_text(&stage, "t", "3", true);
	assert_int_equal(counts_of(&stage).waiting, 6002);
	assert_int_equal(counts_of(&stage).dropped_superseded, 2);
	tick(&stage, 5 * S);
	stage_kill(&stage);
	stage_open(&stage);
	assert_int_equal(counts_of(&stage).waiting, 6002);
	connect(&stage);
	unsigned n_t = 0, n_u = 0, n = 0;
	for (unsigned i = 0; i < 100000 && !outbox_empty(stage.outbox); i++) {
		if (outbox_next(stage.outbox, NULL, message_buffer, &message) < 0) {
			tick(&stage, 100 * MS);
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

static bool store_is_woken(const struct stage *stage)
{
	struct pollfd fd = {.fd = outbox_store_fd(stage->outbox), .events = POLLIN};
	return poll(&fd, 1, 0) == 1;
}

/* Time stands still, so the store runs only when it is woken: the drain must not wait for its ticks. */
static void a_backlog_is_read_on_while_present_readings_come(void **state)
{
	(void)state;
	enum { N = 5000 };
	struct stage stage;
	stage_set(&stage, S, 1);
	for (int i = 0; i < N; i++)
		put(&stage, 0);
	tick(&stage, 3 * S);
	stage_kill(&stage);
	stage_open(&stage);
	connect(&stage);
	put(&stage, 0);
	store_step(stage.store, virtual_now);
	for (int i = 0; i < N; i++) {
		struct outbox_message message;
		if (outbox_next(stage.outbox, NULL, message_buffer, &message) == -EAGAIN) {
			assert_true(store_is_woken(&stage));
			store_step(stage.store, virtual_now);
			assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), 0);
		}
		outbox_done(stage.outbox, false, message.sequence, OUTBOX_ACKNOWLEDGED);
	}
	stage_clear(&stage);
}

static void take_and_acknowledge(struct stage *stage, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		take(stage);
		acknowledge(stage);
	}
}

/* What a kill in the middle of a drain repeats is what is in flight, however fast the broker and slow the disk. */
static void a_kill_while_draining_repeats_what_is_in_flight(void **state)
{
	(void)state;
	const unsigned n_all = 9000;
	struct stage stage;
	struct outbox_counts counts;
	stage_set(&stage, S, 23);
	for (unsigned i = 0; i < n_all; i++)
		put(&stage, 20);
	tick(&stage, 2 * S);
	connect(&stage);
	for (unsigned turn = 0; turn < 3; turn++) {
		for (unsigned i = 0; i < 40; i++)
			take(&stage);
		take_and_acknowledge(&stage, turn ? 300 : 4000); /* the disk is busy with its sync meanwhile */
		assert_true(turn || outbox_owes(stage.outbox));
		take(&stage);
		uint64_t n_in_flight = stage.n_in_flight, n_unwritten = turn; /* acknowledged since the last one left */
		for (unsigned i = 0; i < turn; i++)
			acknowledge(&stage);
		outbox_counts(stage.outbox, &counts);
		uint64_t waiting = counts.waiting;
		assert_int_equal(counts.in_flight + n_unwritten, n_in_flight);
		stage_kill(&stage);
		stage_open(&stage);
		outbox_counts(stage.outbox, &counts);
		assert_int_equal(counts.waiting, waiting + n_unwritten);
		stage.model->newest = 0;
		connect(&stage);
		tick(&stage, 0);
	}
	stage_clear(&stage);
}

/* Readings of which only the newest waits leave gaps, and what is put while others drain is far ahead. */
static void a_kill_while_draining_repeats_nothing_over_gaps(void **state)
{
	(void)state;
	struct stage stage;
	struct outbox_counts counts;
	stage_set(&stage, S, 29);
	stage.buffer.live_first = true;
	stage_kill(&stage);
	stage_open(&stage);
	struct message_sink *sink = outbox_sink(stage.outbox);
	for (unsigned i = 0; i < 6000; i++) {
		struct message message = {.topic = i % 3 ? "t/latest" : "t/all",
			.payload = "1",
			.payload_n = 1,
			.time_ms = virtual_time_ms(),
			.qos = (uint8_t)(1 + i % 2),
			.buffer = true,
			.latest_only = i % 3};
		assert_int_equal(sink->put(sink, &message), 0);
		if (i % 500 == 499)
			tick(&stage, 2 * S);
	}
	outbox_lost(stage.outbox); /* all of that is the backlog */
	connect(&stage);
	uint64_t sequences[16];
	struct outbox_message message;
	for (unsigned i = 0; i < 100; i++) { /* the younger of each turn first */
		size_t n = 0;
		if (i % 10 == 0)
			sink->put(sink, &(struct message){.topic = "t/all",
						.payload = "2",
						.payload_n = 1,
						.time_ms = virtual_time_ms(),
						.qos = 1,
						.buffer = true});
		while (n < 16 && outbox_next(stage.outbox, NULL, message_buffer, &message) == 0)
			sequences[n++] = message.sequence;
		while (n > 0)
			outbox_done(stage.outbox, false, sequences[--n], OUTBOX_ACKNOWLEDGED);
	}
	assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), 0);
	outbox_counts(stage.outbox, &counts);
	uint64_t waiting = counts.waiting;
	stage_kill(&stage);
	stage_open(&stage);
	outbox_counts(stage.outbox, &counts);
	assert_true(waiting > 100);
	assert_int_equal(counts.waiting, waiting);
	stage_clear(&stage);
}

/* The file is opened anew in the middle of it: what was noted before, meanwhile and after is gone. */
static void what_is_acknowledged_stays_gone_over_a_disk_that_fails(void **state)
{
	(void)state;
	struct stage stage;
	struct store_status status;
	signal(SIGXFSZ, SIG_IGN);
	stage_set(&stage, S, 31);
	for (unsigned i = 0; i < 1000; i++)
		put(&stage, 20);
	tick(&stage, 2 * S);
	connect(&stage);
	take_and_acknowledge(&stage, 300);
	limit_files(1);
	put(&stage, 20);
	tick(&stage, 2 * S);
	store_status(stage.store, &status);
	assert_false(status.durable);
	take_and_acknowledge(&stage, 300);
	limit_files(RLIM_INFINITY);
	tick(&stage, 70 * S);
	store_status(stage.store, &status);
	assert_true(status.durable);
	take_and_acknowledge(&stage, 100);
	take(&stage);
	stage_kill(&stage);
	stage_open(&stage);
	assert_int_equal(counts_of(&stage).waiting, 1001 - 700);
	stage_clear(&stage);
}

int main(void)
{
	virtual_now = 100 * (int64_t)S;
	virtual_wall_ms = 2764000000000; /* after any build */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_whatever_happens),
		cmocka_unit_test(a_healthy_gateway_writes_nothing),
		cmocka_unit_test(a_long_outage_stays_out_of_memory),
		cmocka_unit_test(sync_0_is_on_disk_before_it_leaves),
		cmocka_unit_test(what_was_superseded_is_gone_from_disk_too),
		cmocka_unit_test(what_the_map_no_longer_retains_comes_back_unretained),
		cmocka_unit_test(what_is_acknowledged_out_of_order_is_not_sent_again),
		cmocka_unit_test(a_full_file_drops_by_the_rule_and_counts),
		cmocka_unit_test(the_count_survives_a_kill),
		cmocka_unit_test(max_age_holds_on_disk),
		cmocka_unit_test(an_unset_clock_expires_nothing),
		cmocka_unit_test(a_journal_that_comes_late_takes_what_was_put_before),
		cmocka_unit_test(damage_that_is_met_later_costs_its_rows_only),
		cmocka_unit_test(a_disk_that_fails_stops_nothing),
		cmocka_unit_test(latest_waits_once_over_a_restart),
		cmocka_unit_test(a_backlog_is_read_on_while_present_readings_come),
		cmocka_unit_test(a_kill_while_draining_repeats_what_is_in_flight),
		cmocka_unit_test(a_kill_while_draining_repeats_nothing_over_gaps),
		cmocka_unit_test(what_is_acknowledged_stays_gone_over_a_disk_that_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
