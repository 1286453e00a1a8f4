"""A pty on which everything goes wrong, in real time: no value comes from a frame that does not belong to its request.

Each value carries its unit, function, register and the number of the request that it answers.  A short while in every
run; BUSFERRY_HOSTILE_SECONDS=300 for minutes.
"""

import collections
import heapq
import json
import os
import random
import select
import threading
import time
import tty
import unittest

from harness import BUSFERRY, PATIENCE, Scenario, wait_until

SECONDS = float(os.environ.get("BUSFERRY_HOSTILE_SECONDS", "10"))
SEED = int(os.environ.get("BUSFERRY_HOSTILE_SEED", "1"))
# Shares of answers.
FAULTS = {"lost": .005, "late": .02, "slow": .02, "cut": .01, "noisy": .02, "exception": .02, "unit": .005, "length": .005,
          "glitch": .05, "split": .3}


def sealed(frame):
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return frame + bytes((crc & 0xFF, crc >> 8))


class Slaves(threading.Thread):
    """Units 1 to 4 on a pty, each of which answers in order; unit 4 is dead.  Another master asks them, too."""

    def __init__(self, link, echoes, seed):
        super().__init__(daemon=True)
        self.fd, self.other = os.openpty()
        tty.setraw(self.other)
        os.set_blocking(self.fd, False)
        os.symlink(os.ttyname(self.other), link)
        self.echoes, self.random = echoes, random.Random(seed)
        self.requests = [None]  # by number: (when, unit) of those of the gateway; None = another master's
        self.counts = collections.Counter()
        self.outgoing, self.free_at, self.n_sent = [], collections.defaultdict(float), 0
        self.ending = False

    def send_at(self, when, frame):
        pieces = [frame]
        if self.random.random() < FAULTS["split"] and len(frame) > 1:
            cut = self.random.randrange(1, len(frame))
            pieces = [frame[:cut], frame[cut:]]
        for i, piece in enumerate(pieces):
            self.n_sent += 1
            heapq.heappush(self.outgoing, (when + i * 0.004, self.n_sent, piece))

    def chance(self, what):
        hit = self.random.random() < FAULTS[what]
        self.counts[what] += hit
        return hit

    def answer(self, request, now, ours):
        unit, function = request[0], request[1]
        at, count = request[2] << 8 | request[3], request[4] << 8 | request[5]
        self.requests.append((now, unit) if ours else None)
        number = len(self.requests) - 1
        if unit not in (1, 2, 3) or self.chance("lost"):
            return
        words = []
        for cell in range(at, at + count):  # four of them make a value, wherever a read begins
            words.append((unit << 8 | function, at + (cell - at) // 4 * 4 if at % 4 == 0 else 0xFFFF,
                          number >> 16, number & 0xFFFF)[cell % 4])
        frame = bytes((unit, function, 2 * count)) + b"".join(word.to_bytes(2, "big") for word in words)
        delay, in_time = self.random.uniform(.002, .01), self.free_at[unit] <= now
        if self.chance("exception"):
            frame = bytes((unit, function | 0x80, self.random.choice((1, 4, 5, 6))))
        elif count > 1 and self.chance("length"):
            frame = bytes((unit, function, 2 * count - 2)) + frame[3:-2]
        elif ours and in_time and self.chance("unit"):
            frame = bytes((self.random.choice((5, 6, 7)),)) + frame[1:]
        if self.chance("late"):
            delay = self.random.uniform(.3, 2)
        elif self.chance("slow"):
            delay = self.random.uniform(.05, .15)
        frame = sealed(frame)
        if self.chance("cut"):
            frame = frame[:self.random.randrange(1, len(frame))]
        elif self.chance("noisy"):
            bit = self.random.randrange(8 * len(frame))
            frame = frame[:bit // 8] + bytes((frame[bit // 8] ^ 1 << bit % 8,)) + frame[bit // 8 + 1:]
        if self.chance("glitch"):
            frame = self.random.choice((b"\x00", b"\xff")) + frame
        when = max(now + delay, self.free_at[unit] + .005)
        self.free_at[unit] = when
        self.send_at(when, frame)

    def run(self):
        waiting, another_at = b"", time.time() + 1
        while not self.ending:
            now = time.time()
            while self.outgoing and self.outgoing[0][0] <= now:
                os.write(self.fd, heapq.heappop(self.outgoing)[2])
            if now >= another_at:  # another master, who asks what may be confused
                self.counts["foreign"] += 1
                request = sealed(bytes((self.random.choice((1, 2, 3, 9)), 4, 0, 4 * self.random.randrange(9), 0,
                                        self.random.choice((4, 12)))))
                os.write(self.fd, request)
                self.answer(request, now, False)
                another_at = now + self.random.uniform(.5, 1.5)
            next_at = min([another_at] + [o[0] for o in self.outgoing[:1]])
            ready, _, _ = select.select([self.fd], [], [], min(max(0, next_at - time.time()), .05))
            if not ready:
                continue
            try:
                waiting += os.read(self.fd, 256)
            except OSError:  # nobody has it open
                time.sleep(.01)
                continue
            while len(waiting) >= 8:
                request, waiting = waiting[:8], waiting[8:]
                if sealed(request[:6]) != request:
                    self.counts["not understood"] += 1
                    continue
                if self.echoes:
                    os.write(self.fd, request)
                self.answer(request, time.time(), True)

    def stop(self):
        self.ending = True
        self.join(PATIENCE)
        os.close(self.fd)
        os.close(self.other)


MAP = """
site: "h"
broker: "mqtt://127.0.0.1:1"
every: "100ms"
buses: {{ rs485: {{ port: "{port}"  line: "115200 8N1"  timeout: "300ms" }} }}
floors: {{
  one:   {{ d: {{ address: 1  metrics: {{
    a: {{ input: 0  type: "u64" }}  b: {{ input: 4  type: "u64" }}  c: {{ input: 8  type: "u64" }} }} }} }}
  two:   {{ d: {{ address: 2  max_gap: 0  metrics: {{
    a: {{ input: 0  type: "u64" }}  b: {{ input: 12  type: "u64" }}  c: {{ input: 24  type: "u64" }} }} }} }}
  three: {{ d: {{ address: 3  metrics: {{ a: {{ holding: 8  type: "u64" }} }} }} }}
  four:  {{ d: {{ address: 4  metrics: {{ a: {{ holding: 8  type: "u64" }} }} }} }}
}}
"""
WHERE = {"h/one/d/a": (1, 4, 0), "h/one/d/b": (1, 4, 4), "h/one/d/c": (1, 4, 8), "h/two/d/a": (2, 4, 0),
         "h/two/d/b": (2, 4, 12), "h/two/d/c": (2, 4, 24), "h/three/d/a": (3, 3, 8), "h/four/d/a": (4, 3, 8)}


class HostilePty(Scenario):
    def values(self, process):
        for line in process.text().splitlines():
            topic, _, payload = line.partition(" ")
            if topic in WHERE and payload.startswith("{") and payload.endswith("}"):
                reading = json.loads(payload)
                if "quality" not in reading:
                    yield topic, reading["value"], reading["time"]

    def check(self, topic, value, stamp, slaves):
        """Is it what that register showed in the answer to the last request before the reading's time?"""
        unit, function, at = WHERE[topic]
        number = value & 0xFFFFFFFF
        self.assertEqual((value >> 56, value >> 48 & 0xFF, value >> 32 & 0xFFFF), (unit, function, at), topic)
        self.assertLess(number, len(slaves.requests), topic)
        self.assertIsNotNone(slaves.requests[number], "%s: the answer to another master" % topic)
        for later in slaves.requests[number + 1:number + 2000]:
            if later and later[1] == unit:
                self.assertGreater(later[0] * 1000, stamp, "%s: the answer to request %d, late" % (topic, number))
                break

    def run_on(self, echoes):
        port = self.path("port-%d" % echoes)
        slaves = Slaves(port, echoes, SEED + echoes)
        slaves.start()
        self.addCleanup(slaves.stop)
        process = self.start([BUSFERRY, "run", "-c", self.write("map-%d.conf" % echoes, MAP.format(port=port)),
                              "--stdout"], "busferry-%d" % echoes)
        end = time.monotonic() + SECONDS
        wait_until(lambda: time.monotonic() > end or not process.alive(), "the time is over", SECONDS + PATIENCE)
        for topic in WHERE:  # cautious, not mute
            if not topic.startswith("h/four"):
                wait_until(lambda: sum(t == topic for t, _, _ in self.values(process)) >= 3, topic, 4 * PATIENCE)
        self.assertEqual(process.stop(), 0, process.text())
        slaves.ending = True
        slaves.join(PATIENCE)
        values = list(self.values(process))
        for topic, value, stamp in values:
            self.check(topic, value, stamp, slaves)
        self.assertFalse([t for t, _, _ in values if t.startswith("h/four")])
        self.assertGreater(sum(slaves.counts.values()), slaves.counts["foreign"])
        self.assertGreater(slaves.counts["foreign"], 0)
        print("%d values right, %d requests, %s" % (len(values), len(slaves.requests), dict(slaves.counts)))
        return process.text()

    def test_no_value_is_wrong(self):
        self.run_on(False)

    def test_nor_behind_an_adapter_that_echoes(self):
        self.assertIn("the adapter returns what is sent", self.run_on(True))


if __name__ == "__main__":
    unittest.main()
