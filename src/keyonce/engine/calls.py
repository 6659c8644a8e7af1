# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A guarded function as values: its key, its fingerprint, its outcome."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import sys
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from keyonce.core.decide import (
    Expired,
    Incomparable,
    InFlight,
    Mismatch,
    Proceed,
    Replay,
    Unknown,
)
from keyonce.core.ending import Free, Keep, Park, Unclear
from keyonce.core.errors import (
    ConfigurationError,
    IdempotencyError,
    InProgress,
    KeyExpired,
    KeyReused,
    LeaseLost,
    OutcomeUnknown,
    RecordUnreadable,
    ResultNotEncodable,
    ResultNotKept,
    SafeToRetry,
)
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Attempt, Claimed, Fingerprint, Identity, StoredResult
from keyonce.core.netstring import netstring
from keyonce.core.policy import InFlightAnswer, OnStoreDown
from keyonce.core.protocols import EndedInside
from keyonce.core.rollout import Rollout
from keyonce.engine.current import is_inside
from keyonce.engine.flows import NOBODY, compare
from keyonce.engine.hooks import encoding
from keyonce.engine.outcomes import (
    Unsaid,
    by_reference,
    is_by_reference,
    without_rebuild,
)
from keyonce.engine.raised import error_of, error_value, is_declared
from keyonce.engine.results import codec_of
from keyonce.engine.steps import StepUnclear, check_errors
from keyonce.engine.transaction import vouches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyonce.core.decide import Decision
    from keyonce.core.ending import Committed, Ending
    from keyonce.core.model import Record, Traits
    from keyonce.core.policy import Policy
    from keyonce.engine.handle import Handle
    from keyonce.engine.results import ResultCodec

SCHEME: Final = "call1"
RAISED: Final = (b"keyonce-raised", b"1")
LONGEST_KEY: Final = 255
_SELF: Final = ("self", "cls")
_ONLY_HTTP: Final = {
    "in_flight": InFlightAnswer.ACCEPT,
    "on_store_down": OnStoreDown.PROCEED,
}
_ADDRESS: Final = re.compile(r"<.* at 0x[0-9A-Fa-f]+", re.DOTALL)
_SPELLED: Final = (date, time, timedelta, Decimal, UUID, Enum, PurePath)


class Call:
    """What there is to say about one guarded function.

    Raises:
        ConfigurationError: it cannot be guarded like this.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        *,
        key: Callable[..., object],
        scope: str | Callable[..., str],
        fingerprint: Callable[..., Any] | None,
        policy: Policy,
        traits: Traits,
        codec: ResultCodec | None,
        errors: tuple[type[Exception], ...],
        connected: bool = False,
        rebuild: Callable[[str], Any] | None = None,
    ) -> None:
        """Read *function* once; *traits* are what the store is able to promise.

        *connected*: its first argument is a connection. *rebuild* makes the result
        out of a reference that is kept in its place.
        """
        _check_makers(name, key=key, scope=scope, fingerprint=fingerprint)
        check_rebuild(name, rebuild, policy)
        self.rebuild = rebuild
        _check(function, name, policy, traits)
        check_errors(repr(name), errors)
        self.name = name
        self._most = min(policy.max_response, traits.largest_result or sys.maxsize)
        self._key = key
        self._scope = scope
        self._counts = fingerprint
        self._codec = codec or codec_of(function)
        self._errors = errors
        self._signature = inspect.signature(function)
        self._connected = connected
        if connected:
            taken = list(self._signature.parameters.values())[1:]
            self._signature = self._signature.replace(parameters=taken)
        self.policy = encoding(policy, self._result)

    def policy_of(self, identity: Identity) -> Policy | None:
        """Give the policy, if *identity* is a key of this function."""
        return self.policy if identity.operation == self.name else None

    def _result(self, value: Any) -> StoredResult:
        return self._stored(self._codec.encode(value))

    def _stored(self, data: bytes) -> StoredResult:
        if len(data) > self._most:
            return StoredResult(0, kept=False, size=len(data))
        return StoredResult(0, body=data, size=len(data))

    def identity(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Identity:
        """Give whose key this call has, for what.

        Raises:
            ConfigurationError: what was made of the arguments is no key.
        """
        scope = self._scope
        whose = scope(*args, **kwargs) if callable(scope) else scope
        if not isinstance(whose, str):
            raise ConfigurationError(
                f"The scope of {self.name!r} is a text, such as the id of a tenant, "
                f"and not of type {type(whose).__name__}."
            )
        made = self._key(*args, **kwargs)
        key = made if isinstance(made, str) else "" if made is None else str(made)
        if not isinstance(made, str) and _is_of_this_process(made, key):
            raise ConfigurationError(
                f"The key of {self.name!r} is of type {type(made).__name__}, which "
                "reads otherwise in every process, so that no retry would find it. "
                "Give a text or a number out of the arguments, such as order.id."
            )
        if not 1 <= len(key) <= LONGEST_KEY:
            raise ConfigurationError(
                f"The key of {self.name!r} has {len(key)} characters: make one of 1 "
                f"to {LONGEST_KEY} out of the arguments, such as the id of an order."
            )
        return Identity(whose, self.name, key)

    def attempt(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Attempt:
        """Give the attempt of one call.

        Raises:
            ConfigurationError: the arguments make no key, or no fingerprint, or the
                call is made from inside the work under its own key.
        """
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            hint = " (the guard gives the connection)" if self._connected else ""
            message = f"A call of {self.name!r}, {self._signature}{hint}: {error}."
            raise TypeError(message) from None
        identity = self.identity(args, kwargs)
        if is_inside(identity):
            raise ConfigurationError(
                f"{self.name!r} is called from inside its own work under the same "
                "key: it would wait for itself. Give the inner call another name."
            )
        if self._counts is not None:
            fingerprint = self._fingerprint(self._counts(*args, **kwargs))
        else:
            fingerprint = self._fingerprint(_told(bound))
        return Attempt(
            identity,
            fingerprint,
            lambda scheme: fingerprint if scheme == SCHEME else None,
        )

    def _fingerprint(self, told: Any) -> Fingerprint:
        try:
            written = json.dumps(told, sort_keys=True, default=_plain, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"The arguments of {self.name!r} make no fingerprint: {error}. Say "
                "what counts by fingerprint=, such as lambda order: order.total."
            ) from error
        parts = (SCHEME.encode(), self.name.encode(), written.encode())
        return Fingerprint(SCHEME, sha256(b"".join(map(netstring, parts))).digest())

    def ended(self, work: Handle, value: Any) -> tuple[Keep, Any]:
        """Give the ending of *work* that returned *value*, and the caller's copy.

        Raises:
            ResultNotEncodable: it cannot be stored, or not be read again.
            StepsChanged: it left out steps that an earlier execution took.
            StepUnclear: a step that is not safe to repeat has no known end.
        """
        work.check_whole()
        if work.unclear:
            raise StepUnclear(
                f"{self.name!r} has ended, and a step in it that is not safe to repeat "
                "has not: name in StepRule(errors=...) what it may raise."
            )
        return self._kept(value)

    def _kept(self, value: Any) -> tuple[Keep, Any]:
        data = self._codec.encode(value)
        try:
            copy = self._codec.decode(data)
        except RecordUnreadable as error:
            raise ResultNotEncodable(
                f"A result of {self.name!r} could be written and not be read again: "
                f"{error}"
            ) from error
        return Keep(self._stored(data)), copy

    def keeps(
        self, value: Any, status: int | None, headers: Iterable[tuple[str, str]]
    ) -> Keep:
        """Give the ending of a call whose outcome is said inside a transaction.

        Raises:
            ConfigurationError: it is that of a request.
            ResultNotEncodable: it cannot be stored.
        """
        if status is not None or tuple(headers):
            raise ConfigurationError(
                f"{self.name!r} is a function, its outcome has no status and no "
                "headers: call work.complete(value)."
            )
        if value is Unsaid.REBUILT:
            if self.rebuild is None:
                raise without_rebuild(repr(self.name))
            return Keep(by_reference(0))
        return self._kept(value)[0]

    def failed(self, error: BaseException, *, unclear: bool) -> Ending:
        """Say what it means that the work raised *error*.

        *unclear*: a step that is not safe to repeat had begun.
        """
        if isinstance(error, SafeToRetry) and (vouches(error) or not unclear):
            return Free("safe-to-retry")
        if isinstance(error, EndedInside):
            return Park("transaction-ended")
        if self.policy.guarantee is Guarantee.EXACTLY_ONCE and not isinstance(
            error, self._errors
        ):
            # Releasing does nothing to what a commit under way has completed. What a
            # step did is no part of any transaction.
            return Park("step-unclear") if unclear else Free("rolled-back")
        if unclear or isinstance(error, OutcomeUnknown):
            return Park("step-unclear")
        if not isinstance(error, Exception):
            return Unclear("stopped")
        declared = is_declared(error, self._errors)
        if not declared and self.policy.guarantee.runs_again:
            return Free("raised")
        if not declared and self.policy.reconcile is not None:
            return Unclear("raised")
        data = error_value(error)
        return Keep(StoredResult(0, (RAISED,), data, size=len(data)))

    def referred(self, record: Record) -> str | None:
        """Give the reference that the result is built from, if it is."""
        by = self.rebuild is not None and is_by_reference(record.result)
        return record.reference if by else None

    def not_rebuilt(self) -> ResultNotKept:
        """Say that the result could not be built from its reference."""
        return ResultNotKept(
            f"{self.name!r} is done under this key, and its result could not be built "
            "from its reference. Call again: that is tried each time."
        )

    def outcome(self, record: Record) -> Any:
        """Give the result that *record* keeps, or raise what it says was raised.

        Raises:
            ResultNotKept: the work is done, its result was too large.
            WorkFailed: the work raised something that was not declared.
        """
        result = record.result
        if result is None or not result.kept:
            raise ResultNotKept(
                f"{self.name!r} is done under this key, and its result was too large "
                "to keep. Look for what it has brought about."
            )
        if RAISED in result.headers:
            raise error_of(result.body, self._errors)
        return self._codec.decode(result.body)

    def winners(
        self, record: Record | None, attempt: Attempt, error: Exception | None
    ) -> Record:
        """Give the record of whoever took the key from this call.

        *error* is what this call's own work raised.

        Raises:
            LeaseLost: there is none, or it is that of other arguments.
        """
        if record is not None:
            claimed = Claimed(record, record.ended_at or record.claimed_at)
            decision = compare(claimed, attempt, attempt.fingerprint, NOBODY)[0]
            if isinstance(decision, Replay):
                return decision.record
        if error is not None:
            raise error
        raise LeaseLost(
            f"Another worker has taken the key of {self.name!r}, and what this one did "
            "was not recorded. Call again for its outcome."
        )

    def refusal(self, decision: Decision) -> IdempotencyError:
        """Give the error that *decision* is for a call that may not run."""
        name = self.name
        match decision:
            case InFlight(record, age):
                left = max(0.1, min(record.lease_for, 1.0))
                return InProgress(
                    f"{name!r} is under way under this key, {age:.0f} s by now. Try "
                    "again later; the policy's in_flight = 'wait' waits for it.",
                    retry_after=left,
                )
            case Mismatch():
                return KeyReused(
                    f"The key of {name!r} was used before, with other arguments. A "
                    "key stands for one call: make another key, or repeat that call."
                )
            case Unknown(_, float(again_in)):
                return OutcomeUnknown(
                    f"Nobody can say yet whether {name!r} was done under this key. It "
                    f"is not run again. Its reconcile hook finds out: call again, in "
                    f"{again_in:.0f} s or later.",
                    retry_after=again_in,
                )
            case Unknown():
                return OutcomeUnknown(
                    f"Nobody can say whether {name!r} was done under this key. It is "
                    "not run again until somebody resolves or releases it: 'keyonce "
                    "keys list --status unknown'."
                )
            case Expired():
                return KeyExpired(
                    f"{name!r} was done under this key, its outcome is past its "
                    "retention, and late calls are refused."
                )
            case Incomparable():
                return KeyReused(
                    f"The key of {name!r} was used by something that this version of "
                    "keyonce does not understand."
                )
            case Proceed() | Replay():
                raise AssertionError(decision)


def is_failure(ending: Ending | Committed) -> bool:
    """Whether *ending* keeps what the work raised."""
    return isinstance(ending, Keep) and RAISED in ending.result.headers


def wait_for(policy: Policy) -> timedelta:
    """How long a call waits for another one's end."""
    waits = policy.in_flight is InFlightAnswer.WAIT
    return policy.patience if waits else timedelta(0)


def _check(
    function: Callable[..., Any], name: str, policy: Policy, traits: Traits
) -> None:
    if not callable(function):
        raise ConfigurationError(
            f"{name!r} is no function: guard what stands inside classmethod or "
            "staticmethod, one line further down."
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(
            f"{name!r} is a generator function: it has no one result to keep. Return "
            "a list, or guard the function that consumes it."
        )
    if policy.guarantee not in traits.guarantees:
        raise ConfigurationError(
            f"{name!r}: the {traits.name} store cannot keep {policy.guarantee}. Take "
            "another store or another guarantee."
        )
    for setting, means in _ONLY_HTTP.items():
        if getattr(policy, setting) == means:
            raise ConfigurationError(
                f"{name!r}: {setting} = {str(means)!r} is for requests over HTTP. A "
                "guarded function raises instead: leave it out."
            )
    if policy.mode != Rollout():
        raise ConfigurationError(
            f"{name!r}: a rollout by stages is for requests and messages. What a "
            "function does under a lease (its steps, its transaction) has no meaning "
            "without one: leave mode out."
        )


def _check_makers(
    name: str, *, key: object, scope: object, fingerprint: object
) -> None:
    if not callable(key):
        raise ConfigurationError(
            f"{name!r}: key is a function of the arguments, such as lambda order: "
            f"order.id, not {key!r}."
        )
    if not (isinstance(scope, str) or callable(scope)):
        raise ConfigurationError(
            f"{name!r}: scope is a text or a function of the arguments, not {scope!r}."
        )
    if fingerprint is not None and not callable(fingerprint):
        raise ConfigurationError(
            f"{name!r}: fingerprint is a function of the arguments that gives what has "
            f"to be equal, not {fingerprint!r}."
        )


def check_rebuild(
    name: str, rebuild: Callable[[str], Any] | None, policy: Policy
) -> None:
    """Refuse a *rebuild* that is no function, or is for nothing.

    Raises:
        ConfigurationError: naming the operation *name*.
    """
    if rebuild is None:
        return
    if not callable(rebuild):
        raise ConfigurationError(
            f"{name!r}: rebuild is a function that makes the answer out of a "
            f"reference, not {rebuild!r}."
        )
    if policy.guarantee is not Guarantee.EXACTLY_ONCE:
        raise ConfigurationError(
            f"{name!r} is given rebuild=, and its guarantee is {policy.guarantee}: an "
            "answer is kept by reference under exactly-once. Declare that, or leave "
            "rebuild= out."
        )


def _is_of_this_process(made: object, text: str) -> bool:
    """Whether *text*, of what was *made* as a key, holds an address or a chance order.

    So do what has no text of its own, a coroutine, and a method that nobody called.
    """
    return isinstance(made, set | frozenset) or _ADDRESS.search(text) is not None


def _told(bound: inspect.BoundArguments) -> dict[str, Any]:
    """Give all arguments, by name, save whose method it is."""
    bound.apply_defaults()
    return {name: value for name, value in bound.arguments.items() if name not in _SELF}


def _plain(value: Any) -> Any:
    """Give an argument as JSON would have it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: getattr(value, field.name)
            for field in dataclasses.fields(value)
        }
    dump = getattr(value, "model_dump", None)  # pydantic
    if dump is not None:
        return dump(mode="json")
    fields = getattr(value, "__struct_fields__", None)  # msgspec
    if fields is not None:
        return {name: getattr(value, name) for name in fields}
    if isinstance(value, bytes | bytearray):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, set | frozenset):
        return sorted(
            json.dumps(item, sort_keys=True, default=_plain) for item in value
        )
    if isinstance(value, _SPELLED):
        return {type(value).__name__: str(value)}
    message = f"an argument of type {type(value).__name__} has no plain form"
    raise TypeError(message)
