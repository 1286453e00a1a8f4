/* Devices and messages of each mode of the text driver, for its tests. */
#ifndef TEXT_SAMPLES_H
#define TEXT_SAMPLES_H

#include "text_bench.h"

struct text_sample {
	const char *name;
	void (*device)(struct text_bench *bench);
	const char *bytes;
	const char *told;
	bool checked;    /* by a sum: a damaged byte gives nothing wrong */
	unsigned strays; /* of a million damaged messages that may pass for sound, by the width of the check */
};

extern const struct text_sample text_samples[];
extern const size_t text_n_samples;

#endif
