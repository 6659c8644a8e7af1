# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the verbs of a tiered store share: names, seals, time, standing."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import ConfigurationError
from keyonce.core.netstring import netstring
from keyonce.stores.tiered import entries
from keyonce.stores.tiered.cache import LARGEST_ENTRY
from keyonce.stores.tiered.reckoning import MARGIN
from keyonce.stores.tiered.seals import FORM

if TYPE_CHECKING:
    from keyonce.core.model import Identity, Record
    from keyonce.stores.tiered.reckoning import Reckoning
    from keyonce.stores.tiered.seals import Seals
    from keyonce.stores.tiered.standing import Standing

_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")
_BESIDE_THE_BODY: Final = 4096


class Shelf:
    """Between records and entries. It neither reads nor writes the cache."""

    def __init__(
        self,
        *,
        seals: Seals,
        prefix: str,
        hold_for: float,
        reckoning: Reckoning,
        standing: Standing,
    ) -> None:
        """Name entries after *prefix* and hold them for *hold_for* seconds at most."""
        if not _PREFIX.fullmatch(prefix):
            raise ConfigurationError(
                f"A prefix of {prefix!r} cannot be: take 1 to 64 of letters, digits, "
                "'_', '.', ':', '/' and '-'."
            )
        if not hold_for > 0:
            raise ConfigurationError("hold_for is longer than nothing, such as 1 h.")
        # The form in the name keeps programs of two versions out of each other's way.
        self._names = f"{prefix}:c{FORM}:".encode()
        self._hold_for = hold_for
        self.seals = seals
        self.reckoning = reckoning
        self.standing = standing

    @property
    def probe(self) -> bytes:
        """The name that nobody's entry has."""
        return self._names + b"probe"

    def name_of(self, identity: Identity) -> bytes:
        """Name the entry of *identity*; the name does not tell it."""
        told = b"".join([netstring(part.encode()) for part in identity])
        return self._names + sha256(told).hexdigest().encode()

    def read(
        self, name: bytes, entry: bytes, identity: Identity
    ) -> tuple[Record, float]:
        """Read the record in *entry*, and until when it may be served.

        Raises:
            Refused: it is not what was put under that name for that identity.
        """
        return entries.read(self.seals.opened(name, entry), identity)

    def written(self, name: bytes, record: Record, until: float) -> bytes | None:
        """Write the entry of a completed record; None when it would be too large."""
        result = record.result
        if result is None or len(result.body) > LARGEST_ENTRY - _BESIDE_THE_BODY:
            return None
        entry = self.seals.sealed(name, entries.written(record, until))
        return entry if len(entry) <= LARGEST_ENTRY else None

    def worth_holding_for(self, record: Record, now: float) -> float:
        """Say for how many seconds from *now* the record may be served."""
        if record.expires_at is None:
            return self._hold_for
        left = record.expires_at - now
        return min(left, self._hold_for) if left > MARGIN else 0.0
