/*
 * Where log lines go, and that nobody ever waits for it.
 *
 * Any thread, but for what is for tests.
 */
#ifndef BASE_LOG_SINK_H
#define BASE_LOG_SINK_H

#include <stddef.h>

enum log_style {
	LOG_STYLE_PLAIN,
	LOG_STYLE_COLOUR,
	LOG_STYLE_SYSTEMD, /* "<N>" before each line: stderr is read by the journal, or by who passes it on */
	LOG_STYLE_JOURNAL, /* entries with fields, to the journal's own socket */
};

/* Looked up at the first call, by stderr and the environment. */
enum log_style log_sink_style(void);

/* One entry of the native protocol.  0; -EAGAIN the journal takes nothing now; another -errno when there is none. */
int log_sink_entry(const char *entry, size_t n);

/* One whole line with its newline, at most PIPE_BUF bytes.  0, or -EAGAIN when its reader takes nothing now. */
int log_sink_line(const char *line, size_t n);

/* For tests: the journal's socket is there and not at its usual place (NULL), and the style is looked up anew. */
void log_sink_journal_at(const char *path);

#endif
