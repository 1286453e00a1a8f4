/*
 * Salvage: rows out of the pages of a damaged file.
 *
 * Why not by SQL: what is destroyed may be the page that the way to all others begins at, and a search by keys has to
 * guess how far to jump.  A row stands alone (journal_row.h), so every page can be read for itself: as a leaf of a
 * table if it is one, or was one before its first byte was damaged.  The CRC decides.  Only pages on the free list are
 * passed over, as long as that list is sound: what lies there is deleted.
 *
 * The format is that of "Database File Format" at sqlite.org, sections 1.3 (header), 1.5 (free list), 1.6 (leaves,
 * overflow) and 2.1 (records).
 *
 * Invariant: nothing that is read from the file is used as an offset, a count or a page before it has been compared
 * with what there is.
 */
#include "ship/journal_salvage.h"
#include "ship/journal_file.h"
#include "ship/journal_row.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE        JOURNAL_PAGE_BYTES
#define LEAF        13
#define LEAF_HEADER 8
#define TRUNK_MAX   (PAGE / 4 - 2)
#define LOCAL_MAX   (PAGE - 35) /* of a record in its leaf; what is longer overflows */
#define LOCAL_LEAST ((PAGE - 12) * 32 / 255 - 23)
#define OVERFLOW    (PAGE - 4)
#define RECORD_MAX  (MESSAGE_PAYLOAD_MAX + MESSAGE_TOPIC_MAX + 64)
#define N_COLUMNS   6
#define N_PAGES_MAX (1u << 22)

struct leaf {
	int64_t first; /* id of its first sound row */
	uint32_t page;
};

struct salvage {
	int fd;
	uint32_t n_pages, n_named; /* in the file; that it may name: it may have been cut off */
	uint8_t *is_free;          /* by page */
	struct leaf *leaves;
	size_t n_leaves;
	uint8_t page[PAGE], overflow[PAGE];
	uint8_t record[RECORD_MAX];
	char topic[MESSAGE_TOPIC_MAX + 1];
};

static uint32_t number16(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 8 | bytes[1];
}

static uint32_t number32(const uint8_t *bytes)
{
	return number16(bytes) << 16 | number16(bytes + 2);
}

/* Bytes that the number takes; 0 when it does not end before `end`. */
static size_t varint(const uint8_t *bytes, const uint8_t *end, uint64_t *ret_number)
{
	uint64_t number = 0;
	for (size_t i = 0; i < 9 && bytes + i < end; i++) {
		if (i == 8) {
			*ret_number = number << 8 | bytes[i];
			return 9;
		}
		number = number << 7 | (bytes[i] & 0x7f);
		if (!(bytes[i] & 0x80)) {
			*ret_number = number;
			return i + 1;
		}
	}
	return 0;
}

/* Page 1 is the first.  What is beyond the end of the file reads as zeros. */
static bool read_page(const struct salvage *salvage, uint32_t number, uint8_t *page)
{
	memset(page, 0, PAGE);
	return number >= 1 && number <= salvage->n_pages &&
	       pread(salvage->fd, page, PAGE, (off_t)(number - 1) * PAGE) >= 0;
}

/* One trunk of the free list; what it names is marked.  The next one, 0 at the end, or -EBADMSG. */
static int64_t free_trunk(struct salvage *salvage, uint32_t number, uint32_t *left)
{
	if (number < 2 || number > salvage->n_named || salvage->is_free[number] ||
		!read_page(salvage, number, salvage->page))
		return -EBADMSG;
	uint32_t next = number32(salvage->page), n = number32(salvage->page + 4);
	if (n > TRUNK_MAX || n + 1 > *left || next > salvage->n_named)
		return -EBADMSG;
	*left -= n + 1;
	salvage->is_free[number] = 1;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t page = number32(salvage->page + 8 + 4 * (size_t)i);
		if (page < 2 || page > salvage->n_named || salvage->is_free[page])
			return -EBADMSG;
		salvage->is_free[page] = 1;
	}
	return next;
}

/* Marks the free pages: all of them, or none when the list is not sound. */
static void find_free(struct salvage *salvage)
{
	if (!read_page(salvage, 1, salvage->page) || memcmp(salvage->page, "SQLite format 3", 16) != 0)
		return;
	uint32_t left = number32(salvage->page + 36);
	int64_t next = number32(salvage->page + 32);
	while (next > 0)
		next = free_trunk(salvage, (uint32_t)next, &left);
	if (next < 0 || left != 0)
		memset(salvage->is_free, 0, salvage->n_named + 1);
}

/* The whole record, from its leaf and its overflow pages, to salvage->record.  False when the chain breaks. */
static bool gather(struct salvage *salvage, const uint8_t *cell, size_t payload_n)
{
	size_t local = payload_n;
	if (payload_n > RECORD_MAX)
		return false;
	if (payload_n > LOCAL_MAX) {
		local = LOCAL_LEAST + (payload_n - LOCAL_LEAST) % OVERFLOW;
		if (local > LOCAL_MAX)
			local = LOCAL_LEAST;
	}
	const uint8_t *end = salvage->page + PAGE;
	if (local > (size_t)(end - cell) || (local < payload_n && local + 4 > (size_t)(end - cell)))
		return false;
	memcpy(salvage->record, cell, local);
	uint32_t next = local < payload_n ? number32(cell + local) : 0;
	for (size_t n = local; n < payload_n;) {
		size_t more = payload_n - n < OVERFLOW ? payload_n - n : OVERFLOW;
		if (!read_page(salvage, next, salvage->overflow))
			return false;
		memcpy(salvage->record + n, salvage->overflow + 4, more);
		next = number32(salvage->overflow);
		n += more;
	}
	return true;
}

/* Bytes of a value of that serial type. */
static size_t size_of(uint64_t type)
{
	static const uint8_t sizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};
	return type < 12 ? sizes[type] : (size_t)((type - 12) / 2);
}

static int64_t integer(uint64_t type, const uint8_t *bytes)
{
	if (type == 8 || type == 9)
		return (int64_t)type - 8;
	size_t n = size_of(type);
	uint64_t number = n && bytes[0] & 0x80 ? UINT64_MAX : 0;
	for (size_t i = 0; i < n; i++)
		number = number << 8 | bytes[i];
	return (int64_t)number;
}

/* The record as a row: id (which is the key), ts, flags, topic, body, crc. */
static bool decode(struct salvage *salvage, int64_t id, size_t record_n, struct journal_row *row)
{
	const uint8_t *at = salvage->record, *end = at + record_n, *values[N_COLUMNS];
	uint64_t header_n = 0, types[N_COLUMNS];
	size_t n = varint(at, end, &header_n);
	if (n == 0 || header_n > record_n)
		return false;
	const uint8_t *value = at + header_n, *header_end = value;
	at += n;
	for (size_t i = 0; i < N_COLUMNS; i++) {
		n = varint(at, header_end, &types[i]);
		if (n == 0 || types[i] > 2 * (uint64_t)RECORD_MAX || size_of(types[i]) > (size_t)(end - value))
			return false;
		at += n;
		values[i] = value;
		value += size_of(types[i]);
	}
	size_t topic_n = size_of(types[3]);
	if (types[3] < 13 || types[4] < 12 || topic_n > MESSAGE_TOPIC_MAX)
		return false;
	memcpy(salvage->topic, values[3], topic_n);
	salvage->topic[topic_n] = '\0';
	const struct journal_columns columns = {.id = id,
		.ts = integer(types[1], values[1]),
		.flags = integer(types[2], values[2]),
		.topic = salvage->topic,
		.topic_n = topic_n,
		.body = values[4],
		.body_n = size_of(types[4]),
		.crc = integer(types[5], values[5])};
	return journal_row_unpack(&columns, row);
}

/* The cell at that place of the page at hand. */
static bool cell_row(struct salvage *salvage, size_t offset, struct journal_row *row)
{
	const uint8_t *at = salvage->page + offset, *end = salvage->page + PAGE;
	uint64_t payload_n = 0, id = 0;
	size_t n = varint(at, end, &payload_n);
	if (n == 0 || payload_n == 0 || payload_n > RECORD_MAX)
		return false;
	at += n;
	n = varint(at, end, &id);
	if (n == 0 || id == 0 || id > INT64_MAX)
		return false;
	return gather(salvage, at + n, (size_t)payload_n) && decode(salvage, (int64_t)id, (size_t)payload_n, row);
}

/* Cells of the page at hand if it can be a leaf, else 0. */
static size_t n_cells(const struct salvage *salvage)
{
	size_t n = number16(salvage->page + 3);
	return LEAF_HEADER + 2 * n <= PAGE ? n : 0;
}

static size_t cell_at(const struct salvage *salvage, size_t i)
{
	size_t offset = number16(salvage->page + LEAF_HEADER + 2 * i);
	return offset >= LEAF_HEADER + 2 * n_cells(salvage) && offset < PAGE ? offset : 0;
}

/* Does the header of the page at hand agree with itself: the list of cells ends before they begin, and all of them lie
 * behind that?  Only then it is known how many there are. */
static bool agrees(const struct salvage *salvage)
{
	size_t n = n_cells(salvage), begin = number16(salvage->page + 5);
	if (salvage->page[0] != LEAF || LEAF_HEADER + 2 * n > begin)
		return false;
	for (size_t i = 0; i < n; i++)
		if (cell_at(salvage, i) < begin)
			return false;
	return true;
}

/* Is there a sound row on the page?  Then it is one of the leaves.  What is not sound on it counts. */
static void look_at(struct salvage *salvage, uint32_t page, uint64_t *damaged)
{
	struct journal_row row;
	uint64_t unsound = 0;
	int64_t first = 0;
	if (salvage->is_free[page] || !read_page(salvage, page, salvage->page))
		return;
	for (size_t i = 0; i < n_cells(salvage); i++) {
		size_t offset = cell_at(salvage, i);
		if (!offset || !cell_row(salvage, offset, &row))
			unsound++;
		else if (first == 0 || (int64_t)row.sequence < first)
			first = (int64_t)row.sequence;
	}
	if (agrees(salvage))
		*damaged += unsound;
	if (first)
		salvage->leaves[salvage->n_leaves++] = (struct leaf){first, page};
}

static int by_first(const void *a, const void *b)
{
	int64_t x = ((const struct leaf *)a)->first, y = ((const struct leaf *)b)->first;
	return (x > y) - (x < y);
}

static int give(struct salvage *salvage, bool (*take)(void *user, const struct journal_row *row), void *user)
{
	struct journal_row row;
	for (size_t leaf = 0; leaf < salvage->n_leaves; leaf++) {
		if (!read_page(salvage, salvage->leaves[leaf].page, salvage->page))
			return -EIO;
		for (size_t i = 0; i < n_cells(salvage); i++) {
			size_t offset = cell_at(salvage, i);
			if (offset && cell_row(salvage, offset, &row) && !take(user, &row))
				return -ECANCELED;
		}
	}
	return 0;
}

static int prepare(struct salvage *salvage, const char *path)
{
	struct stat st;
	salvage->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (salvage->fd < 0 || fstat(salvage->fd, &st) < 0)
		return -errno;
	int64_t n = st.st_size / PAGE + 1;
	salvage->n_pages = salvage->n_named = n < N_PAGES_MAX ? (uint32_t)n : N_PAGES_MAX;
	uint32_t said = read_page(salvage, 1, salvage->page) ? number32(salvage->page + 28) : 0;
	if (said > salvage->n_named && said < N_PAGES_MAX)
		salvage->n_named = said;
	salvage->is_free = calloc(salvage->n_named + 1, 1);
	salvage->leaves = calloc(salvage->n_pages + 1, sizeof(salvage->leaves[0]));
	return salvage->is_free && salvage->leaves ? 0 : -ENOMEM;
}

int journal_salvage(
	const char *path, bool (*take)(void *user, const struct journal_row *row), void *user, uint64_t *ret_damaged)
{
	uint64_t damaged = 0;
	struct salvage *salvage = calloc(1, sizeof(*salvage));
	if (!salvage)
		return -ENOMEM;
	int rc = prepare(salvage, path);
	if (rc == 0) {
		find_free(salvage);
		for (uint32_t page = 2; page <= salvage->n_pages; page++)
			look_at(salvage, page, &damaged);
		if (salvage->n_leaves)
			qsort(salvage->leaves, salvage->n_leaves, sizeof(salvage->leaves[0]), by_first);
		rc = give(salvage, take, user);
	}
	if (rc == 0)
		*ret_damaged += damaged;
	free(salvage->is_free);
	free(salvage->leaves);
	if (salvage->fd >= 0)
		close(salvage->fd);
	free(salvage);
	return rc;
}
