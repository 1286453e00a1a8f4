/*
 * The serial ports of this machine.
 *
 * A port is a folder of /sys/class/tty with a device behind it; an ISA port without a chip has one too and says type 0.
 * The adapter is the first USB device above it, the driver the first one that is not of the kernel's own "serial-base"
 * layer.  Everything read here is text of others: it is cut to size and freed of what is not printable.
 */
#include "field/ports.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEVELS_MAX 16 /* of /sys above a port */

const struct ports_roots ports_here = {"/sys", "/dev", "/proc"};

/* A path of several parts.  False when it is too long, and empty then. */
__attribute__((format(printf, 2, 3))) static bool path_of(char path[static PATH_MAX], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(path, PATH_MAX, format, args);
	va_end(args);
	if (n >= 0 && n < PATH_MAX)
		return true;
	path[0] = '\0';
	return false;
}

/* The first line of a small file, without what is not printable; "" when there is none.  False then. */
static bool read_text(const char *folder, const char *name, char *text, size_t size)
{
	char path[PATH_MAX];
	text[0] = '\0';
	if (!path_of(path, "%s/%s", folder, name))
		return false;
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	size_t n = fread(text, 1, size - 1, file);
	fclose(file);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	for (char *c = text; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
	return text[0] != '\0';
}

int ports_latency_ms(const char *sys, const char *name)
{
	char folder[PATH_MAX], text[16];
	path_of(folder, "%s/class/tty/%s/device", sys, name);
	if (!read_text(folder, "latency_timer", text, sizeof(text)))
		return -ENOENT;
	long ms = strtol(text, NULL, 10);
	return ms >= 0 && ms < 1000 ? (int)ms : -ENOENT;
}

/* The link in a folder of /dev that leads to the file, as it is called outside of a test's own tree. */
static void find_link(const struct ports_roots *roots, const char *kind, const char *file, char link[static PORTS_PATH])
{
	char folder[PATH_MAX], path[PATH_MAX], real[PATH_MAX], target[PATH_MAX];
	path_of(folder, "%s/serial/%s", roots->dev, kind);
	DIR *links = realpath(file, real) ? opendir(folder) : NULL;
	const struct dirent *entry;
	while (links && (entry = readdir(links)) != NULL) {
		if (entry->d_name[0] == '.' || !path_of(path, "%s/%s", folder, entry->d_name) ||
			!realpath(path, target) || strcmp(target, real) != 0)
			continue;
		char found[PORTS_PATH];
		int n = snprintf(found, sizeof(found), "/dev/serial/%s/%s", kind, entry->d_name);
		if (n < (int)sizeof(found) && (!link[0] || strcmp(found, link) < 0))
			memcpy(link, found, (size_t)n + 1);
	}
	if (links)
		closedir(links);
}

static void read_usb_device(const char *folder, struct port_info *port)
{
	read_text(folder, "idVendor", port->vendor, sizeof(port->vendor));
	read_text(folder, "idProduct", port->product, sizeof(port->product));
	read_text(folder, "manufacturer", port->maker, sizeof(port->maker));
	read_text(folder, "product", port->model, sizeof(port->model));
	read_text(folder, "serial", port->serial, sizeof(port->serial));
}

/* Climbs from the device of a port: its driver, and the USB device that it is a part of. */
static void climb(const struct ports_roots *roots, char *folder, struct port_info *port)
{
	char path[PATH_MAX], driver[PATH_MAX], ids[8];
	size_t n_root = strlen(roots->sys);
	for (int level = 0; level < LEVELS_MAX && strlen(folder) > n_root; level++) {
		ssize_t n = -1;
		if (path_of(path, "%s/driver", folder))
			n = readlink(path, driver, sizeof(driver) - 1);
		if (n > 0 && !port->driver[0]) {
			driver[n] = '\0';
			const char *name = strrchr(driver, '/') ? strrchr(driver, '/') + 1 : driver;
			if (strcmp(name, "port") != 0 && strcmp(name, "ctrl") != 0)
				snprintf(port->driver, sizeof(port->driver), "%.100s", name);
		}
		if (read_text(folder, "idVendor", ids, sizeof(ids))) {
			read_usb_device(folder, port);
			return;
		}
		char *slash = strrchr(folder, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

/* Is it in the list of console= of the kernel's command line? */
static bool is_console(const struct ports_roots *roots, const char *name)
{
	char line[4096], *rest = line, *word;
	read_text(roots->proc, "cmdline", line, sizeof(line));
	while ((word = strsep(&rest, " ")) != NULL) {
		size_t n = strlen(name);
		if (strncmp(word, "console=", 8) == 0 && strncmp(word + 8, name, n) == 0 &&
			(word[8 + n] == '\0' || word[8 + n] == ','))
			return true;
	}
	return false;
}

static void look_at_file(const struct ports_roots *roots, struct port_info *port)
{
	char file[PATH_MAX], real[PATH_MAX], other[PATH_MAX];
	struct stat st;
	path_of(file, "%s/%s", roots->dev, port->name);
	find_link(roots, "by-id", file, port->by_id);
	find_link(roots, "by-path", file, port->by_path);
	port->allowed = access(file, R_OK | W_OK) == 0;
	if (stat(file, &st) == 0 && (st.st_mode & 0060) == 0060) {
		struct group found, *group = NULL;
		char names[1024];
		getgrgid_r(st.st_gid, &found, names, sizeof(names), &group);
		if (group)
			snprintf(port->group, sizeof(port->group), "%s", group->gr_name);
	}
	path_of(other, "%s/serial0", roots->dev);
	char header[PATH_MAX];
	port->on_header = realpath(file, real) && realpath(other, header) && strcmp(real, header) == 0;
	port->held = port_holder_find(roots->proc, file, &port->holder) == 0;
}

/* False when it is no port that anything could be plugged into. */
static bool read_port(const struct ports_roots *roots, const char *name, struct port_info *port)
{
	char folder[PATH_MAX], device[PATH_MAX], type[8];
	*port = (struct port_info){.latency_ms = -1};
	int n = snprintf(port->name, sizeof(port->name), "%s", name);
	if (n >= (int)sizeof(port->name))
		return false;
	path_of(folder, "%s/class/tty/%s", roots->sys, port->name);
	if (read_text(folder, "type", type, sizeof(type)) && strcmp(type, "0") == 0)
		return false;
	path_of(folder, "%s/class/tty/%s/device", roots->sys, port->name);
	if (!realpath(folder, device))
		return false;
	snprintf(port->path, sizeof(port->path), "/dev/%s", port->name);
	int latency_ms = ports_latency_ms(roots->sys, port->name);
	if (latency_ms >= 0)
		port->latency_ms = latency_ms;
	climb(roots, device, port);
	port->console = is_console(roots, port->name);
	look_at_file(roots, port);
	return true;
}

/* ttyUSB2 before ttyUSB10 */
static int compare(const void *a, const void *b)
{
	const struct port_info *left = a, *right = b;
	return strverscmp(left->name, right->name);
}

/* Makes room for one more at the end of an array; false when there is no memory. */
static bool grow(void **array, size_t n, size_t element)
{
	void *more = reallocarray(*array, n + 1, element);
	if (more)
		*array = more;
	return more != NULL;
}

static int find_ports(const struct ports_roots *roots, struct ports *ports)
{
	char folder[PATH_MAX];
	path_of(folder, "%s/class/tty", roots->sys);
	DIR *names = opendir(folder);
	const struct dirent *entry;
	int rc = 0;
	while (names && rc == 0 && (entry = readdir(names)) != NULL) {
		struct port_info port;
		if (entry->d_name[0] == '.' || !read_port(roots, entry->d_name, &port))
			continue;
		void *array = ports->ports;
		if (!grow(&array, ports->n_ports, sizeof(port)))
			rc = -ENOMEM;
		ports->ports = array;
		if (rc == 0)
			ports->ports[ports->n_ports++] = port;
	}
	if (names)
		closedir(names);
	if (ports->n_ports)
		qsort(ports->ports, ports->n_ports, sizeof(*ports->ports), compare);
	return rc;
}

/* Chips that are nothing but serial ports. */
static bool is_serial_chip(const char *vendor, const char *product)
{
	static const char *const chips[][2] = {{"0403", "6001"}, {"0403", "6010"}, {"0403", "6011"}, {"0403", "6014"},
		{"0403", "6015"}, {"067b", "2303"}, {"067b", "23a3"}, {"10c4", "ea60"}, {"10c4", "ea70"},
		{"1a86", "5523"}, {"1a86", "7523"}, {"1a86", "7522"}, {"1a86", "55d3"}, {"1a86", "55d4"}};
	for (size_t i = 0; i < sizeof(chips) / sizeof(chips[0]); i++)
		if (strcmp(vendor, chips[i][0]) == 0 && strcmp(product, chips[i][1]) == 0)
			return true;
	return false;
}

/* How many ports there are of this kind of adapter. */
static size_t count_ports(const struct ports *ports, const struct port_info *adapter)
{
	size_t n = 0;
	for (size_t i = 0; i < ports->n_ports; i++)
		n += strcmp(ports->ports[i].vendor, adapter->vendor) == 0 &&
		     strcmp(ports->ports[i].product, adapter->product) == 0 &&
		     strcmp(ports->ports[i].serial, adapter->serial) == 0;
	return n;
}

static int find_orphans(const struct ports_roots *roots, struct ports *ports)
{
	char folder[PATH_MAX], path[PATH_MAX];
	path_of(folder, "%s/bus/usb/devices", roots->sys);
	DIR *devices = opendir(folder);
	const struct dirent *entry;
	int rc = 0;
	while (devices && rc == 0 && (entry = readdir(devices)) != NULL) {
		struct port_info adapter = {0};
		if (entry->d_name[0] == '.' || !path_of(path, "%s/%s", folder, entry->d_name))
			continue;
		read_usb_device(path, &adapter);
		if (!is_serial_chip(adapter.vendor, adapter.product) || count_ports(ports, &adapter) > 0)
			continue;
		void *array = ports->orphans;
		if (!grow(&array, ports->n_orphans, sizeof(*ports->orphans)))
			rc = -ENOMEM;
		ports->orphans = array;
		if (rc < 0)
			continue;
		struct port_orphan *orphan = &ports->orphans[ports->n_orphans++];
		memcpy(orphan->vendor, adapter.vendor, sizeof(orphan->vendor));
		memcpy(orphan->product, adapter.product, sizeof(orphan->product));
		memcpy(orphan->maker, adapter.maker, sizeof(orphan->maker));
		memcpy(orphan->model, adapter.model, sizeof(orphan->model));
	}
	if (devices)
		closedir(devices);
	return rc;
}

static void find_programs(const struct ports_roots *roots, struct ports *ports)
{
	DIR *processes = opendir(roots->proc);
	const struct dirent *process;
	while (processes && (process = readdir(processes)) != NULL) {
		char name[PATH_MAX], text[32];
		if (!isdigit((unsigned char)process->d_name[0]))
			continue;
		path_of(name, "%s/comm", process->d_name);
		read_text(roots->proc, name, text, sizeof(text));
		ports->brltty |= strcmp(text, "brltty") == 0;
		ports->modem_manager |= strcmp(text, "ModemManager") == 0;
	}
	if (processes)
		closedir(processes);
}

int ports_find(const struct ports_roots *roots, struct ports *ret_ports)
{
	struct ports ports = {0};
	char sys[PATH_MAX];
	struct ports_roots real = *roots;
	if (realpath(roots->sys, sys))
		real.sys = sys;
	find_programs(&real, &ports);
	read_text(real.sys, "firmware/devicetree/base/model", ports.model, sizeof(ports.model));
	int rc = find_ports(&real, &ports);
	if (rc == 0)
		rc = find_orphans(&real, &ports);
	if (rc < 0) {
		ports_destroy(&ports);
		return rc;
	}
	*ret_ports = ports;
	return 0;
}

void ports_destroy(struct ports *ports)
{
	free(ports->ports);
	free(ports->orphans);
	*ports = (struct ports){0};
}
