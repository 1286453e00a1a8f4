"""The commands that tell how a gateway is."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import unittest

from harness import BUSFERRY, Scenario, free_port, wait_until
from terminal import Terminal

MAP = """
site: "s"
broker: "mqtt://127.0.0.1:{broker}"
gateway: {{ id: "g" }}
every: "200ms"
buffer: {{ path: ":none:" }}
buses: {{ net: {{ tcp: "127.0.0.1:{tcp}"  timeout: "200ms" }} }}
floors: {{
  cellar: {{
    boiler: {{ address: 1  metrics: {{ m: {{ input: 0 }} }} }}
    dead: {{ address: 2  metrics: {{ m: {{ input: 0 }} }} }}
  }}
}}
"""


class Commands(Scenario):
    def stage(self):
        self.port = free_port()
        self.conf = self.write("map.conf", MAP.format(broker=self.port, tcp=free_port()))

    def run_all(self):
        self.stage()
        self.simulate(self.conf, "--faults", "dead@cellar/dead")
        self.broker(self.port)
        gateway = self.gateway(self.conf)
        wait_until(lambda: self.command("status", "-c", self.conf).returncode == 0, "it can be asked")
        return gateway

    def terminal(self, *args, **kwargs):
        terminal = Terminal([BUSFERRY, *args], env=dict({"RUNTIME_DIRECTORY": self.dir}, **kwargs.pop("env", {})), **kwargs)
        self.addCleanup(terminal.close)
        return terminal

    def status(self):
        return json.loads(self.command("status", "-c", self.conf, "--json").stdout)


class Status(Commands):
    def test_of_a_gateway(self):
        gateway = self.run_all()
        wait_until(lambda: self.status()["devices"]["cellar/dead"]["state"] == "offline", "one is offline")
        status = self.status()
        self.assertEqual((status["site"], status["gateway"], status["map"]), ("s", "g", self.conf))
        self.assertEqual(status["pid"], gateway.child.pid)
        self.assertTrue(status["broker"]["connected"])
        self.assertEqual(status["buses"]["net"]["devices"], 2)
        self.assertEqual(status["devices"]["cellar/boiler"]["address"], 1)
        self.assertIsNone(status["devices"]["cellar/dead"]["answered"])
        self.assertLess(abs(status["time"] - status["devices"]["cellar/boiler"]["answered"]), 60000)
        human = self.command("status", "-c", self.conf).stdout
        self.assertRegex(human, r"(?m)^gateway  g of site s, busferry \S+, pid \d+, up ")
        self.assertRegex(human, r"(?m)^cellar/boiler +online .* ago ")
        self.assertRegex(human, r"(?m)^cellar/dead +offline +never +- ")
        self.assertNotIn("\x1b", human)
        for columns in (80, 60, 120):
            terminal = self.terminal("status", "-c", self.conf, columns=columns)
            self.assertEqual(terminal.wait(), 0)
            if columns == 80:
                self.assertLessEqual(max(len(line) for line in human.splitlines()[3:]), columns)
                self.assertIn("\x1b[31m  offline\x1b[0m", terminal.text())
        plain = self.terminal("status", "-c", self.conf, env={"NO_COLOR": "1"})
        self.assertEqual(plain.wait(), 0)
        self.assertNotIn("\x1b", plain.text())
        self.assertEqual(gateway.stop(), 0)

    def test_one_screen(self):
        """Of many devices those in trouble are shown, and all of them in a pipe."""
        self.stage()
        floors = " ".join('d%d: { tcp: "127.0.0.1:%d"  metrics: { m: { input: 0 } } }' % (i, 1 + i) for i in range(60))
        conf = self.write("many.conf", 'site: "s"\nbroker: "mqtt://127.0.0.1:1"\nfloors: { f: { %s } }\n' % floors)
        gateway = self.gateway(conf)
        wait_until(lambda: self.command("status", "-c", conf).returncode == 0, "it can be asked")
        self.assertEqual(len(re.findall(r"(?m)^f/d", self.command("status", "-c", conf).stdout)), 60)
        for rows in (24, 40, 5):
            terminal = self.terminal("status", "-c", conf, rows=rows)
            self.assertEqual(terminal.wait(), 0)
            lines = terminal.text().splitlines()
            self.assertLess(len(lines), max(rows, 18))
            self.assertLessEqual(max(len(re.sub("\x1b[^m]*m", "", line)) for line in lines), 80)
            self.assertRegex(terminal.text(), r"\d+ more devices.*; busferry status \| less shows all\n")
        self.assertEqual(gateway.stop(), 0)

    def test_without_a_gateway(self):
        self.stage()
        done = self.command("status", "-c", self.conf)
        self.assertEqual((done.returncode, done.stdout), (69, ""))
        self.assertIn("no gateway runs", done.stderr)
        self.assertIn("systemctl start busferry", done.stderr)
        self.assertEqual(self.command("status", "-c", self.path("none.conf")).returncode, 66)
        self.assertEqual(self.command("status", "more").returncode, 64)

    def test_without_a_broker(self):
        self.stage()
        gateway = self.gateway(self.conf)
        wait_until(lambda: self.command("status", "-c", self.conf).returncode == 0, "it can be asked")
        self.assertIn("broker   no connection to mqtt://127.0.0.1:", self.command("status", "-c", self.conf).stdout)
        self.assertEqual(gateway.stop(), 0)


SECRETS = ["hunter2hunter2", "s3cr3t-in-a-comment", "s3cr3t-in-a-url", "s3cr3t-of-a-file", "s3cr3t-of-the-environment",
           "s3cr3t-without-quotes", "s3cr3t-of-conf-d", "s3cr3t-of-a-block", "s3cr3t-of-a-lost-quote"]
NAMES = ["alice-the-user", "alices-client"]


class Report(Commands):
    def fake(self, name, text):
        """A program that says what the machine's own might."""
        path = self.write(name, "#!/bin/sh\ncat <<'END'\n%s\nEND\n" % text)
        os.chmod(path, 0o755)

    def report(self, conf, *options, code=0):
        env = dict(os.environ, RUNTIME_DIRECTORY=self.dir, PATH=self.dir + ":" + os.environ["PATH"],
                   BUSFERRY_PASSWORD="s3cr3t-of-the-environment")
        done = self.command("report", "-c", conf, *options, env=env)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def plant(self, extra=""):
        self.stage()
        self.write("password", "s3cr3t-of-a-file\n")
        os.chmod(self.path("password"), 0o600)
        with open(self.conf, encoding="utf-8") as f:
            text = f.read()
        text = text.replace('broker: "mqtt:', '# password: s3cr3t-in-a-comment\n/* s3cr3t-of-a-block\n */ broker: { '
                            'url: "mqtt:').replace('%d"' % self.port, '%d"  user: "alice-the-user"  client_id: "alices-client"'
                                                   '  password_file: "%s" }  // s3cr3t-in-a-comment' %
                                                   (self.port, self.path("password")))
        text += extra
        os.mkdir(self.path("conf.d"))
        self.write("conf.d/more.conf", "# s3cr3t-of-conf-d\ntopics: { }\n" if not extra else
                   'password: "s3cr3t-of-conf-d"\n')
        self.fake("journalctl", "\n".join(SECRETS + NAMES + ["the log says alice-the-user:hunter2"]))
        self.fake("systemctl", "ActiveState=active")
        return self.write("map.conf", text)

    def hunt(self, text, names=True):
        for secret in SECRETS + (NAMES if names else []):
            self.assertNotIn(secret, text)

    def test_secrets(self):
        conf = self.plant()
        done = self.report(conf, "--stdout")
        # What is in no map, file or variable can't be known, and no log ever has it: only what is, is hunted in the log.
        known = done.stdout.split("== log ==")[0]
        self.hunt(known)
        log = done.stdout.split("== log ==")[1]
        for secret in ["s3cr3t-of-a-file", "s3cr3t-of-the-environment", "alices-client", "alice-the-user"]:
            self.assertNotIn(secret, log)
        self.assertIn("(user):hunter2", log)
        for wanted in ("== %s ==" % conf, "conf.d/more.conf ==", 'user: "(user)"', 'client_id: "(client id)"', "ActiveState=active",
                       'password_file: "%s"' % self.path("password"), "library ", "kernel ", "== check ==\n",
                       "\nsite s, gateway g", "disk  ", "built with"):
            self.assertIn(wanted, done.stdout)
        full = self.report(conf, "--stdout", "--full").stdout
        self.hunt(full.split("== log ==")[0], names=False)
        self.assertIn('user: "alice-the-user"', full)

    def test_secrets_in_a_map_with_faults(self):
        conf = self.plant('password: "hunter2hunter2"\ntokens: ["hunter2hunter2", "x"]\napi_key = s3cr3t-without-quotes;\n'
                          'url: "mqtt://alice-the-user:s3cr3t-in-a-url@h"\npassword2: "s3cr3t-of-a-lost-quote\n'
                          'keepalive: 10s  # s3cr3t-in-a-comment\n')
        done = self.report(conf, "--stdout")
        text = done.stdout.split("== log ==")[0]
        self.hunt(text)
        self.assertIn("keepalive: 10s\n", text)
        self.assertIn("(exit code 78)", text)

    def test_secrets_of_many_files_in_an_odd_folder(self):
        self.stage()
        os.makedirs(self.path("a[b] *c/conf.d"))
        for i in range(70):
            self.write("a[b] *c/conf.d/%02d.conf" % i, 'password%d: "hunter2hunter2-%d"\n' % (i, i))
        with open(self.conf, encoding="utf-8") as f:
            conf = self.write("a[b] *c/map.conf", f.read())
        text = self.report(conf, "--stdout").stdout
        self.assertIn("conf.d/69.conf ==", text)
        self.assertIn('"password69"', text)
        self.assertNotIn("hunter2", text)

    def test_the_file(self):
        self.stage()
        out = self.path("out.txt")
        done = self.report(self.conf, "-o", out)
        self.assertEqual(done.stdout, out + "\n")
        self.assertEqual(os.stat(out).st_mode & 0o777, 0o600)
        with open(out, encoding="utf-8") as f:
            self.assertIn("== unit ==", f.read())
        self.assertIn("is there already", self.report(self.conf, "-o", out, code=73).stderr)
        self.report(self.conf, "-o", self.path("no/such/folder"), code=73)
        self.assertIn("No such file", self.report(self.path("none.conf"), "--stdout").stdout)

    def test_with_a_gateway(self):
        gateway = self.run_all()
        text = self.report(self.conf, "--stdout").stdout
        self.assertRegex(text, r"== status ==\ngateway  g of site s")
        self.assertRegex(text, r'== status as JSON ==\n\{"version":')
        self.assertEqual(gateway.stop(), 0)


class Init(Commands):
    def init(self, *options, code=0):
        done = self.command("init", "-c", self.path("new.conf"), *options)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(os.path.exists(self.path("new.conf")), code == 0)
        return done

    def check(self, text=None):
        conf = self.path("new.conf") if text is None else self.write("other.conf", text)
        done = self.command("check", "-c", conf, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def text(self):
        with open(self.path("new.conf"), encoding="utf-8") as f:
            return f.read()

    def test_a_first_map(self):
        self.assertEqual(self.init("--site", 'a "b" \\\\ c').stdout, self.path("new.conf") + "\n")
        self.assertEqual(self.check()["site"], 'a "b" \\\\ c')
        first = self.text()
        self.assertEqual(self.command("init", "-c", self.path("new.conf")).returncode, 73)
        self.assertEqual(self.text(), first, "it is not written over")

    def test_what_stands_in_its_comments_is_sound(self):
        self.init()
        lines = re.sub(r"(?m)^  # ", "  ", self.text()).splitlines()
        buses = lines.index("buses: {") + 1
        del lines[buses:lines.index("}", buses)]
        lines[buses:buses] = ['rs485: { port: "/dev/ttyUSB0" }', 'net: { tcp: "192.168.1.40" }']
        plan = self.check("\n".join(lines) + "\n")
        self.assertEqual({"rs485", "net"} - {bus["name"] for bus in plan["buses"]}, set())
        text = self.text().replace('\nbroker: "mqtt://localhost"\n', "\n")
        self.check(re.sub(r"(?m)^# (broker: \{|  url: |  user: |\})", r"\1", text))

    def test_with_a_scan(self):
        self.stage()
        with open(self.conf, encoding="utf-8") as f:
            host = re.search(r'tcp: "([^"]*)"', f.read())[1]
        self.simulate(self.conf)
        self.init("--scan", "tcp://" + host, "--addresses", "1-3")
        plan = self.check()
        self.assertEqual([topic["topic"] for topic in plan["topics"]],
                         ["home/found/unit1/holding_0", "home/found/unit2/holding_0"])
        self.assertIn('tcp: "%s"' % host, self.text())
        self.command("init", "-c", self.path("new.conf"), "--scan", "tcp://" + host)

    def test_nothing_is_left_behind(self):
        self.init("--broker", "nonsense", code=64)
        self.init("--site", "", code=64)
        self.init("--site", "a/+", code=64)
        self.init("--lines", "9600 8N1", code=64)
        self.init("--scan", "tcp://127.0.0.1:%d" % free_port(), "--addresses", "1", code=69)
        self.init("--scan", "/dev/none", code=66)
        self.assertEqual(self.command("init", "-c", self.path("no/folder.conf")).returncode, 73)


class Watch(Commands):
    def publish(self, topic, payload, *options):
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-t", topic, "-s" if payload else "-n", *options],
                       input=payload, check=True,
                       timeout=60)

    def lines(self, *options):
        """A watch in a pipe that has its subscription."""
        process = self.start([BUSFERRY, "watch", "-c", self.conf, *options], "watch")
        process.marks = 0

        def marked():
            process.marks += 1
            self.publish("s/mark", b"%d" % process.marks)
            return "s/mark" in process.text()
        wait_until(marked, "it hears")
        return process

    def test_lines(self):
        self.stage()
        self.broker(self.port)
        self.publish("s/f/d/m", b'{"value":230.1,"unit":"V","time":1764000000123}', "-r")
        watch = self.lines()
        self.publish("s/f/d/m", b'{"value":null,"quality":"timeout","unit":"V","time":1764000001123}')
        self.publish("s/f/d", b'{"time":1764000000123,"values":{"a":1,"b":"on"},"quality":{"c":"timeout"}}')
        self.publish("s/f/d/availability", b"online")
        self.publish("s/f/other", b"\x1b[2J\x1b]0;title\x07 \xff\xc3 plain \xe2\x80\xae text")
        self.publish("s/f/plain", b"21.5")
        self.publish("s/f/none", b"")
        wait_until(lambda: "s/f/none" in watch.text(), "all of it")
        self.assertEqual(watch.stop(), 130)
        told = [line.split(" ", 1)[1] for line in watch.text().splitlines() if "s/mark" not in line]
        self.assertEqual(told, ["s/f/d/m 230.1 V retained", "s/f/d/m null V (timeout)", "s/f/d a 1", "s/f/d b on",
                                "s/f/d c null (timeout)", "s/f/d/availability online",
                                "s/f/other \\x1b[2J\\x1b]0;title\\x07 \ufffd\ufffd plain \ufffd text", "s/f/plain 21.5",
                                "s/f/none (cleared)"])

    def test_json(self):
        self.stage()
        self.broker(self.port)
        watch = self.lines("s/#", "--json")
        hostile = [b'{"value":01}', b'{"value":1e}', b'{"value":[1', b'{"value":{"a":1}}', b'{"value":"a\\u0000b"}', b'{"value":nan}',
                   b'{"value"', b"{", b"\x00", b'{"value":1}}}', b'{"values":{"a":', b"x" * 100000]
        self.publish("s/f/d/m", b'{"value":230.1,"unit":"V","time":1764000000123}')
        self.publish("s/f/d/t", b'{"value":"a\\"b"}')
        for payload in hostile:
            self.publish("s/h", payload)
        self.publish("s/end", b"true")
        wait_until(lambda: "s/end" in watch.text(), "all of it")
        self.assertEqual(watch.stop(), 130)
        told = [json.loads(line) for line in watch.text().splitlines()]
        told = [line for line in told if line["topic"] != "s/mark"]
        self.assertEqual({k: v for k, v in told[0].items() if k != "heard"},
                         {"topic": "s/f/d/m", "qos": 0, "retained": False,
                          "payload": '{"value":230.1,"unit":"V","time":1764000000123}', "value": 230.1, "unit": "V",
                          "time": 1764000000123})
        self.assertEqual(told[1]["value"], 'a"b')
        self.assertEqual(len(told), len(hostile) + 3)
        for line in told[2:-1]:
            self.assertTrue("value" not in line or line["payload"] == '{"value":1}}}', line)
        self.assertEqual(told[-2]["payload_bytes"], 100000)
        self.assertIs(told[-1]["value"], True)

    def test_a_terminal(self):
        self.stage()
        broker = self.broker(self.port)
        self.publish("s/f/d/availability", b"offline", "-r")
        terminal = self.terminal("watch", "-c", self.conf)
        terminal.wait_until(lambda: "s/f/d/availability" in terminal.text(), "it hears")
        for value in (1, 2, 3):
            self.publish("s/f/d/m", b'{"value":%d,"unit":"\xc2\xb0C"}' % value)
        self.publish("s/f/d/bad", b'{"value":null,"quality":"timeout"}')
        self.publish("s/f/d/evil\u202e/\u6e29\u5ea6", b"\x1b[2J\n\n\n\xff")
        terminal.wait_until(lambda: any("evil" in row for row in terminal.screen()), "all of it")
        screen = terminal.screen()
        self.assertRegex(screen[0], r"^s/# at mqtt://127.0.0.1:%d, 4 topics, \d+ messages$" % self.port)
        self.assertTrue(any(re.match(r"s/f/d/m +3 °C +\S.* ▁▄█$", row) for row in screen), screen)
        self.assertTrue(any(re.match(r"s/f/d/bad +timeout ", row) for row in screen), screen)
        self.assertIn("\x1b[31moffline", terminal.text())
        for i in range(40):
            self.publish("s/more/%02d" % i, b"1")
        terminal.wait_until(lambda: "more; a filter shows fewer" in terminal.screen()[-1], "more than there is room for")
        terminal.resize(50, 10)
        terminal.raw = b""
        terminal.wait_until(lambda: "more; a filter" in terminal.screen()[9], "it is drawn anew")
        self.assertLessEqual(max(len(row) for row in terminal.screen()), 50)
        broker.stop()
        terminal.wait_until(lambda: terminal.screen()[0].startswith("no connection: "), "the broker is gone")
        terminal.type("\x03")
        self.assertEqual(terminal.wait(), 130)
        modes = {}
        terminal.screen(modes)
        self.assertEqual(modes, {25: True, 1049: False}, "the cursor and the first screen are back")

    def test_it_ends(self):
        self.stage()
        self.assertEqual(self.command("watch", "-c", self.conf).returncode, 69)
        self.broker(self.port)
        self.assertEqual(self.command("watch", "-c", self.conf, "--seconds", "0.2").returncode, 0)
        self.assertEqual(self.command("watch", "a/#/b", "-c", self.conf).returncode, 64)
        self.assertEqual(self.command("watch", "-c", self.path("none")).returncode, 66)
        reader, writer = os.pipe()
        process = subprocess.Popen([BUSFERRY, "watch", "-c", self.conf], stdout=writer)
        os.close(writer)
        os.close(reader)  # nobody reads: it ends with the next message

        def ended():
            self.publish("s/x", b"1")
            return process.poll() is not None
        wait_until(ended, "it ends")

    def test_a_broker_that_refuses(self):
        self.stage()
        self.broker(self.port, "allow_anonymous false\n")
        done = self.command("watch", "-c", self.conf)
        self.assertEqual(done.returncode, 77, done.stderr)
        terminal = self.terminal("watch", "-c", self.conf)
        self.assertEqual(terminal.wait(), 77)
        modes = {}
        terminal.screen(modes)
        self.assertEqual(modes, {25: True, 1049: False})


SERIAL = """
site: "s"
broker: "mqtt://127.0.0.1:1"
gateway: {{ id: "g" }}
every: "100ms"
buffer: {{ path: ":none:" }}
buses: {{ rs485: {{ port: "{port}"  timeout: "300ms" }} }}
floors: {{ f: {{ d: {{ bus: "rs485"  address: 1  metrics: {{ m: {{ input: 0 }}  c: {{ coil: 0 }} }} }} }} }}
"""


class Borrow(Commands):
    """What is asked on a port that a gateway has."""

    def setUp(self):
        super().setUp()
        self.port = self.path("ttyX")
        self.conf = self.write("map.conf", SERIAL.format(port=self.port))
        self.simulate(self.conf)
        self.running = self.gateway(self.conf)
        wait_until(lambda: self.running_status()["devices"]["f/d"]["state"] == "online", "it polls")

    def running_status(self):
        done = self.command("status", "-c", self.conf, "--json")
        return json.loads(done.stdout) if done.returncode == 0 else {"devices": {"f/d": {"state": None}}}

    def test_read(self):
        for port in (self.port, os.path.realpath(self.port)):
            done = self.command("read", port, "input:0")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"^0 +\d+\n$")
            self.assertIn("the gateway has %s, and reads there\n" % port, done.stderr)
        done = self.command("read", self.port, "coil:0", "-n", "1", "--json", "--line", "19200 8E1")
        self.assertEqual(json.loads(done.stdout)["values"][0]["address"], 0)
        self.assertIn("reads there at 9600 8N1", done.stderr)
        done = self.command("read", self.port, "discrete:9")
        self.assertEqual(done.returncode, 69)
        self.assertIn("exception 2", done.stderr)
        self.assertEqual(self.command("read", self.port, "-a", "77", "input:0").returncode, 69)
        self.assertEqual(self.command("status", "-c", self.conf).returncode, 0)
        before = self.running_status()["devices"]["f/d"]["answers"]
        wait_until(lambda: self.running_status()["devices"]["f/d"]["answers"] > before, "it polls on")
        self.assertEqual(self.running.stop(), 0)

    def test_read_while_the_bus_restarts(self):
        """Each is answered, with the value or with what is the matter, however often the map is read again meanwhile."""
        with open(self.conf, encoding="utf-8") as f:
            text = f.read()
        ended = threading.Event()

        def readings():
            while not ended.is_set():
                codes.append(self.command("read", self.port, "input:0").returncode)
        codes = []
        asking = [threading.Thread(target=readings) for _ in range(3)]
        for thread in asking:
            thread.start()
        for i in range(12):
            n, asked = self.running.text().count("map read again"), len(codes)
            self.write("map.conf", text.replace("address: 1", "address: 1  max_gap: %d" % (i % 5)))
            self.running.send(signal.SIGHUP)
            wait_until(lambda: self.running.text().count("map read again") > n, "the map is read again")
            wait_until(lambda: len(codes) >= asked + 4, "answers")
        ended.set()
        for thread in asking:
            thread.join()
        self.assertLessEqual(set(codes), {0, 69, 75}, codes)
        self.assertIn(0, codes)
        self.assertEqual(self.command("read", self.port, "input:0").returncode, 0)
        self.assertEqual(self.running.stop(), 0)

    def test_scan(self):
        done = self.command("scan", self.port, "--addresses", "1-3", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("the gateway has %s: it asks, at 9600 8N1 only" % self.port, done.stderr)
        [found] = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual((found["unit"], found["line"]), (1, "9600 8N1"))
        done = self.command("scan", self.port, "--addresses", "2", "--lines", "19200 8E1")
        self.assertEqual(done.returncode, 69)
        self.assertIn("nothing answers", done.stderr)
        self.assertEqual(self.running.stop(), 0)

    def test_of_no_gateway_that_can_be_asked(self):
        done = self.command("read", self.port, "input:0", env=dict(os.environ, RUNTIME_DIRECTORY=self.path("none"),
                                                                   XDG_RUNTIME_DIR=self.path("none")))
        self.assertEqual(done.returncode, 75)
        self.assertIn("another program has it", done.stderr)

    def test_clients_that_come_and_go(self):
        """More at once than there is room for, those that leave before the answer, and the end in the middle."""
        [name] = [n for n in os.listdir(self.dir) if n.endswith(".sock")]

        def client(line):
            connection = socket.socket(socket.AF_UNIX)
            self.addCleanup(connection.close)
            connection.connect(self.path(name))  # waits while others are before it
            connection.settimeout(60)
            connection.sendall(line)
            return connection
        ask = ("wire read %s %%d input 0 1\n" % self.port).encode()
        codes = set()
        for _ in range(5):
            for unit in (1, 99):
                client(ask % unit).close()
        crowd = [client(ask % 98) for _ in range(7)]
        for one in crowd:
            with one, one.makefile() as answer:
                lines = [json.loads(answer.readline())]
                if "ok" not in lines[0]:
                    lines.append(json.loads(answer.readline()))
                codes.add(lines[-1].get("code", 0))
        self.assertLessEqual(codes, {0, 75})
        self.assertIn(75, codes)
        wait_until(lambda: self.command("read", self.port, "input:0").returncode == 0, "there is room again")
        last = client(ask % 97)
        self.assertEqual(self.running.stop(), 0)
        last.close()


if __name__ == "__main__":
    unittest.main()
