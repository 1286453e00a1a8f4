/*
 * Which requests read a set of places with the least wire time.  See planner.h.
 *
 * Items are sorted by space, first cell, and the longer first.  The last item before i that is not
 * within another then reaches furthest of all before i, so an item that lies within any other lies
 * within that one: if cuts are made only before items that reach further than all before them,
 * those within others stand in the range of one that holds them.
 *
 * scratch[k] is the least cost of the first k items; reads[k - 1] meanwhile holds how it is
 * reached: the item at which its last request starts, and the number of requests.  The way back is
 * walked from the end.
 *
 * Invariant: the ranges of the reads follow each other without a hole and cover all items.  No
 * state; any thread.
 */
#include "field/planner.h"

/* MODBUS over Serial Line V1.02, section 2.5.1, and the Application Protocol V1.1b3, sections 6.1
 * to 6.4. */
#define RTU_REQUEST_CHARS 8 /* unit, function, address, quantity, CRC */
#define RTU_ANSWER_CHARS  5 /* unit, function, byte count, CRC */

/* On TCP a request is a round trip, whatever is in it: what else is counted are a few bytes of
 * Ethernet. */
#define TCP_REQUEST_NS  1000000
#define TCP_REGISTER_NS 2000
#define TCP_BITS8_NS    1000

#define COST_NONE INT64_MAX

struct planner_cost planner_cost_of(const struct plan_bus *bus, int64_t turnaround_us)
{
	if (bus->wire == WIRE_TCP)
		return (struct planner_cost){
			.request_ns = TCP_REQUEST_NS, .register_ns = TCP_REGISTER_NS, .bits8_ns = TCP_BITS8_NS};
	int64_t character_ns = plan_line_char_ns(&bus->line);
	return (struct planner_cost){
		.request_ns = (RTU_REQUEST_CHARS + RTU_ANSWER_CHARS) * character_ns +
			      (2 * plan_bus_gap_us(bus) + turnaround_us) * 1000,
		.register_ns = 2 * character_ns,
		.bits8_ns = character_ns,
	};
}

static bool is_bits(enum bf_space space)
{
	return space == BF_SPACE_COIL || space == BF_SPACE_DISCRETE;
}

int64_t planner_read_ns(const struct planner_cost *cost, const struct bf_place *place)
{
	if (is_bits(place->space))
		return cost->request_ns + (place->count + 7) / 8 * cost->bits8_ns;
	return cost->request_ns + place->count * cost->register_ns;
}

int64_t planner_request_us(const struct plan_bus *bus)
{
	return bus->wire == WIRE_TCP ? 0 : RTU_REQUEST_CHARS * plan_line_char_ns(&bus->line) / 1000;
}

int64_t planner_answer_us(const struct plan_bus *bus, const struct bf_place *place)
{
	if (bus->wire == WIRE_TCP)
		return 0;
	int64_t bytes = is_bits(place->space) ? (place->count + 7) / 8 : 2 * place->count;
	return (RTU_ANSWER_CHARS + bytes) * plan_line_char_ns(&bus->line) / 1000;
}

static uint32_t end_of(const struct bf_place *place)
{
	return (uint32_t)place->at + place->count;
}

static bool comes_before(const struct planner_item *a, const struct planner_item *b)
{
	if (a->place.space != b->place.space)
		return a->place.space < b->place.space;
	if (a->place.at != b->place.at)
		return a->place.at < b->place.at;
	if (a->place.count != b->place.count)
		return a->place.count > b->place.count;
	return a->metric < b->metric;
}

static void sift_down(struct planner_item *items, size_t at, size_t n)
{
	struct planner_item item = items[at];
	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= n)
			break;
		if (child + 1 < n && comes_before(&items[child], &items[child + 1]))
			child++;
		if (!comes_before(&item, &items[child]))
			break;
		items[at] = items[child];
		at = child;
	}
	items[at] = item;
}

/* A heap sort: qsort may allocate. */
static void items_sort(struct planner_item *items, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift_down(items, i, n);
	for (size_t end = n; end-- > 1;) {
		struct planner_item last = items[0];
		items[0] = items[end];
		items[end] = last;
		sift_down(items, 0, end);
	}
}

static bool is_refused(const struct bf_place *from, uint32_t end, const struct planner_limits *limits)
{
	for (size_t i = 0; i < limits->n_refused; i++) {
		const struct planner_refusal *refused = &limits->refused[i];
		if (refused->space != from->space)
			continue;
		bool holds = refused->from == refused->to ? from->at < refused->from && refused->to < end
							  : from->at <= refused->from && refused->to <= end;
		if (holds && (from->at != refused->from || end != refused->to))
			return true;
	}
	return false;
}

/* May a read from items[first] on, which ends at `end`, be stretched to hold the next item too? */
static bool may_stretch(const struct planner_item *first, uint32_t end, const struct planner_item *next,
	const struct planner_limits *limits)
{
	uint32_t most = is_bits(first->place.space) ? limits->max_bits : limits->max_registers;
	if (next->place.space != first->place.space)
		return false;
	if (end_of(&next->place) <= end)
		return true;
	if (end_of(&next->place) - first->place.at > most)
		return false;
	if (limits->max_gap >= 0 && next->place.at > end + (uint32_t)limits->max_gap)
		return false;
	return !is_refused(&first->place, end_of(&next->place), limits);
}

/* All reads that start at items[i]: tells each place behind one of them if it is reached cheaper
 * this way. */
static void try_from(size_t i, const struct planner_item *items, size_t n, const struct planner_limits *limits,
	const struct planner_cost *cost, struct planner_read *reads, int64_t *scratch)
{
	struct bf_place place = items[i].place;
	uint32_t end = end_of(&place), requests = i ? reads[i - 1].n + 1 : 1;
	for (size_t k = i + 1;; k++) {
		bool within = k < n && items[k].place.space == place.space && end_of(&items[k].place) <= end;
		if (!within) { /* a read may end here */
			place.count = (uint16_t)(end - place.at);
			int64_t whole = scratch[i] + planner_read_ns(cost, &place);
			if (whole < scratch[k] || (whole == scratch[k] && requests < reads[k - 1].n)) {
				scratch[k] = whole;
				reads[k - 1] =
					(struct planner_read){.place = place, .first = (uint32_t)i, .n = requests};
			}
		}
		if (k >= n || !may_stretch(&items[i], end, &items[k], limits))
			return;
		if (!within)
			end = end_of(&items[k].place);
	}
}

size_t planner_merge(struct planner_item *items, size_t n, const struct planner_limits *limits,
	const struct planner_cost *cost, struct planner_read *reads, int64_t *scratch)
{
	if (n == 0)
		return 0;
	items_sort(items, n);
	for (size_t k = 0; k <= n; k++)
		scratch[k] = COST_NONE;
	scratch[0] = 0;
	for (size_t i = 0; i < n; i++)
		if (scratch[i] != COST_NONE) /* else no read starts here: the item lies within one before */
			try_from(i, items, n, limits, cost, reads, scratch);

	/* The ends of the chosen reads, from the last to the first, take the place of the costs; a
	 * read then moves only to the left of all that are still to be moved. */
	size_t n_reads = reads[n - 1].n, at = n_reads;
	for (size_t end = n; end > 0; end = reads[end - 1].first)
		scratch[--at] = (int64_t)end;
	for (size_t r = 0; r < n_reads; r++) {
		size_t end = (size_t)scratch[r];
		reads[r] = reads[end - 1];
		reads[r].n = (uint32_t)end - reads[r].first;
	}
	return n_reads;
}
