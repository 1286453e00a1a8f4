"""A cluster of three RabbitMQ nodes on the loopback, with the MQTT plugin and quorum queues.

Each node is a virtual machine of Erlang that is this process's child: SIGKILL is its crash.  They find each other
through an epmd of their own, which listens on a port of the cluster's, so that one that the machine may have is left
alone.  Started with the same folder, a killed node joins the others again.
"""

import os
import shutil
import signal
import subprocess

from harness import PATIENCE, free_port, wait_until

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # the wrapper in /usr/sbin insists on a user of its own
START_S = 4 * PATIENCE
N_NODES = 3


def why_not():
    """Why there can be no cluster here, or None."""
    if not os.access(SERVER, os.X_OK):
        return "rabbitmq-server is not installed"
    if not shutil.which("epmd"):
        return "epmd is not installed"
    return None


class Node:
    """One of the nodes: where it listens, and its process, which changes when it is started again."""

    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.name = "k%d@localhost" % number
        self.dir = cluster.scenario.path("rabbit-%d" % number)
        self.port, self.amqp, self.dist = free_port(), free_port(), free_port()
        self.process = None
        os.makedirs(os.path.join(self.dir, "home"))
        self.conf = self.write("rabbitmq.conf", "\n".join([
            "listeners.tcp.1 = 127.0.0.1:%d" % self.amqp,
            "mqtt.listeners.tcp.1 = 127.0.0.1:%d" % self.port,
            "mqtt.allow_anonymous = true", "mqtt.default_user = guest", "mqtt.default_pass = guest",
            "mqtt.vhost = /", "mqtt.exchange = amq.topic",
            "mqtt.durable_queue_type = quorum",  # else a session lives on one node and dies with it
            "log.console = false", "log.file.level = info",
            "vm_memory_high_watermark.absolute = 512MB", "disk_free_limit.absolute = 50MB",
            "cluster_formation.peer_discovery_backend = classic_config",
            "cluster_formation.randomized_startup_delay_range.min = 0",
            "cluster_formation.randomized_startup_delay_range.max = 1"] + [
            "cluster_formation.classic_config.nodes.%d = k%d@localhost" % (n, n)
            for n in range(1, N_NODES + 1)]) + "\n")
        self.plugins = self.write("enabled_plugins", "[rabbitmq_mqtt].\n")
        os.chmod(self.write("home/.erlang.cookie", "BUSFERRYTEST"), 0o600)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def environment(self):
        bound = "-kernel inet_dist_use_interface {127,0,0,1}"
        return {"HOME": os.path.join(self.dir, "home"), "RABBITMQ_NODENAME": self.name,
                "RABBITMQ_CONFIG_FILE": self.conf, "RABBITMQ_ENABLED_PLUGINS_FILE": self.plugins,
                "RABBITMQ_MNESIA_BASE": os.path.join(self.dir, "mnesia"),
                "RABBITMQ_LOG_BASE": os.path.join(self.dir, "log"),
                "RABBITMQ_PID_FILE": os.path.join(self.dir, "rabbit.pid"), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
                "RABBITMQ_GENERATED_CONFIG_DIR": os.path.join(self.dir, "gen"),
                "RABBITMQ_DIST_PORT": str(self.dist), "ERL_EPMD_PORT": str(self.cluster.epmd_port),
                "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": bound,
                "RABBITMQ_CTL_ERL_ARGS": bound,
                "RUNNING_UNDER_SYSTEMD": "true"}  # the script becomes the virtual machine: its pid is the node's

    def start(self):
        scenario = self.cluster.scenario
        self.process = scenario.start([SERVER], "rabbit-%d-%d" % (self.number, len(scenario.processes)),
                                      self.environment())

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
        done = subprocess.run(["/usr/lib/rabbitmq/bin/rabbitmqctl", "-q", *args], capture_output=True, text=True,
                              env=dict(os.environ, **self.environment()), timeout=START_S, check=False,
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            raise AssertionError("rabbitmqctl %s: %s%s" % (" ".join(args), done.stdout, done.stderr))
        return done.stdout


class RabbitCluster:
    """All its nodes listen and know each other when it returns.  They end with the scenario."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.epmd_port = free_port()
        # Found by Erlang's own programs too: without one on its port, a node would start a daemon that outlives it.
        scenario.start(["epmd", "-port", str(self.epmd_port), "-address", "127.0.0.1"], "epmd")
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
