"""Headless Chromium, spoken to over a pipe in the DevTools protocol: no driver, no library, no port.

Of a page it tells what a person would see (a picture, the text) and what they would not: errors on the console, and
each address that was asked for.
"""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

CHROMIUM = shutil.which("chromium")
PATIENCE = float(os.environ.get("BUSFERRY_PATIENCE", "1")) * 60


class Browser:
    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="busferry-chromium-")
        to_read, self.to = os.pipe()
        self.source, to_write = os.pipe()

        def fds():
            os.dup2(to_read, 13)
            os.dup2(to_write, 14)
            os.dup2(13, 3)
            os.dup2(14, 4)

        self.child = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--disable-default-apps", "--no-first-run",
             "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
             "--user-data-dir=" + self.home, "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=dict(os.environ, HOME=self.home), preexec_fn=fds, close_fds=False, start_new_session=True)
        os.close(to_read)
        os.close(to_write)
        self.rest, self.number, self.session = b"", 0, None
        self.errors, self.requests, self.events = [], [], []
        found = self.ask("Target.createTarget", url="about:blank")
        self.session = self.ask("Target.attachToTarget", targetId=found["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(domain + ".enable")

    def close(self):
        os.killpg(self.child.pid, signal.SIGKILL)  # its own group, begun above
        self.child.wait()
        os.close(self.to)
        os.close(self.source)
        shutil.rmtree(self.home, True)

    def take(self, seconds):
        """The next message; None when there is none in time."""
        end = time.monotonic() + seconds
        while b"\0" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.source], [], [], left)[0]:
                return None
            more = os.read(self.source, 1 << 16)
            if not more:
                raise AssertionError("the browser has ended")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def note(self, event):
        method, told = event.get("method"), event.get("params", {})
        self.events.append(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(told))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
            self.errors.append(json.dumps(told))
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.errors.append(told["entry"]["text"])

    def ask(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while True:
            answer = self.take(end - time.monotonic())
            if answer is None:
                raise AssertionError("the browser does not answer " + method)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise AssertionError("%s: %s" % (method, answer["error"]))
                return answer["result"]
            self.note(answer)

    def open(self, url, width=1280, height=900, dark=False, scripts=True):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        self.ask("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.ask("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.events = []
        self.ask("Page.navigate", url=url)
        end = time.monotonic() + PATIENCE
        while "Page.loadEventFired" not in self.events:
            event = self.take(end - time.monotonic())
            if event is None:
                raise AssertionError("the page is not loaded: " + url)
            self.note(event)

    def listen(self, seconds):
        """Lets the page live for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            event = self.take(end - time.monotonic())
            if event:
                self.note(event)

    def value(self, script):
        return self.ask("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def picture(self, path, whole=True):
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = dict(x=0, y=0, width=size["width"], height=min(size["height"], 4000), scale=1) if whole else None
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole,
                        **({"clip": clip} if clip else {}))
        with open(path, "wb") as f:
            f.write(base64.b64decode(shot["data"]))
