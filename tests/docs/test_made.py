"""The files of docs/man and docs/completion are made by the program from its tables; here they are made anew and compared.

BUSFERRY_BLESS=1 in the environment writes them instead:

    BUSFERRY=build/busferry BUSFERRY_BLESS=1 python3 tests/docs/test_made.py
"""
import os
import pathlib
import shutil
import subprocess
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUSFERRY = os.environ.get("BUSFERRY", str(SOURCE / "build" / "busferry"))
BLESS = os.environ.get("BUSFERRY_BLESS")
SCRIPTS = {"bash": "busferry", "zsh": "_busferry", "fish": "busferry.fish"}


def busferry(*arguments):
    return subprocess.run([BUSFERRY, *arguments], capture_output=True, text=True, timeout=60, check=True).stdout


class Made(unittest.TestCase):
    def compare(self, folder, made):
        """Folder holds the texts of `made`, by their names, and nothing else."""
        folder.mkdir(parents=True, exist_ok=True)
        there = {file.name: file.read_text() for file in folder.iterdir()}
        if BLESS:
            for name in there.keys() - made.keys():
                (folder / name).unlink()
            for name, text in made.items():
                (folder / name).write_text(text)
            return
        for name in sorted(there.keys() | made.keys()):
            self.assertEqual(there.get(name), made.get(name), f"{folder / name} is stale: {__doc__}")

    def test_manual_pages(self):
        pages = busferry("manual").split()
        self.assertIn("busferry.1", pages)
        self.assertIn("busferry.conf.5", pages)
        self.compare(SOURCE / "docs" / "man", {page: busferry("manual", page) for page in pages})

    def test_completion(self):
        self.compare(SOURCE / "docs" / "completion", {name: busferry("completion", shell)
                                                      for shell, name in SCRIPTS.items()})

    @unittest.skipUnless(shutil.which("man"), "no man")
    def test_manual_pages_are_sound(self):
        """As lintian looks at them: no warning of groff, at its width; and each has a line for apropos."""
        env = dict(os.environ, LC_ALL="C.UTF-8", MANROFFSEQ="", MANWIDTH="80")
        for page in sorted((SOURCE / "docs" / "man").iterdir()):
            man = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(page)],
                                 capture_output=True, text=True, env=env, timeout=60, check=False)
            self.assertEqual((man.returncode, man.stderr), (0, ""), page.name)
            about = subprocess.run(["lexgrog", str(page)], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(about.returncode, 0, about.stdout + about.stderr)
            shown = subprocess.run(["man", "-E", "UTF-8", "-l", str(page)], capture_output=True, text=True, timeout=60,
                                   env=dict(env, MAN_KEEP_FORMATTING=""), check=True).stdout
            self.assertIn("NAME", shown)
            for line in shown.splitlines():
                self.assertLessEqual(len(line), 110, f"{page.name}: {line}")


if __name__ == "__main__":
    unittest.main()
