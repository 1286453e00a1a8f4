#!/usr/bin/python3
"""What the status page costs: memory and processor without it, with it, and with one viewer; how long a view takes.

    tests/bench/bench_page.py [--metrics 100] [--every 10] [--seconds 30]

Three gateways one after the other on the same map but for the page, each after it has settled.  The viewer asks for the
live part every two seconds, as the page's script does.
"""

import argparse
import http.client
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
from bench_tcp import cpu_seconds, status_of  # noqa: E402
from harness import Scenario, free_port, wait_until  # noqa: E402

PER_DEVICE = 10
SETTLE_S = 15

MAP = """
site: "home"
broker: "mqtt://127.0.0.1:%d"
every: "%gs"
buffer: { path: "%s" }
%s
buses: { t: { tcp: "127.0.0.1:%d" } }
floors: { f: {
%s
} }
"""


class Bench(Scenario):
    def runTest(self):
        pass

    def stage(self, options):
        self.mqtt, self.tcp, self.port, self.options = self.broker(), free_port(), free_port(), options
        self.simulate(self.map(""))

    def map(self, page):
        devices = "\n".join("  d%d: { address: %d  metrics: { %s } }" % (
            d, d + 1, " ".join("m%d: { input: %d  unit: \"V\" }" % (m, m) for m in range(PER_DEVICE)))
            for d in range(self.options.metrics // PER_DEVICE))
        return self.write("map.conf", MAP % (self.mqtt.port, self.options.every, self.path("buffer.db"), page, self.tcp, devices))

    def ask(self, path):
        begin = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path)
        n = len(connection.getresponse().read())
        connection.close()
        return 1000 * (time.perf_counter() - begin), n

    def measure(self, name, page, viewer):
        gateway = self.gateway(self.map(page))
        pid = gateway.child.pid
        time.sleep(SETTLE_S)
        if viewer:
            wait_until(lambda: self.listens(self.port), "the page")
            first, n = self.ask("/")
            print("first view %.1f ms, %d bytes" % (first, n))
        cpu, end = cpu_seconds(pid), time.monotonic() + self.options.seconds
        begin = time.monotonic()
        while time.monotonic() < end:
            if viewer:
                self.ask("/live")
            time.sleep(2)
        spent = 1000 * (cpu_seconds(pid) - cpu) / (time.monotonic() - begin)
        print("%-12s %6d kB  %.2f ms/s" % (name, int(status_of("/proc/%d/" % pid, "VmRSS")), spent))
        if viewer:
            for path in ("/", "/live", "/metrics", "/api/status.json", "/healthz"):
                took = sorted(self.ask(path) for _ in range(20))[10]
                print("%-18s median %.1f ms, %d bytes" % (path, took[0], took[1]))
        gateway.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metrics", type=int, default=100)
    parser.add_argument("--every", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=30)
    bench = Bench()
    bench.setUp()
    try:
        bench.stage(parser.parse_args())
        page = 'status_page: { listen: "127.0.0.1:%d" }' % bench.port
        bench.measure("no page", "", False)
        bench.measure("page", page, False)
        bench.measure("one viewer", page, True)
    finally:
        bench.doCleanups()


if __name__ == "__main__":
    main()
