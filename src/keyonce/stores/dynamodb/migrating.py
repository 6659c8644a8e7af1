# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a DynamoDB table still needs, as an operator gives it."""

from __future__ import annotations

import json
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from boto3.session import Session
from botocore.config import Config

from keyonce.core.errors import ConfigurationError
from keyonce.stores.dynamodb import clients
from keyonce.stores.dynamodb.address import address_of
from keyonce.stores.dynamodb.calls import Refusal
from keyonce.stores.dynamodb.operators import INDEX
from keyonce.stores.dynamodb.table import TTL, create_table, table_definition
from keyonce.stores.dynamodb.translate import FAILURES, refusal_of, unavailable
from keyonce.stores.schema import Migration, Outlook

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keyonce.stores.dynamodb.address import Address

STORE_TIMEOUT: Final = 20.0
_KEYS: Final = {"id": "HASH", "part": "RANGE"}

# The numbers keep their order; a table with all three is of version 3.
_TABLE: Final = (1, "001_pre_table")
_EXPIRY: Final = (2, "002_pre_time_to_live")
_INDEX: Final = (3, "003_pre_index_of_open_records")


class DynamoDBSchema:
    """One table, made with billing on demand from the `table.json` beside this."""

    def __init__(self, url: str) -> None:
        """Make a client; nothing is asked of the table."""
        self._address = address_of(url)
        self._client = _client_of(self._address)

    def look(self) -> Outlook:
        described = self._described()
        table = self._address.table
        place = f"the DynamoDB table {table!r}"
        todo: list[Migration] = []
        if described is None:
            with_it = Migration(*_INDEX, f"# {_INDEX[1]}: made with the table")
            todo = [Migration(*_TABLE, self._making()), self._expiry(), with_it]
            return Outlook(place, 0, tuple(todo))
        _check_keys(described, place)
        if not self._expires():
            todo.append(self._expiry())
        if not _has_index(described):
            todo.append(Migration(*_INDEX, self._indexing()))
        version = todo[0].version - 1 if todo else _INDEX[0]
        return Outlook(place, version, tuple(todo))

    def migrate(self, *, contract: bool = False) -> tuple[Migration, ...]:
        todo = self.look().chosen(contract=contract)
        steps = {each.version for each in todo}
        if _TABLE[0] in steps:
            create_table(self._client, self._address.table)
            return todo
        with self._translated():
            if _EXPIRY[0] in steps:
                self._client.update_time_to_live(**self._expiry_parameters())
            if _INDEX[0] in steps:
                self._client.update_table(**self._index_parameters())
        return todo

    def script(self, migrations: Sequence[Migration]) -> str:
        return "\n\n".join(each.sql for each in migrations) + "\n"

    def _described(self) -> dict[str, Any] | None:
        try:
            answer = self._client.describe_table(TableName=self._address.table)
        except FAILURES as error:
            if refusal_of(error) is Refusal.NO_TABLE:
                return None
            raise unavailable(error, self._address.table) from error
        described: dict[str, Any] = answer["Table"]
        return described

    def _expires(self) -> bool:
        with self._translated():
            answer = self._client.describe_time_to_live(TableName=self._address.table)
        told = answer.get("TimeToLiveDescription") or {}
        enabled = told.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
        return enabled and told.get("AttributeName") == TTL

    def _making(self) -> str:
        definition = table_definition(self._address.table)
        command = self._command("create-table", definition)
        return command + "\n" + self._command("wait table-exists", None)

    def _expiry(self) -> Migration:
        command = self._command("update-time-to-live", self._expiry_parameters())
        return Migration(*_EXPIRY, command)

    def _indexing(self) -> str:
        return self._command("update-table", self._index_parameters())

    def _expiry_parameters(self) -> dict[str, Any]:
        expiry = {"Enabled": True, "AttributeName": TTL}
        table = self._address.table
        return {"TableName": table, "TimeToLiveSpecification": expiry}

    def _index_parameters(self) -> dict[str, Any]:
        definition = table_definition(self._address.table)
        return {
            "TableName": self._address.table,
            "AttributeDefinitions": definition["AttributeDefinitions"],
            "GlobalSecondaryIndexUpdates": [
                {"Create": index} for index in definition["GlobalSecondaryIndexes"]
            ],
        }

    def _command(self, name: str, parameters: dict[str, Any] | None) -> str:
        """Write a call for the command line of AWS."""
        words = ["aws", "dynamodb", *name.split()]
        if self._address.region:
            words += ["--region", self._address.region]
        if self._address.endpoint:
            words += ["--endpoint-url", self._address.endpoint]
        if parameters is None:
            words += ["--table-name", self._address.table]
        else:
            words += ["--cli-input-json", json.dumps(parameters)]
        return shlex.join(words)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            raise unavailable(error, self._address.table) from error


def _client_of(address: Address) -> Any:
    config = Config(**clients.settings(STORE_TIMEOUT))
    try:
        return Session().client(
            clients.SERVICE, config=config, **clients.place(address)
        )
    except (*FAILURES, ValueError) as error:
        raise clients.unusable(error) from error


def _check_keys(described: dict[str, Any], place: str) -> None:
    keys = {each["AttributeName"]: each["KeyType"] for each in described["KeySchema"]}
    if keys != _KEYS:
        raise ConfigurationError(
            f"The primary key of {place} is not the one that keyonce writes, and "
            "cannot be changed: name another table."
        )


def _has_index(described: dict[str, Any]) -> bool:
    indexes = described.get("GlobalSecondaryIndexes") or []
    return any(each.get("IndexName") == INDEX for each in indexes)
