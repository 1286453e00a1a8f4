"""Against Modbus servers that are not ours: libmodbus and pymodbus, over ptys and TCP; mbpoll agrees with `read`."""

import json
import os
import re
import subprocess
import unittest

from harness import FAKE, PATIENCE, Scenario, free_port, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = {
    "libmodbus": [os.path.join(FAKE, "modbus_server")],
    "pymodbus": ["/usr/bin/python3", "-B", os.path.join(HERE, "..", "fake", "pymodbus_server.py")],
}


def cell(table, at):
    return (table * 10000 + at) & 0xFFFF


MAP = """
site: "hq"
broker: "mqtt://127.0.0.1:{broker}"
every: "300ms"
buses: {{ rs485: {{ port: "{pty}"  line: "115200 8N1" }} }}
floors: {{
  rtu: {{ dev: {{ bus: "rs485"  address: 7  metrics: {metrics} }} }}
  net: {{ dev: {{ tcp: "127.0.0.1:{tcp}"  address: 7  metrics: {metrics} }} }}
}}
"""
METRICS = """{
  i0:   { input: 0 }
  i9:   { input: "30010" }
  s:    { holding: 100  type: "s16"  scale: 0.1 }
  big:  { holding: 200  type: "u32" }
  lit:  { holding: 200  type: "u32"  words: "little" }
  last: { holding: 65535 }
  c3:   { coil: 3 }
  d4:   { discrete: 4 }
}"""
EXPECTED = {
    "i0": 30000, "i9": 30009, "s": round((cell(4, 100) - 65536 if cell(4, 100) > 32767 else cell(4, 100)) * 0.1, 1),
    "big": cell(4, 200) << 16 | cell(4, 201), "lit": cell(4, 201) << 16 | cell(4, 200), "last": cell(4, 65535),
    "c3": True, "d4": False,
}


class RealPeers(Scenario):
    def peer(self, kind, *where):
        process = self.start([*PEERS[kind], *where, "--unit", "7", "--seconds", "120"],
                             "%s-%d" % (kind, len(self.processes)))
        wait_until(lambda: "ready" in process.text() or not process.alive(), kind + " is ready")
        self.assertTrue(process.alive(), process.text())
        return process

    def test_values_through_the_whole_gateway(self):
        for kind in PEERS:
            with self.subTest(kind):
                pty, tcp = self.path("pty-" + kind), free_port()
                self.peer(kind, "--pty", pty)
                self.peer(kind, "--tcp", str(tcp))
                broker = self.broker(name="broker-" + kind)
                conf = self.write(kind + ".conf", MAP.format(broker=broker.port, pty=pty, tcp=tcp, metrics=METRICS))
                sub = self.subscriber(broker.port, "hq/#")
                gateway = self.gateway(conf)
                for wire in ("rtu", "net"):
                    for metric, value in EXPECTED.items():
                        sub.wait_for("hq/%s/dev/%s" % (wire, metric), 2)
                        for reading in sub.readings("hq/%s/dev/%s" % (wire, metric)):
                            self.assertEqual(reading["value"], value, (wire, metric))
                self.assertEqual(gateway.stop(), 0)

    def test_read_agrees_with_mbpoll(self):
        pty, tcp = self.path("pty"), free_port()
        self.peer("libmodbus", "--pty", pty)
        self.peer("libmodbus", "--tcp", str(tcp))
        ports = ((pty, ["-m", "rtu", "-b", "115200", "-P", "none", pty], ["--line", "115200 8N1"]),
                 ("tcp://127.0.0.1:%d" % tcp, ["-m", "tcp", "-p", str(tcp), "127.0.0.1"], []))
        tables = {"holding": "4", "input": "3", "coil": "0", "discrete": "1"}
        for port, theirs, ours in ports:
            for table, kind in tables.items():
                with self.subTest(port=port, table=table):
                    seen = subprocess.run(["mbpoll", "-0", "-1", "-q", "-a", "7", "-r", "30", "-c", "10", "-t", kind,
                                           *theirs], capture_output=True, text=True, timeout=PATIENCE, check=True)
                    values = [int(v) & 0xFFFF for v in re.findall(r"^\[\d+\]:\s+(-?\d+)", seen.stdout, re.M)]
                    self.assertEqual(len(values), 10, seen.stdout)
                    done = self.command("read", port, table + ":30", "-a", "7", "-n", "10", "--json", *ours)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    own = [int(v["value"]) for v in json.loads(done.stdout)["values"]]
                    self.assertEqual(own, values)

    def test_read_shows_all_orders(self):
        pty = self.path("pty")
        self.peer("libmodbus", "--pty", pty)
        orders = self.command("read", pty, "holding:200", "-a", "7", "-t", "u32", "--orders")
        self.assertEqual(orders.returncode, 0, orders.stderr)
        self.assertIn(str(EXPECTED["big"]), orders.stdout)
        self.assertIn(str(EXPECTED["lit"]), orders.stdout)

    def test_read_tells_what_is_wrong(self):
        pty = self.path("pty")
        self.peer("libmodbus", "--pty", pty)
        silent = self.command("read", pty, "input:0", "-a", "9", "--timeout", "100ms")
        self.assertEqual(silent.returncode, 69)
        self.assertIn("unit 9 does not answer", silent.stderr)
        self.assertEqual(self.command("read", self.path("none"), "input:0").returncode, 66)
        self.assertEqual(self.command("read", pty, "input:65535", "-t", "u32").returncode, 64)

    WRITES = (("holding:300", "s16", "-21", ()), ("holding:301", "u16", "65535", ("--function", "16")),
              ("holding:310", "u32", "4000000000", ("--words", "little")), ("holding:320", "f32", "1.5", ()),
              ("holding:330", "u64", "18446744073709551615", ()), ("holding:65535", "u16", "7", ()),
              ("coil:4", None, "on", ()), ("coil:5", None, "off", ("--function", "15")))

    def test_write_and_read_agree(self):
        for kind in PEERS:
            pty, tcp = self.path("pty-" + kind), free_port()
            self.peer(kind, "--pty", pty)
            self.peer(kind, "--tcp", str(tcp))
            for port in (pty, "tcp://127.0.0.1:%d" % tcp):
                for place, type_name, value, options in self.WRITES:
                    with self.subTest(kind=kind, port=port, place=place):
                        of_type = ["-t", type_name] if type_name else []
                        done = self.command("write", port, place, "-a", "7", "--yes", "--json", *of_type, *options,
                                            "--", value)
                        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                        told = json.loads(done.stdout)
                        wanted = {"on": True, "off": False}.get(value) if not type_name else json.loads(value)
                        self.assertTrue(told["ok"])
                        self.assertEqual(told["after"], wanted)
                        self.assertNotEqual(told["before"], wanted)
                        orders = [o for o in options if o in ("--words", "little")]
                        again = self.command("read", port, place, "-a", "7", "--json", *of_type, *orders)
                        self.assertEqual(json.loads(again.stdout)["values"][0]["value"], wanted)

    def test_any_text_is_written_and_told(self):
        pty = self.path("pty")
        self.peer("libmodbus", "--pty", pty)
        for text in ("\x01" * 240, '"' * 240, "x"):
            done = self.command("write", pty, "holding:400", "-a", "7", "-t", "string", "--length", "240", "--yes",
                                "--json", "--", text)
            self.assertEqual(done.returncode, 0, done.stderr)
            told = json.loads(done.stdout)
            self.assertEqual((told["wanted"], told["after"], told["ok"]), (text, text, True))

    def test_metrics_are_set(self):
        metrics = """{
          s: { holding: 100  type: "s16"  scale: 0.1  write: { min: -50  max: 50  step: 0.5 } }
          big: { holding: 200  type: "u32"  words: "little"  write: { } }
          many: { holding: 210  write: { function: 16 } }
          c4: { coil: 4  write: { } }
        }"""
        for kind in PEERS:
            with self.subTest(kind):
                pty, tcp = self.path("pty-" + kind), free_port()
                self.peer(kind, "--pty", pty)
                self.peer(kind, "--tcp", str(tcp))
                broker = self.broker(name="broker-" + kind)
                conf = self.write("set-" + kind + ".conf", "control: { allow: true }\n" + MAP.format(
                    broker=broker.port, pty=pty, tcp=tcp, metrics=metrics))
                sub = self.subscriber(broker.port, "hq/#")
                gateway = self.gateway(conf)
                for wire in ("rtu", "net"):
                    for metric, value in (("s", -20.5), ("big", 4000000000), ("many", 3), ("c4", True)):
                        topic = "hq/%s/dev/%s" % (wire, metric)
                        sub.wait_for(topic)
                        subprocess.run(["mosquitto_pub", "-p", str(broker.port), "-t", topic + "/set", "-m",
                                        json.dumps(value)], check=True, timeout=PATIENCE)
                        sub.wait_for(topic + "/result")
                        self.assertEqual(sub.readings(topic + "/result"), [{"ok": True, "value": value}])
                        wait_until(lambda t=topic, v=value: sub.readings(t)[-1]["value"] == v, "the reading")
                self.assertEqual(gateway.stop(), 0)

    def test_two_gateways_do_not_share_a_port(self):
        pty = self.path("pty")
        self.peer("libmodbus", "--pty", pty)
        conf = self.write("a.conf", 'site: "s"\nbroker: "mqtt://127.0.0.1:1"\nfloors: { f: { d: { port: "%s"  address: 7'
                          "  metrics: { m: { input: 0 } } } } }\n" % pty)
        first = self.gateway(conf, "--stdout")
        wait_until(lambda: "s/f/d/m " in first.text(), "a reading")
        self.assertEqual(self.command("read", pty, "input:0", "-a", "7").returncode, 75)
        second = self.gateway(conf, "--stdout")
        wait_until(lambda: "another program has it" in second.text(), "the second says so")


if __name__ == "__main__":
    unittest.main()
