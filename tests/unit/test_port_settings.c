/*
 * Line settings as termios has them, and what is made of a driver that does something else.  Applied to a pty, which
 * keeps the speed and drops parity.
 */
#include "field/port_settings.h"
#include "base/tty_speed.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void settings_become_termios(void **state)
{
	(void)state;
	static const struct {
		struct plan_line line;
		tcflag_t format;
	} cases[] = {
		{{9600, 8, 'N', 1}, CS8},
		{{9600, 8, 'E', 1}, CS8 | PARENB},
		{{9600, 8, 'O', 2}, CS8 | PARENB | PARODD | CSTOPB},
		{{9600, 7, 'E', 1}, CS7 | PARENB},
		{{9600, 8, 'N', 2}, CS8 | CSTOPB},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct termios tio;
		memset(&tio, 0xFF, sizeof(tio));
		port_settings_into(&tio, &cases[i].line);
		assert_int_equal(tio.c_cflag & (CSIZE | PARENB | PARODD | CSTOPB), cases[i].format);
		assert_int_equal(tio.c_cflag & CRTSCTS, 0);
		assert_int_equal(tio.c_iflag & (IXON | IXOFF | ICRNL | ISTRIP | INPCK), 0);
		assert_int_equal(tio.c_lflag & (ICANON | ECHO | ISIG), 0);
		assert_int_equal(tio.c_oflag & OPOST, 0);
		assert_int_equal(tio.c_cc[VMIN], 1);
		assert_int_equal(tio.c_cc[VTIME], 0);
		assert_true(port_settings_match(&tio, 9600, &cases[i].line, true));
	}
}

static void what_a_driver_left_out_is_found(void **state)
{
	(void)state;
	const struct plan_line line = {250000, 8, 'O', 2};
	struct termios tio = {0}, other;
	port_settings_into(&tio, &line);
	assert_true(port_settings_match(&tio, 250000, &line, true));
	assert_true(port_settings_match(&tio, 245001, &line, true)); /* as a divisor makes it */
	assert_true(port_settings_match(&tio, 254999, &line, true));
	assert_false(port_settings_match(&tio, 244999, &line, true));
	assert_false(port_settings_match(&tio, 9600, &line, true));
	assert_false(port_settings_match(&tio, 0, &line, true));
	static const tcflag_t flags[] = {PARENB, PARODD, CSTOPB, CS8};
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		other = tio;
		other.c_cflag &= ~flags[i];
		assert_false(port_settings_match(&other, 250000, &line, true));
		assert_true(port_settings_match(&other, 250000, &line, false));
	}
	const struct plan_line none = {9600, 8, 'N', 1};
	port_settings_into(&tio, &none);
	tio.c_cflag |= PARODD; /* says nothing without parity */
	assert_true(port_settings_match(&tio, 9600, &none, true));
	tio.c_cflag |= PARENB;
	assert_false(port_settings_match(&tio, 9600, &none, true));
}

static void a_pty_takes_any_speed(void **state)
{
	(void)state;
	char name[64];
	int ours = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(ours >= 0);
	assert_int_equal(grantpt(ours), 0);
	assert_int_equal(unlockpt(ours), 0);
	assert_int_equal(ptsname_r(ours, name, sizeof(name)), 0);
	int fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(port_is_pty(fd));
	static const uint32_t speeds[] = {300, 1200, 9600, 14400, 19200, 28800, 76800, 115200, 250000, 921600, 4000000};
	for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++) {
		const struct plan_line line = {speeds[i], 8, 'E', 1};
		uint32_t baud = 0;
		assert_int_equal(port_settings_apply(fd, &line), 0);
		assert_int_equal(tty_speed_get(fd, &baud), 0);
		assert_int_equal(baud, speeds[i]);
		const struct plan_line half = {speeds[i] / 2, 8, 'E', 1};
		assert_int_equal(port_settings_check(fd, &half), -EINVAL);
	}
	assert_int_equal(port_low_latency(fd), -ENOTTY);
	close(fd);
	close(ours);
}

static void what_is_no_terminal_is_told(void **state)
{
	(void)state;
	int ends[2];
	const struct plan_line line = {9600, 8, 'N', 1};
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(port_settings_apply(ends[0], &line), -ENOTTY);
	assert_int_equal(port_settings_check(ends[0], &line), -ENOTTY);
	assert_false(port_is_pty(ends[0]));
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_become_termios),
		cmocka_unit_test(what_a_driver_left_out_is_found),
		cmocka_unit_test(a_pty_takes_any_speed),
		cmocka_unit_test(what_is_no_terminal_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
