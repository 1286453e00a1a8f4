"""The audit of outages: what was read, what the broker acknowledged, what a subscriber saw; nothing may be missing.

It has two witnesses: a subscriber that counts exactly, and the proxy's record of what the broker acknowledged.  A broker
that is killed forgets what it has acknowledged; then a reading must have been seen or acknowledged.
"""

import json
import os
import signal
import subprocess
import sys
import time

from harness import HERE, PATIENCE, Scenario, wait_until

PROXY = os.path.join(HERE, "..", "fake", "mqtt_proxy.py")
WINDOW, WINDOW_QOS2 = 100, 10  # what may be in flight
LATE_MS = 5000 * PATIENCE / 30  # by which a busy machine may delay the store; exact is tests/crash/test_kill.c
STOP_S = 5 * PATIENCE / 30  # the promise of the contract, for SIGTERM


class Network:
    """The proxy, and its record."""

    def __init__(self, scenario, port, broker_port):
        self.record = scenario.path("network-%d" % port)
        self.process = scenario.start([sys.executable, PROXY, str(port), str(broker_port), self.record],
                                      "proxy-%d" % port, stdin=subprocess.PIPE)
        wait_until(lambda: "ready\n" in self.process.text(), "the proxy is ready")

    def order(self, words):
        done = self.process.text().count("ok ")
        self.process.child.stdin.write(words.encode() + b"\n")
        self.process.child.stdin.flush()
        wait_until(lambda: self.process.text().count("ok ") > done, "the proxy obeys")

    def lines(self):
        with open(self.record, encoding="utf-8") as f:
            return [line.rstrip("\n").split(" ", 7) for line in f]


def reading_id(payload):
    """(boot, number), or None of what is no reading."""
    if '"id":"' not in payload:
        return None
    boot, number = json.loads(payload)["id"].split("-")
    return boot, int(number)


class Audited(Scenario):
    """stage() of its tests sets port, mosquitto, saves, kills, network, conf, empty, witness and run_one."""

    def live(self):
        """Waits until readings come that were taken from now on and are no replays: all that waited is through."""
        seen, now_ms = len(self.witness.seen), time.time() * 1000

        def present():
            self.assertTrue(self.run_one.alive(), self.run_one.text())
            self.assertIsNone(self.witness.fault)
            return any('"replayed"' not in m[1] and reading_id(m[1]) and json.loads(m[1])["time"] > now_ms
                       for m in self.witness.seen[max(seen, len(self.witness.seen) - 200):])
        wait_until(present, "present readings", PATIENCE * 3)

    def back(self):
        self.mosquitto = self.broker(self.port, saves=self.saves)

    def kill(self):
        self.kills.append(time.time() * 1000)
        self.run_one.stop(signal.SIGKILL)

    def settle(self):
        """The gateway ends in order; what it left in its buffer is sent by one without devices."""
        self.live()
        self.settled = len(self.witness.seen), sum(line[2] == "CONNACK" for line in self.network.lines())
        self.stop_in_time(self.run_one)
        self.run_one = self.gateway(self.empty)
        wait_until(lambda: ": connected" in self.run_one.text(), "the connection for the rest")

        def quiet():
            seen = len(self.witness.seen)
            time.sleep(1)
            return len(self.witness.seen) == seen
        wait_until(quiet, "the end of the rest")
        self.stop_in_time(self.run_one)

    def stop_in_time(self, gateway):
        begin = time.monotonic()
        gateway.send(signal.SIGTERM)
        try:
            gateway.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.fail("SIGTERM is not obeyed within %g s:\n%s" % (STOP_S, gateway.text()))
        self.assertEqual(gateway.child.returncode, 0, gateway.text())
        return time.monotonic() - begin

    # The audit

    def record(self):
        """Of the proxy's record: the ids whose PUBACK or PUBCOMP went to the gateway; the numbers of the readings on
        each topic in the order in which each connection sent them, what it repeated included; how often a publishing was
        begun anew, at QoS 2 by a process that lived; how many connections have sent any."""
        acknowledged, sent, topics, n_again, senders, of = set(), set(), {}, {"1": 0, "2": 0}, set(), {}
        for connection, side, what, *rest in self.network.lines():
            if side == "c" and what == "PUBLISH":
                identifier, qos, dup, topic, payload = rest
                found = of[identifier] = reading_id(payload)
                if found:
                    senders.add(connection)
                    topics.setdefault((topic, found[0], connection), []).append(found[1])
                    if found in sent and dup == "0" and (qos == "1" or int(connection) <= self.settled[1]):
                        n_again[qos] += 1
                    sent.add(found)
            elif side == "s" and what in ("PUBACK", "PUBCOMP"):
                acknowledged.add(of.get(rest[0]))
        return acknowledged, sent, topics, n_again, len(senders)

    def deliveries(self, ids):
        """What passed of these readings, for a look at what went wrong."""
        told, of = {found: [] for found in ids}, {}
        for connection, side, what, *rest in self.network.lines():
            if side == "c" and what == "PUBLISH":
                of[rest[0]] = reading_id(rest[4])
                rest = rest[:3]
            elif what == "CONNACK":
                for passed in told.values():
                    passed.append("%s: CONNACK %s" % (connection, rest))
            if what in ("PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP") and of.get(rest[0]) in told:
                told[of[rest[0]]].append("%s: %s %s" % (connection, what, " ".join(rest)))
        return "\n".join("%s: %s" % item for item in told.items())

    def young(self, found):
        """Was it read so shortly before a kill that it needed not be on disk?"""
        boot, number = found
        before = max((m for m in self.times.get(boot, {}) if m < number), default=None)
        return before is not None and any(-LATE_MS < at - self.times[boot][before] < 1000 + LATE_MS for at in self.kills)

    def audit(self, n_faults, restarts=False, forgets=False, ends=False, young=False):
        """restarts: the broker does, and what it repeats itself when it comes back is told but not held against the
        gateway; forgets: so may what it has acknowledged be lost; ends: a gateway is killed, and its memory of what was
        in flight with it; young: and what was younger than its `sync`.  Order is read from the wire: to a subscriber that it keeps waiting mosquitto 2.0.11 hands
        new messages before those that it has queued."""
        seen, arrivals, twice, twice_alive, n_astray, self.times = set(), {}, {1: 0, 2: 0}, [], 0, {}
        for i, (topic, payload, qos, _) in enumerate(self.witness.seen):
            found = reading_id(payload)
            if found in seen:
                twice[qos] += 1
                if qos == 2 and i < self.settled[0]:
                    twice_alive.append(found)
            elif found:
                seen.add(found)
                self.times.setdefault(found[0], {})[found[1]] = json.loads(payload)["time"]
                n_astray += found[1] < arrivals.get((topic, found[0]), 0)
                arrivals[(topic, found[0])] = found[1]
        acknowledged, sent, topics, n_again, n_senders = self.record()
        last = {}
        for boot, number in seen | sent:
            last[boot] = max(number, last.get(boot, 0))
        missing = {(boot, n) for boot in last for n in range(1, last[boot] + 1)} - seen
        lost = missing - acknowledged if forgets else missing
        n_young, lost = len(lost), {found for found in lost if not young or not self.young(found)}
        n_young -= len(lost)
        print("%s: %d faults, %d readings, %d lost, %d younger than sync, %d acknowledged and forgotten by the broker, "
              "twice: %d at QoS 1, %d at QoS 2, begun anew by the gateway: %d at QoS 1, %d at QoS 2, %d put out of order "
              "by the broker; %d connections that sent" % (
                  self.id().rsplit(".", 1)[1], n_faults, len(seen), len(lost), n_young, len(missing - lost) - n_young,
                  twice[1], twice[2], n_again["1"], n_again["2"], n_astray, n_senders), file=sys.stderr)
        self.assertEqual(lost, set(), self.deliveries(sorted(lost)[:5]))
        self.assertLessEqual(n_again["1"], WINDOW * n_senders)
        for topic, numbers in topics.items():
            self.assertEqual(numbers, sorted(numbers), "order on the wire, " + topic[0])
        if forgets or ends:
            self.assertLessEqual(n_again["2"], WINDOW_QOS2 * n_senders)
        else:
            self.assertEqual(n_again["2"], 0, "QoS 2 is begun once while process and session live")
        if restarts:
            return
        self.assertLessEqual(twice[1], WINDOW * n_senders)
        if not ends:
            self.assertEqual(twice_alive, [], "QoS 2 is exactly once while the process lives; what passed:\n" +
                             self.deliveries(twice_alive[:5]))
        self.assertLessEqual(twice[2], WINDOW_QOS2 * n_senders)
