"""What a RabbitMQ node with the MQTT plugin needs that is this process's own: its folder, its configuration, its environment.

The server is called as Debian's wrapper in /usr/sbin does not (that insists on a user of its own), and as under systemd, where its
script becomes the virtual machine, so that the pid in hand is the node's.  All of it is bound to the loopback.  Nodes are found
through an epmd, which must be the caller's: without one on its port a node would start one that outlives it.
"""

import os
import shutil

BIN = "/usr/lib/rabbitmq/bin"
COOKIE = "BUSFERRYTEST"
LOCAL = "-kernel inet_dist_use_interface {127,0,0,1}"


def missing():
    """Why there can be none here, or None."""
    if not os.access(BIN + "/rabbitmq-server", os.X_OK):
        return "no rabbitmq-server on this machine"
    return None if shutil.which("epmd") else "no epmd on this machine"


def epmd(port):
    return ["epmd", "-port", str(port), "-address", "127.0.0.1"]


def prepare(folder, name, mqtt_port, amqp_port, dist_port, epmd_port, settings=()):
    """Fills the folder.  What to run, and with which environment; rabbitmqctl takes the same one."""
    for part in ("home", "mnesia", "log"):
        os.makedirs(os.path.join(folder, part), exist_ok=True)
    texts = {
        "home/.erlang.cookie": COOKIE,
        "enabled_plugins": "[rabbitmq_mqtt].\n",
        "rabbitmq.conf": "\n".join([
            "listeners.tcp.1 = 127.0.0.1:%d" % amqp_port, "mqtt.listeners.tcp.1 = 127.0.0.1:%d" % mqtt_port,
            "mqtt.allow_anonymous = true", "mqtt.default_user = guest", "mqtt.default_pass = guest", "mqtt.vhost = /",
            "mqtt.exchange = amq.topic", "log.console = false", "log.file.level = warning",
            "vm_memory_high_watermark.absolute = 512MB", "disk_free_limit.absolute = 50MB", *settings]) + "\n",
    }
    for part, text in texts.items():
        path = os.path.join(folder, part)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o600)

    def path(part):
        return os.path.join(folder, part)
    return [BIN + "/rabbitmq-server"], {
        "HOME": path("home"), "RABBITMQ_NODENAME": name, "RABBITMQ_CONFIG_FILE": path("rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_ENABLED_PLUGINS_FILE": path("enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": path("mnesia"), "RABBITMQ_LOG_BASE": path("log"),
        "RABBITMQ_PID_FILE": path("rabbit.pid"), "RABBITMQ_GENERATED_CONFIG_DIR": path("gen"),
        "RABBITMQ_DIST_PORT": str(dist_port), "ERL_EPMD_PORT": str(epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": LOCAL, "RABBITMQ_CTL_ERL_ARGS": LOCAL, "RUNNING_UNDER_SYSTEMD": "true"}
