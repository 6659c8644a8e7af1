# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The write endpoints of a Python web application, by looking at it.

Nothing is called: routes are read from ``routes`` (Starlette, FastAPI, Litestar)
or ``url_map`` (Flask, Quart), guards from the middleware around them.
"""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from keyonce.cli.endpoints import WRITES, Endpoint, Guard
from keyonce.core.errors import ConfigurationError
from keyonce.http.operation import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PLACE: Final = "middleware"
_INSIDE: Final = ("app", "_app", "wsgi_app", "asgi_app", "application")
_DECLARED: Final = ("user_middleware", "middleware")  # Starlette, Litestar
_OURS: Final = "keyonce."


def load_app(target: str) -> Any:
    """Import ``module:attribute``, as from the current folder.

    Raises:
        ConfigurationError: it is not there, or its module cannot be imported.
    """
    module_name, _, attribute = target.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = import_module(module_name)
    except Exception as exc:
        raise ConfigurationError(
            f"{module_name} cannot be imported: {type(exc).__name__}: {exc}"
        ) from exc
    finally:
        sys.path.pop(0)
    for name in attribute.split("."):
        found = getattr(found, name, None)
    if found is None:
        raise ConfigurationError(f"There is no {attribute} in {module_name}.")
    return found


def endpoints_of(app: Any) -> list[Endpoint]:
    """List the write endpoints of *app* with the guards around each.

    Raises:
        ConfigurationError: the application shows no routes.
    """
    layers = list(_layers(app))
    guards = tuple(_guards(layers))
    for layer in layers:
        if hasattr(layer, "url_map"):
            return list(_from_url_map(layer.url_map, guards))
        if _iterable(getattr(layer, "routes", None)):
            return list(_from_routes(layer.routes, "", guards))
    raise ConfigurationError(
        f"{type(app).__name__} shows no routes: neither 'routes' nor 'url_map'. "
        "Give an OpenAPI file of it instead."
    )


def _iterable(routes: Any) -> bool:
    return isinstance(routes, list | tuple)


def _layers(app: Any) -> Iterator[Any]:
    """Give *app* and what it wraps, from the outside in."""
    seen: set[int] = set()
    while app is not None and id(app) not in seen:
        seen.add(id(app))
        yield app
        app = next(
            (inner for name in _INSIDE if (inner := getattr(app, name, None))), None
        )


def _guards(layers: Iterable[Any]) -> Iterator[Guard]:
    for layer in layers:
        rules = getattr(layer, "rules", None)
        if isinstance(rules, Rules):
            yield Guard(rules, PLACE)
        for name in _DECLARED:
            declared = getattr(layer, name, None)
            if isinstance(declared, list):
                yield from (guard for one in declared for guard in _declared(one))


def _declared(middleware: Any) -> Iterator[Guard]:
    """Read the rules of a middleware that the framework will make later."""
    cls = getattr(middleware, "cls", None) or getattr(middleware, "middleware", None)
    if not inspect.isclass(cls):
        return
    if not any(base.__module__.startswith(_OURS) for base in cls.__mro__):
        return
    default = inspect.signature(cls).parameters.get("rules")
    if default is None:
        return
    rules = middleware.kwargs.get("rules", default.default)
    yield Guard(rules if isinstance(rules, Rules) else Rules(rules), PLACE)


def _from_url_map(url_map: Any, guards: tuple[Guard, ...]) -> Iterator[Endpoint]:
    for rule in url_map.iter_rules():
        for method in _writes(rule.methods):
            yield Endpoint(method, rule.rule, str(rule.endpoint), guards)


def _from_routes(
    routes: Iterable[Any], prefix: str, guards: tuple[Guard, ...]
) -> Iterator[Endpoint]:
    for route in routes:
        if hasattr(route, "effective_candidates"):  # FastAPI's include_router
            inner = [_original(found) for found in route.effective_candidates()]
            yield from _from_routes(inner, prefix, guards)
            continue
        path = prefix + (getattr(route, "path", None) or "")
        around = (*guards, *_guards(_layers(getattr(route, "app", None))))
        inside: Any = getattr(route, "routes", None)
        if _iterable(inside):
            yield from _from_routes(inside, path, around)
            continue
        for method in _methods(route):
            yield Endpoint(method, path, str(getattr(route, "name", "") or ""), around)


def _original(candidate: Any) -> Any:
    return getattr(candidate, "starlette_route", None) or candidate


def _methods(route: Any) -> list[str]:
    methods = getattr(route, "methods", None)
    if methods:
        return _writes(methods)
    endpoint = getattr(route, "endpoint", None)
    if not inspect.isclass(endpoint):
        return []
    return [method for method in WRITES if hasattr(endpoint, method.lower())]


def _writes(methods: Iterable[Any]) -> list[str]:
    named = {str(getattr(method, "value", method)).upper() for method in methods or ()}
    return [method for method in WRITES if method in named]
