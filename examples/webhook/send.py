# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The provider's side: signs one webhook and delivers it.

Run as ``python send.py URL ID JSON``.
"""

from __future__ import annotations

import hmac
import os
import sys
import time
from base64 import b64decode, b64encode
from urllib.error import HTTPError
from urllib.request import Request, urlopen

SECRET = os.environ.get("WEBHOOK_SECRET", "whsec_bm90IGEgc2VjcmV0LCBvbmx5IGEgdHJ5")


def headers(message_id: str, sent_at: int, body: bytes) -> dict[str, str]:
    signed = f"{message_id}.{sent_at}.".encode() + body
    key = b64decode(SECRET.removeprefix("whsec_"))
    signature = b64encode(hmac.digest(key, signed, "sha256")).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": f"v1,{signature}",
    }


def main() -> None:
    _, url, message_id, payload = sys.argv
    body = payload.encode()
    webhook = Request(url, body, headers(message_id, int(time.time()), body))
    try:
        sent = urlopen(webhook)
    except HTTPError as refusal:
        sent = refusal
    print(sent.status, sent.read().decode(), end="")


if __name__ == "__main__":
    main()
