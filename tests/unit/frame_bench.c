/*
 * See frame_bench.h.  The input is as long as `longest` says and not a byte longer, so that a sanitizer sees a driver
 * that looks further; each message's values are read while its bytes are there, and never after.
 */
#include "frame_bench.h"
#include "app/config.h"
#include "app/schema.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct bf_driver bf_driver_frame;
static const struct bf_driver *const driver = &bf_driver_frame;

/* The core's keys, as far as they stand in such a table. */
struct core {
	const void *any;
	struct bf_scalar scalar;
	struct bf_texts texts;
	struct bf_bytes request;
	int count;
};
#define ANY(name_, type_, field_)                                                                                      \
	{                                                                                                              \
		name_, type_, offsetof(struct core, field_), 0, 0, NULL, NULL, 0, "h"                                  \
	}
static const struct bf_key core_device[] = {ANY("profile", BF_KEY_NODE, any), ANY("line", BF_KEY_SCALAR, scalar),
	ANY("messages", BF_KEY_NODE, any), ANY("metrics", BF_KEY_NODE, any), ANY("init", BF_KEY_TEXTS, texts),
	ANY("stop", BF_KEY_TEXTS, texts), ANY("ignore_first", BF_KEY_SCALAR, scalar),
	ANY("reduce", BF_KEY_SCALAR, scalar), ANY("quirks", BF_KEY_NODE, any), ANY("vectors", BF_KEY_NODE, any), {0}};
static const struct bf_key core_message[] = {
	ANY("request", BF_KEY_BYTES, request), ANY("metrics", BF_KEY_NODE, any), {0}};
static const struct bf_key core_metric[] = {ANY("scale", BF_KEY_SCALAR, scalar), ANY("offset", BF_KEY_SCALAR, scalar),
	ANY("decimals", BF_KEY_SCALAR, scalar), ANY("unit", BF_KEY_SCALAR, scalar), ANY("min", BF_KEY_SCALAR, scalar),
	ANY("max", BF_KEY_SCALAR, scalar), ANY("invalid", BF_KEY_SCALAR, scalar), ANY("message", BF_KEY_SCALAR, scalar),
	ANY("reduce", BF_KEY_SCALAR, scalar), ANY("monotonic", BF_KEY_SCALAR, scalar),
	ANY("every", BF_KEY_SCALAR, scalar), ANY("bits", BF_KEY_NODE, any),
	{"event", BF_KEY_BOOL, offsetof(struct core, count), 0, 0, NULL, NULL, 0, "h"},
	{"enum", BF_KEY_NODE, offsetof(struct core, any), 0, 0, NULL, "group|list", 0, "h"},
	{"repeat.count", BF_KEY_INT, offsetof(struct core, count), 1, FRAME_BENCH_REPEATS, NULL, NULL, 0, "h"}, {0}};

static bool read_group(struct frame_bench *bench, const char *what, const struct tree *group, const struct bf_key *keys,
	void *to, const struct bf_key *core_keys, struct core *core)
{
	*core = (struct core){0};
	const struct schema_part parts[] = {{keys, to}, {core_keys, core}};
	return schema_read(what, group, parts, 2, &bench->arena, &bench->faults);
}

static void read_metrics(struct frame_bench *bench, const struct tree *group, unsigned kind)
{
	for (const struct tree *setting = group ? group->first : NULL; setting; setting = setting->next) {
		struct core core;
		struct frame_bench_metric *metric = &bench->metrics[bench->n_metrics++];
		assert_true(bench->n_metrics <= FRAME_BENCH_METRICS);
		metric->name = setting->name;
		metric->kind = kind;
		metric->keys = arena_array(&bench->arena, 1, driver->metric_size);
		bool ok = read_group(bench, "metric", setting, driver->metric_keys, metric->keys, core_metric, &core);
		metric->count = tree_get(setting, "repeat") && core.count > 0 ? core.count : 1;
		if (ok && !bench->complaint.what[0] &&
			driver->shape(&bench->device, kind, metric->keys, &metric->shape, &bench->complaint) < 0)
			bench->at_fault = metric->name;
	}
}

static void read_device(struct frame_bench *bench)
{
	struct core core;
	void *keys = arena_array(&bench->arena, 1, driver->device_size);
	read_group(bench, "device", bench->tree, driver->device_keys, keys, core_device, &core);
	const struct tree *messages = tree_get(bench->tree, "messages");
	size_t n = messages && messages->n ? messages->n : 1, i = 0;
	struct bf_message_told *told = arena_array(&bench->arena, n, sizeof(*told));
	const struct tree *setting = messages ? messages->first : NULL;
	for (; i < n; i++, setting = setting ? setting->next : NULL) {
		void *own = arena_array(&bench->arena, 1, driver->message_size);
		read_group(bench, "message", setting, driver->message_keys, own, core_message, &core);
		told[i] = (struct bf_message_told){setting ? setting->name : NULL, core.request, own};
	}
	bench->device = (struct bf_device){.keys = keys, .messages = told, .n_messages = n};
	if (bench->faults.n_errors == 0)
		driver->check(&bench->device, &bench->complaint);
	if (bench->complaint.what[0])
		return;
	i = 0;
	for (setting = messages ? messages->first : NULL; setting; setting = setting->next)
		read_metrics(bench, tree_get(setting, "metrics"), (unsigned)i++);
	read_metrics(bench, tree_get(bench->tree, "metrics"), 0);
}

bool frame_bench_open(struct frame_bench *bench, const char *file)
{
	*bench = (struct frame_bench){0};
	struct tree *tree = NULL;
	if (config_tree(file, "the table", NULL, &bench->arena, &bench->faults, &tree) == 0) {
		bench->tree = tree;
		read_device(bench);
	}
	if (bench->faults.n_errors || bench->complaint.what[0])
		return false;
	bench->longest = driver->longest(&bench->device);
	assert_true(bench->longest >= 1 && bench->longest <= BF_INPUT_MAX);
	bench->input = malloc(bench->longest);
	bench->body = malloc(bench->longest);
	return true;
}

bool frame_bench_load(struct frame_bench *bench, const char *text)
{
	char file[] = "/tmp/busferry-frame-XXXXXX";
	int fd = mkstemp(file);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	bool sound = frame_bench_open(bench, file);
	unlink(file);
	return sound;
}

void frame_bench_destroy(struct frame_bench *bench)
{
	free(bench->input);
	free(bench->body);
	faults_destroy(&bench->faults);
	arena_free(&bench->arena);
}

static void read_values(struct frame_bench *bench, const struct bf_message *message)
{
	bench->n_messages++;
	bench->of_kind[message->kind]++;
	assert_true(message->kind < bench->device.n_messages);
	for (size_t i = 0; i < bench->n_metrics; i++) {
		struct frame_bench_metric *metric = &bench->metrics[i];
		if (metric->kind != message->kind)
			continue;
		for (int k = 0; k < metric->count; k++) {
			struct bf_value value = {.kind = BF_NONE};
			metric->error[k] =
				driver->value(&bench->device, metric->keys, (unsigned)k, message, metric->text, &value);
			assert_true((metric->error[k] == 0) == (value.kind != BF_NONE));
			if (value.kind == BF_TEXT && value.text.at != metric->text) {
				memmove(metric->text, value.text.at, value.text.n);
				value.text.at = metric->text;
			}
			if (metric->error[k] == 0)
				metric->last[k] = value;
		}
	}
}

static void drop(struct frame_bench *bench, size_t n)
{
	assert_true(n >= 1 && n <= bench->n_input);
	memmove(bench->input, bench->input + n, bench->n_input - n);
	bench->n_input -= n;
}

/* Until the driver wants more. */
static void look(struct frame_bench *bench)
{
	while (bench->n_input) {
		struct bf_found found = {0};
		uint8_t *exact = malloc(bench->n_input); /* of this very size, so that a sanitizer sees a step beyond */
		memcpy(exact, bench->input, bench->n_input);
		enum bf_find what = driver->find(&bench->device, exact, bench->n_input, bench->body, &found);
		if (what == BF_FIND_MESSAGE)
			read_values(bench, &found.message);
		free(exact);
		switch (what) {
		case BF_FIND_MORE:
			if (bench->n_input < bench->longest)
				return;
			bench->n_skipped++;
			drop(bench, 1);
			break;
		case BF_FIND_SKIP:
			bench->n_skipped += found.n;
			drop(bench, found.n);
			break;
		case BF_FIND_DAMAGED:
			bench->n_damaged++;
			drop(bench, 1);
			break;
		case BF_FIND_MESSAGE:
			drop(bench, found.n);
			break;
		case BF_FIND_OTHER:
			bench->n_other++;
			drop(bench, found.n);
			break;
		}
	}
}

void frame_bench_feed(struct frame_bench *bench, const uint8_t *bytes, size_t n, size_t piece)
{
	while (n) {
		size_t take = bench->longest - bench->n_input;
		take = take < n ? take : n;
		take = piece && piece < take ? piece : take;
		memcpy(bench->input + bench->n_input, bytes, take);
		bench->n_input += take;
		bytes += take;
		n -= take;
		look(bench);
	}
}

void frame_bench_quiet(struct frame_bench *bench)
{
	while (bench->n_input) {
		bench->n_skipped++;
		drop(bench, 1);
		look(bench);
	}
}

void frame_bench_forget(struct frame_bench *bench)
{
	bench->n_input = bench->n_messages = bench->n_damaged = bench->n_skipped = bench->n_other = 0;
	memset(bench->of_kind, 0, sizeof(bench->of_kind));
	for (size_t i = 0; i < bench->n_metrics; i++) {
		memset(bench->metrics[i].last, 0, sizeof(bench->metrics[i].last));
		memset(bench->metrics[i].error, 0, sizeof(bench->metrics[i].error));
	}
}

struct frame_bench_metric *frame_bench_metric(struct frame_bench *bench, const char *name)
{
	for (size_t i = 0; i < bench->n_metrics; i++)
		if (strcmp(bench->metrics[i].name, name) == 0)
			return &bench->metrics[i];
	fail_msg("no metric %s", name);
	return NULL;
}

double frame_bench_number(struct frame_bench *bench, const char *name)
{
	const struct bf_value *value = &frame_bench_metric(bench, name)->last[0];
	return value->kind == BF_NONE || value->kind == BF_TEXT ? NAN : bf_value_number(value);
}
