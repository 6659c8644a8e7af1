# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the WSGI gateway promises when the app, its hooks or the store fail."""

from __future__ import annotations

import sqlite3
import sys
import time
from contextlib import closing
from datetime import timedelta

import pytest

from keyonce import (
    MemoryStore,
    Policy,
    RecordUnreadable,
    Rollout,
    Rule,
    Stage,
    StoreError,
    StoreUnavailable,
)
from keyonce.core.ending import Free, Unclear
from keyonce.core.events import Ended, Started
from keyonce.core.model import Query, Settlement
from keyonce.core.states import Status
from keyonce.http import catalogue
from keyonce.integrations.failure import Failure
from keyonce.integrations.spool import SPILL_AT, Spool
from keyonce.stores.sealed import Sealed
from keyonce.stores.sqlite import SQLiteStore
from keyonce.testing.faults import Fault, FaultPlan, FaultyStore
from tests.integrations.environs import call, environ, guarded
from tests.stores.sealed.cases import RING

LARGE = b"l" * (SPILL_AT + 1)
BRIEFLY = timedelta(seconds=0.1)


def rules(**policy):
    return [Rule("POST /**", Policy(**policy))]


def answering(status="200 OK", headers=(), pieces=(b"done",)):
    def app(environ, start_response):
        start_response(status, [("Content-Type", "text/plain"), *headers])
        return iter(pieces)

    return app


def never_ending(store):
    """Give *store*, in which nothing that has begun can be ended."""
    faults = [Fault(verb=v, times=None) for v in ("complete", "release", "abandon")]
    return FaultyStore(store, FaultPlan(*faults))


def the_record(store):
    (record,) = store.records(Query())
    return record


def mark_of(heard):
    return dict(heard.headers).get("idempotency-status")


class Watching:
    """Hears of outcomes, and raises *error* at every *event*."""

    def __init__(self, error=None, event=()):
        self.outcomes = []
        self.error = error
        self.event = event

    def notify(self, event):
        if isinstance(event, self.event):
            raise self.error
        if isinstance(event, Ended):
            self.outcomes.append(event.outcome.value)


# The late owner


def taken_over(store, body, theirs=None, **settings):
    """Call an app whose key is freed while it works and used again with *body*.

    The other one reaches the same records as *theirs*.
    """

    def app(environ, start_response):
        identity, owner = the_record(store).identity, the_record(store).owner
        store.abandon(identity, owner, "lease-ended")
        store.settle(Settlement(identity, "nothing happened", "somebody"))
        other = guarded(answering(pieces=[b"theirs"]), store=theirs or store)
        assert b"theirs" == call(other, environ_of(body)).body
        start_response("200 OK", [])
        return [b"mine"]

    return call(guarded(app, store=store, **settings), environ_of(b'{"sum": 1}'))


def environ_of(body):
    return environ(body=body)


def test_a_late_owner_gets_the_outcome_of_its_own_request():
    heard = taken_over(MemoryStore(), b'{"sum": 1}')

    assert (b"theirs", True) == (heard.body, heard.replayed)


def test_a_late_owner_never_gets_the_outcome_of_another_request():
    heard = taken_over(MemoryStore(), b'{"sum": 999}')

    assert "500" == heard.status[:3]
    assert "outcome-unknown" in heard.body.decode()
    assert not heard.replayed


def test_a_late_owner_gets_no_outcome_that_it_may_not_have():
    heard = taken_over(
        MemoryStore(), b'{"sum": 1}', authorize_replay=lambda _head, _record: False
    )

    assert "500" == heard.status[:3]
    assert b"theirs" not in heard.body


def test_a_late_owner_that_cannot_open_the_outcome_is_told_that_it_is_unclear():
    store = MemoryStore()

    heard = taken_over(store, b'{"sum": 1}', Sealed(store, RING))

    assert "500" == heard.status[:3]
    assert "outcome-unknown" in heard.body.decode()


def test_an_end_that_meets_a_torn_record_is_told_to_be_unclear():
    class Torn(MemoryStore):
        ends = 0

        def complete(self, command):
            self.ends += 1
            raise RecordUnreadable("torn")

        def find(self, identity):
            raise RecordUnreadable("torn")

    store, observer = Torn(), Watching()
    app = guarded(answering(), store=store, observer=observer)

    heard = call(app)
    app.close()

    assert "500" == heard.status[:3]
    assert "outcome-unknown" in heard.body.decode()
    assert (["lost"], 1) == (observer.outcomes, store.ends)


# What breaks between the claim and the end


def test_an_observer_that_raises_disturbs_nothing():
    heard = call(guarded(answering(), observer=Watching(LookupError, object)))

    assert ("200", b"done") == (heard.status[:3], heard.body)


def test_work_that_is_stopped_before_it_began_frees_the_key():
    store, runs = MemoryStore(), []
    observer = Watching(SystemExit, Started)
    app = guarded(lambda *_: runs.append(1), store=store, observer=observer)

    with pytest.raises(SystemExit):
        call(app)

    assert ([], ["released"]) == (runs, observer.outcomes)
    assert b"done" == call(guarded(answering(), store=store)).body


def test_work_that_is_stopped_has_an_unclear_end():
    def app(environ, start_response):
        raise SystemExit

    store, observer = MemoryStore(), Watching()

    with pytest.raises(SystemExit):
        call(guarded(app, store=store, observer=observer))

    assert Status.UNKNOWN is the_record(store).status
    assert ["unclear"] == observer.outcomes


def test_a_hook_that_raises_leaves_an_unclear_end():
    def app(environ, start_response):
        raise KeyError

    def read_failure(error):
        raise LookupError from error

    store, observer = MemoryStore(), Watching()
    hooked = guarded(app, store=store, read_failure=read_failure, observer=observer)

    heard = call(hooked)

    assert isinstance(heard.raised, LookupError)
    assert Status.UNKNOWN is the_record(store).status
    assert ["unclear"] == observer.outcomes


@pytest.mark.parametrize("pieces", [[LARGE], [LARGE, b"and", b"more"]])
def test_a_copy_that_cannot_be_read_is_an_outcome_without_its_body(pieces, monkeypatch):
    def read(spool):
        raise OSError("the disk broke")

    app = guarded(answering(pieces=pieces))
    monkeypatch.setattr(Spool, "read", read)

    first, later = call(app), call(app)

    assert b"".join(pieces) == first.body
    assert "409" == later.status[:3]
    assert "response-not-kept" in later.body.decode()


@pytest.mark.parametrize("pieces", [[LARGE], [LARGE, b"and", b"more"]])
def test_no_memory_at_the_end_leaves_no_lease_behind(pieces, monkeypatch):
    def read(spool):
        raise MemoryError

    store, observer = MemoryStore(), Watching()
    monkeypatch.setattr(Spool, "read", read)

    heard = call(guarded(answering(pieces=pieces), store=store, observer=observer))

    assert isinstance(heard.raised, MemoryError)
    assert b"".join(pieces) != heard.body
    assert Status.UNKNOWN is the_record(store).status
    assert ["unclear"] == observer.outcomes


def test_nor_does_it_when_the_client_has_left(monkeypatch):
    def read(spool):
        raise MemoryError

    store = MemoryStore()
    monkeypatch.setattr(Spool, "read", read)
    app = guarded(answering(pieces=[LARGE, b"and", b"more"]), store=store)
    answer = app(environ(), lambda _status, _headers: None)

    with pytest.raises(MemoryError):
        answer.close()

    assert Status.UNKNOWN is the_record(store).status


# What could not be recorded


@pytest.mark.parametrize(
    ("app", "status"),
    [
        (answering(), "200"),
        (answering("429 Too Many Requests"), "429"),
        (answering(headers=[("Keyonce-Outcome", "release")]), "200"),
        (answering(headers=[("Keyonce-Outcome", "unknown")]), "500"),
    ],
)
def test_every_answer_that_could_not_be_recorded_is_marked(app, status):
    store = never_ending(MemoryStore())

    heard = call(guarded(app, store=store, store_timeout=BRIEFLY))

    assert (status, "unrecorded") == (heard.status[:3], mark_of(heard))


@pytest.mark.parametrize(
    "app",
    [
        answering(pieces=[LARGE, b"and", b"more"]),
        answering("429 Too Many Requests", pieces=[LARGE, b"and", b"more"]),
        answering(
            headers=[("Keyonce-Outcome", "unknown")], pieces=[LARGE, b"and", b"more"]
        ),
    ],
)
def test_every_streamed_answer_that_could_not_be_recorded_is_cut_off(app):
    store = never_ending(MemoryStore())

    heard = call(guarded(app, store=store, store_timeout=BRIEFLY))

    assert heard.raised is not None
    assert not heard.body.endswith(b"more")


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Failure(Unclear("timed-out"), 504), "504"),
        (Failure(Free("refused"), problem=catalogue.upstream_unreachable()), "502"),
        (None, "500"),
    ],
)
def test_a_failure_that_could_not_be_recorded_keeps_its_status(failure, status):
    def app(environ, start_response):
        raise LookupError

    store = never_ending(MemoryStore())
    heard = call(
        guarded(
            app, store=store, store_timeout=BRIEFLY, read_failure=lambda _error: failure
        )
    )

    assert (status, "unrecorded") == (heard.status[:3], mark_of(heard))


# The limit of the work


def late(guarantee, store):
    def app(environ, start_response):
        until = time.monotonic() + 10
        while the_record(store).status is Status.IN_PROGRESS and not gone:
            assert time.monotonic() < until
            time.sleep(0.01)
        start_response("200 OK", [])
        yield b"do"
        yield b"ne"

    gone = []

    class Hearing:
        def notify(self, event):
            if type(event).__name__ == "LeaseGone":
                gone.append(event)

    policy = rules(
        guarantee=guarantee,
        lease=timedelta(seconds=0.3),
        work_limit=timedelta(seconds=0.2),
    )
    return guarded(app, store=store, rules=policy, observer=Hearing())


def test_work_past_its_limit_still_completes_where_nothing_runs_again():
    store = MemoryStore()
    app = late("at-most-once", store)

    heard = call(app)

    assert ("200", b"done") == (heard.status[:3], heard.body)
    assert Status.COMPLETED is the_record(store).status
    assert b"done" == call(guarded(answering(), store=store)).body


def test_work_past_its_limit_is_given_up_where_another_may_run():
    store = MemoryStore()

    heard = call(late("at-least-once", store))

    assert b"do" not in heard.body
    assert "5" == heard.status[:1]
    assert b"again" == call(guarded(answering(pieces=[b"again"]), store=store)).body


# When an outcome is promised to be kept


STREAM = [LARGE, b"and", b"more"]


@pytest.mark.parametrize(
    ("app", "guarantee", "promised"),
    [
        (answering(pieces=STREAM), "at-most-once", True),
        (answering("500 Oh", pieces=STREAM), "at-most-once", True),
        (answering("500 Oh", pieces=STREAM), "at-least-once", False),
        (answering("429 Later", pieces=STREAM), "at-most-once", False),
        (
            answering(headers=[("Keyonce-Outcome", "release")], pieces=STREAM),
            "at-most-once",
            False,
        ),
        (
            answering("500 Oh", [("Keyonce-Outcome", "store")], STREAM),
            "at-least-once",
            True,
        ),
    ],
)
def test_a_stream_tells_how_long_it_is_kept_only_if_it_will_be(
    app, guarantee, promised
):
    store = MemoryStore()

    heard = call(guarded(app, store=store, rules=rules(guarantee=guarantee)))

    assert b"".join(STREAM) == heard.body
    assert promised == ("idempotency-expires" in dict(heard.headers))
    assert promised == bool(
        [r for r in store.records(Query()) if r.status is Status.COMPLETED]
    )


# A request outside the enforced share


def barely_enforced():
    return rules(mode=Rollout(Stage.ENFORCE, 0.0001))


@pytest.mark.parametrize(
    ("error", "status"),
    [(RecordUnreadable("torn"), "500"), (StoreUnavailable("gone"), "503")],
)
def test_nothing_runs_outside_the_share_beside_what_cannot_be_read(error, status):
    class Broken(MemoryStore):
        def find(self, identity):
            raise error

        def claim(self, command):
            raise error

    runs = []
    app = guarded(
        lambda *_: runs.append(1),
        store=Broken(),
        rules=barely_enforced(),
        store_timeout=BRIEFLY,
    )

    heard = call(app)

    assert ([], status) == (runs, heard.status[:3])


def test_a_torn_record_is_honoured_outside_the_share(tmp_path):
    store = SQLiteStore(tmp_path / "keys.db")
    call(guarded(answering(), store=store))
    with closing(sqlite3.connect(tmp_path / "keys.db")) as file, file:
        file.execute("UPDATE keyonce_results SET result = x'00'")
    runs = []

    heard = call(
        guarded(lambda *_: runs.append(1), store=store, rules=barely_enforced())
    )

    assert ([], "500") == (runs, heard.status[:3])
    store.close()


# One outcome for each arrival


def test_an_authorisation_that_raises_is_one_outcome():
    def authorize(head, record):
        raise LookupError

    store, observer = MemoryStore(), Watching()
    app = guarded(
        answering(), store=store, authorize_replay=authorize, observer=observer
    )
    call(app)

    heard = call(app)

    assert isinstance(heard.raised, LookupError)
    assert ["executed", "forbidden"] == observer.outcomes


def test_a_claim_that_raises_is_one_outcome():
    class Broken(MemoryStore):
        def claim(self, command):
            raise StoreError("nobody knows why")

    observer = Watching()

    heard = call(guarded(answering(), store=Broken(), observer=observer))

    assert isinstance(heard.raised, StoreError)
    assert ["store-unavailable"] == observer.outcomes


def test_a_request_that_cannot_be_read_is_one_outcome():
    class Input:
        def read(self, size):
            raise LookupError

    observer = Watching()

    heard = call(
        guarded(answering(), observer=observer), environ(**{"wsgi.input": Input()})
    )

    assert isinstance(heard.raised, LookupError)
    assert ["gone"] == observer.outcomes


# Without protection


def unprotected(app):
    class Gone(MemoryStore):
        def claim(self, command):
            raise StoreUnavailable("gone")

    policy = rules(on_store_down="proceed")
    return guarded(app, store=Gone(), rules=policy, store_timeout=BRIEFLY)


class Raising:
    """Gives *pieces*, then raises."""

    def __init__(self, *pieces):
        self.pieces = pieces
        self.closed = 0

    def __iter__(self):
        yield from self.pieces
        raise LookupError

    def close(self):
        self.closed += 1


def raising_at_once(environ, start_response):
    raise LookupError


def raising_in_between(environ, start_response):
    start_response("200 OK", [])
    raise LookupError


def raising_late(environ, start_response):
    start_response("200 OK", [])
    yield b""
    raise LookupError


@pytest.mark.parametrize("app", [raising_at_once, raising_in_between, raising_late])
def test_an_app_that_fails_without_protection_has_a_marked_answer(app):
    heard = call(unprotected(app))

    assert ("500", "unprotected") == (heard.status[:3], mark_of(heard))
    assert "handler-failed" in heard.body.decode()
    assert isinstance(heard.raised, LookupError)


def test_an_answer_that_breaks_off_without_protection_is_marked_and_cut_off():
    result = Raising(b"", b"some")

    def app(environ, start_response):
        start_response("200 OK", [])
        return result

    heard = call(unprotected(app))

    assert ("200", "unprotected", b"some") == (
        heard.status[:3],
        mark_of(heard),
        heard.body,
    )
    assert isinstance(heard.raised, LookupError)
    assert 1 == result.closed


def written(environ, start_response):
    start_response("200 OK", [])(b"all")
    return []


def changed(environ, start_response):
    start_response("404 Not Found", [])
    try:
        raise LookupError
    except LookupError:
        start_response("200 OK", [], sys.exc_info())
    return [b"all"]


def empty(environ, start_response):
    start_response("200 OK", [])
    return []


@pytest.mark.parametrize(
    ("app", "body"),
    [
        (written, b"all"),
        (changed, b"all"),
        (empty, b""),
        (answering(pieces=[b"", b"a", b"ll"]), b"all"),
    ],
)
def test_every_answer_without_protection_goes_out_as_it_is_and_marked(app, body):
    heard = call(unprotected(app))

    assert None is heard.raised
    assert ("200", "unprotected", body) == (
        heard.status[:3],
        mark_of(heard),
        heard.body,
    )


def test_a_store_opened_by_its_url_is_waited_for_no_longer_than_the_store_timeout(
    tmp_path,
):
    path = tmp_path / "keys.db"
    app = guarded(answering(), store=f"sqlite:///{path}", store_timeout=BRIEFLY)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()

        heard = call(app)

    assert "503" == heard.status[:3]
    assert time.monotonic() - began < 3  # by itself it waits for 5


@pytest.mark.parametrize(("spread", "seconds"), [(0.0, "5"), (0.99, "8")])
def test_each_caller_is_told_its_own_time_to_come_back(spread, seconds):
    app = guarded(answering(), store=Down(), store_timeout=BRIEFLY)
    app.gateway.spread = lambda: spread

    heard = call(app)

    told = dict(heard.headers)["retry-after"]
    assert ("503", seconds) == (heard.status[:3], told)


class Down(MemoryStore):
    """A store that takes no claims."""

    def claim(self, command):
        raise StoreUnavailable("gone")
