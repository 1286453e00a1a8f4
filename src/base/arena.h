/*
 * Memory that is given out piece by piece and freed as a whole: the plan lives in one.  Blocks come straight from
 * mmap, so that freeing a big map gives the memory back to the system.  One owner thread while it grows.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks; /* zero-initialised is an empty arena */
	size_t used;
};

/* Zeroed memory, aligned for any type; never NULL: a program that can't hold its own map ends with a message. */
void *arena_alloc(struct arena *arena, size_t size);

/* n copies of a size, with the product checked. */
void *arena_array(struct arena *arena, size_t n, size_t size);

char *arena_text(struct arena *arena, const char *text);
char *arena_text_n(struct arena *arena, const char *text, size_t n);
char *arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Frees what was allocated since the mark was taken. */
struct arena_mark {
	struct arena_block *block;
	size_t block_used, used;
};
struct arena_mark arena_mark(const struct arena *arena);
void arena_release(struct arena *arena, struct arena_mark mark);

void arena_free(struct arena *arena);

#endif
