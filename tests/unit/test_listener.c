/*
 * Listening: profiles understand what is theirs, lines are gone through until one is right, and nothing is sent unless
 * it was told to.  The port is a script, the clock goes as fast as it is asked.
 */
#include "app/listener.h"
#include "app/vector.h"
#include "model/line_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define S          INT64_C(1000000)
#define STEPS_MAX  200000
#define SENT_MAX   4096
#define OPENED_MAX 64

static const uint8_t sds011[] = {0xaa, 0xc0, 0xd4, 0x04, 0x3a, 0x0a, 0xa1, 0x60, 0x1d, 0xab};
static const uint8_t tfmini[] = {0x59, 0x59, 0x64, 0x00, 0xe8, 0x03, 0x88, 0x09, 0x92};
static const uint8_t mhz19b_ask[] = {0xff, 0x01, 0x86, 0, 0, 0, 0, 0, 0x79};
static const uint8_t mhz19b[] = {0xff, 0x86, 0x02, 0x60, 0x47, 0x00, 0x00, 0x00, 0xd1};

/* A port on which a sensor speaks, at its own settings, by itself or when it is asked. */
struct stage {
	struct stream_port port; /* first */
	struct clock clock;
	struct listener_watch watch;
	struct listener listener;
	struct candidates all;
	struct plan_bus bus;
	int64_t now_us;

	struct plan_line line; /* of the sensor: with others it is heard as noise */
	const uint8_t *says, *asked_with;
	size_t n_says, n_asked_with;
	int64_t every_us, next_at; /* of one that speaks by itself */
	bool owes;
	int fails_open, fails_read; /* -errno */
	uint32_t refuses_baud;

	uint8_t sent[SENT_MAX];
	size_t n_sent, n_came, n_heard, n_asks;
	uint32_t opened[OPENED_MAX]; /* bauds */
	size_t n_opened;
	bool is_open;
	char last[64]; /* who was heard */
};

static struct stage *stage_of(const void *part, size_t offset)
{
	return (struct stage *)((char *)(uintptr_t)part - offset);
}

static int64_t mono(const struct clock *clock)
{
	return stage_of(clock, offsetof(struct stage, clock))->now_us;
}

static int64_t wall(const struct clock *clock)
{
	return mono(clock) / 1000;
}

static int port_open(struct stream_port *port, int64_t now_us)
{
	struct stage *stage = (struct stage *)port;
	(void)now_us;
	assert_false(stage->is_open);
	if (stage->fails_open)
		return stage->fails_open;
	if (stage->bus.line.baud == stage->refuses_baud)
		return -EINVAL;
	stage->is_open = true;
	port->fd = 0;
	stage->opened[stage->n_opened++ % OPENED_MAX] = stage->bus.line.baud;
	return 0;
}

static void port_close(struct stream_port *port)
{
	((struct stage *)port)->is_open = false;
	port->fd = -1;
}

static bool speaks(const struct stage *stage)
{
	return stage->is_open && stage->n_says && (stage->owes || (stage->every_us && stage->now_us >= stage->next_at));
}

static int port_read(struct stream_port *port, uint8_t *bytes, size_t size)
{
	struct stage *stage = (struct stage *)port;
	assert_true(stage->is_open);
	if (stage->fails_read)
		return stage->fails_read;
	if (!speaks(stage))
		return 0;
	assert_true(size >= stage->n_says);
	bool right = stage->bus.wire != WIRE_SERIAL || line_text_same(&stage->bus.line, &stage->line);
	for (size_t i = 0; i < stage->n_says; i++)
		bytes[i] = right ? stage->says[i] : (uint8_t)(0x80 | rand());
	stage->owes = false;
	stage->next_at = stage->now_us + stage->every_us;
	return (int)stage->n_says;
}

static int port_write(struct stream_port *port, const uint8_t *bytes, size_t n)
{
	struct stage *stage = (struct stage *)port;
	assert_true(stage->is_open);
	assert_true(stage->n_sent + n <= SENT_MAX);
	memcpy(stage->sent + stage->n_sent, bytes, n);
	stage->n_sent += n;
	if (stage->n_asked_with && n == stage->n_asked_with && memcmp(bytes, stage->asked_with, n) == 0)
		stage->owes = true;
	return 0;
}

static int port_speed(struct stream_port *port, uint32_t baud)
{
	(void)port;
	(void)baud;
	return 0;
}

static void port_destroy(struct stream_port *port)
{
	(void)port;
}

static const struct stream_port_ops ops = {.open = port_open,
	.close = port_close,
	.read = port_read,
	.write = port_write,
	.speed = port_speed,
	.destroy = port_destroy};

static void bytes_pass(struct listener_watch *watch, bool sent, const uint8_t *bytes, size_t n, int64_t now_us)
{
	struct stage *stage = stage_of(watch, offsetof(struct stage, watch));
	(void)bytes;
	(void)now_us;
	stage->n_came += sent ? 0 : n;
}

static void heard(struct candidate_watch *watch, const struct candidate *candidate, int64_t now_us)
{
	struct stage *stage = stage_of(watch, offsetof(struct stage, watch));
	(void)now_us;
	stage->n_heard++;
	assert_true(stage->n_came > 0); /* bytes are told before what they gave */
	strncpy(stage->last, candidate->profile.id, sizeof(stage->last) - 1);
}

static void opened(struct listener_watch *watch, size_t n_on, int64_t now_us)
{
	(void)watch;
	(void)now_us;
	assert_true(n_on > 0);
}

static void asks(struct listener_watch *watch, const struct candidate *candidate)
{
	(void)candidate;
	stage_of(watch, offsetof(struct stage, watch))->n_asks++;
}

static struct stage *begin(const char *profile, const char *line, bool line_given)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	struct faults faults = {0};
	assert_non_null(stage);
	stage->port = (struct stream_port){.ops = &ops, .fd = -1};
	stage->clock = (struct clock){.mono_us = mono, .wall_ms = wall};
	stage->watch = (struct listener_watch){
		.candidates = {.heard = heard}, .bytes = bytes_pass, .opened = opened, .asks = asks};
	stage->bus = (struct plan_bus){.wire = WIRE_SERIAL, .name = "x", .port = "x", .line = {9600, 8, 'N', 1}};
	stage->now_us = 1;
	assert_int_equal(line_text_parse(line, &stage->line), 0);
	if (line_given)
		stage->bus.line = stage->line;
	assert_int_equal(candidates_load(&stage->all, profile, &faults), 0);
	assert_true(stage->all.n >= 1);
	faults_destroy(&faults);
	listener_init(
		&stage->listener, &stage->bus, &stage->port, &stage->all, &stage->clock, &stage->watch, line_given);
	stage->listener.alone = profile != NULL;
	return stage;
}

static void says(struct stage *stage, const uint8_t *bytes, size_t n, int64_t every_us)
{
	stage->says = bytes;
	stage->n_says = n;
	stage->every_us = every_us;
	stage->next_at = stage->now_us + every_us;
}

/* As the loop of the command does it. */
static void run(struct stage *stage, int64_t until_us)
{
	bool ready = false;
	for (int i = 0; i < STEPS_MAX && stage->listener.state != LISTENER_OVER && stage->now_us < until_us; i++) {
		int64_t wake = listener_step(&stage->listener, ready, stage->now_us);
		ready = false;
		if (listener_events(&stage->listener) && stage->is_open) {
			int64_t speaks_at = stage->owes ? stage->now_us + 1
					    : stage->n_says && stage->every_us && stage->next_at > stage->now_us
						    ? stage->next_at
						    : CLOCK_NEVER;
			if (speaks(stage) || stage->fails_read)
				speaks_at = stage->now_us;
			ready = speaks_at <= wake;
			wake = speaks_at < wake ? speaks_at : wake;
		}
		if (wake > until_us)
			wake = until_us;
		stage->now_us = wake > stage->now_us ? wake : stage->now_us + 1;
	}
}

static const struct candidate *one(const struct stage *stage, const char *id)
{
	for (size_t i = 0; i < stage->all.n; i++)
		if (strcmp(stage->all.items[i].profile.id, id) == 0)
			return &stage->all.items[i];
	fail_msg("no profile %s", id);
	return NULL;
}

static const char *value(const struct candidate *candidate, const char *name)
{
	for (size_t i = 0; i < candidate->plan.n_metrics; i++)
		if (strcmp(candidate->plan.metrics[i].name, name) == 0)
			return candidate->values[i].any ? candidate->values[i].text : "-";
	return "?";
}

static void end(struct stage *stage)
{
	listener_end(&stage->listener);
	assert_false(stage->is_open);
	candidates_destroy(&stage->all);
	free(stage);
}

static void a_sensor_that_speaks_is_understood(void **state)
{
	(void)state;
	struct stage *stage = begin(NULL, "9600 8N1", false);
	says(stage, sds011, sizeof(sds011), S);
	run(stage, 30 * S);
	const struct candidate *candidate = one(stage, "sds011");
	struct candidate_score score = candidate_score(candidate);
	assert_true(candidate_understands(candidate));
	assert_in_range(score.n_sound, 28, 30);
	assert_int_equal(score.n_damaged, 0);
	assert_int_equal(score.n_sound_bytes, stage->n_came);
	assert_string_equal(value(candidate, "pm25"), "123.6");
	assert_false(candidate_understands(one(stage, "pms5003")));
	assert_int_equal(stage->n_opened, 1); /* this line was right */
	assert_int_equal(stage->n_sent, 0);
	end(stage);
}

static void lines_are_gone_through_until_one_is_right(void **state)
{
	(void)state;
	struct stage *stage = begin(NULL, "115200 8N1", false);
	says(stage, tfmini, sizeof(tfmini), S / 10);
	run(stage, 120 * S);
	assert_true(stage->n_opened > 1);
	assert_int_equal(stage->opened[0], 9600); /* most profiles have it */
	assert_int_equal(stage->opened[stage->n_opened - 1], 115200);
	size_t n_opened = stage->n_opened;
	run(stage, 240 * S);
	assert_int_equal(stage->n_opened, n_opened);
	assert_true(candidate_understands(one(stage, "tfmini-plus")));
	assert_int_equal(stage->n_sent, 0);
	end(stage);
}

static void one_that_speaks_seldom_is_waited_for(void **state)
{
	(void)state;
	struct stage *stage = begin(NULL, "115200 8N1", false);
	says(stage, tfmini, sizeof(tfmini), 10 * S);
	run(stage, 60 * S);
	size_t n_opened = stage->n_opened;
	assert_in_range(n_opened, 2, 4);
	assert_int_equal(stage->opened[n_opened - 1], 115200);
	run(stage, 300 * S);
	assert_int_equal(stage->n_opened, n_opened);
	assert_true(candidate_understands(one(stage, "tfmini-plus")));
	end(stage);
}

static void a_line_that_was_given_stays_and_all_try(void **state)
{
	(void)state;
	struct stage *stage = begin(NULL, "9600 8N1", true);
	says(stage, tfmini, sizeof(tfmini), S / 10);
	run(stage, 60 * S);
	assert_int_equal(stage->n_opened, 1);
	assert_true(candidate_understands(one(stage, "tfmini-plus"))); /* though it comes with another one */
	end(stage);
}

static void settings_that_the_port_refuses_are_left_out(void **state)
{
	(void)state;
	struct stage *stage = begin(NULL, "115200 8N1", false);
	stage->refuses_baud = 9600;
	run(stage, 60 * S);
	assert_true(stage->listener.n_refused >= 1);
	assert_true(stage->n_opened > 1);
	for (size_t i = 0; i < stage->n_opened; i++)
		assert_int_not_equal(stage->opened[i], 9600);
	end(stage);
	stage = begin("mhz19b", "9600 8N1", false); /* the only one it has */
	stage->refuses_baud = 9600;
	run(stage, 60 * S);
	assert_int_equal(stage->listener.state, LISTENER_OVER);
	assert_int_equal(stage->listener.failure, -EINVAL);
	end(stage);
}

static void nothing_is_sent_unless_it_was_told_to(void **state)
{
	(void)state;
	struct stage *stage = begin(NULL, "9600 8N1", false);
	run(stage, 600 * S);
	assert_int_equal(stage->n_sent, 0);
	assert_int_equal(stage->n_asks, 0);
	assert_int_equal(stage->listener.state, LISTENER_OPEN);
	end(stage);
}

static void one_profile_asks_again_and_again(void **state)
{
	(void)state;
	struct stage *stage = begin("mhz19b", "9600 8N1", false);
	says(stage, mhz19b, sizeof(mhz19b), 0);
	stage->asked_with = mhz19b_ask;
	stage->n_asked_with = sizeof(mhz19b_ask);
	run(stage, 20 * S);
	const struct candidate *candidate = one(stage, "mhz19b");
	assert_in_range(candidate_score(candidate).n_sound, 9, 11);
	assert_in_range(stage->n_sent / sizeof(mhz19b_ask), 9, 11);
	assert_string_equal(value(candidate, "co2"), "608");
	assert_string_equal(value(candidate, "temperature"), "31");
	assert_int_equal(stage->listener.n_sent, stage->n_sent);
	listener_end(&stage->listener);
	assert_true(candidate_understands(candidate)); /* what its stream heard outlives it */
	assert_in_range(candidate_score(candidate).n_sound, 9, 11);
	end(stage);
}

static void all_are_asked_once(void **state)
{
	(void)state;
	struct stage *stage = begin(NULL, "9600 8N1", false);
	size_t n_asking = 0;
	for (size_t i = 0; i < stage->all.n; i++)
		n_asking += stage->all.items[i].asks;
	stage->listener.asks = true;
	run(stage, 3600 * S);
	assert_int_equal(stage->listener.state, LISTENER_OVER);
	assert_int_equal(stage->listener.failure, 0);
	assert_int_equal(stage->n_asks, n_asking); /* on their lines */
	end(stage);

	stage = begin(NULL, "9600 8N1", false);
	stage->listener.asks = true;
	says(stage, mhz19b, sizeof(mhz19b), 0);
	stage->asked_with = mhz19b_ask;
	stage->n_asked_with = sizeof(mhz19b_ask);
	run(stage, 3600 * S);
	assert_int_equal(stage->listener.state, LISTENER_OVER);
	assert_int_equal(stage->n_opened, 1); /* what was looked for was found */
	assert_true(candidate_understands(one(stage, "mhz19b")));
	end(stage);
}

static void it_ends(void **state)
{
	(void)state;
	struct stage *stage = begin(NULL, "9600 8N1", false);
	stage->listener.ends_at = 3 * S;
	run(stage, 60 * S);
	assert_int_equal(stage->listener.state, LISTENER_OVER);
	assert_int_equal(stage->listener.failure, 0);
	assert_in_range(stage->now_us, 3 * S, 3 * S + 1000);
	end(stage);

	static const char *const profiles[] = {NULL, "mhz19b"};
	for (size_t i = 0; i < 2; i++) {
		stage = begin(profiles[i], "9600 8N1", false);
		run(stage, S);
		stage->fails_read = -ENODEV;
		run(stage, 60 * S);
		assert_int_equal(stage->listener.state, LISTENER_OVER);
		assert_int_equal(stage->listener.failure, -ENODEV);
		end(stage);

		stage = begin(profiles[i], "9600 8N1", false);
		stage->fails_open = -EBUSY;
		run(stage, 60 * S);
		assert_int_equal(stage->listener.state, LISTENER_OVER);
		assert_int_equal(stage->listener.failure, -EBUSY);
		end(stage);
	}
}

static void a_device_server_keeps_its_line(void **state)
{
	(void)state;
	struct stage *stage = begin(NULL, "9600 8N1", false);
	stage->bus.wire = WIRE_SERIAL_TCP;
	listener_init(&stage->listener, &stage->bus, &stage->port, &stage->all, &stage->clock, &stage->watch, false);
	says(stage, tfmini, sizeof(tfmini), S / 10);
	run(stage, 60 * S);
	assert_int_equal(stage->n_opened, 1);
	assert_true(candidate_understands(one(stage, "tfmini-plus")));
	end(stage);
}

static void a_recording_is_heard_like_a_port(void **state)
{
	(void)state;
	/* the first one is cut off; behind a silence its beginning hides nothing */
	const struct recording_chunk chunks[] = {
		{.at_ms = 0, .bytes = {sds011, 4}},
		{.at_ms = 1000, .bytes = {sds011, sizeof(sds011)}},
		{.sent = true, .at_ms = 1500, .bytes = {mhz19b_ask, sizeof(mhz19b_ask)}},
		{.at_ms = 1600, .bytes = {mhz19b, sizeof(mhz19b)}},
	};
	struct stage *stage = begin(NULL, "9600 8N1", false);
	listener_play(&stage->listener, chunks, 4, stage->now_us);
	assert_int_equal(stage->listener.state, LISTENER_OVER);
	assert_true(candidate_understands(one(stage, "sds011")));
	assert_true(candidate_understands(one(stage, "mhz19b")));
	assert_int_equal(candidate_score(one(stage, "sds011")).n_sound, 1);
	assert_int_equal(stage->n_sent, 0);
	candidates_destroy(&stage->all);
	free(stage);
}

static void noise_is_understood_by_nobody(void **state)
{
	(void)state;
	static uint8_t noise[200000];
	static struct recording_chunk chunks[sizeof(noise) / 40];
	struct stage *stage = begin(NULL, "9600 8N1", false);
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)rand();
	for (size_t i = 0; i < sizeof(noise) / 40; i++)
		chunks[i] = (struct recording_chunk){.at_ms = (int64_t)i * 100, .bytes = {noise + i * 40, 40}};
	listener_play(&stage->listener, chunks, sizeof(noise) / 40, stage->now_us);
	for (size_t i = 0; i < stage->all.n; i++)
		if (candidate_understands(&stage->all.items[i]))
			fail_msg("%s understands noise", stage->all.items[i].profile.id);
	candidates_destroy(&stage->all);
	free(stage);
}

/* Its first vector that has a value, as it would be overheard. */
static void play_a_vector(struct stage *stage, const struct candidate *candidate)
{
	struct arena arena = {0};
	struct faults faults = {0};
	const struct vector *vectors;
	size_t n = 0, which = 0;
	vectors_read(&candidate->profile, &arena, &faults, &vectors, &n);
	assert_int_equal(faults.n_errors, 0);
	while (which + 1 < n && vector_quality(vectors[which].expect->first))
		which++;
	assert_true(n > 0);
	struct recording_chunk *chunks = arena_array(&arena, vectors[which].n_input, sizeof(*chunks));
	for (size_t i = 0; i < vectors[which].n_input; i++)
		chunks[i] = (struct recording_chunk){.at_ms = (int64_t)i * 1000, .bytes = vectors[which].input[i]};
	listener_play(&stage->listener, chunks, vectors[which].n_input, stage->now_us);
	arena_free(&arena);
	faults_destroy(&faults);
}

static void each_profile_understands_its_own(void **state)
{
	(void)state;
	struct stage *all = begin(NULL, "9600 8N1", false);
	for (size_t i = 0; i < all->all.n; i++) {
		const char *id = all->all.items[i].profile.id;
		struct stage *stage = begin(id, "9600 8N1", false);
		play_a_vector(stage, &all->all.items[i]);
		if (!candidate_understands(one(stage, id)))
			fail_msg("%s does not understand its own vector", id);
		candidates_destroy(&stage->all);
		free(stage);
	}
	candidates_destroy(&all->all);
	free(all);
}

static void what_can_t_be_loaded_is_told(void **state)
{
	(void)state;
	struct candidates all;
	struct faults faults = {0};
	assert_int_equal(candidates_load(&all, "no-such-one", &faults), -ENOENT);
	assert_int_equal(candidates_load(&all, "eastron-sdm120", &faults), -EOPNOTSUPP);
	assert_int_equal(faults.n_errors, 0);
	faults_destroy(&faults);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_sensor_that_speaks_is_understood),
		cmocka_unit_test(lines_are_gone_through_until_one_is_right),
		cmocka_unit_test(one_that_speaks_seldom_is_waited_for),
		cmocka_unit_test(a_line_that_was_given_stays_and_all_try),
		cmocka_unit_test(settings_that_the_port_refuses_are_left_out),
		cmocka_unit_test(nothing_is_sent_unless_it_was_told_to),
		cmocka_unit_test(one_profile_asks_again_and_again), cmocka_unit_test(all_are_asked_once),
		cmocka_unit_test(it_ends), cmocka_unit_test(a_device_server_keeps_its_line),
		cmocka_unit_test(a_recording_is_heard_like_a_port), cmocka_unit_test(noise_is_understood_by_nobody),
		cmocka_unit_test(each_profile_understands_its_own), cmocka_unit_test(what_can_t_be_loaded_is_told)};
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
