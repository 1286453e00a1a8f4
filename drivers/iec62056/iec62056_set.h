/*
 * The data sets of an IEC 62056-21 readout, "1-0:1.8.0*255(0042951.721*kWh)", and OBIS codes as meters write them.
 * Pure; any thread.
 */
#ifndef IEC62056_SET_H
#define IEC62056_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A-B:C.D.E*F; A and B are -1 where nothing is said of them. */
struct iec62056_obis {
	int part[6];
};

/*
 * "1-0:1.8.0*255", "1.8.0", "0.0", "C.1.0", "6.26*01": what is not said of E is 0, of F 255; the letters C, F, L and P
 * are 96 to 99.  0; -EINVAL.
 */
int iec62056_obis_parse(const char *text, size_t n, struct iec62056_obis *ret_obis);

/* What stands in one pair of brackets; within the text that is walked. */
struct iec62056_set {
	const char *address; /* that of the brackets before where there is none */
	size_t n_address;
	unsigned bracket; /* from 1 behind its address */
	const char *value;
	size_t n_value;
};

/*
 * The next one, *at from 0 on; the set that was told before is changed into it.  1; 0 at the end.
 */
int iec62056_set_next(const char *text, size_t n, size_t *at, struct iec62056_set *set);

/* Does an address of the meter mean that code?  What one of them does not say of A and B, it leaves open. */
bool iec62056_set_is(const struct iec62056_set *set, const struct iec62056_obis *obis);

#endif
