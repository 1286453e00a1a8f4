"""SIGHUP reads the map again: with faults nothing changes, without only what changed restarts."""

import json
import os
import signal
import socket
import time
import unittest

from harness import PATIENCE, Scenario, free_port, wait_until
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
        self.buffer = self.path("buffer.db")
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
        return [json.loads(p)["value"] for t, p, _, retained in list(witness.seen) if t == topic and not retained]

    def unit_of(self, name):
        return (self.hosts if name.startswith("host") else self.buses)[int(name[-1])]

    def answered(self):
        return {(name, unit): self.unit_of(name).n.get(unit, 0) for name, units in self.units.items() for unit in units}

    def wait_for_polls(self, n=5):
        before = self.answered()
        wait_until(lambda: all(self.answered()[k] >= v + n for k, v in before.items() if k in self.answered()),
                   "%d polls of every device" % n)

    def end(self, witness, names):
        """And no port of these was ever closed."""
        opened = [(n, self.unit_of(n).accepted if n.startswith("host") else self.unit_of(n).hangups) for n in names]
        self.assertEqual(opened, [(n, int(n.startswith("host"))) for n in names])
        self.assertEqual(self.gateway_process.stop(), 0)
        self.untouched(witness, names)

    def untouched(self, witness, names):
        """Each answer was told, once and in order; what was given up was told as that."""
        for name in names:
            unit = self.unit_of(name)
            for address in self.units[name]:
                told = self.told(witness, "s/%s/d%d/n" % (name, address))
                values = [v for v in told if v is not None]
                self.assertEqual(values, sorted(set(values)), name)
                missed = values[-1] - values[0] + 1 - len(values)
                self.assertLessEqual(missed, told.count(None), "%s/d%d" % (name, address))
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
        self.assertEqual(self.buses[1].hangups, 1)
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


if __name__ == "__main__":
    unittest.main()
