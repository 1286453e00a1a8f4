"""From simulated devices to a real broker: what the contract promises of readings, states and delivery."""

import json
import os
import re
import signal
import subprocess
import time
import unittest

from harness import PATIENCE, Scenario, free_port, wait_until
from witness import Witness

MAP = """
site: "hq"
broker: "mqtt://127.0.0.1:{broker}"
gateway: {{ id: "gw1"  ids: true }}
every: "200ms"
buses: {{ rs485: {{ port: "{dir}/rs485"  line: "115200 8N1"  timeout: "200ms" }} }}
topics: {{
  plain: {{ match: "hq/cellar/boiler/flow"  payload: "plain"  retain: false }}
  once:  {{ metric: "energy"  qos: 2 }}
  fast:  {{ metric: "speed"  qos: 0  payload: "plain" }}
}}
floors: {{
  cellar: {{
    meter: {{ address: 1  metrics: {{
      voltage: {{ input: 0  type: "f32"  unit: "V"  decimals: 1 }}
      energy:  {{ input: 72  type: "u32"  unit: "kWh"  scale: 0.01 }}
    }} }}
    boiler: {{ address: 2  metrics: {{
      flow: {{ input: 5  type: "s16"  scale: 0.1  unit: "°C" }}
      state: {{ holding: 9  enum: ["off", "on", "fault"] }}
      pump: {{ coil: 3 }}
    }} }}
  }}
  roof: {{ wind: {{ tcp: "127.0.0.1:{tcp}"  metrics: {{
    speed: {{ holding: 0  scale: 0.1  unit: "m/s" }}
  }} }} }}
}}
"""


class FirstReading(Scenario):
    def stage(self, broker=None, text=MAP):
        self.mosquitto = broker or self.broker()
        self.tcp = free_port()
        self.conf = self.write("map.conf", text.format(dir=self.dir, broker=self.mosquitto.port, tcp=self.tcp))
        self.simulator = self.simulate(self.conf)
        return self.conf

    def test_readings_arrive_as_the_map_says(self):
        self.stage()
        sub = self.subscriber(self.mosquitto.port, "hq/#")
        gateway = self.gateway(self.conf)
        for topic in ("cellar/meter/voltage", "cellar/meter/energy", "cellar/boiler/flow", "cellar/boiler/state",
                      "cellar/boiler/pump", "roof/wind/speed"):
            sub.wait_for("hq/" + topic, 3)
        voltage = sub.payloads("hq/cellar/meter/voltage")[0]
        self.assertRegex(voltage, r'^\{"value":2\d\d(\.\d)?,"unit":"V","time":\d{13},"id":"[0-9a-f]+-\d+"\}$')
        self.assertRegex(sub.payloads("hq/cellar/boiler/flow")[0], r"^-?\d+(\.\d)?$")
        self.assertIn(json.loads(sub.payloads("hq/cellar/boiler/state")[0])["value"], ("off", "on", "fault"))
        self.assertIn(json.loads(sub.payloads("hq/cellar/boiler/pump")[0])["value"], (True, False))
        qos = {t: q for t, _, q, _ in sub.messages()}
        self.assertEqual(qos["hq/cellar/meter/voltage"], 1)
        self.assertEqual(qos["hq/cellar/meter/energy"], 2)
        self.assertEqual(qos["hq/roof/wind/speed"], 0)
        # Twice when it appears while the connection is made: both threads tell what is true.
        self.assertEqual(set(sub.payloads("hq/cellar/meter/availability")), {"online"})
        self.assertEqual(sub.payloads("hq/gateway/gw1/state"), ["online"])
        info = json.loads(sub.wait_for("hq/gateway/gw1/info")[0])
        self.assertIn("version", info)

        # Retained is what a late subscriber gets.
        late = self.subscriber(self.mosquitto.port, "hq/#")
        late.wait_for("hq/cellar/meter/voltage")
        retained = {t for t, _, _, r in late.messages() if r}
        self.assertIn("hq/cellar/meter/voltage", retained)
        self.assertIn("hq/cellar/meter/availability", retained)
        self.assertNotIn("hq/cellar/boiler/flow", retained)

        self.assertEqual(gateway.stop(), 0)
        wait_until(lambda: sub.payloads("hq/gateway/gw1/state")[-1] == "offline", "the last word")

    def test_the_will_tells_of_a_kill(self):
        self.stage()
        sub = self.subscriber(self.mosquitto.port, "hq/gateway/#")
        gateway = self.gateway(self.conf)
        sub.wait_for("hq/gateway/gw1/state")
        gateway.stop(signal.SIGKILL)
        wait_until(lambda: sub.payloads("hq/gateway/gw1/state")[-1] == "offline", "the will")

    def test_nothing_is_lost_while_the_broker_is_away(self):
        self.stage()
        port = self.mosquitto.port
        witness = Witness(self, port, "hq/#")
        topics = ("hq/cellar/meter/voltage", "hq/cellar/meter/energy", "hq/cellar/boiler/state",
                  "hq/cellar/boiler/pump")
        gateway = self.gateway(self.conf)
        witness.wait_for("hq/cellar/meter/energy", 3)
        for _ in range(2):
            self.mosquitto.stop()
            seen = len(witness.seen)
            time.sleep(float(os.environ.get("BUSFERRY_AWAY", "3")))
            self.mosquitto = self.broker(port)
            for topic in topics:  # each has caught up
                wait_until(lambda t=topic: any(m[0] == t and not m[3] and '"replayed"' not in m[1]
                                               for m in witness.seen[seen:]), "a present reading on " + topic)
        gateway.stop()
        self.assertIsNone(witness.fault)
        readings = {t: witness.published(t) for t in topics}
        all_ids = {t: [int(r["id"].split("-")[1]) for r in readings[t]] for t in topics}
        for topic in topics:
            with self.subTest(topic):
                firsts = list(dict.fromkeys(all_ids[topic]))
                self.assertEqual(firsts, sorted(firsts), "order")
                if topic.endswith("energy"):
                    self.assertEqual(len(firsts), len(all_ids[topic]), "QoS 2: no duplicates")
                self.assertTrue(any(r.get("replayed") for r in readings[topic]), "marked as replayed")
                self.assertFalse(readings[topic][0].get("replayed"), "live at first")
        # Every json reading of this map is at QoS 1 or 2, so their numbers are without a gap, as far as all topics are.
        end = min(max(ids) for ids in all_ids.values())
        ids = sorted({i for ids in all_ids.values() for i in ids if i <= end})
        self.assertEqual(ids, list(range(ids[0], ids[0] + len(ids))))

    def test_of_a_backlog_only_the_newest(self):
        self.stage(text=MAP.replace("topics: {{", 'topics: {{\n  newest: {{ metric: "voltage"  backlog: "latest" }}'))
        port = self.mosquitto.port
        sub = Witness(self, port, "hq/#")
        gateway = self.gateway(self.conf)
        sub.wait_for("hq/cellar/meter/voltage", 3)
        self.mosquitto.stop()
        wait_until(lambda: "closed by the broker" in gateway.text() or "refused" in gateway.text(), "the loss")
        witness = self.gateway(self.write("witness.conf", MAP.format(dir=self.dir, broker=port, tcp=self.tcp)
                                          .replace("gw1", "gw2").replace(self.dir + "/rs485", "tcp://127.0.0.1:1")), "--stdout")
        wait_until(lambda: witness.text().count("hq/roof/wind/speed ") >= 10, "ten polls")
        seen = len(sub.payloads("hq/cellar/meter/voltage"))
        self.mosquitto = self.broker(port)
        sub.wait_for("hq/cellar/meter/voltage", seen + 5)
        sub.wait_for("hq/cellar/boiler/state", seen + 5)
        gateway.stop()
        self.assertLessEqual(len([r for r in sub.published("hq/cellar/meter/voltage") if r.get("replayed")]), 1)
        self.assertGreaterEqual(len([r for r in sub.published("hq/cellar/boiler/state") if r.get("replayed")]), 8)

    def test_a_dead_device_is_told_and_its_neighbours_live(self):
        self.mosquitto = self.broker()
        self.tcp = free_port()
        self.conf = self.write("map.conf", MAP.format(dir=self.dir, broker=self.mosquitto.port, tcp=self.tcp))
        simulator = self.simulate(self.conf, "--faults", "dead@cellar/boiler")
        sub = self.subscriber(self.mosquitto.port, "hq/#")
        gateway = self.gateway(self.conf)
        sub.wait_for("hq/cellar/boiler/availability")
        self.assertEqual(sub.payloads("hq/cellar/boiler/availability"), ["offline"])
        bad = sub.readings("hq/cellar/boiler/state")
        self.assertEqual(len(bad), 1, "told once")
        self.assertRegex(sub.payloads("hq/cellar/boiler/state")[0], r'^\{"value":null,"quality":"timeout"')
        self.assertEqual(sub.payloads("hq/cellar/boiler/flow"), [], "plain payloads tell no quality")
        sub.wait_for("hq/cellar/meter/voltage", 10)
        simulator.stop()
        wait_until(lambda: "offline" in sub.payloads("hq/cellar/meter/availability"), "the port is gone")
        wait_until(lambda: sub.readings("hq/cellar/meter/voltage")[-1].get("quality") == "offline", "its readings too")
        self.simulate(self.conf)
        wait_until(lambda: sub.payloads("hq/cellar/meter/availability")[-1] == "online", "the port is back")
        wait_until(lambda: sub.payloads("hq/cellar/boiler/availability")[-1] == "online", "the device is back")
        sub.wait_for("hq/cellar/boiler/pump")
        self.assertEqual(gateway.stop(), 0)
        self.assertIn("cellar/boiler answers again after", gateway.text())

    def test_broker_and_ports_may_be_absent_at_the_start(self):
        port = free_port()
        self.tcp = free_port()
        self.conf = self.write("map.conf", MAP.format(dir=self.dir, broker=port, tcp=self.tcp))
        gateway = self.gateway(self.conf)
        wait_until(lambda: "busferry" in gateway.text(), "it runs")
        self.simulate(self.conf)
        self.mosquitto = self.broker(port)
        sub = self.subscriber(port, "hq/#")
        sub.wait_for("hq/cellar/meter/voltage", 3)
        self.assertEqual(gateway.stop(signal.SIGINT), 0)

    def test_user_and_password(self):
        self.assertEqual(subprocess.run(["mosquitto_passwd", "-b", "-c", self.path("pw"), "gw", "s3cret"],
                                        check=False).returncode, 0)
        mosquitto = self.broker(extra="allow_anonymous false\npassword_file %s\n" % self.path("pw"))
        secret = self.write("secret", "s3cret\n")
        os.chmod(secret, 0o600)
        text = MAP.replace('broker: "mqtt://127.0.0.1:{broker}"', "broker: {{ url: \"mqtt://127.0.0.1:{broker}\"  "
                           "user: \"gw\"  password_file: \"%s\" }}" % secret)
        self.stage(mosquitto, text)
        sub = self.subscriber(mosquitto.port, "hq/#", ("-u", "gw", "-P", "s3cret"))
        gateway = self.gateway(self.conf)
        sub.wait_for("hq/cellar/meter/voltage", 2)
        gateway.stop()
        self.assertNotIn("s3cret", gateway.text())

        with open(secret, "w", encoding="utf-8") as f:
            f.write("wrong")
        gateway = self.gateway(self.conf)
        wait_until(lambda: re.search("not authori[sz]ed|user name or password", gateway.text()), "the refusal")
        gateway.stop()
        os.chmod(secret, 0o644)
        self.assertEqual(self.command("check", "-c", self.conf).returncode, 78)

    def test_once(self):
        self.stage()
        sub = self.subscriber(self.mosquitto.port, "hq/#")
        done = self.command("run", "-c", self.conf, "--once")
        self.assertEqual(done.returncode, 0, done.stderr)
        for topic in ("cellar/meter/voltage", "cellar/meter/energy", "cellar/boiler/state", "cellar/boiler/pump",
                      "roof/wind/speed"):
            self.assertEqual(len(sub.wait_for("hq/" + topic)), 1, topic)
        self.simulator.stop()
        self.assertEqual(self.command("run", "-c", self.conf, "--once").returncode, 69)

    def test_once_beside_the_gateway(self):
        """It neither pushes the running gateway out nor tells that it is gone."""
        self.stage()
        sub = self.subscriber(self.mosquitto.port, "hq/gateway/#")
        gateway = self.gateway(self.conf)
        sub.wait_for("hq/gateway/gw1/info")
        text = MAP.format(dir=self.dir, broker=self.mosquitto.port, tcp=self.tcp)
        wind = self.write("wind.conf", text[:text.index("  cellar:")] + text[text.index("  roof:"):])
        done = self.command("run", "-c", wind, "--once")
        self.assertEqual(done.returncode, 0, done.stderr)
        sub.wait_for("hq/gateway/gw1/info", 2)
        gateway.stop()
        wait_until(lambda: sub.payloads("hq/gateway/gw1/state")[-1] == "offline", "the last word")
        self.assertEqual(sub.payloads("hq/gateway/gw1/state"), ["online", "offline"])
        self.assertNotIn("connection lost", gateway.text() + done.stderr)

    def test_stdout(self):
        self.stage()
        done = self.command("run", "-c", self.conf, "--once", "--stdout")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
        self.assertIn("hq/cellar/meter/voltage", lines)
        self.assertIn("value", json.loads(lines["hq/cellar/meter/voltage"]))


class ExitCodes(Scenario):
    def test_usage(self):
        self.assertEqual(self.command().returncode, 64)
        self.assertEqual(self.command("frobnicate").returncode, 64)
        self.assertEqual(self.command("run", "--frobnicate").returncode, 64)
        self.assertIn("did you mean \"check\"", self.command("chek").stderr)

    def test_missing_map(self):
        done = self.command("run", "-c", self.path("none.conf"))
        self.assertEqual(done.returncode, 66)
        self.assertIn("none.conf", done.stderr)

    def test_faults(self):
        conf = self.write("bad.conf", 'site: "x"\nbroker: "mqtt://localhost"\nsitee: 1\n')
        done = self.command("check", "-c", conf)
        self.assertEqual(done.returncode, 78)
        self.assertIn("bad.conf:3:1: error: unknown setting", done.stderr)
        self.assertIn('did you mean "site"?', done.stderr)
        self.assertEqual(self.command("run", "-c", conf).returncode, 78)

    def test_an_empty_map_is_no_fault(self):
        conf = self.write("empty.conf", 'site: "x"\nbroker: "mqtt://127.0.0.1:1"\n')
        self.assertEqual(self.command("check", "-c", conf).returncode, 0)
        gateway = self.gateway(conf)
        wait_until(lambda: "nothing to do" in gateway.text(), "it says so")
        self.assertEqual(gateway.stop(), 0)

    def test_help_and_version(self):
        self.assertRegex(self.command("--version").stdout, r"^busferry \d+\.\d+\.\d+\n$")
        for command in ("run", "check", "read", "simulate", "profiles", "drivers"):
            with self.subTest(command):
                done = self.command(command, "--help")
                self.assertEqual(done.returncode, 0)
                self.assertIn("Usage: busferry " + command, done.stdout)
                self.assertEqual(self.command(command, "-h").stdout, done.stdout)
                self.assertEqual(done.stderr, "")


if __name__ == "__main__":
    unittest.main()
