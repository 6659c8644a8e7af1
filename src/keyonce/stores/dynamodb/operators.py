# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What operators ask: listings, audits, counts, purging; page by page, and slow.

DynamoDB keeps no order but that of a hash, so what is not asked for by its whole
identity is found by reading the table. Only open records have an index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyonce.core import transitions
from keyonce.core.errors import RecordUnreadable
from keyonce.core.model import Identity, StoreStats
from keyonce.core.states import Status
from keyonce.stores.dynamodb.calls import (
    Call,
    Refusal,
    conditions,
    delete,
    get,
    put,
    with_values,
)
from keyonce.stores.dynamodb.items import (
    AUDIT,
    OPEN,
    OUTLINE,
    RECORD,
    audit_id,
    audit_of_item,
    item_of,
    key_of,
    listing_of,
    number,
    outline_of,
    shards,
    text,
    unchanged,
)
from keyonce.stores.shell import counted_as, has_expired, listed, stored_as

if TYPE_CHECKING:
    from keyonce.core.model import AuditRow, Query, Record
    from keyonce.stores.dynamodb.calls import Item, Procedure, Where
    from keyonce.stores.dynamodb.procedures import Instant

INDEX: Final = "open"
_BATCH: Final = 100  # what BatchGetItem takes at once
_DENIED: Final = frozenset({Refusal.DENIED})
# Some servers speak of a missing index as of a missing table; a scan will tell.
_NO_INDEX: Final = frozenset({Refusal.NO_INDEX, Refusal.NO_TABLE})


def records(table: str, query: Query, at: Instant) -> Procedure[list[Record]]:
    """List records in the order of their identities."""
    if None not in (query.scope, query.operation, query.key):
        return (yield from _one(table, query, at))
    statuses = stored_as(query.status)
    if OPEN.issuperset(statuses):
        chosen = yield from _open(table, query, at)
        if chosen is not None:
            return chosen
    chosen, start = [], None
    where = _asked(query, statuses)
    while True:
        answer = yield _scan(table, where, start)
        chosen = _first(chosen, answer.items, query, at)
        start = answer.next_key
        if start is None:
            return chosen


def _one(table: str, query: Query, at: Instant) -> Procedure[list[Record]]:
    identity = Identity(query.scope or "", query.operation or "", query.key or "")
    item = (yield get(table, key_of(identity))).item
    return _first([], [] if item is None else [item], query, at)


def _open(table: str, query: Query, at: Instant) -> Procedure[list[Record] | None]:
    """Ask the index, whose entries may be a moment late; None when there is none."""
    chosen: list[Record] = []
    for shard in shards():
        start = None
        while True:
            answer = yield _index(table, {"open": [shard]}, start)
            if answer.refusal is not None:
                return None
            for place in range(0, len(answer.items), _BATCH):
                keys = answer.items[place : place + _BATCH]
                items = yield from _batch(table, keys)
                chosen = _first(chosen, items, query, at)
            start = answer.next_key
            if start is None:
                break
    return chosen


def _batch(table: str, keys: list[Item]) -> Procedure[list[Item]]:
    """Read the items themselves, as they are now."""
    names, projection = _outline()
    wanted: list[Item] = [{"id": key["id"], "part": key["part"]} for key in keys]
    items: list[Item] = []
    while wanted:
        request = {
            "Keys": wanted,
            "ConsistentRead": True,
            "ProjectionExpression": projection,
            "ExpressionAttributeNames": names,
        }
        answer = yield Call("batch_get_item", {"RequestItems": {table: request}})
        items += answer.response["Responses"].get(table, [])
        left = answer.response.get("UnprocessedKeys") or {}
        wanted = left.get(table, {}).get("Keys", [])
    return items


def _first(
    chosen: list[Record], items: list[Item], query: Query, at: Instant
) -> list[Record]:
    """Keep the first of what was chosen and what *items* add."""
    more = listed(map(listing_of, items), query, at.early)
    both = sorted([*chosen, *more], key=lambda record: record.identity)
    return both[: query.limit]


def _asked(query: Query, statuses: tuple[Status, ...]) -> Where:
    where: dict[str, list[Any]] = {"part": [text(RECORD)]}
    for name in Identity._fields:
        if (value := getattr(query, name)) is not None:
            where[name] = [text(value)]
    if len(statuses) < len(Status):
        where["status"] = [number(status.value) for status in statuses]
    return where


def audits(table: str, identity: Identity | None) -> Procedure[list[AuditRow]]:
    """List operator actions, newest first."""
    found: list[Item] = []
    start = None
    while True:
        answer = yield _audits(table, identity, start)
        found += answer.items
        start = answer.next_key
        if start is None:
            break
    found.sort(key=lambda item: item["part"]["S"], reverse=True)
    return [audit_of_item(item) for item in found]


def _audits(table: str, identity: Identity | None, start: Item | None) -> Call:
    if identity is not None:
        return _query(table, {"id": [audit_id(identity)]}, start)
    parameters = {
        "TableName": table,
        "ConsistentRead": True,
        "FilterExpression": "begins_with(#id, :audit)",
        "ExpressionAttributeNames": {"#id": "id"},
        "ExpressionAttributeValues": {":audit": text(f"{AUDIT}:")},
    }
    return Call("scan", _from(start, parameters))


def stats(table: str, at: Instant) -> Procedure[StoreStats]:
    """Count by status, by reading the table."""
    counts: dict[Status, int] = {}
    oldest: dict[Status, float] = {}
    expired = 0
    start = None
    while True:
        answer = yield _scan(table, {"part": [text(RECORD)]}, start)
        for record in map(listing_of, answer.items):
            status = counted_as(record, at.early)
            expired += has_expired(record, at.early)
            counts[status] = counts.get(status, 0) + 1
            oldest[status] = min(oldest.get(status, at.now), record.claimed_at)
        start = answer.next_key
        if start is None:
            break
    items, index = yield from _sizes(table)
    return StoreStats(
        counts,
        oldest,
        None if items is None else items + (index or 0),
        at.now,
        expired=expired,
        record_bytes=items,
        index_bytes=index,
    )


def _sizes(table: str) -> Procedure[tuple[int | None, int | None]]:
    """Ask what items and index occupy, which DynamoDB measures every six hours."""
    answer = yield Call("describe_table", {"TableName": table}, _DENIED)
    if answer.refusal is not None:
        return None, None
    told = answer.response["Table"]
    items = told.get("TableSizeBytes") or None
    indexes = told.get("GlobalSecondaryIndexes", ())
    index = sum(each.get("IndexSizeBytes", 0) for each in indexes)
    return items, None if items is None else index


def purge(
    table: str, limit: int, start: Item | None, at: Instant
) -> Procedure[tuple[int, Item | None]]:
    """Remove what expired; give how many, and where the next step goes on.

    With DynamoDB's own expiry switched on there is little left to do, but for
    tombstones: an outcome whose late retries are refused sheds its body here.
    """
    purged = 0
    while True:
        answer = yield _due(table, start, at)
        for item in answer.items:
            purged += yield from _purge_one(table, item, at)
            if purged == limit:
                return purged, {"id": item["id"], "part": item["part"]}
        start = answer.next_key
        if start is None:
            return purged, None


def _due(table: str, start: Item | None, at: Instant) -> Call:
    names, projection = _outline()
    parameters = {
        "TableName": table,
        "ConsistentRead": True,
        "FilterExpression": "#part = :record AND #expires_at <= :early",
        "ProjectionExpression": projection,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {
            ":record": text(RECORD),
            ":early": number(at.early),
        },
    }
    return Call("scan", _from(start, parameters))


def _purge_one(table: str, item: Item, at: Instant) -> Procedure[int]:
    try:
        left = transitions.purge(outline_of(item), at.early)
    except RecordUnreadable:
        return 0  # an operator has to look at it
    key = {"id": item["id"], "part": item["part"]}
    if left is None:
        answer = yield delete(table, key, unchanged(item))
    else:
        answer = yield put(table, item_of(left), unchanged(item))
    return int(answer.refusal is None)


def _scan(table: str, where: Where, start: Item | None) -> Call:
    filters, names, values = conditions(where)
    outline, projection = _outline()
    parameters = {
        "TableName": table,
        "ConsistentRead": True,
        "FilterExpression": filters,
        "ProjectionExpression": projection,
        "ExpressionAttributeNames": names | outline,
    }
    return Call("scan", _from(start, with_values(parameters, values)))


def _query(table: str, where: Where, start: Item | None) -> Call:
    keys, names, values = conditions(where)
    parameters = {
        "TableName": table,
        "ConsistentRead": True,
        "KeyConditionExpression": keys,
        "ExpressionAttributeNames": names,
    }
    return Call("query", _from(start, with_values(parameters, values)))


def _index(table: str, where: Where, start: Item | None) -> Call:
    """Query the index of open records; it cannot be read consistently."""
    call = _query(table, where, start)
    parameters = call.parameters | {"IndexName": INDEX, "ConsistentRead": False}
    return call._replace(parameters=parameters, expects=_NO_INDEX)


def _outline() -> tuple[dict[str, str], str]:
    names = {f"#{name}": name for name in OUTLINE}
    return names, ", ".join(names)


def _from(start: Item | None, parameters: dict[str, Any]) -> dict[str, Any]:
    if start is not None:
        parameters["ExclusiveStartKey"] = start
    return parameters
