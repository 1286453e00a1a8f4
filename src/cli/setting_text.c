/*
 * Settings as text and as JSON: see setting_text.h.
 */
#include "cli/setting_text.h"
#include "sdk/value.h"

#include <inttypes.h>
#include <string.h>

static void print_text(FILE *to, const char *text)
{
	static const char from[] = "\r\n\t\"\\", into[] = "rnt\"\\";
	fputc('"', to);
	for (; *text; text++) {
		const char *found = strchr(from, *text);
		if (found)
			fprintf(to, "\\%c", into[found - from]);
		else if ((unsigned char)*text < 0x20 || *text == 0x7f)
			fprintf(to, "\\x%02x", (unsigned char)*text);
		else
			fputc(*text, to);
	}
	fputc('"', to);
}

/* The items of a group or list. */
static void print_items(FILE *to, const struct tree *items)
{
	bool group = items->type == TREE_GROUP;
	const char *before = group ? " " : "";
	fputs(group ? "{" : "[", to);
	for (const struct tree *item = items->first; item; item = item->next) {
		fputs(before, to);
		setting_print(to, item);
		before = group ? "  " : ", ";
	}
	fputs(group ? " }" : "]", to);
}

void setting_print(FILE *to, const struct tree *setting)
{
	char number[BF_NUMBER_SIZE] = "";
	struct bf_value value = {.kind = BF_FLOAT64};
	if (setting->name)
		fprintf(to, "%s: ", setting->name);
	switch (setting->type) {
	case TREE_GROUP:
	case TREE_LIST:
		print_items(to, setting);
		break;
	case TREE_INT:
		if (setting->hex)
			fprintf(to, "0x%" PRIX64, (uint64_t)setting->i);
		else
			fprintf(to, "%" PRId64, setting->i);
		break;
	case TREE_NUMBER:
		value.f64 = setting->number;
		bf_value_print(&value, -1, number);
		fputs(number, to);
		break;
	case TREE_BOOL:
		fputs(setting->yes ? "true" : "false", to);
		break;
	case TREE_TEXT:
		print_text(to, setting->text);
		break;
	}
}

void setting_json(struct json *json, const struct tree *setting)
{
	char number[BF_NUMBER_SIZE] = "null";
	struct bf_value value = {.kind = BF_FLOAT64};
	bool group = setting->type == TREE_GROUP;
	switch (setting->type) {
	case TREE_GROUP:
	case TREE_LIST:
		(group ? json_object : json_array)(json, setting->name);
		for (const struct tree *item = setting->first; item; item = item->next)
			setting_json(json, item);
		(group ? json_object_end : json_array_end)(json);
		break;
	case TREE_INT:
		json_int(json, setting->name, setting->i);
		break;
	case TREE_NUMBER:
		value.f64 = setting->number;
		bf_value_print(&value, -1, number);
		json_raw(json, setting->name, number, strlen(number));
		break;
	case TREE_BOOL:
		json_bool(json, setting->name, setting->yes);
		break;
	case TREE_TEXT:
		json_text(json, setting->name, setting->text);
		break;
	}
}
