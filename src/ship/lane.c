/*
 * Messages in order, in segments of memory.
 *
 * Why segments: a message is copied once and never moves, the steady state allocates nothing (an empty last segment is
 * filled anew from its start), and after an outage the memory goes back to the system, because each segment is a
 * mapping of its own.  A heap would keep it: one long-lived block above it is enough.  A few spare segments are kept so
 * that a slow broker does not cost a system call for each of them.  A message larger than a segment gets one of its
 * own size, which is never kept.
 *
 * Invariant: records lie in the order of their sequences, and `live` of a segment counts those that are not DONE; a
 * segment with none is unlinked at once wherever it lies in the list, unless it is the last one.  So one message that
 * is never acknowledged holds one segment and not all that came after it.
 *
 * Thread: any, under the outbox's mutex.
 */
#include "ship/lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SEGMENT_BYTES    ((size_t)64 * 1024) /* with its header */
#define SEGMENT_SPARES   4
#define LANE_FIRST_SLOTS 64

struct segment {
	struct segment *previous, *next;
	size_t size, used; /* of bytes */
	uint32_t live;     /* records not DONE */
	uint32_t waiting;
	uint32_t waiting_qos0;
	uint64_t last_sequence; /* of its last record */
	_Alignas(8) unsigned char bytes[];
};

static struct record *segment_record(struct segment *segment, size_t at)
{
	return (struct record *)(void *)(segment->bytes + at);
}

static bool segment_is_large(const struct segment *segment)
{
	return segment->size > SEGMENT_BYTES - sizeof(*segment);
}

static void segment_unmap(struct segment *segment)
{
	munmap(segment, segment->size + sizeof(*segment));
}

static struct segment *segment_new(struct lane *lane, size_t record_size)
{
	struct segment *segment = lane->spare;
	size_t whole = SEGMENT_BYTES;
	if (record_size > whole - sizeof(*segment)) {
		whole = sizeof(*segment) + record_size;
	} else if (segment) {
		lane->spare = segment->next;
		lane->n_spare--;
		*segment = (struct segment){.size = segment->size};
		return segment;
	}
	segment = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (segment == MAP_FAILED)
		return NULL;
	*segment = (struct segment){.size = whole - sizeof(*segment)};
	return segment;
}

/* The segment goes: a cursor in it moves on. */
static void cursor_leave(struct lane_cursor *cursor, const struct segment *segment)
{
	if (cursor->segment != segment)
		return;
	cursor->segment = segment->next ? segment->next : segment->previous;
	cursor->at = segment->next || !segment->previous ? 0 : segment->previous->used;
}

static void lane_unlink(struct lane *lane, struct segment *segment)
{
	cursor_leave(&lane->all, segment);
	cursor_leave(&lane->recent, segment);
	*(segment->previous ? &segment->previous->next : &lane->head) = segment->next;
	*(segment->next ? &segment->next->previous : &lane->tail) = segment->previous;
	if (segment_is_large(segment) || lane->n_spare >= SEGMENT_SPARES) {
		segment_unmap(segment);
		return;
	}
	segment->next = lane->spare;
	lane->spare = segment;
	lane->n_spare++;
}

/* After records of the segment became DONE. */
static void lane_settle(struct lane *lane, struct segment *segment)
{
	if (segment->live)
		return;
	if (segment != lane->tail || segment_is_large(segment)) {
		lane_unlink(lane, segment);
		return;
	}
	segment->used = 0;
	if (lane->all.segment == segment)
		lane->all.at = 0;
	if (lane->recent.segment == segment)
		lane->recent.at = 0;
}

void lane_destroy(struct lane *lane)
{
	for (struct segment *segment = lane->head, *next; segment; segment = next) {
		next = segment->next;
		segment_unmap(segment);
	}
	for (struct segment *segment = lane->spare, *next; segment; segment = next) {
		next = segment->next;
		segment_unmap(segment);
	}
	free(lane->in_flight);
	latest_destroy(&lane->latest);
	*lane = (struct lane){0};
}

size_t lane_size_of(size_t topic_n, size_t payload_n)
{
	return (sizeof(struct record) + topic_n + 1 + payload_n + 7) & ~(size_t)7;
}

/* A segment at the end of the list with room for the record, or NULL. */
static struct segment *lane_room(struct lane *lane, size_t size)
{
	struct segment *last = lane->tail;
	if (last && last->size - last->used >= size)
		return last;
	struct segment *segment = segment_new(lane, size);
	if (!segment)
		return NULL;
	segment->previous = last;
	*(last ? &last->next : &lane->head) = segment;
	lane->tail = segment;
	if (!lane->all.segment)
		lane->all = (struct lane_cursor){.segment = segment, .sequence = lane->all.sequence};
	if (!lane->recent.segment) {
		lane->recent.segment = segment;
		lane->recent.at = 0;
	}
	if (last)
		lane_settle(lane, last); /* it was empty, and too small */
	return segment;
}

struct record *lane_append(struct lane *lane, const struct message *message, size_t topic_n)
{
	size_t size = lane_size_of(topic_n, message->payload_n);
	if (message->latest_only && latest_grow(&lane->latest) < 0)
		return NULL;
	struct segment *segment = lane_room(lane, size);
	if (!segment)
		return NULL;
	struct record *record = segment_record(segment, segment->used);
	*record = (struct record){
		.sequence = ++lane->last_sequence,
		.segment = segment,
		.time_ms = message->time_ms,
		.size = (uint32_t)size,
		.payload_n = (uint32_t)message->payload_n,
		.expire_s = message->expire_s,
		.topic_n = (uint16_t)topic_n,
		.state = RECORD_WAITING,
		.qos = message->qos,
		.flags = (uint16_t)((message->retain ? RECORD_RETAIN : 0) | (message->json ? RECORD_JSON : 0) |
				    (message->buffer ? RECORD_BUFFER : 0) | (message->latest_only ? RECORD_LATEST : 0) |
				    (message->line ? RECORD_LINE : 0)),
	};
	memcpy(record->bytes, message->topic, topic_n + 1);
	if (message->payload_n)
		memcpy(record->bytes + topic_n + 1, message->payload, message->payload_n);
	segment->last_sequence = record->sequence;
	if (message->latest_only)
		latest_add(&lane->latest, record);
	segment->used += size;
	segment->live++;
	segment->waiting++;
	segment->waiting_qos0 += record->qos == 0;
	lane->n_live++;
	lane->live_bytes += size;
	return record;
}

struct record *lane_append_at(struct lane *lane, const struct message *message, size_t topic_n, uint64_t sequence)
{
	lane->last_sequence = sequence - 1;
	return lane_append(lane, message, topic_n);
}

struct record *lane_walk(struct lane_walk *walk)
{
	for (; walk->segment; walk->segment = walk->segment->next, walk->at = 0)
		while (walk->segment->live && walk->at < walk->segment->used) {
			struct record *record = segment_record(walk->segment, walk->at);
			walk->at += record->size;
			if (record->state != RECORD_DONE)
				return record;
		}
	return NULL;
}

struct record *lane_after(const struct lane *lane, uint64_t sequence, struct lane_walk *ret_walk)
{
	struct segment *segment = lane->head;
	while (segment && (!segment->live || segment->last_sequence <= sequence))
		segment = segment->next;
	*ret_walk = (struct lane_walk){.segment = segment};
	struct record *record = lane_walk(ret_walk);
	while (record && record->sequence <= sequence)
		record = lane_walk(ret_walk);
	return record;
}

static struct record *cursor_first(const struct lane *lane, struct lane_cursor *cursor)
{
	struct segment *segment = cursor->segment;
	while (segment) {
		while (segment->waiting && segment->last_sequence >= cursor->from && cursor->at < segment->used) {
			struct record *record = segment_record(segment, cursor->at);
			if (record->state == RECORD_WAITING && record->sequence >= cursor->from) {
				cursor->sequence = record->sequence;
				return record;
			}
			cursor->at += record->size;
		}
		if (!segment->next) {
			cursor->at = segment->used;
			break;
		}
		cursor->segment = segment = segment->next;
		cursor->at = 0;
	}
	cursor->sequence = lane->last_sequence + 1;
	return NULL;
}

struct record *lane_first(struct lane *lane)
{
	return cursor_first(lane, &lane->all);
}

struct record *lane_first_recent(struct lane *lane)
{
	return cursor_first(lane, &lane->recent);
}

void lane_split(struct lane *lane, uint64_t from)
{
	lane->recent = (struct lane_cursor){.segment = lane->head, .from = from};
}

const struct record *lane_oldest(const struct lane *lane)
{
	struct segment *segment = lane->head;
	if (!segment || !segment->live)
		return NULL;
	size_t at = 0;
	while (segment_record(segment, at)->state == RECORD_DONE)
		at += segment_record(segment, at)->size;
	return segment_record(segment, at);
}

/*
 * Scattered by Fibonacci hashing (Knuth, TAOCP 3, 6.4): neighbouring sequences in neighbouring slots would be one long
 * run, and each removal would walk all of it.
 */
static size_t lane_slot(const struct lane *lane, uint64_t sequence)
{
	return (size_t)(sequence * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (lane->n_slots - 1);
}

static void lane_insert(struct lane *lane, struct record *record)
{
	size_t slot = lane_slot(lane, record->sequence);
	while (lane->in_flight[slot])
		slot = (slot + 1) & (lane->n_slots - 1);
	lane->in_flight[slot] = record;
}

/* Keeps the table at most half full.  It grows to the publisher's window and stays. */
static int lane_grow(struct lane *lane)
{
	if ((lane->n_in_flight + 1) * 2 <= lane->n_slots)
		return 0;
	struct record **old = lane->in_flight;
	size_t n_old = lane->n_slots, n_slots = n_old ? n_old * 2 : LANE_FIRST_SLOTS;
	struct record **slots = calloc(n_slots, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	lane->in_flight = slots;
	lane->n_slots = n_slots;
	for (size_t i = 0; i < n_old; i++)
		if (old[i])
			lane_insert(lane, old[i]);
	free(old);
	return 0;
}

int lane_take(struct lane *lane, struct record *record)
{
	int error = lane_grow(lane);
	if (error)
		return error;
	lane_insert(lane, record);
	lane->n_in_flight++;
	if (record->flags & RECORD_LATEST)
		latest_remove(&lane->latest, record);
	record->state = RECORD_IN_FLIGHT;
	record->segment->waiting--;
	record->segment->waiting_qos0 -= record->qos == 0;
	return 0;
}

struct record *lane_find(const struct lane *lane, uint64_t sequence)
{
	if (!lane->n_slots)
		return NULL;
	size_t slot = lane_slot(lane, sequence);
	while (lane->in_flight[slot] && lane->in_flight[slot]->sequence != sequence)
		slot = (slot + 1) & (lane->n_slots - 1);
	return lane->in_flight[slot];
}

/* Takes the record out of the table and closes the gap, so that probes never meet a tombstone. */
static void lane_forget(struct lane *lane, const struct record *record)
{
	size_t mask = lane->n_slots - 1, gap = lane_slot(lane, record->sequence);
	while (lane->in_flight[gap] != record)
		gap = (gap + 1) & mask;
	for (size_t slot = (gap + 1) & mask; lane->in_flight[slot]; slot = (slot + 1) & mask) {
		size_t home = lane_slot(lane, lane->in_flight[slot]->sequence);
		if (((slot - home) & mask) < ((slot - gap) & mask))
			continue; /* it would be moved before its home */
		lane->in_flight[gap] = lane->in_flight[slot];
		gap = slot;
	}
	lane->in_flight[gap] = NULL;
	lane->n_in_flight--;
}

struct record *lane_gives_way(const struct lane *lane, struct record *record)
{
	struct record *other = record->flags & RECORD_LATEST ? lane_latest(lane, record->bytes) : NULL;
	return other && other->sequence > record->sequence ? record : other;
}

static void cursor_return(struct lane_cursor *cursor, const struct record *record)
{
	if (record->sequence >= cursor->sequence || record->sequence < cursor->from)
		return;
	cursor->segment = record->segment;
	cursor->at = (size_t)((const unsigned char *)record - record->segment->bytes);
	cursor->sequence = record->sequence;
}

void lane_return(struct lane *lane, struct record *record)
{
	struct record *older = lane_gives_way(lane, record);
	if (older)
		lane_remove(lane, older);
	if (older == record)
		return;
	if (record->flags & RECORD_LATEST) {
		if (latest_grow(&lane->latest) == 0)
			latest_add(&lane->latest, record);
		else
			record->flags &= (uint16_t)~RECORD_LATEST; /* then it is kept beside a newer one */
	}
	struct segment *segment = record->segment;
	lane_forget(lane, record);
	record->state = RECORD_WAITING;
	segment->waiting++;
	segment->waiting_qos0 += record->qos == 0;
	cursor_return(&lane->all, record);
	cursor_return(&lane->recent, record);
}

static void lane_end(struct lane *lane, struct record *record)
{
	struct segment *segment = record->segment;
	if (record->state == RECORD_IN_FLIGHT) {
		lane_forget(lane, record);
	} else {
		if (record->flags & RECORD_LATEST)
			latest_remove(&lane->latest, record);
		segment->waiting--;
		segment->waiting_qos0 -= record->qos == 0;
	}
	record->state = RECORD_DONE;
	segment->live--;
	lane->n_live--;
	lane->live_bytes -= record->size;
}

void lane_remove(struct lane *lane, struct record *record)
{
	struct segment *segment = record->segment;
	lane_end(lane, record);
	lane_settle(lane, segment);
}

uint64_t lane_drop_waiting(struct lane *lane, unsigned max_qos)
{
	uint64_t n = 0;
	for (struct segment *segment = lane->head, *next; segment; segment = next) {
		next = segment->next;
		if (max_qos == 0 ? segment->waiting_qos0 == 0 : segment->waiting == 0)
			continue;
		for (size_t at = 0; at < segment->used; at += segment_record(segment, at)->size) {
			struct record *record = segment_record(segment, at);
			if (record->state != RECORD_WAITING || record->qos > max_qos)
				continue;
			lane_end(lane, record);
			n++;
		}
		lane_settle(lane, segment);
	}
	return n;
}
