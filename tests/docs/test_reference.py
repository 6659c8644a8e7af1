# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of the documentation say what the code has: all of it, nothing else."""

from __future__ import annotations

import dataclasses
import inspect
import re
import tomllib
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec

import pytest
from prometheus_client import CollectorRegistry

from keyonce import FingerprintRecipe, Guarantee, Policy, Rollout
from keyonce.core.events import Outcome
from keyonce.core.model import StoreStats
from keyonce.core.rollout import Stage
from keyonce.http.catalogue import CATALOGUE
from keyonce.http.cors import exposed_headers
from keyonce.http.ending import NEVER_STORED
from keyonce.http.keep import BY_DEFAULT, NEVER
from keyonce.integrations import asgi, wsgi
from keyonce.proxy.connector import UpstreamBroke
from keyonce.proxy.failures import AuthorizerUnavailable, problem_of
from keyonce.stores.mysql import AsyncMySQLStore, MySQLStore
from keyonce.stores.sealed import AsyncSealed, Sealed
from keyonce.stores.sqlite.aio import AsyncSQLiteStore
from keyonce.stores.sqlite.sync import SQLiteStore
from keyonce.stores.tiered import AsyncTiered, Tiered
from keyonce.telemetry.prometheus import PrometheusObserver
from keyonce.testing.faults import Mishap
from keyonce.testing.points import POINTS
from tests.docs.pages import (
    PAGES,
    ROOT,
    anchors,
    codes,
    links,
    name_of,
    named,
    page,
    prose,
    rows,
    section,
)

GUIDE = page("docs/asgi-wsgi.md")
HTTP = page("docs/http.md")
OPERATIONS = page("docs/operations.md")


def keywords(cls) -> list[str]:
    """The parameters of *cls* after the app or the store itself."""
    return list(inspect.signature(cls).parameters)


def test_every_parameter_of_the_middleware_is_documented_and_no_other():
    documented = named(section(GUIDE, "Parameters"))
    for_asgi = {name for name, row in documented.items() if "ASGI only" in row[2]}

    assert set(keywords(asgi.IdempotencyMiddleware)) - {"app"} == set(documented)
    assert (
        set(keywords(wsgi.IdempotencyMiddleware)) - {"app"}
        == set(documented) - for_asgi
    )


def test_every_field_of_a_policy_is_documented_with_its_default():
    documented = named(section(GUIDE, "Policy"))
    fields = {found.name: found for found in dataclasses.fields(Policy) if found.init}
    words = {
        "timedelta": timedelta,
        "Rollout": Rollout,
        "FingerprintRecipe": FingerprintRecipe,
    }

    assert list(fields) == list(documented)
    for name, row in documented.items():
        assert fields[name].default == eval(codes(row[1])[0], words), name


def test_every_parameter_of_the_sqlite_store_is_documented_and_no_other():
    documented = named(section(page("docs/stores.md"), "SQLite"))

    assert keywords(SQLiteStore) == list(documented)
    assert keywords(AsyncSQLiteStore) == list(documented)


def test_every_parameter_of_the_mysql_store_is_documented_and_no_other():
    documented = named(section(page("docs/stores.md"), "MySQL and MariaDB"))

    assert keywords(MySQLStore) == list(documented)
    assert keywords(AsyncMySQLStore) == list(documented)


def test_every_parameter_of_the_tiered_store_is_documented_and_no_other():
    table = rows(section(page("docs/stores.md"), "A cache in front"))
    documented = [name for row in table for name in codes(row[0])]

    assert keywords(Tiered) == documented
    assert keywords(AsyncTiered) == documented


def test_every_parameter_of_a_sealed_store_is_documented_and_no_other():
    documented = named(section(page("docs/stores.md"), "Sealed"))

    assert keywords(Sealed) == list(documented)
    assert keywords(AsyncSealed) == list(documented)


def test_every_problem_code_is_documented_and_no_other():
    of_the_sidecar = {
        problem_of(UpstreamBroke("")).code,
        problem_of(AuthorizerUnavailable("")).code,
    }

    documented = {code for row in problems() for code in codes(row[2])}

    assert {*CATALOGUE, *of_the_sidecar} == documented


def test_every_documented_status_is_one_that_its_problem_has():
    for _, statuses, code, retryable in problems():
        kind = CATALOGUE.get(codes(code)[0])
        if kind is not None:
            told = {int(status) for status in re.findall(r"\d{3}", statuses)}
            assert told <= set(kind.statuses), code
            assert retryable in {"yes", "no"}


def problems() -> list[list[str]]:
    """The rows of the decisions that are a problem."""
    found = [row for row in rows(section(HTTP, "Decisions")) if len(row) == 4]
    return [row for row in found if codes(row[2])]


def test_every_header_that_is_not_replayed_is_documented_and_no_other():
    documented = named(section(HTTP, "What is replayed"))

    dropped = {
        name.removesuffix(" and what it names") for name, _ in (*NEVER, *BY_DEFAULT)
    }

    assert {name.lower() for name in dropped} == {name.lower() for name in documented}
    for name, reason in (*NEVER, *BY_DEFAULT):
        row = documented[_spelt(name, documented)]
        assert row[1].startswith(reason), name


def _spelt(name, documented):
    bare = name.removesuffix(" and what it names").lower()
    return next(found for found in documented if found.lower() == bare)


def test_the_statuses_that_are_never_stored_are_documented():
    told = re.search(r"Never stored, whatever anybody says: ([\d, ]+),", HTTP)

    assert told is not None
    assert sorted(NEVER_STORED) == [int(status) for status in told[1].split(", ")]


def test_the_headers_to_expose_are_documented():
    told = HTTP.partition("`exposed_headers()` are ")[2]

    assert list(exposed_headers()) == codes(told)


def test_every_stage_is_documented():
    assert list(Stage) == list(named(section(HTTP, "Rolling it out")))


@pytest.mark.parametrize("name", ["README.md", "docs/guarantees.md"])
def test_every_guarantee_is_documented(name):
    documented = named(page(name))

    assert set(Guarantee) <= set(documented)


def test_every_metric_is_documented_and_no_other():
    now = StoreStats(counts={}, oldest={}, stored_bytes=0, now=0.0)
    observer = PrometheusObserver(CollectorRegistry(), store_stats=lambda: now)
    written = observer.render()[0].decode()

    told = re.findall(r"^# TYPE (\w+)", written, re.MULTILINE)

    metrics = {name for name in told if not name.endswith("_created")}
    assert metrics == set(named(section(OPERATIONS, "Metrics").partition("###")[0]))


def test_every_outcome_is_documented_and_no_other():
    assert sorted(Outcome) == sorted(named(section(OPERATIONS, "Outcomes")))


def test_every_mishap_is_documented():
    documented = named(section(page("docs/testing.md"), "Faults"))

    assert {mishap.name for mishap in Mishap} == set(documented)


def test_every_point_to_stop_at_is_documented_and_no_other():
    told = section(page("docs/testing.md"), "Points to stop at").rpartition(
        "The points"
    )
    verbs = [word for word in codes(told[2]) if word.isalpha()]
    effects = [word for word in codes(told[2]) if word.startswith("effect.")]

    documented = [f"{verb}.{when}" for verb in verbs for when in ("before", "after")]

    assert list(POINTS) == [*documented, *effects]


def test_every_extra_is_documented_and_no_other():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    documented = named(section(page("README.md"), "Install"))

    assert set(project["optional-dependencies"]) == set(documented)


@pytest.mark.parametrize("source", PAGES, ids=name_of)
def test_every_link_leads_somewhere(source):
    for link in links(source.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = source.parent / path if path else source

        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


@pytest.mark.parametrize("source", PAGES, ids=name_of)
def test_everything_of_the_package_that_is_named_exists(source):
    dotted = re.compile(r"keyonce(\.[a-z_]+)+(\(\))?")
    for name in filter(dotted.fullmatch, codes(prose(source.read_text()))):
        if name.endswith((".toml", ".db")):
            continue
        module, _, attribute = name.removesuffix("()").rpartition(".")

        assert hasattr(import_module(module), attribute) or find_spec(name), name
