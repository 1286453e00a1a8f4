/* The reader of tables: each type of key, its edges, fallbacks and faults; and the rows themselves. */
#include "app/schema.h"

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
	{"later", BF_KEY_NODE, offsetof(struct all, node), 0, 0, NULL, NULL, BF_KEY_NOT_YET, "h"},
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
	one("later", t_int(1), "\"later\" is not yet supported", &all);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_given),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_required),
		cmocka_unit_test(test_the_rows_are_sound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
