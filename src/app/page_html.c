/*
 * Rendering the status page.  See page_html.h.
 *
 * The file page.html has the frame, the style and the script; where it says {{live}}, {{title}} and {{nonce}} this puts
 * what it knows.  Names of maps and devices go through sheet_html, numbers are printed.
 *
 * Pure: it reads counters and boards, which others write meanwhile.
 */
#include "app/page_html.h"
#include "app/page_draw.h"
#include "base/log_tail.h"
#include "ship/payload.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "page_file.h"

#define VALUE_BYTES 2048

#define get(counter) ((int64_t)atomic_load_explicit(&(counter), memory_order_relaxed))

static const char *length_of(int64_t us, char text[static LOG_LENGTH_SIZE])
{
	return log_length(us < 0 ? 0 : us, text);
}

/* How long ago, for people. */
static void ago(struct sheet *sheet, const struct page_facts *facts, int64_t at_us)
{
	char text[LOG_LENGTH_SIZE];
	int64_t us = facts->now_us - at_us;
	if (us < 1000000)
		sheet_add(sheet, "now");
	else
		sheet_print(sheet, "%s ago", length_of(us, text));
}

static void state(struct sheet *sheet, const char *class, const char *words)
{
	sheet_print(sheet, "<span class=\"state %s\">%s</span>", class, words);
}

/* "1 time-out", "3 time-outs"; nothing for none. */
static void count(struct sheet *sheet, int64_t n, const char *what, const char *plural)
{
	if (n)
		sheet_print(sheet, "<li>%" PRId64 " %s%s</li>", n, what, n == 1 ? "" : plural);
}

static void bytes(struct sheet *sheet, int64_t n)
{
	if (n < 1000)
		sheet_print(sheet, "%" PRId64 " B", n);
	else if (n < 1000000)
		sheet_print(sheet, "%.1f kB", (double)n / 1e3);
	else
		sheet_print(sheet, "%.1f MB", (double)n / 1e6);
}

/* ---- Head and cards ---- */

static void head(struct sheet *sheet, const struct page_facts *facts)
{
	const struct plan *plan = facts->plan;
	const char *slash = strrchr(plan->file, '/');
	char up[LOG_LENGTH_SIZE];
	sheet_add(sheet, "<header><h1>");
	sheet_html(sheet, plan->site);
	sheet_add(sheet, "</h1><p>gateway <b>");
	sheet_html(sheet, plan->gateway_id);
	sheet_print(sheet, "</b> · Busferry %s · up %s · map <b>", BUSFERRY_VERSION,
		length_of(facts->now_us - facts->started_at, up));
	sheet_html(sheet, slash ? slash + 1 : plan->file);
	sheet_add(sheet, "</b>, read ");
	ago(sheet, facts, facts->map_at);
	sheet_add(sheet, "</p></header>");
}

static enum availability availability_of(const struct page_device *device)
{
	return device->counts ? (enum availability)get(device->counts->availability) : AVAILABILITY_SAME;
}

static void card_devices(struct sheet *sheet, const struct page_facts *facts)
{
	const struct plan *plan = facts->plan;
	uint32_t online = 0, offline = 0, told = 0;
	for (uint32_t d = 0; d < plan->n_devices; d++) {
		online += availability_of(&facts->devices[d]) == AVAILABILITY_ONLINE;
		offline += availability_of(&facts->devices[d]) == AVAILABILITY_OFFLINE;
	}
	const char *fault = page_facts_fault(facts);
	sheet_add(sheet, "<section class=\"card\" id=\"c1\"><h2>Devices</h2><p class=\"big\">");
	sheet_print(sheet, "%u <small>of %zu answer</small></p>", online, plan->n_devices);
	if (fault || offline)
		state(sheet, "bad", fault ? fault : "some do not answer");
	else
		state(sheet, online == plan->n_devices ? "good" : "off",
			online == plan->n_devices ? "none is missing" : "some have not answered yet");
	if (offline)
		sheet_add(sheet, "<ul class=\"plain\">");
	for (uint32_t d = 0; d < plan->n_devices && told < 10; d++) {
		if (availability_of(&facts->devices[d]) != AVAILABILITY_OFFLINE)
			continue;
		sheet_print(sheet, "<li><a href=\"?from=%u#m\">", plan->devices[d].first_metric);
		sheet_html(sheet, plan->devices[d].path);
		sheet_add(sheet, "</a></li>");
		told++;
	}
	if (offline)
		sheet_print(sheet, "%s</ul>", offline > told ? "<li>…</li>" : "");
	sheet_add(sheet, "</section>");
}

static void card_broker(struct sheet *sheet, const struct page_facts *facts)
{
	static const char *const words[] = {[UPLINK_REFUSED] = "not reached",
		[UPLINK_NAME] = "name not found",
		[UPLINK_AUTH] = "user or password refused",
		[UPLINK_CLIENT_ID] = "client id refused",
		[UPLINK_BUSY] = "not available",
		[UPLINK_TLS] = "TLS failed",
		[UPLINK_VERSION] = "protocol version not spoken",
		[UPLINK_PROTOCOL] = "broke the protocol",
		[UPLINK_TAKEN_OVER] = "taken over by another client",
		[UPLINK_CLOSED] = "closed by the broker",
		[UPLINK_NO_RETAIN] = "retained will refused",
		[UPLINK_NO_QOS] = "QoS of the will refused",
		[UPLINK_SETUP] = "local files can't be used"};
	const struct publisher_status *broker = &facts->broker;
	char length[LOG_LENGTH_SIZE];
	sheet_print(sheet,
		"<section class=\"card\" id=\"c2\"><h2>Broker</h2><p class=\"big\">%" PRIu64
		" <small>acknowledged</small></p>",
		broker->acknowledged);
	state(sheet, broker->connected ? "good" : "bad", broker->connected ? "connected" : "no connection");
	sheet_print(sheet, " for %s<ul class=\"plain\"><li class=\"where\">",
		length_of(facts->now_us - (broker->since_us ? broker->since_us : facts->started_at), length));
	sheet_html(sheet, broker->broker_url ? broker->broker_url : "");
	sheet_print(sheet, "</li><li>%u in flight</li>", broker->in_flight);
	count(sheet, (int64_t)broker->reconnects, "reconnect", "s");
	count(sheet, (int64_t)broker->refused, "messages refused", "");
	if (broker->fault >= 0)
		sheet_print(sheet, "<li>last fault: %s</li>", words[broker->fault]);
	sheet_add(sheet, "</ul></section>");
}

static void card_buffer(struct sheet *sheet, const struct page_facts *facts)
{
	const struct outbox_counts *buffer = &facts->buffer;
	char length[LOG_LENGTH_SIZE];
	sheet_print(sheet,
		"<section class=\"card\" id=\"c3\"><h2>Buffer</h2><p class=\"big\">%" PRIu64
		" <small>waiting</small></p>",
		buffer->waiting);
	if (facts->stores)
		state(sheet, facts->store.durable ? "good" : "bad",
			facts->store.durable ? "disk ready" : "disk does not work");
	else
		state(sheet, "off", "memory only");
	sheet_add(sheet, "<ul class=\"plain\"><li>");
	bytes(sheet, (int64_t)buffer->waiting_bytes);
	sheet_add(sheet, " wait");
	if (facts->stores) {
		sheet_add(sheet, ", ");
		bytes(sheet, facts->store.bytes);
		sheet_add(sheet, " on disk");
	}
	sheet_add(sheet, "</li>");
	if (buffer->oldest_ms && clock_plausible(buffer->oldest_ms))
		sheet_print(sheet, "<li>the oldest for %s</li>",
			length_of((facts->wall_ms - buffer->oldest_ms) * 1000, length));
	count(sheet, (int64_t)buffer->dropped_full, "dropped: full", "");
	count(sheet, (int64_t)buffer->dropped_offline, "dropped: QoS 0, no broker", "");
	count(sheet, (int64_t)buffer->dropped_refused, "dropped: refused", "");
	count(sheet, (int64_t)buffer->dropped_expired, "dropped: too old", "");
	count(sheet, (int64_t)buffer->dropped_superseded, "superseded by newer ones", "");
	count(sheet, (int64_t)buffer->dropped_damaged, "dropped: damaged", "");
	count(sheet, (int64_t)buffer->dropped_command, "dropped by command", "");
	sheet_add(sheet, "</ul></section>");
}

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
		state(sheet, "off", "restarts");
		sheet_add(sheet, "</section>");
		return;
	}
	int64_t up_us = facts->now_us - page->started_at;
	state(sheet, get(counts->open) ? "good" : "bad", get(counts->open) ? "open" : "not there");
	sheet_print(sheet, " <span>%.1f&#8239;%% busy</span>",
		up_us > 0 ? 100 * (double)get(counts->busy_us) / (double)up_us : 0.0);
	if (counts->strip) {
		uint8_t blocks[STRIP_BLOCKS];
		strip_read(counts->strip, facts->now_us, blocks);
		page_draw_strip(sheet, blocks);
	}
	sheet_print(sheet, "<ul class=\"counts\"><li>%" PRId64 " answers</li>", get(counts->answers));
	count(sheet, get(counts->timeouts), "time-out", "s");
	count(sheet, get(counts->checksum), "checksum error", "s");
	count(sheet, get(counts->exceptions), "exception", "s");
	if (page->caution) {
		count(sheet, get(page->caution->late), "late", "");
		count(sheet, get(page->caution->foreign), "of other masters", "");
		count(sheet, get(page->caution->noise), "noise", "");
	}
	count(sheet, get(counts->merged), "merged poll", "s");
	sheet_add(sheet, "</ul></section>");
}

/* ---- Devices ---- */

/* The part of a device's path that is its level, as a row, when it is another one than that before. */
static void level(struct sheet *sheet, const struct plan *plan, uint32_t d, uint32_t first, unsigned columns)
{
	const char *path = plan->devices[d].path, *before = d > first ? plan->devices[d - 1].path : NULL;
	const char *end = strrchr(path, '/'), *before_end = before ? strrchr(before, '/') : NULL;
	size_t n = end ? (size_t)(end - path) : 0;
	if (before && (before_end ? (size_t)(before_end - before) : 0) == n && memcmp(before, path, n) == 0)
		return;
	sheet_print(sheet, "<tr><th colspan=\"%u\" scope=\"rowgroup\" class=\"level\">", columns);
	char text[512];
	snprintf(text, sizeof(text), "%.*s", (int)n, path);
	sheet_html(sheet, n ? text : plan->site);
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

static void milliseconds(struct sheet *sheet, int64_t us)
{
	sheet_print(sheet, "%.*f ms", us < 10000 ? 1 : 0, (double)us / 1e3);
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
	enum availability is = availability_of(&facts->devices[d]);
	char length[LOG_LENGTH_SIZE];
	sheet_print(sheet, "<tr id=\"d%u\"><th scope=\"row\"><a href=\"?from=%u#m\">", d, told->first_metric);
	device_name(sheet, told);
	sheet_add(sheet, "</a><small>");
	sheet_html(sheet, facts->plan->buses[told->bus].name);
	if (told->address)
		sheet_print(sheet, " · address %u", told->address);
	sheet_add(sheet, "</small></th><td>");
	state(sheet, classes[is], words[is]);
	if (!counts) {
		sheet_add(sheet, "</td><td></td><td></td></tr>");
		return;
	}
	if (get(counts->answered_at)) {
		sheet_add(sheet, "<small>answered ");
		ago(sheet, facts, get(counts->answered_at));
		sheet_add(sheet, "</small>");
	}
	int64_t quiet_us = get(counts->quiet_until) - facts->now_us;
	if (is == AVAILABILITY_OFFLINE && quiet_us > 0)
		sheet_print(sheet, "<small>asked again in %s</small>", length_of(quiet_us, length));
	sheet_add(sheet, "</td><td class=\"num\">");
	if (times_n(&counts->answer_times)) {
		milliseconds(sheet, times_quantile(&counts->answer_times, 500));
		sheet_add(sheet, "<small>95&#8239;% in ");
		milliseconds(sheet, times_quantile(&counts->answer_times, 950));
		sheet_add(sheet, "</small>");
	}
	sheet_add(sheet, "</td><td><ul class=\"counts\">");
	count(sheet, get(counts->timeouts), "time-out", "s");
	count(sheet, get(counts->checksum), "checksum error", "s");
	count(sheet, get(counts->exceptions), "exception", "s");
	count(sheet, get(counts->late), "late", "");
	count(sheet, get(counts->missed), "missed poll", "s");
	sheet_add(sheet, "</ul></td></tr>");
}

static void devices(struct sheet *sheet, const struct page_facts *facts, uint32_t from)
{
	const struct plan *plan = facts->plan;
	if (plan->n_devices == 0)
		return;
	uint32_t first = from < plan->n_metrics ? plan->metrics[from].device / PAGE_DEVICES * PAGE_DEVICES : 0;
	sheet_add(sheet, "<section id=\"d\"><h2>Devices</h2><table><thead><tr><th scope=\"col\">Device</th>"
			 "<th scope=\"col\">State</th><th scope=\"col\" class=\"num\">Answers in</th>"
			 "<th scope=\"col\">Errors</th></tr></thead><tbody>");
	for (uint32_t d = first; d < plan->n_devices && d < first + PAGE_DEVICES; d++) {
		level(sheet, plan, d, first, 4);
		device(sheet, facts, d);
	}
	sheet_add(sheet, "</tbody></table></section>");
}

/* ---- Readings ---- */

static void value(struct sheet *sheet, const struct plan_metric *metric, const struct reading *reading)
{
	char text[VALUE_BYTES];
	if (reading->quality != QUALITY_GOOD) {
		state(sheet, "bad", quality_word(reading->quality));
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
	char part[128];
	while (*text) {
		size_t n = strcspn(text, "/");
		n += text[n] == '/';
		if (n >= sizeof(part)) {
			sheet_html(sheet, text);
			return;
		}
		snprintf(part, sizeof(part), "%.*s", (int)n, text);
		sheet_html(sheet, part);
		text += n;
		if (*text)
			sheet_add(sheet, "<wbr>");
	}
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
		ago(sheet, facts, at_us);
		sheet_print(sheet, "<span> · QoS %u</span></small>", told->delivery.qos);
	} else {
		state(sheet, "off", "not read yet");
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
	if (n > PAGE_READINGS) {
		sheet_print(sheet, "<nav>%u to %u of %u", from + 1, end, n);
		if (from)
			sheet_print(sheet, " <a href=\"?from=%u#m\">before</a>",
				from > PAGE_READINGS ? from - PAGE_READINGS : 0);
		if (end < n)
			sheet_print(sheet, " <a href=\"?from=%u#m\">next</a>", end);
		sheet_add(sheet, "</nav>");
	}
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
	head(sheet, facts);
	sheet_add(sheet, "<div class=\"cards\">");
	card_devices(sheet, facts);
	if (facts->ships) {
		card_broker(sheet, facts);
		card_buffer(sheet, facts);
	}
	sheet_add(sheet, "</div>");
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
