/*
 * Listening to a serial wire, see line_rtu.h.
 *
 * Every byte that comes in is looked at, also between questions, and each frame is told to the unit's `trust`, which
 * knows the questions that may still be answered.  So nothing is flushed unseen: late answers end what they belong to,
 * and the requests of another master are questions that this unit may answer too.
 *
 * An answer is handed out only if it fits the question under way and can belong to no other.  Reasons for which it is
 * not, all of them met on real wires: it is late; another master asked; two answers came where one was due; on a line
 * with another master something came before it that may have been that master's request.
 *
 * Adapters that return what is sent are recognised by the request itself, byte for byte.  The answer to a write of one
 * cell is such a copy, too: which it is follows from what the adapter did with reads.  Answers to writes have functions
 * of their own, so they never raise doubts about reads; who writes reads back, because they prove nothing.
 *
 * A unit that never stops sending is read in sips, so that it costs little, and the bus does not speak meanwhile.
 */
#include "field/line_rtu.h"
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define READS_MAX       4      /* of a look */
#define REST_PORT_US    25000  /* USB adapters hand over every 16 ms */
#define REST_TCP_US     100000 /* networks pause longer */
#define GLITCH_BYTES    3      /* so few are what transceivers make when they change direction */
#define LEAST_BYTES     5      /* of an exception: unit, function, code, checksum; of an answer, besides its data */
#define NEAR_US         1000
#define OTHERS_US       100000 /* another master's answer is waited for so long */
#define OTHERS_KNOWN_US (3600 * (int64_t)1000000)
#define ECHO_PLAIN      3 /* so many answers without an echo, and the adapter has none */
#define BABBLE_BYTES    512
#define WRITE_LIFE_US   (60 * (int64_t)1000000) /* an answer to a write comes no later */
#define BABBLE_PAUSE_US 60000                   /* who pauses so long does not babble */
#define BABBLE_LOOK_US  50000

void line_rtu_init(struct line_rtu *rtu, struct line *line, const struct plan_bus *bus)
{
	int64_t four_us = 4 * plan_line_char_ns(&bus->line) / 1000;
	int64_t rest_us = bus->wire == WIRE_SERIAL ? REST_PORT_US : REST_TCP_US;
	*rtu = (struct line_rtu){.line = line,
		.bus = bus,
		.gap_us = plan_bus_gap_us(bus),
		.rest_us = four_us > rest_us ? four_us : rest_us};
}

static void wait_for(struct line_rtu *rtu, short events, int64_t look_at)
{
	rtu->line->events = events;
	rtu->line->look_at = look_at;
}

void line_rtu_opened(struct line_rtu *rtu, int64_t now_us)
{
	rtu_clear(&rtu->search);
	rtu->asking = false;
	rtu->echo_due = false;
	rtu->n_babble = 0;
	rtu->n_plain = 0;
	rtu->others_until = 0;
	rtu->n_writes = 0;
	rtu->line->echo_known = rtu->echoes;
	rtu->line->babbles = false;
	rtu->line->free_at = now_us + rtu->gap_us;
	wait_for(rtu, POLLIN, CLOCK_NEVER);
}

static void tell(struct line_rtu *rtu, enum line_stray what, uint8_t unit, int64_t late_us)
{
	if (rtu->line->watch)
		rtu->line->watch->stray(rtu->line->watch, what, unit, late_us);
}

static bool others_known(const struct line_rtu *rtu, int64_t now_us)
{
	return rtu->others_at && now_us - rtu->others_at < OTHERS_KNOWN_US;
}

/* May it have been the request of another master?  The first that is heard of it may be damaged. */
static bool may_ask(const struct line_rtu *rtu, size_t n, int64_t now_us)
{
	return others_known(rtu, now_us) || (n == RTU_REQUEST_BYTES && !(rtu->echoes && rtu->echo_due));
}

/* Bytes without sense.  If they were a request, it may have been to anybody, for anything. */
static void garbled(struct line_rtu *rtu, size_t n, int64_t now_us)
{
	rtu->n_garbled += n;
	rtu->n_babble += n;
	if (n <= GLITCH_BYTES)
		return;
	if (!rtu->asking)
		tell(rtu, LINE_NOISE, 0, 0);
	if (!rtu->line->trusts || !may_ask(rtu, n, now_us))
		return;
	for (unsigned unit = 0; unit < 256; unit++)
		if (rtu->used[unit / 64] >> (unit % 64) & 1)
			trust_overheard(&rtu->line->trusts[unit], TRUST_ANY, now_us);
}

static bool is_echo(const struct line_rtu *rtu, const struct rtu_frame *frame)
{
	if (!rtu->echo_due || frame->n + 2 != rtu->n_request || memcmp(frame->bytes, rtu->request, rtu->n_request) != 0)
		return false;
	if (rtu->writing && rtu->n_request == RTU_REQUEST_BYTES) /* its answer is the same */
		return rtu->echoes || !rtu->line->echo_known;
	return rtu->echoes || rtu->n_plain < ECHO_PLAIN;
}

static void heard_echo(struct line_rtu *rtu)
{
	if (!rtu->echoes)
		log_about(LOG_LEVEL_NOTICE, &(struct log_about){.bus = rtu->bus->name},
			"bus %s: the adapter returns what is sent, which is skipped", rtu->bus->name);
	rtu->echoes = true;
	rtu->line->echo_known = true;
	rtu->echo_due = false;
	rtu->n_plain = 0;
	tell(rtu, LINE_ECHO, rtu->request[0], 0);
}

static void heard_others(struct line_rtu *rtu, const struct rtu_frame *frame, int64_t now_us)
{
	rtu->others_at = now_us;
	rtu->others_until = now_us + OTHERS_US;
	if (rtu->line->trusts && frame->kind != RTU_OTHER)
		trust_overheard(&rtu->line->trusts[frame->unit], frame->asks, now_us);
	tell(rtu, LINE_FOREIGN, frame->unit, 0);
}

/* The frame is the answer: it is copied, because the search goes on. */
static int take(struct line_rtu *rtu, const struct rtu_frame *frame, struct line_answer *ret_answer)
{
	rtu->asking = false;
	if (rtu->echo_due && rtu->n_garbled < RTU_REQUEST_BYTES) /* too little for an echo */
		rtu->line->echo_known = true;
	if (rtu->echo_due && rtu->n_garbled == 0 && rtu->n_plain < ECHO_PLAIN && ++rtu->n_plain == ECHO_PLAIN)
		rtu->echoes = false;
	if (frame->kind == RTU_EXCEPTION) {
		*ret_answer = (struct line_answer){.exception = frame->exception};
		return -EREMOTEIO;
	}
	memcpy(rtu->answer, frame->bytes + 3, frame->n - 3);
	*ret_answer = (struct line_answer){.bytes = rtu->answer, .n = frame->n - 3};
	return 0;
}

/* Nobody is known to have asked for it.  If it could have been taken for an answer to us, so may another one. */
static int heard_unasked(struct line_rtu *rtu, const struct rtu_frame *frame, int64_t now_us)
{
	bool ours = frame->unit == rtu->unit;
	int rc = -EAGAIN;
	tell(rtu, LINE_FOREIGN, frame->unit, 0);
	if (rtu->line->trusts) {
		struct trust *trust = &rtu->line->trusts[frame->unit];
		if (rtu->asking && ours && !rtu->writing && trust_is_alone(trust))
			rc = -EBADMSG; /* of a wrong function or length */
		if (trust_was_asked(trust, frame->shape))
			trust_overheard(trust, TRUST_ANY, now_us);
	}
	return rtu->asking || !ours ? rc : -EBADMSG; /* a second answer to one question: which is it? */
}

static int heard_answer(
	struct line_rtu *rtu, const struct rtu_frame *frame, int64_t now_us, struct line_answer *ret_answer)
{
	bool fits = rtu->asking && frame->unit == rtu->unit &&
		    (frame->shape == rtu->shape || frame->shape == TRUST_EXCEPTION(rtu->request[1]));
	struct trust *trust = rtu->line->trusts ? &rtu->line->trusts[frame->unit] : NULL;
	bool elsewhere = rtu->asking && frame->unit != rtu->unit;
	enum trust_verdict verdict = trust  ? trust_heard(trust, frame->shape, elsewhere, now_us)
				     : fits ? TRUST_CERTAIN
					    : TRUST_UNASKED;
	rtu->others_until = 0;
	switch (verdict) {
	case TRUST_CERTAIN:
		if (fits)
			return take(rtu, frame, ret_answer);
		break;
	case TRUST_UNCERTAIN:
		if (!fits)
			break;
		*ret_answer = (struct line_answer){.exception = frame->exception};
		return -ESTALE;
	case TRUST_LATE:
		break;
	case TRUST_FOREIGN:
		tell(rtu, LINE_FOREIGN, frame->unit, 0);
		return -EAGAIN;
	case TRUST_UNASKED:
		return heard_unasked(rtu, frame, now_us);
	}
	tell(rtu, LINE_LATE, frame->unit, trust ? trust->heard_us : 0);
	return -EAGAIN;
}

static bool is_request(const struct line_rtu *rtu, const struct rtu_frame *frame, int64_t now_us)
{
	if (!frame->ambiguous)
		return frame->kind == RTU_REQUEST || frame->kind == RTU_OTHER;
	/* It could be both: it is an answer only where one of its shape is due, nobody else is known to ask, and it is
	 * not the very request that was asked. */
	return others_known(rtu, now_us) || memcmp(frame->bytes, rtu->request, RTU_REQUEST_BYTES) == 0 ||
	       (rtu->line->trusts && !trust_is_open(&rtu->line->trusts[frame->unit], frame->shape));
}

/* The write that a frame answers, the newest first; NULL. */
static struct line_rtu_write *written(struct line_rtu *rtu, const struct rtu_frame *frame, int64_t now_us)
{
	for (unsigned i = rtu->n_writes; i > 0; i--) {
		struct line_rtu_write *write = &rtu->writes[i - 1];
		bool refused = frame->kind == RTU_EXCEPTION && frame->unit == write->answer[0] &&
			       frame->function == write->answer[1];
		bool done = frame->kind == RTU_OTHER && frame->n == RTU_WRITTEN_BYTES &&
			    memcmp(frame->bytes, write->answer, RTU_WRITTEN_BYTES) == 0;
		if (write->open && (refused || done) && now_us - write->asked_at < WRITE_LIFE_US)
			return write;
	}
	return NULL;
}

/* An answer to a write.  Late ones are none to the question under way, whatever that is. */
static int heard_written(struct line_rtu *rtu, const struct rtu_frame *frame, struct line_rtu_write *write,
	int64_t now_us, struct line_answer *ret_answer)
{
	bool newest = write == &rtu->writes[rtu->n_writes - 1], alone = true;
	rtu->others_until = 0;
	for (struct line_rtu_write *older = rtu->writes; older < write; older++)
		alone &= !older->open || memcmp(older->answer, write->answer, 2) != 0 ||
			 now_us - older->asked_at >= WRITE_LIFE_US;
	write->open = false;
	if (!rtu->asking || !rtu->writing || !newest) {
		tell(rtu, LINE_LATE, frame->unit, now_us - write->asked_at);
		return -EAGAIN;
	}
	rtu->asking = false;
	*ret_answer = (struct line_answer){.exception = frame->exception};
	if (frame->kind == RTU_EXCEPTION)
		return alone ? -EREMOTEIO : -ESTALE; /* which of them was refused? */
	return 0;
}

/* The device shows another value than the one that it was given, or another count. */
static bool is_written_otherwise(const struct line_rtu *rtu, const struct rtu_frame *frame)
{
	return rtu->asking && rtu->writing && frame->kind == RTU_OTHER && frame->n == RTU_WRITTEN_BYTES &&
	       memcmp(frame->bytes, rtu->request, 4) == 0;
}

static int judge(struct line_rtu *rtu, const struct rtu_frame *frame, int64_t now_us, struct line_answer *ret_answer)
{
	if (is_echo(rtu, frame)) {
		heard_echo(rtu);
		return -EAGAIN;
	}
	struct line_rtu_write *write = written(rtu, frame, now_us);
	if (write)
		return heard_written(rtu, frame, write, now_us, ret_answer);
	if (is_written_otherwise(rtu, frame))
		return -EBADMSG;
	if (is_request(rtu, frame, now_us)) {
		heard_others(rtu, frame, now_us);
		return -EAGAIN;
	}
	return heard_answer(rtu, frame, now_us, ret_answer);
}

/* All frames that are there.  Of what they say the first that ends the wait counts, unless a later one disproves it. */
static int sort(struct line_rtu *rtu, bool all, int64_t now_us, struct line_answer *ret_answer)
{
	struct rtu_frame frame;
	int result = -EAGAIN;
	while (rtu_next(&rtu->search, rtu->asking && !all ? &rtu->head : NULL, &frame)) {
		garbled(rtu, frame.n_skipped, now_us);
		rtu->n_babble = 0;
		int rc = judge(rtu, &frame, now_us, ret_answer);
		if (result == -EAGAIN || rc == -EBADMSG)
			result = rc;
		if (result != -EAGAIN)
			rtu->asking = false;
	}
	return result;
}

/* Reads what is there.  -EAGAIN: nothing that ends the wait; else as line_ops.answer. */
static int hear(struct line_rtu *rtu, int64_t now_us, struct line_answer *ret_answer)
{
	int result = -EAGAIN;
	for (int i = 0; i < READS_MAX && result == -EAGAIN; i++) {
		size_t room;
		uint8_t *bytes = rtu_room(&rtu->search, &room);
		ssize_t n = read(rtu->line->fd, bytes, room);
		if (n == 0)
			return -ENODEV;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? -EAGAIN : -ENODEV;
		if (now_us - rtu->heard_at >= BABBLE_PAUSE_US)
			rtu->n_babble = 0;
		rtu->heard_at = now_us;
		rtu_fed(&rtu->search, (size_t)n);
		result = sort(rtu, false, now_us, ret_answer);
		rtu->line->free_at = now_us + rtu->gap_us;
		if (rtu->others_until > rtu->line->free_at)
			rtu->line->free_at = rtu->others_until;
		if ((size_t)n < room)
			break;
	}
	return result;
}

/* The line has been silent: what waits will be no frame any more. */
static int rest(struct line_rtu *rtu, int64_t now_us, struct line_answer *ret_answer)
{
	bool only = rtu->n_garbled == 0;
	int rc = sort(rtu, true, now_us, ret_answer);
	if (rtu->asking && only && !rtu->writing && rtu->line->trusts &&
		rtu_is_spoilt(rtu->search.bytes, rtu_waiting(&rtu->search), &rtu->head))
		trust_spoilt(&rtu->line->trusts[rtu->unit]);
	garbled(rtu, rtu_clear(&rtu->search), now_us);
	return rc;
}

static bool babbles(const struct line_rtu *rtu)
{
	return rtu->n_babble + rtu_waiting(&rtu->search) + rtu->search.n_lost > BABBLE_BYTES;
}

/* Nothing is asked: how to wait for what others may send. */
static void idle(struct line_rtu *rtu, int64_t now_us)
{
	rtu->line->babbles = babbles(rtu) && now_us - rtu->heard_at < BABBLE_PAUSE_US;
	if (rtu->line->babbles)
		wait_for(rtu, 0, now_us + BABBLE_LOOK_US);
	else
		wait_for(rtu, POLLIN, rtu_waiting(&rtu->search) ? rtu->heard_at + rtu->rest_us : CLOCK_NEVER);
}

int line_rtu_listen(struct line_rtu *rtu, int64_t now_us)
{
	struct line_answer nobodys;
	rtu->asking = rtu->echo_due = false; /* it has been given up; an echo comes at once or never */
	if (hear(rtu, now_us, &nobodys) == -ENODEV)
		return -ENODEV;
	if (rtu_waiting(&rtu->search) && now_us - rtu->heard_at >= rtu->rest_us)
		rest(rtu, now_us, &nobodys);
	idle(rtu, now_us);
	return 0;
}

int line_rtu_ready(struct line_rtu *rtu, int64_t now_us)
{
	struct line_answer nobodys;
	int rc = line_rtu_listen(rtu, now_us);
	if (rc < 0)
		return rc;
	if (now_us < rtu->line->free_at || rtu->line->babbles)
		return -EAGAIN;
	rest(rtu, now_us, &nobodys);
	return 0;
}

size_t line_rtu_request(const struct line_question *question, uint8_t ret_request[static RTU_FRAME_MAX])
{
	if (question->write)
		return rtu_write_request(
			question->unit, &question->place, question->write, question->many, ret_request);
	rtu_request(question->unit, &question->place, ret_request);
	return RTU_REQUEST_BYTES;
}

static void note_write(struct line_rtu *rtu, int64_t now_us)
{
	if (rtu->n_writes == LINE_RTU_WRITES)
		memmove(rtu->writes, rtu->writes + 1, --rtu->n_writes * sizeof(rtu->writes[0]));
	struct line_rtu_write *write = &rtu->writes[rtu->n_writes++];
	*write = (struct line_rtu_write){.open = true, .asked_at = now_us};
	memcpy(write->answer, rtu->request, sizeof(write->answer));
}

void line_rtu_asked(struct line_rtu *rtu, const struct line_question *question, int64_t now_us)
{
	size_t n_bytes = rtu_answer_bytes(&question->place);
	rtu->asking = true;
	rtu->writing = question->write != NULL;
	rtu->unit = question->unit;
	rtu->n_request = line_rtu_request(question, rtu->request);
	rtu->shape = rtu->writing ? 0 : rtu_shape(&question->place);
	rtu->head = (struct rtu_head){{question->unit, rtu->request[1], (uint8_t)n_bytes}, LEAST_BYTES + n_bytes};
	if (rtu->writing)
		rtu->head =
			(struct rtu_head){{question->unit, rtu->request[1], rtu->request[2]}, RTU_WRITTEN_BYTES + 2};
	rtu->n_garbled = 0;
	rtu->n_babble = 0;
	rtu->echo_due = true;
	rtu->line->begun = false;
	rtu->used[question->unit / 64] |= (uint64_t)1 << (question->unit % 64);
	if (rtu->writing)
		note_write(rtu, now_us);
	else if (rtu->line->trusts)
		trust_asked(&rtu->line->trusts[question->unit], rtu->shape, now_us);
	wait_for(rtu, POLLIN, CLOCK_NEVER);
}

/*
 * An answer that has begun need not be looked at byte by byte: for so long it can't be whole.  Until the last of it is
 * near, since the bytes that were seen may have waited somewhere.  0 = it may be at any time.
 */
static int64_t grows_for_us(const struct line_rtu *rtu)
{
	size_t n = rtu_waiting(&rtu->search), whole = n < 3 ? LEAST_BYTES : rtu->head.whole;
	const uint8_t *bytes = rtu->search.bytes + rtu->search.gone;
	if (rtu->bus->wire != WIRE_SERIAL || n >= whole || memcmp(bytes, rtu->head.bytes, n < 3 ? n : 3) != 0)
		return 0;
	int64_t char_us = plan_line_char_ns(&rtu->bus->line) / 1000;
	int64_t near_us = 2 * char_us > NEAR_US ? 2 * char_us : NEAR_US;
	int64_t left_us = (int64_t)(whole - n) * char_us;
	return left_us > near_us ? left_us - near_us : 0;
}

int line_rtu_answer(struct line_rtu *rtu, int64_t now_us, struct line_answer *ret_answer)
{
	int rc = hear(rtu, now_us, ret_answer);
	if (rc == -EAGAIN && rtu_waiting(&rtu->search) && now_us - rtu->heard_at >= rtu->rest_us) {
		rc = rest(rtu, now_us, ret_answer);
		bool alone = rtu->writing || !rtu->line->trusts || trust_is_alone(&rtu->line->trusts[rtu->unit]);
		if (rc == -EAGAIN && alone && rtu->n_garbled > GLITCH_BYTES)
			rc = -EBADMSG;
	}
	if (rc == -EAGAIN && babbles(rtu))
		rc = -EBADMSG;
	if (rc == -EAGAIN) {
		rtu->line->begun = rtu_waiting(&rtu->search) > 0 && !(rtu->echoes && rtu->echo_due);
		int64_t grows_us = rtu->line->begun ? grows_for_us(rtu) : 0;
		if (grows_us > 0)
			wait_for(rtu, 0, now_us + grows_us);
		else
			wait_for(rtu, POLLIN, rtu_waiting(&rtu->search) ? rtu->heard_at + rtu->rest_us : CLOCK_NEVER);
		return rc;
	}
	rtu->asking = false;
	idle(rtu, now_us);
	return rc;
}
