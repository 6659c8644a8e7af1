# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a Redis driver raises, in keyonce's words.

Errors are known by their names, so that a client of another package that speaks
like redis-py (valkey-py) is understood as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import (
    ConfigurationError,
    IdempotencyError,
    RecordUnreadable,
    StoreError,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from types import TracebackType

_LOOK: Final = "Look at the user and the password in the store's URL."

# The first word of what the server says, and what that means.
_SERVER_SAYS: Final = {
    "OOM": "its memory is full; give it more (maxmemory), or keep less for less long",
    "READONLY": "it is a replica, which takes no writes; name the primary",
    "LOADING": "it is still reading its data from disk",
    "BUSY": "another program's script keeps it busy",
    "MISCONF": "it cannot save to disk and takes no writes; look at its disk",
    "CLUSTERDOWN": "the cluster does not serve that key now",
    "MASTERDOWN": "its primary is gone",
    "NOREPLICAS": "too few replicas are there to write (min-replicas-to-write)",
    "TRYAGAIN": "the cluster is moving that key",
    "MAXCLIENTS": "it has no connection left",
}
_MENDS: Final = {
    "NOAUTH": f"The Redis server wants a password. {_LOOK}",
    "WRONGPASS": f"The Redis server refuses the password. {_LOOK}",
    "NOPERM": (
        "The Redis server does not let this user do that: allow it EVAL, EVALSHA, "
        "TIME, PEXPIRE and the commands of hashes and lists on keyonce's keys."
    ),
    "NODB": (
        "The Redis server has no database of that number: name another in the "
        "store's URL, or raise 'databases' in its configuration."
    ),
    "NOSCRIPT": "The Redis server takes no scripts: keyonce cannot work on it.",
}
_NO_CLUSTER: Final = (
    "The Redis server is no cluster: write 'redis://' (or 'rediss://') in the store's "
    "URL, without '+cluster'."
)
_NO_SENTINEL: Final = (
    "The Redis server is no sentinel: name the sentinels in the store's URL, or write "
    "'redis://' with the server itself."
)
# Whatever the reason, nothing is known: it may work again soon.
_UNAVAILABLE: Final = {
    "ConnectionError",
    "TimeoutError",
    "OSError",
    "RedisError",
    "ValkeyError",
    "RedisClusterException",
    "ValkeyClusterException",
}
_RAISED_BY_SCRIPT: Final = ("keyonce-unreadable", "WRONGTYPE")


def is_not_allowed(error: BaseException) -> bool:
    """Whether the server does not let this user do that."""
    return type(error).__name__ == "NoPermissionError" or str(error)[:6] == "NOPERM"


def is_answer(error: BaseException) -> bool:
    """Whether the server has spoken, if only to refuse."""
    return "ResponseError" in _names_of(error)


def is_noscript(error: object) -> bool:
    """Whether the server has forgotten a script."""
    return type(error).__name__ == "NoScriptError"


class Translated:
    """Turns a driver's errors into keyonce's; see `translated`."""

    __slots__ = ()

    def __enter__(self) -> None:
        """Do nothing yet."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Translate *error*, if it is a driver's."""
        if error is None or isinstance(error, IdempotencyError):
            return
        if isinstance(error, UnicodeEncodeError):
            message = "A key, operation or scope is no text that UTF-8 can hold."
            raise StoreError(message) from error
        if isinstance(error, Exception) and _names_of(error) & _UNAVAILABLE:
            raise meaning_of(error) from error


_TRANSLATED: Final = Translated()


def translated() -> Translated:
    """Translate what a driver raises inside the `with` block."""
    return _TRANSLATED


def readable(answer: Any) -> Any:
    """Give one of many answers, or the RecordUnreadable that it is.

    Raises:
        IdempotencyError: it is any other failure, which is that of all.
    """
    if not isinstance(answer, Exception):
        return answer
    meaning = meaning_of(answer)
    if isinstance(meaning, RecordUnreadable):
        return meaning
    raise meaning from answer


def meaning_of(error: Exception) -> IdempotencyError:
    """Say what *error* means and what to do."""
    text = str(error)
    if any(word in text for word in _RAISED_BY_SCRIPT):
        return RecordUnreadable(
            "A record cannot be read: it is torn, was changed by another program, or "
            "is from a newer keyonce. Nothing was run. 'keyonce keys list' shows it "
            "as unknown; resolve or release it."
        )
    names = _names_of(error)
    if "Cluster mode is not enabled" in text:
        return ConfigurationError(_NO_CLUSTER)
    if "SENTINEL" in text and "unknown command" in text:
        return ConfigurationError(_NO_SENTINEL)
    word = _first_word(error, text)
    if word in _MENDS:
        return ConfigurationError(_MENDS[word])
    if word in _SERVER_SAYS:
        return _refused(_SERVER_SAYS[word])
    if "TimeoutError" in names:
        return _unavailable("no answer came in time")
    if "ResponseError" in names:
        return _refused(text.rstrip("."))
    return _unavailable(f"it cannot be reached ({text})")


def _refused(meaning: str) -> StoreUnavailable:
    return StoreUnavailable(f"The Redis server refused: {meaning}.")


def _unavailable(meaning: str) -> StoreUnavailable:
    return StoreUnavailable(f"The Redis server did not answer: {meaning}.")


def _names_of(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


_NO_LOGIN: Final = ("NOAUTH", "Authentication required", "already authenticated")
_WITHIN_A_SCRIPT: Final = re.compile(r" -([A-Z]+) ")

# Drivers cut the first word off where it chose the class.
_CUT: Final = {
    "AuthenticationError": "WRONGPASS",
    "AuthenticationWrongNumberOfArgsError": "WRONGPASS",
    "NoPermissionError": "NOPERM",
    "NoScriptError": "NOSCRIPT",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "BusyLoadingError": "LOADING",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "TryAgainError": "TRYAGAIN",
    "MaxConnectionsError": "POOL",
}


def _first_word(error: Exception, text: str) -> str:
    if any(sign in text for sign in _NO_LOGIN):
        return "NOAUTH"
    if "max number of clients" in text:
        return "MAXCLIENTS"
    if "DB index is out of range" in text:
        return "NODB"
    cut = _CUT.get(type(error).__name__)
    if cut is not None:
        return cut
    within = _WITHIN_A_SCRIPT.search(text)  # as servers before Redis 7 tell it
    return within[1] if within else text.partition(" ")[0]
