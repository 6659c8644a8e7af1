# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A line between a client and a server that counts, and that can be cut."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress


class Relay:
    """Passes bytes on and counts the turns: how often a client had to ask.

    `cut_next_reply` lets the next question through and loses the answer, with
    the connection; `lose_next_question` loses the question, too.
    """

    def __init__(self, port):
        self._target = port
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.turns = 0
        self.cut = 0
        self.lost = 0
        self._closing = threading.Event()
        self._lines = []
        threading.Thread(target=self._admit, daemon=True).start()

    def cut_next_reply(self):
        self.cut += 1

    def lose_next_question(self):
        self.lost += 1

    def close(self):
        self._closing.set()
        self._door.close()
        for line in self._lines:
            line.join(timeout=5)

    def _admit(self):
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                line = threading.Thread(target=self._pass_on, args=(client,))
                line.daemon = True
                self._lines.append(line)
                line.start()

    def _pass_on(self, client):
        server = socket.create_connection(("127.0.0.1", self._target))
        asked = False
        with client, server, suppress(OSError):
            while not self._closing.is_set():
                for end in select.select([client, server], [], [], 0.1)[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    if end is client and self.lost:
                        self.lost -= 1
                        return
                    if end is client:
                        self.turns += not asked
                        asked = True
                        server.sendall(data)
                    elif self.cut:
                        self.cut -= 1
                        return
                    else:
                        asked = False
                        client.sendall(data)
