"""Looking at the buffer and dropping from it: while the gateway runs, and from the file when it does not."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import unittest

from harness import BUSFERRY, SANITIZE, Scenario, free_port, wait_until

MAP = """
site: "s"
broker: "mqtt://127.0.0.1:{broker}"
gateway: {{ id: "g"  ids: true }}
every: "50ms"
buffer: {{ path: "{path}"  sync: "{sync}"  max_size: "16MB" }}
floors: {{ f: {{ d: {{ tcp: "127.0.0.1:{tcp}"  metrics: {{ m: {{ input: 0 }}  n: {{ input: 1 }} }} }} }} }}
"""


class Control(Scenario):
    def stage(self, path=None, sync="200ms"):
        self.port = free_port()
        self.db = path or self.path("buffer.db")
        self.conf = self.write("map.conf", MAP.format(broker=self.port, tcp=free_port(), path=self.db, sync=sync))
        self.simulate(self.conf)

    def buffer(self, *args, code=0, conf=None):
        done = self.command("buffer", args[0], "-c", conf or self.conf, *args[1:])
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def status(self, conf=None):
        return json.loads(self.buffer("status", "--json", conf=conf).stdout)

    def export(self, *args):
        return [json.loads(line) for line in self.buffer("export", *args).stdout.splitlines()]

    def sockets(self):
        return [self.path(n) for n in os.listdir(self.dir) if n.endswith(".sock")]

    def waiting(self, n):
        wait_until(lambda: self.sockets() and self.status()["waiting"] >= n, "%d messages wait" % n)

    def kill(self, gateway):
        """Once what it has read so far is on disk."""
        self.wait_for_rows(self.conf, self.status()["waiting"])
        gateway.stop(signal.SIGKILL)

    def content(self):
        """Of the file and its log: a hash each."""
        found = []
        for name in (self.db, self.db + "-wal"):
            with open(name, "rb") as f:
                found.append(hashlib.sha256(f.read()).hexdigest())
        return found

    def in_order(self, messages):
        """Readings of one topic without a gap, by the numbers that they have."""
        numbers = [int(json.loads(m["payload"])["id"].split("-")[1]) for m in messages]
        self.assertEqual(numbers, sorted(numbers))
        return numbers

    def test_while_it_runs(self):
        self.stage()
        gateway = self.gateway(self.conf)
        self.waiting(40)
        status = self.status()
        self.assertTrue(status["running"] and status["durable"])
        self.assertEqual(status["file"], self.db)
        self.assertEqual(status["limits"]["max_size"], 16000000)
        self.assertGreater(status["oldest"], 1700000000000)
        human = self.buffer("status").stdout
        self.assertRegex(human, r"(?m)^gateway +runs$")
        self.assertRegex(human, r"(?m)^waiting +\d+ messages$")

        messages = self.export()
        self.assertGreaterEqual(len(messages), status["waiting"])
        self.assertEqual(sorted(messages[0]), ["payload", "qos", "retain", "time", "topic"])
        self.assertEqual(messages[0]["time"], json.loads(messages[0]["payload"])["time"])
        numbers = self.in_order(self.export("--topic", "s/f/+/m"))
        self.in_order([m for m in messages if m["topic"] == "s/f/d/n"])
        self.assertGreaterEqual(self.status()["waiting"], len(messages), "an export takes nothing away")

        refused = self.buffer("drop", "--topic", "s/f/d/n", code=64)
        self.assertRegex(refused.stderr, r"would drop \d+ messages of the topic s/f/d/n; say --yes")
        self.assertEqual(self.status()["dropped"]["command"], 0)
        dropped = json.loads(self.buffer("drop", "--topic", "s/f/d/n", "--yes", "--json").stdout)
        self.assertGreaterEqual(dropped["dropped"], 20)
        self.assertEqual(dropped["in_flight"], 0)
        self.assertEqual(self.status()["dropped"]["command"], dropped["dropped"])
        kept = self.in_order(self.export("--topic", "s/f/d/m"))
        self.assertEqual(kept[:len(numbers)], numbers, "the others are all there")
        left = self.in_order(self.export("--topic", "s/f/d/n"))
        self.assertTrue(not left or left[0] > numbers[-1] // 2, "only newer ones")
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(self.sockets(), [])

    def test_what_was_not_dropped_arrives(self):
        self.stage()
        broker = self.broker(self.port)
        sub = self.subscriber(self.port, "s/f/d/+", ("-c", "-i", "audit"))
        broker.stop()
        gateway = self.gateway(self.conf)
        self.waiting(40)
        self.assertRegex(self.buffer("drop", "--topic", "s/f/d/n", "--yes").stdout, r"^\d+ messages dropped\n$")
        first = int(self.status()["dropped"]["command"])
        self.broker(self.port)
        sub.wait_for("s/f/d/m", 40)
        numbers = [int(r["id"].split("-")[1]) for r in sub.published("s/f/d/m")]
        self.assertEqual(numbers[0], min(numbers))
        self.assertIn(numbers[0], (1, 2))
        self.assertGreaterEqual(first, 1)
        others = [int(r["id"].split("-")[1]) for r in sub.published("s/f/d/n")]
        self.assertTrue(all(n > 2 for n in others), "the first ones were dropped")
        self.assertEqual(gateway.stop(), 0)

    def test_from_the_file(self):
        self.stage()
        gateway = self.gateway(self.conf)
        self.waiting(40)
        self.kill(gateway)
        before = self.status()
        self.assertFalse(before["running"])
        self.assertIsNone(before["rows_written"])
        self.assertIsNone(before["dropped"])
        content = self.content()
        messages = self.export()
        self.assertEqual(len(messages), before["waiting"])
        self.assertGreaterEqual(len(messages), 40)
        self.in_order([m for m in messages if m["topic"] == "s/f/d/m"])
        self.assertEqual(before["oldest"], min(m["time"] for m in messages))
        self.assertRegex(self.buffer("status").stdout, "does not run")
        self.buffer("drop", code=64)
        self.assertEqual(self.content(), content, "looking writes nothing")
        n = len([m for m in messages if m["topic"] == "s/f/d/n"])
        self.assertEqual(json.loads(self.buffer("drop", "-t", "+/+/+/n", "--yes", "--json").stdout),
                         {"dropped": n, "in_flight": 0})
        self.assertEqual(self.export(), [m for m in messages if m["topic"] == "s/f/d/m"])
        # A gateway resumes it, and is found although the dead one's socket lies there.
        second = self.gateway(self.conf)
        wait_until(lambda: self.status()["running"], "the second one")
        self.assertEqual(len(self.sockets()), 1)
        self.assertGreater(self.status()["disk_bytes"], 0)
        left = self.export("--topic", "s/f/d/m")
        self.assertEqual(left[:len(messages) - n], [m for m in messages if m["topic"] == "s/f/d/m"])
        self.assertEqual(second.stop(), 0)

    def test_nothing_there(self):
        self.stage()
        self.assertIn("no buffer file", self.buffer("status", code=66).stderr)
        self.write("buffer.db", "this is not a database\n" * 500)
        self.assertIn("damaged", self.buffer("export", code=65).stderr)
        with open(self.db, encoding="utf-8") as f:
            self.assertEqual(f.read(), "this is not a database\n" * 500)
        none = self.write("none.conf", MAP.format(broker=self.port, tcp=free_port(), path=":none:", sync="1s"))
        self.assertIn(":none:", self.buffer("status", conf=none, code=69).stderr)
        self.buffer("status", conf=self.path("absent.conf"), code=66)
        self.buffer("status", conf=self.write("bad.conf", "site: \n"), code=78)
        for wrong in (["buffer"], ["buffer", "look"], ["buffer", "export", "-t", "a/#/b"],
                      ["buffer", "status", "-t", "a"], ["buffer", "status", "export"]):
            self.assertEqual(self.command(*wrong).returncode, 64, wrong)
        self.assertIn("export", self.command("buffer", "--help").stdout)

    def test_a_gateway_that_cannot_be_asked(self):
        self.stage()
        gateway = self.gateway(self.conf)
        self.waiting(4)
        os.unlink(self.sockets()[0])
        self.assertIn("a gateway has it", self.buffer("status", code=75).stderr)
        self.assertEqual(gateway.stop(), 0)

    def test_in_memory(self):
        self.stage(path=":none:")
        gateway = self.gateway(self.conf)
        self.waiting(10)
        self.assertIsNone(self.status()["file"])
        self.assertFalse(self.status()["durable"])
        self.in_order(self.export("--topic", "s/f/d/m"))
        self.buffer("drop", "--yes")
        self.assertGreaterEqual(self.status()["dropped"]["command"], 10)
        self.assertEqual(gateway.stop(), 0)

    def test_two_with_one_id(self):
        self.stage()
        other = self.write("other.conf", MAP.format(broker=self.port, tcp=free_port(), path=self.path("2.db"),
                                                    sync="1s"))
        gateways = [self.gateway(self.conf), self.gateway(other)]
        wait_until(lambda: len(self.sockets()) == 2, "two sockets")
        self.assertEqual(self.status()["file"], self.db)
        self.assertEqual(self.status(conf=other)["file"], self.path("2.db"))
        os.symlink(other, self.path("link.conf"))
        self.assertEqual(self.status(conf=self.path("link.conf"))["file"], self.path("2.db"))
        for gateway in gateways:
            self.assertEqual(gateway.stop(), 0)

    def test_no_folder_is_no_reason_not_to_run(self):
        self.stage(path=":none:")
        self.assertLess(len(self.dir), 60)
        first = self.gateway(self.conf)
        wait_until(self.sockets, "its socket")
        second = self.gateway(self.conf)  # the same map again, which a gateway without a file allows
        wait_until(lambda: "no control socket" in second.text(), "a warning")
        wait_until(lambda: "runs" in second.text(), "it runs")
        self.assertEqual(second.stop(), 0)
        self.assertTrue(self.status()["running"], "the first one keeps its own")
        self.assertEqual(first.stop(), 0)

    def test_no_socket_where_nothing_is_kept(self):
        self.stage()
        process = self.gateway(self.conf, "--stdout")
        wait_until(lambda: "s/f/d/m " in process.text(), "readings")
        self.assertEqual(self.sockets(), [])
        self.assertEqual(process.stop(), 0)

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.connect(self.sockets()[0])
        s.settimeout(30)
        return s

    def test_clients_that_do_not_read_and_such(self):
        """They hold up neither the gateway nor others."""
        self.stage()
        broker = self.broker(self.port)
        sub = self.subscriber(self.port, "s/f/d/m")
        broker.stop()
        gateway = self.gateway(self.conf)
        self.waiting(100)
        slow = [self.connect() for _ in range(4)]
        for s in slow:
            s.sendall(b"buffer export\n" * 250)
        for hostile in (b"\0" * 100, b"\xff\xfe\n" * 50, b"x" * 100000, b"buffer " * 700 + b"\n", b"\n" * 1000,
                        b"buffer export \"\n", b"buffer drop a/#/b\n"):
            s = self.connect()
            try:
                s.sendall(hostile)
            except (BrokenPipeError, ConnectionResetError):
                pass
            s.close()
        self.assertGreaterEqual(len(self.export()), 100)
        self.assertEqual(self.status()["dropped"]["command"], 0)
        self.broker(self.port)
        sub_again = self.subscriber(self.port, "s/f/d/m")
        sub_again.wait_for("s/f/d/m", 40)
        wait_until(lambda: self.status()["waiting"] < 20, "all of it is published")
        # Who reads on gets whole lines to the last.
        slow[0].shutdown(socket.SHUT_WR)
        got = b""
        while chunk := slow[0].recv(65536):
            got += chunk
        lines = got.split(b"\n")
        self.assertEqual(lines.pop(), b"")
        self.assertEqual(sum(line == b'{"ok":true}' for line in lines), 250)
        for line in lines:
            json.loads(line)
        self.assertEqual(gateway.stop(), 0)
        sub.stop()

    @unittest.skipIf(SANITIZE, "how much memory is taken is no question to a sanitized program")
    def test_a_backlog_is_exported_without_holding_it(self):
        self.stage(sync="0s")
        gateway = self.gateway(self.conf)
        self.waiting(200)
        reader = subprocess.Popen([BUSFERRY, "buffer", "export", "-c", self.conf], stdout=subprocess.PIPE,
                                  env=dict(os.environ, RUNTIME_DIRECTORY=self.dir))
        lines = reader.stdout.read().decode().splitlines()
        reader.stdout.close()
        self.assertEqual(reader.wait(60), 0)
        self.assertGreaterEqual(len(lines), 200)
        self.assertEqual(gateway.stop(), 0)


if __name__ == "__main__":
    unittest.main()
