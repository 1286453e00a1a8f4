/*
 * Bytes as people look at them: what belongs together is one chunk, lines of text are rows, and nothing gets lost.
 */
#include "app/transcript.h"
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MS INT64_C(1000)

/* What was handed on. */
struct notes {
	struct transcript_reader reader;
	unsigned n;
	bool sent;
	int64_t at;
	size_t last_n;
	uint8_t all[65536];
	size_t n_all;
};

static struct notes notes;
static struct transcript transcript;

static void chunk(struct transcript_reader *reader, bool sent, int64_t at_us, const uint8_t *bytes, size_t n)
{
	assert_ptr_equal(reader, &notes.reader);
	assert_true(n > 0 && n <= TRANSCRIPT_CHUNK);
	notes.n++;
	notes.sent = sent;
	notes.at = at_us;
	notes.last_n = n;
	assert_true(notes.n_all + n <= sizeof(notes.all));
	memcpy(notes.all + notes.n_all, bytes, n);
	notes.n_all += n;
}

static int begin(void **state)
{
	(void)state;
	memset(&notes, 0, sizeof(notes));
	notes.reader.chunk = chunk;
	transcript_init(&transcript, &notes.reader);
	return 0;
}

static void take(bool sent, const char *text, int64_t at_ms)
{
	transcript_take(&transcript, sent, (const uint8_t *)text, strlen(text), at_ms * MS);
}

static void silence_ends_a_chunk(void **state)
{
	(void)state;
	assert_true(transcript_step(&transcript, 0) == CLOCK_NEVER);
	take(false, "ab", 100);
	take(false, "cd", 110);
	int64_t due = transcript_step(&transcript, 110 * MS);
	assert_true(due > 110 * MS && due < 200 * MS);
	assert_int_equal(notes.n, 0);
	assert_true(transcript_step(&transcript, due) == CLOCK_NEVER);
	assert_int_equal(notes.n, 1);
	assert_int_equal(notes.last_n, 4);
	assert_true(notes.at == 100 * MS);
	/* also when nobody looked in time */
	take(false, "e", 1000);
	take(false, "f", 2000);
	assert_int_equal(notes.n, 2);
	assert_int_equal(notes.last_n, 1);
}

static void a_slow_line_is_given_time(void **state)
{
	(void)state;
	const struct plan_line slow = {300, 7, 'E', 1};
	transcript_line(&transcript, &slow);
	for (int i = 0; i < 5; i++) {
		take(false, "x", 34 * i);
		assert_true(transcript_step(&transcript, 34 * i * MS + 30 * MS) != CLOCK_NEVER);
	}
	assert_int_equal(notes.n, 0);
	transcript_flush(&transcript);
	assert_int_equal(notes.last_n, 5);
	transcript_flush(&transcript);
	assert_int_equal(notes.n, 1);
}

static void what_was_sent_is_apart(void **state)
{
	(void)state;
	take(true, "ask", 5);
	take(false, "answer", 6);
	assert_int_equal(notes.n, 1);
	assert_true(notes.sent);
	transcript_flush(&transcript);
	assert_int_equal(notes.n, 2);
	assert_false(notes.sent);
	assert_memory_equal(notes.all, "askanswer", 9);
}

static void what_never_is_silent_is_shown_all_the_same(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		take(false, "x", i);
		transcript_step(&transcript, i * MS);
	}
	assert_true(notes.n >= 3);
	uint8_t many[3000];
	memset(many, 'y', sizeof(many));
	unsigned before = notes.n;
	transcript_take(&transcript, false, many, sizeof(many), 1001 * MS);
	assert_true(notes.n >= before + 2);
}

static void nothing_gets_lost(void **state)
{
	(void)state;
	uint8_t given[20000];
	size_t n = 0;
	int64_t now = 0;
	srand(7);
	while (n + 600 < sizeof(given)) {
		size_t part = 1 + (size_t)rand() % 500;
		for (size_t i = 0; i < part; i++)
			given[n + i] = (uint8_t)rand();
		transcript_take(&transcript, rand() % 5 == 0, given + n, part, now);
		n += part;
		now += rand() % 60 * MS;
		if (rand() % 2)
			transcript_step(&transcript, now);
	}
	transcript_flush(&transcript);
	assert_int_equal(notes.n_all, n);
	assert_memory_equal(notes.all, given, n);
}

static void rows(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
		bool text;
		size_t row;
	} cases[] = {
		{"T=21.5\r\nH=40\r\n", 14, true, 8},
		{"T=21.5\nH=40\n", 12, true, 7},
		{"T=21.5\rH=40\r", 12, true, 7},
		{"T=21.5", 6, true, 6},
		{"0123456789abcde\r\n", 17, true, 16}, /* the pair does not fit any more */
		{"0123456789abcdefgh\r\n", 20, true, 16},
		{"\x42\x4d\r\n\x00\x1c", 6, false, 6},
		{"0123456789abcdefgh", 18, false, 16},
		{"\n", 1, true, 1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
			transcript_row((const uint8_t *)cases[i].bytes, cases[i].n, cases[i].text), cases[i].row);
	assert_true(transcript_is_text((const uint8_t *)"T=21.5\r\n", 8));
	assert_false(transcript_is_text((const uint8_t *)"\x42\x4d\x00\x1c\x00\x00", 6));
	assert_false(transcript_is_text(NULL, 0));
	char hex[TRANSCRIPT_HEX_SIZE], text[TRANSCRIPT_TEXT_SIZE];
	transcript_hex((const uint8_t *)"\x00\xffM", 3, hex);
	assert_string_equal(hex, "00 FF 4D");
	transcript_text((const uint8_t *)"\x00\x1bM\x7f\xc3", 5, text); /* nothing that steers a terminal */
	assert_string_equal(text, "..M..");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup(silence_ends_a_chunk, begin),
		cmocka_unit_test_setup(a_slow_line_is_given_time, begin),
		cmocka_unit_test_setup(what_was_sent_is_apart, begin),
		cmocka_unit_test_setup(what_never_is_silent_is_shown_all_the_same, begin),
		cmocka_unit_test_setup(nothing_gets_lost, begin), cmocka_unit_test(rows)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
