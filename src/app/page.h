/*
 * The status page: what a browser, Prometheus or a script may ask of a running gateway.  It changes nothing.
 *
 *     /                    the page
 *     /live                the part of it that changes, for its script
 *     /metrics             counters and readings for Prometheus
 *     /api/status.json     what `busferry status --json` tells, and the readings
 *     /healthz             200, or 503 and what is wrong
 *
 * Whether there is one is for the map to say, and it may be another one after each reading of it.  A page that can't be
 * opened is told in the log and tried again; the gateway runs on.
 *
 * All of it on the main thread, without ever blocking.
 */
#ifndef APP_PAGE_H
#define APP_PAGE_H

#include "app/gateway.h"

struct page;

/* Before the start, so that the log's lines are kept from then on; nothing is opened before the first step.  NULL
 * without memory and for a gateway that prints, which all below take for a page that is not there. */
struct page *page_open(struct gateway *gateway);
void page_close(struct page *page);

/* Readable when page_step has something to do; -1 = there is nothing to wait for. */
int page_fd(const struct page *page);

/* Does it.  Returns when it wants to be called again at the latest; at any rate after the map was read again. */
int64_t page_step(struct page *page, int64_t now_us);

#endif
