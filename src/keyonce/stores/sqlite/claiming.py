# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The job behind a claim, which may have to wait for the file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from keyonce.stores.sqlite import procedures

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.model import Claim, Claimed
    from keyonce.stores.statement import Procedure

PROMPT: Final = 0.05


def claiming(command: Claim) -> Callable[[float], Procedure[Claimed]]:
    """Give the job behind *command*, which is asked for now.

    Whoever had to wait for the file ends no lease: its owner, who waited as well,
    must get to renew it first.
    """
    prompt_until = time.monotonic() + PROMPT

    def job(now: float) -> Procedure[Claimed]:
        late = time.monotonic() > prompt_until
        return procedures.claim(
            command._replace(witnessed=None) if late else command, now
        )

    return job
