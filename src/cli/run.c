/*
 * `busferry run`: the gateway in the foreground, until a signal or, with --once, until everything was polled and
 * acknowledged.  Signals arrive by signalfd on the main thread; all other threads have them blocked.
 */
#include "app/control.h"
#include "app/gateway.h"
#include "app/health.h"
#include "app/page.h"
#include "app/reload.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pages.h"
#include "cli/cli.h"
#include "cli/map.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define ONCE_LOOK_US   20000
#define BUSY_TRIES     20
#define BUSY_WAIT_US   100000
#define ONCE_BROKER_US 30000000 /* how long --once waits for the broker after everything was polled */

/* Waits for a signal until an instant, or until one of two other descriptors (or -1) is readable.  Its number, or 0. */
static int wait_any(int fd, int other_fd, int third_fd, int64_t until_us)
{
	int64_t left = until_us - clock_now(&clock_system);
	if (left < 0)
		left = 0;
	struct timespec timeout = clock_timespec(left);
	struct pollfd ready[] = {
		{.fd = fd, .events = POLLIN}, {.fd = other_fd, .events = POLLIN}, {.fd = third_fd, .events = POLLIN}};
	struct signalfd_siginfo info;
	if (ppoll(ready, 3, &timeout, NULL) > 0 && ready[0].revents &&
		read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		return (int)info.ssi_signo;
	return 0;
}

static int wait_signal(int fd, int64_t until_us)
{
	return wait_any(fd, -1, -1, until_us);
}

/* Goes on with reading the map again, if it was asked for.  Returns when it wants to be called again. */
static int64_t read_again(struct reload *reload, struct health *health)
{
	bool busy = reload_busy(reload);
	int64_t now_us = clock_now(&clock_system);
	if (busy && !health->reloading)
		health_reloading(health, now_us);
	int64_t wake_us = reload_step(reload, now_us);
	if (busy && !reload_busy(reload))
		health_reloaded(health, clock_now(&clock_system));
	return wake_us;
}

static void run_until_signal(struct gateway *gateway, struct page *page, struct reload *reload, int signals)
{
	struct health health;
	struct control *control = control_open(gateway);
	health_init(&health, gateway, clock_now(&clock_system));
	pages_give_back();
	for (;;) {
		int64_t now_us = clock_now(&clock_system);
		int64_t wake_us = clock_earlier(health_step(&health, now_us), control_step(control, now_us));
		if (health.ready)
			wake_us = clock_earlier(wake_us, read_again(reload, &health));
		wake_us = clock_earlier(wake_us, page_step(page, now_us));
		int which = wait_any(signals, control_fd(control), page_fd(page), wake_us);
		if (which == SIGHUP)
			reload_ask(reload);
		else if (which)
			break;
	}
	log_info("stopping");
	health_stopping();
	control_close(control);
	page_close(page);
}

/* Waits for a condition.  -1 when it holds; else the exit code: 69 after too long, 130. */
static int wait_for(struct gateway *gateway, bool (*holds)(struct gateway *), int64_t at_most_us, int signals)
{
	int64_t give_up = clock_now(&clock_system) + at_most_us;
	while (!holds(gateway)) {
		int64_t now_us = clock_now(&clock_system);
		if (now_us >= give_up)
			return EX_UNAVAILABLE;
		if (wait_signal(signals, now_us + ONCE_LOOK_US))
			return EXIT_INTERRUPTED;
	}
	return -1;
}

/* 0; 69 when something did not answer or the broker did not acknowledge; 130. */
static int run_once(struct gateway *gateway, int signals)
{
	/* First the broker: readings at QoS 0 are dropped while it is not there. */
	int code = wait_for(gateway, gateway_connected, ONCE_BROKER_US, signals);
	if (code == EX_UNAVAILABLE)
		log_error("no connection to the broker within %d s", ONCE_BROKER_US / 1000000);
	if (code >= 0)
		return code;
	if (gateway_poll(gateway) < 0)
		return EX_OSERR;
	code = wait_for(gateway, gateway_polled, INT64_MAX / 2, signals);
	if (code >= 0)
		return code;
	code = wait_for(gateway, gateway_finished, ONCE_BROKER_US, signals);
	if (code == EX_UNAVAILABLE)
		log_error("the broker has not acknowledged everything within %d s", ONCE_BROKER_US / 1000000);
	if (code >= 0)
		return code;
	uint64_t unanswered = gateway_unanswered(gateway);
	if (unanswered)
		log_error("%llu metrics had no answer", (unsigned long long)unanswered);
	return unanswered ? EX_UNAVAILABLE : 0;
}

/* As gateway_open_buffer; a command that looks at the file has it for a moment. */
static int open_buffer(struct gateway *gateway, struct reload *reload, int signals)
{
	int rc = gateway_open_buffer(gateway);
	for (int i = 0; rc == -EBUSY && i < BUSY_TRIES; i++) {
		int which = wait_signal(signals, clock_now(&clock_system) + BUSY_WAIT_US);
		if (which == SIGHUP)
			reload_ask(reload);
		else if (which)
			return -EBUSY;
		rc = gateway_open_buffer(gateway);
	}
	return rc;
}

static int run_gateway(struct gateway *gateway, struct reload *reload, bool once, int signals)
{
	int rc = open_buffer(gateway, reload, signals);
	if (rc < 0) {
		log_error("buffer: %s: %s", gateway_unopened(gateway),
			rc == -EBUSY ? "another gateway has it" : strerror(-rc));
		return rc == -EBUSY ? EX_TEMPFAIL : EX_CANTCREAT;
	}
	const struct plan *plan = gateway_plan(gateway);
	if (plan->n_metrics == 0)
		log_notice("the map has no devices: nothing to do");
	struct page *page = once ? NULL : page_open(gateway);
	rc = gateway_start(gateway);
	if (rc < 0) {
		page_close(page);
		log_error("can't start: %s", strerror(-rc));
		return EX_OSERR;
	}
	log_info("busferry %s runs: %zu devices on %zu buses, %zu metrics", BUSFERRY_VERSION, plan->n_devices,
		plan->n_buses, plan->n_metrics);
	int code = 0;
	if (once)
		code = run_once(gateway, signals);
	else
		run_until_signal(gateway, page, reload, signals);
	if (gateway_stop(gateway) < 0) {
		/* A thread hangs outside of our reach; what is left of it must not be pulled from under its feet. */
		log_warning("a thread does not end in time: leaving without it");
		_exit(code);
	}
	return code;
}

/* The plan becomes the gateway's. */
static int run_plan(struct plan *plan, const char *file, const struct gateway_options *options, int signals)
{
	struct gateway *gateway = NULL;
	struct reload *reload = NULL;
	int code = EX_OSERR, rc = gateway_init(plan, options, &gateway);
	if (rc == 0)
		rc = reload_init(gateway, file, &reload);
	if (rc < 0)
		log_error("can't start: %s", strerror(-rc));
	else
		code = run_gateway(gateway, reload, options->once, signals);
	reload_destroy(reload);
	gateway_destroy(gateway);
	return code;
}

int cli_run(int argc, char **argv)
{
	const char *file = CLI_DEFAULT_MAP;
	bool verbose = false;
	struct gateway_options how = {0};
	const struct cli_option options[] = {CLI_OPTION_MAP(&file),
		{.name = "once",
			.kind = CLI_FLAG,
			.into = &how.once,
			.help = "poll everything once, wait for the broker's acknowledgement, end"},
		{.name = "stdout",
			.kind = CLI_FLAG,
			.into = &how.print,
			.help = "print \"topic payload\" lines instead of publishing"},
		{.letter = 'v', .name = "verbose", .kind = CLI_FLAG, .into = &verbose, .help = "log more"}, {0}};
	int first;
	int rc = cli_parse("run", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	if (first < argc)
		return cli_usage_error("run", "unexpected \"%s\"", argv[first]);
	if (verbose)
		log_set_level(LOG_LEVEL_DEBUG);
	/* From here on: a SIGHUP while the map is read asks for it to be read again. */
	static const int heard[] = {SIGTERM, SIGINT, SIGHUP, 0};
	int signals = cli_signal_fd(heard);
	struct plan plan = {0};
	rc = map_load(file, &plan);
	if (rc < 0)
		rc = run_plan(&plan, file, &how, signals);
	close(signals);
	return rc;
}
