# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What Redis and DynamoDB hold, read and written without keyonce."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import boto3
import redis

from keyonce.stores.dynamodb import DynamoDBStore, create_table
from keyonce.stores.redis import RedisStore
from keyonce.stores.redis.rows import FORM as REDIS_FORM
from tests.servers.moto import REGION

DYNAMODB_FORM = 1
TABLE = "keyonce"

__all__ = ["DYNAMODB_FORM", "REDIS_FORM", "DynamoDBPlace", "RedisPlace"]


class RedisPlace:
    """An empty server."""

    name = "redis"

    def __init__(self, url):
        self.url = url
        self._client: Any = redis.Redis.from_url(url, protocol=2)

    def dump(self):
        return [self._told(name) for name in sorted(self._client.scan_iter())]

    def _told(self, name):
        if self._client.type(name) == b"list":
            items = self._client.lrange(name, 0, -1)
            return {"key": name.hex(), "list": [each.hex() for each in items]}
        fields = sorted(self._client.hgetall(name).items())
        return {"key": name.hex(), "hash": {k.hex(): v.hex() for k, v in fields}}

    def load(self, stored):
        for each in stored:
            name = bytes.fromhex(each["key"])
            for item in each.get("list", ()):
                self._client.rpush(name, bytes.fromhex(item))
            for field, value in each.get("hash", {}).items():
                self._client.hset(name, bytes.fromhex(field), bytes.fromhex(value))

    def open(self, **options):
        return RedisStore(self.url, durability="declared", **options)


class DynamoDBPlace:
    """An empty table."""

    name = "dynamodb"

    def __init__(self, server):
        self._client = boto3.session.Session().client(
            "dynamodb",
            endpoint_url=server.endpoint,
            region_name=REGION,
            aws_access_key_id="nobody",
            aws_secret_access_key="nothing",
        )
        create_table(self._client, TABLE)

    def dump(self):
        pages = self._client.get_paginator("scan").paginate(TableName=TABLE)
        items = [_written(item) for page in pages for item in page["Items"]]
        return sorted(items, key=lambda item: (item["id"]["S"], item["part"]["S"]))

    def load(self, stored):
        for item in stored:
            self._client.put_item(TableName=TABLE, Item=_read(item))

    def open(self, **options):
        return DynamoDBStore(TABLE, client=self._client, skew=timedelta(0), **options)


def _written(item):
    return {
        name: {
            kind: base64.b64encode(value).decode() if kind == "B" else value
            for kind, value in each.items()
        }
        for name, each in item.items()
    }


def _read(item):
    return {
        name: {
            kind: base64.b64decode(value) if kind == "B" else value
            for kind, value in each.items()
        }
        for name, each in item.items()
    }
