/*
 * Data sets of meters, "1-0:1.8.1(000123.456*kWh)": IEC 62056-21, section 6.5, and the P1 companion standards built on
 * it.  A data set is an address and values in brackets; a line may hold several data sets, and in DSMR 2.2 and 3.0 the
 * last value of one stands in brackets on a line of its own.
 *
 * The value that is wanted is the last one unless the metric says which: in front of it stand a time, or in old gas
 * data sets a status and a unit.  Behind its "*" stands the unit.
 * An address of the map may leave out what meters leave out or not: "1.8.0" is also "1-0:1.8.0" and "1-0:1.8.0*255";
 * but never "1.8.0*01", which is a reading of the past.
 * Pure; any thread.
 */
#include "text.h"

#include <errno.h>
#include <string.h>

static bool line_end(char c)
{
	return c == '\r' || c == '\n';
}

static bool same(struct text_span address, const char *key)
{
	static const char present[] = "*255";
	const size_t n_present = sizeof(present) - 1;
	if (!strchr(key, ':')) {
		const char *colon = memchr(address.at, ':', address.n);
		if (colon) {
			address.n -= (size_t)(colon + 1 - address.at);
			address.at = colon + 1;
		}
	}
	if (!strchr(key, '*') && address.n > n_present &&
		memcmp(address.at + address.n - n_present, present, n_present) == 0)
		address.n -= n_present;
	return address.n == strlen(key) && memcmp(address.at, key, address.n) == 0;
}

/*
 * The values from the "(" at *at on; *at goes behind the last one.  The one that is wanted; at = NULL: it is not there,
 * or one that is never closed, and then none of them is believed.
 */
static struct text_span values(struct text_span content, size_t *at, int bracket)
{
	struct text_span wanted = {NULL, 0};
	size_t i = *at;
	for (int number = 0; i < content.n && content.at[i] == '('; number++) {
		size_t from = ++i;
		while (i < content.n && content.at[i] != ')' && content.at[i] != '(' && !line_end(content.at[i]))
			i++;
		if (i == content.n || content.at[i] != ')') {
			*at = i;
			return (struct text_span){NULL, 0};
		}
		if (bracket == BF_UNSET || bracket == number)
			wanted = (struct text_span){content.at + from, i - from};
		*at = ++i;
		while (i < content.n && line_end(content.at[i]))
			i++;
	}
	return wanted;
}

int text_obis_find(struct text_span content, const char *key, int bracket, struct text_span *ret_span)
{
	for (size_t i = 0; i < content.n;) {
		size_t from = i;
		while (i < content.n && content.at[i] != '(' && !line_end(content.at[i]))
			i++;
		if (i == content.n || content.at[i] != '(') {
			i++;
			continue;
		}
		struct text_span address = text_trim((struct text_span){content.at + from, i - from});
		struct text_span value = values(content, &i, bracket);
		if (!value.at || address.n == 0 || !same(address, key))
			continue;
		const char *unit = memchr(value.at, '*', value.n);
		if (unit)
			value.n = (size_t)(unit - value.at);
		*ret_span = value;
		return 0;
	}
	return -ENOENT;
}
