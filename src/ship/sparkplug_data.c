/*
 * A Sparkplug session while it stands: data, and devices that come and go.  See sparkplug_node.h.
 *
 * A device is born when it answers and dies when it does not; one that has not been heard of since the start is not
 * born at all, as its birth would say that it is there.  Its history may wait all the same, and goes with a birth only:
 * so when a good reading of a device that does not answer comes up, it is born with stale values, and dies again when
 * nothing waits any more, or DIE_US later.
 *
 * What is not good of a device that is not born is done with as it is: that it is not there says as much.
 *
 * Invariant: between two messages of different devices, or before a birth, no DDATA is being made.
 */
#include "ship/sparkplug_node.h"

#include <errno.h>

#define DIE_US    (10 * (int64_t)1000000) /* for its last readings to go first */
#define SILENT_US (60 * (int64_t)1000000) /* a broker that does not answer one */
#define ROUNDS    32
#define PORTION   200 /* records a round */

/* The newest that is known of a device: does it answer? */
static int look(const struct sparkplug_node *node, uint32_t device)
{
	const struct roster_place *place = &node->parts.places[device].roster;
	return roster_look(place->roster, place->device);
}

/* ---- Devices ---- */

/* False when the socket has to take what was said first. */
static bool tell_devices(struct sparkplug_node *node)
{
	for (uint32_t i = 0; i < node->parts.plan->n_devices; i++) {
		struct sparkplug_device *device = &node->tell.devices[i];
		bool answers = look(node, i) > 0;
		if (answers && !device->born && !device->refused &&
			(!sparkplug_node_wrote(node) || sparkplug_tell_birth(&node->tell, i, false) == -EAGAIN))
			return false;
		if (answers)
			device->dies_at = CLOCK_NEVER;
		else if (device->born && device->dies_at == CLOCK_NEVER)
			device->dies_at = node->now_us + DIE_US;
	}
	return true;
}

static void tell_deaths(struct sparkplug_node *node)
{
	for (uint32_t i = 0; i < node->parts.plan->n_devices; i++) {
		const struct sparkplug_device *device = &node->tell.devices[i];
		if (device->born && device->dies_at != CLOCK_NEVER &&
			(node->starved || node->now_us >= device->dies_at))
			sparkplug_tell_death(&node->tell, i);
	}
}

/* Is it born, or can it be now?  0; -EAGAIN not now; -EMSGSIZE never; -ENODEV its reading needs no birth. */
static int make_born(struct sparkplug_node *node, uint32_t index, bool good)
{
	struct sparkplug_device *device = &node->tell.devices[index];
	bool answers = look(node, index) > 0;
	if (device->born)
		return 0;
	if (device->refused)
		return -EMSGSIZE;
	if (!answers && !good)
		return -ENODEV;
	int rc = sparkplug_tell_birth(&node->tell, index, !answers);
	if (rc == 0 && !answers)
		device->dies_at = node->now_us + DIE_US;
	return rc;
}

/* ---- Data ---- */

static void send(struct sparkplug_node *node)
{
	if (sparkplug_tell_send(&node->tell) == 0)
		sparkplug_window_sent(&node->window);
	else
		sparkplug_window_unsent(&node->window);
}

/* The reading of a record.  False when it is of no metric of this map, or damaged. */
static bool reading_of(
	const struct sparkplug_node *node, const struct outbox_message *record, struct reading *ret_reading)
{
	ptrdiff_t metric = sparkplug_tell_find(&node->tell, record->message.topic);
	if (metric < 0 || sparkplug_record_unpack(record->message.payload, record->message.payload_n, ret_reading) < 0)
		return false;
	ret_reading->metric = (uint32_t)metric;
	ret_reading->time_ms = record->message.time_ms;
	return true;
}

/* One record.  False when it can't go now, and was given back. */
static bool say(struct sparkplug_node *node, const struct outbox_message *record)
{
	struct sparkplug_tell *tell = &node->tell;
	struct outbox *outbox = node->parts.outbox;
	struct reading reading;
	if (!reading_of(node, record, &reading)) {
		outbox_done(outbox, false, record->sequence, OUTBOX_REFUSED);
		return true;
	}
	uint32_t device = node->parts.plan->metrics[reading.metric].device;
	if (tell->pack.n_metrics && tell->device != device)
		send(node);
	int rc = tell->pack.n_metrics ? 0 : make_born(node, device, reading.quality == QUALITY_GOOD);
	if (rc == 0) {
		bool past = record->replayed || record->again;
		rc = sparkplug_tell_add(tell, &reading, past);
		if (rc == -ENOSPC && tell->pack.n_metrics) {
			send(node);
			rc = sparkplug_tell_add(tell, &reading, past);
		}
	}
	if (rc == 0) {
		sparkplug_window_take(&node->window, record->sequence);
		return true;
	}
	if (rc == -EAGAIN) {
		outbox_back(outbox, false, record->sequence, false);
		return false;
	}
	outbox_done(outbox, false, record->sequence, rc == -ENODEV ? OUTBOX_ACKNOWLEDGED : OUTBOX_REFUSED);
	return true;
}

/* Nothing to be had now is not nothing at all: some may be on its way to disk first (sync "0s"), or back from there. */
static bool nothing_waits(const struct sparkplug_node *node)
{
	struct outbox_counts counts;
	outbox_counts(node->parts.outbox, &counts);
	return counts.waiting == node->window.n;
}

/* A portion of what waits.  False when there is no more to do now. */
static bool say_some(struct sparkplug_node *node)
{
	struct outbox_room room = {.qos = {true, true, true}, .now_us = node->now_us};
	struct outbox_message record;
	bool more = true;
	for (int i = 0; i < PORTION && more && !sparkplug_window_full(&node->window); i++) {
		int rc = outbox_next(node->parts.outbox, &room, node->record, &record);
		if (rc == -EAGAIN) {
			node->starved = true;
			node->tell.caught_up = node->tell.caught_up || nothing_waits(node);
		}
		if (rc == -EBUSY)
			node->paced_until_us = outbox_replay_at(node->parts.outbox);
		more = rc == 0 && say(node, &record);
	}
	send(node);
	return more && !sparkplug_window_full(&node->window);
}

/* ---- Has the broker read it? ---- */

static void confirm(struct sparkplug_node *node)
{
	struct sparkplug_window *window = &node->window;
	struct uplink *uplink = node->parts.uplink;
	char topic[SPARKPLUG_TOPIC_MAX];
	int id;
	bool due = node->now_us - window->asked_at_us >= SPARKPLUG_CONFIRM_US ||
		   window->n_sent >= SPARKPLUG_WINDOW / 2 || node->stop_at_us;
	if (window->n_sent == 0 || window->n_asked || !due)
		return;
	const struct plan_sparkplug *told = &node->parts.plan->sparkplug;
	sparkplug_topic(topic, told->group, "NCMD", told->node, NULL);
	if (uplink->ops->subscribe(uplink, topic, 1, &id) == 0)
		sparkplug_window_asked(window, id, node->now_us);
}

void sparkplug_data_turn(struct sparkplug_node *node)
{
	node->starved = node->more = false;
	node->paced_until_us = CLOCK_NEVER;
	if (node->window.n_asked && node->now_us - node->window.asked_at_us >= SILENT_US) {
		sparkplug_node_give_up(node, "the broker no longer answers");
		return;
	}
	if (node->news)
		node->news = !tell_devices(node);
	for (int round = 0; round < ROUNDS; round++) {
		node->more = !node->news && sparkplug_node_wrote(node) && say_some(node);
		if (node->state != SPARKPLUG_ALIVE || !node->more || node->rebirth)
			break;
	}
	confirm(node);
	if (sparkplug_node_wrote(node) && node->state == SPARKPLUG_ALIVE)
		tell_deaths(node);
}
