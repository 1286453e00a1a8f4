/*
 * What the status page has above its buses: the head, and a card for each of devices, broker, buffer and Sparkplug.
 * Pure; any thread.
 */
#ifndef APP_PAGE_CARDS_H
#define APP_PAGE_CARDS_H

#include "app/page_facts.h"
#include "app/sheet.h"

void page_head(struct sheet *sheet, const struct page_facts *facts);
void page_cards(struct sheet *sheet, const struct page_facts *facts);

#endif
