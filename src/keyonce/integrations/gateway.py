# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the ASGI and the WSGI gateway share: settings, attempts, tidings.

No decisions are made here: those are in ``http`` and ``engine``. A gateway reads a
request, lets ``admit`` look at it, begins, runs the app, finishes, and writes.
"""

from __future__ import annotations

import logging
import os
import random
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keyonce.core.decide import InFlight, Mismatch
from keyonce.core.errors import ConfigurationError, NotCommitted
from keyonce.core.events import (
    Arrived,
    Ended,
    NoObserver,
    Observers,
    Outcome,
    Started,
)
from keyonce.core.fingerprint import Fingerprinter, FingerprintSource
from keyonce.core.model import Attempt
from keyonce.core.policy import InFlightAnswer, Policy
from keyonce.engine.finished import Stored
from keyonce.engine.watching import reason_of
from keyonce.http.admit import Admission, admit
from keyonce.http.answer import answer
from keyonce.http.catalogue import SOON, unclear_end
from keyonce.http.dialect import DIALECT, Dialect
from keyonce.http.header import weakness
from keyonce.http.operation import Rule, is_shortened
from keyonce.http.problem import response
from keyonce.http.rawpath import normal_path
from keyonce.http.steer import read_steering
from keyonce.integrations.committing import check_exact, failure_of
from keyonce.integrations.settings import checked_rules
from keyonce.integrations.spool import SpillSpace
from keyonce.telemetry.context import Attending, attend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from keyonce.core.errors import IdempotencyError
    from keyonce.core.events import Observer
    from keyonce.core.model import Fingerprint, Identity, Lease
    from keyonce.core.outcomes import Answerable
    from keyonce.core.policy import FingerprintRecipe
    from keyonce.core.protocols import AsyncStore, Store
    from keyonce.engine.finished import Finished
    from keyonce.http.messages import Body, Headers, RequestHead, Response
    from keyonce.http.problem import Problem
    from keyonce.http.scope import ScopeReader
    from keyonce.integrations.failure import Failure

DEFAULT_RULES: Final = (Rule("POST,PATCH /**", Policy()),)
log: Final = logging.getLogger("keyonce")
SMOOTHING: Final = 0.2
NO_WAIT: Final = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """Keys for keyed fingerprints: by id, and which one new records use."""

    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    current: str | None = None


class Gateway:
    """The settings of one guarded app, and the values made from a request."""

    def __init__(
        self,
        *,
        scope: ScopeReader,
        rules: Iterable[Rule] = DEFAULT_RULES,
        observer: Observer | None = None,
        dialect: Dialect = DIALECT,
        secrets: Secrets | None = None,
        space: SpillSpace | None = None,
        spread: Callable[[], float] = random.random,
        behind_proxy: bool = False,
    ) -> None:
        """Read every request under *rules*, for the principal that *scope* tells.

        *spread* gives a number from 0 to below 1 for each answer with a Retry-After.
        *behind_proxy*: the app is a proxy, and the work is done elsewhere.
        """
        if not callable(scope):
            message = (
                "scope says whose key it is and has no default: "
                "by_header('X-Api-Key'), by_function(...), or shared('everyone')."
            )
            raise ConfigurationError(message)
        self.rules = checked_rules(rules)
        self.scope = scope
        self.observer = observer_of(observer)
        self.dialect = dialect
        self.space = space or SpillSpace()
        self.spread = spread
        self._behind_proxy = behind_proxy
        self.telling = not isinstance(self.observer, NoObserver)
        self._secrets = secrets or Secrets()
        self._fingerprinters: dict[int, tuple[FingerprintRecipe, Fingerprinter]] = {}
        self._usual: dict[str, float] = {}

    def check(self, store: Store | AsyncStore) -> None:
        """Refuse a guarantee that *store* cannot keep, and what makes no sense of it.

        A store that several processes cannot share is refused where it can be seen
        that there are several, else warned of.

        Raises:
            ConfigurationError: naming the rule, and what to do.
        """
        traits = store.traits
        if not traits.many_processes:
            _check_alone(traits.name)
        for rule in self.rules:
            guarantee = rule.policy.guarantee
            check_exact(rule, store, behind_proxy=self._behind_proxy)
            if guarantee not in traits.guarantees:
                message = (
                    f"Rule {rule.match!r}: the {traits.name} store cannot keep "
                    f"{guarantee}. Take another store or another guarantee."
                )
                raise ConfigurationError(message)

    def admit(self, head: RequestHead) -> Admission:
        """Look at the head of a request before anything else happens."""
        return admit(head, self.rules, self.scope, dialect=self.dialect)

    def told(self, problem: Problem) -> Response:
        """Write *problem* for one caller."""
        docs_url = self.dialect.docs_url
        return response(problem, docs_url=docs_url, spread=self.spread())

    def policy_of(self, identity: Identity) -> Policy | None:
        """Give the policy for the operation of a stored *identity*.

        None where no rule is for it, or its name does not tell.
        """
        method, _, path = identity.operation.partition(" ")
        if is_shortened(path):
            return None
        rule = self.rules.find(method, path.encode("ascii", "replace"))
        return None if rule is None else rule.policy

    def visit(self, head: RequestHead, rule: Rule, identity: Identity | None) -> Visit:
        """Begin to follow one arrival at a guarded operation."""
        return Visit(self, head, rule, identity)

    def fingerprinter(self, recipe: FingerprintRecipe) -> Fingerprinter:
        """Give the fingerprinter for *recipe*, made once."""
        known = self._fingerprinters.get(id(recipe))  # there is one for each rule
        if known is not None:
            return known[1]
        made = Fingerprinter(
            recipe, keys=self._secrets.keys, current_key=self._secrets.current
        )
        self._fingerprinters[id(recipe)] = recipe, made
        return made

    def usual(self, rule: Rule) -> float | None:
        """How many seconds the work under *rule* has usually taken of late."""
        return self._usual.get(rule.label)

    def learn(self, rule: Rule, took: float) -> None:
        """Take the duration of one execution into the usual one."""
        before = self._usual.get(rule.label, took)
        self._usual[rule.label] = before + SMOOTHING * (took - before)


def _check_alone(name: str) -> None:
    workers = os.environ.get("WEB_CONCURRENCY", "1")
    if workers.isdigit() and int(workers) > 1:
        message = (
            f"WEB_CONCURRENCY asks for {workers} workers, and the {name} store belongs "
            "to one process: each worker would run a key for itself. Share records "
            "with 'sqlite:///keyonce.db', or run one worker."
        )
        raise ConfigurationError(message)
    log.warning(
        "The %s store belongs to this process alone: run one worker, and expect "
        "nothing of its keys after a restart.",
        name,
    )


def observer_of(observer: Observer | None) -> Observer:
    """Give *observer* so that it cannot disturb the work by raising."""
    if observer is None:
        return NoObserver()
    if isinstance(observer, NoObserver | Observers):
        return observer
    return Observers(observer)


def folder_of(store: object) -> Path | None:
    """Give the folder of a store that keeps files, for bodies beside it."""
    folder: Path | None = getattr(store, "folder", None)
    return folder


class Visit:
    """One arrival at a guarded operation, from its head to its one outcome."""

    execution = 0
    key_age: float | None = None
    would: Outcome | None = None
    reference: str | None = None
    reason = ""
    never_committed = False
    fingerprinter: Fingerprinter
    source: FingerprintSource
    _told = False

    def __init__(
        self,
        gateway: Gateway,
        head: RequestHead,
        rule: Rule,
        identity: Identity | None,
    ) -> None:
        """Arrive."""
        self._gateway = gateway
        self.head = head
        self.rule = rule
        self.identity = identity
        self.came_at = time.monotonic()
        if gateway.telling:
            gateway.observer.notify(Arrived(rule.label, identity))

    def attempt(self, identity: Identity, body: Body) -> Attempt:
        """Make the attempt of a request with *body*."""
        head = self.head
        types = head.values(b"content-type")
        fingerprinter = self._gateway.fingerprinter(self.rule.policy.fingerprint)
        source = FingerprintSource(
            head.method,
            _target(head),
            types[0] if types else b"",
            head.headers,
            body.size,
            body.chunks,
        )
        self.fingerprinter, self.source = fingerprinter, source
        return Attempt(identity, fingerprinter.of(source), self._under, self._field_map)

    def _under(self, scheme: str) -> Fingerprint | None:
        return self.fingerprinter.under(scheme, self.source)

    def _field_map(self, digest: bytes) -> bytes:
        return self.fingerprinter.field_map(self.source, digest)

    def answer(self, decision: Answerable) -> Response:
        """Say what an attempt hears that does not run."""
        differing: tuple[str, ...] | None = None
        if isinstance(decision, Mismatch) and decision.record.fingerprint is not None:
            record = decision.record
            differing = self.fingerprinter.differing(
                self.source, decision.record.fingerprint, record.fields
            )
        return answer(
            decision,
            head=self.head,
            policy=self.rule.policy,
            differing=differing,
            likely_for=self._likely_for(decision),
            dialect=self._gateway.dialect,
            spread=self._gateway.spread(),
        )

    def _likely_for(self, decision: Answerable) -> float | None:
        waits = isinstance(decision, InFlight)
        return self._gateway.usual(self.rule) if waits else None

    def expires_early(self, lease: Lease, headers: Headers) -> float | None:
        """Say until when an outcome is kept at least that is not stored yet."""
        steered = read_steering(headers).retention_for
        kept_for = self.rule.policy.terms.retention_for if steered is None else steered
        return None if kept_for is None else lease.claimed_at + kept_for

    def attend(self, lease: Lease) -> None:
        """Mark this thread or task as being at the work, and say that it starts."""
        self.execution = lease.execution
        label = self.rule.label
        first = lease.execution == 1
        work = Attending(lease.identity, label, lease.execution, first)
        attend(work)
        if self._gateway.telling:
            started = Started(label, lease.identity, lease.execution)
            self._gateway.observer.notify(started)

    def met(self, decision: Answerable) -> None:
        """Remember how old the key is that this attempt met, and its reference."""
        if self._gateway.telling:
            self.reference = decision.record.reference
            self.key_age = max(0.0, time.time() - decision.record.created_at)

    def recorded(self, finished: Finished) -> None:
        """Remember what the work noted of its effect."""
        if isinstance(finished, Stored):
            self.reference = finished.record.reference

    def unclear_end(self, status: int) -> Problem:
        """Say what the first caller hears whose execution came to an unclear end."""
        asked = self.rule.policy.reconcile is not None
        return unclear_end(
            status,
            header=self._gateway.dialect.key_header,
            retry_after=SOON if asked else None,
        )

    def transaction_failed(self, error: BaseException | None) -> Failure | None:
        """Say what an error of the work's transaction means, if it is one."""
        self.never_committed = isinstance(error, NotCommitted)
        where = self.rule.label if self.identity is None else self.identity.operation
        header = self._gateway.dialect.key_header
        return failure_of(error, header=header, operation=where)

    def failed(self, error: IdempotencyError) -> None:
        """Remember what the store said that did not serve this attempt."""
        self.reason = reason_of(error)

    def worked(self) -> None:
        """Take this execution's duration into the usual one."""
        self._gateway.learn(self.rule, time.monotonic() - self.came_at)

    def ended(self, outcome: Outcome) -> None:
        """Tell the one outcome of this arrival; later ones are not told."""
        if self._told:
            return
        self._told = True
        if self.never_committed and outcome is Outcome.RELEASED:
            outcome = Outcome.NOT_COMMITTED
        if self._gateway.telling:
            took = time.monotonic() - self.came_at
            event = Ended(
                rule=self.rule.label,
                identity=self.identity,
                outcome=outcome,
                took=took,
                execution=self.execution,
                would=self.would,
                key_age=self.key_age,
                weak=self._weak(),
                reference=self.reference,
                reason=self.reason,
            )
            self._gateway.observer.notify(event)

    def _weak(self) -> str | None:
        return None if self.identity is None else weakness(self.identity.key)


def _target(head: RequestHead) -> bytes:
    # In the same spelling as in the operation: what is one key is one request.
    return normal_path(head.raw_path).encode("ascii") + b"?" + head.query


def patience(policy: Policy) -> timedelta:
    """How long a duplicate waits for the original to end."""
    waiting = policy.in_flight is InFlightAnswer.WAIT
    return policy.patience if waiting else NO_WAIT
