# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A Redis server, or several that act as one, as threads speak to it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

from keyonce.core.errors import ConfigurationError
from keyonce.core.flow import run
from keyonce.stores.redis.clients import parts_of
from keyonce.stores.redis.findings import Facts, facts_of, refusal
from keyonce.stores.redis.lane import RAW
from keyonce.stores.redis.scripts import command_of, scripts
from keyonce.stores.redis.translate import (
    is_answer,
    is_noscript,
    is_not_allowed,
    readable,
    translated,
)
from keyonce.stores.redis.words import (
    Now,
    Outlines,
    Position,
    Rows,
    ScriptCall,
    Sizes,
    Together,
    Walk,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.stores.durability import Durability
    from keyonce.stores.redis.words import Procedure, Word

R = TypeVar("R")

PAGE: Final = 500
_PARTS: Final = ("h", "d", "m", "r", "w")
KEY: Final = object()
_TRIED: Final[tuple[tuple[Any, ...], ...]] = (
    ("EVAL", "return 0", 1, KEY),
    ("EVALSHA", "0" * 40, 1, KEY),
    ("HMGET", KEY, "h"),
    ("HDEL", KEY, "h"),
    ("PEXPIRE", KEY, 1),
    ("PERSIST", KEY),
    ("UNLINK", KEY),
)


class Server:
    """What answers the words of a procedure.

    *open_client* makes the client when it is first needed. Before anything else,
    the settings of the server are looked at, once.
    """

    def __init__(
        self,
        open_client: Callable[[], Any],
        *,
        clock: Callable[[], float] | None,
        durability: Durability,
        ours: bool,
    ) -> None:
        """Speak to what *open_client* makes; close it if it is *ours*."""
        self._open_client = open_client
        self._clock = clock
        self._ours = ours
        self.durability: Durability = durability
        self._lock = threading.Lock()
        self._client: Any = None
        self._checked = False
        self.warn: Callable[[str], None] | None = None

    def now(self) -> float | None:
        """Give what a test turns in place of the server's clock, if it does."""
        return None if self._clock is None else round(self._clock() * 1000) / 1000

    def run(self, procedure: Procedure[R]) -> R:
        """Carry out *procedure*.

        Raises:
            ConfigurationError: the settings of the server break the promises.
            StoreUnavailable: it did not answer.
        """
        with translated():
            if not self._checked:
                self.check()
            return run(procedure, self._perform)

    def check(self) -> None:
        """Refuse a server that cannot keep the promises, once.

        With a *warn* that is told only: nothing will be promised by this process.

        Raises:
            ConfigurationError: naming the setting and the mend.
        """
        with translated():
            message = refusal(self.facts(), self.durability)
            if message is not None:
                if self.warn is None:
                    raise ConfigurationError(message)
                self.warn(message)
            self._checked = True

    def facts(self) -> list[Facts]:
        """Ask every primary for its settings."""
        with translated():
            return [facts_of(name, node) for name, node in self._primaries()]

    def not_allowed(self, key: bytes) -> list[str]:
        """Name the commands that this user may not give.

        They are tried on *key*, which is not there, so that nothing changes.
        """
        execute = self._reach().execute_command
        refused = []
        with translated():
            for name, *args in _TRIED:
                try:
                    execute(name, *(key if arg is KEY else arg for arg in args))
                except Exception as error:
                    if not is_answer(error):
                        raise
                    if is_not_allowed(error):
                        refused.append(name)
        return refused

    def call(self, word: ScriptCall) -> Any:
        """Run a script; a server that has forgotten it is sent the text."""
        script, keys, args = word
        text = scripts()[script].text
        execute = self._reach().execute_command
        try:
            return execute(*command_of(word), **RAW)
        except Exception as error:
            if not is_noscript(error):
                raise
        return execute("EVAL", text, len(keys), *keys, *args, **RAW)

    def close(self) -> None:
        """Close the client if it was made here."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None and self._ours:
            for part in parts_of(client):
                part.close()

    def _perform(self, word: Word) -> Any:
        with translated():
            match word:
                case ScriptCall():
                    return self.call(word)
                case Together(calls):
                    return self._together(calls)
                case Walk(pattern, position):
                    return self._walk(pattern, position)
                case Outlines(keys):
                    return self._outlines(keys)
                case Rows(key):
                    return self._reach().execute_command("LRANGE", key, 0, -1, **RAW)
                case Sizes(keys):
                    return self._sizes(keys)
                case Now():
                    return self._ask_the_time()

    def _reach(self) -> Any:
        client = self._client
        if client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._open_client()
                client = self._client
        return client

    def _primaries(self) -> list[tuple[str, Any]]:
        client = self._reach()
        if not hasattr(client, "get_primaries"):
            return [("", client)]
        connect = getattr(client, "get_redis_connection", None)
        connect = connect or client.get_valkey_connection
        nodes = sorted(client.get_primaries(), key=lambda node: str(node.name))
        return [(str(node.name), connect(node)) for node in nodes]

    def _walk(
        self, pattern: bytes, position: Position
    ) -> tuple[list[bytes], Position | None]:
        primaries = self._primaries()
        number, cursor = position
        if number >= len(primaries):  # the cluster has become smaller
            return [], None
        node = primaries[number][1]
        options = ("MATCH", pattern, "COUNT", PAGE)
        cursor, keys = node.execute_command("SCAN", cursor, *options, **RAW)
        if int(cursor):
            return keys, Position(number, int(cursor))
        more = number + 1 < len(primaries)
        return keys, Position(number + 1) if more else None

    def _outlines(self, keys: tuple[bytes, ...]) -> list[list[Any]]:
        if not keys:
            return []
        pipeline = self._reach().pipeline(transaction=False)
        for key in keys:
            pipeline.execute_command("HMGET", key, *_PARTS, **RAW)
            pipeline.execute_command("HSTRLEN", key, "o")
        answers = pipeline.execute(raise_on_error=False)
        return [
            [*_parts(fields), length if isinstance(length, int) else 0]
            for fields, length in zip(answers[::2], answers[1::2], strict=True)
        ]

    def _together(self, calls: tuple[ScriptCall, ...]) -> list[Any]:
        pipeline = self._reach().pipeline(transaction=False)
        for command in map(command_of, calls):
            pipeline.execute_command(*command, **RAW)
        answers = pipeline.execute(raise_on_error=False)
        return [
            self.call(call) if is_noscript(answer) else readable(answer)
            for call, answer in zip(calls, answers, strict=True)
        ]

    def _sizes(self, keys: tuple[bytes, ...]) -> list[int | None]:
        pipeline = self._reach().pipeline(transaction=False)
        for key in keys:
            pipeline.execute_command("MEMORY USAGE", key)
        answers = pipeline.execute(raise_on_error=False)
        return [size if isinstance(size, int) else None for size in answers]

    def _ask_the_time(self) -> float:
        now = self.now()
        if now is not None:
            return now
        seconds, micros = self._primaries()[0][1].time()
        return (int(seconds) * 1000 + int(micros) // 1000) / 1000


def _parts(fields: Any) -> list[Any]:
    """Give the fields of a hash; of a key that is no hash, none."""
    return [None] * len(_PARTS) if isinstance(fields, Exception) else list(fields)
