/*
 * What the log says, for tests: from log_capture_begin to log_capture_end stderr is a pipe.  Both may be the setup and
 * teardown of a test.
 */
#ifndef TESTS_LOG_CAPTURE_H
#define TESTS_LOG_CAPTURE_H

extern int log_capture_fd; /* the end that is read */

/* 0, or -1. */
int log_capture_begin(void **state);
int log_capture_end(void **state);

/* What was said since the last call, as it came; stands until the next one.  The pipe must not be full. */
const char *log_captured(void);

#endif
