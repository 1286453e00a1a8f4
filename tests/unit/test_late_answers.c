/*
 * A device that answers strictly in the order in which it was asked, some answers late: transcripts in virtual time,
 * with the real bus and the real line.
 */
#include "field/bus.h"
#include "port_pair.h"
#include "sdk/check.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#define MS 1000
#define S  1000000

#define QUEUE 32

struct coming {
	int64_t at;
	size_t n;
	uint8_t bytes[64];
};

static struct stage {
	struct plan plan;
	struct plan_bus bus_told;
	struct plan_device devices[2];
	struct plan_metric metrics[16];
	uint32_t device_list[2];
	struct reading_sink sink;
	struct bus bus;
	struct arena arena;
	int64_t now_us, wake;

	struct coming coming[QUEUE]; /* in order */
	size_t n_coming;
	int64_t last_at;
	int64_t delay_us[8]; /* of the first answers; 0 = 20 ms; -1 = never */
	unsigned n_asked;
	int refuses_parts; /* of two registers */
	int64_t babbles_to, babble_at;
	unsigned n_turns;
	unsigned right, wrong, none;
	char transcript[4096];
	size_t n_transcript;
} stage;

static int64_t stage_mono(const struct clock *clock)
{
	(void)clock;
	return stage.now_us;
}

static int64_t stage_wall(const struct clock *clock)
{
	(void)clock;
	return 1764000000000 + stage.now_us / 1000;
}

static const struct clock stage_clock = {.mono_us = stage_mono, .wall_ms = stage_wall};

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	va_list arguments;
	if (stage.n_transcript > sizeof(stage.transcript) - 64)
		return;
	stage.n_transcript += (size_t)sprintf(stage.transcript + stage.n_transcript, "%.2f ", (double)stage.now_us / S);
	va_start(arguments, format);
	stage.n_transcript += (size_t)vsprintf(stage.transcript + stage.n_transcript, format, arguments);
	va_end(arguments);
	stage.transcript[stage.n_transcript++] = '\n';
	stage.transcript[stage.n_transcript] = '\0';
}

static uint16_t shown(uint8_t unit, uint16_t at)
{
	return (uint16_t)(unit * 1000 + at);
}

static void stage_take(struct reading_sink *sink, const struct batch *batch)
{
	(void)sink;
	unsigned right = 0, none = 0;
	for (size_t i = 0; i < batch->n; i++) {
		const struct reading *reading = &batch->readings[i];
		const struct plan_metric *metric = &stage.metrics[reading->metric];
		if (reading->quality != QUALITY_GOOD)
			none++;
		else if (metric->place.count == 2 ||
			 reading->value.u == shown(stage.devices[metric->device].address, metric->place.at))
			right++;
		else
			stage.wrong++;
	}
	stage.right += right;
	stage.none += none;
	if (right)
		note("%u values", right);
	if (none)
		note("%u without value (%s)", none,
			batch->readings[batch->n - 1].quality == QUALITY_TIMEOUT ? "timeout" : "other");
}

/* The device reads a request and sets out to answer it. */
static void device_hears(void)
{
	uint8_t request[8];
	if (recv(port_pair_fd, request, sizeof(request), MSG_DONTWAIT) != 8)
		return;
	uint16_t at = (uint16_t)(request[2] << 8 | request[3]), count = (uint16_t)(request[4] << 8 | request[5]);
	note("ask %u: %u+%u", request[0], at, count);
	int64_t delay_us = stage.n_asked < 8 ? stage.delay_us[stage.n_asked] : 0;
	stage.n_asked++;
	if (delay_us < 0)
		return;
	struct coming *coming = &stage.coming[stage.n_coming++];
	assert_true(stage.n_coming < QUEUE);
	coming->at = stage.now_us + (delay_us ? delay_us : 20 * MS);
	if (coming->at <= stage.last_at)
		coming->at = stage.last_at + MS;
	stage.last_at = coming->at;
	coming->bytes[0] = request[0];
	coming->bytes[1] = request[1];
	coming->bytes[2] = (uint8_t)(2 * count);
	for (uint16_t i = 0; i < count; i++) {
		coming->bytes[3 + 2 * i] = (uint8_t)(shown(request[0], (uint16_t)(at + i)) >> 8);
		coming->bytes[4 + 2 * i] = (uint8_t)shown(request[0], (uint16_t)(at + i));
	}
	coming->n = 3 + 2 * (size_t)count;
	if (stage.refuses_parts && count < 2) {
		coming->bytes[1] |= 0x80;
		coming->bytes[2] = 2;
		coming->n = 3;
	}
	uint16_t crc = bf_crc16_modbus(coming->bytes, coming->n);
	coming->bytes[coming->n++] = (uint8_t)crc;
	coming->bytes[coming->n++] = (uint8_t)(crc >> 8);
}

/* Somebody sends without end. */
static bool somebody_babbles(void)
{
	char bytes[100];
	if (stage.babble_at == 0 || stage.now_us < stage.babble_at)
		return false;
	memset(bytes, 'y', sizeof(bytes));
	stage.babble_at = stage.now_us + 9 * MS < stage.babbles_to ? stage.now_us + 9 * MS : 0;
	return send(port_pair_fd, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

static bool device_speaks(void)
{
	if (stage.n_coming == 0 || stage.coming[0].at > stage.now_us)
		return false;
	assert_true(send(port_pair_fd, stage.coming[0].bytes, stage.coming[0].n, MSG_NOSIGNAL) > 0);
	memmove(stage.coming, stage.coming + 1, --stage.n_coming * sizeof(stage.coming[0]));
	return true;
}

static void stage_run(int64_t for_us)
{
	int64_t end = stage.now_us + for_us;
	unsigned turns = 0;
	for (;;) {
		int64_t next = stage.wake;
		if (stage.n_coming && stage.coming[0].at < next)
			next = stage.coming[0].at;
		if (stage.babble_at && stage.babble_at < next)
			next = stage.babble_at;
		if (next > end)
			break;
		if (next > stage.now_us)
			stage.now_us = next;
		bool heard = somebody_babbles();
		heard = device_speaks() || heard;
		bool ready = heard && (bus_events(&stage.bus) & POLLIN);
		if (ready || stage.wake <= stage.now_us) {
			stage.wake = bus_step(&stage.bus, ready, stage.now_us);
			stage.n_turns++;
		}
		device_hears();
		assert_true(++turns < 100000);
	}
	stage.now_us = end;
}

/* Registers of unit 1 each 1 s: n from `at` on, `step` apart. */
static void stage_set(uint16_t n, uint16_t step)
{
	stage = (struct stage){.now_us = 0, .sink = {.take = stage_take}};
	for (uint16_t i = 0; i < n; i++)
		stage.metrics[i] = (struct plan_metric){.topic = "t",
			.name = "n",
			.place = {BF_SPACE_INPUT, (uint16_t)(i * step), 1},
			.scale = 1.0,
			.every_us = S};
	stage.devices[0] = (struct plan_device){.topic = "s/d",
		.path = "one",
		.name = "d",
		.address = 1,
		.n_metrics = n,
		.timeout_us = 200 * MS,
		.max_registers = 125,
		.max_gap = 0};
	stage.bus_told = (struct plan_bus){.name = "rs485",
		.wire = WIRE_SERIAL,
		.port = "/dev/none",
		.line = {115200, 8, 'N', 1},
		.timeout_us = 200 * MS,
		.gap_us = PLAN_ADAPTIVE,
		.retries = 1,
		.devices = stage.device_list,
		.n_devices = 1};
	stage.plan = (struct plan){.buses = &stage.bus_told,
		.n_buses = 1,
		.devices = stage.devices,
		.n_devices = 1,
		.metrics = stage.metrics,
		.n_metrics = n};
}

/* A second device with the same unit address: registers 100 to 102. */
static void stage_share(void)
{
	for (uint16_t i = 0; i < 3; i++)
		stage.metrics[stage.plan.n_metrics + i] = (struct plan_metric){.topic = "t",
			.name = "n",
			.device = 1,
			.place = {BF_SPACE_INPUT, (uint16_t)(100 + i), 1},
			.scale = 1.0,
			.every_us = S};
	stage.devices[1] = stage.devices[0];
	stage.devices[1].path = "two";
	stage.devices[1].first_metric = (uint32_t)stage.plan.n_metrics;
	stage.devices[1].n_metrics = 3;
	stage.device_list[1] = 1;
	stage.plan.n_metrics += 3;
	stage.plan.n_devices = stage.bus_told.n_devices = 2;
}

static void stage_begin(void)
{
	struct line *line;
	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(line_modbus_init(&stage.bus_told, &line), 0);
	bus_init(&stage.bus, &stage.plan, 0, line, NULL, &stage.sink, &stage_clock, false, &stage.arena);
	bus_schedule(&stage.bus, 0, stage.bus.told->n_devices, 1, 0);
}

static void stage_clear(void)
{
	bus_destroy(&stage.bus);
	arena_free(&stage.arena);
	port_pair_unplug();
}

static void transcript_is(const char *expected)
{
	assert_string_equal(stage.transcript, expected);
}

static void a_late_answer_that_comes_between_questions_needs_no_canary(void **state)
{
	(void)state;
	stage_set(10, 1);
	stage.delay_us[0] = 350 * MS;
	stage_begin();
	stage_run(1500 * MS);
	transcript_is("0.00 ask 1: 0+10\n"
		      "0.20 10 without value (timeout)\n"
		      "0.50 ask 1: 0+10\n"
		      "0.52 10 values\n"
		      "1.00 ask 1: 0+10\n"
		      "1.02 10 values\n");
	assert_int_equal(stage.bus.devices[0].counts.late, 1);
	stage_clear();
}

static void a_canary_tells_when_the_late_answer_is_over(void **state)
{
	(void)state;
	stage_set(10, 1);
	stage.delay_us[0] = 550 * MS;
	stage_begin();
	stage_run(2500 * MS);
	transcript_is("0.00 ask 1: 0+10\n"
		      "0.20 10 without value (timeout)\n"
		      "0.50 ask 1: 0+1\n"
		      "0.55 ask 1: 0+10\n"
		      "0.57 10 values\n"
		      "1.00 ask 1: 0+10\n"
		      "1.02 10 values\n"
		      "2.00 ask 1: 0+10\n"
		      "2.02 10 values\n");
	assert_int_equal(stage.bus.devices[0].counts.late, 1);
	assert_int_equal(stage.bus.caution.counts.canaries, 1);
	stage_clear();
}

/* With the flush that libmodbus offers, nine of ten are wrong here. */
static void ten_registers_read_singly_are_never_shifted(void **state)
{
	(void)state;
	static const int64_t lates[] = {300 * MS, 450 * MS, 900 * MS, 510 * MS, 5 * S};
	for (size_t i = 0; i < 5; i++) {
		stage_set(10, 10);
		stage.delay_us[0] = lates[i];
		stage_begin();
		stage_run(30 * S);
		assert_int_equal(stage.wrong, 0);
		assert_int_equal(stage.none, 10);
		assert_true(stage.right >= 10 * 20);
		assert_int_equal(stage.bus.devices[0].counts.late, 1);
		stage_clear();
	}
}

static void without_a_free_shape_there_is_silence(void **state)
{
	(void)state;
	stage_set(2, 10);
	stage.delay_us[0] = -1;
	stage_begin();
	stage_run(7 * S);
	transcript_is("0.00 ask 1: 0+1\n"
		      "0.20 2 without value (timeout)\n"
		      "6.00 ask 1: 0+1\n"
		      "6.02 1 values\n"
		      "6.02 ask 1: 10+1\n"
		      "6.04 1 values\n"
		      "7.00 ask 1: 0+1\n");
	stage_clear();

	/* next time it is longer than twice the latest answer */
	stage_set(1, 1);
	stage.delay_us[0] = 5 * (int64_t)S;
	stage.delay_us[2] = -1;
	stage_begin();
	stage_run(20 * S);
	transcript_is("0.00 ask 1: 0+1\n"
		      "0.20 1 without value (timeout)\n"
		      "5.00 ask 1: 0+1\n"
		      "5.02 1 values\n"
		      "6.00 ask 1: 0+1\n"
		      "6.20 1 without value (timeout)\n"
		      "16.00 ask 1: 0+1\n"
		      "16.02 1 values\n"
		      "17.00 ask 1: 0+1\n"
		      "17.02 1 values\n"
		      "18.00 ask 1: 0+1\n"
		      "18.02 1 values\n"
		      "19.00 ask 1: 0+1\n"
		      "19.02 1 values\n"
		      "20.00 ask 1: 0+1\n");
	stage_clear();
}

static void canaries_that_are_late_too_are_not_confused(void **state)
{
	(void)state;
	stage_set(10, 1);
	stage.delay_us[0] = 4500 * MS;
	stage_begin();
	stage_run(9 * S);
	transcript_is("0.00 ask 1: 0+10\n"
		      "0.20 10 without value (timeout)\n"
		      "0.50 ask 1: 0+1\n"
		      "0.70 10 without value (timeout)\n"
		      "1.50 ask 1: 0+2\n"
		      "1.70 10 without value (timeout)\n"
		      "3.50 ask 1: 0+3\n"
		      "3.70 10 without value (timeout)\n"
		      "4.51 ask 1: 0+10\n"
		      "4.53 10 values\n"
		      "5.00 ask 1: 0+10\n"
		      "5.02 10 values\n"
		      "6.00 ask 1: 0+10\n"
		      "6.02 10 values\n"
		      "7.00 ask 1: 0+10\n"
		      "7.02 10 values\n"
		      "8.00 ask 1: 0+10\n"
		      "8.02 10 values\n"
		      "9.00 ask 1: 0+10\n");
	assert_int_equal(stage.bus.devices[0].counts.late, 4);
	stage_clear();
}

static void a_part_of_a_value_is_a_canary_unless_it_is_refused(void **state)
{
	(void)state;
	for (int refuses = 0; refuses < 2; refuses++) {
		stage_set(1, 1);
		stage.metrics[0].place.count = 2;
		stage.metrics[0].shape.type = BF_TYPE_U32;
		stage.refuses_parts = refuses;
		stage.delay_us[0] = -1;
		stage_begin();
		stage_run(8 * S);
		transcript_is(refuses ? "0.00 ask 1: 0+2\n"
					"0.20 1 without value (timeout)\n"
					"0.50 ask 1: 0+1\n"
					"6.50 ask 1: 0+2\n"
					"6.52 1 values\n"
					"7.00 ask 1: 0+2\n"
					"7.02 1 values\n"
					"8.00 ask 1: 0+2\n"
				      : "0.00 ask 1: 0+2\n"
					"0.20 1 without value (timeout)\n"
					"0.50 ask 1: 0+1\n"
					"0.52 ask 1: 0+2\n"
					"0.54 1 values\n"
					"1.00 ask 1: 0+2\n"
					"1.02 1 values\n"
					"2.00 ask 1: 0+2\n"
					"2.02 1 values\n"
					"3.00 ask 1: 0+2\n"
					"3.02 1 values\n"
					"4.00 ask 1: 0+2\n"
					"4.02 1 values\n"
					"5.00 ask 1: 0+2\n"
					"5.02 1 values\n"
					"6.00 ask 1: 0+2\n"
					"6.02 1 values\n"
					"7.00 ask 1: 0+2\n"
					"7.02 1 values\n"
					"8.00 ask 1: 0+2\n");
		stage_clear();
	}
}

static void devices_with_one_unit_address_share_the_doubt(void **state)
{
	(void)state;
	stage_set(3, 1);
	stage_share();
	stage.delay_us[0] = 510 * MS;
	stage_begin();
	stage_run(2 * S);
	transcript_is("0.00 ask 1: 0+3\n"
		      "0.10 3 without value (timeout)\n"
		      "0.50 ask 1: 0+1\n"
		      "0.52 ask 1: 0+3\n"
		      "0.54 3 values\n"
		      "0.54 ask 1: 100+3\n"
		      "0.56 3 values\n"
		      "1.00 ask 1: 0+3\n"
		      "1.02 3 values\n"
		      "1.50 ask 1: 100+3\n"
		      "1.52 3 values\n"
		      "2.00 ask 1: 0+3\n");
	stage_clear();
}

/* It gets no question, costs little, and is over when it is over. */
static void on_a_line_that_is_never_silent_nobody_speaks(void **state)
{
	(void)state;
	stage_set(10, 1);
	stage_begin();
	stage_run(1500 * MS);
	assert_int_equal(stage.none, 0);
	stage.babble_at = stage.now_us;
	stage.babbles_to = 60 * (int64_t)S;
	unsigned asked = stage.n_asked, turns = stage.n_turns;
	stage_run(5 * S);
	assert_true(stage.n_asked <= asked + 1);
	assert_true(stage.none >= 10);
	unsigned right = stage.right;
	stage_run(55 * S);
	assert_true(stage.n_turns - turns < 58 * 50); /* of 6500 times that something came */
	assert_int_equal(stage.right, right);
	assert_int_equal(atomic_load(&stage.bus.devices[0].counts.availability), AVAILABILITY_OFFLINE);
	stage_run(12 * S);
	assert_true(stage.right > right);
	assert_int_equal(stage.wrong, 0);
	stage_clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_late_answer_that_comes_between_questions_needs_no_canary),
		cmocka_unit_test(a_canary_tells_when_the_late_answer_is_over),
		cmocka_unit_test(ten_registers_read_singly_are_never_shifted),
		cmocka_unit_test(without_a_free_shape_there_is_silence),
		cmocka_unit_test(canaries_that_are_late_too_are_not_confused),
		cmocka_unit_test(a_part_of_a_value_is_a_canary_unless_it_is_refused),
		cmocka_unit_test(devices_with_one_unit_address_share_the_doubt),
		cmocka_unit_test(on_a_line_that_is_never_silent_nobody_speaks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
