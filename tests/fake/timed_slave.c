/*
 * Modbus RTU slaves on a pty that keep the time of a real wire: the yardstick of bench_bus.py.
 *
 *   timed_slave --pty LINK [--baud 9600] [--bits 11] [--units 10] [--turnaround US] [--dead N,N...] [--lenient]
 *               [--piece BYTES] [--priority N] [--seconds N] [--error]
 *
 * A request has arrived when its last byte would have, at that speed, from the moment the master wrote it.  Its end is
 * known by 3.5 characters of silence (1.75 ms above 19200 baud), then the turnaround begins, then the answer, whose
 * bytes come in pieces as UARTs hand them over, each piece not before its last byte would have.  A request that begins
 * before the silence after the last frame is over is lost and counted as hasty, as the specification lets slaves do;
 * --lenient counts it and answers.  Every register holds unit * 256 + address % 256.
 *
 * Takes commands on stdin, a line each, and answers with a line: "counts" (JSON), "window" (for times and gaps), "dead
 * N", "alive N"; ends with stdin, on SIGTERM, or when its time is over.
 *
 * It shares no code with Busferry.  Its own time: before an instant it spins instead of sleeping, and it does so while
 * a request may begin, so it sees a byte some µs after the pty has handed it over.  --error measures that: a thread
 * plays the master and compares both sides' clocks.
 *
 * Invariant: `quiet_from` is the end of the last frame on the wire, whoever sent it.  Times are ns, CLOCK_MONOTONIC.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define UNITS      248
#define FRAME_MAX  256
#define REQUEST    8
#define GAPS_MAX   200000
#define SPIN_NS    30000   /* not longer: the kernel's thread that moves a pty's bytes may wait for this CPU */
#define PIECE_NS   1000000 /* UARTs interrupt for several bytes, or when some time has passed */
#define NEVER      INT64_MAX
#define ERROR_RUNS 400

struct unit {
	bool known, dead;
	uint64_t n_requests, n_answers;
	int64_t alive_at, returned_after; /* the last "alive": when, and how long until it was asked */
};

struct wire {
	int fd;
	int64_t char_ns, silence_ns, turnaround_ns;
	size_t piece;
	bool strict;
	int64_t quiet_from;
	uint8_t heard[FRAME_MAX];
	size_t n_heard;
	int64_t heard_end; /* when the last byte heard will have arrived */
	bool hasty;        /* what is being heard began too early */
	uint8_t answer[FRAME_MAX];
	size_t n_answer, n_sent;
	int64_t answer_from; /* when its first byte begins */
	bool answered;       /* the last frame was an answer: the gap after it counts */
	uint64_t n_requests, n_answers, n_hasty, n_garbage, n_registers;
	int64_t first_end, last_end; /* of the answers since the counts began; 0 = none */
	int64_t answer_ns;           /* what a perfect master needs for the answer under way, and … */
	int64_t perfect_ns;          /* … for those after the first */
	unsigned lowest;             /* the lowest address asked for: a round begins with it */
	uint64_t n_rounds;           /* complete ones */
	bool in_round;
	int64_t asked_ns, round_from_ns, rounds_ns;
	int64_t late_ns; /* the latest that a piece was handed over */
	int64_t gaps[GAPS_MAX];
	size_t n_gaps;
	struct unit units[UNITS];
};

static struct wire wire = {.piece = 0, .strict = true, .turnaround_ns = 2000000};

static int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "timed_slave: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint16_t crc16(const uint8_t *bytes, size_t n)
{
	uint16_t crc = 0xFFFF;
	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1);
	}
	return crc;
}

/* Bytes that the master wrote were seen. */
static void hear(const uint8_t *bytes, size_t n, int64_t at)
{
	if (wire.n_heard == 0) {
		bool quiet = wire.n_answer == 0 && at >= wire.quiet_from + wire.silence_ns;
		if (wire.answered && wire.n_answer == 0 && wire.n_gaps < GAPS_MAX)
			wire.gaps[wire.n_gaps++] = at - wire.quiet_from;
		wire.n_hasty += !quiet;
		wire.hasty = wire.strict && !quiet;
	}
	for (size_t i = 0; i < n && wire.n_heard < FRAME_MAX; i++)
		wire.heard[wire.n_heard++] = bytes[i];
	wire.heard_end = (wire.heard_end > at ? wire.heard_end : at) + (int64_t)n * wire.char_ns;
	wire.answered = false;
}

/* A round is over when the lowest address is asked for again: what its reads cost a perfect master. */
static void note_round(unsigned at)
{
	if (at > wire.lowest)
		return;
	if (at == wire.lowest && wire.in_round) {
		wire.n_rounds++;
		wire.rounds_ns = wire.asked_ns - wire.round_from_ns;
	} else {
		wire.n_rounds = 0;
		wire.rounds_ns = 0;
		wire.round_from_ns = wire.asked_ns;
	}
	wire.lowest = at;
	wire.in_round = true;
}

static void prepare_answer(struct unit *unit, int64_t from)
{
	const uint8_t *asked = wire.heard;
	unsigned at = (unsigned)asked[2] << 8 | asked[3], count = (unsigned)asked[4] << 8 | asked[5];
	uint8_t *bytes = wire.answer;
	size_t n = 0;
	note_round(at);
	bytes[n++] = asked[0];
	if (asked[1] != 3 && asked[1] != 4) {
		bytes[n++] = asked[1] | 0x80;
		bytes[n++] = 1;
	} else if (count < 1 || count > 125 || at + count > 65536) {
		bytes[n++] = asked[1] | 0x80;
		bytes[n++] = 2;
	} else {
		bytes[n++] = asked[1];
		bytes[n++] = (uint8_t)(2 * count);
		for (unsigned i = 0; i < count; i++) {
			bytes[n++] = asked[0];
			bytes[n++] = (uint8_t)(at + i);
		}
		wire.n_registers += count;
	}
	uint16_t crc = crc16(bytes, n);
	bytes[n++] = (uint8_t)crc;
	bytes[n++] = (uint8_t)(crc >> 8);
	wire.n_answer = n;
	wire.n_sent = 0;
	wire.answer_from = from;
	wire.n_answers++;
	unit->n_answers++;
	wire.answer_ns = (REQUEST + (int64_t)n) * wire.char_ns + 2 * wire.silence_ns + wire.turnaround_ns;
	wire.asked_ns += wire.answer_ns;
}

/* The silence after a request is over: is it one, and for whom? */
static void judge(void)
{
	size_t n = wire.n_heard;
	bool whole = n == REQUEST && crc16(wire.heard, n) == 0;
	struct unit *unit = &wire.units[wire.heard[0] < UNITS ? wire.heard[0] : 0];
	wire.n_heard = 0;
	if (wire.heard_end > wire.quiet_from)
		wire.quiet_from = wire.heard_end;
	wire.n_garbage += !whole;
	if (!whole || wire.hasty)
		return;
	wire.n_requests++;
	unit->n_requests++;
	if (!unit->known || unit->dead)
		return;
	if (unit->alive_at && !unit->returned_after)
		unit->returned_after = wire.heard_end - unit->alive_at;
	prepare_answer(unit, wire.heard_end + wire.silence_ns + wire.turnaround_ns);
}

/* When the next piece of the answer is whole. */
static int64_t piece_at(size_t *ret_end)
{
	size_t end = wire.n_sent + wire.piece < wire.n_answer ? wire.n_sent + wire.piece : wire.n_answer;
	*ret_end = end;
	return wire.answer_from + (int64_t)end * wire.char_ns;
}

static void send_piece(int64_t due, size_t end)
{
	int64_t at = now_ns();
	if (write(wire.fd, wire.answer + wire.n_sent, end - wire.n_sent) < 0)
		fail("write");
	wire.n_sent = end;
	if (at - due > wire.late_ns)
		wire.late_ns = at - due;
	if (end < wire.n_answer)
		return;
	wire.n_answer = 0;
	wire.quiet_from = at; /* handed over late, it was late on the wire */
	wire.answered = true;
	if (wire.first_end)
		wire.perfect_ns += wire.answer_ns;
	else
		wire.first_end = at;
	wire.last_end = at;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static void print_quantiles(const char *name, int64_t *list, size_t n)
{
	qsort(list, n, sizeof(*list), compare);
	if (n == 0)
		list[0] = 0;
	printf("\"%s\":[%.1f,%.1f,%.1f,%.1f,%.1f]", name, (double)list[0] / 1e3, (double)list[n / 2] / 1e3,
		(double)list[n * 9 / 10] / 1e3, (double)list[n * 99 / 100] / 1e3, (double)list[n ? n - 1 : 0] / 1e3);
}

static void print_counts(void)
{
	printf("{\"seconds\":%.6f,\"requests\":%llu,\"answers\":%llu,\"registers\":%llu,\"hasty\":%llu,\"garbage\":%"
	       "llu,"
	       "\"perfect_s\":%.6f,\"rounds\":%llu,\"rounds_s\":%.6f,\"silence_us\":%.1f,\"late_us\":%.1f,",
		(double)(wire.last_end - wire.first_end) / 1e9, (unsigned long long)wire.n_requests,
		(unsigned long long)wire.n_answers, (unsigned long long)wire.n_registers,
		(unsigned long long)wire.n_hasty, (unsigned long long)wire.n_garbage, (double)wire.perfect_ns / 1e9,
		(unsigned long long)wire.n_rounds, (double)wire.rounds_ns / 1e9, (double)wire.silence_ns / 1e3,
		(double)wire.late_ns / 1e3);
	print_quantiles("gaps_us", wire.gaps, wire.n_gaps);
	printf(",\"units\":{");
	const char *comma = "";
	for (int u = 1; u < UNITS; u++) {
		const struct unit *unit = &wire.units[u];
		if (!unit->known)
			continue;
		printf("%s\"%d\":[%llu,%llu,%.3f]", comma, u, (unsigned long long)unit->n_requests,
			(unsigned long long)unit->n_answers, (double)unit->returned_after / 1e9);
		comma = ",";
	}
	printf("}}\n");
}

/* A new window for what is measured; what is counted goes on. */
static void begin_window(void)
{
	wire.perfect_ns = wire.late_ns = wire.first_end = wire.last_end = 0;
	wire.n_gaps = 0;
	wire.n_rounds = 0;
	wire.in_round = false;
	wire.lowest = UINT16_MAX;
}

/* False at the end of stdin. */
static bool obey(void)
{
	char line[64];
	size_t n = 0;
	while (n + 1 < sizeof(line) && read(0, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = 0;
	if (n == 0)
		return false;
	int number = atoi(strchr(line, ' ') ? strchr(line, ' ') : "0");
	struct unit *unit = &wire.units[number > 0 && number < UNITS ? number : 0];
	if (strcmp(line, "counts") == 0) {
		print_counts();
		return true;
	}
	if (strcmp(line, "window") == 0) {
		begin_window();
	} else if (strncmp(line, "dead ", 5) == 0) {
		unit->dead = true;
	} else if (strncmp(line, "alive ", 6) == 0) {
		unit->dead = false;
		unit->returned_after = 0;
		unit->alive_at = now_ns();
	}
	puts("ok");
	return true;
}

/* Does what is due now.  Returns the next instant at which something is. */
static int64_t step(int64_t at)
{
	uint8_t bytes[FRAME_MAX];
	ssize_t n = read(wire.fd, bytes, sizeof(bytes));
	if (n > 0)
		hear(bytes, (size_t)n, now_ns()); /* not `at`: never seen before it was written */
	if (wire.n_heard && at >= wire.heard_end + wire.silence_ns)
		judge();
	if (wire.n_answer) {
		size_t end;
		int64_t due = piece_at(&end);
		if (at < due)
			return due;
		send_piece(due, end);
		return at;
	}
	return wire.n_heard ? wire.heard_end + wire.silence_ns : NEVER;
}

static void serve(int64_t end, bool obeys)
{
	for (;;) {
		int64_t at = now_ns();
		int64_t next = step(at);
		if (at >= end)
			return;
		at = now_ns();
		if (next - SPIN_NS <= at)
			continue;
		int64_t left = (next < at + 1000000000 ? next : at + 1000000000) - SPIN_NS - at;
		struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = (long)(left % 1000000000)};
		struct pollfd fds[2] = {{.fd = wire.fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
		if (ppoll(fds, obeys ? 2 : 1, &timeout, NULL) > 0 && fds[1].revents && !obey())
			return;
	}
}

static void open_pty(const char *link, char *ret_path, size_t size)
{
	wire.fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (wire.fd < 0 || grantpt(wire.fd) < 0 || unlockpt(wire.fd) < 0 || ptsname_r(wire.fd, ret_path, size) != 0)
		fail("pty");
	int held = open(ret_path, O_RDWR | O_NOCTTY); /* so that the pty outlives its masters */
	struct termios tio;
	if (held < 0 || tcgetattr(held, &tio) < 0)
		fail(ret_path);
	cfmakeraw(&tio);
	tcsetattr(held, TCSANOW, &tio);
	if (link && ((unlink(link) < 0 && errno != ENOENT) || symlink(ret_path, link) < 0))
		fail(link);
}

/* The master of --error: what the two sides' clocks say of the same bytes. */
static void *error_master(void *argument)
{
	static int64_t heard_late[ERROR_RUNS], answer_late[ERROR_RUNS];
	int fd = open(argument, O_RDWR | O_NOCTTY);
	uint8_t request[REQUEST] = {1, 3, 0, 0, 0, 20}, bytes[FRAME_MAX];
	uint16_t crc = crc16(request, 6);
	request[6] = (uint8_t)crc;
	request[7] = (uint8_t)(crc >> 8);
	int n_runs = 0;
	for (; fd >= 0 && n_runs < ERROR_RUNS; n_runs++) {
		size_t n = 0, whole = 5 + 40;
		struct timespec gap = {.tv_nsec = (long)(wire.silence_ns + wire.silence_ns / 20)};
		clock_nanosleep(CLOCK_MONOTONIC, 0, &gap, NULL);
		int64_t wrote_at = now_ns();
		if (write(fd, request, sizeof(request)) != REQUEST)
			break;
		while (n < whole) {
			ssize_t got = read(fd, bytes + n, whole - n);
			if (got <= 0)
				break;
			n += (size_t)got;
		}
		int64_t seen_at = now_ns();
		heard_late[n_runs] = wire.heard_end - REQUEST * wire.char_ns - wrote_at;
		answer_late[n_runs] = seen_at - wire.answer_from - (int64_t)whole * wire.char_ns;
	}
	printf("µs, least, median, 90 %%, 99 %%, most: {");
	print_quantiles("request seen after it was written", heard_late, (size_t)n_runs);
	printf(", ");
	print_quantiles("answer read after it was due", answer_late, (size_t)n_runs);
	printf("}\n");
	exit(0);
}

static void be_prompt(int priority)
{
	struct sched_param param = {.sched_priority = priority};
	prctl(PR_SET_TIMERSLACK, 1UL);
	if (priority > 0 && sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) < 0)
		fprintf(stderr, "timed_slave: no real-time priority: %s\n", strerror(errno));
	mlockall(MCL_CURRENT | MCL_FUTURE);
}

static void mark_dead(const char *list)
{
	for (const char *at = list; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (atoi(at) > 0 && atoi(at) < UNITS)
			wire.units[atoi(at)].dead = true;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"pty", 1, 0, 'p'}, {"baud", 1, 0, 'b'}, {"bits", 1, 0, 'c'},
		{"units", 1, 0, 'u'}, {"turnaround", 1, 0, 't'}, {"dead", 1, 0, 'd'}, {"lenient", 0, 0, 'l'},
		{"piece", 1, 0, 'i'}, {"priority", 1, 0, 'r'}, {"seconds", 1, 0, 's'}, {"error", 0, 0, 'e'}, {0}};
	int64_t baud = 9600, bits = 11, units = 10, seconds = 600;
	int priority = 0;
	const char *link = NULL;
	bool error = false;
	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (o) {
		case 'p':
			link = optarg;
			break;
		case 'b':
			baud = atol(optarg);
			break;
		case 'c':
			bits = atol(optarg);
			break;
		case 'u':
			units = atol(optarg);
			break;
		case 't':
			wire.turnaround_ns = atol(optarg) * 1000;
			break;
		case 'd':
			mark_dead(optarg);
			break;
		case 'l':
			wire.strict = false;
			break;
		case 'i':
			wire.piece = (size_t)atol(optarg);
			break;
		case 'r':
			priority = atoi(optarg);
			break;
		case 's':
			seconds = atol(optarg);
			break;
		case 'e':
			error = true;
			break;
		default:
			return 64;
		}
	}
	if (baud < 300 || bits < 10 || bits > 12 || units < 1 || units >= UNITS || seconds < 1)
		return 64;
	char path[128];
	pthread_t master;
	wire.char_ns = bits * 1000000000 / baud;
	wire.silence_ns = baud > 19200 ? 1750000 : wire.char_ns * 7 / 2;
	if (wire.piece == 0)
		wire.piece = wire.char_ns < PIECE_NS ? (size_t)(PIECE_NS / wire.char_ns) : 1;
	for (int64_t u = 1; u <= units; u++)
		wire.units[u].known = true;
	setvbuf(stdout, NULL, _IOLBF, 0);
	open_pty(link, path, sizeof(path));
	wire.lowest = UINT16_MAX;
	printf("ready %s\n", link ? link : path);
	if (error)
		pthread_create(&master, NULL, error_master, path);
	be_prompt(priority);
	serve(now_ns() + seconds * 1000000000, !error);
	if (link)
		unlink(link);
	return 0;
}
