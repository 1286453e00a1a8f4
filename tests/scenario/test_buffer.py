"""The buffer on disk: what waits survives a kill and a restart, in order; a healthy gateway writes nothing."""

import os
import signal
import unittest

from harness import Scenario, free_port, wait_until

MAP = """
site: "s"
broker: "mqtt://127.0.0.1:{broker}"
gateway: {{ id: "g"  ids: true }}
every: "50ms"
buffer: {{ path: "{path}"  sync: "{sync}"  max_size: "16MB" }}
floors: {{ f: {{ d: {{ tcp: "127.0.0.1:{tcp}"  metrics: {{ m: {{ input: 0 }} }} }} }} }}
"""


class Buffer(Scenario):
    def stage(self, sync):
        self.port = free_port()
        self.db = self.path("buffer.db")
        self.conf = self.write("map.conf", MAP.format(broker=self.port, tcp=free_port(), path=self.db, sync=sync))
        self.simulate(self.conf)

    def away(self):
        """A subscriber with a lasting session, and its broker gone: it misses nothing of what comes later."""
        broker = self.broker(self.port)
        sub = self.subscriber(self.port, "s/f/d/m", ("-c", "-i", "audit"))
        broker.stop()
        return sub

    def by_boot(self, sub):
        """The numbers of the readings of each process, in the order in which they first came."""
        boots = {}
        for reading in sub.published("s/f/d/m"):
            boot, number = reading["id"].split("-")
            boots.setdefault(boot, {})[int(number)] = None
        return {boot: list(numbers) for boot, numbers in boots.items()}

    def test_a_restart_without_a_broker_loses_nothing(self):
        self.stage("1s")
        sub = self.away()
        gateway = self.gateway(self.conf)
        self.wait_for_rows(self.conf, 20)
        self.assertEqual(gateway.stop(), 0)
        second = self.gateway(self.conf)
        self.broker(self.port)
        wait_until(lambda: len(self.by_boot(sub)) == 2, "readings of both processes")
        wait_until(lambda: any("replayed" not in r for r in sub.published("s/f/d/m")), "present ones")
        self.assertEqual(second.stop(), 0)
        first, _ = self.by_boot(sub).values()
        self.assertEqual(first, list(range(1, 1 + len(first))), "from the first on, in order, without a gap")
        self.assertTrue(sub.published("s/f/d/m")[0].get("replayed"))

    def test_a_kill_loses_nothing_that_was_to_be_on_disk(self):
        self.stage("0s")
        sub = self.away()
        gateway = self.gateway(self.conf)
        self.wait_for_rows(self.conf, 40)
        gateway.stop(signal.SIGKILL)
        second = self.gateway(self.conf)
        self.broker(self.port)
        wait_until(lambda: len(self.by_boot(sub)) == 2, "readings of both processes")
        self.assertEqual(second.stop(), 0)
        first, _ = self.by_boot(sub).values()
        self.assertEqual(first, list(range(1, 1 + len(first))), "from the first on, in order, without a gap")

    def test_only_one_gateway_has_the_file(self):
        self.stage("1s")
        gateway = self.gateway(self.conf)
        wait_until(lambda: "runs" in gateway.text(), "it runs")
        self.assertEqual(self.command("run", "-c", self.conf).returncode, 75)
        self.assertEqual(gateway.stop(), 0)

    def test_a_path_that_cannot_be_used(self):
        self.stage("1s")
        text = MAP.format(broker=self.port, tcp=free_port(), path="/no/such/folder/x.db", sync="1s")
        self.assertEqual(self.command("run", "-c", self.write("bad.conf", text)).returncode, 73)

    def test_a_foreign_file_is_set_aside(self):
        self.stage("1s")
        self.write("buffer.db", "this is not a database\n" * 500)
        gateway = self.gateway(self.conf)
        wait_until(lambda: "could not be used and is now" in gateway.text(), "it says so")
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(len([n for n in os.listdir(self.dir) if ".bad-" in n and not n.endswith("-wal")]), 1)

    def test_a_healthy_gateway_writes_nothing(self):
        self.stage("3s")  # a busy machine's broker may take a second to acknowledge
        broker = self.broker(self.port)
        sub = self.subscriber(broker.port, "s/f/d/m")
        gateway = self.gateway(self.conf)
        sub.wait_for("s/f/d/m", 5)
        sub.wait_for("s/f/d/m", 130)
        self.assertEqual(self.buffer_status(self.conf)["rows_written"], 0)
        self.assertEqual(gateway.stop(), 0)


if __name__ == "__main__":
    unittest.main()
