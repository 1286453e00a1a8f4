/*
 * Any map that the generator prints is read back equal.
 *
 * The generator makes up a plan and, side by side, the text of a map that says the same: with settings in any order,
 * separators and comments of all kinds, numbers and durations in all notations, values left out that are the default
 * or inherited.  The seeds are fixed, so a failure comes again; its map is left in /tmp.
 */
#include "app/config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define MAPS        300
#define BUSES_MAX   6
#define RULES_MAX   4
#define DEVICES_MAX 400
#define METRICS_MAX 9000

static uint64_t seed;

static unsigned pick(unsigned n) /* 0 … n-1 */
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)((seed >> 33) % n);
}

static bool chance(unsigned percent)
{
	return pick(100) < percent;
}

/* ---- Text ---- */

static struct arena texts;

#define text_of(...) arena_format(&texts, __VA_ARGS__)

/* A group while it is made up: what stands in it. */
struct group {
	const char **items;
	size_t n, size;
};

static void add(struct group *group, const char *key, const char *value)
{
	static const char *const colons[] = {": ", ":", " : ", " = ", "="};
	if (group->n == group->size) {
		const char **items = arena_array(&texts, 2 * group->size + 8, sizeof(*items));
		if (group->n)
			memcpy(items, group->items, group->n * sizeof(*items));
		group->items = items;
		group->size = 2 * group->size + 8;
	}
	const char *colon = value[0] == '{' && chance(10) ? ":\n" : colons[chance(70) ? 0 : pick(5)];
	group->items[group->n++] = text_of("%s%s%s", key, colon, value);
}

static const char *between(void)
{
	static const char *const blanks[] = {" ", "  ", "\n", "\n\n\t", ", ", ";\n", " # } \" {\n", " /* } ] , */ ",
		"\r\n", " // 'quoted' = { \n", ",\n"};
	return blanks[chance(60) ? pick(3) : pick(11)];
}

static const char *finish(struct group *group, bool in_order)
{
	char *text = NULL;
	size_t size = 0;
	for (size_t i = group->n; !in_order && i > 1; i--) {
		size_t k = pick((unsigned)i);
		const char *item = group->items[i - 1];
		group->items[i - 1] = group->items[k];
		group->items[k] = item;
	}
	FILE *to = open_memstream(&text, &size);
	fputs("{ ", to);
	for (size_t i = 0; i < group->n; i++)
		fprintf(to, "%s%s", group->items[i], between());
	fputs("}", to);
	fclose(to);
	const char *kept = arena_text(&texts, text);
	free(text);
	return kept;
}

static const char *quoted(const char *text)
{
	char *to = arena_alloc(&texts, 4 * strlen(text) + 8), *at = to;
	*at++ = '"';
	for (const char *c = text; *c; c++) {
		if (chance(3) && (unsigned char)*c < 0x80)
			at += sprintf(at, "\\x%02x", (unsigned char)*c);
		else if (chance(3) && (unsigned char)*c < 0x80)
			at += sprintf(at, "%c\" \"", *c); /* neighbours are joined */
		else
			*at++ = *c;
	}
	*at++ = '"';
	return to;
}

static const char *plain(const char *text)
{
	return text_of("\"%s\"", text);
}

static const char *duration(int64_t us)
{
	if (us == PLAN_EVERY_START)
		return "\"start\"";
	if (us % 1000000 == 0 && chance(30))
		return text_of("%lld", (long long)(us / 1000000));
	if (us % 60000000 == 0 && us && chance(40))
		return text_of("\"%lldm\"", (long long)(us / 60000000));
	if (chance(50))
		return text_of("\"%lld.%03llds\"", (long long)(us / 1000000), (long long)(us % 1000000 / 1000));
	return text_of("\"%lldms\"", (long long)(us / 1000));
}

static const char *whole(int64_t number)
{
	if (number >= 0 && number <= INT32_MAX && chance(20))
		return text_of("0x%llX", (long long)number);
	bool wide = number > INT32_MAX || number < INT32_MIN;
	return text_of("%lld%s", (long long)number, wide || chance(5) ? "L" : "");
}

static const char *yes_or_no(bool yes)
{
	return chance(20) ? (yes ? "TRUE" : "False") : yes ? "true" : "false";
}

/* ---- The model ---- */

struct rule {
	const char *topic;  /* NULL = all; with a # at its end what starts so */
	const char *metric; /* NULL = all; with a * at its end what starts so */
	int qos, retain, payload, per, buffer, backlog;
	int64_t expire_us;
};

static struct {
	struct plan_bus buses[BUSES_MAX];
	unsigned next_address[BUSES_MAX];
	struct plan_device devices[DEVICES_MAX];
	struct plan_metric metrics[METRICS_MAX];
	size_t n_buses, n_devices, n_metrics, n_names;
	struct rule rules[RULES_MAX];
	size_t n_rules;
	const char *site;
} model;

static bool starts(const char *text, const char *start, char any)
{
	size_t n = strlen(start);
	if (n && start[n - 1] == any)
		return strncmp(text, start, n - 1) == 0;
	return strcmp(text, start) == 0;
}

static struct plan_delivery delivery_of(const struct plan_metric *metric, int qos, int retain, int payload)
{
	int per = -1, buffer = -1, backlog = -1;
	int64_t expire_us = -1;
	for (size_t i = 0; i < model.n_rules; i++) {
		const struct rule *rule = &model.rules[i];
		if ((rule->topic && !starts(metric->topic, rule->topic, '#')) ||
			(rule->metric && !starts(metric->name, rule->metric, '*')))
			continue;
		qos = qos < 0 ? rule->qos : qos;
		retain = retain < 0 ? rule->retain : retain;
		payload = payload < 0 ? rule->payload : payload;
		per = per < 0 ? rule->per : per;
		buffer = buffer < 0 ? rule->buffer : buffer;
		backlog = backlog < 0 ? rule->backlog : backlog;
		expire_us = expire_us < 0 ? rule->expire_us : expire_us;
	}
	return (struct plan_delivery){.qos = (uint8_t)(qos < 0 ? 1 : qos),
		.retain = retain != 0,
		.payload = payload < 0 ? PAYLOAD_JSON : (enum plan_payload)payload,
		.per_device = per == 1,
		.buffer = buffer != 0,
		.latest_only = backlog == 1,
		.expire_s = expire_us < 0 ? 0 : (uint32_t)(expire_us / 1000000)};
}

static int64_t some_every(void)
{
	static const int64_t seconds[] = {60, 90, 300, 3600, 86400};
	unsigned kind = pick(10);
	return kind == 0 ? 0 : kind == 1 ? PLAN_EVERY_START : seconds[pick(5)] * 1000000;
}

static const char *new_name(const char *start)
{
	return text_of("%s%s%zu", start, chance(20) ? "-x_" : "", model.n_names++);
}

/* A topic text instead of the key, sometimes. */
static const char *topic_text(struct group *group, const char *key)
{
	if (!chance(20))
		return key;
	const char *text = text_of("%s/ä %s", key, chance(50) ? "ß" : "hidden");
	add(group, "topic", quoted(text));
	return text;
}

/* ---- Metrics ---- */

static void values(struct group *group, struct plan_metric *metric)
{
	static const struct {
		const char *text;
		double number;
		int decimals;
	} scales[] = {{"0.1", 0.1, 1}, {"0.01", 0.01, 2}, {"10", 10, 0}, {"-1", -1, 0}, {"1e-3", 0.001, 3},
		{".5", .5, 1}, {"2.", 2, 0}};
	metric->scale = 1;
	metric->decimals = -1;
	int decimals = 0;
	if (chance(50)) {
		unsigned i = pick(7);
		add(group, "scale", scales[i].text);
		metric->scale = scales[i].number;
		metric->scaled = true;
		decimals = scales[i].decimals;
	}
	if (chance(20)) {
		unsigned i = pick(7);
		add(group, "offset", scales[i].text);
		metric->offset = scales[i].number;
		metric->scaled = true;
		decimals = scales[i].decimals > decimals ? scales[i].decimals : decimals;
	}
	if (metric->scaled)
		metric->decimals = decimals;
	if (chance(20)) {
		metric->decimals = (int)pick(13);
		add(group, "decimals", whole(metric->decimals));
	}
	if (chance(20))
		add(group, "min", whole((int64_t)(metric->min = -(double)pick(1000))));
	if (chance(20))
		add(group, "max", whole((int64_t)(metric->max = (double)pick(1000))));
	if (chance(20))
		add(group, "max_step", whole((int64_t)(metric->max_step = (double)pick(1000))));
	if (chance(20))
		add(group, "monotonic", yes_or_no(metric->monotonic = chance(70)));
	if (chance(30)) {
		metric->deadband = pick(2) ? 0 : 0.5 * pick(20);
		metric->deadband_percent = chance(30);
		metric->heartbeat_us = 15 * 60 * INT64_C(1000000);
		add(group, "deadband",
			metric->deadband_percent ? text_of("\"%g%%\"", metric->deadband)
						 : text_of("%g", metric->deadband));
		if (chance(50))
			add(group, "heartbeat", duration(metric->heartbeat_us = (int64_t)pick(1000) * 1000000));
	}
}

static void sentinels(struct group *group, struct plan_metric *metric, unsigned width, bool sign)
{
	unsigned n = 1 + pick(3);
	uint64_t *raws = arena_array(&texts, n, sizeof(*raws)), mask = (UINT64_C(1) << width) - 1;
	char list[128] = "";
	for (unsigned i = 0; i < n; i++) {
		bool negative = sign && chance(50);
		int64_t number = negative ? -(int64_t)pick(100) - 1 : (int64_t)pick(width < 16 ? 100 : 10000);
		raws[i] = (uint64_t)number & mask;
		size_t at = strlen(list);
		bool hex = chance(50);
		snprintf(list + at, sizeof(list) - at, hex ? "%s0x%llX" : "%s%lld", i ? ", " : "",
			hex ? (long long)raws[i] : (long long)number);
	}
	add(group, "invalid", n == 1 && chance(50) ? text_of("%s", list) : text_of(chance(50) ? "[%s]" : "(%s)", list));
	metric->invalid = raws;
	metric->n_invalid = n;
}

static void words(struct group *group, struct plan_metric *metric)
{
	unsigned n = 1 + pick(5);
	struct plan_word *list = arena_array(&texts, n, sizeof(*list));
	bool numbered = chance(50);
	char text[256] = "[";
	for (unsigned i = 0; i < n; i++) {
		list[i] = (struct plan_word){numbered ? 3 * i + 1 : i, text_of("word %u", i)};
		size_t at = strlen(text);
		snprintf(text + at, sizeof(text) - at, numbered ? "%s\"%u=word %u\"" : "%s\"%.0uword %u\"",
			i ? ", " : "", numbered ? 3 * i + 1 : 0, i);
	}
	add(group, "enum", text_of("%s]", text));
	metric->words = list;
	metric->n_words = n;
}

static void place(struct group *group, struct plan_metric *metric)
{
	static const char *const keys[] = {"coil", "discrete", "input", "holding"};
	static const char digits[] = "0134";
	const struct bf_place *at = &metric->place;
	const char *text = whole(at->at);
	if (chance(30))
		text = at->at < 9999 && chance(50) ? text_of("\"%c%04u\"", digits[at->space], at->at + 1u)
						   : text_of("\"%c%05u\"", digits[at->space], at->at + 1u);
	else if (chance(10))
		text = text_of("\"%cx%05u\"", digits[at->space], at->at + 1u);
	add(group, keys[at->space], text);
}

static void told(struct group *group, struct plan_metric *metric, const struct plan_device *device, const char *text)
{
	int qos = -1, retain = -1, payload = -1;
	static const char *const payloads[] = {"json", "plain", "influx"};
	if (group && chance(15))
		add(group, "qos", whole(qos = (int)pick(3)));
	if (group && chance(15))
		add(group, "retain", yes_or_no((retain = (int)pick(2)) != 0));
	if (group && chance(15))
		add(group, "payload",
			plain(payloads[payload = 2 * (int)pick(2)])); /* plain may not go with per: "device" */
	metric->topic = text_of("%s/%s", device->topic, text);
	metric->name = strrchr(metric->topic, '/') + 1;
	metric->delivery = delivery_of(metric, qos, retain, payload);
	assert_true(model.n_metrics < METRICS_MAX);
	model.metrics[model.n_metrics++] = *metric;
}

static void bits(struct group *group, struct plan_metric *metric, const struct plan_device *device)
{
	struct group names = {0};
	for (unsigned i = 0, n = 1 + pick(4); i < n; i++) {
		const char *name = new_name("bit");
		unsigned low = pick(12), high = chance(50) ? low : low + pick(4);
		metric->bit = (uint8_t)low;
		metric->n_bits = (uint8_t)(high - low + 1);
		add(&names, name, low == high && chance(70) ? whole(low) : text_of("\"%u-%u\"", low, high));
		told(NULL, metric, device, name);
	}
	add(group, "bits", finish(&names, true));
}

static void metric(struct group *into, const struct plan_device *device, int64_t every_us, enum bf_order order)
{
	static const struct {
		const char *name;
		enum bf_type type;
		unsigned registers, width;
		bool sign;
	} types[] = {{"u16", BF_TYPE_U16, 1, 16, false}, {"s16", BF_TYPE_S16, 1, 16, true},
		{"u8", BF_TYPE_U8, 1, 8, false}, {"u32", BF_TYPE_U32, 2, 32, false}, {"s32", BF_TYPE_S32, 2, 32, true},
		{"f32", BF_TYPE_F32, 2, 0, true}, {"f64", BF_TYPE_F64, 4, 0, true},
		{"bcd32", BF_TYPE_BCD32, 2, 0, false}, {"s64", BF_TYPE_S64, 4, 0, true}};
	struct group group = {0};
	const char *key = new_name("m");
	struct plan_metric new = {.device = (uint32_t)(device - model.devices),
		.shape.words = order,
		.decimals = -1,
		.scale = 1,
		.every_us = every_us,
		.min = NAN,
		.max = NAN,
		.max_step = NAN,
		.deadband = NAN};
	unsigned kind = pick(10), i = pick(9);
	new.place.space = (enum bf_space)(kind < 2 ? kind : 2 + pick(2));
	new.place.count = 1;
	new.shape.type = BF_TYPE_BOOL;
	if (kind == 2) { /* a string */
		new.shape.type = BF_TYPE_STRING;
		new.shape.length = (uint16_t)(1 + pick(2u * device->max_registers));
		new.place.count = (uint16_t)((new.shape.length + 1) / 2);
		add(&group, "type", "\"string\"");
		add(&group, "length", whole(new.shape.length));
	} else if (kind > 2) {
		new.shape.type = types[i].type;
		new.place.count = (uint16_t)types[i].registers;
		if (i != 0 || chance(20))
			add(&group, "type", plain(types[i].name));
	}
	new.place.at = (uint16_t)pick(65536 - new.place.count - 1);
	place(&group, &new);
	bool whole_number = kind > 2 && types[i].width;
	if (chance(10) && kind > 1) {
		new.shape.words = (enum bf_order)pick(2);
		add(&group, "words", new.shape.words ? "\"little\"" : "\"big\"");
	}
	if (chance(10) && kind > 1) {
		new.shape.bytes = (enum bf_order)pick(2);
		add(&group, "bytes", new.shape.bytes ? "\"little\"" : "\"big\"");
	}
	if (chance(30))
		add(&group, "every", duration(new.every_us = some_every()));
	if (chance(20)) {
		static const char *const ways[] = {"last", "mean", "min", "max"};
		new.reduce = (enum plan_reduce)pick(4);
		add(&group, "reduce", plain(ways[new.reduce]));
	}
	if (whole_number && chance(20))
		sentinels(&group, &new, types[i].width, types[i].sign);
	if (whole_number && types[i].width >= 16 && chance(15)) {
		bits(&group, &new, device);
		add(into, key, finish(&group, false));
		return;
	}
	if (whole_number && types[i].width >= 16 && chance(15)) {
		words(&group, &new);
	} else if (kind > 2) {
		values(&group, &new);
		if (chance(40))
			add(&group, "unit", quoted(new.unit = chance(50) ? "kWh" : "°C"));
		if (chance(10) && new.place.at < 65530) {
			new.scale_from = true;
			new.scale_place = (struct bf_place){new.place.space, (uint16_t)(new.place.at + 4), 1};
			add(&group, "scale_from",
				chance(50) ? whole(new.scale_place.at)
					   : text_of("\"%c%05u\"", "0134"[new.place.space], new.scale_place.at + 1u));
			if (new.scaled &&new.decimals >= 0) { /* decimals of the scale say nothing then: not modelled */
				new.decimals = 3;
				for (size_t k = 0; k < group.n; k++)
					if (strncmp(group.items[k], "decimals", 8) == 0)
						group.items[k--] = group.items[--group.n];
				add(&group, "decimals", "3");
			}
		}
	}
	told(&group, &new, device, topic_text(&group, key));
	add(into, key, finish(&group, false));
}

/* ---- Devices, levels, buses ---- */

static void device(struct group *into, const char *path, int64_t every_us, unsigned n_metrics)
{
	struct group group = {0}, metrics = {0};
	const char *key = new_name("d");
	unsigned bus = pick((unsigned)model.n_buses);
	if (model.next_address[bus] > 247 || model.n_devices == DEVICES_MAX)
		return;
	const char *text = topic_text(&group, key);
	struct plan_device *new = &model.devices[model.n_devices++];
	*new = (struct plan_device){.path = text_of("%s%s%s", path, path[0] ? "/" : "", text),
		.name = key,
		.bus = bus,
		.address = (uint8_t)model.next_address[bus]++,
		.first_metric = (uint32_t)model.n_metrics,
		.timeout_us = model.buses[bus].timeout_us,
		.max_registers = 125,
		.max_gap = PLAN_ADAPTIVE};
	new->topic = text_of("%s/%s", model.site, new->path);
	enum bf_order order = (enum bf_order)chance(20);
	if (order || chance(10))
		add(&group, "words", order ? "\"little\"" : "\"big\"");
	if (model.n_buses > 1 || chance(50))
		add(&group, "bus", plain(model.buses[bus].name));
	if (new->address != 1 || model.buses[bus].wire != WIRE_TCP || chance(50))
		add(&group, "address", whole(new->address));
	if (chance(30))
		add(&group, "every", duration(every_us = some_every()));
	if (chance(20))
		add(&group, "timeout", duration(new->timeout_us = 1000 * (1 + (int64_t)pick(2000))));
	if (chance(20))
		add(&group, "max_registers", whole(new->max_registers = (uint16_t)(8 + pick(118))));
	if (chance(20))
		add(&group, "max_gap", whole(new->max_gap = (int)pick(100)));
	if (chance(20))
		add(&group, "name", quoted(new->name = text_of("Gerät %zu", model.n_devices)));
	for (unsigned i = 0; i < n_metrics; i++)
		metric(&metrics, new, every_us, order);
	new->n_metrics = (uint32_t)model.n_metrics - new->first_metric;
	add(&group, "metrics", finish(&metrics, true));
	add(into, key, finish(&group, false));
}

static void level(struct group *into, const char *path, int64_t every_us, unsigned depth)
{
	struct group group = {0};
	const char *key = new_name("l");
	if (chance(30))
		add(&group, "every", duration(every_us = some_every()));
	if (chance(20))
		add(&group, "name", quoted("A level"));
	const char *text = topic_text(&group, key), *here = text_of("%s%s%s", path, path[0] ? "/" : "", text);
	for (unsigned i = 0, n = pick(4); i < n; i++) {
		if (depth < 5 && chance(40))
			level(&group, here, every_us, depth + 1);
		else
			device(&group, here, every_us, 1 + pick(12));
	}
	add(into, key, finish(&group, true));
}

static void bus(struct group *into)
{
	struct group group = {0};
	unsigned i = (unsigned)model.n_buses;
	struct plan_bus *new = &model.buses[model.n_buses++];
	*new = (struct plan_bus){.name = new_name("bus"),
		.wire = chance(50) ? WIRE_TCP : WIRE_SERIAL_TCP,
		.host = text_of("h%u.example", i),
		.line = {9600, 8, 'N', 1},
		.timeout_us = 1000000,
		.gap_us = PLAN_ADAPTIVE,
		.retries = 1};
	model.next_address[i] = 1;
	if (new->wire == WIRE_TCP) {
		new->tcp_port = chance(50) ? 502 : (uint16_t)(1 + pick(65535));
		bool usual = new->tcp_port == 502 && chance(50);
		add(&group, "tcp", usual ? plain(new->host) : text_of("\"%s:%u\"", new->host, new->tcp_port));
	} else {
		static const uint32_t bauds[] = {19200, 38400, 57600, 115200};
		new->tcp_port = (uint16_t)(1 + pick(65535));
		add(&group, "port", text_of("\"tcp://%s:%u\"", new->host, new->tcp_port));
		new->line = (struct plan_line){
			bauds[pick(4)], (uint8_t)(7 + pick(2)), "NEO"[pick(3)], (uint8_t)(1 + pick(2))};
		add(&group, "line",
			text_of("\"%u %u%c%u\"", new->line.baud, new->line.data_bits, new->line.parity,
				new->line.stop_bits));
		if (chance(30))
			add(&group, "gap", duration(new->gap_us = 1000 * (int64_t)pick(10)));
		if (chance(30)) {
			static const char *const ways[] = {"auto", "kernel", "rts"};
			new->rs485 = (enum plan_rs485)pick(3);
			add(&group, "rs485", plain(ways[new->rs485]));
		}
	}
	if (chance(40))
		add(&group, "timeout", duration(new->timeout_us = 1000 * (1 + (int64_t)pick(5000))));
	if (chance(40))
		add(&group, "retries", whole(new->retries = pick(11)));
	if (chance(20))
		add(&group, "driver", "\"modbus\"");
	add(into, new->name, finish(&group, false));
}

static void rule(struct group *into)
{
	struct group group = {0};
	struct rule *new = &model.rules[model.n_rules++];
	*new = (struct rule){
		.qos = -1, .retain = -1, .payload = -1, .per = -1, .buffer = -1, .backlog = -1, .expire_us = -1};
	if (chance(50))
		add(&group, "metric", plain(new->metric = chance(50) ? "m*" : text_of("m%u*", 1 + pick(9))));
	if (!new->metric || chance(30)) {
		new->topic = chance(50) ? NULL : text_of("%s/#", model.site);
		add(&group, "match", plain(new->topic ? new->topic : "#"));
	}
	if (chance(40))
		add(&group, "qos", whole(new->qos = (int)pick(3)));
	if (chance(40))
		add(&group, "retain", yes_or_no((new->retain = (int)pick(2)) != 0));
	if (chance(40))
		add(&group, "payload", (new->payload = 2 * (int)pick(2)) ? "\"influx\"" : "\"json\"");
	if (chance(30))
		add(&group, "per", (new->per = (int)pick(2)) ? "\"device\"" : "\"metric\"");
	if (chance(30))
		add(&group, "buffer", yes_or_no((new->buffer = (int)pick(2)) != 0));
	if (chance(30))
		add(&group, "backlog", (new->backlog = (int)pick(2)) ? "\"latest\"" : "\"all\"");
	if (chance(30))
		add(&group, "expire", duration(new->expire_us = (1 + (int64_t)pick(10000)) * 1000000));
	add(into, new_name("rule"), finish(&group, false));
}

/* ---- The whole ---- */

static char folder[] = "/tmp/test_map_random.XXXXXX";

static void write_file(const char *name, const struct group *group)
{
	FILE *to = fopen(text_of("%s/%s", folder, name), "w");
	assert_non_null(to);
	if (chance(10))
		fputs("\xEF\xBB\xBF", to);
	for (size_t i = 0; i < group->n; i++)
		fprintf(to, "%s%s", group->items[i], between());
	fclose(to);
}

static void generate(unsigned which, unsigned n_metrics)
{
	struct group top = {0}, buses = {0}, floors = {0}, more = {0}, topics = {0}, rest = {0};
	seed = which;
	memset(&model, 0, sizeof(model));
	arena_free(&texts);
	int64_t every_us = 10000000;
	model.site = chance(50) ? "home" : "Ämter/5";
	add(&top, "site", quoted(model.site));
	add(&top, "broker", chance(50) ? "\"mqtt://localhost\"" : "{ url: \"mqtts://h\" protocol: 5 }");
	if (n_metrics) /* else a wire could not carry them */
		add(&top, "every", duration(every_us = 600000000));
	else if (chance(70))
		add(&top, "every", duration(every_us = some_every()));
	for (unsigned i = 0, n = 1 + pick(BUSES_MAX); i < n; i++)
		bus(&buses);
	for (unsigned i = 0, n = pick(RULES_MAX + 1); i < n; i++)
		rule(&topics);
	for (unsigned i = 0, n = pick(5); i < n && !n_metrics; i++)
		level(&floors, "", every_us, 0);
	if (n_metrics)
		device(&floors, "", every_us, n_metrics);
	for (unsigned i = 0, n = pick(3); i < n; i++) /* in conf.d */
		level(&more, "", every_us, 0);
	add(&top, "buses", finish(&buses, true));
	if (topics.n)
		add(&top, "topics", finish(&topics, true));
	if (floors.n || chance(50))
		add(&top, "floors", finish(&floors, true));
	write_file("map.conf", &top);
	if (more.n)
		add(&rest, "floors", finish(&more, true));
	write_file("conf.d/more.conf", &rest);
}

#define SAME_TEXT(a, b)                                                                                                \
	do {                                                                                                           \
		if ((a) && (b))                                                                                        \
			assert_string_equal(a, b);                                                                     \
		else                                                                                                   \
			assert_true(!(a) && !(b));                                                                     \
	} while (0)

static bool same_number(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

static void same_metric(const struct plan_metric *is, const struct plan_metric *should)
{
	SAME_TEXT(is->topic, should->topic);
	SAME_TEXT(is->name, should->name);
	SAME_TEXT(is->unit, should->unit);
	assert_int_equal(is->device, should->device);
	assert_memory_equal(&is->place, &should->place, sizeof(is->place));
	assert_int_equal(is->shape.type, should->shape.type);
	assert_int_equal(is->shape.length, should->shape.length);
	assert_int_equal(is->shape.words, should->shape.words);
	assert_int_equal(is->shape.bytes, should->shape.bytes);
	assert_int_equal(is->bit, should->bit);
	assert_int_equal(is->n_bits, should->n_bits);
	assert_int_equal(is->scaled, should->scaled);
	assert_true(is->scale == should->scale && is->offset == should->offset);
	assert_int_equal(is->decimals, should->decimals);
	assert_int_equal(is->scale_from, should->scale_from);
	assert_memory_equal(&is->scale_place, &should->scale_place, sizeof(is->scale_place));
	assert_int_equal(is->n_words, should->n_words);
	for (size_t i = 0; i < is->n_words; i++) {
		assert_int_equal(is->words[i].number, should->words[i].number);
		SAME_TEXT(is->words[i].word, should->words[i].word);
	}
	assert_int_equal(is->n_invalid, should->n_invalid);
	for (size_t i = 0; i < is->n_invalid; i++)
		assert_true(is->invalid[i] == should->invalid[i]);
	assert_true(is->every_us == should->every_us);
	assert_int_equal(is->delivery.qos, should->delivery.qos);
	assert_int_equal(is->delivery.retain, should->delivery.retain);
	assert_int_equal(is->delivery.payload, should->delivery.payload);
	assert_int_equal(is->delivery.per_device, should->delivery.per_device);
	assert_int_equal(is->delivery.buffer, should->delivery.buffer);
	assert_int_equal(is->delivery.latest_only, should->delivery.latest_only);
	assert_int_equal(is->delivery.expire_s, should->delivery.expire_s);
	assert_true(same_number(is->min, should->min) && same_number(is->max, should->max));
	assert_true(same_number(is->max_step, should->max_step) && same_number(is->deadband, should->deadband));
	assert_int_equal(is->deadband_percent, should->deadband_percent);
	assert_int_equal(is->monotonic, should->monotonic);
	assert_int_equal(is->reduce, should->reduce);
	assert_true(is->heartbeat_us == should->heartbeat_us);
}

static void same_plan(const struct plan *plan)
{
	SAME_TEXT(plan->site, model.site);
	assert_int_equal(plan->n_buses, model.n_buses);
	for (size_t i = 0; i < plan->n_buses; i++) {
		const struct plan_bus *is = &plan->buses[i], *should = &model.buses[i];
		SAME_TEXT(is->name, should->name);
		assert_int_equal(is->wire, should->wire);
		SAME_TEXT(is->host, should->host);
		assert_int_equal(is->tcp_port, should->tcp_port);
		assert_int_equal(is->line.baud, should->line.baud);
		assert_int_equal(is->line.data_bits, should->line.data_bits);
		assert_int_equal(is->line.parity, should->line.parity);
		assert_int_equal(is->line.stop_bits, should->line.stop_bits);
		assert_true(is->timeout_us == should->timeout_us && is->gap_us == should->gap_us);
		assert_int_equal(is->retries, should->retries);
		assert_int_equal(is->rs485, should->rs485);
	}
	assert_int_equal(plan->n_devices, model.n_devices);
	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct plan_device *is = &plan->devices[i], *should = &model.devices[i];
		SAME_TEXT(is->topic, should->topic);
		SAME_TEXT(is->path, should->path);
		SAME_TEXT(is->name, should->name);
		assert_int_equal(is->bus, should->bus);
		assert_int_equal(is->address, should->address);
		assert_int_equal(is->first_metric, should->first_metric);
		assert_int_equal(is->n_metrics, should->n_metrics);
		assert_true(is->timeout_us == should->timeout_us);
		assert_int_equal(is->max_registers, should->max_registers);
		assert_int_equal(is->max_gap, should->max_gap);
	}
	assert_int_equal(plan->n_metrics, model.n_metrics);
	for (size_t i = 0; i < plan->n_metrics; i++)
		same_metric(&plan->metrics[i], &model.metrics[i]);
}

static void read_back(unsigned which, unsigned n_metrics)
{
	struct faults faults = {0};
	struct plan plan = {0};
	generate(which, n_metrics);
	int err = config_load(text_of("%s/map.conf", folder), &faults, &plan);
	if (err < 0) {
		print_message("map %u in %s:\n", which, folder);
		faults_print(&faults, stderr, false);
	}
	assert_int_equal(err, 0);
	same_plan(&plan);
	plan_destroy(&plan);
	faults_destroy(&faults);
}

static void test_any_map_is_read_back_equal(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= MAPS; i++)
		read_back(i, 0);
}

static void test_big_devices_too(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 8; i++)
		read_back(1000 + i, 1600);
}

static int begin(void **state)
{
	(void)state;
	return mkdtemp(folder) && mkdir(text_of("%s/conf.d", folder), 0700) == 0 ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	unlink(text_of("%s/map.conf", folder));
	unlink(text_of("%s/conf.d/more.conf", folder));
	rmdir(text_of("%s/conf.d", folder));
	rmdir(folder);
	arena_free(&texts);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_map_is_read_back_equal),
		cmocka_unit_test(test_big_devices_too),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
