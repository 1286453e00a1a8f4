"""Everything goes wrong at once, for long: wires of all faults that `simulate` knows, ports that are pulled, a broker that
is killed, frozen and restarted, a network that swallows, cuts and dribbles, a clock that jumps, a disk that is full,
SIGHUP, and clients of the control socket, polite and not.  Nothing is lost, order holds, and nothing grows: memory,
threads, descriptors, processor time.

BUSFERRY_SOAK_S=14400 is a long run; without it two minutes.  BUSFERRY_SOAK_SEED=N repeats the choice of the faults.
Figures go to stderr.
"""

import glob
import json
import os
import random
import re
import signal
import socket
import sys
import threading
import time
import unittest

from audit import Audited
from harness import HERE, PATIENCE, SANITIZE, free_port, preloaded, shift_clock, wait_until
from proxy import Proxy
from witness import Witness

SECONDS = float(os.environ.get("BUSFERRY_SOAK_S", "120"))
SEED = int(os.environ.get("BUSFERRY_SOAK_SEED", str(random.randrange(1 << 30))))
DAY_MS = 86400000
TICK = os.sysconf("SC_CLK_TCK")

MAP = """
site: "s"
broker: {{ url: "mqtt://127.0.0.1:{broker}"  keepalive: "5s" }}
gateway: {{ id: "g"  ids: true }}
every: "200ms"
buffer: {{ path: "{path}"  sync: "500ms"  max_size: "64MB" }}
buses: {{
  good:   {{ tcp: "127.0.0.1:{good}" }}
  tcp:    {{ tcp: "127.0.0.1:{tcp}"  timeout: "100ms" }}
  server: {{ port: "tcp://127.0.0.1:{server}"  line: "38400 8N1"  timeout: "100ms" }}
  rs485:  {{ port: "{pty}"  line: "38400 8N1"  timeout: "100ms" }}
}}
topics: {{
  once: {{ metric: "once*"  qos: 2  retain: false }}
  many: {{ metric: "many*"  qos: 1  retain: false }}
}}
floors: {{ f: {{
{devices}
}} }}
"""
FAULTS = ("late@{0},slow@{0},lost@{0},truncated@{0},wrong-unit@{0},exception@{0},unplugged@{0}:0.3%",
          "noisy@{0},foreign@{0}")


def devices():
    """On each bus three devices of six metrics; half of them at QoS 1, half at QoS 2."""
    metrics = " ".join("%s%d: { input: %d }" % ("once" if m % 2 else "many", m, m) for m in range(6))
    return "\n".join("  %s%d: { bus: \"%s\"  address: %d  metrics: { %s } }" % (bus, d, bus, d, metrics)
                     for bus in ("good", "tcp", "server", "rs485") for d in range(1, 4))


def faults():
    """What befalls the answers on all buses but the good one, whose readings say that all is through."""
    told = []
    for bus in ("tcp", "server", "rs485"):
        told.append(FAULTS[0].format(bus))
        if bus != "tcp":
            told.append(FAULTS[1].format(bus))
    return ",".join(told + ["dead@f/tcp3"])


class Soak(Audited):
    def stage(self):
        self.saves, self.kills, self.random = "", [], random.Random(SEED)
        self.port, self.outer = free_port(), free_port()
        self.clock, self.full = self.path("clock"), self.path("full")
        self.shift(0)
        self.mosquitto = self.broker(self.port, saves=self.saves)
        self.network = Proxy(self, self.outer, self.port)
        parts = {"broker": self.outer, "path": self.path("buffer.db"), "good": free_port(), "tcp": free_port(),
                 "server": free_port(), "pty": self.path("tty")}
        self.conf = self.write("map.conf", MAP.format(devices=devices(), **parts))
        self.empty = self.write("empty.conf", MAP.format(devices="", **parts))
        self.simulate(self.conf, "--faults", faults(), "--seed", str(SEED))
        self.witness = Witness(self, self.port, "s/f/#")
        self.stats = Witness(self, self.port, "s/gateway/g/stats", client="stats")
        self.run_one = self.gateway(self.conf, env=preloaded("wall_clock", "full_disk", BUSFERRY_CLOCK=self.clock,
                                                             BUSFERRY_FULL_DISK=self.full))
        self.live()

    # The faults: each holds for some time, and is over when it returns.

    def pause(self, least=0.1, most=1.5):
        time.sleep(self.random.uniform(least, most))

    def shift(self, ms):
        shift_clock(self.clock, ms)

    def broker_restarts(self):
        self.mosquitto.stop()
        self.pause()
        self.back()

    def broker_dies(self):
        self.mosquitto.stop(signal.SIGKILL)
        self.pause()
        self.back()

    def broker_freezes(self):
        self.mosquitto.send(signal.SIGSTOP)
        self.pause()
        self.mosquitto.send(signal.SIGCONT)

    def network_fails(self):
        self.network.order(self.random.choice(("hold", "cut c", "cut s", "dribble")))
        self.pause()
        self.network.order("flow")

    def clock_jumps(self):
        for jump in (DAY_MS, -3600000, -int(time.time() * 1000)):
            self.shift(jump)
            self.pause(most=0.5)
        self.shift(0)

    def disk_is_full(self):
        with open(self.full, "wb"):
            pass
        self.pause(1, 2.5)
        os.remove(self.full)

    def map_is_read_again(self):
        self.run_one.send(signal.SIGHUP)

    def clients_come(self):
        self.command("buffer", "status", "-c", self.conf)
        self.command("buffer", "export", "-c", self.conf)
        for path in glob.glob(self.path("*.sock")):
            for words in (b"", b"\x00\xff" * 3000, b"buffer export", b"buffer export\n", b"no such word\n"):
                with socket.socket(socket.AF_UNIX) as s:
                    s.settimeout(2)
                    try:
                        s.connect(path)
                        s.sendall(words)
                    except OSError:
                        pass

    # What must not grow

    def figures(self):
        """Resident memory in kB, threads, descriptors; processor seconds."""
        proc = "/proc/%d/" % self.run_one.child.pid
        with open(proc + "status", encoding="ascii") as f:
            status = f.read()
        with open(proc + "stat", encoding="ascii") as f:
            stat = f.read().rsplit(")", 1)[1].split()
        return {"rss": int(re.search(r"VmRSS:\s+(\d+)", status).group(1)),
                "threads": int(re.search(r"Threads:\s+(\d+)", status).group(1)),
                "descriptors": len(os.listdir(proc + "fd")), "cpu": (int(stat[11]) + int(stat[12])) / TICK,
                "readings": len(self.witness.seen)}

    def bounded(self, samples):
        """samples: taken while all was well; the first third is warming up."""
        third = len(samples) // 3
        before, after = samples[third:2 * third], samples[2 * third:]

        def most(of, key):
            return max(sample[key] for sample in of)

        def cost(of):
            return (of[-1]["cpu"] - of[0]["cpu"]) / max(1, of[-1]["readings"] - of[0]["readings"]) * 1e6
        print("soak, seed %d: %s" % (SEED, "; ".join("%s %d, then %d" % (key, most(before, key), most(after, key))
                                                     for key in ("rss", "threads", "descriptors"))), file=sys.stderr)
        print("soak: %.0f us of processor time a reading, then %.0f" % (cost(before), cost(after)), file=sys.stderr)
        self.assertLessEqual(most(after, "threads"), most(before, "threads") + 1)
        self.assertLessEqual(most(after, "descriptors"), most(before, "descriptors") + 8)
        if not SANITIZE:
            self.assertLessEqual(most(after, "rss"), most(before, "rss") * 1.25 + 1024)
        self.assertLessEqual(cost(after), 2 * cost(before) + 100)

    def keys(self, value, at=()):
        """The keys of a stats message as docs/topics.md names them."""
        if not isinstance(value, dict):
            yield ".".join(at)
            return
        for key, inner in value.items():
            named = {("buses",): "NAME", ("devices",): "PATH"}.get(at, key)
            yield from self.keys(inner, at + (named,))

    def test_every_fault_at_once(self):
        self.stage()
        kinds = [[self.broker_restarts, self.broker_dies, self.broker_freezes], [self.network_fails], [self.clock_jumps],
                 [self.disk_is_full], [self.map_is_read_again, self.clients_come]]
        end, samples, n = time.monotonic() + SECONDS, [self.figures()], 0
        while time.monotonic() < end:
            chosen = [self.random.choice(kind) for kind in self.random.sample(kinds, self.random.randint(1, len(kinds)))]
            threads = [threading.Thread(target=fault) for fault in chosen]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            n += len(chosen)
            self.live()
            samples.append(self.figures())
        wait_until(lambda: self.stats.seen or not self.run_one.alive(), "stats", PATIENCE * 3)
        with open(os.path.join(HERE, "..", "..", "docs", "topics.md"), encoding="utf-8") as f:
            documented = set(re.findall(r"`([^`]+)`", f.read().split("## stats")[1].split("\n## ")[0]))
        told = {key for m in self.stats.seen for key in self.keys(json.loads(m[1]))}
        self.assertEqual(told - documented, set(), "keys of stats that docs/topics.md does not have")
        self.assertGreater(len(told), 40)
        gateway = self.run_one
        self.settle()
        said = gateway.text()
        print("soak: %d faults, %d log lines" % (n, len(said.splitlines())), file=sys.stderr)
        self.assertLess(len(said.splitlines()), 20 * n + 100, said[-5000:])
        self.audit(n, restarts=True, forgets=True)
        self.bounded(samples)


if __name__ == "__main__":
    unittest.main()
