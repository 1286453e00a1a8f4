"""The network between a gateway and its broker, which goes wrong as it is told, and what its record tells of the readings
that passed."""

import os
import subprocess
import sys

from harness import HERE, wait_until
from witness import reading_id

PROXY = os.path.join(HERE, "..", "fake", "mqtt_proxy.py")
WINDOW, WINDOW_QOS2 = 100, 10  # what may be in flight


class Proxy:
    """It takes connections when it returns; ends with the scenario."""

    def __init__(self, scenario, port, broker_port, broker_host="127.0.0.1"):
        self.port, self.path = port, scenario.path("network-%d" % port)
        self.process = scenario.start([sys.executable, PROXY, str(port), "%s:%d" % (broker_host, broker_port), self.path],
                                      "proxy-%d" % port, stdin=subprocess.PIPE)
        wait_until(lambda: "ready\n" in self.process.text(), "the proxy is ready")

    def order(self, words):
        """As mqtt_proxy.py understands them; it holds when this returns."""
        done = self.process.text().count("ok ")
        self.process.child.stdin.write(words.encode() + b"\n")
        self.process.child.stdin.flush()
        wait_until(lambda: self.process.text().count("ok ") > done, "the proxy obeys")

    def lines(self):
        """What passed so far, in its order: [connection, "c" or "s", packet, what else there is to tell of it ...]."""
        with open(self.path, encoding="utf-8") as f:
            return [line.rstrip("\n").split(" ", 7) for line in f if line.endswith("\n")]


class Record:
    """The readings that passed, from a proxy's lines.

    acknowledged     those whose PUBACK or PUBCOMP went to the gateway
    sent             all
    first            {(topic, boot): [number ...]} in the order in which they were sent first
    whole            {(topic, boot, connection): [number ...]} as each connection sent them, what it repeated included
    anew             (QoS, connection) of each publishing that was begun anew, not as a duplicate
    qos, senders     those that were tried, and the connections that have sent any
    session_present  of each CONNACK
    """

    def __init__(self, lines):
        self.acknowledged, self.sent, self.qos, self.senders = set(), set(), set(), set()
        self.first, self.whole, self.anew, self.session_present = {}, {}, [], []
        of = {}
        for connection, side, what, *rest in lines:
            if side == "c" and what == "PUBLISH":
                identifier, qos, dup, topic, payload = rest
                found = of[identifier] = reading_id(payload)
                if not found:
                    continue
                self.senders.add(connection)
                self.qos.add(int(qos))
                self.whole.setdefault((topic, found[0], connection), []).append(found[1])
                if found not in self.sent:
                    self.first.setdefault((topic, found[0]), []).append(found[1])
                elif dup == "0":
                    self.anew.append((int(qos), int(connection)))
                self.sent.add(found)
            elif side == "s" and what in ("PUBACK", "PUBCOMP"):
                self.acknowledged.add(of.get(rest[0]))
            elif what == "CONNACK":
                self.session_present.append(rest[0] == "1")

    def n_anew(self, qos, last_connection=float("inf")):
        """How many were begun anew at that QoS, in the connections up to that one."""
        return sum(q == qos and connection <= last_connection for q, connection in self.anew)


def complete(ids):
    """All readings up to the last one that anybody has seen of each process."""
    last = {}
    for boot, number in ids:
        last[boot] = max(number, last.get(boot, 0))
    return {(boot, n) for boot in last for n in range(1, last[boot] + 1)}
