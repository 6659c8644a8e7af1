# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How clients of DynamoDB are set up, and which kind was handed in."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from keyonce.stores.dynamodb.address import Address

SERVICE: Final = "dynamodb"
CONNECTIONS: Final = 50


def settings(store_timeout: float) -> dict[str, Any]:
    """Give the settings of a client of ours.

    It does not try again by itself: the store does, within *store_timeout*, which
    a client does not know. A client that is handed in may keep its own retries:
    a command that arrives twice finds its token and changes nothing.
    """
    return {
        "connect_timeout": store_timeout / 4,
        "read_timeout": store_timeout / 4,
        "retries": {"mode": "standard", "total_max_attempts": 1},
        "max_pool_connections": CONNECTIONS,
        "tcp_keepalive": True,
    }


def place(address: Address) -> dict[str, Any]:
    """Give the arguments that say where a client speaks to."""
    return {"region_name": address.region, "endpoint_url": address.endpoint}


def check(client: Any, address: Address, *, waits: bool) -> None:
    """Refuse a *client* that is not what the store can speak with.

    Raises:
        ConfigurationError: what it is, and what to hand in.
    """
    if address.region or address.endpoint:
        raise ConfigurationError(
            "A client has its region and endpoint already: give either a client, "
            "or a region and an endpoint."
        )
    if hasattr(getattr(client, "meta", None), "client") or not hasattr(
        client, "transact_write_items"
    ):
        raise ConfigurationError(
            "This is no DynamoDB client: make one with boto3.client('dynamodb'), not "
            "with boto3.resource."
        )
    if iscoroutinefunction(getattr(client, "_make_api_call", None)) is not waits:
        mend = (
            "AsyncDynamoDBStore takes a client of aiobotocore, entered"
            if waits
            else "DynamoDBStore takes a client of boto3"
        )
        raise ConfigurationError(f"This client is of the other kind: {mend}.")


def unusable(error: Exception) -> ConfigurationError:
    """Say why no client could be made."""
    return ConfigurationError(
        f"No DynamoDB client could be made: {error} Say the region in the URL "
        "('dynamodb://keyonce?region=eu-central-1') or in AWS_DEFAULT_REGION, and "
        "look at the profile and the endpoint."
    )
