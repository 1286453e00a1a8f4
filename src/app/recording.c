/*
 * Recordings, see recording.h.
 *
 * Why hexadecimal digits for text too: a recording has to say what came, with the noise, and a stray byte in a text of
 * its own would need rules of quoting that nobody remembers.  What is printable stands behind the bytes, as a comment.
 *
 * Why chunks and times are kept: a driver must find the same messages however their bytes fall apart, and a message
 * that ends by silence ends nowhere else.
 *
 * Invariant: a file that was written here is read here without a fault, and gives the same bytes in the same order.
 */
#include "app/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HEAD       "# busferry recording"
#define VERSION    "1"
#define ROW        ((size_t)32)           /* bytes in a written line: the frame of most sensors is one */
#define TIME_MAX   INT64_C(1000000000000) /* ms: thirty years */
#define FAULTS_MAX 20

struct recording {
	FILE *to;
	int failure;
};

/* What is being read. */
struct reader {
	const char *path;
	struct arena *arena;
	struct faults *faults;
	struct recording_chunk *chunks;
	size_t n, size;
	int64_t last_ms;
	uint32_t line;
	uint8_t bytes[RECORDING_CHUNK_MAX];
};

static void fault(struct reader *reader, size_t column, size_t width, const char *hint, const char *what)
{
	struct place_in_map at = {.file = reader->path,
		.line = reader->line,
		.column = (uint16_t)(column < UINT16_MAX ? column + 1 : UINT16_MAX),
		.width = (uint16_t)(width < UINT16_MAX ? width : UINT16_MAX)};
	faults_add(reader->faults, FAULT_ERROR, &at, hint, "%s", what);
}

/* How long the file is that was opened; -errno. */
static int64_t size_of(int fd)
{
	struct stat about;
	if (fstat(fd, &about) < 0)
		return -errno;
	if (!S_ISREG(about.st_mode))
		return S_ISDIR(about.st_mode) ? -EISDIR : -EINVAL;
	return (size_t)about.st_size > RECORDING_SIZE_MAX ? -EFBIG : about.st_size;
}

/* All of it, into room for `size` bytes.  How many there were, or -errno. */
static int64_t read_all(int fd, char *text, size_t size)
{
	size_t n = 0;
	while (n < size) {
		ssize_t got = read(fd, text + n, size - n);
		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			return -errno;
		n += got > 0 ? (size_t)got : 0;
	}
	return (int64_t)n;
}

/* The whole file, with a NUL behind it, on the heap; NULL and *ret_failure. */
static char *slurp(const char *path, size_t *ret_n, int *ret_failure)
{
	/* a FIFO without a writer would hold up whoever opens it */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int64_t size = fd < 0 ? -errno : size_of(fd), n = size;
	char *text = size < 0 ? NULL : malloc((size_t)size + 1);
	if (text)
		n = read_all(fd, text, (size_t)size);
	else if (size >= 0)
		n = -ENOMEM;
	if (fd >= 0)
		close(fd);
	if (!text || n < 0) {
		free(text);
		*ret_failure = (int)n;
		return NULL;
	}
	text[n] = '\0';
	*ret_n = (size_t)n;
	return text;
}

static void keep(struct reader *reader, bool sent, size_t n)
{
	if (reader->n == reader->size) {
		reader->size = reader->size ? reader->size * 2 : 64;
		struct recording_chunk *more = arena_array(reader->arena, reader->size, sizeof(*more));
		if (reader->n)
			memcpy(more, reader->chunks, reader->n * sizeof(*more));
		reader->chunks = more;
	}
	uint8_t *bytes = arena_alloc(reader->arena, n);
	memcpy(bytes, reader->bytes, n);
	reader->chunks[reader->n++] =
		(struct recording_chunk){.sent = sent, .at_ms = reader->last_ms, .bytes = {bytes, n}};
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The bytes of a chunk, from that column of the line.  0 when there are none, which was told. */
static size_t read_bytes(struct reader *reader, const char *line, size_t column)
{
	const char *text = line + column;
	size_t wrong = strspn(text, "0123456789abcdefABCDEF \t");
	int n = bf_bytes_parse(text, reader->bytes, sizeof(reader->bytes));
	if (n > 0)
		return (size_t)n;
	if (text[wrong])
		fault(reader, column + wrong, 1, NULL, "bytes are pairs of hexadecimal digits: \"42 4D\"");
	else if (n == -ENOSPC)
		fault(reader, column, 1, "make two lines of it", "more than 16384 bytes in one chunk");
	else if (n == 0)
		fault(reader, column ? column - 1 : 0, 1, NULL, "no bytes in this chunk");
	else
		fault(reader, column, strlen(text), NULL,
			"a byte is a pair of hexadecimal digits; one here stands alone");
	return 0;
}

/* "1204 < 42 4D", without its comment and the blanks at its end. */
static void read_chunk(struct reader *reader, const char *line)
{
	size_t column = strspn(line, " \t"), digits = strspn(line + column, "0123456789");
	size_t arrow = column + digits + strspn(line + column + digits, " \t");
	if (line[arrow] != '<' && line[arrow] != '>') {
		bool bytes_alone = is_hex(line[column]) &&
				   strspn(line + column, "0123456789abcdefABCDEF \t") == strlen(line + column);
		fault(reader, bytes_alone ? column : arrow, 1, NULL,
			"write milliseconds, < for bytes that came or > for bytes that were sent, and the bytes: "
			"\"1204 < 42 4D\"");
		return;
	}
	if (digits) {
		errno = 0;
		long long at = strtoll(line + column, NULL, 10);
		if (errno || at > TIME_MAX) {
			fault(reader, column, digits, NULL, "this is no time in milliseconds since the start");
			return;
		}
		if (at < reader->last_ms) {
			fault(reader, column, digits, "leave the number out: then it is as before",
				"this is earlier than the chunk before");
			return;
		}
		reader->last_ms = at;
	}
	size_t n = read_bytes(reader, line, arrow + 1);
	if (n)
		keep(reader, line[arrow] == '>', n);
}

static bool is_head(struct reader *reader, const char *line)
{
	size_t n = strlen(HEAD);
	if (strncmp(line, HEAD " ", n + 1) != 0) {
		fault(reader, 0, 1, "a recording begins with the line \"" HEAD " " VERSION "\"",
			"this is no recording");
		return false;
	}
	const char *version = line + n + strspn(line + n, " ");
	if (strcmp(version, VERSION) == 0)
		return true;
	fault(reader, (size_t)(version - line), strlen(version), NULL,
		"a recording of a version that this busferry does not know");
	return false;
}

/* Cuts a comment and the blanks before it off, and makes tabs blanks, so that columns stay.  A text editor of another
 * system may have left "\r\n". */
static void trim(char *line, bool comment)
{
	size_t n = comment ? strcspn(line, "#") : strlen(line);
	while (n && strchr(" \t\r", line[n - 1]))
		n--;
	line[n] = '\0';
	for (char *tab = line; (tab = strchr(tab, '\t')) != NULL;)
		*tab = ' ';
}

/* One line, with a NUL at its end.  False when the rest is not worth reading. */
static bool read_line(struct reader *reader, char *line, size_t n)
{
	bool head = ++reader->line == 1;
	size_t whole = strlen(line);
	if (reader->line > RECORDING_LINES_MAX) {
		fault(reader, 0, 1, NULL, "more than 200000 lines");
		return false;
	}
	trim(line, !head);
	if (head)
		return is_head(reader, line);
	if (whole < n)
		fault(reader, whole, 1, NULL, "a zero byte in a text");
	else if (line[0])
		read_chunk(reader, line);
	return true;
}

static int read_text(struct reader *reader, char *text, size_t n)
{
	size_t before = reader->faults->n_errors;
	bool on = true;
	for (char *line = text, *last = text + n; on && line <= last;) {
		char *end = memchr(line, '\n', (size_t)(last - line));
		if (!end)
			end = last;
		*end = '\0';
		on = read_line(reader, line, (size_t)(end - line)) && reader->faults->n_errors < before + FAULTS_MAX;
		line = end + 1;
	}
	return reader->faults->n_errors == before ? 0 : -EINVAL;
}

int recording_read(const char *path, struct arena *arena, struct faults *faults,
	const struct recording_chunk **ret_chunks, size_t *ret_n)
{
	struct reader reader = {.path = path, .arena = arena, .faults = faults};
	size_t n = 0;
	int rc = 0;
	char *text = slurp(path, &n, &rc);
	if (!text)
		return rc;
	rc = read_text(&reader, text, n);
	free(text);
	if (rc < 0)
		return rc;
	*ret_chunks = reader.chunks;
	*ret_n = reader.n;
	return 0;
}

int recording_create(const char *path, const char *port, const char *line, int64_t wall_ms, struct recording **ret)
{
	struct recording *recording = calloc(1, sizeof(*recording));
	if (!recording)
		return -ENOMEM;
	recording->to = fopen(path, "wxe");
	if (!recording->to) {
		int failure = -errno;
		free(recording);
		return failure;
	}
	char when[32] = "?";
	time_t at = (time_t)(wall_ms / 1000);
	struct tm utc;
	if (gmtime_r(&at, &utc))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
	fprintf(recording->to, HEAD " " VERSION "\n");
	if (line)
		fprintf(recording->to, "# line: %s\n", line);
	fprintf(recording->to, "# port: %s\n# started: %s\n", port, when);
	*ret = recording;
	return 0;
}

static void write_row(FILE *to, bool sent, int64_t at_ms, const uint8_t *bytes, size_t n)
{
	fprintf(to, "%" PRId64 " %c", at_ms, sent ? '>' : '<');
	for (size_t i = 0; i < n; i++)
		fprintf(to, " %02X", bytes[i]);
	fputs("  # ", to);
	for (size_t i = 0; i < n; i++)
		fputc(bytes[i] >= ' ' && bytes[i] < 0x7f ? bytes[i] : '.', to);
	fputc('\n', to);
}

static int settle(struct recording *recording)
{
	if (recording->failure == 0 && fflush(recording->to) != 0)
		recording->failure = -errno;
	return recording->failure;
}

int recording_line(struct recording *recording, int64_t at_ms, const char *line)
{
	if (recording->failure == 0)
		fprintf(recording->to, "# %" PRId64 " line: %s\n", at_ms, line);
	return settle(recording);
}

int recording_add(struct recording *recording, bool sent, int64_t at_ms, const uint8_t *bytes, size_t n)
{
	for (size_t at = 0; recording->failure == 0 && at < n; at += ROW)
		write_row(recording->to, sent, at_ms, bytes + at, n - at < ROW ? n - at : ROW);
	return settle(recording);
}

int recording_close(struct recording *recording)
{
	if (!recording)
		return 0;
	int failure = recording->failure;
	if (fclose(recording->to) != 0 && failure == 0)
		failure = -errno;
	free(recording);
	return failure;
}
