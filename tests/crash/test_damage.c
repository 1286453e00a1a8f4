/*
 * Damage: files with flipped bits, destroyed pages, cut off, grown, foreign, of other versions, with a write-ahead log
 * that is not theirs, or that are no files at all.  The journal opens, or says the documented error; what it gives is
 * exact; what it has lost was on the damaged pages, and is counted where that can be known; it works afterwards.
 *
 * Beside most of them lie the notes of what is done (ship/acked.h), sound or damaged as well: by them goes what was
 * noted, and nothing else.
 *
 *   test_damage [FILES]      or BUSFERRY_DAMAGED_FILES=100000
 */
#include "yard.h"
#include "base/log.h"
#include "ship/acked.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define N_BASES  16u
#define NUMBERS  2600u
#define PAGE     4096u
#define WAL_HEAD 32u
#define FRAME    (PAGE + 24u)
#define TRIED    (NUMBERS + 100000u) /* above it rows are written and deleted to see whether the file works */

/* A sound file and what is in it. */
struct base {
	struct yard_kind kind;
	int64_t max_bytes;
	unsigned char *file, *log, *notes, present[NUMBERS], noted[NUMBERS];
	size_t file_n, log_n, notes_n;
	uint64_t n_rows;
	unsigned n_pages;
	bool in_log, holes; /* part of it is only there; there are free pages with what was deleted */
};

enum notes {
	NOTES_NONE,
	NOTES_SOUND,
	NOTES_BITS,
	NOTES_CUT,
	NOTES_GARBAGE,
	NOTES_OTHERS, /* of another file */
	NOTES_A_FOLDER,
	NOTES_A_LINK,
	NOTES_A_FIFO,
	N_NOTES
};

static const char *const note_names[N_NOTES] = {
	"none", "sound", "bits", "cut off", "garbage", "another's", "a folder", "a link", "a fifo"};

struct trial {
	const struct base *base;
	struct yard *yard;
	struct chance *chance;
	unsigned char *file, *log;
	size_t file_n, log_n;
	unsigned page; /* that was destroyed; 0 = other damage */
	bool log_hit;  /* rows of the log are lost, and others come back */
	enum notes notes;
	bool not_ours;
	int error; /* the documented one that is expected */
};

static unsigned char *slurp(const char *path, size_t *ret_n)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	*ret_n = 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return calloc(1, 1);
	unsigned char *bytes = malloc((size_t)st.st_size + 1);
	yard_must(bytes && read(fd, bytes, (size_t)st.st_size) == st.st_size, "can't read %s", path);
	close(fd);
	*ret_n = (size_t)st.st_size;
	return bytes;
}

/* Zeros are left out: most of a file is not used yet. */
static void spill(const char *path, const unsigned char *bytes, size_t n)
{
	static const unsigned char zeros[PAGE];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	yard_must(fd >= 0 && ftruncate(fd, (off_t)n) == 0, "can't make %s", path);
	for (size_t at = 0; at < n; at += PAGE) {
		size_t part = n - at < PAGE ? n - at : PAGE;
		if (memcmp(bytes + at, zeros, part) != 0)
			yard_must(pwrite(fd, bytes + at, part, (off_t)at) == (ssize_t)part, "can't fill %s", path);
	}
	close(fd);
}

static void put_rows(struct journal *journal, const struct base *base, uint64_t first, uint64_t n)
{
	static char bytes[40][YARD_ROW_BYTES];
	struct journal_row rows[40];
	while (n > 0) {
		size_t batch = n < 40 ? (size_t)n : 40;
		uint64_t dropped = 0;
		for (size_t i = 0; i < batch; i++)
			rows[i] = yard_row(&base->kind, first + i, bytes[i]);
		yard_must(journal_write(journal, NULL, 0, rows, batch, true, &dropped) == 0 && dropped == 0, "base");
		first += batch;
		n -= batch;
	}
}

/* Some of the rows are done: a span, and here and there one. */
static void note_some(struct base *base, const struct yard *yard, const struct journal *journal, struct chance *chance)
{
	struct acked *acked = NULL;
	char path[128];
	yard_must(acked_open(journal_path(journal), journal_opening(journal), &acked) == 0, "base");
	unsigned first = 1 + chance_below(chance, 150);
	for (unsigned number = 1; number < NUMBERS; number++) {
		if ((number < first || number > first + 40) && chance_below(chance, 50))
			continue;
		base->noted[number] = 1;
		acked_note(acked, number);
	}
	acked_write(acked);
	acked_close(acked);
	snprintf(path, sizeof(path), "%s-acks", yard->path);
	base->notes = slurp(path, &base->notes_n);
}

static void make_base(struct base *base, unsigned number, struct yard *yard)
{
	static const unsigned payloads[4][3] = {{20, 200, 1400}, {100, 160, 1400}, {0, 900, 600}, {200, 3000, 200}};
	struct journal *journal = NULL;
	struct journal_found opened;
	struct chance chance = {number};
	unsigned kind = number % 4;
	uint64_t n = chance_between(&chance, payloads[kind][2] / 2, payloads[kind][2]), damaged = 0, dropped;
	*base = (struct base){
		.kind = {.seed = number + 1, .payload_least = payloads[kind][0], .payload_most = payloads[kind][1]},
		.max_bytes = MEGA * 3 / 4,
		.in_log = number % 2,
		.holes = number % 8 >= 4};
	yard_empty(yard);
	yard_must(journal_open(yard->path, base->max_bytes, &journal, &opened) == 0, "base");
	put_rows(journal, base, 1, n);
	if (base->holes) {
		struct journal_span holes[20];
		for (unsigned i = 0; i < 20; i++) {
			uint64_t at = 1 + chance_below(&chance, (unsigned)n);
			holes[i] = (struct journal_span){at, at + chance_below(&chance, 30)};
		}
		yard_must(journal_write(journal, holes, 20, NULL, 0, true, &dropped) == 0, "base");
	}
	if (base->in_log) {
		journal_close(journal);
		yard_must(journal_open(yard->path, base->max_bytes, &journal, &opened) == 0, "base");
		put_rows(journal, base, n + 1, 50);
		base->file = slurp(yard->path, &base->file_n);
		base->log = slurp(yard->wal, &base->log_n);
	}
	note_some(base, yard, journal, &chance);
	struct yard_found found = {.kind = &base->kind, .present = base->present, .n_max = NUMBERS};
	yard_must(yard_read(journal, &found, &damaged) == 0 && found.n_wrong + damaged == 0, "base");
	base->n_rows = found.n;
	journal_close(journal);
	if (!base->in_log) {
		unlink(yard->wal);
		base->file = slurp(yard->path, &base->file_n);
		base->log = calloc(1, 1);
	}
	while (base->log_n && base->log[base->log_n - 1] == 0) /* what is allocated for later */
		base->log_n--;
	base->n_pages = (unsigned)(base->file[30] << 8 | base->file[31]);
}

enum damage {
	BIT,
	BITS,
	ZERO_PAGE,
	GARBAGE_PAGE,
	SEVERAL_PAGES,
	PAGE_TWICE,
	CUT,
	GROWN,
	EMPTY,
	HEADER,
	HEADER_BIT,
	VERSION,
	TEXT_FILE,
	OTHER_DATABASE,
	LOG_BIT,
	LOG_CUT,
	LOG_GARBAGE,
	LOG_ALIEN,
	A_FOLDER,
	A_LINK,
	A_FIFO,
	LOG_A_FOLDER,
	N_DAMAGES
};

static const char *const names[N_DAMAGES] = {"a bit", "bits", "a page of zeros", "a page of garbage", "several pages",
	"a page twice", "cut off", "grown", "empty", "header", "a bit of the header", "another version", "a text file",
	"another's database", "a bit of the log", "log cut off", "log of garbage", "another's log", "a folder",
	"a link", "a fifo", "the log a folder"};

static void garbage(struct trial *trial, unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)chance_next(trial->chance);
}

static unsigned used_page(struct trial *trial)
{
	return chance_below(trial->chance, trial->base->n_pages);
}

static void flip(struct trial *trial, unsigned char *bytes, size_t n)
{
	if (n)
		bytes[chance_next(trial->chance) % n] ^= (unsigned char)(1u << chance_below(trial->chance, 8));
}

/* The file of somebody else, and its log. */
static unsigned char *foreign_database, *foreign_log;
static size_t foreign_database_n, foreign_log_n;

static void make_foreign(struct yard *yard)
{
	sqlite3 *db = NULL;
	yard_empty(yard);
	yard_must(sqlite3_open(yard->path, &db) == SQLITE_OK &&
			  sqlite3_exec(db,
				  "PRAGMA journal_mode=WAL; CREATE TABLE msg(a, b); CREATE TABLE notes(t);"
				  "INSERT INTO msg VALUES(1, 'x'); INSERT INTO notes VALUES(randomblob(20000))",
				  NULL, NULL, NULL) == SQLITE_OK,
		"foreign");
	foreign_log = slurp(yard->wal, &foreign_log_n);
	sqlite3_close(db);
	foreign_database = slurp(yard->path, &foreign_database_n);
	yard_empty(yard);
}

static void replace_file(struct trial *trial, const unsigned char *bytes, size_t n)
{
	memcpy(trial->file, bytes, n);
	trial->file_n = n;
	trial->log_n = 0;
	trial->not_ours = true;
}

static void damage_file(struct trial *trial, enum damage kind)
{
	static const char text[] = "[buffer]\nthis is a text that somebody has put here; it is no database, though it "
				   "has more bytes than the header of one would have\n";
	unsigned page = used_page(trial);
	size_t used = (size_t)trial->base->n_pages * PAGE;
	switch (kind) {
	case BIT:
		trial->page = (unsigned)(chance_next(trial->chance) % used);
		trial->file[trial->page] ^= (unsigned char)(1u << chance_below(trial->chance, 8));
		trial->page = trial->page / PAGE + 1;
		break;
	case BITS:
		for (unsigned i = chance_between(trial->chance, 2, 40); i > 0; i--)
			flip(trial, trial->file, used);
		break;
	case ZERO_PAGE:
		memset(trial->file + (size_t)page * PAGE, 0, PAGE);
		trial->page = page + 1;
		break;
	case GARBAGE_PAGE:
		garbage(trial, trial->file + (size_t)page * PAGE, PAGE);
		trial->page = page + 1;
		break;
	case SEVERAL_PAGES:
		for (unsigned i = chance_between(trial->chance, 2, 8); i > 0; i--)
			garbage(trial, trial->file + (size_t)used_page(trial) * PAGE, PAGE);
		break;
	case CUT:
		trial->file_n = (size_t)(chance_next(trial->chance) % used);
		break;
	case GROWN:
		garbage(trial, trial->file + trial->file_n, 3 * PAGE);
		trial->file_n += chance_between(trial->chance, 1, 3 * PAGE);
		break;
	case HEADER:
		garbage(trial, trial->file, 100);
		trial->page = 1;
		break;
	case HEADER_BIT:
		flip(trial, trial->file, 100);
		trial->page = 1;
		break;
	case VERSION: /* in the file and, being newer there, not in the log */
		trial->file[63] = (unsigned char)chance_between(trial->chance, 2, 255);
		trial->page = 1;
		trial->log_n = 0;
		trial->log_hit = trial->base->in_log;
		break;
	case PAGE_TWICE:
		memcpy(trial->file + (size_t)page * PAGE, trial->file + (size_t)used_page(trial) * PAGE, PAGE);
		trial->page = page + 1;
		break;
	case TEXT_FILE:
		replace_file(trial, (const unsigned char *)text, sizeof(text));
		break;
	case OTHER_DATABASE:
		replace_file(trial, foreign_database, foreign_database_n);
		break;
	default: /* EMPTY */
		trial->file_n = 0;
		trial->not_ours = true;
		trial->log_n = chance_below(trial->chance, 2) ? trial->log_n : 0;
		break;
	}
}

static void damage_log(struct trial *trial, enum damage kind)
{
	trial->log_hit = true;
	if (kind == LOG_ALIEN) {
		memcpy(trial->log, foreign_log, foreign_log_n);
		trial->log_n = foreign_log_n;
	} else if (kind == LOG_GARBAGE) {
		trial->log_n = chance_between(trial->chance, 1, 8 * FRAME);
		garbage(trial, trial->log, trial->log_n);
	} else if (kind == LOG_CUT && trial->log_n) {
		trial->log_n = (size_t)(chance_next(trial->chance) % (20 * FRAME) % trial->log_n);
	} else if (trial->log_n) {
		flip(trial, trial->log, trial->log_n < 20 * FRAME ? trial->log_n : 20 * FRAME);
	}
}

static void lay_out_notes(struct trial *trial, const struct base *bases)
{
	const struct base *base =
		trial->notes == NOTES_OTHERS ? &bases[(size_t)(trial->base - bases + 1) % N_BASES] : trial->base;
	unsigned char bytes[65536];
	char path[128];
	size_t n = base->notes_n < sizeof(bytes) ? base->notes_n : sizeof(bytes);
	snprintf(path, sizeof(path), "%s-acks", trial->yard->path);
	memcpy(bytes, base->notes, n);
	if (trial->notes == NOTES_GARBAGE)
		garbage(trial, bytes, n = chance_below(trial->chance, 2000));
	if (trial->notes == NOTES_CUT)
		n = chance_below(trial->chance, 600);
	for (unsigned i = trial->notes == NOTES_BITS ? chance_between(trial->chance, 1, 30) : 0; i > 0; i--)
		flip(trial, bytes, 512);
	bool lies = true;
	if (trial->notes == NOTES_A_FOLDER)
		lies = mkdir(path, 0700) == 0;
	else if (trial->notes == NOTES_A_LINK)
		lies = symlink("/etc/passwd", path) == 0;
	else if (trial->notes == NOTES_A_FIFO)
		lies = mkfifo(path, 0600) == 0;
	else if (trial->notes != NOTES_NONE)
		spill(path, bytes, n);
	yard_must(lies, "can't lay the notes out");
}

/* Lays the files out, with something else in their place for some kinds. */
static void lay_out(struct trial *trial, enum damage kind)
{
	const struct yard *yard = trial->yard;
	yard_empty(yard);
	bool lies = true;
	if (kind == A_FOLDER)
		lies = mkdir(yard->path, 0700) == 0;
	else if (kind == A_LINK)
		lies = symlink("/etc/passwd", yard->path) == 0;
	else if (kind == A_FIFO)
		lies = mkfifo(yard->path, 0600) == 0;
	else
		spill(yard->path, trial->file, trial->file_n);
	yard_must(lies, "can't lay it out");
	trial->not_ours = trial->not_ours || kind == A_FOLDER || kind == A_FIFO;
	trial->error = kind == A_LINK ? -ELOOP : 0;
	if (kind == LOG_A_FOLDER) {
		trial->log_hit = true;
		yard_must(mkdir(yard->wal, 0700) == 0, "can't lay it out");
	} else if (trial->log_n && kind != A_FOLDER && kind != A_FIFO) {
		spill(yard->wal, trial->log, trial->log_n);
	}
}

struct tally {
	unsigned files, rescues, twice, log_lost;
	uint64_t rows, kept, counted, returned, noted;
	double least_kept[N_DAMAGES];
};

/* Opens and reads, as often as it has to be opened anew. */
static struct journal *open_and_read(
	struct trial *trial, struct yard_found *found, uint64_t *damaged, struct tally *tally)
{
	struct journal *journal = NULL;
	struct journal_found opened = {0};
	for (unsigned turn = 0; turn < 4; turn++) {
		int rc = journal_open(trial->yard->path, trial->base->max_bytes, &journal, &opened);
		yard_must(rc == trial->error, "open: %d", rc);
		if (rc < 0)
			return NULL;
		yard_must(!opened.set_aside || access(opened.aside, F_OK) == 0, "set aside, and gone");
		tally->rescues += opened.set_aside;
		tally->twice += turn > 1;
		uint64_t more = 0, dropped = 0;
		struct journal_span left = {TRIED, TRIED + 2}; /* by a try that met damage */
		rc = turn ? journal_write(journal, &left, 1, NULL, 0, true, &dropped) : 0;
		if (rc == 0)
			rc = yard_read(journal, found, &more);
		if (rc == 0) /* the damaged rows go with the next write, if they can be found */
			rc = journal_write(journal, NULL, 0, NULL, 0, true, &dropped);
		if (rc == 0)
			rc = yard_tries(journal, TRIED);
		yard_must(rc == 0 || rc == -EBADMSG, "read: %d", rc);
		/* A file that is opened anew counts what it did not keep itself. */
		*damaged = rc == 0 ? *damaged + opened.damaged + more : *damaged + opened.damaged;
		if (rc == 0)
			return journal;
		journal_close(journal);
	}
	yard_must(false, "it stays damaged");
	return NULL;
}

/* One page can take with it what is on it, or what overflows to it: at most so many rows. */
static unsigned rows_of_page(const struct base *base)
{
	return PAGE / (base->kind.payload_least + 40) + 2;
}

static void audit(struct trial *trial, enum damage kind, struct tally *tally)
{
	static unsigned char present[NUMBERS];
	const struct base *base = trial->base;
	struct yard_found found = {.kind = &base->kind, .present = present, .n_max = NUMBERS};
	uint64_t damaged = 0, kept = 0, returned = 0, lost = 0, n_noted = 0, n_left = 0;
	struct journal *journal = open_and_read(trial, &found, &damaged, tally);
	tally->files++;
	if (!journal)
		return;
	yard_must(found.n_wrong + found.n_foreign == 0, "%" PRIu64 " wrong payloads", found.n_wrong + found.n_foreign);
	yard_must(found.n_disorder == 0, "%" PRIu64 " out of order", found.n_disorder);
	for (uint64_t number = 1; number < NUMBERS; number++) {
		kept += base->present[number] && present[number];
		returned += !base->present[number] && present[number];
		bool noted = base->noted[number] && trial->notes && trial->notes <= NOTES_CUT;
		lost += base->present[number] && !present[number] && !noted;
		n_noted += base->present[number] && base->noted[number];
		n_left += base->present[number] && base->noted[number] && present[number];
	}
	uint64_t gone = base->n_rows - kept;
	tally->rows += base->n_rows;
	tally->kept += kept;
	tally->counted += damaged;
	tally->returned += returned;
	tally->log_lost += trial->log_hit && lost > 0;
	tally->noted += n_noted - n_left;
	double share = 1 - (double)lost / (double)base->n_rows;
	if (!trial->not_ours && share < tally->least_kept[kind])
		tally->least_kept[kind] = share;
	/* A few bits may have hit the counter of rows. */
	yard_must(trial->not_ours || trial->log_hit || base->holes || kind == BITS || damaged <= gone,
		"%" PRIu64 " counted as damaged, %" PRIu64 " lost", damaged, gone);
	if (trial->page && !trial->log_hit && !base->in_log)
		yard_must(lost <= rows_of_page(base), "%" PRIu64 " rows lost with page %u", lost, trial->page);
	if (kind == GROWN || (kind == BIT && gone == 0))
		yard_must(lost == 0 && damaged == 0, "%" PRIu64 " lost, %" PRIu64 " counted", lost, damaged);
	if (trial->log_hit && !base->in_log)
		yard_must(lost == 0, "%" PRIu64 " lost, though the log had nothing", lost);
	/* With another's log it can't be known which opening it was. */
	if (kind == GROWN || (trial->log_hit && !base->in_log && kind != LOG_ALIEN))
		yard_must(trial->notes != NOTES_SOUND || n_left == 0, "%" PRIu64 " are there that are done", n_left);
	yard_is_sound(journal, TRIED);
	journal_close(journal);
}

static void trial_of(unsigned number, struct base *bases, struct yard *yard, struct tally *tally)
{
	static unsigned char file[2 * MEGA], log[4 * MEGA];
	struct chance chance = {number * 104729u + 3};
	struct trial trial = {.base = &bases[chance_below(&chance, N_BASES)],
		.yard = yard,
		.chance = &chance,
		.file = file,
		.log = log};
	/* What is not a matter of chance comes seldom. */
	enum damage kind =
		chance_below(&chance, 12) ? chance_below(&chance, LOG_GARBAGE + 1) : chance_below(&chance, N_DAMAGES);
	trial.file_n = trial.base->file_n;
	trial.log_n = trial.base->log_n;
	memcpy(file, trial.base->file, trial.file_n);
	memcpy(log, trial.base->log, trial.log_n);
	trial.notes = chance_below(&chance, 3) ? chance_below(&chance, NOTES_BITS + 1) : chance_below(&chance, N_NOTES);
	yard_case("file %u: %s, base %u, notes: %s", number, names[kind], (unsigned)(trial.base - bases),
		note_names[trial.notes]);
	if (kind >= LOG_BIT && kind <= LOG_ALIEN)
		damage_log(&trial, kind);
	else if (kind <= OTHER_DATABASE)
		damage_file(&trial, kind);
	lay_out(&trial, kind);
	lay_out_notes(&trial, bases);
	audit(&trial, kind, tally);
}

int main(int argc, char **argv)
{
	unsigned n = yard_count(argc, argv, "BUSFERRY_DAMAGED_FILES", 10000);
	unsigned first = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	static struct base bases[N_BASES];
	struct tally tally = {0};
	struct yard yard;
	log_set_level(LOG_LEVEL_ERROR);
	yard_make(&yard);
	for (unsigned i = 0; i < N_DAMAGES; i++)
		tally.least_kept[i] = 1.0;
	make_foreign(&yard);
	for (unsigned i = 0; i < N_BASES; i++)
		make_base(&bases[i], i, &yard);
	for (unsigned i = first; i < first + n; i++)
		trial_of(i, bases, &yard, &tally);
	yard_remove(&yard);
	printf("damage: %u files of %u kinds, all opened, 0 wrong payloads; %" PRIu64 " of %" PRIu64
	       " rows kept, %" PRIu64 " were done, %" PRIu64 " counted as damaged, %" PRIu64
	       " came back, %u rescues; least kept: a bit %.4f, a page %.4f, cut %.4f\n",
		tally.files, N_DAMAGES, tally.kept, tally.rows, tally.noted, tally.counted, tally.returned,
		tally.rescues, tally.least_kept[BIT], tally.least_kept[GARBAGE_PAGE], tally.least_kept[CUT]);
	for (unsigned i = 0; i < N_BASES; i++) {
		free(bases[i].file);
		free(bases[i].log);
		free(bases[i].notes);
	}
	free(foreign_database);
	free(foreign_log);
	return 0;
}
