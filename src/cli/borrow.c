/*
 * Asking through the gateway.  See borrow.h.
 *
 * Why not simply wait for the port: a gateway never lets go of it, and a bus has one master.
 */
#include "cli/borrow.h"
#include "app/control_place.h"
#include "base/clock.h"
#include "base/json_find.h"
#include "cli/control_client.h"
#include "model/line_text.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#define BUSY_TRIES   100
#define BUSY_WAIT_US 100000

/* What a gateway says to one question. */
struct hearing {
	struct borrow *borrow;
	const struct bf_place *place; /* NULL: it is only asked for its settings */
	int rc;
};

/* The bytes of an answer; false when they are not those that were asked for. */
static bool take_bytes(struct borrow *borrow, const struct bf_place *place, const char *hex)
{
	bool bits = place->space == BF_SPACE_COIL || place->space == BF_SPACE_DISCRETE;
	size_t wanted = bits ? (size_t)(place->count + 7) / 8 : (size_t)place->count * 2;
	int n = bf_bytes_parse(hex, borrow->bytes, sizeof(borrow->bytes));
	if (n < 0 || (size_t)n != wanted)
		return false;
	borrow->n = wanted;
	return true;
}

static int failure_of(const char *word)
{
	static const struct {
		const char *word;
		int rc;
	} words[] = {{"timeout", -ETIMEDOUT}, {"silent", -ETIMEDOUT}, {"exception", -EREMOTEIO}, {"damaged", -EBADMSG},
		{"busy", -EBUSY}, {"gone", -ENODEV}};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(word, words[i].word) == 0)
			return words[i].rc;
	return -EBADMSG;
}

static bool take(void *user, const char *line, size_t n)
{
	struct hearing *hearing = user;
	struct borrow *borrow = hearing->borrow;
	char hex[2 * ERRAND_BYTES + 1], word[16], settings[LINE_TEXT_SIZE];
	int64_t exception = 0;
	if (!hearing->place) {
		bool known = json_find_text(line, n, "line", settings, sizeof(settings)) &&
			     line_text_parse(settings, &borrow->line) == 0;
		hearing->rc = known ? 0 : -EBADMSG;
		return true;
	}
	if (json_find_text(line, n, "bytes", hex, sizeof(hex)))
		hearing->rc = take_bytes(borrow, hearing->place, hex) ? 0 : -EBADMSG;
	else if (json_find_text(line, n, "failure", word, sizeof(word)))
		hearing->rc = failure_of(word);
	if (json_find_int(line, n, "exception", &exception) && exception > 0 && exception < 256)
		borrow->exception = (uint8_t)exception;
	return true;
}

static bool has_port(void *user, int fd)
{
	struct borrow *borrow = user;
	struct hearing hearing = {.borrow = borrow, .rc = -ENOENT};
	const char *words[] = {"wire", "line", borrow->port};
	if (control_client_open(fd, &borrow->gateway) < 0)
		return false;
	int code = control_client_ask_quietly(borrow->gateway, words, sizeof(words) / sizeof(words[0]), take, &hearing);
	if (code == 0 && hearing.rc == 0)
		return true;
	borrow_close(borrow);
	return false;
}

int borrow_open(const char *port, struct borrow *ret_borrow)
{
	*ret_borrow = (struct borrow){.port = port};
	return control_place_each(has_port, ret_borrow) ? 0 : -ENOENT;
}

void borrow_close(struct borrow *borrow)
{
	if (borrow->gateway)
		fclose(borrow->gateway);
	borrow->gateway = NULL;
}

int borrow_ask(struct borrow *borrow, uint8_t unit, const struct bf_place *place)
{
	struct hearing hearing = {borrow, place, -EBADMSG};
	char unit_text[8], at[8], count[8];
	snprintf(unit_text, sizeof(unit_text), "%u", unit);
	snprintf(at, sizeof(at), "%u", place->at);
	snprintf(count, sizeof(count), "%u", place->count);
	const char *words[] = {"wire", "read", borrow->port, unit_text, plan_space_word(place->space), at, count};
	borrow->exception = 0;
	int code = control_client_ask_quietly(borrow->gateway, words, sizeof(words) / sizeof(words[0]), take, &hearing);
	return code == 0 ? hearing.rc : code == EX_TEMPFAIL ? -EBUSY : -ENODEV;
}

/* The wire of a search */

static struct borrow *of(struct scan_wire *wire)
{
	return &((struct borrow_wire *)(void *)((char *)wire - offsetof(struct borrow_wire, wire)))->borrow;
}

static int wire_open(struct scan_wire *wire, const struct plan_line *settings)
{
	return settings && line_text_same(settings, &of(wire)->line) ? 0 : -EINVAL;
}

static void wire_close(struct scan_wire *wire)
{
	(void)wire;
}

static void wire_rest(struct scan_wire *wire, int64_t for_us)
{
	(void)wire;
	struct timespec time = clock_timespec(for_us);
	ppoll(NULL, 0, &time, NULL);
}

static int64_t wire_now_us(const struct scan_wire *wire)
{
	(void)wire;
	return clock_now(&clock_system);
}

static int wire_ask(struct scan_wire *wire, const struct line_question *question, int64_t timeout_us,
	struct line_answer *ret_answer)
{
	struct borrow *borrow = of(wire);
	int64_t begun = clock_now(&clock_system);
	int rc = -EBUSY;
	(void)timeout_us; /* the gateway has its own */
	for (int i = 0; i < BUSY_TRIES && rc == -EBUSY; i++) {
		if (i)
			wire_rest(wire, BUSY_WAIT_US);
		rc = borrow_ask(borrow, question->unit, &question->place);
	}
	*ret_answer = (struct line_answer){.bytes = borrow->bytes, .n = borrow->n, .exception = borrow->exception};
	if (rc == -ETIMEDOUT)
		wire_rest(wire, clock_now(&clock_system) - begun);
	return rc;
}

static uint64_t wire_strangers(const struct scan_wire *wire)
{
	(void)wire;
	return 0; /* the gateway knows its late answers */
}

int borrow_wire_open(const char *port, struct borrow_wire *ret_wire)
{
	ret_wire->wire = (struct scan_wire){wire_open, wire_close, wire_ask, wire_strangers, wire_rest, wire_now_us};
	return borrow_open(port, &ret_wire->borrow);
}
