"""The commands that tell how a gateway is."""

import json
import os
import re
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
        self.assertRegex(human, r"(?m)^gateway  g of site s, busferry \S+, pid \d+, since ")
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


if __name__ == "__main__":
    unittest.main()
