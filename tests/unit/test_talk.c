/*
 * Conversations on a stream, by a driver that leads them: steps that nothing answers, steps that only wait, changes of
 * speed, answers that come before the bytes are thought to have left.  A port that is a script, and a clock that waits
 * for nobody.
 */
#include "field/stream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define MS 1000

/* A message is "m" and a letter. */
static enum bf_find find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	(void)device;
	(void)body;
	*ret_found = (struct bf_found){2, {0, input, 2}};
	if (input[0] == 'm')
		return n < 2 ? BF_FIND_MORE : BF_FIND_MESSAGE;
	ret_found->n = 1;
	return BF_FIND_SKIP;
}

static size_t longest(const struct bf_device *device)
{
	(void)device;
	return 2;
}

static int value(const struct bf_device *device, const void *metric, unsigned index, const struct bf_message *message,
	char text[static BF_STRING_MAX + 1], struct bf_value *ret_value)
{
	(void)device;
	(void)metric;
	(void)index;
	(void)text;
	*ret_value = (struct bf_value){.kind = BF_SIGNED, .i = message->bytes[1]};
	return message->bytes[1] == 'n' ? -ENOENT : 0; /* its name, which says nothing of the metric */
}

/* The conversation of the test at hand, and what its steps were answered. */
static struct bf_ask steps[8];
static unsigned n_steps;
static char answers[9];

static int ask(const struct bf_device *device, unsigned step, const struct bf_message *answer, struct bf_ask *ret_ask)
{
	(void)device;
	if (step > 0)
		answers[step - 1] = answer ? (char)answer->bytes[1] : '-';
	if (step == n_steps)
		return 0;
	*ret_ask = steps[step];
	return 1;
}

static const struct bf_driver driver = {.abi = BF_DRIVER_ABI,
	.name = "talker",
	.way = BF_WAY_STREAM,
	.find = find,
	.longest = longest,
	.value = value,
	.ask = ask};

struct stage {
	struct clock clock;
	struct reading_sink sink;
	struct stream_port port;
	struct plan plan;
	struct plan_device device;
	struct plan_stream told;
	struct bf_message_told message;
	struct plan_metric metric;
	struct plan_bus bus;
	uint32_t number;
	struct arena arena;
	struct stream stream;
	int64_t now_us;
	char heard[64]; /* what was sent, "@9600" for a change of speed */
	char coming[64];
	char told_values[64];
};

static struct stage stage;

static int64_t now_of(const struct clock *clock)
{
	(void)clock;
	return stage.now_us;
}

static int64_t wall_of(const struct clock *clock)
{
	(void)clock;
	return stage.now_us / 1000;
}

static void take(struct reading_sink *sink, const struct batch *batch)
{
	(void)sink;
	for (size_t i = 0; i < batch->n; i++) {
		const struct reading *reading = &batch->readings[i];
		size_t n = strlen(stage.told_values);
		stage.told_values[n] = reading->quality == QUALITY_GOOD ? (char)reading->value.i : '?';
	}
}

static void rest(struct reading_sink *sink)
{
	(void)sink;
}

static int open_port(struct stream_port *port, int64_t now_us)
{
	(void)now_us;
	port->fd = 0;
	return 0;
}

static void close_port(struct stream_port *port)
{
	port->fd = -1;
}

static int read_port(struct stream_port *port, uint8_t *bytes, size_t size)
{
	(void)port;
	size_t n = strlen(stage.coming);
	assert_true(n <= size);
	memcpy(bytes, stage.coming, n);
	stage.coming[0] = '\0';
	return (int)n;
}

static int write_port(struct stream_port *port, const uint8_t *bytes, size_t n)
{
	(void)port;
	strncat(stage.heard, (const char *)bytes, n);
	return 0;
}

static int speed_port(struct stream_port *port, uint32_t baud)
{
	(void)port;
	snprintf(stage.heard + strlen(stage.heard), sizeof(stage.heard) - strlen(stage.heard), "@%u", baud);
	return 0;
}

static const struct stream_port_ops ops = {.open = open_port,
	.close = close_port,
	.read = read_port,
	.write = write_port,
	.speed = speed_port,
	.destroy = close_port};

static void start(void)
{
	stage = (struct stage){.clock = {.mono_us = now_of, .wall_ms = wall_of},
		.sink = {.take = take, .rest = rest},
		.port = {.ops = &ops, .fd = -1},
		.device = {.topic = "s/f/d",
			.path = "f/d",
			.name = "d",
			.driver = &driver,
			.n_metrics = 1,
			.timeout_us = 1000 * MS},
		.metric = {.every_us = 10000 * MS, .shape = {.type = BF_TYPE_S64}, .scale = 1},
		.bus = {.name = "b", .way = BF_WAY_STREAM, .n_devices = 1, .line = {300, 7, 'E', 1}, .gap_us = MS},
		.now_us = 1};
	stage.message = (struct bf_message_told){.name = ""};
	stage.told = (struct plan_stream){.messages = &stage.message, .n_messages = 1};
	stage.device.stream = &stage.told;
	stage.bus.devices = &stage.number;
	stage.plan = (struct plan){.buses = &stage.bus,
		.n_buses = 1,
		.devices = &stage.device,
		.n_devices = 1,
		.metrics = &stage.metric,
		.n_metrics = 1};
	memset(answers, 0, sizeof(answers));
	stream_init(&stage.stream, &stage.plan, 0, &stage.port, &stage.sink, &stage.clock, false, &stage.arena);
}

static void finish(void)
{
	stream_destroy(&stage.stream);
	arena_free(&stage.arena);
}

/* Time goes on by that much, step for step. */
static void run(int64_t us)
{
	int64_t end = stage.now_us + us;
	while (stage.now_us < end) {
		int64_t wake = stream_step(&stage.stream, stage.coming[0] != '\0', stage.now_us);
		stage.now_us = wake > end ? end : wake > stage.now_us ? wake : stage.now_us + 1;
	}
}

static void put(unsigned step, const char *bytes, struct bf_ask rest_of_it)
{
	steps[step] = rest_of_it;
	steps[step].n = strlen(bytes);
	memcpy(steps[step].bytes, bytes, strlen(bytes));
	n_steps = step + 1;
}

static void test_a_step_that_nothing_answers(void **state)
{
	(void)state;
	put(0, "wake", (struct bf_ask){.unanswered = true});
	put(1, "ask", (struct bf_ask){.pause_us = 1600 * MS});
	start();
	run(140 * MS); /* four characters of 300 Bd, not answered whatever comes */
	assert_string_equal(stage.heard, "wake");
	strcpy(stage.coming, "mx");
	run(1500 * MS);
	assert_string_equal(stage.heard, "wake");
	run(200 * MS);
	assert_string_equal(stage.heard, "wakeask");
	assert_string_equal(answers, "-");
	run(200 * MS);
	strcpy(stage.coming, "mz");
	run(100 * MS);
	assert_string_equal(answers, "-z");
	assert_string_equal(stage.told_values, "x"); /* what comes by itself is told; the next one is not due yet */
	assert_int_equal(stage.stream.counts.timeouts, 0);
	finish();
}

static void test_somebody_wants_to_know(void **state)
{
	(void)state;
	uint32_t device;
	put(0, "ask", (struct bf_ask){0});
	start();
	device = stage.stream.sources[0].index;
	run(200 * MS);
	strcpy(stage.coming, "mx");
	run(200 * MS);
	assert_string_equal(stage.heard, "ask");
	assert_string_equal(stage.told_values, "x");
	assert_int_equal(stream_poll(&stage.stream, device, stage.now_us), 0);
	run(200 * MS);
	assert_string_equal(stage.heard, "askask");
	run(5000 * MS); /* it is silent now */
	assert_int_equal(stream_poll(&stage.stream, device, stage.now_us), -EHOSTDOWN);
	assert_int_equal(stream_poll(&stage.stream, device + 1, stage.now_us), -ENODEV);
	finish();
}

static void test_speed_until_the_end(void **state)
{
	(void)state;
	put(0, "hi", (struct bf_ask){0});
	put(1, "ack", (struct bf_ask){.pause_us = 200 * MS, .baud = 9600, .timeout_us = 5000 * MS});
	start();
	run(100 * MS);
	strcpy(stage.coming, "ma");
	run(100 * MS);
	assert_string_equal(stage.heard, "hi");
	run(200 * MS);
	assert_string_equal(stage.heard, "hiack"); /* and they are still leaving */
	run(200 * MS);
	assert_string_equal(stage.heard, "hiack@9600");
	run(4000 * MS); /* longer than the device's own time-out */
	strcpy(stage.coming, "mb");
	run(100 * MS);
	assert_string_equal(stage.heard, "hiack@9600@300");
	assert_string_equal(answers, "ab");
	assert_int_equal(stage.stream.counts.timeouts, 0);
	finish();
}

/* A device that goes on by itself: its second message may have been heard with the first. */
static void test_a_step_that_only_waits(void **state)
{
	(void)state;
	put(0, "hi", (struct bf_ask){0});
	put(1, "", (struct bf_ask){.baud = 2400});
	start();
	run(100 * MS);
	strcpy(stage.coming, "mamb");
	run(300 * MS);
	assert_string_equal(stage.heard, "hi@2400@300");
	assert_string_equal(answers, "ab");
	finish();

	start();
	run(100 * MS);
	strcpy(stage.coming, "mam"); /* its beginning */
	run(100 * MS);
	strcpy(stage.coming, "b");
	run(100 * MS);
	assert_string_equal(answers, "ab");
	finish();

	start();
	run(100 * MS);
	strcpy(stage.coming, "ma");
	run(900 * MS);
	strcpy(stage.coming, "mb");
	run(100 * MS);
	assert_string_equal(answers, "ab");
	finish();

	put(1, "", (struct bf_ask){.baud = 2400, .pause_us = 500 * MS}); /* and it does not keep the silence */
	start();
	run(100 * MS);
	strcpy(stage.coming, "ma");
	run(100 * MS);
	strcpy(stage.coming, "mb");
	run(100 * MS);
	assert_string_equal(answers, "ab");
	finish();
}

/* On a pty bytes take no time: the answer is there while they are thought to be under way. */
static void test_an_answer_that_is_early(void **state)
{
	(void)state;
	put(0, "a long request", (struct bf_ask){0});
	put(1, "and another one", (struct bf_ask){.baud = 9600});
	start();
	run(2 * MS);
	assert_string_equal(stage.heard, "a long request");
	strcpy(stage.coming, "ma");
	run(20 * MS);
	assert_string_equal(stage.heard, "a long requestand another one");
	strcpy(stage.coming, "mb");
	run(20 * MS);
	assert_string_equal(answers, "ab");
	assert_int_equal(stage.stream.counts.timeouts, 0);
	finish();
}

static void test_no_answer(void **state)
{
	(void)state;
	put(0, "hi", (struct bf_ask){0});
	put(1, "", (struct bf_ask){.baud = 2400});
	start();
	run(100 * MS);
	strcpy(stage.coming, "ma");
	run(1200 * MS);
	assert_string_equal(stage.heard, "hi@2400@300");
	assert_int_equal(stage.stream.counts.timeouts, 1);
	assert_string_equal(stage.told_values, "a?");
	finish();
}

/* A conversation may take many times longer than the metric's interval: that it has not come yet is no silence. */
static void test_a_long_conversation(void **state)
{
	(void)state;
	put(0, "hi", (struct bf_ask){0});
	put(1, "", (struct bf_ask){.timeout_us = 60000 * MS});
	start();
	stage.metric.every_us = stage.stream.sources[0].every_us = 1000 * MS;
	stage.stream.talk.queries[0].every_us = 1000 * MS;
	for (int i = 0; i < 3; i++) {
		run(500 * MS);
		strcpy(stage.coming, "mn");
		run(30000 * MS);
		strcpy(stage.coming, "mv");
		run(500 * MS);
	}
	assert_string_equal(stage.told_values, "vvv");
	assert_int_equal(stage.stream.counts.timeouts, 0);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_step_that_nothing_answers),
		cmocka_unit_test(test_somebody_wants_to_know),
		cmocka_unit_test(test_speed_until_the_end),
		cmocka_unit_test(test_a_step_that_only_waits),
		cmocka_unit_test(test_an_answer_that_is_early),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_a_long_conversation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
