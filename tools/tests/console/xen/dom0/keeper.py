# SPDX-License-Identifier: GPL-2.0-only
"""Keeps for the host what a scenario leaves in dom0's memory, all the while: what it hangs in is there to look at, even
if dom0 hangs with it."""

import os
import subprocess
import threading

import xenhost

PERIOD = 3
LOOK_EVERY = 5  # periods; commands cost the one CPU more than copying does
LOOKS = {"xenstore": ("xenstore-ls", "-f"), "xl-list": ("xl", "list")}


def files_in(places):
    """The files that a list of files and directories names."""
    for place in places:
        if os.path.isdir(place):
            yield from (entry.path for entry in os.scandir(place) if entry.is_file())
        elif os.path.exists(place):
            yield place


class Keeper(threading.Thread):
    """Copies what grows in the places to the directory, and looks around now and then."""

    def __init__(self, directory, places):
        super().__init__(daemon=True)
        self._directory = directory
        self._places = places
        self._kept = {}
        self._over = threading.Event()
        os.makedirs(directory, exist_ok=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join()

    def run(self):
        periods = 0
        while not self._over.wait(PERIOD):
            self._copy()
            periods += 1
            if periods % LOOK_EVERY == 0:
                self.look()
        self._copy()

    def look(self):
        """What xenstore holds, and the domains, at this moment."""
        for name, command in LOOKS.items():
            try:
                text = xenhost.run(*command)[1]
            except subprocess.TimeoutExpired as error:
                text = f"{error}\n"
            with open(os.path.join(self._directory, name), "w", encoding="utf-8") as file:
                file.write(text)

    def _copy(self):
        for path in files_in(self._places):
            with open(path, "rb") as file:
                done = self._kept.get(path, 0)
                file.seek(done if done <= os.fstat(file.fileno()).st_size else 0)  # another file of that name
                data = file.read()
                self._kept[path] = file.tell()
            if data:
                with open(os.path.join(self._directory, os.path.basename(path)), "ab") as copy:
                    copy.write(data)
