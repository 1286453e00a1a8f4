"""What the threads owe each other and systemd: nobody waits for a dead host, every end is in order."""

import signal
import socket
import unittest

from harness import Scenario, free_port, wait_until


class Threads(Scenario):
    def silent_host(self):
        """A host that takes connections and never says a word."""
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        s.listen(16)
        self.addCleanup(s.close)
        return s.getsockname()[1]

    def test_dead_tcp_hosts_delay_nobody(self):
        alive = free_port()
        silent = [self.silent_host() for _ in range(5)]
        lines = ['site: "s"', 'broker: "mqtt://127.0.0.1:1"', 'every: "50ms"', "floors: { f: {",
                 '  live: { tcp: "127.0.0.1:%d"  metrics: { m: { input: 0 } } }' % alive]
        for i, port in enumerate(silent):
            lines.append('  dead%d: { tcp: "127.0.0.1:%d"  timeout: "2s"  metrics: { m: { input: 0 } } }' % (i, port))
        lines.append('  nobody: { tcp: "127.0.0.1:%d"  metrics: { m: { input: 0 } } }' % free_port())
        lines.append('  nameless: { tcp: "no-such-host.invalid:502"  metrics: { m: { input: 0 } } }')
        conf = self.write("map.conf", "\n".join(lines) + "\n} }\n")
        self.simulate(self.write("live.conf", "\n".join(lines[:5]) + "\n} }\n"))
        gateway = self.gateway(conf, "--stdout")
        wait_until(lambda: all("s/f/dead%d/m " % i in gateway.text() for i in range(5)), "every time-out")
        seen = gateway.text().splitlines()
        first = next(i for i, line in enumerate(seen) if line.startswith("s/f/dead"))
        live = [line for line in seen[:first] if line.startswith("s/f/live/m {\"value\":") and "null" not in line]
        # 40 polls fall into the two seconds of the first time-out; had anybody waited, there would be one.
        self.assertGreater(len(live), 10)
        self.assertEqual(gateway.stop(), 0)

    def test_systemd_is_told(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(self.path("notify"))
        s.settimeout(30)
        self.addCleanup(s.close)
        port = free_port()
        conf = self.write("map.conf", 'site: "s"\nbroker: "mqtt://127.0.0.1:1"\nfloors: { f: { d: { tcp: "127.0.0.1:%d"'
                          "  metrics: { m: { input: 0 } } } } }\n" % port)
        gateway = self.gateway(conf, env={"NOTIFY_SOCKET": self.path("notify"), "WATCHDOG_USEC": "300000"})
        told = []

        def hear(word, times=1):
            while sum(word in t for t in told) < times:
                told.append(s.recv(4096).decode())

        hear("READY=1")
        hear("STATUS=0 of 1 devices answer")
        hear("WATCHDOG=1", 5)
        gateway.send(signal.SIGTERM)
        hear("STOPPING=1")
        self.assertEqual(gateway.wait(), 0)

    def test_an_idle_gateway_has_three_threads(self):
        conf = self.write("map.conf", 'site: "s"\nbroker: "mqtt://127.0.0.1:1"\nbuffer: { path: "%s" }\n'
                          % self.path("buffer.db"))
        gateway = self.gateway(conf)
        wait_until(lambda: "nothing to do" in gateway.text(), "it runs")
        wait_until(lambda: gateway.threads() == ["mqtt", "store"], "these threads and no others")
        self.assertEqual(gateway.stop(), 0)

    def test_a_hundred_hosts_need_no_hundred_threads(self):
        lines = ['site: "s"', 'broker: "mqtt://127.0.0.1:1"', 'buffer: { path: "%s" }' % self.path("buffer.db"),
                 "floors: { f: {"]
        for i in range(100):
            lines.append('  d%d: { tcp: "127.0.0.1:%d"  metrics: { m: { input: 0 } } }' % (i, 1 + i))
        conf = self.write("map.conf", "\n".join(lines) + "\n} }\n")
        gateway = self.gateway(conf)
        wait_until(lambda: "runs: 100 devices" in gateway.text(), "it runs")
        wait_until(lambda: gateway.threads() == ["mqtt", "store", "wire"], "these threads and no others")
        self.assertEqual(gateway.stop(), 0)

    def test_it_ends_in_order_in_every_state(self):
        """No broker, a broker that is stopped, a silent host, a silent name server: SIGTERM ends it with 0."""
        broker = self.broker()
        conf = self.write("map.conf", 'site: "s"\nbroker: "mqtt://127.0.0.1:%d"\nfloors: { f: { d: { tcp: "127.0.0.1:%d"'
                          '  timeout: "60s"  metrics: { m: { input: 0 } } } } }\n' % (broker.port, self.silent_host()))
        gateway = self.gateway(conf)
        wait_until(lambda: "connected" in gateway.text(), "the connection")
        broker.send(signal.SIGSTOP)
        try:
            self.assertEqual(gateway.stop(), 0)
        finally:
            broker.send(signal.SIGCONT)
        broker.stop()
        gateway = self.gateway(conf)
        wait_until(lambda: "refused" in gateway.text(), "no broker")
        self.assertEqual(gateway.stop(), 0)


if __name__ == "__main__":
    unittest.main()
