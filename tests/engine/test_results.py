# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Results as bytes and back: what goes in comes out, or is refused at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Literal, NoReturn, Optional, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyonce.core.errors import (
    ConfigurationError,
    RecordUnreadable,
    ResultNotEncodable,
)
from keyonce.engine.results import (
    JSON,
    MsgspecCodec,
    PydanticCodec,
    codec_for,
    codec_of,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class Line:
    item: str
    price: Decimal


class Receipt(pydantic.BaseModel):
    id: int
    lines: list[Line] = []


class Charge(msgspec.Struct):
    id: int
    at: datetime = NOON


class Plain(TypedDict):
    id: int


@dataclass
class Mixed:
    receipt: Receipt


class Opaque:
    pass


CASES = [
    (Receipt, Receipt(id=1, lines=[Line("tea", Decimal("1.10"))]), PydanticCodec),
    (list[Receipt], [Receipt(id=1)], PydanticCodec),
    (dict[str, Receipt], {"one": Receipt(id=1)}, PydanticCodec),
    (Optional[Receipt], None, PydanticCodec),  # noqa: UP045 - as people write it
    (Mixed, Mixed(Receipt(id=1)), PydanticCodec),
    (Charge, Charge(1), MsgspecCodec),
    (Charge | None, None, MsgspecCodec),
    (tuple[Charge, int], (Charge(1), 2), MsgspecCodec),
    (Line, Line("tea", Decimal("1.10")), MsgspecCodec),
    (dict[int, Line], {1: Line("tea", Decimal("1.10"))}, MsgspecCodec),
    (set[UUID], {UUID(int=1)}, MsgspecCodec),
    (datetime, NOON, MsgspecCodec),
    (bytes, b"\xff\x00", MsgspecCodec),
    (Plain, {"id": 1}, MsgspecCodec),
    (dict[str, list[int | None]], {"one": [1, None]}, type(JSON)),
    (Literal["paid", "held"], "paid", type(JSON)),
    (None, None, type(JSON)),
    (Any, {"one": [1, 2.5, True]}, type(JSON)),
]


@pytest.mark.parametrize(("annotation", "value", "kind"), CASES, ids=str)
def test_what_goes_in_comes_out(annotation, value, kind):
    codec = codec_for(annotation)

    copy = codec.decode(codec.encode(value))

    assert kind is type(codec)
    assert (value, type(value)) == (copy, type(copy))


def test_a_type_that_grew_a_field_reads_old_results():
    class Before(msgspec.Struct):
        id: int

    class After(Before):
        note: str = "none"

    class ModelAfter(Receipt):
        note: str = "none"

    old_struct = codec_for(Before).encode(Before(1))
    old_model = codec_for(Receipt).encode(Receipt(id=1))

    assert After(1) == codec_for(After).decode(old_struct)
    assert ModelAfter(id=1) == codec_for(ModelAfter).decode(old_model)


@pytest.mark.parametrize("annotation", [Receipt, Charge])
def test_a_type_that_no_longer_fits_says_so(annotation):
    with pytest.raises(RecordUnreadable, match="grow by fields with a default"):
        codec_for(annotation).decode(b'{"number": 1}')


@pytest.mark.parametrize(
    ("annotation", "value"), [(Receipt, "text"), (Charge, "text"), (list[Line], [1])]
)
def test_a_value_of_another_type_is_refused(annotation, value):
    with pytest.raises(ResultNotEncodable, match="annotated"):
        codec_for(annotation).encode(value)


@pytest.mark.parametrize(
    "value", [{1, 2}, {1: "one"}, [{None: 1}], object(), float("nan"), b"bytes", NOON]
)
def test_what_is_no_json_is_refused(value):
    with pytest.raises(ResultNotEncodable):
        JSON.encode(value)


def test_a_list_that_holds_itself_is_refused():
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(ResultNotEncodable):
        JSON.encode(endless)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(plain)
def test_plain_values_come_back_as_they_are(value):
    assert value == JSON.decode(JSON.encode(value))


@given(st.binary())
def test_bytes_that_are_no_json_are_unreadable(data):
    try:
        JSON.decode(data)
    except RecordUnreadable:
        return


def test_a_type_that_nothing_can_store_is_refused_before_anything_runs():
    with pytest.raises(ConfigurationError, match=r"keyonce\[msgspec\]"):
        codec_for(Opaque)


def test_without_the_packages_only_plain_values_are_stored(monkeypatch):
    monkeypatch.setitem(sys.modules, "msgspec", None)
    monkeypatch.setitem(sys.modules, "pydantic", None)

    @dataclass
    class Fresh:
        id: int

    with pytest.raises(ConfigurationError, match="msgspec"):
        codec_for(Fresh)
    assert JSON is codec_for(dict[str, int])


class Maker:
    def __call__(self) -> Charge:
        return Charge(1)

    def make(self) -> Charge:
        return Charge(1)


def made(number: Nowhere) -> Charge:  # type: ignore[name-defined]  # noqa: F821
    return Charge(number)


def awaited() -> Awaitable[Charge]:
    return asyncio.sleep(0, Charge(1))


def unknown() -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
    ...


@pytest.mark.parametrize(
    "function",
    [made, partial(made, 1), Maker(), Maker().make, Charge, awaited],
    ids=["function", "partial", "object", "method", "class", "awaited"],
)
def test_the_return_annotation_chooses_whatever_is_called(function):
    assert isinstance(codec_of(function), MsgspecCodec)


def never() -> NoReturn:
    raise OSError


@pytest.mark.parametrize(
    "function", [lambda: 1, len, print, never], ids=lambda each: each.__name__
)
def test_without_an_annotation_it_is_json(function):
    assert JSON is codec_of(function)


def test_an_annotation_that_cannot_be_read_is_refused():
    with pytest.raises(ConfigurationError, match="Nowhere"):
        codec_of(unknown)
