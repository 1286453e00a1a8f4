/*
 * The parts of the gateway, for the two files that put them together: gateway.c at the start, reload.c when the map is
 * read again.  No one else includes this.
 */
#ifndef APP_GATEWAY_INNER_H
#define APP_GATEWAY_INNER_H

#include "app/edge.h"
#include "app/gateway.h"
#include "app/generation.h"
#include "app/remember.h"
#include "app/upstream.h"
#include "ship/printer.h"

/* With `once`: counts what had no answer on its way to the report. */
struct tally {
	struct reading_sink sink;
	struct reading_sink *next;
	_Atomic uint64_t unanswered;
};

struct gateway {
	struct gateway_options options;
	struct generation *newest;  /* the list of them; the first may not be the present one yet */
	struct generation *present; /* whose plan is what this gateway is told to be */
	struct outbox *outbox;      /* NULL when printing */
	struct inquiry *inquiry;
	struct retained *retained;
	struct printer *printer;
	struct message_sink *messages; /* the outbox's or the printer's */
	struct payload_ids ids;
	_Atomic unsigned occasions; /* connects, while Home Assistant is told of devices */
	struct tally tally;
	struct upstream *upstream;
	struct plan_buffer buffer;   /* as it is in force */
	struct plan_buffer at_start; /* the store's */
	struct store *store;
	struct edge *edge;       /* of Sparkplug; NULL = no map has had it yet … */
	struct edge_node *node;  /* … or has it now */
	struct poller **pollers; /* of all generations but one that is not the present one yet */
	size_t n_pollers;
	struct remember remember;
	int64_t started_at;
	struct arena arena;
};

/*
 * gateway_edge.c.  What Sparkplug looks at in a generation, if its map has it, and the place for what waits, which runs
 * at once when the gateway does; after generation_init.  0, or -errno: then gateway_untap after the generation's end.
 */
int gateway_taps(struct gateway *gateway, struct generation *generation);
void gateway_untap(struct gateway *gateway);

/* Its node, after generation_poll; NULL = the map has it not.  0 or -errno. */
int gateway_node(struct gateway *gateway, struct generation *generation, struct edge_node **ret_node);

/* The node, which was asked to stop, and *node change places, and the latter starts.  False while the former runs. */
bool gateway_change_node(struct gateway *gateway, struct edge_node **node, int64_t alive_by_us);

/* Room for a list of so many pollers.  0 or -ENOMEM. */
int gateway_room_for_pollers(struct gateway *gateway, size_t n);

/* Makes the list anew, after pollers came or went; there is room. */
void gateway_list_pollers(struct gateway *gateway);

#endif
