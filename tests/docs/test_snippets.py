# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Every Python snippet of the documentation runs, page by page, in its order."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults

import httpx2
import pytest

from tests.docs.pages import PAGES, ROOT, fences, name_of, page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WITH_PYTHON = [found for found in PAGES if fences(found.read_text(), "python")]


@pytest.fixture
def run(tmp_path, monkeypatch) -> Iterator[Callable[[Path], dict[str, Any]]]:
    """Run a page's snippets in one namespace and an empty folder."""
    monkeypatch.chdir(tmp_path)
    loggers = logging.getLogger("shop")
    namespace: dict[str, Any] = {"__name__": "docs"}

    def run(source: Path) -> dict[str, Any]:
        for fence in fences(source.read_text(encoding="utf-8"), "python"):
            # The line numbers of a failure are those of the page.
            code = compile("\n" * (fence.line - 1) + fence.text, source, "exec")
            exec(code, namespace)
        return namespace

    yield run
    loggers.handlers.clear()
    for value in namespace.values():
        _close(value)


def _close(value: Any) -> None:
    close = None if inspect.isclass(value) else getattr(value, "close", None)
    closing = close() if callable(close) else None
    if inspect.iscoroutine(closing):
        asyncio.run(closing)


async def shut_down(app) -> None:
    """Start and end the life of *app* as a server does."""
    told = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    heard = []

    async def receive():
        return next(told)

    async def send(message):
        heard.append(message["type"])

    await app({"type": "lifespan", "app": app}, receive, send)
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == heard


@pytest.mark.parametrize("source", WITH_PYTHON, ids=name_of)
def test_every_snippet_runs(source, run):
    run(source)


def test_the_starlette_app_of_the_readme_answers_a_retry_from_the_record(run):
    from starlette.responses import PlainTextResponse

    app = run(ROOT / "README.md")["app"]
    paid = []

    async def pay(_request):
        paid.append(1)
        return PlainTextResponse("paid", status_code=201)

    app.add_route("/payments", pay, methods=["POST"])

    async def twice() -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(app=app)
        headers = {"X-Api-Key": "ann", "Idempotency-Key": "payment-4711-a8f3"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://t") as http:
            answers = [await http.post("/payments", headers=headers) for _ in range(2)]
            unkeyed = await http.post("/payments", headers={"X-Api-Key": "ann"})
        await shut_down(app)
        return [*answers, unkeyed]

    first, retry, unkeyed = asyncio.run(twice())

    assert 1 == len(paid)
    assert (201, "paid") == (first.status_code, first.text)
    assert (201, "paid") == (retry.status_code, retry.text)
    assert "true" == retry.headers["Idempotency-Replayed"]
    assert "missing-key" == unkeyed.json()["code"]


def test_the_flask_app_of_the_readme_answers_a_retry_from_the_record(run):
    site = run(ROOT / "README.md")["site"]
    paid = []

    @site.post("/payments")
    def pay():
        paid.append(1)
        return "paid", 201

    headers = {"X-Api-Key": "ann", "Idempotency-Key": "payment-4711-a8f3"}

    answers = [site.test_client().post("/payments", headers=headers) for _ in range(2)]

    assert 1 == len(paid)
    assert [(201, b"paid")] * 2 == [(each.status_code, each.data) for each in answers]
    assert "true" == answers[1].headers["Idempotency-Replayed"]
    site.wsgi_app.close()


def test_the_plain_wsgi_app_of_the_reference_answers_a_retry_from_the_record(run):
    application = run(ROOT / "docs/asgi-wsgi.md")["application"]
    heads = []

    def post() -> bytes:
        environ = {"REQUEST_METHOD": "POST", "HTTP_IDEMPOTENCY_KEY": "order-4711-a8f3"}
        setup_testing_defaults(environ)
        environ["HTTP_X_API_KEY"] = "ann"
        answer = application(environ, lambda *head: heads.append(head))
        return b"".join(answer)

    assert [b"ordered", b"ordered"] == [post(), post()]
    assert ["201 Created", "201 Created"] == [status for status, _ in heads]
    assert "true" in dict(heads[1][1]).values()


def test_a_snippet_that_fails_is_seen(tmp_path, run):
    wrong = tmp_path / "wrong.md"
    wrong.write_text("text\n\n```python\nassert 1 == 2\n```\n")

    with pytest.raises(AssertionError) as failure:
        run(wrong)

    assert 4 == failure.traceback[-1].lineno + 1


def test_pages_are_found():
    assert ROOT / "README.md" in WITH_PYTHON
    assert "# keyonce" == page("README.md").splitlines()[0]
