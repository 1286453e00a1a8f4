/*
 * The rules of `topics`: how readings leave.  See compile.h.
 *
 * A rule may say only some of the keys, and each key is looked for on its own: the first rule in file order that
 * matches and has it wins.  So a map says "all of them QoS 0" and "energy QoS 2" without repeating the rest.
 */
#include "app/compile.h"
#include "model/topic.h"

#include <fnmatch.h>
#include <stdio.h>

struct compile_rule {
	const struct tree *at;
	struct map_rule map;
	bool told; /* that it makes plain payloads per device */
};

void compile_rules(struct compile *compile, const struct tree *topics)
{
	size_t n = topics ? topics->n : 0;
	compile->rules = arena_array(&compile->scratch, n ? n : 1, sizeof(*compile->rules));
	for (const struct tree *at = topics ? topics->first : NULL; at; at = at->next) {
		if (at->type != TREE_GROUP) {
			faults_add(compile->faults, FAULT_ERROR, &at->at, "write NAME: { match: \"#\"  qos: 1 }",
				"the rule \"%s\" is %s, it must be a group", at->name, tree_what(at));
			continue;
		}
		char what[128];
		snprintf(what, sizeof(what), "rule \"%.100s\"", at->name);
		struct compile_rule *rule = &compile->rules[compile->n_rules++];
		struct schema_part part = {schema_rule, &rule->map};
		rule->at = at;
		schema_read(what, at, &part, 1, &compile->scratch, compile->faults);
		if (rule->map.expire_us != BF_UNSET && compile->plan->broker.protocol < 5)
			compile_warning(compile, at, "expire", "write protocol: 5 in the group broker",
				"\"expire\" has no effect with MQTT 3.1.1");
		const char *wrong = rule->map.match ? topic_filter_fault(rule->map.match) : NULL;
		if (wrong) {
			compile_fault(compile, at, "match", NULL, "the filter \"%s\" %s", rule->map.match, wrong);
			compile->n_rules--;
		} else if (!tree_get(at, "match") && !tree_get(at, "metric")) {
			compile_fault(compile, at, NULL, "write match: \"#\" for all of them",
				"the rule \"%s\" says neither match nor metric", at->name);
		}
	}
}

static bool matches(const struct map_rule *rule, const char *topic, const char *name)
{
	return (!rule->match || topic_matches(rule->match, topic)) &&
	       (!rule->metric || fnmatch(rule->metric, name, 0) == 0);
}

/* Takes what is not given yet. */
static void take(int *field, int given)
{
	if (*field == BF_UNSET)
		*field = given;
}

void compile_delivery(struct compile *compile, const struct tree *at, const struct map_metric *map, const char *topic,
	const char *name, struct plan_delivery *ret_delivery)
{
	int qos = map->qos, retain = map->retain, payload = map->payload;
	int per = BF_UNSET, buffer = BF_UNSET, backlog = BF_UNSET;
	int64_t expire_us = BF_UNSET;
	struct compile_rule *per_rule = NULL;
	for (size_t i = 0; i < compile->n_rules; i++) {
		struct compile_rule *rule = &compile->rules[i];
		if (!matches(&rule->map, topic, name))
			continue;
		if (per == BF_UNSET && rule->map.per != BF_UNSET)
			per_rule = rule;
		take(&qos, rule->map.qos);
		take(&retain, rule->map.retain);
		take(&payload, rule->map.payload);
		take(&per, rule->map.per);
		take(&buffer, rule->map.buffer);
		take(&backlog, rule->map.backlog);
		if (expire_us == BF_UNSET)
			expire_us = rule->map.expire_us;
	}
	*ret_delivery = (struct plan_delivery){
		.qos = (uint8_t)(qos == BF_UNSET ? 1 : qos),
		.retain = retain != 0,
		.payload = payload == BF_UNSET ? PAYLOAD_JSON : (enum plan_payload)payload,
		.per_device = per == 1,
		.buffer = buffer != 0,
		.latest_only = backlog == 1,
		.expire_s = expire_us == BF_UNSET ? 0 : (uint32_t)((expire_us + 999999) / 1000000),
	};
	if (per == 1 && ret_delivery->payload == PAYLOAD_PLAIN && !per_rule->told) {
		per_rule->told = map->payload == BF_UNSET;
		compile_fault(compile, map->payload == BF_UNSET ? per_rule->at : at,
			map->payload == BF_UNSET ? "per" : "payload", "write payload: \"json\" or \"influx\"",
			"one plain message cannot hold all values of a device");
	}
}
