"""The snippets of docs/snippets.md: each run with the program that it is for, beside a gateway with simulated devices, and what
it makes of the readings compared with what a subscriber saw.  Telegraf and Grafana are in neither Debian nor npm: their
files are read only, and what they name must be there in what was seen.
"""

import csv
import glob
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import unittest
import urllib.error
import urllib.parse
import urllib.request

from harness import HERE, PATIENCE, Scenario, free_port, wait_until
from proxy import Proxy

SOURCE = pathlib.Path(HERE).parents[1]
SNIPPETS = SOURCE / "docs" / "snippets"
NODE_RED = os.environ.get("BUSFERRY_NODE_RED") or str(SOURCE / "build-test" / "node-red")
COLLECTD = shutil.which("collectd", path=os.environ.get("PATH", "") + ":/usr/sbin")
SKIPPED = 77
MAP = """
site: "home"
broker: "mqtt://127.0.0.1:{broker}"
gateway: {{ id: "g" }}
control: {{ allow: true }}
every: "500ms"
buses: {{ net: {{ tcp: "127.0.0.1:{tcp}"  timeout: "200ms" }} }}
topics: {{ roof: {{ match: "home/roof/#"  per: "device" }} }}
floors: {{
  ground: {{
    meter: {{ address: 1  metrics: {{ voltage: {{ input: 0  type: "f32"  unit: "V" }}  power: {{ input: 12  type: "f32"  unit: "W" }} }} }}
    dead:  {{ address: 2  metrics: {{ temperature: {{ input: 0  unit: "°C" }} }} }}
  }}
  cellar: {{ heatpump: {{ address: 5  metrics: {{
    state:    {{ holding: 200  enum: ["off", "heating", "cooling"] }}
    pump:     {{ coil: 3 }}
    setpoint: {{ holding: 300  type: "s16"  scale: 0.1  unit: "°C"  write: {{ min: 15  max: 28  step: 0.5 }} }}
  }} }} }}
  roof: {{ weather: {{ address: 6  metrics: {{ wind_speed: {{ input: 0  scale: 0.1  unit: "m/s" }}  pressure: {{ input: 1  unit: "hPa" }} }} }} }}
}}
"""


def matches(pattern, topic):
    """Is that topic one of the filter's?"""
    wanted, has = pattern.split("/"), topic.split("/")
    for i, level in enumerate(wanted):
        if level == "#":
            return True
        if i >= len(has) or level not in ("+", has[i]):
            return False
    return len(wanted) == len(has)


class Snippets(Scenario):
    def run_all(self, between=None):
        """A gateway and its broker, between them what `between` makes of the broker's port."""
        self.port = self.broker().port
        link = between(self.port) if between else self.port
        self.conf = self.write("map.conf", MAP.format(broker=link, tcp=free_port()))
        self.seen = self.subscriber(self.port, "home/#")
        self.simulate(self.conf, "--faults", "dead@ground/dead")
        self.busferry = self.gateway(self.conf)
        for topic in ("home/ground/meter/power", "home/cellar/heatpump/pump", "home/roof/weather"):
            self.seen.wait_for(topic)
        wait_until(lambda: any(r["value"] is None for r in self.seen.readings("home/ground/dead/temperature")), "one is not good")

    def end(self, process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # a session of its own: the shell and what it has started
        process.wait()

    def value_at(self, topic, time):
        return [r["value"] for r in self.seen.readings(topic) if r["time"] == time]


class MosquittoSub(Snippets):
    """Each line that the page shows, in a shell."""

    @staticmethod
    def missing():
        return None if shutil.which("jq") else "no jq on this machine"

    def lines(self):
        page = (SOURCE / "docs" / "snippets.md").read_text(encoding="utf-8")
        return [line for line in re.search(r"```sh\n(.*?)```", page, re.S).group(1).splitlines() if not line.startswith("#")]

    def test_lines(self):
        lines = self.lines()
        self.assertEqual(len(lines), 5)
        self.run_all()
        processes = []
        for i, line in enumerate(lines):
            self.assertTrue(line.startswith("mosquitto_sub "), line)
            with open(self.path("line-%d" % i), "wb") as log:
                process = subprocess.Popen(["sh", "-c", line.replace("mosquitto_sub ", "mosquitto_sub -p %d " % self.port)],
                                           stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
            self.addCleanup(self.end, process)
            processes.append(process)

        def text(i):
            return pathlib.Path(self.path("line-%d" % i)).read_text(encoding="utf-8")

        wait_until(lambda: re.search(r'(?m)^\d{4}-\S+  home/ground/meter/voltage  \{"value":', text(0)), "everything")
        wait_until(lambda: {"home/gateway/g/state online", "home/ground/meter/availability online",
                            "home/ground/dead/availability offline"} <= set(text(1).splitlines()), "who is there")
        self.assertEqual(processes[2].wait(PATIENCE), 0)
        self.assertIn(float(text(2)), [r["value"] for r in self.seen.readings("home/ground/meter/voltage")])
        wait_until(lambda: len(text(3).splitlines()) >= 4, "a table")
        for day, topic, value in list(csv.reader(text(3).splitlines()))[:4]:
            self.assertRegex(day, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            self.assertIn(float(value), [r["value"] for r in self.seen.readings(topic)])
        wait_until(lambda: "home/ground/dead/temperature: timeout\n" in text(4), "what is not good")
        self.assertEqual(set(text(4).splitlines()), {"home/ground/dead/temperature: timeout"})


class NodeRed(Snippets):
    """The flow, with other ports and with nodes behind the function that tell what comes out of it."""

    network = None

    @staticmethod
    def missing():
        if not shutil.which("node"):
            return "no node on this machine"
        return None if os.path.isdir(os.path.join(NODE_RED, "node_modules", "node-red")) else \
            "no Node-RED: npm install --prefix FOLDER node-red, and FOLDER in BUSFERRY_NODE_RED"

    def flow(self):
        nodes = json.loads((SNIPPETS / "node-red.json").read_text(encoding="utf-8"))
        by_type = {}
        for node in nodes:
            by_type.setdefault(node["type"], []).append(node)
        by_type["mqtt-broker"][0].update(broker="127.0.0.1", port=str(self.port))
        sort = by_type["function"][0]
        for i, kind in enumerate(("good", "bad", "late")):
            sort["wires"][i].append("tell-" + kind)
            nodes += [{"id": "tell-" + kind, "type": "function", "z": sort["z"], "func": "return { payload: JSON.stringify(msg) };",
                       "outputs": 1, "x": 0, "y": 0, "wires": [["out-" + kind]]},
                      {"id": "out-" + kind, "type": "mqtt out", "z": sort["z"], "topic": "seen/" + kind, "qos": "1", "retain": "false",
                       "broker": by_type["mqtt-broker"][0]["id"], "x": 0, "y": 0, "wires": []}]
        return nodes, by_type

    def start_node_red(self):
        nodes, by_type = self.flow()
        folder = self.path("node-red")
        os.makedirs(folder)
        self.write("node-red/flows.json", json.dumps(nodes))
        self.http = free_port()
        self.write("node-red/settings.js", """module.exports = {
            uiHost: "127.0.0.1", uiPort: %d, flowFile: "flows.json", credentialSecret: false, mqttReconnectTime: 300,
            telemetry: { enabled: false, updateNotification: false }, externalModules: { autoInstall: false },
            editorTheme: { tours: false } }""" % self.http)
        self.red = self.start(["node", os.path.join(NODE_RED, "node_modules", "node-red", "red.js"), "--userDir", folder],
                              "node-red-log", env={"HOME": folder, "NODE_RED_HOME": ""})
        wait_until(lambda: "Started flows" in self.red.text() or not self.red.alive(), "the flow runs", PATIENCE * 2)
        self.assertTrue(self.red.alive(), self.red.text())
        return by_type

    def test_flow(self):
        self.run_all(lambda port: self.proxy(port))
        told = self.subscriber(self.port, "seen/#")
        by_type = self.start_node_red()

        def came(kind, metric):
            return [r for r in told.readings("seen/" + kind) if r["metric"] == metric]

        wait_until(lambda: all(came("good", name) for name in ("voltage", "power", "state", "pump", "wind_speed", "pressure")), "good ones")
        for r in came("good", "voltage"):
            self.assertEqual((r["site"], r["path"], r["device"], r["unit"], r["quality"]), ("home", "ground", "meter", "V", "good"))
            self.assertEqual(self.value_at("home/ground/meter/voltage", r["time"]), [r["payload"]])
        for r in came("good", "wind_speed"):
            self.assertEqual((r["topic"], r["path"], r["device"]), ("home/roof/weather/wind_speed", "roof", "weather"))
            self.assertIn(r["payload"], [d["values"]["wind_speed"] for d in self.seen.readings("home/roof/weather")])
        wait_until(lambda: came("bad", "temperature"), "what is not good")
        self.assertEqual({(r["payload"], r["quality"]) for r in came("bad", "temperature")}, {(None, "timeout")})
        self.assertEqual(told.readings("seen/late"), [])

        self.network.process.stop(signal.SIGKILL)  # what is read now waits
        wait_until(lambda: self.buffer_status(self.conf)["waiting"] >= 20, "readings wait")
        self.proxy(self.port)
        for r in wait_until(lambda: told.readings("seen/late"), "replayed ones"):
            of = [m for m in self.seen.readings("home/%s/%s/%s" % (r["path"], r["device"], r["metric"])) if m.get("replayed")] + \
                 [m for m in self.seen.readings("home/%s/%s" % (r["path"], r["device"])) if m.get("replayed")]
            self.assertIn(r["time"], [m["time"] for m in of], r)
        self.assertEqual([r for kind in ("good", "bad", "late") for r in told.readings("seen/" + kind)
                          if r["metric"] in ("availability", "result", "state") and r["device"] != "heatpump"], [])

        # The second row: the button is pressed.
        inject = by_type["inject"][0]["id"]
        urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:%d/inject/%s" % (self.http, inject), data=b"", method="POST"),
                               timeout=PATIENCE).close()
        answer = json.loads(self.seen.wait_for("home/cellar/heatpump/setpoint/result")[0])
        self.assertEqual(answer, {"ok": True, "value": 21.5})
        self.assertNotIn("[error]", self.red.text())
        self.assertEqual(self.busferry.stop(), 0)

    def proxy(self, port):
        self.network = Proxy(self, self.network.port if self.network else free_port(), port)
        return self.network.port


class Collectd(Snippets):
    """collectd with the snippet's plugin and script, and one that writes files."""

    @staticmethod
    def missing():
        if not COLLECTD:
            return "no collectd on this machine (collectd-core)"
        return None if os.getuid() == 0 else "not root: who else may let collectd run a program as nobody?"

    def test_readings(self):
        os.chmod(self.dir, 0o755)
        self.run_all()
        script = shutil.copy(SNIPPETS / "collectd-busferry", self.path("collectd-busferry"))
        snippet = (SNIPPETS / "collectd.conf").read_text(encoding="utf-8")
        line = '"/usr/local/bin/collectd-busferry" "home/+/+/+"'
        self.assertIn(line, snippet)
        os.makedirs(self.path("csv"))
        conf = self.write("collectd.conf", """
Hostname "here"
BaseDir "%s"
PIDFile "%s"
TypesDB "/usr/share/collectd/types.db"
Interval 1
LoadPlugin csv
<Plugin csv>
  DataDir "%s"
</Plugin>
LoadPlugin logfile
<Plugin logfile>
  File STDOUT
</Plugin>
%s""" % (self.dir, self.path("collectd.pid"), self.path("csv"), snippet.replace(line, '"%s" "home/+/+/+" "-p" "%d"' % (script, self.port))))
        collectd = self.start([COLLECTD, "-f", "-C", conf], "collectd")

        def rows(metric):
            found = []
            for path in pathlib.Path(self.path("csv")).glob("home/ground-meter/gauge-%s-*" % metric):
                found += [row for row in list(csv.reader(path.read_text(encoding="utf-8").splitlines()))[1:] if len(row) == 2]
            return found

        wait_until(lambda: len(rows("voltage")) >= 3 and len(rows("power")) >= 3 or not collectd.alive(), "collectd has written")
        self.assertTrue(collectd.alive(), collectd.text())
        topic = "home/ground/meter/voltage"
        self.seen.wait_for(topic, len(self.seen.readings(topic)) + 1)
        for at, value in rows("voltage"):
            of = [r for r in self.seen.readings(topic) if r["time"] == round(float(at) * 1000)]
            self.assertEqual(len(of), 1, (at, value))
            self.assertAlmostEqual(of[0]["value"], float(value), delta=0.001 + abs(of[0]["value"]) * 1e-6)
        self.assertEqual(sorted(p.name for p in pathlib.Path(self.path("csv"), "home").iterdir()),
                         ["cellar-heatpump", "ground-meter"], "only numbers that are good, of devices that answer")
        self.busferry.stop()  # the next message would end it by itself
        self.assertTrue(self.listeners(), "the script's own mosquitto_sub")
        self.assertEqual(collectd.stop(), 0, collectd.text())
        wait_until(lambda: not self.listeners(), "nothing of the script is left")

    def listeners(self):
        """Processes of mosquitto_sub that the script has started: those with the port that it was given."""
        found = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                words = pathlib.Path(path).read_bytes().split(b"\0")
            except OSError:  # it has ended meanwhile
                continue
            if words[0].endswith(b"mosquitto_sub") and b"home/+/+/+" in words and b"%d" % self.port in words and b"%t %p" in words:
                found.append(path)
        return found


class Files(Snippets):
    """What Telegraf and Grafana would read, which are not run."""

    @staticmethod
    def missing():
        return None

    def test_telegraf(self):
        self.run_all()
        inputs = tomllib.loads((SNIPPETS / "telegraf.conf").read_text(encoding="utf-8"))["inputs"]["mqtt_consumer"]
        sessions = [i["client_id"] for i in inputs]
        self.assertEqual(len(set(sessions)), len(sessions), "two with one client id throw each other out")
        told = [(topic, payload) for topic, payload, _, _ in self.seen.messages()]
        reads = {}
        for number, i in enumerate(inputs):
            self.assertEqual((i["data_format"], i["servers"], len(i["topic_parsing"]), len(i["json_v2"])),
                             ("json_v2", ["tcp://localhost:1883"], 1, 1))
            place, form = i["topic_parsing"][0], i["json_v2"][0]
            of = [(topic, payload) for topic, payload in told if any(matches(t, topic) for t in i["topics"])]
            for pattern in i["topics"]:
                self.assertTrue(any(matches(pattern, topic) for topic, _ in told), "nobody publishes " + pattern)
            for topic, payload in of:
                self.assertTrue(matches(place["topic"], topic), topic)
                self.assertEqual(len(place["tags"].split("/")), len(topic.split("/")))
                payload = json.loads(payload)  # none that is not: Telegraf would complain of each
                self.assertGreater(payload[form["timestamp_path"]], 1.7e12)
                self.assertEqual(form["timestamp_format"], "unix_ms")
                for entry in form.get("field", []) + form.get("tag", []) + form.get("object", []):
                    self.assertTrue(entry.get("optional") or entry["path"] in payload, (entry, payload))
                    reads.setdefault((None if entry.get("optional") else number, entry["path"]), []).append(payload.get(entry["path"]))
                    value = payload.get(entry["path"])
                    if entry.get("type") == "float":  # on/off would stay what it is, and a word be refused
                        self.assertTrue(value is None or type(value) in (int, float), (topic, value))
        for (number, path), values in reads.items():
            self.assertTrue(any(v is not None for v in values), "input %s never sees %s" % (number, path))

    def test_grafana(self):
        board = json.loads((SNIPPETS / "grafana.json").read_text(encoding="utf-8"))
        self.assertEqual(board["__inputs"][0]["pluginId"], "prometheus")
        queries = [t["expr"] for p in board["panels"] for t in p.get("targets", [])] + \
            [v["definition"] for v in board["templating"]["list"] if v["type"] == "query"]
        names = set(re.findall(r"\bbusferry_\w+", " ".join(queries)))
        self.assertIn("busferry_reading", names)
        ids = [p["id"] for p in board["panels"]]
        self.assertEqual(len(set(ids)), len(ids))
        page = self.metrics()
        if page is None:
            self.skipTest("this gateway has no status page")
        there = set(re.findall(r"(?m)^# TYPE (\S+)", page))
        self.assertEqual(names - there, set(), "not in /metrics")
        labels = {name: set(re.findall(r'(\w+)="', " ".join(re.findall(r"(?m)^%s\{(.*)\}" % name, page)))) for name in names}
        for query in queries:
            for name, wanted in re.findall(r"(busferry_\w+)\{([^}]*)\}", query):
                self.assertEqual(set(re.findall(r"(\w+)\s*=~?", wanted)) - labels[name], set(), query)
            for by in re.findall(r"\bby ?\(([^)]*)\)", query):
                name = re.search(r"busferry_\w+", query).group()
                self.assertEqual(set(by.replace(" ", "").split(",")) - labels[name], set(), query)
        for name in re.findall(r"\{\{(\w+)\}\}", json.dumps(board)):
            self.assertTrue(any(name in label for label in labels.values()), name)
        if shutil.which("prometheus"):
            self.ask_prometheus(board)

    def metrics(self):
        """What /metrics tells of the gateway, None where there is no such page."""
        self.http = free_port()
        page = 'status_page: { listen: "127.0.0.1:%d" }\n' % self.http
        conf = self.write("page.conf", 'site: "home"\nbroker: "mqtt://127.0.0.1:1"\n' + page)
        if self.command("check", "-c", conf).returncode:
            return None
        with open(conf, "w", encoding="utf-8") as f:
            f.write(MAP.format(broker=self.broker().port, tcp=free_port()) + page)
        self.simulate(conf)
        gateway = self.gateway(conf)

        def fetch():
            self.assertTrue(gateway.alive(), gateway.text())
            try:
                with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % self.http, timeout=PATIENCE) as answer:
                    text = answer.read().decode()
            except urllib.error.URLError:
                return "none" if "libmicrohttpd" in gateway.text() else None
            return text if text.count("busferry_reading{") >= 6 else None

        text = wait_until(fetch, "/metrics")
        return None if text == "none" else text

    def ask_prometheus(self, board):
        """Each query, of a Prometheus that reads the page."""
        port = free_port()
        conf = self.write("prometheus.yml", "global: { scrape_interval: 1s }\nscrape_configs:\n- job_name: busferry\n"
                                            "  static_configs: [ { targets: ['127.0.0.1:%d'] } ]\n" % self.http)
        self.start(["prometheus", "--config.file=" + conf, "--storage.tsdb.path=" + self.path("prometheus"),
                    "--web.listen-address=127.0.0.1:%d" % port], "prometheus")

        def ask(query):
            address = "http://127.0.0.1:%d/api/v1/query?%s" % (port, urllib.parse.urlencode({"query": query}))
            try:
                with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
                    return json.load(answer)["data"]["result"]
            except urllib.error.URLError as error:  # not there yet, or not ready
                self.assertIn(getattr(error, "code", 503), (503,), query)
                return []

        for panel in board["panels"]:
            for target in panel["targets"]:
                query = target["expr"]
                for name, value in (("$__rate_interval", "10s"), ("$__range", "1m"), ("$unit", "V")):
                    query = query.replace(name, value)
                query = re.sub(r"\$(site|path|device)\b", ".*", query)
                self.assertNotIn("$", query)
                wait_until(lambda: ask(query), query)
        # What the variables are filled from.
        for wanted in ("V", "W"):
            self.assertEqual([r["metric"]["site"] for r in ask('busferry_reading{unit="%s"}' % wanted)], ["home"])


if __name__ == "__main__":
    kinds = [globals()[name.split(".")[0]] for name in sys.argv[1:] if name.split(".")[0] in globals()]
    reasons = [kind.missing() for kind in kinds]
    if kinds and all(reasons):
        print("SKIPPED: " + reasons[0], file=sys.stderr)
        sys.exit(SKIPPED)
    unittest.main()
