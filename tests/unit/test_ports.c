/*
 * The ports of a machine that is made up of files, and the hints that follow from what is known of one.
 */
#include "field/ports.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64], sys[80], dev[80], proc[80];
static struct ports_roots roots;

/* Makes the folders of a path below the root. */
static const char *below(const char *name)
{
	static char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *slash = strchr(path + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(below(name), "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void link_to(const char *name, const char *target)
{
	char to[PATH_MAX];
	snprintf(to, sizeof(to), "%s/%s", root, target);
	assert_int_equal(symlink(to, below(name)), 0);
}

static int setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/busferry-test-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(sys, sizeof(sys), "%s/sys", root);
	snprintf(dev, sizeof(dev), "%s/dev", root);
	snprintf(proc, sizeof(proc), "%s/proc", root);
	roots = (struct ports_roots){sys, dev, proc};
	put("proc/cmdline", "root=/dev/mmcblk0p2 console=tty1 quiet\n");
	below("sys/class/tty/x");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	char command[96];
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

/* A USB adapter with a port. */
static void plug_in(const char *name, const char *socket, const char *vendor, const char *product, const char *driver)
{
	char path[512], device[128];
	snprintf(device, sizeof(device), "sys/devices/pci0/usb1/%s", socket);
	snprintf(path, sizeof(path), "%s/idVendor", device);
	put(path, vendor);
	snprintf(path, sizeof(path), "%s/idProduct", device);
	put(path, product);
	snprintf(path, sizeof(path), "%s/manufacturer", device);
	put(path, "Maker\n");
	snprintf(path, sizeof(path), "%s/product", device);
	put(path, "A \033[31mstick\n");
	snprintf(path, sizeof(path), "sys/bus/usb/devices/%s", socket);
	link_to(path, device);
	if (!name)
		return;
	snprintf(path, sizeof(path), "%s/%s:1.0/%s/latency_timer", device, socket, name);
	put(path, strcmp(driver, "ftdi_sio") == 0 ? "16\n" : "");
	snprintf(path, sizeof(path), "%s/%s:1.0/%s/driver", device, socket, name);
	char target[512];
	snprintf(target, sizeof(target), "sys/bus/usb-serial/drivers/%s", driver);
	link_to(path, target);
	snprintf(path, sizeof(path), "sys/class/tty/%s/device", name);
	snprintf(target, sizeof(target), "%s/%s:1.0/%s", device, socket, name);
	link_to(path, target);
	snprintf(path, sizeof(path), "dev/%s", name);
	put(path, "");
}

/* A UART of the board. */
static void solder(const char *name, const char *driver, const char *type)
{
	char path[512], target[512];
	snprintf(path, sizeof(path), "sys/devices/platform/%s.uart/%s:0/%s:0.0/driver", name, name, name);
	link_to(path, "sys/bus/serial-base/drivers/port");
	snprintf(path, sizeof(path), "sys/devices/platform/%s.uart/driver", name);
	snprintf(target, sizeof(target), "sys/bus/platform/drivers/%s", driver);
	link_to(path, target);
	snprintf(path, sizeof(path), "sys/class/tty/%s/device", name);
	snprintf(target, sizeof(target), "sys/devices/platform/%s.uart/%s:0/%s:0.0", name, name, name);
	link_to(path, target);
	snprintf(path, sizeof(path), "sys/class/tty/%s/type", name);
	put(path, type);
	snprintf(path, sizeof(path), "dev/%s", name);
	put(path, "");
}

static void adapters_are_described(void **state)
{
	(void)state;
	plug_in("ttyUSB10", "1-1.4", "0403\n", "6001\n", "ftdi_sio");
	plug_in("ttyUSB2", "1-1.2", "1a86\n", "7523\n", "ch341");
	link_to("dev/serial/by-id/usb-FTDI_A50285BI-if00-port0", "dev/ttyUSB10");
	link_to("dev/serial/by-path/platform-usb-0:1.2:1.0-port0", "dev/ttyUSB2");
	put("sys/class/tty/tty7/dev", "4:7\n"); /* a virtual one: no device */
	struct ports ports;
	assert_int_equal(ports_find(&roots, &ports), 0);
	assert_int_equal(ports.n_ports, 2);
	assert_int_equal(ports.n_orphans, 0);
	const struct port_info *first = &ports.ports[0], *second = &ports.ports[1];
	assert_string_equal(first->path, "/dev/ttyUSB2");
	assert_string_equal(first->by_id, "");
	assert_string_equal(first->by_path, "/dev/serial/by-path/platform-usb-0:1.2:1.0-port0");
	assert_string_equal(first->driver, "ch341");
	assert_int_equal(first->latency_ms, -1);
	assert_string_equal(second->path, "/dev/ttyUSB10");
	assert_string_equal(second->by_id, "/dev/serial/by-id/usb-FTDI_A50285BI-if00-port0");
	assert_string_equal(second->driver, "ftdi_sio");
	assert_string_equal(second->vendor, "0403");
	assert_string_equal(second->product, "6001");
	assert_string_equal(second->maker, "Maker");
	assert_string_equal(
		second->model, "A ?[31mstick"); /* what a stick says of itself reaches no terminal as it is */
	assert_int_equal(second->latency_ms, 16);
	assert_false(second->held);
	ports_destroy(&ports);
}

static void uarts_of_the_board_too_and_those_without_a_chip_not(void **state)
{
	(void)state;
	solder("ttyAMA0", "uart-pl011", "32\n");
	solder("ttyS3", "serial8250", "0\n");
	put("proc/cmdline", "console=ttyAMA01 console=ttyAMA0,115200 console=tty1\n");
	link_to("dev/serial0", "dev/ttyAMA0");
	struct ports ports;
	assert_int_equal(ports_find(&roots, &ports), 0);
	assert_int_equal(ports.n_ports, 1);
	assert_string_equal(ports.ports[0].name, "ttyAMA0");
	assert_string_equal(ports.ports[0].driver, "uart-pl011");
	assert_true(ports.ports[0].console);
	assert_true(ports.ports[0].on_header);
	ports_destroy(&ports);
	put("proc/cmdline", "console=ttyAMA01 console=tty1\n");
	assert_int_equal(ports_find(&roots, &ports), 0);
	assert_false(ports.ports[0].console);
	ports_destroy(&ports);
}

static void who_holds_a_port_is_told(void **state)
{
	(void)state;
	plug_in("ttyUSB0", "1-1.2", "1a86\n", "7523\n", "ch341");
	put("proc/4242/comm", "mbpoll\n");
	link_to("proc/4242/fd/3", "dev/ttyUSB0");
	struct ports ports;
	assert_int_equal(ports_find(&roots, &ports), 0);
	assert_true(ports.ports[0].held);
	assert_int_equal(ports.ports[0].holder.pid, 4242);
	assert_string_equal(ports.ports[0].holder.name, "mbpoll");
	ports_destroy(&ports);
}

static void an_adapter_without_a_port_is_told(void **state)
{
	(void)state;
	plug_in(NULL, "1-1.3", "1a86\n", "7523\n", NULL);
	plug_in(NULL, "1-1.4", "046d\n", "c31c\n", NULL); /* a keyboard */
	put("proc/77/comm", "brltty\n");
	struct ports ports;
	char hint[PORTS_HINT_SIZE];
	assert_int_equal(ports_find(&roots, &ports), 0);
	assert_int_equal(ports.n_ports, 0);
	assert_int_equal(ports.n_orphans, 1);
	assert_string_equal(ports.orphans[0].product, "7523");
	assert_true(ports.brltty);
	ports_orphan_hint(&ports, &ports.orphans[0], hint);
	assert_non_null(strstr(hint, "sudo apt remove brltty"));
	ports.brltty = false;
	ports_orphan_hint(&ports, &ports.orphans[0], hint);
	assert_null(strstr(hint, "brltty"));
	ports_destroy(&ports);
}

static void a_machine_without_anything_is_no_failure(void **state)
{
	(void)state;
	const struct ports_roots nowhere = {"/none/sys", "/none/dev", "/none/proc"};
	struct ports ports;
	assert_int_equal(ports_find(&nowhere, &ports), 0);
	assert_int_equal(ports.n_ports, 0);
	ports_destroy(&ports);
	assert_int_equal(ports_latency_ms("/none", "ttyUSB0"), -ENOENT);
}

/* All hints of a port in one text. */
static const char *hints_of(const struct ports *ports, const struct port_info *port)
{
	static char all[PORTS_HINTS * PORTS_HINT_SIZE];
	char hints[PORTS_HINTS][PORTS_HINT_SIZE];
	size_t n = ports_hints(ports, port, hints);
	all[0] = '\0';
	for (size_t i = 0; i < n; i++)
		strcat(strcat(all, hints[i]), "\n");
	return all;
}

static void hints_say_what_helps(void **state)
{
	(void)state;
	struct ports ports = {0};
	struct port_info port = {.name = "ttyUSB0", .allowed = true, .latency_ms = -1};
	assert_string_equal(hints_of(&ports, &port), "");
	port.latency_ms = 1;
	assert_string_equal(hints_of(&ports, &port), "");
	port.latency_ms = 16;
	assert_non_null(strstr(hints_of(&ports, &port), "/sys/class/tty/ttyUSB0/device/latency_timer"));
	port.allowed = false;
	assert_non_null(strstr(hints_of(&ports, &port), "sudo usermod -aG dialout $USER"));
	strcpy(port.group, "uucp");
	assert_non_null(strstr(hints_of(&ports, &port), "sudo usermod -aG uucp $USER"));
	port = (struct port_info){.name = "ttyUSB0",
		.vendor = "10c4",
		.product = "ea60",
		.allowed = true,
		.by_path = "/dev/serial/by-path/x",
		.latency_ms = -1};
	ports.brltty = true;
	assert_non_null(strstr(hints_of(&ports, &port), "brltty"));
	assert_non_null(strstr(hints_of(&ports, &port), "port: \"/dev/serial/by-path/x\""));
	strcpy(port.vendor, "0000");
	assert_null(strstr(hints_of(&ports, &port), "brltty"));
	ports.modem_manager = true;
	assert_null(strstr(hints_of(&ports, &port), "ModemManager"));
	strcpy(port.name, "ttyACM0");
	assert_non_null(strstr(hints_of(&ports, &port), "ModemManager"));
}

static void raspberry_pis_have_their_own(void **state)
{
	(void)state;
	struct ports ports = {.model = "Raspberry Pi 5 Model B Rev 1.0"};
	struct port_info port = {.name = "ttyAMA10", .allowed = true, .on_header = true, .latency_ms = -1};
	assert_non_null(strstr(hints_of(&ports, &port), "debug connector"));
	strcpy(port.name, "ttyAMA0");
	assert_string_equal(hints_of(&ports, &port), "GPIO 14 and 15 of the header\n");
	strcpy(ports.model, "Raspberry Pi 3 Model B Plus Rev 1.3");
	strcpy(port.name, "ttyS0");
	strcpy(port.driver, "bcm2835-aux-uart");
	port.console = true;
	const char *hints = hints_of(&ports, &port);
	assert_non_null(strstr(hints, "take console=ttyS0 out"));
	assert_non_null(strstr(hints, "GPIO 14 and 15"));
	assert_non_null(strstr(hints, "mini UART"));
	strcpy(ports.model, "Some other board");
	port.console = false;
	assert_string_equal(hints_of(&ports, &port), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(adapters_are_described, setup, teardown),
		cmocka_unit_test_setup_teardown(uarts_of_the_board_too_and_those_without_a_chip_not, setup, teardown),
		cmocka_unit_test_setup_teardown(who_holds_a_port_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(an_adapter_without_a_port_is_told, setup, teardown),
		cmocka_unit_test(a_machine_without_anything_is_no_failure),
		cmocka_unit_test(hints_say_what_helps),
		cmocka_unit_test(raspberry_pis_have_their_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
