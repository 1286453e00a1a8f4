/*
 * Hints: what stands in the way of a serial port, and what helps.  Pure.
 *
 * Sources of the facts: the Raspberry Pi documentation, "Configure UARTs" (which UART is on the header, the mini UART's
 * limits, ttyAMA10 of the Pi 5); the kernel's ftdi_sio driver (latency timer); Debian's udev rules of brltty.
 */
#include "field/ports.h"

#include <stdio.h>
#include <string.h>

struct hints {
	char (*texts)[PORTS_HINT_SIZE];
	size_t n;
};

static char *next_hint(struct hints *hints)
{
	return hints->texts[hints->n < PORTS_HINTS ? hints->n++ : PORTS_HINTS - 1];
}

/* Adapters whose ids brltty takes for Braille displays. */
static bool brltty_takes(const char *vendor, const char *product)
{
	return (strcmp(vendor, "1a86") == 0 && strcmp(product, "7523") == 0) ||
	       (strcmp(vendor, "10c4") == 0 && (strcmp(product, "ea60") == 0 || strcmp(product, "ea80") == 0)) ||
	       (strcmp(vendor, "0403") == 0 && strcmp(product, "6001") == 0);
}

static void hint_use(const struct port_info *port, struct hints *hints)
{
	if (!port->allowed)
		snprintf(next_hint(hints), PORTS_HINT_SIZE,
			"permission denied: sudo usermod -aG %s $USER, then log in again",
			port->group[0] && strcmp(port->group, "root") != 0 ? port->group : "dialout");
	if (port->console)
		snprintf(next_hint(hints), PORTS_HINT_SIZE,
			"the kernel's serial console is on it: take console=%s out of the kernel's command line (on a "
			"Raspberry Pi: sudo raspi-config, Interface Options, Serial Port), then start anew",
			port->name);
	if (port->by_id[0] == '\0' && port->by_path[0] && port->vendor[0])
		snprintf(next_hint(hints), PORTS_HINT_SIZE,
			"its adapter has no link of its own: write port: \"%s\" in the map, which stays with the USB "
			"socket",
			port->by_path);
}

static void hint_latency(const struct port_info *port, struct hints *hints)
{
	if (port->latency_ms > 1)
		snprintf(next_hint(hints), PORTS_HINT_SIZE,
			"its driver collects bytes for %d ms, so an answer may come that much later; busferry asks for "
			"1 ms when it opens the port, and this does it for every program: echo 1 | sudo tee "
			"/sys/class/tty/%s/device/latency_timer",
			port->latency_ms, port->name);
}

static void hint_programs(const struct ports *ports, const struct port_info *port, struct hints *hints)
{
	if (ports->brltty && brltty_takes(port->vendor, port->product))
		snprintf(next_hint(hints), PORTS_HINT_SIZE,
			"brltty takes this kind of adapter for a Braille display: sudo apt remove brltty, unless you "
			"need it");
	if (ports->modem_manager && strncmp(port->name, "ttyACM", 6) == 0)
		snprintf(next_hint(hints), PORTS_HINT_SIZE,
			"ModemManager looks for a modem on it whenever it is plugged in: sudo systemctl disable --now "
			"ModemManager, unless there is one");
}

static void hint_pi(const struct ports *ports, const struct port_info *port, struct hints *hints)
{
	if (strncmp(ports->model, "Raspberry Pi", 12) != 0)
		return;
	bool five = strncmp(ports->model, "Raspberry Pi 5", 14) == 0;
	if (five && strcmp(port->name, "ttyAMA10") == 0)
		snprintf(next_hint(hints), PORTS_HINT_SIZE,
			"this is the debug connector of the Pi 5, not the header; GPIO 14 and 15 are /dev/ttyAMA0 once "
			"dtparam=uart0=on is in /boot/firmware/config.txt");
	else if (five && strcmp(port->name, "ttyAMA0") == 0)
		snprintf(next_hint(hints), PORTS_HINT_SIZE, "GPIO 14 and 15 of the header");
	else if (!five && port->on_header)
		snprintf(next_hint(hints), PORTS_HINT_SIZE, "GPIO 14 and 15 of the header (/dev/serial0)");
	if (strcmp(port->driver, "bcm2835-aux-uart") == 0)
		snprintf(next_hint(hints), PORTS_HINT_SIZE,
			"the mini UART: no parity, no RTS, and its speed follows the core clock; with "
			"dtoverlay=disable-bt in /boot/firmware/config.txt the header gets the good one, ttyAMA0");
}

size_t ports_hints(
	const struct ports *ports, const struct port_info *port, char hints[static PORTS_HINTS][PORTS_HINT_SIZE])
{
	struct hints into = {.texts = hints};
	hint_use(port, &into);
	hint_programs(ports, port, &into);
	hint_pi(ports, port, &into);
	hint_latency(port, &into);
	return into.n;
}

void ports_orphan_hint(const struct ports *ports, const struct port_orphan *orphan, char hint[static PORTS_HINT_SIZE])
{
	if (ports->brltty && brltty_takes(orphan->vendor, orphan->product))
		snprintf(hint, PORTS_HINT_SIZE,
			"brltty has taken it for a Braille display: sudo apt remove brltty, then plug it in again");
	else
		snprintf(hint, PORTS_HINT_SIZE,
			"no driver has taken it: sudo dmesg tells why; on a system without its module, sudo modprobe "
			"usbserial");
}
