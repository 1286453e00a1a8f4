/*
 * Any bytes to the SML driver: as they are, and once more as the inside of a file whose CRC is right, since no fuzzer
 * finds that.
 */
#include "fuzz_meters.h"
#include "sdk/check.h"

extern const struct bf_driver bf_driver_sml;

static const char *const metrics[] = {"obis=1-0:1.8.0", "obis=1-0:16.7.0 type=integer", "obis=1-0:16.7.0 type=unsigned",
	"obis=1-0:1.8.0 type=status", "obis=1-0:96.1.0 type=id", "obis=1-0:0.0.9 type=hex",
	"obis=129-129:199.130.3 type=text", "obis=129-129:199.130.5 type=hex", NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_meter meter;
	static uint8_t file[4096];
	static const uint8_t begin[] = {0, 0x1B, 0x1B, 0x1B, 0x1B, 1, 1, 1, 1},
			     end[] = {0x1B, 0x1B, 0x1B, 0x1B, 0x1A, 0};
	if (!meter.n_metrics)
		fuzz_meter_start(&meter, &bf_driver_sml, "", metrics);
	fuzz_meter_feed(&meter, data, size);
	size_t n = sizeof(begin);
	if (size > sizeof(file) - 32)
		return 0;
	memcpy(file, begin, n);
	memcpy(file + n, data, size);
	n += size;
	memcpy(file + n, end, sizeof(end));
	n += sizeof(end);
	uint16_t crc = bf_crc16_x25(file + 1, n - 1);
	file[n++] = (uint8_t)crc;
	file[n++] = (uint8_t)(crc >> 8);
	fuzz_meter_feed(&meter, file, n);
	return 0;
}
