# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Orders that are killed or fail at each point on the way, and are tried again.

    python -m tests.exactly_once.rounds [--rounds 200] [--seed 4] [KIND=URL ...]

Worker processes place the orders, several at once. One ends itself with SIGKILL at a
point, is ended so at a moment that nobody chose, or raises. Then each order is placed
twice more, by two workers in a race. Without a KIND all drivers play, on servers of
their own; the last row plays the same without a transaction, and has to lose.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.exactly_once.shops import (
    FORMS,
    KINDS,
    ON_MARIADB,
    ON_POSTGRES,
    POINTS,
    TABLE,
    ask,
    second,
)
from tests.exactly_once.workers import Job, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.exactly_once.workers import Tally

MODULES = (
    *("asyncmy", "asyncpg", "psycopg", "pymysql", "sqlalchemy.ext.asyncio"),
    "tests.exactly_once.django_project",
)
CONTROL = "Apart"
HEAD = ("driver", "points", "rounds", "kills", "raises", "effects", "doubled", "lost")
ENDS = [
    *((form, point, "kill") for form in FORMS for point in POINTS),
    *((form, point, "raise") for form in FORMS for point in POINTS),
    *((form, "any time", "kill") for form in (*FORMS, FORMS[0])),
]


class Row(NamedTuple):
    """What came of the rounds of one driver."""

    driver: str
    points: int
    rounds: int
    kills: int
    raises: int
    effects: int
    doubled: int
    lost: int

    @property
    def holds(self) -> bool:
        return (self.effects, self.doubled, self.lost) == (self.rounds, 0, 0)


def play(kind: str, url: str, rounds: int) -> Row:
    """Play *rounds*, and count what is in the table in the end."""
    ends: list[tuple[str, str, str]] = []
    while len(ends) < rounds:
        ends += random.sample(ENDS, len(ENDS))
    plan = [Job(f"order-{number}", *end) for number, end in enumerate(ends[:rounds])]
    with Workers(kind, url) as workers:
        tally = workers.first_tries(plan)
        workers.retry(plan)
    return counted(kind, url, plan, tally)


def counted(kind: str, url: str, plan: list[Job], tally: Tally) -> Row:
    """Look for the rows of each order."""
    found = dict(ask(url, "SELECT name, count(*) FROM orders GROUP BY name"))
    pairs = [(found.get(job.key, 0), found.get(second(job.key), 0)) for job in plan]
    return Row(
        kind,
        len({(job.form, job.point) for job in plan if not job.any_time}),
        len(plan),
        tally.kills,
        tally.raises,
        sum(one for one, _ in pairs),
        sum(max(pair) > 1 for pair in pairs),
        sum(min(pair) < 1 for pair in pairs),
    )


def everywhere(stack: ExitStack) -> Iterator[tuple[str, Callable[[], str]]]:
    """Start the servers that the drivers need; say where each may play."""
    from tests.servers import postgres
    from tests.servers.mariadb import MariaDB
    from tests.servers.postgres import PostgresServer

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    server = PostgresServer(postgres.newest()).start()
    stack.callback(server.close)
    mariadb = MariaDB(folder)
    mariadb.start()
    stack.callback(mariadb.stop)
    for kind, shop in KINDS.items():
        if shop in ON_POSTGRES:
            yield kind, lambda: server.url(server.new_database())
        elif shop in ON_MARIADB:
            yield kind, partial(mariadb.database, kind.lower())
        else:
            yield kind, partial(on_disk, folder / f"{kind}.db")
    yield CONTROL, lambda: on_disk(folder / "apart.db")


def on_disk(file: Path) -> str:
    """Make an empty database that nobody else may read."""
    file.touch(mode=0o600)
    return f"sqlite:///{file}"


def table(rows: list[tuple[Any, ...]]) -> str:
    """Lay *rows* out, for a terminal and for Markdown alike."""
    widths = [max(len(str(row[place])) for row in rows) for place in range(len(HEAD))]
    lines = [
        "| " + " | ".join(str(cell).ljust(w) for cell, w in zip(row, widths, strict=True))
        + " |"
        for row in rows
    ]  # fmt: skip
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("places", nargs="*", metavar="KIND=URL")
    told = parser.parse_args()
    random.seed(told.seed)
    for name in MODULES:
        import_module(name)  # here, and not in each of the workers
    rows: list[Row] = []
    with ExitStack() as stack:
        named = [place.partition("=") for place in told.places]
        places = [(kind, lambda url=url: url) for kind, _, url in named]
        for kind, make in places or everywhere(stack):
            url = make()
            if not places:
                ask(url, TABLE)
            rows.append(play(kind, url, told.rounds))
            if not places:
                print(f"{kind} has played.", file=sys.stderr)  # noqa: T201 - a command
    print(table([HEAD, *rows]))  # noqa: T201 - a command
    return int(any(row.holds == (row.driver == CONTROL) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
