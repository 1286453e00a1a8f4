/*
 * Rendering the status page.  See page_html.h.
 *
 * The file page.html has the frame, the style and the script; where it says {{live}}, {{title}} and {{nonce}} this puts
 * what it knows.  Names of maps and devices go through sheet_html, numbers are printed.
 *
 * Pure: it reads counters and boards, which others write meanwhile.
 */
#include "app/page_html.h"
#include "app/page_cards.h"
#include "app/page_draw.h"
#include "app/page_part.h"
#include "base/log_tail.h"
#include "ship/payload.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "page_file.h"

#define VALUE_BYTES 2048

/* ---- Buses ---- */

static void bus(struct sheet *sheet, const struct page_facts *facts, size_t b)
{
	const struct plan_bus *told = &facts->plan->buses[b];
	const struct page_bus *page = &facts->buses[b];
	const struct bus_counts *counts = page->counts;
	sheet_print(sheet, "<section class=\"bus\" id=\"b%zu\"><h3>", b);
	sheet_html(sheet, told->name);
	sheet_add(sheet, "</h3><p class=\"where\">");
	sheet_html(sheet, told->wire == WIRE_SERIAL ? told->port : told->host);
	if (told->wire != WIRE_SERIAL)
		sheet_print(sheet, ":%u", told->tcp_port);
	sheet_add(sheet, "</p>");
	if (!counts) {
		page_state(sheet, "off", "restarts");
		sheet_add(sheet, "</section>");
		return;
	}
	int64_t up_us = facts->now_us - page->started_at;
	page_state(sheet, counts_get(counts->open) ? "good" : "bad", counts_get(counts->open) ? "open" : "not there");
	sheet_print(sheet, " <span>%.1f&#8239;%% busy</span>",
		up_us > 0 ? 100 * (double)counts_get(counts->busy_us) / (double)up_us : 0.0);
	if (counts->strip) {
		uint8_t blocks[STRIP_BLOCKS];
		strip_read(counts->strip, facts->now_us, blocks);
		page_draw_strip(sheet, blocks);
	}
	sheet_print(sheet, "<ul class=\"counts\"><li>%" PRId64 " answers</li>", counts_get(counts->answers));
	page_count(sheet, counts_get(counts->timeouts), "time-out", "s");
	page_count(sheet, counts_get(counts->checksum), "checksum error", "s");
	page_count(sheet, counts_get(counts->exceptions), "exception", "s");
	if (page->caution) {
		page_count(sheet, counts_get(page->caution->late), "late", "");
		page_count(sheet, counts_get(page->caution->foreign), "of other masters", "");
		page_count(sheet, counts_get(page->caution->noise), "noise", "");
	}
	page_count(sheet, counts_get(counts->merged), "merged poll", "s");
	if (times_n(&counts->late_by)) {
		sheet_add(sheet, "<li>99&#8239;% asked within ");
		page_milliseconds(sheet, times_quantile(&counts->late_by, 990));
		sheet_add(sheet, " of their time</li>");
	}
	sheet_add(sheet, "</ul></section>");
}

/* ---- Devices ---- */

/* The part of a device's path that is its level, as a row, when it is another one than that before. */
static void level(struct sheet *sheet, const struct plan *plan, uint32_t d, uint32_t first)
{
	const char *path = plan->devices[d].path, *before = d > first ? plan->devices[d - 1].path : NULL;
	const char *end = strrchr(path, '/'), *before_end = before ? strrchr(before, '/') : NULL;
	size_t n = end ? (size_t)(end - path) : 0;
	if (before && (before_end ? (size_t)(before_end - before) : 0) == n && memcmp(before, path, n) == 0)
		return;
	sheet_add(sheet, "<tr><th colspan=\"4\" scope=\"rowgroup\" class=\"level\">");
	sheet_html_part(sheet, n ? path : plan->site, n ? n : strlen(plan->site));
	sheet_add(sheet, "</th></tr>");
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static void device_name(struct sheet *sheet, const struct plan_device *device)
{
	const char *part = last_part(device->path);
	sheet_html(sheet, device->name && *device->name ? device->name : part);
}

static void device(struct sheet *sheet, const struct page_facts *facts, uint32_t d)
{
	static const char *const words[] = {[AVAILABILITY_SAME] = "not known yet",
		[AVAILABILITY_ONLINE] = "online",
		[AVAILABILITY_OFFLINE] = "offline"};
	static const char *const classes[] = {
		[AVAILABILITY_SAME] = "off", [AVAILABILITY_ONLINE] = "good", [AVAILABILITY_OFFLINE] = "bad"};
	const struct plan_device *told = &facts->plan->devices[d];
	const struct device_counts *counts = facts->devices[d].counts;
	enum availability is = page_availability(&facts->devices[d]);
	char length[LOG_LENGTH_SIZE];
	sheet_print(sheet, "<tr id=\"d%u\"><th scope=\"row\"><a href=\"?from=%u#m\">", d, told->first_metric);
	device_name(sheet, told);
	sheet_add(sheet, "</a><small>");
	sheet_html(sheet, facts->plan->buses[told->bus].name);
	if (told->address)
		sheet_print(sheet, " · address %u", told->address);
	sheet_add(sheet, "</small></th><td>");
	page_state(sheet, classes[is], words[is]);
	if (!counts) {
		sheet_add(sheet, "</td><td></td><td></td></tr>");
		return;
	}
	if (counts_get(counts->answered_at)) {
		sheet_add(sheet, "<small>answered ");
		page_ago(sheet, facts, counts_get(counts->answered_at));
		sheet_add(sheet, "</small>");
	}
	int64_t quiet_us = counts_get(counts->quiet_until) - facts->now_us;
	if (is == AVAILABILITY_OFFLINE && quiet_us > 0)
		sheet_print(sheet, "<small>asked again in %s</small>", page_length(quiet_us, length));
	sheet_add(sheet, "</td><td class=\"num\">");
	if (times_n(&counts->answer_times)) {
		page_milliseconds(sheet, times_quantile(&counts->answer_times, 500));
		sheet_add(sheet, "<small>95&#8239;% in ");
		page_milliseconds(sheet, times_quantile(&counts->answer_times, 950));
		sheet_add(sheet, "</small>");
	}
	sheet_add(sheet, "</td><td><ul class=\"counts\">");
	page_count(sheet, counts_get(counts->timeouts), "time-out", "s");
	page_count(sheet, counts_get(counts->checksum), "checksum error", "s");
	page_count(sheet, counts_get(counts->exceptions), "exception", "s");
	page_count(sheet, counts_get(counts->late), "late", "");
	page_count(sheet, counts_get(counts->missed), "missed poll", "s");
	sheet_add(sheet, "</ul></td></tr>");
}

/* Where there are more than one page has: which these are, and the ways to the rest, by the first metric there. */
static void pager(
	struct sheet *sheet, const char *id, uint32_t from, uint32_t end, size_t n, uint32_t before, uint32_t next)
{
	sheet_print(sheet, "<nav>%u to %u of %zu", from + 1, end, n);
	if (from)
		sheet_print(sheet, " <a href=\"?from=%u#%s\">before</a>", before, id);
	if (end < n)
		sheet_print(sheet, " <a href=\"?from=%u#%s\">next</a>", next, id);
	sheet_add(sheet, "</nav>");
}

static void devices(struct sheet *sheet, const struct page_facts *facts, uint32_t from)
{
	const struct plan *plan = facts->plan;
	if (plan->n_devices == 0)
		return;
	uint32_t n = (uint32_t)plan->n_devices;
	uint32_t first = from < plan->n_metrics ? plan->metrics[from].device / PAGE_DEVICES * PAGE_DEVICES : 0;
	uint32_t end = n - first > PAGE_DEVICES ? first + PAGE_DEVICES : n;
	sheet_add(sheet, "<section id=\"d\"><h2>Devices</h2>");
	if (n > PAGE_DEVICES)
		pager(sheet, "d", first, end, n, plan->devices[first ? first - PAGE_DEVICES : 0].first_metric,
			plan->devices[end < n ? end : 0].first_metric);
	sheet_add(sheet, "<table><thead><tr><th scope=\"col\">Device</th>"
			 "<th scope=\"col\">State</th><th scope=\"col\" class=\"num\">Answers in</th>"
			 "<th scope=\"col\">Errors</th></tr></thead><tbody>");
	for (uint32_t d = first; d < end; d++) {
		level(sheet, plan, d, first);
		device(sheet, facts, d);
	}
	sheet_add(sheet, "</tbody></table></section>");
}

/* ---- Readings ---- */

static void value(struct sheet *sheet, const struct plan_metric *metric, const struct reading *reading)
{
	char text[VALUE_BYTES];
	if (reading->quality != QUALITY_GOOD) {
		page_state(sheet, "bad", quality_word(reading->quality));
		if (reading->code)
			sheet_print(sheet, " %u", reading->code);
		return;
	}
	int n = payload_value(metric, &reading->value, PAYLOAD_PLAIN, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	sheet_add(sheet, "<data>");
	sheet_html(sheet, n < 0 ? "…" : text);
	sheet_add(sheet, "</data>");
	if (metric->unit) {
		sheet_add(sheet, " <span class=\"unit\">");
		sheet_html(sheet, metric->unit);
		sheet_add(sheet, "</span>");
	}
}

/* It may be broken behind each of its parts. */
static void topic(struct sheet *sheet, const char *text)
{
	for (const char *slash; (slash = strchr(text, '/')) && slash[1]; text = slash + 1) {
		sheet_html_part(sheet, text, (size_t)(slash + 1 - text));
		sheet_add(sheet, "<wbr>");
	}
	sheet_html(sheet, text);
}

static void metric(struct sheet *sheet, const struct page_facts *facts, uint32_t m)
{
	const struct plan_metric *told = &facts->plan->metrics[m];
	char text[BF_STRING_MAX + 1];
	struct reading reading;
	int64_t at_us;
	float points[BOARD_POINTS];
	sheet_print(sheet, "<tr id=\"m%u\"><th scope=\"row\">", m);
	sheet_html(sheet, payload_label(facts->plan, told));
	sheet_add(sheet, "<small>");
	topic(sheet, told->topic);
	sheet_add(sheet, "</small></th><td class=\"num\">");
	if (page_facts_look(facts, m, text, &reading, &at_us)) {
		value(sheet, told, &reading);
		sheet_add(sheet, "<small>");
		page_ago(sheet, facts, at_us);
		sheet_print(sheet, "<span> · QoS %u</span></small>", told->delivery.qos);
	} else {
		page_state(sheet, "off", "not read yet");
	}
	sheet_add(sheet, "</td><td>");
	page_facts_points(facts, m, points);
	page_draw_spark(sheet, points, told->every_us);
	sheet_add(sheet, "</td></tr>");
}

static void readings(struct sheet *sheet, const struct page_facts *facts, uint32_t from)
{
	const struct plan *plan = facts->plan;
	uint32_t n = (uint32_t)plan->n_metrics, end = n - from > PAGE_READINGS ? from + PAGE_READINGS : n;
	if (n == 0)
		return;
	sheet_add(sheet, "<section id=\"m\"><h2>Readings</h2>");
	if (n > PAGE_READINGS)
		pager(sheet, "m", from, end, n, from > PAGE_READINGS ? from - PAGE_READINGS : 0, end);
	for (uint32_t m = from; m < end; m++) {
		const struct plan_device *of = &plan->devices[plan->metrics[m].device];
		if (m == from || m == of->first_metric) {
			sheet_print(sheet, "%s<table class=\"readings\"><caption>",
				m == from ? "<div class=\"tables\">" : "</tbody></table>");
			device_name(sheet, of);
			sheet_add(sheet, "<small>");
			sheet_html(sheet, of->path);
			sheet_add(sheet,
				"</small></caption><thead><tr><th scope=\"col\">Metric</th><th scope=\"col\" "
				"class=\"num\">Value</th><th scope=\"col\">Ten minutes</th></tr></thead><tbody>");
		}
		metric(sheet, facts, m);
	}
	sheet_add(sheet, "</tbody></table></div></section>");
}

/* ---- Log ---- */

static void log_lines(struct sheet *sheet)
{
	static const char *const words[] = {[LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARNING] = "warning",
		[LOG_LEVEL_NOTICE] = "notice",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug"};
	struct log_tail_line lines[LOG_TAIL_LINES];
	size_t n = log_tail_read(lines);
	if (n == 0)
		return;
	sheet_add(sheet, "<section id=\"l\"><h2>Log</h2><ol>");
	for (size_t i = 0; i < n; i++) {
		time_t at = (time_t)(lines[i].time_ms / 1000);
		struct tm tm;
		char stamp[32] = "";
		if (localtime_r(&at, &tm))
			strftime(stamp, sizeof(stamp), "%d %b %H:%M:%S", &tm);
		sheet_print(sheet, "<li><time>%s</time> <b class=\"%s\">%s</b> ", stamp, words[lines[i].level],
			words[lines[i].level]);
		sheet_html(sheet, lines[i].text);
		sheet_add(sheet, "</li>");
	}
	sheet_add(sheet, "</ol></section>");
}

/* ---- The whole ---- */

void page_html_live(struct sheet *sheet, const struct page_facts *facts, uint32_t from)
{
	if (from >= facts->plan->n_metrics)
		from = 0;
	page_head(sheet, facts);
	page_cards(sheet, facts);
	if (facts->plan->n_buses)
		sheet_add(sheet, "<section id=\"b\"><h2>Buses</h2><p class=\"legend\"><i class=\"o1\"></i>answer "
				 "<i class=\"o2\"></i>exception <i class=\"o3\"></i>checksum <i class=\"o4\"></i>"
				 "time-out <span>· the last minute</span></p><div class=\"buses\">");
	for (size_t b = 0; b < facts->plan->n_buses; b++)
		bus(sheet, facts, b);
	if (facts->plan->n_buses)
		sheet_add(sheet, "</div></section>");
	devices(sheet, facts, from);
	readings(sheet, facts, from);
	log_lines(sheet);
}

void page_html(struct sheet *sheet, const struct page_facts *facts, uint32_t from, const char *nonce)
{
	const char *at = (const char *)page_file, *mark;
	while ((mark = strstr(at, "{{"))) {
		sheet_put(sheet, at, (size_t)(mark - at));
		at = strstr(mark, "}}") + 2;
		if (mark[2] == 'n')
			sheet_add(sheet, nonce);
		else if (mark[2] == 't')
			sheet_html(sheet, facts->plan->site);
		else
			page_html_live(sheet, facts, from);
	}
	sheet_add(sheet, at);
}
