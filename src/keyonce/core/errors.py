# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Everything keyonce can raise, under one root.

```
IdempotencyError
├── ConfigurationError          a setting that cannot work; says what to change
├── StoreError
│   ├── StoreUnavailable        the store did not answer; nothing is known
│   └── RecordUnreadable        a stored record is torn, forged or from the future
├── LeaseLost                   another owner has taken the key
├── SettlementRefused           resolve or release does not fit the record
├── OutcomeUnknown              nobody can say whether the work was done
└── SafeToRetry                 raised by a handler: nothing happened, free the key
```
"""

from __future__ import annotations


class IdempotencyError(Exception):
    """The root of every error that keyonce raises."""


class ConfigurationError(IdempotencyError):
    """A setting that cannot work. The message says what to change."""


class StoreError(IdempotencyError):
    """The store failed."""


class StoreUnavailable(StoreError):
    """The store did not answer, or could not write.

    Whether the last command took effect is not known; repeating it with the
    same owner token is safe.
    """


class RecordUnreadable(StoreError):
    """A stored record cannot be read: torn, forged, or from a newer version."""


class LeaseLost(IdempotencyError):
    """The lease ran out and another owner has taken the key."""


class SettlementRefused(IdempotencyError):
    """An operator's resolve or release does not fit the state of the record."""


class OutcomeUnknown(IdempotencyError):
    """The work began and nobody can say whether it was done."""


class SafeToRetry(IdempotencyError):
    """Raise this from guarded work to vouch that nothing happened.

    The key is freed under every guarantee and the next attempt runs.
    """
