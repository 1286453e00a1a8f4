/*
 * Faults as JSON.  See fault_text.h.
 */
#include "cli/fault_text.h"

#include <string.h>

#define BASE_BYTES  64
#define FAULT_BYTES 160 /* its keys and numbers */
#define ESCAPED     6   /* bytes that one may take */
#define FAULTS_MAX  1000

static size_t text_bytes(const char *text)
{
	return text ? ESCAPED * strlen(text) : 0;
}

size_t fault_text_size(const struct faults *faults)
{
	size_t size = BASE_BYTES;
	for (const struct fault *fault = faults->first; fault; fault = fault->next)
		size += FAULT_BYTES + text_bytes(fault->at.file) + text_bytes(fault->what) + text_bytes(fault->hint);
	return size;
}

static void place_number(struct json *json, const char *key, uint32_t number)
{
	if (number)
		json_int(json, key, number);
	else
		json_null(json, key);
}

void fault_text_json(struct json *json, struct faults *faults)
{
	size_t n = 0;
	faults_sort(faults);
	json_bool(json, "sound", faults->n_errors == 0);
	json_array(json, "faults");
	for (const struct fault *fault = faults->first; fault && n < FAULTS_MAX; fault = fault->next, n++) {
		json_object(json, NULL);
		json_text(json, "level", fault->level == FAULT_ERROR ? "error" : "warning");
		json_text(json, "file", fault->at.file ? fault->at.file : "");
		place_number(json, "line", fault->at.line);
		place_number(json, "column", fault->at.line ? fault->at.column : 0);
		json_text(json, "what", fault->what);
		if (fault->hint)
			json_text(json, "hint", fault->hint);
		json_object_end(json);
	}
	json_array_end(json);
}
