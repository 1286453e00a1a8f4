/* Profiles: where they are found, what a map takes from one, what it changes, what a bus learns from them. */
#include "app/compile.h"
#include "app/config.h"
#include "app/vector.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define HEAD   "site: \"home\" broker: \"mqtt://localhost\" "
#define NET    "buses: { net: { tcp: \"10.0.0.5\" } } "
#define SERIAL "buses: { rs: { port: \"tcp://s:4001\" } } "

static const char *const meter =
	"profile: { id: \"meter\" maker: \"Acme\" device: \"Meter\" document: \"none\" revision: \"1\" note: \"n\" }"
	" line: \"19200 8E1\""
	" quirks: { words: \"little\" max_registers: 20 max_gap: 0 timeout: \"250ms\" gap: \"20ms\" }"
	" probe: { input: 7 scale: 0.1 min: 45 max: 65 }"
	" metrics: {"
	"  voltage: { input: 0 scale: 0.1 unit: \"V\" deadband: 0.5 }"
	"  energy: { input: 2 type: \"u32\" unit: \"kWh\" monotonic: true }"
	"  alarms: { input: 4 bits: { high: 0 low: 1 stage: \"4-5\" } }"
	"  mode: { holding: 9 enum: [\"off\", \"on\"] invalid: 0xFFFF }"
	" }"
	" vectors: { v: { origin: \"synthetic\" registers: ( { input: 0 values: [2301, 0, 2, 1, 0x11] },"
	"   { holding: 9 values: [1] } )"
	"  expect: { voltage: 230.1 energy: 65538 high: true low: false stage: 1 mode: \"on\" } }"
	"  w: { origin: \"synthetic\" registers: ( { holding: 9 values: [0xFFFF] } )"
	"  expect: { mode: { quality: \"invalid\" } } } }";

static char folder[] = "/tmp/test_profile.XXXXXX";
static struct faults faults;
static struct plan plan;

static const char *put(const char *name, const char *text)
{
	static char file[128];
	snprintf(file, sizeof(file), "%s/%s.conf", folder, name);
	FILE *to = fopen(file, "w");
	assert_non_null(to);
	fputs(text, to);
	fclose(to);
	return file;
}

static int load(const char *text)
{
	faults_destroy(&faults);
	plan_destroy(&plan);
	return config_load(put("map-of-test", text), &faults, &plan);
}

static void sound(const char *text)
{
	int err = load(text);
	if (err < 0)
		faults_print(&faults, stderr, false);
	assert_int_equal(err, 0);
}

static bool told(const char *what)
{
	for (const struct fault *fault = faults.first; fault; fault = fault->next)
		if (strstr(fault->what, what))
			return true;
	return false;
}

static const struct plan_metric *metric(const char *name)
{
	for (size_t i = 0; i < plan.n_metrics; i++)
		if (strcmp(plan.metrics[i].name, name) == 0)
			return &plan.metrics[i];
	fail_msg("no metric %s", name);
	return NULL;
}

/* "voltage energy …" of the whole plan */
static const char *names(void)
{
	static char text[512];
	text[0] = '\0';
	for (size_t i = 0; i < plan.n_metrics; i++) {
		strcat(text, i ? " " : "");
		strcat(text, plan.metrics[i].name);
	}
	return text;
}

static void test_found_by_a_plain_id(void **state)
{
	(void)state;
	struct arena arena = {0};
	const char *file = NULL;
	assert_int_equal(profile_find("meter", &arena, &file), 0);
	assert_int_equal(strncmp(file, folder, strlen(folder)), 0);
	static const char *const none[] = {"", "metre", "../meter", "a/meter", ".meter", "meter.conf", "met\nr"};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(profile_find(none[i], &arena, &file), -ENOENT);
	const char *const *ids = profile_ids(&arena);
	bool there = false;
	for (size_t i = 0; ids[i]; i++) {
		there = there || strcmp(ids[i], "meter") == 0;
		if (i)
			assert_true(strcmp(ids[i - 1], ids[i]) < 0);
	}
	assert_true(there);
	arena_free(&arena);
}

static void test_what_a_device_takes(void **state)
{
	(void)state;
	sound(HEAD NET "floors: { f: { d: { profile: \"meter\" every: \"30s\" } } }");
	assert_string_equal(names(), "voltage energy high low stage mode");
	assert_string_equal(metric("voltage")->topic, "home/f/d/voltage");
	assert_string_equal(metric("voltage")->unit, "V");
	assert_true(metric("voltage")->every_us == 30000000);
	assert_int_equal(metric("energy")->shape.words, BF_LITTLE);
	assert_true(metric("energy")->monotonic);
	assert_int_equal(plan.devices[0].max_registers, 20);
	assert_int_equal(plan.devices[0].max_gap, 0);
	assert_true(plan.devices[0].timeout_us == 250000);
	assert_string_equal(plan.devices[0].name, "d");
}

static void test_the_map_wins(void **state)
{
	(void)state;
	sound(HEAD NET "floors: { f: { d: { profile: \"meter\" words: \"big\" max_registers: 60 timeout: \"1s\""
		       " publish: { voltage: { every: \"1s\" unit: \"mV\" qos: 0 } energy: { words: \"little\" }"
		       "  mode: { enum: [\"0=aus\"] } } } } }");
	assert_int_equal(plan.devices[0].max_registers, 60);
	assert_int_equal(plan.devices[0].max_gap, 0);
	assert_true(plan.devices[0].timeout_us == 1000000);
	const struct plan_metric *voltage = metric("voltage");
	assert_true(voltage->every_us == 1000000 && voltage->delivery.qos == 0 && voltage->scale == 0.1);
	assert_true(voltage->deadband == 0.5);
	assert_string_equal(voltage->unit, "mV");
	assert_int_equal(metric("energy")->shape.words, BF_LITTLE);
	assert_int_equal(metric("mode")->n_words, 1);
	assert_string_equal(metric("mode")->words[0].word, "aus");
	assert_int_equal(metric("mode")->n_invalid, 1);
}

static void test_only_and_skip(void **state)
{
	(void)state;
	static const struct {
		const char *keys, *left;
	} cases[] = {
		{"only: \"v*\"", "voltage"},
		{"only: [\"energy\", \"mode\"]", "energy mode"},
		{"skip: \"*e*\"", "high low"},
		{"skip: \"alarms\"", "voltage energy mode"},
		{"only: \"alarms\" skip: \"low\"", "high stage"},
		{"only: [\"low\", \"voltage\"]", "voltage low"},
		{"only: \"[!ae]*\"", "voltage high low stage mode"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char map[512];
		snprintf(map, sizeof(map), HEAD NET "floors: { f: { d: { profile: \"meter\" %s } } }", cases[i].keys);
		sound(map);
		assert_string_equal(names(), cases[i].left);
	}
	sound(HEAD NET "floors: { f: { d: { profile: \"meter\" skip: \"*\" } } }");
	assert_int_equal(plan.n_devices + plan.n_metrics, 0);
	assert_int_equal(faults.n_warnings, 1);
}

static void test_metrics_of_its_own(void **state)
{
	(void)state;
	sound(HEAD NET "floors: { f: { d: { profile: \"meter\" only: \"energy\""
		       " metrics: { voltage: { input: 30 } own: { input: 32 type: \"u32\" } } } } }");
	assert_string_equal(names(), "energy voltage own");
	assert_int_equal(metric("voltage")->place.at, 30);
	assert_int_equal(metric("own")->shape.words, BF_LITTLE);
	assert_int_equal(
		load(HEAD NET "floors: { f: { d: { profile: \"meter\" metrics: { mode: { input: 1 } } } } }"), -EINVAL);
	assert_true(told("the profile \"meter\" has a metric \"mode\" too"));
	/* a bit of the profile and a metric of the map */
	assert_int_equal(
		load(HEAD NET "floors: { f: { d: { profile: \"meter\" metrics: { high: { input: 1 } } } } }"), -EINVAL);
	assert_true(told("two on one topic"));
}

static void test_a_bus_learns_its_line(void **state)
{
	(void)state;
	sound(HEAD SERIAL "floors: { f: { a: { profile: \"meter\" address: 1 } b: { profile: \"meter\" address: 2 }"
			  " c: { address: 3 metrics: { m: { input: 1 } } } } }");
	assert_int_equal(plan.buses[0].line.baud, 19200);
	assert_int_equal(plan.buses[0].line.parity, 'E');
	assert_true(plan.buses[0].gap_us == 20000);
	sound(HEAD "buses: { rs: { port: \"tcp://s:4001\" line: \"9600 8N1\" gap: \"5ms\" } }"
		   " floors: { f: { a: { profile: \"meter\" address: 1 } } }");
	assert_int_equal(plan.buses[0].line.baud, 9600);
	assert_true(plan.buses[0].gap_us == 5000);
	sound(HEAD "floors: { f: { a: { port: \"tcp://s:4001\" profile: \"meter\" address: 1 } } }");
	assert_int_equal(plan.buses[0].line.baud, 19200);
	sound(HEAD "floors: { f: { a: { port: \"tcp://s:4001\" line: \"4800 8N1\" profile: \"meter\" address: 1 } } }");
	assert_int_equal(plan.buses[0].line.baud, 4800);
	sound(HEAD SERIAL
		"floors: { f: { a: { profile: \"meter\" address: 1 } b: { profile: \"other\" address: 2 } } }");
	assert_true(told("come with different lines"));
	assert_int_equal(plan.buses[0].line.baud, 9600);
	sound(HEAD SERIAL "floors: { f: { a: { profile: \"meter\" address: 1 enabled: false }"
			  " b: { profile: \"other\" address: 2 } } }");
	assert_int_equal(faults.n_warnings, 0);
	assert_int_equal(plan.buses[0].line.baud, 2400);
	assert_int_equal(plan.n_devices, 1);
}

static void test_a_broken_one_is_told_at_its_place(void **state)
{
	(void)state;
	put("broken", "profile: { id: \"broken\" }\nmetrics: { m: { input: 1 scael: 2 } }\n");
	assert_int_equal(load(HEAD NET "floors: { f: { d: { profile: \"broken\" } } }"), -EINVAL);
	assert_true(told("unknown setting \"scael\" in metric \"m\""));
	assert_true(told("\"vectors\" is required in the profile"));
	for (const struct fault *fault = faults.first; fault; fault = fault->next)
		assert_non_null(strstr(fault->at.file, "/broken.conf"));
	put("broken", "profile: {");
	assert_int_equal(
		load(HEAD NET "floors: { f: { d: { profile: \"broken\" } e: { profile: \"broken\" } } }"), -EINVAL);
	assert_int_equal(faults.n_errors, 1);
}

static void test_vectors(void **state)
{
	(void)state;
	struct arena arena = {0};
	struct faults grammar = {0}, wrong = {0};
	struct profile profile;
	struct plan alone;
	struct plan_metric probe;
	const struct vector *vectors;
	size_t n;
	assert_int_equal(profile_read(put("meter", meter), &arena, &grammar, &profile), 0);
	assert_string_equal(profile.note, "n");
	assert_true(compile_profile(&profile, &grammar, &alone, &probe));
	assert_int_equal(alone.n_metrics, 6);
	assert_int_equal(alone.devices[0].max_registers, 20);
	assert_int_equal(probe.place.at, 7);
	assert_true(probe.min == 45 && probe.max == 65);
	assert_true(vectors_read(&profile, &arena, &grammar, &vectors, &n));
	assert_int_equal(n, 2);
	assert_int_equal(vectors[0].cells[0].place.count, 5);
	assert_int_equal(vectors[0].cells[1].place.space, BF_SPACE_HOLDING);
	vectors_replay(&profile, &alone, vectors, n, &wrong);
	if (wrong.n_errors)
		faults_print(&wrong, stderr, false);
	assert_int_equal(wrong.n_errors, 0);
	/* without the first one five metrics are not proven */
	vectors_replay(&profile, &alone, vectors + 1, 1, &wrong);
	assert_int_equal(wrong.n_errors, 5);
	plan_destroy(&alone);
	faults_destroy(&grammar);
	faults_destroy(&wrong);
	arena_free(&arena);
}

static void test_what_a_vector_may_not_say(void **state)
{
	(void)state;
	static const struct {
		const char *vector, *what;
	} cases[] = {
		{"v: 5", "a vector is a group"},
		{"v: { }", "\"origin\" is required in vector \"v\""},
		{"v: { origin: \"somewhere\" registers: () expect: { } }", "does not say where"},
		{"v: { origin: \"capture x\" registers: ( 5 ) expect: { } }", "a run of registers is a group"},
		{"v: { origin: \"capture x\" registers: ( { values: [1] } ) expect: { } }", "the run has no register"},
		{"v: { origin: \"capture x\" registers: ( { input: 1 } ) expect: { } }", "\"values\" is required"},
		{"v: { origin: \"capture x\" registers: ( { input: 65535 values: [1, 2] } ) expect: { } }",
			"pass register 65535"},
		{"v: { origin: \"capture x\" registers: ( { input: 1 values: [-1] } ) expect: { } }", "0 to 65535"},
		{"v: { origin: \"capture x\" registers: ( { coil: 1 values: [2] } ) expect: { } }", "a bit is 0 or 1"},
		{"v: { origin: \"capture x\" registers: () expect: { m: [1] } }", "this is no reading"},
		{"v: { origin: \"capture x\" registers: () expect: { m: { qualty: \"x\" } } }", "this is no reading"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena arena = {0};
		struct profile profile;
		const struct vector *vectors;
		size_t n;
		char text[1024];
		faults_destroy(&faults);
		snprintf(text, sizeof(text),
			"profile: { id: \"v\" maker: \"A\" device: \"M\" document: \"none\" revision: \"1\" }"
			" metrics: { m: { input: 1 } } vectors: { %s }",
			cases[i].vector);
		assert_int_equal(profile_read(put("v", text), &arena, &faults, &profile), 0);
		assert_false(vectors_read(&profile, &arena, &faults, &vectors, &n));
		if (!told(cases[i].what)) {
			faults_print(&faults, stderr, false);
			fail_msg("not told: %s", cases[i].what);
		}
		arena_free(&arena);
	}
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder) || setenv("BUSFERRY_PROFILES", folder, 1) < 0)
		return -1;
	put("meter", meter);
	put("other", "profile: { id: \"other\" maker: \"Acme\" device: \"Other\" document: \"none\" revision: \"1\" }"
		     " line: \"2400 8N1\" metrics: { m: { input: 1 } } vectors: { }");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	static const char *const files[] = {"map-of-test", "meter", "other", "broken", "v"};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char file[128];
		snprintf(file, sizeof(file), "%s/%s.conf", folder, files[i]);
		unlink(file);
	}
	faults_destroy(&faults);
	plan_destroy(&plan);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found_by_a_plain_id),
		cmocka_unit_test(test_what_a_device_takes),
		cmocka_unit_test(test_the_map_wins),
		cmocka_unit_test(test_only_and_skip),
		cmocka_unit_test(test_metrics_of_its_own),
		cmocka_unit_test(test_a_bus_learns_its_line),
		cmocka_unit_test(test_a_broken_one_is_told_at_its_place),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_what_a_vector_may_not_say),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
