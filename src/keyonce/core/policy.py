# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a service author declares about one operation, checked at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

from keyonce.core.errors import ConfigurationError
from keyonce.core.guarantee import Guarantee
from keyonce.core.rollout import Rollout, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.reconcile import Reconcile

_E = TypeVar("_E", bound=StrEnum)

MIB: Final = 1024 * 1024
FOREVER: Final = "forever"


class InFlightAnswer(StrEnum):
    """What a duplicate hears while the original runs: 409, wait for it, or 202."""

    REJECT = "reject"
    WAIT = "wait"
    ACCEPT = "accept"


class OnStoreDown(StrEnum):
    """Without a store: refuse with 503, or run unprotected and say so."""

    REFUSE = "refuse"
    PROCEED = "proceed"


class AfterExpiry(StrEnum):
    """A retry after retention: a new request, or refused with 410."""

    NEW = "new"
    REFUSE = "refuse"


class KeyFormat(StrEnum):
    """Which keys are accepted: any, only quoted ones, only UUIDs."""

    ANY = "any"
    QUOTED = "quoted"
    UUID = "uuid"


class ForwardKey(StrEnum):
    """What the sidecar sends upstream: the key, no key, or a derived one."""

    FORWARD = "forward"
    STRIP = "strip"
    DERIVE = "derive"


def _check_texts(name: str, value: object) -> None:
    """Refuse one text in the place of many: it would count letter by letter."""
    if isinstance(value, str):
        message = f"{name} is a tuple of texts: ({value!r},), not {value!r}."
        raise ConfigurationError(message)
    many = isinstance(value, tuple | list | set | frozenset)
    if not many or not all(isinstance(each, str) for each in cast("Any", value)):
        message = f"{name} is a tuple of texts, not {value!r}."
        raise ConfigurationError(message)


@dataclass(frozen=True, slots=True)
class FingerprintRecipe:
    """What of a request makes it the same request.

    *exclude* are JSON pointers of body fields that may differ between retries;
    *headers* are names of headers that count as well.
    """

    exclude: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what are no texts, and pointers that are none."""
        _check_texts("exclude", self.exclude)
        _check_texts("headers", self.headers)
        for pointer in self.exclude:
            if not pointer.startswith("/"):
                message = (
                    f"{pointer!r} is no JSON pointer: a pointer starts with '/', "
                    "as in '/metadata/sent_at'."
                )
                raise ConfigurationError(message)


@dataclass(frozen=True, slots=True)
class Terms:
    """A policy as the engine uses it: spans in seconds, made once."""

    guarantee: Guarantee
    lease_for: float
    work_limit: float
    retention_for: float | None
    late_for: float
    patience: float
    max_crashes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The declared behaviour of one operation.

    *mode* is a rollout, a stage or its name, or a function that gives one and
    is asked on every request: a flag. *max_executions* is how many workers in
    a row may vanish over one key before it is parked as unknown. *retention*
    counts from completion; ``"forever"`` must be said by name. *late_for* is how
    long tombstones refuse late retries when *after_expiry* is ``refuse``. *reconcile*
    asks the outside world what came of work whose outcome is unknown; an attempt that
    meets such a key waits *reconcile_timeout* for it. *show_reference* lets callers
    see what the work noted of its effect.

    Raises:
        ConfigurationError: a value that cannot work, naming it.
    """

    guarantee: Guarantee = Guarantee.AT_MOST_ONCE
    mode: Rollout | Callable[[], Rollout] = Rollout()
    required: bool = False
    retention: timedelta | Literal["forever"] = timedelta(hours=24)
    lease: timedelta = timedelta(seconds=30)
    work_limit: timedelta = timedelta(minutes=15)
    in_flight: InFlightAnswer = InFlightAnswer.REJECT
    patience: timedelta = timedelta(seconds=10)
    max_executions: int = 3
    on_store_down: OnStoreDown = OnStoreDown.REFUSE
    after_expiry: AfterExpiry = AfterExpiry.NEW
    late_for: timedelta = timedelta(days=30)
    key_format: KeyFormat = KeyFormat.ANY
    mismatch_status: int = 422
    fingerprint: FingerprintRecipe = FingerprintRecipe()
    keep_headers: tuple[str, ...] = ()
    drop_headers: tuple[str, ...] = ()
    max_request: int = 64 * MIB
    max_response: int = 16 * MIB
    forward_key: ForwardKey = ForwardKey.FORWARD
    reconcile: Reconcile | None = None
    reconcile_timeout: timedelta = timedelta(seconds=5)
    show_reference: bool = False
    terms: Terms = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Turn words into values and refuse what cannot work."""
        for name, kind in _WORDS:
            object.__setattr__(self, name, _word(name, kind, getattr(self, name)))
        object.__setattr__(self, "mode", _mode(self.mode))
        for name in _SPANS:
            _check_span(name, getattr(self, name))
        _check_whole("max_executions", self.max_executions, least=1)
        _check_whole("max_request", self.max_request, least=1)
        _check_whole("max_response", self.max_response, least=0)
        for name in _SWITCHES:
            _check_switch(name, getattr(self, name))
        _check_texts("keep_headers", self.keep_headers)
        _check_texts("drop_headers", self.drop_headers)
        if not isinstance(self.fingerprint, FingerprintRecipe):
            message = (
                "fingerprint is a FingerprintRecipe, such as "
                f"FingerprintRecipe(exclude=('/sent_at',)), not {self.fingerprint!r}."
            )
            raise ConfigurationError(message)
        if self.mismatch_status not in (400, 409, 422):
            message = f"mismatch_status is 422, 409 or 400, not {self.mismatch_status}."
            raise ConfigurationError(message)
        if self.reconcile is not None and not callable(self.reconcile):
            message = (
                "reconcile is a function that is asked about work of unknown outcome, "
                f"not {self.reconcile!r}."
            )
            raise ConfigurationError(message)
        object.__setattr__(self, "terms", self._terms())

    def rollout(self) -> Rollout:
        """Ask the flag, if *mode* is one."""
        return self.mode() if callable(self.mode) else self.mode

    def _terms(self) -> Terms:
        retention = self.retention
        refusing = self.after_expiry is AfterExpiry.REFUSE
        return Terms(
            guarantee=self.guarantee,
            lease_for=self.lease.total_seconds(),
            work_limit=self.work_limit.total_seconds(),
            retention_for=None
            if isinstance(retention, str)
            else retention.total_seconds(),
            late_for=self.late_for.total_seconds() if refusing else 0.0,
            patience=self.patience.total_seconds(),
            max_crashes=self.max_executions,
        )


_SPANS: Final = (
    "lease",
    "work_limit",
    "retention",
    "patience",
    "late_for",
    "reconcile_timeout",
)
_SWITCHES: Final = ("required", "show_reference")
_WORDS: Final = (
    ("guarantee", Guarantee),
    ("in_flight", InFlightAnswer),
    ("on_store_down", OnStoreDown),
    ("after_expiry", AfterExpiry),
    ("key_format", KeyFormat),
    ("forward_key", ForwardKey),
)


def _word(name: str, kind: type[_E], value: str) -> _E:
    try:
        return kind(value)
    except ValueError:
        words = ", ".join(repr(str(member)) for member in kind)
        message = f"{name} is one of {words}, not {value!r}."
        raise ConfigurationError(message) from None


def _mode(
    mode: Rollout | str | Callable[[], Rollout],
) -> Rollout | Callable[[], Rollout]:
    if isinstance(mode, str):
        return Rollout(_word("mode", Stage, mode))
    if isinstance(mode, Rollout) or callable(mode):
        return mode
    message = f"mode is a stage, a Rollout or a function that gives one, not {mode!r}."
    raise ConfigurationError(message)


def _check_span(name: str, span: timedelta | str) -> None:
    if name == "retention" and span == FOREVER:
        return
    if not isinstance(span, timedelta):
        also = " or 'forever'" if name == "retention" else ""
        message = f"{name} is a timedelta{also}, not {span!r}."
        raise ConfigurationError(message)
    if span <= timedelta(0):
        message = (
            f"{name} is {span}: it must be longer than zero. "
            "Leave it out to get the default."
        )
        raise ConfigurationError(message)


def _check_switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        message = f"{name} is True or False, not {value!r}."
        raise ConfigurationError(message)


def _check_whole(name: str, value: int, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        message = f"{name} is a whole number from {least} on, not {value!r}."
        raise ConfigurationError(message)
