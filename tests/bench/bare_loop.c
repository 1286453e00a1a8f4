/*
 * The yardstick of bench_tcp.py: what a plain loop over libmodbus and libmosquitto costs.  Reads 100 holding registers
 * of each TCP device once a second and publishes each as json at QoS 0, the way a first program would do it.  The
 * devices are asked at N_INSTANTS of the second: 1 = one after the other without a pause, which is the least a
 * processor can do for it, and late for the last of them.
 *
 *   bare_loop BROKER_PORT FIRST_DEVICE_PORT N_DEVICES N_REGISTERS SECONDS N_INSTANTS topics|device
 */
#include <modbus/modbus.h>
#include <mosquitto.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEVICES_MAX 500

static int64_t now_ms(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void publish_topics(struct mosquitto *mosquitto, int device, int n, const uint16_t *registers)
{
	char topic[64], payload[128];
	int64_t time_ms = now_ms(CLOCK_REALTIME);
	for (int i = 0; i < n; i++) {
		snprintf(topic, sizeof(topic), "bench/floor/d%03d/m%03d", device, i);
		int length = snprintf(payload, sizeof(payload), "{\"value\":%.1f,\"unit\":\"V\",\"time\":%lld}",
			registers[i] * 0.1, (long long)time_ms);
		mosquitto_publish(mosquitto, NULL, topic, length, payload, 0, false);
	}
	mosquitto_loop(mosquitto, 0, 1);
}

static void publish_device(struct mosquitto *mosquitto, int device, int n, const uint16_t *registers)
{
	char topic[64], payload[4096];
	int64_t time_ms = now_ms(CLOCK_REALTIME);
	snprintf(topic, sizeof(topic), "bench/floor/d%03d", device);
	int length = snprintf(payload, sizeof(payload), "{\"time\":%lld,\"values\":{", (long long)time_ms);
	for (int i = 0; i < n; i++)
		length += snprintf(payload + length, sizeof(payload) - (size_t)length, "%s\"m%03d\":%.1f", i ? "," : "",
			i, registers[i] * 0.1);
	length += snprintf(payload + length, sizeof(payload) - (size_t)length, "}}");
	mosquitto_publish(mosquitto, NULL, topic, length, payload, 0, false);
	mosquitto_loop(mosquitto, 0, 1);
}

static void sleep_until(int64_t at_ms)
{
	int64_t left = at_ms - now_ms(CLOCK_MONOTONIC);
	struct timespec rest = {.tv_sec = left / 1000, .tv_nsec = (long)(left % 1000 * 1000000)};
	if (left > 0)
		nanosleep(&rest, NULL);
}

int main(int argc, char **argv)
{
	if (argc != 8)
		return 64;
	int n_devices = atoi(argv[3]), n_registers = atoi(argv[4]), n_instants = atoi(argv[6]);
	bool whole = strcmp(argv[7], "device") == 0;
	static modbus_t *devices[DEVICES_MAX];
	uint16_t registers[125];
	if (n_devices < 1 || n_devices > DEVICES_MAX || n_registers < 1 || n_registers > 125 || n_instants < 1)
		return 64;
	mosquitto_lib_init();
	struct mosquitto *mosquitto = mosquitto_new("bare-loop", true, NULL);
	if (!mosquitto || mosquitto_connect(mosquitto, "127.0.0.1", atoi(argv[1]), 60) != MOSQ_ERR_SUCCESS)
		return 69;
	for (int i = 0; i < n_devices; i++) {
		devices[i] = modbus_new_tcp("127.0.0.1", atoi(argv[2]) + i);
		if (modbus_connect(devices[i]) < 0)
			return 69;
	}
	int64_t next = now_ms(CLOCK_MONOTONIC), end = next + atoi(argv[5]) * 1000;
	for (; next < end; next += 1000)
		for (int i = 0; i < n_devices; i++) {
			sleep_until(next + i * n_instants / n_devices * 1000 / n_instants);
			if (modbus_read_registers(devices[i], 0, n_registers, registers) == n_registers)
				(whole ? publish_device : publish_topics)(mosquitto, i, n_registers, registers);
		}
	mosquitto_disconnect(mosquitto);
	return 0;
}
