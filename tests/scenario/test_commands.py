"""The commands that tell how a gateway is."""

import json
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


if __name__ == "__main__":
    unittest.main()
