# SPDX-License-Identifier: GPL-2.0-only
"""A xenstored that does not serve everybody well: a socket in front of the host's own.

    with StoreProxy(host, b"/console/port") as proxy:       such requests are never answered
    with StoreProxy(host, b"5/console/port", "EIO"):        or with this error
        daemon = host.start_daemon(env=proxy.env)
        proxy.asked.wait()                                  until there was one
"""

import contextlib
import socket
import struct
import threading

HEADER = struct.Struct("=4I")  # type, request, transaction, length: xen/io/xs_wire.h
ERROR = 16


class StoreProxy:
    """Requests whose first word ends so are held back; word may be changed at any time."""

    def __init__(self, host, word, error=None):
        host._started += 1
        self.word, self.error, self.asked = word, error, threading.Event()
        self.path = str(host.dir / f"proxy.{host._started}")
        self.store = host.env["XENSTORED_PATH"]
        self.env = {"XENSTORED_PATH": self.path}
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, server = self.socket.accept()[0], socket.socket(socket.AF_UNIX)
                server.connect(self.store)
                for pump in (self.requests, self.replies):
                    threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def requests(self, client, server):
        with contextlib.suppress(OSError):
            while header := client.recv(HEADER.size, socket.MSG_WAITALL):
                _, number, transaction, length = HEADER.unpack(header)
                body = client.recv(length, socket.MSG_WAITALL) if length else b""
                if not (self.word and body.split(b"\0")[0].endswith(self.word)):
                    server.sendall(header + body)
                    continue
                self.asked.set()
                if self.error:
                    text = self.error.encode() + b"\0"
                    client.sendall(HEADER.pack(ERROR, number, transaction, len(text)) + text)
            server.shutdown(socket.SHUT_WR)

    @staticmethod
    def replies(client, server):
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)
