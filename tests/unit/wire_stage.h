/*
 * A bus in virtual time on a wire that takes its time: devices and metrics are added, it is started, time runs.  One
 * stage a test program.
 */
#ifndef TESTS_WIRE_STAGE_H
#define TESTS_WIRE_STAGE_H

#include "field/bus.h"
#include "virtual_clock.h"
#include "wire_line.h"

#define MS      1000
#define S       (1000 * (int64_t)MS)
#define DEVICES 32
#define METRICS 256

/* A question that had no answer. */
struct silence {
	int64_t until, us;
	uint32_t device;
	bool first; /* since the device answered, or at all */
	bool whole; /* with the whole time-out */
};

struct stage {
	struct plan plan;
	struct plan_bus told;
	struct plan_device devices[DEVICES];
	struct plan_metric metrics[METRICS];
	uint32_t list[DEVICES];
	struct wire_line wire;
	struct reading_sink sink;
	unsigned good[METRICS], bad[METRICS];
	struct bus bus;
	struct arena arena;
	int64_t wake, began_at;
	struct silence silences[20000];
	size_t n_silences;
};

extern struct stage stage;

/* An empty bus; devices and metrics are added, then it is started. */
void stage_clear(uint32_t baud);

void add_device(int64_t turnaround_us);

/* To the device added last. */
void add_metric(uint16_t at, uint16_t count, int64_t every_us);

/* The first and the last of n registers, which makes one read of n. */
void add_block(uint16_t n, int64_t every_us);

void start(const struct learnt *learnt);

/* Every good value is checked to be that of its register, and every silence between frames. */
void run(int64_t for_us);

uint64_t all_good(void);

/* How many reads of n registers a perfect master makes in that time, with a turnaround of 2 ms. */
uint64_t perfect(int64_t for_us, uint16_t n_registers);

#endif
