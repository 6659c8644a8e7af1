# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the drivers raise, in keyonce's words, and whether to try again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyonce.core.errors import ConfigurationError, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from keyonce.core.errors import IdempotencyError

CONFLICTS: Final = {
    1213,  # deadlock: the transaction is rolled back
    1020,  # the record changed under a snapshot: the same
}
LOST: Final = {0, 1053, 1927, 2006, 2013, 2014, 2055}
LOCK_WAIT: Final = 1205
LOCKED: Final = 3572  # what MySQL says in its place to who would not wait

TRIES: Final = 10
FRESH_TRIES: Final = 3

_MEANING: Final = {
    1020: "other transactions changed the record again and again",
    1021: "the disk of the server is full; make room and try again",
    1040: "it has too many connections; raise max_connections or lower pool sizes",
    1044: "it refuses this user; GRANT it the database",
    1045: "it refuses this user or its password; look at the URL",
    1046: "no database is chosen; name one in the URL",
    1049: "there is no such database; make it, or name another in the URL",
    1054: "a column is missing: the schema is of another version of keyonce",
    1114: "the table is full; make room and try again",
    1129: "it has blocked this host after many errors; FLUSH HOSTS",
    1130: "it lets nobody in from this host; look at the user's host",
    1142: "it refuses this user something; GRANT what the message names",
    1146: "a table is missing; restore it, or drop keyonce_schema to begin anew",
    1153: "the outcome is larger than its max_allowed_packet; raise that",
    1205: "another transaction holds a lock for too long",
    1213: "it broke off one of several transactions again and again",
    1227: "it refuses this user something; GRANT what the message names",
    1251: "it wants a login that the driver does not know",
    1290: "it is read-only; name the primary in the URL",
    1665: "binlog_format is STATEMENT; set it to ROW or MIXED",
    1698: "it refuses this user or its password; look at the URL",
    1792: "it is in a read-only transaction; name the primary in the URL",
    1836: "it is read-only; name the primary in the URL",
    2002: "nothing listens there; start it, or look at the URL",
    2003: "nothing listens there; start it, or look at the URL",
    2006: "the connection was lost",
    2013: "the connection was lost, or it took too long",
    2059: "it wants a login that the driver does not know",
}
# What no second try and no waiting will mend.
_SETTINGS: Final = {1044, 1045, 1046, 1049, 1054, 1130, 1142, 1146, 1227, 1251, 1698}
_RIGHTS: Final = {1142, 1227}
_SETTINGS_AT_START: Final = {*_SETTINGS, 1290, 1792, 1836, 2059}

# What a user needs for the verbs.
GRANTS: Final = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON keyonce_records; "
    "GRANT SELECT, INSERT, UPDATE, DELETE ON keyonce_renewals; "
    "GRANT SELECT, INSERT ON keyonce_audits; "
    "GRANT SELECT ON keyonce_schema"
)


def code_of(error: BaseException) -> int | None:
    """Give the error number of the server or the driver, if there is one.

    SQLAlchemy's errors hold the driver's.
    """
    error = getattr(error, "orig", None) or error
    first = error.args[0] if error.args else None
    return first if isinstance(first, int) else None


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, so that nothing is known."""
    return isinstance(error, OSError | EOFError) or code_of(error) in LOST


def may_repeat(error: BaseException, tries: int, *, fresh: bool, whole: bool) -> bool:
    """Say whether the same command may be sent again after *tries*.

    A connection that was *fresh* when it broke will not get better by another.
    A *whole* transaction is not repeated where its commit may have happened.
    """
    if code_of(error) in CONFLICTS:
        return tries < TRIES
    return is_lost(error) and not fresh and not whole and tries < FRESH_TRIES


def unavailable(error: BaseException) -> StoreError:
    """Say what *error* means and what to do."""
    if isinstance(error, UnicodeEncodeError):
        return StoreError("A key, operation or scope is no text that UTF-8 can hold.")
    code = code_of(error)
    meaning = "the connection was lost" if is_lost(error) else "it failed"
    meaning = _MEANING.get(code or 0, meaning)
    return StoreUnavailable(f"The MySQL server did not answer: {meaning} ({error}).")


def refused(error: BaseException, place: str) -> IdempotencyError:
    """Say what *error* means while the store is opened."""
    if isinstance(error, RuntimeError):
        return ConfigurationError(
            f"The MySQL driver cannot log in to {place}: {error}."
        )
    code = code_of(error)
    if code not in _SETTINGS_AT_START:
        return unavailable(error)
    meaning = _MEANING[code]
    if code in _RIGHTS:
        meaning += (
            ". Tables are made and changed by 'keyonce migrate', run as a user who "
            f"may; this one needs: {GRANTS}"
        )
    return ConfigurationError(
        f"The MySQL database {place} cannot be used: {meaning} ({error})."
    )
