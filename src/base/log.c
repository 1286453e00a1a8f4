/*
 * Log lines and complaints that grow quiet.  See log.h.
 *
 * Invariant: a line leaves in one write(), at most LOG_LINE bytes with its newline (longer ones are cut with "…"), so
 * lines of several threads never mix and no lock is needed.  Control characters from outside are shown as '?': what a
 * device or broker says never reaches a terminal raw.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE 1024

static _Atomic int log_max_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_max_level, (int)level, memory_order_relaxed);
}

enum log_style { STYLE_PLAIN, STYLE_JOURNAL, STYLE_COLOUR };

static enum log_style log_style(void)
{
	static _Atomic int known = -1;
	int style = atomic_load_explicit(&known, memory_order_relaxed);
	if (style >= 0)
		return (enum log_style)style;
	const char *no_color = getenv("NO_COLOR");
	if (getenv("JOURNAL_STREAM"))
		style = STYLE_JOURNAL;
	else if (isatty(STDERR_FILENO) && (!no_color || !*no_color))
		style = STYLE_COLOUR;
	else
		style = STYLE_PLAIN;
	atomic_store_explicit(&known, style, memory_order_relaxed);
	return (enum log_style)style;
}

static int log_prefix(enum log_level level, char *line, size_t size)
{
	static const char *const names[] = {[LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARNING] = "warning",
		[LOG_LEVEL_NOTICE] = "notice",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug"};
	enum log_style style = log_style();
	if (style == STYLE_JOURNAL)
		return snprintf(line, size, "<%d>", (int)level);
	struct timespec ts;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	char stamp[32];
	strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm);
	const char *on = "", *off = "";
	if (style == STYLE_COLOUR && level <= LOG_LEVEL_WARNING) {
		on = level == LOG_LEVEL_ERROR ? "\033[31m" : "\033[33m";
		off = "\033[0m";
	}
	return snprintf(line, size, "%s %s%s:%s ", stamp, on, names[level], off);
}

void log_line(enum log_level level, const char *format, ...)
{
	if ((int)level > atomic_load_explicit(&log_max_level, memory_order_relaxed))
		return;
	char line[LOG_LINE];
	size_t start = (size_t)log_prefix(level, line, sizeof(line));
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line + start, sizeof(line) - start - 1, format, args);
	va_end(args);
	if (n < 0)
		return;
	size_t end = start + (size_t)n;
	if (end > sizeof(line) - 2) {
		end = sizeof(line) - 2;
		memset(line + end - 3, '.', 3);
	}
	for (size_t i = start; i < end; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[end++] = '\n';
	ssize_t written = write(STDERR_FILENO, line, end);
	(void)written; /* there is nowhere left to complain to */
}

#define COMPLAINT_FIRST_US (60 * (int64_t)1000000)
#define COMPLAINT_MAX_US   (3600 * (int64_t)1000000)

bool complaint_raise(struct complaint *complaint, int64_t now_us)
{
	if (complaint->since_us == 0) {
		complaint->since_us = now_us ? now_us : 1;
		complaint->wait_us = COMPLAINT_FIRST_US;
		complaint->next_us = now_us + complaint->wait_us;
		complaint->count = 1;
		return true;
	}
	complaint->count++;
	if (now_us < complaint->next_us)
		return false;
	complaint->wait_us *= 2;
	if (complaint->wait_us > COMPLAINT_MAX_US)
		complaint->wait_us = COMPLAINT_MAX_US;
	complaint->next_us = now_us + complaint->wait_us;
	return true;
}

bool complaint_clear(struct complaint *complaint, int64_t now_us, int64_t *ret_lasted_us, uint64_t *ret_count)
{
	if (complaint->since_us == 0)
		return false;
	if (ret_lasted_us)
		*ret_lasted_us = now_us - complaint->since_us;
	if (ret_count)
		*ret_count = complaint->count;
	*complaint = (struct complaint){0};
	return true;
}

const char *log_length(int64_t us, char text[static LOG_LENGTH_SIZE])
{
	static const struct {
		const char *unit;
		int64_t us, up_to; /* the unit is used for less than this many */
	} units[] = {{"ms", 1000, 1000}, {"s", 1000000, 120}, {"min", 60000000, 120}, {"h", 3600000000, 48},
		{"d", 86400000000, INT64_MAX}};
	size_t i = 0;
	while ((us + units[i].us / 2) / units[i].us >= units[i].up_to)
		i++;
	snprintf(text, LOG_LENGTH_SIZE, "%lld %s", (long long)((us + units[i].us / 2) / units[i].us), units[i].unit);
	return text;
}
