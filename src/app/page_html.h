/*
 * The status page as HTML.  Everything is rendered here; what the browser's script does is to fetch the same part again
 * and put it in the place of the old one, so the page is the same without it.
 */
#ifndef APP_PAGE_HTML_H
#define APP_PAGE_HTML_H

#include "app/page_facts.h"
#include "app/sheet.h"

#define PAGE_READINGS 150 /* metrics on one page: what is rendered and sent stays small, however many there are */
#define PAGE_DEVICES  200

/* The part that changes, with the readings of the metrics from `from` on. */
void page_html_live(struct sheet *sheet, const struct page_facts *facts, uint32_t from);

/* The whole page.  nonce: of its style and script, for the Content-Security-Policy. */
void page_html(struct sheet *sheet, const struct page_facts *facts, uint32_t from, const char *nonce);

#endif
