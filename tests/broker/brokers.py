"""The real brokers, each on free ports of the loopback, with a folder of its own, and ended by its pid.

Each class says what Busferry may expect of its broker; docs/brokers.md tells the same in words.  A broker that is not on
this machine says so in missing(), and its tests are skipped, never passed.

Started as the packages' own scripts would not: in the foreground, so that the process in hand is the broker itself.  What
the packages may have started as services is left alone.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import rabbit_node
from harness import HERE, MOSQUITTO, PATIENCE, Process, free_port, wait_until

AEDES_VERSION = "1.2.0"
PASSWORD = "any"  # of a user whom nobody checks
START_S = PATIENCE * 4  # RabbitMQ takes 5 to 14 s on a quiet machine


def answers(port, user):
    """Does it answer CONNECT?  A port that accepts is not yet a broker."""
    body = b"\0\4MQTT\4" + bytes([0xc2 if user else 2]) + b"\0\x1e\0\5ready"
    for text in (user, PASSWORD) if user else ():
        body += len(text).to_bytes(2, "big") + text.encode()
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as s:
            s.settimeout(2)
            s.sendall(bytes([0x10, len(body)]) + body)
            answer = s.recv(4)
            s.sendall(b"\xe0\0")
            return answer[:1] == b"\x20" and answer[3:] == b"\0"
    except OSError:
        return False


class Broker:
    """One broker.  start() again after stop() is a restart: same port, same folder."""

    name = None
    mqtt5 = False        # speaks MQTT 5
    refusal5 = None      # else: how it is told that it does not
    qos2 = True          # QoS 2 exists
    durable = True       # sessions, and the messages that wait in them, outlive an orderly restart
    resumes = True       # a publisher without subscriptions finds its session again
    once = True          # a QoS 2 publish that is repeated within a session is delivered once
    mixes = False        # hands out what waited in a session behind or among what came later, or repeats it
    retains = True       # retained messages outlive an orderly restart
    every = "100ms"      # how often 30 metrics are read, so that it keeps up
    user = None          # a user name that it wants
    topic = staticmethod(lambda topic: topic)  # what becomes of a topic
    host = "127.0.0.1"

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="busferry-%s-" % self.name)
        self.port = free_port()
        self.process = None
        self.helpers = []
        self.n_starts = 0
        self.prepare()

    @classmethod
    def missing(cls):
        """Why it can't be tried here, or None."""
        raise NotImplementedError

    def prepare(self):
        pass

    def command(self):
        """What is run, and its environment."""
        raise NotImplementedError

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def start(self):
        argv, env = self.command()
        self.n_starts += 1
        self.process = Process(argv, self.path("out-%d" % self.n_starts), env)
        wait_until(lambda: answers(self.port, self.user) or not self.process.alive(), self.name + " answers", START_S)
        if not self.process.alive():
            raise AssertionError("%s ended:\n%s" % (self.name, self.process.text()[-3000:]))

    def stop(self, number=signal.SIGTERM):
        self.process.send(number)
        try:
            self.process.wait(START_S)
        except subprocess.TimeoutExpired:
            raise AssertionError("%s does not end:\n%s" % (self.name, self.process.text()[-3000:])) from None
        self.process.close()

    def end(self):
        for process in [self.process] + self.helpers:
            if process and process.alive():
                process.child.kill()
                process.child.wait()
            if process:
                process.close()
        shutil.rmtree(self.dir, True)


class Mosquitto(Broker):
    name = "mosquitto"
    mqtt5 = True
    mixes = True

    @classmethod
    def missing(cls):
        return None if MOSQUITTO else "no mosquitto on this machine"

    def prepare(self):
        os.mkdir(self.path("data"))
        self.write("mosquitto.conf", "\n".join([
            "listener %d 127.0.0.1" % self.port, "allow_anonymous true", "persistence true",
            "persistence_location %s/" % self.path("data"), "max_queued_messages 200000", "log_type error",
            "log_type warning"] + (["user root"] if os.getuid() == 0 else [])) + "\n")

    def command(self):
        return [MOSQUITTO, "-c", self.path("mosquitto.conf")], {}


class RabbitMQ(Broker):
    name = "rabbitmq"
    refusal5 = "closed by the broker without an answer; it may not speak MQTT 5"
    qos2 = False
    resumes = False
    topic = staticmethod(lambda topic: topic.replace(".", "/").replace("*", "+"))
    missing = staticmethod(rabbit_node.missing)

    def prepare(self):
        epmd = free_port()
        self.told = rabbit_node.prepare(self.dir, "busferry%d@localhost" % self.port, self.port, free_port(), free_port(), epmd)
        self.helpers.append(Process(rabbit_node.epmd(epmd), self.path("epmd.out")))

    def command(self):
        return self.told


class ActiveMQ(Broker):
    name = "activemq"
    refusal5 = "closed by the broker without an answer; it may not speak MQTT 5"
    resumes = False
    once = False
    retains = False
    every = "500ms"      # it writes each message to its disk before it acknowledges it
    home = "/usr/share/activemq"
    jar = "/usr/share/java/mqtt-client.jar"

    @classmethod
    def missing(cls):
        if not os.path.exists(cls.home + "/bin/activemq.jar") or not shutil.which("java"):
            return "no activemq on this machine"
        return None if os.path.exists(cls.jar) else "activemq without libmqtt-client-java speaks no MQTT"

    def prepare(self):
        for folder in ("lib", "data", "tmp"):
            os.mkdir(self.path(folder))
        os.symlink(self.jar, self.path("lib/mqtt-client.jar"))
        spring, core = "http://www.springframework.org/schema/beans", "http://activemq.apache.org/schema/core"
        self.write("activemq.xml", """<beans xmlns="%s" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="%s %s/spring-beans-2.0.xsd %s %s/activemq-core.xsd">
<broker xmlns="%s" useJmx="false" brokerName="busferry" dataDirectory="%s" persistent="true" schedulerSupport="false"
 advisorySupport="false">
<persistenceAdapter><kahaDB directory="%s" journalMaxFileLength="4mb"/></persistenceAdapter>
<systemUsage><systemUsage><memoryUsage><memoryUsage limit="64 mb"/></memoryUsage>
<storeUsage><storeUsage limit="256 mb"/></storeUsage><tempUsage><tempUsage limit="64 mb"/></tempUsage>
</systemUsage></systemUsage>
<transportConnectors><transportConnector name="mqtt" uri="mqtt://127.0.0.1:%d"/></transportConnectors>
</broker></beans>
""" % (spring, spring, spring, core, core, core, self.path("data"), self.path("data/kahadb"), self.port))
        self.write("log4j.properties", "\n".join([
            "log4j.rootLogger=WARN, A", "log4j.appender.A=org.apache.log4j.ConsoleAppender",
            "log4j.appender.A.layout=org.apache.log4j.PatternLayout",
            "log4j.appender.A.layout.ConversionPattern=%d %5p %c{1} %m%n"]) + "\n")

    def command(self):
        return ["java", "-Xms64m", "-Xmx256m", "-Djava.io.tmpdir=" + self.path("tmp"),
                "-Djava.net.preferIPv4Stack=true", "-Dactivemq.home=" + self.home, "-Dactivemq.base=" + self.dir,
                "-Dactivemq.conf=" + self.dir, "-Dactivemq.data=" + self.path("data"),
                "-Dlog4j.configuration=file:" + self.path("log4j.properties"), "-Dactivemq.classpath=" + self.dir,
                "-jar", self.home + "/bin/activemq.jar", "start", "xbean:file:" + self.path("activemq.xml")], {}


class Ejabberd(Broker):
    name = "ejabberd"
    mqtt5 = True
    durable = False
    user = "busferry"

    @classmethod
    def ebin(cls):
        libraries = "/usr/lib/%s-linux-gnu" % os.uname().machine
        if not os.path.isdir(libraries):
            return None
        found = sorted(name for name in os.listdir(libraries) if re.match(r"ejabberd-\d", name))
        return os.path.join(libraries, found[-1], "ebin") if found else None

    @classmethod
    def missing(cls):
        return None if cls.ebin() and shutil.which("erl") else "no ejabberd on this machine"

    def prepare(self):
        for folder in ("db", "log"):
            os.mkdir(self.path(folder))
        self.write("ejabberd.yml", """loglevel: warning
hosts: [localhost]
listen:
  - {port: %d, ip: "127.0.0.1", module: mod_mqtt, backlog: 1000}
auth_method: anonymous
anonymous_protocol: login_anon
allow_multiple_connections: true
acl: {local: {user_regexp: ""}}
modules: {mod_mqtt: {}}
""" % self.port)

    def command(self):
        # Without a node name: no distribution, no port mapper.
        return ["erl", "-noinput", "-mnesia", "dir", '"%s"' % self.path("db"), "-pa", self.ebin(), "-s", "ejabberd"], {
            "EJABBERD_CONFIG_PATH": self.path("ejabberd.yml"), "HOME": self.dir,
            "EJABBERD_LOG_PATH": self.path("log/ejabberd.log")}


class Aedes(Broker):
    """From npm, which test.sh asks for it (tests/packages.sh); BUSFERRY_AEDES is another place where it was put."""
    name = "aedes"
    refusal5 = "the broker does not speak this version of MQTT"
    durable = False
    resumes = False
    retains = False
    folder = os.environ.get("BUSFERRY_AEDES") or os.path.join(HERE, "..", "..", "build-test", "aedes")

    @classmethod
    def missing(cls):
        if not shutil.which("node"):
            return "no node on this machine"
        return None if os.path.isdir(os.path.join(cls.folder, "node_modules", "aedes")) else \
            "no aedes: npm install --prefix FOLDER aedes@%s, and FOLDER in BUSFERRY_AEDES" % AEDES_VERSION

    def prepare(self):
        os.symlink(os.path.abspath(os.path.join(self.folder, "node_modules")), self.path("node_modules"))
        self.write("broker.mjs", """import { Aedes } from 'aedes'
import net from 'node:net'
const broker = await Aedes.createBroker({})
const server = net.createServer(broker.handle)
process.on('SIGTERM', () => broker.close(() => { server.close(); process.exit(0) }))
server.listen(+process.argv[2], '127.0.0.1')
""")

    def command(self):
        return ["node", "--preserve-symlinks", "--preserve-symlinks-main", self.path("broker.mjs"), str(self.port)], {}


class Emqx(Broker):
    """By address, BUSFERRY_EMQX=HOST:PORT: it is in no archive.  It can't be stopped from here."""
    name = "emqx"
    mqtt5 = True
    durable = False

    @classmethod
    def missing(cls):
        return None if os.environ.get("BUSFERRY_EMQX") else "no EMQX: give its HOST:PORT in BUSFERRY_EMQX"

    def prepare(self):
        self.host, _, port = os.environ["BUSFERRY_EMQX"].rpartition(":")
        self.host, self.port = socket.gethostbyname(self.host), int(port)

    def start(self):
        pass

    def stop(self, number=signal.SIGTERM):
        raise AssertionError("a broker by address is not stopped")
