"""Outages of the whole program: 1,000 readings a second at QoS 1 and 2 through brokers that stop, die and freeze,
networks that swallow, cut and dribble, and gateways that are killed.  Nothing is lost; order holds; what comes twice is
bounded.

BUSFERRY_OUTAGES=20 is the long run: that many faults of each kind instead of 3, or 1 of the network.  Figures go to stderr.
"""

import os
import random
import signal
import sys
import time
import unittest

from audit import Audited
from harness import free_port, wait_until
from proxy import Proxy
from witness import Witness

N = int(os.environ.get("BUSFERRY_OUTAGES", "3"))

MAP = """
site: "s"
broker: {{ url: "mqtt://127.0.0.1:{broker}"  keepalive: "5s" }}
gateway: {{ id: "g"  ids: true }}
every: "100ms"
buffer: {{ path: "{path}"  sync: "{sync}"  max_size: "64MB" }}
buses: {{ tcp: {{ tcp: "127.0.0.1:{tcp}" }} }}
topics: {{
  once: {{ metric: "once*"  qos: 2  retain: false }}
  many: {{ metric: "many*"  qos: 1  retain: false }}
}}
floors: {{ f: {{
{devices}
}} }}
"""


def devices(n):
    """n devices of ten metrics: half of them at QoS 1, half at QoS 2."""
    return "\n".join("  d%d: { address: %d  metrics: { %s } }" % (
        d, d, " ".join("%s%d: { input: %d }" % ("once" if m % 2 else "many", m, m) for m in range(10)))
        for d in range(1, n + 1))


class Outages(Audited):
    def stage(self, sync="1s", saves="autosave_on_changes true"):
        self.saves, self.kills = saves, []
        self.port, self.outer = free_port(), free_port()
        self.mosquitto = self.broker(self.port, saves=saves)
        self.network = Proxy(self, self.outer, self.port)
        self.conf = self.write("map.conf", MAP.format(broker=self.outer, path=self.path("buffer.db"), tcp=free_port(),
                                                      sync=sync, devices=devices(10)))
        self.empty = self.write("empty.conf", MAP.format(broker=self.outer, path=self.path("buffer.db"), tcp=1,
                                                         sync=sync, devices=""))
        self.simulate(self.conf)
        self.witness = Witness(self, self.port, "s/f/#")
        self.run_one = self.gateway(self.conf)
        self.live()

    # Brokers

    def test_a_broker_that_is_restarted(self):
        self.stage(saves="")
        for _ in range(N):
            self.mosquitto.stop()
            time.sleep(random.uniform(0, 1.5))
            self.back()
            self.live()
        self.settle()
        self.audit(N, restarts=True)

    def test_a_broker_that_is_killed(self):
        self.stage(saves="")
        for _ in range(N):
            self.mosquitto.stop(signal.SIGKILL)
            time.sleep(random.uniform(0, 1.5))
            self.back()
            self.live()
        self.settle()
        self.audit(N, restarts=True, forgets=True)

    def test_a_broker_that_is_frozen(self):
        self.stage(saves="")
        for _ in range(N):
            self.mosquitto.send(signal.SIGSTOP)
            time.sleep(random.uniform(0.5, 2))
            self.mosquitto.send(signal.SIGCONT)
            self.live()
        self.settle()
        self.audit(N)

    # Networks

    def test_a_network_that_swallows_cuts_and_dribbles(self):
        self.stage(saves="")
        n = N if N > 3 else 1
        for _ in range(n):
            for fault in ("hold", "cut c", "cut s", "dribble"):
                self.network.order(fault)
                time.sleep(random.uniform(0.2, 1))
                self.network.order("flow")
                self.live()
        self.settle()
        self.audit(4 * n)

    # Gateways

    def kill_gateways(self, sync):
        """In turn with its broker there, away, and just back."""
        self.stage(sync=sync, saves="")
        for i in range(N):
            if i % 3:
                self.mosquitto.stop()
                time.sleep(random.uniform(0.2, 1))
            else:
                time.sleep(random.uniform(0, 0.5))
            if i % 3 == 2:
                self.back()
                wait_until(lambda: " is back after " in self.run_one.text(), "the connection")
                time.sleep(random.uniform(0, 0.05))
            self.kill()
            if i % 3 == 1:
                self.back()
            self.run_one = self.gateway(self.conf)
            self.live()
        self.settle()
        self.audit(N, restarts=N > 1, ends=True, young=sync != "0s")

    def test_a_gateway_that_is_killed(self):
        self.kill_gateways("0s")

    def test_a_gateway_that_is_killed_between_its_syncs(self):
        self.kill_gateways("1s")

    # SIGTERM in every state

    def test_sigterm_in_every_state(self):
        def flowing(on):
            pass

        def frozen(on):
            self.mosquitto.send(signal.SIGSTOP if on else signal.SIGCONT)

        def gone(on):
            if on:
                self.mosquitto.stop()
                time.sleep(1)
            else:
                self.back()

        def black_hole(on):
            self.network.order("hold" if on else "flow")

        def black_hole_from_the_start(on):
            black_hole(on)
            if on:
                self.run_one.stop(signal.SIGKILL)
                self.run_one = self.gateway(self.conf)
                wait_until(lambda: " runs: " in self.run_one.text(), "it runs")

        def draining(on):
            if on:
                gone(True)
                gone(False)
                wait_until(lambda: " is back after " in self.run_one.text(), "the connection")

        self.stage(sync="0s", saves="")
        states = (flowing, frozen, gone, black_hole, black_hole_from_the_start, draining)
        for state in states:
            with self.subTest(state.__name__):
                self.live()
                state(True)
                time.sleep(0.5)
                took = self.stop_in_time(self.run_one)
                print("SIGTERM, %s: %.2f s" % (state.__name__, took), file=sys.stderr)
                state(False)
                self.run_one = self.gateway(self.conf)
        self.settle()
        self.audit(len(states), restarts=True, ends=True)


if __name__ == "__main__":
    unittest.main()
