# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Bookings: a key for those who ask again, a constraint for those who come together."""

from __future__ import annotations

import os
from datetime import date, timedelta
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import IntegrityError

from keyonce import Guarantee, Guard, Policy, Rule, by_header, current_work
from keyonce.integrations.asgi import IdempotencyMiddleware
from keyonce.stores.url import open_store

DATABASE = os.environ.get("DATABASE_URL", "sqlite:///hotel.db")

# So long does a retry wait for a worker that was killed. 30 s is the default; here you
# should not have to wait that long.
LEASE = timedelta(seconds=2)


# ------------------------------------------------------------------ the business

engine = create_engine(DATABASE.replace("postgresql:", "postgresql+psycopg:"))


class RoomTaken(Exception):
    """Somebody else has the room in one of these nights."""


def open_hotel() -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE IF NOT EXISTS nights"
                " (room TEXT, night DATE, guest TEXT, PRIMARY KEY (room, night))"
            )
        )


def take_nights(
    connection: Connection, guest: str, room: str, nights: list[str]
) -> None:
    """Take all of *nights* or none: what raises here rolls all of it back."""
    rows = [{"room": room, "night": night, "guest": guest} for night in sorted(nights)]
    try:
        connection.execute(
            text("INSERT INTO nights VALUES (:room, :night, :guest)"), rows
        )
    except IntegrityError as error:
        raise RoomTaken from error


# ---------------------------------------------------------------------- the guard

guard = Guard(open_store(DATABASE))


@guard.once(
    "book",
    key=lambda key, *_stay: key,
    policy=Policy(guarantee=Guarantee.EXACTLY_ONCE, lease=LEASE),
    connection=engine.connect,
)
def book(
    connection: Connection, _key: str, guest: str, room: str, nights: list[str]
) -> dict[str, Any]:
    take_nights(connection, guest, room, nights)
    return {"guest": guest, "room": room, "nights": nights}


# ------------------------------------------------------------------------ the web

app = FastAPI()


class Stay(BaseModel):
    guest: str
    room: str
    nights: list[date]


def answer(booked: dict[str, Any]) -> dict[str, Any]:
    return booked


@app.post("/bookings", status_code=201)
def post_booking(stay: Stay) -> dict[str, Any]:
    key = current_work().downstream_key("book")
    nights = [night.isoformat() for night in stay.nights]
    try:
        return answer(book(key, stay.guest, stay.room, nights))
    except RoomTaken:
        # Kept by the middleware like any 4xx: whoever asks again hears it again.
        raise HTTPException(409, f"{stay.room} is taken.") from None


@app.get("/nights")
def get_nights() -> list[list[str]]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT room, night, guest FROM nights ORDER BY 2")
        )
        return [[str(column) for column in row] for row in rows]


app.add_middleware(
    IdempotencyMiddleware,
    store=DATABASE,
    scope=by_header("X-Api-Key"),
    # A handler that broke off may run again: book will not do it twice.
    rules=[
        Rule(
            "POST /bookings",
            Policy(guarantee=Guarantee.RESUME, required=True, lease=LEASE),
        )
    ],
)


def main() -> None:
    open_hotel()
    port = int(os.environ.get("PORT", "8000"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
