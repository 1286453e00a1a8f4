"""`busferry listen`: what comes is shown, understood by the profile it belongs to, and recorded so that it can be heard again.

The sensors are ptys on which a test says what they say.
"""

import json
import os
import pty
import re
import select
import signal
import subprocess
import threading
import tty
import unittest

from harness import BUSFERRY, PATIENCE, Scenario, wait_until

SDS011 = bytes.fromhex("aac0d4043a0aa1601dab")  # 123.6 and 261.8 µg/m³
ASK = bytes.fromhex("ff0186000000000079")
MHZ19B = bytes.fromhex("ff86026047000000d1")  # 608 ppm
LINES = b"T=21.5 H=45\r\n"


class Sensor:
    """The other end of a port: says something again and again, or when it is asked, and keeps what it was told."""

    def __init__(self, says=b"", asked_with=b"", every=0.1):
        self.says, self.asked_with, self.every = says, asked_with, every
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.port = os.ttyname(self.slave)
        self.told = b""
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        n_answered = 0
        while not self.over.is_set():
            if select.select([self.master], [], [], self.every)[0]:
                self.told += os.read(self.master, 4096)
            if not self.asked_with:
                os.write(self.master, self.says)
            elif self.told.count(self.asked_with) > n_answered:
                n_answered += 1
                os.write(self.master, self.says)

    def close(self):
        if not self.over.is_set():
            self.over.set()
            self.thread.join()
            os.close(self.slave)
            os.close(self.master)


class Listen(Scenario):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("profiles/recordings"))
        self.env = dict(os.environ, BUSFERRY_PROFILES=self.path("profiles"), NO_COLOR="")

    def sensor(self, *arguments, **named):
        sensor = Sensor(*arguments, **named)
        self.addCleanup(sensor.close)
        return sensor

    def listen(self, *arguments):
        return self.command("listen", *arguments, env=self.env)

    def events(self, done):
        return [json.loads(line) for line in done.stdout.splitlines()]

    def new(self, name, transport, changes=()):
        """The profile that `new` begins, changed."""
        done = self.command("profiles", "new", name, "--transport", transport, env=self.env)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        text = done.stdout
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        return self.write("profiles/%s.conf" % name, text)

    def test_a_sensor_that_speaks_by_itself(self):
        sensor = self.sensor(b"\x00\x17" + SDS011)
        done = self.listen(sensor.port, "--seconds", "2", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        events = self.events(done)
        self.assertEqual(events[0]["event"], "open")
        self.assertEqual(events[0]["line"], "9600 8N1")
        self.assertGreater(events[0]["profiles"], 5)
        came = b"".join(bytes.fromhex(e["hex"]) for e in events if e["event"] == "bytes")
        self.assertIn(SDS011, came)
        reading = next(e for e in events if e["event"] == "reading" and e["profile"] == "sds011")
        self.assertEqual(reading["values"], {"pm25": 123.6, "pm10": 261.8})
        end = events[-1]
        self.assertEqual((end["event"], end["sent"], end["bytes"]), ("end", 0, len(came)))
        best = end["understood"][0]
        self.assertEqual((best["profile"], best["damaged"]), ("sds011", 0))
        self.assertEqual(best["values"]["pm25"], 123.6)
        self.assertGreaterEqual(best["coverage"], 70)
        self.assertEqual(sensor.told, b"")

    def test_what_people_see(self):
        self.new("lines", "text")
        sensor = self.sensor(LINES)
        done = self.listen(sensor.port, "--line", "9600 8N1", "--seconds", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^ +\d+\.\d{3} < 54 3D 32 31 2E 35 20 48 3D 34 35 0D 0A +\|T=21\.5 H=45\.\.\|$")
        self.assertRegex(done.stdout, r"(?m)^ += lines: temperature 21\.5 °C, humidity 45 %$")
        self.assertNotIn("\033", done.stdout)
        self.assertRegex(done.stderr, r"lines \(Acme T1 thermometer\): \d+ sound messages, 0 damaged")
        self.assertIn('port: "%s"  line: "9600 8N1"  profile: "lines"' % sensor.port, done.stderr)

    def test_a_terminal_has_colours(self):
        sensor = self.sensor(SDS011)
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        with subprocess.Popen([BUSFERRY, "listen", sensor.port, "--seconds", "1"], env=self.env, stdout=slave,
                              stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as child:
            os.close(slave)
            seen = b""
            try:
                while select.select([master], [], [], PATIENCE)[0]:
                    seen += os.read(master, 4096)
            except OSError:  # the other side has closed
                pass
            self.assertEqual(child.wait(PATIENCE), 0)
        self.assertIn(b"\033[32msds011:\033[0m", seen)

    def test_one_that_is_asked(self):
        sensor = self.sensor(MHZ19B, ASK)
        done = self.listen(sensor.port, "--profile", "mhz19b", "--seconds", "3", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        events = self.events(done)
        self.assertEqual([e["hex"] for e in events if e["event"] == "bytes"][:2],
                         [ASK.hex(" ").upper(), MHZ19B.hex(" ").upper()])
        self.assertEqual([e["sent"] for e in events if e["event"] == "bytes"][:2], [True, False])
        self.assertEqual(events[-1]["understood"][0]["values"], {"co2": 608, "temperature": 31})
        self.assertGreaterEqual(sensor.told.count(ASK), 2)  # again after two seconds

    def test_nothing_is_asked_unless_it_is_said(self):
        self.new("a-first", "frame", (
            ('frame: { start: "AA 55"  length: 7  check: { kind: "sum8"  from: 2 } }',
             'frame: { start: "FF 86"  length: 9  check: { kind: "neg8"  from: 1 } }'),
            ("metrics: {\n", 'messages: { read: { request: "%s" } }\nmetrics: {\n' % ASK.hex())))
        sensor = self.sensor(MHZ19B, ASK)
        done = self.listen(sensor.port, "--seconds", "2")
        self.assertEqual(done.returncode, 69, done.stderr)
        self.assertEqual(sensor.told, b"")
        self.assertIn("--ask", done.stderr)
        done = self.listen(sensor.port, "--ask", "--line", "9600 8N1", "--seconds", "6", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(sensor.told.startswith(ASK))
        asked = [e["profile"] for e in self.events(done) if e["event"] == "ask"]
        self.assertEqual(asked[0], "a-first")
        self.assertGreater(len(asked), 1)
        understood = {u["profile"]: u for u in self.events(done)[-1]["understood"]}
        self.assertIn("mhz19b", understood)  # it was asked as another, and understands the answer all the same

    def test_garbage(self):
        done = self.listen(self.sensor(bytes(range(128, 200))).port, "--line", "9600 8N1", "--seconds", "2")
        self.assertEqual(done.returncode, 69, done.stderr)
        self.assertIn("nothing was understood", done.stderr)
        self.assertRegex(done.stderr, r"hint: other line settings\? profiles have .*9600 8N1.*115200 8N1")
        done = self.listen(self.sensor(b"hello world, this is nothing that is known\r\n").port, "--seconds", "1")
        self.assertEqual(done.returncode, 69, done.stderr)
        self.assertIn("this is text", done.stderr)
        even = bytes(c | 128 if bin(c).count("1") % 2 else c for c in b"1-0:1.8.0*255(000123.4*kWh)\r\n")
        done = self.listen(self.sensor(even).port, "--line", "9600 8N1", "--seconds", "1")
        self.assertIn("7E1", done.stderr)

    def test_record_and_hear_again(self):
        sensor = self.sensor(SDS011)
        file = self.path("profiles/recordings/mine.rec")
        done = self.listen(sensor.port, "--seconds", "2", "--record", file)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(file, encoding="utf-8") as f:
            text = f.read()
        self.assertRegex(text, r"\A# busferry recording 1\n# line: 9600 8N1\n# port: /dev/pts/\d+\n# started: [-0-9T:]+Z\n")
        self.assertRegex(text, r"(?m)^\d+ < AA C0 D4 04 3A 0A A1 60 1D AB  # \S+$")
        again = self.listen(file, "--json")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(self.events(again)[-1]["understood"][0]["profile"], "sds011")
        # never overwritten
        self.assertEqual(self.listen(sensor.port, "--seconds", "1", "--record", file).returncode, 73)
        with open(file, encoding="utf-8") as f:
            self.assertEqual(f.read(), text)
        # and it is the input of a vector as it stands
        profile = self.new("mine", "frame", (
            ('start: "AA 55"  length: 7  check: { kind: "sum8"  from: 2 }',
             'start: "AA C0"  end: "AB"  length: 10  check: { kind: "sum8"  from: 2 }'),
            ('type: "s16be"  scale: 0.1  unit: "°C"', 'type: "u16le"  scale: 0.1  unit: "µg/m³"'),
            ('at: 4  type: "u16be"  scale: 0.1  unit: "%"  invalid: 0xFFFF', 'at: 4  type: "u16le"  scale: 0.1'),
            ('    input: [ "AA 55 00 D7 01 C2 9A" ]   #', '    recording: "mine.rec"   #'),
            ("temperature: 21.5  humidity: 45", "temperature: 123.6  humidity: 261.8")))
        done = self.command("profiles", "check", profile, env=self.env)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        shown = json.loads(self.command("profiles", "show", "mine", "--json", env=self.env).stdout)
        self.assertIn(SDS011.hex(), "".join(shown["vectors"][0]["input"]))

    def test_a_recording_of_one_that_is_asked(self):
        file = self.path("profiles/recordings/asked.rec")
        done = self.listen(self.sensor(MHZ19B, ASK).port, "--profile", "mhz19b", "--seconds", "3", "--record", file)
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = self.command("profiles", "show", "mhz19b", "--json", env=self.env).stdout
        with open(json.loads(shown)["file"], encoding="utf-8") as f:
            text = f.read().replace('"mhz19b"', '"mine"')
        text = re.sub(r"vectors: \{.*\Z", 'vectors: { v: { origin: "capture"  recording: "asked.rec"  '
                      "expect: { co2: 608  temperature: 31 } } }\n", text, flags=re.S)
        done = self.command("profiles", "check", self.write("profiles/mine.conf", text), env=self.env)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        shown = json.loads(self.command("profiles", "show", "mine", "--json", env=self.env).stdout)
        self.assertEqual(set(shown["vectors"][0]["input"]), {MHZ19B.hex()})

    def test_recordings_with_faults(self):
        vector = [('    text: [ "T=21.5 H=45\\r\\n" ]', '    recording: "x.rec"')]
        profile = self.new("x", "text", vector)
        done = self.command("profiles", "check", profile, env=self.env)
        self.assertEqual(done.returncode, 78)
        self.assertIn('the recording "x.rec" can\'t be read: No such file', done.stderr)
        file = self.write("profiles/recordings/x.rec", "# busferry recording 1\n0 < 54 3D 3\n")
        done = self.command("profiles", "check", profile, env=self.env)
        self.assertEqual(done.returncode, 78)
        self.assertIn(file + ":2:", done.stderr)
        self.assertEqual(self.listen(file).returncode, 65)
        profile = self.new("y", "text", [(vector[0][0], '    recording: "../y.rec"')])
        self.assertIn("is not the name of a file", self.command("profiles", "check", profile, env=self.env).stderr)

    def test_ends(self):
        self.assertEqual(self.listen("/dev/no-such-port", "--seconds", "1").returncode, 66)
        self.assertEqual(self.listen("/dev/null", "--seconds", "1").returncode, 69)
        sensor = self.sensor(SDS011)
        for wrong in ((), (sensor.port, "x"), (sensor.port, "--line", "fast"), ("tcp://host",),
                      (sensor.port, "--profile", "eastron-sdm120")):
            self.assertEqual(self.listen(*wrong).returncode, 64, wrong)
        unknown = self.listen(sensor.port, "--profile", "mhz19")
        self.assertEqual(unknown.returncode, 66)
        self.assertIn('did you mean "mhz19b"?', unknown.stderr)
        first = self.start([BUSFERRY, "listen", sensor.port], "first", self.env)
        wait_until(lambda: "sds011" in first.text(), "the first one listens")
        second = self.listen(sensor.port, "--seconds", "1")
        self.assertEqual(second.returncode, 75, second.stderr)
        self.assertIn("pid %d" % first.child.pid, second.stderr)
        self.assertEqual(first.stop(signal.SIGINT), 130)
        self.assertIn("sound message", first.text())
        gone = self.start([BUSFERRY, "listen", sensor.port], "gone", self.env)
        wait_until(lambda: "sds011" in gone.text(), "it listens")
        sensor.close()
        self.assertEqual(gone.wait(), 69)
        self.assertIn("is gone", gone.text())

    def test_new(self):
        for transport in ("modbus", "frame", "text"):
            file = self.new("own-" + transport, transport)
            done = self.command("profiles", "check", file, env=self.env)
            self.assertEqual((done.returncode, done.stderr), (0, ""), transport)
            self.assertIn("2 metrics, 1 vectors", done.stdout)
        self.assertIn("1-0:1.8.0", self.command("profiles", "new", "m", "--transport", "sml").stdout)
        for wrong in (("new",), ("new", "a/b"), ("new", "a", "b"), ("new", "a", "--transport", "framo"),
                      ("list", "--transport", "frame")):
            self.assertEqual(self.command("profiles", *wrong).returncode, 64, wrong)

    def test_show(self):
        shown = self.command("profiles", "show", "daly-bms", env=self.env).stdout
        for part in ('frame: { start: "A5 01"', "pack, asked with A5 40 90", 'at: 8  type: "u16be"', "bit 0"):
            self.assertIn(part, shown)
        told = json.loads(self.command("profiles", "show", "daly-bms", "--json", env=self.env).stdout)
        self.assertEqual([m["name"] for m in told["messages"] if m["asked"]], ["pack", "cells", "temperatures", "state"])
        self.assertEqual(told["metrics"][0]["keys"], {"at": 4, "type": "u16be"})


if __name__ == "__main__":
    unittest.main()
