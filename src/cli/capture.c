/*
 * Running another program.  See capture.h.
 */
#include "cli/capture.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int spawn(const char *const *argv, int out, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	sigemptyset(&none);
	int rc = posix_spawn_file_actions_init(&actions);
	if (rc)
		return -rc;
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
	rc = posix_spawnp(ret_pid, argv[0], &actions, &attributes, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -rc;
}

/* Reads until the end, or until the time is up. */
static int hear(int fd, unsigned seconds, size_t most, struct captured *captured)
{
	int64_t until = clock_now(&clock_system) + (int64_t)seconds * 1000000;
	char chunk[8192];
	for (;;) {
		int64_t left = until - clock_now(&clock_system);
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		int n_ready = left > 0 ? poll(&ready, 1, (int)(left / 1000) + 1) : 0;
		if (n_ready == 0)
			return -ETIMEDOUT;
		if (n_ready < 0)
			continue;
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n <= 0)
			return 0;
		size_t take = most - captured->n < (size_t)n ? most - captured->n : (size_t)n;
		char *more = realloc(captured->text, captured->n + take + 1);
		if (!more)
			return -ENOMEM;
		captured->text = more;
		memcpy(captured->text + captured->n, chunk, take);
		captured->n += take;
		captured->text[captured->n] = '\0';
	}
}

int capture(const char *const *argv, unsigned seconds, size_t most, struct captured *ret_captured)
{
	int fds[2], status;
	pid_t pid = -1;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*ret_captured = (struct captured){.text = calloc(1, 1), .code = -1};
	int rc = ret_captured->text ? spawn(argv, fds[1], &pid) : -ENOMEM;
	close(fds[1]);
	if (rc == 0) {
		rc = hear(fds[0], seconds, most, ret_captured);
		if (rc < 0)
			kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (rc == 0 && WIFEXITED(status))
			ret_captured->code = WEXITSTATUS(status);
		rc = rc == -ETIMEDOUT ? 0 : rc;
	}
	close(fds[0]);
	if (rc < 0)
		captured_free(ret_captured);
	return rc;
}

void captured_free(struct captured *captured)
{
	free(captured->text);
	*captured = (struct captured){0};
}
