# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Receipts by e-mail: whatever is killed, never two mails for one order."""

from __future__ import annotations

import time
from mailbox import Maildir
from pathlib import Path

import pytest

from tests.docs.pages import fences
from tests.examples.programs import (
    WITHIN,
    Answer,
    Example,
    Program,
    Request,
    wait_until,
)
from tests.examples.readmes import Shell, killed_at, read

# Those of the mail server; all others are the app's.
MAIL_POINTS = ("keep.before", "keep.after")
POINTS = [point for point in killed_at("notification") if point not in MAIL_POINTS]

NOT_SENT = ("claim.after", "send.before")
SENT = [point for point in POINTS if point not in NOT_SENT]
LATE = "late"  # an order whose mail arrives after its sender was killed
NOWHERE = "4714"  # the order that the page's operator looks after
TRY_AGAIN = 503


def receipt(order: str, to: str = "ann@example.com") -> Request:
    body = {"id": order, "email": to, "total": "12.00 EUR"}
    return Request("POST", "/receipts", body)


def insists(app: Program, order: str) -> Answer:
    """Ask as a patient caller does: again, while told to try again."""
    until = time.monotonic() + WITHIN
    while (answer := app.send(receipt(order))).status == TRY_AGAIN:
        assert time.monotonic() < until, answer
        assert answer.header("retry-after")
        time.sleep(0.1)
    return answer


def mails(folder: Path, order: str) -> list[str]:
    """Give the Message-ID of each mail about *order* that has arrived."""
    box = Maildir(folder / "mail", create=False)  # the server has made it
    subject = f"Your order {order}"
    return [str(mail["Message-ID"]) for mail in box if mail["Subject"] == subject]


@pytest.fixture(scope="module")
def example(examples):
    return examples("notification")


@pytest.fixture(scope="module")
def app(example):
    """Kill an app at each point, and then start another that is to answer for it."""
    mail = example.start("mailserver.py", "keep.before")
    sender = example.start()
    sender.sends(receipt(LATE))
    mail.reaches("keep.before")
    sender.dies()
    mail.goes_on()
    wait_until(lambda: mails(example.folder, LATE))
    mail.dies()
    example.start("mailserver.py")
    example.kills({point: receipt(point) for point in POINTS})
    example.killed("send.before", receipt(NOWHERE))
    return example.start()


@pytest.mark.parametrize("point", [LATE, *SENT])
def test_a_mail_that_went_out_is_found_and_not_sent_again(example, app, point):
    first = insists(app, point)

    again = app.send(receipt(point))

    assert 200 == first.status
    assert first.outcome == again.outcome
    assert [first.json["sent"]] == mails(example.folder, point)


@pytest.mark.parametrize("point", NOT_SENT)
def test_a_mail_that_is_nowhere_is_not_sent_behind_anybodys_back(example, app, point):
    answers = [insists(app, point), app.send(receipt(point))]

    assert [409, 409] == [answer.status for answer in answers]
    assert all("unknown" in answer.json for answer in answers)
    assert [] == mails(example.folder, point)


def test_an_address_that_is_refused_stays_so(example, app):
    nobody = receipt("nobody", "nobody@example.com")

    answers = [app.send(nobody) for _ in range(2)]

    assert [422, 422] == [answer.status for answer in answers]
    assert "no such address" in answers[1].json["refused"]
    assert [] == mails(example.folder, "nobody")


def test_an_operator_who_knows_that_it_is_nowhere_has_it_sent(example, app):
    insists(app, NOWHERE)
    shell = Shell(example)
    commands = fences(read("notification"), "sh")[-1].text.splitlines()

    listed, shown, released = map(shell.type, commands)
    sent = app.send(receipt(NOWHERE))

    assert NOWHERE in listed
    assert sent.json["sent"] in shown
    assert "The key is now released" in released
    assert [sent.json["sent"]] == mails(example.folder, NOWHERE)


@pytest.fixture
def broken(examples):
    """Kill a mail server at a point; give the app, and what it told of that, too."""

    def broken(point: str) -> tuple[Example, Program, Answer]:
        shop = examples("notification")
        mail, app = shop.start("mailserver.py", point), shop.start()
        asked = app.sends(receipt(point))
        mail.reaches(point)
        mail.dies()
        return shop, app, asked.result(WITHIN)

    return broken


def test_a_mail_server_killed_behind_its_disk_has_sent_one(broken):
    shop, app, told = broken("keep.after")

    found = insists(app, "keep.after")

    assert [500, 200] == [told.status, found.status]
    assert [found.json["sent"]] == mails(shop.folder, "keep.after")


def test_a_mail_server_killed_before_its_disk_leaves_it_unknown(broken):
    shop, app, told = broken("keep.before")

    found = insists(app, "keep.before")

    assert [500, 409] == [told.status, found.status]
    assert [] == mails(shop.folder, "keep.before")
