/*
 * Which message makes the broker drop the connection?  See poison.h.
 *
 * Standing messages go first on every connection and are new each time, so their acknowledgements say nothing about the
 * reading behind them: only a reading's own acknowledgement ends a suspicion.
 */
#include "ship/poison.h"
#include "base/hash.h"

#include <string.h>

/* Over the part of a topic that the window keeps; never 0. */
static uint32_t topic_hash(const char *topic)
{
	uint32_t hash = hash_fold(hash_bytes(HASH_BEGIN, topic, strnlen(topic, WINDOW_TOPIC_MAX - 1)));
	return hash ? hash : 1;
}

static struct poison_topic *topic_find(struct poison *poison, uint32_t hash)
{
	for (unsigned i = 0; i < POISON_TOPICS; i++)
		if (poison->topics[i].hash == hash)
			return &poison->topics[i];
	return NULL;
}

static void topic_refused(struct poison *poison, uint32_t hash, int64_t now_us)
{
	struct poison_topic *topic = topic_find(poison, hash);
	if (!topic && (topic = topic_find(poison, 0)))
		poison->n_topics++;
	if (!topic) { /* all taken: the one that was refused longest ago makes room */
		topic = &poison->topics[0];
		for (unsigned i = 1; i < POISON_TOPICS; i++)
			if (poison->topics[i].until_us < topic->until_us)
				topic = &poison->topics[i];
	}
	if (topic->hash != hash)
		*topic = (struct poison_topic){.hash = hash};
	topic->refused++;
	topic->until_us = now_us + POISON_OUTCAST_US;
}

bool poison_lost(struct poison *poison, const struct window *window, int64_t now_us)
{
	if (window_kept(window) == 0) {
		poison->losses = 0;
		poison->strikes = 0;
		return false;
	}
	poison->losses++;
	if (window_kept(window) > 1) {
		poison->strikes = 0;
		return false;
	}
	const struct window_entry *entry = window_oldest(window);
	while (entry->qos == 0)
		entry = &window->entries[entry->newer];
	uint32_t hash = topic_hash(entry->topic);
	uint64_t key = entry->standing ? hash : entry->sequence;
	if (poison->strikes == 0 || poison->suspect != key || poison->standing != entry->standing) {
		poison->suspect = key;
		poison->standing = entry->standing;
		poison->strikes = 0;
	}
	if (++poison->strikes < POISON_STRIKES)
		return false;
	topic_refused(poison, hash, now_us);
	poison->losses = 0;
	poison->strikes = 0;
	poison->takes = false;
	return true;
}

static struct poison_put_off *put_off_find(struct poison *poison, uint64_t sequence, bool standing)
{
	for (unsigned i = 0; i < POISON_PUT_OFF; i++)
		if (poison->put_off[i].sequence == sequence &&
			(sequence == 0 || poison->put_off[i].standing == standing))
			return &poison->put_off[i];
	return NULL;
}

static void put_off_clear(struct poison *poison, struct poison_put_off *put_off)
{
	*put_off = (struct poison_put_off){0};
	poison->n_put_off--;
}

bool poison_put_off(struct poison *poison, const struct window_entry *entry, uint64_t n_acknowledged, int64_t now_us)
{
	struct poison_put_off *put_off = put_off_find(poison, entry->sequence, entry->standing);
	if (!put_off) {
		put_off = put_off_find(poison, 0, false);
		if (!put_off) { /* with so many of them it is about now */
			put_off = &poison->put_off[entry->sequence % POISON_PUT_OFF];
			poison->n_put_off--;
		}
		poison->n_put_off++;
		*put_off = (struct poison_put_off){
			.sequence = entry->sequence, .standing = entry->standing, .since_us = now_us};
	}
	if (put_off->times == 0 || put_off->n_acknowledged != n_acknowledged)
		put_off->times++;
	put_off->n_acknowledged = n_acknowledged;
	if (put_off->times < POISON_PUT_OFF_TIMES || now_us - put_off->since_us < POISON_PUT_OFF_US)
		return false;
	put_off_clear(poison, put_off);
	return true;
}

void poison_taken(struct poison *poison, const struct window_entry *entry)
{
	struct poison_put_off *put_off =
		poison->n_put_off ? put_off_find(poison, entry->sequence, entry->standing) : NULL;
	if (put_off)
		put_off_clear(poison, put_off);
}

void poison_acknowledged(struct poison *poison, const struct window_entry *entry)
{
	if (entry->qos == 0)
		return;
	if (!entry->standing) {
		poison->losses = 0;
		poison->strikes = 0;
		poison->takes = true;
	}
	if (poison->n_topics == 0)
		return;
	struct poison_topic *topic = topic_find(poison, topic_hash(entry->topic));
	if (topic) {
		*topic = (struct poison_topic){0};
		poison->n_topics--;
	}
}

bool poison_outcast(const struct poison *poison, const char *topic, bool standing, int64_t now_us)
{
	if (poison->n_topics == 0)
		return false;
	uint32_t hash = topic_hash(topic);
	for (unsigned i = 0; i < POISON_TOPICS; i++) {
		const struct poison_topic *t = &poison->topics[i];
		/* A standing message comes anew with every connection: once is enough. */
		if (t->hash == hash && now_us < t->until_us)
			return standing || t->refused >= POISON_STRIKES;
	}
	return false;
}
