/*
 * The control socket, stepped with a clock of the test's own: what is asked and answered, what hostile clients get, and
 * what bounds them.  The gateway is whole but not started, and holds its buffer in memory.
 */
#include "app/control.h"
#include "base/json_find.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define S     1000000
#define STEPS 20000

static struct stage {
	struct plan plan;
	struct gateway *gateway;
	struct control *control;
	struct sockaddr_un address;
	int64_t now_us;
	char *text; /* what a client has got */
	size_t n, size;
} stage;

static const struct plan_endpoint endpoint = {.url = "mqtt://127.0.0.1:1", .host = "127.0.0.1", .port = 1};

static int set_up(void **state)
{
	(void)state;
	static unsigned turn;
	struct gateway_options options = {0};
	stage = (struct stage){.now_us = 100 * (int64_t)S,
		.plan = {.file = "map.conf",
			.site = "home",
			.gateway_id = "test",
			.gateway_topic = "home/gateway/test",
			.broker = {.endpoints = &endpoint,
				.n_endpoints = 1,
				.protocol = 4,
				.client_id = "test",
				.keepalive_s = 30,
				.inflight = 100,
				.inflight_qos2 = 10,
				.max_qos = 2},
			.buffer = {.path_given = true, .max_size = 32 << 20, .max_age_us = 3600 * (int64_t)S}}};
	assert_int_equal(gateway_init(&stage.plan, &options, &stage.gateway), 0);
	/* An address without a file: ended with its last descriptor. */
	stage.address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(stage.address.sun_path + 1, sizeof(stage.address.sun_path) - 1, "busferry-test-%d-%u", (int)getpid(),
		turn++);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&stage.address, sizeof(stage.address)), 0);
	assert_int_equal(listen(fd, 64), 0);
	stage.control = control_open_fd(stage.gateway, fd);
	assert_non_null(stage.control);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	control_close(stage.control);
	gateway_destroy(stage.gateway);
	free(stage.text);
	return 0;
}

static void put(const char *topic, const void *payload, size_t n)
{
	struct message message = {
		.topic = topic, .payload = payload, .payload_n = n, .time_ms = 2764000000123, .qos = 1, .retain = true};
	struct message_sink *sink = outbox_sink(gateway_outbox(stage.gateway));
	assert_int_equal(sink->put(sink, &message), 0);
}

static int client(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&stage.address, sizeof(stage.address)), 0);
	return fd;
}

static void say(int fd, const char *bytes, size_t n)
{
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
}

static bool is_ready(void)
{
	struct pollfd ready = {.fd = control_fd(stage.control), .events = POLLIN};
	return poll(&ready, 1, 0) == 1;
}

/* Steps until nothing moves any more. */
static void settle(void)
{
	int i = 0;
	for (; i < STEPS && is_ready(); i++)
		control_step(stage.control, stage.now_us);
	assert_true(i < STEPS);
}

/* Takes what is there for the client.  1, 0 when the gateway has closed the connection. */
static int take(int fd)
{
	for (;;) {
		if (stage.size - stage.n < 65536) {
			stage.size = stage.size * 2 + 131072;
			stage.text = realloc(stage.text, stage.size);
			assert_non_null(stage.text);
		}
		ssize_t n = recv(fd, stage.text + stage.n, 65535, MSG_DONTWAIT);
		if (n <= 0) {
			stage.text[stage.n] = '\0';
			return n < 0 && errno == EAGAIN;
		}
		stage.n += (size_t)n;
	}
}

/* All that the client gets, with the gateway and it in turns.  1 or 0 as take. */
static int hear(int fd)
{
	int open = 1;
	stage.n = 0;
	for (int quiet = 0; quiet < 3 && open; quiet++) {
		size_t before = stage.n;
		settle();
		open = take(fd);
		if (stage.n != before)
			quiet = 0;
	}
	return open;
}

static void ask(int fd, const char *line)
{
	say(fd, line, strlen(line));
	say(fd, "\n", 1);
	assert_int_equal(hear(fd), 1);
}

static size_t n_lines(void)
{
	size_t n = 0;
	for (const char *at = stage.text; (at = strchr(at, '\n')); at++)
		n++;
	return n;
}

static int64_t number(const char *group, const char *key)
{
	struct json_value value = {.text = stage.text, .n = strlen(stage.text)};
	int64_t found = INT64_MIN;
	if (group)
		assert_true(json_find(stage.text, stage.n, group, &value));
	assert_true(json_find_int(value.text, value.n, key, &found));
	return found;
}

static void test_status(void **state)
{
	(void)state;
	int fd = client();
	ask(fd, "buffer status");
	assert_string_equal(stage.text,
		"{\"running\":true,\"file\":null,\"durable\":false,\"waiting\":0,\"in_flight\":0,\"oldest\":null,"
		"\"memory_bytes\":0,\"disk_bytes\":null,\"rows_written\":0,\"damaged\":0,\"limits\":{\"memory\":"
		"33554432,\"max_size\":"
		"null,"
		"\"max_age_s\":3600,\"when_full\":\"drop_oldest\"},\"dropped\":{\"full\":0,\"offline\":0,\"refused\":0,"
		"\"expired\":0,\"superseded\":0,\"damaged\":0,\"command\":0}}\n{\"ok\":true}\n");
	put("home/meter/power", "1", 1);
	ask(fd, "buffer status"); /* on the same connection */
	assert_int_equal(number(NULL, "waiting"), 1);
	assert_int_equal(number(NULL, "oldest"), 2764000000123);
	close(fd);
}

static void test_status_of_the_gateway(void **state)
{
	(void)state;
	char text[64];
	int fd = client();
	ask(fd, "status");
	assert_int_equal(n_lines(), 2);
	assert_true(json_find_text(stage.text, stage.n, "gateway", text, sizeof(text)));
	assert_string_equal(text, "test");
	assert_true(json_find_text(stage.text, stage.n, "map", text, sizeof(text)));
	assert_string_equal(text, "map.conf");
	assert_int_equal(number("broker", "acknowledged"), 0);
	assert_int_equal(number("buffer", "waiting"), 0);
	ask(fd, "status now");
	assert_string_equal(stage.text, "{\"ok\":false,\"error\":\"too many words\",\"code\":64}\n");
	ask(fd, "statu");
	assert_string_equal(stage.text, "{\"ok\":false,\"error\":\"unknown request\",\"code\":64}\n");
	close(fd);
}

static void test_a_wire_of_nobody(void **state)
{
	(void)state;
	int fd = client();
	ask(fd, "wire read /dev/ttyUSB0 1 input 0 1");
	assert_string_equal(
		stage.text, "{\"ok\":false,\"error\":\"no bus of this gateway is at that port\",\"code\":66}\n");
	close(fd);
}

static void test_export(void **state)
{
	(void)state;
	int fd = client();
	put("home/1. \"Stock\"/power", "{\"value\":1}", 11);
	put("home/cellar/raw", "\xff\x00\x01", 3);
	put("home/cellar/none", "", 0);
	ask(fd, "buffer export");
	assert_string_equal(stage.text,
		"{\"topic\":\"home/1. "
		"\\\"Stock\\\"/power\",\"payload\":\"{\\\"value\\\":1}\",\"qos\":1,\"retain\":true,"
		"\"time\":2764000000123}\n"
		"{\"topic\":\"home/cellar/raw\",\"payload_base64\":\"/wAB\",\"qos\":1,\"retain\":true,"
		"\"time\":2764000000123}\n"
		"{\"topic\":\"home/cellar/none\",\"payload\":\"\",\"qos\":1,\"retain\":true,\"time\":2764000000123}\n"
		"{\"ok\":true}\n");
	ask(fd, "buffer export \"home/1. \\\"Stock\\\"/+\"");
	assert_int_equal(n_lines(), 2);
	ask(fd, "buffer export home/attic/#");
	assert_string_equal(stage.text, "{\"ok\":true}\n");
	close(fd);
}

static void test_drop(void **state)
{
	(void)state;
	int fd = client();
	for (int i = 0; i < 5000; i++)
		put(i % 2 ? "home/a/m" : "home/b/m", "12345", 5);
	ask(fd, "buffer count home/a/#");
	assert_string_equal(stage.text, "{\"messages\":2500,\"in_flight\":0}\n{\"ok\":true}\n");
	ask(fd, "buffer drop home/a/#");
	assert_string_equal(stage.text, "{\"messages\":2500,\"in_flight\":0}\n{\"ok\":true}\n");
	ask(fd, "buffer status");
	assert_int_equal(number(NULL, "waiting"), 2500);
	assert_int_equal(number("dropped", "command"), 2500);
	close(fd);
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const lines[] = {"", "buffer", "buffer nonsense", "state", "BUFFER STATUS",
		"buffer status x", "buffer export a b", "buffer drop a/#/b", "buffer drop a+", "buffer drop \"\"",
		"wire", "wire line", "wire read", "wire read /dev/ttyUSB0 1 input 0",
		"wire read /dev/ttyUSB0 0 input 0 1", "wire read /dev/ttyUSB0 1 inputs 0 1",
		"wire read /dev/ttyUSB0 1 input -1 1", "wire read /dev/ttyUSB0 1 input 0 0",
		"wire read /dev/ttyUSB0 1 input 65536 1", "\"open", "buffer status\x01", "\xff\xfe\xfd",
		"GET / HTTP/1.1\r", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18"};
	int fd = client();
	put("home/a/m", "1", 1);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		ask(fd, lines[i]);
		if (strncmp(stage.text, "{\"ok\":false,\"error\":\"", 21) != 0 || n_lines() != 1)
			fail_msg("\"%s\": %s", lines[i], stage.text);
		assert_int_equal(number(NULL, "code"), 64);
	}
	ask(fd, "buffer status");
	assert_int_equal(number(NULL, "waiting"), 1);
	close(fd);
}

/* Several requests in one packet, and one in many. */
static void test_pipelined(void **state)
{
	(void)state;
	int fd = client();
	put("home/a/m", "1", 1);
	static const char three[] = "buffer count\nbuffer export\nbuffer drop\nbuf";
	say(fd, three, sizeof(three) - 1);
	assert_int_equal(hear(fd), 1);
	assert_int_equal(n_lines(), 6);
	static const char rest[] = "fer count\n";
	for (size_t i = 0; i < sizeof(rest) - 1; i++) {
		say(fd, rest + i, 1);
		settle();
	}
	assert_int_equal(hear(fd), 1);
	assert_string_equal(stage.text, "{\"messages\":0,\"in_flight\":0}\n{\"ok\":true}\n");
	/* One that says all and shuts its side, as `nc -N` does. */
	say(fd, "buffer status\n", 14);
	shutdown(fd, SHUT_WR);
	assert_int_equal(hear(fd), 0);
	assert_int_equal(n_lines(), 2);
	close(fd);
}

static void test_a_line_without_end(void **state)
{
	(void)state;
	int fd = client();
	static char much[5000];
	memset(much, 'a', sizeof(much));
	say(fd, much, sizeof(much));
	assert_int_equal(hear(fd), 0);
	assert_int_equal(strncmp(stage.text, "{\"ok\":false,\"error\":\"the line is too long\"", 40), 0);
	close(fd);
}

/* One that never reads holds up nobody, costs little, and is closed after ten minutes. */
static void test_a_slow_client(void **state)
{
	(void)state;
	static char payload[2000];
	memset(payload, 'x', sizeof(payload));
	for (int i = 0; i < 5000; i++)
		put("home/a/m", payload, sizeof(payload));
	int slow = client(), fd = client();
	say(slow, "buffer export\nbuffer export\n", 28);
	settle();
	for (int i = 0; i < 5; i++) {
		stage.now_us += 100 * (int64_t)S;
		close(fd);
		fd = client();
		ask(fd, "buffer export");
		assert_int_equal(n_lines(), 5001);
	}
	assert_true(control_step(stage.control, stage.now_us) <= stage.now_us + 600 * (int64_t)S);
	/* It reads on after all, and gets all of it. */
	assert_int_equal(hear(slow), 1);
	assert_int_equal(n_lines(), 10002);
	say(slow, "buffer export\n", 14);
	settle();
	stage.now_us += 601 * (int64_t)S;
	control_step(stage.control, stage.now_us);
	assert_int_equal(hear(slow), 0);
	assert_true(n_lines() < 5000);
	close(slow);
	close(fd);
}

static void test_a_quiet_client(void **state)
{
	(void)state;
	int fd = client();
	settle();
	int64_t wake_us = control_step(stage.control, stage.now_us);
	assert_int_equal(wake_us, stage.now_us + 60 * (int64_t)S);
	stage.now_us = wake_us - 1;
	control_step(stage.control, stage.now_us);
	ask(fd, "buffer status"); /* from now on a minute more */
	stage.now_us += 60 * (int64_t)S;
	assert_int_equal(control_step(stage.control, stage.now_us), CLOCK_NEVER);
	assert_int_equal(hear(fd), 0);
	close(fd);
}

static void test_too_many(void **state)
{
	(void)state;
	int fds[9];
	for (int i = 0; i < 8; i++) {
		fds[i] = client();
		settle();
	}
	fds[8] = client();
	assert_int_equal(hear(fds[8]), 0);
	assert_string_equal(stage.text, "{\"ok\":false,\"error\":\"too many clients\",\"code\":75}\n");
	close(fds[8]);
	stage.now_us += 2 * S;
	for (int i = 0; i < 8; i++)
		if (i != 3)
			ask(fds[i], "buffer status");
	fds[8] = client();
	ask(fds[8], "buffer status");
	assert_int_equal(n_lines(), 2);
	assert_int_equal(hear(fds[3]), 0); /* it made way */
	for (int i = 0; i < 9; i++)
		close(fds[i]);
	settle();
	assert_int_equal(control_step(stage.control, stage.now_us), CLOCK_NEVER); /* all places are free */
}

/* Clients that come, say anything and go at any moment. */
static void test_any_bytes(void **state)
{
	(void)state;
	static const char *const parts[] = {"buffer ", "export", "count", "drop ", "\n", "\"", "\\", " ", "home/#",
		"\xff", "\xc3\xa9", "status\n", "buffer export\n"};
	uint32_t random = 7;
	for (int i = 0; i < 300; i++)
		put("home/a/m", "1234567890", 10);
	for (int turn = 0; turn < 3000; turn++) {
		int fd = client();
		for (int i = 0; i < 12; i++) {
			random = random * 1664525u + 1013904223u;
			const char *part = parts[(random >> 8) % (sizeof(parts) / sizeof(parts[0]))];
			if (send(fd, part, strlen(part) + (random >> 30 == 0), MSG_NOSIGNAL) < 0)
				break;
			if (random >> 29 & 1)
				control_step(stage.control, stage.now_us);
		}
		if (random & 0x100000)
			hear(fd);
		close(fd);
		if (random & 0x200000)
			settle();
	}
	settle();
	int fd = client();
	ask(fd, "buffer status");
	assert_int_equal(n_lines(), 2);
	close(fd);
}

int main(void)
{
#define STAGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {STAGED(test_status), STAGED(test_status_of_the_gateway),
		STAGED(test_a_wire_of_nobody), STAGED(test_export), STAGED(test_drop), STAGED(test_refused),
		STAGED(test_pipelined), STAGED(test_a_line_without_end), STAGED(test_a_slow_client),
		STAGED(test_a_quiet_client), STAGED(test_too_many), STAGED(test_any_bytes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
