# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What goes into a sealed store, and what comes out of it again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from keyonce.core.codec import decode, encode
from keyonce.core.errors import (
    ConfigurationError,
    RecordUnreadable,
    SettlementRefused,
    StoreError,
)
from keyonce.core.model import Claimed, Finding, StoredResult
from keyonce.stores.sealed.envelope import (
    ADDED,
    NONCE,
    OUTCOME,
    STEPS,
    Envelope,
    bound_to,
    pack,
    unpack,
)
from keyonce.stores.sealed.unreadable import broken, no_key, not_sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keyonce.core.model import (
        Completion,
        Identity,
        Note,
        Record,
        Settlement,
        Traits,
    )
    from keyonce.stores.sealed.cipher import Ciphers
    from keyonce.stores.sealed.ring import KeyRing

# What a sealed outcome has over a plain one: the envelope, the head of the frame
# inside it with its size and checksum, and the longest id of a key.
OVERHEAD: Final = ADDED + 18 + 33
# Every store has room for these beside its largest body.
HEADERS: Final = 16 * 1024

_IN_THE_CLEAR: Final = StoredResult(0)


class Sealing:
    """Seals and opens outcomes and steps with the keys of one ring.

    *accept_plain_until* is the switch-over of a store with outcomes from before;
    *clock* gives the machine's time, *nonce* that many bytes that never repeat.
    """

    def __init__(
        self,
        ring: KeyRing,
        *,
        accept_plain_until: datetime | None,
        clock: Callable[[], float],
        nonce: Callable[[int], bytes],
    ) -> None:
        """Make the ciphers ready."""
        if accept_plain_until is not None and accept_plain_until.tzinfo is None:
            raise ConfigurationError(
                "accept_plain_until has no time zone: write "
                "datetime(2026, 12, 1, tzinfo=timezone.utc)."
            )
        self._ring = ring
        self._until = accept_plain_until
        self._clock = clock
        self._nonce = nonce
        self._ciphers = _ciphers(ring)

    def traits(self, traits: Traits) -> Traits:
        """What a store with *traits* promises when it is sealed."""
        largest = traits.largest_result
        fitting = None if largest is None else max(0, largest - OVERHEAD)
        return replace(traits, largest_result=fitting, sealed=True)

    def completion(
        self, command: Completion, traits: Traits
    ) -> tuple[Completion, StoredResult]:
        """Seal the outcome of *command* for a store with *traits*.

        Gives the outcome in the clear as well, as far as the store can keep it.
        """
        kept = _fitting(command.result, traits.largest_result)
        return command._replace(result=self._sealed(command.identity, kept)), kept

    def settlement(
        self, command: Settlement, found: Claimed | None, traits: Traits
    ) -> Settlement:
        """Seal the outcome that an operator hands in, if there is one.

        *found* is the record as the store beneath has it. An outcome in it that
        cannot be opened is given up if the operator says so: that one and no other.

        Raises:
            SettlementRefused: it cannot be opened, and the operator does not.
        """
        in_place_of = self._given_up(command, found)
        result = command.result
        if result is not None:
            fitting = _fitting(result, traits.largest_result)
            result = self._sealed(command.identity, fitting)
        return replace(command, result=result, in_place_of=in_place_of)

    def _given_up(
        self, command: Settlement, found: Claimed | None
    ) -> StoredResult | None:
        if found is None or found.record.result is None or command.forgets:
            return None
        try:
            opened = self.opened(found.record).result
        except RecordUnreadable as error:
            if command.unreadable:
                return found.record.result
            raise SettlementRefused(
                f"{error} To give this outcome up for good, whatever it says, settle "
                "it as unreadable: --unreadable, or Settlement(unreadable=True)."
            ) from error
        is_meant = opened == command.in_place_of
        return found.record.result if is_meant else None

    def noted(self, command: Note) -> Note:
        """Seal the steps of *command*; the reference is for operators to read."""
        if not command.steps:
            return command
        # In the frame of an outcome that has no status.
        sealed = self._encrypted(command.identity, STEPS, 0, command.steps)
        return command._replace(steps=encode(sealed))

    def opened(self, record: Record) -> Record:
        """Give *record* with outcome and steps as they were before they were sealed.

        Raises:
            RecordUnreadable: they cannot be opened, belong to another key, or are
                not sealed.
        """
        if record.steps:
            steps = self._opened_steps(record.identity, record.steps)
            record = record._replace(steps=steps)
        result = record.result
        if result is None:
            return record
        return record._replace(result=self._opened(record.identity, result))

    def renewed(self, record: Record | None) -> Record | None:
        """Open the answer to a renewal."""
        return None if record is None else self.opened(record)

    def settled(self, record: Record) -> Record:
        """Open what an operator has settled, but for steps that nobody can open.

        It is settled all the same; whoever claims the key next is told of them.
        """
        try:
            return self.opened(record)
        except RecordUnreadable:
            if not record.steps:
                raise
        return self.opened(record._replace(steps=b""))

    def completed(
        self, record: Record | None, sealed: Completion, kept: StoredResult
    ) -> Record | None:
        """Open the answer to *sealed*.

        Where it is what was just made of *kept*, there is nothing to be opened.
        """
        if record is None:
            return None
        if record.result == sealed.result:
            return record._replace(result=kept)
        return self.opened(record)

    def claimed(self, claimed: Claimed) -> Claimed:
        """Open the record of a store's answer."""
        record = claimed.record
        if record.result is None and not record.steps:
            return claimed
        return Claimed(self.opened(record), claimed.now)

    def claimed_or_not(self, answer: Claimed | StoreError) -> Claimed | StoreError:
        """Open one answer of many, if there is one that can be opened."""
        if isinstance(answer, StoreError):
            return answer
        try:
            return self.claimed(answer)
        except RecordUnreadable as error:
            return error

    def found(self, found: Claimed | None) -> Claimed | None:
        """Open what a store found, if it found something."""
        return None if found is None else self.claimed(found)

    def findings(self) -> Sequence[Finding]:
        """Say which keys there are, and what else is taken."""
        ring = self._ring
        others = sorted(key_id for key_id in ring.keys if key_id != ring.current)
        opens = f" Older keys that open: {', '.join(others)}." if others else ""
        detail = f"Outcomes are sealed (AES-256-GCM) under the key {ring.current}."
        findings = [Finding(level="ok", subject="sealing", detail=detail + opens)]
        if self._until is not None:
            findings.append(self._about_plain(self._until))
        return findings

    def _about_plain(self, until: datetime) -> Finding:
        if self._accepts_plain():
            return Finding(
                level="warning",
                subject="sealing",
                detail=f"Outcomes that are not sealed are accepted until {until}: "
                "whoever can write to the store can forge one.",
                mend="Take accept_plain_until away when none is left.",
            )
        return Finding(
            level="ok",
            subject="sealing",
            detail=f"Outcomes that are not sealed were accepted until {until}.",
            mend="accept_plain_until can go.",
        )

    def _accepts_plain(self) -> bool:
        until = self._until
        return until is not None and datetime.fromtimestamp(self._clock(), UTC) < until

    def _sealed(self, identity: Identity, result: StoredResult) -> StoredResult:
        if result.sealed:
            raise StoreError("This outcome is sealed already: a store is sealed once.")
        return self._encrypted(identity, OUTCOME, result.status, encode(result))

    def _opened(self, identity: Identity, outer: StoredResult) -> StoredResult:
        frame = self._decrypted(identity, OUTCOME, outer)
        if frame is None:
            return outer
        result = decode(frame)
        if result.status != outer.status or result.sealed:
            raise broken(identity, OUTCOME, outer.sealed)
        return result

    def _opened_steps(self, identity: Identity, stored: bytes) -> bytes:
        try:
            outer = decode(stored)
        except RecordUnreadable:
            outer = _IN_THE_CLEAR
        steps = self._decrypted(identity, STEPS, outer)
        return stored if steps is None else steps

    def _encrypted(
        self, identity: Identity, what: str, status: int, data: bytes
    ) -> StoredResult:
        key_id, nonce = self._ring.current, self._nonce(NONCE)
        bound = bound_to(identity, key_id, what)
        ciphertext = self._ciphers.encrypt(key_id, nonce, data, bound)
        body = pack(Envelope(nonce, ciphertext))
        return StoredResult(status, (), body, size=len(body), sealed=key_id)

    def _decrypted(
        self, identity: Identity, what: str, outer: StoredResult
    ) -> bytes | None:
        """Give what *outer* is around; None: it is not sealed, and may be so."""
        key_id = outer.sealed
        if not key_id:
            if self._accepts_plain():
                return None
            raise not_sealed(identity, what)
        if key_id not in self._ring.keys:
            raise no_key(identity, what, key_id)
        envelope = unpack(outer.body)
        if envelope is None or outer.headers or not outer.kept:
            raise broken(identity, what, key_id)
        bound = bound_to(identity, key_id, what)
        data = self._ciphers.decrypt(key_id, *envelope, bound)
        if data is None:
            raise broken(identity, what, key_id)
        return data


def _ciphers(ring: KeyRing) -> Ciphers:
    try:
        from keyonce.stores.sealed.cipher import Ciphers  # noqa: PLC0415 - the extra
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] in {"", "keyonce"}:
            raise
        raise ConfigurationError(
            "A sealed store needs the package cryptography: "
            "pip install 'keyonce[crypto]'"
        ) from exc
    return Ciphers(ring.keys)


def _fitting(result: StoredResult, largest: int | None) -> StoredResult:
    """Give what a store that keeps bodies up to *largest* can keep of *result*.

    Inside an envelope the store cannot leave out what is too much.
    """
    if largest is None:
        return result
    headers = sum(len(name) + len(value) + 6 for name, value in result.headers)
    if len(result.body) > largest - OVERHEAD:
        result = replace(result, body=b"", kept=False)
    if headers > HEADERS and headers + len(result.body) > largest - OVERHEAD:
        result = replace(result, headers=(), body=b"", kept=False)
    return result
