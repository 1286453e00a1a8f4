/*
 * Answers.  See answer.h.
 *
 * The text grows to what one pull of the view makes of it, which is bounded, and is given back when it is large and
 * all of it is sent.
 */
#include "app/answer.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#define KEEP_BYTES ((size_t)16 * 1024)
#define LAST_BYTES 512

void answer_clear(struct answer *answer)
{
	free(answer->text);
	*answer = (struct answer){0};
}

char *answer_room(struct answer *answer, size_t n)
{
	if (answer->at == answer->n) {
		answer->at = answer->n = 0;
		if (answer->size > KEEP_BYTES) {
			free(answer->text);
			answer->text = NULL;
			answer->size = 0;
		}
	}
	n += 2; /* newline and NUL */
	if (answer->size - answer->n < n) {
		size_t size = answer->n + n > 2 * answer->size ? answer->n + n : 2 * answer->size;
		char *text = realloc(answer->text, size);
		if (!text) {
			answer->broken = true;
			return NULL;
		}
		answer->text = text;
		answer->size = size;
	}
	return answer->text + answer->n;
}

void answer_line(struct answer *answer, size_t n)
{
	answer->n += n;
	answer->text[answer->n++] = '\n';
}

void answer_end(struct answer *answer)
{
	static const char last[] = "{\"ok\":true}";
	char *room = answer_room(answer, sizeof(last));
	answer->ended = true;
	answer->asks = false;
	if (!room)
		return;
	memcpy(room, last, sizeof(last) - 1);
	answer_line(answer, sizeof(last) - 1);
}

void answer_fail(struct answer *answer, int code, const char *error)
{
	char *room = answer_room(answer, LAST_BYTES);
	answer->ended = true;
	answer->asks = false;
	if (!room)
		return;
	struct json json = json_into(room, LAST_BYTES);
	json_object(&json, NULL);
	json_bool(&json, "ok", false);
	json_text(&json, "error", error);
	json_int(&json, "code", code);
	json_object_end(&json);
	int n = json_end(&json);
	if (n > 0)
		answer_line(answer, (size_t)n);
	else
		answer->broken = true;
}
