/*
 * Reading through the gateway.  See borrow.h.
 *
 * Why not simply wait for the port: a gateway never lets go of it, and a bus has one master.
 */
#include "cli/borrow.h"
#include "app/control_place.h"
#include "base/json_find.h"
#include "cli/control_client.h"
#include "model/line_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

struct borrow {
	const struct cells *cells;
	uint8_t *bytes;
	size_t n;
	int rc; /* -ENOENT: nobody has it yet */
	uint8_t exception;
};

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The bytes of an answer; false when they are not those that were asked for. */
static bool take_bytes(struct borrow *borrow, const char *hex)
{
	const struct bf_place *place = &borrow->cells->place;
	bool bits = place->space == BF_SPACE_COIL || place->space == BF_SPACE_DISCRETE;
	size_t wanted = bits ? (size_t)(place->count + 7) / 8 : (size_t)place->count * 2;
	if (strlen(hex) != 2 * wanted || wanted > ERRAND_BYTES)
		return false;
	for (size_t i = 0; i < wanted; i++) {
		int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		borrow->bytes[i] = (uint8_t)(high << 4 | low);
	}
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
	struct borrow *borrow = user;
	char hex[2 * ERRAND_BYTES + 1], word[16], settings[LINE_TEXT_SIZE];
	int64_t exception = 0;
	struct plan_line theirs;
	if (json_find_text(line, n, "line", settings, sizeof(settings))) {
		const struct plan_line *ours = &borrow->cells->wire.bus.line;
		bool other = line_text_parse(settings, &theirs) < 0 || !line_text_same(&theirs, ours);
		fprintf(stderr, "busferry: the gateway has %s, and reads there%s%s\n", borrow->cells->wire.bus.name,
			other ? " at " : "", other ? settings : "");
	}
	if (json_find_text(line, n, "bytes", hex, sizeof(hex)))
		borrow->rc = take_bytes(borrow, hex) ? 0 : -EBADMSG;
	else if (json_find_text(line, n, "failure", word, sizeof(word)))
		borrow->rc = failure_of(word);
	if (json_find_int(line, n, "exception", &exception) && exception > 0 && exception < 256)
		borrow->exception = (uint8_t)exception;
	return true;
}

static bool ask(void *user, int fd)
{
	struct borrow *borrow = user;
	const struct bf_place *place = &borrow->cells->place;
	static const char *const tables[BF_N_SPACES] = {[BF_SPACE_COIL] = "coil",
		[BF_SPACE_DISCRETE] = "discrete",
		[BF_SPACE_INPUT] = "input",
		[BF_SPACE_HOLDING] = "holding"};
	char unit[8], at[8], count[8];
	snprintf(unit, sizeof(unit), "%u", (unsigned)(borrow->cells->unit & 0xff));
	snprintf(at, sizeof(at), "%u", place->at);
	snprintf(count, sizeof(count), "%u", place->count);
	const char *words[] = {"wire", "read", borrow->cells->wire.bus.port, unit, tables[place->space], at, count};
	FILE *gateway;
	if (control_client_open(fd, &gateway) < 0)
		return false;
	int code = control_client_ask_quietly(gateway, words, sizeof(words) / sizeof(words[0]), take, borrow);
	fclose(gateway);
	if (code == EX_TEMPFAIL)
		borrow->rc = -EBUSY;
	return code == 0 || code == EX_TEMPFAIL;
}

int borrow_read(const struct cells *cells, uint8_t bytes[static ERRAND_BYTES], size_t *ret_n, uint8_t *ret_exception)
{
	struct borrow borrow = {.cells = cells, .bytes = bytes, .rc = -ENOENT};
	if (cells->wire.bus.wire != WIRE_SERIAL || !control_place_each(ask, &borrow))
		return -ENOENT;
	*ret_n = borrow.n;
	*ret_exception = borrow.exception;
	return borrow.rc;
}
