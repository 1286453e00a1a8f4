/*
 * The uplink alone with a real Mosquitto, or with what is to look like a broker: sessions, subscriptions, and what it
 * calls each refusal and loss, also of TLS.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../fake/handshake.h"
#include "mosquitto_child.h"
#include "ship/uplink.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct uplink *uplink;

/* What the uplink tells. */
static struct {
	bool connected, session_present, lost;
	unsigned n_lost;
	enum uplink_fault fault;
	char what[200];
} heard;

static bool heard_forgets;

static void hear_connected(void *user, bool session_present, const struct uplink_limits *limits)
{
	(void)user;
	(void)limits;
	heard.connected = true;
	heard.session_present = session_present;
	if (heard_forgets)
		uplink->ops->forget(uplink); /* must be harmless here */
}

static void hear_lost(void *user, enum uplink_fault fault, const char *what)
{
	(void)user;
	heard.lost = true;
	heard.n_lost++;
	heard.fault = fault;
	snprintf(heard.what, sizeof(heard.what), "%s", what);
}

static void hear_acknowledged(void *user, int id, int reason)
{
	(void)user;
	(void)id;
	(void)reason;
}

static int last_subscription, last_grant;
static char messages[512]; /* "topic=payload q1r; " */

static void hear_subscribed(void *user, int id, int reason)
{
	(void)user;
	last_subscription = id;
	last_grant = reason;
}

static void hear_message(void *user, const struct uplink_message *message)
{
	(void)user;
	size_t n = strlen(messages);
	snprintf(messages + n, sizeof(messages) - n, "%s=%.*s q%d%s; ", message->topic, (int)message->payload_n,
		message->payload_n ? (const char *)message->payload : "", message->qos, message->retained ? "r" : "");
}

static unsigned n_served;

static void serve(void)
{
	n_served++;
	struct pollfd fd = {.fd = uplink->ops->fd(uplink), .events = POLLIN};
	if (uplink->ops->wants_write(uplink))
		fd.events |= POLLOUT;
	poll(&fd, 1, 10);
	uplink->ops->step(uplink, fd.revents & (POLLIN | POLLERR | POLLHUP), fd.revents & POLLOUT);
}

static void listen_to_uplink(void)
{
	memset(&heard, 0, sizeof(heard));
	uplink->events = (struct uplink_events){.connected = hear_connected,
		.lost = hear_lost,
		.acknowledged = hear_acknowledged,
		.subscribed = hear_subscribed,
		.message = hear_message};
}

static void open_uplink(bool clean_session)
{
	listen_to_uplink();
	struct uplink_target target = {.broker = &broker, .endpoint = &endpoint, .clean_session = clean_session};
	uplink->ops->open(uplink, &target);
}

/* Until it stands or has failed. */
static void await_outcome(void)
{
	for (int i = 0; i < 500 && !heard.connected && !heard.lost; i++)
		serve();
	assert_true(heard.connected != heard.lost);
}

static void dial(bool clean_session)
{
	open_uplink(clean_session);
	await_outcome();
}

/* With the object that is there. */
static void dial_again(void)
{
	listen_to_uplink();
	uplink->ops->reopen(uplink);
	await_outcome();
}

static void attempt_session(bool clean_session)
{
	dial(clean_session);
	for (int i = 0; i < 5; i++)
		uplink->ops->step(uplink, true, true);
	assert_true(heard.connected != heard.lost);
	assert_true(heard.n_lost <= 1);
	uplink->ops->close(uplink, heard.connected);
	uplink->ops->forget(uplink);
}

static void attempt(void)
{
	heard_forgets = true;
	attempt_session(true);
	heard_forgets = false;
}

static void assert_fault(enum uplink_fault fault, const char *words)
{
	if (!heard.lost || heard.fault != fault || !strstr(heard.what, words))
		fail_msg("fault %d \"%s\", not %d \"%s\"", heard.lost ? (int)heard.fault : -1, heard.what, (int)fault,
			words);
}

static void expect_fault(enum uplink_fault fault, const char *words)
{
	attempt();
	assert_fault(fault, words);
}

static void write_secret(const char *text)
{
	FILE *file = fopen(path_of("secret"), "w");
	fputs(text, file);
	fclose(file);
}

static void test_passwords(void **state)
{
	(void)state;
	const char *argv[] = {"mosquitto_passwd", "-b", "-c", path_of("users"), "u1", "right", NULL};
	command(argv);
	char extra[256];
	snprintf(extra, sizeof(extra), "allow_anonymous false\npassword_file %s/users\n", dir);
	configure(extra);
	start_broker();
	char secret[128];
	snprintf(secret, sizeof(secret), "%s/secret", dir);
	assert_int_equal(uplink_mosquitto_init(&uplink), 0);
	for (int protocol = 4; protocol <= 5; protocol++) {
		plan(protocol);
		broker.user = "u1";
		broker.password_file = secret;
		write_secret("wrong\n");
		expect_fault(UPLINK_AUTH, "not authorised");
		assert_null(strstr(heard.what, "wrong"));
		write_secret("right\n");
		attempt();
		assert_true(heard.connected);
	}
	unlink(secret);
	expect_fault(UPLINK_SETUP, "No such file");
	uplink_mosquitto_destroy(uplink);
}

static void test_sessions(void **state)
{
	(void)state;
	configure("allow_anonymous true\n");
	start_broker();
	assert_int_equal(uplink_mosquitto_init(&uplink), 0);
	for (int protocol = 4; protocol <= 5; protocol++) {
		plan(protocol);
		attempt_session(true);
		assert_true(heard.connected && !heard.session_present);
		attempt_session(false);
		assert_true(heard.connected && !heard.session_present);
		attempt_session(false);
		assert_true(heard.connected && heard.session_present);
		attempt_session(true); /* the purge */
		attempt_session(false);
		assert_true(heard.connected && !heard.session_present);
	}
	uplink_mosquitto_destroy(uplink);
}

static void publish_by_hand(const char *topic, const char *payload, bool retain)
{
	char number[8];
	snprintf(number, sizeof(number), "%u", port);
	const char *argv[] = {"mosquitto_pub", "-h", "127.0.0.1", "-p", number, "-q", "1", "-t", topic, "-m", payload,
		retain ? "-r" : NULL, NULL};
	command(argv);
}

static void serve_until_heard(const char *part)
{
	for (int i = 0; i < 500 && !strstr(messages, part); i++)
		serve();
	assert_non_null(strstr(messages, part));
}

/* What is retained comes first, then what is published, until it is unsubscribed from. */
static void test_subscriptions(void **state)
{
	(void)state;
	configure("allow_anonymous true\n");
	start_broker();
	assert_int_equal(uplink_mosquitto_init(&uplink), 0);
	for (int protocol = 4; protocol <= 5; protocol++) {
		int id = 0, other = 0;
		plan(protocol);
		assert_int_equal(uplink->ops->subscribe(uplink, "s/a/info", 1, &id), -EAGAIN);
		publish_by_hand("s/a/info", "old", true);
		dial(true);
		messages[0] = '\0';
		assert_int_equal(uplink->ops->subscribe(uplink, "s/a/info", 1, &id), 0);
		serve_until_heard("s/a/info=old q1r; ");
		for (int i = 0; i < 500 && last_subscription != id; i++)
			serve();
		assert_int_equal(last_grant, 1);
		publish_by_hand("s/a/info", "live", false);
		serve_until_heard("s/a/info=live q1; ");
		assert_int_equal(uplink->ops->unsubscribe(uplink, "s/a/info"), 0);
		assert_int_equal(uplink->ops->subscribe(uplink, "s/b", 1, &other), 0);
		assert_int_not_equal(id, other);
		for (int i = 0; i < 500 && last_subscription != other; i++)
			serve();
		publish_by_hand("s/a/info", "", true);
		publish_by_hand("s/b", "x", false);
		serve_until_heard("s/b=x q1; ");
		assert_null(strstr(messages, "s/a/info= "));
		assert_int_equal(uplink->ops->subscribe(uplink, "s/a/#/b", 1, &id), -EINVAL);
		uplink->ops->close(uplink, true);
		assert_int_equal(uplink->ops->subscribe(uplink, "s/b", 1, &id), -EAGAIN);
	}
	uplink_mosquitto_destroy(uplink);
}

/* Another client with our id: the end is told once. */
static void test_taken_over(void **state)
{
	(void)state;
	configure("allow_anonymous true\n");
	start_broker();
	assert_int_equal(uplink_mosquitto_init(&uplink), 0);
	plan(4);
	dial(true);
	assert_true(heard.connected);
	char number[8];
	snprintf(number, sizeof(number), "%u", port);
	const char *argv[] = {
		"mosquitto_pub", "-h", "127.0.0.1", "-p", number, "-i", "busferry-test", "-t", "x", "-m", "y", NULL};
	command(argv);
	for (int i = 0; i < 50; i++)
		serve();
	assert_int_equal(heard.n_lost, 1);
	assert_int_equal(heard.fault, UPLINK_CLOSED);
	assert_int_equal(uplink->ops->fd(uplink), -1);
	uplink_mosquitto_destroy(uplink);
}

/* A child that answers the first packet of each connection with these bytes, and closes it. */
static void start_answers(const unsigned char *bytes, size_t n)
{
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = loopback(port);
	int yes = 1;
	setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listening, 5), 0);
	broker_pid = fork();
	if (broker_pid == 0) {
		for (;;) {
			int fd = accept(listening, NULL, NULL);
			char connect_packet[256];
			ssize_t got = read(fd, connect_packet, sizeof(connect_packet));
			ssize_t sent = got > 0 && n ? write(fd, bytes, n) : 0;
			(void)sent;
			nap_ms(50);
			close(fd);
		}
	}
	close(listening);
}

/* What brokers say, byte by byte. */
static void test_answers(void **state)
{
	(void)state;
	static const struct {
		int protocol;
		unsigned char bytes[8];
		size_t n;
		bool connected;
		enum uplink_fault fault;
	} cases[] = {
		{4, {0x20, 2, 0, 1}, 4, false, UPLINK_VERSION},
		{4, {0x20, 2, 0, 2}, 4, false, UPLINK_CLIENT_ID},
		{4, {0x20, 2, 0, 3}, 4, false, UPLINK_BUSY},
		{4, {0x20, 2, 0, 4}, 4, false, UPLINK_AUTH},
		{4, {0x20, 2, 0, 5}, 4, false, UPLINK_AUTH},
		{5, {0x20, 3, 0, 0x85, 0}, 5, false, UPLINK_CLIENT_ID},
		{5, {0x20, 3, 0, 0x87, 0}, 5, false, UPLINK_AUTH},
		{5, {0x20, 3, 0, 0x88, 0}, 5, false, UPLINK_BUSY},
		{5, {0x20, 2, 0, 1}, 4, false, UPLINK_VERSION}, /* an older broker */
		{4, {0x20, 2, 0, 0}, 4, true, UPLINK_CLOSED},
		{4, {0}, 0, false, UPLINK_CLOSED},
		{4, {0x40, 2, 0, 1}, 4, false, UPLINK_PROTOCOL},
		{5, {0x20, 3, 0, 0, 0, 0xE0, 1, 0x8E}, 8, true, UPLINK_TAKEN_OVER},
		{5, {0x20, 3, 0, 0, 0, 0xE0, 1, 0x8B}, 8, true, UPLINK_BUSY},
	};
	assert_int_equal(uplink_mosquitto_init(&uplink), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		start_answers(cases[i].bytes, cases[i].n);
		plan(cases[i].protocol);
		open_uplink(true);
		for (int j = 0; j < 500 && !heard.lost; j++)
			serve();
		for (int j = 0; j < 5; j++)
			uplink->ops->step(uplink, true, true);
		if (heard.n_lost != 1 || heard.fault != cases[i].fault || heard.connected != cases[i].connected)
			fail_msg("case %zu: %u times fault %d \"%s\", connected %d", i, heard.n_lost, (int)heard.fault,
				heard.what, heard.connected);
		uplink->ops->forget(uplink);
		halt(&broker_pid, SIGKILL);
	}
	uplink_mosquitto_destroy(uplink);
}

static void test_nobody_there(void **state)
{
	(void)state;
	plan(4);
	assert_int_equal(uplink_mosquitto_init(&uplink), 0);
	expect_fault(UPLINK_REFUSED, "refused");
	endpoint.host = "no-such-host.invalid";
	expect_fault(UPLINK_NAME, "no-such-host.invalid");
	endpoint.tls = true; /* the library begins the handshake without looking whether there is a connection */
	broker.ca_file = "/etc/ssl/certs/ca-certificates.crt";
	static const char *const hosts[] = {"127.0.0.1", "localhost"};
	for (size_t i = 0; i < 2; i++) {
		endpoint.host = hosts[i];
		unsigned before = n_served;
		expect_fault(UPLINK_REFUSED, "refused");
		assert_in_range(n_served - before, 0, 3);
	}
	uplink_mosquitto_destroy(uplink);
}

static void certificate(const char *name)
{
	char key[160], cert[160];
	snprintf(key, sizeof(key), "%s/%s.key", dir, name);
	snprintf(cert, sizeof(cert), "%s/%s.crt", dir, name);
	const char *argv[] = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
		"-nodes", "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key,
		"-out", cert, NULL};
	command(argv);
}

static void tls_broker(const char *name)
{
	char extra[512];
	snprintf(extra, sizeof(extra), "allow_anonymous true\ncertfile %s/%s.crt\nkeyfile %s/%s.key\n", dir, name, dir,
		name);
	configure(extra);
	start_broker();
}

static void tls_attempts(bool at_once)
{
	static const char unknown[] = "TLS: the broker's certificate is signed by an authority that ";
	handshake_at_once = at_once;
	char ca[128], other[128];
	snprintf(ca, sizeof(ca), "%s/server.crt", dir);
	snprintf(other, sizeof(other), "%s/other.crt", dir);
	tls_broker("server");
	plan(4);
	endpoint.tls = true;
	assert_int_equal(uplink_mosquitto_init(&uplink), 0);
	broker.ca_file = ca;
	attempt();
	assert_true(heard.connected);
	broker.ca_file = other;
	expect_fault(UPLINK_TLS, unknown);
	broker.ca_file = NULL;
	expect_fault(UPLINK_TLS, unknown);
	endpoint.host = "localhost"; /* not in the certificate */
	broker.ca_file = ca;
	expect_fault(UPLINK_TLS, "not for the name localhost");
	broker.ca_file = "/nowhere/ca.crt";
	expect_fault(UPLINK_SETUP, "/nowhere/ca.crt");

	/* One object, and each attempt has a reason of its own. */
	endpoint.host = "127.0.0.1";
	broker.ca_file = other;
	dial(true);
	assert_fault(UPLINK_TLS, unknown);
	dial_again();
	assert_fault(UPLINK_TLS, unknown);
	halt(&broker_pid, SIGKILL);
	configure("allow_anonymous true\n");
	start_broker();
	dial_again();
	assert_fault(UPLINK_TLS, "a port without TLS");
	halt(&broker_pid, SIGKILL);
	tls_broker("other");
	dial_again();
	assert_true(heard.connected);
	halt(&broker_pid, SIGKILL);
	while (!heard.lost)
		serve();
	tls_broker("server");
	dial_again();
	assert_fault(UPLINK_TLS, unknown);
	halt(&broker_pid, SIGKILL);
	uplink_mosquitto_destroy(uplink);
	handshake_at_once = false;
}

static void test_tls(void **state)
{
	(void)state;
	certificate("server");
	certificate("other");
	tls_attempts(false);
	tls_attempts(true);
}

int main(void)
{
	alarm(110); /* whatever hangs, ends */
	handshake_at_once = false;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_passwords, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sessions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_subscriptions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tls, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
