"""The audit of outages: what was read, what the broker acknowledged, what a subscriber saw; nothing may be missing.

It has two witnesses: a subscriber that counts exactly, and the proxy's record of what the broker acknowledged.  A broker
that is killed forgets what it has acknowledged; then a reading must have been seen or acknowledged.
"""

import json
import signal
import subprocess
import sys
import time

from harness import PATIENCE, Scenario, wait_until
from proxy import WINDOW, WINDOW_QOS2, Record, complete
from witness import reading_id

LATE_MS = 5000 * PATIENCE / 30  # by which a busy machine may delay the store; exact is tests/crash/test_kill.c
STOP_S = 5 * PATIENCE / 30  # the promise of the contract, for SIGTERM


class Audited(Scenario):
    """stage() of its tests sets port, mosquitto, saves, kills, network, conf, empty, witness and run_one."""

    def live(self):
        self.witness.live(self.run_one)

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
        self.witness.quiet(1)
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
        in flight with it; young: and what was younger than its `sync`.  Order is read from the wire: to a subscriber that
        it keeps waiting mosquitto 2.0.11 hands new messages before those that it has queued."""
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
        record = Record(self.network.lines())
        n_senders = len(record.senders)
        n_anew = {1: record.n_anew(1), 2: record.n_anew(2, self.settled[1])}  # at QoS 2 by a process that lived
        missing = complete(seen | record.sent) - seen
        lost = missing - record.acknowledged if forgets else missing
        n_young, lost = len(lost), {found for found in lost if not young or not self.young(found)}
        n_young -= len(lost)
        print("%s: %d faults, %d readings, %d lost, %d younger than sync, %d acknowledged and forgotten by the broker, "
              "twice: %d at QoS 1, %d at QoS 2, begun anew by the gateway: %d at QoS 1, %d at QoS 2, %d put out of order "
              "by the broker; %d connections that sent" % (
                  self.id().rsplit(".", 1)[1], n_faults, len(seen), len(lost), n_young, len(missing - lost) - n_young,
                  twice[1], twice[2], n_anew[1], n_anew[2], n_astray, n_senders), file=sys.stderr)
        self.assertEqual(lost, set(), self.deliveries(sorted(lost)[:5]))
        self.assertLessEqual(n_anew[1], WINDOW * n_senders)
        for topic, numbers in record.whole.items():
            self.assertEqual(numbers, sorted(numbers), "order on the wire, " + topic[0])
        if forgets or ends:
            self.assertLessEqual(n_anew[2], WINDOW_QOS2 * n_senders)
        else:
            self.assertEqual(n_anew[2], 0, "QoS 2 is begun once while process and session live")
        if restarts:
            return
        self.assertLessEqual(twice[1], WINDOW * n_senders)
        if not ends:
            self.assertEqual(twice_alive, [], "QoS 2 is exactly once while the process lives; what passed:\n" +
                             self.deliveries(twice_alive[:5]))
        self.assertLessEqual(twice[2], WINDOW_QOS2 * n_senders)
