/*
 * Notes of what is acknowledged.  See acked.h.
 *
 * The file is a ring of lines of 64 bytes.  A line is a block of 416 neighbouring sequences, a bit for each, under a
 * CRC-32 that is mixed with the number of the journal's opening: a line that is torn, of an older opening or of another
 * journal does not count.  Nothing is ever removed: the oldest line makes way for a new one, long after the deletions
 * of what it holds are committed.
 *
 * Why write() and no mapped memory: to write to a mapped page can end in SIGBUS on a disk that fails, locked in memory
 * or not, since the file system is asked for each page anew when it was clean; a write() returns an error.  It is not
 * one for each note but one for all that came in a turn of the publisher, before anything new leaves: so what is noted
 * and not written is, with what is in flight, no more than its window.  It goes to the page cache, nothing is ever
 * synced.
 *
 * Why bits and no spans: what waits on disk has gaps (newer ones of a topic, other QoS), and QoS 1 and 2 side by side
 * are acknowledged in another order than they were sent.
 */
#include "ship/acked.h"
#include "base/log.h"
#include "sdk/check.h"
#include "ship/journal.h"
#include "ship/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_LINES   1024
#define LINE_BITS 416 /* sequences of a block */
#define LINE_WORD 32
#define N_HINTS   8
#define N_DIRTY   8

struct line {
	uint64_t block; /* its sequences begin at block * LINE_BITS */
	uint32_t bits[LINE_BITS / LINE_WORD];
	uint32_t crc;
};

_Static_assert(sizeof(struct line) == 64, "lines lie in the file as they are");

struct acked {
	int fd;
	bool fails; /* the last line could not be written: it is tried again in each turn */
	_Atomic uint64_t opening;
	uint64_t noted_opening; /* that of the notes at hand */
	struct line lines[N_LINES];
	size_t n_lines, oldest;
	uint16_t hints[N_HINTS]; /* where the line of a block was last */
	uint16_t dirty[N_DIRTY];
	size_t n_dirty;
};

static uint32_t crc_of(const struct line *line, uint64_t opening)
{
	uint32_t crc = bf_crc32(0, (const uint8_t *)&opening, sizeof(opening));
	return bf_crc32(crc, (const uint8_t *)line, offsetof(struct line, crc));
}

static int open_beside(const char *journal_path, int flags)
{
	char path[JOURNAL_PATH_BYTES + 8];
	struct stat st;
	snprintf(path, sizeof(path), "%s-acks", journal_path);
	int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EEXIST;
}

int acked_open(const char *journal_path, uint64_t opening, struct acked **ret_acked)
{
	struct acked *acked = calloc(1, sizeof(*acked));
	if (!acked)
		return -ENOMEM;
	acked->opening = acked->noted_opening = opening;
	acked->fd = open_beside(journal_path, O_RDWR | O_CREAT);
	int error = acked->fd < 0 ? acked->fd : -posix_fallocate(acked->fd, 0, sizeof(acked->lines));
	if (error) {
		acked_close(acked);
		return error;
	}
	*ret_acked = acked;
	return 0;
}

void acked_close(struct acked *acked)
{
	if (!acked)
		return;
	if (acked->fd >= 0)
		close(acked->fd);
	free(acked);
}

void acked_begin(struct acked *acked, uint64_t opening)
{
	atomic_store_explicit(&acked->opening, opening, memory_order_relaxed);
}

/* The line of the block: the one that it has, or a new one, for which the oldest makes way. */
static size_t line_of(struct acked *acked, uint64_t block)
{
	uint16_t *hint = &acked->hints[block % N_HINTS];
	if (*hint < acked->n_lines && acked->lines[*hint].block == block)
		return *hint;
	size_t at = 0;
	while (at < acked->n_lines && acked->lines[at].block != block)
		at++;
	if (at == N_LINES) {
		at = acked->oldest;
		acked->oldest = (at + 1) % N_LINES;
		acked->lines[at] = (struct line){.block = block};
	} else if (at == acked->n_lines) {
		acked->lines[at] = (struct line){.block = block};
		acked->n_lines++;
	}
	*hint = (uint16_t)at;
	return at;
}

static void mark_dirty(struct acked *acked, size_t at)
{
	for (size_t i = 0; i < acked->n_dirty; i++)
		if (acked->dirty[i] == at)
			return;
	if (acked->n_dirty == N_DIRTY)
		acked_write(acked);
	if (acked->n_dirty == N_DIRTY) /* it can't be written: some of it is then sent again after a kill */
		acked->n_dirty--;
	acked->dirty[acked->n_dirty++] = (uint16_t)at;
}

void acked_note(struct acked *acked, uint64_t sequence)
{
	uint64_t opening = atomic_load_explicit(&acked->opening, memory_order_relaxed);
	if (opening != acked->noted_opening) {
		acked->noted_opening = opening;
		acked->n_lines = acked->oldest = acked->n_dirty = 0;
	}
	size_t at = line_of(acked, sequence / LINE_BITS);
	unsigned bit = (unsigned)(sequence % LINE_BITS);
	acked->lines[at].bits[bit / LINE_WORD] |= 1u << bit % LINE_WORD;
	mark_dirty(acked, at);
}

void acked_write(struct acked *acked)
{
	for (; acked->n_dirty; acked->n_dirty--) {
		size_t at = acked->dirty[acked->n_dirty - 1];
		struct line *line = &acked->lines[at];
		line->crc = crc_of(line, acked->noted_opening);
		ssize_t n = pwrite(acked->fd, line, sizeof(*line), (off_t)(at * sizeof(*line)));
		bool failed = n != (ssize_t)sizeof(*line);
		if (failed && !acked->fails)
			log_debug("buffer: what is acknowledged can't be noted: %s", strerror(n < 0 ? errno : EIO));
		acked->fails = failed;
		if (failed)
			return;
	}
}

static int by_block(const void *a, const void *b)
{
	uint64_t x = ((const struct line *)a)->block, y = ((const struct line *)b)->block;
	return (x > y) - (x < y);
}

/* The sound lines of the file, each block once, in their order.  How many. */
static size_t read_lines(const char *journal_path, uint64_t opening, struct line lines[N_LINES])
{
	size_t n_bytes = 0, n = 0, n_blocks = 0;
	ssize_t more = 1;
	int fd = open_beside(journal_path, O_RDONLY);
	if (fd < 0)
		return 0;
	for (; more > 0; n_bytes += more > 0 ? (size_t)more : 0)
		more = read(fd, (char *)lines + n_bytes, N_LINES * sizeof(*lines) - n_bytes);
	close(fd);
	for (size_t i = 0; i < n_bytes / sizeof(*lines); i++)
		if (lines[i].block < INT64_MAX / LINE_BITS && lines[i].crc == crc_of(&lines[i], opening))
			lines[n++] = lines[i];
	if (n)
		qsort(lines, n, sizeof(*lines), by_block);
	for (size_t i = 0; i < n; i++) {
		struct line *last = n_blocks ? &lines[n_blocks - 1] : NULL;
		if (!last || last->block != lines[i].block)
			lines[n_blocks++] = lines[i];
		else
			for (size_t word = 0; word < LINE_BITS / LINE_WORD; word++)
				last->bits[word] |= lines[i].bits[word];
	}
	return n_blocks;
}

struct spans {
	struct journal_span *at;
	size_t n, size;
};

/* False without memory. */
static bool add(struct spans *spans, uint64_t sequence)
{
	if (spans->n && spans->at[spans->n - 1].last + 1 == sequence) {
		spans->at[spans->n - 1].last = sequence;
		return true;
	}
	if (spans->n == spans->size) {
		size_t size = spans->size ? 2 * spans->size : 64;
		struct journal_span *grown = realloc(spans->at, size * sizeof(*grown));
		if (!grown)
			return false;
		spans->at = grown;
		spans->size = size;
	}
	spans->at[spans->n++] = (struct journal_span){sequence, sequence};
	return true;
}

size_t acked_read(const char *journal_path, uint64_t opening, struct journal_span **ret_spans)
{
	struct spans spans = {0};
	struct line *lines = malloc(N_LINES * sizeof(*lines));
	size_t n = lines ? read_lines(journal_path, opening, lines) : 0;
	bool more = true; /* without memory for all of them some are as true */
	for (size_t i = 0; i < n && more; i++)
		for (unsigned bit = 0; bit < LINE_BITS && more; bit++)
			if (lines[i].bits[bit / LINE_WORD] >> bit % LINE_WORD & 1)
				more = add(&spans, lines[i].block * LINE_BITS + bit);
	free(lines);
	*ret_spans = spans.at;
	return spans.n;
}

bool acked_has(const struct journal_span *spans, size_t n, uint64_t sequence)
{
	size_t at = 0;
	while (n > at) {
		size_t middle = at + (n - at) / 2;
		if (spans[middle].last < sequence)
			at = middle + 1;
		else if (spans[middle].first > sequence)
			n = middle;
		else
			return true;
	}
	return false;
}
