#!/usr/bin/python3
"""A whole machine: Debian with its own kernel and systemd in QEMU, the package installed in it, a USB serial adapter that
is plugged in and pulled while the gateway runs, and devices at the other end of its wire.

  tests/package/machine.py          the architecture of this machine; BUSFERRY_KVM=1 where it has a KVM that works
  tests/package/machine.py arm64    a 64 bit Arm

Needs root (images with owners are made) and a gateway that was built here, for the simulated devices: BUSFERRY, or
build-test/gcc/busferry.  The image is kept in build-package/machine-ARCH; what the machine did is in its console.log.
Of ./test.sh only the long run has it.  What runs inside is machine_inside.sh; it tells what it wants of its adapter by lines `HOST: plug`.
"""
import glob
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
BUSFERRY = os.environ.get("BUSFERRY", str(SOURCE / "build-test" / "gcc" / "busferry"))
NATIVE = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
INCLUDE = ("systemd-sysv udev kmod procps initramfs-tools mosquitto mosquitto-clients libcjson1 libconfig9 libmicrohttpd12 libmodbus5 libmosquitto1"
           " libserialport0 libsqlite3-0 libssl3 dbus")
QEMU = {
    "amd64": ["qemu-system-x86_64", "-M", "q35", "-append", "root=/dev/vda rw console=ttyS0 quiet panic=-1"],
    "arm64": ["qemu-system-aarch64", "-M", "virt", "-append", "root=/dev/vda rw console=ttyAMA0 quiet panic=-1"],
}
# The header of a program for a 64 bit Arm, as binfmt_misc wants it (systemd's and Debian's qemu-user-binfmt have the same).
BINFMT = Rb":busferry-arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:" \
         Rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:F"
UNIT = """[Unit]
Description=What machine.py wants to know
After=multi-user.target
[Service]
Type=oneshot
ExecStartPre=/bin/mount -o ro /dev/vdb /mnt
ExecStart=/bin/bash /mnt/machine_inside.sh
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
TimeoutStartSec=infinity
[Install]
WantedBy=graphical.target
"""


def run(*command, **kwargs):
    return subprocess.run(command, check=True, **kwargs)


def shell(text):
    return run("bash", "-c", text, cwd=SOURCE, capture_output=True, text=True).stdout.strip()


class Foreign:
    """Programs for Arm run on this machine for a while, if they don't anyway."""

    def __init__(self, arch):
        self.ours = None
        if arch == NATIVE:
            return
        folder = pathlib.Path("/proc/sys/fs/binfmt_misc")
        if not (folder / "register").exists():
            run("mount", "-t", "binfmt_misc", "binfmt_misc", folder)
        if not (folder / "qemu-aarch64").exists() and not (folder / "busferry-arm64").exists():
            (folder / "register").write_bytes(BINFMT)
            self.ours = folder / "busferry-arm64"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.ours:
            self.ours.write_text("-1")


def remove(folder):
    """What is made here may still have this machine's own folders mounted in it, if the making was interrupted."""
    if any(line.split()[1].startswith(str(folder) + "/") for line in open("/proc/self/mounts", encoding="utf-8")):
        sys.exit(f"something is mounted below {folder}: end the mmdebstrap that does it, or unmount it, and try again")
    run("rm", "-rf", "--one-file-system", folder)


def image(arch, folder):
    if (folder / "root.ext4").exists():
        return
    print(f"makes a Debian for {arch}", flush=True)
    remove(folder)
    folder.mkdir(parents=True)
    root = folder / "root"
    with Foreign(arch):
        run("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--architectures={arch}",
            "--include=" + ",".join([*INCLUDE.split(), "linux-image-" + arch]), "bookworm", root, shell(". systemd/build_root.sh; root_mirror"))
        (root / "etc/hostname").write_text("cellar\n")
        (root / "etc/hosts").write_text("127.0.0.1 localhost cellar\n")
        (root / "etc/systemd/system/machine.service").write_text(UNIT)
        run("chroot", root, "systemctl", "enable", "machine.service")
        run("chroot", root, "systemctl", "disable", "mosquitto.service")
        run("chroot", root, "systemctl", "set-default", "graphical.target")
        run("chroot", root, "systemctl", "mask", "serial-getty@.service", "systemd-networkd-wait-online.service")
    for name in ("vmlinuz", "initrd.img"):
        shutil.copy(glob.glob(str(root / "boot" / name) + "-*")[0], folder / name)
    made = folder / "root.new"
    run("mkfs.ext4", "-q", "-d", root, made, "3G")
    remove(root)
    made.rename(folder / "root.ext4")


def disk(arch, folder, version):
    """What the test brings along: packages of two versions and the script."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        package = SOURCE / "build-package" / f"busferry_{version}_{arch}.deb"
        shutil.copy(package, place + "/newer.deb")
        older = pathlib.Path(place) / "older"
        run("dpkg-deb", "-R", package, older)
        control = older / "DEBIAN" / "control"
        control.write_text(control.read_text().replace(f"Version: {version}", "Version: 0.0.9-1"))
        run("dpkg-deb", "--root-owner-group", "-b", older, place + "/older.deb", stdout=subprocess.DEVNULL)
        shutil.rmtree(older)
        for file in ("machine_inside.sh", "machine.conf"):
            shutil.copy(HERE / file, place)
        run("mkfs.ext4", "-q", "-d", place, folder / "brought.ext4", "16M")


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        for _ in range(100):
            try:
                self.socket.connect(str(path))
                break
            except OSError:
                time.sleep(0.1)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "error" in answer:
                raise AssertionError(answer)
            if "return" in answer:
                return

    def wait_for(self, event):
        while json.loads(self.file.readline()).get("event") != event:
            pass


def main():
    arch = sys.argv[1] if len(sys.argv) > 1 else NATIVE
    if len(sys.argv) > 2 or arch not in QEMU:
        sys.exit(__doc__)
    version = shell("sed -n '1s/.*(\\(.*\\)).*/\\1/p' systemd/deb/changelog")
    shell(". tests/packages.sh; packages_need $PACKAGES_PACKAGE $PACKAGES_MACHINE")
    run("systemd/package.sh", arch, cwd=SOURCE)
    folder = SOURCE / "build-package" / ("machine-" + arch)
    image(arch, folder)
    disk(arch, folder, version)
    wire = folder / "wire"
    devices = folder / "devices.conf"
    devices.write_text((HERE / "machine.conf").read_text().replace("/dev/ttyUSB0", str(wire)))
    simulator = subprocess.Popen([BUSFERRY, "simulate", "-c", devices], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not wire.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    fast = ["-accel", "kvm", "-cpu", "host"] if os.environ.get("BUSFERRY_KVM") else \
        ["-accel", "tcg,thread=multi", "-cpu", "max" if arch == "amd64" else "cortex-a72"]
    failed, ended, passed = [], False, 0
    with open(folder / "console.log", "wb") as console, subprocess.Popen([
            *QEMU[arch], *fast, "-m", "768", "-smp", "2", "-display", "none", "-nodefaults", "-no-reboot", "-snapshot",
            "-kernel", folder / "vmlinuz", "-initrd", folder / "initrd.img", "-nic", "none",
            "-drive", f"file={folder}/root.ext4,format=raw,if=virtio", "-drive", f"file={folder}/brought.ext4,format=raw,if=virtio",
            "-device", "qemu-xhci", "-chardev", f"serial,id=wire,path={wire}", "-serial", "stdio",
            "-qmp", f"unix:{folder}/monitor,server=on,wait=off"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as qemu:
        try:
            monitor = Monitor(folder / "monitor")
            for line in qemu.stdout:
                console.write(line)
                console.flush()
                text = line.decode(errors="replace").strip()
                if text == "HOST: plug":
                    monitor.ask("device_add", driver="usb-serial", id="adapter", chardev="wire")
                elif text == "HOST: unplug":
                    monitor.ask("device_del", id="adapter")
                    monitor.wait_for("DEVICE_DELETED")
                elif text.startswith(("ok ", "FAILED ", "note ")):
                    print(text, flush=True)
                    passed += text.startswith("ok ")
                    failed += [text] if text.startswith("FAILED ") else []
                elif text == "HOST: end":
                    ended = True
        finally:
            qemu.kill()
            simulator.terminate()
            simulator.wait()
    if not ended:
        failed.append(f"the machine did not come to an end: see {folder}/console.log")
        print(failed[-1])
    print(f"{passed} passed, {len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
