/*
 * Reading of info, the door to cJSON.  See info_past.h.
 *
 * Why one topic at a time: a few hundred kilobytes of json can name many megabytes of topics (one long path, thousands
 * of short names), so they are never all there at once.
 *
 * Invariant: `topic` is site/path[/name], at most MESSAGE_TOPIC_MAX bytes, with a path and a name that topic_text_fault
 * has nothing against, and never below site/gateway; or one of discovery_topic, with such a path, of this gateway.
 *
 * Thread: its owner's.
 */
#include "ship/info_past.h"
#include "model/message.h"
#include "model/topic.h"
#include "ship/discovery_id.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 1000 /* discovery messages of one device */

enum past_stage { PAST_AVAILABILITY, PAST_DISCOVERY, PAST_WHOLE, PAST_METRICS };

struct info_past {
	const char *site, *gateway;
	const char *prefix; /* of discovery topics; NULL = there are none, or that of the gateway was the last */
	cJSON *root;
	const cJSON *device; /* in hand; NULL after the last */
	enum past_stage stage;
	unsigned part;       /* the next discovery message of the device */
	const cJSON *metric; /* the next one */
	char topic[MESSAGE_TOPIC_MAX + 1];
};

static const char *text_of(const cJSON *device, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(device, key));
	return text && !topic_text_fault(text) ? text : NULL;
}

/* The path of the device in hand, or NULL when no device can have it. */
static const char *path_of(const struct info_past *past)
{
	static const char own[] = "gateway";
	const char *path = text_of(past->device, "path");
	if (!path || (strncmp(path, own, strlen(own)) == 0 && (path[strlen(own)] == '/' || !path[strlen(own)])))
		return NULL;
	return path;
}

static bool build(struct info_past *past, const char *path, const char *name)
{
	int n = snprintf(
		past->topic, sizeof(past->topic), "%s/%s%s%s", past->site, path, name ? "/" : "", name ? name : "");
	return n > 0 && n < (int)sizeof(past->topic);
}

/* The next discovery message of the device in hand. */
static bool build_discovery(struct info_past *past, const char *path)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(past->device, "discovery");
	unsigned n_parts = cJSON_IsNumber(n) && n->valueint > 1 && n->valueint <= PARTS_MAX ? (unsigned)n->valueint : 1;
	if (!past->prefix || past->part >= n_parts)
		return false;
	return discovery_topic(past->prefix, past->gateway, path, past->part++, past->topic, sizeof(past->topic)) > 0;
}

static void next_device(struct info_past *past)
{
	past->device = past->device->next;
	past->stage = PAST_AVAILABILITY;
}

const char *info_past_next(struct info_past *past)
{
	while (past->device) {
		const char *path = path_of(past);
		if (!path) {
			next_device(past);
			continue;
		}
		const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(past->device, "retained");
		const char *per, *name;
		switch (past->stage) {
		case PAST_AVAILABILITY:
			past->stage = PAST_DISCOVERY;
			past->part = 0;
			if (build(past, path, "availability"))
				return past->topic;
			break;
		case PAST_DISCOVERY:
			if (build_discovery(past, path))
				return past->topic;
			past->stage = PAST_WHOLE;
			break;
		case PAST_WHOLE:
			past->stage = PAST_METRICS;
			past->metric = cJSON_IsArray(metrics) ? metrics->child : NULL;
			per = text_of(past->device, "per");
			if (per && strcmp(per, "device") == 0 && build(past, path, NULL))
				return past->topic;
			break;
		case PAST_METRICS:
			if (!past->metric) {
				next_device(past);
				break;
			}
			name = cJSON_GetStringValue(past->metric);
			past->metric = past->metric->next;
			if (name && !topic_text_fault(name) && build(past, path, name))
				return past->topic;
			break;
		}
	}
	const char *prefix = past->prefix;
	past->prefix = NULL;
	bool is_one = prefix && discovery_topic(prefix, past->gateway, NULL, 0, past->topic, sizeof(past->topic)) > 0;
	return is_one ? past->topic : NULL;
}

int info_past_read(const char *site, const char *gateway, const void *payload, size_t n, struct info_past **ret_past)
{
	if (n > MESSAGE_PAYLOAD_MAX)
		return -EMSGSIZE;
	struct info_past *past = calloc(1, sizeof(*past));
	if (!past)
		return -ENOMEM;
	past->site = site;
	past->gateway = gateway;
	past->root = cJSON_ParseWithLength(payload, n);
	if (!cJSON_IsObject(past->root)) {
		info_past_destroy(past);
		return -EINVAL;
	}
	past->prefix = text_of(past->root, "homeassistant");
	const cJSON *devices = cJSON_GetObjectItemCaseSensitive(past->root, "devices");
	past->device = cJSON_IsArray(devices) ? devices->child : NULL;
	*ret_past = past;
	return 0;
}

void info_past_destroy(struct info_past *past)
{
	if (!past)
		return;
	cJSON_Delete(past->root);
	free(past);
}
