/*
 * Ports that are gone: see outage.h.
 */
#include "field/outage.h"
#include "field/port_failure.h"

#define FIRST_US 500000
#define CAP_US   10000000
#define PORT_US  500000 /* looking whether an unplugged port is back costs next to nothing */

static const char *place(const struct plan_bus *bus)
{
	return bus->port ? bus->port : bus->host;
}

void outage_init(struct outage *outage, const struct plan_bus *bus)
{
	*outage =
		(struct outage){.waits = {.first_us = FIRST_US, .cap_us = bus->wire == WIRE_SERIAL ? PORT_US : CAP_US}};
}

bool outage_begin(struct outage *outage, const struct plan_bus *bus, struct bus_counts *counts, bool was_open,
	int failure, int64_t now_us)
{
	char why[PORT_FAILURE_SIZE];
	if (complaint_raise(&outage->told, now_us))
		log_about(LOG_LEVEL_WARNING, &(struct log_about){.bus = bus->name}, "bus %s: %s%s: %s", bus->name,
			place(bus), was_open ? " is gone" : " can't be opened",
			port_failure_text(bus->port, failure, why));
	outage->retry_at = now_us + backoff_next(&outage->waits);
	atomic_store_explicit(&counts->open, 0, memory_order_relaxed);
	return was_open || outage->waits.round == 1;
}

bool outage_end(struct outage *outage, const struct plan_bus *bus, struct bus_counts *counts, int64_t now_us)
{
	int64_t lasted;
	char length[LOG_LENGTH_SIZE];
	atomic_fetch_add_explicit(&counts->reopened, 1, memory_order_relaxed);
	atomic_store_explicit(&counts->open, 1, memory_order_relaxed);
	bool was_out = outage->told.since_us != 0;
	if (complaint_clear(&outage->told, now_us, &lasted, NULL))
		log_about(LOG_LEVEL_NOTICE, &(struct log_about){.bus = bus->name}, "bus %s: %s is back after %s",
			bus->name, place(bus), log_length(lasted, length));
	return was_out;
}

void outage_forget(struct outage *outage)
{
	backoff_reset(&outage->waits);
}
