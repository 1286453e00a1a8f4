/*
 * What a driver says of a key that it refuses.  See driver.h.  Any thread.
 */
#include "sdk/driver.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int bf_refuse(struct bf_complaint *complaint, const char *key, const char *hint, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	complaint->key = key;
	vsnprintf(complaint->what, sizeof(complaint->what), format, args);
	va_end(args);
	if (hint)
		snprintf(complaint->hint, sizeof(complaint->hint), "%s", hint);
	return -EINVAL;
}
