/*
 * The broker of a test, see mosquitto_child.h.
 */
#include "mosquitto_child.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef MOSQUITTO
#define MOSQUITTO "/usr/sbin/mosquitto"
#endif

char dir[64];
uint16_t port;
pid_t broker_pid, sub_pid;
struct plan_endpoint endpoint;
struct plan_broker broker;

char *path_of(const char *name)
{
	static char paths[8][128];
	static unsigned n;
	char *path = paths[n++ % 8];
	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

void nap_ms(int ms)
{
	poll(NULL, 0, ms);
}

pid_t spawn(const char *out, const char *const argv[])
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	int fd = open(out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static int await_exit(pid_t pid)
{
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

void halt(pid_t *pid, int signal_number)
{
	if (*pid <= 0)
		return;
	kill(*pid, signal_number);
	await_exit(*pid);
	*pid = 0;
}

void command(const char *const argv[])
{
	int status = await_exit(spawn(path_of("commands.log"), argv));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

struct sockaddr_in loopback(uint16_t p)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(p), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static uint16_t free_port(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = loopback(0);
	socklen_t n = sizeof(address);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, n), 0);
	getsockname(fd, (struct sockaddr *)&address, &n);
	close(fd);
	return ntohs(address.sin_port);
}

void configure(const char *extra)
{
	FILE *file = fopen(path_of("mosquitto.conf"), "w");
	fprintf(file,
		"listener %u 127.0.0.1\npersistence true\npersistence_location %s/\nautosave_interval 1\n"
		"autosave_on_changes true\nmax_queued_messages 100000\nlog_dest file %s/mosquitto.log\n%s%s",
		port, dir, dir, geteuid() == 0 ? "user root\n" : "", extra);
	fclose(file);
}

void start_broker(void)
{
	const char *argv[] = {MOSQUITTO, "-c", path_of("mosquitto.conf"), NULL};
	broker_pid = spawn(path_of("mosquitto.out"), argv);
	for (int i = 0; i < 200; i++, nap_ms(25)) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct sockaddr_in address = loopback(port);
		int error = connect(fd, (struct sockaddr *)&address, sizeof(address));
		close(fd);
		if (error == 0)
			return;
	}
	fail_msg("mosquitto does not come up, see %s", dir);
}

int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/busferry-broker-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	port = free_port();
	return 0;
}

int teardown(void **state)
{
	(void)state;
	halt(&sub_pid, SIGTERM);
	halt(&broker_pid, SIGTERM);
	const char *argv[] = {"rm", "-rf", dir, NULL};
	int status;
	pid_t pid = spawn("/dev/null", argv);
	return waitpid(pid, &status, 0) == pid ? 0 : -1;
}

void plan(int protocol)
{
	endpoint = (struct plan_endpoint){.url = "mqtt://127.0.0.1", .host = "127.0.0.1", .port = port};
	broker = (struct plan_broker){.endpoints = &endpoint,
		.n_endpoints = 1,
		.protocol = protocol,
		.client_id = "busferry-test",
		.keepalive_s = 10,
		.inflight = 100,
		.inflight_qos2 = 10,
		.max_qos = 2};
}
