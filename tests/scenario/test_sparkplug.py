"""Sparkplug B: a scripted host plays the rules of the specification one by one against the whole program."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest

import sparkplug_host
from harness import PATIENCE, Scenario, free_port, wait_until

MAP = """
site: "s"
broker: {{ url: {url}  keepalive: "5s"  protocol: {protocol} }}
gateway: {{ id: "g" }}
control: {{ allow: true }}
every: "{every}"
sparkplug: {{ enabled: true {sparkplug} }}
buffer: {{ path: "{buffer}"  sync: "{sync}ms" }}
buses: {{ one: {{ tcp: "127.0.0.1:{tcp}" }}  two: {{ tcp: "127.0.0.1:{tcp2}" }} }}
floors: {{ f: {{
  heat: {{ bus: "one"  address: 3  metrics: {{
    setpoint: {{ holding: 300  type: "s16"  scale: 0.1  unit: "°C"  write: {{ min: 15  max: 28  step: 0.5 }} }}
    mode:     {{ holding: 301  enum: ["off", "heating", "cooling"]  write: {{ }} }}
    count:    {{ input: 10  type: "u32" }}
    cold:     {{ input: 12  type: "s16" }}
    flow:     {{ input: 14  type: "f32" }}
    big:      {{ input: 20  type: "u64" }}
    on:       {{ coil: 3  write: {{ }} }}
    label:    {{ holding: 400  type: "string"  length: 8  every: "start" }}
  }} }}
  meter: {{ bus: "two"  address: 1  metrics: {{ power: {{ input: 1 }} energy: {{ input: 2  type: "u32" }} }} }}
}} }}
"""
HERE = os.path.dirname(os.path.abspath(__file__))
HEAT, METER = "f-heat", "f-meter"
SYNC_MS = 300


class Sparkplug(Scenario):
    def stage(self, sparkplug="", protocol=4, every="500ms", buffer=None, brokers=1, simulated=()):
        self.brokers = [self.broker(name="mosquitto-%d" % i) for i in range(brokers)]
        self.port = self.brokers[0].port
        urls = ["mqtt://127.0.0.1:%d" % b.port for b in self.brokers]
        self.conf = self.write("map.conf", MAP.format(
            url=json.dumps(urls if brokers > 1 else urls[0]), protocol=protocol, tcp=free_port(), tcp2=free_port(), every=every,
            sparkplug=sparkplug, buffer=buffer or ":none:", sync=SYNC_MS))
        self.killed = []  # when the gateway was, in ms: before and after
        self.simulation = self.simulate(self.conf, *simulated)
        self.sub = self.subscriber(self.port, "s/f/#")
        self.host = sparkplug_host.Host(self, self.port, "s", "g")

    def told(self, *hosts):
        """The audit of all that was said."""
        messages = [m for host in hosts or [self.host] for m in host.messages()]
        audit = sparkplug_host.Audit(messages)
        self.assertEqual(audit.twice_live(), [])
        return audit

    def read(self):
        """What the gateway told by its other protocol: {(device, metric): {time: value}}, changes only."""
        found = {}
        for topic, text, _, _ in self.sub.messages():
            parts = topic.split("/")
            if len(parts) == 4 and text.startswith("{") and parts[3] not in ("result",):
                told = json.loads(text)
                found.setdefault(("f-" + parts[2], parts[3]), {})[told["time"]] = told["value"]
        for key, readings in found.items():
            before, kept = object(), {}
            for at in sorted(readings):
                if readings[at] != before:
                    kept[at] = readings[at]
                before = readings[at]
            found[key] = kept
        return found

    def all_arrived(self, audit):
        """Every reading that differs from the one before it was told, at its time and with its value.  The subscriber may have
        missed one while its broker was away, so one that is as Sparkplug told it last is no change.  Those that were younger
        than buffer.sync when the gateway was killed may have reached one file and not the other."""
        for key, readings in self.read().items():
            here = {t: v for t, v, _, _ in audit.readings[key]}
            for at, value in readings.items():
                if value is None and at not in here:  # of a device that is not born: that says as much
                    continue
                if at not in here and any(before - SYNC_MS <= at <= after for before, after in self.killed):
                    continue
                known = max((t for t in here if t <= at), default=None)
                if known != at and known is not None and self.same(here[known], value):
                    continue
                self.assertIn(at, here, "%s: %s of %d" % (key, value, at))
                self.assertTrue(self.same(here[at], value), "%s: %s is %s" % (key, value, here[at]))

    def same(self, told, value):
        return abs(told - value) <= 1e-5 * abs(value) if isinstance(value, float) and told is not None else told == value

    def kill(self, gateway):
        before = time.time() * 1000
        gateway.stop(signal.SIGKILL)
        self.killed.append((before, time.time() * 1000))

    def test_births_data_and_death(self):
        self.births_data_and_death(4)

    def test_births_data_and_death_with_mqtt_5(self):
        self.births_data_and_death(5)

    def births_data_and_death(self, protocol):
        self.stage(protocol=protocol)
        gateway = self.gateway(self.conf)
        self.host.wait_for("DDATA", 10)
        self.assertRegex(self.command("status", "-c", self.conf).stdout, r"node +Sparkplug: online at mqtt://127.0.0.1:\d+; \d+ readings wait")
        births = self.host.messages()
        self.assertEqual(births[0].kind, "NBIRTH")
        self.assertEqual(births[0].topic, "spBv1.0/s/NBIRTH/g")
        self.host.wait_for("DBIRTH", 1, METER)
        heat = self.host.wait_for("DBIRTH", 1, HEAT)[0]
        types = {m["name"]: m["datatype"] for m in heat.payload["metrics"]}
        self.assertEqual(types, {"setpoint": 10, "mode": 12, "count": 4, "cold": 3, "flow": 9, "big": 8, "on": 11, "label": 12})
        self.assertEqual(gateway.stop(), 0)
        self.host.wait_for("NDEATH")
        self.assertEqual(self.host.kinds()[-1], "NDEATH")
        self.assertEqual(self.host.messages()[-1].qos, 0 if protocol == 4 else 1, "told, or the will")
        self.all_arrived(self.told())
        self.taken_apart_by_others()

    def taken_apart_by_others(self):
        """protoc and the decoder of Node.js see what the host sees."""
        decoder = os.environ.get("BUSFERRY_SPARKPLUG") or os.path.join(HERE, "..", "..", "build-test", "sparkplug")
        for message in self.host.messages():
            if shutil.which("protoc"):
                done = subprocess.run(["protoc", "--decode=org.eclipse.tahu.protobuf.Payload", "--proto_path=" + HERE,
                                       "sparkplug_b.proto"], input=message.raw, capture_output=True, timeout=PATIENCE, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
                text = done.stdout.decode()
                self.assertEqual(text.count("metrics {"), len(message.payload["metrics"]))
                self.assertNotRegex(text, r"(?m)^ *[0-9]+[:{ ]", "a field that the published schema has not")
        if not os.path.isdir(os.path.join(decoder, "node_modules", "sparkplug-payload")):
            print("no npm package sparkplug-payload: its part is left out")
            return
        lines = "\n".join(m.raw.hex() for m in self.host.messages())
        done = subprocess.run(["node", os.path.join(HERE, "sparkplug_decode.js"), os.path.abspath(decoder)], input=lines, capture_output=True,
                              text=True, timeout=PATIENCE, check=True)
        for message, line in zip(self.host.messages(), done.stdout.splitlines(), strict=True):
            told = json.loads(line)
            self.assertEqual(len(told["metrics"]), len(message.payload["metrics"]))
            self.assertEqual(told.get("seq"), None if "seq" not in message.payload else str(message.payload["seq"]))
            for theirs, ours in zip(told["metrics"], message.payload["metrics"]):
                self.assertEqual(theirs.get("name"), ours.get("name"))
                if "datatype" not in ours:
                    continue  # it can't tell the type of what goes by its alias
                value = sparkplug_host.value_of(ours, ours["datatype"])
                if ours["datatype"] == 9 and value is not None:
                    self.assertAlmostEqual(theirs["value"], value, 3)
                elif ours["datatype"] in (4, 8) and value is not None:
                    self.assertEqual(int(theirs["value"]), value)
                else:
                    self.assertEqual(theirs["value"], value, ours)


    def metric_of(self, message, alias):
        return [m for m in message.payload["metrics"] if m.get("alias") == alias]

    def alias_of(self, device, name):
        birth = self.host.wait_for("DBIRTH", 1, device)[-1]
        return [m["alias"] for m in birth.payload["metrics"] if m["name"] == name][0]

    def told_value(self, device, name):
        readings = self.told().readings[(device, name)]
        return [v for _, v, historical, _ in readings if not historical][-1]

    def test_rebirth(self):
        """Data stops, all is born again with the same bdSeq; what is retained or damaged is not obeyed; a flood is one or two."""
        self.stage()
        gateway = self.gateway(self.conf)
        self.host.wait_for("DBIRTH", 1, METER)
        self.host.wait_for("DBIRTH", 1, HEAT)
        self.host.node_command()
        self.host.wait_for("NBIRTH", 2)
        self.host.wait_for("DBIRTH", 4)
        self.assertEqual(len(set(self.told().sessions)), 1, "the same bdSeq")
        for data, options in ((sparkplug_host.REBIRTH, ("-r", "-q", "1")), (b"\xff" * 40, ()), (b"\x00", ()), (b"x" * 20000, ()),
                              (sparkplug_host.command(("Node Control/Rebirth", 11, False)), ()),
                              (sparkplug_host.command(("Node Control/Reboot", 11, True)), ())):
            if "-r" not in options:
                self.host.node_command(data, *options)
        wait_until(lambda: "a command on spBv1.0/s/NCMD/g is refused: it is no payload" in gateway.text(), "it is told")
        self.host.publish("spBv1.0/s/NCMD/g", sparkplug_host.REBIRTH, "-r", "-q", "1")  # to who is subscribed it comes as any other
        self.host.wait_for("NBIRTH", 3)
        for _ in range(40):
            self.host.node_command()
        self.host.wait_for("NBIRTH", 4)
        n = len(self.host.messages())
        wait_until(lambda: len([m for m in self.host.messages()[n:] if m.kind == "DDATA"]) > 5, "data goes on")
        self.assertLess(self.host.kinds().count("NBIRTH"), 12)
        self.kill(gateway)
        self.host.wait_for("NDEATH")
        n = self.host.kinds().count("NBIRTH")
        gateway = self.gateway(self.conf)  # it is retained now, so it is none
        wait_until(lambda: "refused: it is retained" in gateway.text(), "it is told")
        self.host.wait_for("DDATA", self.host.kinds().count("DDATA") + 5)
        self.assertEqual(self.host.kinds().count("NBIRTH"), n + 1)
        self.assertEqual(gateway.stop(), 0)
        self.all_arrived(self.told())

    def test_commands_write(self):
        self.stage()
        gateway = self.gateway(self.conf)
        self.host.wait_for("DBIRTH", 1, HEAT)
        alias = self.alias_of(HEAT, "setpoint")
        command = sparkplug_host.command
        for metrics, name, value in ((((alias, 10, 21.5),), "setpoint", 21.5), ((("setpoint", 9, 22.0),), "setpoint", 22.0),
                                     ((("setpoint", 0, 23.5),), "setpoint", 23.5), ((("setpoint", 3, 24),), "setpoint", 24.0),
                                     ((("mode", 12, "cooling"),), "mode", "cooling"), ((("on", 11, False),), "on", False),
                                     ((("on", 11, True),), "on", True)):
            self.host.device_command(HEAT, command(*metrics))
            wait_until(lambda n=name, v=value: self.told_value(HEAT, n) == v, "%s is %s" % (name, value))
        wait_until(lambda: "s/f/heat/setpoint/DCMD: 24 written" in gateway.text(), "it is told")
        before = len(self.told().readings[(HEAT, "setpoint")])
        self.host.device_command(HEAT, command((alias, 10, 24.0)))  # what it is already: answered all the same
        wait_until(lambda: len(self.told().readings[(HEAT, "setpoint")]) > before, "an answer")
        for metrics in (((alias, 10, 14.5),), ((alias, 10, 28.5),), ((alias, 10, 20.25),), ((alias, 10, float("nan")),),
                        ((alias, 10, None),), ((alias, 12, "20"),), (("mode", 12, "no"),), (("mode", 7, 1),), (("count", 7, 1),),
                        (("none", 7, 1),), ((9999, 7, 1),)):
            self.host.device_command(HEAT, command(*metrics))
        self.host.publish("spBv1.0/s/DCMD/g/%s" % HEAT, command((alias, 10, 20.0)), "-r", "-q", "1")
        self.host.forget("spBv1.0/s/DCMD/g/%s" % HEAT)
        wait_until(lambda: self.told_value(HEAT, "setpoint") == 20.0, "to who is subscribed it comes as any other")
        for i in range(60):
            self.host.device_command(HEAT, command((alias, 10, 15 + i % 20 * 0.5)))
        self.host.device_command(HEAT, command((alias, 10, 16.5)))
        wait_until(lambda: self.told_value(HEAT, "setpoint") == 16.5, "the last one of a flood holds")
        self.assertLess(gateway.text().count("refused"), 12, "complaints grow quiet")
        self.assertEqual(gateway.stop(), 0)
        self.all_arrived(self.told())

    def test_devices_come_and_go(self):
        self.stage(simulated=("--faults", "dead@f/meter"))
        gateway = self.gateway(self.conf)
        self.host.wait_for("DDATA", 3, HEAT)
        wait_until(lambda: "offline" in self.sub.payloads("s/f/meter/availability"), "it is offline")
        self.assertEqual([m for m in self.host.messages() if m.device == METER], [], "what never answered is not born")
        self.simulation.stop()
        self.host.wait_for("DDEATH", 1, HEAT)
        self.simulate(self.conf)
        self.host.wait_for("DBIRTH", 2, HEAT)
        self.host.wait_for("DBIRTH", 1, METER)
        self.host.wait_for("DDATA", 2, METER)
        self.assertEqual(gateway.stop(), 0)
        self.all_arrived(self.told())

    def test_primary_host(self):
        """No birth before it is online; its death ends the session; older times are no news."""
        self.stage(sparkplug='host: "scada"')
        self.host.state("scada", False, 5000)
        gateway = self.gateway(self.conf)
        wait_until(lambda: "the primary host scada is not there" in gateway.text(), "it waits")
        self.assertEqual(self.host.messages(), [])
        self.host.state("scada", True, 4000)  # older than what was heard
        self.host.publish("spBv1.0/STATE/scada", b"{}", "-q", "1")
        self.host.publish("spBv1.0/STATE/other", json.dumps({"online": True, "timestamp": 9000}).encode(), "-q", "1")
        self.host.publish("STATE/scada", b"ONLINE", "-q", "1")  # whoever speaks as of today is believed only so
        n = len(self.sub.messages())
        wait_until(lambda: len(self.sub.messages()) > n + 20, "readings")
        self.assertEqual(self.host.messages(), [])
        self.host.state("scada", True, 6000)
        self.host.wait_for("DDATA", 5)
        self.host.state("scada", False, 5999)  # a late word of an older session
        n = len(self.host.messages())
        wait_until(lambda: len(self.host.messages()) > n + 5, "it goes on")
        self.assertNotIn("NDEATH", self.host.kinds())
        self.host.state("scada", False, 6000)
        self.host.wait_for("NDEATH")
        n, read = len(self.host.messages()), len(self.sub.messages())
        wait_until(lambda: len(self.sub.messages()) > read + 20, "readings")
        self.assertEqual(len(self.host.messages()), n, "nothing is told to nobody")
        self.host.state("scada", True, 7000)
        self.host.wait_for("NBIRTH", 2)
        wait_until(lambda: any(h for readings in self.told().readings.values() for _, _, h, _ in readings), "history")
        n = len(self.host.messages())
        wait_until(lambda: len(self.host.messages()) > n + 5, "it goes on")
        self.assertEqual(gateway.stop(), 0)
        audit = self.told()
        first, second = audit.sessions
        self.assertNotEqual(first, second)
        self.all_arrived(audit)

    def test_an_older_host(self):
        self.stage(sparkplug='host: "old"')
        self.host.publish("STATE/old", b"OFFLINE", "-q", "1", "-r")
        gateway = self.gateway(self.conf)
        wait_until(lambda: "the primary host old is not there" in gateway.text(), "it waits")
        self.host.publish("STATE/old", b"ONLINE", "-q", "1", "-r")
        self.host.wait_for("DDATA", 3)
        self.host.publish("STATE/old", b"OFFLINE", "-q", "1", "-r")
        self.host.wait_for("NDEATH")
        self.assertEqual(gateway.stop(), 0)
        self.told()

    def test_the_next_broker(self):
        """The host is at the second broker: the node goes there, and is at one of them at a time."""
        self.stage(sparkplug='host: "scada"', brokers=2)
        there = sparkplug_host.Host(self, self.brokers[1].port, "s", "g")
        self.host.state("scada", False, 1000)
        there.state("scada", True, 2000)
        gateway = self.gateway(self.conf)
        there.wait_for("DDATA", 3)
        self.assertEqual(self.host.kinds(), [])
        there.state("scada", False, 2000)
        there.wait_for("NDEATH")
        self.host.state("scada", True, 3000)
        self.host.wait_for("DDATA", 3)
        self.assertNotIn("NBIRTH", there.kinds()[there.kinds().index("NDEATH"):])
        self.assertEqual(gateway.stop(), 0)
        self.all_arrived(self.told(there, self.host))

    def test_an_outage_with_history(self):
        """A broker that is killed: all that was read meanwhile is told as history, none twice as present; then the gateway is
        killed in the middle of it."""
        self.stage(buffer=self.path("buffer.db"), every="200ms", sparkplug='host: "scada"')
        self.host.state("scada", True, 1000)
        gateway = self.gateway(self.conf)
        self.host.wait_for("DDATA", 6)
        self.brokers[0].stop(signal.SIGKILL)
        wait_until(lambda: gateway.text().count("connection lost") >= 2, "both connections are lost")
        wait_until(lambda: (self.status().get("sparkplug") or {}).get("waiting", 0) > 60, "something waits")
        self.host.process.stop(signal.SIGKILL)  # as it connects again it would not know what it missed
        second = self.broker(port=self.port, name="mosquitto-0")
        host = sparkplug_host.Host(self, self.port, "s", "g")
        if "NBIRTH" not in host.kinds():
            host.wait_for("NBIRTH")
        wait_until(lambda: self.status()["sparkplug"]["waiting"] < 20, "it is told")
        status = self.status()["sparkplug"]
        self.assertEqual((status["state"], status["url"]), ("online", "mqtt://127.0.0.1:%d" % self.port))
        self.assertEqual(status["bdseq"], self.told(host).sessions[-1])
        self.kill(gateway)
        host.wait_for("NDEATH")
        second.stop(signal.SIGTERM)
        gateway = self.gateway(self.conf)
        self.wait_for_waiting(40)
        self.kill(gateway)
        self.broker(port=self.port, name="mosquitto-0")
        third = sparkplug_host.Host(self, self.port, "s", "g")
        gateway = self.gateway(self.conf)
        third.wait_for("NBIRTH")
        wait_until(lambda: self.status()["sparkplug"]["waiting"] < 20, "it is told")
        self.sub.stop()
        self.assertEqual(gateway.stop(), 0)
        audit = self.told(self.host, host, third)
        self.assertTrue(any(h for readings in audit.readings.values() for _, _, h, _ in readings), "history")
        steps = [(b - a) % 256 for a, b in zip(audit.sessions, audit.sessions[1:])]
        self.assertNotIn(0, steps, "no bdSeq twice")
        self.all_arrived(audit)

    def test_the_map_is_read_again(self):
        """A new metric is born, one that waits under its old name is not lost; switched off it is silent, switched on it is born."""
        self.stage(buffer=self.path("buffer.db"), sparkplug='host: "scada"')
        gateway = self.gateway(self.conf)
        self.wait_for_waiting(10)
        with open(self.conf, encoding="utf-8") as f:
            text = f.read()

        def again(changed, words="map read again"):
            n = gateway.text().count(words)
            self.write("map.conf", changed)
            gateway.send(signal.SIGHUP)
            wait_until(lambda: gateway.text().count(words) > n, words)

        again(text.replace('power: { input: 1 }', 'power: { input: 1 } more: { input: 5 }'))
        self.host.state("scada", True, 1000)
        birth = self.host.wait_for("DBIRTH", 1, METER)[0]
        self.assertEqual({m["name"] for m in birth.payload["metrics"]}, {"power", "energy", "more"})
        wait_until(lambda: self.status()["sparkplug"]["waiting"] < 10, "history is told")
        again(text.replace('enabled: true', 'enabled: false'))
        self.host.wait_for("NDEATH")
        self.assertNotIn("sparkplug", self.status())
        n, read = len(self.host.messages()), len(self.sub.messages())
        wait_until(lambda: len(self.sub.messages()) > read + 10, "readings")
        self.assertEqual(len(self.host.messages()), n)
        again(text.replace('buffer: {', 'site_: 1  buffer: {'), "running on as before")
        again(text)
        self.host.wait_for("NBIRTH", 2)
        self.host.wait_for("DDATA", self.host.kinds().count("DDATA") + 3)
        self.assertEqual(gateway.stop(), 0)
        audit = self.told()
        self.assertEqual((audit.sessions[1] - audit.sessions[0]) % 256, 1)

    def test_switched_on_later(self):
        self.stage(buffer=self.path("buffer.db"))
        with open(self.conf, encoding="utf-8") as f:
            text = f.read()
        self.write("map.conf", text.replace('enabled: true', 'enabled: false'))
        gateway = self.gateway(self.conf)
        self.sub.wait_for("s/f/meter/power", 2)
        self.assertFalse(os.path.exists(self.path("buffer-sparkplug.db")))
        self.write("map.conf", text)
        gateway.send(signal.SIGHUP)
        self.host.wait_for("DDATA", 3)
        self.assertTrue(os.path.exists(self.path("buffer-sparkplug.db")))
        self.assertEqual(gateway.stop(), 0)
        self.told()

    def test_a_file_that_another_one_has(self):
        """It is named, at the start and when the map is read again; one that is given back is waited for."""
        self.stage(buffer=self.path("buffer.db"))
        with open(self.conf, encoding="utf-8") as f:
            text = f.read()
        held = sqlite3.connect(self.path("buffer-sparkplug.db"), isolation_level=None)
        held.execute("BEGIN EXCLUSIVE")
        words = "buffer-sparkplug.db: another gateway has it"
        done = self.command("run", "-c", self.conf)
        self.assertEqual(done.returncode, 75)
        self.assertIn(words, done.stderr)
        self.write("map.conf", text.replace('enabled: true', 'enabled: false'))
        gateway = self.gateway(self.conf)
        self.sub.wait_for("s/f/meter/power", 1)
        self.write("map.conf", text)
        gateway.send(signal.SIGHUP)
        wait_until(lambda: words in gateway.text() and "running on as before" in gateway.text(), "it is told")
        self.assertEqual(gateway.stop(), 0)
        gateway = self.gateway(self.conf)
        open_files = "/proc/%d/fd/" % gateway.child.pid
        wait_until(lambda: any(os.path.realpath(open_files + fd) == self.path("buffer.db") for fd in os.listdir(open_files)),
                   "its own file is open, Sparkplug's is next")
        held.close()
        self.host.wait_for("DDATA")
        self.assertEqual(gateway.stop(), 0)

    def wait_for_waiting(self, n):
        wait_until(lambda: (self.status().get("sparkplug") or {}).get("waiting", 0) > n, "something waits")

    def status(self):
        done = self.command("status", "--json", "-c", self.conf)
        return json.loads(done.stdout) if done.returncode == 0 else {}


if __name__ == "__main__":
    unittest.main()
