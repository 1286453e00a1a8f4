/*
 * A station under test in virtual time: a plan of two buses, and a socket to one of them.
 */
#ifndef STATION_BENCH_H
#define STATION_BENCH_H

#include "sim/station_set.h"

#define MS INT64_C(1000)

/* Devices 1 and 2 on a serial bus, 1 on a Modbus TCP one; volts at input registers 0, 100, 200. */
extern struct plan_metric metrics[3];
extern struct plan_bus buses[2];
extern const struct plan plan;

struct bench {
	struct station_set *set;
	int fd; /* the master's end */
	int64_t now;
};

int bench_group_setup(void **state);

struct bench bench_open(const struct plan_bus *bus, const struct station_options *options);
void bench_close(struct bench *bench);

/* Sends and steps once; returns the next step's instant. */
int64_t bench_put(struct bench *bench, const uint8_t *bytes, size_t n);

/* What lies there to be read; 0 when there is nothing. */
size_t bench_get(struct bench *bench, uint8_t *bytes, size_t size);

/* Steps until a real fd, which the kernel may serve later, has something. */
void bench_wait(struct station_set *set, int fd);

#endif
