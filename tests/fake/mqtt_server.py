"""An MQTT server that misbehaves as it is told, for MQTT 3.1.1 and 5: one listener, a thread a connection.

What it is told (keywords of Server):
    refuse      reasons of CONNACK, one a connection, then it accepts
    properties  of CONNACK (MQTT 5), as {identifier: number}
    answers     {topic: [reason, ...]}: of PUBACK (QoS 1) or PUBREC (QoS 2) to messages on the topic, then 0
    unreleased  more QoS 2 messages than this without their PUBREL end the connection (EMQX: 100; MQTT 5: 0x93)
    levels      a topic of more levels ends the connection (EMQX: 128; MQTT 5: 0x90)
    largest     so does a larger packet (EMQX: 1048576; MQTT 5: 0x95)
    no_retain, max_qos  a will that is retained, or of a higher QoS, is refused with 0x9A, 0x9B (MQTT 5)
    goodbye     (reason, topic): a connection is ended, once, at the first message on the topic, which is not answered; with
                the reason in MQTT 5, without one when it is 0
    withheld    so many connections get no acknowledgement of a message; pings are answered
    no_aliases  ends the connection at each that has a topic alias, whatever was offered (0x94)
    patience    acknowledges only when nothing came for so long: so the most that the client has in flight is seen

As EMQX 4.4 was measured: a session outlives its connection, and knows its QoS 2 messages: what is sent again is
answered with 0x91, a PUBREL that is not known with 0x92 (MQTT 5).

What it tells: messages, n_connects, most_in_flight, sessions.

Thread: its own; the test reads, and the lists only grow.
"""

import socket
import struct
import threading

RECEIVE_MAXIMUM, TOPIC_ALIAS_MAXIMUM, MAXIMUM_QOS, RETAIN_AVAILABLE, MAXIMUM_PACKET = 0x21, 0x22, 0x24, 0x25, 0x27
WIDTH = {RECEIVE_MAXIMUM: ">H", TOPIC_ALIAS_MAXIMUM: ">H", MAXIMUM_QOS: ">B", RETAIN_AVAILABLE: ">B",
         MAXIMUM_PACKET: ">I"}
EXPIRY, CONTENT_TYPE, TOPIC_ALIAS, USER_PROPERTY = 0x02, 0x03, 0x23, 0x26


class Gone(Exception):
    """The connection is over."""


def varint(n):
    out = b""
    while True:
        n, low = n >> 7, n & 127
        out += bytes([low | (128 if n else 0)])
        if not n:
            return out


class Body:
    """A packet's body, read from its front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def bytes(self, n):
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.bytes(n), "big")

    def text(self):
        return self.bytes(self.number(2)).decode()

    def varint(self):
        n = shift = 0
        while True:
            byte = self.number(1)
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n

    def rest(self):
        return self.bytes(len(self.data) - self.at)


class Message:
    def __init__(self, first, body, mqtt5, size):
        self.qos, self.retain, self.dup, self.size = first >> 1 & 3, bool(first & 1), bool(first & 8), size
        self.topic = body.text()
        self.id = body.number(2) if self.qos else 0
        self.content_type = self.expiry = self.alias = None
        self.bare, self.answered = not self.topic, False
        self.user = {}
        if mqtt5:
            self.take_properties(Body(body.bytes(body.varint())))
        self.payload = body.rest().decode("utf-8", "replace")

    def take_properties(self, properties):
        while properties.at < len(properties.data):
            kind = properties.varint()
            if kind == EXPIRY:
                self.expiry = properties.number(4)
            elif kind == CONTENT_TYPE:
                self.content_type = properties.text()
            elif kind == TOPIC_ALIAS:
                self.alias = properties.number(2)
            elif kind == USER_PROPERTY:
                name = properties.text()
                self.user[name] = properties.text()
            else:
                raise ValueError("property %d of PUBLISH" % kind)


class Session:
    """What is remembered of a client id."""

    def __init__(self):
        self.unreleased = set()


class Server:
    def __init__(self, refuse=(), properties=None, answers=None, unreleased=None, levels=None, largest=None,
                 no_retain=False, max_qos=2, goodbye=None, patience=0, no_aliases=False, withheld=0):
        self.refuse, self.properties, self.answers = list(refuse), properties or {}, answers or {}
        self.unreleased, self.levels, self.largest = unreleased, levels, largest
        self.no_retain, self.max_qos, self.goodbye, self.patience = no_retain, max_qos, goodbye, patience
        self.no_aliases, self.withheld = no_aliases, withheld
        self.messages, self.wills, self.faults, self.sessions = [], [], [], {}
        self.n_connects = self.most_in_flight = self.most_unreleased = self.n_known = self.n_not_known = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self.listener.getsockname()[1]
        self.ending = False
        self.threads = [threading.Thread(target=self.run, daemon=True)]
        self.threads[0].start()

    def close(self):
        self.ending = True
        for thread in self.threads:
            thread.join(10)
        self.listener.close()

    def run(self):
        self.listener.settimeout(0.1)
        while not self.ending:
            try:
                s, _ = self.listener.accept()
            except socket.timeout:
                continue
            self.threads.append(threading.Thread(target=Connection(self, s).run, daemon=True))
            self.threads[-1].start()


class Connection:
    def __init__(self, server, s):
        self.server, self.s = server, s
        self.data = b""
        self.answers = []  # that wait for silence
        self.mqtt5 = False
        self.session = None
        self.aliases = {}
        self.in_flight = 0

    def run(self):
        with self.s:
            self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self.connect()
                while True:
                    self.serve(*self.packet())
            except (Gone, OSError):
                pass
            except (IndexError, ValueError, struct.error) as error:
                self.server.faults.append(repr(error))

    def read(self, n):
        while len(self.data) < n:
            self.s.settimeout(self.server.patience if self.answers else 0.1)
            try:
                got = self.s.recv(65536)
            except socket.timeout:
                if self.server.ending:
                    raise Gone() from None
                self.flush()
                continue
            if not got:
                raise Gone()
            self.data += got
        taken, self.data = self.data[:n], self.data[n:]
        return taken

    def packet(self):
        first, n, shift = self.read(1)[0], 0, 0
        while True:
            byte = self.read(1)[0]
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return first, Body(self.read(n)), n + 1 + shift // 7

    def send(self, first, body):
        self.s.sendall(bytes([first]) + varint(len(body)) + body)

    def answer(self, first, body):
        self.answers.append((first, body))
        if not self.server.patience:
            self.flush()

    def flush(self):
        answers, self.answers = self.answers, []
        for first, body in answers:
            self.send(first, body)
            self.in_flight -= first >> 4 in (4, 7)

    def end(self, reason):
        if self.mqtt5 and reason:
            self.send(0xe0, bytes([reason]))
        raise Gone()

    def connect(self):
        server = self.server
        first, body, _ = self.packet()
        if first != 0x10:
            server.faults.append("the first packet is %#x" % first)
            raise Gone()
        body.text()
        self.mqtt5, flags, _ = body.number(1) == 5, body.number(1), body.number(2)
        if self.mqtt5:
            body.bytes(body.varint())
        client = body.text()
        reason = 0
        if flags & 4:
            if self.mqtt5:
                body.bytes(body.varint())
            server.wills.append((body.text(), body.bytes(body.number(2)).decode(), flags >> 3 & 3, bool(flags & 0x20)))
            if flags & 0x20 and server.no_retain:
                reason = 0x9a
            elif (flags >> 3 & 3) > server.max_qos:
                reason = 0x9b
        if not reason and server.refuse:
            reason = server.refuse.pop(0)
        present = not reason and not flags & 2 and client in server.sessions
        if flags & 2:  # one that ends with its connection
            server.sessions.pop(client, None)
        self.session = Session() if flags & 2 else server.sessions.setdefault(client, Session())
        properties = b"".join(bytes([kind]) + struct.pack(WIDTH[kind], value) for kind, value in
                              server.properties.items())
        self.send(0x20, bytes([present, reason]) + (varint(len(properties)) + properties if self.mqtt5 else b""))
        if reason:
            raise Gone()
        server.n_connects += 1

    def serve(self, first, body, size):
        kind = first >> 4
        if kind == 3:
            self.publish(Message(first, body, self.mqtt5, size))
        elif kind == 6:
            identifier = body.number(2)
            known = identifier in self.session.unreleased
            self.session.unreleased.discard(identifier)
            self.server.n_not_known += not known
            self.answer(0x70, struct.pack(">H", identifier) + (b"\x92" if self.mqtt5 and not known else b""))
        elif kind in (8, 10):  # of one filter; nothing is ever delivered
            code = b"\0" if kind == 8 or self.mqtt5 else b""
            self.send((kind + 1) << 4, body.bytes(2) + (b"\0" if self.mqtt5 else b"") + code)
        elif kind == 12:
            self.send(0xd0, b"")
        elif kind == 14:
            raise Gone()
        else:
            self.server.faults.append("packet %d" % kind)

    def alias(self, message):
        """The topic of a message that has an alias; one that can't be is answered as the standard wants it."""
        server = self.server
        if message.alias is not None and not 1 <= message.alias <= server.properties.get(TOPIC_ALIAS_MAXIMUM, 0):
            server.faults.append("alias %d" % message.alias)
            self.end(0x94)
        if message.alias and server.no_aliases:
            self.end(0x94)
        if message.topic and message.alias:
            self.aliases[message.alias] = message.topic
        elif not message.topic:
            message.topic = self.aliases.get(message.alias)
            if not message.topic:
                server.faults.append("alias %s means nothing" % message.alias)
                self.end(0x82)

    def publish(self, message):
        server = self.server
        self.alias(message)
        if server.levels and message.topic.count("/") >= server.levels:
            self.end(0x90)
        if server.largest and message.size > server.largest:
            self.end(0x95)
        if message.qos > server.properties.get(MAXIMUM_QOS, 2):
            server.faults.append("QoS %d" % message.qos)
        if message.retain and not server.properties.get(RETAIN_AVAILABLE, 1):
            server.faults.append("retained")
        if message.size > server.properties.get(MAXIMUM_PACKET, message.size):
            server.faults.append("%d bytes" % message.size)
        self.in_flight += message.qos > 0
        server.most_in_flight = max(server.most_in_flight, self.in_flight)
        if self.in_flight > server.properties.get(RECEIVE_MAXIMUM, 65535):
            server.faults.append("more in flight than the server takes")
            self.end(0x93)
        reasons = server.answers.get(message.topic)
        reason = reasons.pop(0) if reasons and message.qos else 0
        known = message.qos == 2 and message.id in self.session.unreleased
        if message.qos == 2 and reason < 0x80:
            self.session.unreleased.add(message.id)
            server.most_unreleased = max(server.most_unreleased, len(self.session.unreleased))
            if server.unreleased and len(self.session.unreleased) > server.unreleased:
                self.session.unreleased.discard(message.id)
                self.end(0x93)
        if known:
            server.n_known += 1
            reason = 0x91
        elif reason < 0x80:
            server.messages.append(message)
        if message.qos == 2 and reason >= 0x80:
            self.in_flight -= 1
        if server.goodbye and server.goodbye[1] == message.topic:
            (end_reason, _), server.goodbye = server.goodbye, None
            self.end(end_reason)
        if server.n_connects <= server.withheld:
            return
        message.answered = True
        if message.qos:
            self.answer(0x40 if message.qos == 1 else 0x50, struct.pack(">H", message.id) +
                        (bytes([reason]) if self.mqtt5 and reason else b""))
