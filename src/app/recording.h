/*
 * Recordings: what came over a serial line, and what was sent to it, as a text that people can read and edit.
 *
 *   # busferry recording 1
 *   # line: 9600 8N1
 *   # port: /dev/ttyUSB0
 *   # started: 2026-01-31T12:00:00Z
 *   0 < 42 4D 00 1C  # BM..
 *   1204 > FF 01 86
 *
 * The first line says what it is.  Behind it each line is a chunk: the milliseconds since the start, never less than
 * before (left out: as before), `<` for bytes that came or `>` for bytes that were sent, and the bytes.  Empty lines
 * and what stands behind a `#` mean nothing.  One owner thread.
 */
#ifndef APP_RECORDING_H
#define APP_RECORDING_H

#include "app/faults.h"
#include "base/arena.h"
#include "sdk/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDING_SIZE_MAX  ((size_t)16 << 20) /* bytes of a file */
#define RECORDING_LINES_MAX ((size_t)200000)
#define RECORDING_CHUNK_MAX ((size_t)16384) /* bytes of one chunk */

struct recording_chunk {
	bool sent;             /* by us; else it came */
	int64_t at_ms;         /* since the start; never less than of the chunk before */
	struct bf_bytes bytes; /* at least one */
};

/*
 * Reads a recording; chunks and bytes live in the arena.  What is wrong in it is added to the faults, at its place.
 * 0; -EINVAL when it has faults, or is no file; -EFBIG when it is too large; -ENOENT, -EACCES, -EISDIR, -EIO … when it
 * can't be read.  Only faults in it are told.
 */
int recording_read(const char *path, struct arena *arena, struct faults *faults,
	const struct recording_chunk **ret_chunks, size_t *ret_n);

/* A recording that is being written. */
struct recording;

/*
 * Makes the file; one that is there already is never overwritten.  line: "9600 8N1", or NULL (none is known).
 * 0; -EEXIST; -ENOENT, -EACCES, -ENOMEM ….
 */
int recording_create(const char *path, const char *port, const char *line, int64_t wall_ms, struct recording **ret);

/* Another chunk, at_ms after the start; long ones are spread over several lines.  Kept whole on disk from now on, as
 * far as the system does.  0; -errno, and nothing more is written. */
int recording_add(struct recording *recording, bool sent, int64_t at_ms, const uint8_t *bytes, size_t n);

/* The line has other settings from here on, which a comment says.  As recording_add. */
int recording_line(struct recording *recording, int64_t at_ms, const char *line);

/* NULL is allowed.  0; -errno of whatever could not be written before. */
int recording_close(struct recording *recording);

#endif
