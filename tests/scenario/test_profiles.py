"""Profiles: each proves itself through the whole gateway, and the commands tell what is wrong with one.

For every golden vector a Modbus server that is not ours holds the vector's registers, and a map that says nothing but the
profile must give the readings that the vector expects.
"""

import json
import os
import re
import unittest

from harness import HERE, Scenario, wait_until

SOURCE = os.path.join(HERE, "..", "..")
SERVER = ["/usr/bin/python3", "-B", os.path.join(HERE, "..", "fake", "pymodbus_server.py")]
SHIPPED = {os.path.splitext(file)[0] for file in os.listdir(os.path.join(SOURCE, "config", "profiles")) if file.endswith(".conf")}
MAP = """
site: "v"
broker: "mqtt://127.0.0.1:1"
buses: {{ wire: {{ port: "{pty}"{line} }} }}
floors: {{ f: {{ d: {{ profile: "{id}"  address: 7 }} }} }}
"""
GOOD = """
profile: {{ id: "{id}"  maker: "Acme"  device: "Meter"  document: "none"  revision: "1" }}
line: "19200 8E1"
metrics: {{ level: {{ input: 3  scale: 0.1  unit: "%" }} }}
vectors: {{ v: {{ origin: "synthetic"  registers: ( {{ input: 3  values: [{value}] }} )  expect: {{ {expect} }} }} }}
"""


class Profiles(Scenario):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("profiles"))
        self.env = dict(os.environ, BUSFERRY_PROFILES=os.path.join(SOURCE, "config", "profiles"))

    def profiles(self, *arguments):
        return self.command("profiles", *arguments, env=self.env)

    def own(self, name, value=501, expect="level: 50.1"):
        self.env["BUSFERRY_PROFILES"] = self.path("profiles")
        return self.write("profiles/%s.conf" % name, GOOD.format(id=name, value=value, expect=expect))

    def replay(self, profile, vector):
        name = profile["id"] + "-" + vector["name"]
        registers = self.write(name + ".json", json.dumps(vector["registers"]))
        server = self.start([*SERVER, "--pty", self.path(name), "--unit", "7", "--seconds", "120", "--registers", registers],
                            name)
        wait_until(lambda: "ready" in server.text() or not server.alive(), "the server of " + name)
        conf = self.write(name + ".conf", MAP.format(pty=self.path(name), id=profile["id"], line=""))
        done = self.command("run", "-c", conf, "--once", "--stdout", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        server.stop()
        lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
        units = {metric["name"]: metric.get("unit") for metric in profile["metrics"]}
        for metric, expected in vector["expect"].items():
            with self.subTest(metric):
                reading = json.loads(lines["v/f/d/" + metric])
                if isinstance(expected, dict):
                    self.assertIsNone(reading["value"])
                    self.assertEqual(reading["quality"], expected["quality"])
                else:
                    self.assertEqual(reading["value"], expected)
                    self.assertNotIn("quality", reading)
                self.assertEqual(reading.get("unit"), units[metric])

    def test_each_vector_through_the_whole_gateway(self):
        listed = json.loads(self.profiles("list", "--json").stdout)["profiles"]
        here = [p for p in listed if os.path.dirname(p["file"]) == self.env["BUSFERRY_PROFILES"]]
        self.assertEqual({p["id"] for p in here}, SHIPPED)
        self.assertGreaterEqual(len(SHIPPED), 40)
        for entry in here:
            shown = self.profiles("show", entry["id"], "--json")
            self.assertEqual(shown.returncode, 0, shown.stderr)
            profile = json.loads(shown.stdout)
            self.assertGreater(len(profile["vectors"]), 0, entry["id"] + " has no vector")
            proven = {metric for vector in profile["vectors"] for metric in vector["expect"]}
            self.assertEqual(proven, {metric["name"] for metric in profile["metrics"]}, entry["id"])
            for vector in profile["vectors"]:
                if "messages" in profile:  # test_stream_profiles.py plays them
                    self.assertTrue(vector["input"], entry["id"])
                    continue
                with self.subTest(entry["id"], vector=vector["name"]):
                    self.replay(profile, vector)

    def test_the_shipped_ones_are_sound_and_without_warnings(self):
        for name in sorted(SHIPPED):
            with self.subTest(name):
                done = self.profiles("check", os.path.join(self.env["BUSFERRY_PROFILES"], name + ".conf"))
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_those_in_the_document(self):
        with open(os.path.join(SOURCE, "docs", "writing-a-profile.md"), encoding="utf-8") as f:
            texts = re.findall(r"```\n(profile: .*?)```", f.read(), re.S)
        self.assertEqual(len(texts), 3)
        for text in texts:
            file = self.write("profiles/%s.conf" % re.search(r'id: "(.*?)"', text).group(1), text)
            done = self.profiles("check", file)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_smallest_map_of_the_contract(self):
        conf = self.write("small.conf", """
site:   "home"
broker: "mqtt://localhost"

buses: { rs485: { port: "/dev/ttyUSB0"  line: "9600 8N1" } }

floors: {
  ground: {
    meter:   { profile: "eastron-sdm120"  address: 1 }
    climate: { profile: "xy-md02"         address: 2  every: "30s" }
  }
}
""")
        done = self.command("check", "-c", conf, "--topics", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("home/ground/meter/voltage ", done.stdout)
        self.assertRegex(done.stdout, r"home/ground/climate/temperature .*every 30s")

    def test_only_skip_publish(self):
        text = MAP.replace('address: 7', 'address: 7  only: ["energy_*", "volt*"]  skip: "energy_export"  '
                           'publish: {{ voltage: {{ qos: 0  every: "1s" }} }}  metrics: {{ own: {{ input: 200 }} }}')
        conf = self.write("m.conf", text.format(pty=self.path("none"), id="eastron-sdm120", line=""))
        done = self.command("check", "-c", conf, "--topics", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        topics = {line.split()[0]: " ".join(line.split()[1:]) for line in done.stdout.splitlines() if line.startswith("v/")}
        self.assertEqual(set(topics), {"v/f/d/voltage", "v/f/d/energy_import", "v/f/d/energy_total", "v/f/d/own"})
        self.assertRegex(topics["v/f/d/voltage"], "qos 0 .*every 1s")
        self.assertRegex(topics["v/f/d/energy_total"], "qos 1 .*every 10s")

    def test_the_line_of_a_profile_is_for_a_bus_that_says_none(self):
        self.own("acme")
        for line, expected in (("", "19200 8E1"), ('  line: "4800 8N2"', "4800 8N2")):
            conf = self.write("m.conf", MAP.format(pty=self.path("none"), id="acme", line=line))
            done = self.command("check", "-c", conf, env=self.env)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(expected, done.stdout)

    def test_check_tells_what_is_wrong(self):
        good = self.profiles("check", self.own("good"), "--json")
        self.assertEqual(good.returncode, 0, good.stderr)
        self.assertEqual(json.loads(good.stdout)["vectors"], 1)
        for name, change, code, told in (
                ("other", {"value": 502}, 65, '"level" is 50.2, expected 50.1'),
                ("null", {"expect": 'level: { quality: "invalid" }'}, 65, '"level" is 50.1, expected null for invalid'),
                ("misspelt", {"expect": "levl: 50.1"}, 65, 'did you mean "level"?'),
                ("empty", {"expect": ""}, 65, 'no vector expects the metric "level"'),
                ("wide", {"value": 70000}, 78, "a register is a number from 0 to 65535"),
                ("torn", {"expect": "level: 1 }"}, 78, "closes nothing")):
            with self.subTest(name):
                file = self.own(name, **change)
                done = self.profiles("check", file)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(file + ":", done.stderr)
                self.assertIn(told, done.stderr)
        self.assertEqual(self.profiles("check", self.path("none.conf")).returncode, 66)

    def test_list_and_show(self):
        self.own("mine")
        self.assertRegex(self.profiles("list").stdout, r"(?m)^mine +Acme Meter$")
        shown = self.profiles("show", "mine").stdout
        for part in (self.path("profiles/mine.conf"), "19200 8E1", "level", "input 3", "u16", "%", "synthetic"):
            self.assertIn(part, shown)
        unknown = self.profiles("show", "min")
        self.assertEqual(unknown.returncode, 66)
        self.assertIn('did you mean "mine"?', unknown.stderr)
        self.assertEqual(self.profiles("show", "../profiles/mine").returncode, 66)
        for wrong in ((), ("frob",), ("show",), ("check",), ("list", "x"), ("show", "a", "b")):
            self.assertEqual(self.profiles(*wrong).returncode, 64, wrong)


if __name__ == "__main__":
    unittest.main()
