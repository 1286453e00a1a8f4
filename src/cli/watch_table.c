/*
 * The table: what was last heard of each topic, sorted, and how its numbers went.  See watch.h.
 *
 * Bounds: so many topics, of so many bytes each; what is beyond is counted and told.  The whole screen is written at
 * once, each line over the one that is there, so nothing flickers.
 */
#include "base/log.h"
#include "cli/screen.h"
#include "cli/watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOPICS_MAX  2000
#define TOPIC_BYTES 512
#define SAMPLES     32
#define CELL        2048

#define VALUE_COLUMNS 12
#define UNIT_COLUMNS  6
#define AGE_COLUMNS   8
#define SPARK_LEAST   12
#define TOPIC_LEAST   16
#define HEAD_ROWS     2

struct row {
	char *topic; /* with the metric behind a blank, of a whole device */
	struct watch_value value;
	int64_t heard_ms;
	bool retained;          /* nothing else has come yet */
	float samples[SAMPLES]; /* NaN = no number */
	unsigned n_samples, next;
};

struct watch_table {
	struct row *rows[TOPICS_MAX]; /* by topic */
	size_t n_rows;
	uint64_t n_messages, n_beyond; /* messages whose topics have no place */
	int64_t now_ms;
	bool retained;
	const char *topic;
};

struct watch_table *watch_table_make(void)
{
	return calloc(1, sizeof(struct watch_table));
}

void watch_table_free(struct watch_table *table)
{
	for (size_t i = 0; table && i < table->n_rows; i++) {
		free(table->rows[i]->topic);
		free(table->rows[i]);
	}
	free(table);
}

/* Where the topic is, or would be. */
static size_t place_of(const struct watch_table *table, const char *topic, bool *ret_there)
{
	size_t low = 0, high = table->n_rows;
	*ret_there = false;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(table->rows[middle]->topic, topic);
		if (order == 0) {
			*ret_there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct row *row_of(struct watch_table *table, const char *topic)
{
	bool there;
	size_t at = place_of(table, topic, &there);
	if (there)
		return table->rows[at];
	struct row *row = table->n_rows < TOPICS_MAX ? calloc(1, sizeof(*row)) : NULL;
	if (!row || !(row->topic = strdup(topic))) {
		free(row);
		return NULL;
	}
	memmove(&table->rows[at + 1], &table->rows[at], (table->n_rows - at) * sizeof(row));
	table->rows[at] = row;
	table->n_rows++;
	return row;
}

static void take(void *user, const char *metric, const struct watch_value *value)
{
	struct watch_table *table = user;
	char topic[TOPIC_BYTES];
	int n = snprintf(topic, sizeof(topic), "%s%s%s", table->topic, metric ? " " : "", metric ? metric : "");
	struct row *row = n < TOPIC_BYTES ? row_of(table, topic) : NULL;
	if (!row) {
		table->n_beyond++;
		return;
	}
	row->value = *value;
	row->value.raw = NULL; /* the payload goes */
	row->heard_ms = table->now_ms;
	row->retained = table->retained;
	if (table->retained)
		return;
	row->samples[row->next] = value->has_number ? (float)value->number : NAN;
	row->next = (row->next + 1) % SAMPLES;
	row->n_samples += row->n_samples < SAMPLES;
}

void watch_table_put(struct watch_table *table, const struct uplink_message *message, int64_t now_ms)
{
	table->n_messages++;
	table->now_ms = now_ms;
	table->retained = message->retained;
	table->topic = message->topic;
	watch_values(message->topic, message->payload, message->payload_n, take, table);
}

size_t watch_table_topics(const struct watch_table *table)
{
	return table->n_rows;
}

uint64_t watch_table_messages(const struct watch_table *table)
{
	return table->n_messages;
}

/* The columns of the parts; 0 = there is no room for it. */
struct layout {
	unsigned topic, value, unit, age, spark;
};

static struct layout layout_for(const struct watch_table *table, unsigned columns, size_t n_shown)
{
	struct layout layout = {.value = VALUE_COLUMNS, .unit = UNIT_COLUMNS, .age = AGE_COLUMNS, .spark = SPARK_LEAST};
	unsigned widest = TOPIC_LEAST;
	for (size_t i = 0; i < n_shown; i++) {
		char cell[CELL];
		const char *topic = table->rows[i]->topic;
		unsigned width = screen_text(cell, sizeof(cell), topic, strlen(topic), 0);
		widest = width > widest ? width : widest;
	}
	unsigned rest = VALUE_COLUMNS + 1 + UNIT_COLUMNS + 2 + AGE_COLUMNS + 2;
	if (columns < rest + TOPIC_LEAST + SPARK_LEAST + 2) {
		layout.spark = 0;
		if (columns < rest + TOPIC_LEAST) {
			layout.unit = 0;
			rest -= UNIT_COLUMNS + 1;
		}
		layout.topic = columns > rest ? columns - rest : 1;
		return layout;
	}
	rest += SPARK_LEAST + 2;
	layout.topic = columns - rest < widest ? columns - rest : widest;
	unsigned left = columns - rest - layout.topic;
	layout.spark += left < SAMPLES - SPARK_LEAST ? left : SAMPLES - SPARK_LEAST;
	return layout;
}

/* The end of a text tells more than its beginning. */
static void print_topic(FILE *to, const char *topic, unsigned columns)
{
	char cell[CELL];
	size_t n = strlen(topic);
	if (screen_text(cell, sizeof(cell), topic, n, 0) <= columns) {
		screen_cell(to, topic, columns, SCREEN_LEFT);
		return;
	}
	while (n && screen_text(cell, sizeof(cell), topic, strlen(topic), 0) > columns - 1)
		for (topic++, n--; n && ((unsigned char)*topic & 0xc0) == 0x80; topic++)
			n--;
	fputs("…", to);
	screen_cell(to, topic, columns - 1, SCREEN_LEFT);
}

static void print_spark(FILE *to, const struct row *row, unsigned columns)
{
	static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	unsigned n = row->n_samples < columns ? row->n_samples : columns;
	float low = INFINITY, high = -INFINITY;
	for (unsigned i = 0; i < n; i++) {
		float sample = row->samples[(row->next + SAMPLES - n + i) % SAMPLES];
		low = sample < low ? sample : low;
		high = sample > high ? sample : high;
	}
	if (!isfinite(low) || !isfinite(high)) /* no number at all */
		return;
	fputs("  ", to);
	for (unsigned i = 0; i < n; i++) {
		float sample = row->samples[(row->next + SAMPLES - n + i) % SAMPLES];
		int bar = high > low && isfinite(sample) ? (int)((sample - low) / (high - low) * 7.999f) : 3;
		fputs(isnan(sample) ? " " : bars[bar < 0 ? 0 : bar > 7 ? 7 : bar], to);
	}
}

static void print_row(const struct watch_table *table, const struct row *row, const struct layout *layout,
	const struct watch_screen *screen, FILE *to)
{
	const struct watch_value *value = &row->value;
	char length[LOG_LENGTH_SIZE];
	enum screen_colour colour = row->retained ? SCREEN_FAINT : SCREEN_PLAIN;
	if (value->quality[0])
		colour = SCREEN_ODD;
	else if (value->kind == WATCH_STATE)
		colour = value->text[1] == 'n' ? SCREEN_GOOD : SCREEN_BAD; /* online */
	int64_t said_ms = value->time_ms > 0 && value->time_ms <= table->now_ms ? value->time_ms : row->heard_ms;
	int64_t age_ms = table->now_ms > said_ms ? table->now_ms - said_ms : 0;
	print_topic(to, row->topic, layout->topic);
	fprintf(to, "  %s", screen_begin(colour, screen->coloured));
	const char *shown = value->quality[0]              ? value->quality
			    : value->kind == WATCH_CLEARED ? "(cleared)"
							   : value->text;
	bool whole = value->kind == WATCH_OTHER && layout->spark; /* a text has the unit's and the line's room, too */
	if (whole) {
		screen_cell(to, shown, layout->value + 1 + layout->unit, SCREEN_LEFT);
	} else {
		screen_cell(to, shown, layout->value, value->has_number ? SCREEN_RIGHT : SCREEN_LEFT);
		if (layout->unit) {
			fputc(' ', to);
			screen_cell(to, value->unit, layout->unit, SCREEN_LEFT);
		}
	}
	fprintf(to, "%s  ", screen_end(colour, screen->coloured));
	screen_cell(to, age_ms < 1000 ? "now" : log_length(age_ms / 1000 * 1000000, length), layout->age, SCREEN_RIGHT);
	if (layout->spark)
		print_spark(to, row, layout->spark);
	fputs("\x1b[K\r\n", to);
}

void watch_table_draw(struct watch_table *table, const struct watch_screen *screen, int64_t now_ms, FILE *to)
{
	size_t room = screen->rows > HEAD_ROWS + 2 ? screen->rows - HEAD_ROWS - 1 : 1;
	bool all = table->n_rows <= room && table->n_beyond == 0;
	size_t n = table->n_rows <= room ? table->n_rows : room;
	struct layout layout = layout_for(table, screen->columns, n);
	char line[CELL];
	table->now_ms = now_ms;
	fputs("\x1b[H", to);
	if (screen->trouble)
		snprintf(line, sizeof(line), "no connection: %s; trying again (%s)", screen->trouble, screen->title);
	else
		snprintf(line, sizeof(line), "%s, %zu topics, %llu messages", screen->title, table->n_rows,
			(unsigned long long)table->n_messages);
	enum screen_colour colour = screen->trouble ? SCREEN_BAD : SCREEN_BOLD;
	fputs(screen_begin(colour, screen->coloured), to);
	screen_cell(to, line, screen->columns - 1, SCREEN_LEFT);
	fprintf(to, "%s\x1b[K\r\n%s", screen_end(colour, screen->coloured),
		screen_begin(SCREEN_FAINT, screen->coloured));
	screen_cell(to, "topic", layout.topic, SCREEN_LEFT);
	fputs("  ", to);
	screen_cell(to, "value", layout.value, SCREEN_RIGHT);
	if (layout.unit) {
		fputc(' ', to);
		screen_cell(to, "", layout.unit, SCREEN_LEFT);
	}
	fputs("  ", to);
	screen_cell(to, "age", layout.age, SCREEN_RIGHT);
	fprintf(to, "%s\x1b[K\r\n", screen_end(SCREEN_FAINT, screen->coloured));
	for (size_t i = 0; i < n; i++)
		print_row(table, table->rows[i], &layout, screen, to);
	fputs("\x1b[J", to);
	if (!all) {
		snprintf(line, sizeof(line), "%s%zu more%s; a filter shows fewer: busferry watch 'home/cellar/#'",
			table->n_beyond ? "at least " : "", table->n_rows - n + (table->n_beyond > 0),
			table->n_beyond ? ", for which there is no room" : "");
		screen_cell(to, line, screen->columns - 1, SCREEN_LEFT);
	}
}
