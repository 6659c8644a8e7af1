# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Partitions of outcomes: made ahead of their time, and dropped when all of it is past.

A partition is called by the seconds at which it begins and ends, multiples of its
width. Nothing depends on there being one: an outcome that finds none stays with its
record. One process at a time is at work on them, and none waits for a lock longer
than a moment: the next round does what this one could not.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

from keyonce.core.errors import ConfigurationError
from keyonce.core.model import Finding
from keyonce.stores.postgres.queries import PACKAGE
from keyonce.stores.postgres.steps import Script
from keyonce.stores.statement import Statement

if TYPE_CHECKING:
    from keyonce.stores.postgres.steps import Steps

SHORTEST: Final = timedelta(minutes=10)
# Retention by default: the partition that the first outcomes most likely need.
USUALLY: Final = 24 * 60 * 60.0
# After its end a partition is left alone for as long as a statement may have been
# under way that read the clock before.
MARGIN: Final = 60.0
MOST: Final = 64
MOMENT: Final = (
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '50ms'"
)

_NAME: Final = re.compile(r"^keyonce_outcomes_(\d+)_(\d+)$")


class Span(NamedTuple):
    """What one partition holds: from *begins* on, up to but not at *ends*."""

    begins: int
    ends: int

    @property
    def name(self) -> str:
        """Its table."""
        return f"keyonce_outcomes_{self.begins}_{self.ends}"

    def meets(self, other: Span) -> bool:
        """Whether some instant is in both."""
        return self.begins < other.ends and other.begins < self.ends


class Shelf(NamedTuple):
    """The partitions that there are, and the time on the server's clock."""

    schema: str
    now: float
    may_make: bool
    spans: tuple[Span, ...]


def width_of(partitions: timedelta) -> int:
    """Give the width in seconds.

    Raises:
        ConfigurationError: it is too short, or no whole seconds.
    """
    width = partitions.total_seconds()
    if partitions < SHORTEST or width != int(width):
        raise ConfigurationError(
            f"partitions={partitions} cannot be: a partition is at least "
            f"{SHORTEST} long, in whole seconds. A day suits most retentions."
        )
    return int(width)


def shelf(at: float | None) -> Steps[Shelf]:
    """Look at the partitions that there are.

    Others than ours, which an operator may have made, are left alone.
    """
    rows = yield Statement("partitions", (at,))
    schema, now, may_make, names = rows[0]
    found = (_NAME.match(name) for name in names)
    spans = sorted(Span(int(each[1]), int(each[2])) for each in found if each)
    return Shelf(schema, now, may_make, tuple(spans))


class Demand:
    """How far ahead outcomes expire, as completions tell, in widths.

    Retentions are few, as they belong to operations; what comes after the first
    MOST distances stays with its record.
    """

    def __init__(self, width: int) -> None:
        """Begin with the retention by default."""
        self.width = width
        self._ahead = {int(USUALLY // width)}

    def note(self, retention_for: float | None) -> bool:
        """Say whether partitions are wanted that were not wanted before."""
        if retention_for is None:
            return False
        ahead = int(retention_for // self.width)
        if ahead in self._ahead or len(self._ahead) >= MOST:
            return False
        self._ahead.add(ahead)
        return True

    def spans(self, now: float) -> list[Span]:
        """Give what outcomes of now, and of the next width, go to."""
        width, current = self.width, math.floor(now / self.width)
        # An outcome kept for 1.9 widths expires in the next but one, now and then.
        ahead = {each + more for each in tuple(self._ahead) for more in (0, 1, 2)}
        numbers = sorted(current + each for each in ahead)
        return [Span(number * width, (number + 1) * width) for number in numbers]


def make(demand: Demand, at: float | None) -> Steps[int]:
    """Make what is missing. For one transaction. Gives how many were made.

    Where partitions of another width are in the way, outcomes stay with their
    records until these have passed.
    """
    yield Script(MOMENT)
    seen = yield from shelf(at)
    return (yield from _made(seen, demand, at))


def looked_at(demand: Demand | None, at: float | None) -> Steps[list[Finding]]:
    """Say for `doctor` whether outcomes find their partitions."""
    if demand is None:
        return []
    seen = yield from shelf(at)
    missing = len(_missing(seen, demand))
    if missing and not seen.may_make:
        detail = f"{missing} are missing: outcomes stay with their records."
        return [Finding("warning", "partitions", detail, _grants(seen.schema))]
    if missing:
        detail = f"{missing} are missing: outcomes stay with their records."
        mend = "Upkeep makes them within minutes; is something else in their place?"
        return [Finding("warning", "partitions", detail, mend)]
    last = timedelta(seconds=seen.spans[-1].ends - seen.now)
    detail = f"{len(seen.spans)}, made for {last.days} days ahead"
    return [Finding("ok", "partitions", detail)]


def begin(demand: Demand, at: float | None) -> Steps[int]:
    """Make the first partitions. For one transaction.

    Raises:
        ConfigurationError: this role may not.
    """
    yield Script(MOMENT)
    seen = yield from shelf(at)
    if not seen.may_make:
        raise ConfigurationError(
            "This role may not make partitions: that needs CREATE on the schema and "
            f"the ownership of keyonce_outcomes. {_grants(seen.schema)}"
        )
    return (yield from _made(seen, demand, at))


def _grants(schema: str) -> str:
    return (
        f"GRANT CREATE ON SCHEMA {schema} and ALTER TABLE keyonce_outcomes OWNER TO "
        "this role, or to one that it belongs to; or open the store without partitions."
    )


def _made(seen: Shelf, demand: Demand, at: float | None) -> Steps[int]:
    if not _missing(seen, demand):
        return 0
    locked = yield Statement("lock_partitions")
    if not locked[0][0]:
        return 0
    seen = yield from shelf(at)
    missing = _missing(seen, demand)
    for each in missing:
        yield Script(_script("make_partition", seen.schema, each))
    return len(missing)


def _missing(seen: Shelf, demand: Demand) -> list[Span]:
    def is_free(span: Span) -> bool:
        return not any(span.meets(other) for other in seen.spans)

    return [span for span in demand.spans(seen.now) if is_free(span)]


def past(at: float | None) -> Steps[list[Span]]:
    """Say which partitions hold nothing any more that counts."""
    seen = yield from shelf(at)
    return [each for each in seen.spans if each.ends + MARGIN <= seen.now]


def drop(span: Span, at: float | None) -> Steps[bool]:
    """Drop one partition. For one transaction. Gives whether it was done here."""
    yield Script(MOMENT)
    locked = yield Statement("lock_partitions")
    if not locked[0][0]:
        return False
    seen = yield from shelf(at)
    if span not in seen.spans:
        return False
    yield Script(_script("drop_partition", seen.schema, span))
    return True


def _script(name: str, schema: str, span: Span) -> str:
    """Write one of the scripts; both words of it are from the server's catalog."""
    text = files(PACKAGE).joinpath(f"{name}.sql").read_text(encoding="utf-8")
    begins, ends = span
    return text.format(schema=schema, name=span.name, begins=begins, ends=ends)
