"""Parts for tests of the whole program: brokers, simulated and real peers, the gateway, subscribers.

Everything runs in a temporary folder, on free ports of the loopback, and ends with the test.  Waits are bounded; no
test asserts on how long something took.
"""

import fcntl
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest

BUSFERRY = os.environ.get("BUSFERRY", os.path.abspath("build/busferry"))
FAKE = os.environ.get("BUSFERRY_FAKE", os.path.join(os.path.dirname(BUSFERRY), "tests", "fake"))
SANITIZE = os.environ.get("BUSFERRY_SANITIZE", "")
PORTS = os.path.join(os.path.dirname(BUSFERRY) if os.access(os.path.dirname(BUSFERRY), os.W_OK) else tempfile.gettempdir(),
                     "last-port-of-a-test")
HERE = os.path.dirname(os.path.abspath(__file__))
MOSQUITTO = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
# Sanitized programs are slower; waits are bounds, not expectations.
PATIENCE = float(os.environ.get("BUSFERRY_PATIENCE", "1")) * 30


def free_port():
    """A port that nobody has, below those that the kernel gives to outgoing connections.  Each is given out once in a round of all,
    also to tests that run beside this one: between now and its use nobody else gets it."""
    with os.fdopen(os.open(PORTS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        last = f.read()
        port = int(last) if last.isdigit() else random.randrange(10000, 32000)
        while True:
            port = port + 1 if 10000 <= port < 31999 else 10000
            with socket.socket() as s:
                try:
                    s.bind(("127.0.0.1", port))
                    break
                except OSError:
                    pass
        f.seek(0)
        f.truncate()
        f.write(str(port))
        return port


def wait_until(condition, what, seconds=None):
    end = time.monotonic() + (seconds or PATIENCE)
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError("waited in vain: " + what)


def preloaded(*names, **told):
    """The environment of a program before which these of tests/fake are loaded; told: variables of theirs."""
    return dict(told, LD_PRELOAD=":".join(os.path.join(FAKE, "lib%s.so" % name) for name in names),
                ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")


def shift_clock(path, ms):
    """The wall clock of the programs with wall_clock and BUSFERRY_CLOCK=path, of those that run and those that come, shows that
    much more than the right time."""
    with open(path, "r+b" if os.path.exists(path) else "wb") as f:
        f.write(struct.pack("=q", ms))


def log_of(database):
    """What SQLite's write-ahead log holds.  Its size tells nothing: it has its space from the start."""
    if not os.path.exists(database + "-wal"):
        return b""
    with open(database + "-wal", "rb") as f:
        return f.read().rstrip(b"\0")


class Process:
    """A child whose output goes to a file, stopped by its pid."""

    def __init__(self, argv, log, env=None, stdin=subprocess.DEVNULL):
        self.log_path = log
        self.log = open(log, "wb")
        self.child = subprocess.Popen(argv, stdout=self.log, stderr=subprocess.STDOUT, stdin=stdin,
                                      env=dict(os.environ, **(env or {})))

    def text(self):
        with open(self.log_path, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def alive(self):
        return self.child.poll() is None

    def threads(self):
        """The names of its threads but the first."""
        tasks = "/proc/%d/task" % self.child.pid
        names = []
        for task in os.listdir(tasks):
            if int(task) != self.child.pid and os.path.exists("%s/%s/comm" % (tasks, task)):
                with open("%s/%s/comm" % (tasks, task), encoding="utf-8") as f:
                    names.append(f.read().strip())
        if SANITIZE == "thread" and "busferry" in names:
            names.remove("busferry")  # its own, named after the first
        return sorted(names)

    def send(self, number):
        self.child.send_signal(number)

    def wait(self, seconds=None):
        return self.child.wait(seconds or PATIENCE)

    def stop(self, number=signal.SIGTERM):
        if self.alive():
            self.send(number)
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
                raise AssertionError("did not end: " + " ".join(self.child.args)) from None
        self.close()
        return self.child.returncode

    def close(self):
        self.log.close()
        if self.child.stdin:
            self.child.stdin.close()


class Scenario(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="busferry-test-")
        self.processes = []
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.addCleanup(self.stop_all)

    def stop_all(self):
        for process in reversed(self.processes):
            if process.alive():
                process.child.kill()
                process.child.wait()
            process.close()
        for process in self.processes:  # a crash is told with its last words, whatever else the test waited for
            crashed = process.child.returncode in (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE)
            if crashed or "Sanitizer" in process.text() or "runtime error: " in process.text():
                raise AssertionError("%s:\n%s" % (" ".join(process.child.args), process.text()[-5000:]))

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def start(self, argv, name, env=None, stdin=subprocess.DEVNULL):
        process = Process(argv, self.path(name + ".log"), env, stdin)
        self.processes.append(process)
        return process

    # The parts

    def broker(self, port=None, extra="", name="mosquitto", saves="autosave_on_changes true"):
        """A mosquitto that keeps its sessions and messages over a restart with the same name.  It saves all of them at
        each change, unless told else: that is some 400 messages a second."""
        port = port or free_port()
        data = self.path(name + "-data")
        os.makedirs(data, exist_ok=True)
        conf = self.write(name + ".conf", "\n".join([
            "listener %d 127.0.0.1" % port, "persistence true", "persistence_location %s/" % data,
            "autosave_interval 1", saves, "max_queued_messages 200000", "log_type error",
            "log_type warning", "log_type notice"] + (["user root"] if os.getuid() == 0 else [])) +
            "\n" + (extra or "allow_anonymous true\n"))
        process = self.start([MOSQUITTO, "-c", conf], "%s-%d" % (name, len(self.processes)))
        process.port = port
        wait_until(lambda: self.listens(port) or not process.alive(), "mosquitto listens")
        self.assertTrue(process.alive(), process.text())
        return process

    @staticmethod
    def listens(port):
        with socket.socket() as s:
            s.settimeout(1)
            return s.connect_ex(("127.0.0.1", port)) == 0

    def subscriber(self, port, topic="#", options=()):
        return Subscriber(self, port, topic, options)

    def simulate(self, conf, *options, env=None):
        process = self.start([BUSFERRY, "simulate", "-c", conf, *options], "simulate", env)
        wait_until(lambda: "ready\n" in process.text() or not process.alive(), "simulate is ready")
        self.assertTrue(process.alive(), process.text())
        return process

    def gateway(self, conf, *options, env=None):
        """One whose map names no buffer waits in memory: the default file is that of the machine's own gateway."""
        with open(conf, "r+", encoding="utf-8") as f:
            if "buffer: {" not in f.read():
                f.write('\nbuffer: { path: ":none:" }\n')
        process = self.start([BUSFERRY, "run", "-c", conf, *options], "busferry-%d" % len(self.processes),
                             dict({"RUNTIME_DIRECTORY": self.dir}, **(env or {})))
        return process

    def buffer_status(self, conf):
        """What `buffer status` tells, from the gateway or the file; None while neither is there."""
        done = self.command("buffer", "status", "--json", "-c", conf)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def wait_for_rows(self, conf, n):
        """Until the gateway that runs the map has written that many readings to disk."""
        wait_until(lambda: ((self.buffer_status(conf) or {}).get("rows_written") or 0) >= n, "%d readings on disk" % n)

    def fake_machine(self):
        """An environment in which `ports` sees a Raspberry Pi with adapters, instead of this machine."""
        root = self.path("machine")

        def put(name, text=""):
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)

        def link(name, target):
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(os.path.join(root, target), path)

        usb = "sys/devices/usb1/1-1.2"
        for name, text in (("idVendor", "0403"), ("idProduct", "6001"), ("manufacturer", "FTDI"),
                           ("product", "FT232R USB UART"), ("serial", "A50285BI"), ("1-1.2:1.0/ttyUSB0/latency_timer", "16")):
            put(usb + "/" + name, text + "\n")
        link(usb + "/1-1.2:1.0/ttyUSB0/driver", "sys/bus/usb-serial/drivers/ftdi_sio")
        link("sys/class/tty/ttyUSB0/device", usb + "/1-1.2:1.0/ttyUSB0")
        put("dev/ttyUSB0")
        link("dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0", "dev/ttyUSB0")
        put("proc/4242/comm", "mbpoll\n")
        link("proc/4242/fd/5", "dev/ttyUSB0")
        put("proc/cmdline", "console=ttyS0,115200 root=/dev/mmcblk0p2\n")
        put("proc/7/comm", "brltty\n")
        link("sys/devices/platform/uart/driver", "sys/bus/platform/drivers/bcm2835-aux-uart")
        link("sys/class/tty/ttyS0/device", "sys/devices/platform/uart")
        put("sys/class/tty/ttyS0/type", "1\n")
        put("dev/ttyS0")
        put("sys/firmware/devicetree/base/model", "Raspberry Pi 4 Model B Rev 1.4\0")
        for name, text in (("idVendor", "1a86"), ("idProduct", "7523"), ("product", "USB Serial")):
            put("sys/bus/usb/devices/1-1.4/" + name, text + "\n")
        return dict(os.environ, BUSFERRY_ROOT=root)

    def command(self, *args, **kwargs):
        kwargs.setdefault("env", dict(os.environ, RUNTIME_DIRECTORY=self.dir))
        return subprocess.run([BUSFERRY, *args], capture_output=True, text=True, timeout=PATIENCE * 4, check=False,
                              stdin=subprocess.DEVNULL, **kwargs)


class Subscriber:
    """mosquitto_sub with a line for each message: retained flag, QoS, topic, payload.  Subscribed when it returns."""

    def __init__(self, scenario, port, topic, options):
        name = "sub-%d" % len(scenario.processes)
        self.process = scenario.start(["mosquitto_sub", "-p", str(port), "-q", "2", "-t", topic, "-t", "mark/" + name,
                                       "-F", "%r %q %t %p", *options], name)

        def marked():
            # At QoS 2, so that it comes behind all that the session has held.
            subprocess.run(["mosquitto_pub", "-p", str(port), "-q", "2", "-t", "mark/" + name, "-m", "x",
                            *options_of(options)], check=False, timeout=PATIENCE)
            return " mark/" + name + " " in self.process.text()

        wait_until(marked, "the subscription")

    def stop(self):
        self.process.stop(signal.SIGKILL)  # mosquitto_sub 2.0.11 does not always end at SIGTERM

    def messages(self):
        found = []
        for line in self.process.text().splitlines():
            parts = line.split(" ", 3)
            if len(parts) == 4 and parts[0] in "01" and parts[1] in "012" and not parts[2].startswith("mark/"):
                found.append((parts[2], parts[3], int(parts[1]), parts[0] == "1"))
        return found

    def payloads(self, topic):
        return [p for t, p, _, _ in self.messages() if t == topic]

    def readings(self, topic):
        return [json.loads(p) for p in self.payloads(topic)]

    def published(self, topic):
        """Readings without the retained ones that a broker repeats at each subscription."""
        return [json.loads(p) for t, p, _, r in self.messages() if t == topic and not r]

    def wait_for(self, topic, n=1, seconds=None):
        wait_until(lambda: len(self.payloads(topic)) >= n, "%d messages on %s" % (n, topic), seconds)
        return self.payloads(topic)


def options_of(options):
    """The options that a publisher shares with a subscriber: who it is."""
    shared = []
    for name in ("-u", "-P"):
        if name in options:
            shared += [name, options[options.index(name) + 1]]
    return shared
