"""Meters through the whole gateway: ports that are ptys, meters that mind how they are asked, payloads on stdout.

The optical ones hear at 300 Bd and send at the speed that was agreed on; those on the M-Bus have a bit that must toggle and
are selected by their number; what is pushed comes in pieces, cut off and damaged.
"""

import json
import os
import re
import unittest

from harness import HERE, Scenario, wait_until

SOURCE = os.path.join(HERE, "..", "..")
METERS = ["/usr/bin/python3", "-B", os.path.join(HERE, "..", "fake", "meters.py")]
READOUT = b"C.1.0(13647123)\r\n1.8.0(061561.289*kWh)\r\n1.6.1(12.345*kW)(2501021530)\r\nF.F(0A)\r\n"
OPTIC = """
  optic: {{ bus: "p"  every: "1s"  timeout: "2s"  {keys}
    metrics: {{
      energy: {{ obis: "1.8.0"  unit: "kWh" }}
      peak:   {{ obis: "1.6.1"  unit: "kW" }}
      when:   {{ obis: "1.6.1"  bracket: 2  type: "text" }}
      id:     {{ obis: "C.1.0"  type: "text" }}
      fault:  {{ obis: "F.F"  type: "hex"  bits: {{ low: 1  high: 2 }} }}
    }}
  }}
"""
MAP = """
site: "m"  broker: "mqtt://127.0.0.1:1"
buses: {{ p: {{ port: "{pty}"  line: "{line}"  driver: "{driver}" }} }}
floors: {{ f: {{ {devices} }} }}
"""


def telegrams(name):
    """The constants of a header of the unit tests."""
    with open(os.path.join(HERE, "..", "unit", name), encoding="utf-8") as f:
        found = re.findall(r"char \w+?_(\w+)\[\] =\s*((?:\"[0-9A-F]+\"\s*)+);", f.read())
    return {name: "".join(re.findall(r'"([0-9A-F]+)"', digits)) for name, digits in found}


class Meters(Scenario):
    def meters(self, kind, *arguments):
        self.pty = self.path("pty")
        process = self.start([*METERS, kind, "--pty", self.pty, *arguments], kind)
        wait_until(lambda: "ready" in process.text() or not process.alive(), "the meters")
        return process

    def run_gateway(self, driver, line, devices):
        conf = self.write("map.conf", MAP.format(pty=self.pty, driver=driver, line=line, devices=devices))
        return self.gateway(conf, "--stdout")

    @staticmethod
    def told(gateway):
        """All payloads, by topic."""
        topics = {}
        for line in gateway.text().splitlines():
            match = re.match(r"m/f/(\S+) (\{.*\})$", line)
            if match:
                topics.setdefault(match.group(1), []).append(json.loads(match.group(2)))
        return topics

    def values(self, gateway, topic):
        return [reading["value"] for reading in self.told(gateway).get(topic, [])]

    def optic(self, name, *arguments, keys=""):
        with open(self.path("readout"), "wb") as f:
            f.write(READOUT)
        meter = self.meters("optic", "--name", name, "--readout", self.path("readout"), *arguments)
        gateway = self.run_gateway("iec62056", "300 7E1", OPTIC.format(keys=keys))
        return meter, gateway

    def all_is_read(self, gateway):
        wait_until(lambda: len(self.values(gateway, "optic/energy")) >= 3, "three readouts")
        told = self.told(gateway)
        for topic, value in (("energy", 61561.289), ("peak", 12.345), ("when", "2501021530"), ("id", "13647123"),
                             ("low", True), ("high", False)):
            self.assertEqual([reading["value"] for reading in told["optic/" + topic]][:2], [value] * 2, topic)
        self.assertEqual(told["optic/energy"][0]["unit"], "kWh")

    def test_mode_c_changes_its_speed_and_goes_back(self):
        meter, gateway = self.optic("/LGZ4ZMF100AC.M26")
        self.all_is_read(gateway)
        gateway.stop()
        self.assertGreaterEqual(meter.text().count("readout 4800"), 3)
        self.assertNotRegex(meter.text(), "deaf|garbled")

    def test_mode_c_with_a_slow_head_that_echoes(self):
        meter, gateway = self.optic("/ABC6X", "--echo", keys='fastest: 2400  meter: "0012"')
        self.all_is_read(gateway)
        gateway.stop()
        self.assertIn("asked /?0012!", meter.text())
        self.assertIn("readout 2400", meter.text())

    def test_mode_b_of_a_meter_that_sleeps(self):
        meter, gateway = self.optic("/LUGCUH50", "--wake", "40", keys='wake: 40  wake_pause: "0s"')
        self.all_is_read(gateway)
        gateway.stop()
        self.assertIn("readout 2400", meter.text())
        self.assertNotRegex(meter.text(), "deaf|garbled")

    def test_mode_a_of_a_meter_that_wants_to_wake_up_first(self):
        meter, gateway = self.optic("/ABC@X", "--wake", "30", keys='wake: 30  wake_pause: "300ms"')
        self.all_is_read(gateway)
        gateway.stop()
        self.assertIn("readout 300", meter.text())
        self.assertNotRegex(meter.text(), "deaf|garbled")

    def test_a_readout_with_a_wrong_checksum(self):
        meter, gateway = self.optic("/LGZ6X", "--damage", "2")
        wait_until(lambda: len([v for v in self.values(gateway, "optic/energy") if v]) >= 3, "readouts after a damaged one")
        gateway.stop()
        self.assertIn("readout 19200", meter.text())
        readings = self.told(gateway)["optic/energy"]
        self.assertEqual([r["quality"] for r in readings if r["value"] is None], ["checksum"])
        self.assertEqual({r["value"] for r in readings}, {None, 61561.289})

    def test_mbus(self):
        known = telegrams("mbus_telegrams.h")
        meters = self.write("meters.json", json.dumps([
            {"address": 3, "id": "01006089", "telegrams": [known["svm"], known["emh"]]},
            {"address": 0, "id": "10380010", "telegrams": [known["engelmann"]]},
            {"address": 17, "id": "06855817", "telegrams": [known["kamstrup"]]}]))
        # The second telegram of the first meter comes under its address too.
        process = self.meters("mbus", "--meters", meters)
        gateway = self.run_gateway("mbus", "2400 8E1", """
          many:  { bus: "p"  address: 1  every: "1s"
            metrics: { heat: { quantity: "energy"  unit: "Wh" }  power: { quantity: "energy"  tariff: 1 }
                       last: { record: 13 }  id: { header: "id" } } }
          named: { bus: "p"  secondary: "10380010"  every: "1s"
            metrics: { heat: { quantity: "energy"  unit: "Wh" }  flow: { quantity: "flow_temperature"  unit: "°C" } } }
          far:   { bus: "p"  address: 17  every: "1s"  metrics: { heat: { quantity: "energy"  unit: "Wh" } } }
          dead:  { bus: "p"  address: 5  every: "1s"  timeout: "300ms"  metrics: { heat: { quantity: "energy" } } }
        """.replace("address: 1 ", "address: 3 "))
        wait_until(lambda: len(self.values(gateway, "named/heat")) >= 3 and len(self.values(gateway, "dead/heat")) >= 1,
                   "three rounds")
        gateway.stop()
        self.assertNotRegex(process.text(), "deaf|untoggled")
        told = {topic: readings[0]["value"] for topic, readings in self.told(gateway).items()}
        self.assertEqual(told["named/heat"], 800000)
        self.assertEqual(told["named/flow"], 95)
        self.assertIsNone(told["dead/heat"])
        self.assertEqual(told["far/heat"], 37351000)
        self.assertIn("selected 10380010", process.text())

    def test_sml(self):
        known = telegrams("sml_telegrams.h")
        whole, other = known["apator_norax"], known["iskra"]
        script = self.write("sml.json", json.dumps([
            "ff1b1b1b1b1b", whole, other[:300], other, "1b1b1b1b01010101" * 3 + whole, other[:200] + "00" + other[202:]]))
        self.meters("sml", "--script", script)
        gateway = self.run_gateway("sml", "9600 8N1", """
          meter: { bus: "p"  every: "0s"  timeout: "20s"
            metrics: { energy: { obis: "1-0:1.8.0"  unit: "Wh" }  voltage: { obis: "1-0:32.7.0"  unit: "V" }
                       id: { obis: "1-0:96.1.0"  type: "id" } } }
        """)
        wait_until(lambda: len(self.values(gateway, "meter/energy")) >= 12, "twelve telegrams")
        gateway.stop()
        energies = self.values(gateway, "meter/energy")[:12]
        self.assertEqual(energies, [449720.8, 79139.3, 449720.8] * 4)
        self.assertEqual(set(self.values(gateway, "meter/voltage")), {232.1})
        self.assertEqual(set(self.values(gateway, "meter/id")), {"1APA0189477330", "1ISK0075126084"})


    def test_the_examples_beside_the_drivers(self):
        env = dict(os.environ, BUSFERRY_PROFILES=os.path.join(SOURCE, "config", "profiles"))
        for driver in ("sml", "iec62056", "mbus"):
            done = self.command("check", "-c", os.path.join(SOURCE, "drivers", driver, "example.conf"), env=env)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr.count("warning: "), done.stderr.count("is not there"), done.stderr)


if __name__ == "__main__":
    unittest.main()
