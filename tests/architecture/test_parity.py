# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Sync is bare, async is `Async…`: same methods, same parameters, same order."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tests.architecture import house

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

SPOKEN = {
    "__init__": "__init__",
    "__call__": "__call__",
    "__enter__": "__enter__",
    "__exit__": "__exit__",
    "__iter__": "__iter__",
    "__next__": "__next__",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
}

# Words that only one side needs, each for its reason.
ONLY_AIO = {
    "glance",  # an answer without a task; threads have none to save
    "blocking",  # from the loop to other threads, where a sync store lives already
}

Surface = dict[str, tuple[str, ...]]


def parameters(member: Any) -> tuple[str, ...]:
    """What a caller may pass: name, kind, and whether it may be left out."""
    function = getattr(member, "__func__", member)
    if not callable(function):
        return ("an attribute",)
    try:
        found = inspect.signature(function).parameters.values()
    except ValueError:
        return ("built in",)
    return tuple(
        f"{p.kind.description} {p.name}{'' if p.default is p.empty else ' (optional)'}"
        for p in found
    )


def surface(cls: type) -> Surface:
    """The public members of *cls*, special methods under their sync name."""
    return {
        SPOKEN.get(name, name): parameters(inspect.getattr_static(cls, name))
        for name in dir(cls)
        if not name.startswith("_") or name in SPOKEN
    }


def differences(sync: type, aio: type) -> list[str]:
    """Where the twins part, one sentence each."""
    left, right = surface(sync), surface(aio)
    for name in ONLY_AIO - left.keys():
        right.pop(name, None)
    return [
        f"{sync.__qualname__}.{name}: {left.get(name)} is {right.get(name)} in aio"
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name)
    ]


def public_classes(module: ModuleType) -> Iterator[type]:
    """The public classes that *module* itself defines."""
    for name, value in vars(module).items():
        own = inspect.isclass(value) and value.__module__ == module.__name__
        if own and not name.startswith("_"):
            yield value


def twins() -> Iterator[tuple[type, type]]:
    """Every X and AsyncX of one file, or of a `sync` and an `aio` side by side."""
    homes: dict[tuple[str, str], type] = {}
    for module in house.modules():
        room = module.__name__.removesuffix(".sync").removesuffix(".aio")
        for cls in public_classes(module):
            homes[room, cls.__name__] = cls
    for (room, name), cls in homes.items():
        if f"Async{name}" in {other for home, other in homes if home == room}:
            yield cls, homes[room, f"Async{name}"]


def orphans() -> Iterator[str]:
    """The public classes in a `sync` or `aio` whose twin is not on the other side."""
    names = {module.__name__: module for module in house.modules()}
    for name, module in names.items():
        room, _, side = name.rpartition(".")
        other = names.get(f"{room}.{ {'sync': 'aio', 'aio': 'sync'}.get(side, '') }")
        if other is None:
            continue
        across = {cls.__name__.removeprefix("Async") for cls in public_classes(other)}
        for cls in public_classes(module):
            if cls.__name__.removeprefix("Async") not in across:
                yield f"{name}.{cls.__name__}"
            if cls.__name__.startswith("Async") is (side == "sync"):
                yield f"{name}.{cls.__name__} is named for the other side"


def test_twins_have_one_surface():
    pairs = list(twins())

    assert "AsyncStore" in {aio.__name__ for _, aio in pairs}
    assert [] == [line for pair in pairs for line in differences(*pair)]


def test_no_class_is_without_its_twin():
    assert [] == list(orphans())


class Door:
    def open(self, key: str, *, wait_for: float = 0) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> None: ...


class AsyncDoor:
    async def open(self, key: str, *, wait_for: float = 0) -> None: ...
    async def close(self) -> None: ...
    async def __aenter__(self) -> None: ...


class AsyncOtherOrder:
    async def open(self, wait_for: float = 0, *, key: str) -> None: ...
    async def close(self) -> None: ...
    async def __aenter__(self) -> None: ...


class AsyncMissing:
    async def open(self, key: str, *, wait_for: float = 0) -> None: ...
    async def __aenter__(self) -> None: ...


def test_the_comparison_sees():
    assert [] == differences(Door, AsyncDoor)
    assert ["Door.open"] == [
        line.split(":")[0] for line in differences(Door, AsyncOtherOrder)
    ]
    assert ["Door.close"] == [
        line.split(":")[0] for line in differences(Door, AsyncMissing)
    ]
