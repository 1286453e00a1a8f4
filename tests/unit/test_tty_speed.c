/*
 * Speeds as numbers, on a pty, which keeps whatever it is told.
 */
#include "base/tty_speed.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

static void any_speed_can_be_set_and_is_read_back(void **state)
{
	(void)state;
	static const uint32_t speeds[] = {50, 300, 9600, 14400, 31250, 115200, 250000, 4000000};
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++) {
		uint32_t baud = 0;
		assert_int_equal(tty_speed_set(fd, speeds[i]), 0);
		assert_int_equal(tty_speed_get(fd, &baud), 0);
		assert_int_equal(baud, speeds[i]);
	}
	close(fd);
}

static void other_settings_stay(void **state)
{
	(void)state;
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0);
	struct termios before, after;
	assert_int_equal(tcgetattr(fd, &before), 0);
	cfmakeraw(&before);
	before.c_cflag |= CSTOPB | CLOCAL;
	assert_int_equal(tcsetattr(fd, TCSANOW, &before), 0);
	assert_int_equal(tty_speed_set(fd, 14400), 0);
	assert_int_equal(tcgetattr(fd, &after), 0);
	assert_int_equal(after.c_cflag & (CSTOPB | CLOCAL), CSTOPB | CLOCAL);
	assert_int_equal(after.c_lflag, before.c_lflag);
	close(fd);
}

static void what_is_no_terminal_has_no_speed(void **state)
{
	(void)state;
	uint32_t baud = 7;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(tty_speed_set(ends[0], 9600), -ENOTTY);
	assert_int_equal(tty_speed_get(ends[0], &baud), -ENOTTY);
	assert_int_equal(baud, 7);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_speed_can_be_set_and_is_read_back),
		cmocka_unit_test(other_settings_stay),
		cmocka_unit_test(what_is_no_terminal_has_no_speed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
