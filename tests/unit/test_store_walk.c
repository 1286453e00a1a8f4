/*
 * Outbox, store and journal beside a model that cares for nothing but the rules: random interleavings of put, take,
 * acknowledge, give back, lose, connect, wait, settle, kill and open again, in virtual time, in both orders, with and
 * without `replay`, max_age, "latest" and sync "0s".
 *
 * The model keeps what was put in one list.  Whatever the outbox hands over is held against it: is it the one that is
 * due, as it was put, marked as it must be?  What a kill may take is `maybe`: it may come, and need not.
 */
#include "base/log.h"
#include "ship/outbox_store.h"
#include "ship/retained.h"
#include "ship/store.h"
#include "virtual_clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define MS       ((int64_t)1000)
#define S        (1000 * MS)
#define MOST     40000
#define N_TOPICS 6
#define SLACK_US (2 * MS) /* the wall clock counts in milliseconds */

/* Topics 0 to 3 are retained, of 3 and 4 only the newest waits. */
static const char *const topics[N_TOPICS] = {"t/0", "t/1", "t/2", "t/3", "t/4", "t/5"};

static bool is_retained(unsigned topic)
{
	return topic <= 3;
}

static bool is_latest(unsigned topic)
{
	return topic == 3 || topic == 4;
}

struct entry {
	int64_t put_us, gone_us;
	uint64_t sequence;          /* while in flight */
	unsigned topic, acked_turn; /* acked_turn: when it was acknowledged, 0 = not */
	uint8_t qos;
	bool gone, in_flight, tried, handed, replayed, again, maybe, old /* of a process before */;
};

struct walk {
	char folder[64], path[96];
	struct plan_buffer buffer;
	struct plan_metric metrics[4];
	struct retained retained;
	struct outbox *outbox;
	struct store *store;
	bool connected, attempted, kills;
	unsigned turn;                     /* of the publisher: what was acknowledged before it is noted */
	unsigned n, first, born, boundary; /* of entries; all before first are gone */
	uint64_t n_refused, n_past;        /* put without being taken; handed over of the past in this connection */
	int64_t connected_us;
	uint32_t random;
	struct entry entries[MOST];
};

static char buffer[OUTBOX_MESSAGE_BYTES];

static unsigned chance(struct walk *walk, unsigned n)
{
	walk->random = walk->random * 1664525u + 1013904223u;
	return (unsigned)((uint64_t)walk->random * n >> 32);
}

static void open_all(struct walk *walk)
{
	/* Small, so that much is on disk only; but what passes the backlog has to stay in memory. */
	int64_t bytes = walk->buffer.live_first ? 2 << 20 : 160 << 10;
	assert_int_equal(outbox_init(&walk->buffer, bytes, &virtual_clock, &walk->outbox), 0);
	outbox_retain_only(walk->outbox, &walk->retained);
	assert_int_equal(store_init(&walk->buffer, walk->outbox, &virtual_clock, &walk->store), 0);
	walk->connected = walk->attempted = false;
	walk->born = walk->boundary = walk->n;
}

static void tick(struct walk *walk, int64_t us)
{
	int64_t end = virtual_now + us, wake = store_step(walk->store, virtual_now);
	while (wake < end) {
		virtual_now = wake > virtual_now ? wake : virtual_now + 1000;
		wake = store_step(walk->store, virtual_now);
	}
	virtual_now = end;
}

static void end(struct entry *entry)
{
	entry->gone = true;
	entry->in_flight = false;
	entry->gone_us = virtual_now;
}

/* The one that waits of a topic of which only the newest does, or NULL. */
static struct entry *waiting_latest(struct walk *walk, unsigned topic)
{
	for (unsigned i = walk->n; is_latest(topic) && i-- > walk->first;) {
		struct entry *entry = &walk->entries[i];
		if (entry->topic == topic && !entry->gone && !entry->in_flight && !entry->maybe)
			return entry;
	}
	return NULL;
}

static void put(struct walk *walk)
{
	static char payload[4096];
	unsigned topic = chance(walk, N_TOPICS), size = chance(walk, 10) ? chance(walk, 200) : chance(walk, 4000);
	assert_true(walk->n < MOST);
	int n = snprintf(payload, sizeof(payload), "%u %*s", walk->n, (int)size, "");
	struct message message = {.topic = topics[topic],
		.payload = payload,
		.payload_n = (size_t)n,
		.time_ms = virtual_time_ms(),
		.qos = (uint8_t)(chance(walk, 8) ? 1 + chance(walk, 2) : 0),
		.retain = is_retained(topic),
		.latest_only = is_latest(topic),
		.buffer = true};
	struct message_sink *sink = outbox_sink(walk->outbox);
	int error = sink->put(sink, &message);
	sink->flush(sink);
	if (message.qos == 0 && !walk->connected) {
		assert_int_equal(error, -ENOBUFS);
		walk->n_refused++;
		return;
	}
	assert_int_equal(error, 0);
	struct entry *older = waiting_latest(walk, topic);
	if (older)
		end(older);
	walk->entries[walk->n++] = (struct entry){.put_us = virtual_now, .topic = topic, .qos = message.qos};
}

static bool is_past(const struct walk *walk, unsigned i)
{
	return walk->entries[i].old || i < walk->boundary;
}

/* Those before the one in hand that might have been due: they have to be gone, in flight, too old or taken by a kill.
 */
static void check_order(struct walk *walk, unsigned taken)
{
	bool past = is_past(walk, taken), live_first = walk->buffer.live_first;
	for (unsigned i = walk->first; i < walk->n; i++) {
		struct entry *entry = &walk->entries[i];
		bool before = i < taken && (!live_first || is_past(walk, i) == past);
		if (live_first && past && !is_past(walk, i))
			before = true;
		if (!before || entry->gone || entry->in_flight)
			continue;
		bool over =
			walk->buffer.max_age_us && virtual_now - entry->put_us >= walk->buffer.max_age_us - SLACK_US;
		if (!over && !entry->maybe)
			fail_msg("%u was taken before %u (of %u)", taken, i, walk->n);
		if (!entry->old || i < taken)
			end(entry);
	}
}

static bool expects_retain(const struct walk *walk, unsigned taken)
{
	unsigned topic = walk->entries[taken].topic;
	if (!is_retained(topic))
		return false;
	if (!walk->buffer.live_first || !is_past(walk, taken))
		return true;
	for (unsigned i = taken + 1 > walk->born ? taken + 1 : walk->born; i < walk->n; i++)
		if (walk->entries[i].topic == topic)
			return false;
	return true;
}

static bool take(struct walk *walk)
{
	struct outbox_message message;
	walk->turn++;
	if (outbox_next(walk->outbox, NULL, buffer, &message) < 0)
		return false;
	unsigned i = (unsigned)strtoul(message.message.payload, NULL, 10);
	assert_true(walk->connected && i < walk->n);
	struct entry *entry = &walk->entries[i];
	bool came_back = entry->maybe && entry->gone; /* its deletion was lost in a kill, and no note of it */
	assert_true((!entry->gone || came_back) && !entry->in_flight);
	check_order(walk, i);
	assert_string_equal(message.message.topic, topics[entry->topic]);
	assert_int_equal(message.message.qos, entry->qos);
	assert_int_equal(message.message.time_ms, 2764000000000 + entry->put_us / 1000);
	if (!entry->handed)
		entry->replayed = is_past(walk, i);
	if (message.message.retain != expects_retain(walk, i))
		fail_msg("%u of %u on %s: retain is %d", i, walk->n, topics[entry->topic], message.message.retain);
	assert_int_equal(message.replayed, entry->replayed);
	/* A row that was written while its message was in flight says so, also when that never left. */
	if (!entry->old)
		assert_true(entry->again ? message.again : !message.again || entry->tried);
	if (walk->buffer.max_age_us)
		assert_true(virtual_now - entry->put_us <= walk->buffer.max_age_us + SLACK_US);
	if (is_past(walk, i) && walk->buffer.replay) {
		uint64_t most = (uint64_t)((virtual_now - walk->connected_us + 20 * MS) * walk->buffer.replay / S) + 1;
		assert_true(++walk->n_past <= most);
	}
	entry->tried = entry->handed = entry->in_flight = true;
	entry->gone = entry->maybe = false;
	entry->acked_turn = 0;
	entry->sequence = message.sequence;
	return true;
}

/* The k-th in flight, or NULL. */
static struct entry *in_flight(struct walk *walk, unsigned k)
{
	struct entry *found = NULL;
	for (unsigned i = walk->first; i < walk->n; i++)
		if (walk->entries[i].in_flight) {
			found = &walk->entries[i];
			if (k-- == 0)
				break;
		}
	return found;
}

static void acknowledge(struct walk *walk, unsigned k)
{
	struct entry *entry = in_flight(walk, k);
	if (!entry)
		return;
	outbox_done(walk->outbox, false, entry->sequence, OUTBOX_ACKNOWLEDGED);
	entry->acked_turn = walk->turn + 1;
	end(entry);
	while (walk->first < walk->n && walk->entries[walk->first].gone && !walk->entries[walk->first].maybe &&
		virtual_now - walk->entries[walk->first].gone_us > 20 * S)
		walk->first++;
}

static void give_back(struct walk *walk, struct entry *entry, bool maybe_sent)
{
	outbox_back(walk->outbox, false, entry->sequence, maybe_sent);
	struct entry *other = waiting_latest(walk, entry->topic);
	entry->in_flight = false;
	entry->again |= maybe_sent;
	if (!entry->again)
		entry->handed = false;
	/* Of those that came back from a late deletion both may wait. */
	if (other && (!walk->kills || (!entry->old && !other->old)))
		end(other > entry ? entry : other);
	else if (other)
		entry->maybe = other->maybe = true;
}

static void lose(struct walk *walk)
{
	struct entry *entry;
	while ((entry = in_flight(walk, chance(walk, 5))))
		give_back(walk, entry, chance(walk, 3));
	outbox_lost(walk->outbox);
	walk->connected = false;
	walk->attempted = true;
	for (unsigned i = walk->first; i < walk->n; i++)
		if (walk->entries[i].qos == 0 && !walk->entries[i].gone)
			end(&walk->entries[i]);
}

static void connect_broker(struct walk *walk)
{
	outbox_connected(walk->outbox);
	walk->boundary = walk->attempted ? walk->n : walk->born;
	walk->connected = walk->attempted = true;
	walk->connected_us = virtual_now;
	walk->n_past = 0;
}

/* Ends the process, by a kill or in order, and begins another one. */
static void begin_anew(struct walk *walk, bool killed)
{
	int64_t sure_us = virtual_now - walk->buffer.sync_us - 1;
	if (killed && walk->buffer.sync_us == 0)
		tick(walk, 1);
	if (killed) {
		tick(walk, 1);
	} else {
		store_stop(walk->store);
		assert_int_equal(store_start(walk->store), 0);
		assert_int_equal(store_join(walk->store, 60 * S), 0);
	}
	store_destroy(walk->store);
	outbox_destroy(walk->outbox);
	for (unsigned i = walk->first; i < walk->n; i++) {
		struct entry *entry = &walk->entries[i], *newer;
		if (entry->in_flight && !killed && (newer = waiting_latest(walk, entry->topic)) && newer->qos &&
			entry->qos)
			end(newer > entry ? entry : newer); /* in flight it waited beside the newest */
		entry->old = true;
		entry->handed = entry->in_flight = false;
		bool noted = entry->gone && entry->acked_turn && entry->acked_turn <= walk->turn;
		entry->acked_turn = 0; /* the notes of a process are read by the next one, or lost */
		if (entry->qos == 0)
			entry->gone = true;
		else if (noted)
			entry->maybe = false;
		else if (killed && (entry->gone ? virtual_now - entry->gone_us < 8 * S : entry->put_us > sure_us))
			entry->maybe = true;
		else if (killed && is_latest(entry->topic) && !entry->gone)
			entry->maybe = true; /* the file may hold an older one that was about to go */
	}
	open_all(walk);
}

static void check_counts(struct walk *walk, bool exact)
{
	struct outbox_counts c;
	uint64_t alive = 0;
	outbox_counts(walk->outbox, &c);
	assert_int_equal(c.taken, c.waiting + c.done + c.dropped_full + c.dropped_offline + c.dropped_refused +
					  c.dropped_expired + c.dropped_superseded + c.dropped_damaged);
	assert_int_equal(c.dropped_full + c.dropped_refused + c.dropped_damaged, 0);
	for (unsigned i = walk->first; i < walk->n && exact; i++)
		alive += !walk->entries[i].gone;
	if (exact)
		assert_int_equal(c.waiting, alive);
}

static void step(struct walk *walk)
{
	unsigned what = chance(walk, 100);
	struct entry *entry;
	if (what < 45) {
		put(walk);
		virtual_now += chance(walk, 20) * MS;
	} else if (what < 65) {
		take(walk);
	} else if (what < 82) {
		acknowledge(walk, chance(walk, 3));
	} else if (what < 86) {
		if ((entry = in_flight(walk, chance(walk, 9))))
			give_back(walk, entry, chance(walk, 2));
	} else if (what < 88) {
		if (walk->connected || chance(walk, 4) == 0)
			lose(walk);
		else
			connect_broker(walk);
	} else if (what < 99) {
		tick(walk, chance(walk, 4) ? chance(walk, 100) * MS : chance(walk, 3000) * MS);
	} else if (chance(walk, 10) == 0) {
		begin_anew(walk, walk->kills);
	}
	tick(walk, 1);
}

/* All that waits is sent: what is left in the model must have been too old, or taken by a kill. */
static void drain(struct walk *walk)
{
	if (!walk->connected)
		connect_broker(walk);
	for (int i = 0; i < 200000 && !outbox_empty(walk->outbox); i++) {
		if (!take(walk))
			tick(walk, 10 * MS);
		acknowledge(walk, 0);
	}
	assert_true(outbox_empty(walk->outbox));
	for (unsigned i = walk->first; i < walk->n; i++) {
		const struct entry *entry = &walk->entries[i];
		bool over =
			walk->buffer.max_age_us && virtual_now - entry->put_us >= walk->buffer.max_age_us - SLACK_US;
		if (!entry->gone && !entry->maybe && !over)
			fail_msg("reading %u of %u is lost", i, walk->n);
	}
}

static void walk_once(uint32_t seed)
{
	static struct walk walk;
	walk = (struct walk){.random = seed * 2654435761u, .kills = seed % 2};
	snprintf(walk.folder, sizeof(walk.folder), "/dev/shm/busferry-walk-XXXXXX");
	assert_non_null(mkdtemp(walk.folder));
	snprintf(walk.path, sizeof(walk.path), "%s/buffer.db", walk.folder);
	walk.buffer = (struct plan_buffer){.path = walk.path,
		.path_given = true,
		.max_size = 64 << 20,
		.sync_us = seed % 5 == 0 ? 0 : S,
		.max_age_us = seed % 3 == 0 ? 20 * S : 0,
		.replay = seed % 4 == 0 ? 50 : 0,
		.live_first = seed / 2 % 2};
	for (size_t i = 0; i < 4; i++)
		walk.metrics[i] = (struct plan_metric){.topic = topics[i], .delivery.retain = true};
	struct plan plan = {.metrics = walk.metrics, .n_metrics = 4};
	retained_init(&walk.retained, &plan);
	open_all(&walk);
	for (unsigned i = 0; i < 3000; i++) {
		step(&walk);
		check_counts(&walk, !walk.kills && !walk.buffer.max_age_us);
	}
	drain(&walk);
	store_destroy(walk.store);
	outbox_destroy(walk.outbox);
	retained_destroy(&walk.retained);
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", walk.folder);
	assert_int_equal(system(command), 0);
}

static void the_rules_hold_whatever_happens(void **state)
{
	(void)state;
	const char *one = getenv("BUSFERRY_SEED"), *many = getenv("BUSFERRY_WALKS");
	uint32_t n = many ? (uint32_t)strtoul(many, NULL, 10) : 24;
	if (one)
		walk_once((uint32_t)strtoul(one, NULL, 10));
	for (uint32_t seed = 1; seed <= n && !one; seed++)
		walk_once(seed);
}

int main(void)
{
	virtual_now = 100 * S;
	virtual_wall_ms = 2764000000000; /* after any build */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rules_hold_whatever_happens),
	};
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
