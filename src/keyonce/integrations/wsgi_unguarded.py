# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A WSGI app that nobody guards for now, whose handlers ask for their work."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from keyonce.engine.current import at
from keyonce.engine.unrecorded import unrecorded_work

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from keyonce.core.protocols import Store
    from keyonce.engine.current import Place
    from keyonce.integrations.committing import Terms


class Unguarded:
    """Lets steps, references and downstream keys be, without writing them down."""

    def __init__(self, app: WSGIApplication, store: Store, terms: Terms) -> None:
        """Call *app* for a request under *terms*."""
        self._app = app
        self._store = store
        self._terms = terms

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer one request."""
        rule, keep = self._terms.rule, self._terms.keep
        _, place = unrecorded_work(self._store, rule.match, rule.policy, keep)
        with at(place):
            result = self._app(environ, start_response)
        # What is no generator has done its work, and servers know some by their kind.
        return _Pieces(result, place) if isinstance(result, Generator) else result


class _Pieces:
    """The body of an app that works while it is sent."""

    def __init__(self, pieces: Generator[bytes, None, None], place: Place) -> None:
        self._pieces = pieces
        self._place = place

    def __iter__(self) -> _Pieces:
        return self

    def __next__(self) -> bytes:
        with at(self._place):
            return next(self._pieces)

    def close(self) -> None:
        with at(self._place):
            self._pieces.close()
