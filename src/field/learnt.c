/*
 * The file of what was learnt, see learnt.h.
 *
 *   busferry learnt 1
 *   0123456789abcdef input 2 5      a device's key, the table, the gap's first cell, the first one behind it
 *
 * Why text: there are a few lines, people may look at them or delete them.  Why a key over all that is read: with
 * another device, profile or map the line means nothing, and what is not refused must not be read around.  A line that
 * is not sound is passed over; the worst that a damaged file does is that something is learnt again.
 *
 * Invariant: the file is replaced as a whole.  No state; any thread.
 */
#include "field/learnt.h"
#include "base/hash.h"
#include "field/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t mix_number(uint64_t hash, int64_t number)
{
	unsigned char bytes[8];
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)((uint64_t)number >> 8 * i);
	return hash_bytes(hash, bytes, sizeof(bytes));
}

uint64_t learnt_key(const struct plan *plan, const struct plan_device *told)
{
	const struct plan_bus *bus = &plan->buses[told->bus];
	const char *where = bus->wire == WIRE_SERIAL ? bus->port : bus->host;
	uint64_t hash = hash_text(where);
	hash = mix_number(hash, bus->wire);
	hash = mix_number(hash, bus->wire == WIRE_SERIAL ? 0 : bus->tcp_port);
	hash = mix_number(hash, told->address);
	hash = mix_number(hash, told->max_registers);
	hash = mix_number(hash, told->max_gap);
	for (uint32_t i = 0; i < told->n_metrics; i++) {
		struct bf_place place = convert_place(&plan->metrics[told->first_metric + i]);
		hash = mix_number(hash, place.space);
		hash = mix_number(hash, place.at);
		hash = mix_number(hash, place.count);
		for (size_t m = 0; m < plan->metrics[told->first_metric + i].n_models; m++)
			hash = mix_number(hash, plan->metrics[told->first_metric + i].models[m]);
	}
	return hash;
}

/* A number of up to 5 digits at *at, which is moved behind it.  True when there is one, at most 65536. */
static bool parse_cell(const char **at, uint32_t *ret_cell)
{
	size_t digits = strspn(*at, "0123456789");
	if (digits == 0 || digits > 5)
		return false;
	*ret_cell = (uint32_t)strtoul(*at, NULL, 10);
	*at += digits;
	return *ret_cell <= 65536;
}

/* A whole line without its end.  True when it is sound. */
static bool parse_line(const char *line, struct learnt_gap *ret_gap)
{
	uint32_t from, to;
	if (strspn(line, "0123456789abcdef") != 16 || line[16] != ' ')
		return false;
	const char *word = line + 17, *at = word + strcspn(word, " ");
	if (*at != ' ')
		return false;
	size_t length = (size_t)(at++ - word);
	if (!parse_cell(&at, &from) || *at++ != ' ' || !parse_cell(&at, &to) || *at != '\0' || from > to)
		return false;
	enum bf_space space;
	if (!plan_space_from_word(word, length, &space))
		return false;
	*ret_gap = (struct learnt_gap){strtoull(line, NULL, 16), {space, from, to}};
	return true;
}

void learnt_parse(const char *text, size_t n, struct learnt *ret_learnt, struct arena *arena)
{
	size_t head = strlen(LEARNT_HEAD), lines = 0;
	*ret_learnt = (struct learnt){0};
	if (n < head || memcmp(text, LEARNT_HEAD, head) != 0)
		return;
	for (size_t i = head; i < n; i++)
		lines += text[i] == '\n';
	ret_learnt->list = arena_array(arena, lines + 1, sizeof(*ret_learnt->list));
	for (size_t at = head; at < n;) {
		const char *end = memchr(text + at, '\n', n - at);
		if (!end) /* cut off: who knows what stood there */
			return;
		char line[LEARNT_LINE_SIZE];
		size_t length = (size_t)(end - text) - at;
		if (length < sizeof(line)) {
			memcpy(line, text + at, length);
			line[length] = '\0';
			if (parse_line(line, &ret_learnt->list[ret_learnt->n]))
				ret_learnt->n++;
		}
		at += length + 1;
	}
}

int learnt_load(const char *path, struct learnt *ret_learnt, struct arena *arena)
{
	*ret_learnt = (struct learnt){0};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	char *text = arena_alloc(arena, LEARNT_FILE_MAX);
	size_t n = 0;
	ssize_t got = 0;
	while (n < LEARNT_FILE_MAX && (got = read(fd, text + n, LEARNT_FILE_MAX - n)) > 0)
		n += (size_t)got;
	int rc = got < 0 ? -errno : 0;
	close(fd);
	if (rc == 0)
		learnt_parse(text, n, ret_learnt, arena);
	return rc;
}

void learnt_recall(
	const struct learnt *learnt, const struct plan *plan, const struct plan_device *told, struct refusals *refusals)
{
	uint64_t key = learnt->n ? learnt_key(plan, told) : 0;
	uint32_t n = 0;
	for (size_t i = 0; i < learnt->n && n < REFUSALS_MAX; i++)
		if (learnt->list[i].key == key) {
			refusals->kept[n] = true;
			refusals->list[n++] = learnt->list[i].refusal;
		}
	atomic_store_explicit(&refusals->n, n, memory_order_release);
}

size_t learnt_print(
	const struct plan *plan, const struct plan_device *told, const struct refusals *refusals, char *text)
{
	size_t n = 0;
	uint32_t known = atomic_load_explicit(&refusals->n, memory_order_acquire);
	for (uint32_t i = 0; i < known; i++) {
		const struct planner_refusal *refusal = &refusals->list[i];
		if (refusals->kept[i])
			n += (size_t)snprintf(text + n, LEARNT_LINE_SIZE, "%016" PRIx64 " %s %" PRIu32 " %" PRIu32 "\n",
				learnt_key(plan, told), plan_space_word(refusal->space), refusal->from, refusal->to);
	}
	return n;
}
