/*
 * Power cuts: workloads are recorded write by write, and at random instants the file is made as a cut could have left
 * it.  What was committed and not begun to be deleted must be there, once, with its exact bytes; nothing else may be;
 * the file must work.  Half of what is deleted is noted as done first (ship/acked.h), and deleted by the next step, or
 * by the next opening: a cut may leave any part of the notes too.
 *
 * And the test of the test: with a disk that swallows syncs the same audit must find losses.
 *
 *   test_power [POINTS]      or BUSFERRY_POWER_CUTS=100000
 */
#include "recorder.h"
#include "ship/acked.h"
#include "yard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NUMBERS 20000u
#define NEVER   UINT32_MAX
#define SPANS   8

struct workload {
	const char *name;
	unsigned kilobytes; /* max_size */
	unsigned steps, batch_least, batch_most, payload_least, payload_most;
	unsigned drain;   /* share of steps that delete, of 10 */
	unsigned scatter; /* share of deletions that are not the oldest, of 10 */
	unsigned reopen;  /* one in so many steps; 0 = never */
	bool drop_newest, salvage;
};

static const struct workload workloads[] = {
	{"one by one", 1024, 120, 1, 1, 20, 200, 2, 0, 0, false, false},
	{"one by one, restarts", 1024, 100, 1, 1, 20, 200, 3, 0, 7, false, false},
	{"small batches", 1024, 100, 2, 10, 50, 300, 3, 2, 0, false, false},
	{"small batches, drained", 1024, 120, 2, 10, 50, 300, 6, 1, 0, false, false},
	{"fifties", 2048, 80, 30, 60, 100, 200, 3, 0, 0, false, false},
	{"hundreds", 4096, 60, 80, 120, 100, 200, 3, 1, 0, false, false},
	{"hundreds, restarts", 4096, 50, 80, 120, 100, 200, 4, 0, 9, false, false},
	{"a thousand at once", 4096, 12, 900, 1000, 60, 120, 4, 0, 0, false, false},
	{"no payload", 1024, 80, 1, 30, 0, 0, 4, 3, 0, false, false},
	{"half a page", 2048, 60, 5, 20, 1900, 2200, 4, 1, 0, false, false},
	{"over a page", 4096, 60, 3, 12, 4000, 9000, 4, 1, 0, false, false},
	{"large", 4096, 60, 2, 8, 12000, 20000, 4, 1, 0, false, false},
	{"large, checkpoints", 8192, 150, 6, 12, 9000, 14000, 5, 0, 0, false, false},
	{"mixed sizes", 2048, 80, 1, 40, 0, 6000, 4, 4, 0, false, false},
	{"scattered", 1024, 100, 5, 20, 50, 300, 6, 9, 0, false, false},
	{"full, oldest go", 256, 90, 10, 40, 100, 400, 1, 1, 0, false, false},
	{"full, oldest go, restarts", 256, 70, 10, 40, 100, 400, 1, 1, 6, false, false},
	{"full, newest go", 256, 90, 10, 40, 100, 400, 2, 1, 0, true, false},
	{"full, large, oldest go", 512, 70, 2, 10, 1000, 9000, 1, 1, 0, false, false},
	{"full, half a page", 256, 70, 10, 30, 2000, 2200, 1, 1, 0, false, false},
	{"full, half a page, hundreds", 2048, 30, 100, 300, 2000, 2200, 1, 1, 0, false, false},
	{"filled and emptied", 512, 60, 50, 100, 100, 200, 5, 0, 0, false, false},
	{"restarts only", 1024, 60, 1, 5, 50, 200, 3, 1, 2, false, false},
	{"salvage", 1024, 40, 10, 60, 50, 300, 2, 1, 0, false, true},
	{"salvage, large", 2048, 30, 5, 20, 1000, 8000, 2, 1, 0, false, true},
	{"salvage, restarts", 1024, 40, 10, 60, 50, 300, 2, 1, 5, false, true},
};

#define N_WORKLOADS ((unsigned)(sizeof(workloads) / sizeof(workloads[0])))

/* When, in events, each number was begun to be put, committed, begun to be deleted, deleted. */
static unsigned put_at[NUMBERS], committed_at[NUMBERS], leaving_at[NUMBERS], gone_at[NUMBERS];
static unsigned char present[NUMBERS];

struct run {
	const struct workload *workload;
	struct yard *yard;
	struct yard_kind kind;
	struct chance chance;
	struct journal *journal;
	struct acked *acked;
	struct journal_span noted[SPANS]; /* and not deleted */
	size_t n_noted;
	uint64_t next, oldest;
	unsigned hurt_at; /* when a page was destroyed */
};

static int64_t max_bytes(const struct workload *workload)
{
	return (int64_t)workload->kilobytes * 1024;
}

static bool waits(uint64_t number)
{
	return committed_at[number] != NEVER && leaving_at[number] == NEVER;
}

/* What the file has lost by its rules, or by damage, is gone since an instant. */
static uint64_t compare(struct run *run, unsigned since)
{
	uint64_t damaged = 0, gone = 0;
	struct yard_found found = {.kind = &run->kind, .present = present, .n_max = NUMBERS};
	int rc = yard_read(run->journal, &found, &damaged);
	yard_must(
		rc == 0 && damaged + found.n_wrong + found.n_foreign + found.n_disorder == 0, "before any cut: %d", rc);
	for (uint64_t number = 1; number < run->next; number++) {
		bool noted = leaving_at[number] != NEVER && gone_at[number] == NEVER;
		if (present[number] || (!waits(number) && !noted))
			continue;
		gone++;
		leaving_at[number] = noted ? leaving_at[number] : since;
		gone_at[number] = recorder_now();
	}
	return gone;
}

static size_t choose_done(struct run *run, struct journal_span *spans)
{
	while (run->oldest < run->next && !waits(run->oldest))
		run->oldest++;
	uint64_t span = run->next - run->oldest;
	if (chance_below(&run->chance, 10) >= run->workload->drain || span == 0)
		return 0;
	if (chance_below(&run->chance, 10) >= run->workload->scatter) {
		unsigned n = chance_between(&run->chance, 1, run->workload->batch_most * 2);
		uint64_t last = run->oldest + n - 1;
		spans[0] = (struct journal_span){run->oldest, last < run->next - 1 ? last : run->next - 1};
		return 1;
	}
	size_t n = chance_between(&run->chance, 1, 8);
	for (size_t i = 0; i < n; i++) {
		uint64_t first = run->oldest + chance_below(&run->chance, (unsigned)span);
		uint64_t last = first + chance_below(&run->chance, 3);
		spans[i] = (struct journal_span){first, last < run->next - 1 ? last : run->next - 1};
	}
	return n;
}

static void open_notes(struct run *run)
{
	acked_close(run->acked);
	run->acked = NULL;
	int rc = acked_open(journal_path(run->journal), journal_opening(run->journal), &run->acked);
	yard_must(rc == 0, "open of the notes: %d", rc);
}

/* Opens it until it can be read; what was lost with the destroyed page is noted. */
static void rescue(struct run *run)
{
	struct journal_found found;
	journal_close(run->journal);
	run->journal = NULL;
	for (int turn = 0; turn < 3; turn++) {
		uint64_t damaged = 0;
		struct yard_found all = {.kind = &run->kind, .present = present, .n_max = NUMBERS};
		int rc = journal_open(run->yard->path, max_bytes(run->workload), &run->journal, &found);
		yard_must(rc == 0, "open after damage: %d", rc);
		if (yard_read(run->journal, &all, &damaged) == 0)
			break;
		yard_must(turn < 2, "it stays damaged");
		journal_close(run->journal);
	}
	compare(run, run->hurt_at);
	open_notes(run);
}

/* What was chosen is acknowledged; its rows are left to the next step, or to the next opening. */
static void note(struct run *run, const struct journal_span *spans, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (uint64_t number = spans[i].first; number <= spans[i].last; number++)
			acked_note(run->acked, number);
		acked_write(run->acked);
		run->noted[run->n_noted++] = spans[i];
	}
}

static void step(struct run *run)
{
	static char bytes[1000][YARD_ROW_BYTES];
	static struct journal_row rows[1000];
	struct journal_span spans[2 * SPANS], *chosen = spans + run->n_noted;
	memcpy(spans, run->noted, run->n_noted * sizeof(spans[0]));
	size_t n_chosen = choose_done(run, chosen), n_spans = run->n_noted + n_chosen;
	size_t n = chance_between(&run->chance, run->workload->batch_least, run->workload->batch_most);
	if (n_spans && chance_below(&run->chance, 3) == 0)
		n = 0;
	if (run->next + n >= NUMBERS)
		n = 0;
	unsigned begun = recorder_now();
	for (size_t i = 0; i < n; i++) {
		rows[i] = yard_row(&run->kind, run->next + i, bytes[i]);
		put_at[run->next + i] = begun;
	}
	for (size_t i = 0; i < n_spans; i++)
		for (uint64_t number = spans[i].first; number <= spans[i].last; number++)
			if (leaving_at[number] == NEVER)
				leaving_at[number] = begun;
	run->n_noted = 0;
	if (n_chosen && chance_below(&run->chance, 2)) {
		note(run, chosen, n_chosen);
		n_spans -= n_chosen;
	}
	uint64_t dropped = 0;
	int rc = journal_write(run->journal, spans, n_spans, rows, n, !run->workload->drop_newest, &dropped);
	if (rc == -EBADMSG && run->workload->salvage) { /* a destroyed page that only a write comes by */
		rescue(run);
		rc = journal_write(run->journal, spans, n_spans, rows, n, !run->workload->drop_newest, &dropped);
	}
	yard_must(rc == 0, "a write: %d", rc);
	for (size_t i = 0; i < n; i++)
		committed_at[run->next + i] = recorder_now();
	for (size_t i = 0; i < n_spans; i++)
		for (uint64_t number = spans[i].first; number <= spans[i].last; number++)
			if (gone_at[number] == NEVER)
				gone_at[number] = recorder_now();
	run->next += n;
	if (dropped)
		yard_must(
			compare(run, begun) == dropped, "what was dropped is not what was counted: %" PRIu64, dropped);
}

static void open_again(struct run *run)
{
	struct journal_found found;
	journal_close(run->journal);
	run->journal = NULL;
	int rc = journal_open(run->yard->path, max_bytes(run->workload), &run->journal, &found);
	yard_must(rc == 0, "open: %d", rc);
	open_notes(run);
	if (run->n_noted == 0)
		return;
	compare(run, recorder_now());
	for (size_t i = 0; i < run->n_noted; i++)
		for (uint64_t number = run->noted[i].first; number <= run->noted[i].last; number++) {
			yard_must(!present[number], "%" PRIu64 " was noted as done, and is there", number);
			gone_at[number] = gone_at[number] == NEVER ? recorder_now() : gone_at[number];
		}
	run->n_noted = 0;
}

/* A page of the file is destroyed; what was on it is lost, all else must survive the rescue whenever it is cut. */
static void destroy(struct run *run)
{
	char garbage[4096];
	journal_close(run->journal);
	run->journal = NULL;
	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = (char)chance_next(&run->chance);
	unsigned page = chance_between(&run->chance, 2, 12);
	run->hurt_at = recorder_now();
	int fd = open(run->yard->path, O_WRONLY | O_CLOEXEC);
	yard_must(fd >= 0 && pwrite(fd, garbage, sizeof(garbage), page * 4096) == sizeof(garbage), "no damage done");
	close(fd);
	recorder_poke(run->yard->path, garbage, page * 4096, sizeof(garbage));
	unlink(run->yard->wal);
	rescue(run);
}

/* Carries out a workload, recording. */
static void carry_out(struct run *run, bool swallow_syncs)
{
	for (unsigned i = 0; i < NUMBERS; i++)
		put_at[i] = committed_at[i] = leaving_at[i] = gone_at[i] = NEVER;
	yard_empty(run->yard);
	recorder_begin(run->yard, swallow_syncs);
	run->next = run->oldest = 1;
	open_again(run);
	for (unsigned i = 0; i < run->workload->steps; i++) {
		if (run->workload->reopen && i % run->workload->reopen == run->workload->reopen - 1)
			open_again(run);
		if (run->workload->salvage && i % 15 == 14)
			destroy(run);
		step(run);
	}
	recorder_end();
	acked_close(run->acked);
	run->acked = NULL;
	journal_close(run->journal);
	run->journal = NULL;
}

struct tally {
	unsigned points, points_with_loss, rescues;
	uint64_t due, lost;
};

static void audit(struct run *run, unsigned instant, struct tally *tally, bool broken)
{
	struct journal *journal = NULL;
	struct journal_found opened;
	uint64_t damaged = 0, lost = 0;
	struct yard_found found = {.kind = &run->kind, .present = present, .n_max = NUMBERS};
	int rc = -1;
	for (int turn = 0; turn < 3 && rc != 0; turn++) {
		rc = journal_open(run->yard->path, max_bytes(run->workload), &journal, &opened);
		yard_must(rc == 0, "open: %d", rc);
		tally->rescues += opened.set_aside;
		struct journal_span left = {NUMBERS, NUMBERS + 2}; /* by a try that met damage */
		uint64_t dropped = 0;
		rc = turn ? journal_write(journal, &left, 1, NULL, 0, true, &dropped) : 0;
		if (rc == 0)
			rc = yard_read(journal, &found, &damaged);
		if (rc == 0 && !broken)
			rc = yard_tries(journal, NUMBERS);
		if (rc != 0)
			journal_close(journal);
	}
	yard_must(rc == 0, "it can't be read: %d", rc);
	yard_must(broken || found.n_wrong + found.n_foreign == 0, "%" PRIu64 " wrong, %" PRIu64 " foreign",
		found.n_wrong, found.n_foreign);
	yard_must(broken || found.n_disorder == 0, "%" PRIu64 " out of order", found.n_disorder);
	for (uint64_t number = 1; number < run->next; number++) {
		bool due = committed_at[number] <= instant && leaving_at[number] > instant;
		tally->due += due;
		lost += due && !present[number];
		if (broken || run->workload->salvage)
			continue;
		yard_must(!present[number] || (put_at[number] <= instant && gone_at[number] > instant),
			"%" PRIu64 " came back, or came from nowhere", number);
	}
	tally->points++;
	tally->points_with_loss += lost > 0;
	tally->lost += lost;
	yard_must(broken || lost == 0, "%" PRIu64 " lost", lost);
	journal_close(journal);
}

static int by_number(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
	return (x > y) - (x < y);
}

static void cut(struct run *run, unsigned n_points, struct tally *tally, bool broken)
{
	unsigned *instants = malloc(n_points * sizeof(*instants));
	yard_must(instants != NULL, "no memory");
	for (unsigned i = 0; i < n_points; i++)
		instants[i] = chance_between(&run->chance, 1, recorder_now());
	qsort(instants, n_points, sizeof(*instants), by_number);
	recorder_rewind();
	for (unsigned i = 0; i < n_points; i++) {
		recorder_cut(run->yard, instants[i], &run->chance);
		yard_case("workload %s, seed %" PRIu64 ", cut at %u, unsynced %s", run->workload->name, run->kind.seed,
			instants[i], recorder_choice());
		audit(run, instants[i], tally, broken);
	}
	free(instants);
}

static void round_of(struct yard *yard, unsigned n, unsigned n_points, struct tally *tally, bool broken)
{
	const struct workload *workload = &workloads[n % N_WORKLOADS];
	struct run run = {.workload = workload,
		.yard = yard,
		.kind = {.seed = n + 1,
			.payload_least = workload->payload_least,
			.payload_most = workload->payload_most},
		.chance = {n * 7919u + (broken ? 1 : 0)}};
	yard_case("workload %s, seed %u", workload->name, n + 1);
	carry_out(&run, broken);
	cut(&run, n_points, tally, broken);
}

int main(int argc, char **argv)
{
	unsigned n_points = yard_count(argc, argv, "BUSFERRY_POWER_CUTS", 2000);
	struct tally tally = {0}, control = {0};
	struct yard yard;
	yard_make(&yard);
	for (unsigned n = 0; tally.points < n_points; n++) {
		unsigned share = (n_points + N_WORKLOADS - 1) / N_WORKLOADS;
		round_of(&yard, n, share < 200 ? share : 200, &tally, false);
	}
	for (unsigned n = 0; n < 5; n++)
		round_of(&yard, n, 20, &control, true);
	yard_must(control.points_with_loss > 20, "a disk that swallows syncs is not found out");
	yard_remove(&yard);
	printf("power cuts: %u points in %u workloads, %" PRIu64 " rows due, lost %" PRIu64 ", rescues %u; "
	       "control without syncs: %u of %u points with losses\n",
		tally.points, N_WORKLOADS, tally.due, tally.lost, tally.rescues, control.points_with_loss,
		control.points);
	return 0;
}
