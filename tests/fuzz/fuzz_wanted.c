/*
 * Any bytes as the payload of …/set: what is taken is a value that the metric's `write` allows, and what is refused
 * says why, in ASCII, and leaves the value alone.
 *
 * The first byte chooses the metric.
 */
#include "field/encode.h"
#include "fuzz.h"
#include "ship/wanted.h"

#include <math.h>
#include <string.h>

static const struct plan_write any = {.min = NAN, .max = NAN, .step = NAN},
			       limits = {.min = -40, .max = 85.5, .step = 0.5, .from = -40},
			       whole = {.min = NAN, .max = NAN, .step = 1};
static const struct plan_word words[] = {{0, "off"}, {16, "eco mode"}, {20, "größer"}};
static const struct plan_metric metrics[] = {
	{.shape = {.type = BF_TYPE_F64}, .place = {BF_SPACE_HOLDING, 0, 4}, .scale = 1, .write = &any},
	{.shape = {.type = BF_TYPE_S16},
		.place = {BF_SPACE_HOLDING, 0, 1},
		.scale = 0.5,
		.scaled = true,
		.write = &limits},
	{.shape = {.type = BF_TYPE_U64}, .place = {BF_SPACE_HOLDING, 0, 4}, .scale = 1, .write = &whole},
	{.shape = {.type = BF_TYPE_U16},
		.place = {BF_SPACE_HOLDING, 0, 1},
		.scale = 1,
		.words = words,
		.n_words = 3,
		.write = &any},
	{.shape = {.type = BF_TYPE_BOOL}, .place = {BF_SPACE_COIL, 0, 1}, .scale = 1, .write = &any},
};

static void taken(const struct plan_metric *metric, const struct bf_value *value)
{
	uint8_t bytes[8];
	int n = encode_metric(metric, value, bytes, sizeof(bytes));
	double number = bf_value_number(value);
	FUZZ_ASSERT(value->kind != BF_NONE && value->kind != BF_TEXT);
	FUZZ_ASSERT(isfinite(number));
	if (metric->write == &limits)
		FUZZ_ASSERT(n == 2 && number >= -40 && number <= 85.5);
	if (metric->n_words)
		FUZZ_ASSERT(n == 2 && (value->i == 0 || value->i == 16 || value->i == 20));
	if (metric->shape.type == BF_TYPE_BOOL)
		FUZZ_ASSERT(n == 1 && bytes[0] <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	const struct plan_metric *metric = &metrics[data[0] % (sizeof(metrics) / sizeof(metrics[0]))];
	struct bf_value value = {.kind = BF_NONE};
	char why[WANTED_WHY_SIZE] = "";
	if (wanted_parse(metric, data + 1, size - 1, &value, why) == 0) {
		taken(metric, &value);
		return 0;
	}
	FUZZ_ASSERT(value.kind == BF_NONE && why[0] != '\0' && strlen(why) < sizeof(why));
	for (const char *c = why; *c; c++)
		FUZZ_ASSERT(*c >= ' ' && *c <= '~');
	return 0;
}
