# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What was asked of one record and what came back, with the times of both."""

from __future__ import annotations

from typing import NamedTuple

ABSENT = ""
IN_PROGRESS = "in_progress"
COMPLETED = "completed"
UNKNOWN = "unknown"
RELEASED = "released"
REFUSED = "refused"
UNTOLD = "untold"


class Seen(NamedTuple):
    """A record as an answer shows it; *steps* is None where that does not tell."""

    status: str
    owner: str = ""
    executions: int = 0
    result: str = ""
    steps: str | None = None


#: A record, that there is none, yes or no, or that a settlement was refused. UNTOLD: it
#: was carried out until then, and nobody knows with which answer.
Answer = Seen | bool | str | None


class Asked(NamedTuple):
    """One command. *given* is a body or steps, *number* is a note's.

    The verbs are those of a store; ``resolve``, ``free`` and ``forget`` are its
    settlements. ``lapse`` is no call: the lease of whoever is at work ends. A claim
    that *witnessed* has seen that end, and may end the lease: a store lets it be where
    the claim had to wait, since its owner had to wait as well.
    """

    verb: str
    owner: str = ""
    given: str = ""
    number: int = 0
    witnessed: bool = False


class Call(NamedTuple):
    """A command from when it was sent until its answer came.

    Without *returned* no answer came: it may take effect at any later time, or never.
    """

    asked: Asked
    invoked: int
    returned: int | None = None
    answer: Answer = None


class History(NamedTuple):
    """All calls on one record. *runs_again*: whether a lapsed lease is taken over."""

    runs_again: bool
    calls: tuple[Call, ...]

    def asking_twice(self) -> History:
        """Allow a store to carry an owner's verb out, and answer by a second look.

        As if the same command arrived twice, one behind the other, and the second
        was answered.
        """
        twins = tuple(
            call._replace(answer=UNTOLD)
            for call in self.calls
            if call.asked.owner and call.returned is not None and call.invoked >= 0
        )
        return self._replace(calls=self.calls + twins)
