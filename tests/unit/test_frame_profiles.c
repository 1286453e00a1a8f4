/*
 * The contract of every shipped profile of binary frames: what its golden vectors hold is found whatever the pieces in
 * which it comes, behind garbage and behind what is left of a frame; cut off it says nothing; and where there is a
 * check, no damaged bit gives a reading.  What the readings are is for `profiles check` and the scenario of profiles.
 */
#include "app/tree.h"
#include "frame_bench.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define FOLDER       BUSFERRY_SOURCE "/config/profiles"
#define FRAME_MAX    1024
#define PROFILES_MIN 25

/* Of one profile: its frames one by one, as chunks of its vectors that hold a message of it. */
typedef void visit(struct frame_bench *bench, const char *file, const uint8_t *frame, size_t n);

static bool is_frame(const struct tree *root)
{
	const struct tree *head = root ? tree_get(root, "profile") : NULL;
	const struct tree *transport = head ? tree_get(head, "transport") : NULL;
	return transport && transport->type == TREE_TEXT && strcmp(transport->text, "frame") == 0;
}

static void visit_chunks(struct frame_bench *bench, const char *file, visit *each)
{
	size_t n_frames = 0;
	const struct tree *vectors = tree_get(bench->tree, "vectors");
	for (const struct tree *vector = vectors->first; vector; vector = vector->next) {
		const struct tree *input = tree_get(vector, "input");
		for (const struct tree *item = input ? input->first : NULL; item; item = item->next) {
			uint8_t frame[FRAME_MAX];
			int n = bf_bytes_parse(item->text, frame, sizeof(frame));
			assert_true(n > 0);
			frame_bench_forget(bench);
			frame_bench_feed(bench, frame, (size_t)n, 0);
			if (bench->n_messages == 1 && bench->n_skipped == 0) {
				each(bench, file, frame, (size_t)n);
				n_frames++;
			}
		}
	}
	if (n_frames == 0)
		fail_msg("%s: no chunk of its vectors is a frame", file);
}

static void visit_profiles(visit *each)
{
	size_t n = 0;
	DIR *folder = opendir(FOLDER);
	assert_non_null(folder);
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		char file[512];
		snprintf(file, sizeof(file), "%s/%s", FOLDER, entry->d_name);
		const char *end = strrchr(entry->d_name, '.');
		if (!end || strcmp(end, ".conf") != 0)
			continue;
		struct frame_bench bench;
		bool sound = frame_bench_open(&bench, file);
		if (is_frame(bench.tree)) {
			if (!sound) {
				faults_print(&bench.faults, stderr, false);
				fail_msg("%s: %s", file, bench.complaint.what);
			}
			visit_chunks(&bench, entry->d_name, each);
			n++;
		}
		frame_bench_destroy(&bench);
	}
	closedir(folder);
	assert_true(n >= PROFILES_MIN);
}

static void expect(struct frame_bench *bench, const char *file, size_t n_messages, const char *what)
{
	if (bench->n_messages != n_messages)
		fail_msg("%s, %s: %zu messages, not %zu", file, what, bench->n_messages, n_messages);
}

static void in_pieces(struct frame_bench *bench, const char *file, const uint8_t *frame, size_t n)
{
	for (size_t piece = 1; piece <= n; piece++) {
		frame_bench_forget(bench);
		for (int i = 0; i < 3; i++)
			frame_bench_feed(bench, frame, n, piece);
		expect(bench, file, 3, "in pieces");
		assert_int_equal(bench->n_damaged, 0);
	}
}

static void test_in_pieces(void **state)
{
	(void)state;
	visit_profiles(in_pieces);
}

/* Bytes with which no frame begins. */
static void behind_garbage(struct frame_bench *bench, const char *file, const uint8_t *frame, size_t n)
{
	uint8_t garbage[64];
	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)(frame[0] + 1 + i % 200);
	for (size_t n_garbage = 1; n_garbage < sizeof(garbage); n_garbage++) {
		frame_bench_forget(bench);
		frame_bench_feed(bench, garbage, n_garbage, 0);
		frame_bench_feed(bench, frame, n, 0);
		expect(bench, file, 1, "behind garbage");
	}
}

static void test_behind_garbage(void **state)
{
	(void)state;
	visit_profiles(behind_garbage);
}

static void behind_the_beginning_of_one(struct frame_bench *bench, const char *file, const uint8_t *frame, size_t n)
{
	/* of a frame between flags nothing is missing but the flag, which the next one brings */
	size_t whole = tree_get(tree_get(bench->tree, "frame"), "flag") ? n - 1 : n;
	for (size_t cut = 1; cut < whole; cut++) {
		frame_bench_forget(bench);
		frame_bench_feed(bench, frame, cut, 0);
		expect(bench, file, 0, "cut off");
		for (int i = 0; i < 3; i++)
			frame_bench_feed(bench, frame, n, 0);
		frame_bench_quiet(bench);
		expect(bench, file, 3, "behind the beginning of one");
	}
}

static void test_behind_the_beginning_of_one(void **state)
{
	(void)state;
	visit_profiles(behind_the_beginning_of_one);
}

static void damaged(struct frame_bench *bench, const char *file, const uint8_t *frame, size_t n)
{
	const struct tree *keys = tree_get(bench->tree, "frame");
	const struct tree *check = tree_get(keys, "check");
	bool hex = check && tree_get(check, "coding");
	uint8_t copy[FRAME_MAX];
	for (size_t bit = 0; bit < 8 * n && check; bit++) {
		if (hex && bit % 8 == 5) /* of a digit, it makes an "a" of "A" */
			continue;
		memcpy(copy, frame, n);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		frame_bench_forget(bench);
		frame_bench_feed(bench, copy, n, 0);
		/* of a start that is not checked the other one may come of it, but never another value */
		if (bench->n_messages && memcmp(copy + 2, frame + 2, n - 2) == 0)
			continue;
		expect(bench, file, 0, "damaged");
		frame_bench_quiet(bench);
		expect(bench, file, 0, "damaged, and quiet");
		for (int i = 0; i < 2; i++)
			frame_bench_feed(bench, frame, n, 0);
		frame_bench_quiet(bench);
		expect(bench, file, 2, "behind a damaged one");
	}
}

static void test_damaged(void **state)
{
	(void)state;
	visit_profiles(damaged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_pieces),
		cmocka_unit_test(test_behind_garbage),
		cmocka_unit_test(test_behind_the_beginning_of_one),
		cmocka_unit_test(test_damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
