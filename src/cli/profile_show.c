/*
 * What `profiles show` prints: see profile_show.h.
 *
 * The keys of a driver are shown as they stand in the profile, whatever the driver is: only it knows what they mean.
 */
#include "cli/profile_show.h"
#include "base/utf8.h"
#include "cli/setting_text.h"
#include "field/registry.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Is it a key of the driver, or a group of some? */
static bool is_key_of(const struct bf_key *keys, const char *name)
{
	size_t n = strlen(name);
	for (; keys && keys->name; keys++)
		if (strncmp(keys->name, name, n) == 0 && (keys->name[n] == '\0' || keys->name[n] == '.'))
			return true;
	return false;
}

/* NAME_3 of a metric that is repeated. */
static bool is_nth_of(const struct tree *metric, const char *name)
{
	size_t n = strlen(metric->name);
	return tree_get(metric, "repeat") && strncmp(name, metric->name, n) == 0 && name[n] == '_' &&
	       isdigit((unsigned char)name[n + 1]);
}

/* The settings of a metric of the plan: its own, or those of which it is a bit or one of several.  NULL = none. */
static const struct tree *settings_of(const struct profile *profile, const char *name)
{
	const struct tree *found = tree_get(profile->metrics, name);
	for (const struct tree *metric = profile->metrics->first; metric && !found; metric = metric->next) {
		const struct tree *bits = metric->type == TREE_GROUP ? tree_get(metric, "bits") : NULL;
		if (metric->type == TREE_GROUP &&
			(is_nth_of(metric, name) || (bits && bits->type == TREE_GROUP && tree_get(bits, name))))
			found = metric;
	}
	return found && found->type == TREE_GROUP ? found : NULL;
}

/* The message that has the metric, of a device that sends messages; else NULL. */
static const char *message_of(const struct plan *plan, const struct plan_metric *metric)
{
	const struct plan_stream *stream = plan->devices[metric->device].stream;
	return stream ? stream->messages[metric->message].name : NULL;
}

static void bits_text(const struct plan_metric *metric, char text[static 24])
{
	text[0] = '\0';
	if (metric->n_bits == 1)
		snprintf(text, 24, " bit %u", metric->bit);
	else if (metric->n_bits)
		snprintf(text, 24, " bits %u-%u", metric->bit, metric->bit + metric->n_bits - 1u);
}

static void json_metric(struct json *json, const struct profile_loaded *loaded, const struct plan_metric *metric)
{
	const char *message = message_of(&loaded->plan, metric);
	const struct tree *settings = message ? settings_of(&loaded->profile, metric->name) : NULL;
	json_object(json, NULL);
	json_text(json, "name", metric->name);
	if (message) {
		json_text(json, "message", message);
		json_object(json, "keys");
		const struct bf_key *keys = loaded->plan.devices[metric->device].driver->metric_keys;
		for (const struct tree *at = settings ? settings->first : NULL; at; at = at->next)
			if (is_key_of(keys, at->name))
				setting_json(json, at);
		json_object_end(json);
	} else {
		json_text(json, "table", plan_space_word(metric->place.space));
		json_int(json, "start", metric->place.at);
		json_int(json, "count", metric->place.count);
	}
	json_text(json, "type", bf_type_name(metric->shape.type));
	if (metric->n_bits) {
		json_int(json, "bit", metric->bit);
		json_int(json, "bits", metric->n_bits);
	}
	if (metric->unit)
		json_text(json, "unit", metric->unit);
	json_object_end(json);
}

static void json_expected(struct json *json, const struct tree *item)
{
	char number[BF_NUMBER_SIZE] = "null";
	struct bf_value value = {.kind = BF_FLOAT64, .f64 = tree_number(item)};
	switch (item->type) {
	case TREE_BOOL:
		json_bool(json, item->name, item->yes);
		break;
	case TREE_INT:
		json_int(json, item->name, item->i);
		break;
	case TREE_NUMBER:
		bf_value_print(&value, -1, number);
		json_raw(json, item->name, number, strlen(number));
		break;
	case TREE_TEXT:
		json_text(json, item->name, item->text);
		break;
	default:
		json_object(json, item->name);
		json_text(json, "quality", vector_quality(item) ? vector_quality(item) : "");
		json_object_end(json);
		break;
	}
}

/* "7e00fc", as a text of the object or an item of the list. */
static void json_bytes(struct json *json, const char *name, const struct bf_bytes *bytes)
{
	char *text = calloc(2, bytes->n + 1);
	for (size_t i = 0; text && i < bytes->n; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes->at[i]);
	json_text(json, name, text ? text : "");
	free(text);
}

/* Some metric lies in that kind of message, so that it is asked for when it has a request. */
static bool is_wanted(const struct plan *plan, size_t kind)
{
	for (size_t i = 0; i < plan->n_metrics; i++)
		if (plan->metrics[i].message == kind)
			return true;
	return false;
}

static void json_messages(struct json *json, const struct plan *plan)
{
	const struct plan_stream *stream = plan->n_devices ? plan->devices[0].stream : NULL;
	if (!stream)
		return;
	json_array(json, "messages");
	for (size_t i = 0; i < stream->n_messages; i++) {
		json_object(json, NULL);
		json_text(json, "name", stream->messages[i].name);
		if (stream->messages[i].request.n)
			json_bytes(json, "request", &stream->messages[i].request);
		json_bool(json, "asked",
			is_wanted(plan, i) && (stream->messages[i].request.n || plan->devices[0].driver->ask));
		json_object_end(json);
	}
	json_array_end(json);
}

static void json_vector(struct json *json, const struct vector *vector)
{
	json_object(json, NULL);
	json_text(json, "name", vector->name);
	json_text(json, "origin", vector->origin);
	if (vector->n_input) {
		json_array(json, "input");
		for (size_t i = 0; i < vector->n_input; i++)
			json_bytes(json, NULL, &vector->input[i]);
		json_array_end(json);
	}
	json_array(json, "registers");
	for (size_t i = 0; i < vector->n_cells; i++) {
		const struct vector_cells *run = &vector->cells[i];
		json_object(json, NULL);
		json_text(json, "table", plan_space_word(run->place.space));
		json_int(json, "start", run->place.at);
		json_array(json, "values");
		for (size_t j = 0; j < run->place.count; j++)
			json_int(json, NULL, run->values[j]);
		json_array_end(json);
		json_object_end(json);
	}
	json_array_end(json);
	json_object(json, "expect");
	for (const struct tree *item = vector->expect->first; item; item = item->next)
		json_expected(json, item);
	json_object_end(json);
	json_object_end(json);
}

void profile_show_head(struct json *json, const struct profile *profile)
{
	json_text(json, "id", profile->id);
	json_text(json, "maker", profile->maker);
	json_text(json, "device", profile->device);
	json_text(json, "file", profile->file);
}

void profile_show_json(struct json *json, const struct profile_loaded *loaded)
{
	const struct profile *profile = &loaded->profile;
	profile_show_head(json, profile);
	json_text(json, "document", profile->document);
	json_text(json, "revision", profile->revision);
	if (profile->note)
		json_text(json, "note", profile->note);
	if (profile->line)
		json_text(json, "line", profile->line);
	json_text(json, "transport", profile->transport);
	json_messages(json, &loaded->plan);
	json_array(json, "metrics");
	for (size_t i = 0; i < loaded->plan.n_metrics; i++)
		json_metric(json, loaded, &loaded->plan.metrics[i]);
	json_array_end(json);
	json_array(json, "vectors");
	for (size_t i = 0; i < loaded->n_vectors; i++)
		json_vector(json, &loaded->vectors[i]);
	json_array_end(json);
}

/* Those of the settings that are the driver's, "at: 2  type: \"u16be\"". */
static void print_keys(const struct tree *settings, const struct bf_key *keys)
{
	const char *before = "";
	for (const struct tree *at = settings ? settings->first : NULL; at; at = at->next)
		if (is_key_of(keys, at->name)) {
			fputs(before, stdout);
			setting_print(stdout, at);
			before = "  ";
		}
}

static void print_bytes(const struct bf_bytes *bytes)
{
	for (size_t i = 0; i < bytes->n; i++)
		printf(" %02X", bytes->at[i]);
}

/* How its messages come, and what the driver is told. */
static void print_stream(const struct profile *profile, const struct plan *plan)
{
	const struct plan_device *device = plan->devices;
	printf("  driver    %s  ", profile->transport);
	print_keys(profile->defaults, device->driver->device_keys);
	putchar('\n');
	for (size_t i = 0; i < device->stream->n_messages; i++) {
		const struct bf_message_told *told = &device->stream->messages[i];
		if (!told->name[0] && !told->request.n)
			continue;
		printf("  message   %s, ", told->name);
		if (!is_wanted(plan, i))
			puts("not looked at");
		else if (told->request.n) {
			fputs("asked with", stdout);
			print_bytes(&told->request);
			putchar('\n');
		} else
			puts(device->driver->ask ? "asked by the driver" : "comes by itself");
	}
}

static void print_registers(const struct plan *plan)
{
	printf("\n  %-26s %-22s %-8s %s\n", "metric", "place", "type", "unit");
	for (size_t i = 0; i < plan->n_metrics; i++) {
		const struct plan_metric *metric = &plan->metrics[i];
		char place[64], bits[24];
		bits_text(metric, bits);
		snprintf(place, sizeof(place), "%s %u%s", plan_space_word(metric->place.space), metric->place.at, bits);
		printf("  %-26s %-22s %-8s %s\n", metric->name, place, bf_type_name(metric->shape.type),
			metric->unit ? metric->unit : "");
	}
}

/* Padded to columns of a terminal, which are fewer than the bytes of "°C". */
static void print_padded(const char *text, size_t width)
{
	size_t n = utf8_columns(text, strlen(text));
	printf("%s%*s ", text, (int)(n < width ? width - n : 0), "");
}

static void print_places(const struct profile *profile, const struct plan *plan)
{
	printf("\n  %-26s %-8s %-8s %-14s %s\n", "metric", "type", "unit", "message", "place");
	for (size_t i = 0; i < plan->n_metrics; i++) {
		const struct plan_metric *metric = &plan->metrics[i];
		char bits[24];
		bits_text(metric, bits);
		printf("  %-26s %-8s ", metric->name, bf_type_name(metric->shape.type));
		print_padded(metric->unit ? metric->unit : "", 8);
		print_padded(message_of(plan, metric), 14);
		print_keys(settings_of(profile, metric->name), plan->devices[metric->device].driver->metric_keys);
		printf("%s%s\n", bits[0] ? " " : "", bits);
	}
}

void profile_show(const struct profile_loaded *loaded)
{
	const struct profile *profile = &loaded->profile;
	const struct plan_device *device = loaded->plan.n_devices ? loaded->plan.devices : NULL;
	printf("%s: %s %s\n", profile->id, profile->maker, profile->device);
	printf("  file      %s\n  document  %s\n  revision  %s\n", profile->file, profile->document, profile->revision);
	if (profile->note)
		printf("  note      %s\n", profile->note);
	if (profile->line)
		printf("  line      %s\n", profile->line);
	if (device && device->stream) {
		print_stream(profile, &loaded->plan);
		print_places(profile, &loaded->plan);
	} else {
		if (device && profile->defaults->n)
			printf("  quirks    at most %u registers a request%s\n", device->max_registers,
				device->max_gap == 0 ? ", no unused one among them" : "");
		print_registers(&loaded->plan);
	}
	puts("");
	for (size_t i = 0; i < loaded->n_vectors; i++)
		printf("  vector %s: %s\n", loaded->vectors[i].name, loaded->vectors[i].origin);
}
