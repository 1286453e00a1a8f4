/*
 * Which way a wire goes: see wire.h.
 */
#include "field/wire.h"
#include "field/strip.h"

#include <errno.h>

/* Of the last minute, where there is a page to show it. */
static struct strip *strip_of(const struct plan *plan, struct arena *arena)
{
	return plan->page.host ? arena_alloc(arena, sizeof(struct strip)) : NULL;
}

static int init_bus(struct wire *wire, const struct plan *plan, size_t index, const struct learnt *learnt,
	struct reading_sink *sink, const struct clock *clock, bool once, struct arena *arena)
{
	struct line *line = NULL;
	int rc = line_modbus_init(wire->told, &line);
	if (rc < 0)
		return rc;
	wire->bus = arena_alloc(arena, sizeof(*wire->bus));
	bus_init(wire->bus, plan, index, line, learnt, sink, clock, once, arena);
	wire->bus->counts.strip = strip_of(plan, arena);
	return 0;
}

int wire_init(struct wire *wire, const struct plan *plan, size_t index, const struct learnt *learnt,
	struct reading_sink *sink, const struct clock *clock, bool once, struct arena *arena)
{
	*wire = (struct wire){.told = &plan->buses[index]};
	if (wire->told->way == BF_WAY_REGISTERS)
		return init_bus(wire, plan, index, learnt, sink, clock, once, arena);
	struct stream_port *port = NULL;
	int rc = stream_port_init(wire->told, &port);
	if (rc < 0)
		return rc;
	wire->stream = arena_alloc(arena, sizeof(*wire->stream));
	stream_init(wire->stream, plan, index, port, sink, clock, once, arena);
	wire->stream->counts.strip = strip_of(plan, arena);
	return 0;
}

void wire_destroy(struct wire *wire)
{
	if (wire->bus)
		bus_destroy(wire->bus);
	if (wire->stream)
		stream_destroy(wire->stream);
}

void wire_schedule(struct wire *wire, size_t first, size_t n_all, int64_t tick_us, int64_t now_us)
{
	if (wire->bus)
		bus_schedule(wire->bus, first, n_all, tick_us, now_us);
}

int64_t wire_step(struct wire *wire, bool ready, int64_t now_us)
{
	return wire->bus ? bus_step(wire->bus, ready, now_us) : stream_step(wire->stream, ready, now_us);
}

void wire_errand(struct wire *wire, struct errand_slot *slot, int64_t now_us)
{
	if (wire->bus)
		courier_add(wire->bus, slot);
	else
		errand_fail(slot, slot->errand.kind == ERRAND_POLL
					  ? stream_poll(wire->stream, slot->errand.device, now_us)
					  : -EOPNOTSUPP);
}

void wire_fail_errands(struct wire *wire, int rc)
{
	if (wire->bus)
		courier_fail(wire->bus, rc);
}

short wire_events(const struct wire *wire)
{
	return wire->bus ? bus_events(wire->bus) : stream_events(wire->stream);
}

int wire_fd(const struct wire *wire)
{
	return wire->bus ? wire->bus->line->fd : wire->stream->port->fd;
}

bool wire_finished(const struct wire *wire)
{
	return wire->bus ? bus_finished(wire->bus) : stream_finished(wire->stream);
}

const struct bus_counts *wire_counts(const struct wire *wire)
{
	return wire->bus ? &wire->bus->counts : &wire->stream->counts;
}

const struct caution_counts *wire_caution(const struct wire *wire)
{
	return wire->bus ? &wire->bus->caution.counts : NULL;
}

const struct plan_device *wire_device(const struct wire *wire, uint32_t d)
{
	return wire->bus ? wire->bus->devices[d].told : wire->stream->sources[d].told;
}

const struct device_counts *wire_device_counts(const struct wire *wire, uint32_t d)
{
	return wire->bus ? &wire->bus->devices[d].counts : &wire->stream->sources[d].counts;
}
