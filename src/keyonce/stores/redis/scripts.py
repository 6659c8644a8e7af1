# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The scripts, read from their files."""

from __future__ import annotations

from functools import cache
from hashlib import sha1
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyonce.stores.redis.words import ScriptCall

PACKAGE: Final = "keyonce.stores.redis"
PREAMBLE: Final = "record.lua"


class Script(NamedTuple):
    """What is sent once, and the digest that it is called by afterwards."""

    text: bytes
    digest: bytes


@cache
def scripts() -> Mapping[str, Script]:
    """Read every script, with what stands before each of them."""
    folder = files(PACKAGE)
    before = folder.joinpath(PREAMBLE).read_bytes()
    found = {}
    for file in folder.iterdir():
        if file.name.endswith(".lua") and file.name != PREAMBLE:
            text = before + b"\n" + file.read_bytes()
            digest = sha1(text, usedforsecurity=False).hexdigest().encode()
            found[file.name.removesuffix(".lua")] = Script(text, digest)
    return MappingProxyType(found)


def command_of(call: ScriptCall) -> tuple[Any, ...]:
    """Give the command by which a server runs a script that it knows."""
    script, keys, args = call
    return ("EVALSHA", scripts()[script].digest, len(keys), *keys, *args)
