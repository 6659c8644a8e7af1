# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which write endpoints are guarded: real applications, looked at from outside."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import pytest

from keyonce.cli.endpoints import Endpoint, Guard, Verdict, judge, sample
from keyonce.core.policy import Policy
from keyonce.core.rollout import Rollout, Stage
from keyonce.http.operation import Rule, Rules
from tests.cli.conftest import run

RULES = """
from keyonce.core.policy import Policy
from keyonce.http.operation import Rule
from keyonce.http.scope import by_header

RULES = [Rule("POST /payments", Policy(required=True)), Rule("POST,DELETE /orders/**")]
"""
STARLETTE = """
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from keyonce.integrations.asgi import IdempotencyMiddleware
from keyonce.stores.memory import AsyncMemoryStore

async def handler(request): ...

class Carts(HTTPEndpoint):
    async def get(self, request): ...
    async def patch(self, request): ...

routes = [
    Route("/payments", handler, methods=["GET", "POST"]),
    Route("/carts/{id:int}", Carts),
    Mount("/orders", routes=[
        Route("/", handler, methods=["POST"]),
        Route("/{id}", handler, methods=["DELETE", "PUT"]),
    ]),
]
guarded = Starlette(routes=routes, middleware=[
    Middleware(
        IdempotencyMiddleware, store=AsyncMemoryStore(),
        scope=by_header("X-Api-Key"), rules=RULES,
    )
])
plain = Starlette(routes=routes)
wrapped = IdempotencyMiddleware(
    plain, store=AsyncMemoryStore(), scope=by_header("X-Api-Key"), rules=RULES
)
by_default = Starlette(routes=routes, middleware=[
    Middleware(
        IdempotencyMiddleware, store=AsyncMemoryStore(), scope=by_header("X-Api-Key")
    )
])
"""
FASTAPI = """
from fastapi import APIRouter, FastAPI
from keyonce.integrations.asgi import IdempotencyMiddleware
from keyonce.stores.memory import AsyncMemoryStore

orders = APIRouter(prefix="/orders")
inner = APIRouter(prefix="/inner")

@inner.post("/deep")
def deep(): ...

@orders.delete("/{id}")
def cancel(id: str): ...

orders.include_router(inner)
app = FastAPI()
app.include_router(orders, prefix="/v1")

@app.post("/payments", include_in_schema=False)
def pay(): ...

app.add_middleware(
    IdempotencyMiddleware, store=AsyncMemoryStore(),
    scope=by_header("X-Api-Key"), rules=[*RULES, Rule("POST /v1/**")],
)
"""
FLASK = """
from flask import Flask
from keyonce.integrations.wsgi import IdempotencyMiddleware
from keyonce.stores.memory import MemoryStore

app = Flask(__name__)

@app.post("/payments")
def pay(): ...

@app.route("/orders/<int:number>", methods=["GET", "DELETE"])
def cancel(number): ...

@app.post("/mails")
def mail(): ...

app.wsgi_app = IdempotencyMiddleware(
    app.wsgi_app, store=MemoryStore(), scope=by_header("X-Api-Key"), rules=RULES
)
"""
OPENAPI = {
    "openapi": "3.1.0",
    "servers": [{"url": "https://api.example.com/v1/"}],
    "paths": {
        "/payments": {
            "post": {"operationId": "pay", "parameters": [{"$ref": "#/components/k"}]},
            "get": {},
        },
        "/refunds": {
            "parameters": [{"in": "header", "name": "Idempotency-Key"}],
            "post": {},
        },
        "/mails": {"post": {}, "put": {}},
    },
    "components": {"k": {"in": "header", "name": "idempotency-key", "required": True}},
}


@pytest.fixture
def app(tmp_path, monkeypatch):
    """Write a module and name what is in it."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)

    def write(source, attribute):
        name = f"shop_{abs(hash(source))}"
        Path(f"{name}.py").write_text(RULES + textwrap.dedent(source))
        return f"{name}:{attribute}"

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("shop_"):
            del sys.modules[name]


def verdicts(target, *options):
    found = run("routes", target, *options, "--json").json["endpoints"]
    return {f"{e['method']} {e['path']}": (e["verdict"], e["rule"]) for e in found}


EXPECTED = {
    "POST /payments": ("guarded", "POST /payments"),
    "PATCH /carts/{id:int}": ("unguarded", None),
    "POST /orders/": ("optional", "POST,DELETE /orders/**"),
    "DELETE /orders/{id}": ("optional", "POST,DELETE /orders/**"),
    "PUT /orders/{id}": ("by-method", None),
}


@pytest.mark.parametrize("attribute", ["guarded", "wrapped"])
def test_a_starlette_app(app, attribute):
    assert EXPECTED == verdicts(app(STARLETTE, attribute))


def test_an_app_without_a_guard(app):
    found = verdicts(app(STARLETTE, "plain"))

    assert {"unguarded", "by-method"} == {verdict for verdict, _ in found.values()}


def test_a_middleware_without_rules_has_its_own(app):
    found = verdicts(app(STARLETTE, "by_default"))

    assert ("optional", "POST,PATCH /**") == found["POST /payments"]


def test_a_fastapi_app_with_routers_in_routers(app):
    assert {
        "POST /payments": ("guarded", "POST /payments"),
        "DELETE /v1/orders/{id}": ("by-method", None),
        "POST /v1/orders/inner/deep": ("optional", "POST /v1/**"),
    } == verdicts(app(FASTAPI, "app"))


def test_a_flask_app(app):
    assert {
        "POST /payments": ("guarded", "POST /payments"),
        "DELETE /orders/<int:number>": ("optional", "POST,DELETE /orders/**"),
        "POST /mails": ("unguarded", None),
    } == verdicts(app(FLASK, "app"))


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(OPENAPI))
    return path


def test_an_openapi_file_says_what_it_declares(document):
    assert {
        "POST /v1/payments": ("guarded", None),
        "POST /v1/refunds": ("optional", None),
        "POST /v1/mails": ("unguarded", None),
        "PUT /v1/mails": ("by-method", None),
    } == verdicts(str(document))


def test_a_sidecars_rules_count_too(document, tmp_path):
    config = tmp_path / "keyonce.toml"
    config.write_text('[[rule]]\nmatch = "POST,PUT /v1/mails"\n')

    found = verdicts(str(document), "--config", str(config))

    assert ("optional", "POST,PUT /v1/mails") == found["POST /v1/mails"]
    assert ("optional", "POST,PUT /v1/mails") == found["PUT /v1/mails"]


def test_strict_fails_where_a_retry_could_do_harm(document, tmp_path):
    config = tmp_path / "keyonce.toml"
    config.write_text('[[rule]]\nmatch = "POST /v1/**"\n')

    assert 0 == run("routes", str(document)).code
    assert 1 == run("routes", str(document), "--strict").code
    assert 0 == run("routes", str(document), "--strict", "--config", str(config)).code


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_fits_the_terminal(document, columns):
    ran = run("routes", str(document), columns=columns)

    assert max(map(len, ran.out.splitlines())) <= columns
    assert "1 unguarded: a retry runs the work again" in ran.out


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("gone.json", "cannot be read"),
        ("shop", "neither an application nor a file"),
        ("no_such_module_here:app", "cannot be imported"),
        ("json:no_such_name", "There is no no_such_name in json"),
        ("json:dumps", "shows no routes"),
    ],
)
def test_what_cannot_be_looked_at_is_a_clear_message(target, problem):
    ran = run("routes", target)

    assert 2 == ran.code
    assert problem in ran.err


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [
        (Policy(required=True), Verdict.GUARDED),
        (Policy(), Verdict.OPTIONAL),
        (Policy(mode=Rollout(Stage.ENFORCE, 25)), Verdict.ROLLOUT),
        (Policy(mode=Rollout(Stage.OBSERVE)), Verdict.ROLLOUT),
        (Policy(mode=Rollout(Stage.OFF)), Verdict.UNGUARDED),
        (Policy(mode=lambda: Rollout(Stage.VALIDATE)), Verdict.ROLLOUT),
    ],
)
def test_the_stage_of_a_rule_counts(policy, verdict):
    guard = Guard(Rules([Rule("POST /x", policy)]), "config")

    assert verdict is judge(Endpoint("POST", "/x"), guard).verdict


def test_the_best_of_several_guards_counts():
    weak = Guard(Rules([Rule("POST /x", Policy(mode=Rollout(Stage.OFF)))]), "config")
    strong = Guard(Rules([Rule("POST /x", Policy(required=True))]), "middleware")

    judged = judge(Endpoint("POST", "/x", guards=(strong,)), weak)

    assert (Verdict.GUARDED, "middleware") == (judged.verdict, judged.guarded_by)


def test_a_template_becomes_a_path():
    assert b"/a/x/b/x/x" == sample("/a/{id:int}/b/<path:rest>")
    assert b"/x/x/x" == sample("/{all:path}/<int:n>")
