# SPDX-License-Identifier: GPL-2.0-only
"""The package on a Debian dom0 under real Xen, in QEMU, with systemd as PID 1: systemd/scenario.py does it all there,
and here each of its steps is judged."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chroot import make_base
from conftest import PLACE, fresh, sh

HERE = Path(__file__).resolve().parent
XEN = HERE.parent / "xen"
IMAGES = Path(os.environ["XEN_IMAGES"])
sys.path.insert(0, str(XEN))

from machine import Machine  # noqa: E402

STEPS = ("boot start list sandbox reload rotation restart restarts crash main-process hang wrong put-right log-dir dead-disk other-disk exhaustion started stop "
         "stop-start xen-utils upgrade next-xen this-xen removal").split()
# Where it is the emulation that is slow, a start takes longer than the unit allows.
BUSY_HOST = r"[Service]\nTimeoutStartSec=10min\nTimeoutStopSec=10min\nWatchdogSec=10min\n"
SECONDS = 2400  # in all, at most: ten times what it takes on an idle machine
MODULES = ["virtio_blk", "crc32c_generic", "ext4", "loop"]
# What a dom0 without network, disks and people can boot without, which is slow under emulation.
MASKED = """apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer
    getty@.service serial-getty@.service systemd-udevd.service systemd-udev-trigger.service systemd-udevd-control.socket
    systemd-udevd-kernel.socket systemd-logind.service systemd-random-seed.service""".split()


def module_files(name):
    """The kernel's module of that name, after those that it depends on, unpacked."""
    (path,) = (IMAGES / "dom0/lib/modules").rglob(f"{name}.ko")
    depends = next(field[8:].decode() for field in path.read_bytes().split(b"\0") if field.startswith(b"depends="))
    return [file for other in depends.split(",") if other for file in module_files(other)] + [path]


def make_initramfs(place):
    """busybox, modules, and systemd/init."""
    for directory in ("bin", "dev", "proc", "modules"):
        (place / directory).mkdir()
    shutil.copy(IMAGES / "dom0/bin/busybox", place / "bin")
    shutil.copy(HERE / "systemd/init", place)
    order = (IMAGES / "dom0-root/modules/order").read_text().split()
    for module in order:
        shutil.copy(IMAGES / f"dom0-root/modules/{module}.ko", place / "modules")
    for path in [file for name in MODULES for file in module_files(name)]:
        if path.stem not in order:
            order.append(path.stem)
            shutil.copy(path, place / "modules")
    (place / "modules/order").write_text("\n".join(order) + "\n")
    image = place.parent / "initramfs.cpio"
    sh(f"find . -print0 | LC_ALL=C sort -z | cpio --quiet --null -o -H newc -R 0:0 >'{image}'", cwd=place)
    return image


def make_disk(base, deb, others, scratch, image):
    """The base with the package installed by dpkg, others to be installed later, and the scenario as a service, as an ext4
    image. It is put together on an overlay, so that the base stays as it is."""
    sh(f"""mount -t tmpfs systemd-disk '{scratch}'
        cd '{scratch}'
        mkdir upper work root
        mount -t overlay overlay -o 'lowerdir={base},upperdir={scratch}/upper,workdir={scratch}/work' root
        cp '{deb}' root/tmp/xenconsoled.deb
        chroot root dpkg -i /tmp/xenconsoled.deb
        rm -rf root/tmp/xenconsoled.deb root/var/lib/apt/lists root/var/cache root/usr/share/doc root/usr/share/locale
        mkdir -p root/scenario root/guests root/share root/packages
        cp {' '.join(f"'{other}'" for other in others)} root/packages
        cp '{XEN}'/dom0/*.py '{HERE}'/systemd/scenario.py root/scenario
        cp '{IMAGES}'/files/guests/tiny root/guests
        cp '{HERE}'/systemd/scenario.service root/etc/systemd/system
        ln -s ../scenario.service root/etc/systemd/system/multi-user.target.wants/scenario.service
        echo XENCONSOLED_ARGS=--log=all >root/etc/default/xen
        for unit in xenconsoled xenconsoled-disconnect; do
            mkdir -p root/etc/systemd/system/$unit.service.d
            printf '{BUSY_HOST}' >root/etc/systemd/system/$unit.service.d/busy-host.conf
        done
        for unit in {' '.join(MASKED)}; do ln -sf /dev/null root/etc/systemd/system/$unit; done
        echo dom0 >root/etc/hostname
        rm -f '{image}'
        mke2fs -q -t ext4 -O ^metadata_csum -d root '{image}' 900M
        umount -l root
        umount -l '{scratch}'""", cwd="/")


class Dom0Machine(Machine):
    """The same machine as make check-xen's, but for its disk, and for how long it may be silent: on a busy host a boot
    or an upgrade takes minutes, and what is limited is the time in all."""

    def poll(self):
        self._heard = time.monotonic()
        return super().poll()

    def start(self):
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        command = [
            "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", self.CPU, "-smp", "1", "-m", "1536",
            "-nodefaults", "-vga", "none", "-display", "none", "-monitor", "none", "-no-reboot",
            "-serial", f"file:{self.console_path}", "-kernel", f"{IMAGES}/xen",
            "-initrd", f"{IMAGES}/files/guests/vmlinux console=hvc0 rdinit=/init quiet systemd.show_status=1,"
                       f"{self.images}/initramfs.cpio",
            "-append", "console=com1 com1=115200,8n1 dom0_mem=768M,max:768M bootscrub=no",
            "-drive", f"file={self.images}/disk,format=raw,if=virtio,snapshot=on",
            "-fsdev", f"local,id=share,path={self.directory},security_model=none",
            "-device", "virtio-9p-pci,fsdev=share,mount_tag=share",
        ]
        self._heard = time.monotonic()
        with open(os.path.join(self.directory, "qemu"), "wb") as messages:
            self._qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=messages, stderr=messages)


@pytest.fixture(scope="session")
def machine(deb, newer, next_xen, tmp_path_factory):
    """It has just been turned on."""
    base = make_base(PLACE, "systemd-base")
    place = fresh("systemd")
    (place / "initramfs").mkdir()
    make_initramfs(place / "initramfs")
    make_disk(base, deb, [newer, next_xen], tmp_path_factory.mktemp("disk"), place / "disk")
    machine = Dom0Machine(str(place), str(place / "log"), [])
    machine.start()
    yield machine
    machine.stop()


@pytest.fixture(scope="session")
def results(machine):
    """All that the machine had to say, after it has turned itself off."""
    end = time.monotonic() + SECONDS
    while machine.poll():
        if time.monotonic() > end:
            machine.problem = f"is not done after {SECONDS} s"
            break
        time.sleep(0.2)
    if machine.problem:
        pytest.fail(f"the machine {machine.problem}; {machine.where()}", pytrace=False)
    return machine.results


def test_starts(machine):
    assert machine.poll()


@pytest.mark.parametrize("step", STEPS)
def test_systemd(results, step):
    checks = [line for line in results if line["kind"] == "check" and line["name"].startswith(f"{step}-")
              and not any(line["name"].startswith(f"{other}-") and len(other) > len(step) for other in STEPS)]
    failed = [f"{line['name']}: {line['detail']}" for line in checks if not line["ok"]]
    problem = next(line["problem"] for line in results if line["kind"] == "end")
    if failed or not checks:
        pytest.fail("\n".join(failed + [problem, f"logs: {PLACE}/systemd/log"]), pytrace=False)


def test_the_scenario_ended(results):
    (end,) = [line for line in results if line["kind"] == "end"]
    assert not end["problem"]
    names = {line["name"] for line in results if line["kind"] == "check"}
    assert not [name for name in names if not any(name.startswith(f"{step}-") for step in STEPS)]
