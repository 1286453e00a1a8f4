/*
 * The request about the gateway as a whole: its counters and what it was told to be, in one line.  See
 * control_status.h.
 */
#include "app/control_status.h"
#include "app/stats.h"

#include <sysexits.h>

void control_status(struct answer *answer, struct gateway *gateway, const char *const *arguments, size_t n)
{
	(void)arguments;
	(void)n;
	size_t size = stats_status_size(gateway);
	char *room = answer_room(answer, size);
	if (!room)
		return;
	int length = stats_status_json(gateway, room, size);
	if (length < 0) {
		answer_fail(answer, EX_SOFTWARE, "the status does not fit");
		return;
	}
	answer_line(answer, (size_t)length);
	answer_end(answer);
}
