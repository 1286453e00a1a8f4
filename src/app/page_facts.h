/*
 * What the status page shows, gathered from the gateway at one instant: pointers to its counters and boards, in the
 * order of the present map.  Made for one answer; main thread, since there wires and plans come and go.
 */
#ifndef APP_PAGE_FACTS_H
#define APP_PAGE_FACTS_H

#include "app/edge.h"
#include "app/gateway.h"
#include "field/counts.h"
#include "field/caution.h"
#include "ship/board.h"

struct page_bus {
	const struct bus_counts *counts;      /* NULL: it restarts just now */
	const struct caution_counts *caution; /* NULL: none */
	int64_t started_at;
};

struct page_device {
	const struct device_counts *counts; /* NULL: its bus restarts just now */
	const struct board *board;          /* NULL: no readings */
	uint32_t first_metric;              /* there */
};

/* What the broker had taken and what waited at two earlier looks, since a rate needs two.  Zero-initialised is none. */
struct page_past {
	struct page_then {
		int64_t at_us;
		uint64_t acknowledged, waiting;
	} older, newer;
};

struct page_facts {
	const struct plan *plan;
	int64_t now_us, wall_ms;
	int64_t started_at, map_at; /* monotonic: of the gateway, and when the map was read that is in force */
	bool ships;                 /* there is a broker to ship to; else broker and buffer mean nothing */
	bool stores;                /* there is a file; else store means nothing */
	bool tells;                 /* Sparkplug is switched on; else sparkplug means nothing */
	struct publisher_status broker;
	double taken_s; /* messages a second that the broker took of late; 0 = not known */
	double fell_s;  /* by so many a second fewer wait than before; 0 = not known */
	struct outbox_counts buffer;
	struct store_status store;
	struct edge_status sparkplug;
	int64_t alive_until;         /* of its threads */
	int64_t memory_bytes;        /* that messages may take in memory */
	struct page_bus *buses;      /* by bus of the plan */
	struct page_device *devices; /* by device of the plan */
};

/* 0 or -ENOMEM; to be released in any case. */
int page_facts_take(struct page_facts *facts, struct gateway *gateway, int64_t map_at, struct page_past *past);
void page_facts_release(struct page_facts *facts);

/* Part of page_facts_take: the rates by what was there before, which is kept for the next ones. */
void page_facts_compare(struct page_facts *facts, struct page_past *past);

/* Does it answer?  AVAILABILITY_SAME: not known yet, or its bus restarts just now. */
enum availability page_availability(const struct page_device *device);

/* The newest reading of a metric of the plan; as board_look. */
bool page_facts_look(const struct page_facts *facts, uint32_t metric, char text[static BF_STRING_MAX + 1],
	struct reading *ret_reading, int64_t *ret_at_us);

/* Ten minutes of it; as board_points. */
void page_facts_points(const struct page_facts *facts, uint32_t metric, float ret_points[static BOARD_POINTS]);

/*
 * Is the gateway well?  NULL, or what is wrong: a thread that hangs, or a broker that is away for more than a minute
 * while the buffer is nearly full.  A broker that is only away is no fault of a gateway that keeps what it reads.
 */
const char *page_facts_fault(const struct page_facts *facts);

#endif
