/*
 * The wire thread: a loop around poller_step.
 *
 * Which thread drives a wire follows from the plan alone: serial wires come first, one thread each; TCP hosts share the
 * rest in runs of equal length.  The thread waits in ppoll, to the microsecond, on the fds of those buses that wait for
 * something; its timer slack is 1 µs.  Every wait is for an absolute instant, so what a step takes is not added to it.
 */
#include "field/poller.h"
#include "base/thread.h"
#include "base/wake.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define HOSTS_A_THREAD 128
#define THREADS_MAX    4
#define SLEEP_MAX_US   5000000 /* a step at least this often, for the watchdog */
#define GATHER_US      2000    /* answers of several hosts are gathered for so long */
#define TICK_MIN_US    20000 /* due times of hosts that share a thread: waking up costs it more than a poll does, … */
#define TICK_MAX_US    100000 /* … so that many are asked together, … */
#define TICK_MESSAGES  200    /* … but what they tell together is a few milliseconds of a broker's time */
#define ALIVE_US       20000000
#define UNIT_MAX       247 /* on a serial line */

/* What a wire said after its last step.  Apart from the wires, which are large: a step looks at all of these and at few
 * of those. */
struct waiting {
	int64_t wake_at;
	int fd;
	short events; /* 0 = it waits for none */
	bool finished;
};

struct poller {
	const struct plan *plan;
	const struct clock *clock;
	struct reading_sink *sink;
	struct wire *wires;
	struct waiting *waiting; /* of each wire */
	struct pollfd *fds;      /* [0] is the eventfd, then the wires that wait, in fd_wire */
	size_t *fd_wire;
	size_t n_wires, n_here, n_fds, n_unfinished;
	int wake_fd; /* an eventfd: asked to stop, errands have come, or wires are to leave */
	struct errand_box errands;
	bool scheduled;
	bool asked; /* more of them owe an answer than before the last step */
	struct thread thread;
	_Atomic int64_t alive_until;
	_Atomic int stopping, finished, releasing;
	int64_t started_at;
	struct arena arena;
};

static bool shares_thread(const struct plan_bus *bus)
{
	return bus->wire == WIRE_TCP;
}

static size_t tcp_threads(size_t n_hosts)
{
	size_t n = (n_hosts + HOSTS_A_THREAD - 1) / HOSTS_A_THREAD;
	return n < THREADS_MAX ? n : THREADS_MAX;
}

/* How many of the buses that are wanted share threads, and how many do not. */
struct kinds {
	size_t shared, own;
};

static struct kinds count_kinds(const struct plan *plan, const bool *wanted)
{
	struct kinds n = {0, 0};
	for (size_t i = 0; i < plan->n_buses; i++) {
		bool shared = shares_thread(&plan->buses[i]), counts = !wanted || wanted[i];
		n.shared += counts && shared;
		n.own += counts && !shared;
	}
	return n;
}

size_t poller_count(const struct plan *plan, const bool *wanted)
{
	struct kinds n = count_kinds(plan, wanted);
	return n.own + tcp_threads(n.shared);
}

/* Is the bus driven by the n-th poller?  `before` counts the buses of its kind that stand before it in the plan. */
static bool belongs(struct kinds n, const struct plan_bus *bus, size_t before, size_t nth)
{
	if (!shares_thread(bus))
		return before == nth;
	return nth >= n.own && before * tcp_threads(n.shared) / n.shared == nth - n.own;
}

int poller_init(const struct plan *plan, const bool *wanted, size_t nth, const struct learnt *learnt,
	struct reading_sink *sink, const struct clock *clock, bool once, struct poller **ret_poller)
{
	struct poller *poller = calloc(1, sizeof(*poller));
	if (!poller)
		return -ENOMEM;
	poller->plan = plan;
	poller->clock = clock;
	poller->sink = sink;
	poller->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int rc = poller->wake_fd < 0 ? -errno : 0;
	errand_box_init(&poller->errands, poller->wake_fd);
	poller->wires = arena_array(&poller->arena, plan->n_buses, sizeof(*poller->wires));
	poller->waiting = arena_array(&poller->arena, plan->n_buses, sizeof(*poller->waiting));
	poller->fd_wire = arena_array(&poller->arena, plan->n_buses, sizeof(*poller->fd_wire));
	poller->fds = arena_array(&poller->arena, plan->n_buses + 1, sizeof(*poller->fds));
	size_t before[2] = {0, 0};
	struct kinds kinds = count_kinds(plan, wanted);
	for (size_t i = 0; i < plan->n_buses && rc == 0; i++) {
		const struct plan_bus *bus = &plan->buses[i];
		if ((wanted && !wanted[i]) || !belongs(kinds, bus, before[shares_thread(bus)]++, nth))
			continue;
		rc = wire_init(&poller->wires[poller->n_wires], plan, i, learnt, sink, clock, once, &poller->arena);
		poller->n_wires += rc == 0;
	}
	if (rc < 0) {
		poller_destroy(poller);
		return rc;
	}
	poller->n_here = poller->n_wires;
	*ret_poller = poller;
	return 0;
}

/* Messages a second of one device, as if everything that is read were told. */
static double messages_per_s(const struct plan *plan, const struct plan_device *device)
{
	double per_s = 0, rounds_per_s = 0;
	for (uint32_t i = device->first_metric; i < device->first_metric + device->n_metrics; i++) {
		const struct plan_metric *metric = &plan->metrics[i];
		double own = metric->every_us > 0 ? 1e6 / (double)metric->every_us : 0;
		if (!metric->delivery.per_device)
			per_s += own;
		else if (own > rounds_per_s)
			rounds_per_s = own;
	}
	return per_s + rounds_per_s;
}

/* Of what multiples the due times of hosts are. */
static int64_t poller_tick(const struct poller *poller)
{
	double per_s = 0;
	for (size_t i = 0; i < poller->n_wires; i++) {
		const struct wire *wire = &poller->wires[i];
		for (uint32_t d = 0; d < wire->told->n_devices; d++)
			per_s += messages_per_s(poller->plan, wire_device(wire, d));
	}
	if (per_s * TICK_MAX_US <= TICK_MESSAGES * 1e6)
		return TICK_MAX_US;
	int64_t tick_us = (int64_t)(TICK_MESSAGES * 1e6 / per_s);
	return tick_us > TICK_MIN_US ? tick_us : TICK_MIN_US;
}

static void poller_schedule(struct poller *poller, int64_t now_us)
{
	size_t n = 0, first = 0;
	int64_t tick_us = poller_tick(poller);
	poller->scheduled = true;
	poller->n_unfinished = poller->n_wires;
	for (size_t i = 0; i < poller->n_wires; i++)
		n += poller->wires[i].told->n_devices;
	for (size_t i = 0; i < poller->n_wires; i++) {
		bool shared = shares_thread(poller->wires[i].told);
		wire_schedule(&poller->wires[i], first, n, shared ? tick_us : 1, now_us);
		first += poller->wires[i].told->n_devices;
	}
}

static void poller_step_wire(struct poller *poller, size_t index, bool ready, int64_t now_us)
{
	struct wire *wire = &poller->wires[index];
	struct waiting *waiting = &poller->waiting[index];
	waiting->wake_at = wire_step(wire, ready, now_us);
	waiting->fd = wire_fd(wire);
	waiting->events = wire_events(wire);
	bool finished = wire_finished(wire);
	poller->n_unfinished += waiting->finished;
	poller->n_unfinished -= finished;
	waiting->finished = finished;
}

/* The wire of a bus of the plan; n_wires: it has left, or is another poller's.  Any thread. */
static size_t poller_find(const struct poller *poller, uint32_t bus)
{
	size_t i = 0;
	while (i < poller->n_wires &&
		!(poller->wires[i].told == &poller->plan->buses[bus] && wire_stays(&poller->wires[i])))
		i++;
	return i;
}

/* Hands out what has come; those wires run in this step. */
static void poller_errands(struct poller *poller, int64_t now_us)
{
	struct errand_slot *slot;
	while ((slot = errand_take(&poller->errands))) {
		size_t i = poller_find(poller, slot->errand.bus);
		if (i < poller->n_wires) {
			poller->waiting[i].wake_at = 0;
			wire_errand(&poller->wires[i], slot, now_us);
		} else { /* it has left meanwhile */
			errand_fail(slot, -ENODEV);
		}
	}
}

static bool is_gone(const struct poller *poller, size_t index)
{
	return atomic_load_explicit(&poller->wires[index].stay, memory_order_relaxed) == WIRE_GONE;
}

/* Closes the wires that are to leave.  Closing may take its time, which is the time of those that are left too. */
static void poller_let_go(struct poller *poller)
{
	for (size_t i = 0; i < poller->n_wires; i++) {
		struct wire *wire = &poller->wires[i];
		struct waiting *waiting = &poller->waiting[i];
		if (!wire_leaves(wire))
			continue;
		wire_fail_errands(wire, -ENODEV);
		wire_destroy(wire);
		poller->n_unfinished -= !waiting->finished;
		*waiting = (struct waiting){.wake_at = CLOCK_NEVER, .fd = -1, .finished = true};
		poller->n_here--;
		atomic_store_explicit(&wire->stay, WIRE_GONE, memory_order_release);
	}
}

int64_t poller_step(struct poller *poller, int64_t now_us)
{
	if (!poller->scheduled)
		poller_schedule(poller, now_us);
	if (atomic_exchange_explicit(&poller->releasing, 0, memory_order_acquire))
		poller_let_go(poller);
	if (errand_waits(&poller->errands))
		poller_errands(poller, now_us);
	atomic_store_explicit(&poller->alive_until, now_us + ALIVE_US, memory_order_relaxed);
	for (size_t f = 1; f < poller->n_fds; f++)
		if (poller->fds[f].revents && !is_gone(poller, poller->fd_wire[f - 1]))
			poller_step_wire(poller, poller->fd_wire[f - 1], true, now_us);
	int64_t wake = now_us + SLEEP_MAX_US;
	size_t n = 1;
	for (size_t i = 0; i < poller->n_wires; i++) {
		const struct waiting *waiting = &poller->waiting[i];
		if (waiting->wake_at <= now_us)
			poller_step_wire(poller, i, false, now_us);
		if (waiting->wake_at < wake)
			wake = waiting->wake_at;
		if (waiting->events) {
			poller->fd_wire[n - 1] = i;
			poller->fds[n++] = (struct pollfd){.fd = waiting->fd, .events = waiting->events};
		}
	}
	poller->asked = n > poller->n_fds;
	poller->n_fds = n;
	poller->sink->rest(poller->sink);
	if (poller->n_here == 0)
		return now_us; /* the thread ends */
	if (poller->n_unfinished == 0)
		atomic_store_explicit(&poller->finished, 1, memory_order_relaxed);
	return wake;
}

/* Waits on the first n_fds fds until an instant; revents are 0 when nothing came. */
static void poller_poll(struct poller *poller, size_t n_fds, int64_t until_us)
{
	int64_t left = until_us - clock_now(poller->clock);
	if (left < 0)
		left = 0;
	struct timespec timeout = clock_timespec(left);
	if (ppoll(poller->fds, n_fds, &timeout, NULL) <= 0)
		for (size_t f = 0; f < n_fds; f++)
			poller->fds[f].revents = 0;
	uint64_t times;
	if (poller->fds[0].revents && read(poller->wake_fd, &times, sizeof(times)) < 0)
		poller->fds[0].revents = 0;
}

/*
 * Several hosts owe an answer: those that come within a moment are collected together, since waking up costs more than
 * the work.  Most are here when the one that was asked last has answered, before the processor has gone to sleep; if
 * not, the others are given the whole moment.  A single one is never made to wait.
 */
static void poller_wait(struct poller *poller, int64_t stepped_us, int64_t until_us)
{
	poller->fds[0] = (struct pollfd){.fd = poller->wake_fd, .events = POLLIN};
	if (poller->n_fds > 2 && until_us > stepped_us + GATHER_US) {
		struct pollfd first = poller->fds[1];
		poller->fds[1] = poller->fds[poller->n_fds - 1];
		poller_poll(poller, poller->asked ? 2 : 1, stepped_us + GATHER_US);
		poller->fds[1] = first;
		if (poller->fds[0].revents)
			return;
	}
	poller_poll(poller, poller->n_fds, until_us);
}

/* The silences of a serial line are kept to the microsecond; real-time priority helps on a busy system, and is taken
 * only where the administrator offers it (LimitRTPRIO=). */
static void poller_hurry(const struct poller *poller)
{
	struct rlimit offered;
	struct sched_param lowest = {.sched_priority = sched_get_priority_min(SCHED_RR)};
	prctl(PR_SET_TIMERSLACK, 1000UL);
	if (poller->n_wires == 1 && !shares_thread(poller->wires[0].told) && getrlimit(RLIMIT_RTPRIO, &offered) == 0 &&
		offered.rlim_cur > 0)
		pthread_setschedparam(pthread_self(), SCHED_RR, &lowest);
}

/* Nobody will ask them any more. */
static void poller_end_errands(struct poller *poller)
{
	errand_close(&poller->errands);
	for (size_t i = 0; i < poller->n_wires; i++)
		wire_fail_errands(&poller->wires[i], -ECANCELED);
}

static void poller_run(void *argument)
{
	struct poller *poller = argument;
	poller_hurry(poller);
	while (poller->n_here > 0 && !atomic_load_explicit(&poller->stopping, memory_order_relaxed)) {
		int64_t now_us = clock_now(poller->clock);
		poller_wait(poller, now_us, poller_step(poller, now_us));
	}
	poller_end_errands(poller);
	if (poller->n_here == 0)
		poller_alive_by(poller, CLOCK_NEVER);
}

int poller_start(struct poller *poller)
{
	poller->started_at = clock_now(poller->clock);
	return thread_start(&poller->thread, "wire", poller_run, poller);
}

void poller_stop(struct poller *poller)
{
	atomic_store_explicit(&poller->stopping, 1, memory_order_relaxed);
	wake_up(poller->wake_fd);
}

void poller_release(struct poller *poller, size_t nth_wire)
{
	int stays = WIRE_STAYS;
	atomic_compare_exchange_strong(&poller->wires[nth_wire].stay, &stays, WIRE_LEAVES);
	atomic_store_explicit(&poller->releasing, 1, memory_order_release);
	wake_up(poller->wake_fd);
}

int poller_errand(struct poller *poller, const struct errand *errand)
{
	if (errand->bus >= poller->plan->n_buses || poller_find(poller, errand->bus) == poller->n_wires)
		return -ENODEV;
	const struct plan_bus *told = &poller->plan->buses[errand->bus];
	if (told->way != BF_WAY_REGISTERS && errand->kind != ERRAND_POLL)
		return -EOPNOTSUPP;
	if (errand->metric != ERRAND_NO_METRIC && errand->metric >= poller->plan->n_metrics)
		return -EINVAL;
	if (errand->kind != ERRAND_POLL && told->wire != WIRE_TCP && (errand->unit < 1 || errand->unit > UNIT_MAX))
		return -EINVAL; /* 0 would be a broadcast, which nothing answers */
	return errand_put(&poller->errands, errand);
}

int poller_join(struct poller *poller, int64_t timeout_us)
{
	return thread_join(&poller->thread, timeout_us);
}

void poller_destroy(struct poller *poller)
{
	if (!poller)
		return;
	poller_end_errands(poller); /* it may never have run */
	for (size_t i = 0; i < poller->n_wires; i++)
		wire_destroy(&poller->wires[i]);
	if (poller->wake_fd >= 0)
		close(poller->wake_fd);
	arena_free(&poller->arena);
	free(poller);
}

bool poller_finished(const struct poller *poller)
{
	return atomic_load_explicit(&poller->finished, memory_order_relaxed);
}

void poller_alive_by(struct poller *poller, int64_t until_us)
{
	atomic_store_explicit(&poller->alive_until, until_us, memory_order_relaxed);
}

int64_t poller_started_at(const struct poller *poller)
{
	return poller->started_at;
}

int64_t poller_alive_until(const struct poller *poller)
{
	return atomic_load_explicit(&poller->alive_until, memory_order_relaxed);
}

const struct wire *poller_wires(const struct poller *poller, size_t *ret_n)
{
	*ret_n = poller->n_wires;
	return poller->wires;
}

const struct wire *poller_next_wire(struct poller *const *pollers, size_t n_pollers, struct wire_walk *walk)
{
	for (; walk->poller < n_pollers; walk->poller++, walk->wire = 0) {
		const struct poller *poller = pollers[walk->poller];
		while (walk->wire < poller->n_wires) {
			const struct wire *wire = &poller->wires[walk->wire++];
			if (wire_stays(wire))
				return wire;
		}
	}
	return NULL;
}
