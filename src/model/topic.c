/*
 * Topic texts and filters.  See topic.h.
 */
#include "model/topic.h"
#include "base/utf8.h"

#include <string.h>

bool topic_matches(const char *filter, const char *topic)
{
	if ((filter[0] == '+' || filter[0] == '#') && topic[0] == '$')
		return false;
	for (;;) {
		if (filter[0] == '#')
			return true;
		if (filter[0] == '+') {
			filter++;
			topic += strcspn(topic, "/");
		} else {
			size_t n = strcspn(filter, "/"), m = strcspn(topic, "/");
			if (n != m || memcmp(filter, topic, n) != 0)
				return false;
			filter += n;
			topic += m;
		}
		if (*filter == '\0' && *topic == '\0')
			return true;
		if (*topic == '\0') /* "a/#" also matches "a" */
			return strcmp(filter, "/#") == 0;
		if (*filter == '\0')
			return false;
		filter++;
		topic++;
	}
}

static const char *characters_fault(const char *text)
{
	if (!utf8_valid(text, strlen(text)))
		return "is not UTF-8";
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f)
			return "has a control character";
	return NULL;
}

const char *topic_filter_fault(const char *filter)
{
	if (*filter == '\0')
		return "is empty";
	for (const char *part = filter;; part++) {
		size_t n = strcspn(part, "/");
		bool wild = memchr(part, '+', n) || memchr(part, '#', n);
		if (wild && n != 1)
			return "has + or # beside other characters in one level";
		if (n == 1 && part[0] == '#' && part[1] != '\0')
			return "has # before its last level";
		part += n;
		if (*part == '\0')
			break;
	}
	return characters_fault(filter);
}

const char *topic_text_fault(const char *text)
{
	if (*text == '\0')
		return "is empty";
	if (strpbrk(text, "+#"))
		return "has + or #, which MQTT keeps for filters";
	size_t n = strlen(text);
	if (text[0] == '/' || text[n - 1] == '/' || strstr(text, "//"))
		return "has an empty level";
	return characters_fault(text);
}
