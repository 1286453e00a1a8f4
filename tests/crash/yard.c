/*
 * See yard.h.
 */
#include "yard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t chance_next(struct chance *chance)
{
	uint64_t x = chance->state += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

unsigned chance_below(struct chance *chance, unsigned n)
{
	return n ? (unsigned)(chance_next(chance) % n) : 0;
}

unsigned chance_between(struct chance *chance, unsigned least, unsigned most)
{
	return least + chance_below(chance, most - least + 1);
}

static char case_text[256] = "at the start";

void yard_case(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(case_text, sizeof(case_text), format, arguments);
	va_end(arguments);
}

void yard_must(bool truth, const char *format, ...)
{
	if (truth)
		return;
	va_list arguments;
	va_start(arguments, format);
	fflush(stdout);
	fprintf(stderr, "FAILED (%s): ", case_text);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(1);
}

unsigned yard_count(int argc, char **argv, const char *variable, unsigned usual)
{
	const char *text = argc > 1 ? argv[1] : getenv(variable);
	unsigned long n = text ? strtoul(text, NULL, 10) : 0;
	return n > 0 && n < 100000000 ? (unsigned)n : usual / YARD_SLOWER;
}

/* Those that are there; a test that fails leaves nothing behind, and its case repeats by its number. */
static struct yard yards[8];

static void remove_all(void)
{
	for (size_t i = 0; i < sizeof(yards) / sizeof(yards[0]); i++)
		if (yards[i].folder[0]) {
			umount2(yards[i].folder, MNT_DETACH);
			yard_remove(&yards[i]);
		}
}

void yard_make(struct yard *yard)
{
	static bool registered;
	if (!registered)
		registered = atexit(remove_all) == 0;
	const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(yard->folder, sizeof(yard->folder), "%s/busferry-crash-XXXXXX", parent);
	yard_must(mkdtemp(yard->folder) != NULL, "no folder in %s", parent);
	snprintf(yard->path, sizeof(yard->path), "%s/buffer.db", yard->folder);
	snprintf(yard->wal, sizeof(yard->wal), "%s-wal", yard->path);
	size_t i = 0;
	while (i < sizeof(yards) / sizeof(yards[0]) - 1 && yards[i].folder[0])
		i++;
	yards[i] = *yard;
}

void yard_empty(const struct yard *yard)
{
	DIR *folder = opendir(yard->folder);
	struct dirent *entry;
	while (folder && (entry = readdir(folder))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(folder), entry->d_name, 0) < 0)
			unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
	}
	if (folder)
		closedir(folder);
}

void yard_remove(const struct yard *yard)
{
	yard_empty(yard);
	rmdir(yard->folder);
	for (size_t i = 0; i < sizeof(yards) / sizeof(yards[0]); i++)
		if (strcmp(yards[i].folder, yard->folder) == 0 && &yards[i] != yard)
			yards[i] = (struct yard){0};
}

struct journal_row yard_row(const struct yard_kind *kind, uint64_t number, char *bytes)
{
	struct chance chance = {kind->seed ^ number * 0x2545f4914f6cdd1du};
	unsigned payload_n = chance_between(&chance, kind->payload_least, kind->payload_most);
	char *payload =
		bytes + 1 +
		snprintf(bytes, 128, "site/room-%u/meter-%" PRIu64 "/power", chance_below(&chance, 40), number % 7);
	for (unsigned i = 0; i < payload_n; i += 8) {
		uint64_t x = chance_next(&chance);
		memcpy(payload + i, &x, payload_n - i < 8 ? payload_n - i : 8);
	}
	char text[32];
	int text_n = snprintf(text, sizeof(text), "%" PRIu64 " ", number);
	if ((unsigned)text_n <= payload_n)
		memcpy(payload, text, (size_t)text_n);
	return (struct journal_row){
		.sequence = number,
		.message = {.topic = bytes,
			.payload = payload,
			.payload_n = payload_n,
			.time_ms = 2764000000000 + (int64_t)(number * 37 + kind->seed % 1000),
			.expire_s = number % 5 == 0 && !kind->no_expiry ? 3600000 : 0,
			.qos = (uint8_t)(1 + number % 2),
			.retain = number % 3 == 0,
			.json = number % 4 == 0,
			.buffer = true,
			.kind = MESSAGE_READING},
	};
}

bool yard_is_row(const struct yard_kind *kind, uint64_t number, const struct message *message)
{
	static char bytes[YARD_ROW_BYTES];
	struct journal_row row = yard_row(kind, number, bytes);
	const struct message *right = &row.message;
	return message->payload_n == right->payload_n &&
	       memcmp(message->payload, right->payload, right->payload_n) == 0 &&
	       strcmp(message->topic, right->topic) == 0 && message->time_ms == right->time_ms &&
	       message->expire_s == right->expire_s && message->qos == right->qos && message->retain == right->retain &&
	       message->json == right->json;
}

bool yard_is_handed(const struct yard_kind *kind, uint64_t number, const struct message *message)
{
	struct message as_put = *message;
	as_put.retain = message->retain || number % 3 == 0;
	return yard_is_row(kind, number, &as_put);
}

static bool yard_meets(void *user, const struct journal_row *row)
{
	struct yard_found *found = user;
	found->n++;
	found->n_disorder += row->sequence <= found->last;
	found->last = row->sequence;
	if (row->sequence >= found->n_max) {
		found->n_foreign++;
		return true;
	}
	if (!yard_is_row(found->kind, row->sequence, &row->message))
		found->n_wrong++;
	found->n_disorder += found->present[row->sequence];
	found->present[row->sequence] = 1;
	return true;
}

int yard_read(struct journal *journal, struct yard_found *found, uint64_t *ret_damaged)
{
	memset(found->present, 0, (size_t)found->n_max);
	found->n = found->last = found->n_wrong = found->n_foreign = found->n_disorder = 0;
	int n = 1;
	while (n > 0)
		n = journal_read(journal, found->last + 1, INT64_MAX, 300, yard_meets, found, ret_damaged);
	return n;
}

static bool take_one(void *user, const struct journal_row *row)
{
	*(uint64_t *)user = row->sequence;
	return true;
}

int yard_tries(struct journal *journal, uint64_t above)
{
	static const struct yard_kind kind = {.seed = 77, .payload_least = 20, .payload_most = 200};
	char bytes[2][512];
	struct journal_row rows[2] = {yard_row(&kind, above + 1, bytes[0]), yard_row(&kind, above + 2, bytes[1])};
	uint64_t dropped = 0, damaged = 0, met = 0;
	struct journal_span done = {above + 1, above + 2}; /* of a try that met damage */
	int rc = journal_write(journal, &done, 1, NULL, 0, true, &dropped);
	if (rc == 0)
		rc = journal_write(journal, NULL, 0, rows, 2, true, &dropped);
	done = (struct journal_span){above + 1, above + 1};
	if (rc == 0)
		rc = journal_write(journal, &done, 1, NULL, 0, true, &dropped);
	yard_must(rc == 0 || rc == -EBADMSG, "it takes no append or no delete: %d", rc);
	if (rc < 0)
		return rc;
	rc = journal_read(journal, above + 1, INT64_MAX, 10, take_one, &met, &damaged);
	yard_must(rc == 1 && met == above + 2, "what was appended is not there: %d, %" PRIu64, rc, met);
	done = (struct journal_span){above + 2, above + 2};
	return journal_write(journal, &done, 1, NULL, 0, true, &dropped);
}

void yard_is_sound(struct journal *journal, uint64_t above)
{
	int rc = yard_tries(journal, above);
	yard_must(rc == 0, "it takes no append or no delete: %d", rc);
}
