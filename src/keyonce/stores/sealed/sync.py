# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The sealed store for threads."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from keyonce.stores.sealed.sealing import Sealing
from keyonce.stores.sealed.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from keyonce.core.protocols import Store
    from keyonce.stores.sealed.ring import KeyRing


class Sealed(Verbs):
    """*store* with its outcomes encrypted at rest, by AES-256-GCM.

    Status, headers and body open for the same scope, operation and key only. What
    cannot be opened is unreadable: it is never run again, nor answered. Outcomes
    that are not sealed are refused as well, but until *accept_plain_until*, for a
    store that has some from before. *clock* gives the time in seconds since the
    epoch. Closing closes *store*.

    Raises:
        ConfigurationError: the package cryptography is missing.
    """

    def __init__(
        self,
        store: Store,
        ring: KeyRing,
        *,
        accept_plain_until: datetime | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Seal what goes into *store* with the current key of *ring*."""
        sealing = Sealing(
            ring, accept_plain_until=accept_plain_until, clock=clock, nonce=os.urandom
        )
        super().__init__(store, sealing)
