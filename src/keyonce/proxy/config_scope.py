# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The ``[scope]`` table: whose key it is, by a header or by a verified claim."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import ConfigurationError
from keyonce.http.scope import (
    FunctionScope,
    HeaderScope,
    by_function,
    by_header,
    shared,
)
from keyonce.proxy.reading import flag, text, texts
from keyonce.proxy.wire import HOP_BY_HOP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyonce.http.scope import ScopeReader
    from keyonce.proxy.reading import Table

NONE: Final = "none"
_HOW: Final = (
    "Say whose key it is: --scope X-Api-Key (a header that is the same for one caller "
    "on every retry), [scope] jwt = 'sub' in the file, or --scope none if all callers "
    "may share their keys and answers."
)


def scope_from_flag(value: object, *, name: str) -> ScopeReader:
    """Read ``--scope``: the name of a header, or ``none``."""
    header = text(value, name=name)
    if header.lower() == NONE:
        return shared("all callers")
    _refuse_hop_by_hop(name, header)
    try:
        return by_header(header)
    except ConfigurationError as error:
        raise _refused(name, header, error) from error


def _refuse_hop_by_hop(place: str, header: str) -> None:
    if header.lower().encode() in HOP_BY_HOP:
        message = (
            f"{place}: {header} belongs to one connection and never reaches the "
            "upstream or [replay] authorize. Tell the scope by a header that does."
        )
        raise ConfigurationError(message)


def _refused(place: str, header: str, error: ConfigurationError) -> ConfigurationError:
    said = str(error).replace(
        "say rotating_ok=True.",
        f"write in keyonce.toml, under [scope]: header = {header!r} and "
        "rotating_ok = true.",
    )
    return ConfigurationError(f"{place}: {said}")


def scope_from_table(table: Table | None, *, missing_at: str) -> ScopeReader:
    """Read ``[scope]``; *missing_at* begins the message where there is none.

    Raises:
        ConfigurationError: no scope is chosen, or more than one, or it cannot work.
    """
    if table is None:
        raise ConfigurationError(f"{missing_at}: there is no scope. {_HOW}")
    header = table.take("header", text, None)
    hashed = table.take("hashed", flag, default=True)
    rotating_ok = table.take("rotating_ok", flag, default=False)
    claim = table.take("jwt", text, None)
    nobody = table.take(NONE, flag, default=False)
    options = {name: table.take(name, text, None) for name in _JWT_TEXTS}
    algorithms = table.take("algorithms", texts, ())
    table.refuse_others()
    if (header is not None) + (claim is not None) + nobody != 1:
        message = f"{table.place('header')}: choose one of header, jwt and none. {_HOW}"
        raise ConfigurationError(message)
    if nobody:
        return shared("all callers")
    if claim is not None:
        return by_function(_claim(table, claim, algorithms, options))
    return _header(table, header or "", hashed=hashed, rotating_ok=rotating_ok)


def headers_of(scope: ScopeReader) -> frozenset[bytes]:
    """Give the headers that *scope* is told by, lower-case."""
    match scope:
        case HeaderScope(name=name):
            return frozenset({name.lower().encode()})
        case FunctionScope(function=VerifiedClaim(header=name)):
            return frozenset({name})
        case _:
            return frozenset()


_JWT_TEXTS: Final = ("key", "key_file", "audience", "issuer", "token_header")


def _header(
    table: Table, header: str, *, hashed: bool, rotating_ok: bool
) -> ScopeReader:
    _refuse_hop_by_hop(table.place("header"), header)
    try:
        return by_header(header, hashed=hashed, rotating_ok=rotating_ok)
    except ConfigurationError as error:
        raise _refused(table.place("header"), header, error) from error


def _claim(
    table: Table,
    claim: str,
    algorithms: tuple[str, ...],
    options: Mapping[str, str | None],
) -> VerifiedClaim:
    place = table.place("jwt")
    if find_spec("jwt") is None:
        message = f"{place} needs PyJWT to verify tokens: pip install 'keyonce[jwt]'."
        raise ConfigurationError(message)
    if not algorithms:
        message = (
            f"{table.place('algorithms')} is missing: name what your tokens are "
            'signed with, as in ["RS256"]. A token may not choose for itself.'
        )
        raise ConfigurationError(message)
    if "none" in {name.lower() for name in algorithms}:
        message = f"{table.place('algorithms')}: 'none' verifies nothing."
        raise ConfigurationError(message)
    return VerifiedClaim(
        claim,
        key=_key(table, options["key"], options["key_file"]),
        algorithms=algorithms,
        audience=options["audience"],
        issuer=options["issuer"],
        header=(options["token_header"] or "authorization").lower().encode(),
    )


def _key(table: Table, key: str | None, file: str | None) -> str:
    if (key is None) == (file is None):
        message = (
            f"{table.place('key')}: a claim counts only when its token is verified. "
            "Give key (a PEM public key or the shared secret) or key_file, one of them."
        )
        raise ConfigurationError(message)
    if key is not None:
        return key
    try:
        return Path(file or "").read_text(encoding="utf-8")
    except OSError as error:
        message = f"{table.place('key_file')} cannot be read: {error.strerror}."
        raise ConfigurationError(message) from error


@dataclass(frozen=True, slots=True)
class VerifiedClaim:
    """Reads one claim of a bearer token whose signature and times are good."""

    claim: str
    key: str = field(repr=False)
    algorithms: tuple[str, ...]
    audience: str | None = None
    issuer: str | None = None
    header: bytes = b"authorization"

    def __call__(self, context: Mapping[str, Any]) -> str | None:
        """Give the claim, or None where there is no good token."""
        lines = [value for name, value in context["headers"] if name == self.header]
        if len(lines) != 1:
            return None
        kind, _, rest = lines[0].decode("latin-1").partition(" ")
        token = rest.strip() if kind.lower() == "bearer" else lines[0].decode("latin-1")
        return self._verified(token)

    def _verified(self, token: str) -> str | None:
        jwt = import_module("jwt")
        try:
            claims = jwt.decode(
                token,
                self.key,
                algorithms=list(self.algorithms),
                audience=self.audience,
                issuer=self.issuer,
                options={"require": [self.claim], "verify_aud": bool(self.audience)},
            )
        except jwt.PyJWTError:
            return None
        value = claims.get(self.claim)
        return str(value) if isinstance(value, str | int) and value != "" else None
