/*
 * Any bytes to each mode of the text driver.
 *
 * The first byte chooses the device, the second the pieces in which the rest comes.  The bench asserts what the driver
 * promises: what it tells of lies within the input or the body, values are of the kind that was said, nothing is
 * written on failure, the search ends.  Here: pieces make no difference to what is told of a line that is never quiet.
 */
#include "../unit/text_samples.h"
#include "fuzz.h"

#include <string.h>

static struct text_bench whole, pieces;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const struct text_sample *sample = &text_samples[data[0] % text_n_samples];
	size_t piece = 1 + data[1] % 32;
	sample->device(&whole);
	FUZZ_ASSERT(text_bench_check(&whole) == 0);
	sample->device(&pieces);
	FUZZ_ASSERT(text_bench_check(&pieces) == 0);
	data += 2;
	size -= 2;
	text_bench_feed(&whole, data, size);
	for (size_t at = 0; at < size; at += piece)
		text_bench_feed(&pieces, data + at, size - at < piece ? size - at : piece);
	FUZZ_ASSERT(strcmp(whole.told, pieces.told) == 0);
	text_bench_quiet(&whole);
	text_bench_feed(&whole, sample->bytes, strlen(sample->bytes));
	return 0;
}
