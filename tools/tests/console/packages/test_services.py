# SPDX-License-Identifier: GPL-2.0-only
"""make install on a dom0, as README tells it, and what its init scripts do there: for real, on a
sysvinit and an OpenRC system in a chroot, beside the distribution's own daemon."""

import os
import re
import signal

import pytest

from chroot import INCUMBENT, ROOT
from conftest import fresh, sh
from helpers import PATIENCE, until

DAEMON = "/usr/local/sbin/xenconsoled"
HELPER = "/usr/local/libexec/xenconsoled/helper"
SCRIPT = "/etc/init.d/xenconsoled"
SETTINGS = "/etc/default/xenconsoled"


@pytest.fixture(scope="session")
def compiled(source):
    """A tree that was configured and made."""
    place = fresh("installed")
    sh(f"cp -a '{source}' tree; cd tree; ./configure -q --with-run-dir=/run/xen --with-initsystem=sysv"
       " --with-defaults-dir=/etc/default; make -s -j2", cwd=place)
    return place / "tree"


def test_all_init_systems_together(source, compiled):
    """Two of them want one place: what it says has it is what is there, and the other is not lost."""
    said = sh(f"'{source}/configure' --with-initsystem=systemd,sysv,openrc", cwd=fresh("configure"))
    assert "xenconsoled.openrc" in said
    place = fresh("together")
    sh(f"make -s install INITSYSTEM='systemd sysv openrc' DESTDIR='{place}'", cwd=compiled)
    assert "BEGIN INIT INFO" in (place / "etc/init.d/xenconsoled").read_text()
    (script,) = place.glob("**/xenconsoled.openrc")
    assert "openrc-run" in script.read_text().split("\n")[0] and os.access(script, os.X_OK)
    assert len(list(place.glob("**/xenconsoled.service"))) == 1


@pytest.fixture
def sysv(dom0, compiled):
    """Xen's daemon runs, and ours is installed beside it."""
    sh(f"make -s install DESTDIR='{dom0.root}'", cwd=compiled)
    dom0.inside("/etc/init.d/xen", "start")
    dom0.file(SETTINGS).write_text("XENCONSOLED_TRACE=guest\n")
    return dom0


@pytest.fixture
def openrc(dom0, compiled):
    """The same, with OpenRC's programs and OpenRC's script."""
    sh(f"make -s install INITSYSTEM=openrc DESTDIR='{dom0.root}'", cwd=compiled)
    dom0.inside("sh", "-ec", "cd /var/cache/apt/archives;"
                " for deb in openrc_* librc1_* libeinfo1_*; do dpkg-deb --fsys-tarfile $deb |"
                " tar -x --keep-directory-symlink -C /; done; ldconfig;"
                # As if it had booted this machine.
                " cd /run; mkdir openrc; cd openrc; mkdir daemons exclusive failed hotplugged inactive"
                " options scheduled started starting stopping tmp wasinactive; echo default >softlevel;"
                # It takes the environment away, and the stand-in host with it.
                " echo 'rc_env_allow=\"*\"' >>/etc/rc.conf")
    dom0.inside("/etc/init.d/xen", "start")
    dom0.file("/etc/conf.d/xenconsoled").write_text('XENCONSOLED_TRACE=guest\nXENCONSOLED_OPTS="--timestamp=none"\n')
    return dom0


def serves(dom0, name):
    """A guest from its creation on to its log."""
    domain = dom0.create(name=name)
    domain.console().wait_tty(PATIENCE)
    guest = domain.guest(mode="linux71")
    until(lambda: domain.console().connected, "CONNECTED")
    guest.print(f"{name} is here\n")
    until(lambda: dom0.guest_log(name).endswith(f"{name} is here\n".encode()),
             lambda: f"its log, is {dom0.guest_log(name)}")
    domain.spoken = guest
    return domain


def drops(domain):
    return domain.spoken.status()["dropped"]


def reloads(dom0, domain):
    log = dom0.log_dir / "guest-one.log"
    log.rename(log.with_suffix(".1"))
    dom0.inside(SCRIPT, "reload")
    until(log.exists, "the log to be opened anew")
    domain.spoken.print("anew\n")
    until(lambda: dom0.guest_log("one") == b"anew\n", "it to be written to")


def goes_on(dom0, domain):
    """It is served again, nothing that it said was dropped, and its log follows a rotation."""
    until(lambda: domain.console().bound, "it to be served again")
    domain.spoken.print("still\n")
    until(lambda: dom0.guest_log("one").endswith(b"still\n"), "its log")
    assert drops(domain) == 0
    reloads(dom0, domain)


def is_ours(dom0):
    pid, path = dom0.console_daemon()
    assert str(path) == DAEMON
    return pid


def readme(begin):
    """The commands of README's block that begins so, what stands beside them left out."""
    text = (ROOT / "README").read_text()
    (block,) = re.findall(rf"^    sudo {begin}\n(?:    .*\n)*", text, re.M)
    return [re.split(r" {2,}", line.strip())[0].removeprefix("sudo ") for line in block.splitlines()]


def test_from_the_readme_to_a_served_console_and_back(sysv, compiled):
    dom0 = sysv
    before = dom0.create(name="before", old_builder=True)
    before.console().wait_tty(PATIENCE)
    assert dom0.console_daemon()[1] == INCUMBENT

    for command in readme("update-rc.d xenconsoled defaults .*"):
        dom0.inside("sh", "-ec", command)
    is_ours(dom0)
    until(lambda: before.console().bound, "the guest of before to be served")
    after = serves(dom0, "after")

    for command in readme("/etc/init.d/xenconsoled stop"):
        if command == "make uninstall":
            assert after.console().connected and before.console().connected
            sh(f"make -s uninstall DESTDIR='{dom0.root}'", cwd=compiled)
        else:
            dom0.inside("sh", "-ec", command)
    assert dom0.console_daemon()[1] == INCUMBENT
    until(lambda: after.console().bound, "the incumbent to serve it")


def test_debians_script_given_this_daemon(sysv):
    """README's other way: one program in the place of the other."""
    dom0 = sysv
    for command in readme("dpkg-divert --local --rename --add .*"):
        dom0.inside("sh", "-ec", command)
    dom0.inside("/etc/init.d/xen", "restart")
    first = is_ours(dom0)
    serves(dom0, "one")
    dom0.inside("/etc/init.d/xen", "restart")
    assert is_ours(dom0) != first
    for command in readme("rm /usr/lib/xen-.*"):
        dom0.inside("sh", "-ec", command)
    dom0.inside("/etc/init.d/xen", "restart")
    assert dom0.console_daemon()[1] == INCUMBENT


def test_sysv_script(sysv):
    dom0 = sysv
    assert dom0.inside(SCRIPT, "status", check=False).returncode == 3
    assert "not running" in dom0.inside(SCRIPT, "stop").stdout
    dom0.inside(SCRIPT, "try-restart")
    assert dom0.console_daemon()[1] == INCUMBENT
    dom0.inside(SCRIPT, "start")
    first = is_ours(dom0)
    assert str(first) in dom0.inside(SCRIPT, "status").stdout
    domain = serves(dom0, "one")
    dom0.inside(SCRIPT, "start")
    assert is_ours(dom0) == first
    dom0.inside(SCRIPT, "restart")
    second = is_ours(dom0)
    assert second != first
    dom0.inside(SCRIPT, "try-restart")
    assert is_ours(dom0) != second
    goes_on(dom0, domain)
    dom0.file(SETTINGS).write_text("XENCONSOLED_TRACE=guest\nXENCONSOLED_LOG_DIR=/srv/logs/xen\n")
    dom0.inside(SCRIPT, "restart")
    until(lambda: domain.console().bound, "it to be served once more")
    domain.spoken.print("elsewhere\n")
    until(lambda: dom0.file("/srv/logs/xen/guest-one.log").exists(), "the log to be there")
    dom0.inside(SCRIPT, "stop")
    assert not domain.console().connected and not dom0.processes("xenconsoled")
    assert dom0.inside(SCRIPT, "frobnicate", check=False).returncode == 2


def test_sysv_script_elsewhere_than_in_a_dom0(sysv):
    dom0 = sysv
    (dom0.dir / "capabilities").write_text("\n")
    dom0.inside(SCRIPT, "start")
    assert dom0.console_daemon()[1] == INCUMBENT
    assert dom0.inside(SCRIPT, "status", check=False).returncode == 3


@pytest.mark.parametrize("setting, names", [
    ('XENCONSOLED_ARGS="--timestamp=gest"', "none, guest, hv, all"),
    ("XENCONSOLED_LOG_DIR=var/log", "absolute path"),
    ('XENCONSOLED_ARGS="--overflow-data=kep"', "discard, keep"),
    ('XENCONSOLED_ARGS="--no-such-option"', "xenconsoled --help"),
])
def test_a_wrong_setting_is_one_line_and_ends_nothing(sysv, setting, names):
    dom0 = sysv
    dom0.inside(SCRIPT, "start")
    pid = is_ours(dom0)
    dom0.file(SETTINGS).write_text(setting + "\n")
    done = dom0.inside(SCRIPT, "restart", check=False)
    assert done.returncode == 22
    (line,) = done.stdout.strip().split("\n")
    assert setting.split("=")[0] in line and names in line
    assert is_ours(dom0) == pid


def test_a_trace_that_xens_own_daemon_ignores(sysv):
    """Old samples name a file there: consoles are served, and it is said what is wrong."""
    dom0 = sysv
    dom0.file(SETTINGS).write_text("XENCONSOLED_TRACE=/var/log/xen/trace\n")
    said = dom0.inside(SCRIPT, "start").stdout
    (line,) = [line for line in said.split("\n") if "/var/log/xen/trace" in line]
    assert "XENCONSOLED_TRACE" in line and "none, guest, hv, all" in line and "taken as none" in line
    is_ours(dom0)
    assert dom0.inside(DAEMON, "--log=/var/log/xen/trace", "--version", check=False).returncode == 22


def test_another_run_directory(sysv):
    """Whatever the settings say by now, the daemon that runs is found."""
    dom0 = sysv
    dom0.file(SETTINGS).write_text('XENCONSOLED_TRACE=guest\nXENCONSOLED_ARGS="--run-dir=/run/elsewhere"\n')
    dom0.inside(SCRIPT, "start")
    first = is_ours(dom0)
    assert str(first) in dom0.inside(SCRIPT, "status").stdout
    domain = serves(dom0, "one")
    dom0.inside(SCRIPT, "restart")
    assert is_ours(dom0) != first
    goes_on(dom0, domain)
    dom0.file(SETTINGS).write_text('XENCONSOLED_ARGS="--no-such-option"\n')
    dom0.inside(SCRIPT, "stop")
    assert not domain.console().connected and not dom0.processes("xenconsoled")


def test_an_installation_leaves_a_log_directory_as_it_is(compiled):
    place = fresh("log-directory")
    logs = place / "var/log/xen/console"
    logs.mkdir(parents=True)
    logs.chmod(0o2770)
    sh(f"make -s install DESTDIR='{place}'", cwd=compiled)
    assert logs.stat().st_mode & 0o7777 == 0o2770


def test_a_daemon_that_cannot_start_leaves_no_guest_waiting(sysv):
    dom0 = sysv
    dom0.inside(SCRIPT, "start")
    domain = serves(dom0, "one")
    dom0.inject("evtchn-open", errno="EACCES", times=1)
    assert dom0.inside(SCRIPT, "restart", check=False).returncode == 1
    assert not dom0.processes("xenconsoled")
    assert not domain.console().connected


def test_helper(sysv):
    dom0 = sysv
    assert dom0.inside(HELPER, "pid", check=False).returncode == 3
    dom0.inside(HELPER, "reload")
    # A lock file with the pid of somebody else who must not get our signals.
    other = dom0.spawn(*dom0.chrooted("sleep", "1000"))
    dom0.file("/run/xen").mkdir(exist_ok=True)
    for stale in (str(other.pid), "", "rm -rf", "-1", "999999"):
        dom0.file("/run/xen/xenconsoled.lock").write_text(stale + "\n")
        assert dom0.inside(HELPER, "pid", check=False).returncode == 3, stale
        dom0.inside(HELPER, "reload")
    assert other.running()
    # With wrong options whoever serves is left alone: the new daemon would not start.
    dom0.inside(HELPER, "takeover", "--log=gest")
    assert dom0.console_daemon()[1] == INCUMBENT
    dom0.inside(HELPER, "takeover", "--log=guest")
    assert not dom0.processes("xenconsoled") and other.running()
    # With wrong options it tells guests all the same.
    domain = dom0.create(name="one", old_builder=True)
    assert domain.console().connected
    dom0.inside(HELPER, "disconnect", "--log=gest")
    assert not domain.console().connected
    assert dom0.inside(HELPER, check=False).returncode == 2


def test_a_daemon_that_hangs_is_not_waited_for_without_end(sysv):
    dom0 = sysv
    dom0.inside(SCRIPT, "start")
    pid = is_ours(dom0)
    os.kill(pid, signal.SIGSTOP)
    done = dom0.inside(SCRIPT, "stop", check=False)
    assert done.returncode == 1 and f"process {pid} does not leave" in done.stdout
    os.kill(pid, signal.SIGCONT)
    until(lambda: not dom0.processes("xenconsoled"), "it to stop at last")


def test_openrc_script(openrc):
    dom0 = openrc
    dom0.inside(SCRIPT, "start")
    first = is_ours(dom0)
    domain = serves(dom0, "one")
    assert "started" in dom0.inside(SCRIPT, "status").stdout
    dom0.inside(SCRIPT, "restart")
    assert is_ours(dom0) != first
    goes_on(dom0, domain)
    dom0.file("/etc/conf.d/xenconsoled").write_text("XENCONSOLED_OPTS=--log=gest\n")
    pid = is_ours(dom0)
    done = dom0.inside(SCRIPT, "restart", check=False)
    assert done.returncode and re.search(r"--log=gest \(set by XENCONSOLED_OPTS\).*none, guest, hv, all", done.stdout)
    assert is_ours(dom0) == pid
    dom0.inside(SCRIPT, "stop")
    assert not domain.console().connected and not dom0.processes("xenconsoled")
    # Nobody comes in the place of whoever left.
    dom0.file("/etc/conf.d/xenconsoled").write_text("")
    dom0.inside(DAEMON, "--reconnect")
    dom0.inject("evtchn-open", errno="EACCES", times=1)
    assert dom0.inside(SCRIPT, "start", check=False).returncode
    assert not domain.console().connected and not dom0.processes("xenconsoled")


def test_logrotate(sysv):
    dom0 = sysv
    dom0.inside(SCRIPT, "start")
    domain = serves(dom0, "one")
    for turn in ("first", "second"):
        domain.spoken.print(f"{turn}\n")
        until(lambda: dom0.guest_log("one").endswith(f"{turn}\n".encode()), "its log")
        dom0.inside("logrotate", "--force", "/etc/logrotate.d/xenconsoled")
        until((dom0.log_dir / "guest-one.log").exists, "the log to be opened anew")
    domain.spoken.print("last\n")
    until(lambda: dom0.guest_log("one") == b"last\n", lambda: f"a new log, has {dom0.guest_log('one')}")
    assert (dom0.log_dir / "guest-one.log.1").read_bytes() == b"second\n"
    assert (dom0.log_dir / "guest-one.log.2.gz").exists()


def test_uninstall_leaves_what_was_edited(sysv, compiled):
    dom0 = sysv
    sh(f"make -s uninstall DESTDIR='{dom0.root}'", cwd=compiled)
    assert dom0.file(SETTINGS).read_text() == "XENCONSOLED_TRACE=guest\n"
    for gone in (DAEMON, SCRIPT, HELPER, "/etc/logrotate.d/xenconsoled"):
        assert not dom0.file(gone).exists(), gone
