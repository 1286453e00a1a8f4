#!/usr/bin/python3
"""The outbox in figures: journalling, the drain beside a bare libmosquitto loop, the return of a broker, a start with
a million readings waiting, memory.

    tests/bench/bench_outbox.py [--quick] [--rounds 5] [journal drain start live back memory ...]

Prints one row a figure: its goal, the median of the rounds, the ratio to the goal (above 1: missed), all rounds.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
from harness import BUSFERRY, Scenario, free_port, wait_until  # noqa: E402
from witness import Witness  # noqa: E402

TOOLS = os.path.join(os.path.dirname(BUSFERRY), "tests", "bench")
WINDOW = 100
LONG_S = 300  # bounds, not expectations


class Stopwatch(Witness):
    """A witness that notes when each message came."""

    def __init__(self, scenario, port, topic, client="stopwatch"):
        self.came = []
        super().__init__(scenario, port, topic, client)

    def take(self, first, body):
        self.came.append(time.time())
        return super().take(first, body)

    def when(self, topic):
        return next((at for at, m in zip(self.came, self.seen) if m[0] == topic), None)


def memory_mb(pid, key="VmRSS"):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(key + ":")) / 1024


class Bench(Scenario):
    def __init__(self, options):
        super().__init__()
        self.options = options
        self.n_maps = 0

    def runTest(self):
        pass

    def row(self, name, unit, goal, at_least, figures):
        median = statistics.median(figures)
        ratio = "" if goal is None else "%.2f" % (goal / median if at_least and median else median / goal)
        bound = "" if goal is None else "%s %g" % (">=" if at_least else "<=", goal)
        print("%-56s %-10s %-10s %10.4g %6s   %s" % (name, unit, bound, median, ratio,
                                                   " ".join("%.4g" % f for f in figures)), flush=True)

    def plain_broker(self):
        return self.broker(extra="allow_anonymous true\npersistence false\nset_tcp_nodelay true\n", name="plain-%d" % len(
            self.processes), saves="autosave_on_changes false")

    def map(self, broker_port, path, devices=0, metrics=10, every="1s", buffer=""):
        self.n_maps += 1
        wires = "\n".join('  d%d: { tcp: "127.0.0.1:%d"  metrics: { %s } }' % (
            d, free_port(), " ".join("m%d: { input: %d }" % (m, m) for m in range(metrics))) for d in range(devices))
        return self.write("bench-%d.conf" % self.n_maps, """
site: "live"
broker: "mqtt://127.0.0.1:%d"
gateway: { id: "g" }
every: "%s"
buffer: { path: "%s"  max_size: "1GB" %s }
topics: { all: { match: "live/#"  retain: false } }
floors: { f: { %s } }
""" % (broker_port, every, path, buffer, wires))

    def fill(self, n, rate=10000, name="filled.db"):
        path = self.path(name)
        for file in (path, path + "-wal", path + "-acks"):
            if os.path.exists(file):
                os.unlink(file)
        done = subprocess.run([os.path.join(TOOLS, "fill_buffer"), path, "1000000000", str(n), str(rate)],
                              capture_output=True, check=True, text=True)
        return path, json.loads(done.stdout)

    def rounds(self):
        return range(3 if self.options.quick else self.options.rounds)

    def journal(self):
        n = 20000 if self.options.quick else 100000
        runs = [self.fill(n, 1000)[1] for _ in self.rounds()]
        self.row("journal: readings appended", "1/s", None, True, [r["rows"] / r["wall_s"] for r in runs])
        self.row("journal: CPU of the store, 1000 readings a commit", "us/reading", 2, False,
                 [r["store_cpu_s"] / r["rows"] * 1e6 for r in runs])
        few = [self.fill(n, 100)[1] for _ in self.rounds()]
        self.row("journal: CPU of the store, 100 readings a commit", "us/reading", 2, False,
                 [r["store_cpu_s"] / r["rows"] * 1e6 for r in few])
        self.row("journal: CPU of put and store together", "us/reading", None, False,
                 [r["cpu_s"] / r["rows"] * 1e6 for r in runs])
        self.row("journal: syncs, of each second of readings", "1/s", 1, False,
                 [r["commits"] / r["virtual_s"] for r in runs])
        self.row("journal: on disk", "B/message", None, False, [r["bytes"] / r["rows"] for r in runs])
        self.row("journal: longest commit", "ms", None, False, [r["worst_commit_s"] * 1000 for r in runs])

    def drain(self):
        n = 50000 if self.options.quick else 300000
        broker = self.plain_broker()
        rates = {"bare": [], "own": []}
        peaks = []
        for i in self.rounds():
            for name in (("bare", "own"), ("own", "bare"))[i % 2]:
                watch = Stopwatch(self, broker.port, "bench/mark/#", "watch-%s-%d" % (name, i))
                if name == "own":
                    path, _ = self.fill(n)
                    process = self.gateway(self.map(broker.port, path))
                else:
                    process = self.start([os.path.join(TOOLS, "bare_publish"), str(broker.port), str(n), str(WINDOW)],
                                         "bare-%d" % i)
                wait_until(lambda: watch.when("bench/mark/last"), "the last message", LONG_S)
                rates[name].append(n / (watch.when("bench/mark/last") - watch.when("bench/mark/first")))
                if name == "own":
                    peaks.append(memory_mb(process.child.pid, "VmHWM"))
                    process.stop()
                else:
                    process.wait()
                watch.close()
        self.row("drain: bare libmosquitto loop, window %d" % WINDOW, "1/s", None, True, rates["bare"])
        self.row("drain: busferry", "1/s", None, True, rates["own"])
        self.row("drain: share of the bare loop", "%", 90, True,
                 [100 * own / bare for own, bare in zip(rates["own"], rates["bare"])])
        self.row("drain: peak memory, %d messages" % n, "MB", None, False, peaks)
        broker.stop()

    def start_with_backlog(self):
        n = 100000 if self.options.quick else 1000000
        broker = self.plain_broker()
        firsts, peaks = [], []
        for i in self.rounds():
            path, _ = self.fill(n)
            watch = Stopwatch(self, broker.port, "bench/mark/#", "watch-start-%d" % i)
            begin = time.time()
            gateway = self.gateway(self.map(broker.port, path))
            wait_until(lambda: watch.when("bench/mark/first"), "the first message", LONG_S)
            firsts.append((watch.when("bench/mark/first") - begin) * 1000)
            time.sleep(2)
            peaks.append(memory_mb(gateway.child.pid, "VmHWM"))
            gateway.stop(signal.SIGKILL)
            watch.close()
        self.row("start: first publish with %d waiting" % n, "ms", 1000, False, firsts)
        self.row("start: peak memory meanwhile", "MB", None, False, peaks)
        broker.stop()

    def live(self):
        """Present readings while a backlog drains."""
        n = 100000 if self.options.quick else 500000
        broker = self.plain_broker()
        p99, seconds = [], []
        for i in self.rounds():
            path, _ = self.fill(n)
            conf = self.map(broker.port, path, devices=1, every="100ms", buffer='order: "live_first"')
            if self.command("check", "-c", conf).returncode == 78:
                print("live: this program has no live_first")
                break
            simulator = self.simulate(conf)
            watch = Stopwatch(self, broker.port, "bench/mark/#", "watch-mark-%d" % i)
            present = Stopwatch(self, broker.port, "live/f/#", "watch-live-%d" % i)
            gateway = self.gateway(conf)
            wait_until(lambda: watch.when("bench/mark/last"), "the last message", LONG_S)
            begin, end = watch.when("bench/mark/first"), watch.when("bench/mark/last")
            late = sorted(at * 1000 - json.loads(m[1])["time"] for at, m in zip(present.came, present.seen)
                          if begin <= at <= end and m[1].startswith("{"))
            if late:
                p99.append(late[len(late) * 99 // 100])
            seconds.append(end - begin)
            for process in (gateway, simulator):
                process.stop()
            watch.close()
            present.close()
        if p99:
            self.row("live: p99 of present readings while %d drain" % n, "ms", 100, False, p99)
            self.row("live: the drain meanwhile took", "s", None, False, seconds)
        broker.stop()

    def back(self):
        port = free_port()
        broker = self.broker(port, name="back", saves="autosave_on_changes false")
        conf = self.map(port, self.path("back.db"), devices=1, every="100ms")
        simulator = self.simulate(conf)
        watch = Stopwatch(self, port, "live/f/#")
        gateway = self.gateway(conf)
        for away_s in ((1, 5) if self.options.quick else (1, 5, 20, 50)):
            after = []
            for _ in self.rounds()[:3]:
                time.sleep(11)  # a connection that was stable
                broker.stop()
                time.sleep(away_s + 0.37 * len(after))
                n = len(watch.seen)
                broker = self.broker(port, name="back", saves="autosave_on_changes false")
                begin = time.time()
                # What the broker itself repeats is older than its stop and no replay.
                fresh = lambda: [at for at, m in zip(watch.came[n:], watch.seen[n:]) if '"replayed"' in m[1]]
                wait_until(fresh, "readings", LONG_S)
                after.append((fresh()[0] - begin) * 1000)
            self.row("back: first publish after a broker was away for %d s" % away_s, "ms", 1000, False, after)
        for process in (gateway, simulator, broker):
            process.stop()

    def memory(self):
        """What an outage adds to the memory of a gateway with 2,000 readings a second."""
        seconds = 15 if self.options.quick else 120
        grown, peaks, syncs, cpus = [], [], [], []
        for _ in self.rounds()[:2]:
            broker = self.plain_broker()
            conf = self.map(broker.port, self.path("memory-%d.db" % self.n_maps), devices=20, metrics=100, every="1s")
            simulator = self.simulate(conf)
            gateway = self.gateway(conf)
            time.sleep(5)
            pid = gateway.child.pid
            before = memory_mb(pid)
            broker.stop()
            time.sleep(seconds)
            grown.append(memory_mb(pid, "VmHWM") - before)
            peaks.append(memory_mb(pid, "VmHWM"))
            for process in (gateway, simulator):
                process.stop()
        self.row("memory: growth in an outage of %d s, 2000 readings/s" % seconds, "MB", 8, False, grown)
        self.row("memory: peak", "MB", None, False, peaks)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("parts", nargs="*", default=["journal", "drain", "start", "live", "back", "memory"])
    options = parser.parse_args()
    bench = Bench(options)
    bench.setUp()
    print("%-56s %-10s %-10s %10s %6s   %s" % ("", "", "goal", "median", "ratio", "rounds"), flush=True)
    try:
        for part in options.parts:
            {"start": bench.start_with_backlog}.get(part, getattr(bench, part, None))()
    finally:
        bench.doCleanups()


if __name__ == "__main__":
    main()
