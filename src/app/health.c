/*
 * Health: see health.h.
 *
 * The watchdog is fed only while every thread makes its steps in time; a thread that hangs therefore ends in a restart
 * by systemd.  The notification protocol (sd_notify(3): one datagram of "KEY=value" lines to $NOTIFY_SOCKET) is spoken
 * here in a few lines, because libsystemd would bring four compression libraries and half a megabyte into a program
 * that is to fit a Pi Zero.
 */
#include "app/health.h"
#include "app/stats.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STATUS_EVERY_US 5000000
#define STATS_EVERY_US  60000000

static void notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
		return;
	size_t n = strlen(path);
	memcpy(address.sun_path, path, n);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	(void)sent; /* nobody to tell */
	close(fd);
}

static int64_t watchdog_of_systemd(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	long long us = strtoll(usec, NULL, 10);
	return us > 0 ? us / 3 : 0;
}

void health_init(struct health *health, struct gateway *gateway, int64_t now_us)
{
	*health = (struct health){.gateway = gateway,
		.watchdog_us = watchdog_of_systemd(),
		.fed_at = now_us,
		.status_at = now_us,
		.stats_at = now_us + STATS_EVERY_US};
	clock_watch_init(&health->clock, &clock_system);
}

static void feed_watchdog(struct health *health, int64_t now_us)
{
	/* Threads that have not made their first step yet say 0. */
	int64_t alive_until = gateway_alive_until(health->gateway);
	health->fed_at = now_us + health->watchdog_us;
	int64_t lasted_us;
	char length[LOG_LENGTH_SIZE];
	if (alive_until >= now_us) {
		notify("WATCHDOG=1");
		if (complaint_clear(&health->hang, now_us, &lasted_us, NULL))
			log_notice("the thread that hung goes on after %s", log_length(lasted_us, length));
	} else if (health->ready && complaint_raise(&health->hang, now_us)) {
		log_error("a thread hangs: the watchdog is not fed");
	}
}

static void tell_status(struct health *health)
{
	char line[sizeof(health->status)];
	stats_line(health->gateway, line, sizeof(line));
	if (strcmp(line, health->status) == 0)
		return;
	snprintf(health->status, sizeof(health->status), "%s", line);
	char text[sizeof(health->status) + 16];
	snprintf(text, sizeof(text), "STATUS=%s", health->status);
	notify(text);
}

static void tell_stats(struct health *health)
{
	size_t size = stats_size(health->gateway);
	char *text = malloc(size);
	if (!text)
		return;
	int n = stats_json(health->gateway, text, size);
	if (n > 0)
		gateway_put_stats(health->gateway, text, (size_t)n);
	free(text);
}

int64_t health_step(struct health *health, int64_t now_us)
{
	if (!health->ready && gateway_alive_until(health->gateway) > 0) {
		health->ready = true;
		notify("READY=1");
	}
	if (health->watchdog_us && now_us >= health->fed_at)
		feed_watchdog(health, now_us);
	if (now_us >= health->status_at) {
		health->status_at = now_us + STATUS_EVERY_US;
		clock_watch_look(&health->clock);
		tell_status(health);
	}
	if (now_us >= health->stats_at) {
		health->stats_at += STATS_EVERY_US;
		tell_stats(health);
		gateway_remember(health->gateway);
	}
	int64_t wake = health->status_at < health->stats_at ? health->status_at : health->stats_at;
	if (health->watchdog_us && health->fed_at < wake)
		wake = health->fed_at;
	return health->ready ? wake : now_us + 20000;
}

void health_reloading(struct health *health, int64_t now_us)
{
	health->reloading = true;
	char text[80];
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reads the map again", (long long)now_us);
	notify(text);
}

void health_reloaded(struct health *health, int64_t now_us)
{
	health->reloading = false;
	notify("READY=1");
	health->status[0] = '\0'; /* that was taken back */
	health->status_at = now_us;
}

void health_stopping(void)
{
	notify("STOPPING=1");
}
