# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What PostgreSQL and its drivers raise, in keyonce's words.

Drivers name an error by its SQLSTATE, which every server version keeps.
"""

from __future__ import annotations

from typing import Final

from keyonce.core.errors import ConfigurationError, StoreError, StoreUnavailable

_MEANING: Final = {
    "25006": "it cannot be written: it is a replica, or set to be read only. "
    "Name the primary",
    "42P01": "keyonce's tables are missing. Open the store anew, and it makes them",
    "42703": "keyonce's tables are of an older version. Open the store anew, and it "
    "brings them up to date",
    "42501": "this role may not do that. GRANT SELECT, INSERT, UPDATE, DELETE on "
    "keyonce's tables",
    "53100": "its disk is full; make room and try again",
    "53200": "it is out of memory",
    "53300": "it has too many connections; raise max_connections, use a pooler, or "
    "take a smaller pool",
    "55P03": "another transaction holds keyonce's tables for too long; try again when "
    "it has ended",
    "57014": "the statement was cancelled, or took longer than statement_timeout",
    "57P01": "it is shutting down",
    "57P03": "it is starting up",
    "40001": "transactions got into each other's way for too long",
    "40P01": "transactions waited for each other for too long",
}
_REFUSED: Final = {
    "22": "a value is no text that PostgreSQL can keep",
    "54": "a value is larger than PostgreSQL keeps",
}

# The server has rolled back: nothing was done. 23514 is a partition that went away
# under the hands: next time its outcome stays with the record.
_UNDONE: Final = {"40001", "40P01", "55P03", "23514"}
# It may be different in a moment; whether it was done is not known.
_PASSING: Final = {"53300", "57014", "57P01", "57P02", "57P03", "57P05", "25P03"}
# Statements prepared in a session that a pooler has given to somebody else.
UNPREPARED: Final = {"26000", "42P05", "08P01"}
# The connection leads to a server that will not do: open another.
STRANDED: Final = {"25006", "57P01", "57P02", "57P03", "57P05"}

# What the driver itself raises, before or instead of an answer.
_LOST: Final = {"OperationalError", "InterfaceError", "OSError", "IncompleteReadError"}
_DATA: Final = {"DataError"}

_SETTINGS: Final = {
    "password authentication failed": "Look at the user and the password in the URL.",
    "no password supplied": "Write the password into the URL, or into ~/.pgpass.",
    "no pg_hba.conf entry": "Let this machine and user in by the server's pg_hba.conf.",
    "does not exist": "Make it, or name another in the URL.",
    "could not translate host name": "Look at the host in the URL.",
    "permission denied for database": "GRANT CONNECT on the database to this role.",
    "unsupported startup parameter": "Take it out of the URL, or let the pooler "
    "ignore it by ignore_startup_parameters.",
}

# What a role needs for the verbs, on tables that another owns.
GRANTS: Final = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON keyonce_records, keyonce_renewals; "
    "GRANT SELECT, INSERT ON keyonce_outcomes, keyonce_audits; "
    "GRANT SELECT ON keyonce_schema"
)


def sqlstate_of(error: BaseException | None) -> str:
    """Give the five characters of *error*, or of what it wraps, or none."""
    inner = getattr(error, "orig", None)  # of SQLAlchemy
    return getattr(error, "sqlstate", None) or getattr(inner, "sqlstate", None) or ""


def is_undone(error: BaseException) -> bool:
    """Whether the server has certainly rolled back."""
    return sqlstate_of(error) in _UNDONE


def is_passing(error: BaseException) -> bool:
    """Whether trying again soon may help: a lost connection, a restart."""
    state = sqlstate_of(error)
    if not state:
        return _is_called(error, _LOST) and not _is_called(error, _DATA)
    return state in _PASSING or state in UNPREPARED or state.startswith("08")


def _is_called(error: BaseException, names: set[str]) -> bool:
    """Whether *error* is of such a class: both drivers have them by these names."""
    return any(kind.__name__ in names for kind in type(error).__mro__)


def translation_of(error: BaseException) -> StoreError:
    """Say what *error* means and what to do."""
    state = sqlstate_of(error)
    if state[:2] in _REFUSED:
        return StoreError(f"This cannot be stored: {_REFUSED[state[:2]]} ({state}).")
    if _is_called(error, _DATA):
        return StoreError(f"This cannot be stored: {error}.")
    meaning = _MEANING.get(state)
    if meaning is None:
        did = "refused" if state else "did not answer"
        return StoreUnavailable(f"PostgreSQL {did}: {_text_of(error)}")
    return StoreUnavailable(f"PostgreSQL refused: {meaning} ({state}).")


def _text_of(error: BaseException) -> str:
    """Give what was said, without the piece of our SQL that the server adds."""
    text = str(error).partition("\nLINE ")[0].strip()
    return text or type(error).__name__


def refusal_of(error: BaseException) -> ConfigurationError | StoreError:
    """Say what *error* means when the store is opened."""
    text = _text_of(error)
    for words, mend in _SETTINGS.items():
        if words in text and not sqlstate_of(error):
            said = text.rstrip(".")
            return ConfigurationError(f"PostgreSQL refused the store: {said}. {mend}")
    if sqlstate_of(error) in {"42501", "3F000"}:
        return ConfigurationError(
            f"PostgreSQL refused keyonce's tables: {text}. Run 'keyonce migrate' as a "
            "role that may make them (GRANT USAGE, CREATE ON SCHEMA public) and owns "
            f"them. This role needs: {GRANTS}."
        )
    return translation_of(error)
