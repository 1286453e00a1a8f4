/*
 * The gateway: wires both wings together and runs their threads.
 *
 *   pollers ─► report ─► outbox ─► publisher ─► uplink
 *                          ▲
 *                          └► store ─► journal
 *
 * Lifecycle: init start stop destroy, on the main thread.
 */
#ifndef APP_GATEWAY_H
#define APP_GATEWAY_H

#include "field/poller.h"
#include "model/plan.h"
#include "ship/board.h"
#include "ship/inquiry.h"
#include "ship/outbox.h"
#include "ship/publisher.h"
#include "ship/store.h"

#include <stdbool.h>

struct gateway;

struct gateway_options {
	bool once;  /* poll everything once, when the broker is there: gateway_poll */
	bool print; /* "topic payload" lines on stdout instead of publishing */
};

/* The plan becomes the gateway's, in any case.  0 and *ret_gateway, or -errno. */
int gateway_init(struct plan *plan, const struct gateway_options *options, struct gateway **ret_gateway);

/*
 * Opens the buffer file, and the one of Sparkplug beside it, before the start; not with once or print, which don't
 * touch them.  It may be called again after a failure: what is open stays so. 0, also when the default file can't be
 * used (a warning: memory only); -EBUSY another gateway has it; another -errno when the file of an explicit buffer.path
 * can't be used.
 */
int gateway_open_buffer(struct gateway *gateway);

/* The file that it could not open. */
const char *gateway_unopened(const struct gateway *gateway);

/* Starts all threads; the broker and the ports may be absent.  0, or -errno with nothing running. */
int gateway_start(struct gateway *gateway);

/* `once`: starts polling, which gateway_start then leaves out.  As gateway_start. */
int gateway_poll(struct gateway *gateway);

/*
 * Stops in order: polling, then publishing (what the broker takes within 2 s is sent).  Bounded in time.
 * 0; -ETIMEDOUT when a thread hangs in a name look-up or on a port: then gateway and plan must not be destroyed, the
 * process has to end.
 */
int gateway_stop(struct gateway *gateway);

/* NULL is fine. */
void gateway_destroy(struct gateway *gateway);

/* `once`: everything was polled, and the broker has acknowledged all of it. */
bool gateway_finished(struct gateway *gateway);

/* Is the broker there?  When printing there is nothing to wait for. */
bool gateway_connected(struct gateway *gateway);

/* `once`: everything was polled, whatever became of the messages. */
bool gateway_polled(struct gateway *gateway);

/* With `once`: readings that had no answer (time-out, checksum, port gone). */
uint64_t gateway_unanswered(const struct gateway *gateway);

/* Monotonic µs by which every thread must have made its next step. */
int64_t gateway_alive_until(const struct gateway *gateway);

/* What health and stats look at: the plan is the present one, until the map is read again.  The publisher is NULL when
 * printing. */
const struct plan *gateway_plan(const struct gateway *gateway);
const struct wire *gateway_next_wire(const struct gateway *gateway, struct wire_walk *walk);  /* poller_next_wire */
int64_t gateway_wire_started_at(const struct gateway *gateway, const struct wire_walk *walk); /* of the last one */
struct outbox *gateway_outbox(struct gateway *gateway);
struct publisher *gateway_publisher(struct gateway *gateway);
struct store *gateway_store(struct gateway *gateway);     /* NULL when there is none */
struct inquiry *gateway_inquiry(struct gateway *gateway); /* for looking at the outbox; NULL when printing */
const struct plan_buffer *gateway_buffer(const struct gateway *gateway); /* the limits in force */
int64_t gateway_memory_bytes(const struct gateway *gateway);             /* that readings in memory may take */
int64_t gateway_started_at(const struct gateway *gateway);               /* monotonic µs */

/* How Sparkplug is; false when it is switched off. */
struct edge_status;
bool gateway_sparkplug(const struct gateway *gateway, struct edge_status *ret_status);

/* For who looks at it part by part.  The wire of a bus of gateway_plan and since when it is (monotonic); NULL while it
 * restarts. */
const struct wire *gateway_bus_wire(const struct gateway *gateway, size_t bus, int64_t *ret_started_at);

/* Where the readings of a device of gateway_plan are, and which one there is its first; NULL = nothing of the map looks
 * at them. */
const struct board *gateway_board(const struct gateway *gateway, uint32_t device, uint32_t *ret_first_metric);

/* Keeps what was learnt of devices for the next run, if there is something new. */
void gateway_remember(struct gateway *gateway);

/* Asks something of a wire that is no device's of the map, as poller_errand; bus is that of gateway_plan.  -ENODEV:
 * there is none, or it restarts just now. */
int gateway_errand(struct gateway *gateway, const struct errand *errand);

/* Puts a text on site/gateway/ID/stats. */
void gateway_put_stats(struct gateway *gateway, const char *json, size_t n);

#endif
