# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The table that keyonce wants, and how to make it."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from keyonce.core.errors import ConfigurationError
from keyonce.stores.dynamodb.translate import unavailable

PACKAGE: Final = "keyonce.stores.dynamodb"
TTL: Final = "ttl"


def table_definition(name: str = "keyonce") -> dict[str, Any]:
    """Give the parameters of CreateTable: `table.json` with *name* in it."""
    source = files(PACKAGE).joinpath("table.json").read_text(encoding="utf-8")
    definition: dict[str, Any] = json.loads(source)
    return definition | {"TableName": name}


def create_table(client: Any, name: str = "keyonce") -> None:
    """Make the table with a boto3 *client*, wait for it, switch its expiry on.

    Raises:
        ConfigurationError: there is a table of that name already.
        StoreUnavailable: DynamoDB refused, or did not answer.
    """
    try:
        client.create_table(**table_definition(name))
        client.get_waiter("table_exists").wait(
            TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )
        expiry = {"Enabled": True, "AttributeName": TTL}
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)
    except client.exceptions.ResourceInUseException as error:
        message = (
            f"There is a DynamoDB table {name!r} already: use it, or another name."
        )
        raise ConfigurationError(message) from error
    except (BotoCoreError, ClientError) as error:
        raise unavailable(error, name) from error
