"""Several brokers, and networks and brokers between which a gateway has to choose: nothing is lost, polling goes on, and no
message is on two brokers but what was in flight.

BUSFERRY_FAILOVERS=10 repeats each failover that often instead of once.  How long they took goes to stderr.
"""

import json
import os
import signal
import socket
import sys
import time
import unittest

from harness import MOSQUITTO, PATIENCE, SANITIZE, Scenario, free_port, preloaded, wait_until
from proxy import PROXY, WINDOW, Proxy
from witness import Witness, reading_id

N = int(os.environ.get("BUSFERRY_FAILOVERS", "1"))
HOSTILE = os.path.join(os.path.dirname(PROXY), "mqtt_hostile.py")
MODES = ("no_connack", "closes", "half_connack", "garbage", "garbage_later", "silent", "huge", "unknown_ids", "half_packet")

MAP = """
site: "{site}"
broker: {{ url: [{urls}]  keepalive: "5s"  client_id: "{site}"  {more} }}
gateway: {{ id: "g"  ids: true }}
every: "100ms"
buffer: {{ path: "{path}" }}
buses: {{ tcp: {{ tcp: "127.0.0.1:{tcp}" }} }}
topics: {{ all: {{ match: "#"  retain: false }} }}
floors: {{ f: {{ d: {{ address: 1  metrics: {{ a: {{ input: 0 }}  b: {{ input: 1 }}  c: {{ holding: 2 }} }} }} }} }}
"""


class Network(Scenario):
    def map_of(self, site, urls, tcp, more=""):
        return self.write(site + ".conf", MAP.format(site=site, urls=", ".join('"%s"' % url for url in urls), more=more,
                                                     path=self.path(site + ".db"), tcp=tcp))

    def run_gateway(self, conf, site, env=None):
        os.makedirs(self.path(site + "-run"), exist_ok=True)
        return self.gateway(conf, env=dict({"RUNTIME_DIRECTORY": self.path(site + "-run")}, **(env or {})))

    def await_present(self, witness, site):
        """A reading that was taken from now on has come."""
        now_ms, at = time.time() * 1000, len(witness.seen)

        def present():
            return any(topic.startswith(site + "/f/") and reading_id(payload) and json.loads(payload)["time"] > now_ms
                       for topic, payload, _, _ in witness.seen[at:])
        wait_until(present, "present readings of " + site, PATIENCE * 2)

    @staticmethod
    def ids(seen, site):
        return {reading_id(payload) for topic, payload, _, _ in seen if topic.startswith(site + "/f/")} - {None}

    def assert_whole(self, seen, site):
        """All readings from the first on are there, and the times of each metric rise with them: none was held up by the
        broker."""
        found = self.ids(seen, site)
        self.assertEqual(len({boot for boot, _ in found}), 1)
        numbers = {number for _, number in found}
        self.assertEqual(set(range(1, max(numbers) + 1)) - numbers, set(), "lost, of %s" % site)
        times = {}
        for topic, payload, _, _ in seen:
            if topic.startswith(site + "/f/") and reading_id(payload):
                times.setdefault(topic, {})[reading_id(payload)[1]] = json.loads(payload)["time"]
        for topic, of in times.items():
            in_order = [of[number] for number in sorted(of)]
            self.assertEqual(in_order, sorted(in_order), topic)

    def simulated(self):
        tcp = free_port()
        self.simulate(self.map_of("sim", ["mqtt://127.0.0.1:1"], tcp))
        return tcp

    # One broker that works behind one that does not

    def test_hostile_brokers(self):
        good, tcp = self.broker(saves=""), self.simulated()
        witness = Witness(self, good.port, "#")
        gateways = {}
        for mode in MODES:
            port = free_port()
            process = self.start([sys.executable, HOSTILE, str(port), mode], "hostile-" + mode)
            wait_until(lambda p=process: "ready\n" in p.text(), "the hostile broker")
            conf = self.map_of(mode, ["mqtt://127.0.0.1:%d" % port, "mqtt://127.0.0.1:%d" % good.port], tcp)
            gateways[mode] = self.run_gateway(conf, mode)
        for mode, gateway in gateways.items():
            with self.subTest(mode):
                self.await_present(witness, mode)
                gateway.send(signal.SIGTERM)
        for mode, gateway in gateways.items():
            with self.subTest(mode):
                self.assertEqual(gateway.wait(), 0, gateway.text())
                self.assertIsNone(witness.fault)
                wait_until(lambda m=mode: any(topic == m + "/gateway/g/state" and payload == "offline"
                                              for topic, payload, _, _ in witness.seen), "the last word")
                self.assert_whole(witness.seen, mode)
                self.assertIn("broker mqtt://127.0.0.1:", gateway.text())

    # Several brokers

    def stage_two(self, more=""):
        """Two brokers, the first behind a proxy, and a gateway that is connected to the first."""
        self.ports = [free_port(), free_port()]
        self.brokers = [self.broker(port, name="broker-%d" % i, saves="") for i, port in enumerate(self.ports)]
        self.network = Proxy(self, free_port(), self.ports[0])
        self.witnesses = [Witness(self, port, "#", "witness-%d" % i) for i, port in enumerate(self.ports)]
        tcp = self.simulated()
        self.conf = self.map_of("s", ["mqtt://127.0.0.1:%d" % port for port in (self.network.port, self.ports[1])], tcp, more)
        self.run_one = self.run_gateway(self.conf, "s")
        self.await_present(self.witnesses[0], "s")

    def took(self, what, begin, at):
        """Until the other broker has a message: the end is the instant at which it was seen."""
        n = len(self.witnesses[at].seen)
        wait_until(lambda: len(self.witnesses[at].seen) > n, "the other broker has a message", PATIENCE * 2)
        print("%s: %.2f s" % (what, time.monotonic() - begin), file=sys.stderr)
        self.await_present(self.witnesses[at], "s")

    def end(self):
        self.run_one.send(signal.SIGTERM)
        self.assertEqual(self.run_one.wait(), 0, self.run_one.text())
        time.sleep(0.5)  # for the subscribers
        for witness in self.witnesses:
            self.assertIsNone(witness.fault)
        self.assert_whole(self.witnesses[0].seen + self.witnesses[1].seen, "s")

    def test_a_broker_that_is_killed(self):
        self.stage_two()
        for _ in range(N):
            for at in (1, 0):
                time.sleep(11 if N > 1 else 1)  # a connection is taken for stable after 10 s
                begin = time.monotonic()
                self.brokers[1 - at].stop(signal.SIGKILL)
                self.took("refused", begin, at)
                self.brokers[1 - at] = self.broker(self.ports[1 - at], name="broker-%d" % (1 - at), saves="")
                wait_until(lambda w=self.witnesses[1 - at], n=self.witnesses[1 - at].n_connects: w.n_connects > 1,
                           "the witness is back")
        self.end()
        both = self.ids(self.witnesses[0].seen, "s") & self.ids(self.witnesses[1].seen, "s")
        print("refused: %d readings on both brokers" % len(both), file=sys.stderr)
        self.assertLessEqual(len(both), WINDOW * 2 * N)

    def test_a_black_hole(self):
        self.stage_two()
        for _ in range(N):
            begin = time.monotonic()
            self.network.order("hold")
            self.took("black hole, keepalive 5 s", begin, 1)
            self.network.order("flow")
            begin = time.monotonic()
            if N > 1:
                self.brokers[1].stop(signal.SIGKILL)
                self.took("refused", begin, 0)
                self.brokers[1] = self.broker(self.ports[1], name="broker-1", saves="")
        self.end()

    def test_the_first_is_preferred_again(self):
        self.stage_two('prefer_first: "10s"')
        self.brokers[0].stop(signal.SIGKILL)
        self.await_present(self.witnesses[1], "s")
        self.brokers[0] = self.broker(self.ports[0], name="broker-0", saves="")
        wait_until(lambda: self.witnesses[0].n_connects > 1, "the witness is back")
        before = len(self.witnesses[0].seen)
        self.await_present(self.witnesses[0], "s")
        self.assertIn(" is back: mqtt://127.0.0.1:%d is left for it" % self.ports[1], self.run_one.text())
        wait_until(lambda: self.states(1)[-1:] == ["offline"], "the second is told that the gateway has gone")
        self.assertEqual(self.states(0)[-1:], ["online"])
        self.end()
        # What was in flight at the kill may be on both; the way back was an orderly one.
        again = self.ids(self.witnesses[0].seen[before:], "s") & self.ids(self.witnesses[1].seen, "s")
        self.assertEqual(again, set())
        both = self.ids(self.witnesses[0].seen, "s") & self.ids(self.witnesses[1].seen, "s")
        self.assertLessEqual(len(both), WINDOW)

    def states(self, at):
        return [payload for topic, payload, _, _ in self.witnesses[at].seen if topic == "s/gateway/g/state"]

    def test_a_broker_that_is_frozen_beside_an_idle_gateway(self):
        broker = self.broker(saves="")
        conf = self.write("idle.conf", 'site: "s"\nbroker: { url: "mqtt://127.0.0.1:%d"  keepalive: "5s" }\n' % broker.port)
        gateway = self.run_gateway(conf, "idle")
        wait_until(lambda: ": connected" in gateway.text(), "the connection")
        time.sleep(1)
        begin = time.monotonic()
        broker.send(signal.SIGSTOP)
        wait_until(lambda: "the broker no longer answers" in gateway.text(), "the silence is noticed")
        print("idle, keepalive 5 s: noticed after %.2f s" % (time.monotonic() - begin), file=sys.stderr)
        broker.send(signal.SIGCONT)
        wait_until(lambda: " is back after " in gateway.text(), "the connection is back")

    # Names

    @unittest.skipIf(SANITIZE, "a sanitizer has to be loaded first")
    def test_a_name_that_fails_and_changes(self):
        port, tcp = free_port(), self.simulated()
        hosts = self.write("hosts", "")
        conf = self.map_of("s", ["mqtt://broker.test:%d" % port], tcp)
        gateway = self.run_gateway(conf, "s", preloaded("hosts", BUSFERRY_HOSTS=hosts))
        wait_until(lambda: "can't find the host broker.test" in gateway.text(), "the failed look-up is told")
        seen = []
        for address in ("127.0.0.1", "127.0.0.2"):
            broker = self.broker_at(address, port)
            witness = Witness(self, port, "#", host=address)
            self.write("hosts", "broker.test %s\n" % address)
            self.await_present(witness, "s")
            if address == "127.0.0.1":
                broker.stop()
            seen.append(witness)
        gateway.send(signal.SIGTERM)
        self.assertEqual(gateway.wait(), 0, gateway.text())
        time.sleep(0.5)
        self.assert_whole(seen[0].seen + seen[1].seen, "s")

    def broker_at(self, address, port):
        conf = self.write(address + ".conf", "listener %d %s\nallow_anonymous true\n%s" % (
            port, address, "user root\n" if os.getuid() == 0 else ""))
        process = self.start([MOSQUITTO, "-c", conf], "broker-" + address)

        def listens():
            with socket.socket() as s:
                s.settimeout(1)
                return s.connect_ex((address, port)) == 0
        wait_until(listens, "mosquitto listens on " + address)
        return process


if __name__ == "__main__":
    unittest.main()
