/*
 * Who holds a port: a real lock and a real open file of a child, and a /proc that is made up.  The words for failures.
 */
#include "field/port_holder.h"
#include "field/port_failure.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], port[96];

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/busferry-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(port, sizeof(port), "%s/ttyUSB0", folder);
	close(open(port, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

/* A child that opens the port, locks it if asked to, and lives until it is killed. */
static pid_t hold(bool locked)
{
	int ready[2];
	char byte;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = open(port, O_RDWR | O_CLOEXEC);
		if (fd < 0 || (locked && flock(fd, LOCK_EX) < 0) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void who_has_it_open_is_found(void **state)
{
	(void)state;
	struct port_holder holder = {.pid = 7};
	assert_int_equal(port_holder_find("/proc", port, &holder), -ENOENT);
	assert_int_equal(holder.pid, 7);
	pid_t pid = hold(false);
	assert_int_equal(port_holder_find("/proc", port, &holder), 0);
	assert_int_equal(holder.pid, pid);
	assert_string_equal(holder.name, "test_port_holde"); /* the kernel cuts it */
	end(pid);
	assert_int_equal(port_holder_find("/proc", port, &holder), -ENOENT);
	int own = open(port, O_RDWR | O_CLOEXEC);
	assert_int_equal(port_holder_find("/proc", port, &holder), -ENOENT);
	close(own);
}

static void a_lock_says_more_than_an_open_file(void **state)
{
	(void)state;
	struct port_holder holder;
	pid_t reads = hold(false), locks = hold(true), reads_too = hold(false);
	char link[128];
	snprintf(link, sizeof(link), "%s/by-id", folder);
	assert_int_equal(symlink(port, link), 0);
	assert_int_equal(port_holder_find("/proc", link, &holder), 0);
	assert_int_equal(holder.pid, locks);
	end(reads);
	end(locks);
	end(reads_too);
}

static void put(const char *name, const char *text)
{
	char path[192];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void other_locks_and_hidden_programs_are_told_apart(void **state)
{
	(void)state;
	struct stat st;
	struct port_holder holder;
	char locks[512];
	assert_int_equal(stat(port, &st), 0);
	snprintf(locks, sizeof(locks),
		"1: POSIX  ADVISORY  WRITE 11 %02x:%02x:%llu 0 EOF\n"
		"2: FLOCK  ADVISORY  WRITE 12 %02x:%02x:%llu 0 EOF\n"
		"2: -> FLOCK  ADVISORY  WRITE 13 %02x:%02x:%llu 0 EOF\n"
		"nonsense\n"
		"3: FLOCK  ADVISORY  WRITE 0 %02x:%02x:%llu 0 EOF\n"
		"4: FLOCK  ADVISORY  WRITE 14 %02x:%02x:%llu 0 EOF\n",
		major(st.st_dev), minor(st.st_dev), (unsigned long long)st.st_ino, major(st.st_dev), minor(st.st_dev),
		(unsigned long long)st.st_ino + 1, major(st.st_dev), minor(st.st_dev), (unsigned long long)st.st_ino,
		major(st.st_dev), minor(st.st_dev), (unsigned long long)st.st_ino, major(st.st_dev), minor(st.st_dev),
		(unsigned long long)st.st_ino);
	put("locks", locks);
	assert_int_equal(port_holder_find(folder, port, &holder), 0);
	assert_int_equal(holder.pid, 14);
	assert_string_equal(holder.name, "");
}

static void failures_have_words_that_help(void **state)
{
	(void)state;
	char text[PORT_FAILURE_SIZE];
	assert_string_equal(port_failure_text(port, -EBUSY, text), "another program has it");
	pid_t pid = hold(true);
	char expected[PORT_FAILURE_SIZE];
	snprintf(expected, sizeof(expected), "another program has it: test_port_holde, pid %ld", (long)pid);
	assert_string_equal(port_failure_text(port, -EBUSY, text), expected);
	end(pid);
	assert_string_equal(port_failure_text(port, -EACCES, text),
		"permission denied; sudo usermod -aG dialout $USER, then log in again");
	assert_string_equal(port_failure_text(port, -EINVAL, text), "its driver does not do these line settings");
	assert_non_null(strstr(port_failure_text(port, -EOPNOTSUPP, text), "`rs485`"));
	assert_string_equal(port_failure_text(port, -ENOENT, text), "No such file or directory");
	assert_string_equal(port_failure_text(NULL, -EACCES, text), "Permission denied"); /* a host */
	assert_string_equal(port_failure_text(NULL, -ECONNREFUSED, text), "Connection refused");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_has_it_open_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lock_says_more_than_an_open_file, setup, teardown),
		cmocka_unit_test_setup_teardown(other_locks_and_hidden_programs_are_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(failures_have_words_that_help, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
