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
├── NotRun                      a guarded call that did not run, and has no result
│   ├── InProgress              another attempt is at work; try again later
│   │   └── DeliveryInProgress  another worker is at this message: redeliver later
│   ├── KeyReused               the key was used for another call
│   │   └── MessageReused       the id came with another payload: dead-letter it
│   ├── DeliveryDead            no worker gets this message done: dead-letter it
│   ├── KeyExpired              the outcome is past its retention
│   └── ResultNotKept           the work is done, its result was too large to keep
├── OutcomeUnknown              nobody can say whether the work was done
├── WorkFailed                  the work raised, and that is its stored outcome
├── StepsChanged                the steps are not those of the execution before
├── ResultNotEncodable          what the work returned cannot be stored
├── NotCommitted                work ended outside its transaction, or without outcome
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


class NotRun(IdempotencyError):
    """A guarded call did not run and has no result. Its subclasses say why."""


class InProgress(NotRun):
    """Another attempt is at work under this key.

    *retry_after* is in how many seconds to ask again, as far as that can be said.
    """

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        """Say so with *message*."""
        super().__init__(message)
        self.retry_after = retry_after


class KeyReused(NotRun):
    """The key was used before, for a call with other arguments."""


class DeliveryInProgress(InProgress):
    """Another worker is at this message.

    Do not acknowledge: let the broker deliver it again, *retry_after* seconds later.
    """


class MessageReused(KeyReused):
    """The id was used before, by a message with another payload.

    Dead-letter the message: it is neither the one that was done nor safe to run.
    """


class DeliveryDead(NotRun):
    """The message was run as often as it may be, and never got done.

    Dead-letter it. Its record is unknown until somebody resolves or releases it.
    """


class KeyExpired(NotRun):
    """The outcome is past its retention, and late retries are refused."""


class ResultNotKept(NotRun):
    """The work is done, and its result was too large to keep."""


class WorkFailed(IdempotencyError):
    """The work raised, and that is the stored outcome of its key.

    *kind* is the name of what was raised. It is raised anew as itself where its
    class was declared.
    """

    def __init__(self, message: str, *, kind: str = "") -> None:
        """Say so with *message*."""
        super().__init__(message)
        self.kind = kind


class StepsChanged(IdempotencyError):
    """The steps of the work are not those that an earlier execution took.

    The code was changed while a key was under way, or it depends on something that
    differs from one execution to the next.
    """


class ResultNotEncodable(IdempotencyError):
    """What the work returned cannot be stored as its codec would."""


class NotCommitted(IdempotencyError):
    """Work under exactly-once ended, and no transaction with its outcome committed."""


class OutcomeUnknown(IdempotencyError):
    """The work began and nobody can say whether it was done.

    *retry_after* is in how many seconds the reconcile hook is asked again; None
    where an operator has to find out.
    """

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        """Say so with *message*."""
        super().__init__(message)
        self.retry_after = retry_after


class SafeToRetry(IdempotencyError):
    """Raise this from guarded work to vouch that nothing happened.

    The key is freed under every guarantee and the next attempt runs.
    """
