/*
 * The board: the newest reading of each metric as the report has judged it, and, if wanted, what the last ten minutes
 * looked like.  For whoever looks at the gateway: the status page, and the births of Sparkplug, which tell present
 * values.
 *
 * Written on the wires' threads, each metric by that of its bus only; read from any thread.  Nobody waits: a reader
 * that meets a writer looks again.
 */
#ifndef SHIP_BOARD_H
#define SHIP_BOARD_H

#include "model/plan.h"
#include "model/reading.h"
#include "ship/report.h"

#include <stdbool.h>
#include <stdint.h>

#define BOARD_POINTS   60
#define BOARD_POINT_US (10 * (int64_t)1000000) /* what one point stands for: the last number read in these seconds */

struct board;

/* points: keep them too (480 bytes a metric).  0 and *ret_board, or -ENOMEM.  plan outlives it. */
int board_init(const struct plan *plan, bool points, struct board **ret_board);
void board_destroy(struct board *board); /* NULL is fine */

/* For report_add_tap. */
struct report_tap *board_tap(struct board *board);

/* The metric is the same as one of an older board: what stands there is copied.  While no thread writes either. */
void board_carry(struct board *board, uint32_t metric, const struct board *from, uint32_t from_metric);

/*
 * The newest reading of a metric: true, *ret_reading (a text in `text`, which is terminated) and the monotonic instant
 * at which it was read; false while there is none.
 */
bool board_look(const struct board *board, uint32_t metric, char text[static BF_STRING_MAX + 1],
	struct reading *ret_reading, int64_t *ret_at_us);

/*
 * The numbers of the last ten minutes, the oldest first, the last point being that of now_us (monotonic); NaN where
 * none was read.  All are NaN for texts, and without points.
 */
void board_points(const struct board *board, uint32_t metric, int64_t now_us, float ret_points[static BOARD_POINTS]);

#endif
