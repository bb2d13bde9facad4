# SPDX-License-Identifier: GPL-2.0-only
"""The stand-in host keeps its promises: what it stands in for behaves as Xen and Linux do.

The event channel tests run a few lines of Python against the stand-in libraries, in a process of
their own as a daemon would be: calls.py has their words.
"""

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))

import hostlib  # noqa: E402
from hostlib import (BUILD, CONNECTED, DISCONNECTED, Host, HostError, OUT_SIZE,  # noqa: E402
                     can_unshare, guest_line, mount_namespace, wait_for)

PYTHON = "/usr/bin/python3"



def script(host, code, **values):
    """argv of a process that has the words of calls.py, a Ctrl c, values, and then runs code."""
    values["XENHOST"] = str(BUILD / "bin/xenhost")
    known = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    file, path = tempfile.mkstemp(dir=host.dir, prefix="script.", suffix=".py", text=True)
    with open(file, "w") as out:
        out.write(f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
                  f"from calls import *\n{known}c = Ctrl()\n"
                  "def xenhost(*args, **options):\n"
                  "    import subprocess\n"
                  "    subprocess.run([XENHOST, *map(str, args)], check=True, **options)\n"
                  + code)
    return [PYTHON, "-B", path]


def run(host, code, **values):
    """Run code in the host to its end; assertions in it count here."""
    return host.command(*script(host, code, **values)).stdout


def start(host, code, **values):
    """Start code, and wait for the first line it says."""
    process = host.spawn(*script(host, code, **values), name="script")
    wait_for(lambda: process.output, 10, "the script's first word")
    return process


HANG = "\nimport signal\nsignal.pause()\n"


@pytest.fixture
def host():
    with Host() as made:
        yield made


@pytest.fixture
def bare():
    """A hypervisor without a xenstored."""
    with Host(store=False) as made:
        yield made


def bare_domain(host, **options):
    return host.create(nodes=False, **options)


# -- the real programs ---------------------------------------------------------------------------


def test_incumbent_serves_a_guest(host):
    """The distribution's xenconsoled, xenstored and xenconsole, one guest, both directions."""
    daemon = host.start_incumbent()
    domain = host.create(name="web")
    guest = domain.guest(mode="old")
    daemon.ready(domain)
    guest.print("login: ")
    wait_for(lambda: host.guest_log("web") == b"login: ", 5, "the log")
    client = domain.client()
    client.expect("login: ")
    client.write("root\n")
    wait_for(lambda: guest.input == b"root\n", 5, lambda: f"input, is {guest.input!r}")
    guest.echo(True)
    client.write("echoed\n")
    client.expect("echoed\n")
    client.close()
    assert daemon.running()


def test_incumbent_logs_the_hypervisor(host):
    host.hypervisor_print("(XEN) before\n")
    host.start_incumbent()
    wait_for(lambda: b"before" in host.hypervisor_log(), 5, "what was there")
    host.hypervisor_print("(XEN) after\n")
    wait_for(lambda: host.hypervisor_log() == b"(XEN) before\n(XEN) after\n", 5, "what came")


def test_incumbent_moves_much_data(host):
    """Bytes arrive as they were sent, and every wait of the guest ended with an event."""
    data = random.Random(1).randbytes(150000)
    source = host.dir / "data"
    source.write_bytes(data)
    daemon = host.start_incumbent()
    domain = host.create(name="web")
    daemon.ready(domain)
    guest = domain.guest(chunk=2048)
    guest.file(source)
    assert guest.flush()["unnoticed"] == 0
    wait_for(lambda: len(host.guest_log("web")) >= len(data), 5, "the log")
    assert host.guest_log("web") == data


def test_store_is_told_of_domains(host):
    watch = host.spawn("xenstore-watch", "@introduceDomain", "@releaseDomain")
    wait_for(lambda: watch.output.count("\n") == 2, 5, "the watches")
    domain = host.create()
    assert host.introduced(domain.domid)
    wait_for(lambda: watch.output.count("@introduceDomain") == 2, 5, "the introduction")
    domain.destroy()
    wait_for(lambda: watch.output.count("@releaseDomain") == 2, 5, "the release")
    assert domain.state() is None
    assert domain.path not in host.store_ls("/local/domain")


def test_create_writes_what_libxl_writes(host):
    domain = host.create(name="web", vuart=True, consoles=1, limit=65536)
    nodes = host.store_ls(domain.path)
    console = {name: nodes[f"{domain.path}/console/{name}"]
               for name in ("type", "limit", "tty", "output", "port", "ring-ref", "backend-id")}
    assert console == {"type": "xenconsoled", "limit": "65536", "tty": "", "output": "pty",
                       "port": str(domain.console().port), "ring-ref": str(domain.console().gfn),
                       "backend-id": "0"}
    assert nodes[f"{domain.path}/name"] == "web"
    assert nodes[f"{domain.path}/vuart/0/port"] == str(domain.console(1).port)
    assert nodes[f"{domain.path}/device/console/1/type"] == "xenconsoled"


def test_create_leaves_out_what_it_is_told_to(host):
    domain = host.create(name=None, type=None, limit=None, tty=None, output=None, ring_ref=False)
    console = domain.console()
    for name in ("type", "limit", "tty", "output", "ring-ref"):
        assert console.node(name) is None, name
    assert host.store_read(f"{domain.path}/name") is None
    domain.write_ring_ref()
    assert console.node("ring-ref") == str(console.gfn)


def test_creation_without_a_daemon_gives_up(host):
    """libxl waits 10 s for the tty; a daemon's tty ends the wait."""
    host.start_incumbent()
    assert host.create(name="served", wait_tty=True).console().tty


def test_flag_is_the_builders(host):
    assert host.create().console().flag == DISCONNECTED
    assert host.create(old_builder=True).console().flag == CONNECTED
    assert host.create(vuart=True).console(1).flag == CONNECTED


def test_restore_and_soft_reset(host):
    daemon = host.start_incumbent()
    domain = host.create(name="web")
    daemon.ready(domain)
    console = domain.console()
    tty, port = console.tty, console.port
    console.flag = CONNECTED
    domain.soft_reset()
    assert console.flag == CONNECTED
    assert console.port != port and console.node("port") == str(console.port)
    assert console.tty == tty
    wait_for(lambda: console.bound, 5, "the incumbent to follow")
    port = console.port
    domain.restore(new_port=False)
    assert (console.flag, console.port) == (DISCONNECTED, port)
    console.set_index("out_cons", 7)
    domain.restore(hvm=True)
    assert console.port != port and console.indexes.out_cons == 0


def test_reboot_and_rename(host):
    domain = host.create(name="web")
    again = domain.reboot()
    assert (again.uuid, again.name) == (domain.uuid, "web") and again.domid != domain.domid
    again.rename("db")
    assert host.store_read(f"{again.path}/name") == "db"


def test_shut_down_domain_stays(host):
    domain = host.create()
    guest = domain.guest()
    domain.shutdown("crash")
    guest.wait_state("shutdown")
    assert (domain.state()["state"], domain.state()["reason"]) == ("alive", 3)
    assert host.store_read(f"{domain.path}/name") == "guest"


def test_hosts_are_apart():
    with Host() as one, Host() as other:
        assert one.create(name="one").domid == other.create(name="other").domid == 1
        assert other.store_read("/local/domain/1/name") == "other"
        one.inject("bind", times=0)
        assert other.injections() == []


def test_nothing_outlives_its_host():
    """Not even what put itself into the background."""
    with Host(store=False) as host:
        host.spawn("sh", "-c", "setsid sleep 1000 &").wait()
        pid, = wait_for(host.leftovers, 5, "the orphan")
        adopted = host.adopt(pid)
        assert adopted.running() and host.leftovers() == []
        host.spawn("sh", "-c", "setsid sleep 1000 &").wait()
        other, = wait_for(host.leftovers, 5, "another")
        its_end = os.pidfd_open(other)  # readable when it has ended, though nobody has reaped it yet
    assert not adopted.running()
    assert select.select([its_end], [], [], 5)[0], "it lives on"
    os.close(its_end)


def test_a_program_that_is_just_being_started_is_not_overlooked(tmp_path, monkeypatch):
    """In the midst of execve() it has no environment. A kernel thread never has one, and no program."""
    environ = tmp_path / "environ"
    environ.write_bytes(b"")
    with pytest.raises(OSError):
        hostlib.environment(tmp_path)
    monkeypatch.setattr(hostlib.os, "readlink", lambda path: environ.write_bytes(b"A=1\0"))
    assert hostlib.environment(tmp_path) == b"A=1\0"


@pytest.fixture
def readable():
    """The tests' modules and what was built for them, where everybody can read it."""
    with tempfile.TemporaryDirectory(prefix="xenhost-readable.", dir="/tmp") as place:
        os.chmod(place, 0o755)
        shutil.copytree(Path(__file__).parent.parent / "integration", Path(place) / "tools/tests/console/integration")
        shutil.copytree(BUILD, Path(place) / "host")
        (Path(place) / "tmp").mkdir()
        (Path(place) / "tmp").chmod(0o1777)
        yield Path(place)


def test_without_root(readable):
    """All of it as nobody, in a user namespace, wherever the tree is."""
    if os.geteuid():
        pytest.skip("is run without root already")
    if not can_unshare("-Urm"):
        pytest.skip("users may make no mount namespace here")
    code = (f"import os, sys\nos.setgroups([])\nos.setgid(65534)\nos.setuid(65534)\n"
            f"sys.path.insert(0, {str(readable / 'tools/tests/console/integration')!r})\n"
            "from hostlib import Host, wait_for\n"
            "with Host() as host:\n"
            "    daemon = host.start_incumbent()\n"
            "    domain = host.create(name='web')\n"
            "    daemon.ready(domain)\n"
            "    domain.guest().print('hello')\n"
            "    client = domain.client()\n"
            "    client.expect('hello')\n")
    done = subprocess.run([PYTHON, "-B", "-c", code], capture_output=True, text=True, cwd=readable,
                          env={**os.environ, "HOST_BUILD": str(readable / "host"), "TMPDIR": str(readable / "tmp")})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("namespace", [True, False])
def test_run_is_the_hosts_own(monkeypatch, namespace):
    """Of this machine's /run no program sees or touches anything: two hosts have the same domids."""
    if namespace and not mount_namespace():
        pytest.skip("there is no mount namespace to be had")
    if not namespace:
        monkeypatch.setattr(hostlib, "mount_namespace", lambda: None)
    with Host() as host:
        daemon = host.start_incumbent()
        domain = host.create(name="web")
        daemon.ready(domain)
        client = domain.client()
        wait_for((host.run / "lock/xenconsole.1").exists, 30, "xenconsole's lock")
        assert client.running()


# -- event channels --------------------------------------------------------------------------------


def test_binding_leaves_the_port_pending_and_masked(bare):
    domain = bare_domain(bare)
    run(bare, """
e = Evtchn()
port = e.bind(domid, remote)
assert e.readable() and e.pending() == port
assert not e.readable() and error(e.pending) == "EAGAIN"
xenhost("storm", domid, 3)
assert not e.readable(), "a port is masked from delivery on"
e.unmask(port)
assert e.readable() and e.pending() == port, "what came meanwhile was latched"
assert not e.readable(), "and is delivered once"
e.unmask(port)
assert not e.readable(), "nothing was latched"
xenhost("storm", domid, 1)
assert e.pending() == port
""", domid=domain.domid, remote=domain.console().port)


def test_pending_blocks_unless_told_otherwise(bare):
    domain = bare_domain(bare)
    waiting = start(bare, """
e = Evtchn(blocking=True)
port = e.bind(domid, remote)
e.unmask(e.pending())
say("now")
e.pending()
say("woken")
""", domid=domain.domid, remote=domain.console().port)
    wait_for(lambda: waiting._stat()[0] == "S", 5, "it to block")
    assert waiting.output == "now\n"
    domain.storm(1)
    assert waiting.wait() == 0 and waiting.output == "now\nwoken\n"


def test_binding_is_exclusive(bare):
    domain = bare_domain(bare)
    run(bare, """
one, other = Evtchn(), Evtchn()
port = one.bind(domid, remote)
assert error(other.bind, domid, remote) == "EINVAL"
assert c.status(domid, remote) == Ctrl.INTERDOMAIN
one.unbind(port)
assert c.status(domid, remote) == Ctrl.UNBOUND
assert other.bind(domid, remote) == port, "the lowest free number is used again"
assert error(one.notify, port) == "ENOTCONN" and error(one.unbind, port) == "ENOTCONN"
other.close()
assert c.status(domid, remote) == Ctrl.UNBOUND
assert error(one.bind, domid, 9) == "EINVAL" and error(one.bind, 99, 1) == "ESRCH"
""", domid=domain.domid, remote=domain.console().port)


def test_one_handle_carries_many_ports(bare):
    domains = [bare_domain(bare) for _ in range(3)]
    run(bare, """
e = Evtchn()
ports = [e.bind(domid, remote) for domid, remote in peers]
assert sorted(e.take()) == sorted(ports)
xenhost("storm", peers[1][0], 2)
assert e.take() == [ports[1], ports[1]], "the second was latched while the first was masked"
""", peers=[(d.domid, d.console().port) for d in domains])


def test_stale_entries_survive_an_unbind(bare):
    """Linux leaves them in the handle's ring; their numbers may be in use again."""
    domain = bare_domain(bare)
    run(bare, """
e = Evtchn()
first = e.bind(domid, remote)
e.unbind(first)
assert e.bind(domid, remote) == first
assert [e.pending(), e.pending()] == [first, first]
assert not e.readable()
""", domid=domain.domid, remote=domain.console().port)


def test_overflow_breaks_the_handle_for_good(bare):
    """The ring is 64 entries while few ports are bound; stale ones fill it."""
    domain = bare_domain(bare)
    run(bare, """
e = Evtchn()
for i in range(64):
    e.unbind(e.bind(domid, remote))
port = e.bind(domid, remote)
for i in range(3):
    assert e.readable() and error(e.pending) == "EFBIG"
assert c.status(domid, remote) == Ctrl.INTERDOMAIN
e.close()
assert c.status(domid, remote) == Ctrl.UNBOUND
""", domid=domain.domid, remote=domain.console().port)


def test_broken_on_order(bare):
    domain = bare_domain(bare)
    run(bare, """
e = Evtchn()
port = e.bind(domid, remote)
e.take()
assert not e.readable()
xenhost("break-handle", "--pid", os.getpid())
assert e.readable() and error(e.pending) == "EFBIG" and e.readable()
again = Evtchn()
assert error(again.bind, domid, remote) == "EINVAL", "the broken one holds it still"
e.close()
assert again.bind(domid, remote) and again.take()
""", domid=domain.domid, remote=domain.console().port)


def test_breaking_wakes_who_waits(bare):
    domain = bare_domain(bare)
    waiting = start(bare, """
e = Evtchn(blocking=True)
port = e.bind(domid, remote)
e.unmask(e.pending())
say("now")
assert [error(e.pending), error(e.pending)] == ["EFBIG", "EFBIG"] and e.readable()
""", domid=domain.domid, remote=domain.console().port)
    wait_for(lambda: waiting._stat()[0] == "S", 5, "it to block")
    bare.break_evtchn(waiting.pid)
    assert waiting.wait() == 0, waiting.output


def test_peer_that_closes_leaves_the_port_unbound_without_a_word(bare):
    domain = bare_domain(bare)
    run(bare, """
e = Evtchn()
port = e.bind(domid, remote)
e.take()
xenhost("close-port", domid)
assert not e.readable()
assert c.status(0, port) == Ctrl.UNBOUND and c.status(domid, remote) == Ctrl.CLOSED
e.notify(port)
assert error(e.bind, domid, remote) == "EINVAL"
""", domid=domain.domid, remote=domain.console().port)


def test_closed_port_is_offered_again_under_its_number(bare):
    domain = bare_domain(bare)
    run(bare, """
e = Evtchn()
port = e.bind(domid, remote)
xenhost("move-port", domid, "--no-node", "--same-number")
assert c.status(0, port) == Ctrl.UNBOUND and c.status(domid, remote) == Ctrl.UNBOUND
other = Evtchn()
assert other.bind(domid, remote) != port and c.status(domid, remote) == Ctrl.INTERDOMAIN
e.notify(port)
assert c.status(0, port) == Ctrl.UNBOUND, "whoever had it before has it no more"
""", domid=domain.domid, remote=domain.console().port)


def test_port_offered_to_another_domain(bare):
    """Only that one may bind it, from there; and what a daemon there holds ends with it."""
    driver, domain = bare_domain(bare), bare_domain(bare)
    bare.xenhost("move-port", domain.domid, "--no-node", "--backend", driver.domid)
    values = {"domid": domain.domid, "remote": domain.console().port, "gfn": domain.console().gfn}
    run(bare, """
assert c.peer(domid, remote) == (Ctrl.UNBOUND, driver)
assert error(Evtchn().bind, domid, remote) == "EINVAL"
""", driver=driver.domid, **values)
    code = """
e = Evtchn()
port = e.bind(domid, remote)
assert port < 16 and e.take() == [port]
xenhost("storm", domid, 1)
assert e.take() == [port]
assert c.status(0x7ff0, port) == Ctrl.INTERDOMAIN
Grants().map(domid)
assert error(Foreign().map, domid, gfn) == "EPERM"
say("holding")
"""
    there = bare.spawn(*script(bare, code + HANG, **values), name="script", env={"STANDIN_DOMID": str(driver.domid)})
    wait_for(lambda: there.output, 10, "it to hold the port")
    assert there.output == "holding\n" and domain.console().bound
    run(bare, "assert c.peer(domid, remote) == (Ctrl.INTERDOMAIN, driver)", driver=driver.domid, **values)
    there.kill()
    assert not domain.console().bound and domain.console().pins == 0


def test_page_rebuilt_and_handle_changed(host):
    """Nobody is told of either: no event, no node."""
    domain = host.create(name="web")
    watch = host.spawn("xenstore-watch", "@introduceDomain", "@releaseDomain", domain.path)
    wait_for(lambda: watch.output.count("\n") == 3, 5, "the watches")
    console = domain.console()
    console.flag = CONNECTED
    console.set_index("out_prod", 7)
    domain.rebuild_page()
    assert console.flag == DISCONNECTED and console.indexes == (0, 0, 0, 0)
    uuid = "deadbeef-dead-beef-dead-beefdeadbeef"
    domain.set_handle(uuid)
    assert domain.state()["uuid"] == uuid
    host.store_write(f"{domain.path}/seen", "1")
    wait_for(lambda: "seen" in watch.output, 5, "the watch to be alive")
    assert watch.output.count("\n") == 4


def test_silent_guest(bare):
    """It prints and reads as others do, and sends no event."""
    domain = bare_domain(bare)
    guest = domain.guest(silent=True)
    guest.print("psst")
    assert domain.console().out_used == 4
    run(bare, """
import struct
e = Evtchn()
port = e.bind(domid, remote)
e.take()
page = Grants().map(domid)
ctypes.memmove(page.value, b"hello", 5)
ctypes.memmove(page.value + 3076, struct.pack("<I", 5), 4)
e.notify(port)
""", domid=domain.domid, remote=domain.console().port)
    wait_for(lambda: guest.input == b"hello", 10, "the guest to read")
    assert guest.status()["notifies"] == 0 and domain.console().in_used == 0


def test_killed_holder_lets_go(bare):
    domain = bare_domain(bare)
    holder = start(bare, """
e, g, f = Evtchn(), Grants(), Foreign()
e.bind(domid, remote)
g.map(domid)
f.map(domid, gfn)
say("holding")
""" + HANG, domid=domain.domid, remote=domain.console().port, gfn=domain.console().gfn)
    assert domain.console().bound and domain.console().pins == 2
    assert {m["kind"] for m in bare.mappings(holder.pid)} == {"grant", "foreign"}
    holder.kill()
    assert not domain.console().bound and domain.console().pins == 0
    assert bare.mappings() == [] and bare.ports() == []


def test_fork_keeps_the_handle_alive(bare):
    """A child that closes its copy takes nothing from its parent."""
    domain = bare_domain(bare)
    run(bare, """
e = Evtchn()
port = e.bind(domid, remote)
if not os.fork():
    e.close()
    os._exit(0)
os.wait()
assert c.status(domid, remote) == Ctrl.INTERDOMAIN
assert e.take() == [port]
""", domid=domain.domid, remote=domain.console().port)


def test_handle_is_rebuilt_from_its_fd(bare):
    """As xenstored does when it updates itself: the ports stay."""
    domain = bare_domain(bare)
    run(bare, """
e = Evtchn()
port = e.bind(domid, remote)
evtchn.xenevtchn_fdopen.restype = ctypes.c_void_p
again = Evtchn()
again.handle = pointer(evtchn.xenevtchn_fdopen(None, os.dup(e.fd), 0))
again.fd = evtchn.xenevtchn_fd(again.handle)
e.close()
assert c.status(domid, remote) == Ctrl.INTERDOMAIN
assert again.take() == [port]
assert error(lambda: pointer(evtchn.xenevtchn_fdopen(None, 0, 0))) == "EBADF"
""", domid=domain.domid, remote=domain.console().port)


def test_virqs(bare):
    run(bare, """
one, other = Evtchn(), Evtchn()
port = one.virq(8)
assert error(other.virq, 8) == "EEXIST"
assert not one.readable() and c.status(0, port) == Ctrl.VIRQ
xenhost("hvprint", input=b"hello")
assert one.take() == [port]
one.close()
assert other.virq(8)
exc = Evtchn()
died = exc.virq(3)
xenhost("kill", domid)
assert exc.take()
""", domid=bare_domain(bare).domid)


def test_scale(bare):
    """3900 ports on one handle: each event arrives, none twice."""
    made = bare.batch(3900, "--no-nodes")
    run(bare, """
e = Evtchn()
ports = [e.bind(domid, port) for domid in range(1, 3901)]
assert sorted(e.take()) == ports
for port in ports:
    e.notify(port)
g = Grants()
pages = [g.map(domid) for domid in range(1, 3901)]
for page in pages:
    g.unmap(page)
""", port=made[0].console().port)
    assert bare.mappings() == []


# -- domains and pages -----------------------------------------------------------------------------


def test_zombie_keeps_its_domid(bare):
    domain = bare_domain(bare, domid=5)
    holder = start(bare, "g = Grants()\ng.map(5)\nsay('mapped')" + HANG)
    domain.kill()
    assert domain.state()["state"] == "zombie" and domain.state()["pins"] == 1
    run(bare, """
e, g = Evtchn(), Grants()
assert error(g.map, 5) == "EINVAL" and error(e.bind, 5, 1) == "EINVAL"
""")
    holder.kill()
    domain.wait_gone()
    again = bare_domain(bare, domid=5)
    assert again.state()["incarnation"] != domain.incarnation and domain.state() is None


def test_page_is_shared_and_clean_in_the_next_life(bare):
    domain = bare_domain(bare, domid=5)
    run(bare, """
g = Grants()
page = g.map(5)
ctypes.memset(page, 0x55, 1)
g.unmap(page)
assert error(g.unmap, page) == "EINVAL"
""")
    assert domain.console().page[0] == 0x55
    domain.kill()
    assert (bare.dir / "pages").stat().st_blocks == 0, "a page of the dead takes no memory"
    assert bare_domain(bare, domid=5).console().page[0] == 0


def test_moved_page_is_what_the_grant_maps(bare):
    domain = bare_domain(bare)
    old = domain.console().gfn
    new = domain.move_page(node=False)
    assert new != old
    domain.console().page[0] = 0x77
    run(bare, """
g, f = Grants(), Foreign()
assert ctypes.string_at(g.map(domid), 1) == b"w"
assert ctypes.string_at(f.map(domid, new), 1) == b"w"
assert ctypes.string_at(f.map(domid, old), 1) == b"\\0"
assert error(f.map, domid, 1) == "EINVAL"
""", domid=domain.domid, old=old, new=new)


def test_getinfo(bare):
    paused = bare_domain(bare, paused=True)
    dead = bare_domain(bare)
    crashed = bare_domain(bare)
    crashed.shutdown("crash")
    holder = start(bare, "g = Grants()\ng.map(domid)\nsay('mapped')" + HANG, domid=dead.domid)
    dead.kill()
    seen = json.loads(run(bare, """
import json
say(json.dumps(Ctrl().flags()))
"""))
    assert set(seen) == {str(d.domid) for d in (paused, dead, crashed)}
    assert seen[str(paused.domid)] & 0xf == 8
    assert seen[str(dead.domid)] & 1
    assert seen[str(crashed.domid)] & 4 and seen[str(crashed.domid)] >> 16 == 3
    holder.kill()


def test_console_ring(bare):
    bare.hypervisor_print("one\n")
    run(bare, """
def write(text): xenhost("hvprint", input=text)
text, index = c.conring(0)
assert text == b"one\\n"
write(b"two\\n")
assert c.conring(index) == (b"two\\n", index + 4)
assert c.conring(0, clear=True)[0] == b"one\\ntwo\\n"
assert c.conring(0)[0] == b"", "cleared"
write(b"x" * 20000)
text, index = c.conring(8)
assert text == b"x" * 16384, "the oldest is lost"
assert c.conring(index)[0] == b""
""")


# -- failures on order -----------------------------------------------------------------------------


def test_injected_failures(bare):
    domain, other = bare_domain(bare), bare_domain(bare)
    bare.inject("bind", "EPERM", times=2, domid=domain.domid)
    bare.inject("map-grant", "ENOMEM")
    bare.inject("map-foreign", None, times=0, delay=0.2)
    run(bare, """
import time
e, g, f = Evtchn(), Grants(), Foreign()
assert e.bind(other, remote)
assert [error(e.bind, domid, remote) for i in range(3)] == ["EPERM", "EPERM", None]
assert [error(g.map, domid) for i in range(2)] == ["ENOMEM", None]
began = time.monotonic()
f.map(domid, gfn)
assert time.monotonic() - began >= 0.2
""", domid=domain.domid, other=other.domid, remote=domain.console().port, gfn=domain.console().gfn)
    assert [(r["call"], r["hits"]) for r in bare.injections()] == [("map-foreign", 1)]
    bare.clear_injections()
    assert bare.injections() == []


def test_every_call_can_be_made_to_fail(bare):
    domain = bare_domain(bare)
    attempts = {
        "evtchn-open": "Evtchn()", "gnttab-open": "Grants()",
        "foreign-open": "Foreign()", "xc-open": "Ctrl()",
        "map-grant": "g.map(domid)", "map-foreign": "f.map(domid, gfn)",
        "bind": "e.bind(domid, 2)", "bind-virq": "e.virq(8)", "unmap": "g.unmap(page)",
        "notify": "e.notify(port)", "unmask": "e.unmask(port)", "pending": "e.pending()",
        "getinfo": "c.flags()",
        "status": "c.status(domid, 1)", "conring": "c.conring(0)",
    }
    code = """
e, g, f = Evtchn(), Grants(), Foreign()
page, port = g.map(domid), e.bind(domid, 1)
for call, attempt in attempts.items():
    xenhost("inject", call, "--errno", "EIO")
    assert error(lambda: eval(attempt)) == "EIO", call
"""
    run(bare, code, domid=domain.domid, gfn=domain.console().gfn, attempts=attempts)
    assert bare.injections() == []


# -- guests ------------------------------------------------------------------------------------------


def test_old_guest_spins_on_a_full_ring(bare):
    domain = bare_domain(bare)
    guest = domain.guest(mode="old", trusting=True)
    guest.lines(100)
    state = guest.wait_state("spinning")
    assert state["written"] == OUT_SIZE and state["queued"] == 6400 - OUT_SIZE
    console = domain.console()
    assert console.page[1024:1024 + 64] == guest_line(0)
    used = guest.cpu()
    console.flag = DISCONNECTED
    console.set_index("out_cons", 64)
    assert guest.cpu() - used < 0.5
    run(bare, "e = Evtchn()\ne.notify(e.bind(domid, remote))",
        domid=domain.domid, remote=console.port)
    wait_for(lambda: guest.status()["written"] == OUT_SIZE + 64, 5, "what there is room for")
    assert guest.status()["unnoticed"] == 0


def test_room_without_an_event_is_counted(bare):
    domain = bare_domain(bare)
    guest = domain.guest(mode="old")
    guest.lines(33)
    guest.wait_state("spinning")
    domain.console().set_index("out_cons", 64)
    assert guest.flush()["unnoticed"] == 1


def test_linux71_guest_drops_while_disconnected(bare):
    domain = bare_domain(bare)
    guest = domain.guest(mode="linux71", trusting=True)
    guest.print("lost")
    assert guest.flush()["dropped"] == 4 and domain.console().out_used == 0
    domain.console().flag = CONNECTED
    guest.print("kept")
    assert guest.flush()["written"] == 4
    assert domain.console().page[1024:1028] == b"kept"
    guest.lines(33)
    guest.wait_state("spinning")
    domain.console().flag = DISCONNECTED
    domain.console().set_index("out_cons", 4)
    guest.hostile("notify")
    assert guest.status()["queued"] > 0, "a vCPU that spins does not look at the flag"


def test_replay_guest_keeps_while_disconnected(bare):
    domain = bare_domain(bare)
    guest = domain.guest(mode="replay")
    guest.print("early\n")
    assert guest.wait_state("keeping")["queued"] == 6
    domain.console().flag = CONNECTED
    state = guest.flush()
    assert (state["replayed"], state["dropped"]) == (6, 0)
    assert domain.console().page[1024:1030] == b"early\n"


def test_guest_reads_and_holds_input(bare):
    domain = bare_domain(bare)
    guest = domain.guest()
    console = domain.console()
    guest.hold_input(True)
    console.page[0:3] = b"abc"
    console.set_index("in_prod", 3)
    assert [guest.status()["read"] for _ in range(3)] == [0, 0, 0]
    guest.hold_input(False)
    wait_for(lambda: guest.input == b"abc", 5, "input")
    assert console.indexes.in_cons == 3


def test_rated_lines(bare):
    domain = bare_domain(bare)
    domain.console().flag = CONNECTED
    guest = domain.guest()
    guest.lines(5, rate=100, width=16)
    assert guest.flush()["written"] == 80
    assert domain.console().page[1024:1040] == guest_line(0, 16)


def test_hostile_guest(bare):
    domain = bare_domain(bare)
    guest, console = domain.guest(), domain.console()
    guest.hostile("index", "out_prod", 0xffffff00)
    assert console.indexes.out_prod == 0xffffff00
    guest.hostile("rewind", "out_prod", 16)
    assert console.indexes.out_prod == 0xfffffef0
    guest.hostile("flag", 7)
    assert console.flag == 7
    guest.hostile("fill", 0xaa)
    assert console.page[4095] == 0xaa
    guest.hostile("close-port")
    assert console.info()["status"] == "closed"
    with pytest.raises(HostError):
        guest.hostile("nonsense")


def test_paused_guest_does_nothing(bare):
    domain = bare_domain(bare, paused=True)
    guest = domain.guest()
    guest.print("later")
    guest.wait_state("paused")
    assert domain.console().out_used == 0
    domain.unpause()
    guest.flush()
    assert domain.console().out_used == 5


def test_guest_of_a_killed_domain_lets_go(bare):
    domain = bare_domain(bare)
    guest = domain.guest()
    domain.kill()
    assert domain.state() is None
    assert guest.wait_state("dead")
    assert guest.stop() == 0


# -- the libraries, and accidents ------------------------------------------------------------------


def symbols(library):
    table = subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions", library],
                           check=True, capture_output=True, text=True).stdout
    return {line.split()[-1] for line in table.splitlines() if line.split()[1] != "A"}


@pytest.mark.parametrize("name", ["libxenctrl", "libxenevtchn", "libxengnttab",
                                  "libxenforeignmemory"])
def test_every_real_symbol_is_there(name):
    real = subprocess.run(["gcc", f"-print-file-name={name}.so"], check=True, capture_output=True,
                          text=True).stdout.strip()
    assert symbols(real) and symbols(real) - symbols(BUILD / f"lib/{name}.so") == set()


def test_unsupported_function_names_itself(bare):
    done = bare.command(*script(bare, "ctrl.xc_domain_create(None)"), check=False)
    assert done.returncode == -signal.SIGABRT and "xc_domain_create()" in done.stderr


def test_no_host_is_an_ordinary_failure(bare):
    bare.env["STANDIN_DIR"] = str(bare.dir / "nowhere")
    done = bare.command(*script(bare, ""), check=False)
    assert "No such file or directory" in done.stderr


def test_killed_processes_leave_nothing_behind(bare):
    """Four processes that bind, map and close in a hurry are killed at any moment, again and again:
    the lock is never lost, and at the end nothing is held."""
    domains = [bare_domain(bare) for _ in range(4)]
    code = """
say("off")
while True:
    e, g = Evtchn(), Grants()
    for domid in domids:
        try:
            page = g.map(domid)
            e.notify(e.bind(domid, 2))
            g.unmap(page)
        except OSError:
            pass
    e.close()
    g.close()
"""
    for _ in range(5):
        for process in [start(bare, code, domids=[d.domid for d in domains]) for _ in range(4)]:
            process.kill()
    wait_for(lambda: bare.ports() == [] and bare.mappings() == [], 30, "all to be given back")
    assert all(not d.console().bound for d in domains)
    for domain in domains:
        domain.kill()
        assert domain.state() is None
