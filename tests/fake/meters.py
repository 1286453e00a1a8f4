#!/usr/bin/env python3
"""Meters on a pty that mind what they are asked, as real ones do: the speed at which it comes, the bit that toggles, who is
selected.  What they hear and think of it is printed, a line each.

    meters.py optic --pty LINK --name "/LGZ4X" --readout FILE [--wake N] [--echo] [--damage N]
    meters.py mbus  --pty LINK --meters FILE
    meters.py sml   --pty LINK --script FILE

optic   a meter of IEC 62056-21: mode A, B or C by its name.  It hears at 300 Bd and sends its readout at the speed that was
        agreed, or garbage if the port has another one by then.  --damage: that one of its readouts has a wrong checksum.
mbus    JSON: [{"address": 3, "id": "10380010", "telegrams": ["68 …"]}, …]
sml     JSON: ["1b1b…", …], sent one after the other, again and again.
"""

import argparse
import fcntl
import json
import os
import pty
import select
import struct
import time
import tty

TCGETS2 = 0x802C542A  # struct termios2, which has any speed as a number


class Port:
    def __init__(self, link):
        self.fd, slave = pty.openpty()
        tty.setraw(slave)
        self.slave = slave
        os.symlink(os.ttyname(slave), link)
        self.heard = b""
        say("ready")

    def speed(self):
        return struct.unpack_from("I", fcntl.ioctl(self.fd, TCGETS2, bytes(44)), 40)[0]

    def listen(self, seconds):
        """What comes until the line is quiet for a moment."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        heard = b""
        while ready:
            heard += os.read(self.fd, 4096)
            ready, _, _ = select.select([self.fd], [], [], 0.03)
        return heard

    def send(self, data, piece=64):
        for i in range(0, len(data), piece):
            os.write(self.fd, data[i:i + piece])
            time.sleep(0.002)


def say(*words):
    print(*words, flush=True)


def checksum(data):
    result = 0
    for byte in data:
        result ^= byte
    return bytes([result])


def choice(name, answer):
    """The speed that was agreed on, or None."""
    if name[4] in "0123456":
        if len(answer) != 6 or answer[:2] != b"\x060" or answer[3:] != b"0\r\n":
            return None
        return 300 << (answer[2] - ord("0"))
    return 300 << (ord(name[4]) - ord("A") + 1) if name[4] in "ABCDEF" else 300


def optic(port, given):
    with open(given.readout, "rb") as f:
        body = f.read() + b"!\r\n\x03"
    n, awake = 0, given.wake == 0
    while True:
        heard = port.listen(0.2)
        if given.echo and heard:
            port.send(heard)
        if given.wake and heard.count(0) >= given.wake:
            awake = True
        if not heard.lstrip(b"\0"):
            continue
        if port.speed() != 300 or not awake or not heard.lstrip(b"\0").startswith(b"/?"):
            say("deaf", port.speed(), heard.hex())
            continue
        say("asked", heard.lstrip(b"\0").decode().strip())
        time.sleep(0.05)
        port.send(given.name.encode() + b"\r\n")
        answer = port.listen(2) if given.name[4] in "0123456" else b""
        if given.echo and answer:
            port.send(answer)
        speed = choice(given.name, answer)
        time.sleep(0.3)
        n += 1
        if speed is None or port.speed() != speed:
            say("garbled", port.speed(), answer.hex())
            port.send(bytes(byte ^ 0x55 for byte in body))
            continue
        say("readout", speed)
        damage = b"\x01" if n == given.damage else b"\x00"
        port.send(b"\x02" + body + bytes([checksum(body)[0] ^ damage[0]]))
        awake = given.wake == 0


class Slave:
    def __init__(self, told):
        self.address = told["address"]
        self.id = bytes.fromhex(told["id"])[::-1]
        self.telegrams = [bytes.fromhex(telegram) for telegram in told["telegrams"]]
        self.selected = False
        self.reset()

    def reset(self):
        self.bit, self.at = None, -1

    def answers(self, address):
        return address in (self.address, 254) or (address == 253 and self.selected)

    def asked(self, bit):
        if self.at < 0 or bit != self.bit:
            self.at += 1
        self.bit = bit
        return self.telegrams[self.at] if 0 <= self.at < len(self.telegrams) else b""


def mbus(port, given):
    with open(given.meters, encoding="utf-8") as f:
        slaves = [Slave(told) for told in json.load(f)]
    while True:
        heard = port.listen(0.2)
        if len(heard) == 5 and heard[0] == 0x10 and heard[4] == 0x16 and (heard[1] + heard[2]) & 255 == heard[3]:
            control, address = heard[1], heard[2]
            for slave in (slave for slave in slaves if slave.answers(address)):
                if control == 0x40:
                    slave.reset()
                    port.send(b"\xe5")
                    say("reset", address)
                elif control in (0x5B, 0x7B):
                    if slave.at < 0 and control == 0x5B:
                        say("untoggled", address)
                    port.send(slave.asked(control))
                    say("asked", address, slave.at)
        elif len(heard) == 17 and heard[4:7] == b"\x53\xfd\x52" and sum(heard[4:15]) & 255 == heard[15]:
            for slave in slaves:
                slave.selected = slave.id == heard[7:11] and heard[11:15] == b"\xff\xff\xff\xff"
                if slave.selected:
                    slave.reset()
                    port.send(b"\xe5")
                    say("selected", slave.id[::-1].hex())
        elif heard:
            say("deaf", heard.hex())


def sml(port, given):
    with open(given.script, encoding="utf-8") as f:
        files = [bytes.fromhex(file) for file in json.load(f)]
    while True:
        for i, file in enumerate(files):
            port.send(file, 1 if i % 2 else 50)
            time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["optic", "mbus", "sml"])
    parser.add_argument("--pty", required=True)
    parser.add_argument("--name")
    parser.add_argument("--readout")
    parser.add_argument("--wake", type=int, default=0)
    parser.add_argument("--echo", action="store_true")
    parser.add_argument("--damage", type=int, default=0)
    parser.add_argument("--meters")
    parser.add_argument("--script")
    given = parser.parse_args()
    {"optic": optic, "mbus": mbus, "sml": sml}[given.kind](Port(given.pty), given)


if __name__ == "__main__":
    main()
