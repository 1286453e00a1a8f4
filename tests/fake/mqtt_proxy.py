#!/usr/bin/python3
"""A network that goes wrong, between a gateway and its broker; and the record of what passed.

    mqtt_proxy.py LISTEN_PORT [BROKER_HOST:]BROKER_PORT LOG

Takes orders on stdin, one a line, and answers each with a line once it holds:
    flow       forwards
    hold       a black hole: neither reads nor forwards nor accepts, and closes nothing
    dribble    forwards one byte at a time
    cut c|s    the next packet of the client (c) or the broker (s) passes by half, then nothing: its receiver sees the
               end, its sender a reset
    end        ends

Each MQTT packet that was forwarded whole is a line of the log: connection, c or s, what it is, and of it
    PUBLISH id qos dup topic payload, CONNACK session-present code, other packets with an id their id.
A packet in the log has left this process; whether the other side has read it, nobody knows.
"""

import os
import selectors
import socket
import struct
import sys

NAMES = {1: "CONNECT", 2: "CONNACK", 3: "PUBLISH", 4: "PUBACK", 5: "PUBREC", 6: "PUBREL", 7: "PUBCOMP", 8: "SUBSCRIBE",
         9: "SUBACK", 10: "UNSUBSCRIBE", 11: "UNSUBACK", 12: "PINGREQ", 13: "PINGRESP", 14: "DISCONNECT"}
FULL = 256 * 1024  # no more is read from one side than this ahead of what the other takes


def packet_end(data, at):
    """Where the packet at `at` ends and its body begins; None while that can't be told."""
    n = shift = 0
    for i in range(at + 1, min(at + 5, len(data))):
        n |= (data[i] & 127) << shift
        shift += 7
        if data[i] < 128:
            return i + 1 + n, i + 1
    return None


def told(data, at, body, end):
    """The words of the log for a packet."""
    kind = data[at] >> 4
    words = NAMES.get(kind, str(kind))
    if kind == 3:
        qos, topic_end = data[at] >> 1 & 3, body + 2 + (data[body] << 8 | data[body + 1])
        identifier = data[topic_end] << 8 | data[topic_end + 1] if qos else 0
        return "%s %d %d %d %s %s" % (words, identifier, qos, data[at] >> 3 & 1, data[body + 2:topic_end].decode(),
                                      data[topic_end + (2 if qos else 0):end].decode())
    if kind == 2:
        return "%s %d %d" % (words, data[body] & 1, data[body + 1])
    if 4 <= kind <= 11:
        return "%s %d" % (words, data[body] << 8 | data[body + 1])
    return words


class Side:
    """One direction of a connection: what came from `source` and has not left to `sink`."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.data = bytearray()
        self.sent = 0  # bytes of the first packet in data that have left; below 0 there is none
        self.ended = False  # the source has


class Proxy:
    def __init__(self, listen, target, log):
        self.target = target
        self.log = open(log, "w", encoding="utf-8", errors="backslashreplace")
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", listen), backlog=16)
        self.listener.setblocking(False)
        self.order, self.cut, self.n, self.running = "flow", None, 0, True
        self.connections = {}  # number: {"c": Side, "s": Side}
        self.orders = bytearray()

    def accept(self):
        try:
            client, _ = self.listener.accept()
        except BlockingIOError:
            return
        try:
            broker = socket.create_connection(self.target, 1)
        except OSError:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            return
        for s in (client, broker):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.setblocking(False)
        self.n += 1
        self.connections[self.n] = {"c": Side(client, broker), "s": Side(broker, client)}

    def reset(self, number):
        for side in self.connections.pop(number).values():
            if side.source.fileno() >= 0:
                side.source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                side.source.close()

    def forward(self, number, name, side):
        """Sends what the sink takes.  False when the connection is gone."""
        while side.data:
            ends = packet_end(side.data, 0)
            whole = ends and ends[0] <= len(side.data)
            if self.cut == name and whole and side.sent == 0:
                side.sink.send(side.data[:ends[0] // 2])
                side.sink.close()
                self.cut = None
                self.log.write("%d %s TORN\n" % (number, name))
                self.reset(number)
                return False
            at = 0
            while True:  # how far whole packets go
                ends = packet_end(side.data, at)
                if not ends or ends[0] > len(side.data):
                    break
                at = ends[0]
                if self.order == "dribble" or self.cut == name:
                    break
            if not at:
                return True
            try:
                n = side.sink.send(side.data[side.sent:side.sent + 1 if self.order == "dribble" else at])
            except BlockingIOError:
                return True
            side.sent += n
            self.note(number, name, side)
        return True

    def note(self, number, name, side):
        """Packets that have left are told and forgotten."""
        at = 0
        while True:
            ends = packet_end(side.data, at)
            if not ends or ends[0] > side.sent:
                break
            self.log.write("%d %s %s\n" % (number, name, told(side.data, at, ends[1], ends[0])))
            at = ends[0]
        del side.data[:at]
        side.sent -= at

    def serve(self, number, name, side, readable):
        try:
            if readable:
                got = side.source.recv(65536)
                side.data += got
                side.ended = not got
            if not self.forward(number, name, side):
                return
            if side.ended:
                self.reset(number)
        except OSError:
            self.reset(number)

    def obey(self):
        got = os.read(0, 4096)
        if not got:
            self.running = False
        self.orders += got
        while b"\n" in self.orders:
            order, _, rest = self.orders.partition(b"\n")
            self.orders = bytearray(rest)
            words = order.decode().split()
            if words[0] == "cut":
                self.cut = words[1]
            elif words[0] == "end":
                self.running = False
            else:
                self.order, self.cut = words[0], None
            self.log.flush()
            print("ok " + " ".join(words), flush=True)

    def watched(self):
        """What is to be waited for, as (file, events, number, name)."""
        yield 0, selectors.EVENT_READ, 0, "order"
        if self.order == "hold":
            return
        yield self.listener, selectors.EVENT_READ, 0, "accept"
        for number, sides in self.connections.items():
            for name, other in (("c", "s"), ("s", "c")):
                events = selectors.EVENT_READ if len(sides[name].data) < FULL else 0
                if sides[other].data and packet_end(sides[other].data, 0) and \
                        packet_end(sides[other].data, 0)[0] <= len(sides[other].data):
                    events |= selectors.EVENT_WRITE
                if events:
                    yield sides[name].source, events, number, name

    def run(self):
        print("ready", flush=True)
        while self.running:
            wanted = {}
            for file, events, number, name in self.watched():
                self.selector.register(file, events, (number, name))
                wanted[file] = events
            ready = self.selector.select()
            for file in wanted:
                self.selector.unregister(file)
            for key, events in ready:
                number, name = key.data
                if name == "order":
                    self.obey()
                elif self.order == "hold":
                    break
                elif name == "accept":
                    self.accept()
                else:
                    if number in self.connections and events & selectors.EVENT_READ:
                        self.serve(number, name, self.connections[number][name], True)
                    if number in self.connections and events & selectors.EVENT_WRITE:
                        other = "s" if name == "c" else "c"
                        self.serve(number, other, self.connections[number][other], False)
            self.log.flush()
        self.log.close()


if __name__ == "__main__":
    host, _, port = sys.argv[2].rpartition(":")
    Proxy(int(sys.argv[1]), (host or "127.0.0.1", int(port)), sys.argv[3]).run()
