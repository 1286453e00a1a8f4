/*
 * The words of the qualities.
 */
#include "model/reading.h"

const char *quality_word(enum quality quality)
{
	static const char *const words[] = {"good", "timeout", "checksum", "exception", "invalid", "range", "offline"};
	return words[quality];
}
