"""Profiles of sensors that send messages: bytes in on a pty, MQTT payloads out, through the whole gateway.

Every golden vector of every profile of a stream; `profiles check` has replayed it in virtual time, here it goes through the
port, the poll loop and the clock.
"""

import json
import os
import unittest

from harness import HERE, Scenario, wait_until

SOURCE = os.path.join(HERE, "..", "..")
TALK = {"iec62056", "mbus"}  # drivers that lead a conversation
PLAYER = ["/usr/bin/python3", "-B", os.path.join(HERE, "..", "fake", "stream_player.py")]
MAP = """
site: "v"
broker: "mqtt://127.0.0.1:1"
buses: {{ wire: {{ port: "{pty}" }} }}
floors: {{ f: {{ d: {{ profile: "{id}"  every: "0s"  ignore_first: "0s" }} }} }}
"""


class StreamProfiles(Scenario):
    def setUp(self):
        super().setUp()
        self.env = dict(os.environ, BUSFERRY_PROFILES=os.path.join(SOURCE, "config", "profiles"))

    def shipped(self):
        listed = json.loads(self.command("profiles", "list", "--json", env=self.env).stdout)["profiles"]
        for entry in listed:
            profile = json.loads(self.command("profiles", "show", entry["id"], "--json", env=self.env).stdout)
            if "messages" in profile:
                yield profile

    def play(self, profile, vector, *arguments):
        """The last payload of each topic."""
        name = "%s-%s%s" % (profile["id"], vector["name"], "".join(arguments))
        requests = [message["request"] for message in profile["messages"] if "request" in message]
        talks = profile["transport"] in TALK
        script = self.write(name + ".json", json.dumps({"input": vector["input"], "requests": requests, "talks": talks}))
        player = self.start([*PLAYER, "--pty", self.path(name), "--script", script, *arguments], name)
        wait_until(lambda: "ready" in player.text() or not player.alive(), "the player of " + name)
        conf = self.write(name + ".conf", MAP.format(pty=self.path(name), id=profile["id"]))
        done = self.command("run", "-c", conf, "--once", "--stdout", env=self.env)
        player.stop()
        complete = not requests or len(vector["input"]) >= len(requests)
        self.assertIn(done.returncode, (0,) if complete else (0, 69), done.stderr)
        return {topic: json.loads(payload) for topic, payload in (line.split(" ", 1) for line in done.stdout.splitlines()
                                                                  if line.startswith("v/f/d/") and "{" in line)}

    def compare(self, profile, vector, told):
        units = {metric["name"]: metric.get("unit") for metric in profile["metrics"]}
        for metric, expected in vector["expect"].items():
            with self.subTest(metric):
                reading = told["v/f/d/" + metric]
                if isinstance(expected, dict):
                    self.assertIsNone(reading["value"])
                    self.assertEqual(reading["quality"], expected["quality"])
                else:
                    self.assertEqual(reading["value"], expected)
                    self.assertNotIn("quality", reading)
                self.assertEqual(reading.get("unit"), units[metric])

    def test_each_vector_through_the_whole_gateway(self):
        n = 0
        for profile in self.shipped():
            for vector in profile["vectors"]:
                with self.subTest(profile["id"], vector=vector["name"]):
                    self.compare(profile, vector, self.play(profile, vector))
                    n += 1
        self.assertGreater(n, 40)

    def test_byte_by_byte(self):
        for profile in self.shipped():
            if profile["id"] in ("pms5003", "sds011", "cse7766", "ld2410", "nmea-gps", "dsmr-p1", "teleinfo-standard", "ve-direct-bmv"):
                with self.subTest(profile["id"]):
                    vector = profile["vectors"][0]
                    self.compare(profile, vector, self.play(profile, vector, "--bytewise"))


if __name__ == "__main__":
    unittest.main()
