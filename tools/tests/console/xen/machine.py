# SPDX-License-Identifier: GPL-2.0-only
"""A machine with real Xen: QEMU boots the hypervisor and dom0, which runs its plan of scenarios, writes what comes out
into a directory shared with it, and turns itself off."""

import json
import os
import shutil
import subprocess
import time

SCENARIO_SECONDS = 600  # dom0 itself ends it then; on an idle machine one takes 20 to 90
SECONDS_OF_SILENCE = SCENARIO_SECONDS + 180  # by then dom0 has ended it, or hangs itself


class Machine:
    """One boot. plan: pairs of a daemon ("ours", "incumbent") and a scenario's name. store: the program that is xenstored
    there."""

    # A plain CPU: richer models crash dom0 under emulation (SMAP), Intel's are slow, and without rdrand libxl waits.
    CPU = "qemu64,+rdrand,+svm,+npt"

    def __init__(self, images, directory, plan, store="xenstored"):
        self.images = images
        self.directory = directory
        self.store = store
        self.plan = plan
        self._qemu = None
        self._read = 0
        self._rest = ""
        self._heard = time.monotonic()
        self.results = []
        self.problem = None

    @property
    def console_path(self):
        return os.path.join(self.directory, "console")

    def start(self):
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        with open(os.path.join(self.directory, "plan"), "w", encoding="ascii") as plan:
            plan.writelines(f"{daemon} {scenario} {SCENARIO_SECONDS}\n" for daemon, scenario in self.plan)
        images = self.images
        vmlinux = os.path.join(images, "files/guests/vmlinux")
        command = [
            # however this process ends, the machine ends with it
            "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64",
            "-accel", "tcg,thread=single", "-cpu", self.CPU, "-smp", "1", "-m", "1536",
            "-nodefaults", "-vga", "none", "-display", "none", "-monitor", "none", "-no-reboot",
            "-serial", f"file:{self.console_path}", "-kernel", os.path.join(images, "xen"),
            "-initrd", f"{vmlinux} console=hvc0 rdinit=/init store={self.store},{images}/dom0.cpio",
            "-append", "console=com1 com1=115200,8n1 dom0_mem=768M,max:768M bootscrub=no loglvl=all guest_loglvl=all "
            "conring_size=512k",
            "-fsdev", f"local,id=files,path={images}/files,security_model=none,readonly=on",
            "-device", "virtio-9p-pci,fsdev=files,mount_tag=files",
            "-fsdev", f"local,id=share,path={self.directory},security_model=none",
            "-device", "virtio-9p-pci,fsdev=share,mount_tag=share",
        ]
        self._heard = time.monotonic()
        with open(os.path.join(self.directory, "qemu"), "wb") as messages:
            self._qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=messages, stderr=messages)

    def poll(self):
        """Takes what has been written since; false once there will be nothing more."""
        ended = self._qemu.poll() is not None
        path = os.path.join(self.directory, "results")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                file.seek(self._read)
                text = file.read()
                self._read = file.tell()
            if text:
                self._heard = time.monotonic()
            lines = (self._rest + text).split("\n")
            self._rest = lines.pop()
            self.results += [json.loads(line) for line in lines]
        if not ended and time.monotonic() - self._heard > SECONDS_OF_SILENCE:
            self.stop()
            self.problem = f"silent for {SECONDS_OF_SILENCE} s and stopped"
            return False
        if ended and not any(line["kind"] == "done" for line in self.results):
            self.problem = f"ended by itself (QEMU's status {self._qemu.returncode})"
        return not ended

    def stop(self):
        if self._qemu and self._qemu.poll() is None:
            self._qemu.kill()
            self._qemu.wait()

    def where(self):
        """The last step taken, and the console's last words, for who looks into a hang."""
        steps = [line for line in self.results if line["kind"] in ("boot", "begin", "step")]
        step = "before the first step" if not steps else \
            f"at {steps[-1]['time']} s in {steps[-1]['scenario'] or 'the boot'}: {steps[-1].get('text', '')}"
        try:
            with open(self.console_path, "rb") as file:
                tail = file.read().decode(errors="replace").replace("\r", "").split("\n")[-15:]
        except FileNotFoundError:
            tail = []
        return f"{step}\nthe console's last lines ({self.console_path}):\n" + "\n".join("    " + line for line in tail)
