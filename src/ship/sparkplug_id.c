/*
 * Ids and topics of Sparkplug.  See sparkplug_id.h.
 */
#include "ship/sparkplug_id.h"
#include "model/topic.h"

#include <stdio.h>
#include <string.h>

const char *sparkplug_id_fault(const char *text)
{
	const char *fault = topic_text_fault(text);
	if (fault)
		return fault;
	if (strchr(text, '/'))
		return "has a /";
	return strlen(text) > SPARKPLUG_ID_MAX ? "is longer than 250 bytes" : NULL;
}

void sparkplug_id_of(const char *path, char to[static SPARKPLUG_ID_MAX + 1])
{
	snprintf(to, SPARKPLUG_ID_MAX + 1, "%s", path);
	for (char *slash = to; (slash = strchr(slash, '/')) != NULL;)
		*slash = '-';
}

void sparkplug_topic(
	char to[static SPARKPLUG_TOPIC_MAX], const char *group, const char *type, const char *node, const char *device)
{
	snprintf(to, SPARKPLUG_TOPIC_MAX, "spBv1.0/%s/%s/%s%s%s", group, type, node, device ? "/" : "",
		device ? device : "");
}
