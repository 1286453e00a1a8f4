/* See sparkplug_stage.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sparkplug_stage.h"

#include "ship/report.h"
#include "ship/sparkplug_payload.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct scripted_mqtt mqtt;
struct sparkplug *sparkplug;
struct plan_broker broker;
struct outbox *outbox;
struct sparkplug_count count;
uint32_t ordered;
struct bf_value ordered_value;
unsigned n_ordered;
int order_rc;

static int news_fd;
static struct roster *roster;
static struct report *report;
static struct board *board;
static struct sparkplug_intake *intake;
static struct sparkplug_place places[N_DEVICES + CROWD_MAX];
static struct sparkplug_parts parts;

/* ---- The broker ---- */

static struct said *note(enum said_kind kind, const char *topic)
{
	assert_true(mqtt.n_said < SAID_MAX);
	struct said *said = &mqtt.said[mqtt.n_said++];
	*said = (struct said){.kind = kind};
	snprintf(said->topic, sizeof(said->topic), "%s", topic);
	return said;
}

static int fake_open(struct uplink *uplink, const struct uplink_target *target)
{
	(void)uplink;
	assert_false(mqtt.open); /* never at two brokers */
	note(SAID_OPEN, target->endpoint->host);
	mqtt.target = *target;
	assert_true(target->will_n <= sizeof(mqtt.will));
	memcpy(mqtt.will, target->will, target->will_n);
	snprintf(mqtt.will_topic, sizeof(mqtt.will_topic), "%s", target->will_topic);
	mqtt.open = true;
	return 0;
}

static int fake_reopen(struct uplink *uplink)
{
	(void)uplink;
	fail();
	return -EINVAL;
}

static int fake_publish(struct uplink *uplink, const struct uplink_publish *publish, int *ret_id)
{
	(void)uplink;
	assert_true(mqtt.active);
	if (mqtt.publish_error)
		return mqtt.publish_error;
	if (mqtt.maximum_packet && publish->payload_n + strlen(publish->message->topic) + 5 > mqtt.maximum_packet)
		return -EMSGSIZE;
	struct said *said = note(SAID_PUBLISH, publish->message->topic);
	said->qos = publish->message->qos;
	said->retain = publish->message->retain;
	said->n = publish->payload_n;
	assert_true(said->n <= sizeof(said->bytes));
	memcpy(said->bytes, publish->payload, said->n);
	*ret_id = ++mqtt.last_id;
	mqtt.full |= mqtt.fills;
	return 0;
}

static int fake_subscribe(struct uplink *uplink, const char *filter, int qos, int *ret_id)
{
	(void)uplink;
	assert_true(mqtt.active);
	struct said *said = note(SAID_SUBSCRIBE, filter);
	said->qos = qos;
	said->id = *ret_id = ++mqtt.last_id;
	return 0;
}

static int fake_unsubscribe(struct uplink *uplink, const char *filter)
{
	(void)uplink;
	(void)filter;
	return 0;
}

static bool fake_wants_write(const struct uplink *uplink)
{
	(void)uplink;
	return mqtt.full;
}

static int64_t fake_due_at(const struct uplink *uplink)
{
	(void)uplink;
	return CLOCK_NEVER;
}

static int fake_fd(const struct uplink *uplink)
{
	(void)uplink;
	return -1;
}

static void fake_step(struct uplink *uplink, bool readable, bool writable)
{
	(void)uplink;
	(void)writable;
	if (!mqtt.open || !readable)
		return;
	if (!mqtt.active) {
		struct uplink_limits limits = {0, mqtt.maximum_packet, 2, true};
		mqtt.active = mqtt.answers;
		mqtt.n_granted = mqtt.n_said;
		if (mqtt.answers)
			mqtt.uplink.events.connected(mqtt.uplink.events.user, false, &limits);
		return;
	}
	for (; mqtt.grants && mqtt.n_granted < mqtt.n_said; mqtt.n_granted++)
		if (mqtt.said[mqtt.n_granted].kind == SAID_SUBSCRIBE)
			mqtt.uplink.events.subscribed(
				mqtt.uplink.events.user, mqtt.said[mqtt.n_granted].id, mqtt.reason);
}

static void fake_let_go(struct uplink *uplink)
{
	(void)uplink;
}

static void fake_close(struct uplink *uplink, bool orderly)
{
	(void)uplink;
	if (mqtt.open)
		note(SAID_CLOSE, "")->orderly = orderly;
	mqtt.open = mqtt.active = false;
}

static void fake_forget(struct uplink *uplink)
{
	(void)uplink;
	note(SAID_FORGET, "");
	mqtt.open = mqtt.active = false;
}

static const struct uplink_ops fake_ops = {.open = fake_open,
	.reopen = fake_reopen,
	.publish = fake_publish,
	.subscribe = fake_subscribe,
	.unsubscribe = fake_unsubscribe,
	.wants_write = fake_wants_write,
	.due_at = fake_due_at,
	.fd = fake_fd,
	.step = fake_step,
	.let_go = fake_let_go,
	.close = fake_close,
	.forget = fake_forget};

void lose(void)
{
	mqtt.open = mqtt.active = false;
	mqtt.uplink.events.lost(mqtt.uplink.events.user, UPLINK_CLOSED, "dropped by the script");
}

void hear(const char *topic, const void *bytes, size_t n, bool retained)
{
	const struct uplink_message message = {
		.topic = topic, .payload = n ? bytes : NULL, .payload_n = n, .qos = 1, .retained = retained};
	mqtt.uplink.events.message(mqtt.uplink.events.user, &message);
}

const uint8_t rebirth[28] = {0x12, 26, 0x0a, 20, 'N', 'o', 'd', 'e', ' ', 'C', 'o', 'n', 't', 'r', 'o', 'l', '/', 'R',
	'e', 'b', 'i', 'r', 't', 'h', 0x20, 11, 0x70, 1};

/* ---- The plan and the wires ---- */

static const struct plan_write limits = {.min = 15, .max = 28, .step = 0.5, .from = 15};
static struct plan_endpoint endpoints[2] = {
	{.url = "mqtt://one", .host = "one", .port = 1883}, {.url = "mqtt://two", .host = "two", .port = 1883}};
static struct plan_device devices[N_DEVICES + CROWD_MAX] = {
	[HEAT] = {.topic = "s/f/heat", .path = "f/heat", .first_metric = SETPOINT, .n_metrics = 2},
	[METER] = {.topic = "s/f/meter", .path = "f/meter", .first_metric = POWER, .n_metrics = 1},
	[FAR] = {.topic = "s/far", .path = "far", .first_metric = DEEP, .n_metrics = 1},
};
#define METRIC(topic_, name_, device_, type_)                                                                          \
	.topic = topic_, .name = name_, .device = device_, .shape = {.type = type_},                                   \
	.place = {BF_SPACE_HOLDING, 0, 1}, .scale = 1, .min = NAN, .max = NAN, .max_step = NAN, .deadband = NAN,       \
	.decimals = -1, .every_us = 1000000
static struct plan_metric metrics[N_METRICS + CROWD_MAX] = {
	[SETPOINT] = {METRIC("s/f/heat/setpoint", "setpoint", HEAT, BF_TYPE_S16), .scaled = true, .write = &limits},
	[COUNT] = {METRIC("s/f/heat/count", "count", HEAT, BF_TYPE_U32)},
	[POWER] = {METRIC("s/f/meter/power", "power", METER, BF_TYPE_U16)},
	[DEEP] = {METRIC("s/far/deep/down", "down", FAR, BF_TYPE_U16)},
};
struct plan plan = {.site = "s",
	.gateway_id = "g",
	.control = true,
	.sparkplug = {.enabled = true, .group = "s", .node = "g"},
	.devices = devices,
	.n_devices = N_DEVICES,
	.metrics = metrics,
	.n_metrics = N_METRICS};

void crowd(size_t n)
{
	static char names[CROWD_MAX][2][16]; /* topics of the device and of its metric */
	for (uint32_t i = 0; i < n; i++) {
		snprintf(names[i][0], sizeof(names[i][0]), "s/x/%02u", i);
		snprintf(names[i][1], sizeof(names[i][1]), "s/x/%02u/at", i);
		devices[N_DEVICES + i] = (struct plan_device){
			.topic = names[i][0], .path = names[i][0] + 2, .first_metric = N_METRICS + i, .n_metrics = 1};
		metrics[N_METRICS + i] = (struct plan_metric){METRIC(names[i][1], "at", N_DEVICES + i, BF_TYPE_U16)};
	}
	plan.n_devices = N_DEVICES + n;
	plan.n_metrics = N_METRICS + n;
}

static int no_put(struct message_sink *sink, const struct message *message)
{
	(void)sink;
	(void)message;
	return 0;
}

static void no_flush(struct message_sink *sink)
{
	(void)sink;
}

static struct message_sink nowhere = {.put = no_put, .flush = no_flush};

static int take_order(struct order_taker *taker, uint32_t metric, const struct bf_value *value)
{
	(void)taker;
	ordered = metric;
	ordered_value = *value;
	n_ordered++;
	return order_rc;
}

static struct order_taker taker = {.write = take_order};

static void tell(uint32_t device, enum availability availability, const struct reading *reading)
{
	const struct batch batch = {.device = device,
		.availability = availability,
		.readings = reading,
		.n = reading != NULL,
		.now_us = virtual_now};
	struct reading_sink *sink = report_sink(report);
	sink->take(sink, &batch);
	sink->rest(sink);
}

void comes(uint32_t device, bool online)
{
	tell(device, online ? AVAILABILITY_ONLINE : AVAILABILITY_OFFLINE, NULL);
}

void reads(uint32_t metric, struct bf_value value)
{
	const struct reading reading = {.metric = metric, .value = value, .time_ms = virtual_time_ms()};
	tell(metrics[metric].device, AVAILABILITY_SAME, &reading);
}

void turns_bad(uint32_t metric, enum quality quality)
{
	const struct reading reading = {.metric = metric, .quality = quality, .time_ms = virtual_time_ms()};
	tell(metrics[metric].device, AVAILABILITY_SAME, &reading);
}

struct bf_value number(int64_t value)
{
	return (struct bf_value){.kind = BF_UNSIGNED, .u = (uint64_t)value};
}

void written(uint32_t metric, struct bf_value value)
{
	reads(metric, value);
	const struct order_outcome outcome = {.taken = true, .same = true, .value = value};
	taker.giver->done(taker.giver, metric, &outcome);
}

struct bf_value real(double value)
{
	return (struct bf_value){.kind = BF_FLOAT64, .f64 = value};
}

uint64_t waiting(void)
{
	struct outbox_counts counts;
	outbox_counts(outbox, &counts);
	return counts.waiting;
}

/* ---- The stage ---- */

void begin(const char *host, size_t n_endpoints, int protocol)
{
	const struct plan_buffer buffer = {.max_size = 64 << 20, .max_age_us = 100000 * SECOND, .live_first = true};
	memset(&mqtt, 0, sizeof(mqtt));
	mqtt.uplink.ops = &fake_ops;
	mqtt.answers = mqtt.grants = true;
	mqtt.reason = 1;
	n_ordered = 0;
	order_rc = 0;
	plan.sparkplug.host = host;
	broker = (struct plan_broker){.endpoints = endpoints,
		.n_endpoints = n_endpoints,
		.protocol = protocol,
		.client_id = "test",
		.keepalive_s = 30};
	virtual_now = 1000 * SECOND;
	news_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(sparkplug_payload_load(), 0);
	assert_int_equal(outbox_init(&buffer, 64 << 20, &virtual_clock, &outbox), 0);
	assert_int_equal(roster_init(&plan, &virtual_clock, &nowhere, &roster), 0);
	assert_int_equal(report_init(&plan, &virtual_clock, &nowhere, roster_listener(roster), &report), 0);
	assert_int_equal(sparkplug_intake_init(&plan, outbox_sink(outbox), news_fd, &intake), 0);
	assert_int_equal(board_init(&plan, false, &board), 0);
	report_add_tap(report, sparkplug_intake_tap(intake));
	report_add_tap(report, board_tap(board));
	for (uint32_t i = 0; i < plan.n_devices; i++)
		places[i] = (struct sparkplug_place){{roster, i}, board, intake, devices[i].first_metric};
	sparkplug_count_init(&count, NULL, &virtual_clock);
	count.number = 253;
	parts = (struct sparkplug_parts){
		&plan, &broker, places, outbox, &mqtt.uplink, &count, &taker, &virtual_clock, news_fd};
	sparkplug = NULL;
	again();
}

void again(void)
{
	sparkplug_destroy(sparkplug);
	mqtt.open = mqtt.active = false;
	assert_int_equal(sparkplug_init(&parts, &sparkplug), 0);
}

void end(void)
{
	sparkplug_destroy(sparkplug);
	report_destroy(report);
	roster_destroy(roster);
	board_destroy(board);
	sparkplug_intake_destroy(intake);
	outbox_destroy(outbox);
	close(news_fd);
}

int64_t step(void)
{
	return sparkplug_step(sparkplug, virtual_now);
}

void run(int64_t us)
{
	int64_t until_us = virtual_now + us;
	while (virtual_now < until_us) {
		int64_t wake_us = step();
		if (wake_us <= virtual_now)
			wake_us = virtual_now + 1000;
		if (wake_us > virtual_now + 50000)
			wake_us = virtual_now + 50000; /* nobody wakes it */
		virtual_now = wake_us < until_us ? wake_us : until_us;
	}
	step();
}

void up(void)
{
	for (int i = 0; i < 8; i++)
		step();
}

/* ---- What was said ---- */

const struct said *published(const char *ending, unsigned nth)
{
	for (size_t i = 0; i < mqtt.n_said; i++) {
		const struct said *said = &mqtt.said[i];
		size_t n = strlen(said->topic), m = strlen(ending);
		if (said->kind == SAID_PUBLISH && n >= m && strcmp(said->topic + n - m, ending) == 0 && nth-- == 0)
			return said;
	}
	return NULL;
}

unsigned n_published(const char *ending)
{
	unsigned n = 0;
	while (published(ending, n))
		n++;
	return n;
}

size_t index_of(const struct said *said)
{
	assert_non_null(said);
	return (size_t)(said - mqtt.said);
}

struct span {
	const uint8_t *at, *end;
};

static uint64_t varint(struct span *span)
{
	uint64_t number = 0;
	for (int shift = 0;; shift += 7) {
		assert_true(span->at < span->end && shift < 64);
		number |= (uint64_t)(*span->at & 127) << shift;
		if (*span->at++ < 128)
			return number;
	}
}

/* The nth field of that number: true, and its varint or fixed bits, or its bytes. */
static bool find(struct span span, unsigned field, unsigned nth, uint64_t *ret_bits, struct span *ret_bytes)
{
	while (span.at < span.end) {
		uint64_t key = varint(&span), bits = 0;
		struct span bytes = {0};
		if ((key & 7) == 0) {
			bits = varint(&span);
		} else if ((key & 7) == 2) {
			uint64_t n = varint(&span);
			bytes = (struct span){span.at, span.at + n};
			span.at += n;
		} else {
			size_t n = (key & 7) == 1 ? 8 : 4;
			memcpy(&bits, span.at, n);
			span.at += n;
		}
		assert_true(span.at <= span.end);
		if (key >> 3 != field || nth-- > 0)
			continue;
		if (ret_bits)
			*ret_bits = bits;
		if (ret_bytes)
			*ret_bytes = bytes;
		return true;
	}
	return false;
}

static struct span all_of(const struct said *said)
{
	assert_non_null(said);
	return (struct span){said->bytes, said->bytes + said->n};
}

int64_t seq_of(const struct said *said)
{
	uint64_t seq;
	return find(all_of(said), 3, 0, &seq, NULL) ? (int64_t)seq : -1;
}

unsigned n_metrics_of(const struct said *said)
{
	unsigned n = 0;
	while (find(all_of(said), 2, n, NULL, NULL))
		n++;
	return n;
}

double field_of(const struct said *said, unsigned metric, unsigned field)
{
	struct span one;
	uint64_t bits;
	double number;
	assert_true(find(all_of(said), 2, metric, NULL, &one));
	if (!find(one, field, 0, &bits, NULL))
		return -1;
	if (field != 13)
		return (double)bits;
	memcpy(&number, &bits, sizeof(number));
	return number;
}

const char *name_of(const struct said *said, unsigned metric)
{
	static char name[64];
	struct span one, text;
	assert_true(find(all_of(said), 2, metric, NULL, &one));
	if (!find(one, 1, 0, NULL, &text))
		return NULL;
	snprintf(name, sizeof(name), "%.*s", (int)(text.end - text.at), (const char *)text.at);
	return name;
}

double quality_of(const struct said *said, unsigned metric)
{
	struct span one, set, value;
	uint64_t bits;
	assert_true(find(all_of(said), 2, metric, NULL, &one));
	if (!find(one, 9, 0, NULL, &set) || !find(set, 2, 0, NULL, &value) || !find(value, 3, 0, &bits, NULL))
		return -1;
	return (double)bits;
}
