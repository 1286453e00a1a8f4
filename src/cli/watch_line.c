/*
 * A line for each message, for pipes.  See watch.h.
 */
#include "base/json.h"
#include "base/utf8.h"
#include "cli/screen.h"
#include "cli/watch.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINE_TEXT   4096
#define PAYLOAD_MAX ((size_t)64 * 1024) /* that --json prints */

struct line {
	FILE *to;
	const struct uplink_message *message;
	int64_t now_ms;
};

static void print_value(void *user, const char *metric, const struct watch_value *value)
{
	const struct line *line = user;
	static char text[LINE_TEXT];
	char when[16] = "";
	time_t seconds = (time_t)((value->time_ms ? value->time_ms : line->now_ms) / 1000);
	struct tm tm;
	if (localtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%H:%M:%S", &tm);
	screen_text(text, sizeof(text), line->message->topic, strlen(line->message->topic), 0);
	fprintf(line->to, "%s %s", when, text);
	if (metric) {
		screen_text(text, sizeof(text), metric, strlen(metric), 0);
		fprintf(line->to, " %s", text);
	}
	screen_text(text, sizeof(text), value->text, strlen(value->text), 0);
	fprintf(line->to, " %s", value->kind == WATCH_CLEARED ? "(cleared)" : text);
	if (value->unit[0]) {
		screen_text(text, sizeof(text), value->unit, strlen(value->unit), 0);
		fprintf(line->to, " %s", text);
	}
	if (value->quality[0]) {
		screen_text(text, sizeof(text), value->quality, strlen(value->quality), 0);
		fprintf(line->to, " (%s)", text);
	}
	fputs(line->message->retained ? " retained\n" : "\n", line->to);
}

void watch_print_line(FILE *to, const struct uplink_message *message, int64_t now_ms)
{
	struct line line = {to, message, now_ms};
	watch_values(message->topic, message->payload, message->payload_n, print_value, &line);
}

static void json_of_value(void *user, const char *metric, const struct watch_value *value)
{
	struct json *json = user;
	if (metric || value->kind == WATCH_OTHER || value->kind == WATCH_CLEARED)
		return; /* the payload says it */
	if (value->raw)
		json_raw(json, "value", value->raw, value->raw_n);
	else if (value->has_number)
		json_raw(json, "value", value->text, strlen(value->text));
	else
		json_text(json, "value", value->text);
	if (value->unit[0])
		json_text(json, "unit", value->unit);
	if (value->quality[0])
		json_text(json, "quality", value->quality);
	if (value->time_ms)
		json_int(json, "time", value->time_ms);
}

void watch_print_json(FILE *to, const struct uplink_message *message, int64_t now_ms)
{
	size_t size = 6 * (strlen(message->topic) + PAYLOAD_MAX) + 1024;
	char *text = malloc(size);
	const char *payload = message->payload ? message->payload : "";
	if (!text)
		return;
	struct json json = json_into(text, size);
	json_object(&json, NULL);
	json_text(&json, "topic", message->topic);
	json_int(&json, "heard", now_ms);
	json_int(&json, "qos", message->qos);
	json_bool(&json, "retained", message->retained);
	if (message->payload_n > PAYLOAD_MAX)
		json_int(&json, "payload_bytes", (int64_t)message->payload_n);
	else if (utf8_valid(payload, message->payload_n) && !memchr(payload, '\0', message->payload_n))
		json_text_n(&json, "payload", payload, message->payload_n);
	else
		json_base64(&json, "payload_base64", payload, message->payload_n);
	watch_values(message->topic, payload, message->payload_n, json_of_value, &json);
	json_object_end(&json);
	if (json_end(&json) > 0)
		fprintf(to, "%s\n", text);
	free(text);
}
