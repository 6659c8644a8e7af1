# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""AES-256-GCM, from the package cryptography."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Mapping


class Ciphers:
    """One cipher for each key, by the id of the key."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Make ready *keys* of 32 bytes."""
        self._by_id = {key_id: AESGCM(key) for key_id, key in keys.items()}

    def encrypt(self, key_id: str, nonce: bytes, data: bytes, bound: bytes) -> bytes:
        """Encrypt *data*; the tag covers *bound* as well."""
        return self._by_id[key_id].encrypt(nonce, data, bound)

    def decrypt(
        self, key_id: str, nonce: bytes, data: bytes, bound: bytes
    ) -> bytes | None:
        """Decrypt *data*; None when it was not made so, of this and no other."""
        try:
            return self._by_id[key_id].decrypt(nonce, data, bound)
        except InvalidTag:
            return None
