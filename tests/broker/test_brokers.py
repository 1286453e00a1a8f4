"""The whole program with each real broker: restarts, kills, what becomes of QoS 2, retain, will, sessions, topics.

One class a broker (brokers.py), which runs for all its tests.  Some 300 readings a second (ActiveMQ: 60), half of them at QoS 1 and half
at QoS 2, pass the proxy that writes down what was sent and acknowledged; a witness counts what arrives.

BUSFERRY_RESTARTS=10 is the long run: that many orderly restarts and cut connections instead of 2.  Figures go to
stderr.  A broker that is not there is SKIPPED: the program ends with 77.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
import unittest

import brokers
from harness import PATIENCE, Scenario, free_port, wait_until
from proxy import WINDOW, WINDOW_QOS2, Proxy, Record, complete
from witness import Witness, reading_id

N = int(os.environ.get("BUSFERRY_RESTARTS", "2"))
SKIPPED = 77
CAPPED = "can't do QoS 2, QoS 1 is used instead"

MAP = """
site: "s"
broker: {{ url: "mqtt://{url}"  keepalive: "5s"  {broker} }}
gateway: {{ id: "g"  ids: true }}
every: "{every}"
buffer: {{ path: "{path}"  sync: "1s"  max_size: "64MB" }}
buses: {{ tcp: {{ tcp: "127.0.0.1:{tcp}" }} }}
topics: {{
  more: {{ {rule} }}
  once: {{ metric: "once*"  qos: 2  retain: false }}
  many: {{ metric: "many*"  qos: 1  retain: false }}
}}
floors: {{ f: {{
{devices}
}} }}
"""
DEVICES = "\n".join("  d%d: { address: %d  metrics: { %s } }" % (
    d, d, " ".join("%s%d: { input: %d }" % ("once" if m % 2 else "many", m, m) for m in range(10))) for d in (1, 2, 3))


class Row:
    """The tests of each broker.  `kind` is its class."""

    kind = None

    @classmethod
    def setUpClass(cls):
        reason = cls.kind.missing()
        if reason:
            raise unittest.SkipTest(reason)
        cls.server = cls.kind()
        cls.addClassCleanup(cls.server.end)
        cls.server.start()

    def setUp(self):
        super().setUp()
        self.n_witnesses = 0
        if self.server.process and not self.server.process.alive():
            self.server.start()

    def tell(self, text):
        print("%s, %s: %s" % (self.kind.name, self.id().rsplit("test_", 1)[1], text), file=sys.stderr)

    # The stage

    def map(self, name, devices=DEVICES, protocol=4, port=None, tcp=1, rule='match: "none"', broker=""):
        broker += "  protocol: %d  client_id: \"gateway-%s\"" % (protocol, os.path.basename(self.dir))
        if self.kind.user:
            self.write("password", brokers.PASSWORD + "\n")
            os.chmod(self.path("password"), 0o600)
            broker += "  user: \"%s\"  password_file: \"%s\"" % (self.kind.user, self.path("password"))
        url = "127.0.0.1:%d" % port if port else "%s:%d" % (self.server.host, self.server.port)
        return self.write(name, MAP.format(url=url, broker=broker, path=self.path("buffer.db"), tcp=tcp, rule=rule,
                                           devices=devices, every=self.kind.every))

    def listen(self, topic="s/f/#"):
        self.n_witnesses += 1
        client = "witness-%s-%d" % (os.path.basename(self.dir), self.n_witnesses)
        return Witness(self, self.server.port, topic, client, self.server.host, self.kind.user,
                       brokers.PASSWORD, 2 if self.kind.qos2 else 1)

    def stage(self):
        tcp = free_port()
        self.network = Proxy(self, free_port(), self.server.port, self.server.host)
        self.conf = self.map("map.conf", port=self.network.port, tcp=tcp)
        self.empty = self.map("empty.conf", "", port=self.network.port)
        self.simulate(self.conf)
        self.witness = self.listen()
        self.run_one = self.gateway(self.conf)
        self.live()

    def live(self):
        self.witness.live(self.run_one)

    def restart(self):
        """In order, and what it has acknowledged stays: one that keeps sessions in memory only is first let deliver."""
        if self.kind.durable:
            self.server.stop()
            time.sleep(random.uniform(0, 1))
            self.server.start()
            return
        self.network.order("hold")
        self.witness.quiet(0.5)
        n = self.witness.n_subscriptions
        self.server.stop()
        self.server.start()
        wait_until(lambda: self.witness.n_subscriptions > n, "the subscription of the witness")
        self.network.order("flow")

    def settle(self):
        """The gateway ends in order; what it left in its buffer is sent by one without devices."""
        self.live()
        self.assertEqual(self.run_one.stop(), 0, self.run_one.text())
        self.drain()

    def drain(self):
        self.run_one = self.gateway(self.empty)
        wait_until(lambda: ": connected" in self.run_one.text(), "the connection for the rest")
        wait_until(lambda: (self.buffer_status(self.empty) or {}).get("waiting") == 0, "the end of the rest")
        self.witness.quiet(1)
        self.assertEqual(self.run_one.stop(), 0, self.run_one.text())

    def audit(self, n_losses, what, once=False):
        """Nothing lost; order as the gateway sent it and, but for what the broker itself mixes, as it arrived; at most
        what was in flight begun anew, and nothing of it at QoS 2 where `once`."""
        record = Record(self.network.lines())
        boots = {boot for boot, _ in record.sent}
        seen, twice, n_astray, arrivals = set(), {1: 0, 2: 0}, 0, {}
        for topic, payload, qos, _ in self.witness.seen:
            found = reading_id(payload)
            if not found or found[0] not in boots:  # ActiveMQ may hand a new subscriber what is older than it
                continue
            if found in seen:
                twice[qos] += 1
                continue
            seen.add(found)
            n_astray += found[1] < arrivals.get((topic, found[0]), 0)
            arrivals[(topic, found[0])] = found[1]
        lost = complete(seen | record.sent) - seen
        self.tell("%d %s, %d readings, %d lost, %d put out of order by the broker, twice: %d at QoS 1, %d at QoS 2, "
                  "begun anew by the gateway: %d at QoS 1, %d at QoS 2" % (
                      n_losses, what, len(seen), len(lost), n_astray, twice[1], twice[2], record.n_anew(1),
                      record.n_anew(2)))
        self.assertEqual(lost, set())
        for topic, numbers in record.first.items():
            self.assertEqual(numbers, sorted(numbers), "order on the wire, " + topic[0])
        if not self.kind.mixes:
            self.assertEqual(n_astray, 0, "order at the subscriber")
        self.assertLessEqual(record.n_anew(1), WINDOW * len(record.senders))
        self.assertLessEqual(record.n_anew(2), 0 if once else WINDOW_QOS2 * len(record.senders))
        if once and not self.kind.mixes:
            self.assertEqual(twice[2], 0, "QoS 2 is exactly once")
        self.assertEqual(record.qos, {1, 2}, "both were tried")
        self.assertEqual(CAPPED in self.run_log, not self.kind.qos2, self.run_log)

    # What must hold

    def test_restarts(self):
        if not self.server.process:
            self.skipTest("a broker by address is not restarted")
        self.stage()
        for _ in range(N):
            self.restart()
            self.live()
        self.run_log = self.run_one.text()
        self.settle()
        self.audit(N, "restarts", once=self.kind.durable and self.kind.resumes)

    def test_cut_connections(self):
        self.stage()
        for i in range(N):
            self.network.order("cut " + "cs"[i % 2])
            self.live()
            self.network.order("flow")
        self.run_log = self.run_one.text()
        self.settle()
        self.audit(N, "cuts", once=self.kind.resumes and self.kind.once)
        present = Record(self.network.lines()).session_present
        self.tell("session present: %s" % present)
        if self.kind.resumes:
            self.assertTrue(any(present), "the publisher's session is found again")

    def test_kill(self):
        """After a kill of the broker each reading is either acknowledged or still in the outbox."""
        if not self.server.process:
            self.skipTest("a broker by address is not killed")
        self.stage()
        time.sleep(1)
        self.server.stop(signal.SIGKILL)
        time.sleep(1.5)
        self.assertEqual(self.run_one.stop(), 0, self.run_one.text())
        done = self.command("buffer", "export", "-c", self.conf)
        self.assertEqual(done.returncode, 0, done.stderr)
        waiting = {reading_id(json.loads(line)["payload"]) for line in done.stdout.splitlines()} - {None}
        record = Record(self.network.lines())
        every = complete(record.sent | waiting)
        astray = every - record.acknowledged - waiting
        self.tell("%d readings, %d acknowledged, %d in the outbox, %d in neither" % (
            len(every), len(every & record.acknowledged), len(waiting), len(astray)))
        self.assertEqual(astray, set())
        self.assertGreater(len(waiting), 30)
        n = self.witness.n_connects
        self.server.start()
        wait_until(lambda: self.witness.n_connects > n, "the witness is back")
        self.witness.quiet(0.5)
        self.drain()
        seen = {reading_id(m[1]) for m in self.witness.seen}
        self.assertEqual(waiting - seen - Record(self.network.lines()).acknowledged, set(), "what waited has left")

    def test_retain_and_will(self):
        state = "s/gateway/g/state"
        conf = self.map("map.conf", "")
        gateway = self.gateway(conf)
        watcher = self.listen(state)
        wait_until(lambda: any(m[1] == "online" for m in watcher.seen), "online")
        gateway.stop(signal.SIGKILL)
        wait_until(lambda: watcher.seen[-1][1] == "offline", "the will")
        late = self.listen(state)
        wait_until(lambda: late.seen, "what is retained")
        self.assertEqual((late.seen[0][1], late.seen[0][3]), ("offline", True))
        gateway = self.gateway(conf)
        wait_until(lambda: late.seen[-1][1] == "online", "online again")
        self.assertEqual(gateway.stop(), 0)
        wait_until(lambda: late.seen[-1][1] == "offline", "offline at an orderly end")
        if not self.server.process:
            return
        self.server.stop()
        self.server.start()
        fresh = self.listen(state)
        if self.kind.retains:
            wait_until(lambda: fresh.seen, "what is retained over a restart")
            self.assertEqual((fresh.seen[0][1], fresh.seen[0][3]), ("offline", True))
        else:
            time.sleep(0.5)
            self.assertEqual(fresh.seen, [])
        gateway = self.gateway(conf)
        wait_until(lambda: fresh.seen and fresh.seen[-1][1] == "online", "announced anew")
        self.assertEqual(gateway.stop(), 0)

    def test_topics_and_payloads(self):
        """Characters that are special to some brokers, a long topic, a payload of 30 kB."""
        names = ["a.b", "c*d", "e>f", "with space", "\N{DEGREE SIGN}", "x" * 200]
        wide = " ".join("a_name_of_some_length_%d: { input: %d }" % (m, m) for m in range(1000))
        devices = "  w: { address: 99  every: \"1s\"  metrics: { %s } }\n" % wide
        devices += "\n".join('  d%d: { address: %d  topic: "%s"  metrics: { m: { input: 1 } } }' % (i + 1, i + 1, name)
                             for i, name in enumerate(names))
        tcp = free_port()
        conf = self.map("map.conf", devices, tcp=tcp, rule='match: "s/f/w/#"  per: "device"')
        self.simulate(conf)
        witness = self.listen()
        gateway = self.gateway(conf)
        wanted = {self.kind.topic("s/f/%s/m" % name) for name in names} | {"s/f/w"}
        wait_until(lambda: wanted <= {m[0] for m in witness.seen}, "all topics, as this broker has them")
        largest = max(len(m[1]) for m in witness.seen if m[0] == "s/f/w")
        self.assertGreater(largest, 25000)
        self.assertEqual(gateway.stop(), 0, gateway.text())
        self.tell("largest payload %d bytes" % largest)

    def test_mqtt5(self):
        conf = self.map("map.conf", "  d: { address: 1  metrics: { once: { input: 1 }  many: { input: 2 } } }", 5,
                        tcp=free_port(), rule='metric: "many"  expire: "1h"')
        self.simulate(conf)
        witness = self.listen()
        gateway = self.gateway(conf)
        if not self.kind.mqtt5:
            wait_until(lambda: self.kind.refusal5 in gateway.text(), "the refusal in words")
            self.assertEqual([m for m in witness.seen if m[0].startswith("s/f/d/")], [])
        else:
            wait_until(lambda: {"s/f/d/once", "s/f/d/many"} <= {m[0] for m in witness.seen}, "readings")
            # Content type and what is left of the expiry, as a subscriber has them.
            user = ["-u", self.kind.user, "-P", brokers.PASSWORD] if self.kind.user else []
            done = subprocess.run(
                ["mosquitto_sub", "-V", "5", "-h", self.server.host, "-p", str(self.server.port), *user, "-q", "1",
                 "-t", "s/f/d/many", "-C", "1", "-F", "%C %E"], capture_output=True, text=True, timeout=PATIENCE, check=True)
            content_type, expiry = done.stdout.split()
            self.assertEqual(content_type, "application/json")
            self.assertTrue(0 < int(expiry) <= 3600, expiry)
        self.assertEqual(gateway.stop(), 0, gateway.text())

    def test_topic_aliases(self):
        """MQTT 5 without QoS 2, where most topics go as numbers: each reading, known by its unit, arrives on its own topic."""
        if not self.kind.mqtt5:
            self.skipTest("no MQTT 5")
        names = ["many%d" % i for i in range(30)]
        device = "  d: { address: 1  metrics: { %s } }" % " ".join(
            '%s: { input: %d  unit: "%s" }' % (name, i, name) for i, name in enumerate(names))
        conf = self.map("map.conf", device, 5, tcp=free_port(), broker="max_qos: 1")
        self.simulate(conf)
        witness = self.listen()
        gateway = self.gateway(conf)

        def readings():
            return [(m[0], json.loads(m[1])) for m in witness.seen if "/many" in m[0]]
        wait_until(lambda: len(readings()) >= 20 * len(names) and {t for t, _ in readings()} >=
                   {"s/f/d/" + name for name in names}, "readings on every topic")
        for topic, payload in readings():
            self.assertEqual(topic, "s/f/d/" + payload.get("unit", "?"))
        self.assertEqual(gateway.stop(), 0, gateway.text())
        self.assertNotIn("connection lost", gateway.text())


class Mosquitto(Row, Scenario):
    kind = brokers.Mosquitto


class RabbitMQ(Row, Scenario):
    kind = brokers.RabbitMQ


class ActiveMQ(Row, Scenario):
    kind = brokers.ActiveMQ


class Ejabberd(Row, Scenario):
    kind = brokers.Ejabberd


class Aedes(Row, Scenario):
    kind = brokers.Aedes


class Emqx(Row, Scenario):
    kind = brokers.Emqx


if __name__ == "__main__":
    program = unittest.main(exit=False)
    result = program.result
    if result.wasSuccessful() and result.testsRun == 0 and result.skipped:
        print("SKIPPED: " + result.skipped[0][1], file=sys.stderr)
        sys.exit(SKIPPED)
    sys.exit(not result.wasSuccessful())
