"""A program on a pseudo terminal of a known size, and what stands on its screen.

The screen understands what Busferry writes and no more; anything else is a fault of the test that meets it.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
import unicodedata

TOKEN = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|([\s\S])")


def columns_of(character):
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class Terminal:
    def __init__(self, argv, columns=80, rows=24, env=None, cwd=None):
        self.columns, self.rows = columns, rows
        self.raw = b""
        self.status = None
        environment = dict(os.environ, **(env or {}))
        environment["TERM"] = "xterm"
        if "NO_COLOR" not in (env or {}):
            environment.pop("NO_COLOR", None)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                if cwd:
                    os.chdir(cwd)
                os.execve(argv[0], argv, environment)
            finally:
                os._exit(127)  # or the child would go on as a test

    def resize(self, columns, rows):
        self.columns, self.rows = columns, rows
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text.encode())

    def send(self, number):
        os.kill(self.pid, number)

    def read(self, seconds=0.05):
        """What comes within that time; False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other side has closed
            data = b""
        self.raw += data
        return bool(data)

    def wait_until(self, condition, what, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return
            if not self.read():
                break
        if not condition():
            raise AssertionError("waited in vain: %s\n%s" % (what, "\n".join(self.screen())))

    def wait(self, seconds=30):
        """Until the program ends; its exit code."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.read():
            pass
        while self.status is None and time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.01)
        if self.status is None:
            raise AssertionError("did not end:\n" + "\n".join(self.screen()))
        return self.status

    def close(self):
        if self.status is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        os.close(self.fd)

    def text(self):
        return self.raw.decode("utf-8", "replace").replace("\r\n", "\n")

    def screen(self, modes=None):
        """The rows of the screen, as the text so far has left it.  modes: is filled with the private modes that are on."""
        grid = [[" "] * self.columns for _ in range(self.rows)]
        row = column = 0
        modes = {} if modes is None else modes
        for private, numbers, letter, character in TOKEN.findall(self.raw.decode("utf-8", "replace")):
            n = int(numbers.split(";")[0] or 0) if numbers else 0
            if private:
                modes[n] = letter == "h"
                if n == 1049:
                    grid = [[" "] * self.columns for _ in range(self.rows)]
            elif letter == "H":
                row = (n or 1) - 1
                column = int(numbers.split(";")[1]) - 1 if ";" in numbers else 0
            elif letter == "J":
                for line in grid[row + (column > 0):]:
                    line[:] = [" "] * self.columns
                if column:
                    grid[row][column:] = [" "] * (self.columns - column)
            elif letter == "K":
                grid[row][column:] = [" "] * (self.columns - column)
            elif letter == "m":
                pass
            elif letter:
                raise AssertionError("unknown sequence ESC[%s%s%s" % (private, numbers, letter))
            elif character == "\n":
                row += 1
            elif character == "\r":
                column = 0
            elif character == "\x1b" or ord(character) < 32:
                raise AssertionError("a control character on the terminal: %r" % character)
            else:
                width = columns_of(character)
                if column + width > self.columns:
                    row, column = row + 1, 0
                if row >= self.rows:
                    grid = grid[row - self.rows + 1:] + [[" "] * self.columns for _ in range(row - self.rows + 1)]
                    row = self.rows - 1
                if width:
                    grid[row][column] = character
                    if width == 2:
                        grid[row][column + 1] = ""
                column += width
            if row >= self.rows:
                grid = grid[row - self.rows + 1:] + [[" "] * self.columns for _ in range(row - self.rows + 1)]
                row = self.rows - 1
        return ["".join(line).rstrip() for line in grid]
