"""A scripted Sparkplug B host: takes payloads apart by the published encoding (written from the specification, with nothing
of Busferry's), makes commands, and audits all that a node said in its order by the rules of the specification."""

import collections
import json
import struct
import subprocess

from harness import PATIENCE, wait_until

FIELDS = {1: "name", 2: "alias", 3: "timestamp", 4: "datatype", 5: "is_historical", 6: "is_transient", 7: "is_null", 9: "properties",
          10: "int", 11: "long", 12: "float", 13: "double", 14: "boolean", 15: "string", 16: "bytes"}
VALUES = ("int", "long", "float", "double", "boolean", "string")
CARRIED = {1: "int", 2: "int", 3: "int", 4: "long", 5: "int", 6: "int", 7: "int", 8: "long", 9: "float", 10: "double", 11: "boolean",
           12: "string"}
BITS = {1: 8, 2: 16, 3: 32, 4: 64}


def varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def fields(data):
    """(number, wire type, value) of each field."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 1:
            value, at = data[at:at + 8], at + 8
        elif wire == 2:
            n, at = varint(data, at)
            value, at = data[at:at + n], at + n
            assert len(value) == n, "cut off"
        elif wire == 5:
            value, at = data[at:at + 4], at + 4
        else:
            raise AssertionError("wire type %d" % wire)
        yield number, wire, value


def properties(data):
    keys, values = [], []
    for number, _, value in fields(data):
        if number == 1:
            keys.append(value.decode())
        elif number == 2:
            values.append({n: v for n, _, v in fields(value)})
    return dict(zip(keys, values))


def metric(data):
    told = {}
    for number, wire, value in fields(data):
        name = FIELDS[number]
        assert name not in told, "%s twice" % name
        if name in ("name", "string"):
            value = value.decode("utf-8")
        elif name == "float":
            value = struct.unpack("<f", value)[0]
        elif name == "double":
            value = struct.unpack("<d", value)[0]
        elif name == "properties":
            value = properties(value)
        elif name in ("is_historical", "is_null", "boolean"):
            assert wire == 0 and value in (0, 1)
            value = bool(value)
        told[name] = value
    return told


def payload(data):
    told = {"metrics": []}
    for number, _, value in fields(data):
        if number == 2:
            told["metrics"].append(metric(value))
        else:
            told[{1: "timestamp", 3: "seq"}[number]] = value
    return told


def put_varint(number):
    out = b""
    while True:
        out += bytes([number & 127 | (128 if number > 127 else 0)])
        number >>= 7
        if not number:
            return out


def put(number, wire, value):
    if wire == 2:
        value = put_varint(len(value)) + value
    elif wire == 0:
        value = put_varint(value)
    return put_varint(number << 3 | wire) + value


def command(*metrics):
    """A command's payload; each metric: name or alias, datatype, value."""
    out = put(1, 0, 1764000000000)
    for who, datatype, value in metrics:
        one = put(1, 2, who.encode()) if isinstance(who, str) else put(2, 0, who)
        one += put(3, 0, 1764000000000)
        if datatype:
            one += put(4, 0, datatype)
        if value is None:
            one += put(7, 0, 1)
        elif isinstance(value, bool):
            one += put(14, 0, int(value))
        elif isinstance(value, str):
            one += put(15, 2, value.encode())
        elif isinstance(value, float) and datatype == 9:
            one += put(12, 5, struct.pack("<f", value))
        elif isinstance(value, float):
            one += put(13, 1, struct.pack("<d", value))
        elif datatype in (4, 8):
            one += put(11, 0, value & (1 << 64) - 1)
        else:
            one += put(10, 0, value & (1 << 32) - 1)
        out += put(2, 2, one)
    return out


REBIRTH = command(("Node Control/Rebirth", 11, True))

Message = collections.namedtuple("Message", "topic kind device payload qos retained raw")


class Host:
    """Hears all of a broker's Sparkplug from now on, in its order."""

    def __init__(self, scenario, port, group, node):
        self.scenario, self.port, self.group, self.node = scenario, port, group, node
        self.process = scenario.start(["mosquitto_sub", "-p", str(port), "-q", "1", "-t", "spBv1.0/%s/#" % group, "-t", "mark",
                                       "-F", "%r %q %t %x"], "host-%d" % len(scenario.processes))

        def marked():
            self.publish("mark", b"x")
            return " mark " in self.process.text()

        wait_until(marked, "the host's subscription")

    def publish(self, topic, data, *options):
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-t", topic, *options, "-s"], input=data, check=True,
                       timeout=PATIENCE)

    def forget(self, topic):
        """What is retained there."""
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-t", topic, "-n", "-r", "-q", "1"], check=True, timeout=PATIENCE)

    def state(self, host, online, time_ms, *options):
        self.publish("spBv1.0/STATE/" + host, json.dumps({"online": online, "timestamp": time_ms}).encode(), "-q", "1", "-r",
                     *options)

    def node_command(self, data=REBIRTH, *options):
        self.publish("spBv1.0/%s/NCMD/%s" % (self.group, self.node), data, *options)

    def device_command(self, device, data, *options):
        self.publish("spBv1.0/%s/DCMD/%s/%s" % (self.group, self.node, device), data, *options)

    def messages(self):
        found = []
        for line in self.process.text().splitlines():
            parts = line.split(" ")
            if len(parts) != 4 or not parts[2].startswith("spBv1.0/") or parts[2].split("/")[2] in ("NCMD", "DCMD"):
                continue
            data = bytes.fromhex(parts[3])
            levels = parts[2].split("/")
            found.append(Message(parts[2], levels[2], levels[4] if len(levels) > 4 else None, payload(data), int(parts[1]),
                                 parts[0] == "1", data))
        return found

    def kinds(self):
        return [m.kind for m in self.messages()]

    def wait_for(self, kind, n=1, device=None):
        def there():
            found = [m for m in self.messages() if m.kind == kind and device in (None, m.device)]
            return found if len(found) >= n else None
        return wait_until(there, "%d %s" % (n, kind))


def value_of(told, datatype):
    """The value by its type; None = null."""
    given = [name for name in VALUES if name in told]
    if told.get("is_null"):
        assert not given, told
        return None
    assert given == [CARRIED[datatype]], (told, datatype)
    value = told[given[0]]
    if datatype in BITS:
        bits = BITS[datatype]
        low = value & ((1 << bits) - 1)
        value = low - (1 << bits) if low >> (bits - 1) else low
    return value


class Audit:
    """All that one node said, by the rules.  readings: {(device, metric): [(time, value, historical, birth)]}."""

    def __init__(self, messages):
        self.readings = collections.defaultdict(list)
        self.sessions = []  # bdSeq of each NBIRTH
        self.seq = None
        self.born = {}
        self.aliases = {}
        self.live = {}
        self.bd_seq = None
        for message in messages:
            self.hear(message)

    def check_metric(self, told, births):
        assert "timestamp" in told and 1500000000000 < told["timestamp"] < 5000000000000, told
        if births:
            assert "name" in told and told.get("datatype") in CARRIED, told
        else:
            assert "name" not in told and "datatype" not in told and "alias" in told, told
        quality = told.get("properties", {}).get("Quality", {}).get(3)
        value_is_null = told.get("is_null", False)
        assert quality in (None, 0, 192, 500) and (not value_is_null or quality in (0, 500)), told

    def hear(self, message):
        kind, told = message.kind, message.payload
        assert not message.retained, message
        assert message.qos == 0 or kind == "NDEATH", message
        assert (message.device is not None) == kind.startswith("D"), message
        if kind == "NDEATH":
            assert "seq" not in told and len(told["metrics"]) == 1, message
            one = told["metrics"][0]
            assert one["name"] == "bdSeq" and one["datatype"] == 4, one
            if one["long"] == self.bd_seq:  # of another session: ignored
                self.seq, self.born = None, {}
            return
        assert "timestamp" in told, message
        if kind == "NBIRTH":
            names = {one["name"]: one for one in told["metrics"]}
            assert told["seq"] == 0 and names["bdSeq"]["datatype"] == 4, message
            assert names["Node Control/Rebirth"]["boolean"] is False and "alias" not in names["Node Control/Rebirth"]
            assert names["Node Control/Rebirth"]["datatype"] == 11 and "alias" not in names["bdSeq"]
            self.bd_seq = names["bdSeq"]["long"]
            self.sessions.append(self.bd_seq)
            self.seq, self.born, self.aliases, self.live = 0, {}, {}, {}
            return
        assert self.seq is not None, "%s before NBIRTH" % kind
        self.seq = (self.seq + 1) % 256
        assert told["seq"] == self.seq, "%s: seq %d, expected %d" % (message.topic, told["seq"], self.seq)
        if kind == "DBIRTH":
            assert message.device not in self.born, "%s born twice" % message.device
            metrics = self.born[message.device] = {}
            for one in told["metrics"]:
                self.check_metric(one, True)
                if one["alias"] in self.aliases:
                    assert self.aliases[one["alias"]] == (message.device, one["name"]), "alias %d twice" % one["alias"]
                self.aliases[one["alias"]] = (message.device, one["name"])
                assert one["alias"] not in metrics and not one.get("is_historical")
                metrics[one["alias"]] = (one["name"], one["datatype"])
                self.note(message.device, one, metrics[one["alias"]], True)
        elif kind == "DDEATH":
            assert message.device in self.born and not told["metrics"], message
            del self.born[message.device]
        else:
            assert kind == "DDATA" and message.device in self.born, "%s of %s before its birth" % (kind, message.device)
            for one in told["metrics"]:
                self.check_metric(one, False)
                self.note(message.device, one, self.born[message.device][one["alias"]], False)

    def note(self, device, told, known, birth):
        name, datatype = known
        value, historical = value_of(told, datatype), told.get("is_historical", False)
        key = (device, name)
        if not historical:  # what is present never goes back
            assert told["timestamp"] >= self.live.get(key, 0), "%s/%s goes back" % key
            self.live[key] = told["timestamp"]
        self.readings[key].append((told["timestamp"], value, historical, birth))

    def twice_live(self):
        """Readings that were told as present twice, each but in births, which repeat what is."""
        twice = []
        for key, readings in self.readings.items():
            seen = collections.Counter((t, v) for t, v, historical, birth in readings if not historical and not birth)
            twice += [(key, reading) for reading, n in seen.items() if n > 1]
        return twice
