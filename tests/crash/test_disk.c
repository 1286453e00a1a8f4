/*
 * Bad disks.  The n-th call to the file system fails, for every n there is, once or from then on, for each kind of call
 * and error; then the disk is well again.  And real ones, where this may be mounted: filled by others, too small,
 * read-only.
 *
 * Whatever happens: nothing is refused, nothing is lost from memory, what was read leaves in order, and when the disk
 * works again so does the journal.
 *
 *   test_disk [STRIDE]      or BUSFERRY_DISK_STRIDE=1; the usual one is 7: every 7th call
 */
#include "base/log.h"
#include "shim.h"
#include "ship/outbox_store.h"
#include "ship/store.h"
#include "yard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define S       1000000
#define N_ROWS  240u
#define WINDOW  8
#define LASTING 1000000 /* calls */

/* The disk: which call fails, and how. */
static struct {
	enum shim_op op;
	int error;
	int64_t at, lasts, n; /* the first that fails, how many do, how many there were */
	bool on;
} disk;

static int fail(enum shim_op op, const char *path)
{
	(void)path;
	if (!disk.on || op != disk.op)
		return SQLITE_OK;
	disk.n++;
	return disk.n >= disk.at && disk.n < disk.at + disk.lasts ? disk.error : SQLITE_OK;
}

static int64_t virtual_us = 100 * (int64_t)S;

static int64_t fake_mono(const struct clock *clock)
{
	(void)clock;
	return virtual_us;
}

static int64_t fake_wall(const struct clock *clock)
{
	(void)clock;
	return 2764000000000 + virtual_us / 1000;
}

static const struct clock fake_clock = {.mono_us = fake_mono, .wall_ms = fake_wall};

struct stage {
	struct yard *yard;
	struct plan_buffer buffer;
	struct yard_kind kind;
	struct outbox *outbox;
	struct store *store;
	uint64_t n_put, n_delivered; /* numbers 1 .. n */
	unsigned char delivered[N_ROWS + 1];
};

static void stage_open(struct stage *stage)
{
	yard_must(outbox_init(&stage->buffer, 32 << 20, &fake_clock, &stage->outbox) == 0, "outbox");
	int rc = store_init(&stage->buffer, stage->outbox, &fake_clock, &stage->store);
	yard_must(rc == 0, "the start is refused: %d", rc);
}

static void stage_close(struct stage *stage)
{
	store_destroy(stage->store);
	outbox_destroy(stage->outbox);
	stage->store = NULL;
	stage->outbox = NULL;
}

static void put(struct stage *stage, unsigned n)
{
	static char bytes[YARD_ROW_BYTES];
	struct message_sink *sink = outbox_sink(stage->outbox);
	for (unsigned i = 0; i < n && stage->n_put < N_ROWS; i++) {
		struct journal_row row = yard_row(&stage->kind, ++stage->n_put, bytes);
		yard_must(sink->put(sink, &row.message) == 0, "a reading is refused");
	}
	sink->flush(sink);
}

static void pass(struct stage *stage, int64_t us)
{
	virtual_us += us;
	store_step(stage->store, virtual_us);
	store_step(stage->store, virtual_us);
}

static uint64_t number_of(const struct message *message)
{
	return strtoull(message->payload, NULL, 10);
}

/* The broker takes n; each in order but for what had been handed out before. */
static void deliver(struct stage *stage, unsigned n)
{
	static char bytes[OUTBOX_MESSAGE_BYTES];
	struct outbox_message message;
	uint64_t last = 0;
	for (unsigned idle = 0; n > 0 && idle < 200;) {
		if (outbox_next(stage->outbox, NULL, bytes, &message) != 0) {
			idle++;
			pass(stage, S);
			continue;
		}
		uint64_t number = number_of(&message.message);
		yard_must(
			number >= 1 && number <= stage->n_put && yard_is_handed(&stage->kind, number, &message.message),
			"a wrong message, %" PRIu64 " of %" PRIu64 ", %zu bytes: %.10s", number, stage->n_put,
			message.message.payload_n, (const char *)message.message.payload);
		yard_must(number > last, "%" PRIu64 " after %" PRIu64, number, last);
		last = number;
		stage->n_delivered += !stage->delivered[number];
		stage->delivered[number] = 1;
		outbox_done(stage->outbox, false, message.sequence, OUTBOX_ACKNOWLEDGED);
		n--;
	}
}

static void must_add_up(struct stage *stage)
{
	struct outbox_counts counts;
	outbox_counts(stage->outbox, &counts);
	yard_must(counts.dropped_full + counts.dropped_offline + counts.dropped_refused + counts.dropped_expired == 0,
		"something was dropped");
	yard_must(counts.taken == counts.waiting + counts.done,
		"%" PRIu64 " taken, %" PRIu64 " waiting, %" PRIu64 " done", counts.taken, counts.waiting, counts.done);
}

/* Puts and delivers while the disk is as it is, with a start on it, then well again; all must arrive, in order. */
enum plot { FROM_NOTHING, FROM_BACKLOG, START_ON_IT, N_PLOTS };

static const char *const plots[N_PLOTS] = {"from nothing", "from a backlog", "started on it with a backlog"};

static void story(struct stage *stage, enum plot plot)
{
	stage->n_put = stage->n_delivered = 0;
	memset(stage->delivered, 0, sizeof(stage->delivered));
	yard_empty(stage->yard);
	disk.on = plot == FROM_NOTHING;
	stage_open(stage);
	for (unsigned i = 0; i < 6; i++) {
		put(stage, 20);
		pass(stage, S / 2);
		must_add_up(stage);
	}
	if (plot != FROM_NOTHING) {
		pass(stage, S);
		stage_close(stage);
		disk.on = plot == START_ON_IT;
		stage_open(stage);
		disk.on = true;
	}
	outbox_connected(stage->outbox);
	deliver(stage, 30);
	outbox_lost(stage->outbox);
	for (unsigned i = 0; i < 6; i++) {
		put(stage, 10);
		pass(stage, S / 2);
	}
	disk.on = false;
	pass(stage, 130 * (int64_t)S);
	pass(stage, S);
	struct store_status status;
	store_status(stage->store, &status);
	yard_must(status.durable, "the disk is well again, and the journal is not");
	put(stage, 20);
	pass(stage, S);
	stage_close(stage); /* as if killed: all that waits is older than sync, so it is on disk */
	stage_open(stage);
	outbox_connected(stage->outbox);
	deliver(stage, N_ROWS);
	uint64_t missing = 1;
	while (missing < stage->n_put && stage->delivered[missing])
		missing++;
	yard_must(stage->n_delivered == stage->n_put, "%" PRIu64 " of %" PRIu64 " have arrived, not %" PRIu64,
		stage->n_delivered, stage->n_put, missing);
	stage_close(stage);
}

struct failure {
	const char *name;
	enum shim_op op;
	int error;
};

static const struct failure failures[] = {
	{"write: disk full", SHIM_WRITE, SQLITE_FULL},
	{"write: I/O error", SHIM_WRITE, SQLITE_IOERR_WRITE},
	{"sync: I/O error", SHIM_SYNC, SQLITE_IOERR_FSYNC},
	{"size: disk full", SHIM_SIZE, SQLITE_FULL},
	{"size: I/O error", SHIM_SIZE, SQLITE_IOERR_TRUNCATE},
	{"read: I/O error", SHIM_READ, SQLITE_IOERR_READ},
	{"open: not possible", SHIM_OPEN, SQLITE_CANTOPEN},
};

static unsigned fail_each(struct yard *yard, int64_t sync_us, enum plot plot, unsigned stride)
{
	unsigned n_stories = 0;
	struct stage stage = {.yard = yard,
		.kind = {.seed = 5, .payload_least = 20, .payload_most = 400, .no_expiry = true},
		.buffer = {
			.path = yard->path, .max_size = MEGA, .sync_us = sync_us, .when_full = WHEN_FULL_DROP_OLDEST}};
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		const struct failure *failure = &failures[i];
		for (unsigned way = 0; way < 2; way++) {
			bool more = true;
			for (int64_t at = 1; more; at += at < 12 ? 1 : stride) {
				disk.op = failure->op;
				disk.error = failure->error;
				disk.at = at;
				disk.lasts = way ? LASTING : 1;
				disk.n = 0;
				yard_case("%s, call %" PRId64 "%s, sync %" PRId64 ", %s", failure->name, at,
					way ? " and all after" : "", sync_us, plots[plot]);
				story(&stage, plot);
				more = disk.n >= at;
				n_stories++;
			}
		}
	}
	return n_stories;
}

/* Fills the disk to the last byte.  What it takes is given back by removing the file. */
static void fill_disk(const struct yard *yard)
{
	static char bytes[65536];
	char path[160];
	snprintf(path, sizeof(path), "%s/filler", yard->folder);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	yard_must(fd >= 0, "no filler");
	memset(bytes, 1, sizeof(bytes));
	for (size_t n = sizeof(bytes); n > 0; n /= 2)
		while (write(fd, bytes, n) > 0)
			;
	fsync(fd);
	close(fd);
}

static uint64_t rows_there(struct journal *journal, const struct yard_kind *kind)
{
	static unsigned char present[40000];
	uint64_t damaged = 0;
	struct yard_found found = {.kind = kind, .present = present, .n_max = sizeof(present)};
	yard_must(yard_read(journal, &found, &damaged) == 0 && found.n_wrong + damaged + found.n_disorder == 0, "read");
	return found.n;
}

/* Appends and drains with 0 bytes free: many times the log, and a start in between. */
static void full_disk(struct yard *yard)
{
	static char bytes[500][512];
	struct journal_row rows[500];
	struct yard_kind kind = {.seed = 9, .payload_least = 50, .payload_most = 300};
	struct journal *journal = NULL;
	struct journal_found found;
	uint64_t next = 1, dropped = 0;
	struct statvfs st;
	yard_must(journal_open(yard->path, 4 * MEGA, &journal, &found) == 0, "open on a small disk");
	fill_disk(yard);
	yard_must(statvfs(yard->folder, &st) == 0 && st.f_bavail == 0, "the disk is not full");
	for (unsigned turn = 0; turn < 70; turn++) {
		for (size_t i = 0; i < 500; i++)
			rows[i] = yard_row(&kind, next + i, bytes[i]);
		struct journal_span done = {1, next > 2000 ? next - 2000 : 1};
		int rc = journal_write(journal, &done, 1, rows, 500, true, &dropped);
		yard_must(rc == 0 && dropped == 0, "with 0 bytes free, append %u: %d", turn, rc);
		next += 500;
		if (turn % 20 != 19)
			continue;
		journal_close(journal);
		rc = journal_open(yard->path, 4 * MEGA, &journal, &found);
		yard_must(rc == 0 && !found.set_aside, "with 0 bytes free, open: %d", rc);
	}
	uint64_t n = rows_there(journal, &kind);
	yard_must(n >= 2000 && n <= 2500, "%" PRIu64 " rows are there", n);
	struct journal_span all = {1, next};
	yard_must(journal_write(journal, &all, 1, NULL, 0, true, &dropped) == 0, "with 0 bytes free, drain");
	yard_must(rows_there(journal, &kind) == 0, "not drained");
	journal_close(journal);
}

/* A disk smaller than max_size: the file keeps to what there is, and drops by its rule. */
static void small_disk(struct yard *yard)
{
	static char bytes[500][512];
	struct journal_row rows[500];
	struct yard_kind kind = {.seed = 10, .payload_least = 50, .payload_most = 300};
	struct journal *journal = NULL;
	struct journal_found found;
	uint64_t next = 1, dropped = 0, all_dropped = 0;
	yard_must(journal_open(yard->path, 64 * MEGA, &journal, &found) == 0, "open on a disk that is too small");
	for (unsigned turn = 0; turn < 70; turn++) {
		for (size_t i = 0; i < 500; i++)
			rows[i] = yard_row(&kind, next + i, bytes[i]);
		int rc = journal_write(journal, NULL, 0, rows, 500, true, &dropped);
		yard_must(rc == 0, "on a disk that is too small, append %u: %d", turn, rc);
		all_dropped += dropped;
		next += 500;
	}
	yard_must(rows_there(journal, &kind) + all_dropped == next - 1, "rows are missing");
	struct journal_span all = {1, next};
	yard_must(journal_write(journal, &all, 1, NULL, 0, true, &dropped) == 0, "drain");
	journal_close(journal);
}

static void read_only_disk(struct yard *yard)
{
	struct journal *journal = NULL;
	struct journal_found found;
	yard_must(journal_open(yard->path, MEGA, &journal, &found) == 0, "open");
	journal_close(journal);
	yard_must(mount(NULL, yard->folder, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0, "remount");
	int rc = journal_open(yard->path, MEGA, &journal, &found);
	yard_must(rc == -EROFS, "on a read-only disk: %d", rc);
	yard_must(mount(NULL, yard->folder, NULL, MS_REMOUNT, NULL) == 0, "remount");
	rc = journal_open(yard->path, MEGA, &journal, &found);
	yard_must(rc == 0 && !found.set_aside, "writable again: %d", rc);
	journal_close(journal);
}

/* With its own file system, where that is allowed.  False when it is not. */
static bool on_a_disk(const char *type, const char *device, const char *options, void (*test)(struct yard *yard))
{
	struct yard yard;
	yard_make(&yard);
	yard_case("%s of its own", type);
	bool mounted = mount(device, yard.folder, type, 0, options) == 0;
	if (mounted) {
		test(&yard);
		yard_must(umount(yard.folder) == 0, "umount");
	}
	yard_remove(&yard);
	return mounted;
}

/* The same on an ext4 in a file: there what is allocated and what is written are two things. */
static bool on_an_ext4(unsigned megabytes, void (*test)(struct yard *yard))
{
	struct yard image, yard;
	char command[512];
	yard_make(&image);
	yard_make(&yard);
	yard_case("an ext4 of its own");
	snprintf(command, sizeof(command),
		"{ truncate -s %uM %s && mkfs.ext4 -q -F -m 0 %s && mount -o loop %s %s; } >/dev/null 2>&1", megabytes,
		image.path, image.path, image.path, yard.folder);
	bool mounted = system(command) == 0;
	if (mounted) {
		test(&yard);
		yard_must(umount(yard.folder) == 0, "umount");
	}
	yard_remove(&yard);
	yard_remove(&image);
	return mounted;
}

static unsigned real_disks(void)
{
	unsigned n = 0;
	n += on_an_ext4(28, full_disk);
	n += on_an_ext4(12, small_disk);
	n += on_a_disk("tmpfs", "crash", "size=14m", full_disk);
	n += on_a_disk("tmpfs", "crash", "size=6m", small_disk);
	n += on_a_disk("tmpfs", "crash", "size=2m", small_disk);
	n += on_a_disk("tmpfs", "crash", "size=8m", read_only_disk);
	return n;
}

int main(int argc, char **argv)
{
	static const struct shim shim = {.before = fail};
	const char *text = argc > 1 ? argv[1] : getenv("BUSFERRY_DISK_STRIDE");
	unsigned stride = text ? (unsigned)strtoul(text, NULL, 10) : 7, n = 0;
	stride = stride ? stride : 1;
	struct yard yard;
	log_set_level(LOG_LEVEL_ERROR - 1);
	unsigned n_real = real_disks();
	shim_install(&shim);
	yard_make(&yard);
	for (enum plot plot = 0; plot < N_PLOTS; plot++) {
		n += fail_each(&yard, 0, plot, stride);
		n += fail_each(&yard, S, plot, stride);
	}
	yard_remove(&yard);
	printf("bad disks: %u stories with failing calls of %zu kinds, %u file systems of their own%s: nothing lost, "
	       "all "
	       "recovered\n",
		n, sizeof(failures) / sizeof(failures[0]), n_real, n_real ? "" : " (may not mount)");
	return 0;
}
