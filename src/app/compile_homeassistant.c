/*
 * The group `homeassistant`, and what of the map Home Assistant would not take.  See compile.h.
 *
 * Why two that it would take for one are a fault and not given other names: a name in Home Assistant must not depend on
 * what else stands in the map, or its history moves to another sensor when a line is added.
 */
#include "app/compile.h"
#include "model/topic.h"
#include "ship/discovery.h"
#include "ship/discovery_id.h"
#include "ship/payload.h"

#include <math.h>
#include <string.h>

#define PREFIX_MAX 128 /* bytes, so that no discovery topic is too long */

void compile_homeassistant(struct compile *compile, const struct tree *group)
{
	struct map_homeassistant map;
	struct schema_part part = {schema_homeassistant, &map};
	schema_read("homeassistant", group, &part, 1, &compile->scratch, compile->faults);
	const char *fault = map.prefix ? topic_text_fault(map.prefix) : NULL;
	if (!fault && map.prefix && strlen(map.prefix) > PREFIX_MAX)
		fault = "is longer than 128 bytes";
	if (!fault && map.prefix && map.prefix[0] == '$')
		fault = "starts with a $, which MQTT keeps for brokers";
	if (fault)
		compile_fault(compile, group, "prefix", "write what is set in Home Assistant: \"homeassistant\"",
			"the prefix \"%s\" %s", map.prefix, fault);
	else if (map.enabled == 1)
		compile->plan->homeassistant.prefix = arena_text(compile->keep, map.prefix);
}

/* Notes the id of what stands at places[i]; tells when it is that of another one. */
static void note(
	struct compile *compile, enum compile_scope scope, const char *id, const struct tree *const *places, size_t i)
{
	size_t other;
	const char *text = arena_text(&compile->scratch, id);
	if (names_put(&compile->names, scope, text, strlen(text), i, &other))
		return;
	faults_add(compile->faults, FAULT_ERROR, &places[i]->key,
		arena_format(&compile->scratch, "so is \"%s\" at %s:%u:%u; write another key, or topic: \"…\"",
			places[other]->name, places[other]->key.file, places[other]->key.line,
			places[other]->key.column),
		"two would be one in Home Assistant: this is %s there", id);
}

static void check_metric(struct compile *compile, const struct plan_metric *metric, const struct tree *at)
{
	if (!discovery_tells(metric))
		compile_warning(compile, at, NULL, "write payload: \"json\"",
			"Home Assistant can't read influx payload: \"%s\" is not told to it", metric->topic);
	else if (!isnan(metric->deadband) && metric->heartbeat_us <= 0 && metric->every_us != PLAN_EVERY_START)
		compile_warning(compile, at, "deadband", "write heartbeat: \"15m\"",
			"without a \"heartbeat\" Home Assistant can't know when \"%s\" is too old", metric->topic);
}

void compile_homeassistant_check(struct compile *compile, const struct tree *group)
{
	const struct plan *plan = compile->plan;
	char id[DISCOVERY_ID_SIZE];
	size_t n_plain = 0;
	if (!discovery_is_on(plan))
		return;
	for (size_t i = 0; i < plan->n_devices; i++) {
		if (strstr(plan->devices[i].path, COMPILE_NAMELESS)) /* which was told */
			continue;
		discovery_id(plan->gateway_id, plan->devices[i].path, NULL, id);
		note(compile, SCOPE_HA_DEVICES, id, compile->device_at, i);
	}
	for (size_t i = 0; i < plan->n_metrics; i++) {
		const struct plan_metric *metric = &plan->metrics[i];
		if (strstr(metric->topic, COMPILE_NAMELESS))
			continue;
		discovery_id(plan->gateway_id, plan->devices[metric->device].path, payload_label(plan, metric), id);
		note(compile, SCOPE_HA_METRICS, id, compile->metric_at, i);
		check_metric(compile, metric, compile->metric_at[i]);
		n_plain += metric->delivery.payload == PAYLOAD_PLAIN;
	}
	if (n_plain)
		compile_warning(compile, group, NULL, "write payload: \"json\" for them",
			"%zu metrics with plain payload: Home Assistant takes what was read during an outage for "
			"present readings",
			n_plain);
}
