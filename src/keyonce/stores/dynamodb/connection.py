# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A way to the table for threads: one client, one fork, bounded tries."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from boto3.session import Session
from botocore.config import Config

from keyonce.core.flow import run
from keyonce.stores.dynamodb import clients
from keyonce.stores.dynamodb.calls import Answer
from keyonce.stores.dynamodb.patience import Patience
from keyonce.stores.dynamodb.translate import FAILURES

if TYPE_CHECKING:
    from keyonce.stores.dynamodb.calls import Call, Procedure
    from keyonce.stores.dynamodb.setup import Setup

R = TypeVar("R")


class Connection:
    """Runs procedures on a client of boto3, from any number of threads."""

    def __init__(self, setup: Setup, client: Any = None) -> None:
        """Use *client*, or make one; nothing is sent yet.

        Raises:
            ConfigurationError: no client can be made of what was given.
        """
        self.setup = setup
        self._given = client is not None
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._client = client if self._given else self._connect()

    def run(self, procedure: Procedure[R]) -> R:
        """Run *procedure* to its end."""
        return run(procedure, self._perform)

    def close(self) -> None:
        """Close the connections, unless the client was handed in."""
        if not self._given:
            self._client.close()

    def _perform(self, call: Call) -> Answer:
        """Carry out *call*, again and again while the table is busy."""
        setup = self.setup
        operation = getattr(self._mine(), call.operation)
        parameters = setup.parameters(call)
        patience = Patience(call, setup.table, setup.timeout)
        while True:
            sent_at = setup.clock()
            try:
                response = operation(**parameters)
            except FAILURES as error:
                told = patience.after(error)
            else:
                setup.drift.look(response, sent_at)
                return Answer(response)
            if isinstance(told, Answer):
                return told
            time.sleep(told)

    def _mine(self) -> Any:
        """Give the client; a fork does not speak on its parent's connections."""
        if not self._given and self._pid != os.getpid():
            with self._lock:
                if self._pid != os.getpid():
                    self._client = self._connect()
                    self._pid = os.getpid()
        return self._client

    def _connect(self) -> Any:
        config = Config(**clients.settings(self.setup.timeout))
        where = clients.place(self.setup.address)
        try:
            return Session().client(clients.SERVICE, config=config, **where)
        except (*FAILURES, ValueError) as error:
            raise clients.unusable(error) from error
