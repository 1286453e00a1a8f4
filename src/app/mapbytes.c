/*
 * The bytes of a map: read from its file, checked, and mended where the raw-text pass found a fault.  See maptext.h.
 *
 * Mending is a list of edits that is applied once, at the end, so that all places that are told are those of the file.
 *
 * Invariant: an edit never changes how many lines there are.
 */
#include "app/maptext.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX ((size_t)32 * 1024 * 1024)

struct maptext_edit {
	size_t at, n;
	const char *by;
	size_t nth;
};

void maptext_edit(struct maptext *map, size_t at, size_t n, const char *by)
{
	map->repaired = true;
	if (map->n_within) /* which libconfig reads by itself */
		map->broken = true;
	if (map->n_edits == map->edits_size) {
		size_t size = map->edits_size ? map->edits_size * 2 : 16;
		struct maptext_edit *edits = arena_array(&map->scratch, size, sizeof(*edits));
		if (map->n_edits)
			memcpy(edits, map->edits, map->n_edits * sizeof(*edits));
		map->edits = edits;
		map->edits_size = size;
	}
	map->edits[map->n_edits] = (struct maptext_edit){at, n, by, map->n_edits};
	map->n_edits++;
}

void maptext_unedit(struct maptext *map, size_t from)
{
	while (map->n_edits && map->edits[map->n_edits - 1].at >= from)
		map->n_edits--;
}

static int by_place(const void *a, const void *b)
{
	const struct maptext_edit *x = a, *y = b;
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->nth < y->nth ? -1 : 1;
}

const char *maptext_mend(struct maptext *map, const char *text, size_t n)
{
	if (map->n_edits == 0)
		return text;
	qsort(map->edits, map->n_edits, sizeof(*map->edits), by_place);
	const struct maptext_edit *edits = map->edits;
	size_t size = n + 1;
	for (size_t i = 0; i < map->n_edits; i++)
		size += strlen(edits[i].by);
	char *mended = arena_alloc(&map->scratch, size);
	size_t at = 0, to = 0;
	for (size_t i = 0; i < map->n_edits; i++) {
		const struct maptext_edit *edit = &edits[i];
		const struct maptext_edit *next = i + 1 < map->n_edits ? edit + 1 : NULL;
		bool again = next && next->at == edit->at && next->n && edit->n; /* the later word counts */
		if (edit->at < at || again)
			continue;
		memcpy(mended + to, text + at, edit->at - at);
		to += edit->at - at;
		size_t by = strlen(edit->by);
		memcpy(mended + to, edit->by, by);
		to += by;
		for (at = edit->at; at < edit->at + edit->n; at++)
			if (text[at] == '\n')
				mended[to++] = '\n';
	}
	memcpy(mended + to, text + at, n - at);
	return mended;
}

void maptext_check_bytes(struct maptext *map, const char *file, const char *text, size_t n)
{
	struct place_in_map at = {file, 1, 1, 1};
	for (size_t i = 0; i < n;) {
		size_t length = utf8_length(text + i, n - i);
		if (length == 0 || text[i] == '\0') {
			maptext_fault(map, &at, length ? NULL : "save the file as UTF-8",
				length ? "a zero byte in the file" : "the byte 0x%02X is not UTF-8",
				(unsigned char)text[i]);
			map->broken = true;
			return;
		}
		if (at.column < UINT16_MAX)
			at.column++;
		if (text[i] == '\n') {
			at.line++;
			at.column = 1;
		}
		i += length;
	}
}

int maptext_load(const char *file, struct arena *arena, const char **ret_text, size_t *ret_n)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t size = 0, n = 0;
	char *text = NULL;
	struct stat status;
	int err = fstat(fd, &status) < 0 ? -errno : S_ISDIR(status.st_mode) ? -EISDIR : 0;
	if (err == 0 && status.st_size > (off_t)FILE_MAX)
		err = -EFBIG; /* before it is asked for in memory */
	while (err == 0) {
		if (n == size) {
			size = size ? size * 2 : (size_t)status.st_size + 4096;
			char *more = arena_alloc(arena, size + 1);
			if (n)
				memcpy(more, text, n);
			text = more;
		}
		ssize_t got = read(fd, text + n, size - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			err = -errno;
		if (got <= 0)
			break;
		n += (size_t)got;
		if (n > FILE_MAX)
			err = -EFBIG;
	}
	close(fd);
	if (err != 0)
		return err;
	text[n] = '\0';
	*ret_text = text;
	*ret_n = n;
	return 0;
}
