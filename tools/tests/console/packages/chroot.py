# SPDX-License-Identifier: GPL-2.0-only
"""A Debian dom0 in a chroot, on the stand-in host.

The chroot's programs are the distribution's own: init scripts, dpkg, xenstored, console daemons.
They share /dev with this process (so that a pty has one name inside and outside), and see the
stand-in libraries where they are built; /sys/hypervisor and /proc/xen say that this is a dom0.

    with Dom0(base, scratch) as dom0:
        dom0.inside("/etc/init.d/xen", "start")
        dom = dom0.create(name="web")

All of it runs in mount and pid namespaces of its own (packages.mk makes them): what is mounted or
started here ends with them. The chroot is an overlay whose upper half is a tmpfs, so that nothing is
ever removed file by file, and nothing that is mounted is in reach of a removal.
"""

import contextlib
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from helpers import PATIENCE, until  # noqa: E402
from hostlib import BUILD, ROOT, Host, HostError, Process, wait_for  # noqa: E402

PROC_XEN = os.environ.get("PROC_XEN", "")
XEN_BIN = Path("/usr/lib/xen-4.17/bin")
INCUMBENT = XEN_BIN / "xenconsoled"
DIVERTED = XEN_BIN / "xenconsoled.xen-utils"
CLEAN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "LC_ALL": "C.UTF-8",
         "DEBIAN_FRONTEND": "noninteractive"}


def _output(*argv, **options):
    done = subprocess.run([str(a) for a in argv], text=True, capture_output=True, **options)
    if done.returncode:
        raise HostError(f"{argv}: status {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def _sources():
    """This machine's own Debian sources, as lines of a sources.list, and (mirror, codename)."""
    codename = next(line.split("=")[1].strip() for line in open("/etc/os-release")
                    if line.startswith("VERSION_CODENAME="))
    wanted = ("--format", "$(SITE) $(RELEASE)", "Created-By: Packages", "Origin: Debian")
    found = sorted(set(_output("apt-get", "indextargets", *wanted).split("\n")) - {""})
    if not found:
        raise RuntimeError("apt knows of no Debian mirror: run apt-get update")
    ours = [line.split() for line in found if line.split()[1].startswith(codename)]
    lines = [f"deb {site} {release} main" for site, release in ours]
    return lines, next(site for site, release in ours if release == codename), codename


def _once(directory, make):
    """The directory, which make fills unless it has been filled before."""
    done = directory.with_suffix(".made")
    if not done.exists():
        if directory.exists():
            shutil.rmtree(directory)
        make(directory)
        done.touch()
    return directory


def _minimal(directory):
    """A minimal Debian of this machine's release, from this machine's mirror."""
    lines, mirror, codename = _sources()
    # Nobody needs it after a power failure.
    _output("debootstrap", "--variant=minbase", "--include=ca-certificates", codename, directory, mirror,
            env={**os.environ, "DPKG_FORCE": "unsafe-io"})
    (directory / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n")
    settings = [line for line in _output("apt-config", "dump").split("\n")
                if line.startswith("Acquire::")]
    (directory / "etc/apt/apt.conf.d/99machine").write_text("\n".join(settings) + "\n")
    (directory / "etc/apt/sources.list").write_text("\n".join(lines) + "\n")
    if not (directory / "etc/resolv.conf").exists():
        shutil.copy("/etc/resolv.conf", directory / "etc/resolv.conf")
    _output("chroot", directory, "apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update", env=CLEAN)


# The systems that a chroot and a machine begin with: what is installed beyond a minimal Debian, and
# what is only downloaded. Without an init system invoke-rc.d would start nothing.
BASES = {
    "base": (["sysvinit-core", "xen-utils-4.17", "xenstore-utils", "logrotate", "rpm"],
             ["xen-utils-4.17", "openrc", "libeinfo1", "librc1"]),
    "systemd-base": (["systemd-sysv", "udev", "kmod", "procps", "python3", "xen-utils-4.17", "xenstore-utils"], []),
}


def make_base(place, name):
    """One of BASES below place, made once."""
    packages, kept = BASES[name]

    def make(directory):
        def run(*argv):
            _output("chroot", directory, *argv, env=CLEAN)

        _output("cp", "-a", _once(directory.with_name("minimal"), _minimal), directory)
        run("apt-get", "-q", "-y", "--no-install-recommends", "install", *packages)
        run("apt-get", "clean")
        for package in kept:
            run("sh", "-c", f"cd /var/cache/apt/archives && apt-get -q download {package}")

    return _once(Path(place) / name, make)


class Dom0(Host):
    """A Host whose daemons run in a chroot."""

    def __init__(self, base, scratch):
        """base: from make_base(). scratch: an existing directory, free to mount on."""
        super().__init__(store=False)
        self.base, self.scratch = Path(base), Path(scratch)
        self.root = self.scratch / "root"
        self._mounted = []

    def _mount(self, where, *options):
        where = Path(where)
        _output("mount", *options, where)
        self._mounted.append(where)

    def __enter__(self):
        self._mount(self.scratch, "-t", "tmpfs", "xenconsoled-test")
        for name in ("upper", "work", "root"):
            (self.scratch / name).mkdir()
        self._mount(self.root, "-t", "overlay", "overlay", "-o",
                    f"lowerdir={self.base},upperdir={self.scratch}/upper,workdir={self.scratch}/work")
        self._mount(self.root / "proc", "-t", "proc", "proc")
        self._mount(self.root / "dev", "--rbind", "/dev")
        self._mount(self.root / "sys", "-t", "tmpfs", "sys")
        self._show(ROOT)
        (self.root / "sys/hypervisor/version").mkdir(parents=True)
        for name, value in (("type", "xen"), ("version/major", 4), ("version/minor", 17)):
            (self.root / "sys/hypervisor" / name).write_text(f"{value}\n")
        try:
            super().__enter__()
            (self.dir / "capabilities").write_text("control_d\n")
            self.env = {**CLEAN, **{k: v for k, v in self.env.items()
                                    if k.startswith(("STANDIN", "XENSTORED_", "LD_"))}}
            self.log_dir = self.root / "var/log/xen/console"
            self.log_dir.mkdir(parents=True, exist_ok=True)
            self.settings(XENCONSOLED_ARGS="--log=guest")
            self._boot()
            self.start_store()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _boot(self):
        """What a booted sysvinit leaves: runlevel 2 in utmp, without which invoke-rc.d starts
        nothing."""
        run_level = struct.pack("<hxxi32s4s32s", 1, ord("2"), b"~", b"~~", b"runlevel")
        self.file("/run/utmp").write_bytes(run_level.ljust(384, b"\0"))

    def _show(self, directory):
        """The same directory under the same name inside."""
        place = self.root / str(directory).lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        self._mount(place, "--bind", "-o", "ro", directory)

    def __exit__(self, kind, value, trace):
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(process, 9)
        super().__exit__(kind, value, trace)
        for where in reversed(self._mounted):
            subprocess.run(["umount", "--lazy", where], check=True)
        self._mounted = []

    # -- programs ------------------------------------------------------------------------------

    def chrooted(self, *argv):
        return ["chroot", self.root, "/usr/bin/env", f"LD_PRELOAD={PROC_XEN}", *argv]

    def inside(self, *argv, check=True, deadline=600, **options):
        """Run a program in the chroot to its end: its CompletedProcess (text, both outputs in
        stdout)."""
        # Files, not pipes: what a daemon inherits must not keep us waiting for its end.
        with open(self.dir / "run.out", "w+") as out:
            done = subprocess.run([str(a) for a in self.chrooted(*argv)], env=self.env, text=True,
                                  stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                  timeout=deadline, **options)
            out.seek(0)
            done.stdout = out.read()
        if check and done.returncode:
            raise HostError(f"{argv}: status {done.returncode}: {done.stdout}")
        return done

    def start_store(self):
        """xenstored, in the chroot, so that the init script finds it running."""
        self.store = Process(self, self.chrooted(
            "env", f"LD_PRELOAD={BUILD / 'lib/paths-preload.so'}", XEN_BIN / "xenstored", "-N",
            "--pid-file", "/run/xenstore.pid"), "xenstored")
        wait_for(lambda: self.command("xenstore-ls", "/", deadline=60) or True, PATIENCE,
                 lambda: f"xenstored: {self.store.output}")
        return self.store

    def processes(self, name=None):
        """Pids of the chroot's processes (those called name), zombies left out."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                if Path(os.readlink(entry / "root")) == self.root and \
                        (name is None or (entry / "comm").read_text().strip() == name):
                    found.append(int(entry.name))
            except OSError:
                pass
        return found

    def console_daemon(self):
        """The pid of the one console daemon, and the program's path in the chroot. Processes that it came from may
        still be about to end."""
        until(lambda: len(self.processes("xenconsoled")) == 1,
              lambda: f"one console daemon; there are {self.processes('xenconsoled')}")
        (pid,) = self.processes("xenconsoled")
        path = os.readlink(f"/proc/{pid}/exe")
        return pid, Path(path.removeprefix(str(self.root)))

    # -- files -----------------------------------------------------------------------------------

    def file(self, path):
        return self.root / str(path).lstrip("/")

    def settings(self, **variables):
        """What the init script reads."""
        text = "".join(f'{name}="{value}"\n' for name, value in variables.items())
        self.file("/etc/default/xen").write_text(text)

    def copy_in(self, path):
        """A file, into the chroot's /tmp: its name there."""
        shutil.copy(path, self.file("/tmp"))
        return f"/tmp/{Path(path).name}"


if __name__ == "__main__":
    for base in BASES:
        make_base(sys.argv[1], base)
