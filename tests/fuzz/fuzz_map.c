/*
 * Any bytes as a device map: the raw-text pass, libconfig, the compiler, the printing of faults.
 *
 * Beyond what the sanitizers see: a map is sound or has a fault, never both or neither; a fault has a text of ours, and
 * only where we are sure that libconfig would say no more than "syntax error" is that left to it; a sound plan has no
 * place beyond its table.
 */
#include "app/config.h"
#include "fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/busferry-fuzz-XXXXXX";
static char file[sizeof(folder) + sizeof("/map.conf")];

static void clean(void)
{
	unlink(file);
	rmdir(folder);
}

static void start(void)
{
	if (file[0])
		return;
	if (!mkdtemp(folder))
		abort();
	snprintf(file, sizeof(file), "%s/map.conf", folder);
	atexit(clean);
}

static void check_plan(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_metrics; i++) {
		const struct plan_metric *metric = &plan->metrics[i];
		const struct plan_device *device = &plan->devices[metric->device];
		FUZZ_ASSERT(metric->device < plan->n_devices);
		FUZZ_ASSERT(i >= device->first_metric && i < device->first_metric + device->n_metrics);
		if (device->stream) {
			FUZZ_ASSERT(metric->keys && metric->message < device->stream->n_messages);
			FUZZ_ASSERT(plan->buses[device->bus].way == BF_WAY_STREAM);
		} else {
			FUZZ_ASSERT(metric->place.count > 0 && metric->place.at + metric->place.count <= 65536);
		}
		FUZZ_ASSERT(strncmp(metric->topic, device->topic, strlen(device->topic)) == 0);
		FUZZ_ASSERT(!strpbrk(metric->topic, "+#"));
		FUZZ_ASSERT(metric->every_us >= 0 || metric->every_us == PLAN_EVERY_START);
	}
	for (size_t i = 0; i < plan->n_devices; i++)
		FUZZ_ASSERT(plan->devices[i].bus < plan->n_buses);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	start();
	FILE *to = fopen(file, "w");
	if (!to || fwrite(data, 1, size, to) != size || fclose(to) != 0)
		abort();
	struct faults faults = {0};
	struct plan plan = {0};
	int err = config_load(file, &faults, &plan);
	FUZZ_ASSERT(err == 0 || err == -EINVAL);
	FUZZ_ASSERT((err == 0) == (faults.n_errors == 0));
	for (const struct fault *fault = faults.first; fault; fault = fault->next) {
		FUZZ_ASSERT(strcmp(fault->what, "libconfig reads this group in another way than busferry") != 0);
		FUZZ_ASSERT(strcmp(fault->what, "syntax error") != 0);
	}
	if (err == 0)
		check_plan(&plan);
	FILE *nowhere = fopen("/dev/null", "w");
	faults_print(&faults, nowhere, true);
	fclose(nowhere);
	faults_destroy(&faults);
	plan_destroy(&plan);
	return 0;
}
