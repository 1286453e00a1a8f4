/*
 * Holders of ports.
 *
 * /proc/locks names the process of each lock by device and inode, for everybody to read; /proc/PID/fd names what is
 * open, for its own user and root.  A pty that is simulated is open in the simulator too, so a lock says more.
 */
#include "field/port_holder.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LINE_SIZE 256

static void name_of(const char *proc, struct port_holder *holder)
{
	char path[PATH_MAX];
	holder->name[0] = '\0';
	snprintf(path, sizeof(path), "%s/%ld/comm", proc, (long)holder->pid);
	FILE *comm = fopen(path, "re");
	if (!comm)
		return;
	if (fgets(holder->name, sizeof(holder->name), comm))
		holder->name[strcspn(holder->name, "\n")] = '\0';
	fclose(comm);
}

/* A number to its very end, which is `stop`; UINT64_MAX when it is none. */
static uint64_t number(const char *text, int base, char stop)
{
	char *end;
	errno = 0;
	unsigned long long value = strtoull(text, &end, base);
	return errno || end == text || *end != stop || *text == '-' ? UINT64_MAX : value;
}

/* One line of /proc/locks, "12: FLOCK  ADVISORY  WRITE 1234 00:05:678 0 EOF"; who waits has an arrow more. */
static bool is_lock_on(char *line, const struct stat *file, pid_t *ret_pid)
{
	char *words[6], *rest = line;
	size_t n = 0;
	while (n < 6 && (words[n] = strtok_r(rest, " ", &rest)) != NULL)
		n++;
	if (n < 6 || strcmp(words[1], "FLOCK") != 0)
		return false;
	uint64_t pid = number(words[4], 10, '\0');
	char *low = strchr(words[5], ':'), *inode = low ? strchr(low + 1, ':') : NULL;
	if (pid == 0 || pid > INT_MAX || !inode || number(words[5], 16, ':') != major(file->st_dev) ||
		number(low + 1, 16, ':') != minor(file->st_dev) || number(inode + 1, 10, '\0') != file->st_ino)
		return false;
	*ret_pid = (pid_t)pid;
	return true;
}

static int find_lock(const char *proc, const char *path, struct port_holder *ret_holder)
{
	char name[PATH_MAX], line[LINE_SIZE];
	struct stat file;
	if (stat(path, &file) < 0)
		return -ENOENT;
	snprintf(name, sizeof(name), "%s/locks", proc);
	FILE *locks = fopen(name, "re");
	if (!locks)
		return -ENOENT;
	int rc = -ENOENT;
	while (rc < 0 && fgets(line, sizeof(line), locks)) {
		struct port_holder holder;
		if (is_lock_on(line, &file, &holder.pid) && holder.pid != getpid()) {
			name_of(proc, &holder);
			*ret_holder = holder;
			rc = 0;
		}
	}
	fclose(locks);
	return rc;
}

static bool has_open(const char *proc, const char *pid, const char *path)
{
	char folder[PATH_MAX], to[PATH_MAX];
	snprintf(folder, sizeof(folder), "%s/%s/fd", proc, pid);
	DIR *fds = opendir(folder);
	if (!fds)
		return false;
	bool found = false;
	const struct dirent *fd;
	while (!found && (fd = readdir(fds)) != NULL) {
		ssize_t n = readlinkat(dirfd(fds), fd->d_name, to, sizeof(to) - 1);
		if (n > 0) {
			to[n] = '\0';
			found = strcmp(to, path) == 0;
		}
	}
	closedir(fds);
	return found;
}

int port_holder_open(const char *proc, const char *path, struct port_holder *ret_holder)
{
	char real[PATH_MAX];
	if (!realpath(path, real))
		return -ENOENT;
	DIR *processes = opendir(proc);
	if (!processes)
		return -ENOENT;
	int rc = -ENOENT;
	const struct dirent *process;
	while (rc < 0 && (process = readdir(processes)) != NULL) {
		char *end;
		long pid = strtol(process->d_name, &end, 10);
		if (pid <= 0 || *end || pid == (long)getpid() || !has_open(proc, process->d_name, real))
			continue;
		struct port_holder holder = {.pid = (pid_t)pid};
		name_of(proc, &holder);
		*ret_holder = holder;
		rc = 0;
	}
	closedir(processes);
	return rc;
}

int port_holder_find(const char *proc, const char *path, struct port_holder *ret_holder)
{
	return find_lock(proc, path, ret_holder) == 0 ? 0 : port_holder_open(proc, path, ret_holder);
}
