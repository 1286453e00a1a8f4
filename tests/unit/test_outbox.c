/*
 * The outbox: order, no loss, counts, limits, marks, wake-ups.
 */
#include "base/log.h"
#include "ship/lane.h"
#include "ship/outbox.h"
#include "ship/outbox_store.h"
#include "virtual_clock.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define KILO 1024

static char buffer[OUTBOX_MESSAGE_BYTES];

static struct outbox *open_outbox(struct plan_buffer limits, int64_t max_bytes)
{
	struct outbox *outbox = NULL;
	virtual_now = 1000000;
	assert_int_equal(outbox_init(&limits, max_bytes, &virtual_clock, &outbox), 0);
	return outbox;
}

static int put(struct outbox *outbox, const char *topic, const char *payload, uint8_t qos, enum message_kind kind)
{
	struct message message = {.topic = topic,
		.payload = payload,
		.payload_n = strlen(payload),
		.time_ms = virtual_time_ms(),
		.qos = qos,
		.retain = true,
		.json = true,
		.buffer = true,
		.kind = kind};
	return outbox_sink(outbox)->put(outbox_sink(outbox), &message);
}

static int put_reading(struct outbox *outbox, const char *payload, uint8_t qos)
{
	return put(outbox, "home/meter/voltage", payload, qos, MESSAGE_READING);
}

/* Takes the next message and expects that payload. */
static struct outbox_message next(struct outbox *outbox, const char *payload)
{
	struct outbox_message message;
	assert_int_equal(outbox_next(outbox, NULL, buffer, &message), 0);
	assert_int_equal(message.message.payload_n, strlen(payload));
	assert_memory_equal(message.message.payload, payload, strlen(payload));
	return message;
}

static void done(struct outbox *outbox, const struct outbox_message *message)
{
	outbox_done(outbox, message->standing, message->sequence, OUTBOX_ACKNOWLEDGED);
}

static void expect_nothing(struct outbox *outbox)
{
	struct outbox_message message;
	assert_int_equal(outbox_next(outbox, NULL, buffer, &message), -EAGAIN);
}

static struct outbox_counts counts_of(struct outbox *outbox)
{
	struct outbox_counts counts;
	outbox_counts(outbox, &counts);
	assert_int_equal(counts.taken, counts.waiting + counts.done + counts.dropped_full + counts.dropped_offline +
					       counts.dropped_refused + counts.dropped_expired +
					       counts.dropped_superseded);
	return counts;
}

static void test_life(void **state)
{
	(void)state;
	struct outbox *outbox = open_outbox((struct plan_buffer){0}, 64 * KILO);
	assert_true(outbox_empty(outbox));
	outbox_connected(outbox);
	assert_int_equal(put_reading(outbox, "{\"value\":1}", 1), 0);
	virtual_now += 1000;
	assert_int_equal(put_reading(outbox, "", 2), 0);
	assert_int_equal(counts_of(outbox).waiting, 2);
	assert_int_equal(counts_of(outbox).oldest_ms, 1764000001000);
	struct outbox_message none;
	struct outbox_room room = {.qos = {true, false, true}};
	assert_int_equal(outbox_next(outbox, &room, buffer, &none), -ENOSPC);

	struct outbox_message one = next(outbox, "{\"value\":1}");
	assert_string_equal(one.message.topic, "home/meter/voltage");
	assert_int_equal(one.sequence, 1);
	assert_int_equal(one.message.qos, 1);
	assert_int_equal(one.message.time_ms, 1764000001000);
	assert_true(one.message.retain && one.message.json && one.message.buffer);
	assert_false(one.standing || one.replayed || one.again);
	room.standing_only = true;
	assert_int_equal(outbox_next(outbox, &room, buffer, &none), -ENOSPC);
	struct outbox_message two = next(outbox, "");
	assert_int_equal(two.sequence, 2);
	expect_nothing(outbox);
	assert_int_equal(counts_of(outbox).in_flight, 2);

	done(outbox, &two);
	done(outbox, &two); /* twice is once */
	assert_false(outbox_empty(outbox));
	outbox_done(outbox, false, one.sequence, OUTBOX_REFUSED);
	assert_true(outbox_empty(outbox));
	struct outbox_counts counts = counts_of(outbox);
	assert_int_equal(counts.done, 1);
	assert_int_equal(counts.dropped_refused, 1);
	assert_int_equal(counts.waiting_bytes, 0);
	assert_int_equal(counts.oldest_ms, 0);
	outbox_destroy(outbox);
	outbox_destroy(NULL);
}

static void test_standing(void **state)
{
	(void)state;
	struct outbox *outbox = open_outbox((struct plan_buffer){0}, 64 * KILO);
	assert_int_equal(put(outbox, "home/gateway/pi/state", "early", 1, MESSAGE_STANDING), 0);
	assert_true(outbox_empty(outbox));
	outbox_connected(outbox);
	put_reading(outbox, "reading", 1);
	put(outbox, "home/gateway/pi/state", "online", 1, MESSAGE_STANDING);
	put(outbox, "home/gateway/pi/stats", "{}", 0, MESSAGE_STANDING);
	struct outbox_message first = next(outbox, "online");
	assert_true(first.standing);
	assert_int_equal(first.message.kind, MESSAGE_STANDING);
	outbox_back(outbox, true, first.sequence, true);
	first = next(outbox, "online");
	assert_false(first.again);
	outbox_back(outbox, true, first.sequence, true);
	outbox_lost(outbox);
	assert_int_equal(counts_of(outbox).waiting, 1);
	assert_int_equal(counts_of(outbox).taken, 1);
	outbox_connected(outbox);
	first = next(outbox, "reading");
	done(outbox, &first);
	assert_true(outbox_empty(outbox));
	outbox_destroy(outbox);
}

static void test_qos0(void **state)
{
	(void)state;
	struct outbox *outbox = open_outbox((struct plan_buffer){0}, 64 * KILO);
	assert_int_equal(put_reading(outbox, "early", 0), -ENOBUFS);
	assert_int_equal(counts_of(outbox).dropped_offline, 1);
	outbox_connected(outbox);
	put_reading(outbox, "a", 0);
	put_reading(outbox, "b", 1);
	put_reading(outbox, "c", 0);
	struct outbox_message a = next(outbox, "a");
	outbox_done(outbox, false, a.sequence, OUTBOX_UNSENT);
	outbox_lost(outbox);
	struct outbox_counts counts = counts_of(outbox);
	assert_int_equal(counts.waiting, 1);
	assert_int_equal(counts.dropped_offline, 3);
	outbox_connected(outbox);
	assert_true(next(outbox, "b").replayed);
	outbox_destroy(outbox);
}

static void test_replayed(void **state)
{
	(void)state;
	struct outbox *outbox = open_outbox((struct plan_buffer){0}, 64 * KILO);
	put_reading(outbox, "while connecting", 1);
	outbox_connected(outbox);
	struct outbox_message message = next(outbox, "while connecting");
	assert_false(message.replayed);
	outbox_back(outbox, false, message.sequence, true);
	outbox_lost(outbox);
	put_reading(outbox, "offline", 1);
	outbox_connected(outbox);
	put_reading(outbox, "live", 1);

	message = next(outbox, "while connecting");
	assert_true(message.again);
	assert_false(message.replayed); /* it was first sent in its own connection */
	done(outbox, &message);
	message = next(outbox, "offline");
	assert_true(message.replayed && !message.again);
	outbox_back(outbox, false, message.sequence, true);
	message = next(outbox, "offline");
	assert_true(message.replayed && message.again);
	outbox_back(outbox, false, message.sequence, false);
	message = next(outbox, "offline");
	assert_true(message.replayed && message.again);
	done(outbox, &message);

	message = next(outbox, "live");
	assert_false(message.replayed);
	outbox_back(outbox, false, message.sequence, false); /* it never left: what comes is its first time */
	outbox_lost(outbox);
	outbox_connected(outbox);
	message = next(outbox, "live");
	assert_true(message.replayed && !message.again);
	outbox_destroy(outbox);

	outbox = open_outbox((struct plan_buffer){0}, 64 * KILO);
	put_reading(outbox, "before the attempt failed", 1);
	outbox_lost(outbox);
	put_reading(outbox, "after it", 1);
	outbox_lost(outbox);
	struct outbox_message none;
	assert_int_equal(outbox_next(outbox, NULL, buffer, &none), -EAGAIN);
	outbox_connected(outbox);
	assert_true(next(outbox, "before the attempt failed").replayed);
	assert_true(next(outbox, "after it").replayed);
	outbox_destroy(outbox);
}

static void test_back(void **state)
{
	(void)state;
	struct outbox *outbox = open_outbox((struct plan_buffer){0}, 64 * KILO);
	outbox_connected(outbox);
	put_reading(outbox, "a", 1);
	put_reading(outbox, "b", 1);
	struct outbox_message a = next(outbox, "a"), b = next(outbox, "b");
	expect_nothing(outbox);
	outbox_back(outbox, false, b.sequence, true); /* the last one, after the queue had run dry */
	b = next(outbox, "b");
	expect_nothing(outbox);
	outbox_back(outbox, false, b.sequence, true);
	outbox_back(outbox, false, a.sequence, true);
	outbox_back(outbox, false, a.sequence, true); /* it is not in flight */
	outbox_back(outbox, false, 99, true);
	put_reading(outbox, "c", 1);
	next(outbox, "a");
	next(outbox, "b");
	next(outbox, "c");
	expect_nothing(outbox);
	outbox_destroy(outbox);
}

static void test_drop_oldest(void **state)
{
	(void)state;
	int64_t one = (int64_t)lane_size_of(strlen("home/meter/voltage"), 1);
	struct outbox *outbox = open_outbox((struct plan_buffer){.when_full = WHEN_FULL_DROP_OLDEST}, 3 * one);
	outbox_connected(outbox);
	put_reading(outbox, "a", 1);
	put_reading(outbox, "b", 1);
	put_reading(outbox, "c", 1);
	struct outbox_message a = next(outbox, "a");
	assert_int_equal(put_reading(outbox, "d", 1), 0); /* b goes, not a */
	assert_int_equal(counts_of(outbox).dropped_full, 1);
	struct outbox_message c = next(outbox, "c"), d = next(outbox, "d");
	assert_int_equal(put_reading(outbox, "e", 1), -ENOBUFS); /* all in flight */
	assert_int_equal(counts_of(outbox).dropped_full, 2);
	outbox_back(outbox, false, c.sequence, true);
	assert_int_equal(put_reading(outbox, "f", 1), 0); /* c goes */
	done(outbox, &a);
	done(outbox, &d);
	a = next(outbox, "f");
	done(outbox, &a);
	assert_true(outbox_empty(outbox));

	char large[512];
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	put_reading(outbox, "g", 1);
	assert_int_equal(put_reading(outbox, large, 1), -ENOBUFS); /* would never fit: costs nobody else */
	assert_int_equal(counts_of(outbox).waiting, 1);
	outbox_destroy(outbox);
}

static void test_drop_newest(void **state)
{
	(void)state;
	int64_t one = (int64_t)lane_size_of(strlen("home/meter/voltage"), 1);
	struct plan_buffer limits = {.when_full = WHEN_FULL_DROP_NEWEST, .max_size = 2 * one};
	struct outbox *outbox = open_outbox(limits, 1000 * KILO);
	outbox_connected(outbox);
	put_reading(outbox, "a", 1);
	put_reading(outbox, "b", 1);
	assert_int_equal(put_reading(outbox, "c", 1), -ENOBUFS);
	assert_int_equal(counts_of(outbox).dropped_full, 1);
	struct outbox_message a = next(outbox, "a");
	done(outbox, &a);
	assert_int_equal(put_reading(outbox, "d", 1), 0);
	next(outbox, "b");
	next(outbox, "d");
	outbox_destroy(outbox);
}

static void test_expiry(void **state)
{
	(void)state;
	struct outbox *outbox = open_outbox((struct plan_buffer){.max_age_us = 60 * 1000000}, 64 * KILO);
	struct message message = {.topic = "t", .payload = "x", .payload_n = 1, .qos = 1, .expire_s = 10};
	struct message_sink *sink = outbox_sink(outbox);
	sink->put(sink, &message);
	virtual_now += 4500000;
	sink->put(sink, &message);
	message.expire_s = 0;
	sink->put(sink, &message);
	outbox_connected(outbox);
	virtual_now += 5500000; /* the first is over, the second has 4.5 s left */
	struct outbox_message left = next(outbox, "x");
	assert_int_equal(left.sequence, 2);
	assert_int_equal(left.message.expire_s, 5);
	assert_int_equal(counts_of(outbox).dropped_expired, 1);
	outbox_done(outbox, false, left.sequence, OUTBOX_EXPIRED);
	virtual_now += 54499999;
	left = next(outbox, "x");
	assert_int_equal(left.message.expire_s, 0);
	outbox_back(outbox, false, left.sequence, true);
	virtual_now += 1;
	expect_nothing(outbox);
	assert_int_equal(counts_of(outbox).dropped_expired, 3);
	assert_true(outbox_empty(outbox));

	/* One that came within the turn that began before it has all of its time, and no more. */
	message.expire_s = 10;
	virtual_now += 300;
	sink->put(sink, &message);
	virtual_now -= 300;
	assert_int_equal(next(outbox, "x").message.expire_s, 10);
	outbox_destroy(outbox);
}

static bool readable(struct outbox *outbox)
{
	struct pollfd fd = {.fd = outbox_fd(outbox), .events = POLLIN};
	return poll(&fd, 1, 0) == 1;
}

static void test_wake_up(void **state)
{
	(void)state;
	struct outbox *outbox = open_outbox((struct plan_buffer){0}, 640 * KILO);
	struct message_sink *sink = outbox_sink(outbox);
	outbox_connected(outbox);
	sink->flush(sink);
	expect_nothing(outbox);
	sink->flush(sink); /* nothing came */
	assert_false(readable(outbox));
	for (int i = 0; i < 100; i++) {
		put_reading(outbox, "x", 1);
		sink->flush(sink);
	}
	assert_true(readable(outbox));
	uint64_t count = 0;
	assert_int_equal(read(outbox_fd(outbox), &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1); /* one write for a hundred */
	outbox_fd_clear(outbox);
	for (int i = 0; i < 100; i++)
		next(outbox, "x");
	put_reading(outbox, "y", 1);
	sink->flush(sink); /* the publisher has not said that it is hungry */
	assert_false(readable(outbox));
	next(outbox, "y");
	expect_nothing(outbox);
	put_reading(outbox, "z", 1);
	sink->flush(sink);
	assert_true(readable(outbox));
	outbox_fd_clear(outbox);
	assert_false(readable(outbox));
	outbox_destroy(outbox);
}

static bool wakes_store(struct outbox *outbox, uint8_t qos)
{
	struct pollfd fd = {.fd = outbox_store_fd(outbox), .events = POLLIN};
	put_reading(outbox, "x", qos);
	outbox_sink(outbox)->flush(outbox_sink(outbox));
	return poll(&fd, 1, 0) == 1;
}

/* What is put at QoS 0 never goes to disk: it wakes nobody there, and keeps nobody awake. */
static void test_store_wake_up(void **state)
{
	(void)state;
	struct outbox *outbox = open_outbox((struct plan_buffer){0}, 64 * KILO);
	outbox_connected(outbox);
	assert_true(outbox_store_sleeps(outbox));
	assert_false(wakes_store(outbox, 0));
	assert_true(outbox_store_sleeps(outbox));
	assert_true(wakes_store(outbox, 1));
	outbox_store_fd_clear(outbox);
	assert_false(outbox_store_sleeps(outbox));
	assert_false(wakes_store(outbox, 1)); /* it is awake */
	outbox_destroy(outbox);
}

/* Mapped bytes of this process, of the kernel's own account. */
static long mapped_pages(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld", &pages), 1);
	fclose(file);
	return pages;
}

static void test_outage(void **state)
{
	(void)state;
	struct outbox *outbox = open_outbox((struct plan_buffer){0}, 64 * KILO * KILO);
	static char large[MESSAGE_PAYLOAD_MAX + 1];
	memset(large, 'L', MESSAGE_PAYLOAD_MAX);
	long before = mapped_pages();
	char text[32];
	for (int i = 0; i < 100000; i++) {
		snprintf(text, sizeof(text), "%d", i);
		assert_int_equal(put_reading(outbox, i % 1000 == 500 ? large : text, 1), 0);
	}
	outbox_connected(outbox);
	struct outbox_message window[100] = {0};
	for (int i = 0; i < 100000; i++) {
		snprintf(text, sizeof(text), "%d", i);
		struct outbox_message *slot = &window[i % 100];
		if (slot->sequence)
			done(outbox, slot);
		*slot = next(outbox, i % 1000 == 500 ? large : text);
		assert_int_equal(slot->sequence, i + 1);
	}
	for (int i = 99; i >= 0; i--)
		done(outbox, &window[i]);
	assert_true(outbox_empty(outbox));
	put_reading(outbox, large, 1); /* behind a segment that is empty */
	assert_int_equal(counts_of(outbox).oldest_ms, virtual_time_ms());
	window[0] = next(outbox, large);
	done(outbox, &window[0]);
	assert_true(mapped_pages() - before < 4096 * KILO / sysconf(_SC_PAGESIZE));

	char too_large[MESSAGE_TOPIC_MAX + 2];
	memset(too_large, 't', sizeof(too_large) - 1);
	too_large[sizeof(too_large) - 1] = '\0';
	assert_int_equal(put(outbox, too_large, "x", 1, MESSAGE_READING), -ENOBUFS);
	assert_int_equal(counts_of(outbox).dropped_refused, 1);
	outbox_destroy(outbox);
}

static int put_latest(struct outbox *outbox, const char *topic, const char *payload)
{
	struct message message = {.topic = topic,
		.payload = payload,
		.payload_n = strlen(payload),
		.qos = 1,
		.latest_only = true,
		.kind = MESSAGE_READING};
	return outbox_sink(outbox)->put(outbox_sink(outbox), &message);
}

/* backlog: "latest": of what waits only the newest of each topic is kept, at its own place. */
static void test_latest(void **state)
{
	(void)state;
	struct outbox *outbox = open_outbox((struct plan_buffer){0}, 64 * KILO);
	outbox_lost(outbox);
	assert_int_equal(put_latest(outbox, "a", "a1"), 0);
	assert_int_equal(put_latest(outbox, "b", "b1"), 0);
	assert_int_equal(put_reading(outbox, "v1", 1), 0);
	assert_int_equal(put_latest(outbox, "a", "a2"), 0);
	assert_int_equal(put_reading(outbox, "v2", 1), 0);
	assert_int_equal(counts_of(outbox).dropped_superseded, 1);
	outbox_connected(outbox);
	struct outbox_message b1 = next(outbox, "b1");
	assert_true(b1.replayed);
	next(outbox, "v1");
	struct outbox_message a2 = next(outbox, "a2");
	next(outbox, "v2");

	/* in flight is not waiting; what comes back is older than what came since */
	assert_int_equal(put_latest(outbox, "a", "a3"), 0);
	assert_int_equal(counts_of(outbox).dropped_superseded, 1);
	outbox_back(outbox, false, a2.sequence, true);
	outbox_back(outbox, false, b1.sequence, true);
	assert_int_equal(counts_of(outbox).dropped_superseded, 2);
	assert_true(next(outbox, "b1").again);
	struct outbox_message a3 = next(outbox, "a3");
	expect_nothing(outbox);

	/* two of one topic come back */
	assert_int_equal(put_latest(outbox, "a", "a4"), 0);
	struct outbox_message a4 = next(outbox, "a4");
	outbox_back(outbox, false, a3.sequence, false);
	outbox_back(outbox, false, a4.sequence, false);
	assert_int_equal(counts_of(outbox).dropped_superseded, 3);
	next(outbox, "a4");
	expect_nothing(outbox);
	outbox_destroy(outbox);

	/* thousands of topics; a full buffer that keeps what it has */
	outbox = open_outbox((struct plan_buffer){.when_full = WHEN_FULL_DROP_NEWEST}, 1024 * KILO);
	char topic[16];
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 3000; i++) {
			snprintf(topic, sizeof(topic), "t%d", i);
			assert_int_equal(put_latest(outbox, topic, round == 2 ? "new" : "old"), 0);
		}
	assert_int_equal(counts_of(outbox).waiting, 3000);
	assert_int_equal(counts_of(outbox).dropped_superseded, 6000);
	outbox_connected(outbox);
	for (int i = 0; i < 3000; i++)
		next(outbox, "new");
	expect_nothing(outbox);
	outbox_destroy(outbox);

	outbox = open_outbox((struct plan_buffer){.when_full = WHEN_FULL_DROP_NEWEST}, 2 * (int64_t)lane_size_of(1, 2));
	assert_int_equal(put_latest(outbox, "a", "a1"), 0);
	assert_int_equal(put_latest(outbox, "b", "b1"), 0);
	assert_int_equal(put_latest(outbox, "c", "c1"), -ENOBUFS);
	assert_int_equal(put_latest(outbox, "b", "b2"), 0);
	assert_int_equal(put_latest(outbox, "a", "much longer"), -ENOBUFS);
	outbox_connected(outbox);
	next(outbox, "a1");
	next(outbox, "b2");
	expect_nothing(outbox);
	outbox_destroy(outbox);
}

static const char *next_topic(struct outbox *outbox, bool *ret_retain)
{
	static char topic[MESSAGE_TOPIC_MAX + 1];
	struct outbox_message message;
	assert_int_equal(outbox_next(outbox, NULL, buffer, &message), 0);
	snprintf(topic, sizeof(topic), "%s", message.message.topic);
	*ret_retain = message.message.retain;
	done(outbox, &message);
	return topic;
}

/* The map is read again: what waits by an older one is retained only if the new one says so. */
static void test_retain_anew(void **state)
{
	(void)state;
	const char *both[] = {"a", "b"}, *other[] = {"b", "c"};
	struct retained before = {.topics = both, .n = 2}, after = {.topics = other, .n = 2};
	struct outbox *outbox = open_outbox((struct plan_buffer){0}, 64 * KILO);
	bool retain;
	outbox_retain_only(outbox, &before);
	put(outbox, "a", "1", 1, MESSAGE_READING);
	put(outbox, "b", "1", 1, MESSAGE_READING);
	assert_int_equal(outbox_retain_anew(outbox, &after), 0);
	put(outbox, "c", "1", 1, MESSAGE_READING);
	outbox_connected(outbox);
	assert_string_equal(next_topic(outbox, &retain), "a");
	assert_false(retain);
	assert_string_equal(next_topic(outbox, &retain), "b");
	assert_true(retain);
	assert_string_equal(next_topic(outbox, &retain), "c");
	assert_true(retain);
	outbox_destroy(outbox);

	/* with "live_first" it is still known which was the newest of its topic */
	outbox = open_outbox((struct plan_buffer){.live_first = true}, 64 * KILO);
	outbox_retain_only(outbox, &before);
	outbox_connected(outbox);
	outbox_lost(outbox);
	put(outbox, "b", "old", 1, MESSAGE_READING);
	outbox_connected(outbox);
	put(outbox, "b", "new", 1, MESSAGE_READING);
	assert_int_equal(outbox_retain_anew(outbox, &after), 0);
	assert_string_equal(next_topic(outbox, &retain), "b");
	assert_true(retain);
	assert_string_equal(next_topic(outbox, &retain), "b");
	assert_false(retain); /* the old one comes behind */
	outbox_destroy(outbox);
}

/* Limits that change while readings wait. */
static void test_relimit(void **state)
{
	(void)state;
	struct plan_buffer limits = {.max_age_us = 100000000, .when_full = WHEN_FULL_DROP_NEWEST, .replay = 1};
	struct outbox *outbox = open_outbox(limits, 1 * KILO);
	unsigned n = 0;
	while (put_reading(outbox, "{\"value\":1}", 1) == 0)
		n++;
	assert_true(n > 1);
	limits.when_full = WHEN_FULL_DROP_OLDEST;
	outbox_relimit(outbox, &limits, 1 * KILO);
	assert_true(outbox_drops_oldest(outbox));
	assert_int_equal(put_reading(outbox, "{\"value\":2}", 1), 0);
	assert_int_equal(counts_of(outbox).waiting, n);
	outbox_relimit(outbox, &limits, 2 * KILO);
	assert_int_equal(put_reading(outbox, "{\"value\":3}", 1), 0);
	assert_int_equal(counts_of(outbox).waiting, n + 1);
	outbox_connected(outbox);
	outbox_lost(outbox);
	outbox_connected(outbox);
	struct outbox_message message;
	for (int i = 0; i < 3 && outbox_next(outbox, NULL, buffer, &message) == 0; i++)
		done(outbox, &message);
	assert_int_equal(outbox_next(outbox, NULL, buffer, &message), -EBUSY); /* one a second */
	limits.replay = 0;
	struct pollfd woken = {.fd = outbox_fd(outbox), .events = POLLIN};
	outbox_fd_clear(outbox);
	outbox_relimit(outbox, &limits, 2 * KILO);
	assert_int_equal(poll(&woken, 1, 0), 1);
	assert_int_equal(outbox_next(outbox, NULL, buffer, &message), 0);
	done(outbox, &message);
	limits.max_age_us = 1000;
	virtual_now += 2000;
	outbox_relimit(outbox, &limits, 2 * KILO);
	expect_nothing(outbox);
	assert_true(counts_of(outbox).dropped_expired > 0);
	outbox_destroy(outbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_latest),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_standing),
		cmocka_unit_test(test_qos0),
		cmocka_unit_test(test_replayed),
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_drop_oldest),
		cmocka_unit_test(test_drop_newest),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_wake_up),
		cmocka_unit_test(test_store_wake_up),
		cmocka_unit_test(test_outage),
		cmocka_unit_test(test_retain_anew),
		cmocka_unit_test(test_relimit),
	};
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
