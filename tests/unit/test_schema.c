/* The reader of tables: each type of key, its edges, fallbacks and faults; and the rows themselves. */
#include "app/schema.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

struct all {
	const char *text;
	int yes, whole, choice;
	double number;
	int64_t duration, size, word;
	struct bf_texts texts;
	struct bf_scalar scalar;
	const struct tree *node;
};

static const struct bf_key rows[] = {
	{"text", BF_KEY_TEXT, offsetof(struct all, text), 0, 0, "none", NULL, 0, "h"},
	{"yes", BF_KEY_BOOL, offsetof(struct all, yes), 0, 0, "true", NULL, 0, "h"},
	{"whole", BF_KEY_INT, offsetof(struct all, whole), -5, 5, NULL, NULL, 0, "h"},
	{"choice", BF_KEY_CHOICE, offsetof(struct all, choice), 0, 0, "b", "a|b|c", 0, "h"},
	{"number", BF_KEY_NUMBER, offsetof(struct all, number), -1, 1, NULL, NULL, 0, "h"},
	{"duration", BF_KEY_DURATION, offsetof(struct all, duration), 0, 3600, "1.5s", NULL, 0, "h"},
	{"word", BF_KEY_DURATION, offsetof(struct all, word), 0, 0, NULL, "start|end", 0, "h"},
	{"size", BF_KEY_SIZE, offsetof(struct all, size), 10, 1e9, "64kB", NULL, 0, "h"},
	{"texts", BF_KEY_TEXTS, offsetof(struct all, texts), 0, 0, NULL, NULL, 0, "h"},
	{"scalar", BF_KEY_SCALAR, offsetof(struct all, scalar), 0, 0, NULL, NULL, 0, "h"},
	{"node", BF_KEY_NODE, offsetof(struct all, node), 0, 0, NULL, "group|list", 0, "h"},
	{0},
};

struct bench {
	struct arena arena;
	struct faults faults;
	struct tree *group;
	struct all all;
	bool ok;
};

static struct tree *begin(struct bench *bench)
{
	*bench = (struct bench){0};
	bench->group = tree_add(NULL, TREE_GROUP, "g", &bench->arena);
	return bench->group;
}

static void read_all(struct bench *bench)
{
	struct schema_part part = {rows, &bench->all};
	bench->ok = schema_read("group \"g\"", bench->group, &part, 1, &bench->arena, &bench->faults);
	assert_int_equal(bench->ok, bench->faults.n_errors == 0);
}

static void finish(struct bench *bench)
{
	faults_destroy(&bench->faults);
	arena_free(&bench->arena);
}

static void test_nothing_given(void **state)
{
	(void)state;
	struct bench bench;
	begin(&bench);
	read_all(&bench);
	assert_true(bench.ok);
	assert_string_equal(bench.all.text, "none");
	assert_int_equal(bench.all.yes, 1);
	assert_int_equal(bench.all.whole, BF_UNSET);
	assert_int_equal(bench.all.choice, 1);
	assert_true(isnan(bench.all.number));
	assert_true(bench.all.duration == 1500000 && bench.all.word == BF_UNSET && bench.all.size == 64000);
	assert_int_equal(bench.all.texts.n, 0);
	assert_int_equal(bench.all.scalar.kind, BF_SCALAR_NONE);
	assert_null(bench.all.node);
	finish(&bench);
}

/* One setting: the fault it makes, or NULL. */
static void one(const char *name, struct tree value, const char *fault, struct all *ret_all)
{
	struct bench bench;
	struct tree *group = begin(&bench);
	struct tree *setting = tree_add(group, value.type, name, &bench.arena);
	value.name = setting->name;
	*setting = value;
	read_all(&bench);
	if (fault) {
		if (bench.faults.n_errors != 1)
			fail_msg("%s: %zu faults, not: %s", name, bench.faults.n_errors, fault);
		if (!strstr(bench.faults.first->what, fault))
			fail_msg("%s: %s", name, bench.faults.first->what);
	} else if (bench.faults.first) {
		fail_msg("%s: %s", name, bench.faults.first->what);
	}
	*ret_all = bench.all;
	ret_all->text = NULL; /* it is gone with the arena */
	finish(&bench);
}

static struct tree t_int(int64_t i)
{
	return (struct tree){.type = TREE_INT, .i = i};
}

static struct tree t_number(double number)
{
	return (struct tree){.type = TREE_NUMBER, .number = number};
}

static struct tree t_text(const char *text)
{
	return (struct tree){.type = TREE_TEXT, .text = text};
}

static void test_edges(void **state)
{
	(void)state;
	struct all all;
	one("whole", t_int(-5), NULL, &all);
	assert_int_equal(all.whole, -5);
	one("whole", t_int(5), NULL, &all);
	one("whole", t_int(6), "\"whole\" is 6, it can be -5 to 5", &all);
	assert_int_equal(all.whole, BF_UNSET);
	one("whole", t_int(INT64_MIN), "it can be -5 to 5", &all);
	one("whole", t_number(1), "must be a whole number", &all);
	one("whole", t_text("5"), "is a text, it must be a number", &all);
	one("number", t_int(1), NULL, &all);
	assert_true(all.number == 1);
	one("number", t_number(-0.5), NULL, &all);
	assert_true(all.number == -0.5);
	one("number", t_number(1.0001), "it can be -1 to 1", &all);
	one("number", t_number(INFINITY), "it can be -1 to 1", &all);
	one("duration", t_text("250ms"), NULL, &all);
	assert_true(all.duration == 250000);
	one("duration", t_int(3600), NULL, &all);
	assert_true(all.duration == INT64_C(3600000000));
	one("duration", t_number(0.5), NULL, &all);
	assert_true(all.duration == 500000);
	one("duration", t_text("61m"), "must be between \"0s\" and \"1h\"", &all);
	assert_true(all.duration == 1500000);
	one("duration", t_int(-1), "no duration", &all);
	one("duration", t_text("10x"), "no duration", &all);
	one("duration", t_text("start"), "no duration", &all);
	one("word", t_text("start"), NULL, &all);
	assert_true(all.word == -2);
	one("word", t_text("end"), NULL, &all);
	assert_true(all.word == -3);
	one("size", t_text("1MB"), NULL, &all);
	assert_true(all.size == 1000000);
	one("size", t_int(10), NULL, &all);
	one("size", t_int(9), "must be between", &all);
	one("choice", t_text("c"), NULL, &all);
	assert_int_equal(all.choice, 2);
	one("choice", t_text("d"), "it can be \"a\", \"b\" or \"c\"", &all);
	one("choice", t_text("a|b"), "it can be", &all);
	one("choice", t_int(1), "must be a text", &all);
	one("yes", (struct tree){.type = TREE_BOOL, .yes = false}, NULL, &all);
	assert_int_equal(all.yes, 0);
	one("yes", t_int(1), "must be true or false", &all);
	one("scalar", t_int(7), NULL, &all);
	assert_true(all.scalar.kind == BF_SCALAR_INT && all.scalar.i == 7 && all.scalar.number == 7);
	one("scalar", t_number(7.5), NULL, &all);
	assert_int_equal(all.scalar.kind, BF_SCALAR_NUMBER);
	one("scalar", t_text("x"), NULL, &all);
	assert_int_equal(all.scalar.kind, BF_SCALAR_TEXT);
	one("node", t_int(7), "must be a group or a list", &all);
	one("texts", t_text("x"), NULL, &all);
	assert_int_equal(all.texts.n, 1);
	one("texts", t_int(1), "must be a text or a list", &all);
	one("wole", t_int(1), "unknown setting \"wole\" in group \"g\"", &all);
}

static void test_required(void **state)
{
	(void)state;
	struct bench bench;
	begin(&bench);
	struct map_top top;
	struct schema_part part = {schema_top, &top};
	assert_false(schema_read("the map", bench.group, &part, 1, &bench.arena, &bench.faults));
	assert_int_equal(bench.faults.n_errors, 2);
	assert_true(top.every_us == 10000000);
	finish(&bench);
}

/* Each row of the core's tables: a help, a fallback that its own type takes, no name twice. */
static void test_the_rows_are_sound(void **state)
{
	(void)state;
	for (const struct schema_group *group = schema_groups; group->name; group++) {
		struct bench bench;
		begin(&bench);
		union {
			struct map_top top;
			struct map_broker broker;
			struct map_device device;
			struct map_metric metric;
		} any;
		struct schema_part part = {group->keys, &any};
		schema_read(group->name, NULL, &part, 1, &bench.arena, &bench.faults);
		assert_int_equal(bench.faults.n_errors, 0);
		for (const struct bf_key *key = group->keys; key->name; key++) {
			assert_non_null(key->help);
			assert_true(key->help[0] && key->help[strlen(key->help) - 1] != '.');
			assert_true((key->type == BF_KEY_CHOICE) <= (key->choices != NULL));
			for (const struct bf_key *other = group->keys; other < key; other++)
				assert_string_not_equal(other->name, key->name);
		}
		finish(&bench);
	}
}

struct nested {
	struct bf_bytes start;
	int length, at, plus, kind;
	struct bf_pairs sizes;
};

static const struct bf_key nested_rows[] = {
	{"frame.start", BF_KEY_BYTES, offsetof(struct nested, start), 0, 0, NULL, NULL, BF_KEY_REQUIRED, "h"},
	{"frame.length", BF_KEY_INT, offsetof(struct nested, length), 1, 99, NULL, NULL, 0, "h"},
	{"frame.length.at", BF_KEY_INT, offsetof(struct nested, at), 0, 99, NULL, NULL, BF_KEY_REQUIRED, "h"},
	{"frame.length.plus", BF_KEY_INT, offsetof(struct nested, plus), 0, 99, "0", NULL, 0, "h"},
	{"frame.check.kind", BF_KEY_CHOICE, offsetof(struct nested, kind), 0, 0, NULL, "sum8|crc8", BF_KEY_REQUIRED,
		"h"},
	{"sizes", BF_KEY_PAIRS, offsetof(struct nested, sizes), -1, 8, NULL, NULL, 0, "h"},
	{0},
};

static bool read_nested(struct bench *bench, struct nested *nested)
{
	struct schema_part part = {nested_rows, nested};
	return schema_read("device \"d\"", bench->group, &part, 1, &bench->arena, &bench->faults);
}

static void test_groups_within(void **state)
{
	(void)state;
	struct bench bench;
	struct nested nested;
	struct tree *group = begin(&bench);
	assert_true(read_nested(&bench, &nested)); /* what is required in a group that is not there is not missed */
	assert_int_equal(nested.start.n, 0);
	assert_int_equal(nested.plus, 0);

	struct tree *frame = tree_add(group, TREE_GROUP, "frame", &bench.arena);
	tree_add(frame, TREE_TEXT, "start", &bench.arena)->text = "42 4d";
	struct tree *length = tree_add(frame, TREE_GROUP, "length", &bench.arena);
	tree_add(length, TREE_INT, "at", &bench.arena)->i = 2;
	tree_add(length, TREE_INT, "plus", &bench.arena)->i = 4;
	struct tree *sizes = tree_add(group, TREE_GROUP, "sizes", &bench.arena);
	tree_add(sizes, TREE_INT, "t79", &bench.arena)->i = -1;
	tree_add(sizes, TREE_INT, "t80", &bench.arena)->i = 2;
	assert_true(read_nested(&bench, &nested));
	assert_int_equal(nested.start.n, 2);
	assert_memory_equal(nested.start.at, "\x42\x4d", 2);
	assert_true(nested.length == BF_UNSET && nested.at == 2 && nested.plus == 4 && nested.kind == BF_UNSET);
	assert_true(nested.sizes.n == 2 && nested.sizes.numbers[0] == -1 && nested.sizes.numbers[1] == 2);
	assert_string_equal(nested.sizes.names[1], "t80");
	finish(&bench);
}

/* A name that is a key and a group. */
static void test_number_or_group(void **state)
{
	(void)state;
	struct bench bench;
	struct nested nested;
	struct tree *frame = tree_add(begin(&bench), TREE_GROUP, "frame", &bench.arena);
	tree_add(frame, TREE_TEXT, "start", &bench.arena)->text = "59 59";
	tree_add(frame, TREE_INT, "length", &bench.arena)->i = 9;
	assert_true(read_nested(&bench, &nested));
	assert_true(nested.length == 9 && nested.at == BF_UNSET);
	finish(&bench);
}

/* In the order of finding. */
static const struct fault *fault_of(const struct bench *bench, unsigned nth)
{
	const struct fault *fault = bench->faults.first;
	while (fault->nth != nth)
		fault = fault->next;
	return fault;
}

static void test_faults_within(void **state)
{
	(void)state;
	struct bench bench;
	struct nested nested;
	struct tree *group = begin(&bench), *frame = tree_add(group, TREE_GROUP, "frame", &bench.arena);
	tree_add(frame, TREE_TEXT, "strat", &bench.arena)->text = "42";
	tree_add(frame, TREE_INT, "check", &bench.arena)->i = 1;
	tree_add(tree_add(frame, TREE_GROUP, "length", &bench.arena), TREE_INT, "plus", &bench.arena)->i = 1;
	tree_add(tree_add(group, TREE_GROUP, "sizes", &bench.arena), TREE_INT, "t79", &bench.arena)->i = 9;
	assert_false(read_nested(&bench, &nested));
	assert_int_equal(bench.faults.n_errors, 5);
	assert_string_equal(fault_of(&bench, 0)->what, "unknown setting \"strat\" in \"frame\"");
	assert_string_equal(fault_of(&bench, 0)->hint, "did you mean \"start\"?");
	assert_string_equal(fault_of(&bench, 1)->what, "\"check\" is a number, it must be a group");
	assert_string_equal(fault_of(&bench, 2)->what, "\"at\" is required in \"length\"");
	assert_string_equal(fault_of(&bench, 3)->what, "\"start\" is required in \"frame\"");
	assert_string_equal(fault_of(&bench, 4)->what, "\"t79\" is 9, it can be -1 to 8");
	assert_int_equal(nested.sizes.n, 0);
	finish(&bench);
}

static void test_bytes(void **state)
{
	(void)state;
	uint8_t bytes[4];
	assert_int_equal(bf_bytes_parse("", bytes, 4), 0);
	assert_int_equal(bf_bytes_parse("  1b1B 01 ", bytes, 4), 3);
	assert_memory_equal(bytes, "\x1b\x1b\x01", 3);
	assert_int_equal(bf_bytes_parse("1", bytes, 4), -EINVAL);
	assert_int_equal(bf_bytes_parse("1 2", bytes, 4), -EINVAL);
	assert_int_equal(bf_bytes_parse("0x12", bytes, 4), -EINVAL);
	assert_int_equal(bf_bytes_parse("00 11 22 33 44", bytes, 4), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups_within),
		cmocka_unit_test(test_number_or_group),
		cmocka_unit_test(test_faults_within),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_nothing_given),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_required),
		cmocka_unit_test(test_the_rows_are_sound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
