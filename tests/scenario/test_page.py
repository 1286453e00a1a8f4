"""The status page: what it shows is what a subscriber sees, whoever asks for it in whatever way; and polling goes on."""

import base64
import html.parser
import http.client
import json
import os
import re
import signal
import socket
import unittest

from harness import Scenario, free_port, wait_until

MAP = """
site: "home"
broker: "mqtt://127.0.0.1:{broker}"
gateway: {{ id: "g" }}
every: "200ms"
{page}
buses: {{ net: {{ tcp: "127.0.0.1:{tcp}"  timeout: "100ms" }} }}
floors: {{
  ground: {{
    meter: {{ bus: "net"  address: 1  name: "<b>House</b> & 'meter'"  metrics: {{
      voltage: {{ input: 0  type: "f32"  unit: "V"  decimals: 1 }}
      energy:  {{ input: 2  type: "u32"  scale: 0.01  unit: "kWh" }}
      mode:    {{ holding: 0  enum: ["off", "heat", "cool"] }}
      alarms:  {{ holding: 1  bits: {{ high: 0  stage: "8-10" }} }}
      model:   {{ holding: 10  type: "string"  length: 12  every: "start" }}
      pump:    {{ coil: 3 }}
    }} }}
  }}
  cellar: {{ dead: {{ bus: "net"  address: 9  metrics: {{ lost: {{ input: 0  unit: "°C" }} }} }} }}
}}
"""


class Table(html.parser.HTMLParser):
    """Of each row whose id begins with a letter: its cells as text; and all that could be fetched."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.row, self.fetched, self.text = {}, None, [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        if tag == "tr":
            self.row = self.rows.setdefault(told.get("id", ""), [])
        elif tag in ("th", "td") and self.row is not None:
            self.row.append("")
        elif tag in ("small", "data", "span") and self.row:
            self.row[-1] += "|"
        self.fetched += [told[key] for key in ("src", "href") if key in told]

    def handle_data(self, data):
        self.text += data
        if self.row:
            self.row[-1] += data

    def readings(self):
        """Topic to what is shown as its value, without unit."""
        found = {}
        for name, cells in self.rows.items():
            if re.fullmatch(r"m\d+", name):
                found[cells[0].split("|")[1]] = cells[1].split("|")[1].strip()
        return found


class Stage(Scenario):
    def stage(self, page=None, start=True, env=None):
        self.port, self.tcp = free_port(), free_port()
        self.mqtt = self.broker()
        self.subscription = self.subscriber(self.mqtt.port, "home/#")
        self.conf = self.map('status_page: { listen: "127.0.0.1:%d" }' % self.port if page is None else page)
        self.simulate(self.conf, "--faults", "dead@cellar/dead")
        if start:
            self.run_it(env)

    def map(self, page):
        return self.write("map.conf", MAP.format(broker=self.mqtt.port, tcp=self.tcp, page=page))

    def run_it(self, env=None):
        self.busferry = self.gateway(self.conf, env=env)
        wait_until(lambda: len(self.subscription.payloads("home/ground/meter/voltage")) > 1, "readings")

    def ask(self, path, method="GET", headers=None, port=None, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20)
        try:
            connection.request(method, path, headers=headers or {}, body=body)
            answer = connection.getresponse()
            answer.text = answer.read().decode()
            return answer
        finally:
            connection.close()

    def page(self, path="/"):
        answer = self.ask(path)
        self.assertEqual(answer.status, 200, answer.text[:200])
        return Table(answer.text)

    def served(self, port=None):
        try:
            return self.ask("/healthz", port=port).status == 200
        except OSError:
            return False

    def polls_go_on(self):
        n = len(self.subscription.payloads("home/ground/meter/voltage"))
        wait_until(lambda: len(self.subscription.payloads("home/ground/meter/voltage")) > n + 2, "further readings")

    @staticmethod
    def as_text(value):
        return "timeout" if value is None else json.dumps(value).strip('"')

    def seen(self, topic):
        return [self.as_text(reading["value"]) for reading in self.subscription.readings(topic)]


class Page(Stage):
    def test_it_shows_what_a_subscriber_sees(self):
        self.stage()
        wait_until(lambda: "home/cellar/dead/lost" in [m[0] for m in self.subscription.messages()], "the dead one is told")
        topics = ["home/ground/meter/" + m for m in ("voltage", "energy", "mode", "high", "stage", "model", "pump")]
        topics.append("home/cellar/dead/lost")
        for path in ("/", "/live"):
            shown = self.page(path).readings()
            self.assertEqual(sorted(shown), sorted(topics))
            for topic, value in shown.items():
                wait_until(lambda t=topic, v=value: v in self.seen(t), "%s = %s, as shown" % (topic, value))

        status = json.loads(self.ask("/api/status.json").text)
        told = json.loads(self.command("status", "--json", "-c", self.conf).stdout)
        self.assertEqual(sorted(k for k in status if k != "readings"), sorted(told))
        self.assertEqual(sorted(status["readings"]), sorted(topics))
        for topic, reading in status["readings"].items():
            wait_until(lambda t=topic, r=reading: r["time"] in [p["time"] for p in self.subscription.readings(t)],
                       "the reading of %s at that time" % topic)
            same = [p for p in self.subscription.readings(topic) if p["time"] == reading["time"]][0]
            self.assertEqual({k: same[k] for k in reading}, reading)

        answer = self.ask("/metrics")
        self.assertTrue(answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        samples = self.samples(answer.text)
        voltage = samples['busferry_reading{site="home",path="ground",device="meter",metric="voltage",unit="V"}']
        wait_until(lambda: voltage in self.seen("home/ground/meter/voltage"), "the voltage of /metrics")
        self.assertFalse([name for name in samples if 'metric="lost"' in name])
        self.assertEqual(samples['busferry_device_up{device="ground/meter"}'], "1")
        self.assertEqual(samples['busferry_device_up{device="cellar/dead"}'], "0")
        self.assertGreater(float(samples['busferry_bus_timeouts_total{bus="net"}']), 0)

        page = self.ask("/").text
        self.assertIn("&#60;b&#62;House&#60;/b&#62; &#38; &#39;meter&#39;", page)
        self.assertNotIn("<b>House", page)
        self.assertNotIn(self.dir, page)  # where the map lies
        self.assertIn("dead does not answer", page)  # a log line
        self.assertFalse([a for a in Table(page).fetched if not a.startswith(("?from=", "data:"))])

        self.mqtt.stop()
        wait_until(lambda: "no connection" in self.ask("/live").text, "the broker is missed")
        self.assertEqual(self.ask("/healthz").status, 200)  # what is read is kept

    def samples(self, text):
        """Of the text format: each name once, told before its samples, all of one family together."""
        found, family, types = {}, None, {}
        for line in text.splitlines():
            told = re.fullmatch(r"# (HELP|TYPE) (\w+) (.+)", line)
            if told:
                if told[1] == "TYPE":
                    self.assertNotIn(told[2], types)
                    types[told[2]] = told[3]
                family = told[2]
                continue
            sample = re.fullmatch(r'((\w+)(\{\w+="(?:[^"\\\n]|\\["\\n])*"(?:,\w+="(?:[^"\\\n]|\\["\\n])*")*\})?) (\S+)', line)
            self.assertTrue(sample, line)
            self.assertEqual(sample[2], family)
            self.assertEqual(sample[2].endswith("_total"), types[family] == "counter")
            self.assertNotIn(sample[1], found)
            float(sample[4])
            found[sample[1]] = sample[4]
        return found

    def test_who_may_not_is_refused(self):
        self.stage()
        good = self.ask("/")
        for name, value in (("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"), ("Cache-Control", "no-store"),
                            ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Resource-Policy", "same-origin")):
            self.assertEqual(good.headers[name], value)
        policy = good.headers["Content-Security-Policy"]
        self.assertIn("default-src 'none'; style-src 'nonce-", policy)
        nonce = re.search(r"nonce-(\w{32})'", policy)[1]
        self.assertEqual(good.text.count('nonce="%s"' % nonce), 2)
        self.assertNotIn(nonce, self.ask("/").text)
        self.assertNotIn("Access-Control-Allow-Origin", good.headers)
        head = self.ask("/", "HEAD")
        self.assertEqual((head.status, head.text), (200, ""))

        for host in ("evil.example", "127.0.0.1.evil.example", "", "localhost@evil.example"):
            self.assertEqual(self.ask("/", headers={"Host": host}).status, 403, host)
        for host in ("localhost", "127.0.0.1:1", "[::1]:80"):
            self.assertEqual(self.ask("/", headers={"Host": host}).status, 200, host)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
            answer = self.ask("/", method, body="x" * 100 if method in ("POST", "PUT") else None)
            self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET, HEAD"))
        for path in ("/x", "/../etc/passwd", "/live/", "/api/status.json/", "//", "/live%2fx", "/METRICS"):
            self.assertEqual(self.ask(path).status, 404, path)
        for query in ("from=99999999999999999999", "from=-1", "from=", "from", "from=%00", "from=4294967295", "a=b&from=1"):
            self.assertEqual(self.ask("/?" + query).status, 200, query)
        self.assertEqual(self.ask("/", headers={"X": "y" * 4100}).status, 431)
        self.polls_go_on()

    def raw(self, data):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        try:
            s.sendall(data)
        except OSError:
            pass
        return s

    def test_hostile_clients_hold_up_nobody(self):
        self.stage()
        slow = [self.raw(b"GET / HTTP/1.1\r\nHost: local") for _ in range(8)]
        silent = [socket.socket() for _ in range(100)]
        for s in silent:
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", self.port))
        answer = self.ask("/")  # when those before it have made way
        self.assertEqual(answer.status, 200)
        self.polls_go_on()
        for s in slow + silent:
            s.close()
        for data in (b"\0" * 100000, b"GET " + b"a" * 1000000, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100000, b"\r\n" * 1000,
                     b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
                     b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 500):
            s = self.raw(data)
            s.settimeout(0.3)
            try:
                while s.recv(65536):
                    pass
            except OSError:
                pass
            s.close()
        # Those that ask and never take the answer.
        deaf = [self.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(4)]
        self.assertEqual(self.ask("/metrics").status, 200)
        for s in deaf:
            s.close()
        self.polls_go_on()
        self.assertTrue(self.busferry.alive())
        self.assertEqual(self.busferry.stop(), 0)

    def test_the_map_says_whether_and_where(self):
        self.stage(page="")
        self.assertFalse(self.listens(self.port))

        def read_again(page, said):
            self.map(page)
            with open(self.conf, "a", encoding="utf-8") as f:
                f.write('\nbuffer: { path: ":none:" }\n')
            n = self.busferry.text().count("map read again")
            self.busferry.send(signal.SIGHUP)
            wait_until(lambda: self.busferry.text().count("map read again") > n, said)

        read_again('status_page: { listen: "127.0.0.1:%d" }' % self.port, "a page")
        wait_until(self.served, "the page")
        wait_until(lambda: "home/ground/meter/voltage" in self.page().readings(), "readings there")
        self.assertRegex(self.busferry.text(), r"status page: http://127\.0\.0\.1:%d/" % self.port)

        other = free_port()
        secret = self.write("password", "open sesame\n")
        os.chmod(secret, 0o600)
        read_again('status_page: { listen: "0.0.0.0:%d"  allow_remote: true  password_file: "%s" }' % (other, secret), "moved")
        wait_until(lambda: self.listens(other), "the page elsewhere")
        self.assertFalse(self.listens(self.port))
        denied = self.ask("/metrics", port=other)
        self.assertEqual((denied.status, denied.headers["WWW-Authenticate"][:5]), (401, "Basic"))
        known = {"Authorization": "Basic " + base64.b64encode(b"me:open sesame").decode()}
        wrong = {"Authorization": "Basic " + base64.b64encode(b"me:open sesamf").decode()}
        self.assertEqual(self.ask("/", port=other, headers=known).status, 200)
        self.assertEqual([self.ask("/", port=other, headers=wrong).status for _ in range(7)].count(429), 2)
        self.assertEqual(self.busferry.text().count("wrong password"), 1)
        wait_until(lambda: self.ask("/", port=other, headers=known).status == 200, "patience")
        for text in (self.busferry.text(), self.ask("/", port=other, headers=known).text):
            self.assertNotIn("sesame", text)
        os.remove(secret)
        self.assertEqual(self.ask("/", port=other, headers=known).status, 401)
        wait_until(lambda: "can't read the password file %s: No such file" % secret in self.busferry.text(), "why")

        read_again("", "off")
        wait_until(lambda: not self.listens(other), "no page")
        self.polls_go_on()

    def test_what_keeps_it_from_opening_keeps_nothing_else(self):
        with socket.socket() as taken:
            self.stage(start=False)
            taken.bind(("127.0.0.1", self.port))
            taken.listen(1)
            self.run_it()
            wait_until(lambda: "another program has this port" in self.busferry.text(), "a word about it")
            self.polls_go_on()
        wait_until(self.served, "the page, when the port is free")
        self.assertEqual(self.busferry.text().count("can't listen on"), 1)
        self.busferry.stop()

        folder = self.path("libraries")
        os.mkdir(folder)
        self.write("libraries/libmicrohttpd.so.12", "")
        self.run_it(env={"LD_LIBRARY_PATH": folder})
        wait_until(lambda: "install libmicrohttpd12" in self.busferry.text(), "what to install")
        self.polls_go_on()
        self.assertEqual(self.busferry.stop(), 0)


if __name__ == "__main__":
    unittest.main()
