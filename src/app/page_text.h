/*
 * What programs read at the status page: the text format of Prometheus (version 0.0.4), and the json of
 * `busferry status` with the readings beside it.
 */
#ifndef APP_PAGE_TEXT_H
#define APP_PAGE_TEXT_H

#include "app/page_facts.h"
#include "app/sheet.h"

/* Pure: it reads counters and boards, which others write meanwhile. */
void page_metrics(struct sheet *sheet, const struct page_facts *facts);

/*
 * status: a json object of n bytes, to which is added "readings": by topic, each `{"value":230.1,"unit":"V","time":…}`
 * as its payload in json, with "quality" when it is not good.
 */
void page_json(struct sheet *sheet, const struct page_facts *facts, const char *status, size_t n);

#endif
