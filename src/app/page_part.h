/*
 * Small parts that the status page is made of: a state, a count, how long ago.  Pure; any thread.
 */
#ifndef APP_PAGE_PART_H
#define APP_PAGE_PART_H

#include "app/page_facts.h"
#include "app/sheet.h"
#include "base/log.h"

/* How long, for people; what is negative is nothing.  Returns text. */
const char *page_length(int64_t us, char text[static LOG_LENGTH_SIZE]);

/* How long ago a monotonic instant is. */
void page_ago(struct sheet *sheet, const struct page_facts *facts, int64_t at_us);

/* class: "good", "bad" or "off", which is seen as a dot before the words. */
void page_state(struct sheet *sheet, const char *class, const char *words);

/* An item of a list, "1 time-out" or "3 time-outs"; nothing for none.  plural: what is added for more than one. */
void page_count(struct sheet *sheet, int64_t n, const char *what, const char *plural);

/* "4.3 kB", "9.5 ms" */
void page_bytes(struct sheet *sheet, int64_t n);
void page_milliseconds(struct sheet *sheet, int64_t us);

#endif
