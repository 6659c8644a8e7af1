# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What botocore raises, in keyonce's words."""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from keyonce.core.errors import StoreUnavailable
from keyonce.stores.dynamodb.calls import Refusal

FAILURES: Final = (BotoCoreError, ClientError)

_NO_CREDENTIALS: Final = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
)

# Trying again soon may help: nothing was done, or our token recognises what was.
_PASSING: Final = frozenset(
    {
        "ProvisionedThroughputExceeded",  # as a reason in a transaction
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingError",
        "ThrottlingException",
        "InternalServerError",
        "InternalFailure",
        "ServiceUnavailable",
        "ReplicatedWriteConflictException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_DENIED: Final = frozenset(
    {"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"}
)
_STRANGERS: Final = frozenset(
    {
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "IncompleteSignature",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
    }
)
_EXPIRED: Final = frozenset({"ExpiredTokenException", "ExpiredToken"})
_SERVER_ERROR: Final = 500


def refusal_of(error: Exception) -> Refusal | None:
    """Say which of the planned refusals *error* is, if it is one."""
    code, message = _code(error), _message(error)
    if code == "TransactionCanceledException":
        return _refusal_in(_reasons(error))
    if code == "ConditionalCheckFailedException":
        return Refusal.CONDITION
    if code == "ResourceNotFoundException":
        return Refusal.NO_TABLE
    if code in _DENIED:
        return Refusal.DENIED
    if code in ("UnknownOperationException", "UnsupportedOperationException"):
        return Refusal.UNSUPPORTED
    if code == "ValidationException":
        return _invalid(message)
    return None


def _invalid(message: str) -> Refusal | None:
    if "maximum allowed size" in message:
        return Refusal.TOO_LARGE
    if "index" in message.lower():
        return Refusal.NO_INDEX
    return None


def _refusal_in(reasons: list[dict[str, Any]]) -> Refusal | None:
    codes = {reason.get("Code") for reason in reasons}
    if "ConditionalCheckFailed" in codes:
        return Refusal.CONDITION
    if any(_invalid(reason.get("Message") or "") for reason in reasons):
        return Refusal.TOO_LARGE
    return None


def is_passing(error: Exception) -> bool:
    """Whether trying again soon may help."""
    if isinstance(error, ClientError):
        if _code(error) == "TransactionCanceledException":
            codes = {each.get("Code") for each in _reasons(error)} - {"None", None}
            return bool(codes) and codes <= _PASSING
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _code(error) in _PASSING or status >= _SERVER_ERROR
    return isinstance(error, BotoConnectionError | HTTPClientError)


def unavailable(error: Exception, table: str) -> StoreUnavailable:
    """Say what *error* means and what to do."""
    return StoreUnavailable(f"DynamoDB did not serve: {_meaning(error, table)}")


def _meaning(error: Exception, table: str) -> str:
    code = _code(error)
    if code == "ResourceNotFoundException":
        return no_table(table)
    if isinstance(error, _NO_CREDENTIALS):
        return (
            "there are no credentials. Set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, name an AWS_PROFILE, or hand in a client."
        )
    if code in _EXPIRED:
        return f"the credentials have expired; get new ones ({code})."
    if code in _STRANGERS:
        return f"it does not know these credentials ({code}); look at key and region."
    if code in _DENIED:
        return f"these credentials may not do that: {_message(error)}"
    if is_passing(error):
        return f"it was busy or gone for too long ({code or error})."
    return f"{code or type(error).__name__}: {_message(error) or error}"


def no_table(table: str) -> str:
    """Say that there is no such table, and how to make it."""
    return (
        f"there is no table {table!r} in that region. Make it with 'keyonce migrate' "
        "or keyonce.stores.dynamodb.create_table(client, name); or look at the region "
        "and the name."
    )


def _code(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return ""


def _message(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Message", ""))
    return ""


def _reasons(error: Exception) -> list[dict[str, Any]]:
    if isinstance(error, ClientError):
        return list(error.response.get("CancellationReasons") or [])
    return []
