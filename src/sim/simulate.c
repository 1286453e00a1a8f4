/*
 * Plays all devices of a plan.
 *
 * The point is that a map can be tried without a change: where the map's own port or address can be
 * taken without hiding anything real, it is; everything else is said on the first lines, which
 * scripts read up to "ready" (or `{"ready":true}`).
 *
 * One thread, the caller's.
 */
#include "sim/simulate.h"
#include "base/json.h"
#include "base/log.h"
#include "sim/pty.h"
#include "sim/station_set.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct simulation {
	const struct plan *plan;
	const struct simulate_options *options;
	struct station_set *set;
	char folder[PATH_MAX]; /* our own, "" = none made */
};

static void simulate_tell(
	const struct simulation *simulation, const struct plan_bus *bus, const char *wire, const char *where, int port)
{
	FILE *out = simulation->options->out;
	char text[PATH_MAX + 512];
	if (!simulation->options->json) {
		fprintf(out, "%s: %s", bus->name, where);
		if (port)
			fprintf(out, ":%d", port);
		fprintf(out, " (%s, %u device%s)\n", wire, bus->n_devices, bus->n_devices == 1 ? "" : "s");
		return;
	}
	struct json json = json_into(text, sizeof(text));
	json_object(&json, NULL);
	json_text(&json, "bus", bus->name);
	json_text(&json, "wire", wire);
	json_text(&json, port ? "host" : "path", where);
	if (port)
		json_int(&json, "port", port);
	json_int(&json, "devices", bus->n_devices);
	json_object_end(&json);
	if (json_end(&json) > 0)
		fprintf(out, "%s\n", text);
}

static int simulate_make_folder(struct simulation *simulation)
{
	if (simulation->folder[0])
		return 0;
	const char *tmp = getenv("TMPDIR");
	char folder[PATH_MAX];
	int n = snprintf(folder, sizeof(folder), "%s/busferry-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (n >= (int)sizeof(folder))
		return -ENAMETOOLONG;
	if (!mkdtemp(folder))
		return -errno;
	memcpy(simulation->folder, folder, (size_t)n + 1);
	return 0;
}

/* Where the pty of a bus is linked. */
static int simulate_link(struct simulation *simulation, const struct plan_bus *bus, char link[static PATH_MAX])
{
	const char *folder = simulation->options->folder;
	if (!folder && pty_can_link(bus->port)) {
		size_t size = strlen(bus->port) + 1;
		if (size > PATH_MAX)
			return -ENAMETOOLONG;
		memcpy(link, bus->port, size);
		return 0;
	}
	if (!folder) {
		int rc = simulate_make_folder(simulation);
		if (rc < 0)
			return rc;
		folder = simulation->folder;
	}
	int n = snprintf(link, PATH_MAX, "%s/%s", folder, bus->name);
	if (n >= PATH_MAX)
		return -ENAMETOOLONG;
	for (char *c = link + strlen(folder) + 1; *c; c++)
		if (*c == '/') /* a bus named after its port */
			*c = '_';
	return 0;
}

static int simulate_serial(struct simulation *simulation, const struct plan_bus *bus)
{
	char link[PATH_MAX] = "";
	int rc = simulate_link(simulation, bus, link);
	if (rc == 0)
		rc = station_set_pty(simulation->set, simulation->plan, bus, &simulation->options->station, link);
	if (rc < 0) {
		log_error("%s: can't link a pty at %s: %s", bus->name, link, strerror(-rc));
		return rc;
	}
	simulate_tell(simulation, bus, "pty", link, 0);
	return 0;
}

static bool simulate_is_here(const char *host)
{
	return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

static int simulate_tcp(struct simulation *simulation, const struct plan_bus *bus)
{
	uint16_t port = 0;
	if (!simulation->options->shift_ports && simulate_is_here(bus->host))
		port = bus->tcp_port;
	int rc = station_set_listen(simulation->set, simulation->plan, bus, &simulation->options->station, port);
	if (rc < 0) {
		log_error("%s: can't listen on 127.0.0.1:%u: %s", bus->name, port, strerror(-rc));
		return rc;
	}
	simulate_tell(simulation, bus, bus->wire == WIRE_TCP ? "tcp" : "rtu over tcp", "127.0.0.1", rc);
	return 0;
}

static int simulate_place(struct simulation *simulation)
{
	for (size_t i = 0; i < simulation->plan->n_buses; i++) {
		const struct plan_bus *bus = &simulation->plan->buses[i];
		if (bus->way == BF_WAY_STREAM) {
			log_warning("%s: devices that send messages are not played; its port is left alone", bus->name);
			continue;
		}
		int rc = bus->wire == WIRE_SERIAL ? simulate_serial(simulation, bus) : simulate_tcp(simulation, bus);
		if (rc < 0)
			return rc;
	}
	fputs(simulation->options->json ? "{\"ready\":true}\n" : "ready\n", simulation->options->out);
	return fflush(simulation->options->out) == 0 ? 0 : -errno;
}

static int simulate_serve(struct simulation *simulation)
{
	const struct clock *clock = simulation->options->clock;
	int64_t end = CLOCK_NEVER;
	if (simulation->options->duration_us > 0)
		end = clock_now(clock) + simulation->options->duration_us;
	struct pollfd fds[2] = {{.fd = station_set_fd(simulation->set), .events = POLLIN},
		{.fd = simulation->options->stop_fd, .events = POLLIN}};
	for (;;) {
		int64_t wake = station_set_step(simulation->set, clock_now(clock));
		int64_t now = clock_now(clock);
		if (now >= end)
			return 0;
		if (wake > end)
			wake = end;
		int64_t wait = wake > now ? wake - now : 0;
		struct timespec ts = clock_timespec(wait);
		if (ppoll(fds, 2, wake == CLOCK_NEVER ? NULL : &ts, NULL) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents)
			return 0;
	}
}

int simulate_run(const struct plan *plan, const struct simulate_options *options)
{
	struct simulation simulation = {.plan = plan, .options = options};
	int rc = station_set_init(&simulation.set);
	if (rc < 0)
		return rc;
	rc = simulate_place(&simulation);
	if (rc == 0)
		rc = simulate_serve(&simulation);
	station_set_tell_hasty(simulation.set);
	station_set_destroy(simulation.set);
	if (simulation.folder[0])
		rmdir(simulation.folder);
	return rc;
}
