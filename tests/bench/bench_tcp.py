#!/usr/bin/python3
"""Modbus TCP at QoS 0, and what the gateway costs when it has nothing to do.

    tests/bench/bench_tcp.py [CASE ...] [--devices 100] [--registers 100] [--seconds 15] [--rounds 3]

topics  100 devices of 100 registers each second, a topic per metric, beside a bare loop over libmodbus and libmosquitto
device  the same with `per: "device"`
dead    the same as topics with 5 devices of 100 that never answer
slow    the same as topics with devices that take 20 ms (12 to 32)
small   10 devices of 20 registers each second: memory
idle    10 devices of 10 registers each 10 s on one serial bus, QoS 1, with a buffer on disk: wake-ups of the process

All run against the same simulated devices and the same kind of broker, gateway and bare loop in turn.  The bare loop
asks its devices evenly spread over the second, as the gateway does, and ("at once") one after the other without a
pause.  `in time` is the share of the readings of living devices that came, with a time no more than 100 ms beside their
device's instants.
"""

import argparse
import collections
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
from harness import BUSFERRY, Scenario, wait_until  # noqa: E402

BARE = os.path.join(os.path.dirname(BUSFERRY), "tests", "bench", "bare_loop")
CASES = ("topics", "device", "dead", "slow", "small", "idle")
DEAD = 5
BESIDE_MS = 100


def tasks(pid):
    return ["/proc/%d/task/%s/" % (pid, task) for task in os.listdir("/proc/%d/task" % pid)]


def cpu_seconds(pid):
    total = 0
    for task in tasks(pid):
        try:
            with open(task + "schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
        except OSError:
            pass
    return total / 1e9


def status_of(path, key):
    with open(path + "status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(key + ":"))


def wakeups(pid):
    return sum(status_of(task, "voluntary_ctxt_switches") for task in tasks(pid))


def times_of(payload):
    return int(payload.rsplit('"time":', 1)[1].split("}")[0].split(",")[0])


class Messages:
    """What a subscriber wrote of the time from begin to end."""

    def __init__(self, path, begin, end, registers, per_device):
        self.latencies = []
        self.of_device = collections.defaultdict(list)
        self.seconds = end - begin
        self.registers = registers
        with open(path, encoding="utf-8") as f:
            for line in f:
                received, topic, payload = line.split(" ", 2)
                if not begin <= float(received) < end:
                    continue
                sent = times_of(payload)
                self.latencies.append(float(received) * 1000 - sent)
                times = [sent] * (registers if per_device else 1)
                self.of_device[topic.split("/")[2]].extend(times)
        self.latencies.sort()
        self.n = sum(len(times) for times in self.of_device.values())

    def quantile(self, share):
        return self.latencies[int(len(self.latencies) * share)]

    def in_time(self, n_living):
        """Of the readings that living devices should have given."""
        good = 0
        for times in self.of_device.values():
            instant = statistics.median_low([t % 1000 for t in times])
            beside = sum((t - instant + 500) % 1000 - 500 in range(-BESIDE_MS, BESIDE_MS + 1) for t in times)
            good += min(beside, round(self.seconds) * self.registers)
        return good / (n_living * round(self.seconds) * self.registers)



class Bench(Scenario):
    def runTest(self):
        pass

    def map(self, name, ports, broker_port, devices, registers, more="", timeout=None):
        lines = ['site: "bench"', 'broker: "mqtt://127.0.0.1:%d"' % broker_port, 'every: "1s"',
                 'buffer: { path: "%s" }' % self.path(name + ".db"),
                 'topics: { all: { match: "bench/#"  qos: 0  retain: false  %s } }' % more, "floors: { floor: {"]
        for d in range(devices):
            lines.append('  d%03d: { tcp: "127.0.0.1:%d"  %s  metrics: {' % (
                d, ports + d, 'timeout: "%s"' % timeout if timeout else ""))
            for r in range(registers):
                lines.append('    m%03d: { holding: %d  unit: "V"  scale: 0.1 }' % (r, r))
            lines.append("  } }")
        lines.append("} }")
        return self.write(name + ".conf", "\n".join(lines) + "\n")

    def idle_map(self, broker_port):
        lines = ['site: "bench"', 'broker: "mqtt://127.0.0.1:%d"' % broker_port, 'every: "10s"',
                 'buffer: { path: "%s" }' % self.path("idle.db"),
                 'buses: { rs485: { port: "%s"  line: "9600 8N1" } }' % self.path("rs485"), "floors: { floor: {"]
        for d in range(10):
            lines.append("  d%03d: { address: %d  metrics: {" % (d, d + 1))
            lines += ['    m%03d: { holding: %d }' % (r, r) for r in range(10)]
            lines.append("  } }")
        lines.append("} }")
        return self.write("idle.conf", "\n".join(lines) + "\n")

    def measure(self, argv, name, options, broker, per_device=False, n_living=None):
        messages = self.path(name + ".messages")
        with open(messages, "wb") as out:
            sub = subprocess.Popen(["mosquitto_sub", "-p", str(broker.port), "-t", "bench/floor/#", "-F", "%U %t %p"],
                                   stdout=out)
            process = self.start(argv, name)
            pid = process.child.pid
            time.sleep(3)  # connections, first readings
            wait_until(lambda: os.path.getsize(messages) > 0, "messages")
            if n_living:
                time.sleep(12)  # what never answered is known by then
            before, woken, begin = cpu_seconds(pid), wakeups(pid), time.time()
            time.sleep(options.seconds)
            cpu, woken, end = cpu_seconds(pid) - before, wakeups(pid) - woken, time.time()
            rss, peak = status_of("/proc/%d/" % pid, "VmRSS"), status_of("/proc/%d/" % pid, "VmHWM")
            time.sleep(0.3)
            sub.terminate()
            sub.wait()
            process.stop()
        found = Messages(messages, begin, end, options.registers, per_device)
        os.unlink(messages)
        return {"readings_s": found.n / (end - begin), "us": cpu / found.n * 1e6, "rss_mb": rss / 1024,
                "peak_mb": peak / 1024, "p50": found.quantile(0.5), "p99": found.quantile(0.99),
                "wakeups_s": woken / (end - begin), "in_time": found.in_time(n_living or options.devices)}

    def idle(self, seconds, broker):
        conf = self.idle_map(broker.port)
        self.simulate(conf)
        process = self.start([BUSFERRY, "run", "-c", conf], "idle")
        time.sleep(25)  # first polls, and all that is told once
        rows = []
        for task in tasks(process.child.pid):
            with open(task + "comm", encoding="ascii") as f:
                rows.append([f.read().strip(), task, status_of(task, "voluntary_ctxt_switches")])
        cpu, begin = cpu_seconds(process.child.pid), time.time()
        time.sleep(seconds)
        lasted = time.time() - begin
        each = [(name, (status_of(task, "voluntary_ctxt_switches") - before) / lasted) for name, task, before in rows]
        cpu = (cpu_seconds(process.child.pid) - cpu) / lasted
        print("idle       %.2f wake-ups/s (%s), %.2f ms CPU/s, RSS %.1f MB" % (
            sum(n for _, n in each), ", ".join("%s %.2f" % row for row in each), cpu * 1000,
            status_of("/proc/%d/" % process.child.pid, "VmRSS") / 1024))
        process.stop()


HEAD = ("", "readings/s", "CPU us/read.", "RSS MB", "peak MB", "p50 ms", "p99 ms", "wake-ups/s", "in time %")


def show(name, row):
    print("%-12s %11.0f %13.2f %8.1f %8.1f %9.1f %9.1f %11.0f %10.2f" % (
        name, row["readings_s"], row["us"], row["rss_mb"], row["peak_mb"], row["p50"], row["p99"], row["wakeups_s"],
        row["in_time"] * 100), flush=True)


def compare(bench, case, options, broker, ports):
    """Gateway beside bare loop, spread and at once, in turn."""
    per_device = case == "device"
    conf = bench.map(case, ports, broker.port, options.devices, options.registers,
                     'per: "device"' if per_device else "")
    bench.simulate(conf)
    ratios = {"bare loop": [], "at once": []}
    for i in range(options.rounds):
        rows = {}
        for name, instants in (("bare loop", options.devices), ("at once", 1)):
            rows[name] = bench.measure(
                [BARE, str(broker.port), str(ports), str(options.devices), str(options.registers),
                 str(options.seconds + 60), str(instants), "device" if per_device else "topics"],
                "%s-%s-%d" % (case, name, i), options, broker, per_device)
            show(name, rows[name])
        own = bench.measure([BUSFERRY, "run", "-c", conf], "%s-own-%d" % (case, i), options, broker, per_device)
        show("busferry", own)
        for name, row in rows.items():
            ratios[name].append(own["us"] / row["us"])
    for name, values in ratios.items():
        print("%s: CPU per reading, busferry / %s: median %.2f (%s)" % (
            case, name, statistics.median(values), ", ".join("%.2f" % r for r in values)), flush=True)


def disturbed(bench, case, options, broker, ports):
    conf = bench.map(case, ports, broker.port, options.devices, options.registers)
    n_dead = DEAD if case == "dead" else 0
    if n_dead:
        faults = ",".join("dead@floor/d%03d" % (d * options.devices // n_dead) for d in range(n_dead))
        bench.simulate(conf, "--faults", faults)
    else: # the simulation delays by 0.3 to 0.8 of the time-outs in its map
        bench.simulate(bench.map("slow-devices", ports, broker.port, options.devices, options.registers,
                                 timeout="40ms"), "--faults", "slow:100%")
    for i in range(options.rounds):
        show(case, bench.measure([BUSFERRY, "run", "-c", conf], "%s-%d" % (case, i), options, broker,
                                 n_living=options.devices - n_dead))


def small(bench, options, broker, ports):
    own = argparse.Namespace(**dict(vars(options), devices=10, registers=20))
    conf = bench.map("small", ports, broker.port, own.devices, own.registers)
    bench.simulate(conf)
    show("small", bench.measure([BUSFERRY, "run", "-c", conf], "small", own, broker))


def run(case, options):
    bench = Bench()
    bench.setUp()
    try:
        broker = bench.broker(extra="allow_anonymous true\nset_tcp_nodelay true\n", saves="autosave_on_changes false")
        ports = 12000 + os.getpid() % 1000 * 8
        if case == "idle":
            bench.idle(options.seconds * 4, broker)
        elif case == "small":
            small(bench, options, broker, ports)
        elif case in ("dead", "slow"):
            disturbed(bench, case, options, broker, ports)
        else:
            compare(bench, case, options, broker, ports)
    finally:
        bench.doCleanups()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("case", nargs="*", choices=[[], *CASES], default=[])
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--registers", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("%-12s %11s %13s %8s %8s %9s %9s %11s %10s" % HEAD)
    for case in options.case or CASES:
        run(case, options)


if __name__ == "__main__":
    main()
