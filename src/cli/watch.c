/*
 * `busferry watch`: what arrives at the broker, as it arrives.
 *
 * It is a client of its own (the map's broker, its own client id, a clean session, QoS 0), so it shows what others
 * get and not what the gateway believes to have sent, and disturbs nothing.
 *
 * On a terminal the table takes the other screen, which is left at every end: Ctrl-C, SIGTERM, --seconds, a broker that
 * refuses us; Ctrl-Z gives the terminal back for as long.  Signals come by a descriptor, so none of it happens in the
 * middle of a line.
 */
#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/map.h"
#include "cli/screen.h"
#include "cli/watch.h"
#include "model/topic.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#define FILTER_MAX    1024
#define DRAW_US       200000 /* at most five times a second */
#define AGES_US       1000000
#define COLUMNS_LEAST 20
#define CONNECT_US    15000000
#define WHAT_BYTES    240
#define TITLE_BYTES   512

enum watch_state { WATCH_DOWN, WATCH_CONNECTING, WATCH_CONNECTED };

struct watch_command {
	const char *map, *filter;
	int64_t for_us;
	bool as_json;

	struct plan plan;
	struct plan_broker broker; /* the plan's, with a client id of ours */
	struct uplink *uplink;
	enum watch_state state;
	size_t endpoint, n_failed; /* attempts before the first success */
	bool been_there;
	struct backoff pause;
	int64_t try_at, deadline, ends_at;
	enum uplink_fault fault;
	char what[WHAT_BYTES]; /* why there is no connection; "" = there is one */

	struct watch_table *table; /* NULL = lines */
	struct watch_screen screen;
	char title[TITLE_BYTES];
	bool dirty;
	int64_t drawn_at;
	int signals;
	int code; /* -1 = goes on */
};

static void note_connected(void *user, bool session_present, const struct uplink_limits *limits)
{
	struct watch_command *watch = user;
	int id;
	(void)session_present;
	(void)limits;
	watch->state = WATCH_CONNECTED;
	watch->been_there = true;
	watch->what[0] = '\0';
	watch->dirty = true;
	backoff_reset(&watch->pause);
	if (watch->uplink->ops->subscribe(watch->uplink, watch->filter, 0, &id) < 0)
		watch->code = EX_UNAVAILABLE;
}

static void note_lost(void *user, enum uplink_fault fault, const char *what)
{
	struct watch_command *watch = user;
	watch->state = WATCH_DOWN;
	watch->fault = fault;
	watch->dirty = true;
	snprintf(watch->what, sizeof(watch->what), "%s", what);
}

static void note_subscribed(void *user, int message_id, int reason)
{
	struct watch_command *watch = user;
	(void)message_id;
	if (reason < 0x80)
		return;
	snprintf(watch->what, sizeof(watch->what), "the broker does not let this user read \"%s\"", watch->filter);
	watch->code = EX_NOPERM;
}

static void nothing(void *user, int message_id, int reason)
{
	(void)user;
	(void)message_id;
	(void)reason;
}

static void note_message(void *user, const struct uplink_message *message)
{
	struct watch_command *watch = user;
	int64_t now_ms = clock_system.wall_ms(&clock_system);
	if (watch->table)
		watch_table_put(watch->table, message, now_ms);
	else if (watch->as_json)
		watch_print_json(stdout, message, now_ms);
	else
		watch_print_line(stdout, message, now_ms);
	watch->dirty = true;
}

static void broker_failed(struct watch_command *watch, int64_t now_us)
{
	watch->uplink->ops->close(watch->uplink, false);
	watch->uplink->ops->forget(watch->uplink);
	watch->endpoint = (watch->endpoint + 1) % watch->broker.n_endpoints;
	watch->try_at = now_us + backoff_next(&watch->pause);
	watch->n_failed += !watch->been_there;
	if (!watch->been_there && watch->n_failed >= watch->broker.n_endpoints)
		watch->code = watch->fault == UPLINK_AUTH ? EX_NOPERM : EX_UNAVAILABLE;
	else if (!watch->table)
		fprintf(stderr, "busferry: %s; trying again\n", watch->what);
}

static void try_broker(struct watch_command *watch, int64_t now_us)
{
	struct uplink_target target = {
		.broker = &watch->broker, .endpoint = &watch->broker.endpoints[watch->endpoint], .clean_session = true};
	snprintf(watch->title, sizeof(watch->title), "%s at %s", watch->filter, target.endpoint->url);
	watch->state = WATCH_CONNECTING;
	watch->deadline = now_us + CONNECT_US;
	watch->uplink->ops->open(watch->uplink, &target);
	if (watch->state == WATCH_DOWN) /* at once */
		broker_failed(watch, now_us);
}

static void serve_broker(struct watch_command *watch, const struct pollfd *fd, int64_t now_us)
{
	if (watch->state == WATCH_DOWN) {
		if (now_us >= watch->try_at)
			try_broker(watch, now_us);
		return;
	}
	/* TLS may hold bytes that no poll shows, so it is looked each time. */
	watch->uplink->ops->step(watch->uplink, true, fd->revents & POLLOUT);
	watch->uplink->ops->let_go(watch->uplink);
	if (watch->state == WATCH_CONNECTING && now_us >= watch->deadline)
		note_lost(watch, UPLINK_REFUSED, "the broker does not answer");
	if (watch->state == WATCH_DOWN)
		broker_failed(watch, now_us);
}

/* The screen */

static void screen_clear(struct watch_command *watch)
{
	screen_size(STDOUT_FILENO, &watch->screen.columns, &watch->screen.rows);
	if (watch->screen.columns < COLUMNS_LEAST)
		watch->screen.columns = COLUMNS_LEAST;
	fputs("\x1b[H\x1b[J", stdout);
	watch->dirty = true;
	watch->drawn_at = 0;
}

static void screen_enter(struct watch_command *watch)
{
	fputs("\x1b[?1049h\x1b[?25l", stdout);
	screen_clear(watch);
}

static void screen_leave(void)
{
	fputs("\x1b[?25h\x1b[?1049l", stdout);
	fflush(stdout);
}

static void draw(struct watch_command *watch, int64_t now_us)
{
	int64_t every_us = watch->dirty ? DRAW_US : AGES_US;
	if (!watch->table || (watch->drawn_at && now_us - watch->drawn_at < every_us))
		return;
	watch->screen.title = watch->title;
	watch->screen.trouble = watch->what[0] ? watch->what : NULL;
	watch_table_draw(watch->table, &watch->screen, clock_system.wall_ms(&clock_system), stdout);
	fflush(stdout);
	watch->drawn_at = now_us;
	watch->dirty = false;
}

static void take_signal(struct watch_command *watch)
{
	struct signalfd_siginfo info;
	if (read(watch->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGWINCH:
		if (watch->table)
			screen_clear(watch);
		break;
	case SIGTSTP:
		if (watch->table)
			screen_leave();
		kill(getpid(), SIGSTOP);
		if (watch->table)
			screen_enter(watch);
		break;
	default:
		watch->code = EXIT_INTERRUPTED;
	}
}

static int milliseconds(const struct watch_command *watch, int64_t now_us)
{
	int64_t wake = watch->state == WATCH_DOWN ? watch->try_at : watch->uplink->ops->due_at(watch->uplink);
	if (watch->state == WATCH_CONNECTING)
		wake = clock_earlier(wake, watch->deadline);
	wake = clock_earlier(wake, watch->ends_at);
	if (watch->table)
		wake = clock_earlier(wake, watch->drawn_at + (watch->dirty ? DRAW_US : AGES_US));
	int64_t ms = wake <= now_us ? 0 : (wake - now_us + 999) / 1000;
	return ms < 60000 ? (int)ms : 60000;
}

static void run(struct watch_command *watch)
{
	int64_t now_us = clock_now(&clock_system);
	watch->ends_at = watch->for_us ? now_us + watch->for_us : CLOCK_NEVER;
	if (watch->table)
		screen_enter(watch);
	try_broker(watch, now_us);
	while (watch->code < 0) {
		draw(watch, now_us);
		struct pollfd fds[] = {{.fd = watch->signals, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
		if (watch->state != WATCH_DOWN) {
			fds[1].fd = watch->uplink->ops->fd(watch->uplink);
			fds[1].events |= watch->uplink->ops->wants_write(watch->uplink) ? POLLOUT : 0;
		}
		poll(fds, 2, milliseconds(watch, now_us));
		now_us = clock_now(&clock_system);
		if (fds[0].revents)
			take_signal(watch);
		serve_broker(watch, &fds[1], now_us);
		if (ferror(stdout)) /* nobody reads on */
			watch->code = EX_IOERR;
		else if (now_us >= watch->ends_at && watch->code < 0)
			watch->code = 0;
	}
	if (watch->table)
		screen_leave();
	if (watch->state != WATCH_DOWN)
		watch->uplink->ops->close(watch->uplink, true);
}

static int watch_broker(struct watch_command *watch)
{
	char client_id[64];
	snprintf(client_id, sizeof(client_id), "busferry-watch-%lld-%llx", (long long)getpid(),
		(unsigned long long)clock_system.wall_ms(&clock_system) & 0xffffff);
	if (uplink_mosquitto_init(&watch->uplink) < 0)
		return EX_OSERR;
	watch->broker = watch->plan.broker;
	watch->broker.client_id = client_id;
	watch->uplink->events = (struct uplink_events){.user = watch,
		.connected = note_connected,
		.lost = note_lost,
		.acknowledged = nothing,
		.subscribed = note_subscribed,
		.message = note_message};
	watch->pause = (struct backoff){.first_us = 500000, .cap_us = 15000000, .jitter_percent = 25};
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGWINCH, SIGTSTP, 0};
	watch->signals = cli_signal_fd(signals);
	watch->code = -1;
	log_set_level(LOG_LEVEL_ERROR); /* what is to be said is said here */
	run(watch);
	uplink_mosquitto_destroy(watch->uplink);
	close(watch->signals);
	if (watch->what[0] && watch->code > 0 && watch->code != EXIT_INTERRUPTED)
		fprintf(stderr, "busferry: error: %s: %s\n", watch->broker.endpoints[0].url, watch->what);
	if (watch->table)
		fprintf(stderr, "%s: %zu topics, %llu messages\n", watch->title, watch_table_topics(watch->table),
			(unsigned long long)watch_table_messages(watch->table));
	return watch->code;
}

int cli_watch(int argc, char **argv)
{
	static struct watch_command watch = {.map = CLI_DEFAULT_MAP};
	static char everything[FILTER_MAX];
	const struct cli_option options[] = {CLI_OPTION_MAP(&watch.map),
		{.name = "seconds",
			.argument = "N",
			.kind = CLI_DURATION,
			.into = &watch.for_us,
			.help = "end by itself after that time"},
		{.name = "json", .kind = CLI_FLAG, .into = &watch.as_json, .help = "one JSON object a message"}, {0}};
	int first;
	int rc = cli_parse("watch", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	if (argc - first > 1)
		return cli_usage_error("watch", "unexpected \"%s\"", argv[first + 1]);
	watch.filter = first < argc ? argv[first] : NULL;
	const char *fault = watch.filter ? topic_filter_fault(watch.filter) : NULL;
	if (watch.filter && strlen(watch.filter) >= FILTER_MAX)
		fault = "is too long";
	if (fault)
		return cli_usage_error("watch", "the filter \"%s\" %s", watch.filter, fault);
	rc = map_load(watch.map, &watch.plan);
	if (rc >= 0)
		return rc;
	if (!watch.filter) {
		snprintf(everything, sizeof(everything), "%s/#", watch.plan.site);
		watch.filter = everything;
	}
	if (isatty(STDOUT_FILENO) && !watch.as_json && !(watch.table = watch_table_make()))
		return EX_OSERR;
	watch.screen.coloured = cli_colour(STDOUT_FILENO);
	if (watch.table)
		setvbuf(stdout, NULL, _IOFBF, (size_t)64 * 1024);
	rc = watch_broker(&watch);
	watch_table_free(watch.table);
	plan_destroy(&watch.plan);
	return rc;
}
