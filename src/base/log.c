/*
 * Log lines and complaints that grow quiet.  See log.h.
 *
 * Invariant: a line leaves in one piece, at most LOG_LINE bytes with its newline (longer ones are cut with "..."), so
 * lines of several threads never mix and no lock is needed.  Control characters from outside are shown as '?', and what
 * is no UTF-8: what a device or broker says never reaches a terminal raw.  What finds no room is lost, counted, and
 * told with the next line that finds some.
 *
 * Fields of the journal: systemd.journal-fields(7); PRIORITY is that of syslog(3).
 */
#include "base/log.h"
#include "base/log_sink.h"
#include "base/log_tail.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOG_LINE  1024
#define LOG_ENTRY 4096 /* with its fields */

static _Atomic int log_max_level = LOG_LEVEL_INFO;
static _Atomic unsigned long long log_lost;

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_max_level, (int)level, memory_order_relaxed);
}

static size_t log_prefix(enum log_level level, char *line, size_t size)
{
	static const char *const names[] = {[LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARNING] = "warning",
		[LOG_LEVEL_NOTICE] = "notice",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug"};
	enum log_style style = log_sink_style();
	if (style == LOG_STYLE_SYSTEMD || style == LOG_STYLE_JOURNAL)
		return (size_t)snprintf(line, size, "<%d>", (int)level);
	struct timespec ts;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	char stamp[32];
	strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm);
	const char *on = "", *off = "";
	if (style == LOG_STYLE_COLOUR && level <= LOG_LEVEL_WARNING) {
		on = level == LOG_LEVEL_ERROR ? "\033[31m" : "\033[33m";
		off = "\033[0m";
	}
	return (size_t)snprintf(line, size, "%s %s%s:%s ", stamp, on, names[level], off);
}

/* Control characters and what is no UTF-8 become '?'. */
static void log_harmless(char *text, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t length = utf8_length(text + i, n - i), step = length ? length : 1;
		if (length == 0 || utf8_is_control(text + i, length))
			memset(text + i, '?', step);
		i += step;
	}
}

/* Formats the line behind what is there.  Where it ends; a newline still fits. */
__attribute__((format(printf, 3, 0))) static size_t log_format(
	char line[static LOG_LINE], size_t start, const char *format, va_list args)
{
	int n = vsnprintf(line + start, LOG_LINE - start - 1, format, args);
	if (n < 0)
		return start;
	size_t end = start + (size_t)n;
	if (end > LOG_LINE - 2) {
		end = LOG_LINE - 2 - 3;
		while (end > start && ((unsigned char)line[end] & 0xc0) == 0x80) /* not within a character */
			end--;
		memset(line + end, '.', 3);
		end += 3;
	}
	log_harmless(line + start, end - start);
	return end;
}

/* `KEY=value` and a newline; one that does not fit is left out. */
static size_t log_field(char entry[static LOG_ENTRY], size_t at, const char *key, const char *value, size_t n)
{
	size_t key_n = strlen(key);
	if (!value || at + key_n + n + 2 > LOG_ENTRY)
		return at;
	char *to = stpcpy(entry + at, key);
	*to++ = '=';
	memcpy(to, value, n);
	log_harmless(to, n);
	to[n] = '\n';
	return at + key_n + n + 2;
}

static size_t log_text_field(char entry[static LOG_ENTRY], size_t at, const char *key, const char *value)
{
	return value ? log_field(entry, at, key, value, strlen(value)) : at;
}

static int log_to_journal(enum log_level level, const struct log_about *about, const char *text, size_t n)
{
	char entry[LOG_ENTRY], priority = (char)('0' + (int)level);
	size_t at = log_field(entry, 0, "PRIORITY", &priority, 1);
	at = log_text_field(entry, at, "SYSLOG_IDENTIFIER", "busferry");
	at = log_field(entry, at, "MESSAGE", text, n);
	if (about) {
		at = log_text_field(entry, at, "BUSFERRY_BUS", about->bus);
		at = log_text_field(entry, at, "BUSFERRY_DEVICE", about->device);
		at = log_text_field(entry, at, "BUSFERRY_BROKER", about->broker);
		at = log_text_field(entry, at, "BUSFERRY_TOPIC", about->topic);
	}
	return log_sink_entry(entry, at);
}

/* A line that has its prefix and room for a newline.  0, or -EAGAIN. */
static int log_send(
	enum log_level level, const struct log_about *about, char line[static LOG_LINE], size_t start, size_t end)
{
	if (log_sink_style() == LOG_STYLE_JOURNAL) {
		int error = log_to_journal(level, about, line + start, end - start);
		if (error == 0 || error == -EAGAIN)
			return error;
	}
	line[end++] = '\n';
	return log_sink_line(line, end);
}

/* Lines were lost before this one: that is told first. */
static int log_tell_lost(unsigned long long n)
{
	char line[LOG_LINE];
	size_t start = log_prefix(LOG_LEVEL_WARNING, line, sizeof(line));
	int end = snprintf(line + start, sizeof(line) - start - 1, "%llu log lines were lost: nobody took them", n);
	return log_send(LOG_LEVEL_WARNING, NULL, line, start, start + (size_t)end);
}

__attribute__((format(printf, 3, 0))) static void log_args(
	enum log_level level, const struct log_about *about, const char *format, va_list args)
{
	if ((int)level > atomic_load_explicit(&log_max_level, memory_order_relaxed))
		return;
	int kept = errno;
	char line[LOG_LINE];
	size_t start = log_prefix(level, line, sizeof(line));
	size_t end = log_format(line, start, format, args);
	log_tail_note(level, line + start, end - start);
	unsigned long long lost = atomic_exchange_explicit(&log_lost, 0, memory_order_relaxed);
	if (lost && log_tell_lost(lost) == 0)
		lost = 0;
	lost += lost || log_send(level, about, line, start, end) != 0;
	if (lost)
		atomic_fetch_add_explicit(&log_lost, lost, memory_order_relaxed);
	errno = kept;
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	log_args(level, NULL, format, args);
	va_end(args);
}

void log_about(enum log_level level, const struct log_about *about, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	log_args(level, about, format, args);
	va_end(args);
}

#define COMPLAINT_FIRST_US (60 * (int64_t)1000000)
#define COMPLAINT_MAX_US   (3600 * (int64_t)1000000)

#define COMPLAINT_PACE_US (360 * (int64_t)1000000) /* a line of one that comes and goes */
#define COMPLAINT_BURST   10

/* May one more line be told?  The generic cell rate algorithm, ITU-T I.371. */
static bool complaint_spend(struct complaint *complaint, int64_t now_us)
{
	int64_t spent_us = complaint->spent_us > now_us ? complaint->spent_us : now_us;
	if (spent_us - now_us > (COMPLAINT_BURST - 1) * COMPLAINT_PACE_US)
		return false;
	complaint->spent_us = spent_us + COMPLAINT_PACE_US;
	complaint->told = true;
	return true;
}

bool complaint_raise(struct complaint *complaint, int64_t now_us)
{
	if (complaint->since_us == 0) {
		complaint->since_us = now_us ? now_us : 1;
		complaint->wait_us = COMPLAINT_FIRST_US;
		complaint->next_us = now_us + complaint->wait_us;
		complaint->count = 1;
		return complaint_spend(complaint, now_us);
	}
	complaint->count++;
	if (now_us < complaint->next_us)
		return false;
	complaint->wait_us *= 2;
	if (complaint->wait_us > COMPLAINT_MAX_US)
		complaint->wait_us = COMPLAINT_MAX_US;
	complaint->next_us = now_us + complaint->wait_us;
	return complaint_spend(complaint, now_us);
}

bool complaint_clear(struct complaint *complaint, int64_t now_us, int64_t *ret_lasted_us, uint64_t *ret_count)
{
	struct complaint ended = *complaint;
	*complaint = (struct complaint){.spent_us = ended.spent_us};
	if (!ended.told)
		return false;
	if (ret_lasted_us)
		*ret_lasted_us = now_us - ended.since_us;
	if (ret_count)
		*ret_count = ended.count;
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
