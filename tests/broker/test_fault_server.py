"""The whole program with an MQTT server that does as it is told (tests/fake/mqtt_server.py): what a server may ask of its
clients in MQTT 5, refusals and their words, and EMQX as it was measured."""

import json
import os
import socket
import struct
import sys
import time
import unittest

from harness import HERE, PATIENCE, Scenario, free_port, wait_until
from witness import packet, text

sys.path.append(os.path.join(HERE, "..", "fake"))
import mqtt_server  # noqa: E402  pylint: disable=wrong-import-position

MAP = """
site: "s"
broker: {{ url: "mqtt://127.0.0.1:{port}"  protocol: {protocol}  keepalive: "5s"  {broker} }}
gateway: {{ id: "g"  ids: true }}
every: "100ms"
buses: {{ tcp: {{ tcp: "127.0.0.1:{tcp}" }} }}
topics: {{
{rules}
  once: {{ metric: "once*"  qos: 2 }}
  none: {{ metric: "none*"  qos: 0 }}
}}
floors: {{
{floors}
}}
"""
DEVICE = '  f: {{ d: {{ address: 1  metrics: {{ {} }} }} }}'
METRICS = " ".join("%s%d: { input: %d }" % (name, i, i) for i in range(5) for name in ("once", "many", "none"))


class Stage(Scenario):
    def serve(self, protocol=5, broker="", rules="", floors=DEVICE.format(METRICS), **told):
        self.server = mqtt_server.Server(**told)
        self.addCleanup(self.server.close)
        conf = self.write("map.conf", MAP.format(port=self.server.port, protocol=protocol, broker=broker, rules=rules,
                                                 floors=floors, tcp=free_port()))
        self.devices = self.simulate(conf)
        self.run_one = self.gateway(conf)

    def on(self, topic):
        return [m for m in self.server.messages if m.topic == topic]

    def flows(self, topic="s/f/d/many0", n=3):
        """Until that many more come."""
        before = len(self.on(topic))
        wait_until(lambda: len(self.on(topic)) >= before + n or not self.run_one.alive(), "%d on %s" % (n, topic))
        self.assertTrue(self.run_one.alive(), self.run_one.text())

    def says(self, words):
        wait_until(lambda: words in self.run_one.text(), words)

    def end(self):
        self.assertEqual(self.run_one.stop(), 0, self.run_one.text())
        self.devices.stop()
        self.assertEqual(self.server.faults, [])

    def numbers(self, topic):
        return [int(json.loads(m.payload)["id"].split("-")[1]) for m in self.on(topic)]


class FaultServer(Stage):
    # What a server may ask of its clients

    def test_receive_maximum(self):
        self.serve(properties={mqtt_server.RECEIVE_MAXIMUM: 3}, patience=0.05)
        self.flows()
        self.flows("s/f/d/once0")
        self.end()
        self.assertEqual(self.server.most_in_flight, 3)

    def test_the_window_at_qos2(self):
        """EMQX ends a connection with more than 100 unreleased, and mosquitto 2.0.11 loses more than 20 (MQTT 3.1.1)."""
        for protocol, broker, most in ((4, "", 10), (5, "inflight: 65535", 20)):
            with self.subTest(protocol):
                self.serve(protocol, broker, patience=0.05, unreleased=100,
                           floors=DEVICE.format(" ".join("once%d: { input: %d }" % (i, i) for i in range(60))))
                self.flows("s/f/d/once0", 10)
                self.end()
                self.assertEqual(self.server.most_unreleased, most)
                self.assertEqual(self.server.n_connects, 2, "the purge, and one more")

    def test_maximum_qos(self):
        for most in (0, 1):
            with self.subTest(most):
                self.serve(properties={mqtt_server.MAXIMUM_QOS: most}, max_qos=most)
                for topic in ("s/f/d/once0", "s/f/d/many0", "s/f/d/none0"):
                    self.flows(topic)
                self.assertEqual({m.qos for m in self.server.messages}, set(range(most + 1)))
                if most == 0:
                    self.says("QoS not supported; the will is given without")
                self.assertEqual(self.server.wills[-1], ("s/gateway/g/state", "offline", min(most, 1), True))
                self.end()

    def test_no_retained_messages(self):
        self.serve(properties={mqtt_server.RETAIN_AVAILABLE: 0}, no_retain=True)
        self.flows()
        self.says("retained messages not supported; the will is given without")
        self.assertEqual(self.server.wills[-1], ("s/gateway/g/state", "offline", 1, False))
        self.end()

    def test_maximum_packet(self):
        """What is too large is set aside, with the reason, and the rest goes on."""
        floors = DEVICE.format('many0: { input: 0 }  wide: { input: 1  unit: "%s" }' % ("u" * 300))
        self.serve(properties={mqtt_server.MAXIMUM_PACKET: 300}, floors=floors)
        self.flows()
        self.says("refuses messages: message too large (on s/")
        self.assertEqual(self.on("s/f/d/wide"), [])
        self.end()

    # What MQTT 5 carries

    def test_properties(self):
        rules = """  p: { metric: "plain"  payload: "plain"  expire: "90s" }
  i: { metric: "influx"  payload: "influx" }
  j: { metric: "many0"  expire: "1h" }"""
        self.serve(rules=rules, goodbye=(0x8b, "s/f/d/plain"),
                   floors=DEVICE.format("plain: { input: 0 }  influx: { input: 1 }  many0: { input: 2 }"))
        for topic in ("s/f/d/plain", "s/f/d/influx", "s/f/d/many0"):
            self.flows(topic)
        self.says("the broker is shutting down")
        self.end()
        plain, influx, many = (self.on("s/f/d/" + name) for name in ("plain", "influx", "many0"))
        self.assertEqual({m.content_type for m in plain + influx}, {"text/plain"})
        self.assertEqual({m.content_type for m in many}, {"application/json"})
        self.assertEqual({m.expiry for m in influx}, {None})
        self.assertTrue(all(0 < m.expiry <= 90 for m in plain))
        self.assertTrue(all(90 < m.expiry <= 3600 for m in many))
        marked = [m for m in plain + influx + many if m.user or '"replayed":true' in m.payload or
                  '"again":true' in m.payload]
        self.assertGreater(len(marked), 0, "the first connection ended with its first message")
        for m in marked:
            self.assertEqual(bool(m.user), m.topic != "s/f/d/many0", "plain ones are marked by properties")
            self.assertLessEqual(set(m.user.items()), {("replayed", "true"), ("again", "true")})

    def test_topic_aliases(self):
        """As many topics as the server takes go as numbers, never those that may be sent again by the library, and a new
        connection begins anew."""
        for broker, aliased in (("max_qos: 1", {0, 1}), ("", {0})):
            with self.subTest(broker):
                self.serve(5, broker, properties={mqtt_server.TOPIC_ALIAS_MAXIMUM: 12}, goodbye=(0x8b, "s/f/d/many4"))
                self.says("the broker is shutting down")
                self.flows("s/f/d/many4", 5)
                self.flows("s/f/d/none4")
                self.end()
                bare = [m for m in self.server.messages if m.bare]
                self.assertEqual({m.qos for m in bare}, aliased)
                self.assertEqual({m.alias for m in bare}, set(range(1, 13 if 1 in aliased else 6)))
                for topic in {m.topic for m in bare}:
                    self.assertRegex(topic, "^s/f/d/[a-z]+[0-4]$")
                self.assertLess(len(bare), len(self.server.messages))

    def test_a_server_that_takes_no_alias_after_all(self):
        self.serve(5, "max_qos: 1", properties={mqtt_server.TOPIC_ALIAS_MAXIMUM: 65535}, no_aliases=True)
        self.says("topic alias not valid")
        self.flows("s/f/d/many0", 5)
        self.end()
        self.assertEqual({m.alias for m in self.server.messages}, {None})

    def test_nothing_of_it_in_3_1_1(self):
        self.serve(4)
        self.flows()
        self.assertEqual({m.content_type for m in self.server.messages}, {None})
        self.end()

    # Refusals in words

    def test_refusals_of_connect(self):
        for reason, words in ((0x88, "the broker is not available"), (0x89, "the broker is busy"),
                              (0x97, "quota exceeded"), (0x9f, "too many connections a second")):
            with self.subTest(words):
                self.serve(refuse=[reason])
                self.says(words + "; trying again, readings wait")
                self.flows()
                self.end()

    def test_goodbyes(self):
        for reason, words in ((0x8b, "the broker is shutting down"), (0x98, "closed by the broker's administrator"),
                              (0x8e, "another client came with the same client id"),
                              (0x93, "too many messages in flight"), (0, "closed by the broker")):
            with self.subTest(words):
                self.serve(goodbye=(reason, "s/f/d/many1"))
                self.says("connection lost: " + words)
                if reason != 0x8e:  # that one is waited out
                    self.flows()
                self.end()

    def test_refusals_of_messages(self):
        """Those for good are set aside, those for now are sent again, and neither stops the rest."""
        self.serve(answers={"s/f/d/many1": [0x87] * 1000, "s/f/d/once1": [0x90] * 1000, "s/f/d/many2": [0x97],
                            "s/f/d/once2": [0x97]})
        for topic in ("s/f/d/many0", "s/f/d/once0", "s/f/d/many2", "s/f/d/once2"):
            self.flows(topic)
        self.says("refuses messages: not authorised (on s/f/d/many1")
        self.says("refuses messages: topic not accepted (on s/f/d/once1")
        self.says("does not take messages now: quota exceeded")
        for topic in ("s/f/d/many2", "s/f/d/once2"):
            numbers = self.numbers(topic)
            self.assertEqual(numbers, sorted(set(numbers)), "in order, each once")
        self.assertEqual(self.on("s/f/d/many1") + self.on("s/f/d/once1"), [])
        self.end()

    # EMQX as it was measured

    def test_the_hundred_and_first(self):
        """The server itself: it takes 100 QoS 2 messages that are not released, and ends the connection at one more."""
        for level, end in ((5, b"\xe0\x01\x93"), (4, b"")):
            server = mqtt_server.Server(unreleased=100)
            self.addCleanup(server.close)
            with socket.create_connection(("127.0.0.1", server.port), 5) as s:
                none = b"\0" if level == 5 else b""
                s.sendall(packet(0x10, text("MQTT") + bytes([level, 2, 0, 30]) + none + text("c")))
                for i in range(1, 102):
                    s.sendall(packet(0x34, text("t") + struct.pack(">H", i) + none))
                got = b""
                while True:
                    more = s.recv(4096)
                    if not more:
                        break
                    got += more
            self.assertEqual(got, b"\x20" + bytes([2 + len(none), 0, 0]) + none +
                             b"".join(b"\x50\x02" + struct.pack(">H", i) for i in range(1, 101)) + end)

    def test_too_many_levels(self):
        for qos in (1, 2):
            with self.subTest(qos):
                deep = 'deep: { d: { address: 2  metrics: { m: { input: 1  every: "2s"  qos: %d  topic: "%s" } } } }' % (
                    qos, "/".join(map(str, range(128))))
                self.serve(levels=128, floors=DEVICE.format("many0: { input: 0 }") + "\n  " + deep)
                self.says("connection lost")
                began = time.monotonic()
                wait_until(lambda: "drops the connection at a message on s/deep/d/0/1/" in self.run_one.text(),
                           "it is found out", PATIENCE * 3)
                print("poison at QoS %d: found out %.1f s after the first loss" % (qos, time.monotonic() - began),
                      file=sys.stderr)
                self.says("topic not accepted")
                self.flows()
                self.end()

    def test_a_session_that_remembers(self):
        """What a resumed session has already is answered (0x91 in MQTT 5), and no second delivery."""
        for protocol in (4, 5):
            with self.subTest(protocol):
                self.serve(protocol, goodbye=(0, "s/f/d/once0"), floors=DEVICE.format("once0: { input: 0 }"))
                self.flows("s/f/d/once0", 10)
                self.end()
                numbers = self.numbers("s/f/d/once0")
                self.assertEqual(numbers, list(range(1, len(numbers) + 1)), "each once, in order")
                self.assertGreater(self.server.n_known, 0)
                self.assertEqual(self.server.n_not_known, 0)


class Withheld(Stage):
    def test_acknowledgements_that_never_come(self):
        """A server that answers pings and acknowledges nothing is left after 90 s, and nothing is lost by it."""
        for protocol, topic in ((5, "many0"), (4, "once0")):
            with self.subTest(topic):
                self.serve(protocol, withheld=2 if topic == "once0" else 1,  # the purge is a connection too
                           floors=DEVICE.format('%s: { input: 0  every: "1s" }' % topic))
                wait_until(lambda: "nothing acknowledged for 90 s" in self.run_one.text() or not self.run_one.alive(),
                           "it is given up", 120)
                self.flows("s/f/d/" + topic, 5)
                self.end()
                numbers, messages = self.numbers("s/f/d/" + topic), self.on("s/f/d/" + topic)
                every = list(range(1, max(numbers) + 1))
                if topic == "once0":  # the session has what came in the first connection, and it is not taken twice
                    self.assertEqual(numbers, every)
                else:
                    self.assertEqual([n for n, m in zip(numbers, messages) if m.answered], every)
                self.assertGreater(len(every), 90, "readings went on")


if __name__ == "__main__":
    unittest.main()
