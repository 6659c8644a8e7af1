# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The job behind a claim or many, which may have to wait for the file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from keyonce.stores.sqlite import procedures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keyonce.core.errors import StoreError
    from keyonce.core.model import Claim, Claimed
    from keyonce.stores.statement import Procedure

PROMPT: Final = 0.05


def claiming(command: Claim) -> Callable[[float], Procedure[Claimed]]:
    """Give the job behind *command*, which is asked for now.

    Whoever had to wait for the file ends no lease: its owner, who waited as well,
    must get to renew it first.
    """
    timely = _timely()
    return lambda now: procedures.claim(timely(command), now)


def claiming_many(
    commands: Sequence[Claim],
) -> Callable[[float], Procedure[list[Claimed | StoreError]]]:
    """Give the one job behind all *commands*, which are asked for now."""
    timely = _timely()
    return lambda now: procedures.claim_many([*map(timely, commands)], now)


def _timely() -> Callable[[Claim], Claim]:
    """Give what takes the witness from a claim, once it is late."""
    prompt_until = time.monotonic() + PROMPT

    def timely(command: Claim) -> Claim:
        late = time.monotonic() > prompt_until
        return command._replace(witnessed=None) if late else command

    return timely
