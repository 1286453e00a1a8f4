"""The gateway on a line that keeps time, with slaves that lose what comes too early: tests/fake/timed_slave.c."""

import json
import os
import subprocess
import unittest

from harness import FAKE, Scenario, wait_until

MAP = """
site: "s"
broker: "mqtt://127.0.0.1:1"
every: "0s"
buses: {{ b: {{ port: "{pty}"  line: "9600 8E1" }} }}
floors: {{ f: {{ {devices} }} }}
"""
PLACES = (0, 1, 7, 40, 41)
OWN_TIME_US = 10000  # when the slaves were held up longer than this they are no yardstick


class StrictSlaves(Scenario):
    def slaves(self, *options):
        pty = self.path("pty")
        process = self.start([os.path.join(FAKE, "timed_slave"), "--pty", pty, "--baud", "9600", "--bits", "11",
                              "--seconds", "120", *options], "slaves", stdin=subprocess.PIPE)
        wait_until(lambda: "ready" in process.text(), "slaves are ready")
        return pty, process

    @staticmethod
    def tell(slaves, command):
        n = slaves.text().count("\n")
        slaves.child.stdin.write((command + "\n").encode())
        slaves.child.stdin.flush()
        wait_until(lambda: slaves.text().count("\n") > n, command)
        return slaves.text().splitlines()[-1]

    def read(self, gateway):
        """The values that it printed, by topic."""
        found = {}
        for line in gateway.text().splitlines():
            topic, _, payload = line.partition(" ")
            if topic.startswith("s/f/d") and topic.count("/") == 3 and payload.startswith('{"value"'):
                value = json.loads(payload)["value"]
                if value is not None:  # it did not answer
                    found.setdefault(topic, set()).add(value)
        return found

    def test_values_and_silences(self):
        pty, slaves = self.slaves("--units", "3", "--dead", "2")
        devices = " ".join("d%d: { bus: \"b\"  address: %d  metrics: { %s } }" % (
            d, d, " ".join("m%d: { holding: %d }" % (at, at) for at in PLACES)) for d in (1, 2, 3))
        gateway = self.gateway(self.write("strict.conf", MAP.format(pty=pty, devices=devices)), "--stdout")
        wait_until(lambda: all(json.loads(self.tell(slaves, "counts"))["units"][u][1] >= 20 for u in "13"), "answers")
        self.tell(slaves, "alive 2")
        wait_until(lambda: json.loads(self.tell(slaves, "counts"))["units"]["2"][1] >= 5, "unit 2 is read again")
        expected = {"s/f/d%d/m%d" % (d, at): {d * 256 + at} for d in (1, 2, 3) for at in PLACES}
        wait_until(lambda: len(self.read(gateway)) == len(expected), "each value")
        self.assertEqual(self.read(gateway), expected)
        self.assertEqual(gateway.stop(), 0)
        counts = json.loads(self.tell(slaves, "counts"))
        self.assertEqual(counts["garbage"], 0)
        if counts["late_us"] < OWN_TIME_US:
            self.assertEqual(counts["hasty"], 0, counts)


if __name__ == "__main__":
    unittest.main()
