/*
 * A Modbus server made of libmodbus: a peer that Busferry's tests ask over a real pty or socket.
 *
 *	modbus_server --tcp PORT | --rtu PORT-PATH | --pty LINK  [--unit N] [--seconds N]
 *
 * --tcp 0 takes a free port; --rtu opens a serial port or the end of a pty that somebody else made;
 * --pty makes a pty itself and links it.  Each cell holds what its place says, so that a wrong
 *answer is seen by its value: a register (table * 10000 + address) & 0xffff, with the tables
 *numbered as in manuals (input registers 3, holding registers 4), a bit whether its address is odd.
 *
 * Prints "ready PORT" or "ready PATH" when it can be asked.  Ends on SIGTERM, SIGINT, or when its
 * time is over (60 s unless told otherwise), so that a test that dies leaves nothing behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <modbus.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define CELLS       65536
#define CONNECTIONS 64

static modbus_t *context;
static modbus_mapping_t *mapping;
static const char *link_made;

static void fail(const char *what)
{
	fprintf(stderr, "modbus_server: %s: %s\n", what, modbus_strerror(errno));
	exit(1);
}

static void remove_link(void)
{
	if (link_made)
		unlink(link_made);
}

static void fill(void)
{
	mapping = modbus_mapping_new(CELLS, CELLS, CELLS, CELLS);
	if (!mapping)
		fail("mapping");
	for (unsigned at = 0; at < CELLS; at++) {
		mapping->tab_bits[at] = at & 1;
		mapping->tab_input_bits[at] = at & 1;
		mapping->tab_input_registers[at] = (uint16_t)(30000 + at);
		mapping->tab_registers[at] = (uint16_t)(40000 + at);
	}
}

static int open_tcp(int port)
{
	context = modbus_new_tcp("127.0.0.1", port);
	if (!context)
		fail("tcp");
	int fd = modbus_tcp_listen(context, CONNECTIONS);
	struct sockaddr_in address;
	socklen_t size = sizeof(address);
	if (fd < 0 || getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		fail("listen");
	printf("ready %d\n", ntohs(address.sin_port));
	return fd;
}

static int open_rtu(const char *path, int unit)
{
	context = modbus_new_rtu(path, 115200, 'N', 8, 1);
	if (!context || modbus_set_slave(context, unit) < 0 || modbus_connect(context) < 0)
		fail(path);
	printf("ready %s\n", path);
	return modbus_get_socket(context);
}

static int open_pty(const char *path, int unit)
{
	struct termios tio;
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0)
		fail("pty");
	int other = open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC); /* stays open: no hang-ups */
	if (other < 0 || tcgetattr(other, &tio) < 0)
		fail("pty");
	cfmakeraw(&tio);
	tcsetattr(other, TCSANOW, &tio);
	if (symlink(ptsname(fd), path) < 0)
		fail(path);
	link_made = path;
	context = modbus_new_rtu(path, 115200, 'N', 8, 1);
	if (!context || modbus_set_slave(context, unit) < 0 || modbus_set_socket(context, fd) < 0)
		fail(path);
	printf("ready %s\n", path);
	return fd;
}

/* One request on a connection that has bytes; false when the connection has ended. */
static int serve(int fd)
{
	uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
	modbus_set_socket(context, fd);
	int n = modbus_receive(context, query);
	if (n > 0)
		modbus_reply(context, query, n, mapping);
	return n >= 0;
}

static long left_ms(const struct timespec *end)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	long ms = (long)(end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
	return ms > 0 ? ms : 0;
}

static void serve_until(int fd, int listens, int signals, const struct timespec *end)
{
	struct pollfd fds[2 + CONNECTIONS] = {{.fd = signals, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
	nfds_t n = 2;
	long left;
	while ((left = left_ms(end)) > 0) {
		if (poll(fds, n, (int)left) < 0 && errno != EINTR)
			fail("poll");
		if (fds[0].revents)
			return;
		for (nfds_t i = n - 1; i >= 2; i--) {
			if (!fds[i].revents || serve(fds[i].fd))
				continue;
			close(fds[i].fd);
			fds[i] = fds[--n];
		}
		if (!fds[1].revents)
			continue;
		if (!listens) {
			serve(fd); /* a bad frame is no reason to end */
			continue;
		}
		int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (accepted >= 0 && n < 2 + CONNECTIONS)
			fds[n++] = (struct pollfd){.fd = accepted, .events = POLLIN};
		else if (accepted >= 0)
			close(accepted);
	}
}

static int usage(void)
{
	fputs("usage: modbus_server --tcp PORT | --rtu PATH | --pty LINK [--unit N] [--seconds "
	      "N]\n",
		stderr);
	return 64;
}

int main(int argc, char **argv)
{
	const char *tcp = NULL, *rtu = NULL, *pty = NULL;
	int unit = 1, seconds = 60;
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 == argc)
			return usage();
		if (strcmp(argv[i], "--tcp") == 0)
			tcp = argv[i + 1];
		else if (strcmp(argv[i], "--rtu") == 0)
			rtu = argv[i + 1];
		else if (strcmp(argv[i], "--pty") == 0)
			pty = argv[i + 1];
		else if (strcmp(argv[i], "--unit") == 0)
			unit = atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--seconds") == 0)
			seconds = atoi(argv[i + 1]);
		else
			return usage();
	}
	if ((tcp != NULL) + (rtu != NULL) + (pty != NULL) != 1)
		return usage();

	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int signals = signalfd(-1, &set, SFD_CLOEXEC);
	struct timespec end;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	signal(SIGPIPE, SIG_IGN);
	atexit(remove_link);

	fill();
	int fd = tcp ? open_tcp(atoi(tcp)) : pty ? open_pty(pty, unit) : open_rtu(rtu, unit);
	fflush(stdout);
	serve_until(fd, tcp != NULL, signals, &end);
	modbus_mapping_free(mapping);
	modbus_free(context);
	return 0;
}
