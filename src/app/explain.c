/*
 * What can be said of a key from its row.  See explain.h.
 *
 * Pure; any thread.
 */
#include "app/explain.h"
#include "app/schema.h"
#include "field/registry.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The row at *at of a table, else *at is less by its length. */
static const struct bf_key *key_at(const struct bf_key *keys, size_t *at)
{
	for (; keys && keys->name; keys++)
		if ((*at)-- == 0)
			return keys;
	return NULL;
}

bool explain_row_at(size_t at, struct explain_row *ret)
{
	*ret = (struct explain_row){0};
	for (const struct schema_group *group = schema_groups; group->name; group++) {
		ret->group = group->name;
		if ((ret->key = key_at(group->keys, &at)) != NULL)
			return true;
	}
	for (size_t i = 0; registry_at(i); i++) {
		const struct bf_driver *driver = registry_at(i);
		ret->driver = driver->name;
		ret->group = "a device";
		if ((ret->key = key_at(driver->device_keys, &at)) != NULL)
			return true;
		ret->group = "a message";
		if ((ret->key = key_at(driver->message_keys, &at)) != NULL)
			return true;
		ret->group = "a metric";
		if ((ret->key = key_at(driver->metric_keys, &at)) != NULL)
			return true;
	}
	return false;
}

const char *explain_group_word(const char *group)
{
	const char *blank = strchr(group, ' ');
	bool article = strncmp(group, "a ", 2) == 0 || strncmp(group, "the ", 4) == 0;
	return article ? blank + 1 : group;
}

static void add(char text[static EXPLAIN_SIZE], const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(char text[static EXPLAIN_SIZE], const char *format, ...)
{
	va_list args;
	size_t n = strlen(text);
	va_start(args, format);
	vsnprintf(text + n, EXPLAIN_SIZE - n, format, args);
	va_end(args);
}

/* "one|two|three" → one, two or three, each between the two marks. */
static void add_choices(char text[static EXPLAIN_SIZE], const char *choices, const char *before, const char *behind)
{
	for (const char *c = choices; *c;) {
		size_t n = strcspn(c, "|");
		bool last = c[n] == '\0';
		add(text, "%s%s%.*s%s", c == choices ? "" : last ? " or " : ", ", before, (int)n, c, behind);
		c += last ? n : n + 1;
	}
}

static void add_duration(char text[static EXPLAIN_SIZE], double seconds)
{
	char duration[BF_DURATION_SIZE];
	bf_duration_print((int64_t)(seconds * 1e6 + 0.5), duration);
	add(text, "\"%s\"", duration);
}

static void add_size(char text[static EXPLAIN_SIZE], double bytes)
{
	char size[BF_SIZE_SIZE];
	bf_size_print((int64_t)bytes, size);
	add(text, "\"%s\"", size);
}

static void add_number(char text[static EXPLAIN_SIZE], double number)
{
	add(text, "%.15g", number);
}

static void add_range(char text[static EXPLAIN_SIZE], const struct bf_key *key,
	void (*add_bound)(char text[static EXPLAIN_SIZE], double bound))
{
	if (key->min >= key->max)
		return;
	bool from = key->min > 0 || key->type == BF_KEY_INT || key->type == BF_KEY_NUMBER;
	if (key->max >= 1e300) {
		add(text, " from %.15g", key->min);
		return;
	}
	add(text, from ? " from " : " up to ");
	if (from) {
		add_bound(text, key->min);
		add(text, " to ");
	}
	add_bound(text, key->max);
}

void explain_type(const struct bf_key *key, char text[static EXPLAIN_SIZE])
{
	text[0] = '\0';
	switch (key->type) {
	case BF_KEY_TEXT:
		add(text, "a text");
		break;
	case BF_KEY_BOOL:
		add(text, "true or false");
		break;
	case BF_KEY_INT:
		add(text, "a whole number");
		add_range(text, key, add_number);
		break;
	case BF_KEY_NUMBER:
		add(text, "a number");
		add_range(text, key, add_number);
		break;
	case BF_KEY_DURATION:
		add(text, "a duration");
		add_range(text, key, add_duration);
		if (key->choices) {
			add(text, ", or ");
			add_choices(text, key->choices, "\"", "\"");
		}
		break;
	case BF_KEY_SIZE:
		add(text, "a size");
		add_range(text, key, add_size);
		break;
	case BF_KEY_CHOICE:
		add_choices(text, key->choices, "\"", "\"");
		break;
	case BF_KEY_TEXTS:
		add(text, "a text or a list of texts");
		break;
	case BF_KEY_SCALAR:
		add(text, "a number or a text");
		break;
	case BF_KEY_BYTES:
		add(text, "bytes such as \"42 4D\"");
		break;
	case BF_KEY_PAIRS:
		add(text, "a group of names and numbers");
		break;
	case BF_KEY_NODE:
		add_choices(text, key->choices ? key->choices : "group", "a ", "");
		break;
	}
}

void explain_default(const struct bf_key *key, char text[static EXPLAIN_SIZE])
{
	text[0] = '\0';
	if (!key->fallback)
		return;
	bool bare = key->type == BF_KEY_BOOL || key->type == BF_KEY_INT || key->type == BF_KEY_NUMBER;
	add(text, bare ? "%s" : "\"%s\"", key->fallback);
}
