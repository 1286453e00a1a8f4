/*
 * The contract of stream drivers.  See stream_contract.h.
 *
 * Readings are compared, not messages: where each line of a block has its own check, a block with a damaged line is
 * sound without it.
 */
#include "stream_contract.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOISE      65536
#define NOISE_LUCK 8   /* messages in it; with a start of one byte and a check of another there is one on average */
#define FLIPS_MAX  400 /* of a long input, places that are damaged */

/* Memory whose end is that of a page, with one behind it that can't be read. */
struct guarded {
	uint8_t *map, *end;
	size_t size;
};

struct told {
	size_t metric;
	int rc;
	struct bf_value value; /* of a text: `text`, n bytes */
	char text[BF_STRING_MAX + 1];
};

struct readings {
	struct told *at;
	size_t n, size;
};

struct trial {
	const struct contract *contract;
	bool checked; /* as the contract says, but for a golden input that a weak check can't tell from another */
	struct bf_device device;
	struct guarded input, body, text;
	size_t longest, room; /* of a message; of the input, as the core has it */
	uint8_t *held;
	struct readings golden, now;
	char *broken;
	uint32_t seed;
	size_t n_slips; /* what a weak check has let pass */
};

static bool broken(struct trial *trial, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool broken(struct trial *trial, const char *format, ...)
{
	va_list args;
	if (trial->broken[0])
		return false;
	va_start(args, format);
	vsnprintf(trial->broken, CONTRACT_SIZE, format, args);
	va_end(args);
	return false;
}

static struct guarded guarded_make(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (size + page - 1) / page * page + page;
	struct guarded made = {.size = whole};
	made.map = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (made.map == MAP_FAILED || mprotect(made.map + whole - page, page, PROT_NONE) < 0)
		abort();
	made.end = made.map + whole - page;
	return made;
}

static uint32_t random_next(struct trial *trial)
{
	trial->seed = trial->seed * 1664525u + 1013904223u;
	return trial->seed >> 16;
}

static bool within(const uint8_t *at, size_t n, const uint8_t *start, const uint8_t *end)
{
	return at >= start && at <= end && n <= (size_t)(end - at);
}

static struct told *readings_next(struct readings *readings)
{
	if (readings->n == readings->size) {
		readings->size = readings->size ? 2 * readings->size : 64;
		readings->at = realloc(readings->at, readings->size * sizeof(*readings->at));
		if (!readings->at)
			abort();
	}
	struct told *told = &readings->at[readings->n++];
	memset(told, 0, sizeof(*told));
	return told;
}

static bool same(const struct told *a, const struct told *b)
{
	return a->metric == b->metric && a->rc == b->rc && a->value.kind == b->value.kind &&
	       (a->value.kind == BF_TEXT
			       ? a->value.text.n == b->value.text.n && memcmp(a->text, b->text, a->value.text.n) == 0
			       : bf_value_equal(&a->value, &b->value));
}

/* Are the readings now, without the first `skip`, those of the golden input from `from` on? */
static bool same_run(const struct trial *trial, size_t skip, size_t from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!same(&trial->now.at[skip + i], &trial->golden.at[from + i]))
			return false;
	return true;
}

static bool read_metric(struct trial *trial, size_t i, const struct bf_message *message)
{
	const struct contract_metric *metric = &trial->contract->metrics[i];
	const struct bf_driver *driver = trial->contract->driver;
	char *text = (char *)trial->text.end - BF_STRING_MAX - 1;
	struct bf_value value = {.kind = BF_NONE};
	int rc = driver->value(&trial->device, metric->keys, metric->index, message, text, &value);
	if (rc != 0 && rc != -ENOENT && rc != -EDOM)
		return broken(trial, "value() returns %d", rc);
	if (rc == -ENOENT)
		return true;
	struct told *told = readings_next(&trial->now);
	told->metric = i;
	told->rc = rc;
	if (rc < 0)
		return true;
	if (value.kind == BF_NONE)
		return broken(trial, "value() returns 0 without a value");
	told->value = value;
	if (value.kind == BF_TEXT) {
		const uint8_t *at = (const uint8_t *)value.text.at;
		if (!within(at, value.text.n, message->bytes, message->bytes + message->n) &&
			!within(at, value.text.n, (const uint8_t *)text, trial->text.end))
			return broken(trial, "value() gives a text that lies neither in the message nor in `text`");
		if (value.text.n > BF_STRING_MAX)
			return broken(trial, "value() gives a text of %zu bytes", value.text.n);
		memcpy(told->text, value.text.at, value.text.n);
	}
	return true;
}

static bool read_message(struct trial *trial, const struct bf_message *message, const uint8_t *input, size_t n_input)
{
	if (message->kind >= trial->device.n_messages)
		return broken(trial, "find() tells of a message of kind %u", message->kind);
	if (!within(message->bytes, message->n, input, input + n_input) &&
		!within(message->bytes, message->n, trial->body.end - trial->longest, trial->body.end))
		return broken(trial, "find() tells of a message that lies neither in the input nor in the body");
	for (size_t i = 0; i < trial->contract->n_metrics; i++)
		if (trial->contract->metrics[i].kind == message->kind && !read_metric(trial, i, message))
			return false;
	return true;
}

/* What the driver says of the first n bytes that are held.  How many go: 0 = it wants more; negative when it is broken.
 */
static long look(struct trial *trial, const uint8_t *bytes, size_t n)
{
	const struct bf_driver *driver = trial->contract->driver;
	uint8_t *input = trial->input.end - n, *body = trial->body.end - trial->longest;
	struct bf_found found = {0}, again = {0};
	memcpy(input, bytes, n);
	enum bf_find what = driver->find(&trial->device, input, n, body, &found);
	if (memcmp(input, bytes, n) != 0)
		return broken(trial, "find() writes to its input") - 1;
	if (driver->memory_size == 0 &&
		(driver->find(&trial->device, input, n, body, &again) != what || again.n != found.n))
		return broken(trial, "find() says something else when it is asked again") - 1;
	switch (what) {
	case BF_FIND_MORE:
		return n == trial->room;
	case BF_FIND_DAMAGED:
		return 1;
	case BF_FIND_SKIP:
	case BF_FIND_OTHER:
	case BF_FIND_MESSAGE:
		if (found.n < 1 || found.n > n)
			return broken(trial, "find() takes %zu of %zu bytes", found.n, n) - 1;
		if (what == BF_FIND_MESSAGE && !read_message(trial, &found.message, input, n))
			return -1;
		return (long)found.n;
	}
	return broken(trial, "find() returns %d", (int)what) - 1;
}

/* Looks at what is held until more is wanted; quiet: no more will come. */
static bool search(struct trial *trial, size_t *n_held, bool quiet)
{
	size_t at = 0;
	while (at < *n_held) {
		long n = look(trial, trial->held + at, *n_held - at);
		if (n < 0)
			return false;
		if (n == 0 && !quiet)
			break;
		at += n ? (size_t)n : 1;
	}
	*n_held -= at;
	memmove(trial->held, trial->held + at, *n_held);
	return true;
}

/* The readings of bytes that come `step` at a time, the first ones alone, and then silence. */
static bool feed(struct trial *trial, const uint8_t *bytes, size_t n, size_t first, size_t step)
{
	size_t n_held = 0;
	trial->now.n = 0;
	if (trial->contract->driver->memory_size)
		memset(trial->device.memory, 0, trial->contract->driver->memory_size);
	for (size_t part = first ? first : step; n > 0; part = step) {
		part = part < n ? part : n;
		part = part < trial->room - n_held ? part : trial->room - n_held;
		memcpy(trial->held + n_held, bytes, part);
		n_held += part;
		bytes += part;
		n -= part;
		if (!search(trial, &n_held, false))
			return false;
	}
	return search(trial, &n_held, true);
}

static bool all_golden(const struct trial *trial)
{
	for (size_t i = 0; i < trial->now.n; i++) {
		bool known = false;
		for (size_t j = 0; j < trial->golden.n && !known; j++)
			known = same(&trial->now.at[i], &trial->golden.at[j]);
		if (!known)
			return false;
	}
	return true;
}

static bool ends_golden(const struct trial *trial)
{
	return trial->now.n >= trial->golden.n && same_run(trial, trial->now.n - trial->golden.n, 0, trial->golden.n);
}

/* However the bytes are cut, the same readings. */
static bool try_splits(struct trial *trial, const uint8_t *golden, size_t n)
{
	for (size_t first = 0; first < n; first++) {
		size_t step = first ? n : 1;
		if (!feed(trial, golden, n, first, step))
			return false;
		if (trial->now.n != trial->golden.n || !same_run(trial, 0, 0, trial->golden.n))
			return broken(trial, first ? "%s when the bytes are split after %zu" : "%s byte by byte (%zu)",
				"other readings", first);
	}
	return true;
}

static bool try_cuts(struct trial *trial, const uint8_t *golden, size_t n)
{
	for (size_t kept = 0; kept < n; kept++) {
		if (!feed(trial, golden, kept, 0, n))
			return false;
		if (trial->checked && !all_golden(trial))
			return broken(trial, "a reading of a message that is cut off after %zu bytes", kept);
	}
	return true;
}

/* A weak check may let something pass now and then.  Of each byte ten damages are tried, so one that is not looked at
 * shows all the same. */
static bool slips(struct trial *trial, size_t n)
{
	return trial->contract->weak && ++trial->n_slips <= n / 20 + 8;
}

static bool try_damage(struct trial *trial, const uint8_t *golden, size_t n)
{
	static const uint8_t masks[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x55, 0xF0};
	size_t step = n / FLIPS_MAX + 1;
	uint8_t *bytes = malloc(n);
	bool fine = bytes != NULL;
	for (size_t i = 0; fine && i < n * sizeof(masks); i++) {
		size_t at = i / sizeof(masks);
		uint8_t mask = masks[i % sizeof(masks)];
		if (at % step || !(mask & ~trial->contract->blind))
			continue;
		memcpy(bytes, golden, n);
		bytes[at] ^= mask;
		fine = feed(trial, bytes, n, 0, n);
		if (fine && trial->checked && !all_golden(trial) && !slips(trial, n))
			fine = broken(trial, "a reading of a damaged message: byte %zu is %02x instead of %02x", at,
				bytes[at], golden[at]);
	}
	free(bytes);
	return fine;
}

/* Something, then what is sound: it is found.  With a weak check the something and the beginning of what is sound may
 * pass for a message together, so then it has to come twice. */
static bool try_behind(
	struct trial *trial, const uint8_t *before, size_t n_before, const uint8_t *golden, size_t n, const char *what)
{
	size_t size = n_before + n;
	uint8_t *bytes = malloc(size + n);
	if (!bytes)
		abort();
	memcpy(bytes, before, n_before);
	memcpy(bytes + n_before, golden, n);
	memcpy(bytes + size, golden, n);
	size += trial->contract->weak ? n : 0;
	bool fine = feed(trial, bytes, size, 0, size);
	if (fine && trial->checked && !ends_golden(trial))
		fine = broken(trial, "what is sound is not found behind %zu bytes of %s", n_before, what);
	free(bytes);
	return fine;
}

static bool try_among_noise(struct trial *trial, const uint8_t *golden, size_t n)
{
	uint8_t noise[300];
	bool fine = true;
	for (size_t kept = 0; fine && kept < n; kept += kept < 64 ? 1 : n / 64 + 1)
		fine = try_behind(trial, golden, kept, golden, n, "a message that was cut off");
	for (size_t k = 1; fine && k < sizeof(noise); k += k < 20 ? 1 : 23) {
		memset(noise, golden[0], k);
		fine = try_behind(trial, noise, k, golden, n, "its first byte");
		for (size_t i = 0; i < k; i++)
			noise[i] = (uint8_t)random_next(trial);
		fine = fine && try_behind(trial, noise, k, golden, n, "noise");
		for (size_t i = 0; i < k; i++) /* looks like it much more often */
			noise[i] = golden[random_next(trial) % n];
		fine = fine && try_behind(trial, noise, k, golden, n, "its own bytes in disorder");
	}
	/* The other way round: what was found stays found. */
	if (fine)
		fine = try_behind(trial, golden, n, golden, n, "the same");
	return fine;
}

static bool try_noise_alone(struct trial *trial, const uint8_t *golden, size_t n)
{
	uint8_t *bytes = malloc(NOISE);
	if (!bytes)
		abort();
	for (size_t i = 0; i < NOISE; i++)
		bytes[i] = (uint8_t)random_next(trial);
	bool fine = feed(trial, bytes, NOISE, 0, 64);
	if (fine && trial->checked &&
		trial->now.n > (trial->contract->weak ? NOISE_LUCK * trial->contract->n_metrics : 0))
		fine = broken(trial, "%zu readings of noise", trial->now.n);
	for (size_t i = 0; i < NOISE / 8; i++)
		bytes[i] = golden[random_next(trial) % n];
	fine = fine && feed(trial, bytes, NOISE / 8, 0, 64);
	free(bytes);
	return fine;
}

/* A sensor that begins its messages with FF and checks them with eight bits may well send what reads in two ways; a
 * vector that shows such a case is split only, and must not crash anything. */
static bool look_at_golden(struct trial *trial, const uint8_t *golden, size_t n)
{
	if (trial->golden.n == 0)
		return broken(trial, "the golden input gives no reading");
	if (trial->contract->weak && !try_behind(trial, golden, 0, golden, n, "")) {
		trial->broken[0] = '\0';
		trial->checked = false;
	}
	return true;
}

/* To another address: what was for this one is nothing, unless the driver knows no addresses. */
static bool try_other_address(struct trial *trial, const uint8_t *golden, size_t n)
{
	uint8_t own = trial->device.address;
	if (own == 0)
		return true;
	trial->device.address = (uint8_t)(own == 1 ? 2 : own - 1);
	bool fine = feed(trial, golden, n, 0, n);
	if (fine && trial->now.n > 0 && (trial->now.n != trial->golden.n || !same_run(trial, 0, 0, trial->golden.n)))
		fine = broken(trial, "part of what another address sends is told");
	trial->device.address = own;
	return fine;
}

static void trial_begin(struct trial *trial)
{
	const struct bf_driver *driver = trial->contract->driver;
	trial->device = trial->contract->device;
	trial->device.memory = calloc(1, driver->memory_size ? driver->memory_size : 1);
	trial->longest = driver->longest(&trial->device);
	trial->room = trial->longest > 256 ? trial->longest : 256;
	trial->held = malloc(trial->room);
	trial->input = guarded_make(trial->room);
	trial->body = guarded_make(trial->longest);
	trial->text = guarded_make(BF_STRING_MAX + 1);
	if (!trial->device.memory || !trial->held)
		abort();
}

static void trial_end(struct trial *trial)
{
	munmap(trial->input.map, trial->input.size);
	munmap(trial->body.map, trial->body.size);
	munmap(trial->text.map, trial->text.size);
	free(trial->device.memory);
	free(trial->held);
	free(trial->golden.at);
	free(trial->now.at);
}

bool contract_holds(
	const struct contract *contract, const uint8_t *golden, size_t n_golden, char ret_broken[static CONTRACT_SIZE])
{
	struct trial trial = {.contract = contract, .checked = contract->checked, .broken = ret_broken, .seed = 4711};
	ret_broken[0] = '\0';
	trial_begin(&trial);
	bool fine = trial.longest >= 1 && trial.longest <= BF_INPUT_MAX;
	if (!fine)
		broken(&trial, "longest() says %zu", trial.longest);
	fine = fine && feed(&trial, golden, n_golden, 0, n_golden);
	trial.golden = trial.now;
	trial.now = (struct readings){0};
	fine = fine && look_at_golden(&trial, golden, n_golden) && try_splits(&trial, golden, n_golden) &&
	       try_cuts(&trial, golden, n_golden) && try_damage(&trial, golden, n_golden) &&
	       try_among_noise(&trial, golden, n_golden) && try_noise_alone(&trial, golden, n_golden) &&
	       try_other_address(&trial, golden, n_golden);
	trial_end(&trial);
	return fine;
}
