/*
 * The walk along a chain of models: found at each base, bounded whatever a device answers, and never given up for
 * silence alone.  And what a chain tells of metrics.
 */
#include "field/walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

/* A device: all of its holding registers, and which there are. */
struct device {
	uint16_t cells[65536];
	bool there[65536];
	unsigned n_asked;
};

static struct device device;

static void put(unsigned at, unsigned value)
{
	device.cells[at] = (uint16_t)value;
	device.there[at] = true;
}

static void put_mark(unsigned at)
{
	put(at, 0x5375);
	put(at + 1, 0x6E53);
}

/* A model with `length` registers; returns where the next one begins. */
static unsigned put_model(unsigned at, unsigned id, unsigned length)
{
	put(at, id);
	put(at + 1, length);
	for (unsigned i = 0; i < length && at + 2 + i < 65536; i++)
		put(at + 2 + i, 7);
	return at + 2 + length;
}

/* The device's answer to what the walk asks next.  False when it is over. */
static bool step(struct walk *walk)
{
	struct bf_place place;
	if (!walk_next(walk, &place))
		return false;
	assert_int_equal(place.space, BF_SPACE_HOLDING);
	assert_int_equal(place.count, 2);
	assert_true(place.at <= 65534);
	device.n_asked++;
	if (device.there[place.at] && device.there[place.at + 1]) {
		const uint16_t *cells = &device.cells[place.at];
		walk_answered(walk, (uint8_t[]){(uint8_t)(cells[0] >> 8), (uint8_t)cells[0], (uint8_t)(cells[1] >> 8),
					    (uint8_t)cells[1]});
	} else {
		walk_refused(walk);
	}
	return true;
}

static void run(struct walk *walk)
{
	*walk = (struct walk){0};
	walk_begin(walk);
	for (unsigned i = 0; step(walk); i++)
		assert_true(i < CHAIN_MODELS_MAX + CHAIN_BASES);
}

static void clear(void)
{
	memset(&device, 0, sizeof(device));
}

static void assert_model(const struct walk *walk, uint32_t i, unsigned id, unsigned at, unsigned length)
{
	assert_true(i < walk->chain.n);
	assert_int_equal(walk->chain.models[i].id, id);
	assert_int_equal(walk->chain.models[i].at, at);
	assert_int_equal(walk->chain.models[i].length, length);
}

static void the_chain_is_found_at_each_base(void **state)
{
	(void)state;
	struct walk walk;
	for (unsigned base = 0; base < CHAIN_BASES; base++) {
		clear();
		unsigned at = chain_bases[base];
		put_mark(at);
		unsigned inverter = put_model(at + 2, 1, 66), end = put_model(inverter, 103, 50);
		put_model(end, 0xFFFF, 0);
		run(&walk);
		assert_int_equal(walk.state, WALK_FOUND);
		assert_int_equal(walk.base, base);
		assert_int_equal(walk.chain.n, 2);
		assert_model(&walk, 0, 1, at + 2, 66);
		assert_model(&walk, 1, 103, at + 70, 50);
		assert_int_equal(device.n_asked, base + 4);
	}
}

static void what_is_no_mark_is_passed_by(void **state)
{
	(void)state;
	struct walk walk;
	clear();
	put(40000, 0x5375); /* half of it */
	put(40001, 0x6E54);
	put(0, 0);
	put(1, 0);
	run(&walk);
	assert_int_equal(walk.state, WALK_NONE);
	assert_int_equal(walk.chain.n, 0);
	assert_int_equal(device.n_asked, 3);
}

/* Endless, of zeros, or leading out of all registers: a device has 64 models at most, one behind the other. */
static void no_chain_is_endless(void **state)
{
	(void)state;
	struct walk walk;
	clear();
	put_mark(40000);
	unsigned at = 40002;
	for (unsigned i = 0; i < 200; i++)
		at = put_model(at, 101, 0);
	run(&walk);
	assert_int_equal(walk.state, WALK_FOUND);
	assert_int_equal(walk.chain.n, CHAIN_MODELS_MAX);
	assert_int_equal(device.n_asked, CHAIN_MODELS_MAX + 1);

	clear();
	put_mark(40000);
	put_model(put_model(40002, 1, 10), 0, 0);
	run(&walk);
	assert_int_equal(walk.state, WALK_FOUND);
	assert_int_equal(walk.chain.n, 1);

	for (unsigned length = 65533 - 40002 - 1; length <= 65535; length += length < 65536 - 40004 + 2 ? 1 : 997) {
		clear();
		put_mark(40000);
		put_model(40002, 1, length);
		run(&walk);
		assert_int_equal(walk.state, WALK_FOUND);
		assert_model(&walk, 0, 1, 40002, length);
	}
}

static void a_chain_without_an_end_is_one(void **state)
{
	(void)state;
	struct walk walk;
	clear();
	put_mark(50000);
	put_model(50002, 1, 66);
	run(&walk);
	assert_int_equal(walk.state, WALK_FOUND);
	assert_int_equal(walk.chain.n, 1);
}

static void silence_at_a_base_leads_to_the_next_one(void **state)
{
	(void)state;
	struct walk walk = {0};
	struct bf_place place;
	clear();
	put_mark(0);
	put_model(put_model(2, 1, 66), 0xFFFF, 0);
	walk_begin(&walk);
	walk_missed(&walk); /* 40000 */
	walk_missed(&walk); /* 50000 */
	while (step(&walk))
		;
	assert_int_equal(walk.state, WALK_FOUND);

	/* who says nothing at all is asked for ever */
	walk_begin(&walk);
	for (unsigned i = 0; i < 100; i++) {
		assert_true(walk_next(&walk, &place));
		assert_true(place.at == 40000 || place.at == 50000 || place.at == 0);
		walk_missed(&walk);
	}

	/* who answers anywhere, and is silent twice at all others, has none */
	clear();
	walk = (struct walk){0};
	walk_begin(&walk);
	for (unsigned i = 0; walk_next(&walk, &place); i++) {
		assert_true(i < 7);
		if (place.at == 50000)
			walk_refused(&walk);
		else
			walk_missed(&walk);
	}
	assert_int_equal(walk.state, WALK_NONE);
}

/* Off for a long time, and then back: that it was silent says nothing of its bases. */
static void the_first_answer_undoes_what_silence_gave_up(void **state)
{
	(void)state;
	for (unsigned missed = 0; missed < 13; missed++) {
		struct walk walk = {0};
		clear();
		put_mark(40000);
		put_model(put_model(40002, 1, 66), 0xFFFF, 0);
		walk_begin(&walk);
		for (unsigned i = 0; i < missed; i++)
			walk_missed(&walk);
		while (step(&walk))
			;
		assert_int_equal(walk.state, WALK_FOUND);
	}
}

static void a_busy_device_is_asked_on(void **state)
{
	(void)state;
	struct walk walk = {0};
	struct bf_place place;
	unsigned seen = 0;
	clear();
	walk_begin(&walk);
	for (unsigned i = 0; i < 100; i++) {
		assert_true(walk_next(&walk, &place));
		seen |= place.at == 40000 ? 1u : place.at == 50000 ? 2u : 4u;
		walk_put_off(&walk);
	}
	assert_int_equal(seen, 7);
	put_mark(50000);
	while (step(&walk))
		;
	assert_int_equal(walk.state, WALK_FOUND);
}

static void one_lost_answer_costs_no_base(void **state)
{
	(void)state;
	struct walk walk = {0};
	clear();
	put_mark(40000);
	put_model(put_model(40002, 1, 66), 0xFFFF, 0);
	walk_begin(&walk);
	walk_missed(&walk);
	while (step(&walk))
		;
	assert_int_equal(walk.state, WALK_FOUND);
	assert_int_equal(walk.base, 0);
}

static void silence_within_the_chain_repeats_the_question(void **state)
{
	(void)state;
	struct walk walk = {0};
	struct bf_place before, after;
	clear();
	put_mark(40000);
	put_model(put_model(put_model(40002, 1, 66), 103, 50), 0xFFFF, 0);
	walk_begin(&walk);
	do {
		bool within = walk.state == WALK_MODELS;
		assert_true(walk_next(&walk, &before));
		for (unsigned i = 0; within && i < 5; i++)
			walk_missed(&walk);
		assert_true(walk_next(&walk, &after));
		assert_int_equal(after.at, before.at);
	} while (step(&walk) && walk_next(&walk, &before));
	assert_int_equal(walk.chain.n, 2);
}

static void the_next_walk_begins_where_the_mark_was(void **state)
{
	(void)state;
	struct walk walk;
	struct bf_place place;
	clear();
	put_mark(50000);
	run(&walk);
	walk_begin(&walk);
	assert_true(walk_next(&walk, &place));
	assert_int_equal(place.at, 50000);
	/* and finds it elsewhere */
	clear();
	put_mark(40000);
	while (step(&walk))
		;
	assert_int_equal(walk.state, WALK_FOUND);
	assert_int_equal(walk.base, 0);
}

static void any_answers_end_it(void **state)
{
	(void)state;
	uint64_t seed = 7;
	for (unsigned run = 0; run < 20000; run++) {
		struct walk walk = {0};
		struct bf_place place;
		walk_begin(&walk);
		for (unsigned i = 0; walk_next(&walk, &place); i++) {
			assert_true(i < 1000);
			assert_true(place.at <= 65534);
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			uint32_t bits = (uint32_t)(seed >> 32);
			bool mark = walk.state == WALK_MARK && bits % 3 == 0;
			uint8_t bytes[4] = {
				(uint8_t)(bits >> 24), (uint8_t)(bits >> 16), (uint8_t)(bits >> 13 & 3), (uint8_t)bits};
			if (mark)
				memcpy(bytes, (uint8_t[]){0x53, 0x75, 0x6E, 0x53}, 4);
			if (bits % 29 == 5)
				walk_refused(&walk);
			else if (bits % 31 == 7)
				walk_missed(&walk);
			else
				walk_answered(&walk, bytes);
		}
		assert_true(walk.chain.n <= CHAIN_MODELS_MAX);
		for (uint32_t m = 1; m < walk.chain.n; m++)
			assert_true(walk.chain.models[m].at >= walk.chain.models[m - 1].at + CHAIN_HEAD);
	}
}

static void a_metric_lies_in_the_first_model_that_is_there_and_long_enough(void **state)
{
	(void)state;
	static const uint16_t inverters[] = {101, 102, 103};
	const struct chain chain = {
		.n = 4, .models = {{1, 40002, 66}, {103, 40070, 50}, {102, 40122, 10}, {103, 40134, 50}}};
	struct plan_metric metric = {.models = inverters, .n_models = 3, .place = {BF_SPACE_HOLDING, 11, 1}};
	assert_ptr_equal(chain_find(&chain, &metric), &chain.models[2]);
	metric.place.at = 12; /* beyond the 10 registers of 102 */
	assert_ptr_equal(chain_find(&chain, &metric), &chain.models[1]);
	metric.place.at = 51;
	assert_ptr_equal(chain_find(&chain, &metric), &chain.models[1]);
	metric.scale_from = true;
	metric.scale_place = (struct bf_place){BF_SPACE_HOLDING, 52, 1};
	assert_null(chain_find(&chain, &metric));
	metric.n_models = 1;
	metric.place.at = 2;
	assert_null(chain_find(&chain, &metric));
}

/* A model may tell any length: registers beyond the last one are nowhere, not at the beginning of the table. */
static void no_metric_lies_beyond_the_last_register(void **state)
{
	(void)state;
	static const uint16_t inverter = 103;
	const struct chain chain = {.n = 1, .models = {{103, 65000, 60000}}};
	struct plan_metric metric = {.models = &inverter, .n_models = 1, .place = {BF_SPACE_HOLDING, 535, 1}};
	assert_ptr_equal(chain_find(&chain, &metric), &chain.models[0]);
	metric.place.count = 2;
	assert_null(chain_find(&chain, &metric));
	metric.place = (struct bf_place){BF_SPACE_HOLDING, 600, 1};
	assert_null(chain_find(&chain, &metric));
}

static void what_is_presumed_holds_each_metric(void **state)
{
	(void)state;
	static const uint16_t inverters[] = {101, 102, 103}, three[] = {103}, common[] = {1};
	struct plan_metric metrics[] = {{.models = inverters, .n_models = 3, .place = {BF_SPACE_HOLDING, 14, 1}},
		{.models = three, .n_models = 1, .place = {BF_SPACE_HOLDING, 40, 2}},
		{.models = common, .n_models = 1, .place = {BF_SPACE_HOLDING, 2, 16}},
		{.place = {BF_SPACE_HOLDING, 9, 1}}};
	const struct plan plan = {.metrics = metrics, .n_metrics = 4};
	struct plan_device told = {.n_metrics = 4};
	struct chain chain;
	assert_true(chain_is_needed(&plan, &told));
	chain_presume(&plan, &told, &chain);
	assert_int_equal(chain.n, 2);
	assert_int_equal(chain.models[0].id, 1);
	assert_int_equal(chain.models[0].at, 40002);
	assert_int_equal(chain.models[0].length, 16);
	assert_int_equal(chain.models[1].id, 103);
	assert_int_equal(chain.models[1].at, 40020);
	assert_int_equal(chain.models[1].length, 40);
	for (unsigned i = 0; i < 3; i++)
		assert_non_null(chain_find(&chain, &metrics[i]));

	/* more than there are registers: the rest has no place */
	metrics[2].place.at = 30000;
	chain_presume(&plan, &told, &chain);
	assert_int_equal(chain.n, 0);
	told = (struct plan_device){.first_metric = 3, .n_metrics = 1};
	assert_false(chain_is_needed(&plan, &told));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_chain_is_found_at_each_base),
		cmocka_unit_test(what_is_no_mark_is_passed_by),
		cmocka_unit_test(no_chain_is_endless),
		cmocka_unit_test(a_chain_without_an_end_is_one),
		cmocka_unit_test(silence_at_a_base_leads_to_the_next_one),
		cmocka_unit_test(the_first_answer_undoes_what_silence_gave_up),
		cmocka_unit_test(a_busy_device_is_asked_on),
		cmocka_unit_test(one_lost_answer_costs_no_base),
		cmocka_unit_test(silence_within_the_chain_repeats_the_question),
		cmocka_unit_test(the_next_walk_begins_where_the_mark_was),
		cmocka_unit_test(any_answers_end_it),
		cmocka_unit_test(a_metric_lies_in_the_first_model_that_is_there_and_long_enough),
		cmocka_unit_test(no_metric_lies_beyond_the_last_register),
		cmocka_unit_test(what_is_presumed_holds_each_metric),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
