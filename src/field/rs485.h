/*
 * Who switches the direction of an RS-485 transceiver: the adapter itself ("auto"), the driver in the kernel, or we, by
 * RTS around each frame.  One owner thread a port.
 */
#ifndef FIELD_RS485_H
#define FIELD_RS485_H

#include "model/plan.h"

#include <stddef.h>
#include <stdint.h>

/* What is asked of the kernel; tests bring their own. */
struct rs485_seam {
	int (*control)(int fd, unsigned long request, void *argument); /* as ioctl(2): -1 and errno */
	int64_t (*now_us)(void);
	void (*sleep_until)(int64_t at_us);
};

extern const struct rs485_seam rs485_kernel;

/* Makes a port that was just opened ready to listen.  0; -EOPNOTSUPP when its driver can't. */
int rs485_prepare(const struct rs485_seam *seam, int fd, enum plan_rs485 mode);

/* "rts", before a frame is written: takes the line.  Returns when that was, for rs485_let_go. */
int64_t rs485_take(const struct rs485_seam *seam, int fd);

/*
 * "rts", after it is written: waits until its last bit is out, then lets the line go.  frame_us and char_us: how long
 * the frame and one character take on the line.  Blocks for about that long, never for more than twice of it and 20 ms.
 */
void rs485_let_go(const struct rs485_seam *seam, int fd, int64_t taken_at, int64_t frame_us, int64_t char_us);

/*
 * Around the write of n bytes to a bus, by whatever wire: both of these where its serial port is switched by "rts",
 * else nothing.  taken_at is what rs485_before returned; errno stays.
 */
int64_t rs485_before(const struct plan_bus *bus, int fd);
void rs485_after(const struct plan_bus *bus, int fd, int64_t taken_at, size_t n);

#endif
