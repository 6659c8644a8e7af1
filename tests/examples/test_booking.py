# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Bookings: whoever is killed and whoever comes together, each night is booked once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.examples.programs import Request
from tests.examples.readmes import killed_at

POINTS = killed_at("booking")
NIGHTS = ["2027-05-01", "2027-05-02"]
GUESTS = ["ann", "bob", "cem", "dag", "eva", "fay"]


def booking(guest: str, room: str) -> Request:
    body = {"guest": guest, "room": room, "nights": NIGHTS}
    headers = (("X-Api-Key", guest),)
    return Request("POST", "/bookings", body, f"{guest}-{room}", headers)


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)],
)
def hotel(request, examples):
    """The example, on either database."""
    if request.param == "sqlite":
        return examples("booking")
    return examples("booking", DATABASE_URL=request.getfixturevalue("postgres"))


@pytest.fixture(scope="module")
def app(hotel):
    return hotel.start()


@pytest.fixture(scope="module")
def told(hotel, app):
    """Kill a worker at each point, each on its way to a room; then ask another."""
    bookings = {point: booking("ann", point) for point in POINTS}
    hotel.kills(bookings)
    return app.tells(bookings)


def nights(app, room):
    """Whose each night of *room* is, as the table has it."""
    return [row[1:] for row in app.get("/nights") if row[0] == room]


@pytest.mark.parametrize("point", POINTS)
def test_a_retry_of_a_killed_booking_finds_one_booking(point, told, app):
    first, *again = told[point]

    assert 201 == first.status
    assert [[night, "ann"] for night in NIGHTS] == nights(app, point)
    assert [first.outcome] * 2 == [answer.outcome for answer in again]
    assert all(answer.replayed for answer in again)


def test_of_rivals_one_has_the_room_and_its_retries_hear_so(hotel, app):
    apps = [app, hotel.start()]
    turns = [(number, guest) for guest in GUESTS for number in range(2)]

    with ThreadPoolExecutor(len(turns)) as pool:
        answers = list(
            pool.map(
                lambda turn: apps[turn[0]].settled(booking(turn[1], "12")),
                turns,
            )
        )
    heard = {
        guest: answers[2 * place : 2 * place + 2] for place, guest in enumerate(GUESTS)
    }
    booked = [guest for guest in GUESTS if heard[guest][0].status == 201]

    assert 1 == len(booked)
    assert [[night, booked[0]] for night in NIGHTS] == nights(app, "12")
    assert all(one.outcome == two.outcome for one, two in heard.values())
    assert {201, 409} == {answer.status for answer in answers}
    assert {"", "12 is taken."} == {answer.json.get("detail", "") for answer in answers}


def test_a_rival_gets_the_room_of_a_booking_that_died(hotel, app):
    program = hotel.start("app.py", "take_nights.after")
    dying = program.sends(booking("ann", "13"))
    program.reaches("take_nights.after")
    rival = app.sends(booking("bob", "13"))  # waits for what ann has not committed

    program.dies()

    dying.exception()
    assert 201 in {rival.result().status, app.settled(booking("bob", "13")).status}
    assert [[night, "bob"] for night in NIGHTS] == nights(app, "13")
    assert [409, 409] == [app.settled(booking("ann", "13")).status for _ in range(2)]
    assert [[night, "bob"] for night in NIGHTS] == nights(app, "13")
