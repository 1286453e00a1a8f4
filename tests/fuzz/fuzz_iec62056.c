/*
 * Any bytes to the driver of IEC 62056-21: as they are, and once more as the data sets of a readout whose checksum is
 * right.  Each message is also handed to the conversation.
 */
#include "fuzz_meters.h"
#include "sdk/check.h"

extern const struct bf_driver bf_driver_iec62056;

static const char *const metrics[] = {"obis=1.8.0", "obis=1-0:1.8.0*255 meter_unit=kWh", "obis=C.1.0 type=text",
	"obis=F.F type=hex", "obis=1.6.1 bracket=2 type=text", "obis=6.8*01", "obis=0.0 type=text", NULL};

static void talk(struct driver_bench *bench, const struct bf_message *message)
{
	for (unsigned step = 1; step < 4; step++) {
		struct bf_ask ask = {0};
		int rc = bf_driver_iec62056.ask(&bench->device, step, message, &ask);
		FUZZ_ASSERT(rc == 1 || rc == 0 || rc == -EBADMSG);
		FUZZ_ASSERT(rc != 1 || (ask.n <= BF_ASK_MAX && ask.baud <= 19200 && ask.timeout_us > 0));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_meter meter;
	static uint8_t readout[8192];
	if (!meter.n_metrics) {
		fuzz_meter_start(&meter, &bf_driver_iec62056, "", metrics);
		meter.then = talk;
	}
	fuzz_meter_feed(&meter, data, size);
	if (size > sizeof(readout) - 16)
		return 0;
	readout[0] = 0;
	readout[1] = 2;
	memcpy(readout + 2, data, size);
	memcpy(readout + 2 + size, "!\r\n\x03", 4);
	readout[6 + size] = bf_xor8(readout + 2, size + 4);
	fuzz_meter_feed(&meter, readout, 7 + size);
	return 0;
}
