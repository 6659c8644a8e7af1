# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Clients of DynamoDB whose wire is not what it should be; the server is real."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace

from botocore.exceptions import ClientError, ReadTimeoutError

SPOKEN = (
    "put_item",
    "get_item",
    "update_item",
    "delete_item",
    "transact_write_items",
    "batch_get_item",
    "query",
    "scan",
    "describe_table",
    "describe_time_to_live",
    "describe_continuous_backups",
)


def wired(client, around):
    """A client whose calls go through *around*: (operation, parameters, send)."""

    def spoken(name):
        def call(**parameters):
            return around(name, parameters, lambda: getattr(client, name)(**parameters))

        return call

    return SimpleNamespace(
        **{name: spoken(name) for name in SPOKEN}, close=lambda: None
    )


def counted(client):
    """A client that writes down what is sent, and the list it writes."""
    sent = []

    def around(name, parameters, send):
        sent.append((name, parameters))
        return send()

    return wired(client, around), sent


def stammering(client):
    """A client whose driver sends each write twice and hears the second answer."""

    def around(name, parameters, send):
        if name in ("put_item", "update_item", "transact_write_items"):
            with suppress(ClientError):
                send()
        return send()

    return wired(client, around)


def deaf(client):
    """A client that does not hear the first answer to any write."""
    heard = set()

    def around(name, parameters, send):
        answer = send()
        if name != "get_item" and str(parameters) not in heard:
            heard.add(str(parameters))
            raise ReadTimeoutError(endpoint_url="http://here")
        return answer

    return wired(client, around)


def refusing(client, code, *, times, message="no", reasons=None):
    """A client whose server says *code* so many times."""
    left = [times]

    def around(name, parameters, send):
        if left[0] == 0:
            return send()
        left[0] -= 1
        response = {"Error": {"Code": code, "Message": message}}
        if reasons is not None:
            response["CancellationReasons"] = reasons
        raise ClientError(response, name)

    return wired(client, around)
