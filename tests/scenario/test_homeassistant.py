"""Home Assistant is told of the devices, and nothing that is told is rejected, stays too long, or comes from the past."""

import copy
import json
import os
import signal
import subprocess
import sys
import unittest

from harness import BUSFERRY, PATIENCE, Scenario, free_port, wait_until
from homeassistant import CLASSES, HomeAssistant, Validator
from peers import Peers
from proxy import PROXY, Proxy

HOSTILE = os.path.join(os.path.dirname(PROXY), "mqtt_hostile.py")
HEAD = """
site: "{site}"
broker: "mqtt://127.0.0.1:{broker}"
gateway: {{ id: "{id}" }}
every: "200ms"
"""
ON = 'homeassistant: { enabled: true }\n'
UNITS = sorted({unit for units, _ in CLASSES.values() for unit in units if unit}) + \
    ["kVA", "kvar", "varh", "kvarh", "L/h", "mg/m³", "°", "rpm", "μg/m³", "μS/cm", "Kwh", "m3", "℃"]
NAMES = ["humidity", "battery", "power_factor", "gas", "water", "co2", "co", "pm2_5", "pm10", "voc", "rain", "wind", "noise",
         "rssi", "import_energy", "ph", "aqi", "delta", "barometer"]
TYPES = ["u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "bcd16", "bcd32"]


def publish(port, topic, payload, retain):
    subprocess.run(["mosquitto_pub", "-p", str(port), "-q", "1", "-t", topic, "-m", payload, *(["-r"] if retain else [])],
                   check=True, timeout=PATIENCE)


def discovery(messages, prefix="homeassistant"):
    return [(m[0], m[1]) for m in messages if m[0].startswith(prefix + "/device/")]


class Discovery(Scenario):
    def show(self, conf, *options):
        done = self.command("ha", "show", "-c", conf, "--json", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [(row["topic"], json.dumps(row["payload"], ensure_ascii=False)) for row in map(json.loads, done.stdout.splitlines())]


class Rules(Discovery):
    """Without a broker: what the messages look like."""

    def thousand(self):
        """A map of a thousand metrics: each unit, name, type and payload, bits, words, texts and what may be written."""
        kinds = ["%s_NUM: { input: ADDR }" % name for name in NAMES]
        for unit in UNITS:
            kinds += ['m_NUM: { input: ADDR  unit: "%s" }' % unit]
            kinds += ['%s_NUM: { input: ADDR  unit: "%s"  monotonic: true }' % (name, unit) for name in NAMES[:4]]
        kinds += ['%s_NUM: { input: ADDR  unit: "%s" }' % (name, unit) for name in NAMES
                  for unit in ("%", "m³", "L", "ppm", "ppb", "µg/m³", "mm", "m/s", "dB", "hPa", "K", "kWh")]
        for kind in TYPES:
            kinds += ['t_NUM: { input: ADDR  type: "%s" }' % kind, 'w_NUM: { holding: ADDR  type: "%s"  write: { } }' % kind,
                      'd_NUM: { input: ADDR  type: "%s"  deadband: 1  heartbeat: "5m" }' % kind]
        kinds += ['e_NUM: { input: ADDR  enum: ["off", "on", "it\'s \\"x\\""] }', 'n_NUM: { holding: ADDR  enum: ["3=a", "255=b"]  write: { } }',
                  'c_NUM: { coil: ADDR  write: { } }', 'i_NUM: { discrete: ADDR }', 's_NUM: { input: ADDR  type: "string"  length: 4  every: "start" }',
                  'x_NUM: { input: ADDR  scale: 0.00001  unit: "°C" }', 'z_NUM: { holding: ADDR  write: { min: 5  max: 5 } }',
                  'y_NUM: { holding: ADDR  scale: 0.00001  write: { min: 0  max: 0.5 } }',
                  'b_NUM: { input: ADDR  bits: { alarm_NUM: 0  stage_NUM: "1-3" } }', "ph: { input: ADDR }", "co: { input: ADDR  unit: \"ppm\" }",
                  'pm1: { input: ADDR  unit: "µg/m³" }', 'q_NUM: { input: ADDR  topic: "1. Größe \'NUM\'" }']
        devices, n = [], 0
        for i in range(20):
            device = []
            for _ in range(50):
                device.append(kinds[n % len(kinds)].replace("NUM", str(n)).replace("ADDR", str(4 * (n % 50))))
                n += 1
            devices.append("d%d: { address: %d  metrics: { %s } }" % (i, i + 1, "\n".join(device)))
        rules = "".join('p%d: { match: "home/a/d%d/+"  %s }\n' % (i, i, rule) for i, rule in
                        enumerate(['payload: "plain"', 'per: "device"', 'payload: "influx"', 'payload: "influx"  per: "device"']))
        return (HEAD.format(site="home", broker=1, id="gw").replace("200ms", "1m") + ON + "control: { allow: true }\n"
                'buses: { net: { tcp: "10.0.0.1" } }\ntopics: { %s }\nfloors: { a: { %s } }\n' % (rules, "\n".join(devices)))

    def test_a_thousand_metrics(self):
        conf = self.write("map.conf", self.thousand())
        self.assertIn(" 1001 metrics of ", self.command("check", "-c", conf).stdout)
        validator = Validator()
        for topic, payload in self.show(conf):
            validator.take(topic, payload)
        self.assertEqual(validator.rejects, [])
        self.assertGreater(validator.n_entities, 900)  # without influx
        told = {component.get("device_class") for _, payload in self.show(conf)
                for component in json.loads(payload)["components"].values()}
        self.assertGreaterEqual(told, CLASSES.keys() - {"moisture"})

    def test_one_device(self):
        conf = self.write("map.conf", self.thousand())
        rows = self.show(conf, "a/d7")
        self.assertEqual([row[0] for row in rows], ["homeassistant/device/busferry_gw_a_d7/config"])
        plain = self.command("ha", "show", "a/d7", "-c", conf).stdout
        topic, payload = plain.rstrip("\n").split(" ", 1)
        self.assertEqual((topic, json.loads(payload)), (rows[0][0], json.loads(rows[0][1])))
        self.assertEqual(self.command("ha", "show", "a/none", "-c", conf).returncode, 64)
        other = self.show(conf, "--prefix", "ha/x")
        self.assertEqual(other[0][0], "ha/x/device/busferry_gw/config")

    def test_each_bad_message_is_found(self):
        """The validator is one: it finds what is wrong with a message in each way."""
        conf = self.write("map.conf", self.thousand())
        rows = self.show(conf)
        good = json.loads(next(p for t, p in rows if t.endswith("_d4/config")))
        for component in list(good["components"]):
            if good["components"][component]["platform"] == "sensor" and "unit_of_measurement" not in good["components"][component]:
                del good["components"][component]
        topic = "homeassistant/device/busferry_gw_a_d4/config"
        sensor = next(k for k, c in good["components"].items() if c.get("device_class") in CLASSES)

        def bad(why, change, at=topic):
            message = copy.deepcopy(good)
            change(message)
            validator = Validator()
            self.assertFalse(validator.take(at, json.dumps(message)), why)

        def of_sensor(key, value):
            def change(message):
                component = message["components"][sensor]
                component[key] = value
                if value is None:
                    del component[key]
            return change

        self.assertTrue(Validator().take(topic, json.dumps(good)))
        bad("topic", lambda m: None, "homeassistant/device/a.b/config")
        bad("identifiers", lambda m: m["device"].update(identifiers=[]))
        bad("device", lambda m: m.pop("device"))
        bad("device key", lambda m: m["device"].update(colour="red"))
        bad("origin", lambda m: m["origin"].pop("name"))
        bad("root key", lambda m: m.update(busferry=1))
        bad("both availabilities", lambda m: m.update(availability_topic="a"))
        bad("availability", lambda m: m["availability"][0].update(topic="a/+"))
        bad("mode", lambda m: m.update(availability_mode="some"))
        bad("components", lambda m: m.update(components={}))
        bad("qos", lambda m: m.update(qos=3))
        bad("component id", lambda m: m["components"].update({"a.b": m["components"][sensor]}))
        bad("platform", of_sensor("platform", "toaster"))
        bad("unique id", of_sensor("unique_id", None))
        bad("unique ids", lambda m: m["components"].update(copied=m["components"][sensor]))
        bad("entity id", of_sensor("default_entity_id", "sensor.A"))
        bad("entity id", of_sensor("default_entity_id", "power"))
        bad("topic", of_sensor("state_topic", "a/#"))
        bad("topic", of_sensor("state_topic", None))
        bad("class", of_sensor("device_class", "warmth"))
        bad("unit", of_sensor("unit_of_measurement", "furlong"))
        bad("unit", of_sensor("unit_of_measurement", None))
        bad("state class", of_sensor("state_class", "sometimes"))
        bad("template", of_sensor("value_template", "{{ value_json. }}"))
        bad("expire", of_sensor("expire_after", 0))
        bad("key", of_sensor("min", 3))
        for platform, wrong in (("number", {"max": 0, "min": 0}), ("number", {"step": 0.0001}), ("number", {"min": "a"}),
                                ("select", {"options": []}), ("select", {"options": ["a", "a"]}), ("switch", {"payload_on": "False"}),
                                ("switch", {"command_topic": "a/+"})):
            message = json.loads(next(p for _, p in rows if '"%s"' % platform in p))
            name = next(k for k, c in message["components"].items() if c["platform"] == platform)
            message["components"][name].update(wrong)
            self.assertFalse(Validator().take(topic, json.dumps(message)), wrong)
        for device_class, unit in (("energy", "kW"), ("ph", "pH"), ("pm25", "μg/m³"), ("temperature", "℃"), ("apparent_power", "va")):
            message = copy.deepcopy(good)
            message["components"] = {"x": {"platform": "sensor", "unique_id": "u", "name": "X", "state_topic": "a",
                                           "device_class": device_class, "unit_of_measurement": unit}}
            self.assertFalse(Validator().take(topic, json.dumps(message)), device_class)
        message["components"]["x"].update(device_class="energy", unit_of_measurement="kWh", state_class="measurement")
        self.assertFalse(Validator().take(topic, json.dumps(message)))
        self.assertFalse(Validator().take(topic, "[]"))
        self.assertFalse(Validator().take(topic, "{"))


ON_FORMAT = ON.replace("{", "{{").replace("}", "}}")
LIFE = HEAD + ON_FORMAT + """control: {{ allow: true }}
buses: {{ net: {{ tcp: "127.0.0.1:{tcp}" }} }}
topics: {{ round: {{ match: "hq/roof/+/+"  per: "device" }}  flat: {{ metric: "flat"  payload: "plain" }} }}
floors: {{
  ground: {{ meter: {{ address: 1  metrics: {{
    power:    {{ input: 0  unit: "W" }}
    energy:   {{ input: 10  type: "u32"  unit: "kWh"  monotonic: true }}
    level:    {{ input: 20  deadband: 50000  unit: "mm" }}
    flat:     {{ discrete: 3 }}
    model:    {{ input: 40  type: "string"  length: 4  every: "start" }}
    setpoint: {{ holding: 300  type: "s16"  scale: 0.1  unit: "°C"  write: {{ min: 0  max: 28  step: 0.5 }} }}
    mode:     {{ holding: 301  enum: ["off", "heating", "cooling"]  write: {{ }} }}
    pump:     {{ coil: 3  write: {{ }} }}
    {more}
  }} }} {other} }}
  roof: {{ weather: {{ address: 3  metrics: {{ wind: {{ input: 0  unit: "m/s" }}  "rain": {{ input: 1  unit: "mm"  every: "400ms" }} }} }} }}
}}
""".replace('"rain"', "rain")
MORE = "gone: { input: 60 }"
OTHER = "other: { address: 2  metrics: { a: { input: 0 }  b: { input: 1 } } }"


class Life(Discovery):
    def map(self, more="", other="", on=True):
        text = LIFE.format(site="hq", broker=self.port, id="gw", tcp=self.tcp, more=more, other=other)
        self.conf = self.write("map.conf", text if on else text.replace(ON, "") + '\nbuffer: { path: ":none:" }\n')
        return self.conf

    def stage(self):
        self.port, self.tcp = free_port(), free_port()
        self.map(MORE, OTHER)
        self.broker(self.port)
        self.simulate(self.conf)
        subscriber = self.subscriber(self.port)
        return self.gateway(self.conf), subscriber

    def retained(self, topic="homeassistant/#"):
        subscriber = self.subscriber(self.port, topic)  # returns behind what was retained
        subscriber.stop()
        return {t: p for t, p, _, r in subscriber.messages() if r}

    def wait_for_retained(self, expected, what):
        wait_until(lambda: self.retained().keys() == set(expected), what)

    def test_told_set_and_taken_back(self):
        gateway, subscriber = self.stage()
        told = self.show(self.conf)
        topics = [topic for topic, _ in told]
        for topic in topics:
            subscriber.wait_for(topic)
        # what `ha show` shows is what is there, retained, once each
        self.wait_for_retained(topics, "all of it")
        self.assertEqual({t: json.loads(p) for t, p in self.retained().items()}, {t: json.loads(p) for t, p in told})
        self.assertEqual([t for t, _ in discovery(subscriber.messages())], topics)

        # Home Assistant starts
        publish(self.port, "homeassistant/status", "online", retain=False)
        wait_until(lambda: len(discovery(subscriber.messages())) == 2 * len(topics), "told again")

        # every entity has a state, and is set by what Home Assistant would send
        def states():
            ha = HomeAssistant().play(subscriber.messages())
            self.assertEqual(ha.errors, [])
            return {name: ha.shown(name) for name in ha.entities}

        wait_until(lambda: not {"unknown", "unavailable"} & set(states().values()), "each has a state")
        self.assertIn(states()["binary_sensor.ground_meter_flat"], ("on", "off"))
        for name, value, shown in (("number.ground_meter_setpoint", "21.5", "21.5"), ("switch.ground_meter_pump", "payload_on", "on"),
                                   ("switch.ground_meter_pump", "payload_off", "off"), ("select.ground_meter_mode", "cooling", "cooling")):
            config = HomeAssistant().play(subscriber.messages()).entities[name].config
            publish(self.port, config["command_topic"], config.get(value, value), retain=False)
            wait_until(lambda name=name, shown=shown: states()[name] == shown, "%s is %s" % (name, shown))

        # a metric and a device that are no more
        n = len(subscriber.messages())
        self.map()
        gateway.send(signal.SIGHUP)
        other = "homeassistant/device/busferry_gw_ground_other/config"
        meter = "homeassistant/device/busferry_gw_ground_meter/config"
        self.wait_for_retained(set(topics) - {other}, "the device is gone")
        ha = HomeAssistant().play(subscriber.messages())
        wait_until(lambda: "sensor.ground_meter_gone" not in HomeAssistant().play(subscriber.messages()).entities, "the metric is gone")
        since = discovery(subscriber.messages()[n:])
        self.assertIn((other, ""), since)
        updates = [json.loads(p)["components"] for t, p in since if t == meter]
        self.assertEqual(updates[0], {"gone": {"platform": "sensor"}})
        self.assertNotIn("gone", updates[1])
        wait_until(lambda: "gone" not in json.loads(self.retained()[meter])["components"], "the broker has the new one")
        ha = HomeAssistant().play(subscriber.messages())
        self.assertEqual(ha.errors, [])
        self.assertNotIn("sensor.ground_other_a", ha.entities)

        # no longer told
        self.map(on=False)
        gateway.send(signal.SIGHUP)
        self.wait_for_retained([], "all is taken back")
        self.assertEqual(HomeAssistant().play(subscriber.messages()).entities, {})
        self.assertEqual(gateway.stop(), 0)

    def test_over_a_restart(self):
        gateway, _ = self.stage()
        topics = [topic for topic, _ in self.show(self.conf)]
        self.wait_for_retained(topics, "all of it")
        wait_until(lambda: "homeassistant" in json.loads(self.retained("hq/gateway/gw/info")["hq/gateway/gw/info"]), "info")
        gateway.stop()
        stranger = "homeassistant/device/busferry_elsewhere/config"
        publish(self.port, stranger, '{"origin":{"name":"Busferry"}}', retain=True)
        self.map()
        gateway = self.gateway(self.conf)
        self.wait_for_retained([t for t in topics if "other" not in t] + [stranger], "the device is gone")
        wait_until(lambda: not any("gone" in p for p in self.retained().values()), "the metric is gone")
        gateway.stop()
        self.map(on=False)
        gateway = self.gateway(self.conf)
        self.wait_for_retained([stranger], "all of it is gone")
        gateway.stop()

    def ask_one_that_says_nothing(self):
        """A broker that takes connections and no more: what it has nobody knows.  The command, which gives it its time."""
        port = free_port()
        hostile = self.start([sys.executable, HOSTILE, str(port), "silent"], "hostile")
        wait_until(lambda: "ready\n" in hostile.text(), "the hostile broker")
        conf = self.write("silent.conf", 'site: "hq"\nbroker: "mqtt://127.0.0.1:%d"\n' % port)
        return self.start([BUSFERRY, "ha", "remove", "-c", conf], "remove")

    def test_remove(self):
        silent = self.ask_one_that_says_nothing()
        gateway, _ = self.stage()
        topics = [topic for topic, _ in self.show(self.conf)]
        self.wait_for_retained(topics, "all of it")
        neighbour = self.retained()[topics[1]].replace("hq/gateway/gw", "hut/gateway/gw")
        strangers = {"homeassistant/device/busferry_gw_x/config": neighbour,
                     "homeassistant/device/zigbee/config": '{"origin":{"name":"zigbee2mqtt"},"x":{"topic":"hq/gateway/gw/state"}}',
                     "homeassistant/sensor/busferry_gw/config": self.retained()[topics[0]]}
        for topic, payload in strangers.items():
            publish(self.port, topic, payload, retain=True)
        gateway.stop()
        self.map(on=False)  # it knows nothing of them
        asked = self.command("ha", "remove", "-c", self.conf)
        self.assertEqual((asked.returncode, sorted(asked.stdout.split())), (64, sorted(topics)), asked.stderr)
        self.assertIn("say --yes", asked.stderr)
        self.assertEqual(self.retained().keys(), set(topics) | strangers.keys())
        done = self.command("ha", "remove", "--yes", "--json", "-c", self.conf)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(json.loads(line)["topic"] for line in done.stdout.splitlines()), sorted(topics))
        self.assertEqual(self.retained().keys(), strangers.keys())
        self.assertEqual(self.command("ha", "remove", "-c", self.conf).returncode, 0)
        self.port = free_port()
        self.map()
        nobody = self.command("ha", "remove", "-c", self.conf)
        self.assertEqual(nobody.returncode, 69, nobody.stderr)
        self.assertEqual(silent.wait(PATIENCE * 2), 69, silent.text())
        self.assertIn("the broker does not answer", silent.text())


OUTAGE = HEAD + ON_FORMAT + """
buses: {{ net: {{ tcp: "127.0.0.1:{tcp}" }} }}
buffer: {{ path: ":none:"  order: "{order}" }}
floors: {{ a: {{ d: {{ metrics: {{
  fast: {{ input: 0  type: "u32" }}
  calm: {{ holding: 0  deadband: 5 }}
  once: {{ holding: 4  every: "start" }}
}} }} }} }}
"""


class Outage(Discovery):
    def run_outage(self, order):
        port, through = free_port(), free_port()
        peers = Peers(self)
        host = peers.host()
        peers.start()
        self.broker(port)
        proxy = Proxy(self, through, port)
        conf = self.write("map.conf", OUTAGE.format(site="hq", broker=through, id="gw", tcp=host.port, order=order))
        subscriber = self.subscriber(port)
        gateway = self.gateway(conf)
        subscriber.wait_for("homeassistant/device/busferry_gw_a_d/config")
        subscriber.wait_for("hq/a/d/fast", 5)
        proxy.process.stop(signal.SIGKILL)
        wait_until(lambda: (self.buffer_status(conf) or {}).get("waiting", 0) >= 10, "a backlog")
        n = len(subscriber.payloads("hq/a/d/calm"))
        Proxy(self, through, port)

        def replayed():
            return [p for p in subscriber.payloads("hq/a/d/fast") if "replayed" in p]

        wait_until(lambda: len(replayed()) >= 5, "the backlog")
        # within its deadband it would not be told for a quarter of an hour
        wait_until(lambda: [p for p in subscriber.payloads("hq/a/d/calm")[n:] if "replayed" not in p], "the calm one is told anew")
        subscriber.wait_for("hq/a/d/fast", len(subscriber.payloads("hq/a/d/fast")) + 10)
        ha = HomeAssistant().play(subscriber.messages())
        self.assertEqual(ha.errors, [])
        history = ha.entities["sensor.a_d_fast"].history
        times = [json.loads(payload)["time"] for _, payload in history]
        values = [int(value) for value, _ in history]
        self.assertEqual((times, values), (sorted(times), sorted(values)))
        self.assertEqual([payload for _, payload in history if "replayed" in payload], [])
        self.assertEqual((ha.shown("sensor.a_d_calm"), ha.shown("sensor.a_d_once")), ("0", "0"))
        self.assertEqual(gateway.stop(), 0)

    def test_history_is_in_order(self):
        self.run_outage("oldest_first")

    def test_history_is_in_order_with_present_readings_first(self):
        self.run_outage("live_first")


if __name__ == "__main__":
    unittest.main()
