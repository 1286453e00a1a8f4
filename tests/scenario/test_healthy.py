"""A healthy gateway lets the disk rest: 100 readings a second to a broker that takes them, and not a byte is written.

BUSFERRY_HEALTHY_S=600 is the long run, with the default `sync`; the short one has a long `sync`, since a machine that
is busy with other tests may well hold up an acknowledgement for half a second.
"""

import json
import os
import sys
import time
import unittest

from harness import Scenario, free_port, log_of, wait_until
from witness import Witness

SECONDS = int(os.environ.get("BUSFERRY_HEALTHY_S", "0"))

MAP = """
site: "s"
broker: "mqtt://127.0.0.1:{broker}"
gateway: {{ id: "g"  ids: true }}
every: "100ms"
buffer: {{ path: "{path}"  sync: "{sync}" }}
topics: {{ all: {{ retain: false  match: "s/f/#" }} }}
floors: {{ f: {{ d: {{ tcp: "127.0.0.1:{tcp}"  metrics: {{ {metrics} }} }} }} }}
"""


class Healthy(Scenario):
    def written(self, gateway):
        """Bytes that the process has caused to be written to disks, and the journal's log."""
        with open("/proc/%d/io" % gateway.child.pid, encoding="ascii") as f:
            io = dict(line.strip().split(": ") for line in f)
        return int(io["write_bytes"]), log_of(self.path("buffer.db"))

    def test_nothing_is_written(self):
        broker = self.broker(saves="autosave_on_changes false")
        conf = self.write("map.conf", MAP.format(
            broker=broker.port, tcp=free_port(), path=self.path("buffer.db"), sync="1s" if SECONDS else "20s",
            metrics=" ".join("m%d: { input: %d }" % (m, m) for m in range(10))))
        self.simulate(conf)
        witness = Witness(self, broker.port, "s/#")
        gateway = self.gateway(conf)
        wait_until(lambda: len(witness.seen) > 100, "readings")
        before, told, n = self.written(gateway), gateway.text(), len(witness.seen)
        if SECONDS:
            time.sleep(SECONDS)
        else:
            wait_until(lambda: len(witness.seen) > n + 500, "500 readings")
        after, n = self.written(gateway), len(witness.seen) - n
        stats = [json.loads(m[1])["buffer"] for m in witness.seen if m[0] == "s/gateway/g/stats"]
        print("healthy: %d readings, %d bytes written by the process, %d by the journal; last stats: %s" % (
            n, after[0] - before[0], len(after[1]) - len(before[1]), stats[-1:]), file=sys.stderr)
        self.assertTrue(after[1] == before[1], "the journal was written")
        if gateway.text() == told:  # its lines go to a file of the test
            self.assertEqual(after[0], before[0])
        else:
            print("healthy: it had something to say:\n" + gateway.text()[len(told):], file=sys.stderr)
        for buffer in stats:
            self.assertEqual((buffer["rows_written"], buffer["commits"]), (0, 0))
        self.assertEqual(gateway.stop(), 0)


if __name__ == "__main__":
    unittest.main()
