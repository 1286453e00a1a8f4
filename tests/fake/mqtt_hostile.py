#!/usr/bin/python3
"""A broker that means no good, or is broken in a way that looks like it.

    mqtt_hostile.py PORT MODE

Says "ready" on stdout and runs until it is stopped.  It acknowledges nothing, so whatever a gateway has given to it must
arrive elsewhere.  What it does to each connection:
    no_connack     takes CONNECT and says nothing, for ever
    closes         closes at CONNECT
    half_connack   the first half of CONNACK, then nothing
    garbage        bytes that are no MQTT instead of CONNACK
    garbage_later  CONNACK, and bytes that are no MQTT at the first PUBLISH
    silent         CONNACK, then nothing: neither PUBACK nor PINGRESP; the kernel goes on taking bytes
    huge           CONNACK, then the head of a PUBLISH of 256 MB, a piece of it, and nothing more
    unknown_ids    CONNACK, and to each PUBLISH a PUBACK of an id that nobody has used; closes after two seconds of it
    half_packet    CONNACK, and half a PUBACK at the first PUBLISH, then closes
"""

import random
import socket
import sys
import threading
import time

PUBLISH = 3


def read(s, n):
    data = b""
    while len(data) < n:
        got = s.recv(n - len(data))
        if not got:
            raise EOFError
        data += got
    return data


def packet(s):
    """First byte and body of the next packet."""
    first, n, shift = read(s, 1)[0], 0, 0
    while True:
        byte = read(s, 1)[0]
        n |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return first, read(s, n)


def publish_id(s):
    """The id of the next PUBLISH at QoS 1 or 2."""
    while True:
        first, body = packet(s)
        if first >> 4 == PUBLISH and first & 6:
            at = 2 + (body[0] << 8 | body[1])
            return body[at] << 8 | body[at + 1]


def swallow(s):
    while s.recv(65536):
        pass


def treat(s, mode):
    noise = random.Random(7).randbytes(300)
    packet(s)
    if mode == "closes":
        return
    if mode == "half_connack":
        s.sendall(b"\x20\x02")
    elif mode == "garbage":
        s.sendall(noise)
    elif mode != "no_connack":
        s.sendall(b"\x20\x02\x00\x00")
    if mode == "garbage_later":
        publish_id(s)
        s.sendall(noise)
    elif mode == "huge":
        s.sendall(b"\x30\xff\xff\xff\x7f\x00\x01x" + b"y" * 100000)
    elif mode == "unknown_ids":
        end = time.monotonic() + 2
        while time.monotonic() < end:
            number = (publish_id(s) + 30000) % 65535 + 1
            s.sendall(b"\x40\x02" + number.to_bytes(2, "big"))
        return
    elif mode == "half_packet":
        publish_id(s)
        s.sendall(b"\x40\x02\x00")
        return
    swallow(s)


def serve(s, mode):
    try:
        with s:
            treat(s, mode)
    except (OSError, EOFError):
        pass


def main(port, mode):
    if mode not in __doc__:
        sys.exit("no such mode")
    listener = socket.create_server(("127.0.0.1", port), backlog=16)
    print("ready", flush=True)
    while True:
        s, _ = listener.accept()
        threading.Thread(target=serve, args=(s, mode), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
