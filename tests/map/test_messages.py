"""Each message about a map has a golden file: every text that src/app and the drivers can put into a fault, a warning or
its hint must stand in one of the .expected files beside this test.

The texts are looked for in the C source: the string literals within calls that tell a fault, and those that functions
return to such a call.  A format's conversions match anything.  EXEMPT names the few that no map can bring about.
"""
import pathlib
import re
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
TELLERS = r"\b(?:faults_add|schema_fault|compile_fault|compile_warning|maptext_fault|fault|type_fault|told_at|bf_refuse)\s*\("
GIVERS = r"\breturn\s+(?=[^;]*\")|\b(?:wrong|what|hint|fault)\s*=\s*(?=[^;]*\")|\bsnprintf\(\s*(?:complaint|ret_complaint|what)\b"
EXEMPT = {
    "libconfig reads this group in another way than busferry": "would be a bug of ours",
    "please report this map as a bug": "the same",
    '"%s" may be another adapter after the next start': "needs a link in /dev; test_compile looks for links",
    "the probe does not say what to expect": "of `profiles check`, no map's",
    "write min and max": "the same",
    'a scan asks for one place only, "model" has no meaning there': "the same",
    'write holding: 40000  type: "u32", which is "SunS"': "the same",
    "apt install libprotobuf-c1": "the tests need it themselves",
    "Sparkplug needs libprotobuf-c.so.1, which is not there": "the same",
    '"%s" is too big a number': "of keys without a range, which a driver may have",
}
FILES = ["src/app/config.c", "src/app/map*.c", "src/app/compile*.c", "src/app/schema_read.c", "src/app/schema_value.c",
         "src/app/tree.c", "src/app/profile*.c", "src/model/topic.c", "drivers/*/*.c"]


def statement(text, start):
    """From start to the end of the call or statement."""
    depth, i, quoted = 0, start, False
    while i < len(text):
        c = text[i]
        if quoted:
            if c == "\\":
                i += 1
            elif c == '"':
                quoted = False
        elif c == '"':
            quoted = True
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if depth == 0 and text[start:i].lstrip().startswith(("(",)):
                return text[start:i + 1]
        elif c == ";" and depth <= 0:
            return text[start:i]
        i += 1
    return text[start:]


def literals(code):
    """The string literals of a piece of C, neighbours joined, escapes undone."""
    for match in re.finditer(r'"(?:[^"\\\n]|\\.)*"(?:\s*(?:PRI\w+\s*)?"(?:[^"\\\n]|\\.)*")*', code):
        parts = re.findall(r'"((?:[^"\\\n]|\\.)*)"', match.group())
        yield "".join(parts).replace('\\"', '"').replace("\\\\", "\\").replace("\\n", "\n")


def messages():
    for pattern in FILES:
        for file in sorted(SOURCE.glob(pattern)):
            text = re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.S)
            for match in re.finditer(f"{TELLERS}|{GIVERS}", text):
                at = match.end() - 1 if match.group().endswith("(") else match.start()
                for literal in literals(statement(text, at)):
                    yield f"{file.relative_to(SOURCE)}:{text[:at].count(chr(10)) + 1}", literal


def is_message(literal):
    plain = re.sub(r"%[-+ #0]*[\d*]*(?:\.[\d*]+)?(?:hh|h|ll|l|z)?[a-zA-Z]", "", literal)
    return " " in plain.strip() and len(re.sub(r"[^a-z]", "", plain)) > 3


def pattern_of(literal):
    parts = re.split(r"(%%|%[-+ #0]*[\d*]*(?:\.[\d*]+)?(?:hh|h|ll|l|z)?[a-zA-Z])", literal)
    return "".join("%" if part == "%%" else ".*" if re.match(r"%.", part) else re.escape(part) for part in parts)


class Messages(unittest.TestCase):
    def test_each_has_a_golden_file(self):
        told = "\n".join(file.read_text(errors="replace") for file in (SOURCE / "tests").glob("map/**/*.expected"))
        missing, n, exempt = [], 0, set()
        for place, literal in messages():
            if not is_message(literal):
                continue
            n += 1
            if literal in EXEMPT:
                exempt.add(literal)
            elif not re.search(pattern_of(literal), told):
                missing.append(f"{place}: {literal}")
        self.assertGreater(n, 150)
        self.assertEqual(exempt, set(EXEMPT), "an exemption that nothing needs")
        self.assertEqual([], missing, "\nno golden file in tests/map tells:\n" + "\n".join(missing))


if __name__ == "__main__":
    unittest.main()
