# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which fields of a JSON body differ from another that is no longer there.

A field map is the skeleton of a document with two bytes in the place of every
leaf: the truncated digest of the leaf's canonical form, keyed per request. It
holds names, no values. It always covers the whole document: where it would
grow over its bounds, a container is one leaf, and a change inside is told by
the pointer of the container.

Two bytes can agree by chance, once in 65536. The map only explains a mismatch
that the fingerprint has found; it never decides one.

    map       = version:1 node
    node      = 0 digest:2 | 1 count:1 (length:1 name node)* | 2 count:1 node*
"""

from __future__ import annotations

from hashlib import blake2s
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

from keyonce.core.canonical_json import escape_name, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from keyonce.core.canonical_json import Tree

MAX_LEAVES: Final = 64
MAX_LEVELS: Final = 8
MAX_BYTES: Final = 2048
MAX_NAME: Final = 63  # characters, at most 252 bytes
MAX_DIFFERING: Final = 64

_VERSION: Final = 1
_LEAF: Final = 0
_OBJECT: Final = 1
_ARRAY: Final = 2
_DIGEST: Final = 2
_LEAF_KIND: Final = b"%c" % _LEAF
_LENGTH: Final = tuple(b"%c" % length for length in range(256))

Container: TypeAlias = "dict[str, Tree] | list[Tree]"
Node: TypeAlias = "bytes | dict[str, Node] | list[Node]"


def write_field_map(tree: Tree, key: bytes) -> bytes:
    """Write the field map of *tree*, its leaves keyed with the 32 bytes *key*."""
    out = [b"%c" % _VERSION]
    _write(tree, _keyed(key), _opened(tree), out)
    return b"".join(out)


def differing_fields(tree: Tree, key: bytes, recorded: bytes) -> tuple[str, ...] | None:
    """Point (RFC 6901) at what is changed, added or missing in *tree*.

    At most 64 pointers, in the order of the recorded map. None for a map that is
    empty, torn, or of a newer kind.
    """
    try:
        node = _read_map(recorded)
    except (IndexError, ValueError):
        return None
    return tuple(islice(_differing(node, tree, _keyed(key), ""), MAX_DIFFERING))


def _keyed(key: bytes) -> blake2s:
    return blake2s(key, digest_size=_DIGEST)


def _digest(tree: Tree, keyed: blake2s) -> bytes:
    digest = keyed.copy()
    digest.update(write_json(tree))
    return digest.digest()


def _opened(root: Tree) -> set[int]:
    """Choose the containers to write out, from the root down, as far as it fits.

    They are named by ``id``: each is in the tree once and outlives the call.
    """
    opened: set[int] = set()
    leaves, size = 1, 1 + 1 + _DIGEST
    level = _containers((root,))
    for _ in range(MAX_LEVELS):
        inner: list[Container] = []
        for container in level:
            grown = _size(container)
            if leaves - 1 + len(container) > MAX_LEAVES or size + grown > MAX_BYTES:
                continue
            leaves, size = leaves - 1 + len(container), size + grown
            opened.add(id(container))
            inner += _containers(
                container.values() if isinstance(container, dict) else container
            )
        if not inner:
            break
        level = inner
    return opened


def _containers(trees: Iterable[Tree]) -> list[Container]:
    return [tree for tree in trees if tree and isinstance(tree, (dict, list))]


def _size(container: Container) -> int:
    """How much longer the map grows, at most, by writing *container* out."""
    leaf = 1 + _DIGEST
    if isinstance(container, list):
        return len(container) * leaf
    if max(map(len, container)) > MAX_NAME:
        return MAX_BYTES
    return len("".join(container).encode()) + len(container) * (1 + leaf)


def _write(tree: Tree, keyed: blake2s, opened: set[int], out: list[bytes]) -> None:
    if id(tree) not in opened:
        out.append(_LEAF_KIND + _digest(tree, keyed))
    elif isinstance(tree, dict):
        out.append(b"%c%c" % (_OBJECT, len(tree)))
        for name in sorted(tree):
            member, encoded = tree[name], name.encode()
            if id(member) in opened:
                out.append(b"%c%b" % (len(encoded), encoded))
                _write(member, keyed, opened, out)
            else:  # the most frequent case, without another call
                out += (_LENGTH[len(encoded)], encoded, _LEAF_KIND)
                out.append(_digest(member, keyed))
    elif isinstance(tree, list):
        out.append(b"%c%c" % (_ARRAY, len(tree)))
        for item in tree:
            _write(item, keyed, opened, out)


def _read_map(data: bytes) -> Node:
    if not data or data[0] != _VERSION:
        raise ValueError(len(data))
    node, end = _read(data, 1, 0)
    if end != len(data):
        raise ValueError(end)
    return node


def _read(data: bytes, at: int, level: int) -> tuple[Node, int]:
    kind, at = data[at], at + 1
    if kind == _LEAF and at + _DIGEST <= len(data):
        return data[at : at + _DIGEST], at + _DIGEST
    if kind not in (_OBJECT, _ARRAY) or level == MAX_LEVELS:
        raise ValueError(kind)
    count, at = data[at], at + 1
    if kind == _OBJECT:
        return _read_object(data, at, level, count)
    items: list[Node] = []
    for _ in range(count):
        item, at = _read(data, at, level + 1)
        items.append(item)
    return items, at


def _read_object(data: bytes, at: int, level: int, count: int) -> tuple[Node, int]:
    members: dict[str, Node] = {}
    for _ in range(count):
        start = at + 1
        at = start + data[at]
        name = data[start:at].decode()
        members[name], at = _read(data, at, level + 1)
    return members, at


def _differing(node: Node, tree: Tree, key: blake2s, pointer: str) -> Iterator[str]:
    if isinstance(node, dict) and isinstance(tree, dict):
        yield from _members_differing(node, tree, key, pointer)
    elif isinstance(node, list) and isinstance(tree, list):
        for index, (item, now) in enumerate(zip(node, tree, strict=False)):
            yield from _differing(item, now, key, f"{pointer}/{index}")
        fewer, more = sorted((len(node), len(tree)))
        yield from (f"{pointer}/{index}" for index in range(fewer, more))
    elif not isinstance(node, bytes) or node != _digest(tree, key):
        yield pointer


def _members_differing(
    node: dict[str, Node], tree: dict[str, Tree], key: blake2s, pointer: str
) -> Iterator[str]:
    for name, member in node.items():
        here = f"{pointer}/{escape_name(name)}"
        if name in tree:
            yield from _differing(member, tree[name], key, here)
        else:
            yield here
    for name in sorted(tree.keys() - node.keys()):
        yield f"{pointer}/{escape_name(name)}"
