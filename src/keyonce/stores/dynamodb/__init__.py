# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Records in a DynamoDB table of one Region, shared by any number of machines."""

from __future__ import annotations

from keyonce.stores.dynamodb.sync import DynamoDBStore
from keyonce.stores.dynamodb.table import create_table, table_definition

__all__ = ["DynamoDBStore", "create_table", "table_definition"]
