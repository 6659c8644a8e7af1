# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a procedure asks of DynamoDB, and what it may be told."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

R = TypeVar("R")

Value = dict[str, Any]
Item = dict[str, Value]

# Which values an attribute may have; none of them: it must not be there.
Where = Mapping[str, "Sequence[Value]"]


class Refusal(Enum):
    """A "no" that a procedure planned for."""

    CONDITION = auto()
    TOO_LARGE = auto()
    NO_INDEX = auto()
    NO_TABLE = auto()
    DENIED = auto()
    UNSUPPORTED = auto()


class Call(NamedTuple):
    """Do this operation. Answer: what came back, or a refusal that is expected."""

    operation: str
    parameters: dict[str, Any]
    expects: frozenset[Refusal] = frozenset()


class Answer(NamedTuple):
    """What DynamoDB said; with a *refusal* it did nothing."""

    response: dict[str, Any]
    refusal: Refusal | None = None

    @property
    def item(self) -> Item | None:
        """The item that was read, or that stood in the way of a condition."""
        return self.response.get("Item") or None

    @property
    def old(self) -> Item:
        """The item as it was before it was updated."""
        found: Item = self.response["Attributes"]
        return found

    @property
    def items(self) -> list[Item]:
        """The items of one page."""
        return self.response.get("Items") or []

    @property
    def next_key(self) -> Item | None:
        """Where the next page begins, if there is one."""
        return self.response.get("LastEvaluatedKey") or None


Procedure = Generator[Call, Answer, R]

_WRITING: Final = frozenset({Refusal.CONDITION, Refusal.TOO_LARGE})
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_UNCOUNTED: Final[Mapping[str, Value]] = MappingProxyType({})
_OLD_IF_REFUSED: Final = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def get(table: str, key: Item) -> Call:
    """Read one item as it is now: never from a replica that lags (F-27)."""
    return Call("get_item", {"TableName": table, "Key": key, "ConsistentRead": True})


def put(table: str, item: Item, where: Where) -> Call:
    """Write a whole item, if what stands there is as *where* says."""
    return Call("put_item", _putting(table, item, where), _WRITING)


def together(
    table: str,
    puts: Sequence[tuple[Item, Where]],
    deletes: Sequence[tuple[Item, Where]] = (),
) -> Call:
    """Write several whole items and take some away by their keys: all or none."""
    items = [{"Put": _putting(table, item, where)} for item, where in puts]
    items += [{"Delete": _deleting(table, key, where)} for key, where in deletes]
    return Call("transact_write_items", {"TransactItems": items}, _WRITING)


def _putting(table: str, item: Item, where: Where) -> dict[str, Any]:
    text, names, values = conditions(where)
    parameters = {
        "TableName": table,
        "Item": item,
        "ConditionExpression": text,
        "ExpressionAttributeNames": names,
        **_OLD_IF_REFUSED,
    }
    return with_values(parameters, values)


def update(
    table: str,
    key: Item,
    sets: Item,
    where: Where,
    *,
    removes: Sequence[str] = (),
    plus: Mapping[str, str] = _NOTHING,
    counts: Mapping[str, Value] = _UNCOUNTED,
    at_most: Mapping[str, Value] = _UNCOUNTED,
) -> Call:
    """Change some attributes, if the item is as *where* says; the answer is the old.

    *plus* names an attribute of the item that is added to what is set; *counts*
    says what is added to numbers that may not be there yet. What stands under a
    name of *at_most* must be no more than that number, or not be there yet.
    """
    text, names, values = conditions(where)
    for name, value in at_most.items():
        text += f" AND (attribute_not_exists(#{name}) OR #{name} <= :most_{name})"
        names[f"#{name}"] = name
        values[f":most_{name}"] = value
    names |= {f"#{name}": name for name in (*sets, *removes, *plus.values(), *counts)}
    values |= {f":{name}": value for name, value in {**sets, **counts}.items()}
    added = {name: f" + #{other}" for name, other in plus.items()}
    clauses = {
        "SET": [f"#{name} = :{name}{added.get(name, '')}" for name in sets],
        "REMOVE": [f"#{name}" for name in removes],
        "ADD": [f"#{name} :{name}" for name in counts],
    }
    change = " ".join(
        f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts
    )
    parameters = {
        "TableName": table,
        "Key": key,
        "UpdateExpression": change,
        "ConditionExpression": text,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
        "ReturnValues": "ALL_OLD",
        **_OLD_IF_REFUSED,
    }
    return Call("update_item", parameters, _WRITING)


def told_nothing(call: Call) -> Call:
    """Have the item of *call* not be sent back: whether it was done is enough."""
    parameters = call.parameters | {"ReturnValues": "NONE"}
    del parameters["ReturnValuesOnConditionCheckFailure"]
    return call._replace(parameters=parameters)


def delete(table: str, key: Item, where: Where) -> Call:
    """Take an item away, if it is as *where* says."""
    return Call("delete_item", _deleting(table, key, where), _WRITING)


def _deleting(table: str, key: Item, where: Where) -> dict[str, Any]:
    text, names, values = conditions(where)
    parameters = {
        "TableName": table,
        "Key": key,
        "ConditionExpression": text,
        "ExpressionAttributeNames": names,
    }
    return with_values(parameters, values)


def conditions(where: Where) -> tuple[str, dict[str, str], Item]:
    """Write *where* as an expression, with its names and values."""
    values = {
        f":{name}_{number}": value
        for name, allowed in where.items()
        for number, value in enumerate(allowed)
    }
    text = " AND ".join(_condition(name, len(each)) for name, each in where.items())
    return text, {f"#{name}": name for name in where}, values


def _condition(name: str, allowed: int) -> str:
    if not allowed:
        return f"attribute_not_exists(#{name})"
    if allowed == 1:
        return f"#{name} = :{name}_0"
    places = ", ".join(f":{name}_{number}" for number in range(allowed))
    return f"#{name} IN ({places})"


def with_values(parameters: dict[str, Any], values: Item) -> dict[str, Any]:
    """Add *values*, which DynamoDB does not take when there are none."""
    if values:
        parameters["ExpressionAttributeValues"] = values
    return parameters
