/*
 * Where the newest readings hang for everyone to see.  See board.h.
 *
 * Why no lock: wires must not wait for somebody who looks.  Each place has a count that is odd while it is written; who
 * has read it copies the words and takes them only if the count is even and has not moved.  Words are stored with
 * release and loaded with acquire, so a word of a later writing brings the odd count of that writing with it.
 *
 * A point carries the number of its ten seconds beside its value in one word, so one that was not overwritten in time
 * is known to be old.
 *
 * Invariant: a place is written by the thread of its metric's bus only.
 */
#include "ship/board.h"
#include "model/bits.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum word { WORD_VALUE, WORD_TIME, WORD_AT, WORD_WHAT, WORDS };

struct place {
	_Atomic uint32_t count; /* of beginnings and ends of writing; 0 = never written */
	uint16_t n_texts;       /* words of a text */
	_Atomic uint64_t words[WORDS];
	_Atomic uint64_t *texts;
	_Atomic uint64_t *points;
};

struct board {
	struct report_tap tap;
	struct place *places;
	size_t n;
	struct arena arena;
};

#define WHAT(reading, text_n)                                                                                          \
	((uint64_t)(reading)->value.kind | (uint64_t)(reading)->quality << 8 | (uint64_t)(reading)->code << 16 |       \
		(uint64_t)(text_n) << 24)

static void write_text(struct place *place, const char *text, size_t n)
{
	for (size_t at = 0; at < n; at += sizeof(uint64_t)) {
		uint64_t word = 0;
		memcpy(&word, text + at, n - at < sizeof(word) ? n - at : sizeof(word));
		atomic_store_explicit(&place->texts[at / sizeof(word)], word, memory_order_release);
	}
}

static void write_point(struct place *place, const struct bf_value *value, int64_t now_us)
{
	if (!place->points || value->kind == BF_NONE || value->kind == BF_TEXT)
		return;
	float number = (float)bf_value_number(value);
	uint64_t nth = (uint64_t)(now_us / BOARD_POINT_US);
	uint32_t low;
	memcpy(&low, &number, sizeof(low));
	atomic_store_explicit(&place->points[nth % BOARD_POINTS], nth << 32 | low, memory_order_relaxed);
}

static void take(struct report_tap *tap, const struct reading *reading, int64_t now_us, bool told)
{
	(void)told;
	struct board *board = (struct board *)(void *)((char *)tap - offsetof(struct board, tap));
	struct place *place = &board->places[reading->metric];
	bool is_text = reading->value.kind == BF_TEXT;
	size_t n = is_text ? reading->value.text.n : 0;
	if (n > place->n_texts * sizeof(uint64_t))
		n = place->n_texts * sizeof(uint64_t);
	uint32_t count = atomic_load_explicit(&place->count, memory_order_relaxed);
	atomic_store_explicit(&place->count, count + 1, memory_order_relaxed);
	uint64_t bits = is_text ? 0 : bits_of(&reading->value);
	const uint64_t words[WORDS] = {bits, (uint64_t)reading->time_ms, (uint64_t)now_us, WHAT(reading, n)};
	for (size_t i = 0; i < WORDS; i++)
		atomic_store_explicit(&place->words[i], words[i], memory_order_release);
	write_text(place, reading->value.text.at, n);
	count = count + 2 ? count + 2 : 2; /* 0 means never */
	atomic_store_explicit(&place->count, count, memory_order_release);
	write_point(place, &reading->value, now_us);
}

int board_init(const struct plan *plan, bool points, struct board **ret_board)
{
	struct board *board = calloc(1, sizeof(*board));
	if (!board)
		return -ENOMEM;
	board->tap.judged = take;
	board->n = plan->n_metrics;
	board->places = arena_array(&board->arena, board->n, sizeof(*board->places));
	for (size_t i = 0; i < board->n; i++) {
		struct place *place = &board->places[i];
		const struct bf_shape *shape = &plan->metrics[i].shape;
		if (shape->type == BF_TYPE_STRING) {
			place->n_texts = (uint16_t)((BF_STRING_MAX + sizeof(uint64_t) - 1) / sizeof(uint64_t));
			place->texts = arena_array(&board->arena, place->n_texts, sizeof(*place->texts));
		} else if (points) {
			place->points = arena_array(&board->arena, BOARD_POINTS, sizeof(*place->points));
		}
	}
	*ret_board = board;
	return 0;
}

void board_destroy(struct board *board)
{
	if (!board)
		return;
	arena_free(&board->arena);
	free(board);
}

struct report_tap *board_tap(struct board *board)
{
	return &board->tap;
}

static void copy(_Atomic uint64_t *to, _Atomic uint64_t *from, size_t n)
{
	for (size_t i = 0; to && from && i < n; i++)
		atomic_store_explicit(
			&to[i], atomic_load_explicit(&from[i], memory_order_relaxed), memory_order_relaxed);
}

void board_carry(struct board *board, uint32_t metric, const struct board *from, uint32_t from_metric)
{
	struct place *to = &board->places[metric], *of = &from->places[from_metric];
	copy(to->words, of->words, WORDS);
	copy(to->texts, of->texts, to->n_texts < of->n_texts ? to->n_texts : of->n_texts);
	copy(to->points, of->points, BOARD_POINTS);
	atomic_store(&to->count, atomic_load(&of->count));
}

/* One look.  False when it met a writer. */
static bool look(const struct place *place, uint32_t count, uint64_t words[static WORDS], char *text)
{
	for (size_t i = 0; i < WORDS; i++)
		words[i] = atomic_load_explicit(&place->words[i], memory_order_acquire);
	size_t n = (size_t)(words[WORD_WHAT] >> 24);
	if (n > BF_STRING_MAX || n > place->n_texts * sizeof(uint64_t))
		return false;
	for (size_t at = 0; at < n; at += sizeof(uint64_t)) {
		uint64_t word = atomic_load_explicit(&place->texts[at / sizeof(word)], memory_order_acquire);
		memcpy(text + at, &word, n - at < sizeof(word) ? n - at : sizeof(word));
	}
	text[n] = '\0';
	return atomic_load_explicit(&place->count, memory_order_relaxed) == count;
}

bool board_look(const struct board *board, uint32_t metric, char text[static BF_STRING_MAX + 1],
	struct reading *ret_reading, int64_t *ret_at_us)
{
	const struct place *place = &board->places[metric];
	uint64_t words[WORDS];
	uint32_t count;
	do {
		count = atomic_load_explicit(&place->count, memory_order_acquire);
		if (count == 0)
			return false;
	} while (count % 2 || !look(place, count, words, text));
	enum bf_kind kind = (enum bf_kind)(words[WORD_WHAT] & 0xff);
	*ret_reading = (struct reading){
		.metric = metric,
		.quality = (enum quality)(words[WORD_WHAT] >> 8 & 0xff),
		.code = (uint8_t)(words[WORD_WHAT] >> 16 & 0xff),
		.value = bits_value(kind, words[WORD_VALUE]),
		.time_ms = (int64_t)words[WORD_TIME],
	};
	if (kind == BF_TEXT) {
		ret_reading->value.text.at = text;
		ret_reading->value.text.n = (size_t)(words[WORD_WHAT] >> 24);
	}
	*ret_at_us = (int64_t)words[WORD_AT];
	return true;
}

void board_points(const struct board *board, uint32_t metric, int64_t now_us, float ret_points[static BOARD_POINTS])
{
	const struct place *place = &board->places[metric];
	uint64_t last = (uint64_t)(now_us / BOARD_POINT_US);
	for (uint64_t i = 0; i < BOARD_POINTS; i++) {
		uint64_t nth = last - (BOARD_POINTS - 1) + i;
		uint64_t point = 0;
		if (place->points)
			point = atomic_load_explicit(&place->points[nth % BOARD_POINTS], memory_order_relaxed);
		uint32_t low = (uint32_t)point;
		ret_points[i] = NAN;
		if (point && point >> 32 == (nth & UINT32_MAX))
			memcpy(&ret_points[i], &low, sizeof(low));
	}
}
