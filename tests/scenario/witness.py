"""A subscriber that counts exactly, for audits over broken connections and restarted brokers.

mosquitto_sub 2.0.11 itself loses and doubles QoS 2 messages when its broker restarts.  This one speaks MQTT 3.1.1 with
a session that lasts, connects again for ever, and keeps its half of the QoS 2 handshakes over connections: a message is
noted when its PUBLISH first comes, and again only after its PUBREL.  A broker that was killed may give an identifier
that is still held to another message; then the text differs, and it is a new one.

Thread: one of its own; the test reads `seen`, which only grows.
"""

import json
import socket
import struct
import threading
import time

from harness import PATIENCE, Subscriber, wait_until

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, PINGREQ = 1, 2, 3, 4, 5, 6, 7, 8, 9, 12
KEEPALIVE_S = 60


def text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def packet(first, body):
    n, length = len(body), b""
    while True:
        n, low = n >> 7, n & 127
        length += bytes([low | (128 if n else 0)])
        if not n:
            return bytes([first]) + length + body


def packets(data):
    """The whole packets at the start of data, each as its first byte and body, and how many bytes they are."""
    found, at = [], 0
    while len(data) - at >= 2:
        n, shift, end = 0, 0, at + 1
        while end < len(data) and shift < 28:
            byte = data[end]
            n |= (byte & 127) << shift
            shift += 7
            end += 1
            if byte < 128:
                break
        else:
            break
        if len(data) - end < n:
            break
        found.append((data[at], bytes(data[end:end + n])))
        at = end + n
    return found, at


def reading_id(payload):
    """(boot, number), or None of what is no reading."""
    if '"id":"' not in payload:
        return None
    boot, number = json.loads(payload)["id"].split("-")
    return boot, int(number)


class Witness(Subscriber):
    """Subscribed when it returns.  close() before the end of the test."""

    def __init__(self, scenario, port, topic, client="witness", host="127.0.0.1", user=None, password=None, qos=2):
        """port: or a list, the nodes of a cluster, each tried in turn when another is lost.  qos: what the broker must
        grant."""
        self.ports = port if isinstance(port, list) else [port]
        self.port, self.topic, self.client, self.host, self.qos = self.ports[0], topic, client, host, qos
        self.user = [user, password] if user else []
        self.seen = []  # (topic, payload, QoS, retained), in the order in which they came
        self.repeated = 0  # PUBLISH that came again within its handshake
        self.n_connects = self.n_sessions_lost = self.n_subscriptions = 0
        self.fault = None
        self.held = {}  # QoS 2, by identifier: PUBLISH came, PUBREL did not
        self.subscribed = threading.Event()
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        scenario.addCleanup(self.close)
        wait_until(self.subscribed.is_set, "the subscription of the witness")

    def close(self):
        self.ending.set()
        self.thread.join(PATIENCE)

    def messages(self):
        return self.seen[:]

    def live(self, gateway):
        """Waits until readings come that were taken from now on and are no replays: all that waited is through."""
        seen, now_ms = len(self.seen), time.time() * 1000

        def present():
            if not gateway.alive() or self.fault:
                raise AssertionError("%s\n%s" % (self.fault, gateway.text()))
            return any('"replayed"' not in payload and reading_id(payload) and json.loads(payload)["time"] > now_ms
                       for _, payload, _, _ in self.seen[max(seen, len(self.seen) - 200):])
        wait_until(present, "present readings", PATIENCE * 3)

    def quiet(self, seconds):
        """Waits until nothing has come for so long."""
        def nothing_new():
            seen = len(self.seen)
            time.sleep(seconds)
            return len(self.seen) == seen
        wait_until(nothing_new, "silence")

    def run(self):
        while not self.ending.is_set():
            try:
                with socket.create_connection((self.host, self.port), 2) as s:
                    self.converse(s)
            except OSError:
                pass
            except ValueError as error:
                self.fault = error
                return
            self.port = self.ports[(self.ports.index(self.port) + 1) % len(self.ports)]
            self.ending.wait(0.05)

    def converse(self, s):
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.settimeout(0.2)
        s.sendall(packet(CONNECT << 4, text("MQTT") + bytes([4, 0xc0 if self.user else 0]) +
                         struct.pack(">H", KEEPALIVE_S) + b"".join(map(text, [self.client] + self.user))))
        data, pinged = bytearray(), time.monotonic()
        while not self.ending.is_set():
            if time.monotonic() - pinged > KEEPALIVE_S / 3:
                s.sendall(packet(PINGREQ << 4, b""))
                pinged = time.monotonic()
            try:
                got = s.recv(65536)
            except socket.timeout:
                continue
            if not got:
                return
            data += got
            whole, n = packets(data)
            del data[:n]
            answer = b"".join(self.answer(first, body) for first, body in whole)
            while answer:  # a broker that is stopped takes nothing for a while, and loses nothing by it
                try:
                    answer = answer[s.send(answer):]
                except socket.timeout:
                    if self.ending.is_set():
                        return

    def answer(self, first, body):
        kind = first >> 4
        if kind == PUBLISH:
            return self.take(first, body)
        if kind == PUBREL:
            self.held.pop(body[:2], None)
            return packet(PUBCOMP << 4, body[:2])
        if kind == CONNACK:
            if body[1]:
                raise OSError("refused")
            self.n_connects += 1
            if body[0] & 1:
                return b""
            if self.n_connects > 1:
                self.n_sessions_lost += 1
            self.held.clear()
            return packet(SUBSCRIBE << 4 | 2, b"\x00\x01" + text(self.topic) + b"\x02")
        if kind == SUBACK:
            if body[2] != self.qos:
                raise ValueError("the broker grants QoS %d and not %d" % (body[2], self.qos))
            self.n_subscriptions += 1
            self.subscribed.set()
        return b""

    def take(self, first, body):
        qos, end = first >> 1 & 3, 2 + (body[0] << 8 | body[1])
        topic, identifier = body[2:end], body[end:end + 2] if qos else b""
        payload = body[end + len(identifier):]
        if qos == 2:
            if self.held.get(identifier) == (topic, payload):
                self.repeated += 1
                return packet(PUBREC << 4, identifier)
            self.held[identifier] = (topic, payload)
        self.seen.append((topic.decode(), payload.decode(), qos, bool(first & 1)))
        return packet((PUBACK if qos == 1 else PUBREC) << 4, identifier) if qos else b""
