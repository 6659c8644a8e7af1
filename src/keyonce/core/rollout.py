# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How far a guard is rolled out: four stages, and a share of the keys."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from keyonce.core.model import Identity


class Stage(StrEnum):
    """off: nothing. observe: count only. validate: check keys. enforce: all."""

    OFF = "off"
    OBSERVE = "observe"
    VALIDATE = "validate"
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True)
class Rollout:
    """A stage, and for which percentage of the keys it holds.

    Keys outside the share get the stage before it. The share decides on first
    touch only: a record that exists is always honoured.
    """

    stage: Stage = Stage.ENFORCE
    percent: float = 100.0

    def __post_init__(self) -> None:
        """Take a stage by its word; refuse a share outside 0 to 100."""
        if not isinstance(self.stage, Stage):
            object.__setattr__(self, "stage", _stage(self.stage))
        if not 0 <= self.percent <= 100:  # noqa: PLR2004
            message = f"A rollout's share is 0 % to 100 %, not {self.percent} %."
            raise ConfigurationError(message)

    @property
    def partial(self) -> bool:
        """Whether some keys are outside the share."""
        return self.percent < 100  # noqa: PLR2004

    def covers(self, identity: Identity) -> bool:
        """Whether *identity* is inside the share; the same answer every time."""
        if not self.partial:
            return True
        digest = hashlib.sha256("\0".join(identity).encode()).digest()
        return int.from_bytes(digest[:4], "big") < self.percent / 100 * 2**32


def _stage(word: str) -> Stage:
    try:
        return Stage(word)
    except ValueError:
        words = ", ".join(repr(str(stage)) for stage in Stage)
        message = f"stage is one of {words}, not {word!r}."
        raise ConfigurationError(message) from None
