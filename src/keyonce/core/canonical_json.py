# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""JSON bodies as one canonical form, ``cjson1``.

Two bodies have one form when they differ only in white space, in the order of
keys and in how the characters of a string are escaped. Number tokens stay as
they were written: ``1``, ``1.0`` and ``1.00`` are three values, because some
reader somewhere treats them as three.

What two readers could understand differently has no canonical form at all:
duplicate keys, NaN and Infinity, lone surrogates, invalid UTF-8, a byte order
mark, nesting deeper than 64, number tokens longer than 64 characters. Such a
body counts by its bytes. The limits are part of the form: changing one makes a
new version.
"""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring_ascii
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_DEPTH: Final = 64
MAX_NUMBER: Final = 64

Tree: TypeAlias = "dict[str, Tree] | list[Tree] | str | bool | None"
Pointer: TypeAlias = tuple[str, ...]

# A lone surrogate cannot occur in a string that we accept. In front of a number
# token, or in place of an excluded item, it makes a string that nothing else is.
_NUMBER: Final = "\ud800"
_EXCLUDED: Final = "\ud801"


class Document:
    """A JSON body as its reader sees it, less the excluded fields."""

    __slots__ = ("_canonical", "tree")

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._canonical: bytes | None = None

    def canonical(self) -> bytes:
        """Give the canonical form of the whole document; made once."""
        if self._canonical is None:
            self._canonical = write_json(self.tree)
        return self._canonical


def read_json(body: bytes, exclude: Iterable[Pointer] = ()) -> Document | None:
    """Read *body* without the fields at *exclude*; None when it has no form.

    An excluded member of an object is as if it had never been there. An
    excluded item of an array keeps its place, so that its neighbours keep
    theirs.

    Raises:
        RecursionError: the caller's own stack leaves no room for 64 levels. It
            is not taken for a property of the body.
    """
    try:
        if not _is_shallow(body):
            return None
        text = body.decode()
        tree: Tree = _READER.decode(text)
        if b"\\" in body and (b"\\ud" in body or b"\\uD" in body):
            _refuse_lone_surrogates(text)
    except ValueError:
        return None
    for pointer in exclude:
        _remove(tree, pointer)
    return Document(tree)


def write_json(tree: Tree) -> bytes:
    """Give the canonical form of *tree*, in ASCII."""
    if isinstance(tree, str):  # most leaves; the encoder is slow at these alone
        return encode_basestring_ascii(tree).encode()
    if tree is None or tree is True or tree is False:
        return _WORDS[tree]
    return _WRITER.encode(tree).encode()


def parse_pointer(pointer: str) -> Pointer:
    """Split a JSON pointer (RFC 6901) into its unescaped names.

    Raises:
        ValueError: *pointer* is none.
    """
    if not _POINTER.fullmatch(pointer):
        raise ValueError(pointer)
    names = pointer.split("/")[1:]
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in names)


def escape_name(name: str) -> str:
    """Escape one name for a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _number(token: str) -> str:
    if len(token) > MAX_NUMBER:
        raise ValueError(token)
    return _NUMBER + token


def _constant(token: str) -> Tree:
    raise ValueError(token)


def _object(members: list[tuple[str, Tree]]) -> dict[str, Tree]:
    made = dict(members)
    if len(made) != len(members):
        raise ValueError(members)
    return made


_READER: Final = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_number,
    parse_float=_number,
    parse_constant=_constant,
)
_WRITER: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), check_circular=False
)
_WORDS: Final[Mapping[bool | None, bytes]] = MappingProxyType(
    {None: b"null", True: b"true", False: b"false"}
)
_BARE_READER: Final = json.JSONDecoder(parse_int=str, parse_float=str)
_BARE_WRITER: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False)


def _refuse_lone_surrogates(text: str) -> None:
    _BARE_WRITER.encode(_BARE_READER.decode(text)).encode()


_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)*", re.DOTALL)
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_ONE_KIND: Final = bytes.maketrans(b"[]{}", b"()()")
_NO_BRACKET: Final = bytes(set(range(256)) - set(b"[]{}"))


def _is_shallow(body: bytes) -> bool:
    """Tell the depth by counting, not by how much stack the interpreter has."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return True
    brackets = _STRING.sub(b"", body).translate(_ONE_KIND, _NO_BRACKET)
    for _ in range(MAX_DEPTH):
        fewer = brackets.replace(b"()", b"")  # the innermost level
        if len(fewer) == len(brackets):
            break
        brackets = fewer
    return not brackets


def _remove(tree: Tree, pointer: Sequence[str]) -> None:
    *way, last = pointer
    for name in way:
        tree = _member(tree, name)
    if isinstance(tree, dict):
        tree.pop(last, None)
    elif isinstance(tree, list) and (index := _index(tree, last)) is not None:
        tree[index] = _EXCLUDED


def _member(tree: Tree, name: str) -> Tree:
    if isinstance(tree, dict):
        return tree.get(name)
    if isinstance(tree, list) and (index := _index(tree, name)) is not None:
        return tree[index]
    return None


_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")


def _index(items: Sequence[Tree], name: str) -> int | None:
    if not _INDEX.fullmatch(name):
        return None
    index = int(name)
    return index if index < len(items) else None
