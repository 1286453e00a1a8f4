/*
 * Any bytes to the M-Bus driver: as they are, and once more as the records of a telegram whose sum is right.  Each
 * message is also handed to the conversation.
 */
#include "fuzz_meters.h"
#include "sdk/check.h"

extern const struct bf_driver bf_driver_mbus;

static const char *const metrics[] = {"quantity=energy", "quantity=volume storage=1", "quantity=flow_temperature",
	"quantity=power function=max", "quantity=date", "quantity=date_time", "quantity=fabrication_number",
	"quantity=error_flags", "quantity=operating_time", "quantity=volume_flow", "label=%RH", "label=A type=text",
	"record=0", "record=0 type=flags", "record=0 type=text", "record=0 type=date", "record=1", "record=2 type=text",
	"quantity=energy vife=3C", "header=id", "header=manufacturer", "header=status", NULL};

static void talk(struct driver_bench *bench, const struct bf_message *message)
{
	for (unsigned step = 1; step < 18; step += 8) {
		struct bf_ask ask = {0};
		int rc = bf_driver_mbus.ask(&bench->device, step, message, &ask);
		FUZZ_ASSERT(rc == 1 || rc == 0 || rc == -EBADMSG);
		FUZZ_ASSERT(rc != 1 || (ask.n > 0 && ask.n <= BF_ASK_MAX));
	}
	memset(bench->device.memory, 0, bf_driver_mbus.memory_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_meter meter;
	uint8_t frame[1 + 261] = {0, 0x68, 0, 0, 0x68, 0x08, 1, 0x72, 0x78, 0x56, 0x34, 0x12, 0x2D, 0x2C, 1, 4};
	if (!meter.n_metrics) {
		fuzz_meter_start(&meter, &bf_driver_mbus, "", metrics);
		meter.then = talk;
	}
	fuzz_meter_feed(&meter, data, size);
	if (size > 240)
		return 0;
	memcpy(frame + 20, data, size);
	frame[2] = frame[3] = (uint8_t)(15 + size);
	frame[20 + size] = bf_sum8(frame + 5, 15 + size);
	frame[21 + size] = 0x16;
	fuzz_meter_feed(&meter, frame, 22 + size);
	FUZZ_ASSERT(meter.bench.n_messages == 1);
	return 0;
}
