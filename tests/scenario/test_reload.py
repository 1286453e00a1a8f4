"""SIGHUP reads the map again: with faults nothing changes, without only what changed restarts."""

import json
import os
import signal
import socket
import subprocess
import time
import unittest

from harness import PATIENCE, SANITIZE, Scenario, free_port, wait_until
from peers import Peers
from witness import Witness

HEAD = """
site: "s"
broker: {broker}
gateway: {{ id: "g"  ids: true }}
every: "100ms"
buffer: {{ path: "{buffer}"  {limits} }}
"""


class Reload(Scenario):
    def stage(self, n_serial=3, n_hosts=5):
        self.peers = Peers(self)
        self.buses = [self.peers.serial("port%d" % i) for i in range(n_serial)]
        self.hosts = [self.peers.host() for _ in range(n_hosts)]
        self.peers.start()
        self.units = {"bus%d" % i: [1, 2] for i in range(n_serial)}
        self.units.update({"host%d" % i: [1] for i in range(n_hosts)})
        self.more = {}  # keys of single devices
        self.limits = ""
        self.buffer = getattr(self, "buffer_is", self.path("buffer.db"))
        self.broker_text = ""
        self.extra = ""

    def write_map(self):
        lines = [HEAD.format(broker=self.broker_text, buffer=self.buffer, limits=self.limits), "buses: {"]
        for i in range(len(self.buses)):
            lines.append('  bus%d: { port: "%s"  line: "115200 8N1" }' % (i, self.path("port%d" % i)))
        lines += ["}", "floors: {"]
        for name, units in self.units.items():
            where = 'bus: "%s"' % name
            if name.startswith("host"):
                where = 'tcp: "127.0.0.1:%d"' % self.hosts[int(name[4:])].port
            lines.append("  %s: {" % name)
            for unit in units:
                lines.append('    d%d: { %s  address: %d  metrics: { n: { input: 0  type: "u32" %s } } }' % (
                    unit, where, unit, self.more.get((name, unit), "")))
            lines.append("  }")
        lines.append("}\n" + self.extra)
        return self.write("map.conf", "\n".join(lines))

    def reload(self, n=1):
        before = self.gateway_process.text().count("map read again") + self.gateway_process.text().count("as before")
        self.gateway_process.send(signal.SIGHUP)
        wait_until(lambda: self.gateway_process.text().count("map read again")
                   + self.gateway_process.text().count("as before") >= before + n, "the map is read again")
        return [line for line in self.gateway_process.text().splitlines()
                if "map read again" in line or "as before" in line][-1]

    def run_gateway(self, **env):
        self.conf = self.write_map()
        self.gateway_process = self.gateway(self.conf, env=env)
        return self.gateway_process

    @staticmethod
    def told(witness, topic):
        """The values told on the topic, of new messages; None where there was none."""
        return [json.loads(p)["value"] for t, p, _, retained in list(witness.seen)
                if t == topic and p and not retained]

    def unit_of(self, name):
        return (self.hosts if name.startswith("host") else self.buses)[int(name[-1])]

    def answered(self):
        return {(name, unit): self.unit_of(name).n.get(unit, 0) for name, units in self.units.items() for unit in units}

    def wait_for_polls(self, n=5):
        before = self.answered()
        wait_until(lambda: all(self.answered()[k] >= v + n for k, v in before.items() if k in self.answered()),
                   "%d polls of every device" % n)

    def opened(self, name):
        return self.unit_of(name).accepted if name.startswith("host") else self.unit_of(name).opened

    def end(self, witness, names, twice=False):
        """And no port of these was ever closed."""
        self.assertEqual([(n, self.opened(n)) for n in names], [(n, 1) for n in names])
        self.assertEqual(self.gateway_process.stop(), 0)
        self.untouched(witness, names, twice)

    def given_up(self, missed, told, what):
        """A time-out, told once however many there are in a row, costs the late answer, and a canary that counts too."""
        self.assertLessEqual(missed, 4 * told.count(None), what)

    def untouched(self, witness, names, twice):
        """Each answer was told, once and in order; what was given up was told as that."""
        for name in names:
            unit = self.unit_of(name)
            for address in self.units[name]:
                told = self.told(witness, "s/%s/d%d/n" % (name, address))
                values = [v for v in told if v is not None]
                if twice:  # what was in flight when the connection broke
                    self.assertEqual(values, sorted(values), name)
                else:
                    self.assertEqual(values, sorted(set(values)), name)
                missed = values[-1] - values[0] + 1 - len(set(values))
                self.given_up(missed, told, "%s/d%d" % (name, address))
                print("%s/d%d: %d answers told, %d missed, widest gap %.0f ms" % (
                    name, address, len(values), missed, unit.widest_gap(address) * 1000))

    def begin(self):
        self.mosquitto = self.broker(saves="autosave_on_changes false")
        self.broker_text = '"mqtt://127.0.0.1:%d"' % self.mosquitto.port
        witness = Witness(self, self.mosquitto.port, "#")
        self.run_gateway()
        self.wait_for_polls()
        return witness

    def test_faults_change_nothing(self):
        self.stage()
        witness = self.begin()
        for fault in ('nonsense: 1', 'topics: { a: { match: "x/#"  qos: 9 } }', "floors: {"):
            self.extra = fault + "\n"
            self.write_map()
            self.assertIn("running on as before", self.reload())
        self.assertIn("map.conf:", self.gateway_process.text())
        self.assertIn("error: ", self.gateway_process.text())
        os.remove(self.conf)
        self.assertIn("running on as before", self.reload())
        self.wait_for_polls()
        self.extra = ""
        self.write_map()
        self.assertIn("nothing has changed", self.reload())
        self.wait_for_polls()
        self.end(witness, self.units)

    def test_only_what_changed_restarts(self):
        self.stage()
        witness = self.begin()
        self.units["bus1"] = [1, 2, 3]
        self.write_map()
        self.assertIn("1 bus restarted (bus1), 1 device new; the rest went on", self.reload())
        self.wait_for_polls()
        self.assertEqual(self.opened("bus1"), 2)
        self.more[("bus1", 2)] = "scale: 0.5"
        self.write_map()
        self.assertIn("1 bus restarted (bus1); the rest went on", self.reload())
        self.wait_for_polls()
        self.units["bus1"] = [1, 3]
        self.more[("host2", 1)] = 'unit: "V"'
        self.write_map()
        self.assertIn("restarted", self.reload())
        self.wait_for_polls()
        self.assertEqual(self.hosts[2].accepted, 2)
        self.units.pop("host4")
        self.units["host2"] = [1, 7]
        self.write_map()
        self.assertIn("gone", self.reload())
        self.wait_for_polls()
        self.end(witness, ["bus0", "bus2", "host0", "host1", "host3"])
        # what was removed is no longer retained, and the rest is
        held = Witness(self, self.mosquitto.port, "s/#", client="held")
        wait_until(lambda: any(t == "s/gateway/g/info" for t, *_ in held.seen), "what is retained")
        topics = {t for t, _, _, retained in held.seen if retained}
        for name, units in self.units.items():
            for unit in units:
                self.assertIn("s/%s/d%d/n" % (name, unit), topics)
                self.assertIn("s/%s/d%d/availability" % (name, unit), topics)
        for gone in ("bus1/d2", "host4/d1"):
            self.assertNotIn("s/%s/n" % gone, topics)
            self.assertNotIn("s/%s/availability" % gone, topics)
        info = json.loads([p for t, p, *_ in held.seen if t == "s/gateway/g/info"][-1])
        self.assertEqual(len(info["devices"]), sum(len(u) for u in self.units.values()))

    def test_what_was_told_is_not_told_twice(self):
        """A bus restarts, and with it a device that is the same: its deadband still counts from what was told."""
        self.stage(1, 1)
        self.more[("bus0", 1)] = self.more[("host0", 1)] = "deadband: 100000"
        witness = self.begin()
        for more in ([1, 2, 3], [1, 3], [1, 2]):
            self.units["bus0"] = more
            self.write_map()
            self.assertIn("1 bus restarted (bus0)", self.reload())
            self.wait_for_polls()
        self.assertEqual(self.opened("bus0"), 4)
        self.assertEqual(self.gateway_process.stop(), 0)
        for name in ("bus0", "host0"):
            told = self.told(witness, "s/%s/d1/n" % name)
            self.assertLessEqual(len(told), 1 + 2 * told.count(None), told)
            states = [p for t, p, _, retained in witness.seen if t == "s/%s/d1/availability" % name and not retained]
            self.assertEqual(set(states), {"online"})

    def test_profiles_are_read_again(self):
        self.stage(1, 1)
        os.mkdir(self.path("profiles"))

        def profile(scale):
            self.write("profiles/counter.conf", 'profile: { id: "counter"  maker: "us"  device: "Counter"  document: "this test"  revision: "1" }\n'
                       'metrics: { c: { input: 0  type: "u32"  scale: %g } }\n'
                       'vectors: { one: { origin: "this test"  registers: ( { input: 0  values: [0, 8] } )'
                       "  expect: { c: %g } } }\n" % (scale, 8 * scale))

        profile(1)
        self.mosquitto = self.broker(saves="autosave_on_changes false")
        self.broker_text = '"mqtt://127.0.0.1:%d"' % self.mosquitto.port
        self.conf = self.write_map()
        with open(self.conf, encoding="utf-8") as f:
            text = f.read().replace("floors: {", 'floors: {\n p: { d: { bus: "bus0"  address: 9  profile: "counter" } }')
        self.write("map.conf", text)
        self.gateway_process = self.gateway(self.conf, env={"BUSFERRY_PROFILES": self.path("profiles")})
        self.wait_for_polls()
        self.assertIn("nothing has changed", self.reload())
        profile(0.5)
        self.assertIn("1 bus restarted (bus0); the rest went on", self.reload())
        self.assertEqual(self.gateway_process.stop(), 0)

    def test_another_broker(self):
        """What the first one did not acknowledge goes to the second: none lost, in order."""
        self.stage(1, 2)
        first = self.begin()
        other = self.broker(name="other", saves="autosave_on_changes false")
        second = Witness(self, other.port, "#", client="second")
        self.broker_text = '"mqtt://127.0.0.1:%d"' % other.port
        self.write_map()
        self.assertIn("the connection to the broker is made anew; the rest went on", self.reload())
        wait_until(lambda: len(self.told(second, "s/bus0/d1/n")) > 5, "readings at the second broker")
        self.wait_for_polls()
        self.assertEqual(self.gateway_process.stop(), 0)
        for name, units in self.units.items():
            for unit in units:
                topic = "s/%s/d%d/n" % (name, unit)
                there, here = self.told(first, topic), self.told(second, topic)
                for part in there, here:
                    values = [v for v in part if v is not None]
                    self.assertEqual(values, sorted(values))
                values = [v for v in there + here if v is not None]
                self.given_up(values[-1] + 1 - values[0] - len(set(values)), there + here, topic)
        self.assertEqual([h.accepted for h in self.hosts], [1, 1])
        states = [p for t, p, *_ in first.seen if t == "s/gateway/g/state"]
        self.assertEqual(states[-1], "offline")

    def test_another_site(self):
        """Every topic is another one: what was retained under the old ones goes."""
        self.stage(1, 1)
        self.begin()
        text = self.write_map()
        with open(text, encoding="utf-8") as f:
            changed = f.read().replace('site: "s"', 'site: "z"')
        self.write("map.conf", changed)
        self.assertIn("made anew", self.reload())
        self.wait_for_polls()
        wait_until(lambda: "are cleared" in self.gateway_process.text(), "the old topics are cleared")
        held = Witness(self, self.mosquitto.port, "#", client="held")
        wait_until(lambda: any(t == "z/bus0/d1/n" for t, *_ in held.seen), "what is retained")
        self.assertEqual([t for t, _, _, retained in held.seen if retained and t.startswith("s/")], [])
        self.assertEqual(self.gateway_process.stop(), 0)

    def test_another_id_by_a_detour(self):
        """The broker is not found with the first map that has the id: the old one's words go all the same."""
        self.stage(1, 1)
        self.begin()
        right = self.mosquitto.port
        for port in free_port(), right:
            self.broker_text = '"mqtt://127.0.0.1:%d"' % port
            with open(self.write_map(), encoding="utf-8") as f:
                changed = f.read().replace('id: "g"', 'id: "h"')
            self.write("map.conf", changed)
            self.assertIn("made anew", self.reload())
        wait_until(lambda: "are cleared" in self.gateway_process.text(), "the old topics are cleared")
        held = Witness(self, right, "s/gateway/#", client="held")
        wait_until(lambda: any(t == "s/gateway/h/info" for t, *_ in held.seen), "what is retained")
        self.assertEqual([t for t, *_ in held.seen if t.startswith("s/gateway/g/")], [])
        self.assertEqual(self.gateway_process.stop(), 0)

    def backlog(self):
        self.stage(2, 2)
        witness = self.begin()
        self.mosquitto.stop()
        self.wait_for_polls()
        for turn in range(10):
            self.units["bus1"] = [1, 2, 3] if turn % 2 == 0 else [1, 2]
            self.write_map()
            self.assertIn("1 bus restarted (bus1)", self.reload())
            self.wait_for_polls(2)
        self.mosquitto = self.broker(port=self.mosquitto.port, saves="autosave_on_changes false")
        last = self.buses[0].n[1]
        wait_until(lambda: [v for v in self.told(witness, "s/bus0/d1/n") if v is not None][-1] >= last, "the backlog")
        self.assertNotIn("dropped", self.gateway_process.text())
        wait_until(lambda: "are cleared" in self.gateway_process.text(), "what is gone is cleared")
        held = Witness(self, self.mosquitto.port, "s/#", client="held")
        wait_until(lambda: any(t == "s/bus0/d1/n" for t, *_ in held.seen), "what is retained")
        # its backlog came later than the clearing, and is not retained
        self.assertNotIn("s/bus1/d3/n", {t for t, _, _, retained in held.seen if retained})
        self.assertGreater(len(self.told(witness, "s/bus1/d3/n")), 5)
        self.end(witness, ["bus0", "host0", "host1"], twice=True)

    def test_backlog_in_memory_stays(self):
        self.buffer_is = ":none:"
        self.backlog()

    def test_backlog_on_disk_stays(self):
        self.backlog()

    def figures(self):
        """Resident kB, threads, descriptors."""
        at = "/proc/%d/" % self.gateway_process.child.pid
        with open(at + "status", encoding="ascii") as f:
            rss = int([line for line in f if line.startswith("VmRSS:")][0].split()[1])
        return rss, len(os.listdir(at + "task")), len(os.listdir(at + "fd"))

    def test_two_hundred_times(self):
        n = int(os.environ.get("BUSFERRY_RELOADS", "200"))
        self.stage()
        witness = self.begin()
        figures = []
        for turn in range(n):
            self.units["bus1"] = [1, 2, 3] if turn % 2 == 0 else [1, 2]
            self.units["host4"] = [1] if turn % 3 else [1, 2]
            self.write_map()
            self.assertIn("map read again", self.reload())
            if turn % 20 == 19:
                self.units["bus1"], self.units["host4"] = [1, 2], [1]
                self.write_map()
                self.reload()
                self.wait_for_polls(2)
                figures.append(self.figures())
        print("after each 20 reloads (RSS kB, threads, descriptors): %s" % figures)
        if len(figures) > 2 and not SANITIZE:  # but for one step: a moment in which much was waiting takes memory for good
            steps = sorted(max(0, b[0] - a[0]) for a, b in zip(figures[1:], figures[2:]))
            self.assertLessEqual(sum(steps[:-1]), 400)
            self.assertLessEqual(figures[-1][0], figures[1][0] + 2000)
        self.assertEqual({f[1:] for f in figures}, {figures[0][1:]})
        self.end(witness, ["bus0", "bus2", "host0", "host1", "host2", "host3"])

    def test_each_bus_in_turn(self):
        """Generations of buses pile up to a bound; whatever has to restart for it, nothing is lost of the rest."""
        self.stage(4, 8)
        self.begin()
        threads = []
        for turn in range(2 * len(self.units)):
            name = list(self.units)[turn % len(self.units)]
            self.more[(name, 1)] = "scale: %d" % (turn + 2)
            self.write_map()
            self.assertIn("restarted", self.reload())
            self.wait_for_polls(1)
            threads.append(self.figures()[1])
        self.assertLessEqual(max(threads), 4 + 8 + 1 + 4)
        self.wait_for_polls()
        self.assertEqual(self.gateway_process.stop(), 0)

    def test_killed_in_the_middle(self):
        self.stage(2, 2)
        witness = self.begin()
        for turn in range(6):
            self.units["bus1"] = [1, 2, 3] if turn % 2 == 0 else [1, 2]
            self.write_map()
            self.gateway_process.send(signal.SIGHUP)
            time.sleep(0.01 * turn)
            self.gateway_process.child.kill()
            self.gateway_process.wait()
            self.run_gateway()
            self.wait_for_polls()
        self.assertEqual(self.gateway_process.stop(), 0)
        self.assertTrue(witness.seen)
        self.assertNotIn("damaged", self.gateway_process.text())

    def blocks_hangup(self):
        with open("/proc/%d/status" % self.gateway_process.child.pid, encoding="ascii") as f:
            return any(line.startswith("SigBlk:") and int(line.split()[1], 16) & 1 for line in f)

    def test_signals_in_any_order(self):
        self.stage(2, 2)
        self.begin()
        other = self.broker(name="other")
        for turn in range(3):
            for _ in range(3):
                self.gateway_process.send(signal.SIGHUP)
            self.reload()
            self.broker_text = '"mqtt://127.0.0.1:%d"' % (other if turn % 2 == 0 else self.mosquitto).port
            self.units["bus1"] = [1, 2, 3] if turn % 2 == 0 else [1, 2]
            self.write_map()
            self.gateway_process.send(signal.SIGHUP)
            time.sleep(0.02 * turn)
            self.gateway_process.send(signal.SIGHUP)
            self.assertEqual(self.gateway_process.stop(), 0)
            self.run_gateway()
            wait_until(lambda: self.blocks_hangup() or not self.gateway_process.alive(), "it looks after signals")
            self.gateway_process.send(signal.SIGHUP)  # before it runs
            self.wait_for_polls()
        self.assertEqual(self.gateway_process.stop(), 0)

    def test_a_silent_broker_holds_nothing_up(self):
        """Buses change while the publisher waits for a broker that is stopped; and the end is in order."""
        self.stage(2, 1)
        self.begin()
        self.mosquitto.send(signal.SIGSTOP)
        try:
            self.units["bus1"] = [1, 2, 3]
            self.write_map()
            self.reload()
            self.wait_for_polls()
            self.broker_text = '"mqtt://127.0.0.1:%d"' % free_port()
            self.write_map()
            self.reload()
            self.wait_for_polls()
            self.assertEqual(self.gateway_process.stop(), 0)
        finally:
            self.mosquitto.send(signal.SIGCONT)

    def say(self, topic, payload):
        subprocess.run(["mosquitto_pub", "-p", str(self.mosquitto.port), "-t", topic, "-m", payload], check=True,
                       timeout=PATIENCE)

    def results(self, witness, topic):
        return [json.loads(p) for t, p, *_ in list(witness.seen) if t == topic + "/result"]

    def set(self, witness, topic, value):
        """Said until it is answered: a subscription may be under way."""
        n = len(self.results(witness, topic))

        def answered():
            self.say(topic + "/set", str(value))
            time.sleep(0.1)
            return [r for r in self.results(witness, topic)[n:] if r.get("value") == value]

        self.assertTrue(wait_until(answered, "%s takes %d" % (topic, value))[-1]["ok"])

    def test_commands_follow_the_map(self):
        """A wire that goes on is told by the numbers of its own plan, whatever those of the new one are."""
        self.stage(2, 1)
        self.extra = "control: { allow: true }\n"
        for name, unit in (("bus0", 1), ("bus1", 1), ("bus1", 2), ("host0", 1)):
            self.more[(name, unit)] = '} s: { holding: 10  every: "1s"  write: { min: 0  max: 100 }'
        witness = self.begin()
        self.set(witness, "s/bus1/d2/s", 21)
        for turn, units in enumerate(([1, 2, 3], [2, 3, 1], [3, 1])):
            self.units["bus0"] = units
            self.write_map()
            self.assertIn("1 bus restarted (bus0)", self.reload())
            for name, unit in (("bus1", 2), ("bus0", 1), ("host0", 1), ("bus1", 1)):
                value = 30 + 4 * turn + unit
                self.set(witness, "s/%s/d%d/s" % (name, unit), value)
                self.assertEqual(self.unit_of(name).held[(unit, 10)], value)
        self.more[("bus1", 2)] = '} s: { holding: 10  every: "1s"'
        self.write_map()
        self.assertIn("no bus had to be restarted", self.reload())
        self.set(witness, "s/bus1/d1/s", 50)
        n = len(self.results(witness, "s/bus1/d2/s"))
        self.say("s/bus1/d2/s/set", "60")
        self.set(witness, "s/bus1/d1/s", 51)
        self.assertEqual(len(self.results(witness, "s/bus1/d2/s")), n)
        self.assertNotEqual(self.buses[1].held[(2, 10)], 60)
        # with a command for a silent device under way, which has to be answered before the old map can go
        for turn in range(5):
            self.say("s/bus0/d1/s/set", str(70 + turn))
            self.units["bus0"] = [1, 2] if turn % 2 == 0 else [1, 2, 3]
            self.write_map()
            self.assertIn("1 bus restarted (bus0)", self.reload())
        self.extra = ""
        self.write_map()
        self.assertIn("no bus had to be restarted", self.reload())
        n = len(self.results(witness, "s/bus1/d1/s"))
        self.say("s/bus1/d1/s/set", "61")
        self.wait_for_polls()
        self.assertEqual(len(self.results(witness, "s/bus1/d1/s")), n)
        self.extra = "control: { allow: true }\n"
        self.write_map()
        self.reload()
        self.set(witness, "s/bus1/d1/s", 62)
        self.assertEqual(self.opened("bus1"), 1)
        self.assertEqual(self.gateway_process.stop(), 0)

    def test_keys_of_the_buffer(self):
        self.stage(1, 1)
        witness = self.begin()
        self.limits = 'max_age: "1h"  replay: 50  when_full: "drop_newest"'
        self.write_map()
        self.assertIn("map read again: no bus had to be restarted", self.reload())
        self.assertNotIn("restart it to apply", self.gateway_process.text())
        status = self.buffer_status(self.conf)
        self.assertEqual((status["limits"]["max_age_s"], status["limits"]["when_full"]), (3600, "drop_newest"))
        self.limits = 'sync: "5s"  max_size: "1MB"  order: "live_first"'
        self.buffer = self.path("elsewhere.db")
        self.write_map()
        self.reload()
        for key in ("sync", "max_size", "order", "path"):
            self.assertIn("warning: buffer.%s: another value than the gateway runs with" % key,
                          self.gateway_process.text())
        self.assertFalse(os.path.exists(self.buffer))
        self.end(witness, self.units)

    def test_systemd_is_told(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(self.path("notify"))
        s.settimeout(PATIENCE)
        self.addCleanup(s.close)
        self.stage(1, 1)
        self.broker_text = '"mqtt://127.0.0.1:%d"' % free_port()
        self.run_gateway(NOTIFY_SOCKET=self.path("notify"))

        def hear(word):
            while True:
                told = s.recv(4096).decode()
                if told.startswith(word):
                    return told

        hear("READY=1")
        for fault in ("", "nonsense: 1\n"):
            self.extra = fault
            self.units["bus0"] = [1, 2, 3]
            self.write_map()
            self.gateway_process.send(signal.SIGHUP)
            told = dict(line.split("=", 1) for line in hear("RELOADING=1").splitlines())
            self.assertLessEqual(int(told["MONOTONIC_USEC"]), time.monotonic_ns() // 1000)
            hear("READY=1")
            hear("STATUS=")
        self.assertEqual(self.gateway_process.stop(), 0)

    def test_while_printing(self):
        self.stage(1, 1)
        self.broker_text = '"mqtt://127.0.0.1:1"'
        self.conf = self.write_map()
        self.gateway_process = self.gateway(self.conf, "--stdout")
        wait_until(lambda: "s/bus0/d2/n {" in self.gateway_process.text(), "readings")
        self.units["bus0"] = [1, 3]
        self.write_map()
        self.assertIn("1 bus restarted (bus0), 1 device new, 1 gone", self.reload())
        wait_until(lambda: "s/bus0/d3/n {" in self.gateway_process.text(), "readings of the new one")
        self.assertEqual(self.gateway_process.stop(), 0)


if __name__ == "__main__":
    unittest.main()
