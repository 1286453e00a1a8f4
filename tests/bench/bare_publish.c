/*
 * The yardstick of bench_outbox.py: the fastest plain loop over libmosquitto.  Publishes the messages of fill_buffer at
 * QoS 1 with at most WINDOW of them unacknowledged, from no file and with no thought of failure.
 *
 *   bare_publish BROKER_PORT N WINDOW
 */
#include <mosquitto.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static unsigned n_acknowledged;
static bool connected;

static void on_connect(struct mosquitto *mosquitto, void *user, int code)
{
	(void)mosquitto;
	(void)user;
	connected = code == 0;
}

static void on_publish(struct mosquitto *mosquitto, void *user, int id)
{
	(void)mosquitto;
	(void)user;
	(void)id;
	n_acknowledged++;
}

static int publish(struct mosquitto *mosquitto, unsigned i, unsigned n)
{
	char topic[64], payload[128];
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (i == 0 || i == n - 1)
		snprintf(topic, sizeof(topic), "bench/mark/%s", i ? "last" : "first");
	else
		snprintf(topic, sizeof(topic), "bench/floor/d%02u/m%02u", i / 10 % 10, i % 10);
	int length = snprintf(payload, sizeof(payload), "{\"value\":%u,\"unit\":\"V\",\"time\":%lld,\"replayed\":true}",
		i, (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	return mosquitto_publish(mosquitto, NULL, topic, length, payload, 1, false);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 64;
	unsigned n = (unsigned)strtoul(argv[2], NULL, 10), window = (unsigned)strtoul(argv[3], NULL, 10), n_sent = 0;
	mosquitto_lib_init();
	struct mosquitto *mosquitto = mosquitto_new("bare-publish", true, NULL);
	if (!mosquitto)
		return 70;
	mosquitto_threaded_set(mosquitto, true);
	mosquitto_int_option(mosquitto, MOSQ_OPT_TCP_NODELAY, 1);
	mosquitto_max_inflight_messages_set(mosquitto, window);
	mosquitto_connect_callback_set(mosquitto, on_connect);
	mosquitto_publish_callback_set(mosquitto, on_publish);
	if (mosquitto_connect(mosquitto, "127.0.0.1", atoi(argv[1]), 60) != MOSQ_ERR_SUCCESS)
		return 69;
	while (n_acknowledged < n) {
		while (connected && n_sent < n && n_sent - n_acknowledged < window)
			if (publish(mosquitto, n_sent++, n) != MOSQ_ERR_SUCCESS)
				return 74;
		struct pollfd fd = {.fd = mosquitto_socket(mosquitto), .events = POLLIN};
		if (mosquitto_want_write(mosquitto) && mosquitto_loop_write(mosquitto, 1) != MOSQ_ERR_SUCCESS)
			return 74;
		if (mosquitto_want_write(mosquitto))
			fd.events |= POLLOUT;
		if (poll(&fd, 1, 1000) > 0 && fd.revents & POLLIN &&
			mosquitto_loop_read(mosquitto, 1) != MOSQ_ERR_SUCCESS)
			return 74;
	}
	mosquitto_disconnect(mosquitto);
	return 0;
}
