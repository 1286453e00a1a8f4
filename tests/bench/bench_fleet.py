#!/usr/bin/python3
"""A fleet: many gateways, each a process with its own map, buffer and client id, at one mosquitto and at a cluster of
three RabbitMQ nodes.

    tests/bench/bench_fleet.py [mosquitto|cluster ...] [--gateways 200] [--metrics 50] [--every 10] [--seconds 60]
                               [--sites 20] [--outage 20]

All gateways ask the same simulated Modbus TCP devices, ten metrics each, and publish at QoS 1.  A smaller machine takes
fewer gateways.  One subscriber with a session that lasts counts everything: readings carry numbers, so what is missing
is known.  Its own work, and the simulation's, is on this machine too and is told beside the rest.

Three parts: `start`, all gateways at once; `steady`, a while in which nothing happens; `outage`, in which mosquitto is
away for some seconds, or one node of the cluster is killed with the gateways that it has.

CPU is in milliseconds a second (10 = 1 % of a processor).  RSS counts what the gateways share (program, libraries) for
each of them; PSS divides it among them; USS is what each has for itself.
"""

import argparse
import collections
import os
import re
import resource
import signal
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
from bench_tcp import cpu_seconds, status_of  # noqa: E402
from harness import BUSFERRY, Scenario, free_port, wait_until  # noqa: E402
from rabbit_cluster import RabbitCluster  # noqa: E402
from rabbit_node import missing  # noqa: E402
from witness import Witness  # noqa: E402

PER_DEVICE = 10
LONG_S = 300  # a bound, not an expectation
IN = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60}

MAP = """
site: "plant%d"
gateway: { id: "gw%d"  ids: true }
broker: { url: [%s] }
every: "%gs"
buffer: { path: "%s"  max_size: "8MB" }
buses: { tcp: { tcp: "127.0.0.1:%d" } }
floors: { line%d: {
%s
} }
"""


class Counter(Witness):
    """A witness that notes when each message came, and leaves its text for later."""

    def __init__(self, scenario, ports, qos):
        self.came = []
        super().__init__(scenario, ports, "#", "fleet-counter", qos=qos)

    def take(self, first, body):
        self.came.append(time.time())
        return super().take(first, body)


def rollup_kb(pid):
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as f:
        found = {line.split()[0].rstrip(":"): int(line.split()[1]) for line in f if line.split()[-1] == "kB"}
    return found["Pss"], found["Private_Clean"] + found["Private_Dirty"]


def machine_busy():
    """Processor seconds since the start of the machine, busy and all."""
    with open("/proc/stat", encoding="ascii") as f:
        ticks = [int(n) for n in f.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK"), sum(ticks) / os.sysconf("SC_CLK_TCK")


def mean(values):
    return sum(values) / len(values)


class Readings:
    """Of what the counter has: the number of each reading, when it was taken and when it came, by gateway's run."""

    def __init__(self, counter):
        self.of = collections.defaultdict(list)
        for at, (_, payload, _, _) in zip(counter.came, counter.seen):
            found = re.search(r'"time":(\d+).*"id":"(\w+)-(\d+)"', payload)
            if found:
                self.of[found[2]].append((int(found[3]), int(found[1]) / 1000, at))

    def between(self, begin, end):
        """Seconds from answer to arrival of all that came in that time."""
        return sorted(at - taken for row in self.of.values() for _, taken, at in row if begin <= at < end)

    def lost_and_twice(self):
        lost = twice = 0
        for row in self.of.values():
            numbers = {number for number, _, _ in row}
            lost += max(numbers) - len(numbers)
            twice += len(row) - len(numbers)
        return lost, twice


class Fleet(Scenario):
    def __init__(self, options):
        super().__init__()
        self.options = options

    def runTest(self):
        pass

    def stage(self, ports, qos, brokers):
        self.brokers = brokers
        self.tcp = free_port()
        self.simulation = self.simulate(self.map(0, ports))
        self.counter = Counter(self, ports, qos)

    def map(self, number, ports):
        """Each gateway has another broker of the list first."""
        options, turn = self.options, number % len(ports)
        urls = ", ".join('"mqtt://127.0.0.1:%d"' % port for port in ports[turn:] + ports[:turn])
        devices = "\n".join("  d%d: { address: %d  metrics: { %s } }" % (d, d, " ".join(
            "m%d: { input: %d }" % (m, m) for m in range(min(PER_DEVICE, options.metrics - (d - 1) * PER_DEVICE))))
            for d in range(1, (options.metrics + PER_DEVICE - 1) // PER_DEVICE + 1))
        folder = self.path("gw%d" % number)
        os.makedirs(folder, exist_ok=True)
        return self.write("gw%d/map.conf" % number, MAP % (
            number % options.sites, number, urls, options.every, os.path.join(folder, "buffer.db"), self.tcp, number,
            devices))

    def fleet(self, ports):
        self.gateways, begin = [], time.time()
        for number in range(self.options.gateways):
            conf = self.map(number, ports)
            self.gateways.append(self.start([BUSFERRY, "run", "-c", conf], "gw%d/run" % number,
                                            {"RUNTIME_DIRECTORY": os.path.dirname(conf)}))
        for gateway in self.gateways:
            wait_until(lambda: "connected" in gateway.text() or " is there " in gateway.text(), "a connection", LONG_S)
        print("start    all %d gateways connected after %.1f s" % (len(self.gateways), time.time() - begin), flush=True)

    def steady(self):
        time.sleep(2 * self.options.every)  # first readings, infos, clearing
        pids = [gateway.child.pid for gateway in self.gateways]
        parts = [("broker", pid) for pid in self.brokers()] + [("simulation", self.simulation.child.pid),
                                                               ("subscriber", os.getpid())]
        before = [cpu_seconds(pid) for pid in pids], [cpu_seconds(pid) for _, pid in parts]
        begin, busy = time.time(), machine_busy()
        time.sleep(self.options.seconds)
        end, busy = time.time(), [now - then for now, then in zip(machine_busy(), busy)]
        cpu = [1000 * (cpu_seconds(pid) - b) / (end - begin) for pid, b in zip(pids, before[0])]
        others = collections.Counter()
        for (name, pid), b in zip(parts, before[1]):
            others[name] += 1000 * (cpu_seconds(pid) - b) / (end - begin)
        rss = [status_of("/proc/%d/" % pid, "VmRSS") / 1024 for pid in pids]
        pss, uss = zip(*[[kb / 1024 for kb in rollup_kb(pid)] for pid in pids])
        late = Readings(self.counter).between(begin, end)
        due = self.options.gateways * self.options.metrics / self.options.every
        print("steady   %.0f readings/s of %.0f due; from answer to subscriber %.0f ms (median), %.0f ms (99 %%)" % (
            len(late) / (end - begin), due, 1000 * late[len(late) // 2], 1000 * late[len(late) * 99 // 100]))
        print("         a gateway: CPU %.2f ms/s (mean), %.2f (most); RSS %.1f MB, PSS %.2f MB, USS %.2f MB (means)" % (
            mean(cpu), max(cpu), mean(rss), mean(pss), mean(uss)))
        print("         all of them: CPU %.0f ms/s, PSS %.0f MB; brokers: CPU %.0f ms/s, RSS %s MB; simulation %.0f, "
              "subscriber %.0f ms/s" % (
                  sum(cpu), sum(pss), others["broker"],
                  " + ".join("%.0f" % (status_of("/proc/%d/" % pid, "VmRSS") / 1024) for pid in self.brokers()),
                  others["simulation"], others["subscriber"]))
        print("         the machine was busy for %.0f %% of its %d processors' time" % (
            100 * busy[0] / busy[1], os.cpu_count()), flush=True)

    def outage(self, name, go):
        """go: makes it and returns when it is over."""
        begin = [len(gateway.text()) for gateway in self.gateways]
        go()
        told = r"is back after ([\d.]+) (us|ms|s|min)"

        def words():
            return [gateway.text()[b:] for gateway, b in zip(self.gateways, begin)]
        wait_until(lambda: all("connection lost" not in text[max(0, text.rfind("is back after")):] for text in words()),
                   "all are back", LONG_S)
        lengths = sorted(float(n) * IN[unit] for text in words() for n, unit in re.findall(told, text))
        if not lengths:
            raise AssertionError("nobody has noticed")
        print("outage   %s: %d of %d gateways lost it and were back after %.1f s (median), %.1f s (last)" % (
            name, sum("connection lost" in text for text in words()), len(self.gateways), statistics.median(lengths),
            lengths[-1]), flush=True)

    def end(self):
        time.sleep(self.options.every + 2)
        for gateway in self.gateways:
            gateway.send(signal.SIGTERM)
        for gateway in self.gateways:
            gateway.wait(LONG_S)
        last = -1
        while last != len(self.counter.seen):
            last = len(self.counter.seen)
            time.sleep(2)
        readings = Readings(self.counter)
        lost, twice = readings.lost_and_twice()
        print("end      %d gateways heard of, %d readings in all, %d lost, %d came twice" % (
            len(readings.of), sum(len(row) for row in readings.of.values()) - twice, lost, twice), flush=True)

    def mosquitto(self):
        port, saves = free_port(), "autosave_on_changes false\nautosave_interval 1800"  # as it comes
        broker = [self.broker(port, saves=saves)]
        self.stage([port], 2, lambda: [broker[0].child.pid])
        self.fleet([port])
        self.steady()

        def go():
            broker[0].stop()
            time.sleep(self.options.outage)
            broker[0] = self.broker(port, saves=saves)
        if self.options.outage:
            self.outage("mosquitto stopped for %g s" % self.options.outage, go)
        self.end()

    def cluster(self):
        cluster = RabbitCluster(self)
        self.stage(cluster.ports[1:] + cluster.ports[:1], 1,
                   lambda: [node.process.child.pid for node in cluster.nodes if node.process.alive()])
        self.fleet(cluster.ports)
        self.steady()

        def go():
            cluster.nodes[0].kill()
            time.sleep(5)
        if self.options.outage:
            self.outage("one node of three killed", go)
        self.end()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("broker", nargs="*", choices=[[], "mosquitto", "cluster"], default=[])
    parser.add_argument("--gateways", type=int, default=200)
    parser.add_argument("--metrics", type=int, default=50)
    parser.add_argument("--every", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--sites", type=int, default=20)
    parser.add_argument("--outage", type=float, default=20, help="0: none")
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    for name in options.broker or ("mosquitto", "cluster"):
        if name == "cluster" and missing():
            print("cluster: SKIPPED, " + missing())
            continue
        print("%s: %d gateways of %d metrics each %g s, %d sites" % (
            name, options.gateways, options.metrics, options.every, options.sites), flush=True)
        fleet = Fleet(options)
        fleet.setUp()
        try:
            getattr(fleet, name)()
        finally:
            fleet.doCleanups()


if __name__ == "__main__":
    main()
