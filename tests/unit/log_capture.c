/*
 * What the log says, see log_capture.h.
 */
#include "log_capture.h"
#include "base/log_sink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

int log_capture_fd = -1;

static int kept_stderr;

int log_capture_begin(void **state)
{
	(void)state;
	int ends[2];
	unsetenv("JOURNAL_STREAM");
	if (pipe(ends) < 0)
		return -1;
	log_capture_fd = ends[0];
	kept_stderr = dup(STDERR_FILENO);
	if (kept_stderr < 0 || dup2(ends[1], STDERR_FILENO) < 0)
		return -1;
	close(ends[1]);
	log_sink_journal_at(NULL); /* stderr is looked at anew */
	return 0;
}

int log_capture_end(void **state)
{
	(void)state;
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	close(log_capture_fd);
	log_capture_fd = -1;
	log_sink_journal_at(NULL);
	return 0;
}

/* A mark tells where it ends, so nothing waits. */
const char *log_captured(void)
{
	static char text[65536 + 1];
	assert_int_equal(write(STDERR_FILENO, "\f", 1), 1);
	ssize_t n = read(log_capture_fd, text, sizeof(text) - 1);
	assert_true(n > 0);
	assert_int_equal(text[n - 1], '\f');
	text[n - 1] = '\0';
	return text;
}
