"""Writing back through a real broker: set, result, reading; what is refused; a flood; the two keys, each missing."""

import json
import os
import signal
import subprocess
import time
import unittest

from harness import PATIENCE, Scenario, free_port, wait_until

MAP = """
site: "s"
broker: {{ url: "mqtt://127.0.0.1:{broker}"  keepalive: "5s" }}
gateway: {{ id: "g" }}
{control}
every: "1s"
buses: {{ rs485: {{ port: "{pty}"  line: "19200 8N1" }} }}
floors: {{ f: {{
  heat: {{ bus: "rs485"  address: 3  metrics: {{
    setpoint: {{ holding: 300  type: "s16"  scale: 0.1  unit: "°C"{write} }}
    mode:     {{ holding: 301  enum: ["off", "heating", "cooling"]  write: {{ }} }}
    energy:   {{ holding: 310  type: "u64"  words: "little"  write: {{ }} }}
    curve:    {{ holding: 320  type: "f32"  write: {{ function: 16 }} }}
    pump:     {{ coil: 3  write: {{ }} }}
    slow:     {{ holding: 330  every: "1h"  write: {{ }} }}
    temp:     {{ input: 1  qos: 2 }}
  }} }}
  relay: {{ tcp: "127.0.0.1:{tcp}"  metrics: {{ out: {{ coil: 0  write: {{ }} }} }} }}
}} }}
"""
LIMITS = "  write: { min: 15  max: 28  step: 0.5 }"


class Write(Scenario):
    def stage(self, control="control: { allow: true }", write=LIMITS, extra="", simulated=()):
        self.mqtt = self.broker(extra=extra)
        self.port = self.mqtt.port
        self.conf = self.write("map.conf", MAP.format(broker=self.port, pty=self.path("pty"), tcp=free_port(),
                                                      control=control, write=write))
        self.simulate(self.conf, *simulated)
        self.sub = self.subscriber(self.port, "s/f/#")

    def run_gateway(self):
        gateway = self.gateway(self.conf)
        self.sub.wait_for("s/f/heat/setpoint")
        self.sub.wait_for("s/f/relay/out")
        return gateway

    def set(self, metric, payload, *options):
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-t", "s/f/%s/set" % metric, *options,
                        *(["-m", payload] if isinstance(payload, str) else ["-s"])],
                       input=None if isinstance(payload, str) else payload, check=True, timeout=PATIENCE)

    def results(self, metric):
        return self.sub.readings("s/f/%s/result" % metric)

    def result_of(self, metric, payload, *options):
        before = len(self.results(metric))
        self.set(metric, payload, *options)
        wait_until(lambda: len(self.results(metric)) > before, "a result for %r" % payload[:40])
        return self.results(metric)[before]

    def on_the_wire(self, place, *options):
        """What the device itself holds; the gateway must not have the port."""
        done = self.command("read", self.path("pty"), place, "-a", "3", "--line", "19200 8N1", "--json", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["values"][0]["value"]

    def refuses(self, metric, payload, words, *options):
        result = self.result_of(metric, payload, *options)
        self.assertFalse(result["ok"], result)
        self.assertIn(words, result["error"])

    def test_set_result_reading(self):
        self.stage()
        gateway = self.run_gateway()
        for metric, payload, value in (("heat/setpoint", "21.5", 21.5), ("heat/mode", "cooling", "cooling"),
                                       ("heat/energy", "18446744073709551615", 18446744073709551615),
                                       ("heat/curve", "0.1", 0.1), ("heat/pump", "off", False),
                                       ("heat/pump", "ON", True), ("relay/out", "true", True),
                                       ("relay/out", "0", False), ("heat/slow", "7\n", 7)):
            self.assertEqual(self.result_of(metric, payload), {"ok": True, "value": value}, metric)
            topic = "s/f/" + metric
            wait_until(lambda t=topic, v=value: self.sub.readings(t)[-1]["value"] == v, "the reading of " + topic)
        self.assertTrue(all(not r for t, _, _, r in self.sub.messages() if t.endswith("/result")))
        self.assertIn("s/f/heat/setpoint/set: 21.5 written", gateway.text())
        before = len(self.sub.published("s/f/heat/slow"))
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-t", "s/f/heat/get", "-n"], check=True)
        wait_until(lambda: len(self.sub.published("s/f/heat/slow")) > before, "a poll that is not due for an hour")
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(self.on_the_wire("holding:300", "-t", "s16"), 215)

    def test_hostile_payloads_change_nothing(self):
        self.stage()
        gateway = self.run_gateway()
        self.assertTrue(self.result_of("heat/setpoint", "21.5")["ok"])
        for payload, words in (("1e999", "too large"), ("nan", "not a number"), ("0x10", "not a number"),
                               ('{"value":20}', "not a number"), ("", "empty"), (" ", "empty"), ("20,5", "not a number"),
                               ("14.5", "below 15"), ("28.5", "above 28"), ("20.25", "not on a step"),
                               (b"20\x00", "UTF-8"), (b"\xff\xfe", "UTF-8"), (b"\xc0\xb2\xc0\xb0", "UTF-8"),
                               (b"20" * 33, "longer than 64"), (b"1" * (1 << 20), "longer than 64"),
                               ("$(reboot)", "not a number"), ("20'; DROP TABLE", "not a number")):
            with self.subTest(payload[:20]):
                self.refuses("heat/setpoint", payload, words) if payload else self.refuses_empty()
        self.refuses("heat/mode", "1", "not a word")
        self.refuses("heat/pump", "2", "neither true nor false")
        self.refuses("heat/energy", "18446744073709551616", "out of range")
        self.refuses("heat/energy", "-1", "out of range")
        self.set("heat/temp", "3")  # may not be written
        self.set("heat/none", "3")
        self.assertTrue(self.result_of("heat/setpoint", "22")["ok"])
        self.assertEqual(self.results("heat/temp") + self.results("heat/none"), [])
        self.assertTrue({r["value"] for r in self.sub.readings("s/f/heat/setpoint")[-2:]} <= {21.5, 22})
        self.assertLess(gateway.text().count("refused"), 12, "complaints grow quiet")
        self.assertEqual(gateway.stop(), 0)

    def refuses_empty(self):
        before = len(self.results("heat/setpoint"))
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-t", "s/f/heat/setpoint/set", "-n"], check=True)
        wait_until(lambda: len(self.results("heat/setpoint")) > before, "a result for nothing")
        self.assertIn("empty", self.results("heat/setpoint")[-1]["error"])

    def test_retained_and_queued_ones_are_refused(self):
        self.stage(extra="allow_anonymous true\nqueue_qos0_messages true\n")
        self.set("heat/setpoint", "15", "-r", "-q", "1")
        gateway = self.gateway(self.conf)
        self.sub.wait_for("s/f/heat/setpoint/result")
        self.assertIn("retained", self.results("heat/setpoint")[0]["error"])
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-t", "s/f/heat/setpoint/set", "-n", "-r"], check=True)
        wait_until(lambda: len(self.results("heat/setpoint")) > 1, "the empty one is refused as well")
        self.assertTrue(self.result_of("heat/setpoint", "21")["ok"])

        gateway.send(signal.SIGSTOP)  # away, with a session that the broker keeps, and its queue
        wait_until(lambda: "online" in self.sub.payloads("s/f/heat/availability"), "it was online")
        state = self.subscriber(self.port, "s/gateway/g/state")
        wait_until(lambda: "offline" in state.payloads("s/gateway/g/state"), "the broker gives it up")
        for _ in range(5):
            self.set("heat/setpoint", "28", "-q", "1")
        n = len(self.results("heat/setpoint"))
        gateway.send(signal.SIGCONT)
        wait_until(lambda: state.payloads("s/gateway/g/state")[-1] == "online", "it is back")
        readings = len(self.sub.published("s/f/heat/setpoint"))
        wait_until(lambda: len(self.sub.published("s/f/heat/setpoint")) > readings + 3, "it reads on")
        self.assertTrue(all(not r["ok"] for r in self.results("heat/setpoint")[n:]), self.results("heat/setpoint")[n:])
        self.assertTrue(self.result_of("heat/setpoint", "22")["ok"])
        self.assertEqual(gateway.stop(), 0)
        self.set("heat/setpoint", "28", "-q", "1")  # while nothing runs
        n = len(self.results("heat/setpoint"))
        gateway = self.gateway(self.conf)
        readings = len(self.sub.published("s/f/heat/setpoint"))
        wait_until(lambda: len(self.sub.published("s/f/heat/setpoint")) > readings + 2, "it reads")
        self.assertTrue(all(not r["ok"] for r in self.results("heat/setpoint")[n:]))
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(self.on_the_wire("holding:300", "-t", "s16"), 220)

    def test_a_flood_is_bounded_and_the_last_one_holds(self):
        self.stage()
        gateway = self.run_gateway()
        values = [15 + i % 20 * 0.5 for i in range(1000)] + [23.5]
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-t", "s/f/heat/setpoint/set", "-l"],
                       input="\n".join("%g" % v for v in values).encode(), check=True, timeout=PATIENCE)
        wait_until(lambda: any(r.get("value") == 23.5 and r["ok"] for r in self.results("heat/setpoint")), "the last one")
        results = self.results("heat/setpoint")
        self.assertLess(len(results), 400)
        self.assertLess(len([r for r in results if r["ok"]]), 300)
        n = len(self.sub.published("s/f/heat/temp"))
        wait_until(lambda: len(self.sub.published("s/f/heat/temp")) > n + 2, "polls go on")
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-t", "s/f/heat/setpoint/set", "-l"],
                       input="\n".join("%g" % v for v in values).encode(), check=True, timeout=PATIENCE)
        began = time.monotonic()
        self.assertEqual(gateway.stop(), 0)
        self.assertLess(time.monotonic() - began, 5 * PATIENCE / 30 + 1)

    def test_a_device_that_is_silent_or_wrong_is_told(self):
        self.stage(simulated=("--faults", "dead@f/heat"))
        gateway = self.gateway(self.conf)
        self.sub.wait_for("s/f/relay/out")
        self.refuses("heat/setpoint", "21", "the device does not answer" if "offline" in self.sub.payloads(
            "s/f/heat/availability") else "t")
        wait_until(lambda: "offline" in self.sub.payloads("s/f/heat/availability"), "it is offline")
        self.refuses("heat/setpoint", "21", "offline: the device does not answer")
        self.assertTrue(self.result_of("relay/out", "on")["ok"])
        self.assertEqual(gateway.stop(), 0)

    def test_control_needs_its_key(self):
        self.stage(control="", extra="allow_anonymous true\nlog_type subscribe\n")
        gateway = self.run_gateway()
        self.assertIn('"write" has no effect', self.command("check", "-c", self.conf).stderr)
        for metric in ("heat/setpoint", "heat/pump"):
            self.set(metric, "15")
        n = len(self.sub.published("s/f/heat/setpoint"))
        wait_until(lambda: len(self.sub.published("s/f/heat/setpoint")) > n + 2, "it reads on")
        self.assertEqual([t for t, _, _, _ in self.sub.messages() if t.endswith("/result")], [])
        asked = [line for line in self.mqtt.text().splitlines() if "busferry-" in line and " 0 " in line]
        self.assertEqual([line for line in asked if "/set" in line or "/get" in line], [], "it costs nothing")
        self.assertEqual(gateway.stop(), 0)

    def test_the_metric_needs_its_key(self):
        self.stage(write="")
        gateway = self.run_gateway()
        self.set("heat/setpoint", "15")
        self.assertTrue(self.result_of("heat/pump", "on")["ok"])
        self.assertEqual(self.results("heat/setpoint"), [])
        self.assertEqual(gateway.stop(), 0)

    def test_a_profile_alone_makes_nothing_writable(self):
        profiles = self.path("profiles")
        os.mkdir(profiles)
        self.write("profiles/thermo.conf", 'profile: { id: "thermo"  maker: "m"  device: "d"  document: "x"  revision: "1" }\n'
                   'metrics: { set_a: { holding: 1  write: { max: 50 } }  set_b: { holding: 2  write: { max: 50 } } }\n'
                   'vectors: { v: { origin: "synthetic: ours"  registers: ({ holding: 1  values: [1, 2] })'
                   '  expect: { set_a: 1  set_b: 2 } } }\n')
        port, tcp = self.broker().port, free_port()
        conf = self.write("map.conf", 'site: "s"\nbroker: "mqtt://127.0.0.1:%d"\ncontrol: { allow: true }\n'
                          'every: "300ms"\nfloors: { f: { d: { tcp: "127.0.0.1:%d"  profile: "thermo"'
                          '  publish: { set_b: { write: { min: 10 } } } } } }\n' % (port, tcp))
        self.port = port
        env = {"BUSFERRY_PROFILES": profiles}
        self.simulate(conf, env=env)
        self.sub = self.subscriber(port, "s/f/#")
        gateway = self.gateway(conf, env=env)
        self.sub.wait_for("s/f/d/set_b")
        self.set("d/set_a", "20")
        self.refuses("d/set_b", "9", "below 10")
        self.refuses("d/set_b", "51", "above 50")
        self.assertEqual(self.result_of("d/set_b", "20"), {"ok": True, "value": 20})
        self.assertEqual(self.results("d/set_a"), [])
        self.assertEqual(gateway.stop(), 0)


if __name__ == "__main__":
    unittest.main()
