#!/usr/bin/python3
"""A Modbus server made of Debian's pymodbus 3.0.0: a peer that shares no code with libmodbus.

    pymodbus_server.py --tcp PORT | --rtu PATH | --pty LINK  [--unit N] [--seconds N] [--registers FILE] [--commands]

The options, the values and the first line are those of modbus_server.c, beside this file.  --registers is this one's own: a
JSON list of runs, [{"table": "input", "start": 0, "values": [1, 2]}]; all other cells are 0 then.

So is --commands: each line of stdin changes as a whole what is answered from then on, and "ok" or "error: ..." is printed:

    holding 100 = 1 0xFFFF ; coil 3 = 1     (tables: holding input coil discrete)
    exception holding 100 = 4               (of reads that touch it; 0 ends it)
    silent = 1                              (nothing is answered; 0 ends it)

pymodbus's own serial server needs pyserial-asyncio, which Debian's package does not depend on; so
only its framers, its decoder and its data store are used, around a loop of ours.  Wrong checksums
and foreign units are pymodbus's to ignore.
"""

import argparse
import json
import logging
import os
import select
import signal
import socket
import sys
import time
import tty

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.exceptions import ModbusException
from pymodbus.factory import ServerDecoder
from pymodbus.pdu import ExceptionResponse
from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer

CELLS = 65536


def make_cells(registers):
    """The four tables: counting, or zero with the runs of a file."""
    if registers is None:
        bits = [bool(at & 1) for at in range(CELLS)]
        return {
            "coil": bits,
            "discrete": bits,
            "input": [(30000 + at) & 0xFFFF for at in range(CELLS)],
            "holding": [(40000 + at) & 0xFFFF for at in range(CELLS)],
        }
    cells = {table: [0] * CELLS for table in ("coil", "discrete", "input", "holding")}
    with open(registers, encoding="utf-8") as f:
        for run in json.load(f):
            start, values = run["start"], run["values"]
            cells[run["table"]][start : start + len(values)] = values
    return cells


def make_context(unit, any_unit, registers):
    cells = make_cells(registers)
    slave = ModbusSlaveContext(
        co=ModbusSequentialDataBlock(0, cells["coil"]),
        di=ModbusSequentialDataBlock(0, cells["discrete"]),
        ir=ModbusSequentialDataBlock(0, cells["input"]),
        hr=ModbusSequentialDataBlock(0, cells["holding"]),
        zero_mode=True,
    )
    if any_unit:
        return slave, ModbusServerContext(slaves=slave, single=True)
    return slave, ModbusServerContext(slaves={unit: slave}, single=False)


class Mood:
    """What is answered beside the cells, and the commands that change both."""

    TABLES = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}  # by function code

    def __init__(self, slave):
        self.slave, self.silent, self.exceptions, self.rest = slave, False, {}, ""

    def exception_of(self, request):
        if self.exceptions and hasattr(request, "count"):
            for at in range(request.address, request.address + request.count):
                code = self.exceptions.get((request.function_code, at))
                if code:
                    return ExceptionResponse(request.function_code, code)
        return None

    def obey(self, line):
        for command in line.split(";"):
            target, values = command.split("=")
            target, values = target.split(), [int(value, 0) for value in values.split()]
            if target[0] == "silent":
                self.silent = bool(values[0])
            elif target[0] == "exception":
                self.exceptions[self.TABLES[target[1]], int(target[2], 0)] = values[0]
            else:
                table = self.TABLES[target[0]]
                self.slave.setValues(table, int(target[1], 0), [bool(v) for v in values] if table < 3 else values)

    def hear(self, data):
        *lines, self.rest = (self.rest + data.decode()).split("\n")
        for line in lines:
            try:
                self.obey(line)
                print("ok", flush=True)
            except (ValueError, KeyError, IndexError) as error:
                print("error:", repr(error), flush=True)


class Stream:
    """One stream of bytes: a connection, or the serial line."""

    def __init__(self, framer, slave, mood, server, read, write):
        self.framer = framer(ServerDecoder())
        self.slave, self.mood, self.server = slave, mood, server
        self.read, self.write = read, write

    def serve(self):
        """Answers what has come; False when the stream has ended."""
        try:
            data = self.read(4096)
        except OSError:
            return False
        if not data:
            return False
        try:
            self.framer.processIncomingPacket(
                data, self.answer, unit=self.server.slaves(), single=self.server.single
            )
        except (ModbusException, IndexError, KeyError, ValueError):
            self.framer.resetFrame()
        return True

    def answer(self, request):
        if self.mood.silent:
            return
        response = self.mood.exception_of(request) or request.execute(self.slave)
        response.transaction_id = request.transaction_id
        response.unit_id = request.unit_id
        self.write(self.framer.buildPacket(response))


def open_pty(link):
    ours, other = os.openpty()
    tty.setraw(other)
    os.symlink(os.ttyname(other), link)
    return ours  # the other end stays open too: no hang-ups


def open_rtu(path):
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd)
    return fd


def serve(options, stop):
    slave, server = make_context(options.unit, options.tcp is not None, options.registers)
    streams, listener, mood = {}, None, Mood(slave)
    if options.tcp is not None:
        listener = socket.create_server(("127.0.0.1", options.tcp))
        print("ready", listener.getsockname()[1], flush=True)
    else:
        path = options.pty or options.rtu
        fd = open_pty(path) if options.pty else open_rtu(path)
        streams[fd] = Stream(
            ModbusRtuFramer,
            slave,
            mood,
            server,
            lambda n: os.read(fd, n),
            lambda data: os.write(fd, data),
        )
        print("ready", path, flush=True)
    end = time.monotonic() + options.seconds
    while (left := end - time.monotonic()) > 0:
        wanted = [stop, *streams] + ([listener] if listener else []) + ([0] if options.commands else [])
        readable = select.select(wanted, [], [], left)[0]
        if stop in readable:
            return
        for fd in readable:
            if fd == 0:
                data = os.read(0, 65536)
                options.commands = bool(data)
                mood.hear(data)
            elif fd is listener:
                peer = listener.accept()[0]
                streams[peer] = Stream(ModbusSocketFramer, slave, mood, server, peer.recv, peer.sendall)
            elif not streams[fd].serve() and listener:
                del streams[fd]
                fd.close()


def main():
    parser = argparse.ArgumentParser()
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--tcp", type=int)
    where.add_argument("--rtu")
    where.add_argument("--pty")
    parser.add_argument("--unit", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--registers")
    parser.add_argument("--commands", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    stop, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    try:
        serve(options, stop)
    finally:
        if options.pty and os.path.islink(options.pty):
            os.unlink(options.pty)
    return 0


if __name__ == "__main__":
    sys.exit(main())
