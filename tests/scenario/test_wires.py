"""The commands that people bring a bus to life with: `ports`, `scan`, `read`, `simulate --faults`; and ports that go
and come back under the gateway."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
import unittest

from harness import BUSFERRY, PATIENCE, Scenario, free_port, wait_until

MAP = """
site: "s"
broker: "mqtt://127.0.0.1:1"
every: "100ms"
buses: {
  rs485:  { port: "PORT"  line: "19200 8N1" }
  server: { port: "tcp://127.0.0.1:SERVER"  line: "9600 8N1" }
}
floors: { f: {
  meter:  { bus: "rs485"  profile: "eastron-sdm120"  address: 3  only: ["frequency"] }
  odd:    { bus: "rs485"  address: 9  metrics: { a: { input: 5 } } }
  behind: { bus: "server"  address: 4  metrics: { a: { holding: 0  type: "u32" } } }
  plc:    { tcp: "127.0.0.1:TCP"  address: 1  metrics: { a: { holding: 0 } } }
} }
"""

SCAN = """\
unit 3 at 19200 8N1 answers with exception 2, illegal data address, after T ms
  may be   eastron-sdm120       Eastron SDM120-Modbus: input 70 is V (45 to 65)
  may be   eastron-sdm630       Eastron SDM630-Modbus V2: input 70 is V (45 to 65)
unit 9 at 19200 8N1 answers with exception 2, illegal data address, after T ms
  no profile's probe fits

# For the map. A line with a profile replaces the one below it once the type plate says so too.
buses: { found: { port: "PORT"  line: "19200 8N1" } }
floors: {
  found: {
    # unit3: { profile: "eastron-sdm120"  bus: "found"  address: 3 }
    # unit3: { profile: "eastron-sdm630"  bus: "found"  address: 3 }
    unit3: { bus: "found"  address: 3  metrics: { holding_0: { holding: 0 } } }
    unit9: { bus: "found"  address: 9  metrics: { holding_0: { holding: 0 } } }
  }
}
"""


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return bytes([crc & 0xFF, crc >> 8])


class Terminal:
    """A command whose stderr is a terminal, as people see it; its stdout is a pipe."""

    def __init__(self, *args):
        self.ours, theirs = pty.openpty()
        self.child = subprocess.Popen([BUSFERRY, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
                                      text=True)
        os.close(theirs)
        self.seen = ""

    def read(self, wanted=None):
        """What it says on the terminal, until it has said that or has ended."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not (wanted and wanted in self.seen):
            if not select.select([self.ours], [], [], 0.1)[0]:
                if self.child.poll() is not None:
                    break
                continue
            try:
                part = os.read(self.ours, 4096)
            except OSError:
                break
            self.seen += part.decode()
        return self.seen

    def end(self):
        out, _ = self.child.communicate(timeout=PATIENCE)
        self.read()
        os.close(self.ours)
        return out


class Wires(Scenario):
    def play(self, *options, text=MAP):
        self.pty, self.tcp, self.server = self.path("ttyV0"), free_port(), free_port()
        self.conf = self.write("map.conf", text.replace("PORT", self.pty).replace("TCP", str(self.tcp)).replace(
            "SERVER", str(self.server)))
        return self.simulate(self.conf, *options)

    # scan

    def test_scan_finds_settings_addresses_and_profiles(self):
        self.play("--strict", "--holes")
        done = self.command("scan", self.pty, "--lines", "9600 8N1,19200 8N1,115200 8N1", "-a", "1-10")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        told = re.sub(r"after \d+ ms", "after T ms", done.stdout)
        told = re.sub(r" is -?[0-9.e+]+ \(", " is V (", told)
        others = r"(?m)^(?:  may be|  hardly|    # unit3: \{ profile:)(?! +\"?eastron-sdm(?:120|630)\b).*\n"
        told = re.sub(others, "", told)  # profiles with the same probe come and go
        self.assertEqual(told, SCAN.replace("PORT", self.pty))
        pasted = done.stdout[done.stdout.index("# For the map"):]
        own = self.write("pasted.conf", 'site: "s"\nbroker: "mqtt://h"\n' + pasted)
        self.assertEqual(self.command("check", "-c", own).returncode, 0)
        chosen = pasted.replace("# unit3: { profile: \"eastron-sdm120\"", "unit3: { profile: \"eastron-sdm120\"")
        chosen = re.sub(r"\n    unit3: \{ bus.*", "", chosen)
        own = self.write("chosen.conf", 'site: "s"\nbroker: "mqtt://h"\n' + chosen)
        check = self.command("check", "-c", own, "--topics")
        self.assertEqual(check.returncode, 0, check.stderr)
        self.assertIn("s/found/unit3/voltage", check.stdout)

    def test_scan_as_json(self):
        self.play("--strict", "--holes")
        done = self.command("scan", self.pty, "--lines", "19200 8N1", "-a", "1-10", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([(f["unit"], f["line"], f["exception"]) for f in found], [(3, "19200 8N1", 2), (9, "19200 8N1", 2)])
        self.assertGreaterEqual(set(found[0]["profiles"]), {"eastron-sdm120", "eastron-sdm630"})
        self.assertNotIn("pzem-016", found[0]["profiles"])
        probe = next(p for p in found[0]["probes"] if p["profile"] == "eastron-sdm120")
        self.assertTrue(probe["fits"] and 45 < probe["value"] < 65, probe)
        self.assertEqual(found[1]["profiles"], [])
        value = self.command("scan", self.pty, "--lines", "19200 8N1", "-a", "9", "--ask", "input:5", "--json")
        self.assertIn("value", json.loads(value.stdout))

    def test_scan_over_tcp(self):
        self.play("--holes")
        plc = self.command("scan", "tcp://127.0.0.1:%d" % self.tcp, "-a", "1-5", "--json")
        self.assertEqual(plc.returncode, 0, plc.stderr)
        self.assertEqual([(f["unit"], f["any_unit"]) for f in map(json.loads, plc.stdout.splitlines())], [(1, False)])
        behind = self.command("scan", "tcp://127.0.0.1:%d" % self.server, "--rtu", "-a", "2-6", "--timeout", "100ms", "--json")
        self.assertEqual([json.loads(line)["unit"] for line in behind.stdout.splitlines()], [4], behind.stderr)

    def test_scan_with_faults_finds_each_once_and_nobody_else(self):
        self.play("--seed", "5", "--faults", "late:20%,lost:5%,noisy:10%,truncated:5%,exception:10%,wrong-unit:5%")
        done = self.command("scan", self.pty, "--lines", "19200 8N1,9600 8N1", "-a", "1-12", "--json")
        units = [json.loads(line)["unit"] for line in done.stdout.splitlines()]
        self.assertEqual(len(units), len(set(units)), units)
        self.assertLessEqual(set(units), {3, 9}, done.stdout)

    def test_scan_finds_nothing(self):
        self.play()
        done = self.command("scan", self.pty, "--lines", "9600 8N1", "-a", "20-22", "--timeout", "20ms")
        self.assertEqual(done.returncode, 69)
        self.assertEqual(done.stdout, "")
        self.assertIn("nothing answers on " + self.pty, done.stderr)

    def test_scan_on_a_terminal_shows_its_way_and_ends_with_ctrl_c(self):
        self.play("--holes")
        terminal = Terminal("scan", self.pty, "--lines", "19200 8N1", "--timeout", "200ms")
        seen = terminal.read("2 found")
        self.assertIn("\r\x1b[K[", seen)
        self.assertIn("19200 8N1, unit 1, 0 found", seen)
        terminal.child.send_signal(signal.SIGINT)
        out = terminal.end()
        self.assertEqual(terminal.child.returncode, 130)
        self.assertIn("unit 3 at 19200 8N1", out)
        self.assertIn("unit9: { bus", out)
        self.assertNotIn("\x1b", out)

    def test_a_busy_port_says_who_has_it(self):
        self.play()
        gateway = self.gateway(self.conf, "--stdout")
        wait_until(lambda: "s/f/odd/a " in gateway.text(), "a reading")
        who = "another program has it: busferry, pid %d" % gateway.child.pid
        for args in (("scan", self.pty), ("read", self.pty, "input:5", "-a", "9")):
            busy = self.command(*args)
            self.assertEqual(busy.returncode, 75)
            self.assertIn(self.pty + ": " + who, busy.stderr)
        second = self.gateway(self.conf, "--stdout")
        wait_until(lambda: "can't be opened: " + who in second.text(), "the second says so")

    def test_wrong_usage(self):
        for args in ((), ("a", "b"), ("p", "--lines", "9600"), ("p", "-a", "0-5"), ("p", "-a", "x"), ("tcp://h", "--rtu"),
                     ("tcp://h", "--lines", "9600 8N1"), ("p", "--rtu"), ("p", "--ask", "holding"), ("p", "--ask", "coil:70000")):
            self.assertEqual(self.command("scan", *args).returncode, 64, args)
        self.assertEqual(self.command("scan", self.path("none")).returncode, 66)
        self.assertEqual(self.command("scan", self.write("file", "")).returncode, 69)

    # read

    def test_read_over_a_device_server(self):
        self.play()
        where = "tcp://127.0.0.1:%d" % self.server
        done = self.command("read", where, "holding:0", "--rtu", "-a", "4", "-t", "u32", "--orders", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        value = json.loads(done.stdout)["values"][0]
        words = value["ABCD"] >> 16, value["ABCD"] & 0xFFFF
        self.assertEqual(value["CDAB"], words[1] << 16 | words[0])
        self.assertEqual(value["value"], value["ABCD"])
        self.assertEqual(value["DCBA"], int.from_bytes(value["ABCD"].to_bytes(4, "little"), "big"))
        self.assertEqual(self.command("read", where, "holding:0", "--rtu", "-a", "248").returncode, 64)
        silent = self.command("read", where, "holding:0", "--rtu", "-a", "5", "--timeout", "100ms")
        self.assertEqual(silent.returncode, 69)
        self.assertIn("unit 5 does not answer", silent.stderr)
        refused = self.command("read", "tcp://127.0.0.1:%d" % free_port(), "holding:0")
        self.assertEqual(refused.returncode, 69)
        self.assertIn("Connection refused", refused.stderr)

    @unittest.skipIf(os.getuid() != 0 or not os.path.exists("/usr/bin/setpriv"), "needs root to become somebody else")
    def test_read_without_permission(self):
        self.play()
        os.chmod(self.dir, 0o755)
        os.chmod(os.path.realpath(self.pty), 0o600)
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BUSFERRY, "read", self.pty,
                               "input:5", "-a", "9"], capture_output=True, text=True, timeout=PATIENCE, check=False)
        if "setpriv" in done.stderr or "Permission denied" in done.stderr and done.returncode in (126, 127):
            self.skipTest("the program itself can't be reached by others")
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn("sudo usermod -aG", done.stderr)

    # ports

    def test_ports(self):
        machine = self.fake_machine()
        done = self.command("ports", env=machine)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, """\
/dev/ttyS0
  driver   bcm2835-aux-uart
  hint     the kernel's serial console is on it: take console=ttyS0 out of the kernel's command line (on a Raspberry \
Pi: sudo raspi-config, Interface Options, Serial Port), then start anew
  hint     the mini UART: no parity, no RTS, and its speed follows the core clock; with dtoverlay=disable-bt in \
/boot/firmware/config.txt the header gets the good one, ttyAMA0
/dev/ttyUSB0
  link     /dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0
  adapter  FTDI FT232R USB UART (0403:6001, serial A50285BI)
  driver   ftdi_sio
  held by  mbpoll, pid 4242
  hint     brltty takes this kind of adapter for a Braille display: sudo apt remove brltty, unless you need it
  hint     its driver collects bytes for 16 ms, so an answer may come that much later; busferry asks for 1 ms when it \
opens the port, and this does it for every program: echo 1 | sudo tee /sys/class/tty/ttyUSB0/device/latency_timer
USB Serial (1a86:7523): plugged in, but it has no port
  hint     brltty has taken it for a Braille display: sudo apt remove brltty, then plug it in again
""")
        seen = json.loads(self.command("ports", "--json", env=machine).stdout)
        usb = seen["ports"][1]
        self.assertEqual(usb["adapter"], {"vendor": "0403", "product": "6001", "maker": "FTDI", "model": "FT232R USB UART",
                                          "serial": "A50285BI"})
        self.assertEqual(usb["held_by"], {"pid": 4242, "name": "mbpoll"})
        self.assertEqual((usb["latency_ms"], usb["allowed"], usb["console"]), (16, True, False))
        self.assertTrue(seen["ports"][0]["console"])
        self.assertEqual(seen["without_port"][0]["product"], "7523")
        empty = self.command("ports", env=dict(os.environ, BUSFERRY_ROOT=self.path("nothing")))
        self.assertEqual((empty.returncode, empty.stdout, empty.stderr), (0, "", "busferry: no serial ports\n"))
        self.assertEqual(self.command("ports", "x").returncode, 64)
        self.assertEqual(self.command("ports").returncode, 0)  # of this machine, whatever it has

    # Unplugged

    def test_a_port_that_comes_back_under_another_name(self):
        """The same link, another pty each time; the gateway lets go of the dead one at once, though it polls rarely."""
        text = MAP.replace('every: "100ms"', 'every: "1m"')
        simulate = self.play(text=text)
        gateway = self.gateway(self.conf, "--stdout")
        wait_until(lambda: "s/f/odd/availability online" in gateway.text(), "online")
        before = os.path.realpath(self.pty)
        holds = ["/proc/%d/fd/%s" % (gateway.child.pid, fd) for fd in os.listdir("/proc/%d/fd" % gateway.child.pid)]
        self.assertIn(before, [os.path.realpath(fd) for fd in holds])
        simulate.stop(signal.SIGKILL)
        wait_until(lambda: "s/f/odd/availability offline" in gateway.text(), "offline")
        kept = ["/proc/%d/fd/%s" % (gateway.child.pid, fd) for fd in os.listdir("/proc/%d/fd" % gateway.child.pid)]
        self.assertFalse([fd for fd in kept if os.path.lexists(fd) and os.readlink(fd).startswith("/dev/pts/")])
        taken, also_taken = pty.openpty()  # somebody else gets the number
        try:
            self.simulate(self.conf)
            self.assertNotEqual(os.path.realpath(self.pty), os.ttyname(also_taken))
            wait_until(lambda: gateway.text().count("s/f/odd/availability online") == 2, "online again")
            self.assertIn("is back after", gateway.text())
        finally:
            os.close(taken)
            os.close(also_taken)
        self.assertEqual(gateway.stop(), 0)

    def test_unplugged_again_and_again(self):
        self.play("--faults", "unplugged@rs485:5%,unplugged@server:5%", "--seed", "2")
        gateway = self.gateway(self.conf, "--stdout")

        def returns(device):
            return gateway.text().count("s/f/%s/availability online" % device)

        wait_until(lambda: returns("odd") >= 3 and returns("behind") >= 3, "three returns", PATIENCE * 3)
        self.assertTrue(gateway.alive())
        self.assertEqual(gateway.stop(), 0)

    def test_faults_are_told_by_the_help(self):
        helped = self.command("simulate", "--help").stdout
        for kind in ("late", "lost", "truncated", "noisy", "echoing", "foreign", "wrong-unit", "exception", "dead", "slow",
                     "unplugged"):
            self.assertRegex(helped, r"(?m)^  %s +\d+%% " % kind)
        conf = self.write("m.conf", MAP.replace("PORT", self.path("p")).replace("TCP", "1").replace("SERVER", "2"))
        wrong = self.command("simulate", "-c", conf, "--faults", "rude")
        self.assertEqual(wrong.returncode, 64)
        self.assertIn('unknown fault "rude"; there are late, lost, truncated, noisy,', wrong.stderr)
        self.assertIn('no device or bus "f/none"',
                      self.command("simulate", "-c", conf, "--faults", "late@f/none").stderr)

    def test_strict_devices_count_who_was_hasty(self):
        simulate = self.play("--strict")
        fd = os.open(self.pty, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            attributes = termios.tcgetattr(fd)
            attributes[4] = attributes[5] = termios.B19200
            termios.tcsetattr(fd, termios.TCSANOW, attributes)
            question = bytes([9, 4, 0, 5, 0, 1])
            question += crc16(question)
            os.write(fd, question)
            self.assertTrue(select.select([fd], [], [], PATIENCE)[0])
            os.read(fd, 100)
            os.write(fd, question + question)  # one without silence, if not both
            select.select([fd], [], [], 1)  # the first may still be heard
        finally:
            os.close(fd)
        simulate.stop()
        self.assertRegex(simulate.text(), r"bus rs485: [12] requests? came before 3.5 characters of silence")

    def test_a_lock_is_kept_from_others_too(self):
        self.play()
        with open(os.path.realpath(self.pty), "rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            busy = self.command("read", self.pty, "input:5", "-a", "9")
            self.assertEqual(busy.returncode, 75)
            self.assertIn("pid %d" % os.getpid(), busy.stderr)


if __name__ == "__main__":
    unittest.main()
