/*
 * How a simulated value moves.
 *
 * A map says little about a sensor, but its unit says much: volts hang around 230, degrees around
 * 21, energy only grows.  So a map tried against the simulation shows numbers in which a wrong
 * scale or word order is seen at a glance, which a counter from 0 would hide.  What has no unit
 * walks slowly through its range.
 *
 * Values are a function of time and never of the questions asked, so that two readers see the same
 * and a restarted simulation goes on where the clock is.
 *
 * Invariant: a raw value lies within what the type carries, and within min … max of the map
 * wherever both can be had at once.  Pure; any thread.
 */
#include "sim/motion.h"

#include <math.h>
#include <string.h>

#define MOTION_STEP_US INT64_C(10000000) /* a bool toggles, an enum goes on */

enum motion_way { MOTION_SWAY, MOTION_GROW };

static const struct {
	const char *unit;
	enum motion_way way;
	double around; /* of what grows: the value at the start of the clock */
	double by;     /* of what grows: in an hour */
} motion_units[] = {
	{"V", MOTION_SWAY, 230, 4},
	{"mV", MOTION_SWAY, 700, 50},
	{"kV", MOTION_SWAY, 20, 0.2},
	{"A", MOTION_SWAY, 6, 4},
	{"mA", MOTION_SWAY, 12, 6},
	{"W", MOTION_SWAY, 1400, 900},
	{"kW", MOTION_SWAY, 1.4, 0.9},
	{"VA", MOTION_SWAY, 1500, 900},
	{"var", MOTION_SWAY, 120, 80},
	{"Hz", MOTION_SWAY, 50, 0.05},
	{"°C", MOTION_SWAY, 21, 3},
	{"C", MOTION_SWAY, 21, 3},
	{"°F", MOTION_SWAY, 70, 5},
	{"K", MOTION_SWAY, 294, 3},
	{"%", MOTION_SWAY, 45, 30},
	{"%RH", MOTION_SWAY, 45, 20},
	{"bar", MOTION_SWAY, 1.6, 0.3},
	{"hPa", MOTION_SWAY, 1013, 12},
	{"mbar", MOTION_SWAY, 1013, 12},
	{"kPa", MOTION_SWAY, 101.3, 1.2},
	{"Pa", MOTION_SWAY, 101300, 1200},
	{"ppm", MOTION_SWAY, 650, 200},
	{"ppb", MOTION_SWAY, 120, 60},
	{"lx", MOTION_SWAY, 400, 300},
	{"µg/m³", MOTION_SWAY, 12, 6},
	{"m/s", MOTION_SWAY, 3, 2},
	{"l/min", MOTION_SWAY, 12, 4},
	{"L/min", MOTION_SWAY, 12, 4},
	{"l/h", MOTION_SWAY, 720, 240},
	{"m³/h", MOTION_SWAY, 1.2, 0.4},
	{"rpm", MOTION_SWAY, 1450, 20},
	{"1/min", MOTION_SWAY, 1450, 20},
	{"W/m²", MOTION_SWAY, 500, 300},
	{"dB", MOTION_SWAY, 45, 10},
	{"dBm", MOTION_SWAY, -67, 6},
	{"Wh", MOTION_GROW, 2000, 1400},
	{"kWh", MOTION_GROW, 2000, 1.4},
	{"MWh", MOTION_GROW, 2, 0.0014},
	{"varh", MOTION_GROW, 200, 120},
	{"kvarh", MOTION_GROW, 200, 0.12},
	{"VAh", MOTION_GROW, 2000, 1500},
	{"l", MOTION_GROW, 4000, 30},
	{"L", MOTION_GROW, 4000, 30},
	{"m³", MOTION_GROW, 400, 0.03},
	{"s", MOTION_GROW, 0, 3600},
	{"min", MOTION_GROW, 0, 60},
	{"h", MOTION_GROW, 0, 1},
	{"d", MOTION_GROW, 0, 1.0 / 24},
};

/* What the type can carry, in raw numbers.  Of the widest types only as much as a double counts
 * exactly. */
static void motion_type_range(const struct plan_metric *metric, double *ret_low, double *ret_high)
{
	static const struct {
		double low, high;
	} types[BF_N_TYPES] = {
		[BF_TYPE_U16] = {0, 65535},
		[BF_TYPE_U8] = {0, 255},
		[BF_TYPE_S8] = {-128, 127},
		[BF_TYPE_S16] = {-32768, 32767},
		[BF_TYPE_U24] = {0, 16777215},
		[BF_TYPE_U32] = {0, 4294967295.0},
		[BF_TYPE_S32] = {-2147483648.0, 2147483647},
		[BF_TYPE_U64] = {0, 9007199254740992.0},
		[BF_TYPE_S64] = {-9007199254740992.0, 9007199254740992.0},
		[BF_TYPE_F16] = {-65504, 65504},
		[BF_TYPE_F32] = {-1e9, 1e9},
		[BF_TYPE_F64] = {-1e15, 1e15},
		[BF_TYPE_BCD16] = {0, 9999},
		[BF_TYPE_BCD32] = {0, 99999999},
		[BF_TYPE_BOOL] = {0, 1},
	};
	*ret_low = types[metric->shape.type].low;
	*ret_high = types[metric->shape.type].high;
	if (metric->n_bits) {
		*ret_low = 0;
		*ret_high = metric->n_bits >= 53 ? 9007199254740991.0 : (double)((UINT64_C(1) << metric->n_bits) - 1);
	}
}

struct motion_range {
	double low, high;     /* in units of the metric */
	double scale, offset; /* with the power of ten */
};

static struct motion_range motion_range(const struct plan_metric *metric, int exponent)
{
	struct motion_range range = {.scale = 1};
	if (metric->scaled) {
		range.scale = metric->scale;
		range.offset = metric->offset;
	}
	if (metric->scale_from)
		range.scale *= pow(10, exponent);
	double low, high;
	motion_type_range(metric, &low, &high);
	low = low * range.scale + range.offset;
	high = high * range.scale + range.offset;
	range.low = fmin(low, high);
	range.high = fmax(low, high);
	/* a bound of the map narrows the range unless nothing would be left of it */
	if (!isnan(metric->min) && metric->min > range.low && metric->min < range.high)
		range.low = metric->min;
	if (!isnan(metric->max) && metric->max < range.high && metric->max > range.low)
		range.high = metric->max;
	return range;
}

/* Back and forth between -1 and 1, each seed with a period and phase of its own. */
static double motion_sway(uint32_t seed, int64_t now_us)
{
	int64_t period = INT64_C(1000000) * (90 + seed * 7 % 60);
	int64_t phase = now_us % period + period / 97 * (seed % 97);
	return sin(2 * M_PI * (double)phase / (double)period);
}

static bool motion_word(const struct plan_metric *metric, uint32_t seed, int64_t now_us, double *ret_number)
{
	if (!metric->n_words)
		return false;
	uint64_t step = (uint64_t)(now_us / MOTION_STEP_US) + seed;
	*ret_number = (double)metric->words[step % metric->n_words].number;
	return true;
}

static double motion_of_unit(
	const struct plan_metric *metric, const struct motion_range *range, uint32_t seed, int64_t now_us)
{
	double width = range->high - range->low;
	for (size_t i = 0; metric->unit && i < sizeof(motion_units) / sizeof(motion_units[0]); i++) {
		if (strcmp(motion_units[i].unit, metric->unit) != 0)
			continue;
		if (motion_units[i].way == MOTION_GROW) {
			double hours = (double)now_us / 3.6e9;
			double grown = motion_units[i].around + seed + motion_units[i].by * hours;
			/* a full counter begins anew, as real ones do */
			return grown <= range->high ? fmax(grown, range->low)
						    : range->low + fmod(grown - range->low, width);
		}
		double around = motion_units[i].around, by = motion_units[i].by;
		if (around < range->low || around > range->high)
			break; /* this map means something else by the unit */
		if (metric->max_step > 0)
			by = fmin(by, metric->max_step / 4);
		return around + by * motion_sway(seed, now_us);
	}
	/* a slow walk: over the whole range where it is small, else over a piece that can be read
	 */
	double low = range->low > -1000 ? range->low : fmin(0, range->high - 1000);
	double swing = fmin(range->high - low, 1000) / 2;
	double centre = low + swing;
	if (metric->monotonic)
		return low + fmod((double)now_us / 1e6, fmax(range->high - low, 1));
	if (metric->max_step > 0)
		swing = fmin(swing, metric->max_step / 4);
	return centre + swing * 0.9 * motion_sway(seed, now_us);
}

static double motion_number(
	const struct plan_metric *metric, const struct motion_range *range, uint32_t seed, int64_t now_us)
{
	double number;
	if (!motion_word(metric, seed, now_us, &number))
		number = motion_of_unit(metric, range, seed, now_us);
	return fmin(fmax(number, range->low), range->high);
}

static bool motion_is_float(enum bf_type type)
{
	return type == BF_TYPE_F16 || type == BF_TYPE_F32 || type == BF_TYPE_F64;
}

struct bf_value motion_raw(const struct plan_metric *metric, uint32_t seed, int exponent, int64_t now_us)
{
	static const char text[] = "simulated";
	if (metric->shape.type == BF_TYPE_STRING) {
		size_t n = sizeof(text) - 1;
		if (n > metric->shape.length)
			n = metric->shape.length;
		return (struct bf_value){.kind = BF_TEXT, .text = {text, n}};
	}
	bool one_bit = metric->shape.type == BF_TYPE_BOOL || metric->n_bits == 1;
	if (one_bit && !metric->n_words) {
		bool yes = ((uint64_t)(now_us / MOTION_STEP_US) + seed) & 1;
		if (metric->n_bits)
			return (struct bf_value){.kind = BF_UNSIGNED, .u = yes};
		return (struct bf_value){.kind = BF_BOOLEAN, .yes = yes};
	}
	struct motion_range range = motion_range(metric, exponent);
	double number = motion_number(metric, &range, seed, now_us);
	double raw = (number - range.offset) / range.scale;
	double from_low = (range.low - range.offset) / range.scale;
	double from_high = (range.high - range.offset) / range.scale;
	double low = fmin(from_low, from_high), high = fmax(from_low, from_high);
	if (motion_is_float(metric->shape.type) && !metric->n_bits) {
		raw = nearbyint(raw * 1000) / 1000;
	} else {
		raw = nearbyint(raw);
		low = ceil(low - 1e-9);
		high = floor(high + 1e-9);
	}
	raw = fmax(fmin(raw, high), low);
	if (metric->n_bits)
		return (struct bf_value){.kind = BF_UNSIGNED, .u = (uint64_t)raw};
	if (metric->shape.type == BF_TYPE_BOOL)
		return (struct bf_value){.kind = BF_BOOLEAN, .yes = raw >= 0.5};
	return (struct bf_value){.kind = BF_FLOAT64, .f64 = raw};
}
