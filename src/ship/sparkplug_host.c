/*
 * STATE of the primary host.  See sparkplug_host.h.
 *
 * Why times are compared: a will that the broker publishes late, or one that it has retained from a session before the
 * last, must not end what has begun since.
 */
#include "ship/sparkplug_host.h"
#include "base/json_find.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const topics[SPARKPLUG_HOST_TOPICS] = {"spBv1.0/STATE/", "STATE/"};

void sparkplug_host_topic(const struct sparkplug_host *host, unsigned n, char *to, size_t size)
{
	snprintf(to, size, "%s%s", topics[n], host->id);
}

void sparkplug_host_connected(struct sparkplug_host *host, int64_t *last_ms)
{
	host->last_ms = last_ms;
	host->online = host->heard = host->speaks = false;
}

static bool is_topic(const struct sparkplug_host *host, unsigned n, const char *topic)
{
	size_t head = strlen(topics[n]);
	return strncmp(topic, topics[n], head) == 0 && strcmp(topic + head, host->id) == 0;
}

static bool is_word(const void *payload, size_t n, const char *word)
{
	return n == strlen(word) && memcmp(payload, word, n) == 0;
}

int sparkplug_host_heard(struct sparkplug_host *host, const char *topic, const void *payload, size_t n)
{
	bool online;
	int64_t time_ms;
	if (!host->id)
		return -ENOENT;
	if (is_topic(host, 1, topic)) {
		online = is_word(payload, n, "ONLINE");
		if (n == 0 || host->speaks)
			return 1;
		if (!online && !is_word(payload, n, "OFFLINE"))
			return -EBADMSG;
		host->heard = true;
		host->online = online;
		return 0;
	}
	if (!is_topic(host, 0, topic))
		return -ENOENT;
	if (n == 0) /* what was retained was cleared */
		return 1;
	if (!json_find_bool(payload, n, "online", &online) || !json_find_int(payload, n, "timestamp", &time_ms) ||
		time_ms < 0)
		return -EBADMSG;
	host->heard = host->speaks = true;
	if (time_ms < *host->last_ms)
		return 1;
	*host->last_ms = time_ms;
	host->online = online;
	return 0;
}
