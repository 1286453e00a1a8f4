/*
 * Devices that send messages: their messages, and what their driver says of their metrics.  See compile.h.
 *
 * Invariant: what a driver keeps of its keys lies in the plan's arena.
 */
#include "app/compile.h"

#include <stdio.h>
#include <string.h>

#define BYTES_MAX 256

/* "7E 00 …" for each text of a list. */
static const struct bf_bytes *byte_list(
	struct compile *compile, const struct tree *at, const char *key, const struct bf_texts *texts, size_t *ret_n)
{
	struct bf_bytes *list = arena_array(compile->keep, texts->n ? texts->n : 1, sizeof(*list));
	uint8_t bytes[BYTES_MAX];
	for (size_t i = 0; i < texts->n; i++) {
		int n = bf_bytes_parse(texts->at[i], bytes, sizeof(bytes));
		if (n < 0) {
			compile_fault(compile, at, key, "write [ \"7E 00 FF\" ]",
				"\"%s\" is \"%s\", that is no row of bytes", key, texts->at[i]);
			continue;
		}
		uint8_t *own = arena_array(compile->keep, n ? (size_t)n : 1, 1);
		memcpy(own, bytes, (size_t)n);
		list[i] = (struct bf_bytes){own, (size_t)n};
	}
	*ret_n = texts->n;
	return list;
}

static void *message_keys(
	struct compile *compile, const struct tree *at, const struct bf_driver *driver, struct map_message *map)
{
	static const struct bf_key none[] = {{0}};
	char what[128];
	snprintf(what, sizeof(what), "message \"%.100s\"", at ? at->name : "");
	void *own = arena_alloc(compile->keep, driver->message_size ? driver->message_size : 1);
	struct schema_part parts[] = {{schema_message, map}, {driver->message_keys ? driver->message_keys : none, own}};
	if (at && at->type != TREE_GROUP) {
		faults_add(compile->faults, FAULT_ERROR, &at->at, NULL, "the message \"%s\" is %s, it must be a group",
			at->name, tree_what(at));
		at = NULL;
	}
	schema_read(what, at, parts, 2, compile->keep, compile->faults);
	return own;
}

/* Tells what the driver says of the keys of the device, at the group that it means. */
static void complain(struct compile *compile, const struct tree *at, const struct tree *messages,
	const struct bf_complaint *complaint)
{
	const char *hint = complaint->hint[0] ? complaint->hint : NULL, *key = complaint->key;
	const struct tree *group = at;
	if (complaint->message && messages && tree_get(messages, complaint->message))
		group = tree_get(messages, complaint->message);
	for (const char *point; key && (point = strchr(key, '.')) != NULL; key = point + 1) {
		const struct tree *inner = tree_get(group, arena_text_n(&compile->scratch, key, (size_t)(point - key)));
		if (!inner || inner->type != TREE_GROUP) {
			key = arena_text_n(&compile->scratch, key, (size_t)(point - key));
			break;
		}
		group = inner;
	}
	if (complaint->key)
		compile_fault(compile, group, key, hint, "\"%s\" %s", complaint->key, complaint->what);
	else
		compile_fault(compile, group, NULL, hint, "\"%s\" %s", group->name, complaint->what);
}

const struct plan_stream *compile_stream_device(struct compile *compile, const struct tree *at,
	const struct bf_driver *driver, const struct map_stream *map, struct bf_device *seen)
{
	struct plan_stream *stream = arena_alloc(compile->keep, sizeof(*stream));
	size_t n = map->messages ? map->messages->n : 0, faults = compile->faults->n_errors;
	struct bf_message_told *messages = arena_array(compile->keep, n ? n : 1, sizeof(*messages));
	const struct tree *group = n ? map->messages->first : NULL;
	for (size_t i = 0; i < (n ? n : 1); i++, group = group ? group->next : NULL) {
		struct map_message told;
		messages[i].keys = message_keys(compile, group, driver, &told);
		messages[i].name = arena_text(compile->keep, group ? group->name : "");
		messages[i].request = told.request;
	}
	stream->messages = messages;
	stream->n_messages = n ? n : 1;
	stream->init = byte_list(compile, at, "init", &map->init, &stream->n_init);
	stream->stop = byte_list(compile, at, "stop", &map->stop, &stream->n_stop);
	stream->ignore_first_us = map->ignore_first_us;
	seen->messages = stream->messages;
	seen->n_messages = stream->n_messages;
	struct bf_complaint complaint = {0};
	if (driver->check && compile->faults->n_errors == faults && driver->check(seen, &complaint) < 0)
		complain(compile, at, map->messages, &complaint);
	return stream;
}

static bool kind_of(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const char *message, unsigned *ret_kind)
{
	const struct bf_device *seen = &device->seen;
	*ret_kind = 0;
	if (!message)
		return true;
	const char **names = arena_array(&compile->scratch, seen->n_messages + 1, sizeof(*names));
	for (unsigned i = 0; i < seen->n_messages; i++) {
		names[i] = seen->messages[i].name;
		if (strcmp(names[i], message) == 0) {
			*ret_kind = i;
			return true;
		}
	}
	const char *near = faults_did_you_mean(message, names);
	compile_fault(compile, at, "message",
		near ? arena_format(&compile->scratch, "did you mean \"%s\"?", near) : NULL, "unknown message \"%s\"",
		message);
	return false;
}

bool compile_stream_metric(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const struct map_stream_metric *map, const void *keys, bool sound, struct plan_metric *metric)
{
	unsigned kind;
	struct bf_complaint complaint = {0};
	if (!kind_of(compile, device, at, map->message, &kind) || !sound)
		return false;
	if (device->driver->shape(&device->seen, kind, keys, &metric->shape, &complaint) < 0) {
		complain(compile, at, NULL, &complaint);
		return false;
	}
	metric->keys = keys;
	metric->message = (uint16_t)kind;
	metric->event = map->event == 1;
	return true;
}
