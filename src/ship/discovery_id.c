/*
 * Names in discovery.  See discovery_id.h.
 */
#include "ship/discovery_id.h"
#include "base/hash.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PLAIN_MAX 180 /* of a name before its hash */

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* Joins the texts, up to a NULL.  Slashes become _ without a hash: they only join. */
static void join(const char *const *texts, bool hashed, char id[static DISCOVERY_ID_SIZE])
{
	uint64_t hash = HASH_BEGIN;
	size_t n = 0;
	for (size_t t = 0; texts[t]; t++) {
		hash = hash_bytes(hash, texts[t], strlen(texts[t]) + 1);
		if (t && n < PLAIN_MAX)
			id[n++] = '_';
		for (const char *c = texts[t]; *c; c++) {
			hashed = hashed || (!is_plain(*c) && *c != '/') || n >= PLAIN_MAX;
			if (n < PLAIN_MAX)
				id[n++] = is_plain(*c) ? *c : '_';
		}
	}
	id[n] = '\0';
	if (hashed)
		snprintf(id + n, DISCOVERY_ID_SIZE - n, "_%08x", (unsigned)hash_fold(hash));
}

void discovery_id(const char *gateway, const char *path, const char *label, char id[static DISCOVERY_ID_SIZE])
{
	const char *texts[] = {"busferry", gateway, path, path ? label : NULL, NULL};
	/* "-part2" is what the second message of a device is called */
	join(texts, path && !label && strstr(path, "-part"), id);
}

void discovery_component(const char *label, char id[static DISCOVERY_ID_SIZE])
{
	const char *texts[] = {label, NULL};
	join(texts, false, id);
}

void discovery_slug(const char *path, const char *label, char slug[static DISCOVERY_ID_SIZE])
{
	const char *texts[] = {path, label};
	size_t n = 0;
	for (size_t t = 0; t < 2; t++) {
		bool gap = true;
		for (const char *c = texts[t]; *c && n < PLAIN_MAX; c++) {
			bool letter = is_plain(*c) && *c != '_' && *c != '-';
			if (letter && gap && n)
				slug[n++] = '_';
			if (letter)
				slug[n++] = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
			gap = !letter;
		}
	}
	if (n == 0)
		slug[n++] = 'x';
	slug[n] = '\0';
}

int discovery_topic(const char *prefix, const char *gateway, const char *path, unsigned part, char *topic, size_t size)
{
	char id[DISCOVERY_ID_SIZE], number[24] = "";
	discovery_id(gateway, path, NULL, id);
	if (part)
		snprintf(number, sizeof(number), "-part%u", part + 1);
	int n = snprintf(topic, size, "%s/device/%s%s/config", prefix, id, number);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : n;
}
