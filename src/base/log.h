/*
 * Log lines: one line a state change, not a line a failure.
 *
 * When stderr is systemd's journal they go to it as entries with fields, else to stderr: with "<N>" for the level where
 * the journal can't be reached, with a time and, unless NO_COLOR is set, a colour on a terminal.  Safe from any thread;
 * a line is made on the stack, leaves in one piece, and waits for nobody: what finds no room is lost, and told later.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

/* Lines below the level are dropped; default LOG_LEVEL_INFO.  Before the threads start. */
void log_set_level(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a line is about, for who filters the journal: journalctl BUSFERRY_DEVICE=cellar/boiler.  NULL = nothing. */
struct log_about {
	const char *bus, *device, *broker, *topic;
};

void log_about(enum log_level level, const struct log_about *about, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * A fault that may last: told at once, then at growing intervals (1 min, doubling to 1 h), its end once.  One that
 * comes and goes all the time (a loose plug) grows quiet too: ten lines at once, then one in six minutes; the end of
 * what was not told is not told either. One owner thread; zero-initialised is "all is well".
 */
struct complaint {
	int64_t since_us; /* 0 = all is well */
	int64_t next_us;  /* when it may be told again */
	int64_t wait_us;
	uint64_t count;   /* times it happened since it began */
	int64_t spent_us; /* the instant up to which its lines are spent, at one in six minutes; outlives its end */
	bool told;
};

/* Notes one more failure.  True when it is to be logged now. */
bool complaint_raise(struct complaint *complaint, int64_t now_us);

/* Notes that all is well.  True when the fault that ends was told; then *ret_lasted_us and *ret_count say how long and
 * how often (both may be NULL). */
bool complaint_clear(struct complaint *complaint, int64_t now_us, int64_t *ret_lasted_us, uint64_t *ret_count);

/* How long something lasted, as people say it: "850 ms", "42 s", "12 min", "5 h", "3 d"; whole numbers, rounded. */
#define LOG_LENGTH_SIZE 32
const char *log_length(int64_t us, char text[static LOG_LENGTH_SIZE]);

#endif
