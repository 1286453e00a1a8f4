/*
 * The direction of a transceiver, with a kernel that is played: what is asked of it in which order, and when.
 */
#include "field/rs485.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/serial.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include <cmocka.h>

/* The port that is played. */
static struct {
	struct serial_rs485 settings;
	bool has_rs485, keeps_rs485, has_pins, has_register;
	bool rts;
	int64_t now, queue_empty_at, register_empty_at;
	int64_t rts_off_at;
	int n_looks;
} port;

static int control_rs485(unsigned long request, void *argument)
{
	struct serial_rs485 *settings = argument;
	if (!port.has_rs485) {
		errno = ENOTTY;
		return -1;
	}
	if (request == TIOCGRS485)
		*settings = port.settings;
	else if (port.keeps_rs485)
		port.settings = *settings;
	return 0;
}

static int control_pins(unsigned long request, const void *argument)
{
	if (!port.has_pins) {
		errno = EINVAL;
		return -1;
	}
	assert_int_equal(*(const int *)argument, TIOCM_RTS);
	port.rts = request == TIOCMBIS;
	port.rts_off_at = port.now;
	return 0;
}

static int control(int fd, unsigned long request, void *argument)
{
	assert_int_equal(fd, 7);
	switch (request) {
	case TIOCGRS485:
	case TIOCSRS485:
		return control_rs485(request, argument);
	case TIOCMBIS:
	case TIOCMBIC:
		return control_pins(request, argument);
	case TIOCOUTQ:
		port.n_looks++;
		*(int *)argument = port.now < port.queue_empty_at;
		return 0;
	case TIOCSERGETLSR:
		if (!port.has_register) {
			errno = ENOTTY;
			return -1;
		}
		*(unsigned *)argument = port.now < port.register_empty_at ? 0 : TIOCSER_TEMT;
		return 0;
	}
	fail();
	return -1;
}

static int64_t now_us(void)
{
	return port.now;
}

static void sleep_until(int64_t at_us)
{
	if (at_us > port.now)
		port.now = at_us;
}

static const struct rs485_seam seam = {control, now_us, sleep_until};

static int setup(void **state)
{
	(void)state;
	memset(&port, 0, sizeof(port));
	port.now = 1000;
	port.has_pins = true;
	return 0;
}

static void auto_leaves_the_port_alone(void **state)
{
	(void)state;
	port.has_pins = false;
	port.has_rs485 = true;
	port.keeps_rs485 = true;
	assert_int_equal(rs485_prepare(&seam, 7, RS485_AUTO), 0);
	assert_int_equal(port.settings.flags, 0);
}

static void the_kernel_switches_if_it_can(void **state)
{
	(void)state;
	assert_int_equal(rs485_prepare(&seam, 7, RS485_KERNEL), -EOPNOTSUPP);
	port.has_rs485 = true; /* takes the call and drops the flag, as drivers do */
	assert_int_equal(rs485_prepare(&seam, 7, RS485_KERNEL), -EOPNOTSUPP);
	port.keeps_rs485 = true;
	port.settings.flags = SER_RS485_RTS_AFTER_SEND | SER_RS485_TERMINATE_BUS;
	port.settings.delay_rts_after_send = 5;
	assert_int_equal(rs485_prepare(&seam, 7, RS485_KERNEL), 0);
	assert_int_equal(port.settings.flags, SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND | SER_RS485_TERMINATE_BUS);
	assert_int_equal(port.settings.delay_rts_after_send, 0);
}

static void by_hand_the_port_listens_first_and_nobody_else_switches(void **state)
{
	(void)state;
	port.rts = true;
	port.has_rs485 = true;
	port.keeps_rs485 = true;
	port.settings.flags = SER_RS485_ENABLED;
	assert_int_equal(rs485_prepare(&seam, 7, RS485_RTS), 0);
	assert_false(port.rts);
	assert_int_equal(port.settings.flags & SER_RS485_ENABLED, 0);
	port.has_pins = false;
	assert_int_equal(rs485_prepare(&seam, 7, RS485_RTS), -EOPNOTSUPP);
}

static void the_line_is_let_go_when_the_last_bit_is_out(void **state)
{
	(void)state;
	port.has_register = true;
	int64_t taken_at = rs485_take(&seam, 7);
	assert_true(port.rts);
	assert_int_equal(taken_at, 1000);
	port.queue_empty_at = taken_at + 8100; /* it began a little late */
	port.register_empty_at = taken_at + 9140;
	rs485_let_go(&seam, 7, taken_at, 8334, 1042);
	assert_false(port.rts);
	assert_in_range(port.rts_off_at, taken_at + 9140, taken_at + 9140 + 1042 / 4);
}

static void not_a_moment_is_lost_when_it_was_out_in_time(void **state)
{
	(void)state;
	port.has_register = true;
	int64_t taken_at = rs485_take(&seam, 7);
	port.queue_empty_at = port.register_empty_at = taken_at + 8330;
	rs485_let_go(&seam, 7, taken_at, 8334, 1042);
	assert_int_equal(port.rts_off_at, taken_at + 8334);
	assert_int_equal(port.n_looks, 1);
}

static void without_a_register_a_character_is_added(void **state)
{
	(void)state;
	int64_t taken_at = rs485_take(&seam, 7);
	port.queue_empty_at = taken_at + 8000;
	rs485_let_go(&seam, 7, taken_at, 8334, 1042);
	assert_int_equal(port.rts_off_at, taken_at + 8334 + 1042);
}

static void a_port_that_never_ends_is_let_go_all_the_same(void **state)
{
	(void)state;
	int64_t taken_at = rs485_take(&seam, 7);
	port.queue_empty_at = INT64_MAX;
	rs485_let_go(&seam, 7, taken_at, 8334, 1042);
	assert_false(port.rts);
	assert_in_range(port.rts_off_at, taken_at + 2 * 8334, taken_at + 2 * 8334 + 20000 + 2 * 1042);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(auto_leaves_the_port_alone, setup),
		cmocka_unit_test_setup(the_kernel_switches_if_it_can, setup),
		cmocka_unit_test_setup(by_hand_the_port_listens_first_and_nobody_else_switches, setup),
		cmocka_unit_test_setup(the_line_is_let_go_when_the_last_bit_is_out, setup),
		cmocka_unit_test_setup(not_a_moment_is_lost_when_it_was_out_in_time, setup),
		cmocka_unit_test_setup(without_a_register_a_character_is_added, setup),
		cmocka_unit_test_setup(a_port_that_never_ends_is_let_go_all_the_same, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
