/*
 * The wiring.  This is the only file that knows both field/ and ship/; it holds the parts and the order in which they
 * start and end, and nothing else.
 *
 * Order of the end: pollers are asked to stop and joined, so that nothing more is put; then the publisher sends what it
 * may and says its last words; then the store puts on disk what still waits; only then are the parts destroyed, those
 * that are used after those that use them.
 */
#include "app/gateway.h"
#include "app/orders.h"
#include "app/remember.h"
#include "base/arena.h"
#include "ship/announce.h"
#include "ship/audience.h"
#include "ship/command.h"
#include "ship/printer.h"
#include "ship/report.h"

#include <errno.h>
#include <stdlib.h>

#define MEMORY_BYTES      (32u << 20) /* of readings that wait and are not on disk */
#define POLLER_JOIN_US    1500000
#define PUBLISHER_JOIN_US 3200000
#define STORE_JOIN_US     10000000 /* what waits goes to disk, however slow: better late than lost */

/* With `once`: counts what had no answer on its way to the report. */
struct tally {
	struct reading_sink sink;
	struct reading_sink *next;
	_Atomic uint64_t unanswered;
};

struct gateway {
	const struct plan *plan;
	struct gateway_options options;
	struct outbox *outbox;
	struct inquiry *inquiry;
	struct retained retained;
	struct printer *printer;
	struct announce *announce;
	struct orders orders;
	struct command *command; /* NULL = the map does not allow it */
	struct audience audience;
	struct report *report;
	struct tally tally;
	struct uplink *uplink;
	struct uplink
		*lookout; /* looks for the first broker while another serves; NULL = the map does not ask for it */
	struct publisher *publisher;
	struct plan_broker broker; /* the plan's, but for who we are with `once` */
	struct arena arena;
	struct store *store;
	struct poller **pollers;
	size_t n_pollers;
	struct remember remember;
	int64_t started_at;
};

static void tally_take(struct reading_sink *sink, const struct batch *batch)
{
	struct tally *tally = (struct tally *)sink;
	uint64_t n = 0;
	for (size_t i = 0; i < batch->n; i++) {
		enum quality quality = batch->readings[i].quality;
		n += quality == QUALITY_TIMEOUT || quality == QUALITY_CHECKSUM || quality == QUALITY_OFFLINE;
	}
	if (n)
		atomic_fetch_add_explicit(&tally->unanswered, n, memory_order_relaxed);
	tally->next->take(tally->next, batch);
}

static void tally_rest(struct reading_sink *sink)
{
	struct tally *tally = (struct tally *)sink;
	tally->next->rest(tally->next);
}

static bool uses_qos2(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_metrics; i++)
		if (plan->metrics[i].delivery.qos == 2)
			return plan->broker.max_qos >= 2;
	return false;
}

static bool uses_disk(const struct gateway *gateway)
{
	return gateway->plan->buffer.path && !gateway->options.once && !gateway->options.print;
}

int64_t gateway_memory_bytes(const struct gateway *gateway)
{
	const struct plan_buffer *buffer = &gateway->plan->buffer;
	/* ":none:" means that memory is all there is, and max_size is its bound. */
	if (!buffer->path && buffer->path_given)
		return buffer->max_size;
	return buffer->max_size < MEMORY_BYTES ? buffer->max_size : MEMORY_BYTES;
}

static int init_messages(struct gateway *gateway, struct message_sink **ret_messages)
{
	int rc;
	if (gateway->options.print) {
		rc = printer_init(&gateway->printer);
		if (rc == 0)
			*ret_messages = printer_sink(gateway->printer);
	} else {
		rc = outbox_init(
			&gateway->plan->buffer, gateway_memory_bytes(gateway), &clock_system, &gateway->outbox);
		if (rc == 0) {
			retained_init(&gateway->retained, gateway->plan);
			outbox_retain_only(gateway->outbox, &gateway->retained);
			*ret_messages = outbox_sink(gateway->outbox);
			rc = inquiry_init(gateway->outbox, &gateway->inquiry);
		}
	}
	return rc;
}

/* Who hears what the broker says. */
static int init_command(struct gateway *gateway)
{
	audience_init(&gateway->audience);
	audience_add(&gateway->audience, announce_publisher_listener(gateway->announce));
	if (!gateway->plan->control || gateway->options.once)
		return 0;
	orders_init(&gateway->orders, gateway->plan, &clock_system);
	int rc = command_init(
		gateway->plan, &clock_system, outbox_sink(gateway->outbox), &gateway->orders.taker, &gateway->command);
	if (rc == 0)
		audience_add(&gateway->audience, command_listener(gateway->command));
	return rc;
}

/*
 * Polling once may happen beside the gateway that runs with the same map: with its client id it would push that one
 * out and clear its session, and with its last word and its will it would tell that that one is gone.
 */
static int init_publisher(struct gateway *gateway)
{
	if (gateway->options.print)
		return 0;
	int rc = uplink_mosquitto_init(&gateway->uplink);
	if (rc < 0)
		return rc;
	gateway->broker = gateway->plan->broker;
	if (gateway->options.once) {
		gateway->broker.client_id = arena_format(&gateway->arena, "%s-once", gateway->broker.client_id);
		announce_stateless(gateway->announce);
	}
	rc = init_command(gateway);
	if (rc < 0)
		return rc;
	rc = publisher_init(&gateway->broker, uses_qos2(gateway->plan), announce_will_topic(gateway->announce),
		gateway->outbox, gateway->uplink, &gateway->audience.listener, &clock_system, &gateway->publisher);
	if (rc < 0 || gateway->options.once || gateway->broker.prefer_first_us == 0)
		return rc;
	rc = uplink_mosquitto_init(&gateway->lookout);
	return rc < 0 ? rc : publisher_look_with(gateway->publisher, gateway->lookout);
}

static int init_pollers(struct gateway *gateway)
{
	size_t n = poller_count(gateway->plan);
	gateway->pollers = calloc(n + 1, sizeof(struct poller *));
	if (!gateway->pollers)
		return -ENOMEM;
	int rc = 0;
	struct learnt learnt;
	struct arena arena = {0};
	struct reading_sink *sink = gateway->options.once ? &gateway->tally.sink : gateway->tally.next;
	remember_load(gateway->plan, &learnt, &arena);
	for (; gateway->n_pollers < n && rc == 0; gateway->n_pollers += rc == 0)
		rc = poller_init(gateway->plan, gateway->n_pollers, &learnt, sink, &clock_system, gateway->options.once,
			&gateway->pollers[gateway->n_pollers]);
	arena_free(&arena);
	orders_pollers(&gateway->orders, gateway->pollers, gateway->n_pollers);
	return rc;
}

int gateway_init(const struct plan *plan, const struct gateway_options *options, struct gateway **ret_gateway)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));
	struct message_sink *messages = NULL;
	if (!gateway)
		return -ENOMEM;
	gateway->plan = plan;
	gateway->options = *options;
	remember_init(&gateway->remember, plan);
	int rc = init_messages(gateway, &messages);
	if (rc == 0)
		rc = announce_init(plan, &clock_system, messages, &gateway->announce);
	if (rc == 0)
		rc = report_init(
			plan, &clock_system, messages, announce_report_listener(gateway->announce), &gateway->report);
	if (rc == 0) {
		gateway->tally.sink = (struct reading_sink){.take = tally_take, .rest = tally_rest};
		gateway->tally.next = report_sink(gateway->report);
		rc = init_publisher(gateway);
	}
	if (rc == 0)
		rc = init_pollers(gateway);
	if (rc < 0) {
		gateway_destroy(gateway);
		return rc;
	}
	*ret_gateway = gateway;
	return 0;
}

int gateway_open_buffer(struct gateway *gateway)
{
	if (!uses_disk(gateway))
		return 0;
	int rc = store_init(&gateway->plan->buffer, gateway->outbox, &clock_system, &gateway->store);
	if (rc == 0)
		store_answers(gateway->store, inquiry_serve, gateway->inquiry);
	return rc;
}

int gateway_start(struct gateway *gateway)
{
	gateway->started_at = clock_now(&clock_system);
	int rc = gateway->store ? store_start(gateway->store) : 0;
	if (rc == 0 && gateway->publisher)
		rc = publisher_start(gateway->publisher);
	if (rc < 0 || gateway->options.once)
		return rc;
	return gateway_poll(gateway);
}

int gateway_poll(struct gateway *gateway)
{
	int rc = 0;
	for (size_t i = 0; i < gateway->n_pollers && rc == 0; i++)
		rc = poller_start(gateway->pollers[i]);
	if (rc < 0)
		gateway_stop(gateway);
	return rc;
}

void gateway_remember(struct gateway *gateway)
{
	if (!gateway->options.once && !gateway->options.print)
		remember_keep(&gateway->remember, gateway->pollers, gateway->n_pollers);
}

int gateway_stop(struct gateway *gateway)
{
	int rc = 0;
	for (size_t i = 0; i < gateway->n_pollers; i++)
		poller_stop(gateway->pollers[i]);
	for (size_t i = 0; i < gateway->n_pollers; i++)
		if (poller_join(gateway->pollers[i], rc ? 0 : POLLER_JOIN_US) < 0)
			rc = -ETIMEDOUT;
	if (gateway->publisher) {
		publisher_stop(gateway->publisher);
		if (publisher_join(gateway->publisher, PUBLISHER_JOIN_US) < 0)
			rc = -ETIMEDOUT;
	}
	if (gateway->store) {
		store_stop(gateway->store);
		if (store_join(gateway->store, STORE_JOIN_US) < 0)
			rc = -ETIMEDOUT;
	}
	gateway_remember(gateway);
	return rc;
}

void gateway_destroy(struct gateway *gateway)
{
	if (!gateway)
		return;
	for (size_t i = 0; i < gateway->n_pollers; i++)
		poller_destroy(gateway->pollers[i]);
	free(gateway->pollers);
	publisher_destroy(gateway->publisher);
	uplink_mosquitto_destroy(gateway->lookout);
	uplink_mosquitto_destroy(gateway->uplink);
	command_destroy(gateway->command);
	report_destroy(gateway->report);
	announce_destroy(gateway->announce);
	printer_destroy(gateway->printer);
	store_destroy(gateway->store);
	inquiry_destroy(gateway->inquiry);
	outbox_destroy(gateway->outbox);
	retained_destroy(&gateway->retained);
	arena_free(&gateway->arena);
	remember_destroy(&gateway->remember);
	free(gateway);
}

bool gateway_polled(struct gateway *gateway)
{
	for (size_t i = 0; i < gateway->n_pollers; i++)
		if (!poller_finished(gateway->pollers[i]))
			return false;
	return true;
}

bool gateway_connected(struct gateway *gateway)
{
	if (!gateway->publisher)
		return true;
	struct publisher_status status;
	publisher_status(gateway->publisher, &status);
	return status.connected;
}

bool gateway_finished(struct gateway *gateway)
{
	if (!gateway_polled(gateway))
		return false;
	return !gateway->publisher || (gateway_connected(gateway) && outbox_empty(gateway->outbox));
}

uint64_t gateway_unanswered(const struct gateway *gateway)
{
	return atomic_load_explicit(&gateway->tally.unanswered, memory_order_relaxed);
}

int64_t gateway_alive_until(const struct gateway *gateway)
{
	int64_t until = gateway->publisher ? publisher_alive_until(gateway->publisher) : CLOCK_NEVER;
	if (gateway->store && store_alive_until(gateway->store) < until)
		until = store_alive_until(gateway->store);
	for (size_t i = 0; i < gateway->n_pollers; i++)
		if (poller_alive_until(gateway->pollers[i]) < until)
			until = poller_alive_until(gateway->pollers[i]);
	return until;
}

const struct plan *gateway_plan(const struct gateway *gateway)
{
	return gateway->plan;
}

size_t gateway_n_pollers(const struct gateway *gateway)
{
	return gateway->n_pollers;
}

const struct poller *gateway_poller(const struct gateway *gateway, size_t nth)
{
	return gateway->pollers[nth];
}

struct outbox *gateway_outbox(struct gateway *gateway)
{
	return gateway->outbox;
}

struct publisher *gateway_publisher(struct gateway *gateway)
{
	return gateway->publisher;
}

struct store *gateway_store(struct gateway *gateway)
{
	return gateway->store;
}

struct inquiry *gateway_inquiry(struct gateway *gateway)
{
	return gateway->inquiry;
}

int64_t gateway_started_at(const struct gateway *gateway)
{
	return gateway->started_at;
}

int gateway_errand(struct gateway *gateway, const struct errand *errand)
{
	int rc = -ENODEV;
	for (size_t i = 0; i < gateway->n_pollers && rc == -ENODEV; i++)
		rc = poller_errand(gateway->pollers[i], errand);
	return rc;
}

void gateway_put_stats(struct gateway *gateway, const char *json, size_t n)
{
	announce_stats(gateway->announce, json, n);
}
