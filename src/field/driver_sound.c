/*
 * A driver's struct, looked over before it is used.  See driver_sound.h.
 *
 * What can't be seen here is whether the functions do as sdk/driver.h says: that is for the tests of the driver.
 */
#include "field/driver_sound.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 32
#define ROWS_MAX       256
#define STRUCT_MAX     65536
#define MEMORY_MAX     (1 << 20)

static bool refuse(char why[static DRIVER_SOUND_SIZE], const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(char why[static DRIVER_SOUND_SIZE], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, DRIVER_SOUND_SIZE, format, args);
	va_end(args);
	return false;
}

static bool letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Letters, then also digits and the signs in `also`; at most n_max bytes. */
static bool word(const char *text, const char *also, size_t n_max)
{
	if (!text || !letter(text[0]))
		return false;
	size_t n = 0;
	for (; n <= n_max && text[n]; n++)
		if (!letter(text[n]) && !(text[n] >= '0' && text[n] <= '9') && !strchr(also, text[n]))
			return false;
	return n <= n_max;
}

/* What the field of a key of that type is (sdk/key.h); size 0 = no such type. */
static size_t field_size(enum bf_key_type type, size_t *ret_alignment)
{
	static const struct {
		size_t size, alignment;
	} fields[] = {
		[BF_KEY_TEXT] = {sizeof(const char *), _Alignof(const char *)},
		[BF_KEY_BOOL] = {sizeof(int), _Alignof(int)},
		[BF_KEY_INT] = {sizeof(int), _Alignof(int)},
		[BF_KEY_NUMBER] = {sizeof(double), _Alignof(double)},
		[BF_KEY_DURATION] = {sizeof(int64_t), _Alignof(int64_t)},
		[BF_KEY_SIZE] = {sizeof(int64_t), _Alignof(int64_t)},
		[BF_KEY_CHOICE] = {sizeof(int), _Alignof(int)},
		[BF_KEY_TEXTS] = {sizeof(struct bf_texts), _Alignof(struct bf_texts)},
		[BF_KEY_SCALAR] = {sizeof(struct bf_scalar), _Alignof(struct bf_scalar)},
		[BF_KEY_BYTES] = {sizeof(struct bf_bytes), _Alignof(struct bf_bytes)},
		[BF_KEY_PAIRS] = {sizeof(struct bf_pairs), _Alignof(struct bf_pairs)},
		[BF_KEY_NODE] = {sizeof(const void *), _Alignof(const void *)},
	};
	if ((size_t)type >= sizeof(fields) / sizeof(fields[0]))
		return 0;
	*ret_alignment = fields[type].alignment;
	return fields[type].size;
}

static bool row_sound(const char *table, const struct bf_key *key, size_t size, char why[static DRIVER_SOUND_SIZE])
{
	size_t alignment = 1, field = field_size(key->type, &alignment);
	if (!word(key->name, "_.", 63))
		return refuse(why, "has a row in its %s whose name is no word: does the table end?", table);
	if (field == 0)
		return refuse(why, "has a key \"%s\" of a type that is not known", key->name);
	if (key->offset > size || field > size - key->offset || key->offset % alignment)
		return refuse(why, "has a key \"%s\" that lies outside of its struct of %zu bytes", key->name, size);
	if (key->type == BF_KEY_CHOICE && !key->choices)
		return refuse(why, "has a key \"%s\" without its choices", key->name);
	if (!key->help)
		return refuse(why, "has a key \"%s\" that says nothing of itself (help)", key->name);
	return true;
}

static bool table_sound(const char *table, const struct bf_key *keys, size_t size, char why[static DRIVER_SOUND_SIZE])
{
	if (!keys)
		return refuse(why, "has no %s; an empty table is one row without a name", table);
	if (size > STRUCT_MAX)
		return refuse(why, "wants %zu bytes for its %s, more than %d", size, table, STRUCT_MAX);
	for (size_t i = 0; keys[i].name; i++) {
		if (i == ROWS_MAX)
			return refuse(why, "has more than %d rows in its %s: does the table end?", ROWS_MAX, table);
		if (!row_sound(table, &keys[i], size, why))
			return false;
	}
	return true;
}

static bool functions_there(const struct bf_driver *driver, char why[static DRIVER_SOUND_SIZE])
{
	const struct {
		enum bf_way way;
		bool there;
		const char *name;
	} needed[] = {
		{BF_WAY_REGISTERS, driver->place != NULL, "place"},
		{BF_WAY_STREAM, driver->shape != NULL, "shape"},
		{BF_WAY_STREAM, driver->longest != NULL, "longest"},
		{BF_WAY_STREAM, driver->find != NULL, "find"},
		{BF_WAY_STREAM, driver->value != NULL, "value"},
	};
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (driver->way == needed[i].way && !needed[i].there)
			return refuse(why, "has no function \"%s\"", needed[i].name);
	return true;
}

bool driver_sound(const struct bf_driver *driver, char ret_why[static DRIVER_SOUND_SIZE])
{
	if (!word(driver->name, "_-", NAME_MAX_BYTES))
		return refuse(ret_why, "has no name, or one that is no word of letters, digits, - and _");
	if (!driver->summary)
		return refuse(ret_why, "has no summary");
	if (driver->way != BF_WAY_REGISTERS && driver->way != BF_WAY_STREAM)
		return refuse(ret_why, "goes a way that is not known (%d)", (int)driver->way);
	if (driver->memory_size > MEMORY_MAX)
		return refuse(ret_why, "wants %zu bytes of memory for a device, more than %d", driver->memory_size,
			MEMORY_MAX);
	return functions_there(driver, ret_why) &&
	       table_sound("device_keys", driver->device_keys, driver->device_size, ret_why) &&
	       table_sound("metric_keys", driver->metric_keys, driver->metric_size, ret_why) &&
	       (!driver->message_keys ||
		       table_sound("message_keys", driver->message_keys, driver->message_size, ret_why));
}
