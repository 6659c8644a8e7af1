# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Receipts by e-mail: one mail for each order, however often it is asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from mailbox import Maildir
from smtplib import SMTP, SMTPRecipientsRefused
from typing import Any

from flask import Flask, request

from keyonce import (
    CompletedWith,
    Guard,
    InProgress,
    KeyReused,
    OutcomeUnknown,
    Policy,
    SafeToRetry,
    StillUnknown,
    UnknownWork,
    current_work,
)
from keyonce.stores.sqlite import SQLiteStore

MAIL_PORT = int(os.environ.get("MAIL_PORT", "8025"))

# So long does a retry wait for a worker that was killed. 30 s is the default; here you
# should not have to wait that long.
LEASE = timedelta(seconds=3)

# ------------------------------------------------------------------ the business


@dataclass(frozen=True)
class Order:
    id: str
    email: str
    total: str


def receipt(order: Order, message_id: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"] = "shop@shop.example", order.email
    mail["Subject"] = f"Your order {order.id}"
    mail["Message-ID"] = message_id
    mail.set_content(f"Thank you. You have paid {order.total}.\n")
    return mail


def send(mail: EmailMessage) -> None:
    """Hand *mail* over to the mail server. Mail servers do not deduplicate."""
    try:
        server = SMTP("127.0.0.1", MAIL_PORT, timeout=30)
    except OSError as error:
        message = "The mail server was not reached: nothing went out."
        raise SafeToRetry(message) from error
    with server:
        server.send_message(mail)


def is_in_the_mailbox(message_id: str) -> bool:
    """Look where the mail server keeps a copy of all that it took."""
    return any(mail["Message-ID"] == message_id for mail in Maildir("mail"))


# ---------------------------------------------------------------------- the guard


def message_id_of(downstream_key: str) -> str:
    return f"<{downstream_key}@shop.example>"


def ask_the_mailbox(work: UnknownWork) -> CompletedWith | StillUnknown:
    """Say what came of a mail of which the worker has told nothing."""
    message_id = message_id_of(work.downstream_key("mail"))
    if is_in_the_mailbox(message_id):
        return CompletedWith({"sent": message_id})
    # Not NeverHappened: a mail that is not there may still be on its way.
    return StillUnknown()


guard = Guard(SQLiteStore("keyonce.db"))


@guard.once(
    "send-receipt",
    key=lambda order: order.id,
    policy=Policy(  # at-most-once, as nothing else is said
        retention=timedelta(days=30), lease=LEASE, reconcile=ask_the_mailbox
    ),
    errors=(SMTPRecipientsRefused,),  # a clear end: to ask again changes nothing
)
def send_receipt(order: Order) -> dict[str, str]:
    work = current_work()
    message_id = message_id_of(work.downstream_key("mail"))
    work.reference(message_id)  # for whoever has to look the mail up
    send(receipt(order, message_id))
    return {"sent": message_id}


# ------------------------------------------------------------------------ the web

app = Flask(__name__)


@app.post("/receipts")
def post_receipt() -> Any:
    """Send a receipt. The key is the order's own id: callers need no header."""
    try:
        return send_receipt(Order(**request.get_json()))
    except (SafeToRetry, InProgress) as later:
        return {"try_again": str(later)}, 503, {"Retry-After": "1"}
    except SMTPRecipientsRefused:
        return {"refused": "The mail server knows no such address."}, 422
    except KeyReused as misuse:
        return {"refused": str(misuse)}, 422
    except OutcomeUnknown as unknown:
        return {"unknown": str(unknown)}, 409


def main() -> None:
    app.run("127.0.0.1", int(os.environ.get("PORT", "8000")))


if __name__ == "__main__":
    main()
