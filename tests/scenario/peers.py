"""Devices that count: each answer of a unit is one more than the one before, so that what arrives shows what was missed.

Serial buses are ptys that count how often the other side opens them, TCP hosts count their connections.  One thread
serves them all; `asked` and the counts only grow, the test reads them.
"""

import ctypes
import os
import select
import socket
import struct
import threading
import time
import tty

HANGUP_LOOK_S = 0.02
IN_OPEN, IN_CLOSE, IN_NONBLOCK = 0x20, 0x18, 0o4000  # inotify(7)
LIBC = ctypes.CDLL(None, use_errno=True)


def crc(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)


class Units:
    """What answers on one bus or host: registers of two words that hold the number of the answer."""

    def __init__(self):
        self.n = {}  # answers of each unit
        self.asked = {}  # instants at which each was asked
        self.held = {}  # holding registers that were written, by unit and number

    def answer(self, unit, function, at, count):
        """Function 6 writes a holding register (count is its value), 3 reads those; 4 counts."""
        if function == 6:
            self.held[(unit, at)] = count
            return struct.pack(">BBHH", unit, function, at, count)
        if function == 3:
            values = [self.held.get((unit, at + i), 0) for i in range(count)]
            return struct.pack(">BBB%dH" % count, unit, function, 2 * count, *values)
        self.n[unit] = self.n.get(unit, 0) + 1
        self.asked.setdefault(unit, []).append(time.monotonic())
        values = struct.pack(">I", self.n[unit]) * ((count + 1) // 2)
        return bytes([unit, function, 2 * count]) + values[:2 * count]

    def widest_gap(self, unit, since=0):
        times = [t for t in self.asked[unit] if t >= since]
        return max(b - a for a, b in zip(times, times[1:]))


class Serial(Units):
    def __init__(self, link):
        super().__init__()
        self.master, slave = os.openpty()
        tty.setraw(slave)
        os.symlink(os.ttyname(slave), link)
        self.slave = slave  # held until the gateway has opened it, or there would be a hangup already
        self.hung_until = None
        self.input = b""
        self.opened = 0
        # Both, for two events of one kind in a row are told as one.
        self.watch = LIBC.inotify_init1(IN_NONBLOCK)
        assert LIBC.inotify_add_watch(self.watch, os.ttyname(slave).encode(), IN_OPEN | IN_CLOSE) > 0

    def look(self):
        try:
            events = os.read(self.watch, 4096)
        except BlockingIOError:
            return
        while events:
            _, mask, _, n = struct.unpack("iIII", events[:16])
            self.opened += mask & IN_OPEN != 0
            events = events[16 + n:]

    def come(self):
        try:
            data = os.read(self.master, 4096)
        except OSError:
            return
        if self.slave is not None:
            os.close(self.slave)
            self.slave = None
        self.input += data
        while len(self.input) >= 8:
            frame = self.input[:8]
            if crc(frame[:6]) != frame[6:]:
                self.input = self.input[1:]
                continue
            self.input = self.input[8:]
            answer = self.answer(frame[0], frame[1], *struct.unpack(">HH", frame[2:6]))
            os.write(self.master, answer + crc(answer))


class Host(Units):
    def __init__(self):
        super().__init__()
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(16)
        self.port = self.listener.getsockname()[1]
        self.accepted = 0
        self.input = {}

    def come(self, client):
        try:
            data = client.recv(4096)
        except OSError:
            data = b""
        if not data:
            return False
        self.input[client] += data
        while len(self.input[client]) >= 12:
            frame, self.input[client] = self.input[client][:12], self.input[client][12:]
            answer = self.answer(frame[6], frame[7], *struct.unpack(">HH", frame[8:12]))
            client.sendall(frame[:4] + struct.pack(">H", len(answer)) + answer)
        return True


class Peers:
    def __init__(self, scenario):
        self.buses, self.hosts, self.clients = [], [], {}
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.scenario = scenario
        scenario.addCleanup(self.close)

    def start(self):
        self.thread.start()

    def serial(self, name):
        bus = Serial(self.scenario.path(name))
        self.buses.append(bus)
        return bus

    def host(self):
        host = Host()
        self.hosts.append(host)
        return host

    def close(self):
        self.ending.set()
        if self.thread.is_alive():
            self.thread.join(10)
        for bus in self.buses:
            os.close(bus.master)
            os.close(bus.watch)
            if bus.slave is not None:
                os.close(bus.slave)
        for client in self.clients.values():
            client[0].close()
        for host in self.hosts:
            host.listener.close()

    def run(self):
        while not self.ending.is_set():
            poll = select.poll()
            now, at = time.monotonic(), {}
            for bus in self.buses:
                if bus.hung_until is None or now >= bus.hung_until:
                    poll.register(bus.master, select.POLLIN)
                    at[bus.master] = bus
            for bus in self.buses:
                bus.look()
            for host in self.hosts:
                poll.register(host.listener, select.POLLIN)
                at[host.listener.fileno()] = host
            for fd in self.clients:
                poll.register(fd, select.POLLIN)
            for fd, events in poll.poll(20):
                self.serve(fd, events, at)

    def serve(self, fd, events, at):
        if fd in self.clients:
            client, host = self.clients[fd]
            if not host.come(client):
                del self.clients[fd]
                client.close()
            return
        one = at[fd]
        if isinstance(one, Host):
            client, _ = one.listener.accept()
            one.accepted += 1
            one.input[client] = b""
            self.clients[client.fileno()] = (client, one)
            return
        if events & select.POLLIN:
            one.come()
        if events & select.POLLHUP:
            one.hung_until = time.monotonic() + HANGUP_LOOK_S
        else:
            one.hung_until = None
