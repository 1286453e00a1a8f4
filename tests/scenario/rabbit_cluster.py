"""A cluster of three RabbitMQ nodes on the loopback, with the MQTT plugin and quorum queues.

Each node is a virtual machine of Erlang that is this process's child: SIGKILL is its crash.  They find each other
through an epmd of their own, which listens on a port of the cluster's, so that one that the machine may have is left
alone.  Started with the same folder, a killed node joins the others again.
"""

import os
import signal
import subprocess

import rabbit_node
from harness import PATIENCE, free_port, wait_until

START_S = 4 * PATIENCE
N_NODES = 3
SETTINGS = [
    "mqtt.durable_queue_type = quorum",  # else a session lives on one node and dies with it
    "cluster_formation.peer_discovery_backend = classic_config",
    "cluster_formation.randomized_startup_delay_range.min = 0",
    "cluster_formation.randomized_startup_delay_range.max = 1",
    *("cluster_formation.classic_config.nodes.%d = k%d@localhost" % (n, n) for n in range(1, N_NODES + 1))]


class Node:
    """One of the nodes: where it listens, and its process, which changes when it is started again."""

    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.name = "k%d@localhost" % number
        self.dir = cluster.scenario.path("rabbit-%d" % number)
        self.port = free_port()
        self.command, self.environment = rabbit_node.prepare(
            self.dir, self.name, self.port, free_port(), free_port(), cluster.epmd_port, SETTINGS)
        self.process = None

    def start(self):
        scenario = self.cluster.scenario
        self.process = scenario.start(self.command, "rabbit-%d-%d" % (self.number, len(scenario.processes)),
                                      self.environment)

    def ready(self):
        if not self.process.alive():
            raise AssertionError("%s ended:\n%s\n%s" % (self.name, self.process.text(), self.log()[-5000:]))
        return self.cluster.scenario.listens(self.port)

    def kill(self):
        self.process.stop(signal.SIGKILL)

    def log(self):
        path = os.path.join(self.dir, "log", self.name + ".log")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def control(self, *args):
        done = subprocess.run([rabbit_node.BIN + "/rabbitmqctl", "-q", *args], capture_output=True, text=True,
                              env=dict(os.environ, **self.environment), timeout=START_S, check=False,
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            raise AssertionError("rabbitmqctl %s: %s%s" % (" ".join(args), done.stdout, done.stderr))
        return done.stdout


class RabbitCluster:
    """All its nodes listen and know each other when it returns.  They end with the scenario."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.epmd_port = free_port()
        scenario.start(rabbit_node.epmd(self.epmd_port), "epmd")
        wait_until(lambda: scenario.listens(self.epmd_port), "epmd listens")
        self.nodes = [Node(self, n) for n in range(1, N_NODES + 1)]
        # The first by itself: of three that start at once the MQTT plugins may all wait for a leader among them, and
        # it was seen to take 97 s until one was chosen.
        for together in self.nodes[:1], self.nodes[1:]:
            for node in together:
                node.start()
            for node in together:
                wait_until(node.ready, node.name + " listens", START_S)

    @property
    def ports(self):
        return [node.port for node in self.nodes]
