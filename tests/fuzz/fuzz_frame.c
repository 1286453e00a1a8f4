/*
 * Any bytes on a line with a sensor of binary frames: the search and the metrics of the frame driver.
 *
 * The first byte chooses one of some tables, which between them have all that frames can have; the second how the rest
 * comes.  Beyond what the sanitizers see: the search always goes on, a message lies within what the driver was given, a
 * message that was found is found again, and a value is either there or has a reason.
 */
#include "fuzz.h"
#include "sdk/driver.h"

#include <errno.h>
#include <math.h>
#include <string.h>

extern const struct bf_driver bf_driver_frame;
static const struct bf_driver *const driver = &bf_driver_frame;

#define METRICS 8

struct table {
	struct bf_device device;
	void *keys, *message_keys[2], *metrics[METRICS];
	struct bf_message_told messages[2];
	size_t n_metrics;
	unsigned kinds[METRICS];
};

static const struct bf_key *key_of(const struct bf_key *keys, const char *name)
{
	while (keys->name && strcmp(keys->name, name) != 0)
		keys++;
	FUZZ_ASSERT(keys->name);
	return keys;
}

/* What the core leaves where nothing is given. */
static void *fresh(const struct bf_key *keys, size_t size)
{
	unsigned char *to = calloc(1, size);
	FUZZ_ASSERT(to);
	for (; keys->name; keys++) {
		int number = keys->fallback ? atoi(keys->fallback) : BF_UNSET;
		double none = NAN;
		if (keys->type == BF_KEY_CHOICE && keys->fallback)
			number = 0; /* the first of each that has one */
		if (keys->type == BF_KEY_INT || keys->type == BF_KEY_CHOICE || keys->type == BF_KEY_BOOL)
			memcpy(to + keys->offset, &number, sizeof(number));
		else if (keys->type == BF_KEY_NUMBER)
			memcpy(to + keys->offset, &none, sizeof(none));
	}
	return to;
}

static void set(void *to, const struct bf_key *keys, const char *name, int number)
{
	memcpy((unsigned char *)to + key_of(keys, name)->offset, &number, sizeof(number));
}

static void choose(void *to, const struct bf_key *keys, const char *name, const char *choice)
{
	const char *at = key_of(keys, name)->choices;
	int i = 0;
	for (size_t n = strcspn(at, "|"); n != strlen(choice) || strncmp(at, choice, n) != 0;
		n = strcspn(at, "|"), i++) {
		FUZZ_ASSERT(at[n]);
		at += n + 1;
	}
	set(to, keys, name, i);
}

static void set_bytes(void *to, const struct bf_key *keys, const char *name, const char *bytes, size_t n)
{
	struct bf_bytes value = {(const uint8_t *)bytes, n};
	memcpy((unsigned char *)to + key_of(keys, name)->offset, &value, sizeof(value));
}

static void add_metric(struct table *table, unsigned kind, const char *type, int at, int length, int tag)
{
	void *metric = fresh(driver->metric_keys, driver->metric_size);
	choose(metric, driver->metric_keys, "type", type);
	set(metric, driver->metric_keys, "at", at);
	set(metric, driver->metric_keys, "length", length);
	set(metric, driver->metric_keys, "tag", tag);
	table->kinds[table->n_metrics] = kind;
	table->metrics[table->n_metrics++] = metric;
}

static void begin(struct table *table, size_t n_messages)
{
	*table = (struct table){.keys = fresh(driver->device_keys, driver->device_size)};
	for (size_t i = 0; i < n_messages; i++) {
		table->message_keys[i] = fresh(driver->message_keys, driver->message_size);
		table->messages[i] = (struct bf_message_told){.name = i ? "b" : "a", .keys = table->message_keys[i]};
	}
	table->device = (struct bf_device){.keys = table->keys, .messages = table->messages, .n_messages = n_messages};
}

/* Of one length; hexadecimal digits, and numbers of all kinds. */
static void make_fixed(struct table *table)
{
	begin(table, 1);
	set_bytes(table->keys, driver->device_keys, "frame.start", "\x02", 1);
	set_bytes(table->keys, driver->device_keys, "frame.end", "\x03", 1);
	set(table->keys, driver->device_keys, "frame.length", 14);
	choose(table->keys, driver->device_keys, "frame.check.kind", "xor8");
	choose(table->keys, driver->device_keys, "frame.check.coding", "hex");
	set(table->keys, driver->device_keys, "frame.check.from", 1);
	add_metric(table, 0, "hex", 3, 8, BF_UNSET);
	add_metric(table, 0, "ascii", 1, 10, BF_UNSET);
	add_metric(table, 0, "f64le", 2, BF_UNSET, BF_UNSET);
	add_metric(table, 0, "m16le", 2, BF_UNSET, BF_UNSET);
	add_metric(table, 0, "bcd", 1, 9, BF_UNSET);
}

/* Its length told, its values in records; one of two starts, one of two messages. */
static void make_tagged(struct table *table)
{
	static const char *const names[] = {"t79", "t83", "t85"};
	static const int numbers[] = {-1, 2, 1};
	const struct bf_pairs sizes = {names, numbers, 3};
	begin(table, 2);
	set_bytes(table->keys, driver->device_keys, "frame.start", "\x4E\x57", 2);
	set_bytes(table->keys, driver->device_keys, "frame.start_or", "\x4E\x58", 2);
	set(table->keys, driver->device_keys, "frame.length.at", 2);
	choose(table->keys, driver->device_keys, "frame.length.type", "u16be");
	set(table->keys, driver->device_keys, "frame.length.plus", 2);
	set(table->keys, driver->device_keys, "frame.length.max", 64);
	choose(table->keys, driver->device_keys, "frame.check.kind", "sum8");
	set(table->message_keys[0], driver->message_keys, "match.at", 4);
	set(table->message_keys[0], driver->message_keys, "match.is", 0);
	set(table->message_keys[0], driver->message_keys, "tagged.from", 5);
	set(table->message_keys[0], driver->message_keys, "tagged.to", -2);
	memcpy((unsigned char *)table->message_keys[0] + key_of(driver->message_keys, "tagged.sizes")->offset, &sizes,
		sizeof(sizes));
	set(table->message_keys[1], driver->message_keys, "match.at", 4);
	set(table->message_keys[1], driver->message_keys, "match.is", 1);
	set(table->message_keys[1], driver->message_keys, "min_length", 9);
	add_metric(table, 0, "u16be", 0, BF_UNSET, 0x83);
	add_metric(table, 0, "u8", 0, BF_UNSET, 0x85);
	add_metric(table, 0, "u16be", 1, BF_UNSET, 0x79);
	add_metric(table, 1, "u24be", 5, BF_UNSET, BF_UNSET);
	set(table->metrics[3], driver->metric_keys, "over.at", 8);
	choose(table->metrics[3], driver->metric_keys, "over.type", "u24le");
	set(table->metrics[3], driver->metric_keys, "when.at", 11);
	set(table->metrics[3], driver->metric_keys, "when.mask", 0x40);
}

/* Stuffed. */
static void make_stuffed(struct table *table)
{
	begin(table, 1);
	set_bytes(table->keys, driver->device_keys, "frame.flag", "\x7E", 1);
	set(table->keys, driver->device_keys, "frame.escape.byte", 0x7D);
	set(table->keys, driver->device_keys, "frame.length.at", 3);
	choose(table->keys, driver->device_keys, "frame.length.type", "u8");
	set(table->keys, driver->device_keys, "frame.length.plus", 5);
	set(table->keys, driver->device_keys, "frame.length.max", 45);
	choose(table->keys, driver->device_keys, "frame.check.kind", "inv8");
	add_metric(table, 0, "f32be", 4, BF_UNSET, BF_UNSET);
	add_metric(table, 0, "f32be", 40, BF_UNSET, BF_UNSET);
}

static void unmake(struct table *table)
{
	free(table->keys);
	for (size_t i = 0; i < 2; i++)
		free(table->message_keys[i]);
	for (size_t i = 0; i < table->n_metrics; i++)
		free(table->metrics[i]);
}

static void read_metrics(const struct table *table, const struct bf_message *message)
{
	for (size_t i = 0; i < table->n_metrics; i++)
		for (unsigned index = 0; table->kinds[i] == message->kind && index < 4; index++) {
			char text[BF_STRING_MAX + 1];
			struct bf_value value = {.kind = BF_NONE};
			int err = driver->value(&table->device, table->metrics[i], index, message, text, &value);
			FUZZ_ASSERT(err == 0 || err == -ENOENT || err == -EDOM);
			FUZZ_ASSERT((err == 0) == (value.kind != BF_NONE));
			FUZZ_ASSERT(value.kind != BF_TEXT || value.text.n <= BF_STRING_MAX);
		}
}

/* One look at the input.  How many bytes of it go; 0 = none. */
static size_t look(const struct table *table, const uint8_t *input, size_t n, uint8_t *body, size_t longest)
{
	struct bf_found found = {0}, again = {0};
	uint8_t *exact = malloc(n);
	FUZZ_ASSERT(exact);
	memcpy(exact, input, n);
	enum bf_find what = driver->find(&table->device, exact, n, body, &found);
	if (what == BF_FIND_MESSAGE) {
		const uint8_t *bytes = found.message.bytes;
		bool inside = bytes >= exact && bytes + found.message.n <= exact + n;
		FUZZ_ASSERT(inside || (bytes >= body && bytes + found.message.n <= body + longest));
		FUZZ_ASSERT(found.message.kind < table->device.n_messages);
		read_metrics(table, &found.message);
		FUZZ_ASSERT(driver->find(&table->device, exact, n, body, &again) == BF_FIND_MESSAGE);
		FUZZ_ASSERT(again.n == found.n && again.message.n == found.message.n);
	}
	free(exact);
	if (what == BF_FIND_MORE)
		return n == longest ? 1 : 0;
	FUZZ_ASSERT(found.n >= 1 && found.n <= n);
	return what == BF_FIND_DAMAGED ? 1 : found.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const makers[])(struct table *) = {make_fixed, make_tagged, make_stuffed};
	if (size < 2)
		return 0;
	struct table table;
	struct bf_complaint complaint = {0};
	makers[data[0] % 3](&table);
	FUZZ_ASSERT(driver->check(&table.device, &complaint) == 0);
	for (size_t i = 0; i < table.n_metrics; i++) {
		struct bf_shape shape;
		FUZZ_ASSERT(driver->shape(&table.device, table.kinds[i], table.metrics[i], &shape, &complaint) == 0);
	}
	size_t longest = driver->longest(&table.device), piece = data[1] % 16 + 1u, n = 0;
	uint8_t *input = malloc(longest), *body = malloc(longest);
	FUZZ_ASSERT(input && body);
	for (size_t at = 2; at < size;) {
		size_t take = size - at < piece ? size - at : piece;
		take = take < longest - n ? take : longest - n;
		memcpy(input + n, data + at, take);
		n += take;
		at += take;
		size_t gone = 1;
		while (n && gone) {
			gone = look(&table, input, n, body, longest);
			memmove(input, input + gone, n - gone);
			n -= gone;
		}
	}
	free(input);
	free(body);
	unmake(&table);
	return 0;
}
