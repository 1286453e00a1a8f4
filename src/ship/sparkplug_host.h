/*
 * The primary host: is it there?  By what it says of itself on spBv1.0/STATE/HOST, or as older hosts do on STATE/HOST.
 *
 * Source: Sparkplug 3.0.0, 6.4.32 (STATE) and 5.6; before 3.0 ONLINE and OFFLINE.  One owner thread.
 */
#ifndef SHIP_SPARKPLUG_HOST_H
#define SHIP_SPARKPLUG_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sparkplug_host {
	const char *id; /* NULL = none: whoever listens will do */
	bool online;
	bool heard;  /* anything, in this connection */
	bool speaks; /* in this connection it has said so as hosts of today do: what an older one left is no matter */
	/* The newest time that was heard of it at this broker: to each it tells when that session of its began. */
	int64_t *last_ms;
};

#define SPARKPLUG_HOST_TOPICS 2

/* The topics to subscribe to, n of 0 and 1. */
void sparkplug_host_topic(const struct sparkplug_host *host, unsigned n, char *to, size_t size);

/* Nothing is known of it yet in this connection.  last_ms: what was heard at this broker before; outlives the host. */
void sparkplug_host_connected(struct sparkplug_host *host, int64_t *last_ms);

/* What came on a topic.  0; 1 older than what is known, so ignored; -ENOENT another topic; -EBADMSG no such words. */
int sparkplug_host_heard(struct sparkplug_host *host, const char *topic, const void *payload, size_t n);

#endif
