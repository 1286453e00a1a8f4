/*
 * What a key of the map is, from the same tables that read the map.
 *
 * A key that several groups have is told once if it is the same in all of them, else once for each meaning.
 */
#include "cli/explain.h"
#include "app/explain.h"
#include "app/faults.h"
#include "base/json.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#define WORDS_MAX 512

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same(const struct explain_row *a, const struct explain_row *b)
{
	return a->key->type == b->key->type && a->key->min == b->key->min && a->key->max == b->key->max &&
	       a->key->flags == b->key->flags && same_text(a->key->fallback, b->key->fallback) &&
	       same_text(a->key->choices, b->key->choices) && same_text(a->key->help, b->key->help) &&
	       same_text(a->driver, b->driver);
}

/* Groups by the name of their key in the map: "topics.qos" is what people would write for "rule.qos". */
static const char *group_word(const char *word, size_t n)
{
	static const char *const others[][2] = {{"topics", "rule"}, {"buses", "bus"}, {"floors", "level"},
		{"metrics", "metric"}, {"devices", "device"}};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strlen(others[i][0]) == n && strncmp(word, others[i][0], n) == 0)
			return others[i][1];
	return NULL;
}

/* What was asked for: "every", "metric.every", "frame.check.kind", "frame.frame.check.kind". */
struct asked {
	const char *text;
	bool around; /* no key is called so: also those of a group, "frame.check", and what stands in one, "kind" */
};

/* Is `tail` what `text` ends with, behind a point?  Where that point is, else NULL. */
static const char *point_before(const char *text, const char *tail)
{
	size_t n = strlen(text), n_tail = strlen(tail);
	const char *point = n > n_tail ? text + n - n_tail - 1 : NULL;
	return point && *point == '.' && strcmp(point + 1, tail) == 0 ? point : NULL;
}

/* Is the row of the group that the text up to `end` names?  Of "floors.metric" the last word counts. */
static bool of_group(const struct explain_row *row, const char *text, const char *end)
{
	const char *group = end;
	while (group > text && group[-1] != '.')
		group--;
	size_t n = (size_t)(end - group);
	const char *word = explain_group_word(row->group), *other = group_word(group, n), *last = strrchr(word, ' ');
	last = last ? last + 1 : word; /* "stream metric" is also a metric */
	return (strlen(word) == n && strncmp(word, group, n) == 0) ||
	       (strlen(last) == n && strncmp(last, group, n) == 0) || (other && strcmp(last, other) == 0) ||
	       (row->driver && strlen(row->driver) == n && strncmp(row->driver, group, n) == 0);
}

static bool wanted(const struct explain_row *row, const struct asked *asked)
{
	const char *name = row->key->name, *point = point_before(asked->text, name);
	size_t n = strlen(asked->text);
	if (asked->around)
		return n > 0 &&
		       ((strncmp(name, asked->text, n) == 0 && name[n] == '.') || point_before(name, asked->text));
	return strcmp(name, asked->text) == 0 || (point && of_group(row, asked->text, point));
}

static void print_row(const struct explain_row *row, const char *groups)
{
	char type[EXPLAIN_SIZE], fallback[EXPLAIN_SIZE], required[EXPLAIN_SIZE];
	explain_type(row->key, type);
	explain_default(row->key, fallback);
	explain_required(row->key, required);
	printf("%s\n  %s\n  type     %s\n", row->key->name, row->key->help, type);
	if (required[0])
		printf("  default  none, it %s\n", required);
	else
		printf("  default  %s\n", fallback[0] ? fallback : "not set");
	printf("  in       %s\n", groups);
	if (row->driver)
		printf("  driver   %s\n", row->driver);
}

static void json_row(struct json *json, const struct explain_row *row)
{
	char type[EXPLAIN_SIZE], fallback[EXPLAIN_SIZE];
	explain_type(row->key, type);
	explain_default(row->key, fallback);
	json_object(json, NULL);
	json_text(json, "key", row->key->name);
	json_text(json, "group", explain_group_word(row->group));
	if (row->driver)
		json_text(json, "driver", row->driver);
	json_text(json, "type", type);
	if (row->key->fallback)
		json_text(json, "default", row->key->fallback);
	json_bool(json, "required", (row->key->flags & BF_KEY_REQUIRED) != 0);
	json_bool(json, "supported", true); /* some were not once; keys of json output stay */
	json_text(json, "help", row->key->help);
	json_object_end(json);
}

/* The known key that is nearest, of the group first when one is named: of two equally near ones it is that. */
static const char *nearest(const char *text, const char *key)
{
	const char *words[WORDS_MAX + 1] = {0};
	struct explain_row row;
	size_t n_words = 0;
	for (int in_group = key > text; in_group >= 0; in_group--)
		for (size_t i = 0; explain_row_at(i, &row) && n_words < WORDS_MAX; i++)
			if (!in_group || of_group(&row, text, key - 1))
				words[n_words++] = row.key->name;
	const char *near = faults_did_you_mean(text, words); /* "frame.chek.kind" */
	return near ? near : faults_did_you_mean(key, words);
}

static int unknown(const char *text)
{
	struct explain_row row;
	const char *dot = strrchr(text, '.'), *key = dot ? dot + 1 : text, *near = nearest(text, key);
	bool whole = near && strchr(near, '.');
	for (size_t i = 0; near && dot && !whole && explain_row_at(i, &row); i++)
		if (strcmp(row.key->name, near) == 0)
			return cli_usage_error("check", "unknown key \"%s\" (did you mean \"%s.%s\"?)", text,
				explain_group_word(row.group), near);
	return cli_usage_error("check", "unknown key \"%s\"%s%s%s", text, near ? " (did you mean \"" : "",
		near ? near : "", near ? "\"?)" : "");
}

static int print_json(const struct asked *asked)
{
	static char text[64 * 1024];
	struct explain_row row;
	struct json json = json_into(text, sizeof(text));
	json_object(&json, NULL);
	json_array(&json, "keys");
	for (size_t i = 0; explain_row_at(i, &row); i++)
		if (wanted(&row, asked))
			json_row(&json, &row);
	json_array_end(&json);
	json_object_end(&json);
	if (json_end(&json) < 0)
		return EX_SOFTWARE;
	puts(text);
	return 0;
}

/* The groups from the row at `from` on that have the same key, as "a device, a metric".  False when one before has it.
 */
static bool groups_of(const struct asked *asked, size_t from, char text[static EXPLAIN_SIZE])
{
	struct explain_row first, row;
	explain_row_at(from, &first);
	text[0] = '\0';
	for (size_t i = 0, at = 0; explain_row_at(i, &row); i++) {
		if (!wanted(&row, asked) || strcmp(row.key->name, first.key->name) != 0 || !same(&row, &first))
			continue;
		if (i < from)
			return false;
		int more = snprintf(text + at, EXPLAIN_SIZE - at, "%s%s", at ? ", " : "", row.group);
		at += more > 0 && (size_t)more < EXPLAIN_SIZE - at ? (size_t)more : 0;
	}
	return true;
}

static bool any_wanted(const struct asked *asked)
{
	struct explain_row row;
	for (size_t i = 0; explain_row_at(i, &row); i++)
		if (wanted(&row, asked))
			return true;
	return false;
}

int explain_print(const char *text, bool as_json)
{
	struct asked asked = {.text = text};
	asked.around = !any_wanted(&asked);
	if (asked.around && !any_wanted(&asked))
		return unknown(text);
	if (as_json)
		return print_json(&asked);
	struct explain_row row;
	bool any = false;
	for (size_t i = 0; explain_row_at(i, &row); i++) {
		char groups[EXPLAIN_SIZE];
		if (!wanted(&row, &asked) || !groups_of(&asked, i, groups))
			continue;
		if (any)
			putchar('\n');
		print_row(&row, groups);
		any = true;
	}
	return 0;
}
