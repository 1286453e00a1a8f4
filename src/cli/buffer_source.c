/*
 * The two sources.  See buffer_source.h.
 *
 * Why the file is opened only when no gateway answers: a gateway holds it alone, and what waits in its memory is not in
 * it.
 */
#include "cli/buffer_source.h"
#include "app/buffer_text.h"
#include "app/control_buffer.h"
#include "cli/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define TRIES        20
#define TRY_AGAIN_MS 100

struct buffer_source {
	const struct plan *plan;
	FILE *gateway; /* NULL = the file */
	struct journal *journal;
	struct outbox_view *view; /* of the file */
	struct answer answer;
};

static int told(int code, const char *path, const char *what)
{
	fprintf(stderr, "busferry: error: %s%s%s\n", path ? path : "", path ? ": " : "", what);
	return code;
}

static int open_failed(const char *path, int error, int no_gateway)
{
	switch (error) {
	case -ENOENT:
		return told(EX_NOINPUT, path, "there is no buffer file, and no gateway runs this map");
	case -EBUSY:
		return told(EX_TEMPFAIL, path,
			no_gateway == -EACCES ? "a gateway has it, and its control socket is not open to this user"
					      : "a gateway has it, but none that runs this map answers this user on a "
						"control socket");
	case -EACCES:
	case -EPERM:
		return told(EX_NOPERM, path, "not allowed for this user, and no gateway of this map answers");
	case -EBADMSG:
		return told(EX_DATAERR, path,
			"it is damaged, or no buffer file of this version; a gateway that starts rescues what is "
			"sound");
	case -ENOMEM:
		return told(EX_OSERR, path, strerror(-error));
	default:
		return told(EX_IOERR, path, strerror(-error));
	}
}

/* Connects to the gateway.  -1 done; 0 there is none, *ret_no_gateway says why; or the exit code. */
static int open_gateway(struct buffer_source *source, int *ret_no_gateway)
{
	int rc = control_client_connect(source->plan->file, &source->gateway);
	if (rc == 0)
		return -1;
	if (rc == -ETIMEDOUT)
		return told(EX_UNAVAILABLE, NULL, "the gateway does not answer on its control socket");
	*ret_no_gateway = rc;
	return 0;
}

/* -1 with the gateway or the file open, or the exit code.  A gateway that starts has the file before its socket. */
static int open_either(struct buffer_source *source)
{
	const char *path = source->plan->buffer.path;
	int no_gateway = 0, error = -EBUSY;
	for (int i = 0; i < TRIES && error == -EBUSY; i++) {
		if (i)
			poll(NULL, 0, TRY_AGAIN_MS);
		int code = open_gateway(source, &no_gateway);
		if (code)
			return code;
		if (!path)
			return told(EX_UNAVAILABLE, NULL,
				"no gateway that runs this map answers, and without one nothing waits: buffer.path is "
				"\":none:\"");
		error = journal_look(path, &source->journal);
	}
	if (error)
		return open_failed(path, error, no_gateway);
	source->view = calloc(1, sizeof(*source->view));
	return source->view ? -1 : told(EX_OSERR, NULL, strerror(ENOMEM));
}

int buffer_source_open(const struct plan *plan, struct buffer_source **ret_source)
{
	struct buffer_source *source = calloc(1, sizeof(*source));
	if (!source)
		return told(EX_OSERR, NULL, strerror(ENOMEM));
	source->plan = plan;
	int code = open_either(source);
	if (code < 0)
		*ret_source = source;
	else
		buffer_source_close(source);
	return code;
}

void buffer_source_close(struct buffer_source *source)
{
	if (!source)
		return;
	if (source->gateway)
		fclose(source->gateway);
	journal_close(source->journal);
	answer_clear(&source->answer);
	free(source->view);
	free(source);
}

bool buffer_source_runs(const struct buffer_source *source)
{
	return source->gateway != NULL;
}

/* Puts the status of the file into the answer. */
static int file_status(struct buffer_source *source)
{
	struct outbox_view *view = source->view;
	struct buffer_facts facts = {.limits = &source->plan->buffer, .durable = true};
	struct journal_size bytes;
	view->kind = OUTBOX_VIEW_COUNT;
	do {
		outbox_view_pull(view, NULL, source->journal);
		facts.waiting += view->n_waiting;
		facts.damaged += view->n_damaged;
		if (view->oldest_ms && (facts.oldest_ms == 0 || view->oldest_ms < facts.oldest_ms))
			facts.oldest_ms = view->oldest_ms;
	} while (!view->ended && !view->error);
	journal_size(source->journal, &bytes);
	facts.disk_bytes = bytes.bytes;
	size_t size = buffer_status_size(&facts);
	char *room = answer_room(&source->answer, size);
	if (!room)
		return -ENOMEM;
	struct json json = json_into(room, size);
	buffer_status_json(&json, &facts);
	int n = json_end(&json);
	if (n > 0)
		answer_line(&source->answer, (size_t)n);
	return view->error;
}

/* Gives the lines of the answer away.  False when no more are wanted. */
static bool give(struct answer *answer, int *code, bool (*take)(void *user, const char *line, size_t n), void *user)
{
	while (answer->at < answer->n) {
		char *line = answer->text + answer->at, *end = memchr(line, '\n', answer->n - answer->at);
		size_t n = (size_t)(end - line);
		*end = '\0';
		answer->at += n + 1;
		if (control_client_is_last(line)) {
			*code = control_client_verdict(line, n);
			return false;
		}
		if (!take(user, line, n)) {
			*code = 0;
			return false;
		}
	}
	return true;
}

static int ask_file(struct buffer_source *source, const char *what, const char *filter,
	bool (*take)(void *user, const char *line, size_t n), void *user)
{
	struct answer *answer = &source->answer;
	struct outbox_view *view = source->view;
	int code = 0, error;
	answer_clear(answer);
	view->after = 0;
	snprintf(view->filter, sizeof(view->filter), "%s", filter ? filter : "");
	if (strcmp(what, "status") == 0) {
		error = file_status(source);
		give(answer, &code, take, user);
		return error ? open_failed(source->plan->buffer.path, error, 0) : code;
	}
	view->kind = answer->kind = strcmp(what, "export") == 0 ? OUTBOX_VIEW_COPY
				    : strcmp(what, "drop") == 0 ? OUTBOX_VIEW_DROP
								: OUTBOX_VIEW_COUNT;
	do {
		outbox_view_pull(view, NULL, source->journal);
		control_buffer_take(answer, view);
		if (answer->broken)
			return told(EX_OSERR, NULL, strerror(ENOMEM));
	} while (give(answer, &code, take, user));
	if (answer->n_damaged)
		fprintf(stderr, "busferry: warning: %s: %llu damaged messages are left out\n",
			source->plan->buffer.path, (unsigned long long)answer->n_damaged);
	return code;
}

int buffer_source_ask(struct buffer_source *source, const char *what, const char *filter,
	bool (*take)(void *user, const char *line, size_t n), void *user)
{
	const char *words[] = {"buffer", what, filter};
	return source->gateway ? control_client_ask(source->gateway, words, filter ? 3 : 2, take, user)
			       : ask_file(source, what, filter, take, user);
}
