/*
 * Any bytes as what a broker has retained of discovery: what is taken away of it is said in sound JSON of bounded
 * length, by components of that message only.
 */
#include "base/json_find.h"
#include "fuzz.h"
#include "ship/discovery.h"

#include <math.h>
#include <string.h>

static struct plan_metric metrics[] = {
	{.topic = "home/meter/power", .name = "power", .every_us = 1000000, .scale = 1, .deadband = NAN},
	{.topic = "home/meter/on", .name = "on", .shape = {.type = BF_TYPE_BOOL}, .scale = 1, .deadband = NAN},
};
static struct plan_device devices[] = {{.topic = "home/meter", .path = "meter", .name = "meter", .n_metrics = 2}};
static struct plan plan = {.site = "home",
	.gateway_id = "pi",
	.gateway_topic = "home/gateway/pi",
	.homeassistant = {"homeassistant"},
	.devices = devices,
	.n_devices = 1,
	.metrics = metrics,
	.n_metrics = 2};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[DISCOVERY_MAX];
	struct json_value components, key, value;
	size_t at = 0, n_gone = 0;
	int n = discovery_print_gone(&plan, 1, 0, (const char *)data, size, text, sizeof(text));
	discovery_is_ours(&plan, (const char *)data, size);
	FUZZ_ASSERT(n >= 0 && (size_t)n < sizeof(text));
	if (n == 0)
		return 0;
	FUZZ_ASSERT(text[n] == '\0');
	FUZZ_ASSERT(json_find(text, (size_t)n, "components", &components));
	while (json_each(components.text, components.n, &at, &key, &value)) {
		char platform[32];
		FUZZ_ASSERT(json_find_text(value.text, value.n, "platform", platform, sizeof(platform)));
		n_gone++;
	}
	FUZZ_ASSERT(n_gone > 0);
	return 0;
}
