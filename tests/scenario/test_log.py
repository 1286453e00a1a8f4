"""Who reads our stderr, or the journal, has stopped: nobody waits for them, and what was lost is told."""

import fcntl
import os
import signal
import subprocess
import unittest

from harness import BUSFERRY, Scenario, free_port, wait_until

MAP = """
site: "s"
broker: "mqtt://127.0.0.1:{broker}"
every: "100ms"
buffer: {{ path: ":none:" }}
buses: {{ good: {{ tcp: "127.0.0.1:{good}" }} {buses} }}
floors: {{ f: {{
  d: {{ bus: "good"  metrics: {{ m: {{ input: 0 }} }} }}
{devices}
}} }}
"""
N = 200  # hosts that are not there: a line each


class Log(Scenario):
    def stage(self):
        self.mosquitto = self.broker()
        parts = {"broker": self.mosquitto.port, "good": free_port()}
        living = self.write("living.conf", MAP.format(buses="", devices="", **parts))
        self.simulate(living)
        self.sub = self.subscriber(self.mosquitto.port, "s/f/d/m")
        self.conf = self.write("map.conf", MAP.format(
            buses=" ".join('dead%d: { tcp: "127.0.0.2:%d" }' % (i, i + 1) for i in range(N)),
            devices="\n".join('  x%d: { bus: "dead%d"  metrics: { m: { input: 0 } } }' % (i, i) for i in range(N)), **parts))

    def flows_on(self):
        n = len(self.sub.payloads("s/f/d/m"))
        self.sub.wait_for("s/f/d/m", n + 20)

    def test_a_reader_that_has_stopped(self):
        self.stage()
        ours, its = os.pipe()
        fcntl.fcntl(its, fcntl.F_SETPIPE_SZ, 4096)
        gateway = subprocess.Popen([BUSFERRY, "run", "-c", self.conf], stdin=subprocess.DEVNULL, stderr=its,
                                   env=dict(os.environ, RUNTIME_DIRECTORY=self.dir))
        os.close(its)
        self.addCleanup(gateway.wait)
        self.addCleanup(gateway.kill)
        self.flows_on()
        self.flows_on()
        first = os.read(ours, 65536)  # a line that is shorter than those that found no room may have come in between
        self.assertLess(first.count(b"can't be opened"), N)
        self.mosquitto.stop()  # something to say
        os.set_blocking(ours, False)
        said = []

        def told():
            try:
                said.append(os.read(ours, 65536))
            except BlockingIOError:
                pass
            return b"connection lost" in b"".join(said)
        wait_until(told, "the loss of the broker")
        self.assertRegex(b"".join(said), rb"warning: [0-9]+ log lines were lost: nobody took them\n")
        gateway.send_signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(30), 0)
        os.close(ours)

    def test_a_reader_that_is_gone(self):
        self.stage()
        ours, its = os.pipe()
        gateway = subprocess.Popen([BUSFERRY, "run", "-c", self.conf], stdin=subprocess.DEVNULL, stderr=its,
                                   env=dict(os.environ, RUNTIME_DIRECTORY=self.dir))
        self.addCleanup(gateway.wait)
        self.addCleanup(gateway.kill)
        os.close(its)
        os.close(ours)
        self.flows_on()
        gateway.send_signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(30), 0)


if __name__ == "__main__":
    unittest.main()
