/*
 * Whose turn it is on a bus.  A device's turn is one round of reads for what is due together; turns of several devices
 * go on side by side, read by read, so that no unit is asked twice in a row while another waits.  One owner thread.
 */
#ifndef FIELD_TURNS_H
#define FIELD_TURNS_H

#include "field/device.h"
#include "field/schedule.h"

struct turns {
	struct device *devices;
	uint32_t n_devices;
	struct schedule_entry *entries; /* one a rate of a device */
	size_t n_entries;
	size_t *first; /* entry of each device */
	bool *served;  /* each entry, ever */
	size_t n_unserved;
	uint32_t last; /* asked before */
	bool once;     /* each rate once, then never again */
};

/* The devices outlive the turns.  Memory from the arena. */
void turns_init(struct turns *turns, struct device *devices, uint32_t n_devices, bool once, struct arena *arena);

/* Sets all first due times; `first` of `n_all` devices of the same thread come before these.  tick_us as in
 * schedule_first. */
void turns_start(struct turns *turns, size_t first, size_t n_all, int64_t tick_us, int64_t now_us);

/* The device to ask now, with a turn under way; -1 when nobody is due. */
int turns_next(struct turns *turns, int64_t now_us);

/* When turns_next will have one. */
int64_t turns_wake(const struct turns *turns);

/* By when another device wants to be asked. */
int64_t turns_others_at(const struct turns *turns, uint32_t device, int64_t now_us);

/* A read of the device's turn is asked now.  How late it is, in µs, if that is the first read of something that has
 * due times; else -1. */
int64_t turns_asked(struct turns *turns, uint32_t device, int64_t now_us);

/* The turn is over.  heard: the device answered, in whatever way.  Returns how many polls were merged. */
uint64_t turns_over(struct turns *turns, uint32_t device, bool heard, int64_t now_us);

/* The device is silent: its turn is given up and it is asked no sooner.  One that was found offline is asked then, due
 * or not. */
void turns_leave_alone(struct turns *turns, uint32_t device, int64_t until_us);

/* The device asks for a pause: its turn goes on then. */
void turns_pause(struct turns *turns, uint32_t device, int64_t until_us);

/* The device came back: what it is asked once after that is due. */
void turns_appeared(struct turns *turns, uint32_t device, int64_t now_us);

/* Somebody wants to know: all that the device is asked for is due, beside its own instants. */
void turns_poll(struct turns *turns, uint32_t device, int64_t now_us);

/* The port was opened: nobody is left alone any more, and what is asked once after that is due. */
void turns_opened(struct turns *turns, int64_t now_us);

/* A port that was gone is back.  Its devices are offline until they are heard, so nobody waits until he is due. */
void turns_returned(struct turns *turns, int64_t now_us);

/* The port is gone: all turns are given up. */
void turns_lost(struct turns *turns);

#endif
