/*
 * Scale and offset backwards, then bf_encode.  See encode.h.
 *
 * Integers that are not scaled stay integers all the way, so a 64 bit register is written to its last digit.
 */
#include "field/encode.h"

#include <errno.h>
#include <math.h>
#include <string.h>

int encode_metric(const struct plan_metric *metric, const struct bf_value *value, uint8_t *bytes, size_t size)
{
	uint8_t own[8];
	struct bf_value raw = *value;
	if (value->kind == BF_NONE || value->kind == BF_TEXT || metric->n_bits || metric->scale_from)
		return -EINVAL;
	if (metric->place.space == BF_SPACE_COIL) {
		double number = bf_value_number(value);
		if (size < 1)
			return -EINVAL;
		if (number != 0 && number != 1)
			return -ERANGE;
		bytes[0] = number != 0;
		return 1;
	}
	if (metric->scaled && metric->n_words == 0 && metric->shape.type != BF_TYPE_BOOL) {
		double number = (bf_value_number(value) - metric->offset) / metric->scale;
		if (!isfinite(number))
			return -ERANGE;
		raw = (struct bf_value){.kind = BF_FLOAT64, .f64 = number};
	}
	if (raw.kind >= BF_FLOAT16 && !isfinite(bf_value_number(&raw)))
		return -ERANGE;
	int n = bf_encode(&metric->shape, &raw, own, sizeof(own));
	if (n < 0)
		return n;
	if ((size_t)n > size)
		return -EINVAL;
	for (size_t i = 0; i < metric->n_invalid; i++)
		if (metric->invalid[i] == bf_decode_raw(&metric->shape, own, (size_t)n))
			return -EDOM;
	memcpy(bytes, own, (size_t)n);
	return n;
}
