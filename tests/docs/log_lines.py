"""The formats of all log lines of src/ and drivers/, from their source text."""

import pathlib
import re

CALL = re.compile(r"\blog_(error|warning|notice|info|debug|line|about)\(")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')


def arguments(text, at):
    """What stands between the parentheses, the first of which is open at `at`."""
    depth, start, quoted = 1, at, False
    while depth:
        c = text[at]
        if quoted:
            if c == "\\":
                at += 1
            quoted = c != '"'
        elif c == '"':
            quoted = True
        else:
            depth += {"(": 1, ")": -1}.get(c, 0)
        at += 1
    return text[start:at - 1]


def format_of(words):
    """The literals that stand beside each other, the first of them found; a macro of inttypes.h is its letter."""
    words = re.sub(r"PRI([ud])64", r'"\1"', words)
    first = LITERAL.search(words)
    if not first:
        return None
    text, end = first.group(1), first.end()
    while True:
        more = re.compile(r'\s*"((?:[^"\\]|\\.)*)"').match(words, end)
        if not more:
            return text.replace('\\"', '"')
        text, end = text + more.group(1), more.end()


def formats(source):
    """{format: where}"""
    found = {}
    for file in sorted([*(source / "src").rglob("*.c"), *(source / "drivers").rglob("*.c")]):
        if file.name in ("log.c", "log_sink.c"):
            continue
        text = file.read_text()
        for call in CALL.finditer(text):
            shape = format_of(arguments(text, call.end()))
            if shape and shape != "%s":  # a fault in the map, line by line
                found[shape] = "%s:%d" % (file.relative_to(source), text[:call.start()].count("\n") + 1)
    return found


def pattern(shape):
    """What the lines of a format look like."""
    parts = re.split(r"%[-0-9.*]*(?:ll|z|h|l)?[a-zA-Z]", shape)
    return re.compile(".*".join(re.escape(part) for part in parts))


if __name__ == "__main__":
    for shape, where in formats(pathlib.Path(__file__).resolve().parents[2]).items():
        print(where, shape)
