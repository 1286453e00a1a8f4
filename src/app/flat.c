/*
 * One list of metrics for who reads a device: see flat.h.
 */
#include "app/flat.h"

static const struct tree *metrics_of(const struct tree *message)
{
	const struct tree *metrics = message->type == TREE_GROUP ? tree_get(message, "metrics") : NULL;
	return metrics && metrics->type == TREE_GROUP ? metrics : NULL;
}

static void take_out(
	const struct tree *messages, struct tree *to_messages, struct tree *to_metrics, struct arena *arena)
{
	for (const struct tree *message = messages->first; message; message = message->next) {
		const struct tree *metrics = metrics_of(message);
		struct tree *kept = tree_copy(to_messages, message, arena);
		if (!metrics)
			continue;
		kept->first = kept->last = NULL;
		kept->n = 0;
		for (const struct tree *setting = message->first; setting; setting = setting->next)
			if (setting != metrics)
				tree_copy(kept, setting, arena);
		struct tree *named = tree_add(NULL, TREE_GROUP, NULL, arena);
		struct tree *name = tree_add(named, TREE_TEXT, "message", arena);
		name->text = message->name;
		name->key = name->at = message->key;
		for (const struct tree *metric = metrics->first; metric; metric = metric->next)
			tree_copy(to_metrics, metric->type == TREE_GROUP ? tree_overlay(metric, named, arena) : metric,
				arena);
	}
}

const struct tree *flat_messages(const struct tree *device, struct arena *arena)
{
	const struct tree *messages = tree_get(device, "messages"), *own = tree_get(device, "metrics");
	if (!messages || messages->type != TREE_GROUP || (own && own->type != TREE_GROUP))
		return device;
	struct tree *over = tree_add(NULL, TREE_GROUP, NULL, arena);
	struct tree *to_messages = tree_add(over, TREE_GROUP, "messages", arena);
	struct tree *to_metrics = tree_add(over, TREE_GROUP, "metrics", arena);
	to_messages->key = messages->key;
	to_messages->at = messages->at;
	to_metrics->key = own ? own->key : messages->key;
	to_metrics->at = own ? own->at : messages->at;
	for (const struct tree *metric = own ? own->first : NULL; metric; metric = metric->next)
		tree_copy(to_metrics, metric, arena);
	take_out(messages, to_messages, to_metrics, arena);
	return tree_overlay(device, over, arena);
}
