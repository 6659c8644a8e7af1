# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What `doctor` looks at in a DynamoDB table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyonce.core.model import Finding
from keyonce.stores.dynamodb.calls import Call, Refusal
from keyonce.stores.dynamodb.drift import drift_of
from keyonce.stores.dynamodb.operators import INDEX
from keyonce.stores.dynamodb.table import TTL
from keyonce.stores.dynamodb.translate import no_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.stores.dynamodb.calls import Answer, Procedure

_TABLE: Final = frozenset({Refusal.NO_TABLE, Refusal.DENIED})
_SETTING: Final = _TABLE | {Refusal.UNSUPPORTED}
_KEYS: Final = [("id", "HASH", "S"), ("part", "RANGE", "S")]


def examine(
    table: str, clock: Callable[[], float], margin: float
) -> Procedure[list[Finding]]:
    """Look at the settings that the promises rest on."""
    sent_at = clock()
    answer = yield Call("describe_table", {"TableName": table}, _TABLE)
    clocks = _clock(answer.response, sent_at, clock(), margin)
    if answer.refusal is Refusal.NO_TABLE:
        return [Finding("error", "table", no_table(table)), clocks]
    if answer.refusal is not None:
        return [_unseen("table", "dynamodb:DescribeTable"), clocks]
    described = answer.response["Table"]
    found = [_state(described), _schema(described), _index(described)]
    found += [_regions(described), clocks]
    live = yield Call("describe_time_to_live", {"TableName": table}, _SETTING)
    backups = yield Call("describe_continuous_backups", {"TableName": table}, _SETTING)
    return [*found, _expiry(live), _recovery(backups)]


def _unseen(subject: str, permission: str) -> Finding:
    return Finding(
        "warning", subject, "These credentials may not look.", f"Allow {permission}."
    )


def _state(described: dict[str, Any]) -> Finding:
    state = described.get("TableStatus", "")
    if state in ("ACTIVE", "UPDATING"):
        return Finding("ok", "table", f"{described.get('TableName')}, {state.lower()}")
    detail = f"The table is {state.lower() or 'in no known state'}."
    return Finding("error", "table", detail, "Wait until it is active.")


def _schema(described: dict[str, Any]) -> Finding:
    types = {
        each["AttributeName"]: each["AttributeType"]
        for each in described.get("AttributeDefinitions", [])
    }
    keys = [
        (each["AttributeName"], each["KeyType"], types.get(each["AttributeName"]))
        for each in described.get("KeySchema", [])
    ]
    if keys == _KEYS:
        return Finding("ok", "key schema", "id and part")
    detail = "The table has another primary key than keyonce writes."
    mend = "Name another table, and make it from the table.json of keyonce."
    return Finding("error", "key schema", detail, mend)


def _index(described: dict[str, Any]) -> Finding:
    indexes = described.get("GlobalSecondaryIndexes") or []
    if any(each.get("IndexName") == INDEX for each in indexes):
        return Finding("ok", "index", "open records are found by index")
    detail = "There is no index of open records: finding them reads the whole table."
    return Finding("warning", "index", detail, "Add the index 'open' of table.json.")


def _regions(described: dict[str, Any]) -> Finding:
    replicas = described.get("Replicas") or []
    if not replicas:
        return Finding("ok", "regions", "one")
    count = len(replicas) + 1
    kind = str(described.get("MultiRegionConsistency") or "EVENTUAL").lower()
    return Finding(
        "warning",
        "regions",
        f"A global table with {kind} consistency, in about {count} Regions: a key "
        "that is claimed in two of them at once may run in both.",
        "Send all traffic of one key to one Region, or use a table of one Region.",
    )


def _clock(
    response: dict[str, Any], sent_at: float, received_at: float, margin: float
) -> Finding:
    drift = drift_of(response, sent_at, received_at)
    if drift is None:
        detail = "unchecked: the server told no time"
        return Finding("warning", "clock", detail, "Keep this clock by NTP.")
    if abs(drift) <= margin / 2:
        detail = f"with the server's; the declared margin is {margin:g} s"
        return Finding("ok", "clock", detail)
    where = "ahead of" if drift > 0 else "behind"
    detail = (
        f"This clock is at least {abs(drift):.1f} s {where} DynamoDB's: more than "
        f"half of the declared skew of {margin:g} s."
    )
    mend = "Set the clock and keep it by NTP, or declare a larger 'skew'."
    return Finding("error", "clock", detail, mend)


def _expiry(answer: Answer) -> Finding:
    if answer.refusal is Refusal.DENIED:
        return _unseen("expiry", "dynamodb:DescribeTimeToLive")
    described = answer.response.get("TimeToLiveDescription") or {}
    enabled = described.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    if enabled and described.get("AttributeName") == TTL:
        return Finding("ok", "expiry", "DynamoDB removes what has expired")
    detail = "DynamoDB removes nothing: what has expired stays until it is purged."
    mend = f"Switch time to live on for the attribute {TTL!r}, or run 'keyonce purge'."
    return Finding("warning", "expiry", detail, mend)


def _recovery(answer: Answer) -> Finding:
    if answer.refusal is Refusal.DENIED:
        return _unseen("recovery", "dynamodb:DescribeContinuousBackups")
    if answer.refusal is not None:
        return Finding("ok", "recovery", "this server has no point-in-time recovery")
    backups = answer.response.get("ContinuousBackupsDescription") or {}
    recovery = backups.get("PointInTimeRecoveryDescription") or {}
    enabled = recovery.get("PointInTimeRecoveryStatus") == "ENABLED"
    detail = "point-in-time recovery is " + ("on" if enabled else "off")
    return Finding("ok", "recovery", f"{detail}; a restored table forgets later keys")
