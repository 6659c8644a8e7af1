# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Read tables of settings, and collect all that is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, cast

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")
D = TypeVar("D")


@dataclass(slots=True)
class Problems:
    """Everything found wrong so far: a reader wants all of it at once."""

    lines: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        """Note one more."""
        self.lines.append(line)

    def raise_any(self) -> None:
        """Raise if there is one.

        Raises:
            ConfigurationError: with one line for each problem.
        """
        if self.lines:
            raise ConfigurationError("\n".join(self.lines))


class Table:
    """One table of settings. *where* leads to it, as in ``keyonce.toml: rule[2].``."""

    def __init__(self, values: object, where: str, problems: Problems) -> None:
        """Read *values*, if it is a table at all."""
        self._where = where
        self._problems = problems
        self._known: list[str] = []
        self._values: Mapping[str, Any] = {}
        if isinstance(values, dict):
            self._values = values
        else:
            problems.add(f"{where.rstrip('.')} is {values!r}: it is a table.")

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def place(self, name: str) -> str:
        """Say where *name* stands, for a message."""
        return f"{self._where}{name}"

    def raw(self, name: str) -> Any:
        """Give the value of *name* as it was written, or None."""
        self._known.append(name)
        return self._values.get(name)

    def take(self, name: str, read: Callable[..., T], default: D) -> T | D:
        """Give the value of *name* as *read* makes it; *default* where there is none.

        *read* gets the value and, as ``name``, its place for the message.
        """
        self._known.append(name)
        if name not in self._values:
            return default
        try:
            return read(self._values[name], name=self.place(name))
        except ConfigurationError as error:
            self._problems.add(placed(str(error), self.place(name)))
            return default

    def table(self, name: str) -> Table | None:
        """Give the table *name* inside this one."""
        self._known.append(name)
        if name not in self._values:
            return None
        return Table(self._values[name], f"{self.place(name)}.", self._problems)

    def tables(self, name: str) -> list[Table]:
        """Give the tables of the array *name*; they are counted from 1."""
        self._known.append(name)
        values = self._values.get(name, [])
        if not isinstance(values, list):
            self._problems.add(f"{self.place(name)} is an array: write [[{name}]].")
            return []
        return [
            Table(value, f"{self.place(name)}[{number}].", self._problems)
            for number, value in enumerate(values, start=1)
        ]

    def problem(self, name: str, text: str) -> None:
        """Note what is wrong with *name*."""
        self._problems.add(f"{self.place(name)} {text}")

    def refuse_others(self) -> None:
        """Note every key that nobody asked for, and what it may have been meant as."""
        for name in self._values:
            if name not in self._known:
                self.problem(name, _unknown(name, self._known))


def _unknown(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    if near:
        return f"is no setting. Did you mean {near[0]!r}?"
    return f"is no setting. There are: {', '.join(sorted(known))}."


def placed(message: str, place: str) -> str:
    """Begin *message* with the place that it is about, if it does not already."""
    return message if message.startswith(place) else f"{place}: {message}"


def text(value: object, *, name: str) -> str:
    """Read a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f'{name} is {value!r}: write a text, as in "abc".')
    return value.strip()


def flag(value: object, *, name: str) -> bool:
    """Read true or false."""
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} is {value!r}: write true or false.")
    return value


def whole(value: object, *, name: str) -> int:
    """Read a whole number from 1 on."""
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(
            f"{name} is {value!r}: write a whole number from 1 on."
        )
    return value


def texts(value: object, *, name: str) -> tuple[str, ...]:
    """Read an array of texts."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        message = f'{name} is {value!r}: write an array of texts, as in ["a", "b"].'
        raise ConfigurationError(message)
    return tuple(cast("list[str]", value))


def one_of(*words: str) -> Callable[..., str]:
    """Make a reader of one of *words*."""

    def read(value: object, *, name: str) -> str:
        if value not in words:
            listed = ", ".join(repr(word) for word in words)
            raise ConfigurationError(f"{name} is {value!r}: it is one of {listed}.")
        return str(value)

    return read
