# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The four promises, one of which every operation declares."""

from __future__ import annotations

from enum import StrEnum


class Guarantee(StrEnum):
    """What happens after an unclear end: a crash, a lost lease, a lost store.

    - ``exactly-once``: nothing unclear can exist; effect and record commit in one
      database transaction.
    - ``resume``: run again; finished steps are not repeated and each outside call
      carries a stable derived key.
    - ``at-most-once``: never run again; the record becomes UNKNOWN until somebody
      resolves or releases it.
    - ``at-least-once``: run again once the lease has ended.
    """

    EXACTLY_ONCE = "exactly-once"
    RESUME = "resume"
    AT_MOST_ONCE = "at-most-once"
    AT_LEAST_ONCE = "at-least-once"

    @property
    def runs_again(self) -> bool:
        """Whether another owner may run the work after an unclear end."""
        return self is not Guarantee.AT_MOST_ONCE
