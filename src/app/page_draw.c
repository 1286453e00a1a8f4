/*
 * Drawing.  See page_draw.h.
 *
 * Why paths of whole numbers: they are short, and a hundred of them are made and sent each two seconds.  A run of equal
 * blocks is one rectangle.  Colour never stands alone: what fails is drawn taller than what answers, and the counts are
 * told in words.
 */
#include "app/page_draw.h"

#include <math.h>

#define SPARK_HEIGHT 20
#define STRIP_HEIGHT 16

/* All runs of one outcome as one path; its class names the colour.  How many blocks they are. */
static int draw_outcome(struct sheet *sheet, const uint8_t *blocks, enum outcome outcome)
{
	static const int heights[N_OUTCOMES] = {
		[OUTCOME_ANSWER] = 8, [OUTCOME_EXCEPTION] = 12, [OUTCOME_CHECKSUM] = 16, [OUTCOME_TIMEOUT] = 16};
	int n = 0;
	for (int at = 0, end; at < STRIP_BLOCKS; at = end) {
		for (end = at + 1; end < STRIP_BLOCKS && blocks[end] == blocks[at]; end++)
			;
		if (blocks[at] != (uint8_t)outcome)
			continue;
		if (n == 0)
			sheet_print(sheet, "<path class=\"o%d\" d=\"", (int)outcome);
		sheet_print(sheet, "M%d %dh%dv%dh-%dz", at, STRIP_HEIGHT, end - at, -heights[outcome], end - at);
		n += end - at;
	}
	if (n)
		sheet_add(sheet, "\"/>");
	return n;
}

void page_draw_strip(struct sheet *sheet, const uint8_t blocks[static STRIP_BLOCKS])
{
	sheet_print(sheet,
		"<svg class=\"strip\" viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" "
		"aria-label=\"what it did in the last minute\">",
		STRIP_BLOCKS, STRIP_HEIGHT);
	for (enum outcome outcome = OUTCOME_ANSWER; outcome < N_OUTCOMES; outcome++)
		draw_outcome(sheet, blocks, outcome);
	sheet_add(sheet, "</svg>");
}

void page_draw_spark(struct sheet *sheet, const float points[static BOARD_POINTS], int64_t every_us)
{
	double least = INFINITY, most = -INFINITY;
	int n = 0, gap = 1 + (int)((every_us > 0 ? every_us : 0) * 2 / BOARD_POINT_US), last = -BOARD_POINTS * 2;
	for (int i = 0; i < BOARD_POINTS; i++) {
		if (!isfinite(points[i]))
			continue;
		least = fmin(least, (double)points[i]);
		most = fmax(most, (double)points[i]);
		n++;
	}
	if (n < 2)
		return;
	sheet_print(sheet,
		"<svg class=\"spark\" viewBox=\"-1 -1 %d %d\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
		"<path d=\"",
		BOARD_POINTS + 1, SPARK_HEIGHT + 2);
	for (int i = 0; i < BOARD_POINTS; i++) {
		if (!isfinite(points[i]))
			continue;
		double share = most > least ? ((double)points[i] - least) / (most - least) : 0.5;
		int y = SPARK_HEIGHT - (int)(share * SPARK_HEIGHT + 0.5);
		sheet_print(sheet, i - last > gap ? "M%d %dh0" : "L%d %d", i, y);
		last = i;
	}
	sheet_add(sheet, "\"/></svg>");
}
