/*
 * `write` of a metric, and `control`, its second key.  See compile.h.
 *
 * What may be written is bounded by what can be read back: the value that comes back must be able to be the one that
 * was sent.  So a step is one that the scale can resolve, limits are values that the registers can hold, and what is
 * made of several registers' meanings, or shares its register with something else, is not written at all.
 *
 * A profile may carry `write`, as what its device can take.  It makes nothing writable: that the map says for each
 * metric itself, with the metric or in `publish`.
 */
#include "app/compile.h"
#include "ship/wanted.h"

#include <math.h>
#include <string.h>

void compile_control(struct compile *compile, const struct tree *control)
{
	struct map_control map;
	struct schema_part part = {schema_control, &map};
	schema_read("control", control, &part, 1, &compile->scratch, compile->faults);
	compile->plan->control = map.allow == 1;
}

/* Why it can't be written; NULL = it can. */
static const char *why_not(const struct compile_device *device, const struct map_metric *map,
	const struct plan_metric *metric, const char **ret_hint)
{
	enum bf_type type = metric->shape.type;
	*ret_hint = NULL;
	if (device->stream)
		return "goes with registers only: a device that sends messages is not written to";
	if (metric->place.space == BF_SPACE_INPUT || metric->place.space == BF_SPACE_DISCRETE) {
		*ret_hint = "only holding registers and coils can be written";
		return metric->place.space == BF_SPACE_INPUT ? "has no meaning for input registers"
							     : "has no meaning for discrete inputs";
	}
	if (map->bits) {
		*ret_hint = "name the whole register as a metric of its own";
		return "has no meaning for bits: the others of the register would be written too";
	}
	if (type == BF_TYPE_STRING)
		return "has no meaning for a text";
	if (type == BF_TYPE_U8 || type == BF_TYPE_S8 || type == BF_TYPE_U24)
		return "needs a type that fills its registers: the rest would be written too";
	if (metric->scale_from)
		return "has no meaning beside \"scale_from\": the device may change the power of ten meanwhile";
	if (metric->n_models)
		return "has no meaning beside \"model\": where it lies only the device tells";
	if (metric->monotonic)
		return "has no meaning for a counter (\"monotonic\")";
	return NULL;
}

static bool is_float(enum bf_type type)
{
	return type == BF_TYPE_F16 || type == BF_TYPE_F32 || type == BF_TYPE_F64;
}

static void limit(
	struct compile *compile, const struct tree *at, const char *key, double value, const struct plan_metric *metric)
{
	double least, greatest;
	plan_type_range(metric->shape.type, &least, &greatest);
	double raw = (value - metric->offset) / metric->scale;
	if (!(raw >= least - 0.5 && raw <= greatest + 0.5))
		compile_fault(compile, at, key, NULL,
			"\"%s\" is %.10g, but the type \"%s\" with its scale holds %.10g to %.10g only", key, value,
			bf_type_name(metric->shape.type),
			fmin(least * metric->scale, greatest * metric->scale) + metric->offset,
			fmax(least * metric->scale, greatest * metric->scale) + metric->offset);
	else if (!is_float(metric->shape.type) && !wanted_is_whole(raw))
		compile_fault(compile, at, key, NULL,
			"\"%s\" is %.10g, which the registers can't hold: with this scale they count in steps of %.10g",
			key, value, fabs(metric->scale));
}

static void step(
	struct compile *compile, const struct tree *at, const struct plan_metric *metric, struct plan_write *write)
{
	double scale = fabs(metric->scale);
	if (!isnan(write->step) && write->step <= 0) {
		compile_fault(compile, at, "step", NULL, "\"step\" is not more than 0");
	} else if (!isnan(write->step) && !is_float(metric->shape.type) && !wanted_is_whole(write->step / scale)) {
		compile_fault(compile, at, "step", arena_format(&compile->scratch, "write a multiple of %.10g", scale),
			"\"step\" is %.10g, but with this scale the registers count in steps of %.10g", write->step,
			scale);
	}
	if (isnan(write->step) && !is_float(metric->shape.type)) {
		write->step = scale;
		write->from = metric->offset;
	} else {
		write->from = isnan(write->min) ? 0 : write->min;
	}
}

static void numbers(
	struct compile *compile, const struct tree *at, const struct plan_metric *metric, struct plan_write *write)
{
	if (write->min > write->max)
		compile_fault(compile, at, "min", NULL, "\"min\" is more than \"max\"");
	if (!isnan(write->min))
		limit(compile, at, "min", write->min, metric);
	if (!isnan(write->max))
		limit(compile, at, "max", write->max, metric);
	step(compile, at, metric, write);
}

static void function(struct compile *compile, const struct tree *at, int given, const struct plan_metric *metric,
	struct plan_write *write)
{
	bool coil = metric->place.space == BF_SPACE_COIL;
	int one = coil ? 5 : 6, several = coil ? 15 : 16;
	if (given == BF_UNSET)
		return;
	write->many = given == several;
	if (given != one && given != several)
		compile_fault(compile, at, "function", NULL, "%s are written by function %d or %d, not %d",
			coil ? "coils" : "holding registers", one, several, given);
	else if (given == one && metric->place.count > 1)
		compile_fault(compile, at, "function", "write 16, or leave it out",
			"a value of %u registers is written by function 16: in parts it would be another one meanwhile",
			metric->place.count);
}

void compile_write(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const struct map_metric *map, struct plan_metric *metric)
{
	struct map_write keys;
	struct schema_part part = {schema_write, &keys};
	const char *hint, *why = why_not(device, map, metric, &hint);
	bool sound = schema_read("write", map->write, &part, 1, &compile->scratch, compile->faults);
	if (why) {
		compile_fault(compile, at, "write", hint, "\"write\" %s", why);
		return;
	}
	struct plan_write *write = arena_alloc(compile->keep, sizeof(*write));
	*write = (struct plan_write){.min = keys.min, .max = keys.max, .step = keys.step};
	bool numeric = metric->shape.type != BF_TYPE_BOOL && metric->n_words == 0;
	static const char *const of_numbers[] = {"min", "max", "step"};
	for (size_t i = 0; i < 3 && !numeric; i++)
		if (tree_get(map->write, of_numbers[i]))
			compile_fault(compile, map->write, of_numbers[i], NULL, "\"%s\" has no meaning for %s",
				of_numbers[i],
				metric->n_words ? "an enum: its words are what can be written" : "true and false");
	if (numeric && sound && metric->scale != 0)
		numbers(compile, map->write, metric, write);
	function(compile, map->write, keys.function, metric, write);
	if (!device->write_counts)
		return;
	metric->write = write;
	if (!compile->plan->control)
		compile_warning(compile, at, "write", "write control: { allow: true } at the top of the map",
			"\"write\" has no effect as long as control.allow is not true");
}
