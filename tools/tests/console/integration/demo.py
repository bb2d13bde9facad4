#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The connection flag's story, told by the real programs on a stand-in Xen host.

Every line has a time stamp, a guest, and the flag as it stands in that guest's page at that
moment. On a terminal there is time to read, colour, and at the end a live console through the
distribution's own xenconsole; elsewhere it runs through and exits 0.
"""

import os
import shutil
import sys
import textwrap
import threading
import time

from hostlib import CONNECTED, XENCONSOLED, Host, distribution, wait_for

PATIENCE = 30
TERMINAL = sys.stdin.isatty() and sys.stdout.isatty()
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
WIDTH = min(shutil.get_terminal_size((100, 24)).columns, 100)
INDENT = 37
BEGAN = time.monotonic()


def paint(code, text):
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def pause(seconds):
    """Time to read, for whoever is there."""
    if TERMINAL:
        time.sleep(seconds)


def chapter(title):
    pause(0.8)
    print("\n" + paint("1", title), flush=True)


def wrap(text):
    return textwrap.wrap(text, max(WIDTH - INDENT, 30))


def say(domain, text):
    connected = domain.console().flag == CONNECTED
    flag = paint("32", "connected   ") if connected else paint("33", "disconnected")
    first, *rest = wrap(text)
    print(f"{time.monotonic() - BEGAN:7.3f} s  {domain.name:<8}  {flag}    {first}")
    for line in rest:
        print(" " * INDENT + line)
    sys.stdout.flush()
    pause(0.6)


def quote(text):
    for line in wrap(text):
        print(" " * INDENT + paint("2", line))
    sys.stdout.flush()
    pause(0.6)


def until(predicate, what):
    return wait_for(predicate, PATIENCE, what)


def lines_of(host, name):
    return host.guest_log(name).decode(errors="replace").splitlines()


def stand_by(daemon, domain):
    until(lambda: domain.console().bound and daemon.has_open(domain.console().tty),
          lambda: f"{domain} to be served: {daemon.output}")


class Guests:
    """Who plays: a guest that obeys the flag, one that does not know it, and one that means ill."""

    def __init__(self, host):
        self.host = host
        self.web = host.create(name="web")
        self.web_program = self.web.guest(mode="replay")
        self.old = host.create(name="old")
        self.old_program = self.old.guest(mode="old")

    def boot_unserved(self):
        chapter("Two guests boot. No console daemon is running.")
        for line in ("Booting Linux", "eth0: link up", "sshd started"):
            self.web_program.print(line + "\n")
        self.old_program.lines(100)
        until(lambda: self.web_program.status()["state"] == "keeping", "the guest to see the flag")
        until(lambda: self.old_program.status()["state"] == "spinning", "the ring to be full")
        say(self.web, f"knows the flag: keeps its {self.web_program.status()['queued']} bytes to itself"
                      f" and gets on; {self.web.console().out_used} bytes in the ring")
        say(self.old, f"does not: its ring is full, {self.old.console().out_used} bytes; a real one's"
                      " processor now spins for room that nobody makes")

    def first_daemon(self):
        chapter("The daemon starts.")
        daemon = self.host.start_daemon()
        stand_by(daemon, self.web)
        stand_by(daemon, self.old)
        until(lambda: "sshd started" in lines_of(self.host, "web"), "the guest's lines")
        until(lambda: len(lines_of(self.host, "old")) == 100, "the old guest's lines")
        say(self.web, f"moves to the ring; its log ends with '{lines_of(self.host, 'web')[-1]}'")
        say(self.old, f"is freed: {len(lines_of(self.host, 'old'))} lines in its log, none lost")
        return daemon

    def without_daemon_again(self, daemon):
        chapter("The daemon stops, and says so to each guest.")
        daemon.stop(PATIENCE)
        say(self.web, "was told; what it prints now it keeps")
        self.web_program.print("cron: backup begins\n")
        until(lambda: self.web_program.status()["state"] == "keeping", "the guest to keep it")
        say(self.web, f"{self.web_program.status()['queued']} bytes kept, {self.web.console().out_used} in"
                      " the ring, nothing spins")

    def second_daemon(self):
        chapter("It starts again.")
        daemon = self.host.start_daemon()
        stand_by(daemon, self.web)
        stand_by(daemon, self.old)
        until(lambda: "cron: backup begins" in lines_of(self.host, "web"), "the kept line")
        say(self.web, f"replays it: '{lines_of(self.host, 'web')[-1]}'")
        said = lines_of(self.host, "web")
        assert said == ["Booting Linux", "eth0: link up", "sshd started", "cron: backup begins"]
        say(self.web, f"{len(said)} lines printed in its life, {len(said)} in its log, each once")
        return daemon

    def hostile(self, daemon):
        chapter("A hostile guest moves in next door.")
        evil = self.host.create(name="evil")
        program = evil.guest(mode="old")
        stand_by(daemon, evil)
        say(evil, "is served like everybody else")
        program.hostile("index", "out_prod", 3000000000)
        until(lambda: not evil.console().bound, "it to be fenced off")
        say(evil, "claims three billion bytes in a ring of 2048: fenced off, page and port let go")
        complaint = [line for line in daemon.output.splitlines() if "(evil)" in line]
        quote(complaint[-1])
        self.web_program.print("GET / 200\n")
        until(lambda: "GET / 200" in lines_of(self.host, "web"), "the neighbour's line")
        say(self.web, "next door goes on: 'GET / 200' is in its log")


class Shell:
    """What answers in the live console: a few words, typed to a guest that echoes."""

    HELP = ("flag     what stands in this guest's page now\r\n"
            "restart  stop the daemon and start another, under this very session\r\n"
            "date     the time\r\n"
            "Ctrl-]   leave\r\n")

    def __init__(self, host, daemon, domain, guest):
        self.host, self.daemon, self.domain, self.guest = host, daemon, domain, guest
        self.stopped = threading.Event()
        self.done = len(guest.input)
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stopped.wait(0.03):
            typed = self.guest.input[self.done:]
            end = max(typed.rfind(b"\r"), typed.rfind(b"\n")) + 1
            if not end:
                continue
            self.done += end
            for line in typed[:end].replace(b"\r", b"\n").split(b"\n")[:-1]:
                self.answer(line.decode(errors="replace").strip())

    def answer(self, word):
        if word == "flag":
            text = f"{self.domain.console().flag}, that is to say connected\r\n"
        elif word == "date":
            text = time.strftime("%c\r\n")
        elif word == "restart":
            self.daemon.stop(PATIENCE)
            self.guest.print(f"\r\nSaid while nobody served, flag {self.domain.console().flag}.\r\n# ")
            self.daemon = self.host.start_daemon()
            return
        else:
            text = self.HELP if word else ""
        self.guest.print("\r\n" + text + "# ")

    def __enter__(self):
        self.guest.echo(True)
        self.guest.print("\r\nThis is the guest. Type help.\r\n# ")
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()


def live_console(host, daemon, domain, guest):
    chapter("Your turn: the distribution's own xenconsole, attached to web. Ctrl-] leaves.")
    with Shell(host, daemon, domain, guest):
        host.spawn(distribution("xenconsole"), domain.domid, own_run=True, stdin=None, stdout=None,
                   stderr=None).popen.wait()
    print()


def main():
    if not XENCONSOLED.exists():
        sys.exit(f"{XENCONSOLED} is not there: run make first")
    print(paint("1", "xenconsoled and the connection flag"))
    print("A stand-in Xen host; the daemon, xenstored and xenconsole on it are the real ones.\n"
          "Each line: time, guest, the flag in that guest's page, and what happens.")
    with Host() as host:
        guests = Guests(host)
        guests.boot_unserved()
        daemon = guests.first_daemon()
        guests.without_daemon_again(daemon)
        daemon = guests.second_daemon()
        guests.hostile(daemon)
        if TERMINAL:
            live_console(host, daemon, guests.web, guests.web_program)
        else:
            print("\nOn a terminal, a live console would follow.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
