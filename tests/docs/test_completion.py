"""What the shells offer, with the scripts of docs/completion loaded into real ones.

Bash is asked as readline asks it: with the words as it breaks them, and once with the key itself in a pseudo terminal.
Zsh and fish are asked when they are on this machine.
"""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from terminal import Terminal

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUSFERRY = os.environ.get("BUSFERRY", str(SOURCE / "build" / "busferry"))
SCRIPTS = SOURCE / "docs" / "completion"
PATIENCE = float(os.environ.get("BUSFERRY_PATIENCE", "1")) * 30


def plain(heard):
    """What a terminal was sent, without colours, bells and the like."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|[\a\r]", "", heard.decode("utf-8", "replace"))


class Shells(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="busferry-test-")
        self.addCleanup(shutil.rmtree, self.dir, True)
        os.symlink(os.path.abspath(BUSFERRY), os.path.join(self.dir, "busferry"))
        os.mkdir(os.path.join(self.dir, "maps"))
        for name in ("plant one.conf", "plan.conf"):
            pathlib.Path(self.dir, "maps", name).touch()
        self.env = dict(os.environ, PATH=self.dir + ":" + os.environ["PATH"], HOME=self.dir, LC_ALL="C.UTF-8",
                        BUSFERRY_PROFILES=str(SOURCE / "config" / "profiles"), TERM="xterm")

    def in_terminal(self, argv, typed, awaited):
        """Types into a program on a pseudo terminal, one text after the other, each when the text before it has come."""
        terminal = Terminal([shutil.which(argv[0]), *argv[1:]], env=self.env, cwd=self.dir)
        self.addCleanup(terminal.close)
        for text, wanted in zip(typed, awaited):
            seen, end = len(terminal.raw), time.monotonic() + PATIENCE
            terminal.type(text)
            while not re.search(wanted, plain(terminal.raw[seen:])) and time.monotonic() < end and terminal.read(0.1):
                pass
            self.assertRegex(plain(terminal.raw[seen:]), wanted)

    def bash(self, line, wordbreaks=" \t\n\"'><=;|&(:"):
        """The offers at the end of a line, with its words as readline breaks them."""
        words = []
        for word in line.split(" "):
            words += [part for part in re.split("([=:]+)", word) if part] or [""]
        if line.endswith((":", "=")):
            words.append("")  # the cursor stands in a new word
            words[-2:] = [words[-2]] if words[-2] in ("=", ":") else words[-2:]
        script = 'source "$1"; shift; COMP_WORDBREAKS=$1; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))\n' \
                 'previous=${COMP_WORDS[COMP_CWORD - 1]}\n' \
                 '_busferry busferry "${COMP_WORDS[COMP_CWORD]}" "$previous"; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "--norc", "-c", script, "bash", str(SCRIPTS / "busferry"), wordbreaks, *words],
                              capture_output=True, text=True, env=self.env, cwd=self.dir, timeout=60, check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout.split("\n")[:-1] if done.stdout.strip() else []

    def test_bash(self):
        self.assertEqual(self.bash("busferry che"), ["check"])
        self.assertIn("simulate", self.bash("busferry "))
        self.assertNotIn("manual", self.bash("busferry "))
        self.assertEqual(self.bash("busferry check --to"), ["--topics"])
        self.assertEqual(self.bash("busferry profiles s"), ["show"])
        self.assertEqual(self.bash("busferry profiles show eastron-sdm12"), ["eastron-sdm120"])
        self.assertEqual(self.bash("busferry profiles list eastron"), [])
        self.assertEqual(self.bash("busferry read /dev/ttyUSB0 hol"), ["holding:"])
        self.assertEqual(self.bash("busferry read --words li"), ["little"])
        self.assertEqual(self.bash("busferry read --words=li"), ["little"])
        self.assertEqual(self.bash("busferry read --words="), ["big", "little"])
        self.assertEqual(self.bash("busferry read -n 3 tcp://host:502 inp"), ["input:"])
        self.assertEqual(self.bash("busferry profiles new x --transport modb"), ["modbus"])
        self.assertEqual(self.bash("busferry check --explain broker.keep"), ["broker.keepalive"])
        self.assertEqual(self.bash("busferry completion z"), ["zsh"])
        self.assertEqual(self.bash("busferry run -c maps/plan"), ["maps/plan.conf", "maps/plant one.conf"]
                         if self.bash("busferry run -c maps/plan")[0] == "maps/plan.conf"
                         else ["maps/plant one.conf", "maps/plan.conf"])
        self.assertEqual(self.bash("busferry run --config=maps/plan."), ["maps/plan.conf"])
        self.assertEqual(self.bash("busferry scan tcp"), ["tcp://"])
        self.assertEqual(self.bash("busferry nonsense "), [])

    def test_bash_with_the_key(self):
        self.in_terminal(["bash", "--norc", "-i"],
                         [f"PS1='pro''mpt> '; source '{SCRIPTS}/busferry'\n", "busferry profiles sh\t",
                          "eastron-sdm12\t", "\x15busferry run -c maps/plant\t"],
                         ["prompt> ", "show ", "eastron-sdm120 ", r"plant\\ one.conf "])

    @unittest.skipUnless(shutil.which("zsh"), "no zsh")
    def test_zsh(self):
        self.in_terminal(["zsh", "-f", "-i"],
                         [f"PS1='pro''mpt> '; fpath=('{SCRIPTS}' $fpath); autoload -U compinit; compinit -u -D\n",
                          "busferry che\t", "--top\t", "\x15busferry profiles sh\t", " eastron-sdm12\t",
                          "\x15busferry read --words li\t", "\x15busferry read /dev/ttyUSB0 hol\t",
                          "\x15busferry check --explain broker.keep\t", "\x15busferry run -c maps/plan.\t"],
                         ["prompt> ", "check ", "--topics ", "show", "eastron-sdm120", "little ", "holding:",
                          "broker.keepalive", "maps/plan.conf"])

    @unittest.skipUnless(shutil.which("fish"), "no fish")
    def test_fish(self):
        def offers(line):
            done = subprocess.run(["fish", "--no-config", "-c", f"source '{SCRIPTS}/busferry.fish'; complete -C '{line}'"],
                                  capture_output=True, text=True, env=self.env, cwd=self.dir, timeout=60, check=True)
            self.assertEqual(done.stderr, "")
            return [offer.split("\t")[0] for offer in done.stdout.splitlines()]
        self.assertEqual(offers("busferry che"), ["check"])
        self.assertEqual(offers("busferry check --to"), ["--topics"])
        self.assertEqual(offers("busferry profiles sh"), ["show"])
        self.assertEqual(offers("busferry profiles show eastron-sdm12"), ["eastron-sdm120"])
        self.assertEqual(offers("busferry profiles list eastron"), [])
        self.assertEqual(offers("busferry read --words li"), ["little"])
        self.assertEqual(offers("busferry read -n 3 tcp://host hol"), ["holding:"])
        self.assertEqual(offers("busferry profiles new x --transport modb"), ["modbus"])
        self.assertEqual(offers("busferry check --explain broker.keep"), ["broker.keepalive"])
        self.assertEqual(offers("busferry run -c maps/plan."), ["maps/plan.conf"])
        self.assertEqual(offers("busferry buffer status --js"), ["--json"])


if __name__ == "__main__":
    unittest.main()
