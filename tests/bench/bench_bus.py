#!/usr/bin/python3
"""The gateway on a serial line, beside a perfect master, a bare libmodbus loop and mbpoll.

    tests/bench/bench_bus.py [--quick] [--rounds 3] [--seconds 20] [--priority N] [--rt] [PART ...]

Parts: error full dead return fair scattered idle peers.  The slaves (tests/fake/timed_slave.c) keep the line's time and
lose what comes before 3.5 characters of silence.  A share is the wire time that a perfect master needs for the answers
that were given, over the time that passed; "by the median gap" is what it would be if each gap were the median one:
when other programs want the CPU, the two differ.  Prints one row a figure: its goal, the median of the rounds, the
ratio to the goal (above 1: missed), all rounds.

--priority: SCHED_FIFO for the slaves (root); they are the yardstick, so they should not wait for others.
--rt: offers the gateway real-time priority as LimitRTPRIO=1 does.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
from harness import BUSFERRY, FAKE, Scenario, wait_until  # noqa: E402

TOOLS = os.path.join(os.path.dirname(BUSFERRY), "tests", "bench")
GOALS = {9600: 0.99, 19200: 0.98, 115200: 0.97}
DEAD_GOALS = {9600: 0.98, 19200: None, 115200: 0.95}
TURNAROUND_US = 2000
BITS = 11  # 8E1
WINDOW_S = 2
CHECK_TURNAROUND_US = 5000  # what the planner takes a device for


def wire_us(baud, n_registers, turnaround_us=TURNAROUND_US):
    """What a read costs a perfect master."""
    char = BITS * 1e6 / baud
    return (13 + 2 * n_registers) * char + 2 * silence_us(baud) + turnaround_us


def silence_us(baud):
    return 1750 if baud > 19200 else 3.5 * BITS * 1e6 / baud


def least_us(baud, places, turnaround_us=TURNAROUND_US):
    """The least wire time in which single registers can be read: all ways to cut them, not the planner's code."""
    best = [0.0] + [float("inf")] * len(places)
    for end in range(1, len(places) + 1):
        for begin in range(end - 1, -1, -1):
            n = places[end - 1] - places[begin] + 1
            if n > 125:
                break
            best[end] = min(best[end], best[begin] + wire_us(baud, n, turnaround_us))
    return best[-1]


def tightest(baud, sizes):
    """The shortest interval that `check` lets pass for devices that read so many registers: as if each answered at once,
    so that those that do not are asked for more than the line can carry."""
    return "%dms" % (sum(wire_us(baud, n, 0) for n in sizes) / 1000 + 1)


class Slaves:
    def __init__(self, bench, baud, *options):
        self.pty = bench.path("pty-%d" % len(bench.processes))
        self.baud = baud
        self.process = bench.start([os.path.join(FAKE, "timed_slave"), "--pty", self.pty, "--baud", str(baud), "--bits",
                                    str(BITS), "--turnaround", str(TURNAROUND_US), "--priority",
                                    str(bench.options.priority), *options],
                                   "slaves-%d" % len(bench.processes), stdin=subprocess.PIPE)
        wait_until(lambda: "ready" in self.process.text(), "slaves")

    def tell(self, command):
        before = self.process.text().count("\n")
        self.process.child.stdin.write((command + "\n").encode())
        self.process.child.stdin.flush()
        wait_until(lambda: self.process.text().count("\n") > before, command)
        return self.process.text().splitlines()[-1]

    def counts(self):
        return json.loads(self.tell("counts"))


class Bench(Scenario):
    def __init__(self, options):
        super().__init__()
        self.options = options

    def runTest(self):
        pass

    def row(self, name, unit, goal, at_least, figures, note=""):
        median = statistics.median(figures)
        ratio = "" if goal is None else "%.3f" % (goal / median if at_least and median else
                                                 median / goal if goal else 1 + median)
        bound = "" if goal is None else "%s %g" % (">=" if at_least else "<=", goal)
        print("%-58s %-9s %-8s %9.4g %6s   %s%s" % (name, unit, bound, median, ratio,
                                                  " ".join("%.4g" % f for f in figures), note), flush=True)

    def bauds(self):
        return (9600, 115200) if self.options.quick else (9600, 19200, 115200)

    def rounds(self):
        return range(1 if self.options.quick else self.options.rounds)

    def seconds(self):
        return 8 if self.options.quick else self.options.seconds

    def map(self, slaves, broker, n_devices, every, places, each=""):
        metrics = " ".join('m%d: { holding: %d }' % (at, at) for at in places)
        devices = "\n".join('  d%d: { bus: "b"  address: %d  %s  metrics: { %s } }' % (d, d, each, metrics)
                            for d in range(1, n_devices + 1))
        return self.write("bus-%d.conf" % len(self.processes), """
site: "bench"
broker: "mqtt://127.0.0.1:%d"
every: "%s"
buffer: { path: ":none:" }
topics: { all: { match: "bench/#"  qos: 0  retain: false  payload: "plain" } }
buses: { b: { port: "%s"  line: "%d 8E1" } }
floors: { f: {
%s
} }
""" % (broker.port, every, slaves.pty, slaves.baud, devices))

    def plain_broker(self):
        return self.broker(extra="allow_anonymous true\npersistence false\nset_tcp_nodelay true\n",
                           name="plain-%d" % len(self.processes), saves="autosave_on_changes false")

    def offer_priority(self):
        if self.options.rt:
            resource.setrlimit(resource.RLIMIT_RTPRIO, (1, 1))

    def wire_thread_waited(self, pid):
        """Seconds for which the wire's thread could have run but others did."""
        waited = 0
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/comm" % (pid, task), encoding="ascii") as comm:
                if comm.read().strip() == "wire":
                    with open("/proc/%d/task/%s/schedstat" % (pid, task), encoding="ascii") as f:
                        waited += int(f.read().split()[1]) / 1e9
        return waited

    def gateway_runs(self, slaves, n_devices, every, places, during=None, each="", warm_s=2.5):
        """The gateway for a while.  What the slaves counted, with wrong and published values."""
        broker = self.plain_broker()
        conf = self.map(slaves, broker, n_devices, every, places, each)
        messages = self.path("messages")
        with open(messages, "wb") as out:
            sub = subprocess.Popen(["mosquitto_sub", "-p", str(broker.port), "-t", "bench/f/#", "-F", "%t %p"], stdout=out)
            process = self.start([BUSFERRY, "run", "-c", conf], "own-%d" % len(self.processes),
                                 {"RUNTIME_DIRECTORY": self.dir, "STATE_DIRECTORY": self.dir})
            if self.options.rt:
                resource.prlimit(process.child.pid, resource.RLIMIT_RTPRIO, (1, 1))
            time.sleep(warm_s)
            self.assertTrue(process.alive(), process.text())
            waited, woken = self.wire_thread_waited(process.child.pid), self.woken(process.child.pid)
            before, windows = slaves.counts(), []
            size, begin = os.path.getsize(messages), time.monotonic()
            for _ in range(1 if during else max(1, self.seconds() // WINDOW_S)):
                slaves.tell("window")
                (during or (lambda: time.sleep(WINDOW_S)))()
                windows.append(slaves.counts())
            counts = self.sum_up(before, windows)
            counts["whole_s"] = time.monotonic() - begin
            counts["waited_s"] = self.wire_thread_waited(process.child.pid) - waited
            counts["woken"] = self.woken(process.child.pid) - woken
            time.sleep(0.2)
            process.stop()
            sub.terminate()
            sub.wait()
        broker.stop()
        counts["n_published"], counts["n_wrong"] = 0, 0
        with open(messages, encoding="utf-8") as f:
            f.seek(size)
            f.readline()
            for line in f:
                topic, value = line.rsplit(" ", 1)
                parts = topic.split("/")
                if parts[-1][0] != "m" or not value.strip().isdigit():
                    continue
                counts["n_published"] += 1
                counts["n_wrong"] += int(value) != int(parts[2][1:]) * 256 + int(parts[3][1:]) % 256
        return counts

    @staticmethod
    def sum_up(before, windows):
        """Of windows that follow each other: times add up, gaps are the windows' medians, counts are all that came."""
        last = windows[-1]
        counts = {key: sum(w[key] for w in windows) for key in ("seconds", "perfect_s", "rounds", "rounds_s")}
        counts.update({key: last[key] - before[key] for key in ("requests", "answers", "hasty", "garbage", "registers")})
        counts["shares"] = [w["perfect_s"] / w["seconds"] for w in windows if w["seconds"] > 0]
        counts["gaps_us"] = [statistics.median(w["gaps_us"][i] for w in windows) for i in range(5)]
        counts["gaps_us"][0] = min(w["gaps_us"][0] for w in windows)
        counts["silence_us"] = last["silence_us"]
        counts["units"] = {u: last["units"][u][0] - before["units"][u][0] for u in last["units"]}
        return counts

    @staticmethod
    def woken(pid):
        """How often its threads have been woken."""
        total = 0
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/status" % (pid, task), encoding="ascii") as f:
                total += next(int(line.split()[1]) for line in f if line.startswith("voluntary_ctxt"))
        return total

    @staticmethod
    def share(counts):
        return counts["perfect_s"] / counts["seconds"]

    def share_by_median(self, counts):
        ideal = counts["perfect_s"] / max(1, counts["answers"])
        return ideal / (ideal + (counts["gaps_us"][1] - counts["silence_us"]) / 1e6)

    def notes(self, runs):
        return "   [CPU had by others %s %%]" % " ".join("%.1f" % (r["waited_s"] / r["whole_s"] * 100) for r in runs)

    # The parts

    def error(self):
        """How exact the yardstick is."""
        for baud in self.bauds():
            done = subprocess.run([os.path.join(FAKE, "timed_slave"), "--baud", str(baud), "--priority",
                                   str(self.options.priority), "--error"], stdin=subprocess.PIPE, capture_output=True,
                                  text=True, timeout=120, check=True)
            print("yardstick at %6d: %s" % (baud, done.stdout.splitlines()[-1]), flush=True)

    def one(self, name, baud, n_devices, options, goal, every="0s", places=range(20), n_answering=None):
        runs = []
        for _ in self.rounds():
            slaves = Slaves(self, baud, "--units", str(n_devices), *options)
            runs.append(self.gateway_runs(slaves, n_devices, every, places))
            slaves.process.stop()
        self.row(name, "share", goal, True, [self.share(r) for r in runs], self.notes(runs))
        self.row("  ... its best %d seconds" % WINDOW_S, "share", None, True, [max(r["shares"]) for r in runs])
        self.row("  ... by the median gap", "share", None, True, [self.share_by_median(r) for r in runs])
        self.row("  ... readings published", "1/s", None, True, [r["n_published"] / r["whole_s"] for r in runs])
        self.row("  ... gap over the lawful one, median", "ratio", 1.1 if baud < 19200 else None, False,
                 [r["gaps_us"][1] / r["silence_us"] for r in runs],
                 "   [least %s]" % " ".join("%.3f" % (r["gaps_us"][0] / r["silence_us"]) for r in runs))
        self.row("  ... requests before the silence was over", "count", 0, False, [r["hasty"] for r in runs])
        self.row("  ... wrong values published", "count", 0, False, [r["n_wrong"] for r in runs])
        asked = [list(r["units"].values()) for r in runs]
        live = n_answering or n_devices
        if live > 1:
            self.row("  ... most-polled over least-polled", "ratio", 1.05, False,
                     [max(a) / max(1, sorted(a, reverse=True)[live - 1]) for a in asked])

    def full(self):
        for baud in self.bauds():
            for n_devices in (1, 10):
                self.one("%d, %d devices x 20 registers" % (baud, n_devices), baud, n_devices, (), GOALS[baud])
            self.one("%d, the same, wanted more often than it fits" % baud, baud, 10, (), GOALS[baud],
                     every=tightest(baud, [20] * 10))

    def dead(self):
        for baud in self.bauds():
            self.one("%d, 1 of 10 dead" % baud, baud, 10, ("--dead", "3"), DEAD_GOALS[baud], n_answering=9)
            self.one("%d, 5 of 10 dead" % baud, baud, 10, ("--dead", "2,3,5,7,9"), 0.90, n_answering=5)


    def idle(self):
        """A bus of ten devices that are asked every 10 s: how often anything of the gateway wakes up."""
        runs = []
        for _ in self.rounds():
            slaves = Slaves(self, 9600, "--units", "10")
            runs.append(self.gateway_runs(slaves, 10, "10s", range(10), lambda: time.sleep(3 * self.seconds()), warm_s=15))
            slaves.process.stop()
        self.row("9600, 10 devices x 10 registers, every 10s: wake-ups", "1/s", 5, False,
                 [r["woken"] / r["whole_s"] for r in runs])

    def comes_back(self):
        for dead in ("3", "2,3,5,7,9"):
            for baud in self.bauds():
                took = []

                def wait_for_it():
                    time.sleep(12)  # silent for so long
                    slaves.tell("alive 3")
                    wait_until(lambda: slaves.counts()["units"]["3"][2] > 0, "the device is asked again", 60)
                    took.append(slaves.counts()["units"]["3"][2])

                for _ in self.rounds():
                    slaves = Slaves(self, baud, "--units", "10", "--dead", dead)
                    self.gateway_runs(slaves, 10, "0s", range(20), wait_for_it)
                    slaves.process.stop()
                self.row("%d, %d of 10 dead, one returns: read again after" % (baud, dead.count(",") + 1), "s", 10, False, took)

    def fair(self):
        """Devices of different sizes, all asked for more than there is."""
        for baud in self.bauds():
            figures = []
            for _ in self.rounds():
                slaves = Slaves(self, baud, "--units", "10", "--turnaround", "20000")
                broker = self.plain_broker()
                devices = "\n".join('  d%d: { bus: "b"  address: %d  metrics: { %s } }' % (
                    d, d, " ".join("m%d: { holding: %d }" % (at, at) for at in range(d * d))) for d in range(1, 11))
                conf = self.write("fair.conf", """
site: "bench"
broker: "mqtt://127.0.0.1:%d"
every: "%s"
buffer: { path: ":none:" }
buses: { b: { port: "%s"  line: "%d 8E1" } }
floors: { f: {
%s
} }
""" % (broker.port, tightest(baud, [d * d for d in range(1, 11)]), slaves.pty, baud, devices))
                process = self.start([BUSFERRY, "run", "-c", conf], "fair-%d" % len(self.processes),
                                     {"RUNTIME_DIRECTORY": self.dir, "STATE_DIRECTORY": self.dir})
                time.sleep(3)
                before = slaves.counts()["units"]
                time.sleep(6 * self.seconds())
                asked = [u[0] - before[unit][0] for unit, u in slaves.counts()["units"].items()]
                process.stop()
                broker.stop()
                slaves.process.stop()
                figures.append(max(asked) / min(asked))
            self.row("%d, 10 devices of 1 to 100 registers: most over least polled" % baud, "ratio", 1.05, False, figures)

    def scattered(self):
        places = sorted({(i * i * 7 + i * 13) % 3000 for i in range(400)})[:200]
        for baud in self.bauds():
            for turnaround in (TURNAROUND_US, CHECK_TURNAROUND_US):
                runs = []
                for _ in self.rounds():
                    slaves = Slaves(self, baud, "--units", "1", "--turnaround", str(turnaround))
                    runs.append(self.gateway_runs(slaves, 1, "0s", places, lambda: time.sleep(2 * self.seconds()), warm_s=8))
                    slaves.process.stop()
                least = least_us(baud, places, turnaround) / 1e6
                self.row("%d, %d scattered registers, %d ms turnaround: line" % (baud, len(places), turnaround / 1000),
                         "share", None, True, [self.share(r) for r in runs], self.notes(runs))
                self.row("  ... wire time of a round, over the least", "ratio", 1.0, False,
                         [r["rounds_s"] / max(1, r["rounds"]) / least for r in runs])

    def peers(self):
        """Others on the same line: what they make of a strict slave, and of one that forgives."""
        for baud in self.bauds():
            gap_us = int(silence_us(baud)) + 1
            for name, options in (("strict", ()), ("lenient", ("--lenient",)), ("strict, 1 of 10 dead", ("--dead", "3"))):
                commands = {
                    "bare libmodbus loop": lambda pty, s: [os.path.join(TOOLS, "bare_bus"), pty, str(baud), "10", str(s), "0"],
                    "the same, sleeps 3.5 characters": lambda pty, s: [os.path.join(TOOLS, "bare_bus"), pty, str(baud), "10",
                                                                     str(s), str(gap_us)],
                    "mbpoll": lambda pty, s: ["timeout", str(s), "mbpoll", "-m", "rtu", "-b", str(baud), "-P", "even", "-a",
                                              "1:10", "-0", "-r", "0", "-c", "20", "-t", "4", "-l", "11", "-o", "0.5", pty],
                }
                for peer, command in commands.items():
                    figures, hasty = [], []
                    for _ in self.rounds():
                        slaves = Slaves(self, baud, "--units", "10", *options)
                        process = self.start(command(slaves.pty, self.seconds() + 3), "peer-%d" % len(self.processes))
                        time.sleep(1)
                        slaves.tell("window")
                        time.sleep(self.seconds())
                        counts = slaves.counts()
                        process.stop()
                        slaves.process.stop()
                        figures.append(self.share(counts))
                        hasty.append(counts["hasty"])
                    self.row("%d, %s: %s" % (baud, name, peer), "share", None, True, figures,
                             "   [requests too early: %s]" % " ".join(str(h) for h in hasty))


PARTS = {"error": Bench.error, "full": Bench.full, "dead": Bench.dead, "return": Bench.comes_back, "fair": Bench.fair,
         "scattered": Bench.scattered, "idle": Bench.idle, "peers": Bench.peers}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--priority", type=int, default=50 if os.getuid() == 0 else 0)
    parser.add_argument("--rt", action="store_true")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()
    if set(options.parts) - set(PARTS):
        parser.error("parts are: " + " ".join(PARTS))
    print("%-58s %-9s %-8s %9s %6s   %s" % ("", "unit", "goal", "median", "ratio", "rounds"))
    for part in options.parts or PARTS:
        bench = Bench(options)
        bench.setUp()
        try:
            PARTS[part](bench)
        finally:
            bench.doCleanups()


if __name__ == "__main__":
    main()
