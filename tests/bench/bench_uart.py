#!/usr/bin/python3
"""The gateway with sensors on UARTs, each line as full as its speed allows; and what an idle one costs.

    tests/bench/bench_uart.py [--seconds 20] [--rounds 3] [PART ...]

Parts: full memory.  The sensors are the golden input of the profiles that send by themselves, played again and again on
ptys by a process of its own, paced to the line's speed in steps of 10 ms.  Counts what it sent and what was understood.
"""

import argparse
import json
import os
import pty
import statistics
import sys
import time
import tty

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
from harness import BUSFERRY, Scenario, wait_until  # noqa: E402

SENSORS = 20
STEP_S = 0.01
GOAL_SHARE = 0.02
GOAL_IDLE_KB = 100
PROFILES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "config", "profiles")


def feed(lines, seconds):
    """Child process: writes to each fd its bytes at its speed, for so long; tells how many bytes each got."""
    sent = [0] * len(lines)
    begin = time.monotonic()
    while time.monotonic() < begin + seconds:
        now = time.monotonic() - begin
        for i, (fd, data, per_s) in enumerate(lines):
            n = int(now * per_s) - sent[i]
            while n > 0:
                start = sent[i] % len(data)
                part = data[start:start + n]
                try:
                    got = os.write(fd, part)
                except BlockingIOError:
                    break
                sent[i] += got
                n -= got
        time.sleep(max(0, STEP_S - (time.monotonic() - begin - now)))
    print(json.dumps(sent), flush=True)


class Bench(Scenario):
    def __init__(self, options):
        super().__init__()
        self.options = options
        self.ends = []

    def runTest(self):
        pass

    def row(self, name, unit, goal, figures):
        median = statistics.median(figures)
        print("%-58s %-9s <= %-6g %9.4g %6.3f   %s" % (name, unit, goal, median, median / goal,
                                                      " ".join("%.4g" % f for f in figures)), flush=True)

    def line(self):
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        self.ends += [ours, theirs]
        return ours, os.ttyname(theirs)

    def pushers(self):
        """Profiles of streams without requests: id, line, bytes."""
        env = dict(os.environ, BUSFERRY_PROFILES=PROFILES)
        found = []
        for file in sorted(os.listdir(PROFILES)):
            if not file.endswith(".conf"):
                continue
            shown = self.command("profiles", "show", file[:-5], "--json", env=env)
            profile = json.loads(shown.stdout) if shown.returncode == 0 else {}
            asked = any(m.get("request") for m in profile.get("messages", []))
            data = b"".join(bytes.fromhex(item) for v in profile.get("vectors", []) for item in v.get("input", []))
            if profile.get("transport") in ("frame", "text") and not asked and data:
                found.append((profile["id"], profile["line"], data))
        return found

    def gateway(self, devices, env):
        broker = self.broker(extra="allow_anonymous true\npersistence false\n", name="plain-%d" % len(self.processes),
                             saves="autosave_on_changes false")
        conf = self.write("uart-%d.conf" % len(self.processes), """
site: "bench"
broker: "mqtt://127.0.0.1:%d"
every: "1s"
buffer: { path: ":none:" }
floors: { f: {
%s
} }
""" % (broker.port, "\n".join(devices)))
        gateway = self.start([BUSFERRY, "run", "-c", conf], "gateway-%d" % len(self.processes), env=env)
        wait_until(lambda: " runs: " in gateway.text(), "the gateway")
        return gateway

    def cpu(self, pid):
        with open("/proc/%d/stat" % pid, encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_kb(self, pid):
        with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as rollup:
            return next(int(line.split()[1]) for line in rollup if line.startswith("Rss:"))

    def full(self):
        env = dict(os.environ, BUSFERRY_PROFILES=PROFILES)
        kinds = self.pushers()
        shares, bytes_s = [], 0
        for _ in range(self.options.rounds):
            lines, devices = [], []
            for i in range(SENSORS):
                name, line, data = kinds[i % len(kinds)]
                fd, path = self.line()
                lines.append((fd, data, int(line.split()[0]) / 10))
                devices.append('  s%d: { profile: "%s"  port: "%s"  line: "%s" }' % (i, name, path, line))
            gateway = self.gateway(devices, env)
            time.sleep(1)
            feeder = os.fork()
            if feeder == 0:
                feed(lines, self.options.seconds + 2)
                os._exit(0)
            time.sleep(1)
            before, begin = self.cpu(gateway.child.pid), time.monotonic()
            time.sleep(self.options.seconds)
            shares.append((self.cpu(gateway.child.pid) - before) / (time.monotonic() - begin))
            os.waitpid(feeder, 0)
            bytes_s = sum(line[2] for line in lines)
            gateway.stop()
        print("%d sensors of %d kinds, %d bytes/s" % (SENSORS, len(kinds), bytes_s), flush=True)
        self.row("%d sensors, lines full: share of a core" % SENSORS, "cores", GOAL_SHARE, shares)

    def memory(self):
        env = dict(os.environ, BUSFERRY_PROFILES=PROFILES)
        figures = []
        for _ in range(self.options.rounds):
            rss = {}
            for n in (1, 21):
                devices = ['  s%d: { profile: "sds011"  port: "%s" }' % (i, self.line()[1]) for i in range(n)]
                gateway = self.gateway(devices, env)
                time.sleep(3)
                rss[n] = self.rss_kb(gateway.child.pid)
                gateway.stop()
            figures.append((rss[21] - rss[1]) / 20)
        self.row("memory of one more idle line", "kB", GOAL_IDLE_KB, figures)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("parts", nargs="*", default=["full", "memory"])
    options = parser.parse_args()
    bench = Bench(options)
    bench.setUp()
    try:
        for part in options.parts:
            getattr(bench, part)()
    finally:
        bench.doCleanups()
        bench.tearDown()


if __name__ == "__main__":
    main()
