#!/usr/bin/env python3
"""A sensor on a pty that has nothing but what it is told to say: chunks by themselves, or one for each request.

    stream_player.py --pty LINK --script FILE [--seconds N]

The script is JSON: {"input": ["42 4d ..."], "requests": ["ff 01 86 ..."]} in hexadecimal digits.  With requests each item of the
input answers the next of them, whichever it is; what else comes (the greeting of `init`) is taken and not answered.  Without
requests all of the input is sent again and again; with "talks": true each item answers whatever comes next, as in a
conversation that a driver leads, and what came is printed.
"""

import argparse
import json
import os
import pty
import select
import time
import tty


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pty", required=True)
    parser.add_argument("--script", required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--bytewise", action="store_true", help="send by itself byte by byte")
    given = parser.parse_args()
    with open(given.script, encoding="utf-8") as f:
        script = json.load(f)
    items = [bytes.fromhex(item) for item in script["input"]]
    requests = [bytes.fromhex(request) for request in script.get("requests", [])]
    talks = script.get("talks", False)
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.symlink(os.ttyname(slave), given.pty)
    print("ready", flush=True)
    heard, end = b"", time.monotonic() + given.seconds
    while time.monotonic() < end:
        ready, _, _ = select.select([master], [], [], 0.2)
        heard += os.read(master, 4096) if ready else b""
        if requests:
            for request in requests:
                if request in heard and items:
                    heard = heard.split(request, 1)[1]
                    os.write(master, items.pop(0))
        elif talks:
            if heard and not ready:  # all of it has come
                print(heard.hex(), flush=True)
                heard = b""
                if items:
                    os.write(master, items.pop(0))
        elif not ready:
            for item in items:
                for i in range(len(item)) if given.bytewise else [slice(None)]:
                    os.write(master, item[i:i + 1] if given.bytewise else item[i])


if __name__ == "__main__":
    main()
