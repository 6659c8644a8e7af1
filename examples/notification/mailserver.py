# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A mail server: takes mail by SMTP and keeps every message in the Maildir ``./mail``.

As any other it does not deduplicate: what is sent twice arrives twice.
"""

from __future__ import annotations

import os
from mailbox import Maildir
from socketserver import StreamRequestHandler, ThreadingTCPServer


def keep(message: bytes) -> None:
    """Write *message* to the disk; it counts as sent once this is done."""
    Maildir("mail").add(message)


class Dialogue(StreamRequestHandler):
    """One connection: what of RFC 5321 a client that sends mail needs."""

    def handle(self) -> None:
        self.say("220 mail.example")
        for line in self.rfile:
            match line[:4].upper():
                case b"EHLO" | b"HELO":
                    self.say("250 mail.example")
                case b"RCPT" if b"<nobody@" in line:
                    self.say("550 There is no such mailbox")
                case b"MAIL" | b"RCPT" | b"RSET" | b"NOOP":
                    self.say("250 OK")
                case b"DATA":
                    self.say("354 Go on, and end with a dot")
                    self.take_message()
                case b"QUIT":
                    self.say("221 Bye")
                    return
                case _:
                    self.say("502 I do not know that")

    def take_message(self) -> None:
        lines: list[bytes] = []
        for line in self.rfile:
            if line == b".\r\n":
                keep(b"".join(lines))
                self.say("250 Kept")
                return
            lines.append(line.removeprefix(b"."))  # a dot at its beginning was doubled

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    Maildir("mail")  # is made here, before two mails at once make it
    port = int(os.environ.get("PORT", "8025"))
    with Server(("127.0.0.1", port), Dialogue) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
