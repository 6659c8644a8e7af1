# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a function returned as bytes and back: JSON, msgspec or pydantic.

The first run, too, gives its caller the decoded copy, so that the first and every
later answer agree. Nothing is ever pickled.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Awaitable, Coroutine
from functools import lru_cache, partial
from types import NoneType, SimpleNamespace, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    Never,
    NoReturn,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from keyonce.core.errors import (
    ConfigurationError,
    RecordUnreadable,
    ResultNotEncodable,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class ResultCodec(Protocol):
    """Turns results into bytes and back."""

    def encode(self, value: Any) -> bytes:
        """Give *value* as bytes.

        Raises:
            ResultNotEncodable: this codec cannot; what to do.
        """

    def decode(self, data: bytes) -> Any:
        """Give the value again.

        Raises:
            RecordUnreadable: the bytes are not of this codec.
        """


class JsonCodec:
    """None, booleans, numbers, text, lists and dictionaries with text as keys.

    A tuple comes back as a list.
    """

    def encode(self, value: Any) -> bytes:
        try:
            _check_names(value)
            written = json.dumps(value, allow_nan=False, separators=(",", ":"))
            return written.encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ResultNotEncodable(
                f"A result of type {type(value).__name__} is no JSON: {error}. Return "
                "plain values, annotate the function with a pydantic or msgspec type, "
                "or give a codec."
            ) from error

    def decode(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except ValueError as error:
            raise RecordUnreadable("A stored result is no JSON.") from error


def _check_names(value: Any) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            if not isinstance(name, str):
                message = f"the key {name!r} of a dictionary is no text"
                raise TypeError(message)
            _check_names(member)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_names(item)


class PydanticCodec:
    """Whatever a pydantic TypeAdapter reads and writes as JSON."""

    def __init__(self, annotation: Any) -> None:
        """Read results as *annotation*."""
        from pydantic import TypeAdapter  # noqa: PLC0415 - only where it is used

        self._adapter = TypeAdapter(annotation)

    def encode(self, value: Any) -> bytes:
        try:
            return self._adapter.dump_json(value, warnings="error")
        except Exception as error:
            raise ResultNotEncodable(
                f"A result of type {type(value).__name__} is not what the function is "
                f"annotated with: {error}"
            ) from error

    def decode(self, data: bytes) -> Any:
        try:
            return self._adapter.validate_json(data)
        except ValueError as error:
            raise RecordUnreadable(
                "A stored result does not fit its type any more. Types of results may "
                "grow by fields with a default while outcomes are kept."
            ) from error


class MsgspecCodec:
    """Whatever msgspec reads and writes as JSON."""

    def __init__(self, annotation: Any) -> None:
        """Read results as *annotation*."""
        import msgspec  # noqa: PLC0415 - only where it is used

        msgspec.json.schema(annotation)  # refuses what it could not read
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(annotation)

    def encode(self, value: Any) -> bytes:
        try:
            data: bytes = self._encoder.encode(value)
            self._decoder.decode(data)
        except Exception as error:
            raise ResultNotEncodable(
                f"A result of type {type(value).__name__} is not what the function is "
                f"annotated with: {error}"
            ) from error
        return data

    def decode(self, data: bytes) -> Any:
        try:
            return self._decoder.decode(data)
        except Exception as error:
            raise RecordUnreadable(
                "A stored result does not fit its type any more. Types of results may "
                "grow by fields with a default while outcomes are kept."
            ) from error


JSON: Final = JsonCodec()
_PLAIN: Final = (
    *(Any, None, NoneType, Never, NoReturn),
    *(bool, int, float, str, list, dict, object),
)
_UNIONS: Final = (Union, UnionType)


def codec_of(function: Callable[..., Any]) -> ResultCodec:
    """Choose by the return annotation of *function*; JSON where there is none.

    Raises:
        ConfigurationError: the annotation names a type that needs a codec.
    """
    return codec_for(_returned_by(function))


def codec_for(annotation: Any) -> ResultCodec:
    """Choose by *annotation*: JSON for plain values, else msgspec or pydantic.

    Raises:
        ConfigurationError: no codec that is installed reads such a type.
    """
    try:
        return _codec_for(annotation)
    except TypeError:  # an annotation that cannot be remembered
        return _codec_for.__wrapped__(annotation)


@lru_cache(maxsize=1024)
def _codec_for(annotation: Any) -> ResultCodec:
    if is_plain(annotation):
        return JSON
    pydantics = _names_subclass(annotation, "pydantic", "BaseModel")
    choices = (PydanticCodec,) if pydantics else (MsgspecCodec, PydanticCodec)
    refusals = []
    for codec in choices:
        try:
            return codec(annotation)
        except ModuleNotFoundError as missing:
            refusals.append(f"{missing.name} is not installed")
        except Exception as error:  # noqa: BLE001 - each library has its own
            refusals.append(str(error).partition("\n")[0])
    raise ConfigurationError(
        f"A result of type {annotation!r} is no plain value, and nothing here can "
        f"store it: {'; '.join(refusals)}. Install 'keyonce[msgspec]' or "
        "'keyonce[pydantic]', return plain values, or give a codec."
    )


def is_plain(annotation: Any) -> bool:
    """Whether JSON gives back what *annotation* says, such as ``dict[str, int]``."""
    if annotation in _PLAIN or isinstance(annotation, TypeVar):
        return True
    kind, parts = get_origin(annotation), get_args(annotation)
    if kind is list or kind in _UNIONS:
        return all(map(is_plain, parts))
    if kind is dict:
        return parts[0] in (str, Any) and is_plain(parts[1])
    if kind is Literal:
        return all(isinstance(part, str | int | None) for part in parts)
    return False


def _names_subclass(annotation: Any, package: str, base: str) -> bool:
    """Whether *annotation* names a subclass of a package's *base*, if it is loaded."""
    kind = getattr(sys.modules.get(package), base, None)
    parts = [annotation]
    for part in parts:
        parts += get_args(part)
    return kind is not None and any(
        isinstance(part, type) and issubclass(part, kind) for part in parts
    )


def _returned_by(function: Any) -> Any:
    """Give the return annotation of *function*; Any where it has none."""
    while isinstance(function, partial):
        function = function.func
    if isinstance(function, type):
        return function
    if not hasattr(function, "__annotations__"):
        function = getattr(type(function), "__call__", function)  # noqa: B004 - a callable object's annotations
    try:
        told = _resolved(function)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise ConfigurationError(
            f"The return annotation of {function.__qualname__!r} cannot be read: "
            f"{error}. Import the type where the program runs, not for type checkers "
            "only, or give a codec."
        ) from None
    return get_args(told)[-1] if get_origin(told) in (Awaitable, Coroutine) else told


def _resolved(function: Any) -> Any:
    """Give the return annotation, and look at none of the others."""
    told = getattr(function, "__annotations__", {}).get("return", Any)
    if not isinstance(told, str):
        return told
    only = SimpleNamespace(__annotations__={"return": told})
    names = getattr(inspect.unwrap(function), "__globals__", {})
    return get_type_hints(only, names)["return"]
