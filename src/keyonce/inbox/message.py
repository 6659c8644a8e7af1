# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A message and its delivery, as values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import ConfigurationError, ResultNotKept
from keyonce.core.model import Attempt, Fingerprint, Identity, StoredResult
from keyonce.core.netstring import netstring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyonce.core.errors import IdempotencyError
    from keyonce.core.model import Lease
    from keyonce.engine.results import ResultCodec

PLAIN: Final = "message1"
UNSEEN: Final = "message1-unseen"  # nobody said what is in the message
LONGEST_KEY: Final = 255
NOTHING_KEPT: Final = StoredResult(0)


@dataclass(frozen=True, slots=True)
class Message:
    """What the broker delivered.

    *id* is the delivery's id: the same in every redelivery. *key* is the business
    key where there is one: the same also when a producer sends twice. *payload*
    (bytes, text or plain JSON values) is compared with what came before under the
    same key; only its digest is kept. None: it is not looked at.
    """

    id: str
    key: str | None = None
    payload: Any = None

    @property
    def identifier(self) -> str:
        """What the record is found by: the business key, else the id."""
        return self.id if self.key is None else self.key

    def check(self) -> None:
        """Refuse what identifies nothing.

        Raises:
            ConfigurationError: the id or the key is no text of 1 to 255 characters.
        """
        given = self.identifier
        if isinstance(given, str) and 1 <= len(given) <= LONGEST_KEY:
            return
        name = "id" if self.key is None else "key"
        size = f"{len(given)} characters" if isinstance(given, str) else "no text"
        raise ConfigurationError(
            f"The {name} of a message has {size}: it identifies the message in every "
            f"redelivery and takes 1 to {LONGEST_KEY}. Take a business key where the "
            "broker gives no lasting id."
        )

    def attempt(self, scope: str, operation: str) -> Attempt:
        """Give this delivery as an attempt.

        Raises:
            ConfigurationError: the payload has no plain form.
        """
        made = {UNSEEN: Fingerprint(UNSEEN, sha256(UNSEEN.encode()).digest())}
        if self.payload is not None:
            made[PLAIN] = Fingerprint(PLAIN, _digest(self.payload))
        ours = made.get(PLAIN, made[UNSEEN])
        return Attempt(Identity(scope, operation, self.identifier), ours, made.get)


def listed(messages: Iterable[Message | str]) -> list[Message]:
    """Give a batch as messages.

    Raises:
        ConfigurationError: it is a single message, or a text: that has letters.
    """
    if isinstance(messages, str | bytes | Message):
        raise ConfigurationError(
            f"receive_many takes a list of messages or ids, not {messages!r}: put it "
            "into a list, or take receive."
        )
    return [each if isinstance(each, Message) else Message(each) for each in messages]


def _digest(payload: Any) -> bytes:
    if isinstance(payload, bytes | bytearray | memoryview):
        kind, data = b"bytes", bytes(payload)
    elif isinstance(payload, str):
        kind, data = b"text", payload.encode("utf-8", "surrogatepass")
    else:
        kind, data = b"json", _json(payload)
    return sha256(b"".join(map(netstring, (PLAIN.encode(), kind, data)))).digest()


def _json(payload: Any) -> bytes:
    try:
        return json.dumps(payload, sort_keys=True, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"The payload of a message has no plain form: {error}. Give the bytes that "
            "the broker delivered, or plain JSON values."
        ) from error


class Delivery:
    """One delivery of a message, and whether this worker is to handle it.

    *first*: handle it; else it is done (acknowledge and skip) or, in a batch,
    *refusal* says why it is not for this worker. *execution* counts how often its
    work has begun, this time included. *guarded* is false where the rollout has
    the message run without protection.
    """

    def __init__(
        self,
        message: Message,
        codec: ResultCodec,
        *,
        lease: Lease | None = None,
        first: bool = True,
        kept: StoredResult = NOTHING_KEPT,
        refusal: IdempotencyError | None = None,
        undo: Callable[[], None] | None = None,
    ) -> None:
        """Deliver *message*; *undo* frees its key behind the scenes."""
        self.message = message
        self.first = first
        self.refusal = refusal
        self.kept = kept
        self.lease = lease
        self._codec = codec
        self._undo = undo

    @property
    def guarded(self) -> bool:
        """Whether the inbox answers for this delivery."""
        return self.lease is not None or not self.first

    @property
    def execution(self) -> int:
        """Which run of the work this is; 0 where there is none under a claim."""
        return 0 if self.lease is None else self.lease.execution

    @property
    def result(self) -> Any:
        """What the work left for later deliveries: None, or plain JSON values.

        Set it while the work runs; a duplicate reads it.

        Raises:
            ResultNotEncodable: what is set cannot be stored.
            ResultNotKept: it was too large.
        """
        if not self.kept.kept:
            raise ResultNotKept("The message is handled; its result was too large.")
        return self._codec.decode(self.kept.body) if self.kept.body else None

    @result.setter
    def result(self, value: Any) -> None:
        data = self._codec.encode(value)
        self.kept = StoredResult(0, body=data, size=len(data))

    def rolled_back(self) -> None:
        """Say that the transaction was rolled back after the block had ended.

        The message is free again within a moment; without a word that takes until
        the lease ends. After a commit this changes nothing.
        """
        if self._undo is not None:
            self._undo()
