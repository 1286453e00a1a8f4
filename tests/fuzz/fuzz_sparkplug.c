/*
 * Any bytes as the payload of an NCMD or DCMD: what is understood are values of their kinds, in bounded numbers; and as
 * a record that was read back from disk, and a word of the primary host.
 */
#include "fuzz.h"
#include "ship/sparkplug_host.h"
#include "ship/sparkplug_intake.h"
#include "ship/sparkplug_payload.h"

#include <string.h>

static int n_told;

static unsigned type_of(void *user, const char *name, uint64_t alias)
{
	(void)user;
	return name ? (unsigned)strlen(name) : (unsigned)alias;
}

static void each(void *user, const struct sparkplug_told *told)
{
	char text[BF_NUMBER_SIZE];
	(void)user;
	n_told++;
	FUZZ_ASSERT(told->value.kind != BF_FLOAT16);
	if (told->value.kind == BF_TEXT)
		FUZZ_ASSERT(told->value.text.n == strlen(told->value.text.at));
	else
		FUZZ_ASSERT(bf_value_print(&told->value, -1, text) < BF_NUMBER_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sparkplug_reader reader = {.type_of = type_of, .each = each};
	static const char *const topics[] = {"spBv1.0/STATE/h", "STATE/h"};
	FUZZ_ASSERT(sparkplug_payload_load() == 0);
	n_told = 0;
	int n = sparkplug_payload_read(data, size, &reader);
	FUZZ_ASSERT(n < 0 ? n_told == 0 : n == n_told && n <= 64);

	struct reading reading;
	uint8_t bytes[SPARKPLUG_RECORD_MAX];
	if (sparkplug_record_unpack(data, size, &reading) == 0) {
		size_t packed = sparkplug_record_pack(&reading, bytes);
		FUZZ_ASSERT(packed == size);
	}

	for (size_t i = 0; i < 2; i++) {
		struct sparkplug_host host = {.id = "h"};
		int64_t last_ms = 0;
		sparkplug_host_connected(&host, &last_ms);
		int rc = sparkplug_host_heard(&host, topics[i], data, size);
		FUZZ_ASSERT(rc == 0 || !host.online);
	}
	return 0;
}
