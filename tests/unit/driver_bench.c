/* See driver_bench.h. */
#include "driver_bench.h"

#include "app/schema.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BENCH_ASSERT(condition)                                                                                        \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                        \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static void read_keys(struct driver_bench *bench, const char *text, const struct bf_key *table, void *to)
{
	struct tree *group = tree_add(NULL, TREE_GROUP, "keys", &bench->arena);
	char *rest = arena_text(&bench->arena, text);
	while (*(rest += strspn(rest, " "))) {
		char *name = rest, *value = strchr(rest, '=');
		BENCH_ASSERT(value);
		*value++ = '\0';
		const char *end = *value == '"' ? "\"" : " ";
		value += *end == '"';
		rest = value + strcspn(value, end);
		if (*rest)
			*rest++ = '\0';
		bool number = *end == ' ' && is_number(value);
		struct tree *setting = tree_add(group, number ? TREE_INT : TREE_TEXT, name, &bench->arena);
		if (number)
			setting->i = strtoll(value, NULL, 10);
		else
			setting->text = arena_text(&bench->arena, value);
	}
	struct schema_part part = {table, to};
	if (!schema_read("keys", group, &part, 1, &bench->arena, &bench->faults)) {
		faults_print(&bench->faults, stderr, false);
		abort();
	}
}

void driver_bench_start(struct driver_bench *bench, const struct bf_driver *driver, const char *keys, uint8_t address)
{
	*bench = (struct driver_bench){.driver = driver};
	void *device_keys = arena_alloc(&bench->arena, driver->device_size + 1);
	read_keys(bench, keys, driver->device_keys, device_keys);
	bench->device = (struct bf_device){
		device_keys, &bench->message, 1, address, arena_alloc(&bench->arena, driver->memory_size + 1)};
	size_t longest = driver->longest(&bench->device);
	BENCH_ASSERT(longest >= 1 && longest <= BF_INPUT_MAX);
	bench->input = malloc(longest);
	bench->body = malloc(longest);
	bench->kept = malloc(longest);
	BENCH_ASSERT(bench->input && bench->body && bench->kept);
}

void driver_bench_stop(struct driver_bench *bench)
{
	free(bench->input);
	free(bench->body);
	free(bench->kept);
	faults_destroy(&bench->faults);
	arena_free(&bench->arena);
}

void driver_bench_clear(struct driver_bench *bench)
{
	bench->n_input = bench->n_messages = bench->n_others = bench->n_damaged = bench->n_skipped = 0;
	bench->last = (struct bf_message){0};
}

const void *driver_bench_metric(struct driver_bench *bench, const char *keys)
{
	void *metric = arena_alloc(&bench->arena, bench->driver->metric_size + 1);
	read_keys(bench, keys, bench->driver->metric_keys, metric);
	return metric;
}

static bool lies_within(const uint8_t *bytes, size_t n, const uint8_t *room, size_t size)
{
	return bytes >= room && bytes + n <= room + size;
}

static void drop(struct driver_bench *bench, size_t n)
{
	memmove(bench->input, bench->input + n, bench->n_input - n);
	bench->n_input -= n;
}

/* Everything that can be said of what lies in the input now. */
static void look(struct driver_bench *bench)
{
	const struct bf_driver *driver = bench->driver;
	size_t longest = driver->longest(&bench->device);
	while (bench->n_input > 0) {
		struct bf_found found = {0};
		size_t n = bench->n_input;
		enum bf_find find = driver->find(&bench->device, bench->input, n, bench->body, &found);
		if (find == BF_FIND_MORE) {
			if (n < longest)
				return;
			find = BF_FIND_SKIP;
			found.n = 1;
		}
		BENCH_ASSERT(found.n >= 1 && found.n <= n);
		if (find == BF_FIND_SKIP) {
			bench->n_skipped += found.n;
		} else if (find == BF_FIND_DAMAGED) {
			bench->n_damaged++;
			found.n = 1;
		} else if (find == BF_FIND_OTHER) {
			bench->n_others++;
		} else {
			BENCH_ASSERT(find == BF_FIND_MESSAGE);
			const struct bf_message *message = &found.message;
			BENCH_ASSERT(message->kind == 0);
			BENCH_ASSERT(lies_within(message->bytes, message->n, bench->input, n) ||
				     lies_within(message->bytes, message->n, bench->body, longest));
			bench->n_messages++;
			if (bench->heard)
				bench->heard(bench, message);
			memcpy(bench->kept, message->bytes, message->n);
			bench->last = (struct bf_message){message->kind, bench->kept, message->n};
		}
		drop(bench, found.n);
	}
}

void driver_bench_feed(struct driver_bench *bench, const uint8_t *bytes, size_t n, size_t piece)
{
	size_t longest = bench->driver->longest(&bench->device);
	while (n > 0) {
		size_t part = n < piece ? n : piece;
		if (part > longest - bench->n_input)
			part = longest - bench->n_input;
		memcpy(bench->input + bench->n_input, bytes, part);
		bench->n_input += part;
		bytes += part;
		n -= part;
		look(bench);
	}
}

void driver_bench_hear(struct driver_bench *bench, const uint8_t *bytes, size_t n)
{
	driver_bench_clear(bench);
	driver_bench_feed(bench, bytes, n, n);
	BENCH_ASSERT(bench->n_messages == 1);
	BENCH_ASSERT(bench->n_damaged + bench->n_skipped + bench->n_input == 0);
}

void driver_bench_hear_digits(struct driver_bench *bench, const char *digits)
{
	size_t n;
	const uint8_t *bytes = driver_bench_bytes(bench, digits, &n);
	driver_bench_hear(bench, bytes, n);
}

const char *driver_bench_told(struct driver_bench *bench, const void *metric, const struct bf_message *message)
{
	struct bf_value value = {0};
	char text[BF_STRING_MAX + 1];
	int err = bench->driver->value(&bench->device, metric, 0, message, text, &value);
	if (err == -ENOENT)
		return "absent";
	if (err == -EDOM)
		return "none";
	BENCH_ASSERT(err == 0);
	struct bf_shape shape = {0};
	BENCH_ASSERT(bench->driver->shape(&bench->device, 0, metric, &shape, &bench->complaint) == 0);
	enum bf_kind kind = shape.type == BF_TYPE_STRING ? BF_TEXT
			    : shape.type == BF_TYPE_F64  ? BF_FLOAT64
			    : shape.type == BF_TYPE_S64  ? BF_SIGNED
							 : BF_UNSIGNED;
	BENCH_ASSERT(value.kind == kind);
	if (kind == BF_TEXT) {
		BENCH_ASSERT(value.text.n <= BF_STRING_MAX);
		memcpy(bench->text, value.text.at, value.text.n);
		bench->text[value.text.n] = '\0';
	} else {
		BENCH_ASSERT(bf_value_print(&value, -1, bench->text) > 0);
	}
	return bench->text;
}

const char *driver_bench_value(struct driver_bench *bench, const char *metric_keys)
{
	BENCH_ASSERT(bench->last.bytes);
	return driver_bench_told(bench, driver_bench_metric(bench, metric_keys), &bench->last);
}

void driver_bench_reads(struct driver_bench *bench, const char *metric_keys, const char *expected)
{
	const char *told = driver_bench_value(bench, metric_keys);
	if (strcmp(told, expected) == 0)
		return;
	fprintf(stderr, "%s: %s is %s, not %s\n", bench->driver->name, metric_keys, told, expected);
	abort();
}

int driver_bench_shape(struct driver_bench *bench, const char *metric_keys, struct bf_shape *ret_shape)
{
	bench->complaint = (struct bf_complaint){0};
	return bench->driver->shape(
		&bench->device, 0, driver_bench_metric(bench, metric_keys), ret_shape, &bench->complaint);
}

const uint8_t *driver_bench_bytes(struct driver_bench *bench, const char *digits, size_t *ret_n)
{
	size_t size = strlen(digits) / 2 + 1;
	uint8_t *bytes = arena_alloc(&bench->arena, size);
	int n = bf_bytes_parse(digits, bytes, size);
	BENCH_ASSERT(n >= 0);
	*ret_n = (size_t)n;
	return bytes;
}

uint64_t driver_bench_chance(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9E3779B97F4A7C15);
	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}
