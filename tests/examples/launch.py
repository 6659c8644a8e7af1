# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a program of an example as it is, save that it stops at named points.

Run as ``python launch.py FILE REPORT GO_ON POINT...``. A point is ``NAME.before`` or
``NAME.after``, where NAME is a function at the top of the file, or a verb of the
store: ``claim``, ``complete``, ``note`` and so on. At a point the program writes its
name to the descriptor REPORT and waits for a byte on GO_ON, or to be killed.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import runpy
import sys
from collections.abc import Callable
from functools import wraps
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.points import STORE_POINTS

Reached = Callable[[str], None]


def stopping(
    name: str, function: Callable[..., Any], reached: Reached
) -> Callable[..., Any]:
    """Make *function* say where it is, before and after."""

    @wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        reached(f"{name}.before")
        result = function(*args, **kwargs)
        reached(f"{name}.after")
        return result

    @wraps(function)
    async def on_a_loop(*args: Any, **kwargs: Any) -> Any:
        await asyncio.to_thread(reached, f"{name}.before")
        result = await function(*args, **kwargs)
        await asyncio.to_thread(reached, f"{name}.after")
        return result

    return on_a_loop if inspect.iscoroutinefunction(function) else plain


def stores() -> list[type]:
    """Give the classes of the stores that an example may use here."""
    found: list[type] = [SQLiteStore, AsyncSQLiteStore]
    if "DATABASE_URL" in os.environ:
        from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore

        found += [PostgresStore, AsyncPostgresStore]
    return found


def main(file: str, report: str, go_on: str, *points: str) -> None:
    def reached(point: str) -> None:
        if point in points:
            os.write(int(report), f"{point}\n".encode())
            os.read(int(go_on), 1)

    sys.argv = [file]
    sys.path[0] = os.path.dirname(file)  # noqa: PTH120 - as python FILE does
    if not points:
        runpy.run_path(file, run_name="__main__")
        return
    names = {point.rpartition(".")[0] for point in points}
    verbs = {point.rpartition(".")[0] for point in STORE_POINTS} & names
    for verb in verbs:
        for store in stores():
            setattr(store, verb, stopping(verb, getattr(store, verb), reached))
    spec = spec_from_file_location("example", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["example"] = module
    spec.loader.exec_module(module)
    for name in names - verbs:
        function = getattr(module, name)  # no such function: the program ends
        setattr(module, name, stopping(name, function, reached))
    module.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
