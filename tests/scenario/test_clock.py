"""A machine without a battery: its clock starts in 1970, is set later, and jumps.  Readings get their own times, in
memory and on disk, over a restart; nothing is lost, and order is that of reading.
"""

import json
import signal
import time
import unittest

from harness import Scenario, free_port, preloaded, shift_clock, wait_until

MAP = """
site: "s"
broker: {{ url: "mqtt://127.0.0.1:{broker}"  keepalive: "5s" }}
gateway: {{ id: "g"  ids: true }}
every: "50ms"
buffer: {{ path: "{path}"  sync: "0s"  max_size: "16MB"  max_age: "1h" }}
topics: {{ line: {{ match: "s/f/line/#"  payload: "influx" }}  all: {{ match: "s/f/all/#"  per: "device" }} }}
floors: {{ f: {{
  d: {{ tcp: "127.0.0.1:{tcp}"  metrics: {{ m: {{ input: 0 }} }} }}
  line: {{ tcp: "127.0.0.1:{tcp}"  address: 2  metrics: {{ m: {{ input: 0 }} }} }}
  all: {{ tcp: "127.0.0.1:{tcp}"  address: 3  metrics: {{ m: {{ input: 0 }}  n: {{ input: 1 }} }} }}
}} }}
"""
DAY_MS, YEAR_MS = 86400000, 31557600000


def now_ms():
    return time.time() * 1000


class Clock(Scenario):
    def setUp(self):
        super().setUp()
        self.port, self.clock = free_port(), self.path("clock")
        self.conf = self.write("map.conf", MAP.format(broker=self.port, tcp=free_port(), path=self.path("buffer.db")))
        self.shift(-int(now_ms()))
        self.env = preloaded("wall_clock", BUSFERRY_CLOCK=self.clock)
        self.simulate(self.conf)
        broker = self.broker(self.port)
        self.sub = self.subscriber(self.port, "s/f/+/#", ("-c", "-i", "audit"))
        broker.stop()

    def shift(self, ms):
        shift_clock(self.clock, ms)

    def run_one(self):
        return self.gateway(self.conf, env=self.env)

    def readings(self, topic="s/f/d/m"):
        return self.sub.published(topic)

    def numbers(self):
        """Of each process, in the order in which they came first, of all json readings."""
        boots = {}
        for topic, payload, _, retained in self.sub.messages():
            if not retained and topic in ("s/f/d/m", "s/f/all"):
                boot, number = json.loads(payload)["id"].split("-")
                boots.setdefault(boot, {})[int(number)] = None
        return {boot: list(numbers) for boot, numbers in boots.items()}

    def whole(self, first_boots):
        """No number is missing, and each topic's come in their order."""
        for boot, numbers in list(self.numbers().items())[:first_boots]:
            self.assertEqual(sorted(numbers), list(range(1, 1 + max(numbers))), boot)
        for topic in ("s/f/d/m", "s/f/all"):
            ids = {}
            for reading in self.readings(topic):
                boot, number = reading["id"].split("-")
                if int(number) not in ids.setdefault(boot, []):
                    ids[boot].append(int(number))
            for boot, numbers in ids.items():
                self.assertEqual(numbers, sorted(numbers), topic)

    def test_set_later(self):
        begin = now_ms()
        first = self.run_one()
        self.wait_for_rows(self.conf, 60)
        self.assertIn("the clock is not set, it shows 1970-01-01 ", first.text())
        first.stop(signal.SIGKILL)
        second = self.run_one()
        self.wait_for_rows(self.conf, 40)
        exported = [json.loads(line) for line in self.command("buffer", "export", "-c", self.conf).stdout.splitlines()]
        self.assertIn('"clock":"unset"', exported[0]["payload"] + exported[1]["payload"] + exported[2]["payload"])
        self.shift(0)
        wait_until(lambda: "the clock is set after " in second.text(), "the clock is seen to be set")
        exported = [json.loads(line) for line in self.command("buffer", "export", "-c", self.conf).stdout.splitlines()]
        self.assertGreater(len(exported), 100)
        for message in exported:
            self.assertNotIn("unset", message["payload"])
            self.assertGreater(message["time"], begin)
        self.broker(self.port)
        wait_until(lambda: any("replayed" not in r for r in self.readings()), "present readings")
        self.assertEqual(second.stop(), 0)
        self.whole(1)
        for topic in ("s/f/d/m", "s/f/all"):
            times = [reading["time"] for reading in self.readings(topic)]
            self.assertEqual(times, sorted(times), topic)
            self.assertTrue(all(begin <= at <= now_ms() for at in times), (begin, times[0], times[-1]))
            self.assertFalse(any("clock" in reading for reading in self.readings(topic)))
        lines = [int(p.rsplit(" ", 1)[1]) / 1e6 for p in self.sub.payloads("s/f/line/m")]
        self.assertTrue(lines and all(begin <= at <= now_ms() for at in lines), (begin, lines[:1], lines[-1:]))

    def test_what_is_sent_before_is_marked(self):
        self.broker(self.port)
        gateway = self.run_one()
        wait_until(lambda: len(self.readings()) > 20, "readings")
        self.assertEqual(self.readings()[20].get("clock"), "unset")
        self.shift(0)
        wait_until(lambda: "clock" not in self.readings()[-1], "readings that are not marked")
        self.assertEqual(gateway.stop(), 0)

    def test_jumps(self):
        """In an outage and while what waited is sent; of watchdog and silent devices the log would tell."""
        self.shift(0)
        begin = now_ms()
        gateway = self.run_one()
        for turn in range(2):
            for jump in (DAY_MS, -3600000, -50 * YEAR_MS, 50 * YEAR_MS):
                self.shift(jump)
                time.sleep(0.3)
            if turn == 0:
                self.broker(self.port)
        self.shift(0)
        wait_until(lambda: self.readings() and "replayed" not in self.readings()[-1] and
                   begin < self.readings()[-1]["time"] < now_ms() + 1000, "present readings")
        self.assertEqual(gateway.stop(), 0)
        self.whole(1)
        self.assertNotIn("hangs", gateway.text())
        self.assertLess(gateway.text().count("does not answer"), 3, "of eight jumps; on a busy machine a device may be late")

    def test_a_jump_is_told_once(self):
        self.shift(0)
        gateway = self.run_one()
        self.wait_for_rows(self.conf, 1)  # whoever answers looks at the clock
        self.shift(DAY_MS)
        wait_until(lambda: "the clock went forward by 24 h and shows " in gateway.text(), "the jump is told")
        status = self.buffer_status(self.conf)
        self.assertEqual(status["dropped"]["expired"], 0)
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(gateway.text().count("the clock went "), 1)


if __name__ == "__main__":
    unittest.main()
