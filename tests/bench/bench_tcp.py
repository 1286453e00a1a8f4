#!/usr/bin/python3
"""100 Modbus TCP devices of 100 registers each second, QoS 0, a topic per metric: the gateway beside a bare loop.

    tests/bench/bench_tcp.py [--devices 100] [--registers 100] [--seconds 15] [--rounds 3]

Both run in turn against the same simulated devices and the same kind of broker.  Prints readings/s, CPU per reading,
peak memory and latency (from the time in the payload to the subscriber) of each round, and the median ratio.
"""

import argparse
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
from harness import BUSFERRY, Scenario, wait_until  # noqa: E402

BARE = os.environ.get("BUSFERRY_BARE", os.path.abspath("build/tests/bench/bare_loop"))
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    with open("/proc/%d/schedstat" % pid, encoding="ascii") as f:
        main = int(f.read().split()[0])
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        try:
            with open("/proc/%d/task/%s/schedstat" % (pid, task), encoding="ascii") as f:
                total += int(f.read().split()[0])
        except OSError:
            pass
    return max(main, total) / 1e9


def memory_kb(pid, key):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(key + ":"))


class Bench(Scenario):
    def runTest(self):
        pass

    def map(self, first_port, broker_port, devices, registers, qos=0):
        lines = ['site: "bench"', 'broker: "mqtt://127.0.0.1:%d"' % broker_port, 'every: "1s"',
                 'buffer: { path: "%s" }' % self.path("buffer.db"),
                 'topics: { all: { match: "bench/#"  qos: %d  retain: false } }' % qos, "floors: { floor: {"]
        for d in range(devices):
            lines.append('  d%03d: { tcp: "127.0.0.1:%d"  metrics: {' % (d, first_port + d))
            for r in range(registers):
                lines.append('    m%03d: { holding: %d  unit: "V"  scale: 0.1 }' % (r, r))
            lines.append("  } }")
        lines.append("} }")
        return self.write("bench.conf", "\n".join(lines) + "\n")

    def measure(self, argv, name, seconds, broker):
        messages = self.path(name + ".messages")
        with open(messages, "wb") as out:
            import subprocess
            sub = subprocess.Popen(["mosquitto_sub", "-p", str(broker.port), "-t", "bench/floor/#", "-F", "%U %p"],
                                   stdout=out)
            process = self.start(argv, name)
            pid = process.child.pid
            time.sleep(3)  # connections, first readings
            wait_until(lambda: os.path.getsize(messages) > 0, "messages")
            before, begin = cpu_seconds(pid), time.time()
            time.sleep(seconds)
            cpu, end = cpu_seconds(pid) - before, time.time()
            rss, peak = memory_kb(pid, "VmRSS"), memory_kb(pid, "VmHWM")
            time.sleep(0.3)
            sub.terminate()
            sub.wait()
            process.stop()
        with open(messages, encoding="utf-8") as f:
            latencies = []
            for line in f:
                received, payload = line.split(" ", 1)
                if not begin <= float(received) < end:
                    continue
                sent = payload.rsplit('"time":', 1)[1].split("}")[0].split(",")[0]
                latencies.append(float(received) * 1000 - int(sent))
        n = len(latencies)
        latencies.sort()
        return {"readings_s": n / (end - begin), "us": cpu / n * 1e6, "rss_mb": rss / 1024, "peak_mb": peak / 1024,
                "p50": latencies[n // 2], "p99": latencies[n * 99 // 100]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--registers", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    bench = Bench()
    bench.setUp()
    ratios = []
    try:
        broker = bench.broker(extra="allow_anonymous true\nset_tcp_nodelay true\n")
        first = 21000 + os.getpid() % 1000 * 8
        conf = bench.map(first, broker.port, options.devices, options.registers)
        bench.simulate(conf)
        print("%-10s %11s %13s %8s %8s %9s %9s" % ("", "readings/s", "CPU us/read.", "RSS MB", "peak MB", "p50 ms",
                                                     "p99 ms"))
        for i in range(options.rounds):
            bare = bench.measure([BARE, str(broker.port), str(first), str(options.devices), str(options.registers),
                                  str(options.seconds + 60)], "bare-%d" % i, options.seconds, broker)
            own = bench.measure([BUSFERRY, "run", "-c", conf], "own-%d" % i, options.seconds, broker)
            for name, row in (("bare loop", bare), ("busferry", own)):
                print("%-10s %11.0f %13.2f %8.1f %8.1f %9.1f %9.1f" % (
                    name, row["readings_s"], row["us"], row["rss_mb"], row["peak_mb"], row["p50"], row["p99"]))
            ratios.append(own["us"] / bare["us"])
        print("CPU per reading, busferry / bare loop: median %.2f (%s)" % (
            statistics.median(ratios), ", ".join("%.2f" % r for r in ratios)))
    finally:
        bench.doCleanups()


if __name__ == "__main__":
    main()
