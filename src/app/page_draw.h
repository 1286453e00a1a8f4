/*
 * The pictures of the status page, as SVG in its HTML: what a wire did, and how a value went.  Pure; any thread.
 */
#ifndef APP_PAGE_DRAW_H
#define APP_PAGE_DRAW_H

#include "app/sheet.h"
#include "field/strip.h"
#include "ship/board.h"

/* The last minute of a wire. */
void page_draw_strip(struct sheet *sheet, const uint8_t blocks[static STRIP_BLOCKS]);

/* Ten minutes of a value; nothing for less than two points.  every_us: how often it is read, so that what is missing
 * is told from what lies between. */
void page_draw_spark(struct sheet *sheet, const float points[static BOARD_POINTS], int64_t every_us);

#endif
