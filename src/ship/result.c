/*
 * The words of results, see result.h.
 *
 * What is said of a write that failed is no more than is known: without an answer nobody knows whether it was taken.
 */
#include "ship/result.h"
#include "base/json.h"
#include "base/log.h"
#include "ship/payload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RESULT_MAX 1024
#define VALUE_MAX  256

static void put_result(const struct result *result, uint32_t metric, struct json *json)
{
	char topic[MESSAGE_TOPIC_MAX + 16];
	int n = json_end(json);
	if (n < 0 || !result->messages)
		return;
	snprintf(topic, sizeof(topic), "%s/result", result->plan->metrics[metric].topic);
	struct message message = {.topic = topic,
		.payload = json->text,
		.payload_n = (size_t)n,
		.time_ms = result->clock->wall_ms(result->clock),
		.qos = 1,
		.kind = MESSAGE_STANDING}; /* gone with the connection */
	result->messages->put(result->messages, &message);
	result->messages->flush(result->messages);
}

static void put_value(
	struct json *json, const char *key, const struct plan_metric *metric, const struct bf_value *value)
{
	char text[VALUE_MAX];
	int n = payload_value(metric, value, PAYLOAD_JSON, text, sizeof(text));
	if (n > 0)
		json_raw(json, key, text, (size_t)n);
	else
		json_null(json, key);
}

void result_refused(const struct result *result, uint32_t metric, const char *why)
{
	char text[RESULT_MAX];
	struct json json = json_into(text, sizeof(text));
	json_object(&json, NULL);
	json_bool(&json, "ok", false);
	json_text(&json, "error", why);
	json_object_end(&json);
	put_result(result, metric, &json);
}

const char *result_failure(const struct order_outcome *outcome, char text[static RESULT_WHY_SIZE])
{
	switch (outcome->rc) {
	case 0:
		if (outcome->quality != QUALITY_GOOD)
			return outcome->taken ? "written, but the device shows what is no value"
					      : "the device shows what is no value";
		return outcome->taken ? "written, but the device shows another value"
				      : "not written: the device shows another value";
	case -ETIMEDOUT:
		return outcome->taken ? "timeout: written, but the device does not answer when it is read back"
				      : "timeout: no answer, so it is not known whether it was taken";
	case -EREMOTEIO:
		snprintf(text, RESULT_WHY_SIZE, "exception %u: %s", outcome->exception,
			outcome->taken ? "written, but the device refuses to be read back" : "the device refuses it");
		return text;
	case -EBADMSG:
		return outcome->taken ? "checksum: written, but what comes when it is read back is damaged"
				      : "checksum: what the device answers is damaged";
	case -ENODEV:
		return outcome->taken ? "offline: written, but the port or connection went before it was read back"
				      : "offline: the port or connection is gone";
	case -EHOSTDOWN:
		return "offline: the device does not answer";
	case -EAGAIN:
	case -EBUSY:
		return "busy: the bus has no time for it";
	case -ECANCELED:
	case -ESHUTDOWN:
		return "the gateway ends";
	case -ERANGE:
		return "out of range: the registers can't hold it";
	case -EDOM:
		return "out of range: to the device this means that there is no value";
	default:
		snprintf(text, RESULT_WHY_SIZE, "%s", strerror(-outcome->rc));
		return text;
	}
}

static void log_write(
	const struct result *result, const struct plan_metric *metric, const struct bf_value *wanted, const char *why)
{
	const struct log_about about = {.device = result->plan->devices[metric->device].path, .topic = metric->topic};
	char value[VALUE_MAX];
	int n = payload_value(metric, wanted, PAYLOAD_PLAIN, value, sizeof(value) - 1);
	value[n > 0 ? n : 0] = '\0';
	if (why)
		log_about(LOG_LEVEL_NOTICE, &about, "%s/%s: %s: %s", metric->topic, result->word, value, why);
	else
		log_about(LOG_LEVEL_NOTICE, &about, "%s/%s: %s written", metric->topic, result->word, value);
}

void result_told(
	const struct result *result, uint32_t index, const struct bf_value *wanted, const struct order_outcome *outcome)
{
	char text[RESULT_MAX], why_text[RESULT_WHY_SIZE];
	const struct plan_metric *metric = &result->plan->metrics[index];
	bool good = outcome->rc == 0 && outcome->same && outcome->quality == QUALITY_GOOD;
	const char *why = good ? NULL : result_failure(outcome, why_text);
	log_write(result, metric, wanted, why);
	struct json json = json_into(text, sizeof(text));
	json_object(&json, NULL);
	json_bool(&json, "ok", good);
	if (outcome->rc == 0)
		put_value(&json, "value", metric, &outcome->value);
	if (!good && outcome->rc == 0)
		put_value(&json, "wanted", metric, wanted);
	if (why)
		json_text(&json, "error", why);
	json_object_end(&json);
	put_result(result, index, &json);
}
