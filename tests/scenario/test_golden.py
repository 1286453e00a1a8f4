"""What the commands print, as files: in a pipe, in a terminal of 80 by 24, there with NO_COLOR, and as JSON.

Each case is a file of tests/golden.  What differs from run to run (times, versions, paths, ports, counters) is replaced by
a placeholder.  BUSFERRY_BLESS=1 in the environment writes the files anew: look at what has changed before you keep it.
"""

import json
import os
import re
import signal
import subprocess
import unittest

from harness import BUSFERRY, FAKE, HERE, Scenario, free_port, wait_until
from terminal import Terminal

GOLDEN = os.path.join(HERE, "..", "golden")
BLESS = os.environ.get("BUSFERRY_BLESS")
PROFILES = os.path.join(HERE, "..", "..", "config", "profiles")

MAP = """\
site: "home"
broker: "mqtt://127.0.0.1:{broker}"
gateway: {{ id: "pi" }}
every: "1h"
buffer: {{ path: "{path}"  sync: "0s" }}
buses: {{ net: {{ tcp: "127.0.0.1:{tcp}"  timeout: "300ms" }} }}
floors: {{
  cellar: {{
    heatpump: {{
      address: 1
      metrics: {{
        flow: {{ input: 100  scale: 0.1  unit: "°C"  deadband: 0.2 }}
        mode: {{ holding: 7  enum: ["40007=eco", "1=boost"] }}
        pump: {{ coil: 3 }}
        alarms: {{ holding: 8  every: "2h"  bits: {{ pressure: 3  fan: "0-2" }} }}
      }}
    }}
  }}
}}
"""
SETTABLE = """site: "home"
gateway: { id: "pi" }
broker: "mqtt://localhost:1"
buffer: { path: ":none:" }
control: { allow: true }
buses: { net: { tcp: "127.0.0.1:1502" } }
floors: { cellar: { heatpump: { address: 5  metrics: {
  setpoint: { holding: 300  type: "s16"  scale: 0.1  unit: "°C"  write: { min: 15.0  max: 28.0  step: 0.5 } }
  pump:     { coil: 3  write: { } }
  flow:     { input: 1 }
} } } }
"""
BROKEN = 'site: "home"\nbroker: { ulr: "mqtt://localhost" }\nevery: 10s\nfloors: { a: { b: { address: 300  metrics: { m: { input: "x" } } } } }\n'

# What differs from run to run in any text.
ANYWHERE = [
    (r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d( [+-]\d{4})?Z?", "DATE"),
    (r"(?m)^\d\d:\d\d:\d\d ", "TIME "),
    (r"\b1[78]\d{11}\b", "MILLISECONDS"),
    (r"(?<=127\.0\.0\.1:)\d+", "PORT"),
    (r"busferry \d+\.\d+\.\d+", "busferry VERSION"),
    (r'"version":"[^"]*"', '"version":"VERSION"'),
    (r"pid \d+", "pid PID"),
    (r"\b\d+(\.\d+)? (ms|us|s)\b", "LENGTH"),
]
# Counters and the like, in the texts of commands that have them.
NUMBERS = [(r"(?<![\w.:/-])\d+(\.\d+)?(?![\w.:/])", "N"), (r" +N\b", " N")]
# By their keys in JSON.
VOLATILE = {"sw_version", "time", "started", "oldest", "heard", "answered", "pid", "version", "uptime_s", "requests", "answers", "late", "merged",
            "jitter_us_median", "jitter_us_p99", "utilisation", "answer_ms_median", "answer_ms_p95", "answer_ms", "acknowledged",
            "disk_bytes", "memory_bytes", "rows_written", "commits", "bytes", "busy_us", "idle_us", "wire_us", "missed", "opened"}


class Golden(Scenario):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.env = dict(self.fake_machine(), RUNTIME_DIRECTORY=self.dir, BUSFERRY_PROFILES=PROFILES, LC_ALL="C.UTF-8", TZ="UTC",
                        HOME=self.dir)
        self.env.pop("NO_COLOR", None)
        self.cleaners = []

    def plain(self, text, rules=()):
        text = text.replace(os.path.realpath(self.dir), "DIR").replace(self.dir, "DIR").replace("\x1b", "\\e").replace("\r", "")
        for pattern, by in [*ANYWHERE, *rules]:
            text = re.sub(pattern, by, text)
        return re.sub(r"(?m)[ \t]+$", "", text)

    def volatile(self, value, key=None):
        if isinstance(value, dict):
            return {self.plain(k): self.volatile(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [self.volatile(v) for v in value[:{"probes": 1, "profiles": 0}.get(key)]]
        if (key in VOLATILE or (key in ("port", "profiles") and isinstance(value, int))) and value is not None and not isinstance(value, bool):
            return key.upper()
        return self.plain(value) if isinstance(value, str) else value

    def json_of(self, text):
        """Each line of a stream is an object."""
        return "\n".join(json.dumps(self.volatile(json.loads(line)), indent=1, ensure_ascii=False) for line in text.splitlines())

    def piped(self, argv, seconds=60, before=None):
        if before:
            before()
        return subprocess.run([BUSFERRY, *argv], capture_output=True, text=True, timeout=seconds, env=self.env, cwd=self.dir,
                              stdin=subprocess.DEVNULL, check=False)

    def in_terminal(self, argv, env, before=None):
        if before:
            before()
        terminal = Terminal([BUSFERRY, *argv], env=dict(self.env, **env), cwd=self.dir)
        try:
            code = terminal.wait(60)
            return code, terminal.text()
        finally:
            terminal.close()

    def golden(self, name, *argv, json_argv=(), rules=(), json_rules=(), terminal=True, before=None, only=None):
        """Runs the command in all ways and compares.  before: is done before each run; only: of each text, these lines."""
        def trimmed(text):
            text = self.plain(text, rules)
            if only:
                text = "".join(line + "\n" for line in text.splitlines() if re.search(only, line))
            return text.rstrip("\n") + "\n" if text.strip() else ""

        done = self.piped(argv, before=before)
        parts = ["$ busferry " + self.plain(" ".join(a if re.fullmatch(r"[\w./:=,-]+", a) else "'%s'" % a for a in argv), rules) + "\n",
                 "--- exit code %d\n" % done.returncode, "--- stdout\n", trimmed(done.stdout), "--- stderr\n",
                 trimmed(done.stderr)]
        self.assertNotIn("\x1b", done.stdout + done.stderr)
        if terminal:
            code, text = self.in_terminal(argv, {}, before)
            self.assertEqual(code, done.returncode)
            plain_code, plain = self.in_terminal(argv, {"NO_COLOR": "1"}, before)
            self.assertEqual(plain_code, done.returncode)
            self.assertNotRegex(plain, r"\x1b\[[0-9;]*m")
            parts += ["--- terminal\n", trimmed(text), "--- terminal, NO_COLOR\n",
                      "as above\n" if trimmed(text) == trimmed(plain) else trimmed(plain)]
        if json_argv:
            done = self.piped([*argv, *json_argv], before=before)
            text = self.json_of(done.stdout)
            for pattern, name_of in json_rules:
                text = re.sub(pattern, name_of, text)
            if only:
                text = "".join(line + "\n" for line in text.splitlines() if re.search(only, line))
            parts += ["--- %s\n" % " ".join(json_argv), text + "\n"]
        self.compare(name, "".join(parts))

    def compare(self, name, text):
        path = os.path.join(GOLDEN, name)
        if BLESS:
            os.makedirs(GOLDEN, exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            return
        self.assertTrue(os.path.exists(path), "%s is missing: BUSFERRY_BLESS=1 writes it" % path)
        with open(path, encoding="utf-8") as f:
            self.assertEqual(f.read(), text, "%s (BUSFERRY_BLESS=1 writes it anew)" % path)

    # The stage

    def map(self, path=":none:"):
        self.broker_port = free_port()
        server = self.start([os.path.join(FAKE, "modbus_server"), "--tcp", "0", "--seconds", "300"], "server")
        wait_until(lambda: "ready" in server.text(), "the server is ready")
        self.tcp = int(server.text().split()[1])
        self.conf = self.write("map.conf", MAP.format(broker=self.broker_port, tcp=self.tcp, path=path))

    def remove(self, *names):
        for name in names:
            if os.path.exists(self.path(name)):
                os.remove(self.path(name))

    # The cases

    def test_help(self):
        self.golden("help", "--help")
        self.golden("help-none")
        self.golden("help-unknown", "chekc")
        self.golden("help-version", "--version")
        for page in self.piped(["manual"]).stdout.split():
            command = re.fullmatch(r"busferry-(\w+)\.1", page)
            if command:
                self.golden("help-" + command[1], command[1], "--help", terminal=False)
                self.golden("usage-" + command[1], command[1], "--nonsense", terminal=False)

    def test_check(self):
        self.map()
        self.golden("check", "check", "-c", self.conf, json_argv=["--json"])
        self.golden("check-topics", "check", "-c", self.conf, "--topics", json_argv=["--json"])
        self.golden("check-explain", "check", "--explain", "every", json_argv=["--json"])
        self.golden("check-explain-unknown", "check", "--explain", "evry", json_argv=["--json"])
        settable = self.write("settable.conf", SETTABLE)
        self.golden("check-topics-set", "check", "-c", settable, "--topics", json_argv=["--json"])
        broken = self.write("broken.conf", BROKEN)
        self.golden("check-faults", "check", "-c", broken, json_argv=["--json"])
        self.golden("check-none", "check", "-c", self.path("none.conf"), json_argv=["--json"])

    def test_init(self):
        self.golden("init", "init", "-c", self.path("new.conf"), json_argv=["--json"], before=lambda: self.remove("new.conf"))
        with open(self.path("new.conf"), encoding="utf-8") as f:
            self.compare("init-map", self.plain(f.read()))
        self.golden("init-again", "init", "-c", self.path("new.conf"))

    def test_ports(self):
        self.golden("ports", "ports", json_argv=["--json"])

    def test_scan_and_read(self):
        self.map()
        host = "tcp://127.0.0.1:%d" % self.tcp
        # Which profiles may fit is not for here; nor the progress of the terminal.
        slow = [(r"\\e\[K(\[[#.]+\][^\n\\]*)?", ""), (r"(?m)^ *(# unit1:|may be|hardly).*\n", "")]
        self.golden("scan", "scan", host, "--addresses", "1-2", "--timeout", "300ms", json_argv=["--json"], rules=slow)
        self.golden("scan-nothing", "scan", "tcp://127.0.0.1:1", "--addresses", "1", terminal=False)
        self.golden("read", "read", host, "input:100", "-n", "3", json_argv=["--json"])
        self.golden("read-orders", "read", host, "holding:40001", "-t", "f32", "--orders", json_argv=["--json"])
        self.golden("write-asked", "write", host, "holding:100", "7", json_argv=["--json"])
        self.golden("write", "write", host, "holding:100", "7", "--yes", json_argv=["--json"],
                    before=lambda: self.piped(["write", host, "holding:100", "9", "--yes"]))
        self.golden("read-silent", "read", "tcp://127.0.0.1:1", "input:0", "--timeout", "100ms")

    def test_listen(self):
        recording = self.write("sensor.rec", "# busferry recording 1\n# line: 9600 8N1\n0 < AA C0 D4 04 3A 0A A1 60 1D AB\n"
                                             "1000 < AA C0 D5 04 3B 0A A1 60 1F AB\n")
        count = [(r"\d+ profiles on it", "N profiles on it")]
        self.golden("listen", "listen", recording, json_argv=["--json"], rules=count)
        self.golden("listen-profile", "listen", recording, "--profile", "sds011", json_argv=["--json"], rules=count)

    def test_simulate(self):
        self.map()
        self.golden("simulate", "simulate", "-c", self.conf, "--free-ports", "--seconds", "100ms", json_argv=["--json"])

    def test_profiles(self):
        profile = os.path.join(PROFILES, "xy-md02.conf")
        here = [(re.escape(os.path.realpath(PROFILES)), "PROFILES"), (re.escape(PROFILES), "PROFILES")]
        self.golden("profiles-list", "profiles", "list", only="xy-md02")
        self.golden("profiles-show", "profiles", "show", "xy-md02", json_argv=["--json"], rules=here, json_rules=here)
        self.golden("profiles-show-unknown", "profiles", "show", "xy-md03")
        self.golden("profiles-check", "profiles", "check", profile, json_argv=["--json"], rules=here, json_rules=here)
        self.golden("profiles-new", "profiles", "new", "acme-t1")

    def test_drivers(self):
        self.golden("drivers", "drivers", only=r"^\S")

    def test_run(self):
        self.map()
        self.golden("run-once", "run", "-c", self.conf, "--once", "--stdout")
        self.golden("run-none", "run", "-c", self.path("none.conf"), terminal=False)

    def test_buffer(self):
        self.map(self.path("buffer.db"))
        self.golden("buffer-none", "buffer", "status", "-c", self.conf, json_argv=["--json"])
        gateway = self.gateway(self.conf)
        wait_until(lambda: (self.buffer_status(self.conf) or {}).get("waiting", 0) >= 5, "all is read")
        size = [(r"\d+(\.\d+)? (B|kB|MB) of", "SIZE of")]
        self.golden("buffer-status", "buffer", "status", "-c", self.conf, json_argv=["--json"], rules=size)
        self.golden("buffer-export", "buffer", "export", "-c", self.conf, "--topic", "home/cellar/#")
        self.golden("buffer-drop-asked", "buffer", "drop", "-c", self.conf, "--topic", "home/cellar/heatpump/pump")
        self.golden("buffer-drop", "buffer", "drop", "-c", self.conf, "--topic", "home/cellar/nothing", "--yes", json_argv=["--json"])
        self.assertEqual(gateway.stop(), 0)
        self.golden("buffer-file", "buffer", "status", "-c", self.conf, json_argv=["--json"], rules=size)

    def test_status(self):
        self.map()
        self.golden("status-none", "status", "-c", self.conf, json_argv=["--json"])
        self.broker(self.broker_port)
        gateway = self.gateway(self.conf)

        def settled():
            status = self.piped(["status", "-c", self.conf, "--json"])
            told = json.loads(status.stdout) if status.returncode == 0 else None
            return told and told["buffer"]["waiting"] == 0 and told["broker"]["acknowledged"] >= 8
        wait_until(settled, "all is told")
        rules = [(r"(?m), up .*$", ", up LENGTH"), *NUMBERS, (r" +(LENGTH|never)", r" \1"), (r"LENGTH ago", "LENGTH")]
        self.golden("status", "status", "-c", self.conf, json_argv=["--json"], rules=rules)
        self.assertEqual(gateway.stop(), 0)

    def test_ha(self):
        told = self.write("told.conf", SETTABLE + "homeassistant: { enabled: true }\n")
        self.golden("ha-show", "ha", "show", "-c", told, json_argv=["--json"], rules=[(r'"sw_version":"[^"]*"', '"sw_version":"VERSION"')])
        self.golden("ha-show-unknown", "ha", "show", "cellar/none", "-c", told, json_argv=["--json"])
        self.golden("ha-remove-no-broker", "ha", "remove", "-c", told)

    def test_report(self):
        self.map()
        self.golden("report", "report", "-c", self.conf, "--stdout", "--lines", "0", only="^==")
        self.golden("report-file", "report", "-c", self.conf, "-o", self.path("out.txt"), "--lines", "0", json_argv=["--json"],
                    before=lambda: self.remove("out.txt"))

    def test_watch(self):
        self.map()
        self.golden("watch-none", "watch", "-c", self.conf, rules=[(r"(?s)\\e\[\?1049h.*\\e\[\?1049l", "SCREEN")])
        broker = self.broker(self.broker_port)
        for topic, payload in (("f/d/m", '{"value":21.5,"unit":"°C","time":1764000000123}'), ("f/d/availability", "online"),
                               ("f/e/availability", "offline"), ("f/e/m", '{"value":null,"quality":"timeout"}'),
                               ("f/text", "\x1b[2J something else"), ("f/on", "true")):
            subprocess.run(["mosquitto_pub", "-p", str(broker.port), "-r", "-t", "home/" + topic, "-m", payload], check=True,
                           timeout=60)
        self.golden("watch", "watch", "-c", self.conf, "--seconds", "2s", json_argv=["--json"], terminal=False)
        for name, env in (("watch-terminal", {}), ("watch-terminal-plain", {"NO_COLOR": "1"})):
            terminal = Terminal([BUSFERRY, "watch", "-c", self.conf], env=dict(self.env, **env), cwd=self.dir)
            self.addCleanup(terminal.close)
            terminal.wait_until(lambda t=terminal: "something" in "".join(t.screen()), "all of it")
            rows = terminal.screen()
            last = terminal.text().split("\x1b[H")[-1]
            terminal.send(signal.SIGTERM)
            self.assertEqual(terminal.wait(), 130)
            ages = [(r" +(now|LENGTH|\d+ (min|h|d))(?=$|\\e|\s)", " AGE"), (r"(?m) +AGE", " AGE")]
            self.compare(name, self.plain("\n".join(rows).rstrip("\n") + "\n--- as it is written\n" + last, ages) + "\n")

    def test_completion(self):
        self.golden("completion", "completion", "nonsense")
        self.golden("completion-bash", "completion", "bash", only="^complete ")


if __name__ == "__main__":
    unittest.main()
