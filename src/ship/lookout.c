/*
 * A look at the first broker, now and then.  See lookout.h.
 *
 * Why with MQTT and not by a plain TCP connection: a broker that hangs, one behind a port forwarding and one that still
 * loads its store take TCP connections, and to leave a broker that works for one of these is worse than to stay.
 *
 * Why polled and not waited for: it happens once in minutes, and nobody waits for it.
 *
 * Invariant: the uplink has an object only while `looking`.
 */
#include "ship/lookout.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_US  (10 * (int64_t)1000000) /* TCP, TLS and CONNACK */
#define EVERY_US 50000                   /* while it looks */

static void note_connected(void *user, bool session_present, const struct uplink_limits *limits)
{
	struct lookout *lookout = user;
	(void)session_present;
	(void)limits;
	lookout->noted.connected = true;
}

static void note_lost(void *user, enum uplink_fault fault, const char *what)
{
	struct lookout *lookout = user;
	lookout->noted.lost = true;
	lookout->noted.fault = fault;
	snprintf(lookout->noted.what, sizeof(lookout->noted.what), "%s", what);
}

static void no_acknowledgement(void *user, int message_id, int reason)
{
	(void)user;
	(void)message_id;
	(void)reason;
}

static void no_message(void *user, const struct uplink_message *message)
{
	(void)user;
	(void)message;
}

int lookout_init(struct lookout *lookout, const struct plan_broker *broker, struct uplink *uplink, uint64_t seed)
{
	static const char suffix[] = "-look";
	const char *client_id = broker->client_id ? broker->client_id : "busferry";
	size_t size = strlen(client_id) + sizeof(suffix);
	char *text = malloc(size);
	if (!text)
		return -ENOMEM;
	snprintf(text, size, "%s%s", client_id, suffix);
	int64_t pause_us = broker->prefer_first_us;
	*lookout = (struct lookout){
		.uplink = uplink,
		.broker = *broker,
		.client_id = text,
		.pause = {.first_us = pause_us, .cap_us = pause_us, .jitter_percent = 25, .seed = seed},
		.next_at_us = CLOCK_NEVER,
	};
	lookout->broker.client_id = text;
	uplink->events = (struct uplink_events){.user = lookout,
		.connected = note_connected,
		.lost = note_lost,
		.acknowledged = no_acknowledgement,
		.subscribed = no_acknowledgement,
		.message = no_message};
	return 0;
}

static void lookout_end(struct lookout *lookout, bool orderly)
{
	if (!lookout->looking)
		return;
	lookout->looking = false;
	lookout->uplink->ops->close(lookout->uplink, orderly);
	lookout->uplink->ops->forget(lookout->uplink);
}

void lookout_destroy(struct lookout *lookout)
{
	lookout_end(lookout, false);
	free(lookout->client_id);
	lookout->client_id = NULL;
}

void lookout_begin(struct lookout *lookout, int64_t now_us)
{
	if (lookout->uplink)
		lookout->next_at_us = now_us + backoff_next(&lookout->pause);
}

void lookout_rest(struct lookout *lookout)
{
	lookout_end(lookout, false);
	lookout->next_at_us = CLOCK_NEVER;
}

/* That it is away was told when it was lost.  What people have to mend there is told now. */
static void lookout_tell(struct lookout *lookout, int64_t now_us)
{
	enum uplink_fault fault = lookout->noted.fault;
	bool act = fault == UPLINK_AUTH || fault == UPLINK_TLS || fault == UPLINK_SETUP || fault == UPLINK_VERSION;
	if (act && complaint_raise(&lookout->refusal, now_us))
		log_about(LOG_LEVEL_WARNING, &(struct log_about){.broker = lookout->broker.endpoints[0].url},
			"broker %s: is back, but can't be used: %s", lookout->broker.endpoints[0].url,
			lookout->noted.what);
}

static void lookout_serve(struct uplink *uplink)
{
	struct pollfd fd = {.fd = uplink->ops->fd(uplink), .events = POLLIN};
	if (uplink->ops->wants_write(uplink))
		fd.events |= POLLOUT;
	/* TLS may hold decrypted bytes that no poll shows. */
	bool readable = poll(&fd, 1, 0) <= 0 || (fd.revents & (POLLIN | POLLERR | POLLHUP));
	uplink->ops->step(uplink, readable, fd.revents & POLLOUT);
	uplink->ops->let_go(uplink);
}

bool lookout_step(struct lookout *lookout, int64_t now_us)
{
	if (!lookout->uplink || now_us < lookout->next_at_us)
		return false;
	lookout->next_at_us = now_us + EVERY_US;
	if (!lookout->looking) {
		memset(&lookout->noted, 0, sizeof(lookout->noted));
		lookout->looking = true;
		lookout->deadline_us = now_us + LOOK_US;
		struct uplink_target target = {
			.broker = &lookout->broker, .endpoint = &lookout->broker.endpoints[0], .clean_session = true};
		lookout->uplink->ops->open(lookout->uplink, &target);
	} else {
		lookout_serve(lookout->uplink);
	}
	/* A broker that only knows our own client id is there, too. */
	bool back = lookout->noted.connected || (lookout->noted.lost && lookout->noted.fault == UPLINK_CLIENT_ID);
	if (!back && !lookout->noted.lost && now_us < lookout->deadline_us)
		return false;
	if (back)
		complaint_clear(&lookout->refusal, now_us, NULL, NULL);
	else if (lookout->noted.lost)
		lookout_tell(lookout, now_us);
	lookout_end(lookout, lookout->noted.connected && !lookout->noted.lost);
	lookout_begin(lookout, now_us);
	return back;
}
