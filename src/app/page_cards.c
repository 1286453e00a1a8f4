/*
 * The head and the cards.  See page_cards.h.
 */
#include "app/page_cards.h"
#include "app/page_part.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define DRAINS_FROM 100 /* messages that wait: so few come and go */

void page_head(struct sheet *sheet, const struct page_facts *facts)
{
	const struct plan *plan = facts->plan;
	const char *slash = strrchr(plan->file, '/');
	char up[LOG_LENGTH_SIZE];
	sheet_add(sheet, "<header><h1>");
	sheet_html(sheet, plan->site);
	sheet_add(sheet, "</h1><p>gateway <b>");
	sheet_html(sheet, plan->gateway_id);
	sheet_print(sheet, "</b> · Busferry %s · up %s · map <b>", BUSFERRY_VERSION,
		page_length(facts->now_us - facts->started_at, up));
	sheet_html(sheet, slash ? slash + 1 : plan->file);
	sheet_add(sheet, "</b>, read ");
	page_ago(sheet, facts, facts->map_at);
	if (plan->n_warnings)
		sheet_print(sheet, " with %zu warning%s: see <b>busferry check</b>", plan->n_warnings,
			plan->n_warnings == 1 ? "" : "s");
	sheet_add(sheet, "</p></header>");
}

static void card_devices(struct sheet *sheet, const struct page_facts *facts)
{
	const struct plan *plan = facts->plan;
	uint32_t online = 0, offline = 0, told = 0;
	for (uint32_t d = 0; d < plan->n_devices; d++) {
		online += page_availability(&facts->devices[d]) == AVAILABILITY_ONLINE;
		offline += page_availability(&facts->devices[d]) == AVAILABILITY_OFFLINE;
	}
	const char *fault = page_facts_fault(facts);
	sheet_add(sheet, "<section class=\"card\" id=\"c1\"><h2>Devices</h2><p class=\"big\">");
	sheet_print(sheet, "%u <small>of %zu answer</small></p>", online, plan->n_devices);
	if (fault || offline)
		page_state(sheet, "bad", fault ? fault : "some do not answer");
	else
		page_state(sheet, online == plan->n_devices ? "good" : "off",
			online == plan->n_devices ? "none is missing" : "some have not answered yet");
	if (offline)
		sheet_add(sheet, "<ul class=\"plain\">");
	for (uint32_t d = 0; d < plan->n_devices && told < 10; d++) {
		if (page_availability(&facts->devices[d]) != AVAILABILITY_OFFLINE)
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
	page_state(sheet, broker->connected ? "good" : "bad", broker->connected ? "connected" : "no connection");
	sheet_print(sheet, " for %s<ul class=\"plain\"><li class=\"where\">",
		page_length(facts->now_us - (broker->since_us ? broker->since_us : facts->started_at), length));
	sheet_html(sheet, broker->broker_url ? broker->broker_url : "");
	sheet_print(sheet, "</li><li>%u in flight</li>", broker->in_flight);
	if (facts->taken_s > 0)
		sheet_print(sheet, "<li>%.*f messages a second</li>", facts->taken_s < 10 ? 1 : 0, facts->taken_s);
	page_count(sheet, (int64_t)broker->reconnects, "reconnect", "s");
	page_count(sheet, (int64_t)broker->refused, "messages refused", "");
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
		page_state(sheet, facts->store.durable ? "good" : "bad",
			facts->store.durable ? "disk ready" : "disk does not work");
	else
		page_state(sheet, "off", "memory only");
	sheet_add(sheet, "<ul class=\"plain\"><li>");
	page_bytes(sheet, (int64_t)buffer->waiting_bytes);
	sheet_add(sheet, " in memory");
	if (facts->store.max_bytes) {
		sheet_add(sheet, ", ");
		page_bytes(sheet, facts->store.bytes);
		sheet_add(sheet, " of ");
		page_bytes(sheet, facts->store.max_bytes);
		sheet_add(sheet, " on disk");
	}
	sheet_add(sheet, "</li>");
	if (buffer->oldest_ms && clock_plausible(buffer->oldest_ms))
		sheet_print(sheet, "<li>the oldest for %s</li>",
			page_length((facts->wall_ms - buffer->oldest_ms) * 1000, length));
	if (buffer->waiting >= DRAINS_FROM && facts->fell_s > 0)
		sheet_print(sheet, "<li>empty in %s</li>",
			page_length((int64_t)fmin((double)buffer->waiting / facts->fell_s * 1e6, 1e15), length));
	page_count(sheet, (int64_t)buffer->dropped_full, "dropped: full", "");
	page_count(sheet, (int64_t)buffer->dropped_offline, "dropped: QoS 0, no broker", "");
	page_count(sheet, (int64_t)buffer->dropped_refused, "dropped: refused", "");
	page_count(sheet, (int64_t)buffer->dropped_expired, "dropped: too old", "");
	page_count(sheet, (int64_t)buffer->dropped_superseded, "superseded by newer ones", "");
	page_count(sheet, (int64_t)buffer->dropped_damaged, "dropped: damaged", "");
	page_count(sheet, (int64_t)buffer->dropped_command, "dropped by command", "");
	sheet_add(sheet, "</ul></section>");
}

static void card_sparkplug(struct sheet *sheet, const struct page_facts *facts)
{
	static const struct {
		const char *is, *class, *words;
	} states[] = {{"offline", "bad", "no connection"}, {"waiting", "off", "waits for the primary host"},
		{"birth", "off", "births are told"}, {"online", "good", "online"}};
	const struct sparkplug_status *node = &facts->sparkplug.node;
	sheet_print(sheet,
		"<section class=\"card\" id=\"c4\"><h2>Sparkplug</h2><p class=\"big\">%" PRIu64
		" <small>told</small></p>",
		node->told);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(node->state, states[i].is) == 0)
			page_state(sheet, states[i].class, states[i].words);
	sheet_add(sheet, "<ul class=\"plain\"><li class=\"where\">");
	sheet_html(sheet, node->broker_url ? node->broker_url : "");
	sheet_add(sheet, "</li>");
	page_count(sheet, (int64_t)facts->sparkplug.waiting, "waiting", "");
	page_count(sheet, (int64_t)node->births, "birth", "s");
	page_count(sheet, (int64_t)facts->sparkplug.dropped, "dropped", "");
	sheet_add(sheet, "</ul></section>");
}

void page_cards(struct sheet *sheet, const struct page_facts *facts)
{
	sheet_add(sheet, "<div class=\"cards\">");
	card_devices(sheet, facts);
	if (facts->ships) {
		card_broker(sheet, facts);
		card_buffer(sheet, facts);
	}
	if (facts->tells)
		card_sparkplug(sheet, facts);
	sheet_add(sheet, "</div>");
}
