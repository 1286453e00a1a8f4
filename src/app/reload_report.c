/*
 * The words for a map that was read again.  See reload_report.h.
 *
 * Why line by line: each line of the log carries its level, and what is printed with a caret below it has several.
 */
#include "app/reload_report.h"
#include "app/plan_diff.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 5

void reload_report_faults(struct faults *faults)
{
	char *text = NULL, *rest = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);
	if (to) {
		faults_print(faults, to, false);
		fclose(to);
	}
	enum log_level level = faults->n_errors ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING;
	for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
		log_line(level, "%s", line);
	free(text);
	if (faults->n_errors)
		log_error("the map has %zu fault%s: running on as before", faults->n_errors,
			faults->n_errors == 1 ? "" : "s");
}

void reload_report_buffer(unsigned keys)
{
	static const struct {
		unsigned key;
		const char *name;
	} names[] = {{BUFFER_PATH, "path"}, {BUFFER_MAX_SIZE, "max_size"}, {BUFFER_MAX_AGE, "max_age"},
		{BUFFER_SYNC, "sync"}, {BUFFER_REPLAY, "replay"}, {BUFFER_WHEN_FULL, "when_full"},
		{BUFFER_ORDER, "order"}};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (keys & names[i].key)
			log_warning("buffer.%s: another value than the gateway runs with: restart it to apply that",
				names[i].name);
}

/* A list of parts with commas between them. */
struct list {
	char *text;
	size_t n, size;
	unsigned n_parts;
};

static void add(struct list *list, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct list *list, const char *format, ...)
{
	va_list arguments;
	size_t room = list->size - list->n;
	va_start(arguments, format);
	int n = vsnprintf(list->text + list->n, room, format, arguments);
	va_end(arguments);
	list->n += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

static const char *between(struct list *list)
{
	return list->n_parts++ ? ", " : "";
}

static const struct plan_bus *bus_named(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->n_buses; i++)
		if (strcmp(plan->buses[i].name, name) == 0)
			return &plan->buses[i];
	return NULL;
}

/* "2 buses new (a, b)": those of a plan that are, or are not, in the other one as well. */
static void add_buses(struct list *list, const struct generation *of, bool theirs, const struct generation *present,
	const struct plan *other, const char *what)
{
	unsigned n = 0;
	char names[256] = "";
	struct list named = {.text = names, .size = sizeof(names)};
	for (size_t i = 0; i < of->plan.n_buses; i++) {
		bool goes_on = of != present && of->homes[i].generation != of;
		if (goes_on || (bus_named(other, of->plan.buses[i].name) != NULL) != theirs)
			continue;
		if (n++ < NAMES_MAX)
			add(&named, "%s%s", between(&named), of->plan.buses[i].name);
	}
	if (n)
		add(list, "%s%u bus%s %s (%s%s)", between(list), n, n == 1 ? "" : "es", what, names,
			n > NAMES_MAX ? ", …" : "");
}

static size_t count_missing(const struct plan *of, const struct plan *in)
{
	size_t n = 0, at = 0;
	for (size_t i = 0; i < of->n_devices; i++)
		n += !plan_find_device(in, of->devices[i].topic, &at);
	return n;
}

struct reload_report reload_report_of(const struct generation *present, const struct generation *next, bool connects)
{
	struct reload_report report = {""};
	struct list list = {.text = report.text, .size = sizeof(report.text)};
	add_buses(&list, next, true, present, &present->plan, "restarted");
	add_buses(&list, next, false, present, &present->plan, "new");
	add_buses(&list, present, false, present, &next->plan, "gone");
	size_t n_new = count_missing(&next->plan, &present->plan), n_gone = count_missing(&present->plan, &next->plan);
	if (n_new)
		add(&list, "%s%zu device%s new", between(&list), n_new, n_new == 1 ? "" : "s");
	if (n_gone)
		add(&list, "%s%zu%s gone", between(&list), n_gone, n_new ? "" : n_gone == 1 ? " device" : " devices");
	if (connects)
		add(&list, "%sthe connection to the broker is made anew", between(&list));
	size_t n_on = 0;
	for (size_t i = 0; i < next->plan.n_buses; i++)
		n_on += next->homes[i].generation != next;
	if (list.n_parts == 0)
		add(&list, "no bus had to be restarted");
	else if (n_on)
		add(&list, "; the rest went on");
	return report;
}

void reload_report_tell(const struct reload_report *report)
{
	log_notice("map read again: %s", report->text);
}
