# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A relay before a MySQL server: counts commands, and loses answers on demand."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

COM_QUERY = 3
HEAD = 4


class Relay:
    """Listens on a port of its own and passes everything on to *port*."""

    def __init__(self, port: int) -> None:
        """Start at once; `close` ends it."""
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.queries: list[bytes] = []
        self.lose: bytes | None = None
        self.lost = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_answer_to(self, word: bytes) -> None:
        """Cut the connection when the answer to the next query with *word* is there."""
        self.lose = word

    def close(self) -> None:
        for each in [self._listener, *self._open]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                self._open += [client, server]
                asked = threading.Event()  # the answer to come is to be lost
                for work in (self._up, self._down):
                    threading.Thread(
                        target=work, args=(client, server, asked), daemon=True
                    ).start()

    def _up(self, client, server, asked) -> None:
        with suppress(OSError):
            while packet := _packet(client):
                if packet[3] == 0 and packet[HEAD] == COM_QUERY:
                    self.queries.append(packet[HEAD + 1 :])
                    if self.lose is not None and self.lose in packet:
                        self.lose = None
                        asked.set()
                server.sendall(packet)
        _cut(client, server)

    def _down(self, client, server, asked) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if asked.is_set():
                    self.lost += 1
                    break
                client.sendall(data)
        _cut(client, server)


def _packet(sock) -> bytes:
    head = _exactly(sock, HEAD)
    return head and head + _exactly(sock, int.from_bytes(head[:3], "little"))


def _exactly(sock, size) -> bytes:
    parts = b""
    while len(parts) < size:
        part = sock.recv(size - len(parts))
        if not part:
            return b""
        parts += part
    return parts


def _cut(*sockets) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
