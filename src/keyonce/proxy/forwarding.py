# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Between guard and upstream: the key's header as the rule wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyonce.core.policy import ForwardKey
from keyonce.core.rollout import Stage
from keyonce.http.admit import Guarded
from keyonce.integrations.asgi_request import head_of
from keyonce.proxy.forward import with_forwarded_key
from keyonce.telemetry.context import current

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from keyonce.core.model import Identity
    from keyonce.http.messages import RequestHead
    from keyonce.http.operation import Rule
    from keyonce.integrations.gateway import Gateway

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]


class ForwardedKeys:
    """Rewrites the key of enforced requests; all others go on as they came.

    *gateway* is the guard's, set once that is made around this.
    """

    def __init__(self, app: App) -> None:
        """Hand on to *app*."""
        self._app = app
        self.gateway: Gateway | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP or WebSocket connection."""
        if scope["type"] == "http" and self.gateway is not None:
            scope = self._rewritten(scope, self.gateway)
        await self._app(scope, receive, send)

    def _rewritten(self, scope: Scope, gateway: Gateway) -> Scope:
        name = gateway.dialect.key_name
        if not any(header == name for header, _ in scope["headers"]):
            return scope
        head = head_of(scope)
        rule = gateway.rules.find(head.method, head.raw_path)
        if rule is None or rule.policy.forward_key is ForwardKey.FORWARD:
            return scope
        identity = _identity(head, rule, gateway)
        if identity is None:
            return scope
        how = rule.policy.forward_key
        headers = with_forwarded_key(head.headers, identity, how, header=name)
        return {**scope, "headers": headers}


def _identity(head: RequestHead, rule: Rule, gateway: Gateway) -> Identity | None:
    work = current()
    if work is not None:
        return work.identity
    # Without a store the guard lets a request through that it does not attend.
    admission = gateway.admit(head)
    if isinstance(admission, Guarded) and admission.stage is Stage.ENFORCE:
        return admission.identity if admission.rule == rule else None
    return None
