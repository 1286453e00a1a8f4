/*
 * The requests about the buffer.  See control_buffer.h.
 *
 * Each but the status is a walk over what waits, pull by pull: the next one is asked for when the lines of the last one
 * are sent, so that a slow client costs the memory of one pull.
 */
#include "app/control_buffer.h"
#include "app/buffer_text.h"
#include "base/log.h"
#include "model/topic.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

void control_buffer_status(struct answer *answer, struct gateway *gateway, const char *const *arguments, size_t n)
{
	(void)arguments;
	(void)n;
	struct buffer_facts facts = {.limits = gateway_buffer(gateway), .running = true};
	outbox_counts(gateway_outbox(gateway), &facts.counts);
	facts.waiting = facts.counts.waiting;
	facts.in_flight = facts.counts.in_flight;
	facts.oldest_ms = facts.counts.oldest_ms;
	facts.memory_bytes = (int64_t)facts.counts.waiting_bytes;
	facts.memory_max = gateway_memory_bytes(gateway);
	if (gateway_store(gateway)) {
		struct store_status status;
		store_status(gateway_store(gateway), &status);
		facts.durable = status.durable;
		facts.disk_bytes = status.bytes;
		facts.damaged = status.damaged;
		facts.rows_written = status.rows_written;
	}
	size_t size = buffer_status_size(&facts);
	char *room = answer_room(answer, size);
	if (!room)
		return;
	struct json json = json_into(room, size);
	buffer_status_json(&json, &facts);
	int length = json_end(&json);
	if (length < 0) {
		answer_fail(answer, EX_SOFTWARE, "the status does not fit");
		return;
	}
	answer_line(answer, (size_t)length);
	answer_end(answer);
}

static void begin(struct answer *answer, enum outbox_view_kind kind, const char *const *arguments, size_t n)
{
	const char *filter = n ? arguments[0] : "", *fault = n ? topic_filter_fault(filter) : NULL;
	if (strlen(filter) > MESSAGE_TOPIC_MAX)
		fault = "is too long";
	if (fault) {
		char text[64];
		snprintf(text, sizeof(text), "the filter %s", fault);
		answer_fail(answer, EX_USAGE, text);
		return;
	}
	answer->kind = kind;
	memcpy(answer->filter, filter, strlen(filter) + 1);
	answer->asks = true;
}

void control_buffer_export(struct answer *answer, struct gateway *gateway, const char *const *arguments, size_t n)
{
	(void)gateway;
	begin(answer, OUTBOX_VIEW_COPY, arguments, n);
}

void control_buffer_count(struct answer *answer, struct gateway *gateway, const char *const *arguments, size_t n)
{
	(void)gateway;
	begin(answer, OUTBOX_VIEW_COUNT, arguments, n);
}

void control_buffer_drop(struct answer *answer, struct gateway *gateway, const char *const *arguments, size_t n)
{
	(void)gateway;
	begin(answer, OUTBOX_VIEW_DROP, arguments, n);
}

static void messages(struct answer *answer, const struct outbox_view *view)
{
	for (size_t i = 0; i < view->n; i++) {
		size_t size = buffer_message_size(&view->messages[i]);
		char *room = answer_room(answer, size);
		if (!room)
			return;
		struct json json = json_into(room, size);
		buffer_message_json(&json, &view->messages[i]);
		int length = json_end(&json);
		if (length > 0)
			answer_line(answer, (size_t)length);
		else
			answer->broken = true;
	}
}

void control_buffer_sums(struct answer *answer)
{
	enum { SUMS_BYTES = 96 };
	char *room = answer_room(answer, SUMS_BYTES);
	if (!room)
		return;
	struct json json = json_into(room, SUMS_BYTES);
	json_object(&json, NULL);
	json_int(&json, "messages", (int64_t)answer->n_waiting);
	json_int(&json, "in_flight", (int64_t)answer->n_in_flight);
	json_object_end(&json);
	int length = json_end(&json);
	if (length > 0)
		answer_line(answer, (size_t)length);
}

void control_buffer_take(struct answer *answer, const struct outbox_view *view)
{
	answer->after = view->after;
	answer->n_waiting += view->n_waiting;
	answer->n_in_flight += view->n_in_flight;
	answer->n_damaged += view->n_damaged;
	answer->asks = !view->ended && !view->error;
	messages(answer, view);
	if (answer->asks)
		return;
	if (answer->kind != OUTBOX_VIEW_COPY)
		control_buffer_sums(answer);
	if (view->error == -EBADMSG)
		answer_fail(answer, EX_DATAERR, "the buffer file is damaged");
	else if (view->error)
		answer_fail(answer, EX_IOERR, strerror(-view->error));
	else
		answer_end(answer);
}

void control_buffer_tell(const struct answer *answer)
{
	if (answer->kind == OUTBOX_VIEW_DROP && answer->n_waiting)
		log_notice("buffer: %" PRIu64 " messages were dropped by command%s%s", answer->n_waiting,
			answer->filter[0] ? ", topic " : "", answer->filter);
}
