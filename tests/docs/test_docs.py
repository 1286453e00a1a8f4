"""The maps that README.md and docs/ show are maps: each is given to `busferry check`.

A map is an indented or fenced block that sets both `site` and `broker` at its top.  Warnings are allowed, since ports of
documents are not there; faults are not.  Also the explanations of keys, as a user asks for them.
"""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import log_lines

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUSFERRY = os.environ.get("BUSFERRY", str(SOURCE / "build" / "busferry"))


def blocks(text):
    """(line number, text) of each code block, its indentation taken off."""
    lines = text.splitlines()
    i = 0
    while i < len(lines):
        fence = re.match(r"\s*```", lines[i])
        start = i
        if fence:
            i += 1
            while i < len(lines) and not re.match(r"\s*```\s*$", lines[i]):
                i += 1
            yield start + 2, "\n".join(lines[start + 1:i]) + "\n"
        elif re.match(r" {4,}\S", lines[i]) and (i == 0 or lines[i - 1].strip() == ""):
            while i < len(lines) and (lines[i].startswith("    ") or lines[i].strip() == ""):
                i += 1
            indent = len(lines[start]) - len(lines[start].lstrip())
            yield start + 1, "\n".join(line[indent:] for line in lines[start:i]) + "\n"
            continue
        i += 1


def is_map(text):
    return all(re.search(rf"^{key}\s*:", text, re.M) for key in ("site", "broker"))


def busferry(*arguments):
    return subprocess.run([BUSFERRY, *arguments], capture_output=True, text=True, timeout=60)


class Docs(unittest.TestCase):
    def test_each_map_is_sound(self):
        found = {}
        for file in [SOURCE / "README.md", *sorted((SOURCE / "docs").glob("*.md"))]:
            for line, text in blocks(file.read_text()):
                if not is_map(text):
                    continue
                found[file.name] = found.get(file.name, 0) + 1
                with self.subTest(f"{file.name}:{line}"), tempfile.NamedTemporaryFile("w", suffix=".conf") as map:
                    map.write(text)
                    map.flush()
                    check = busferry("check", "-c", map.name)
                    self.assertEqual(check.returncode, 0, check.stderr)
        self.assertGreaterEqual(found.get("README.md", 0), 1, found)
        self.assertGreaterEqual(found.get("configuration.md", 0), 3, found)

    def test_maps_of_config(self):
        for file in [*sorted((SOURCE / "config").glob("*.conf")), *sorted((SOURCE / "drivers").glob("*/example.conf"))]:
            with self.subTest(file.name):
                check = busferry("check", "-c", str(file))
                self.assertEqual(check.returncode, 0, check.stderr)
                self.assertEqual(json.loads(busferry("check", "-c", str(file), "--json").stdout).keys(),
                                 {"sound", "faults", "site", "gateway", "buses", "topics"})


    def test_the_driver_that_is_walked_through(self):
        """Each piece of C in the document stands like that in the example."""
        example = (SOURCE / "docs" / "example-driver" / "vane.c").read_text()
        pieces = re.findall(r"```c\n(.*?)```", (SOURCE / "docs" / "writing-a-driver.md").read_text(), re.S)
        self.assertGreater(len(pieces), 8)
        for piece in pieces:
            self.assertIn(piece, example)


class LogLines(unittest.TestCase):
    def test_each_line_is_explained_and_each_row_is_said(self):
        page = (SOURCE / "docs" / "operations.md").read_text()
        section = page[page.index("## What the log says"):page.index("## A clock that is not set")]
        rows = re.findall(r"^\| `([^`]*)` \|", section, re.M)
        inline = re.findall(r"`([^`]*)`", "\n".join(re.findall(r"^`(?:run --once|simulate)`:.*?\n\n", section, re.M | re.S)))
        said = {"%llu log lines were lost: nobody took them": "src/base/log.c", **log_lines.formats(SOURCE)}
        patterns = {shape: log_lines.pattern(shape) for shape in said}
        unexplained = ["%s: %s" % (said[shape], shape) for shape, pattern in patterns.items()
                       if not any(pattern.fullmatch(row) for row in rows + inline)]
        self.assertEqual(unexplained, [], "docs/operations.md, What the log says: lines without a row")
        self.assertEqual([row for row in rows if not any(pattern.fullmatch(row) for pattern in patterns.values())], [],
                         "rows of lines that nobody says")


class Explain(unittest.TestCase):
    def test_a_key(self):
        self.assertEqual(busferry("check", "--explain", "broker.keepalive").stdout,
                         "keepalive\n  Within that a broker that no longer answers is given up; a silent one is asked before\n"
                         "  type     a duration from \"5s\" to \"18h\"\n  default  \"30s\"\n  in       broker\n")

    def test_a_key_of_several_groups(self):
        told = busferry("check", "--explain", "topic").stdout
        self.assertEqual(told.count("  in       a level, a device, a metric"), 1, told)
        self.assertEqual(busferry("check", "--explain", "every").stdout.count("every\n"), 2)

    def test_a_key_of_a_driver(self):
        self.assertIn("driver   modbus", busferry("check", "--explain", "metric.holding").stdout)
        self.assertIn("driver   modbus", busferry("check", "--explain", "modbus.holding").stdout)

    def test_a_key_of_a_group_in_a_group(self):
        kind = busferry("check", "--explain", "frame.check.kind").stdout
        self.assertIn('none, it must be given in "frame.check"\n  in       a device\n  driver   frame\n', kind)
        for key in ("device.frame.check.kind", "frame.frame.check.kind"):
            self.assertEqual(busferry("check", "--explain", key).stdout, kind)
        self.assertIn(kind, busferry("check", "--explain", "frame.check").stdout)
        self.assertIn("in       a message\n  driver   frame", busferry("check", "--explain", "message.match.is").stdout)
        self.assertIn('(did you mean "frame.check.kind"?)', busferry("check", "--explain", "frame.chek.kind").stderr)

    def test_groups_as_they_stand_in_the_map(self):
        for key in ("topics.qos", "rule.qos"):
            self.assertIn("in       a rule", busferry("check", "--explain", key).stdout)

    def test_an_unknown_key(self):
        for key, meant in (("scael", "scale"), ("metric.scael", "metric.scale"), ("broker.inflght", "broker.inflight")):
            check = busferry("check", "--explain", key)
            self.assertEqual((check.returncode, check.stdout), (64, ""))
            self.assertIn(f'(did you mean "{meant}"?)', check.stderr)
        self.assertEqual(busferry("check", "--explain", "").returncode, 64)
        self.assertEqual(busferry("check", "--explain", "metric.").returncode, 64)
        self.assertEqual(busferry("check", "--explain").returncode, 64)

    def test_json(self):
        keys = json.loads(busferry("check", "--explain", "every", "--json").stdout)["keys"]
        self.assertEqual([key["group"] for key in keys], ["map", "level", "device", "metric"])
        self.assertEqual(keys[0]["default"], "10s")
        for key in keys:
            self.assertLessEqual({"key", "group", "type", "required", "supported", "help"}, key.keys())


if __name__ == "__main__":
    unittest.main()
