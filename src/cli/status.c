/*
 * `busferry status`: how the gateway that runs a map is, on one screen.
 *
 * All of it comes in one line of JSON over the control socket, so what --json prints and what people see is the same.
 * The columns are made for 80; names get what a wider terminal has more, and a pipe has room for any.
 */
#include "base/json_find.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/control_client.h"
#include "cli/screen.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define NAME_MAX_BYTES 1024
#define BUS_REST       56 /* columns of a row beside its name */
#define DEVICE_REST    58
#define NAME_LEAST     12
#define FIXED_ROWS     11 /* of a screen: the head, two titles, what is left out, the prompt */
#define BUSES_LEAST    3

struct status_command {
	bool as_json, coloured;
	unsigned columns; /* 0 = as many as it takes */
	unsigned rows;    /* of the terminal */
};

/* A piece of the answer. */
struct piece {
	const char *text;
	size_t n;
};

static int64_t number(struct piece piece, const char *key)
{
	int64_t found = 0;
	json_find_int(piece.text, piece.n, key, &found);
	return found;
}

static bool yes(struct piece piece, const char *key)
{
	bool found = false;
	json_find_bool(piece.text, piece.n, key, &found);
	return found;
}

static const char *text(struct piece piece, const char *key, char to[static NAME_MAX_BYTES])
{
	if (!json_find_text(piece.text, piece.n, key, to, NAME_MAX_BYTES))
		to[0] = '\0';
	return to;
}

static struct piece part(struct piece piece, const char *key)
{
	struct json_value value = {"", 0};
	json_find(piece.text, piece.n, key, &value);
	return (struct piece){value.text, value.n};
}

/* A line that is cut where the terminal ends. */
static void print_line(
	const struct status_command *command, const char *key, const char *line, enum screen_colour colour)
{
	char shown[4 * NAME_MAX_BYTES];
	screen_text(shown, sizeof(shown), line, strlen(line), command->columns > 9 ? command->columns - 9 : 0);
	printf("%-9s%s%s%s\n", key, screen_begin(colour, command->coloured), shown,
		screen_end(colour, command->coloured));
}

static void print_head(const struct status_command *command, struct piece all)
{
	char line[3 * NAME_MAX_BYTES], gateway[NAME_MAX_BYTES], site[NAME_MAX_BYTES], version[NAME_MAX_BYTES];
	char length[LOG_LENGTH_SIZE];
	snprintf(line, sizeof(line), "%s of site %s, busferry %s, pid %lld, up %s", text(all, "gateway", gateway),
		text(all, "site", site), text(all, "version", version), (long long)number(all, "pid"),
		log_length(number(all, "uptime_s") * 1000000, length));
	print_line(command, "gateway", line, SCREEN_PLAIN);
	print_line(command, "map", text(all, "map", gateway), SCREEN_PLAIN);
}

static void print_broker(const struct status_command *command, struct piece broker)
{
	char line[NAME_MAX_BYTES + 200], url[NAME_MAX_BYTES];
	bool connected = yes(broker, "connected");
	text(broker, "url", url);
	int n = snprintf(line, sizeof(line), "%s %s; %lld acknowledged, %lld in flight",
		connected ? "connected to" : "no connection to", url[0] ? url : "any",
		(long long)number(broker, "acknowledged"), (long long)number(broker, "in_flight"));
	int64_t reconnects = number(broker, "reconnects"), refused = number(broker, "refused");
	if (reconnects)
		n += snprintf(line + n, sizeof(line) - (size_t)n, ", %lld reconnects", (long long)reconnects);
	if (refused)
		snprintf(line + n, sizeof(line) - (size_t)n, ", %lld refused", (long long)refused);
	print_line(command, "broker", line, connected ? SCREEN_PLAIN : SCREEN_BAD);
}

static void print_sparkplug(const struct status_command *command, struct piece sparkplug)
{
	char line[2 * NAME_MAX_BYTES + 200], url[NAME_MAX_BYTES], state[NAME_MAX_BYTES];
	if (!sparkplug.n)
		return;
	text(sparkplug, "url", url);
	text(sparkplug, "state", state);
	bool waits = strcmp(state, "waiting") == 0, online = strcmp(state, "online") == 0;
	snprintf(line, sizeof(line), "Sparkplug: %s at %s; %lld readings wait, %lld told",
		waits ? "waits for the primary host" : state, url, (long long)number(sparkplug, "waiting"),
		(long long)number(sparkplug, "told"));
	print_line(command, "node", line, online || waits ? SCREEN_PLAIN : SCREEN_BAD);
}

static void print_buffer(const struct status_command *command, struct piece buffer, int64_t time_ms)
{
	static const char *const causes[] = {
		"full", "offline", "refused", "expired", "superseded", "damaged", "command"};
	char line[600], length[LOG_LENGTH_SIZE];
	struct piece dropped = part(buffer, "dropped");
	int64_t oldest_ms = number(buffer, "oldest"), sum = 0;
	int n = snprintf(line, sizeof(line), "%lld messages wait", (long long)number(buffer, "waiting"));
	if (oldest_ms && time_ms > oldest_ms)
		n += snprintf(line + n, sizeof(line) - (size_t)n, ", the oldest for %s",
			log_length((time_ms - oldest_ms) * 1000, length));
	if (part(buffer, "durable").n)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "; disk %s",
			yes(buffer, "durable") ? "ready" : "does not work");
	else
		n += snprintf(line + n, sizeof(line) - (size_t)n, "; memory only");
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		sum += number(dropped, causes[i]);
	if (sum)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "; %lld dropped:", (long long)sum);
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]) && sum; i++) {
		int64_t count = number(dropped, causes[i]);
		if (count)
			n += snprintf(line + n, sizeof(line) - (size_t)n, " %s %lld", causes[i], (long long)count);
	}
	print_line(command, "buffer", line, SCREEN_PLAIN);
}

/* The longest of the keys of a group, at least NAME_LEAST, at most what is left for it. */
static unsigned name_columns(const struct status_command *command, struct piece group, unsigned rest)
{
	struct json_value key, value;
	unsigned widest = NAME_LEAST;
	for (size_t at = 0; json_each(group.text, group.n, &at, &key, &value);) {
		char name[NAME_MAX_BYTES], cell[2 * NAME_MAX_BYTES];
		if (!json_text_of(&key, name, sizeof(name)))
			continue;
		unsigned columns = screen_text(cell, sizeof(cell), name, strlen(name), 0);
		widest = columns > widest ? columns : widest;
	}
	if (command->columns == 0)
		return widest;
	unsigned most = command->columns > rest + NAME_LEAST ? command->columns - rest : NAME_LEAST;
	return widest < most ? widest : most;
}

static void print_number(int64_t value, unsigned columns)
{
	char text_of_it[24];
	snprintf(text_of_it, sizeof(text_of_it), "%lld", (long long)value);
	fputs("  ", stdout);
	screen_cell(stdout, text_of_it, columns, SCREEN_RIGHT);
}

static void print_word(const char *word, unsigned columns, enum screen_side side)
{
	fputs("  ", stdout);
	screen_cell(stdout, word, columns, side);
}

static void print_state(const struct status_command *command, const char *word, enum screen_colour colour)
{
	fputs(screen_begin(colour, command->coloured), stdout);
	print_word(word, 7, SCREEN_LEFT);
	fputs(screen_end(colour, command->coloured), stdout);
}

static void print_bus(
	const struct status_command *command, const char *name, struct piece bus, unsigned columns, int64_t time_ms)
{
	(void)time_ms;
	char port[NAME_MAX_BYTES], load[16], share[16] = "";
	struct piece utilisation = part(bus, "utilisation");
	bool open = yes(bus, "open");
	snprintf(share, sizeof(share), "%.*s", (int)(utilisation.n < 15 ? utilisation.n : 15), utilisation.text);
	snprintf(load, sizeof(load), "%.0f %%", strtod(share, NULL) * 100);
	screen_cell(stdout, name, columns, SCREEN_LEFT);
	print_word(text(bus, "port", port), 18, SCREEN_LEFT);
	print_state(command, open ? "open" : "closed", open ? SCREEN_GOOD : SCREEN_BAD);
	print_word(load, 5, SCREEN_RIGHT);
	print_number(number(bus, "requests"), 9);
	print_number(number(bus, "timeouts") + number(bus, "checksum") + number(bus, "exceptions"), 7);
	putchar('\n');
}

/* A table of a group.  What is not well comes first when not all of it has room. */
struct table {
	struct piece group;
	const char *title, *titles, *what;
	unsigned rest;
	void (*print)(const struct status_command *command, const char *name, struct piece row, unsigned columns,
		int64_t time_ms);
	bool (*is_well)(struct piece row);
};

static size_t count(struct piece group)
{
	struct json_value key, value;
	size_t n = 0;
	for (size_t at = 0; json_each(group.text, group.n, &at, &key, &value);)
		n++;
	return n;
}

/* Of the rows those that are well, or not, or all; at most so many.  How many it was. */
static size_t print_rows(const struct status_command *command, const struct table *table, unsigned columns,
	int64_t time_ms, bool well, bool others, size_t most)
{
	struct json_value key, value;
	size_t n = 0;
	for (size_t at = 0; n < most && json_each(table->group.text, table->group.n, &at, &key, &value);) {
		struct piece row = {value.text, value.n};
		char name[NAME_MAX_BYTES];
		if (!(table->is_well(row) ? well : others) || !json_text_of(&key, name, sizeof(name)))
			continue;
		table->print(command, name, row, columns, time_ms);
		n++;
	}
	return n;
}

static void print_table(const struct status_command *command, const struct table *table, int64_t time_ms, size_t most)
{
	size_t all = count(table->group);
	unsigned columns = name_columns(command, table->group, table->rest);
	if (all == 0)
		return;
	putchar('\n');
	screen_cell(stdout, table->title, columns, SCREEN_LEFT);
	puts(table->titles);
	if (all <= most) {
		print_rows(command, table, columns, time_ms, true, true, all);
		return;
	}
	size_t bad = print_rows(command, table, columns, time_ms, false, true, most);
	size_t n = bad + print_rows(command, table, columns, time_ms, true, false, most - bad);
	printf("%zu more %s%s; busferry status | less shows all\n", all - n, table->what,
		bad < most ? ", all well" : "");
}

static void print_device(
	const struct status_command *command, const char *name, struct piece device, unsigned columns, int64_t time_ms)
{
	char state[NAME_MAX_BYTES], length[LOG_LENGTH_SIZE], cell[48];
	text(device, "state", state);
	enum screen_colour colour = strcmp(state, "online") == 0    ? SCREEN_GOOD
				    : strcmp(state, "offline") == 0 ? SCREEN_BAD
								    : SCREEN_ODD;
	screen_cell(stdout, name, columns, SCREEN_LEFT);
	print_state(command, state, colour);
	int64_t answered_ms = number(device, "answered"), age_ms = time_ms - answered_ms;
	if (answered_ms)
		snprintf(cell, sizeof(cell), "%s ago", log_length((age_ms > 0 ? age_ms : 0) * 1000, length));
	print_word(answered_ms ? cell : "never", 11, SCREEN_RIGHT);
	snprintf(cell, sizeof(cell), "%lld / %lld ms", (long long)number(device, "answer_ms_median"),
		(long long)number(device, "answer_ms_p95"));
	print_word(answered_ms ? cell : "-", 14, SCREEN_RIGHT);
	print_number(number(device, "requests"), 9);
	print_number(number(device, "timeouts") + number(device, "checksum") + number(device, "exceptions"), 7);
	putchar('\n');
}

static bool bus_is_well(struct piece bus)
{
	return yes(bus, "open");
}

static bool device_is_well(struct piece device)
{
	char state[NAME_MAX_BYTES];
	return strcmp(text(device, "state", state), "online") == 0;
}

static void print_tables(const struct status_command *command, struct piece all, int64_t time_ms)
{
	const struct table buses = {part(all, "buses"), "bus",
		"  port                state     load   requests   errors", "buses", BUS_REST, print_bus, bus_is_well};
	const struct table devices = {part(all, "devices"), "device",
		"  state    last answer  median / p95   requests   errors", "devices", DEVICE_REST, print_device,
		device_is_well};
	size_t most_buses = SIZE_MAX, most_devices = SIZE_MAX;
	if (command->columns) { /* one screen */
		size_t room =
			command->rows > FIXED_ROWS + 2 * BUSES_LEAST ? command->rows - FIXED_ROWS : 2 * BUSES_LEAST;
		size_t n_buses = count(buses.group), n_devices = count(devices.group);
		size_t left = n_devices < room - BUSES_LEAST ? room - n_devices : BUSES_LEAST;
		most_buses = n_buses < left ? n_buses : left;
		most_devices = room - most_buses;
	}
	print_table(command, &buses, time_ms, most_buses);
	print_table(command, &devices, time_ms, most_devices);
	if (count(devices.group) == 0)
		puts("\nThe map has no devices: nothing to do.");
}

static bool tell(void *user, const char *line, size_t n)
{
	struct status_command *command = user;
	struct piece all = {line, n};
	int64_t time_ms = number(all, "time");
	if (command->as_json) {
		puts(line);
		return true;
	}
	print_head(command, all);
	print_broker(command, part(all, "broker"));
	print_sparkplug(command, part(all, "sparkplug"));
	print_buffer(command, part(all, "buffer"), time_ms);
	print_tables(command, all, time_ms);
	return true;
}

static int no_gateway(const char *map, int error)
{
	if (access(map, F_OK) < 0) {
		fprintf(stderr, "busferry: error: %s: %s\n", map, strerror(errno));
		return errno == EACCES ? EX_NOPERM : EX_NOINPUT;
	}
	if (error == -EACCES) {
		fprintf(stderr,
			"busferry: error: the gateway that runs %s does not let this user ask: be root, or in its "
			"group (sudo usermod -aG busferry $USER)\n",
			map);
		return EX_NOPERM;
	}
	if (error == -ETIMEDOUT)
		fputs("busferry: error: the gateway does not answer on its control socket\n", stderr);
	else
		fprintf(stderr,
			"busferry: error: no gateway runs %s: start it (systemctl start busferry, or busferry run -c "
			"%s), or name the map that it runs with -c\n",
			map, map);
	return EX_UNAVAILABLE;
}

int cli_status(int argc, char **argv)
{
	struct status_command command = {0};
	const char *map = CLI_DEFAULT_MAP;
	const struct cli_option options[] = {CLI_OPTION_MAP(&map),
		{.name = "json", .kind = CLI_FLAG, .into = &command.as_json, .help = "one JSON object"}, {0}};
	int first;
	int rc = cli_parse("status", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	if (first < argc)
		return cli_usage_error("status", "unexpected \"%s\"", argv[first]);
	FILE *gateway = NULL;
	rc = control_client_connect(map, &gateway);
	if (rc < 0)
		return no_gateway(map, rc);
	screen_size(STDOUT_FILENO, &command.columns, &command.rows);
	command.coloured = cli_colour(STDOUT_FILENO);
	const char *words[] = {"status"};
	rc = control_client_ask(gateway, words, 1, tell, &command);
	fclose(gateway);
	return rc;
}
