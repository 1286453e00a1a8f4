/*
 * The two ways in which a payload escapes a text: as a JSON string, and with backslashes as influx line protocol has
 * it. What is short enough for a hot path is in pen.h.  No state; any thread.
 */
#include "ship/pen.h"
#include "base/json.h"

void pen_json(struct pen *pen, const char *text, size_t n)
{
	struct json json = json_into(pen->text + pen->n, pen->size - pen->n);
	json_text_n(&json, NULL, text, n);
	if (json.overflow)
		pen->overflow = true;
	else
		pen->n += json.n;
}

void pen_escape(struct pen *pen, const char *text, size_t n, const char *special)
{
	for (size_t i = 0; i < n; i++) {
		if (text[i] && strchr(special, text[i]))
			pen_put(pen, "\\", 1);
		pen_put(pen, text + i, 1);
	}
}
