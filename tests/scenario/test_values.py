"""What every key of a metric does, by values at its edges: from the registers of a Modbus device that is not ours to the exact
text of the message.

The registers are set while the gateway runs.  A step sets them together with a counter that is polled last, and waits until that
was told twice: by then a whole round was read after the change.  Metrics have `deadband: 0` unless they are about something
else, so a step tells what has changed and nothing more.
"""

import os
import re
import signal
import struct
import subprocess
import unittest

from harness import HERE, Scenario, free_port, wait_until

SERVER = ["/usr/bin/python3", "-B", os.path.join(HERE, "..", "fake", "pymodbus_server.py")]
TICK = 65000


def pack(form, *values):
    """Registers of a number, high word first."""
    data = struct.pack(">" + form, *values)
    return list(struct.unpack(">%dH" % (len(data) // 2), data))


def text(data, n):
    return list(struct.unpack(">%dH" % n, data.ljust(2 * n, b"\0")))


def good(value, unit=None):
    return '{"value":%s,%s"time":T}' % (value, '"unit":"%s",' % unit if unit else "")


def bad(quality, unit=None):
    return '{"value":null,"quality":%s,%s"time":T}' % (quality, '"unit":"%s",' % unit if unit else "")


INVALID = bad('"invalid"')
RANGE = bad('"range"')

# (keys, steps): registers and what is told, None for nothing.
TABLE = {
    # scale, offset, decimals
    "scale": ('type: "s16"  scale: 0.1  unit: "°C"', [
        ([231], good("23.1", "°C")), ([0xFF9C], good("-10", "°C")), ([0], good("0", "°C")), ([0x7FFF], good("3276.7", "°C")),
        ([0x8000], good("-3276.8", "°C")), ([3], good("0.3", "°C"))]),
    "offset": ("scale: 0.01  offset: -40", [
        ([6543], good("25.43")), ([4000], good("0")), ([3999], good("-0.01")), ([65535], good("615.35")), ([0], good("-40"))]),
    "offset_only": ("offset: -0.5", [([0], good("-0.5")), ([1], good("0.5")), ([65535], good("65534.5"))]),
    "offset_finer": ("scale: 0.1  offset: 0.05", [([1], good("0.15")), ([0], good("0.05"))]),
    "scale_negative": ("scale: -0.1", [([0], good("0")), ([5], good("-0.5"))]),
    "scale_tens": ("scale: 10", [([7], good("70")), ([65535], good("655350"))]),
    "scale_tiny": ("scale: 0.000001", [([1], good("1e-6")), ([65535], good("0.065535")), ([0], good("0"))]),
    "decimals": ("scale: 0.001  decimals: 1", [
        ([1249], good("1.2")), ([1251], good("1.3")), ([40], good("0")), ([2000], good("2")), ([65535], good("65.5"))]),
    "decimals_more": ("scale: 0.1  decimals: 3", [([1], good("0.1")), ([65535], good("6553.5"))]),
    "decimals_float": ('type: "f32"  decimals: 0', [
        (pack("f", 230.6), good("231")), (pack("f", 0.4), good("0")), (pack("f", -0.4), good("0")), (pack("f", -1.6), good("-2"))]),
    "power": ('type: "s16"  scale_from: {next}', [
        ([2305, 0xFFFF], good("230.5")), ([3, 0xFFFF], good("0.3")), ([3, 0], good("3")), ([3, 2], good("300")),
        ([0xFFFD, 0xFFFE], good("-0.03")), ([3, 0x8000], INVALID), ([3, 10], good("30000000000")), ([3, 11], INVALID),
        ([3, 0xFFF6], good("3e-10"))]),
    "power_scale": ('scale: 0.1  scale_from: {next}  decimals: 4', [([3, 0xFFFF], good("0.03")), ([3, 1], good("3"))]),
    "power_implied": ("scale: 0.1  scale_from: {next}", [([3, 0xFFFF], good("0.03")), ([7, 0], good("0.7")), ([7, 2], good("70"))]),
    "power_before": ('scale_from: {first}', [([0xFFFF, 7], good("0.7"))]),

    # the types
    "u16": ("", [([65535], good("65535")), ([0], good("0"))]),
    "s16": ('type: "s16"', [([0xFFFF], good("-1")), ([0x8000], good("-32768")), ([0x7FFF], good("32767"))]),
    "u8": ('type: "u8"', [([0x12FF], good("255")), ([0xFF00], good("0"))]),
    "s8": ('type: "s8"', [([0x12FF], good("-1")), ([0x0080], good("-128")), ([0xFF7F], good("127"))]),
    "u24": ('type: "u24"', [([0x00FF, 0xFFFF], good("16777215")), ([0xAB00, 1], good("1"))]),
    "u32": ('type: "u32"', [([0xFFFF, 0xFFFF], good("4294967295")), ([0x1234, 0x5678], good("305419896"))]),
    "u32_words": ('type: "u32"  words: "little"', [([0x5678, 0x1234], good("305419896"))]),
    "u32_bytes": ('type: "u32"  bytes: "little"', [([0x3412, 0x7856], good("305419896"))]),
    "u32_both": ('type: "u32"  words: "little"  bytes: "little"', [([0x7856, 0x3412], good("305419896"))]),
    "s32": ('type: "s32"', [([0x8000, 0], good("-2147483648")), ([0xFFFF, 0xFFFF], good("-1")), ([0x7FFF, 0xFFFF], good("2147483647"))]),
    "u64": ('type: "u64"', [
        (pack("Q", 2**64 - 1), good("18446744073709551615")), (pack("Q", 2**53 + 1), good("9007199254740993")),
        (pack("Q", 0), good("0"))]),
    "u64_words": ('type: "u64"  words: "little"', [([4, 3, 2, 1], good(str(1 << 48 | 2 << 32 | 3 << 16 | 4)))]),
    "u64_scaled": ('type: "u64"  scale: 0.001  unit: "kWh"', [(pack("Q", 12345678901234), good("12345678901.234", "kWh"))]),
    "s64": ('type: "s64"', [
        (pack("q", -2**63), good("-9223372036854775808")), (pack("q", 2**63 - 1), good("9223372036854775807")), (pack("q", -1), good("-1"))]),
    "f16": ('type: "f16"', [
        ([0x3C00], good("1")), ([0x3555], good("0.3333")), ([0x7BFF], good("65500")), ([0x8000], good("0")), ([0x7C00], INVALID),
        ([0x7E00], None), ([0x0001], good("6e-8"))]),
    "f32": ('type: "f32"', [
        (pack("f", 230.1), good("230.1")), (pack("f", -0.0), good("0")), (pack("f", 1e-45), good("1e-45")),
        (pack("f", 3.4028234663852886e38), good("3.4028235e38")), (pack("f", float("nan")), INVALID),
        (pack("f", float("inf")), None), (pack("f", 16777216), good("16777216")), (pack("f", -float("inf")), INVALID),
        (pack("f", 0.1), good("0.1"))]),
    "f32_words": ('type: "f32"  words: "little"', [(pack("f", 230.1)[::-1], good("230.1"))]),
    "f32_scaled": ('type: "f32"  scale: 0.001', [(pack("f", 230100.0), good("230.1"))]),
    "f64": ('type: "f64"', [
        (pack("d", 3.141592653589793), good("3.141592653589793")), (pack("d", 0.1 + 0.2), good("0.30000000000000004")),
        (pack("d", 5e-324), good("5e-324")), (pack("d", 1.7976931348623157e308), good("1.7976931348623157e308")),
        (pack("d", float("nan")), INVALID), (pack("d", -0.0), good("0"))]),
    "bcd16": ('type: "bcd16"', [([0x1234], good("1234")), ([0x12A4], INVALID), ([0x9999], good("9999"))]),
    "bcd32": ('type: "bcd32"  scale: 0.01', [([0x1234, 0x5678], good("123456.78")), ([0, 0xF], INVALID)]),
    "bool": ('type: "bool"', [([0], good("false")), ([0x100], good("true")), ([1], None), ([0], good("false"))]),

    # enum
    "states": ('enum: ["off", "heating", "cooling"]', [
        ([0], good('"off"')), ([2], good('"cooling"')), ([3], good("3")), ([65535], good("65535")), ([1], good('"heating"'))]),
    "modes": ('type: "s16"  enum: ["-1=error", "0=off", "255=a \\"b\\" ä"]', [
        ([0xFFFF], good('"error"')), ([1], good("1")), ([0], good('"off"')), ([255], good('"a \\"b\\" ä"'))]),
    "wide": ('type: "u32"  enum: ["4294967295=max", "0=none"]', [([0xFFFF, 0xFFFF], good('"max"')), ([0, 0], good('"none"'))]),
    "endless": ('enum: ["%s"]' % ("w" * 6000), [([0], good('"%s"' % ("w" * 6000))), ([1], good("1"))]),

    # strings
    "string": ('type: "string"  length: 7', [
        (text(b"AbCdEfG", 4), good('"AbCdEfG"')), (text(b"AbCdEfGH", 4), None), (text(b"  x y \t", 4), good('"x y"')),
        (text(b"ab\0cdef", 4), good('"ab"')), (text(b"", 4), good('""')), (text(b"\xff\xfe", 4), INVALID),
        (text("Öl \"\\\x01".encode(), 4), good('"Öl \\"\\\\\\u0001"')), (text(b"abcdef\xc3\xa4", 4), INVALID)]),
    "string_bytes": ('type: "string"  length: 4  bytes: "little"', [(text(b"bAdC", 2), good('"AbCd"'))]),
    "string_words": ('type: "string"  length: 4  words: "little"', [(text(b"AbCd", 2), good('"AbCd"'))]),

    # invalid, in every width
    "no_s16": ('type: "s16"  invalid: 0x8000', [([0x8000], INVALID), ([0x7FFF], good("32767")), ([0x8001], good("-32767"))]),
    "no_s16_minus": ('type: "s16"  invalid: -1', [([0xFFFF], INVALID), ([1], good("1"))]),
    "no_u16_minus": ("invalid: -1", [([0xFFFF], INVALID), ([0xFFFE], good("65534"))]),
    "no_scaled": ('type: "s16"  scale: 0.1  invalid: 0x7FFF', [([0x7FFF], INVALID), ([0x7FFE], good("3276.6"))]),
    "no_u8": ('type: "u8"  invalid: 0xFF', [([0x01FF], INVALID), ([0xFFFE], good("254"))]),
    "no_s8": ('type: "s8"  invalid: -128', [([0x0080], INVALID), ([0x0081], good("-127"))]),
    "no_u24": ('type: "u24"  invalid: 0xFFFFFF', [([0x12FF, 0xFFFF], INVALID), ([0, 5], good("5"))]),
    "no_u32": ('type: "u32"  invalid: 0xFFFFFFFFL', [([0xFFFF, 0xFFFF], INVALID), ([0, 1], good("1"))]),
    "no_u32_minus": ('type: "u32"  invalid: -1', [([0xFFFF, 0xFFFF], INVALID), ([0, 1], good("1"))]),
    "no_u32_text": ('type: "u32"  invalid: "0xFFFFFFFF"', [([0xFFFF, 0xFFFF], INVALID), ([0, 1], good("1"))]),
    "no_u32_words": ('type: "u32"  words: "little"  invalid: 0x10002', [([2, 1], INVALID), ([1, 2], good("131073"))]),
    "no_s32": ('type: "s32"  invalid: 0x7FFFFFFF', [([0x7FFF, 0xFFFF], INVALID), ([0x8000, 0], good("-2147483648"))]),
    "no_s32_minus": ('type: "s32"  invalid: -2147483648L', [([0x8000, 0], INVALID), ([0x7FFF, 0xFFFF], good("2147483647"))]),
    "no_u64": ('type: "u64"  invalid: 0xFFFFFFFFFFFFFFFFL', [(pack("Q", 2**64 - 1), INVALID), (pack("Q", 2**64 - 2), good(str(2**64 - 2)))]),
    "no_u64_minus": ('type: "u64"  invalid: -1', [(pack("Q", 2**64 - 1), INVALID), (pack("Q", 1), good("1"))]),
    "no_s64": ('type: "s64"  invalid: 0x8000000000000000L', [(pack("q", -2**63), INVALID), (pack("q", 2**63 - 1), good(str(2**63 - 1)))]),
    "no_f32": ('type: "f32"  invalid: -9999.0', [(pack("f", -9999), INVALID), (pack("f", -9998), good("-9998"))]),
    "no_f32_tenth": ('type: "f32"  invalid: 999.9', [(pack("f", 999.9), INVALID), (pack("f", 999.8), good("999.8"))]),
    "no_f32_raw": ('type: "f32"  invalid: 0xC61C3C00L', [(pack("f", -9999), INVALID), (pack("f", -9998), good("-9998"))]),
    "no_f64": ('type: "f64"  invalid: 1e30', [(pack("d", 1e30), INVALID), (pack("d", 1), good("1"))]),
    "no_bcd": ('type: "bcd16"  invalid: 9999', [([0x9999], INVALID), ([0x9998], good("9998"))]),
    "no_list": ("invalid: [0xFFFF, 0x7FFF]", [([0xFFFF], INVALID), ([0x7FFE], good("32766")), ([0x7FFF], INVALID), ([0], good("0"))]),
    "no_texts": ('invalid: ["0x7FFF", "65535"]', [([0xFFFF], INVALID), ([0x7FFE], good("32766")), ([0x7FFF], INVALID)]),
    "no_string": ('type: "string"  length: 4  invalid: "n/a"', [(text(b"n/a", 2), INVALID), (text(b"n/b", 2), good('"n/b"')),
                                                               (text(b" n/a", 2), INVALID)]),
    "no_strings": ('type: "string"  length: 4  invalid: ["----", ""]', [(text(b"----", 2), INVALID), (text(b"", 2), None),
                                                                       (text(b"---", 2), good('"---"'))]),
    "no_state": ('enum: ["off", "on"]  invalid: 255', [([255], INVALID), ([1], good('"on"'))]),

    # min, max
    "range": ('type: "s16"  scale: 0.1  min: -40  max: 125', [
        ([1250], good("125")), ([1251], RANGE), ([0xFE70], good("-40")), ([0xFE6F], RANGE), ([32767], None), ([0], good("0"))]),
    "min_only": ("min: 1", [([0], RANGE), ([65535], good("65535"))]),
    "max_only": ('type: "s16"  max: 0', [([1], RANGE), ([0x8000], good("-32768"))]),
    "bad_to_bad": ("invalid: 0xFFFF  max: 100", [([0xFFFF], INVALID), ([101], RANGE), ([0xFFFF], INVALID), ([100], good("100"))]),

    # deadband
    "band": ("scale: 0.1  deadband: 0.2", [
        ([2301], good("230.1")), ([2303], None), ([2299], None), ([2304], good("230.4")), ([2302], None), ([2301], good("230.1"))]),
    "band_creeps": ("deadband: 2", [([10], good("10")), ([11], None), ([12], None), ([13], good("13")), ([11], None), ([10], good("10"))]),
    "band_percent": ('deadband: "2%"', [
        ([1000], good("1000")), ([1020], None), ([980], None), ([1021], good("1021")), ([1001], None), ([1000], good("1000")), ([0], good("0")),
        ([1], good("1"))]),
    "band_zero": ('type: "f32"  deadband: 0', [
        (pack("f", 1), good("1")), (pack("f", 1.0000001), good("1.0000001")), (pack("f", 0), good("0")), (pack("f", -0.0), None)]),
    "band_quality": ("deadband: 100  invalid: 0xFFFF", [([5], good("5")), ([0xFFFF], INVALID), ([5], good("5")), ([105], None), ([106], good("106"))]),

    # plain
    "plain": ('type: "s16"  scale: 0.1  payload: "plain"  unit: "V"  invalid: 0x8000', [([2301], "230.1"), ([0x8000], None), ([2301], "230.1")]),
    "plain_word": ('payload: "plain"  enum: ["off", "a b"]', [([1], "a b"), ([2], "2"), ([0], "off")]),
    "plain_text": ('payload: "plain"  type: "string"  length: 4', [(text(b'a "b', 2), 'a "b')]),
    "plain_bool": ('payload: "plain"  type: "bool"', [([1], "true"), ([0], "false")]),

    # influx
    "influx": ('payload: "influx"  scale: 0.1  invalid: 0xFFFF', [
        ([2301], "reading,site=s,path=f,device=d,metric=influx value=230.1 TN"), ([0xFFFF], None),
        ([10], "reading,site=s,path=f,device=d,metric=influx value=1 TN")]),
    "influx_whole": ('payload: "influx"  type: "u64"', [
        (pack("Q", 2**64 - 1), "reading,site=s,path=f,device=d,metric=influx_whole value=18446744073709551615 TN")]),
    "influx_bool": ('payload: "influx"  type: "bool"', [([1], "reading,site=s,path=f,device=d,metric=influx_bool value=true TN")]),
    "influx_word": ('payload: "influx"  enum: ["off", "a \\"b\\""]', [
        ([1], 'reading,site=s,path=f,device=d,metric=influx_word value="a \\"b\\"" TN')]),
    "influx_text": ('payload: "influx"  type: "string"  length: 4  topic: "a b=c,d"', [
        (text(b"x\\y", 2), 'reading,site=s,path=f,device=d,metric=a\\ b\\=c\\,d value="x\\\\y" TN')]),
}

BITS = {
    "alarms": ('bits: { low: 0  high: 15  stage: "8-10"  all: "0-15" }', ["low", "high", "stage", "all"], [
        ([0x8501], ["true", "true", "5", "34049"]), ([0x8500], ["false", None, None, "34048"]), ([0x7700], [None, "false", "7", "30464"])]),
    "wide": ('type: "u32"  words: "little"  bits: { first: 0  sixteen: 16  last: "31-31"  upper: "16-31" }',
             ["first", "sixteen", "last", "upper"], [
                 ([1, 0x8000], ["true", "false", "true", "32768"]), ([0, 1], ["false", "true", "false", "1"])]),
    "sentinel": ('invalid: 0xFFFF  bits: { one: 0  two: "1-2" }', ["one", "two"], [
        ([0xFFFF], [INVALID, INVALID]), ([4], ["false", "2"])]),
}


class Values(Scenario):
    def serve(self):
        """The device: registers that are 0, and commands."""
        self.port = free_port()
        self.start_server()
        self.tick = 0
        self.seen = 0

    def start_server(self):
        argv = [*SERVER, "--tcp", str(self.port), "--registers", self.write("cells.json", "[]"), "--commands", "--seconds", "300"]
        self.server = self.start(argv, "server-%d" % len(self.processes), stdin=subprocess.PIPE)
        self.n_commands = 0
        wait_until(lambda: "ready" in self.server.text() or not self.server.alive(), "the server")

    def command_server(self, *commands):
        """All of them between two requests."""
        self.n_commands += 1
        self.server.child.stdin.write((" ; ".join(commands) + "\n").encode())
        self.server.child.stdin.flush()
        wait_until(lambda: self.server.text().count("ok\n") == self.n_commands or "error" in self.server.text(), "the command")
        self.assertNotIn("error", self.server.text())

    def run_map(self, metrics, top="", device="", every="50ms"):
        lines = ['site: "s"', 'broker: "mqtt://127.0.0.1:1"', 'every: "%s"' % every, top,
                 'floors: { f: { d: { tcp: "127.0.0.1:%d"  timeout: "2s"  %s  metrics: {' % (self.port, device), *metrics,
                 '  tick: { holding: %d  payload: "plain"  deadband: 0 }' % TICK, "} } } }", ""]
        self.conf = self.write("map.conf", "\n".join(lines))
        self.run_gateway = self.gateway(self.conf, "--stdout")

    def told(self):
        """(topic, payload), with T for the time and TN for that in nanoseconds."""
        found = []
        for line in self.run_gateway.text().splitlines():
            if line.startswith("s/"):
                topic, payload = re.match(r"(s/f/d/a b=c,d|\S+) (.*)", line).groups()
                payload = re.sub(r'"time":\d{13}\b', '"time":T', payload)
                found.append((topic, re.sub(r" \d{13}000000$", " TN", payload)))
        return found

    def step(self, *commands):
        """Sets the registers, waits for a round that has read them, returns what was told of each topic."""
        for more in (commands, ()):
            self.tick += 1
            self.command_server(*more, "holding %d = %d" % (TICK, self.tick))
            wait_until(lambda: ("s/f/d/tick", str(self.tick)) in self.told()[self.seen:] or not self.run_gateway.alive(), "a round")
            self.assertTrue(self.run_gateway.alive(), self.run_gateway.text())
        told = self.told()
        new, self.seen = told[self.seen:], len(told)
        by_topic = {}
        for topic, payload in new:
            if topic != "s/f/d/tick":
                by_topic.setdefault(topic[len("s/f/d/"):], []).append(payload)
        return by_topic

    def wait_for(self, topic, payloads, what):
        """Until exactly these were told of the topic since the last step."""
        def of_topic():
            return [p for t, p in self.told()[self.seen:] if t == "s/f/d/" + topic]
        try:
            wait_until(lambda: len(of_topic()) >= len(payloads), what)
        except AssertionError:
            pass
        self.assertEqual(of_topic(), payloads, what)

    @staticmethod
    def set_holding(at, registers):
        return "holding %d = %s" % (at, " ".join(str(r) for r in registers))

    def test_every_key_at_its_edges(self):
        self.serve()
        metrics, at = [], {}
        for i, (name, (keys, _)) in enumerate(TABLE.items()):
            at[name] = 20 * i
            where = at[name] + 1 if "{first}" in keys else at[name]
            keys = keys.replace("{next}", str(at[name] + 1)).replace("{first}", str(at[name]))
            metrics.append("  %s: { holding: %d  %s %s }" % (name, where, keys, "" if "deadband" in keys else " deadband: 0"))
        n_steps = max(len(steps) for _, steps in TABLE.values())
        for n in range(n_steps):
            setting = {name: steps[n][0] for name, (_, steps) in TABLE.items() if n < len(steps)}
            commands = [self.set_holding(at[name], registers) for name, registers in setting.items()]
            if n == 0:
                self.command_server(*commands)
                self.run_map(metrics)
                commands = []
            told = self.step(*commands)
            told.pop("availability", None)
            for name, (keys, steps) in TABLE.items():
                topic = "a b=c,d" if name == "influx_text" else name
                expected = steps[n][1] if n < len(steps) else None
                with self.subTest(name, step=n):
                    self.assertEqual(told.pop(topic, []), [] if expected is None else [expected])
            self.assertEqual(told, {}, "nothing else")
        self.assertEqual(self.run_gateway.stop(), 0)

    def test_bits(self):
        self.serve()
        metrics, at = [], {}
        for i, (name, (keys, _, _)) in enumerate(BITS.items()):
            at[name] = 20 * i
            metrics.append("  %s: { holding: %d  %s  deadband: 0 }" % (name, at[name], keys))
        for n in range(3):
            commands = [self.set_holding(at[name], steps[n][0]) for name, (_, _, steps) in BITS.items() if n < len(steps)]
            if n == 0:
                self.command_server(*commands)
                self.run_map(metrics)
                commands = []
            told = self.step(*commands)
            told.pop("availability", None)
            for name, (_, names, steps) in BITS.items():
                for i, bit in enumerate(names):
                    value = steps[n][1][i] if n < len(steps) else None
                    expected = [] if value is None else [value if value.startswith("{") else good(value)]
                    with self.subTest(name, bit=bit, step=n):
                        self.assertEqual(told.pop(bit, []), expected)
            self.assertEqual(told, {}, "the registers themselves are not told")

    def test_the_four_tables(self):
        self.serve()
        self.command_server("coil 3 = 1", "discrete 17 = 1", "input 9 = 7", "holding 9 = 8", "coil 65535 = 1", "input 65535 = 9")
        self.run_map([
            "  coil: { coil: 3  deadband: 0 }", "  coil4: { coil: 4  deadband: 0 }", "  discrete: { discrete: 17  deadband: 0 }",
            "  input: { input: 9  deadband: 0 }", '  manual: { input: "30010"  deadband: 0 }', '  manual6: { holding: "400010"  deadband: 0 }',
            '  manualx: { holding: "4x0010"  deadband: 0 }', "  last_coil: { coil: 65535  deadband: 0 }",
            "  last_input: { input: 65535  deadband: 0 }", '  words: { coil: 3  deadband: 0  payload: "influx" }'])
        expected = {"coil": "true", "coil4": "false", "discrete": "true", "input": "7", "manual": "7", "manual6": "8", "manualx": "8",
                    "last_coil": "true", "last_input": "9"}
        told = self.step()
        self.assertEqual(told.pop("availability"), ["online"])
        self.assertEqual(told.pop("words"), ["reading,site=s,path=f,device=d,metric=words value=true TN"])
        self.assertEqual(told, {name: [good(value)] for name, value in expected.items()})
        self.assertEqual(self.step("coil 3 = 0 1"), {
            "coil": [good("false")], "coil4": [good("true")], "words": ["reading,site=s,path=f,device=d,metric=words value=false TN"]})
        self.assertEqual(self.step("discrete 17 = 0"), {"discrete": [good("false")]})

    def test_meters_that_are_replaced(self):
        self.serve()
        self.command_server("holding 0 = 1000", "holding 10 = 100", "holding 20 = 1000")
        self.run_map(['  meter: { holding: 0  monotonic: true  unit: "kWh"  deadband: 0 }', "  level: { holding: 10  max_step: 10  deadband: 0 }",
                      "  both: { holding: 20  monotonic: true  max_step: 100  deadband: 0 }"])
        told = self.step()
        self.assertEqual((told["meter"], told["level"]), ([good("1000", "kWh")], [good("100")]))
        self.assertEqual(self.step("holding 0 = 1001", "holding 10 = 110", "holding 20 = 1100"),
                         {"meter": [good("1001", "kWh")], "level": [good("110")], "both": [good("1100")]})
        self.command_server("holding 0 = 7", "holding 10 = 121", "holding 20 = 1201")
        self.wait_for("meter", [bad('"range"', "kWh"), good("7", "kWh")], "a replaced meter")
        self.wait_for("level", [RANGE, good("121")], "a step that stays")
        self.wait_for("both", [RANGE, good("1201")], "either rule")
        self.step()
        self.assertIn("s/f/d/meter: 7 after 1001, 3 times in a row: accepted", self.run_gateway.text())
        self.assertEqual(self.step("holding 10 = 111"), {"level": [good("111")]})

    def test_without_deadband_every_poll_is_told(self):
        self.serve()
        self.command_server("holding 0 = 5")
        self.run_map(["  each: { holding: 0 }", '  beat: { holding: 0  deadband: 0  heartbeat: "200ms" }', "  quiet: { holding: 0  deadband: 0 }",
                      '  last: { holding: 0  reduce: "last" }', '  mean: { holding: 0  reduce: "mean" }', '  least: { holding: 0  reduce: "min" }',
                      '  most: { holding: 0  reduce: "max" }'])

        def count(topic):
            return len([p for t, p in self.told() if (t, p) == ("s/f/d/" + topic, good("5"))])

        wait_until(lambda: count("beat") >= 3 and count("mean") >= 3, "heartbeats")
        self.assertGreater(count("each"), count("beat"))
        silences = len([p for t, p in self.told() if t == "s/f/d/quiet" and '"value":null' in p])  # on a busy machine
        self.assertLessEqual(count("quiet"), 1 + silences)
        for topic in ("last", "least", "most"):
            self.assertGreater(count(topic), 2)

    def test_start_is_asked_at_each_appearance(self):
        self.serve()
        self.command_server(self.set_holding(100, text(b"Acme", 2)), self.set_holding(110, text(b"one", 2)), "silent = 1")
        self.run_map(['  model: { holding: 100  type: "string"  length: 4  every: "start" }',
                      '  serial: { holding: 110  type: "string"  length: 4  every: "start" }'], device='every: "100ms"')
        wait_until(lambda: "does not answer" in self.run_gateway.text(), "silence")
        self.command_server("silent = 0")
        wait_until(lambda: self.good_ones("model") == 1 and self.good_ones("serial") == 1, "the first appearance")
        self.step()
        self.step()
        self.assertEqual(self.good_ones("model"), 1, "once")
        self.command_server("silent = 1")
        wait_until(lambda: self.told()[-1] == ("s/f/d/availability", "offline") or
                   ("s/f/d/availability", "offline") in self.told()[self.seen:], "three polls")
        self.command_server("silent = 0")
        wait_until(lambda: self.good_ones("model") == 2, "the second appearance")

    def good_ones(self, topic):
        return len([p for t, p in self.told() if t == "s/f/d/" + topic and "null" not in p])

    def test_a_device_that_has_nothing_but_start(self):
        self.serve()
        self.command_server(self.set_holding(100, text(b"Acme", 2)), "silent = 1")
        conf = self.write("start.conf", 'site: "s"\nbroker: "mqtt://127.0.0.1:1"\nfloors: { f: { d: { tcp: "127.0.0.1:%d"  timeout: "100ms"'
                          '  metrics: { model: { holding: 100  type: "string"  length: 4  every: "start" } } } } }\n' % self.port)
        self.run_gateway = self.gateway(conf, "--stdout")
        wait_until(lambda: ("s/f/d/model", bad('"timeout"')) in self.told(), "a time-out")
        self.command_server("silent = 0")
        wait_until(lambda: ("s/f/d/model", good('"Acme"')) in self.told(), "its answer")

    def test_qualities_are_told_once_and_ended(self):
        self.serve()
        self.command_server("holding 0 = 5", "holding 200 = 6", "holding 300 = 7")
        self.run_map(['  a: { holding: 0  unit: "V" }', "  b: { holding: 200  deadband: 0 }",
                      '  plain: { holding: 300  deadband: 0  payload: "plain" }'], device='max_gap: 0')
        self.step()

        # an exception, of one read and not of its neighbours
        told = self.step("exception holding 0 = 4")
        self.assertEqual(told["a"][-1], '{"value":null,"quality":"exception","code":4,"unit":"V","time":T}')
        self.assertEqual(len([p for p in told["a"] if "null" in p]), 1)
        self.assertNotIn("b", told)
        self.assertNotIn("a", self.step(), "told once")
        told = self.step("exception holding 0 = 2", "exception holding 200 = 2")
        self.assertNotIn("a", told, "another code is the same quality")
        self.assertEqual(told["b"], [bad('"exception","code":2')])
        told = self.step("exception holding 0 = 0", "exception holding 200 = 0")
        self.assertEqual(told["a"][0], good("5", "V"))
        self.assertEqual(told["b"], [good("6")])

        # silence: each metric once; offline after three polls; the next good one ends it
        self.step()
        self.command_server("silent = 1")
        self.wait_for("b", [bad('"timeout"')], "a time-out")
        wait_until(lambda: ("s/f/d/availability", "offline") in self.told()[self.seen:], "three polls")
        self.wait_for("b", [bad('"timeout"')], "told once")
        self.assertEqual([p for t, p in self.told()[self.seen:] if t == "s/f/d/a" and "null" in p], [bad('"timeout"', "V")])
        self.command_server("silent = 0")
        self.wait_for("b", [bad('"timeout"'), good("6")], "its end")
        told = self.step()
        self.assertEqual(told["availability"], ["offline", "online"])
        self.assertEqual(told["plain"], ["7"], "plain tells the good one only")

        # the port goes
        self.server.stop(signal.SIGKILL)
        self.wait_for("b", [bad('"offline"')], "the port is gone")
        self.wait_for("availability", ["offline"], "and so is the device")
        self.start_server()
        self.command_server("holding 0 = 5", "holding 200 = 8", "holding 300 = 7", "holding %d = %d" % (TICK, self.tick))
        self.wait_for("b", [bad('"offline"'), good("8")], "the port is back")
        told = self.step()
        self.assertEqual(told["availability"], ["offline", "online"])
        self.assertEqual(told["plain"], ["7"])

    PER_DEVICE = 'topics: { t: { metric: "tick"  per: "metric" }  d: { match: "s/f/d/+"  per: "device"  payload: "%s" } }'

    def test_one_message_for_the_device(self):
        self.serve()
        self.command_server("holding 0 = 2301 12 1", "holding 100 = 3")
        self.run_map(['  voltage: { holding: 0  scale: 0.1  unit: "V"  deadband: 0  invalid: 0xFFFF }', "  power: { holding: 1  deadband: 1 }",
                      '  state: { holding: 2  enum: ["off", "on"]  deadband: 0 }', "  energy: { holding: 100  deadband: 0 }"],
                     top=self.PER_DEVICE % "json", device="max_gap: 0")
        told = self.step()
        self.assertEqual(told.pop("availability"), ["online"])
        self.assertEqual(told, {"": ['{"time":T,"values":{"voltage":230.1,"power":12,"state":"on","energy":3}}']})
        self.assertEqual(self.step(), {}, "nothing has changed")
        # what has not changed by enough is left out
        self.assertEqual(self.step("holding 0 = 2302 13"), {"": ['{"time":T,"values":{"voltage":230.2}}']})
        self.assertEqual(self.step("holding 0 = 0xFFFF"), {"": ['{"time":T,"values":{},"quality":{"voltage":"invalid"}}']})
        self.assertEqual(self.step(), {}, "told once")
        # what is not good goes along with what is told of the others
        self.assertEqual(self.step("holding 1 = 20"), {"": ['{"time":T,"values":{"power":20},"quality":{"voltage":"invalid"}}']})
        self.assertEqual(self.step("exception holding 100 = 4"), {
            "": ['{"time":T,"values":{},"quality":{"voltage":"invalid","energy":"exception"}}']})
        self.assertEqual(self.step("holding 0 = 0"), {"": ['{"time":T,"values":{"voltage":0},"quality":{"energy":"exception"}}']})
        self.assertEqual(self.step("exception holding 100 = 0"), {"": ['{"time":T,"values":{"energy":3}}']})

    def test_one_influx_line_for_the_device(self):
        self.serve()
        self.command_server(self.set_holding(0, [2301, 1, 1, *text(b"a,b", 2)]))
        self.run_map(["  voltage: { holding: 0  scale: 0.1  deadband: 0  invalid: 0xFFFF }",
                      '  state: { holding: 1  enum: ["off", "o n"]  deadband: 0 }', '  yes: { holding: 2  type: "bool"  deadband: 0 }',
                      '  text: { holding: 3  type: "string"  length: 4  deadband: 0  topic: "a b" }'], top=self.PER_DEVICE % "influx")
        told = self.step()
        self.assertEqual(told[""], ['reading,site=s,path=f,device=d voltage=230.1,state="o n",yes=true,a\\ b="a,b" TN'])
        self.assertEqual(self.step("holding 0 = 2302"), {"": ["reading,site=s,path=f,device=d voltage=230.2 TN"]})
        self.assertEqual(self.step("holding 0 = 0xFFFF"), {}, "influx has no words for it")
        self.assertEqual(self.step("holding 0 = 0xFFFF 0"), {"": ['reading,site=s,path=f,device=d state="off" TN']})
        self.assertEqual(self.step("holding 0 = 2302"), {"": ["reading,site=s,path=f,device=d voltage=230.2 TN"]})

    def test_ids(self):
        self.serve()
        self.run_map(["  a: { holding: 0 }", '  plain: { holding: 0  payload: "plain" }'], top="gateway: { ids: true }")
        self.step()
        seen = [p for t, p in self.told() if t == "s/f/d/a"]
        for payload in seen:
            self.assertRegex(payload, r'^\{"value":0,"time":T,"id":"[0-9a-f]{8}-\d+"\}$')
        numbers = [int(re.search(r'-(\d+)"', p).group(1)) for p in seen]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)), "json readings only, without a gap")


if __name__ == "__main__":
    unittest.main()
