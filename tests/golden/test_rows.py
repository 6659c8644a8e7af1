# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What every version of the schema held is read by this one, to the letter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keyonce.core.model import Identity, Query, Settlement
from keyonce.core.states import Status
from keyonce.core.steps import Progress, read_steps
from keyonce.stores.schema import migrations_of
from keyonce.testing.clock import FakeClock
from tests.golden import cases
from tests.golden.conftest import SQL_STORES
from tests.golden.others import DYNAMODB_FORM, REDIS_FORM

HERE = Path(__file__).parent
LARGEST = 100 * 1024
MEND = "run scripts/golden, and commit what it writes"

FORMS = {"redis": REDIS_FORM, "dynamodb": DYNAMODB_FORM}


def versions(store, ending):
    found = sorted(path.stem for path in (HERE / store).glob(f"0*.{ending}"))
    marks = [] if store == "sqlite" else [pytest.mark.servers]
    return [pytest.param(store, version, marks=marks) for version in found]


SCRIPTS = [
    each for name in ("sqlite", "postgres", "mysql") for each in versions(name, "sql")
]
ITEMS = [each for name in FORMS for each in versions(name, "json")]


def told_of(store, version):
    return json.loads((HERE / store / f"{version}.json").read_text(encoding="utf-8"))


def shared(then, now):
    """What a version after the golden one has more of is none of its business."""
    if isinstance(then, dict) and isinstance(now, dict):
        return {name: shared(then[name], now[name]) for name in then}
    if isinstance(then, list) and isinstance(now, list):
        return [shared(*pair) for pair in zip(then, now, strict=True)]
    return now


def check(store, recorded, clock):
    read = cases.told(store, clock)

    assert recorded["records"] == shared(recorded["records"], read["records"])
    assert recorded["audits"] == shared(recorded["audits"], read["audits"])


@pytest.mark.parametrize(("name", "version"), SCRIPTS)
def test_rows_of_every_version_are_read_as_they_were_written(name, version, new_place):
    recorded, place = told_of(name, version), new_place(name)
    place.run((HERE / name / f"{version}.sql").read_text(encoding="utf-8"))
    clock = FakeClock(now=recorded["at"])

    store = place.open(clock=clock)

    check(store, recorded, clock)
    assert place.schema.look().to_run == ()
    store.close()


@pytest.mark.parametrize(("name", "version"), SCRIPTS)
def test_rows_of_every_version_are_worked_on(name, version, new_place):
    recorded, place = told_of(name, version), new_place(name)
    place.run((HERE / name / f"{version}.sql").read_text(encoding="utf-8"))
    clock = FakeClock(now=recorded["at"])
    store = place.open(clock=clock)

    again = cases.Writer(store, clock).claim("released")
    unknown = next(r for r in store.records(Query(status=Status.UNKNOWN)))
    store.settle(Settlement(unknown.identity, "asked the bank", "olga"))
    clock.advance(100 * cases.YEAR)
    while store.purge():
        pass

    left = {r.identity.key: r for r in store.records(Query(limit=1000))}
    still_open = ["in progress", "noted", "released", "taken over", "unknown"]
    assert ["for ever", *still_open] == sorted(left)
    assert (2, again.owner) == (left["released"].executions, left["released"].owner)
    assert len(recorded["audits"]) + 1 == len(store.audits())
    store.close()


@pytest.mark.parametrize(("name", "version"), SCRIPTS)
def test_steps_of_every_version_are_gone_on_with(name, version, new_place):
    recorded, place = told_of(name, version), new_place(name)
    place.run((HERE / name / f"{version}.sql").read_text(encoding="utf-8"))
    clock = FakeClock(now=recorded["at"])
    store = place.open(clock=clock)

    gone_on = cases.Writer(store, clock).claim("noted and let go")

    kept = store.find(gone_on.identity).record
    (before,) = (
        each["steps"]
        for each in recorded["records"]
        if each["identity"] == [*gone_on.identity]
    )
    assert (2, before, "ch_é") == (kept.executions, kept.steps.hex(), kept.reference)
    store.close()


@pytest.mark.parametrize(("name", "version"), ITEMS)
def test_items_of_every_form_are_read_as_they_were_written(name, version, new_place):
    recorded, place = told_of(name, version), new_place(name)
    place.load(recorded["stored"])
    clock = FakeClock(now=recorded["at"])

    store = place.open(clock=clock)

    check(store, recorded, clock)
    store.close()


@pytest.mark.parametrize("name", ["sqlite", "postgres", "mysql"])
def test_the_newest_version_has_golden_rows(name):
    newest = migrations_of(f"keyonce.stores.{name}")[-1].version

    assert (HERE / name / f"{newest:03}.sql").is_file(), MEND
    assert (HERE / name / f"{newest:03}.json").is_file(), MEND


@pytest.mark.parametrize("name", FORMS)
def test_the_newest_form_has_golden_items(name):
    assert (HERE / name / f"{FORMS[name]:03}.json").is_file(), MEND


@pytest.mark.parametrize("name", SQL_STORES)
def test_a_golden_script_makes_what_the_files_make(name, new_place):
    """So that a file which is changed after its golden rows were written is seen."""
    newest = migrations_of(f"keyonce.stores.{name}")[-1].version
    one = new_place(name)
    one.run((HERE / name / f"{newest:03}.sql").read_text(encoding="utf-8"))
    golden = one.tables()
    for path in getattr(one, "path", HERE).parent.glob("golden.db*"):
        path.unlink()
    other = new_place(name)

    other.make(newest)

    assert golden == other.tables(), MEND


def test_every_kind_of_record_is_among_them():
    recorded = told_of("sqlite", "003")["records"]

    assert {int(status) for status in Status} == {each["status"] for each in recorded}
    assert {"v1", cases.KEYED.scheme, cases.OF_A_LATER_SCHEME.scheme} <= {
        each["fingerprint"][0] for each in recorded if each["fingerprint"]
    }
    assert {*cases.ODD} <= {each["identity"][2] for each in recorded}
    steps = read_steps(cases.STEPS)
    assert steps is not None
    assert {Progress.BEGUN, Progress.DONE, Progress.FAILED} == {
        each.progress for each in steps.taken
    }
    assert {1, 3, 4} == {each["status"] for each in recorded if each["steps"]}
    names = [Identity(*each["identity"]) for each in recorded]
    assert len(names) == len(set(names))


def test_no_golden_file_is_large():
    sizes = {path: path.stat().st_size for path in HERE.glob("*/*")}

    assert sizes
    assert {} == {path: size for path, size in sizes.items() if size > LARGEST}
