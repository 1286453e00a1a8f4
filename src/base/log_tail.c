/*
 * A ring of log lines.  See log_tail.h.
 *
 * Why no lock: a line must not wait for who reads, nor for another line.  Each place has a count that is odd while it
 * is written, as on the board (ship/board.c); who finds a place odd has been lapped by sixteen lines while its own was
 * made, and keeps it to itself.
 *
 * Invariant: text whose count was even and the same before and after it was read is one whole line.
 */
#include "base/log_tail.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORDS (LOG_TAIL_BYTES / sizeof(uint64_t))

struct tail_place {
	_Atomic uint64_t count; /* 2 × the number of the line, from 1 on; odd while it is written; 0 = never */
	_Atomic uint64_t what;  /* time and level */
	_Atomic uint64_t words[WORDS];
};

struct tail {
	_Atomic uint64_t n; /* lines so far */
	struct tail_place places[LOG_TAIL_LINES];
};

static _Atomic(struct tail *) kept;

int log_tail_keep(void)
{
	if (atomic_load(&kept))
		return 0;
	struct tail *tail = calloc(1, sizeof(*tail));
	if (!tail)
		return -ENOMEM;
	atomic_store(&kept, tail);
	return 0;
}

/* Where a text of n bytes is cut: not within a character. */
static size_t cut(const char *text, size_t n)
{
	if (n < LOG_TAIL_BYTES)
		return n;
	n = LOG_TAIL_BYTES - 1;
	while (n && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	return n;
}

void log_tail_note(enum log_level level, const char *text, size_t n)
{
	struct tail *tail = atomic_load_explicit(&kept, memory_order_acquire);
	if (!tail)
		return;
	uint64_t number = atomic_fetch_add_explicit(&tail->n, 1, memory_order_relaxed) + 1;
	struct tail_place *place = &tail->places[number % LOG_TAIL_LINES];
	uint64_t count = atomic_load_explicit(&place->count, memory_order_relaxed);
	if (count % 2 || count > 2 * number || !atomic_compare_exchange_strong(&place->count, &count, 2 * number - 1))
		return;
	char line[LOG_TAIL_BYTES] = "";
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	memcpy(line, text, cut(text, n));
	uint64_t time_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	atomic_store_explicit(&place->what, time_ms << 3 | (uint64_t)level, memory_order_release);
	for (size_t i = 0; i < WORDS; i++) {
		uint64_t word;
		memcpy(&word, line + i * sizeof(word), sizeof(word));
		atomic_store_explicit(&place->words[i], word, memory_order_release);
	}
	atomic_store_explicit(&place->count, 2 * number, memory_order_release);
}

/* False when it is not there (any more), or just being written. */
static bool read_line(struct tail_place *place, uint64_t number, struct log_tail_line *ret_line)
{
	if (atomic_load_explicit(&place->count, memory_order_acquire) != 2 * number)
		return false;
	uint64_t what = atomic_load_explicit(&place->what, memory_order_acquire);
	for (size_t i = 0; i < WORDS; i++) {
		uint64_t word = atomic_load_explicit(&place->words[i], memory_order_acquire);
		memcpy(ret_line->text + i * sizeof(word), &word, sizeof(word));
	}
	ret_line->level = (enum log_level)(what & 7);
	ret_line->time_ms = (int64_t)(what >> 3);
	return atomic_load_explicit(&place->count, memory_order_relaxed) == 2 * number;
}

size_t log_tail_read(struct log_tail_line ret_lines[static LOG_TAIL_LINES])
{
	struct tail *tail = atomic_load_explicit(&kept, memory_order_acquire);
	size_t n = 0;
	if (!tail)
		return 0;
	uint64_t newest = atomic_load_explicit(&tail->n, memory_order_relaxed);
	for (uint64_t i = 0; i < LOG_TAIL_LINES && i < newest; i++)
		n += read_line(&tail->places[(newest - i) % LOG_TAIL_LINES], newest - i, &ret_lines[n]);
	return n;
}
