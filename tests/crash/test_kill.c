/*
 * Kills: a process that puts, stores, publishes, loses its broker and finds it again is killed at random instants, and
 * what it has left on disk is compared with what it had noted in shared memory.
 *
 * What was due: when a step of the store that began at an instant is over, everything put `sync` before that instant is
 * on disk, unless it was acknowledged; with "0s" everything put before it, and everything that had been handed to the
 * publisher.  Both instants are the process's own, so a machine that is busy makes the test no stricter and no laxer.
 *
 * What is sent again: of what was acknowledged in a life no more is still there after it than could be in flight.  And
 * the test of that test: in one life of eight the notes of it (ship/acked.h) are taken away, and there must be more.
 * The clock of the process runs faster than the machine's, so that a `sync` of a second fits into a short life.
 *
 *   test_kill [KILLS]      or BUSFERRY_KILLS=10000
 */
#include "base/log.h"
#include "ship/outbox_store.h"
#include "ship/store.h"
#include "yard.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NUMBERS  60000u
#define LIVES    24 /* with the same file */
#define WINDOW   100
#define FAST     40
#define HEADROOM 512 /* numbers that a file must have left for another life */

enum fate { PUT = 1, HANDED = 2, ACKNOWLEDGED = 4, IN_THIS_LIFE = 8 };

/* What the process notes as it goes: the number of a reading is its place. */
struct notes {
	_Atomic uint32_t n_put;      /* numbers below are begun to be put */
	_Atomic int64_t stored_upto; /* instant: a step of the store that began then is over */
	_Atomic uint64_t dropped, out_of_order, steps, written;
	_Atomic unsigned char fate[NUMBERS];
	_Atomic int64_t put_at[NUMBERS]; /* when it had been put; 0 = not yet */
};

struct setting {
	const char *name;
	int64_t sync_us;
	unsigned kilobytes, payload_least, payload_most, put_every_us, connected; /* connected: tenths of the time */
	enum plan_when_full when_full;
	bool live_first;
};

static const struct setting settings[] = {
	{"0s", 0, 8192, 20, 200, 100, 8, WHEN_FULL_DROP_OLDEST, false},
	{"0s, broker seldom there", 0, 8192, 20, 200, 200, 2, WHEN_FULL_DROP_OLDEST, false},
	{"0s, live first", 0, 8192, 20, 200, 100, 5, WHEN_FULL_DROP_OLDEST, true},
	{"20ms", 20000, 8192, 20, 200, 100, 8, WHEN_FULL_DROP_OLDEST, false},
	{"100ms, no broker", 100000, 8192, 50, 300, 100, 0, WHEN_FULL_DROP_OLDEST, false},
	{"100ms, live first", 100000, 8192, 20, 200, 100, 5, WHEN_FULL_DROP_NEWEST, true},
	{"1s", 1000000, 8192, 20, 200, 100, 5, WHEN_FULL_DROP_OLDEST, false},
	{"1s, large", 1000000, 8192, 500, 5000, 400, 5, WHEN_FULL_DROP_OLDEST, false},
	{"0s, full, oldest go", 0, 256, 100, 400, 100, 1, WHEN_FULL_DROP_OLDEST, false},
	{"20ms, full, oldest go", 20000, 256, 100, 400, 100, 1, WHEN_FULL_DROP_OLDEST, false},
	{"20ms, full, newest go", 20000, 256, 100, 400, 100, 1, WHEN_FULL_DROP_NEWEST, false},
};

#define N_SETTINGS ((unsigned)(sizeof(settings) / sizeof(settings[0])))

static struct notes *notes;
static const struct setting *setting;
static struct yard yard;
static struct yard_kind kind;
static struct plan_buffer buffer;

static int64_t fast_mono(const struct clock *clock)
{
	struct timespec now;
	(void)clock;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return ((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000) * FAST;
}

static int64_t fast_wall(const struct clock *clock)
{
	return 2764000000000 + fast_mono(clock) / 1000;
}

static const struct clock fast_clock = {.mono_us = fast_mono, .wall_ms = fast_wall};

static struct outbox *outbox;
static struct store *store;

/* As store_run, with notes. */
static void *run_store(void *user)
{
	(void)user;
	for (;;) {
		int64_t begun = clock_now(&fast_clock);
		int64_t wake = store_step(store, begun);
		struct outbox_counts counts;
		struct store_status status;
		outbox_counts(outbox, &counts);
		store_status(store, &status);
		notes->dropped = counts.dropped_full;
		notes->written = status.rows_written;
		atomic_store(&notes->stored_upto, begun);
		notes->steps++;
		struct pollfd woken = {.fd = outbox_store_fd(outbox), .events = POLLIN};
		int64_t wait = (wake - clock_now(&fast_clock)) / FAST;
		if (wait > 0)
			poll(&woken, 1, (int)((wait + 999) / 1000));
	}
	return NULL;
}

/* The number is the beginning of each payload: rows that are handed over are known by it. */
static uint64_t number_of(const struct message *message)
{
	uint64_t number = 0;
	const char *text = message->payload;
	for (size_t i = 0; i < message->payload_n && text[i] >= '0' && text[i] <= '9'; i++)
		number = number * 10 + (uint64_t)(text[i] - '0');
	return number;
}

struct hand {
	uint64_t sequences[WINDOW], numbers[WINDOW], newest;
	size_t n;
};

static void take(struct hand *hand)
{
	static char bytes[OUTBOX_MESSAGE_BYTES];
	struct outbox_message message;
	while (hand->n < WINDOW && outbox_next(outbox, NULL, bytes, &message) == 0) {
		uint64_t number = number_of(&message.message);
		if (number >= NUMBERS || !yard_is_handed(&kind, number, &message.message)) {
			notes->out_of_order += 1000000;
			continue;
		}
		notes->fate[number] |= HANDED;
		if (number <= hand->newest && !message.again && !setting->live_first)
			notes->out_of_order++;
		hand->newest = number > hand->newest ? number : hand->newest;
		hand->sequences[hand->n] = message.sequence;
		hand->numbers[hand->n++] = number;
	}
}

static void acknowledge(struct hand *hand, size_t i)
{
	notes->fate[hand->numbers[i]] |= ACKNOWLEDGED | IN_THIS_LIFE;
	outbox_done(outbox, false, hand->sequences[i], OUTBOX_ACKNOWLEDGED);
	hand->n--;
	hand->sequences[i] = hand->sequences[hand->n];
	hand->numbers[i] = hand->numbers[hand->n];
}

static void lose(struct hand *hand)
{
	while (hand->n > 0)
		outbox_back(outbox, false, hand->sequences[--hand->n], true);
	hand->newest = 0;
	outbox_lost(outbox);
}

/* The scripted publisher. */
static void *run_publisher(void *user)
{
	struct chance chance = {*(uint64_t *)user};
	static struct hand hand;
	bool connected = false;
	for (;;) {
		struct pollfd news = {.fd = outbox_fd(outbox), .events = POLLIN};
		poll(&news, 1, 1);
		outbox_fd_clear(outbox);
		if (chance_below(&chance, connected ? 40 : 6) == 0) {
			bool now = chance_below(&chance, 10) < setting->connected;
			if (connected && !now)
				lose(&hand);
			if (!connected && now)
				outbox_connected(outbox);
			connected = now;
		}
		for (size_t n = hand.n ? chance_below(&chance, (unsigned)hand.n + 1) : 0; connected && n > 0; n--)
			acknowledge(&hand, chance_below(&chance, hand.n > 4 ? 4 : (unsigned)hand.n));
		if (connected)
			take(&hand);
	}
	return NULL;
}

/* The life of a process: until it is killed. */
static void live(uint64_t seed)
{
	static char bytes[YARD_ROW_BYTES];
	pthread_t thread;
	struct chance chance = {seed};
	if (outbox_init(&buffer, 32 << 20, &fast_clock, &outbox) != 0 ||
		store_init(&buffer, outbox, &fast_clock, &store) != 0 ||
		pthread_create(&thread, NULL, run_store, NULL) != 0 ||
		pthread_create(&thread, NULL, run_publisher, &seed) != 0)
		_exit(1);
	struct message_sink *sink = outbox_sink(outbox);
	for (;;) {
		unsigned n = chance_between(&chance, 1, 8);
		for (unsigned i = 0; i < n && notes->n_put < NUMBERS - 1; i++) {
			uint32_t number = notes->n_put++;
			struct journal_row row = yard_row(&kind, number, bytes);
			notes->fate[number] |= PUT;
			sink->put(sink, &row.message);
			atomic_store(&notes->put_at[number], clock_now(&fast_clock));
		}
		sink->flush(sink);
		struct timespec pause = {.tv_nsec = 1000 * (long)chance_below(&chance, 2 * n * setting->put_every_us)};
		nanosleep(&pause, NULL);
	}
}

struct audit {
	uint64_t n, last_number, last_sequence, wrong, disorder;
	unsigned char *present;
};

static bool meet(void *user, const struct journal_row *row)
{
	struct audit *audit = user;
	uint64_t number = number_of(&row->message);
	audit->n++;
	if (number >= NUMBERS || !(notes->fate[number] & PUT) || !yard_is_row(&kind, number, &row->message)) {
		audit->wrong++;
		return true;
	}
	audit->disorder += row->sequence <= audit->last_sequence || number <= audit->last_number;
	audit->last_sequence = row->sequence;
	audit->last_number = number;
	audit->present[number] = 1;
	return true;
}

struct tally {
	unsigned kills;
	uint64_t due, rows, put, acknowledged, written, steps, again, most_again, again_without_notes;
};

/* Is one of this life due to be on disk, when nothing was dropped? */
static bool is_due(uint32_t number)
{
	unsigned fate = notes->fate[number];
	int64_t put_at = atomic_load(&notes->put_at[number]);
	if (!(fate & PUT) || fate & ACKNOWLEDGED)
		return false;
	if (setting->sync_us == 0 && fate & HANDED)
		return true;
	return put_at && put_at <= notes->stored_upto - setting->sync_us;
}

static unsigned char expected[NUMBERS]; /* from earlier lives: was on disk at the last audit */

static bool count(void *user, const struct journal_row *row)
{
	(void)row;
	++*(uint64_t *)user;
	return true;
}

/* Whoever looks on sees what the next opening will keep. */
static uint64_t look(void)
{
	struct journal *journal = NULL;
	uint64_t n = 0, damaged = 0;
	int rc = journal_look(yard.path, &journal);
	if (rc == -ENOENT || rc == -EBADMSG) /* it was killed before it had made one */
		return 0;
	yard_must(rc == 0, "look: %d", rc);
	rc = journal_peek(journal, 0, INT64_MAX, SIZE_MAX, count, &n, &damaged);
	yard_must(rc >= 0 && (uint64_t)rc == n, "peek: %d", rc);
	journal_close(journal);
	return n;
}

static void audit_file(struct tally *tally, uint32_t first, bool noted)
{
	static unsigned char present[NUMBERS];
	struct audit audit = {.present = present};
	struct journal *journal = NULL;
	struct journal_found found;
	uint64_t damaged = 0, lost = 0, lost_newer = 0, again = 0;
	memset(present, 0, sizeof(present));
	uint64_t n_looked_at = look();
	int rc = journal_open(yard.path, buffer.max_size, &journal, &found);
	yard_must(rc == 0 && !found.set_aside && found.damaged == 0, "open: %d", rc);
	int n;
	while ((n = journal_read(journal, audit.last_sequence + 1, INT64_MAX, 500, meet, &audit, &damaged)) > 0)
		;
	yard_must(n == 0 && damaged + audit.wrong + audit.disorder == 0,
		"%d, %" PRIu64 " damaged, %" PRIu64 " wrong, %" PRIu64 " out of order", n, damaged, audit.wrong,
		audit.disorder);
	yard_must(audit.n == n_looked_at, "%" PRIu64 " kept, %" PRIu64 " seen before", audit.n, n_looked_at);
	bool newer = false; /* is there an older one that is still there? */
	for (uint32_t number = 1; number < notes->n_put; number++) {
		bool due = number >= first ? is_due(number) : expected[number] && !(notes->fate[number] & ACKNOWLEDGED);
		newer = newer || present[number];
		tally->due += due;
		lost += due && !present[number];
		lost_newer += due && !present[number] && newer;
		expected[number] = present[number];
		again += present[number] && notes->fate[number] & IN_THIS_LIFE;
		notes->fate[number] &= (unsigned char)~IN_THIS_LIFE;
	}
	tally->rows += audit.n;
	if (noted) {
		tally->again += again;
		tally->most_again = again > tally->most_again ? again : tally->most_again;
		yard_must(again <= WINDOW, "%" PRIu64 " acknowledged ones are still there", again);
	} else {
		tally->again_without_notes += again;
	}
	bool may_drop = setting->kilobytes < 1000;
	yard_must(may_drop || notes->dropped == 0, "dropped %" PRIu64, (uint64_t)notes->dropped);
	yard_must(may_drop || lost == 0, "%" PRIu64 " lost", lost);
	yard_must(setting->when_full == WHEN_FULL_DROP_NEWEST || lost_newer == 0,
		"%" PRIu64 " lost that are not the oldest", lost_newer);
	yard_must(notes->out_of_order == 0, "%" PRIu64 " handed over out of order", (uint64_t)notes->out_of_order);
	yard_is_sound(journal, (uint64_t)5 << 60);
	journal_close(journal);
}

static void kill_one(uint64_t seed, struct tally *tally)
{
	struct chance chance = {seed};
	uint32_t first = notes->n_put;
	notes->stored_upto = INT64_MIN / 2;
	notes->dropped = 0;
	pid_t child = fork();
	yard_must(child >= 0, "no process");
	if (child == 0)
		live(seed);
	bool long_life = chance_below(&chance, 4);
	long life_us = (long)chance_between(&chance, long_life ? 3000 : 0, long_life ? 30000 : 3000);
	struct timespec life = {.tv_nsec = life_us * 1000 * (YARD_SLOWER > 1 ? 4 : 1)};
	nanosleep(&life, NULL);
	kill(child, SIGKILL);
	int status = 0;
	waitpid(child, &status, 0);
	yard_must(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "it has ended by itself: %x", (unsigned)status);
	tally->kills++;
	tally->written += notes->written;
	tally->steps += notes->steps;
	notes->written = notes->steps = 0;
	bool noted = chance_below(&chance, 8);
	if (!noted) {
		char notes_path[128];
		snprintf(notes_path, sizeof(notes_path), "%s-acks", yard.path);
		unlink(notes_path);
	}
	audit_file(tally, first, noted);
}

/* One file: its lives, one after the other. */
static void lives_of(unsigned number, unsigned n_kills, struct tally *tally)
{
	setting = &settings[number % N_SETTINGS];
	kind = (struct yard_kind){.seed = number + 1,
		.payload_least = setting->payload_least,
		.payload_most = setting->payload_most,
		.no_expiry = true};
	buffer = (struct plan_buffer){.path = yard.path,
		.path_given = true,
		.max_size = (int64_t)setting->kilobytes * 1024,
		.sync_us = setting->sync_us,
		.when_full = setting->when_full,
		.live_first = setting->live_first};
	yard_empty(&yard);
	memset(notes, 0, sizeof(*notes));
	memset(expected, 0, sizeof(expected));
	notes->n_put = 1;
	for (unsigned life = 0; life < LIVES && tally->kills < n_kills && notes->n_put < NUMBERS - HEADROOM; life++) {
		yard_case("%s, file %u, life %u", setting->name, number, life);
		kill_one(number * 1000 + life, tally);
	}
	tally->put += notes->n_put - 1;
	for (unsigned i = 0; i < NUMBERS; i++)
		tally->acknowledged += (notes->fate[i] & ACKNOWLEDGED) != 0;
}

int main(int argc, char **argv)
{
	unsigned n_kills = yard_count(argc, argv, "BUSFERRY_KILLS", 1000);
	struct tally tally = {0};
	log_set_level(LOG_LEVEL_ERROR);
	notes = mmap(NULL, sizeof(*notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	yard_must(notes != MAP_FAILED, "no memory");
	yard_make(&yard);
	for (unsigned number = 0; tally.kills < n_kills; number++)
		lives_of(number, n_kills, &tally);
	yard_remove(&yard);
	yard_must(n_kills < 300 || (tally.due > n_kills && tally.acknowledged > n_kills && tally.written > n_kills),
		"it has done too little to prove anything");
	yard_must(n_kills < 300 || tally.again_without_notes > tally.again,
		"without notes no more would come again: %" PRIu64 ", %" PRIu64, tally.again_without_notes,
		tally.again);
	printf("kills: %u in %u settings, %" PRIu64 " readings put, %" PRIu64 " acknowledged, %" PRIu64
	       " rows written, %" PRIu64 " found, %" PRIu64
	       " were due: lost 0, out of order 0; acknowledged and still there "
	       "%" PRIu64 ", at most %" PRIu64 " of a life; control without notes %" PRIu64 "\n",
		tally.kills, N_SETTINGS, tally.put, tally.acknowledged, tally.written, tally.rows, tally.due,
		tally.again, tally.most_again, tally.again_without_notes);
	return 0;
}
