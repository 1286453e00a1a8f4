/*
 * The direction of an RS-485 transceiver.
 *
 * By hand it must turn within the turnaround of the fastest device, a few characters, and not before the last stop bit
 * is out.  tcdrain() alone is no measure of that: the serial core looks only every few milliseconds.  So the time of
 * the frame is slept, to the microsecond, and then the output queue and, where the driver can tell, the shift register
 * are looked at four times a character.
 *
 * Sources: tty_ioctl(4) and the kernel's Documentation/driver-api/serial/serial-rs485.rst.
 */
#include "field/rs485.h"
#include "base/clock.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/serial.h>
#include <sys/ioctl.h>
#include <time.h>

#define RS485_SPARE_US 20000 /* a port that says for ever that it is not done is let go all the same */

static int kernel_control(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument);
}

static int64_t kernel_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void kernel_sleep_until(int64_t at_us)
{
	struct timespec at = clock_timespec(at_us);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

const struct rs485_seam rs485_kernel = {kernel_control, kernel_now_us, kernel_sleep_until};

static int prepare_kernel(const struct rs485_seam *seam, int fd)
{
	struct serial_rs485 settings = {0};
	if (seam->control(fd, TIOCGRS485, &settings) < 0)
		return -EOPNOTSUPP;
	settings.flags |= SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND;
	settings.flags &= ~(__u32)(SER_RS485_RTS_AFTER_SEND | SER_RS485_RX_DURING_TX);
	settings.delay_rts_before_send = 0;
	settings.delay_rts_after_send = 0;
	if (seam->control(fd, TIOCSRS485, &settings) < 0)
		return -EOPNOTSUPP;
	struct serial_rs485 made = {0}; /* drivers leave out what they can't instead of refusing it */
	if (seam->control(fd, TIOCGRS485, &made) < 0 || !(made.flags & SER_RS485_ENABLED))
		return -EOPNOTSUPP;
	return 0;
}

static int prepare_rts(const struct rs485_seam *seam, int fd)
{
	struct serial_rs485 settings = {0};
	if (seam->control(fd, TIOCGRS485, &settings) == 0 && (settings.flags & SER_RS485_ENABLED)) {
		settings.flags &= ~(__u32)SER_RS485_ENABLED; /* two must not switch the same wire */
		seam->control(fd, TIOCSRS485, &settings);
	}
	int rts = TIOCM_RTS;
	return seam->control(fd, TIOCMBIC, &rts) < 0 ? -EOPNOTSUPP : 0;
}

int rs485_prepare(const struct rs485_seam *seam, int fd, enum plan_rs485 mode)
{
	switch (mode) {
	case RS485_KERNEL:
		return prepare_kernel(seam, fd);
	case RS485_RTS:
		return prepare_rts(seam, fd);
	case RS485_AUTO:
		break;
	}
	return 0;
}

int64_t rs485_take(const struct rs485_seam *seam, int fd)
{
	int rts = TIOCM_RTS;
	seam->control(fd, TIOCMBIS, &rts);
	return seam->now_us();
}

/* Is the last bit out?  *register_known: the driver can tell of its shift register. */
static bool all_sent(const struct rs485_seam *seam, int fd, bool *register_known)
{
	int waiting = 0;
	unsigned state = 0;
	if (seam->control(fd, TIOCOUTQ, &waiting) == 0 && waiting > 0)
		return false;
	*register_known = seam->control(fd, TIOCSERGETLSR, &state) == 0;
	return !*register_known || state & TIOCSER_TEMT;
}

void rs485_let_go(const struct rs485_seam *seam, int fd, int64_t taken_at, int64_t frame_us, int64_t char_us)
{
	int64_t give_up_at = taken_at + 2 * frame_us + RS485_SPARE_US;
	int64_t step_us = char_us / 4 > 0 ? char_us / 4 : 1;
	bool register_known = true;
	seam->sleep_until(taken_at + frame_us);
	while (!all_sent(seam, fd, &register_known) && seam->now_us() < give_up_at)
		seam->sleep_until(seam->now_us() + step_us);
	if (!register_known) /* the queue is empty: the last character may still be in the register */
		seam->sleep_until(seam->now_us() + char_us);
	int rts = TIOCM_RTS;
	seam->control(fd, TIOCMBIC, &rts);
}

static bool by_hand(const struct plan_bus *bus)
{
	return bus->wire == WIRE_SERIAL && bus->rs485 == RS485_RTS;
}

int64_t rs485_before(const struct plan_bus *bus, int fd)
{
	return by_hand(bus) ? rs485_take(&rs485_kernel, fd) : 0;
}

void rs485_after(const struct plan_bus *bus, int fd, int64_t taken_at, size_t n)
{
	int error = errno;
	int64_t char_us = plan_line_char_ns(&bus->line) / 1000 + 1;
	if (by_hand(bus))
		rs485_let_go(&rs485_kernel, fd, taken_at, (int64_t)n * char_us, char_us);
	errno = error;
}
