"""Sensors on UARTs, live: a device server, a port that is unplugged, several sensors on one UART, means of many messages,
words at the start and the end."""

import json
import os
import pty
import select
import signal
import socket
import threading
import time
import tty
import unittest

from harness import HERE, Scenario, free_port, wait_until

PROFILES = os.path.join(HERE, "..", "..", "config", "profiles")
ASK_CO2 = bytes.fromhex("FF0186000000000079")


def dust(pm25):
    """SDS011: PM2.5 in tenths."""
    body = bytes([pm25 & 255, pm25 >> 8, 5, 0, 1, 2])
    return b"\xaa\xc0" + body + bytes([sum(body) & 255]) + b"\xab"


def distance(cm):
    """TFmini Plus."""
    body = b"\x59\x59" + cm.to_bytes(2, "little") + b"\x64\x00\x00\x09"
    return body + bytes([sum(body) & 255])


def co2(ppm):
    """MH-Z19B's answer."""
    body = b"\xff\x86" + ppm.to_bytes(2, "big") + b"\x47\0\0\0"
    return body + bytes([-sum(body[1:]) & 255])


class Line:
    """A pty under a path of its own; what the gateway sends is handed to `answer`, whose bytes go back."""

    def __init__(self, path, answer=None):
        self.path, self.answer, self.heard = path, answer, b""
        self.ours, theirs = pty.openpty()
        tty.setraw(theirs)
        os.symlink(os.ttyname(theirs), path)
        os.close(theirs)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping.is_set():
            try:
                if not select.select([self.ours], [], [], 0.1)[0]:
                    continue
                got = os.read(self.ours, 256)
            except OSError:  # nobody has it open
                self.stopping.wait(0.02)
                continue
            self.heard += got
            back = self.answer(got) if self.answer else None
            if back:
                self.send(back)

    def send(self, data):
        try:
            os.write(self.ours, data)
        except OSError:
            pass

    def unplug(self):
        self.stopping.set()
        self.thread.join()
        os.unlink(self.path)
        os.close(self.ours)


class Streams(Scenario):
    def setUp(self):
        super().setUp()
        self.mosquitto = self.broker()
        self.sub = self.subscriber(self.mosquitto.port)
        self.stopping = threading.Event()
        self.addCleanup(self.stopping.set)

    def run_map(self, buses, devices, every="1s"):
        conf = self.write("map.conf", """
site: "s"
broker: "mqtt://127.0.0.1:%d"
every: "%s"
buses: { %s }
floors: { f: {
%s
} }
""" % (self.mosquitto.port, every, buses, devices))
        return self.gateway(conf, env={"BUSFERRY_PROFILES": PROFILES})

    def repeat(self, send, data, every_s=0.1):
        """Sends again and again, in the background."""
        def loop():
            while not self.stopping.is_set():
                send(data)
                self.stopping.wait(every_s)
        threading.Thread(target=loop, daemon=True).start()

    def test_a_device_server(self):
        port = free_port()
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen(4)
        self.addCleanup(server.close)
        gateway = self.run_map('net: { port: "tcp://127.0.0.1:%d" }' % port, 'd: { profile: "sds011"  bus: "net" }')
        for n, value in enumerate((123, 456)):
            peer, _ = server.accept()
            for _ in range(30):
                peer.sendall(b"\xaa\xc0\x01" + dust(value)[:4])
                peer.sendall(dust(value)[4:] + dust(value))
                time.sleep(0.05)
            wait_until(lambda v=value: any(r["value"] == v / 10 for r in self.sub.readings("s/f/d/pm25")), "PM2.5")
            peer.close()
            if n == 0:
                wait_until(lambda: "offline" in self.sub.payloads("s/f/d/availability"), "offline")
        self.assertEqual(self.sub.payloads("s/f/d/availability")[:3], ["online", "offline", "online"])
        self.assertTrue(gateway.alive(), gateway.text())

    def test_the_map_is_read_again(self):
        """The sensor that changed is left in order and begun anew; the other one goes on."""
        one, other = Line(self.path("one")), Line(self.path("other"))
        devices = 'a: { profile: "hpma115s0"  port: "%s"  every: "%s" }\n b: { profile: "sds011"  port: "%s" }'
        gateway = self.run_map("", devices % (one.path, "5s", other.path))
        self.repeat(lambda data: other.send(data), dust(100))
        self.sub.wait_for("s/f/b/pm25", 2)
        begins, ends = bytes.fromhex("68010196"), bytes.fromhex("68010295")
        wait_until(lambda: one.heard.count(begins) == 1, "the beginning of the first")
        with open(self.path("map.conf"), encoding="utf-8") as f:
            text = f.read().replace('every: "5s"', 'every: "6s"')
        self.write("map.conf", text)
        gateway.send(signal.SIGHUP)
        wait_until(lambda: "map read again: 1 bus restarted (" in gateway.text(), "the map is read again")
        wait_until(lambda: one.heard.count(begins) == 2, "the beginning of the second")
        self.assertEqual(one.heard.count(ends), 1)
        self.sub.wait_for("s/f/b/pm25", len(self.sub.payloads("s/f/b/pm25")) + 3)
        self.assertEqual({r.get("quality") for r in self.sub.readings("s/f/b/pm25")}, {None})
        gateway.stop()
        wait_until(lambda: one.heard.count(ends) == 2, "the end of the second is read")
        one.unplug()
        other.unplug()

    def test_unplugged_and_plugged_in_again(self):
        line = Line(self.path("uart"))
        gateway = self.run_map("", 'd: { profile: "sds011"  port: "%s" }' % line.path)
        self.repeat(lambda data: line.send(data), dust(100))
        self.sub.wait_for("s/f/d/pm25", 2)
        line.unplug()
        wait_until(lambda: any(r.get("quality") == "offline" for r in self.sub.readings("s/f/d/pm25")), "offline readings")
        line = Line(self.path("uart"))
        wait_until(lambda: self.sub.payloads("s/f/d/availability")[-1:] == ["online"], "online again")
        wait_until(lambda: self.sub.readings("s/f/d/pm25")[-1]["value"] == 10, "a reading again")
        self.assertIn("is back after", gateway.text())
        gateway.stop()
        line.unplug()

    def test_three_on_one_uart_one_is_dead(self):
        def answer(got):
            if got == ASK_CO2:
                return b"\x00" + co2(700)
            if got == bytes.fromhex("A540900800000000000000007D"):
                body = bytes.fromhex("A5019008") + (520).to_bytes(2, "big") + b"\0\0" + (30100).to_bytes(2, "big") + (800).to_bytes(
                    2, "big")
                return body + bytes([sum(body) & 255])
            return None
        line = Line(self.path("uart"), answer)
        self.run_map('uart: { port: "%s"  timeout: "200ms" }' % line.path,
                     'air: { profile: "mhz19b"  bus: "uart" }\n'
                     'battery: { profile: "daly-bms"  bus: "uart"  only: ["voltage", "current"] }\n'
                     'gas: { profile: "t6615"  bus: "uart" }')
        self.sub.wait_for("s/f/air/co2", 6)
        self.sub.wait_for("s/f/battery/voltage", 6)
        self.assertEqual({r["value"] for r in self.sub.readings("s/f/air/co2")}, {700})
        self.assertEqual({r["value"] for r in self.sub.readings("s/f/battery/voltage")}, {52})
        self.assertEqual({r["value"] for r in self.sub.readings("s/f/battery/current")}, {10})
        wait_until(lambda: "offline" in self.sub.payloads("s/f/gas/availability"), "the dead one is offline")
        self.assertEqual(set(self.sub.payloads("s/f/air/availability")), {"online"})
        line.unplug()

    def test_means(self):
        line = Line(self.path("uart"))
        self.run_map("", 'd: { profile: "tfmini-plus"  port: "%s" }' % line.path)
        self.repeat(lambda data: line.send(data), distance(100) + distance(200), 0.02)
        self.sub.wait_for("s/f/d/distance", 4)
        values = [r["value"] for r in self.sub.readings("s/f/d/distance")]
        for value in values[1:]:
            self.assertAlmostEqual(value, 150, delta=5)
        line.unplug()

    def test_words_at_the_start_and_at_the_end(self):
        line = Line(self.path("uart"))
        gateway = self.run_map("", """
  d: { port: "%s"  driver: "text"  init: [ "53 54 41 52 54 0D" ]  stop: "53 54 4F 50 0D"  text: { split: ";"  first: "read" }
       metrics: { t: { column: 0  unit: "°C" } } }""" % line.path)
        wait_until(lambda: b"START\r" in line.heard, "the greeting")
        self.repeat(lambda data: line.send(data), b"21.5;48\r\n")
        self.sub.wait_for("s/f/d/t", 1)
        self.assertEqual(self.sub.readings("s/f/d/t")[0]["value"], 21.5)
        gateway.send(signal.SIGTERM)
        gateway.wait()
        wait_until(lambda: b"STOP\r" in line.heard, "the farewell")
        line.unplug()

    def test_damage_is_told_as_damage(self):
        line = Line(self.path("uart"))
        self.run_map("", 'd: { profile: "sds011"  port: "%s" }' % line.path)
        bad = bytearray(dust(100))
        bad[3] ^= 4
        self.repeat(lambda data: line.send(data), bytes(bad))
        wait_until(lambda: "offline" in self.sub.payloads("s/f/d/availability"), "offline")
        self.assertEqual({(r["value"], r["quality"]) for r in self.sub.readings("s/f/d/pm25")}, {(None, "checksum")})
        line.unplug()

    def test_stats(self):
        line = Line(self.path("uart"))
        gateway = self.run_map("", 'd: { profile: "sds011"  port: "%s" }' % line.path)
        self.repeat(lambda data: line.send(data), dust(100))
        self.sub.wait_for("s/f/d/pm25", 2)
        wait_until(lambda: any(t.endswith("/info") for t, *_ in self.sub.messages()), "info")
        info = next(json.loads(p) for t, p, *_ in self.sub.messages() if t.endswith("/info"))
        self.assertEqual(info["buses"][0]["driver"], "frame")
        gateway.stop()
        line.unplug()


if __name__ == "__main__":
    unittest.main()
