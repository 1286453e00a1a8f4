/*
 * From the outbox to the uplink and back.  See sender.h.
 *
 * A message is forgotten by the outbox only by an acknowledgement with a good reason (QoS 0: when it is written), by a
 * refusal for good, or as poison.  Everything else gives it back.
 *
 * Invariant: what is IN FLIGHT in the outbox is in the window, or in the hands of sender_hand_over.  Entries that are
 * `orphan` are in the window only, because the uplink's object still holds their message.
 */
#include "ship/sender.h"
#include "ship/payload.h"
#include "ship/reason.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SENDER_TURN       8  /* messages looked at before the socket is served again */
#define SENDER_LAST_WORDS 16 /* room beyond the window for what is said on leaving */
#define SENDER_CALM_US    60000000
#define SENDER_OUTCAST    0x100 /* no reason code: the topic has dropped too many connections */

int sender_init(struct sender *sender, const struct plan_broker *broker, struct outbox *outbox, struct uplink *uplink)
{
	*sender = (struct sender){
		.broker = broker,
		.outbox = outbox,
		.uplink = uplink,
		.later = {.first_us = 1000000, .cap_us = 30000000, .jitter_percent = 25},
	};
	sender->buffer = malloc(OUTBOX_MESSAGE_BYTES);
	if (!sender->buffer)
		return -ENOMEM;
	unsigned size = broker->inflight + SENDER_QOS2_MAX + SENDER_QOS0_MAX + SENDER_LAST_WORDS;
	int error = window_init(&sender->window, size < 65000 ? size : 65000);
	if (error) {
		free(sender->buffer);
		sender->buffer = NULL;
	}
	return error;
}

void sender_destroy(struct sender *sender)
{
	window_destroy(&sender->window);
	free(sender->buffer);
	sender->buffer = NULL;
}

static void sender_count_in_flight(struct sender *sender)
{
	atomic_store_explicit(&sender->n_in_flight, window_kept(&sender->window), memory_order_relaxed);
}

void sender_connected(struct sender *sender, const struct uplink_limits *limits, uint8_t *max_qos, const char *url,
	bool resumed, int64_t now_us)
{
	if (sender->max_qos != max_qos)
		sender->qos2_works = false;
	sender->limits = *limits;
	sender->max_qos = max_qos;
	sender->url = url;
	sender->resumed = resumed;
	sender->progress_us = now_us;
	sender->hold_until_us = poison_suspected(&sender->poison) ? now_us + POISON_HOLD_US : now_us;
	if (!resumed)
		sender->last_id = 0;
}

static uint8_t sender_qos(const struct sender *sender, uint8_t qos)
{
	uint8_t most = *sender->max_qos;
	if (sender->limits.maximum_qos < most)
		most = (uint8_t)sender->limits.maximum_qos;
	return qos < most ? qos : most;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static bool sender_has_room(const struct sender *sender, uint8_t qos)
{
	const struct window *window = &sender->window;
	const struct window_entry *oldest = window_oldest(window);
	if (oldest && ((sender->last_id - oldest->message_id) & 0xffff) > SENDER_ID_DISTANCE)
		return false;
	if (qos == 0)
		return window->n[0] < SENDER_QOS0_MAX && window->bytes[0] < SENDER_QOS0_BYTES;
	unsigned most = poison_suspected(&sender->poison) ? 1 : sender->broker->inflight;
	if (sender->limits.receive_maximum)
		most = least(most, sender->limits.receive_maximum);
	if (qos == 2 && window->n[2] >= least(sender->broker->inflight_qos2, SENDER_QOS2_MAX))
		return false;
	/* The next one may be as large as a message can be. */
	return window_kept(window) < most &&
	       window->bytes[1] + window->bytes[2] + MESSAGE_PAYLOAD_MAX + MESSAGE_TOPIC_MAX <= SENDER_BYTES_MAX;
}

/* One line a kind of refusal, at growing intervals. */
static void sender_complain(struct sender *sender, int reason, const char *topic, int64_t now_us)
{
	static const int kinds[SENDER_REFUSAL_KINDS] = {0x97, 0x87, 0x90, 0x95, 0x99};
	bool later = reason_verdict(reason) == REASON_LATER;
	unsigned kind = later ? 0 : 1;
	while (!later && kind < SENDER_REFUSAL_KINDS - 1 && kinds[kind] != reason)
		kind++;
	if (!complaint_raise(&sender->refusals[kind], now_us))
		return;
	unsigned long long n = sender->refusals[kind].count;
	struct log_about about = {.broker = sender->url, .topic = topic};
	if (later)
		log_about(LOG_LEVEL_WARNING, &about,
			"broker %s: does not take messages now: %s (on %s, %llu times); trying again", sender->url,
			reason_words(reason), topic, n);
	else
		log_about(LOG_LEVEL_ERROR, &about,
			"broker %s: refuses messages: %s (on %s, %llu so far); they are set aside", sender->url,
			reason_words(reason), topic, n);
}

static void sender_refuse(
	struct sender *sender, bool standing, uint64_t sequence, const char *topic, int reason, int64_t now_us)
{
	outbox_done(sender->outbox, standing, sequence, OUTBOX_REFUSED);
	atomic_fetch_add_explicit(&sender->n_refused, 1, memory_order_relaxed);
	sender_complain(sender, reason, topic, now_us);
}

/* 0, or the reason for which it can't be sent at all. */
static int sender_fault(const struct sender *sender, const struct outbox_message *message, int64_t now_us)
{
	const char *topic = message->message.topic;
	size_t topic_n = strlen(topic);
	if (topic_n == 0 || topic_n > UINT16_MAX || strpbrk(topic, "+#"))
		return 0x90;
	/* Fixed header 5, topic length 2, id 2, and what properties take at most: 13 content type, 5 expiry, 31 marks,
	 * 3 alias. */
	size_t packet = message->message.payload_n + topic_n + 9 + (sender->broker->protocol == 5 ? 59 : 0);
	if (sender->limits.maximum_packet && packet > sender->limits.maximum_packet)
		return 0x95;
	if (poison_outcast(&sender->poison, topic, message->standing, now_us))
		return SENDER_OUTCAST;
	return 0;
}

/* Publishes the message in hand.  0; -EAGAIN when it went back and nothing more should be tried now. */
static int sender_publish(struct sender *sender, struct outbox_message *message, int64_t now_us)
{
	struct message *inner = &message->message;
	bool standing = message->standing;
	uint64_t sequence = message->sequence;
	int reason = sender_fault(sender, message, now_us);
	if (reason) {
		sender_refuse(sender, standing, sequence, inner->topic, reason, now_us);
		return 0;
	}
	uint8_t qos = sender_qos(sender, inner->qos);
	if (qos == 0 && poison_suspected(&sender->poison)) {
		outbox_done(sender->outbox, standing, sequence, OUTBOX_UNSENT);
		return 0;
	}
	inner->qos = qos;
	inner->retain = inner->retain && sender->limits.retain_available;
	if (inner->json) {
		char *payload = sender->buffer + ((const char *)inner->payload - sender->buffer);
		size_t size = OUTBOX_MESSAGE_BYTES - (size_t)(payload - sender->buffer);
		inner->payload_n = payload_mark(payload, inner->payload_n, size, message->replayed, message->again);
	}
	struct uplink_publish publish = {
		.message = inner,
		.payload = inner->payload,
		.payload_n = inner->payload_n,
		.content_type = inner->json ? "application/json" : "text/plain",
		.expire_s = inner->expire_s,
		.replayed = message->replayed && !inner->json,
		.again = message->again && !inner->json,
		.recurs = !standing,
	};
	bool awaited = window_kept(&sender->window) > 0;
	int id = 0;
	int error = sender->uplink->ops->publish(sender->uplink, &publish, &id);
	if (error == 0) {
		uint32_t bytes = (uint32_t)(inner->payload_n + strlen(inner->topic));
		struct window_entry *entry = window_add(&sender->window, id, qos, bytes, inner->topic);
		if (!entry) { /* can't be: the room was there, and ids are distinct within their distance */
			outbox_back(sender->outbox, standing, sequence, true);
			return -EAGAIN;
		}
		entry->sequence = sequence;
		entry->standing = standing;
		sender->last_id = id;
		if (!awaited)
			sender->progress_us = now_us;
		return 0;
	}
	if (error == -EMSGSIZE || error == -EINVAL) {
		sender_refuse(sender, standing, sequence, inner->topic, error == -EINVAL ? 0x90 : 0x95, now_us);
		return 0;
	}
	outbox_back(sender->outbox, standing, sequence, false);
	if (error == -EPROTONOSUPPORT && qos > 0) {
		*sender->max_qos = (uint8_t)(qos - 1);
		return 0;
	}
	return -EAGAIN;
}

enum sender_state sender_hand_over(struct sender *sender, bool last_words, int64_t now_us, unsigned *ret_n)
{
	enum sender_state state = SENDER_MORE;
	unsigned n = 0;
	*ret_n = 0;
	if (now_us < sender->hold_until_us && !last_words)
		return SENDER_HELD;
	while (n < SENDER_TURN) {
		struct outbox_room room = {.standing_only = last_words, .now_us = now_us};
		for (uint8_t qos = 0; qos < 3; qos++)
			room.qos[qos] = last_words ? sender->window.unused != UINT16_MAX
						   : sender_has_room(sender, sender_qos(sender, qos));
		struct outbox_message message;
		int error = outbox_next(sender->outbox, &room, sender->buffer, &message);
		if (error) {
			state = SENDER_IDLE;
			if (error == -ENOSPC && !last_words)
				state = SENDER_FULL;
			if (error == -EBUSY && !last_words) {
				state = SENDER_PACED;
				sender->paced_until_us = outbox_replay_at(sender->outbox);
			}
			break;
		}
		if (sender_publish(sender, &message, now_us) < 0) {
			state = SENDER_FULL;
			break;
		}
		n++;
	}
	*ret_n = n;
	sender_count_in_flight(sender);
	return state;
}

/* A message of which nobody said that it is refused, but which the broker shows. */
static void sender_set_aside(
	struct sender *sender, const struct window_entry *entry, const char *how, const char *what, int64_t now_us)
{
	struct complaint *complaint = &sender->refusals[SENDER_REFUSAL_KINDS - 1];
	outbox_done(sender->outbox, entry->standing, entry->sequence, OUTBOX_REFUSED);
	atomic_fetch_add_explicit(&sender->n_refused, 1, memory_order_relaxed);
	if (complaint_raise(complaint, now_us))
		log_about(LOG_LEVEL_ERROR, &(struct log_about){.broker = sender->url, .topic = entry->topic},
			"broker %s: %s on %s (%s); it is set aside, %llu so far", sender->url, how, entry->topic, what,
			(unsigned long long)complaint->count);
}

/* A broker that puts off some takes others meanwhile, so its end is when it has put off none for a while. */
static void sender_calm(struct sender *sender, int64_t now_us)
{
	struct complaint *later = &sender->refusals[0];
	int64_t lasted_us;
	char length[LOG_LENGTH_SIZE];
	if (later->since_us && now_us - sender->put_off_at_us > SENDER_CALM_US &&
		complaint_clear(later, now_us, &lasted_us, NULL))
		log_about(LOG_LEVEL_NOTICE, &(struct log_about){.broker = sender->url},
			"broker %s: takes messages again after %s", sender->url, log_length(lasted_us, length));
}

static void sender_good(struct sender *sender, const struct window_entry *entry, int64_t now_us)
{
	outbox_done(sender->outbox, entry->standing, entry->sequence, OUTBOX_ACKNOWLEDGED);
	if (entry->qos == 0)
		return;
	atomic_fetch_add_explicit(&sender->n_acknowledged, 1, memory_order_relaxed);
	poison_taken(&sender->poison, entry);
	sender_calm(sender, now_us);
	backoff_reset(&sender->later);
	sender->qos2_works |= entry->qos == 2;
}

void sender_acknowledged(struct sender *sender, int message_id, int reason, int64_t now_us)
{
	struct window_entry entry;
	if (!window_take(&sender->window, message_id, &entry))
		return; /* of a message that was given back since */
	if (entry.qos > 0) {
		sender->progress_us = now_us;
		poison_acknowledged(&sender->poison, &entry);
		sender_count_in_flight(sender);
	}
	if (entry.orphan)
		return;
	if (reason < 0x80) {
		sender_good(sender, &entry, now_us);
		return;
	}
	switch (reason_verdict(reason)) {
	case REASON_KNOWN_ID:
		if (sender->resumed) /* it had the message from the connection before */
			sender_good(sender, &entry, now_us);
		else /* an id of somebody else's session: the message itself did not arrive */
			outbox_back(sender->outbox, entry.standing, entry.sequence, true);
		break;
	case REASON_FINISHED:
		sender_good(sender, &entry, now_us);
		break;
	case REASON_QOS:
		if (entry.qos > 0 && *sender->max_qos >= entry.qos)
			*sender->max_qos = (uint8_t)(entry.qos - 1);
		outbox_back(sender->outbox, entry.standing, entry.sequence, false);
		break;
	case REASON_LATER:
		sender->put_off_at_us = now_us;
		if (poison_put_off(&sender->poison, &entry,
			    atomic_load_explicit(&sender->n_acknowledged, memory_order_relaxed), now_us)) {
			sender_set_aside(sender, &entry, "puts off for long a message", reason_words(reason), now_us);
			break;
		}
		outbox_back(sender->outbox, entry.standing, entry.sequence, false);
		if (now_us >= sender->hold_until_us) /* one pause for all that are refused together */
			sender->hold_until_us = now_us + backoff_next(&sender->later);
		sender_complain(sender, reason, entry.topic, now_us);
		break;
	case REASON_REFUSED:
		sender_refuse(sender, entry.standing, entry.sequence, entry.topic, reason, now_us);
		break;
	}
}

void sender_lost(struct sender *sender, bool keep)
{
	struct window *window = &sender->window;
	struct window_entry *next;
	for (struct window_entry *entry = window_first(window); entry; entry = next) {
		next = window_after(window, entry);
		if (!entry->orphan && entry->qos == 0) {
			outbox_done(sender->outbox, entry->standing, entry->sequence, OUTBOX_UNSENT);
		} else if (!entry->orphan && (entry->standing || !keep)) {
			outbox_back(sender->outbox, entry->standing, entry->sequence, true);
			entry->orphan = true;
		}
		if (!keep || entry->qos == 0) {
			struct window_entry gone;
			window_take(window, entry->message_id, &gone);
		}
	}
	sender_count_in_flight(sender);
}

void sender_refuse_suspect(struct sender *sender, const char *what, int64_t now_us)
{
	struct window_entry *entry = window_first(&sender->window), gone;
	while (entry && entry->qos == 0)
		entry = window_after(&sender->window, entry);
	if (!entry)
		return;
	window_take(&sender->window, entry->message_id, &gone);
	if (gone.orphan)
		return;
	sender_set_aside(sender, &gone, "drops the connection at a message", what, now_us);
	sender_count_in_flight(sender);
}

bool sender_stalled(const struct sender *sender, int64_t now_us)
{
	return window_kept(&sender->window) > 0 && now_us - sender->progress_us > SENDER_STALLED_US;
}

bool sender_in_flight(const struct sender *sender)
{
	const struct window *window = &sender->window;
	for (uint16_t at = window->oldest; at != UINT16_MAX; at = window->entries[at].newer)
		if (!window->entries[at].orphan)
			return true;
	return false;
}
