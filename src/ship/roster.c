/*
 * The states of devices.  See roster.h.
 *
 * Why a second look: a device may turn offline on its wire's thread while the publisher's thread tells all of them
 * after a connect.  Both write the state first and put afterwards; the publisher looks again after its put and tells
 * what it sees then.  So whichever put comes last says what is true, without a lock of our own (the sink's orders the
 * two).
 *
 * Invariant: a device is UNKNOWN until its first answer or until it is declared offline; nothing is told of it before.
 *
 * Threads: see roster.h.
 */
#include "ship/roster.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum device_state { DEVICE_UNKNOWN, DEVICE_ONLINE, DEVICE_OFFLINE };

struct roster {
	struct report_listener listener;
	const struct clock *clock;
	struct message_sink *messages;
	const char **topics; /* of each device */
	_Atomic unsigned char *states;
	struct arena arena;
};

static void put_word(struct roster *roster, uint32_t device, bool online)
{
	const char *word = online ? "online" : "offline";
	struct message message = {
		.topic = roster->topics[device],
		.payload = word,
		.payload_n = strlen(word),
		.time_ms = roster->clock->wall_ms(roster->clock),
		.qos = 1,
		.retain = true,
		.kind = MESSAGE_STANDING,
	};
	roster->messages->put(roster->messages, &message);
}

static void roster_availability(struct report_listener *listener, uint32_t device, bool online)
{
	struct roster *roster = (struct roster *)(void *)((char *)listener - offsetof(struct roster, listener));
	atomic_store_explicit(&roster->states[device], online ? DEVICE_ONLINE : DEVICE_OFFLINE, memory_order_release);
	put_word(roster, device, online);
	roster->messages->flush(roster->messages);
}

int roster_init(
	const struct plan *plan, const struct clock *clock, struct message_sink *messages, struct roster **ret_roster)
{
	struct roster *roster = calloc(1, sizeof(*roster));
	if (!roster)
		return -ENOMEM;
	roster->listener = (struct report_listener){.availability = roster_availability};
	roster->clock = clock;
	roster->messages = messages;
	roster->topics = arena_array(&roster->arena, plan->n_devices, sizeof(char *));
	roster->states = arena_array(&roster->arena, plan->n_devices, sizeof(*roster->states));
	for (size_t i = 0; i < plan->n_devices; i++)
		roster->topics[i] = arena_format(&roster->arena, "%s/availability", plan->devices[i].topic);
	*ret_roster = roster;
	return 0;
}

void roster_destroy(struct roster *roster)
{
	if (!roster)
		return;
	arena_free(&roster->arena);
	free(roster);
}

struct report_listener *roster_listener(struct roster *roster)
{
	return &roster->listener;
}

void roster_carry(struct roster *roster, uint32_t device, const struct roster *from, uint32_t from_device)
{
	unsigned char state = atomic_load_explicit(&from->states[from_device], memory_order_acquire);
	atomic_store_explicit(&roster->states[device], state, memory_order_release);
}

void roster_tell(struct roster *roster, uint32_t device)
{
	unsigned char told = DEVICE_UNKNOWN;
	unsigned char state = atomic_load_explicit(&roster->states[device], memory_order_acquire);
	while (state != told) {
		put_word(roster, device, state == DEVICE_ONLINE);
		told = state;
		state = atomic_load_explicit(&roster->states[device], memory_order_acquire);
	}
}

int roster_look(const struct roster *roster, uint32_t device)
{
	unsigned char state = atomic_load_explicit(&roster->states[device], memory_order_acquire);
	return state == DEVICE_UNKNOWN ? -1 : state == DEVICE_ONLINE;
}
