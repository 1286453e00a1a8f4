"""The SDK as who writes a driver has it: Busferry is built and installed below a temporary prefix, and the example driver
is made from what lies there, as a module, without a look into the source tree.  The same source is then built in.

Everything is made with the compiler and the sanitizer of the build under test, so that modules are loaded under those too.
"""

import contextlib
import glob
import json
import os
import pty
import re
import shutil
import subprocess
import tempfile
import tty
import unittest

import harness
from harness import HERE, SANITIZE, Scenario, wait_until

SOURCE = os.path.dirname(os.path.dirname(HERE))
CC = os.environ.get("BUSFERRY_CC", "cc")
# What a sanitizer's runtime exports is its own affair.
OURS = re.compile(r" [TDBRVW] (?!__|_edata|_end|_init|_fini)(\w+)$", re.M)


def run(*argv, **kwargs):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                          timeout=kwargs.pop("timeout", harness.PATIENCE * 20), **kwargs)
    if done.returncode != 0:
        raise AssertionError("%s\n%s%s" % (" ".join(argv), done.stdout, done.stderr))
    return done.stdout


class Installed:
    """Busferry below a prefix of its own."""

    def __init__(self, folder):
        self.prefix, self.build_folder = os.path.join(folder, "prefix"), os.path.join(folder, "build")
        self.program = os.path.join(self.prefix, "bin", "busferry")
        self.include = os.path.join(self.prefix, "include", "busferry")
        self.build()
        for name in ("BUSFERRY_DRIVERS", "BUSFERRY_PROFILES", "PKG_CONFIG_SYSROOT_DIR"):
            os.environ.pop(name, None)  # for children too that add theirs to what is here
        self.env = dict(os.environ, PKG_CONFIG_PATH=glob.glob(self.prefix + "/lib/**/pkgconfig", recursive=True)[0], CC=CC)

    def build(self, *options):
        run("cmake", "-S", SOURCE, "-B", self.build_folder, "-G", "Ninja", "-DCMAKE_INSTALL_PREFIX=" + self.prefix,
            "-DCMAKE_C_COMPILER=" + CC, "-DCMAKE_BUILD_TYPE=None", "-DBUSFERRY_TESTS=OFF", "-DBUSFERRY_PROFILES_SOURCE=",
            "-DBUSFERRY_SANITIZE=" + SANITIZE, *options)
        run("cmake", "--build", self.build_folder)
        run("cmake", "--install", self.build_folder)

    def pkg_config(self, *arguments):
        return run("pkg-config", *arguments, "busferry-driver", env=self.env).strip()


class Sdk(Scenario):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="busferry-sdk-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.installed = Installed(cls.folder)

    def setUp(self):
        super().setUp()
        self.env = dict(self.installed.env, RUNTIME_DIRECTORY=self.dir)
        self.addCleanup(self.empty_module_folder)

    def empty_module_folder(self):
        for file in glob.glob(self.installed.pkg_config("--variable=moduledir") + "/*"):
            os.unlink(file)

    def busferry(self, *arguments, program=None):
        return subprocess.run([program or self.installed.program, *arguments], capture_output=True, text=True, check=False,
                              timeout=harness.PATIENCE * 4, stdin=subprocess.DEVNULL, env=self.env)

    def example(self, name="example"):
        """A copy of the installed example."""
        there = glob.glob(self.installed.prefix + "/share/doc/**/example-driver", recursive=True)
        self.assertEqual(len(there), 1)
        return shutil.copytree(there[0], self.path(name))

    def make(self, folder, *arguments):
        return run("make", "-s", "-C", folder, *arguments, env=self.env)

    def drivers(self):
        done = self.busferry("drivers", "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return {driver["name"]: driver for driver in json.loads(done.stdout)["drivers"]}

    def test_headers_compile_alone(self):
        headers = sorted(os.listdir(os.path.join(self.installed.include, "sdk")))
        self.assertGreaterEqual(set(headers), {"check.h", "decode.h", "driver.h", "key.h", "value.h"})
        for header in headers:
            file = self.write(header + ".c", '#include "sdk/%s"\n#include "sdk/%s"\nint busferry_sdk;\n' % (header, header))
            for standard in ("c11", "c17", "c2x"):
                with self.subTest(header, standard=standard):
                    run(CC, "-std=" + standard, "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only",
                        *self.installed.pkg_config("--cflags").split(), file)

    def test_pkg_config_tells_what_the_program_has(self):
        with open(os.path.join(self.installed.include, "sdk", "driver.h"), encoding="utf-8") as f:
            abi = re.search(r"#define BF_DRIVER_ABI (\d+)u", f.read()).group(1)
        self.assertEqual(self.installed.pkg_config("--variable=abi"), abi)
        version = self.busferry("--version").stdout.split()[1]
        self.assertEqual(self.installed.pkg_config("--modversion"), version)
        self.assertEqual(self.installed.pkg_config("--libs"), "")

    def test_the_program_exports_the_sdk_and_nothing_else(self):
        library = os.path.join(self.installed.build_folder, "src", "sdk", "libbusferry_sdk.a")
        sdk = set(re.findall(r" T (bf_\w+)$", run("nm", "-g", "--defined-only", library), re.M))
        exported = set(OURS.findall(run("nm", "-D", "--defined-only", self.installed.program)))
        self.assertGreater(len(sdk), 15)
        if SANITIZE:
            exported = {name for name in exported if name.startswith("bf_")}
        self.assertEqual(exported, sdk)

    def test_the_program_is_as_hardened_as_before(self):
        if SANITIZE:
            self.skipTest("sanitized programs are not hardened")
        dynamic = run("readelf", "-dlW", self.installed.program)
        self.assertRegex(dynamic, r"\(FLAGS\) +BIND_NOW")
        self.assertRegex(dynamic, r"FLAGS_1\) +Flags: NOW PIE")
        self.assertIn("GNU_RELRO", dynamic)

    def test_a_module_from_the_installed_headers_only(self):
        folder = self.example()
        self.make(folder, "CFLAGS=-O1 -Werror -MMD", "install")
        with open(os.path.join(folder, "vane.d"), encoding="utf-8") as f:
            used = f.read().replace("\\\n", " ").split()[1:]
        self.assertIn(os.path.join(self.installed.include, "sdk", "driver.h"), used)
        self.assertFalse([file for file in used if file.startswith(SOURCE + "/")], used)

        module = os.path.join(self.installed.pkg_config("--variable=moduledir"), "vane.so")
        vane = self.drivers()["vane"]
        self.assertEqual((vane["module"], vane["way"]), (module, "stream"))
        self.assertEqual([key["key"] for key in vane["device_keys"]], ["records"])
        self.assertEqual([key["key"] for key in vane["metric_keys"]], ["tag"])
        self.assertIsNone(self.drivers()["modbus"]["module"])
        told = self.busferry("drivers").stdout
        self.assertIn("  from %s\n" % module, told)
        self.assertIn("modbus - ", told)
        self.assertIn("driver   vane", self.busferry("check", "--explain", "vane.records").stdout)

    def test_its_readings(self):
        folder = self.example()
        self.make(folder, "install")
        self.env["BUSFERRY_PROFILES"] = folder
        vane = self.busferry("profiles", "check", os.path.join(folder, "vane.conf"))
        self.assertEqual((vane.returncode, vane.stderr), (0, ""))
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        tty.setraw(slave)
        os.set_blocking(master, False)
        with open(os.path.join(folder, "map.conf"), encoding="utf-8") as f:
            text = f.read().replace("/dev/ttyUSB0", os.ttyname(slave)).replace('"10s"', '"0s"')
        os.close(slave)
        conf = self.write("m.conf", text + 'buffer: { path: ":none:" }\n')
        check = self.busferry("check", "-c", conf, "--topics")
        self.assertEqual((check.returncode, check.stderr), (0, ""))
        self.assertIn("home/roof/weather/wind_speed ", check.stdout)

        gateway = self.start([self.installed.program, "run", "-c", conf, "--stdout"], "gateway", env=self.env)
        sound = bytes.fromhex("A9 04 57 22 00 44 13 01 52 B3 04 54 CC FF AA 28")
        damaged = sound[:2] + b"\x58" + sound[3:]

        def told():
            self.assertTrue(gateway.alive(), gateway.text())
            with contextlib.suppress(BlockingIOError):  # it does not read yet
                os.write(master, b"\xa9\x10noise" + damaged + sound)
            return "temperature {" in gateway.text()
        wait_until(told, "the readings of the example")
        readings = {line.split(" ", 1)[0]: json.loads(line.split(" ", 1)[1]) for line in gateway.text().splitlines()
                    if line.startswith("home/roof/weather/") and "availability" not in line}
        self.assertEqual({topic.rsplit("/", 1)[1]: (reading["value"], reading["unit"]) for topic, reading in readings.items()},
                         {"wind_speed": (3.4, "m/s"), "wind_direction": (275, "°"), "rain": (240.6, "mm"),
                          "temperature": (-5.2, "°C")})
        self.assertEqual(gateway.stop(), 0)

    def test_the_folder_of_the_environment_comes_instead(self):
        folder = self.example()
        self.make(folder, "install")
        self.env["BUSFERRY_DRIVERS"] = self.path("other")
        os.mkdir(self.path("other"))
        self.assertNotIn("vane", self.drivers())
        shutil.copy(os.path.join(folder, "vane.so"), self.path("other/z.so"))
        self.assertEqual(self.drivers()["vane"]["module"], self.path("other/z.so"))

    def test_a_module_of_another_abi(self):
        folder = self.example()
        shutil.copytree(self.installed.include, self.path("include"))
        with open(self.path("include/sdk/driver.h"), "r+", encoding="utf-8") as f:
            text = re.sub(r"(#define BF_DRIVER_ABI )\d+u", r"\g<1>4711u", f.read())
            f.seek(0)
            f.write(text)
        run(CC, "-shared", "-fPIC", "-DBF_DRIVER_MODULE", "-I", self.path("include"), "-o", self.path("example/vane.so"),
            self.path("example/vane.c"))
        self.env["BUSFERRY_DRIVERS"] = folder
        done = self.busferry("drivers", "--json")
        self.assertEqual(done.returncode, 0)
        self.assertNotIn("vane", {driver["name"] for driver in json.loads(done.stdout)["drivers"]})
        self.assertIn("warning: driver module %s/vane.so: made for ABI 4711, this busferry has %s: build it anew\n" %
                      (folder, self.installed.pkg_config("--variable=abi")), done.stderr)
        self.env["BUSFERRY_PROFILES"] = folder
        done = self.busferry("check", "-c", os.path.join(folder, "map.conf"))
        self.assertEqual(done.returncode, 78)
        self.assertIn('unknown driver "vane"', done.stderr)

    def test_keys_of_groups_and_of_messages_are_told(self):
        folder = self.example()
        with open(os.path.join(folder, "vane.c"), "r+", encoding="utf-8") as f:
            text = f.read().replace('{"records"', '{"mast.top.records"').replace(
                "	.metric_keys =", "	.message_keys = device_keys,\n	.message_size = sizeof(struct vane_device),\n	.metric_keys =")
            f.seek(0)
            f.write(text)
        self.make(folder)
        self.env["BUSFERRY_DRIVERS"] = folder
        self.assertEqual([key["key"] for key in self.drivers()["vane"]["message_keys"]], ["mast.top.records"])
        self.assertRegex(self.busferry("drivers").stdout,
                         r"(?m)^  keys of a message\n    mast\.top\.records The most .* \(default 16\)$")
        once = self.busferry("check", "--explain", "mast.top.records")
        self.assertRegex(once.stdout, r"^mast\.top\.records\n  The most(.|\n)*  in       a device, a message\n  driver   vane\n$")
        for key in ("vane.mast.top.records", "mast.top", "mast", "records", "top.records"):
            self.assertEqual(self.busferry("check", "--explain", key).stdout, once.stdout, key)
        self.assertIn("  in       a message\n", self.busferry("check", "--explain", "message.mast.top.records").stdout)
        self.assertNotIn("a device", self.busferry("check", "--explain", "message.mast.top.records").stdout)
        keys = json.loads(self.busferry("check", "--explain", "mast.top", "--json").stdout)["keys"]
        self.assertEqual([(key["key"], key["group"]) for key in keys],
                         [("mast.top.records", "device"), ("mast.top.records", "message")])
        for wrong in ("mast.top.recrods", "mats.top.records"):
            done = self.busferry("check", "--explain", wrong)
            self.assertEqual((done.returncode, done.stdout), (64, ""))
            self.assertIn('(did you mean "mast.top.records"?)', done.stderr)
        self.assertEqual(self.busferry("check", "--explain", "mast.").returncode, 64)

    def test_the_same_source_built_in(self):
        folder = self.example("vane")
        self.addCleanup(self.installed.build, "-DBUSFERRY_EXTRA_DRIVERS=")
        self.installed.build("-DBUSFERRY_EXTRA_DRIVERS=" + folder)
        self.assertIsNone(self.drivers()["vane"]["module"])
        self.make(folder, "install")
        done = self.busferry("drivers")
        self.assertIn("vane.so: not used, its driver \"vane\" is built in\n", done.stderr)
        self.assertEqual(done.stdout.count("vane - "), 1)


if __name__ == "__main__":
    unittest.main()
