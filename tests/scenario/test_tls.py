"""TLS and passwords of the whole program against a real mosquitto: what works, and what the log says of what does not, in
words that a person can act on.  Keys and certificates are made anew each time.
"""

import os
import shutil
import subprocess
import tempfile
import unittest

from harness import PATIENCE, SANITIZE, Scenario, free_port, preloaded, wait_until

PAST, FUTURE = ("20200101000000Z", "20200201000000Z"), ("20450101000000Z", "20450201000000Z")
NOW = ("20200101000000Z", "20450101000000Z")
NAMES = "IP:127.0.0.1,DNS:localhost"

AUTHORITY = """
[ca]
default_ca = own
[own]
database = {dir}/{name}.index
new_certs_dir = {dir}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""

# A certificate of the broker's, and what is wrong with it.  Told in these words when the authority "ca" is trusted.
WRONG = {
    "expired": "TLS: the broker's certificate has expired; trying",
    "early": "TLS: the broker's certificate is not yet valid: this machine's clock says 20",
    "misnamed": "TLS: the broker's certificate is not for the name HOST; trying",
    "stranger": "TLS: the broker's certificate is signed by an authority that is not in ca_file; trying",
    "lone": "TLS: the broker's certificate is signed by an authority that is not in ca_file; trying",
}
UNKNOWN = "TLS: the broker's certificate is signed by an authority that this system does not know (see ca_file); trying"

# A handshake that ends in the call that begins it, as now and then on the loopback.  A sanitizer has to be loaded first.
AT_ONCE = {} if SANITIZE else preloaded("handshake")


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE)
    if done.returncode:
        raise AssertionError(done.stderr)


class Certificates:
    """Two authorities and what they have signed: NAME.crt and NAME.key in a folder."""

    def __init__(self, folder):
        self.dir = folder
        for authority in ("ca", "other"):
            with open(self.path(authority + ".cnf"), "w", encoding="utf-8") as f:
                f.write(AUTHORITY.format(dir=folder, name=authority))
            with open(self.path(authority + ".index"), "w", encoding="utf-8"):
                pass
            self.make_lone(authority)
        self.make("good")
        self.make("expired", valid=PAST)
        self.make("early", valid=FUTURE)
        self.make("misnamed", san="DNS:broker.example")
        self.make("client")
        self.make("client-expired", valid=PAST)
        self.make("stranger", authority="other")
        self.make_lone("lone", "-addext", "subjectAltName=" + NAMES)

    def path(self, name):
        return os.path.join(self.dir, name)

    def make_lone(self, name, *options):
        """One that is signed by itself."""
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9",
                "-subj", "/CN=" + name, "-keyout", self.path(name + ".key"), "-out", self.path(name + ".crt"), *options)

    def make(self, name, authority="ca", san=NAMES, valid=NOW):
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=" + name,
                "-addext", "subjectAltName=" + san, "-keyout", self.path(name + ".key"), "-out", self.path(name + ".csr"))
        os.chmod(self.path(name + ".key"), 0o600)
        openssl("ca", "-batch", "-config", self.path(authority + ".cnf"), "-cert", self.path(authority + ".crt"),
                "-keyfile", self.path(authority + ".key"), "-in", self.path(name + ".csr"),
                "-out", self.path(name + ".crt"), "-notext", "-startdate", valid[0], "-enddate", valid[1])


class Tls(Scenario):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="busferry-test-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.certificates = Certificates(cls.folder)

    def file(self, name):
        return self.certificates.path(name)

    def start_gateway(self, name, url, settings, env=None):
        """An idle one, which only connects."""
        conf = self.write(name + ".conf", 'site: "s"\nbroker: { url: "%s"  client_id: "%s"  %s }\n' % (url, name, settings))
        os.makedirs(self.path(name + "-run"))
        return self.gateway(conf, env=dict({"RUNTIME_DIRECTORY": self.path(name + "-run")}, **(env or {})))

    def expect(self, cases):
        """cases: name -> (url, settings, words of the log, environment).  All run at once."""
        started = {name: self.start_gateway(name, url, settings, env[0] if env else None)
                   for name, (url, settings, _, *env) in cases.items()}
        for name, gateway in started.items():
            words = cases[name][2]
            with self.subTest(name):
                try:
                    wait_until(lambda g=gateway, w=words: w in g.text() or "; trying again" in g.text(), words)
                except AssertionError:
                    pass
                self.assertIn(words, gateway.text())
                if words != ": connected":
                    self.assertNotIn(": connected", gateway.text())
                self.assertEqual(gateway.stop(), 0)

    def listener(self, port, name):
        return "listener %d 127.0.0.1\ncertfile %s\nkeyfile %s\n" % (port, self.file(name + ".crt"), self.file(name + ".key"))

    def trust(self, name):
        return 'ca_file: "%s"  ' % self.file(name + ".crt")

    def test_a_brokers_certificate(self):
        ports = {name: free_port() for name in ("good", *WRONG)}
        self.broker(extra="allow_anonymous true\n" + "".join(self.listener(port, name) for name, port in ports.items()))
        for host in ("127.0.0.1", "localhost"):
            url = {name: "mqtts://%s:%d" % (host, port) for name, port in ports.items()}
            for how, env in (("", {}), ("-at-once", AT_ONCE)):
                cases = {
                    "sound": (url["good"], self.trust("ca"), ": connected", env),
                    "lone-trusted": (url["lone"], self.trust("lone"), ": connected", env),
                    "unknown": (url["good"], self.trust("other"), WRONG["stranger"], env),
                    "unknown-by-system": (url["good"], "", UNKNOWN, env),
                    "lone-by-system": (url["lone"], "", UNKNOWN, env),
                }
                for name, words in WRONG.items():
                    cases[name] = (url[name], self.trust("ca"), words.replace("HOST", host), env)
                self.expect({"%s-%s%s" % (name, host, how): case for name, case in cases.items()})

    def test_a_brokers_certificate_that_is_replaced(self):
        plain, ports = free_port(), {name: free_port() for name in WRONG}

        def restarted(broker, certificate):
            if broker:
                broker.stop()
            return self.broker(plain, "allow_anonymous true\n" + "".join(
                self.listener(port, certificate or name) for name, port in ports.items()))

        broker = restarted(None, "good")
        gateways = {(name, how): self.start_gateway(name + how, "mqtts://localhost:%d" % port, self.trust("ca"), env)
                    for name, port in ports.items() for how, env in (("", {}), ("-at-once", AT_ONCE))}
        for gateway in gateways.values():
            wait_until(lambda g=gateway: ": connected" in g.text(), "the connection")
        broker = restarted(broker, None)
        for (name, how), gateway in gateways.items():
            words = WRONG[name].replace("HOST", "localhost")
            with self.subTest(name + how):
                wait_until(lambda g=gateway: "TLS: " in g.text(), words)
                self.assertIn(words, gateway.text())
        broker = restarted(broker, "stranger")  # another fault in the same outage is told too
        for (name, how), gateway in gateways.items():
            with self.subTest(name + how):
                wait_until(lambda g=gateway: WRONG["stranger"] in g.text(), WRONG["stranger"])
        restarted(broker, "good")
        for gateway in gateways.values():
            wait_until(lambda g=gateway: " is back after " in g.text(), "the connection is back")
            self.assertEqual(gateway.stop(), 0)

    def test_an_old_server_and_none(self):
        """openssl speaks TLS 1.1 when it is told to; a port where nobody listens is told as without TLS."""
        old = free_port()
        server = self.start(["openssl", "s_server", "-accept", "127.0.0.1:%d" % old, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0",
                             "-cert", self.file("good.crt"), "-key", self.file("good.key")], "old", stdin=subprocess.PIPE)
        wait_until(lambda: "ACCEPT" in server.text(), "the old server")
        self.expect({
            "old": ("mqtts://127.0.0.1:%d" % old, self.trust("ca"), "TLS: the broker speaks no TLS 1.2 or newer; trying"),
            "none": ("mqtts://127.0.0.1:%d" % free_port(), self.trust("ca"), "Connection refused; trying"),
        })

    def test_certificates_of_ours(self):
        ports = {name: free_port() for name in ("good", "asking")}
        plain = self.broker(extra="allow_anonymous true\n%s%scafile %s\nrequire_certificate true\n" % (
            self.listener(ports["good"], "good"), self.listener(ports["asking"], "good"), self.file("ca.crt"))).port
        url = {name: "mqtts://127.0.0.1:%d" % port for name, port in ports.items()}
        ca = self.trust("ca")

        def own(cert, key=None):
            return ca + 'cert_file: "%s"  key_file: "%s"' % (self.file(cert + ".crt"), self.file((key or cert) + ".key"))

        credentials = self.path("credentials")
        os.makedirs(credentials)
        shutil.copy(self.file("client.key"), os.path.join(credentials, "tls-key"))
        self.expect({
            "sound": (url["good"], ca, ": connected"),
            "missing": (url["asking"], ca, "TLS: the broker asks for a certificate of ours (cert_file, key_file)"),
            "own": (url["asking"], own("client"), ": connected"),
            "own-by-credential": (url["asking"], ca + 'cert_file: "%s"  key_file: "credential:tls-key"' % self.file("client.crt"),
                                  ": connected", {"CREDENTIALS_DIRECTORY": credentials}),
            "own-expired": (url["asking"], own("client-expired"),
                            "TLS: the broker says that our certificate (cert_file) has expired"),
            "stranger": (url["asking"], own("stranger"),
                         "TLS: the broker does not know the authority of our certificate (cert_file)"),
            "mismatch": (url["asking"], own("client", "stranger"), "TLS: key_file can't be used, or does not belong to cert_file"),
            "tls-to-plain": ("mqtts://127.0.0.1:%d" % plain, ca, "TLS: closed within the handshake: a port without TLS"),
            "plain-to-tls": ("mqtt://127.0.0.1:%d" % ports["good"], "", "closed by the broker without an answer; it may want TLS"),
            "plain-to-tls-5": ("mqtt://127.0.0.1:%d" % ports["good"], "protocol: 5",
                               "it may not speak MQTT 5, or want TLS (mqtts://)"),
        })

    def test_passwords(self):
        users = self.path("users")
        subprocess.run(["mosquitto_passwd", "-b", "-c", users, "u", "right"], check=True, capture_output=True)
        os.chmod(users, 0o644)
        port = self.broker(extra="allow_anonymous false\npassword_file %s\n" % users).port
        url = "mqtt://127.0.0.1:%d" % port
        credentials = self.path("credentials")
        os.makedirs(credentials)
        for name, text in (("mqtt-password", "right\n"), ("other", "wrong\n")):
            with open(os.path.join(credentials, name), "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(os.path.join(credentials, name), 0o400)
        for name in ("right", "wrong"):
            os.chmod(self.write(name, name + "\n"), 0o600)
        given = {"CREDENTIALS_DIRECTORY": credentials}
        bad = ": not authorised"
        self.expect({
            "right": (url, 'user: "u"  password_file: "%s"' % self.path("right"), ": connected"),
            "wrong": (url, 'user: "u"  password_file: "%s"' % self.path("wrong"), bad),
            "none": (url, 'user: "u"', bad),
            "by-itself": (url, 'user: "u"', ": connected", given),
            "named": (url, 'user: "u"  password_file: "credential:mqtt-password"', ": connected", given),
            "named-wrong": (url, 'user: "u"  password_file: "credential:other"', bad, given),
            "file-first": (url, 'user: "u"  password_file: "%s"' % self.path("wrong"), bad, given),
            "environment": (url, 'user: "u"', ": connected", {"BUSFERRY_PASSWORD": "right"}),
            "credential-first": (url, 'user: "u"', ": connected", dict(given, BUSFERRY_PASSWORD="wrong")),
            "gone": (url, 'user: "u"  password_file: "credential:mqtt-password"',
                     "can't read the password file credential:mqtt-password"),
        })

    def test_a_password_is_never_told(self):
        """Taken or refused: it is not in the log at its most talkative, the command line, any message, the status, the file."""
        secret, users = "pl4nted-s3cret", self.path("users")
        subprocess.run(["mosquitto_passwd", "-b", "-c", users, "u", secret], check=True, capture_output=True)
        subprocess.run(["mosquitto_passwd", "-b", users, "other", "another"], check=True, capture_output=True)
        os.chmod(users, 0o644)
        port = self.broker(extra="allow_anonymous false\npassword_file %s\n" % users).port
        messages = self.subscriber(port, "#", ["-u", "u", "-P", secret])
        os.chmod(self.write("secret", secret + "\n"), 0o600)
        buffer = self.path("buffer.db")
        for user, words in (("u", ": connected"), ("other", ": not authorised")):
            conf = self.write(user + ".conf", 'site: "s"\nbroker: { url: "mqtt://127.0.0.1:%d"  user: "%s"  password_file: "%s" }\n'
                              'buffer: { path: "%s" }\n' % (port, user, self.path("secret"), buffer))
            gateway = self.gateway(conf, "--verbose")
            wait_until(lambda: words in gateway.text(), words)
            with open("/proc/%d/cmdline" % gateway.child.pid, "rb") as f:
                told = [f.read().decode()]
            for command in (["status", "-c", conf, "--json"], ["check", "-c", conf, "--json"], ["report", "-c", conf, "--stdout"]):
                done = self.command(*command)
                self.assertEqual(done.returncode, 0, done.stderr)
                told += [done.stdout, done.stderr]
            self.assertEqual(gateway.stop(), 0)
            with open(buffer, "rb") as f:
                told += [gateway.text(), f.read().decode("latin-1")]
            for text in told:
                self.assertNotIn(secret, text)
        self.assertIn("s/gateway/", messages.process.text())
        self.assertNotIn(secret, messages.process.text())

    def test_a_secret_that_others_can_read(self):
        credentials = self.path("credentials")
        os.makedirs(credentials)
        os.chmod(shutil.copy(self.file("client.key"), os.path.join(credentials, "tls-key")), 0o644)
        conf = self.write("map.conf", 'site: "s"\nbroker: { url: "mqtts://h"  cert_file: "%s"  key_file: "credential:tls-key" }\n' %
                          self.file("client.crt"))
        done = self.command("check", "-c", conf, env=dict(os.environ, CREDENTIALS_DIRECTORY=credentials))
        self.assertEqual(done.returncode, 78)
        self.assertIn("can be read by everybody", done.stderr)

    def test_a_client_id_that_another_has(self):
        port = self.broker().port
        url = "mqtt://127.0.0.1:%d" % port
        gateways = {protocol: self.start_gateway("twin%d" % protocol, url, "protocol: %d" % protocol) for protocol in (4, 5)}
        for protocol, gateway in gateways.items():
            wait_until(lambda g=gateway: ": connected" in g.text(), "the connection")
            self.start(["mosquitto_sub", "-p", str(port), "-i", "twin%d" % protocol, "-t", "x",
                        "-V", "5" if protocol == 5 else "311"], "twin-%d" % protocol)
        for gateway in gateways.values():  # the broker says it with MQTT 5 only, and not always
            wait_until(lambda g=gateway: "another client came with the same client id" in g.text() or
                       "if another client uses the same client id" in g.text(), "the other one is told of", PATIENCE * 3)


if __name__ == "__main__":
    unittest.main()
