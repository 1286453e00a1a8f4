"""SunSpec devices played by pymodbus, on a pty and over TCP: values are read where the chain says, also after it has changed, with
and without a silence in between; and `simulate` plays such a device, on a faultless line and on one where everything goes wrong."""

import json
import os
import subprocess
import unittest

from harness import Scenario, free_port, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER = ["/usr/bin/python3", "-B", os.path.join(HERE, "..", "fake", "pymodbus_server.py")]
MARK = [0x5375, 0x6E53]
END = [0xFFFF, 0]
METRICS = """{
  name:    { model: 1  holding: 2  type: "string"  length: 8  every: "start" }
  power:   { model: [101, 102, 103]  holding: 14  type: "s16"  scale_from: 15 }
  voltage: { model: 103  holding: 12  scale_from: 13 }
  string2: { model: 160  holding: 41  scale_from: 4 }
}"""
MAP = """
site: "hq"
broker: "mqtt://127.0.0.1:{broker}"
every: "200ms"
buses: {{ rs485: {{ port: "{pty}"  line: "115200 8N1" }} }}
floors: {{
  rtu: {{ dev: {{ bus: "rs485"  address: 7  metrics: {metrics} }} }}
  net: {{ dev: {{ tcp: "127.0.0.1:{tcp}"  address: 7  metrics: {metrics} }} }}
}}
"""


def common(name):
    text = name.encode().ljust(8, b"\0")
    return [1, 65] + [text[i] << 8 | text[i + 1] for i in range(0, 8, 2)] + [0x6161] * 61


def inverter(model, power):
    """Whatever is not asked for looks wrong."""
    return [model, 50] + [0x7777] * 10 + [2314, 0xFFFF, power, 1] + [0x7777] * 36


def inputs(power):
    return [160, 48] + [0x7777] * 2 + [0] + [0x7777] * 36 + [power] + [0x7777] * 8


def chain(*models):
    return MARK + [value for model in models for value in model] + END


def holding(at, values):
    return "holding %d = %s" % (at, " ".join(str(value) for value in values))


class SunSpec(Scenario):
    def setUp(self):
        super().setUp()
        self.servers = []

    def serve(self, *where):
        process = self.start([*SERVER, *where, "--unit", "7", "--registers", self.registers, "--commands", "--seconds", "120"],
                             "server-%d" % len(self.servers), stdin=subprocess.PIPE)
        wait_until(lambda: "ready" in process.text() or not process.alive(), "the server")
        self.servers.append(process)

    def tell(self, command):
        for server in self.servers:
            before = server.text().count("ok")
            server.child.stdin.write(command.encode() + b"\n")
            server.child.stdin.flush()
            wait_until(lambda: server.text().count("ok") > before, "the server obeys: " + server.text()[-200:])

    def last(self, floor, metric):
        readings = self.sub.readings("hq/%s/dev/%s" % (floor, metric))
        return readings[-1] if readings else {}

    def until(self, metric, value):
        for floor in ("rtu", "net"):
            wait_until(lambda: self.last(floor, metric).get("value") == value, "%s/%s is %s" % (floor, metric, value))

    def test_a_chain_that_changes(self):
        self.registers = self.write("cells.json", json.dumps(
            [{"table": "holding", "start": 40000, "values": chain(common("first"), inverter(101, 321))}]))
        pty, tcp = self.path("pty"), free_port()
        self.serve("--pty", pty)
        self.serve("--tcp", str(tcp))
        broker = self.broker()
        self.sub = self.subscriber(broker.port, "hq/#")
        gateway = self.gateway(self.write("map.conf", MAP.format(broker=broker.port, pty=pty, tcp=tcp, metrics=METRICS)))
        self.until("power", 3210)
        self.until("name", "first")
        for floor in ("rtu", "net"):
            for metric in ("voltage", "string2"):
                reading = self.last(floor, metric)
                self.assertEqual((reading["value"], reading["quality"], reading["code"]), (None, "exception", 2))

        # from one answer to the next, as after new firmware: other models, other places
        self.tell(holding(40000, chain(common("other"), [120, 26] + [0x7777] * 26, inverter(103, 456), inputs(700))))
        self.until("power", 4560)
        self.until("voltage", 231.4)
        self.until("string2", 700)

        # gone for a while, and another device when it comes back
        self.tell("silent = 1")
        for floor in ("rtu", "net"):
            self.sub.wait_for("hq/%s/dev/availability" % floor, 2)
        self.tell(holding(40000, [0] * 4) + " ; " + holding(50000, chain(common("third"), inverter(102, 78))) + " ; silent = 0")
        self.until("name", "third")
        self.until("power", 780)

        # never a value that was in no place of the metric
        for floor in ("rtu", "net"):
            for metric, right in (("power", {3210, 4560, 780, None}), ("voltage", {231.4, None}), ("string2", {700, None}),
                                  ("name", {"first", "other", "third", None})):
                values = {reading["value"] for reading in self.sub.readings("hq/%s/dev/%s" % (floor, metric))}
                self.assertLessEqual(values, right, (floor, metric))
            self.assertEqual([r["quality"] for r in self.sub.readings("hq/%s/dev/power" % floor) if r["value"] is None][0], "invalid")
        self.assertEqual(gateway.stop(), 0)
        self.assertIn("rtu/dev: its SunSpec models are not where they were", gateway.text())
        self.assertIn("net/dev has the SunSpec models 1 102, from holding register 50000 on", gateway.text())
        self.assertIn("hq/net/dev/voltage: the device has no such model", gateway.text())

    def simulated(self, faults):
        broker = self.broker()
        self.sub = self.subscriber(broker.port, "hq/#")
        conf = self.write("map.conf", MAP.format(broker=broker.port, pty=self.path("pty"), tcp=free_port(), metrics=METRICS))
        self.simulate(conf, "--holes", *faults)
        gateway = self.gateway(conf)
        for floor in ("rtu", "net"):
            for metric in ("power", "voltage", "string2", "name"):
                wait_until(lambda: any(r["value"] is not None for r in self.sub.readings("hq/%s/dev/%s" % (floor, metric))),
                           "%s/%s" % (floor, metric))
        self.assertEqual(gateway.stop(), 0)
        self.assertIn("rtu/dev has the SunSpec models 1 103 160, from holding register 40000 on", gateway.text())

    def test_simulated(self):
        self.simulated([])

    def test_simulated_with_faults(self):
        self.simulated(["--faults", "late:3%,lost:5%,truncated:3%,noisy:3%,exception:3%"])


if __name__ == "__main__":
    unittest.main()
