/*
 * The yardstick of bench_bus.py: what a plain loop over libmodbus makes of a serial line.  Reads 20 holding registers
 * of units 1 to N in turn, without a pause between, as fast as it goes, and counts.
 *
 *   bare_bus PORT BAUD N_UNITS SECONDS GAP_US
 *
 * GAP_US: it sleeps so long between an answer and the next request; 0 is how libmodbus comes.
 */
#include <modbus/modbus.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REGISTERS 20

static int64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 64;
	int n_units = atoi(argv[3]);
	int64_t end = now_us() + atoi(argv[4]) * (int64_t)1000000;
	struct timespec gap = {.tv_nsec = atol(argv[5]) * 1000};
	modbus_t *bus = modbus_new_rtu(argv[1], atoi(argv[2]), 'E', 8, 1);
	if (!bus || n_units < 1 || modbus_connect(bus) < 0)
		return 69;
	unsigned long n_right = 0, n_wrong = 0, n_failed = 0;
	for (int unit = 1; now_us() < end; unit = unit % n_units + 1) {
		uint16_t registers[REGISTERS];
		modbus_set_slave(bus, unit);
		if (modbus_read_registers(bus, 0, REGISTERS, registers) != REGISTERS)
			n_failed++;
		else if (registers[0] != unit * 256)
			n_wrong++;
		else
			n_right++;
		if (gap.tv_nsec)
			nanosleep(&gap, NULL);
	}
	printf("right %lu wrong %lu failed %lu\n", n_right, n_wrong, n_failed);
	modbus_close(bus);
	modbus_free(bus);
	return 0;
}
