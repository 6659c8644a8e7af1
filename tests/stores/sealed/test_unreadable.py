# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What cannot be opened is refused: never answered with, never run again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyonce.core.decide import decide
from keyonce.core.errors import (
    ConfigurationError,
    RecordUnreadable,
    SettlementRefused,
    StoreError,
)
from keyonce.core.model import Query, Settlement, StoredResult
from keyonce.core.states import Status
from keyonce.stores.memory import MemoryStore
from keyonce.stores.sealed import AsyncSealed, Sealed
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    HOUR,
    ORDER,
    PAYLOAD,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
)
from tests.stores.sealed.cases import (
    DROPPED,
    RING,
    ROTATED,
    change_results,
    outcome,
    run_sql,
)

BOB = ORDER._replace(scope="bob")
PLAIN = StoredResult(201, (), b"forged", size=6)


def flipped(at):
    def change(stored):
        body = bytearray(stored.body)
        body[at] ^= 1
        return replace(stored, body=bytes(body))

    return change


FORGERIES = {
    "of another version": flipped(0),
    "with another nonce": flipped(1),
    "with another ciphertext": flipped(20),
    "with another tag": flipped(-1),
    "cut": lambda stored: replace(stored, body=stored.body[:-1]),
    "cut to its nonce": lambda stored: replace(stored, body=stored.body[:13]),
    "empty": lambda stored: replace(stored, body=b""),
    "with more behind": lambda stored: replace(stored, body=stored.body + b"\0"),
    "of another status": lambda stored: replace(stored, status=200),
    "with a header beside": lambda stored: replace(
        stored, headers=((b"location", b"//evil"),)
    ),
    "said not to be kept": lambda stored: replace(stored, body=b"", kept=False),
    "under another key of the ring": lambda stored: replace(stored, sealed="2025"),
    "under a key that nobody has": lambda stored: replace(stored, sealed="1999"),
    "in the clear": lambda _stored: PLAIN,
    "in the clear, not kept": lambda _stored: StoredResult(201, kept=False, size=5),
}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keyonce.db"


@pytest.fixture(params=["sync", "async"])
def store(request, clock, path):
    store = (
        Sealed(SQLiteStore(path, clock=clock), ROTATED)
        if request.param == "sync"
        else StorePortal(AsyncSealed(AsyncSQLiteStore(path, clock=clock), ROTATED))
    )
    yield store
    store.close()


def refuses(store, identity=ORDER, match="Nothing was run"):
    for call in (
        lambda: store.find(identity),
        lambda: store.claim(claim_of(identity, SECOND)),
        lambda: store.complete(completion_of(identity, SECOND)),
    ):
        with pytest.raises(RecordUnreadable, match=match):
            call()


@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_outcome_is_unreadable(store, path, change):
    completed(store)
    change_results(path, change)

    refuses(store)
    assert [Status.COMPLETED] == [each.status for each in store.records(Query())]


def test_outcomes_swapped_between_tenants_open_for_neither(store, path):
    for identity in (ORDER, BOB):
        completed(store, identity)
    highest = "(SELECT max(id) + min(id) FROM keyonce_results)"
    run_sql(path, f"UPDATE keyonce_results SET id = -({highest} - id)")
    run_sql(path, "UPDATE keyonce_results SET id = -id")

    for identity in (ORDER, BOB):
        refuses(store, identity, match="cannot be opened")


@pytest.mark.parametrize(
    ("column", "value"),
    [("scope", "mallory"), ("operation", "POST /refunds"), ("key", "order-2")],
)
def test_a_row_that_was_given_to_somebody_else_does_not_open(
    store, path, column, value
):
    completed(store)
    run_sql(path, f'UPDATE keyonce_records SET "{column}" = ?', (value,))

    refuses(store, ORDER._replace(**{column: value}), match="cannot be opened")


def test_parts_of_an_identity_do_not_run_together(store, path):
    completed(store, ORDER._replace(scope="ab", operation="c"))
    run_sql(path, "UPDATE keyonce_records SET scope = 'a', operation = 'bc'")

    refuses(store, ORDER._replace(scope="a", operation="bc"))


def test_an_unreadable_outcome_does_no_harm_to_another(store, path):
    completed(store)
    change_results(path, flipped(-1))

    assert ANSWER == completed(store, named("other")).result
    assert ANSWER == outcome(store, named("other"))


def test_with_another_key_under_the_same_id_nothing_opens(store, path, clock):
    completed(store)
    strange = replace(ROTATED, keys={"2026": b"?" * 32})
    other = Sealed(SQLiteStore(path, clock=clock), strange)

    refuses(other, match="another key has this id")
    other.close()


def test_without_its_key_an_outcome_is_unreadable_until_the_key_is_back(path, clock):
    file = SQLiteStore(path, clock=clock)
    completed(Sealed(file, RING))

    refuses(Sealed(file, DROPPED), match="'2025', which is not in the ring")

    assert ANSWER == outcome(Sealed(file, ROTATED))
    file.close()


def test_a_plain_store_does_not_take_an_envelope_for_an_answer(path, clock):
    file = SQLiteStore(path, clock=clock)
    completed(Sealed(file, RING))

    plain = file.claim(claim_of(owner=SECOND))

    assert "2025" == outcome(file).sealed
    with pytest.raises(
        RecordUnreadable, match=r"sealed under the key '2025'.*sealed\+"
    ):
        decide(plain.record, PAYLOAD, SECOND, plain.now)
    file.close()


def test_an_older_plain_outcome_is_refused_and_the_option_named(path, clock):
    file = SQLiteStore(path, clock=clock)
    completed(file)

    refuses(Sealed(file, RING), match="set accept_plain_until")
    file.close()


def test_an_older_plain_outcome_is_accepted_until_the_switch_is_over(clock):
    memory = MemoryStore(clock=clock)
    completed(memory, retention_for=9 * HOUR)
    until = datetime.fromtimestamp(clock(), UTC) + timedelta(hours=1)
    sealed = Sealed(memory, RING, accept_plain_until=until, clock=clock)

    assert ANSWER == outcome(sealed)
    assert ANSWER == completed(sealed, named("new"), retention_for=9 * HOUR).result
    assert "2025" == outcome(memory, named("new")).sealed

    clock.advance(HOUR)

    refuses(sealed)
    assert ANSWER == outcome(sealed, named("new"))


def test_an_instant_without_a_time_zone_is_refused():
    with pytest.raises(ConfigurationError, match="has no time zone"):
        Sealed(MemoryStore(), RING, accept_plain_until=datetime(2026, 12, 1))  # noqa: DTZ001 - that is the case


def test_the_winner_of_a_lost_lease_is_opened(store):
    store.claim(claim_of())
    store.release(ORDER, FIRST, "safe", None)
    store.claim(claim_of(owner=SECOND))
    store.complete(completion_of(owner=SECOND))

    late = store.complete(completion_of(result=replace(ANSWER, status=409)))

    assert (SECOND, ANSWER) == (late.owner, late.result)


def test_a_store_is_sealed_once():
    twice = Sealed(Sealed(MemoryStore(), RING), ROTATED)
    twice.claim(claim_of())

    with pytest.raises(StoreError, match="sealed once"):
        twice.complete(completion_of())


@given(st.data())
def test_no_change_of_an_envelope_opens_or_crashes(data):
    clock = FakeClock()
    memory = MemoryStore(clock=clock)
    sealed = Sealed(memory, ROTATED)
    completed(sealed)
    stored = record_in(memory)
    kept = outcome(memory)
    changed = data.draw(
        st.builds(
            StoredResult,
            st.just(201) | st.integers(0, 999),
            st.just(()),
            mutations(kept.body),
            st.booleans(),
            st.integers(0, 100),
            st.sampled_from(["2026", "2025", "1999", ""]),
        )
    )
    memory._shelf.records[ORDER] = stored._replace(result=changed)

    try:
        read = outcome(sealed)
    except RecordUnreadable:
        return
    assert ANSWER == read
    assert kept == replace(changed, size=kept.size)


def mutations(body):
    places = st.integers(0, len(body))
    return (
        st.binary(max_size=80)
        | st.just(body)
        | places.map(lambda end: body[:end])
        | st.builds(
            lambda at, byte: body[:at] + bytes((byte,)) + body[at + 1 :],
            places,
            st.integers(0, 255),
        )
        | st.builds(lambda at, more: body[:at] + more + body[at:], places, st.binary())
    )


# ------------------------------------------------------------ a way out of it


def settlement(**how):
    return Settlement(ORDER, "the key is lost", "me", **how)


@pytest.mark.parametrize("answer", [None, ANSWER], ids=["released", "resolved"])
@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES)
def test_what_cannot_be_opened_is_given_up_when_it_is_said(store, path, change, answer):
    completed(store)
    change_results(path, change)

    with pytest.raises(SettlementRefused, match="--unreadable"):
        store.settle(settlement(result=answer))
    refuses(store)
    settled = store.settle(settlement(result=answer, unreadable=True))

    assert answer == settled.result
    again = store.claim(claim_of(owner=SECOND)).record
    assert (answer, answer is None) == (again.result, again.owner == SECOND)
    assert ["completed"] == [row.before for row in store.audits(ORDER)]


def test_without_its_key_an_outcome_is_given_up_only_when_it_is_said(path, clock):
    file = SQLiteStore(path, clock=clock)
    completed(Sealed(file, RING))
    dropped = Sealed(file, DROPPED)

    with pytest.raises(SettlementRefused, match=r"Put the key back.*--unreadable"):
        dropped.settle(settlement())

    assert ANSWER == outcome(Sealed(file, ROTATED))
    dropped.settle(settlement(unreadable=True))
    assert SECOND == dropped.claim(claim_of(owner=SECOND)).record.owner
    file.close()


def test_what_opens_is_never_given_up(store):
    completed(store)

    with pytest.raises(SettlementRefused, match="only unknown ones"):
        store.settle(settlement(unreadable=True))

    assert ANSWER == outcome(store)


def test_what_has_changed_since_it_was_looked_at_is_not_given_up(clock):
    class Changing(MemoryStore):
        """Has another outcome as soon as one was looked at."""

        def find(self, identity):
            found = super().find(identity)
            assert found is not None
            result = StoredResult(201, (), b"newer", size=5, sealed="2025")
            changed = found.record._replace(result=result)
            self._shelf.records[identity] = changed
            return found

    memory = Changing(clock=clock)
    completed(Sealed(memory, RING))

    with pytest.raises(SettlementRefused, match="only unknown ones"):
        Sealed(memory, DROPPED).settle(settlement(unreadable=True))
