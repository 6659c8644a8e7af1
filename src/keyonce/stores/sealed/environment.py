# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The key ring as an operator gives it: in the environment, or in a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import ConfigurationError
from keyonce.stores.sealed.ring import KeyRing

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS: Final = "KEYONCE_SEAL_KEYS"
FILE: Final = "KEYONCE_SEAL_KEYS_FILE"
UNTIL: Final = "KEYONCE_SEAL_ACCEPT_PLAIN_UNTIL"


@dataclass(frozen=True, slots=True)
class Settings:
    """A key ring, and until when outcomes that are not sealed are taken as well."""

    ring: KeyRing
    accept_plain_until: datetime | None


def names_keys(environ: Mapping[str, str]) -> bool:
    """Whether *environ* says where the keys are."""
    return bool(environ.get(KEYS) or environ.get(FILE))


def settings_in(environ: Mapping[str, str]) -> Settings:
    """Read what *environ* says about sealing.

    Raises:
        ConfigurationError: it names no key, or not properly; never tells one.
    """
    return Settings(_ring(environ), _until(environ.get(UNTIL, "")))


def _ring(environ: Mapping[str, str]) -> KeyRing:
    text, file = environ.get(KEYS, ""), environ.get(FILE, "")
    if text and file:
        raise ConfigurationError(
            f"Both {KEYS} and {FILE} are set: leave the keys in one place."
        )
    if text:
        return KeyRing.read(text, where=KEYS)
    if file:
        return KeyRing.read(_content(Path(file)), where=file)
    raise ConfigurationError(
        f"A sealed store needs its keys: set {KEYS}='id:key', or {FILE} to a file "
        "with one key on a line. 'keyonce seal-key' makes a key."
    )


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "it is no text"
        raise ConfigurationError(f"{FILE}: {path} cannot be read: {reason}.") from exc


def _until(text: str) -> datetime | None:
    if not text:
        return None
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        until = None
    if until is None or until.tzinfo is None:
        raise ConfigurationError(
            f"{UNTIL} is {text!r}: write an instant with its time zone, such as "
            "'2026-12-01T00:00:00Z'."
        )
    return until
