"""A cluster of three RabbitMQ nodes with quorum queues: 1,000 readings a second at QoS 1, nodes killed in turn, the one
of the gateway and the one of the subscriber among them, and in a long run (BUSFERRY_CLUSTER_ROUNDS=10) two at once.  Nothing
is lost from the sensor to the subscriber.

What comes twice is allowed: a broker that dies does not tell what it had acknowledged, and a quorum queue hands out
again what a dead node had handed out.  How much the gateway itself begins anew is bounded by scenario/outages.
"""

import os
import sys
import time
import unittest

from harness import Scenario, free_port, wait_until
from rabbit_cluster import N_NODES, START_S, RabbitCluster
from rabbit_node import missing
from witness import Witness, reading_id

ROUNDS = int(os.environ.get("BUSFERRY_CLUSTER_ROUNDS", "1"))

MAP = """
site: "s"
broker: {{ url: [{urls}]  keepalive: "5s" }}
gateway: {{ id: "g"  ids: true }}
every: "100ms"
buffer: {{ path: "{path}"  sync: "1s"  max_size: "64MB" }}
buses: {{ tcp: {{ tcp: "127.0.0.1:{tcp}" }} }}
topics: {{ all: {{ match: "s/#"  qos: 1  retain: false }} }}
floors: {{ f: {{
{devices}
}} }}
"""


class Cluster(Scenario):
    def stage(self):
        self.cluster = RabbitCluster(self)
        urls = ", ".join('"mqtt://127.0.0.1:%d"' % port for port in self.cluster.ports)

        def of(devices):
            return MAP.format(urls=urls, path=self.path("buffer.db"), tcp=self.tcp, devices=devices)
        self.tcp = free_port()
        self.conf = self.write("map.conf", of("\n".join("  d%d: { address: %d  metrics: { %s } }" % (
            d, d, " ".join("m%d: { input: %d }" % (m, m) for m in range(10))) for d in range(1, 11))))
        self.simulate(self.conf)
        # The gateway begins at the first node, the witness at the second.
        ports = self.cluster.ports
        self.witness = Witness(self, ports[1:] + ports[:1], "s/f/#", qos=1)
        self.run_one = self.gateway(self.conf)
        self.live()

    def live(self):
        self.witness.live(self.run_one)

    def heal(self, *nodes):
        """Starts killed nodes, and waits until they have their part of the session's queue again: before that no
        other may be killed."""
        for node in nodes:
            node.start()
        for node in nodes:
            wait_until(node.ready, node.name + " listens again", START_S)

        def whole():
            try:
                rows = [row.split("\t") for row in nodes[0].control("list_queues", "name", "online").splitlines()]
            except AssertionError:  # not yet
                return False
            return any(len(row) == 2 and row[0].startswith("mqtt-subscription-witness") and
                       row[1].count("@") == N_NODES for row in rows)
        wait_until(whole, "the queue on three nodes", START_S)

    def settle(self):
        """The gateway ends in order, and the rest comes, from its buffer if any waits there."""
        self.assertEqual(self.run_one.stop(), 0, self.run_one.text())
        last = -1
        while last != len(self.witness.seen):
            last = len(self.witness.seen)
            time.sleep(1)

    def audit(self, n_kills):
        seen = [found for found in (reading_id(m[1]) for m in self.witness.seen) if found]
        boot = seen[0][0]
        self.assertEqual({b for b, _ in seen}, {boot}, "one gateway, started once")
        numbers = {number for _, number in seen}
        lost = set(range(1, max(numbers) + 1)) - numbers
        print("%s: %d nodes killed, %d readings, %d lost, %d came twice; the witness connected %d times, its session was "
              "lost %d times" % (self.id().rsplit(".", 1)[1], n_kills, len(numbers), len(lost), len(seen) - len(numbers),
                                 self.witness.n_connects, self.witness.n_sessions_lost), file=sys.stderr)
        self.assertEqual(sorted(lost)[:20], [], self.run_one.text())
        self.assertEqual(self.witness.n_sessions_lost, 0)
        self.assertGreater(self.witness.n_connects, 1, "the witness's own node was never killed")

    def test_nodes_killed_in_turn(self):
        self.stage()
        for _ in range(ROUNDS):
            for node in self.cluster.nodes:
                node.kill()
                self.live()
                self.heal(node)
        if ROUNDS > 1:  # the cluster takes a minute and more to come back from that
            self.kill_two()
        self.settle()
        self.audit(ROUNDS * N_NODES + (2 if ROUNDS > 1 else 0))

    def kill_two(self):
        """Without a majority nothing is acknowledged, and so nothing may leave the gateway."""
        pair = self.cluster.nodes[:2]
        for node in pair:
            node.kill()
        time.sleep(3)
        self.heal(*pair)
        self.live()


if __name__ == "__main__":
    reason = missing()
    if reason:
        print("SKIPPED: " + reason)
        sys.exit(77)
    unittest.main()
