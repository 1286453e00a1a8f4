/*
 * POSIX extended regular expressions, for text that no other way describes.
 *
 * A driver has no memory of its own for each metric, and a compiled pattern can't be thrown away with the plan; so
 * patterns are compiled when the map is checked and kept to the end of the process, one for each text that was ever
 * used: as many as somebody has written by hand.  The list only grows at its head, by one atomic exchange, and what is
 * on it never changes.  glibc's regexec allocates while it works and takes a lock of the pattern: a device with
 * patterns is the one kind that is not free of allocation while it runs.
 * Invariant: each pattern on the list is compiled.  Any thread.
 */
#include "text.h"

#include <errno.h>
#include <regex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct pattern {
	struct pattern *next;
	regex_t compiled;
	char text[];
};

static struct pattern *_Atomic patterns;

static struct pattern *known(const char *text)
{
	for (struct pattern *pattern = atomic_load(&patterns); pattern; pattern = pattern->next)
		if (strcmp(pattern->text, text) == 0)
			return pattern;
	return NULL;
}

int text_pattern_compile(const char *text, char *why, size_t why_size)
{
	if (known(text))
		return 0;
	size_t n = strlen(text) + 1;
	struct pattern *pattern = malloc(sizeof(*pattern) + n);
	if (!pattern)
		return -ENOMEM;
	memcpy(pattern->text, text, n);
	int err = regcomp(&pattern->compiled, text, REG_EXTENDED | REG_NEWLINE);
	if (err) {
		regerror(err, &pattern->compiled, why, why_size);
		free(pattern);
		return err == REG_ESPACE ? -ENOMEM : -EINVAL;
	}
	pattern->next = atomic_load(&patterns);
	while (!atomic_compare_exchange_weak(&patterns, &pattern->next, pattern))
		;
	return 0;
}

int text_pattern_find(const char *text, struct text_span content, struct text_span *ret_span)
{
	char why[8];
	int err = text_pattern_compile(text, why, sizeof(why));
	if (err < 0)
		return err;
	regmatch_t match[2] = {{.rm_so = 0, .rm_eo = (regoff_t)content.n}};
	err = regexec(&known(text)->compiled, content.at, 2, match, REG_STARTEND);
	if (err)
		return err == REG_NOMATCH ? -ENOENT : -ENOMEM;
	regmatch_t found = match[1].rm_so >= 0 ? match[1] : match[0];
	*ret_span = (struct text_span){content.at + found.rm_so, (size_t)(found.rm_eo - found.rm_so)};
	return 0;
}
