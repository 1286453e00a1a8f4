/*
 * A bump allocator over mmap'd blocks.
 *
 * Invariant: `blocks` heads a list, only its head has room left.  A block is at least ARENA_BLOCK bytes; a piece larger
 * than that gets a block of its own size.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA_BLOCK ((size_t)64 * 1024)
#define ARENA_ALIGN _Alignof(max_align_t)

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	_Alignas(max_align_t) unsigned char bytes[];
};

static void arena_out_of_memory(void)
{
	fputs("busferry: error: out of memory\n", stderr);
	abort();
}

void *arena_alloc(struct arena *arena, size_t size)
{
	if (size > SIZE_MAX / 2)
		arena_out_of_memory();
	size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	struct arena_block *block = arena->blocks;
	if (!block || block->size - block->used < size) {
		size_t whole = sizeof(*block) + size;
		if (whole < ARENA_BLOCK)
			whole = ARENA_BLOCK;
		block = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (block == MAP_FAILED)
			arena_out_of_memory();
		block->size = whole - sizeof(*block);
		block->used = 0;
		block->next = arena->blocks;
		arena->blocks = block;
	}
	void *piece = block->bytes + block->used;
	block->used += size;
	arena->used += size;
	return piece;
}

void *arena_array(struct arena *arena, size_t n, size_t size)
{
	size_t whole;
	if (__builtin_mul_overflow(n, size, &whole))
		arena_out_of_memory();
	return arena_alloc(arena, whole);
}

char *arena_text_n(struct arena *arena, const char *text, size_t n)
{
	char *copy = arena_alloc(arena, n + 1);
	memcpy(copy, text, n);
	return copy;
}

char *arena_text(struct arena *arena, const char *text)
{
	return arena_text_n(arena, text, strlen(text));
}

char *arena_format(struct arena *arena, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		arena_out_of_memory();
	char *text = arena_alloc(arena, (size_t)n + 1);
	vsnprintf(text, (size_t)n + 1, format, again);
	va_end(again);
	return text;
}

struct arena_mark arena_mark(const struct arena *arena)
{
	return (struct arena_mark){arena->blocks, arena->blocks ? arena->blocks->used : 0, arena->used};
}

void arena_release(struct arena *arena, struct arena_mark mark)
{
	while (arena->blocks != mark.block) {
		struct arena_block *next = arena->blocks->next;
		munmap(arena->blocks, arena->blocks->size + sizeof(*next));
		arena->blocks = next;
	}
	if (mark.block) { /* what is given out is zeroed */
		memset(mark.block->bytes + mark.block_used, 0, mark.block->used - mark.block_used);
		mark.block->used = mark.block_used;
	}
	arena->used = mark.used;
}

void arena_free(struct arena *arena)
{
	struct arena_block *block = arena->blocks;
	while (block) {
		struct arena_block *next = block->next;
		munmap(block, block->size + sizeof(*block));
		block = next;
	}
	*arena = (struct arena){0};
}
