# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a program of an example as it is, save that it stops at named points.

A point is ``NAME.before`` or ``NAME.after``, where NAME is a function at the top of the
file, or a verb of the store: ``claim``, ``complete``, ``note`` and so on.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import runpy
import sys
import threading
from collections.abc import Callable
from functools import wraps
from importlib.util import module_from_spec, spec_from_file_location
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.points import STORE_POINTS

VERBS = {point.rpartition(".")[0] for point in STORE_POINTS}


class Launch(NamedTuple):
    """What to run, where, and where to stop."""

    file: Path
    points: tuple[str, ...]
    folder: Path
    log: Path
    environment: dict[str, str]


class Gate:
    """Says at each point that it is reached, and waits there for a word, or a kill."""

    def __init__(self, points: tuple[str, ...], line: Connection) -> None:
        self._points = points
        self._line = line
        self._speaks, self._hears = threading.Lock(), threading.Lock()

    def __call__(self, point: str) -> None:
        if point in self._points:
            with self._speaks:
                self._line.send(point)
            with self._hears:
                self._line.recv()


def stopping(name: str, function: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    """Make *function* stop at *gate*, before and after."""

    @wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        gate(f"{name}.before")
        result = function(*args, **kwargs)
        gate(f"{name}.after")
        return result

    @wraps(function)
    async def on_a_loop(*args: Any, **kwargs: Any) -> Any:
        await asyncio.to_thread(gate, f"{name}.before")
        result = await function(*args, **kwargs)
        await asyncio.to_thread(gate, f"{name}.after")
        return result

    return on_a_loop if inspect.iscoroutinefunction(function) else plain


def stores() -> list[type]:
    """Give the classes of the stores that an example may use here."""
    found: list[type] = [SQLiteStore, AsyncSQLiteStore]
    if "DATABASE_URL" in os.environ:
        from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore

        found += [PostgresStore, AsyncPostgresStore]
    return found


def run(launch: Launch, line: Connection) -> None:
    """Be the process of *launch*, and say on *line* at which point it stands."""
    with launch.log.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.chdir(launch.folder)
    os.environ.clear()
    os.environ.update(launch.environment)
    sys.argv = [str(launch.file)]
    sys.path.insert(0, str(launch.file.parent))
    if launch.points:
        _run_stopping(launch, line)
    else:
        runpy.run_path(str(launch.file), run_name="__main__")


def _run_stopping(launch: Launch, line: Connection) -> None:
    gate = Gate(launch.points, line)
    names = {point.rpartition(".")[0] for point in launch.points}
    for verb in names & VERBS:
        for store in stores():
            setattr(store, verb, stopping(verb, getattr(store, verb), gate))
    spec = spec_from_file_location("example", launch.file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["example"] = module
    spec.loader.exec_module(module)
    for name in names - VERBS:
        function = getattr(module, name)  # no such function: the program ends
        setattr(module, name, stopping(name, function, gate))
    module.main()
