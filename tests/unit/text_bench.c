/*
 * A device of the text driver on a line that behaves as the core does.  See text_bench.h.
 *
 * Each rule of the driver's contract that can be seen from here is asserted on the way, so that every test of a mode is
 * one of the contract too.
 */
#include "text_bench.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct bf_driver bf_driver_text;

static const struct bf_driver *const driver = &bf_driver_text;

#define MUST(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                        \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

static int choice(const char *choices, const char *word)
{
	int number = 0;
	size_t n = strlen(word);
	for (const char *c = choices; c; c = strchr(c, '|') ? strchr(c, '|') + 1 : NULL, number++)
		if (strncmp(c, word, n) == 0 && (c[n] == '|' || c[n] == '\0'))
			return number;
	return -1;
}

/* value: a text, or what points at a list of texts. */
static void set(const struct bf_key *key, void *keys, const void *value)
{
	unsigned char *field = (unsigned char *)keys + key->offset;
	int number = BF_UNSET;
	if (key->type == BF_KEY_TEXT) {
		memcpy(field, &value, sizeof(value));
		return;
	}
	if (key->type == BF_KEY_TEXTS) { /* of a list that a NULL ends */
		struct bf_texts texts = {(const char *const *)value, 0};
		while (texts.at && texts.at[texts.n])
			texts.n++;
		memcpy(field, &texts, sizeof(texts));
		return;
	}
	MUST(key->type == BF_KEY_INT || key->type == BF_KEY_CHOICE);
	if (value && key->type == BF_KEY_INT)
		number = (int)strtol(value, NULL, 10);
	else if (value)
		number = choice(key->choices, value);
	MUST(!value || number >= 0);
	memcpy(field, &number, sizeof(number));
}

static void set_all(const struct bf_key *rows, void *keys, va_list given)
{
	for (const struct bf_key *key = rows; key->name; key++)
		set(key, keys, key->fallback);
	for (const char *name; (name = va_arg(given, const char *)) != NULL;) {
		const struct bf_key *key = rows;
		while (key->name && strcmp(key->name, name) != 0)
			key++;
		MUST(key->name);
		set(key, keys, va_arg(given, const void *));
	}
}

static void none(const struct bf_key *rows, void *keys, ...)
{
	va_list given;
	va_start(given, keys);
	set_all(rows, keys, given);
	va_end(given);
}

void text_bench_start(struct text_bench *bench, ...)
{
	MUST(driver->device_size <= sizeof(bench->keys) && driver->memory_size <= sizeof(bench->memory));
	MUST(driver->message_size <= sizeof(bench->message_keys[0]));
	MUST(driver->metric_size <= sizeof(bench->metrics[0].keys));
	memset(bench, 0, sizeof(*bench));
	va_list given;
	va_start(given, bench);
	set_all(driver->device_keys, bench->keys, given);
	va_end(given);
	none(driver->message_keys, bench->message_keys[0], NULL);
	bench->messages[0] = (struct bf_message_told){.name = "", .keys = bench->message_keys[0]};
	bench->device = (struct bf_device){
		.keys = bench->keys, .messages = bench->messages, .n_messages = 1, .memory = bench->memory};
}

void text_bench_message(struct text_bench *bench, const char *name, ...)
{
	size_t i = bench->messages[0].name[0] == '\0' ? 0 : bench->device.n_messages;
	MUST(i < TEXT_BENCH_N_MESSAGES);
	va_list given;
	va_start(given, name);
	set_all(driver->message_keys, bench->message_keys[i], given);
	va_end(given);
	bench->messages[i] = (struct bf_message_told){.name = name, .keys = bench->message_keys[i]};
	bench->device.n_messages = i + 1;
}

void text_bench_metric(struct text_bench *bench, const char *name, ...)
{
	MUST(bench->n_metrics < TEXT_BENCH_N_METRICS);
	struct text_bench_metric *metric = &bench->metrics[bench->n_metrics++];
	metric->name = name;
	metric->kind = (unsigned)bench->device.n_messages - 1;
	va_list given;
	va_start(given, name);
	set_all(driver->metric_keys, metric->keys, given);
	va_end(given);
}

int text_bench_check(struct text_bench *bench)
{
	struct bf_device seen = bench->device;
	seen.memory = NULL;
	bench->complaint = (struct bf_complaint){0};
	int err = driver->check(&seen, &bench->complaint);
	for (size_t i = 0; err == 0 && i < bench->n_metrics; i++)
		err = driver->shape(&seen, bench->metrics[i].kind, bench->metrics[i].keys, &bench->metrics[i].shape,
			&bench->complaint);
	MUST(err == 0 || (err == -EINVAL && bench->complaint.what[0]));
	return err;
}

static void say(struct text_bench *bench, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct text_bench *bench, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(bench->told + bench->n_told, sizeof(bench->told) - bench->n_told, format, args);
	va_end(args);
	bench->n_told += (size_t)n;
	if (bench->n_told >= sizeof(bench->told))
		bench->n_told = sizeof(bench->told) - 1;
}

/* The kind of a value is the one that its shape promised. */
static void fits(const struct bf_shape *shape, const struct bf_value *value)
{
	switch (shape->type) {
	case BF_TYPE_F64:
		MUST(value->kind == BF_FLOAT64);
		MUST(value->f64 - value->f64 == 0);
		break;
	case BF_TYPE_S64:
		MUST(value->kind == BF_SIGNED);
		break;
	case BF_TYPE_U64:
		MUST(value->kind == BF_UNSIGNED);
		break;
	case BF_TYPE_BOOL:
		MUST(value->kind == BF_BOOLEAN);
		break;
	default:
		MUST(shape->type == BF_TYPE_STRING && value->kind == BF_TEXT);
		MUST(value->text.n > 0 && value->text.n <= BF_STRING_MAX);
	}
}

static void read_message(struct text_bench *bench, const struct bf_message *message)
{
	say(bench, "%s", bench->messages[message->kind].name);
	for (size_t i = 0; i < bench->n_metrics; i++) {
		const struct text_bench_metric *metric = &bench->metrics[i];
		char text[BF_STRING_MAX + 1], number[BF_NUMBER_SIZE];
		struct bf_value value = {.kind = BF_NONE, .u = 42};
		if (metric->kind != message->kind)
			continue;
		int err = driver->value(&bench->device, metric->keys, metric->index, message, text, &value);
		MUST(err == 0 || err == -ENOENT || err == -EDOM);
		if (err < 0) {
			MUST(value.kind == BF_NONE && value.u == 42);
			if (err == -EDOM)
				say(bench, " %s=?", metric->name);
			continue;
		}
		fits(&metric->shape, &value);
		if (value.kind == BF_TEXT)
			say(bench, " %s=%.*s", metric->name, (int)value.text.n, value.text.at);
		else if (bf_value_print(&value, -1, number) > 0)
			say(bench, " %s=%s", metric->name, number);
	}
	say(bench, "\n");
}

static void drop(struct text_bench *bench, size_t n)
{
	MUST(n >= 1 && n <= bench->n);
	bench->n -= n;
	memmove(bench->input, bench->input + n, bench->n);
}

static bool within(const uint8_t *at, size_t n, const uint8_t *room, size_t size)
{
	return at >= room && at + n <= room + size;
}

/* Asks until more bytes are wanted. */
static void search(struct text_bench *bench)
{
	size_t longest = driver->longest(&bench->device);
	MUST(longest >= 1 && longest <= BF_INPUT_MAX);
	while (bench->n > 0) {
		/* An input that ends where it ends, and a body of `longest`: a sanitizer sees who goes beyond. */
		uint8_t *input = malloc(bench->n), *body = malloc(longest);
		MUST(input && body);
		memcpy(input, bench->input, bench->n);
		struct bf_found found = {0};
		enum bf_find is = driver->find(&bench->device, input, bench->n, body, &found);
		if (is == BF_FIND_MESSAGE) {
			MUST(found.message.kind < bench->device.n_messages);
			MUST(within(found.message.bytes, found.message.n, input, bench->n) ||
				within(found.message.bytes, found.message.n, body, longest));
			bench->n_messages++;
			read_message(bench, &found.message);
		}
		free(input);
		free(body);
		if (is == BF_FIND_MORE) {
			MUST(bench->n < longest);
			return;
		}
		bench->n_damaged += is == BF_FIND_DAMAGED;
		bench->n_others += is == BF_FIND_OTHER;
		bench->n_skipped += is == BF_FIND_SKIP ? found.n : 0;
		drop(bench, is == BF_FIND_DAMAGED ? 1 : found.n);
	}
}

void text_bench_feed(struct text_bench *bench, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;
	while (n > 0) {
		size_t part = sizeof(bench->input) - bench->n < n ? sizeof(bench->input) - bench->n : n;
		MUST(part > 0);
		memcpy(bench->input + bench->n, at, part);
		bench->n += part;
		at += part;
		n -= part;
		search(bench);
	}
}

void text_bench_quiet(struct text_bench *bench)
{
	search(bench);
	while (bench->n > 0) {
		drop(bench, 1);
		search(bench);
	}
}

void text_bench_reopen(struct text_bench *bench)
{
	bench->n = 0;
	memset(bench->memory, 0, sizeof(bench->memory));
}

void text_bench_clear(struct text_bench *bench)
{
	bench->n_damaged = bench->n_messages = bench->n_others = bench->n_skipped = bench->n_told = 0;
	bench->told[0] = '\0';
}
