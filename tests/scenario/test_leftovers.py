"""What is retained at the broker but no longer in the map is cleared when the gateway starts, and nothing else is."""

import signal
import subprocess
import unittest

from harness import PATIENCE, Scenario, free_port, wait_until

HEAD = """
site: "hq"
broker: "mqtt://127.0.0.1:{broker}"
gateway: {{ id: "{id}" }}
every: "200ms"
"""

# voltage stays, current goes, power is no longer retained, old goes with all it has, whole changes from one message to
# many, many from many to one
BEFORE = HEAD + """
topics: {{ whole: {{ match: "hq/cellar/whole/+"  per: "device" }} }}
floors: {{
  ground: {{
    meter: {{ tcp: "127.0.0.1:{tcp}"  metrics: {{
      voltage: {{ input: 0 }}  current: {{ input: 1 }}  power: {{ input: 2 }}  flow: {{ input: 3  retain: false }}
      alarms: {{ holding: 7  bits: {{ high: 0  low: 1 }} }}
    }} }}
    old: {{ tcp: "127.0.0.1:{tcp}"  address: 2  metrics: {{ a: {{ input: 0 }}  b: {{ input: 1  payload: "plain" }} }} }}
  }}
  cellar: {{
    whole: {{ tcp: "127.0.0.1:{tcp}"  address: 3  metrics: {{ x: {{ input: 0 }}  y: {{ input: 1 }} }} }}
    many: {{ tcp: "127.0.0.1:{tcp}"  address: 4  metrics: {{ x: {{ input: 0 }} }} }}
  }}
}}
"""
AFTER = HEAD + """
topics: {{ whole: {{ match: "hq/cellar/many/+"  per: "device" }} }}
floors: {{
  ground: {{
    meter: {{ tcp: "127.0.0.1:{tcp}"  metrics: {{
      voltage: {{ input: 0 }}  power: {{ input: 2  retain: false }}
      alarms: {{ holding: 7  bits: {{ high: 0 }} }}
    }} }}
  }}
  cellar: {{
    whole: {{ tcp: "127.0.0.1:{tcp}"  address: 3  metrics: {{ x: {{ input: 0 }} }} }}
    many: {{ tcp: "127.0.0.1:{tcp}"  address: 4  metrics: {{ x: {{ input: 0 }} }} }}
  }}
}}
"""
NEIGHBOUR = HEAD + """
floors: {{ ground: {{ {device}: {{ tcp: "127.0.0.1:{tcp}"  address: 9  metrics: {{ a: {{ input: 0 }} }} }} }} }}
"""

READINGS_BEFORE = {"hq/ground/meter/voltage", "hq/ground/meter/current", "hq/ground/meter/power",
                   "hq/ground/meter/high", "hq/ground/meter/low", "hq/ground/old/a", "hq/ground/old/b",
                   "hq/cellar/whole", "hq/cellar/many/x"}
READINGS_AFTER = {"hq/ground/meter/voltage", "hq/ground/meter/high", "hq/cellar/whole/x", "hq/cellar/many"}


def availabilities(*devices):
    return {"hq/%s/availability" % device for device in devices}


def own(name):
    return {"hq/gateway/%s/%s" % (name, topic) for topic in ("state", "info")}


BEFORE_ALL = READINGS_BEFORE | own("gw1") | availabilities("ground/meter", "ground/old", "cellar/whole", "cellar/many")
AFTER_ALL = READINGS_AFTER | own("gw1") | availabilities("ground/meter", "cellar/whole", "cellar/many")


class Leftovers(Scenario):
    def stage(self):
        self.mosquitto = self.broker()
        self.tcp = free_port()
        self.before = self.map("before.conf", BEFORE)
        self.after = self.map("after.conf", AFTER)
        self.simulate(self.before)

    def map(self, name, text, gateway="gw1", **more):
        return self.write(name, text.format(broker=self.mosquitto.port, tcp=self.tcp, id=gateway, **more))

    def retained(self):
        sub = self.subscriber(self.mosquitto.port)
        sub.stop()
        return {topic for topic, payload, _, retained in sub.messages() if retained}

    def expect(self, topics, what):
        try:
            wait_until(lambda: self.retained() == topics, what)
        except AssertionError:
            self.assertEqual(self.retained(), topics)

    def retain(self, topic, payload):
        subprocess.run(["mosquitto_pub", "-p", str(self.mosquitto.port), "-q", "1", "-r", "-t", topic, "-m", payload],
                       check=True, timeout=PATIENCE)

    def test_what_a_changed_map_no_longer_has_is_cleared(self):
        self.stage()
        foreign = {"hq/ground/meter/note", "hq/elsewhere", "other/ground/old/a"}
        for topic in foreign:
            self.retain(topic, "not a gateway's")
        neighbour = self.gateway(self.map("neighbour.conf", NEIGHBOUR, "gw2", device="other"))
        theirs = own("gw2") | {"hq/ground/other/a"} | availabilities("ground/other")
        gateway = self.gateway(self.before)
        # The neighbour's device has no unit 9 to talk to: its metric is told as null, and retained all the same.
        self.expect(BEFORE_ALL | foreign | theirs, "the first map")
        for number, code in ((signal.SIGTERM, 0), (signal.SIGKILL, -9)):
            self.assertEqual(gateway.stop(number), code)
            gateway = self.gateway(self.after)
            self.expect(AFTER_ALL | foreign | theirs, "the second map")
            self.assertIn("8 retained topics that the map no longer has are cleared", gateway.text())
            self.assertEqual(gateway.stop(number), code)
            gateway = self.gateway(self.before)
            self.expect(BEFORE_ALL | foreign | theirs, "the first map again")
            # Its readings may all be there before its info is, by which the next one knows what to clear.
            info = self.subscriber(self.mosquitto.port, "hq/gateway/gw1/info")
            wait_until(lambda: any('"ground/old"' in p for p in info.payloads("hq/gateway/gw1/info")), "the info of the first map")
            info.stop()
        # the same map again: nothing to do
        self.assertEqual(gateway.stop(), 0)
        gateway = self.gateway(self.before)
        sub = self.subscriber(self.mosquitto.port, "hq/gateway/gw1/info")
        before = sub.readings("hq/gateway/gw1/info")[0]["started"]
        wait_until(lambda: sub.readings("hq/gateway/gw1/info")[-1]["started"] != before, "a new info")
        self.assertNotIn("cleared", gateway.text())
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(neighbour.stop(), 0)

    def test_a_device_that_moved_to_another_gateway_is_that_ones(self):
        self.stage()
        gateway = self.gateway(self.before)
        self.expect(BEFORE_ALL, "the first map")
        self.assertEqual(gateway.stop(), 0)
        neighbour = self.gateway(self.map("neighbour.conf", NEIGHBOUR, "gw2", device="old"))
        self.expect(BEFORE_ALL | own("gw2"), "the neighbour has it")
        gateway = self.gateway(self.after)
        self.expect(AFTER_ALL | own("gw2") | {"hq/ground/old/a"} | availabilities("ground/old"), "the second map")
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(neighbour.stop(), 0)

    def test_a_broker_that_comes_late_and_one_run(self):
        self.stage()
        gateway = self.gateway(self.before)
        self.expect(BEFORE_ALL, "the first map")
        self.assertEqual(gateway.stop(), 0)
        self.mosquitto.stop()
        gateway = self.gateway(self.after)
        wait_until(lambda: "refused" in gateway.text(), "no broker")
        self.mosquitto = self.broker(self.mosquitto.port)
        self.expect(AFTER_ALL, "the second map")
        self.assertEqual(gateway.stop(), 0)
        # --once ends in order too: what it finds is cleared, what it leaves is known
        done = self.command("run", "--once", "-c", self.before)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.retained(), BEFORE_ALL)
        done = self.command("run", "--once", "-c", self.after)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.retained(), AFTER_ALL)

    def test_what_comes_back_from_disk_is_not_retained_anew(self):
        self.stage()
        buffer = 'buffer: {{ path: "%s" }}\n' % self.path("buffer.db")
        before, after = self.map("before-disk.conf", BEFORE + buffer), self.map("after-disk.conf", AFTER + buffer)
        self.mosquitto.stop()
        gateway = self.gateway(before)
        wait_until(lambda: "runs: " in gateway.text(), "it runs")
        witness = self.gateway(self.before, "--stdout")  # how time goes by
        wait_until(lambda: witness.text().count("hq/ground/old/a ") >= 10, "polls without a broker")
        self.assertEqual(gateway.stop(), 0)
        self.mosquitto = self.broker(self.mosquitto.port)
        sub = self.subscriber(self.mosquitto.port)
        gateway = self.gateway(after)
        for topic in ("hq/ground/meter/current", "hq/ground/old/a", "hq/ground/old/b", "hq/cellar/whole", "hq/ground/meter/power"):
            sub.wait_for(topic)  # no reading is lost, whatever the map has become
        self.expect(AFTER_ALL, "what the second map retains")
        self.assertEqual(gateway.stop(), 0)

    def test_an_info_that_is_none_is_ignored(self):
        self.stage()
        for number, rubbish in enumerate(("no json", "[" * 100000, '{"devices":[{"path":"gateway/gw2","per":"device",'
                                          '"retained":["info"]},{"path":"#"},{"path":"../x","retained":["+"]}]}')):
            with self.subTest(number):
                self.retain("hq/gateway/gw2/info", "{}")
                self.retain("hq/gateway/gw1/info", rubbish)
                gateway = self.gateway(self.after)
                wait_until(lambda: "hq/ground/meter/voltage" in self.retained() and self.info_is_new(), "a new info")
                self.assertIn("hq/gateway/gw2/info", self.retained())
                self.assertEqual("no info" in gateway.text(), number < 2)
                self.assertEqual(gateway.stop(), 0)

    def info_is_new(self):
        sub = self.subscriber(self.mosquitto.port, "hq/gateway/gw1/info")
        sub.stop()
        return '"version"' in sub.payloads("hq/gateway/gw1/info")[0]


if __name__ == "__main__":
    unittest.main()
