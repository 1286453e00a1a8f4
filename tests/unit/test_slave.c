/*
 * The simulated device: every function code, every exception, and values that make sense when they
 * are decoded again.
 */
#include "sim/slave.h"
#include "sdk/decode.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)

enum {
	M_VOLTAGE,
	M_TEMPERATURE,
	M_FREQUENCY,
	M_ENERGY,
	M_MODE,
	M_ALARM,
	M_FAN,
	M_SERIAL,
	M_POWER,
	M_PUMP,
	M_DOOR,
	M_PLAIN,
	M_HUMIDITY,
	N_METRICS,
};

static const struct plan_word mode_words[] = {{0, "off"}, {3, "heating"}, {7, "cooling"}};
static const uint64_t invalid_21[] = {21};

static struct plan_metric metrics[N_METRICS] = {
	[M_VOLTAGE] = {.unit = "V", .place = {BF_SPACE_INPUT, 0, 2}, .shape = {.type = BF_TYPE_F32}},
	[M_TEMPERATURE] = {.unit = "°C",
		.place = {BF_SPACE_INPUT, 2, 1},
		.shape = {.type = BF_TYPE_S16, .bytes = BF_LITTLE},
		.scaled = true,
		.scale = 0.1},
	[M_FREQUENCY] = {.unit = "Hz",
		.place = {BF_SPACE_INPUT, 3, 1},
		.shape = {.type = BF_TYPE_U16},
		.scaled = true,
		.scale = 0.01},
	[M_ENERGY] = {.unit = "kWh",
		.place = {BF_SPACE_HOLDING, 10, 4},
		.shape = {.type = BF_TYPE_U64, .words = BF_LITTLE},
		.scaled = true,
		.scale = 0.001,
		.monotonic = true},
	[M_MODE] = {.place = {BF_SPACE_HOLDING, 20, 1},
		.shape = {.type = BF_TYPE_U16},
		.bit = 4,
		.n_bits = 3,
		.words = mode_words,
		.n_words = 3},
	[M_ALARM] = {.place = {BF_SPACE_HOLDING, 20, 1}, .shape = {.type = BF_TYPE_U16}, .bit = 15, .n_bits = 1},
	[M_FAN] = {.unit = "%",
		.place = {BF_SPACE_HOLDING, 21, 1},
		.shape = {.type = BF_TYPE_BCD16},
		.min = 40,
		.max = 60},
	[M_SERIAL] = {.place = {BF_SPACE_HOLDING, 30, 8}, .shape = {.type = BF_TYPE_STRING, .length = 16}},
	[M_POWER] = {.unit = "W",
		.place = {BF_SPACE_HOLDING, 40, 1},
		.shape = {.type = BF_TYPE_S16},
		.scale_from = true,
		.scale_place = {BF_SPACE_HOLDING, 41, 1}},
	[M_PUMP] = {.place = {BF_SPACE_COIL, 3, 1}, .shape = {.type = BF_TYPE_BOOL}},
	[M_DOOR] = {.place = {BF_SPACE_DISCRETE, 9, 1}, .shape = {.type = BF_TYPE_BOOL}},
	[M_PLAIN] = {.place = {BF_SPACE_HOLDING, 65535, 1}, .shape = {.type = BF_TYPE_U8}},
	[M_HUMIDITY] = {.unit = "°C",
		.place = {BF_SPACE_INPUT, 4, 1},
		.shape = {.type = BF_TYPE_U16},
		.min = 21,
		.max = 21.9,
		.invalid = invalid_21,
		.n_invalid = 1},
};

static struct plan_device device = {.path = "cellar/boiler", .address = 1, .n_metrics = N_METRICS};
static struct plan plan = {.devices = &device, .n_devices = 1, .metrics = metrics, .n_metrics = N_METRICS};

static int setup(void **state)
{
	static struct arena arena;
	static struct slave slave;
	for (size_t i = 0; i < N_METRICS; i++) {
		if (metrics[i].max == 0)
			metrics[i].min = metrics[i].max = NAN;
		metrics[i].max_step = metrics[i].deadband = NAN;
	}
	arena = (struct arena){0};
	slave_init(&slave, &plan, 0, false, &arena);
	plan.arena = arena;
	*state = &slave;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&plan.arena);
	return 0;
}

struct reply {
	size_t n;
	uint8_t pdu[SLAVE_PDU_MAX];
};

static struct reply ask(struct slave *slave, int64_t now, size_t n, const uint8_t *pdu)
{
	struct reply reply;
	memset(&reply, 0xEE, sizeof(reply));
	reply.n = slave_answer(slave, pdu, n, now, reply.pdu);
	return reply;
}
#define ASK(slave, now, ...) ask(slave, now, sizeof((const uint8_t[]){__VA_ARGS__}), (const uint8_t[]){__VA_ARGS__})

static void assert_refused(struct reply reply, uint8_t function, uint8_t code)
{
	assert_int_equal(reply.n, 2);
	assert_int_equal(reply.pdu[0], function | 0x80);
	assert_int_equal(reply.pdu[1], code);
}

/* Reads the registers of a metric and decodes them as the gateway would. */
static double read_metric(struct slave *slave, size_t which, int64_t now)
{
	static const uint8_t functions[] = {1, 2, 4, 3};
	const struct plan_metric *metric = &metrics[which];
	struct reply reply = ASK(slave, now, functions[metric->place.space], (uint8_t)(metric->place.at >> 8),
		(uint8_t)metric->place.at, 0, (uint8_t)metric->place.count);
	if (metric->place.space == BF_SPACE_COIL || metric->place.space == BF_SPACE_DISCRETE) {
		assert_int_equal(reply.n, 3);
		assert_int_equal(reply.pdu[1], 1);
		return reply.pdu[2];
	}
	assert_int_equal(reply.n, 2 + 2 * metric->place.count);
	assert_int_equal(reply.pdu[1], 2 * metric->place.count);
	char text[BF_STRING_MAX + 1];
	struct bf_value value;
	assert_int_equal(bf_decode(&metric->shape, reply.pdu + 2, 2 * metric->place.count, text, &value), 0);
	double number = bf_value_number(&value);
	if (metric->n_bits)
		number = (double)((uint64_t)number >> metric->bit & ((1u << metric->n_bits) - 1));
	return metric->scaled ? number * metric->scale + metric->offset : number;
}

static void values_are_plausible(void **state)
{
	struct slave *slave = *state;
	double energy = 0;
	for (int64_t now = 0; now < 3600 * SECOND; now += 7 * SECOND) {
		double voltage = read_metric(slave, M_VOLTAGE, now);
		assert_true(voltage > 220 && voltage < 240);
		double temperature = read_metric(slave, M_TEMPERATURE, now);
		assert_true(temperature > 15 && temperature < 27);
		double frequency = read_metric(slave, M_FREQUENCY, now);
		assert_true(frequency > 49.9 && frequency < 50.1);
		double fan = read_metric(slave, M_FAN, now);
		assert_true(fan >= 40 && fan <= 60);
		double mode = read_metric(slave, M_MODE, now);
		assert_true(mode == 0 || mode == 3 || mode == 7);
		double grown = read_metric(slave, M_ENERGY, now);
		assert_true(grown >= energy && grown < 3000);
		energy = grown;
		assert_true(read_metric(slave, M_PLAIN, now) <= 255);
		/* the only value between min and max means "no value" in this map */
		assert_true(read_metric(slave, M_HUMIDITY, now) != 21);
	}
	assert_true(energy > 2001);
}

static void values_move(void **state)
{
	struct slave *slave = *state;
	for (size_t which = 0; which < N_METRICS; which++) {
		if (which == M_SERIAL || which == M_HUMIDITY)
			continue;
		double first = read_metric(slave, which, 5 * SECOND);
		bool moved = false;
		for (int64_t now = 6; now < 300 && !moved; now++)
			moved = read_metric(slave, which, now * SECOND) != first;
		if (!moved)
			fail_msg("metric %zu stands still", which);
		/* a function of time alone */
		assert_true(read_metric(slave, which, 5 * SECOND) == first);
	}
}

static void a_string_is_a_text(void **state)
{
	struct reply reply = ASK(*state, 0, 3, 0, 30, 0, 8);
	char text[BF_STRING_MAX + 1];
	struct bf_value value;
	assert_int_equal(bf_decode(&metrics[M_SERIAL].shape, reply.pdu + 2, 16, text, &value), 0);
	assert_int_equal(value.kind, BF_TEXT);
	assert_int_equal(value.text.n, 9);
	assert_memory_equal(value.text.at, "simulated", 9);
}

static void a_power_of_ten_is_beside_its_value(void **state)
{
	struct reply reply = ASK(*state, 0, 3, 0, 40, 0, 2);
	assert_int_equal(reply.n, 6);
	int raw = (int16_t)(reply.pdu[2] << 8 | reply.pdu[3]);
	int exponent = (int16_t)(reply.pdu[4] << 8 | reply.pdu[5]);
	double watts = raw * pow(10, exponent);
	assert_true(watts > 400 && watts < 2400);
}

static void bits_leave_each_other_alone(void **state)
{
	struct slave *slave = *state;
	for (int64_t now = 0; now < 200 * SECOND; now += SECOND) {
		struct reply reply = ASK(slave, now, 3, 0, 20, 0, 1);
		unsigned both = (unsigned)(reply.pdu[2] << 8 | reply.pdu[3]);
		assert_int_equal(both & ~0x8070u, 0);
	}
}

static void refuses_what_it_does_not_know(void **state)
{
	struct slave *slave = *state;
	for (unsigned function = 0; function < 128; function++) {
		if ((function >= 1 && function <= 6) || function == 15 || function == 16)
			continue;
		assert_refused(ASK(slave, 0, (uint8_t)function, 0, 0, 0, 1), (uint8_t)function, 1);
	}
	assert_int_equal(slave_answer(slave, NULL, 0, 0, (uint8_t[SLAVE_PDU_MAX]){0}), 0);
}

static void refuses_places_without_a_metric(void **state)
{
	struct slave *slave = *state;
	assert_refused(ASK(slave, 0, 1, 0, 4, 0, 1), 1, 2);
	assert_refused(ASK(slave, 0, 2, 0, 8, 0, 2), 2, 2);
	assert_refused(ASK(slave, 0, 3, 0, 13, 0, 2), 3, 2);   /* across the end of energy */
	assert_refused(ASK(slave, 0, 3, 0, 14, 0, 6), 3, 2);   /* inside a gap */
	assert_refused(ASK(slave, 0, 3, 0, 21, 0, 125), 3, 2); /* as long as can be */
	assert_refused(ASK(slave, 0, 3, 0xFF, 0xFF, 0, 2), 3, 2);
	assert_refused(ASK(slave, 0, 4, 0, 5, 0, 1), 4, 2);
	assert_refused(ASK(slave, 0, 5, 0, 9, 0xFF, 0), 5, 2);
	assert_refused(ASK(slave, 0, 6, 0, 0, 0, 1), 6, 2);
	assert_refused(ASK(slave, 0, 15, 0, 3, 0, 2, 1, 3), 15, 2);
	assert_refused(ASK(slave, 0, 16, 0, 13, 0, 2, 4, 0, 0, 0, 0), 16, 2);
	assert_int_equal(ASK(slave, 0, 3, 0xFF, 0xFF, 0, 1).n, 4);
	assert_int_equal(ASK(slave, 0, 3, 0, 11, 0, 2).n, 6); /* half a value is no fault */
}

static void refuses_quantities_out_of_range(void **state)
{
	struct slave *slave = *state;
	for (uint8_t function = 1; function <= 4; function++) {
		unsigned most = function <= 2 ? 2000 : 125;
		assert_refused(ASK(slave, 0, function, 0, 0, 0, 0), function, 3);
		assert_refused(
			ASK(slave, 0, function, 0, 0, (uint8_t)((most + 1) >> 8), (uint8_t)(most + 1)), function, 3);
		assert_refused(ASK(slave, 0, function, 0, 0, (uint8_t)(most >> 8), (uint8_t)most), function, 2);
		assert_refused(ASK(slave, 0, function, 0, 0, 0), function, 3);
		assert_refused(ASK(slave, 0, function, 0, 0, 0, 1, 0), function, 3);
	}
	assert_refused(ASK(slave, 0, 5, 0, 3, 0x12, 0x34), 5, 3);
	assert_refused(ASK(slave, 0, 6, 0, 10, 0), 6, 3);
	assert_refused(ASK(slave, 0, 15, 0, 3, 0, 0, 0), 15, 3);
	assert_refused(ASK(slave, 0, 15, 0, 3, 0, 1, 2, 1, 0), 15, 3);
	assert_refused(ASK(slave, 0, 16, 0, 10, 0, 1, 2, 1), 16, 3);
	assert_refused(ASK(slave, 0, 16, 0, 10, 0, 124, 248), 16, 3);
	assert_refused(ASK(slave, 0, 16, 0, 10, 0), 16, 3);
}

static void keeps_what_is_written(void **state)
{
	struct slave *slave = *state;
	for (uint8_t on = 0; on < 2; on++) {
		struct reply reply = ASK(slave, 0, 5, 0, 3, on ? 0xFF : 0, 0);
		assert_int_equal(reply.n, 5);
		assert_memory_equal(reply.pdu, ((uint8_t[]){5, 0, 3, on ? 0xFF : 0, 0}), 5);
		for (int64_t now = 0; now < 60 * SECOND; now += SECOND)
			assert_int_equal(read_metric(slave, M_PUMP, now), on);
	}
	struct reply reply = ASK(slave, 0, 15, 0, 3, 0, 1, 1, 1);
	assert_int_equal(reply.n, 5);
	assert_memory_equal(reply.pdu, ((uint8_t[]){15, 0, 3, 0, 1}), 5);
	assert_int_equal(read_metric(slave, M_PUMP, 0), 1);

	reply = ASK(slave, 0, 6, 0, 21, 0x00, 0x50);
	assert_memory_equal(reply.pdu, ((uint8_t[]){6, 0, 21, 0x00, 0x50}), 5);
	assert_int_equal(read_metric(slave, M_FAN, 99 * SECOND), 50);

	/* words little: the low word comes first */
	reply = ASK(slave, 0, 16, 0, 10, 0, 4, 8, 0x30, 0x39, 0, 0, 0, 0, 0, 0);
	assert_int_equal(reply.n, 5);
	assert_memory_equal(reply.pdu, ((uint8_t[]){16, 0, 10, 0, 4}), 5);
	assert_true(fabs(read_metric(slave, M_ENERGY, 99 * SECOND) - 12.345) < 1e-9);
}

static void gaps_can_be_filled(void **state)
{
	(void)state;
	struct slave slave;
	slave_init(&slave, &plan, 0, true, &plan.arena);
	struct reply reply = ASK(&slave, 0, 3, 0, 14, 0, 6);
	assert_int_equal(reply.n, 14);
	for (size_t i = 2; i < reply.n; i++)
		assert_int_equal(reply.pdu[i], 0);
	reply = ASK(&slave, 0, 3, 0, 10, 0, 32);
	assert_int_equal(reply.n, 66);
	assert_refused(ASK(&slave, 0, 3, 0, 42, 0, 1), 3, 2); /* nothing near it behind */
	assert_refused(ASK(&slave, 0, 3, 0, 9, 0, 1), 3, 2);
}

/* A request for registers; what they hold, when it is not refused. */
static bool ask_holding(struct slave *slave, unsigned at, unsigned count, uint16_t *values)
{
	const uint8_t request[] = {3, (uint8_t)(at >> 8), (uint8_t)at, 0, (uint8_t)count};
	uint8_t answer[SLAVE_PDU_MAX];
	size_t n = slave_answer(slave, request, sizeof(request), 0, answer);
	if (answer[0] != 3)
		return false;
	assert_int_equal(n, 2 + 2 * count);
	for (unsigned i = 0; i < count; i++)
		values[i] = (uint16_t)(answer[2 + 2 * i] << 8 | answer[3 + 2 * i]);
	return true;
}

/* The chain of the models that the map uses, with the metrics in it. */
static void metrics_in_models_have_a_chain_around_them(void **state)
{
	(void)state;
	static const uint16_t common[] = {1}, inverters[] = {101, 103};
	static struct plan_metric own[] = {
		{.models = inverters,
			.n_models = 2,
			.place = {BF_SPACE_HOLDING, 14, 1},
			.shape = {.type = BF_TYPE_S16},
			.min = 30,
			.max = 40,
			.scale_from = true,
			.scale_place = {BF_SPACE_HOLDING, 15, 1}},
		{.models = common, .n_models = 1, .place = {BF_SPACE_HOLDING, 1, 1}, .shape = {.type = BF_TYPE_U16}},
		{.models = common,
			.n_models = 1,
			.place = {BF_SPACE_HOLDING, 2, 4},
			.shape = {.type = BF_TYPE_STRING, .length = 8}},
	};
	struct plan_device told = {.path = "roof/inverter", .address = 1, .n_metrics = 3};
	const struct plan of = {.devices = &told, .n_devices = 1, .metrics = own, .n_metrics = 3};
	struct slave slave;
	struct arena arena = {0};
	uint16_t values[8] = {0};
	for (size_t i = 0; i < 3; i++) {
		own[i].scale = 1;
		own[i].max_step = own[i].deadband = NAN;
		if (own[i].max == 0)
			own[i].min = own[i].max = NAN;
	}
	slave_init(&slave, &of, 0, false, &arena);
	assert_true(ask_holding(&slave, 40000, 2, values));
	assert_int_equal(values[0] << 16 | values[1], 0x53756E53);
	assert_true(ask_holding(&slave, 40002, 6, values));
	assert_int_equal(values[0], 1);
	assert_int_equal(values[1], 4); /* though a metric shows it too */
	assert_int_equal(values[2], 's' << 8 | 'i');
	assert_true(ask_holding(&slave, 40008, 2, values));
	assert_int_equal(values[0], 103);
	assert_int_equal(values[1], 14);
	assert_true(ask_holding(&slave, 40008 + 14, 2, values));
	assert_in_range(values[0], 300, 400);
	assert_int_equal((int16_t)values[1], -1);
	assert_true(ask_holding(&slave, 40024, 2, values));
	assert_int_equal(values[0], 0xFFFF);
	assert_false(ask_holding(&slave, 14, 1, values));
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(values_are_plausible, setup, teardown),
		cmocka_unit_test_setup_teardown(values_move, setup, teardown),
		cmocka_unit_test_setup_teardown(a_string_is_a_text, setup, teardown),
		cmocka_unit_test_setup_teardown(a_power_of_ten_is_beside_its_value, setup, teardown),
		cmocka_unit_test_setup_teardown(bits_leave_each_other_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_what_it_does_not_know, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_places_without_a_metric, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_quantities_out_of_range, setup, teardown),
		cmocka_unit_test_setup_teardown(keeps_what_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(gaps_can_be_filled, setup, teardown),
		cmocka_unit_test(metrics_in_models_have_a_chain_around_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
