# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The write endpoints that an OpenAPI file describes."""

from __future__ import annotations

import json
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from keyonce.cli.endpoints import WRITES, Endpoint
from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIXES: Final = (".json", ".yaml", ".yml")
HEADER: Final = "idempotency-key"


def load_document(path: Path) -> dict[str, Any]:
    """Read an OpenAPI file.

    Raises:
        ConfigurationError: it is not there, cannot be read, or is none.
    """
    try:
        document = _parsed(path.read_text(encoding="utf-8"), path)
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc}") from exc
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise ConfigurationError(f"{path} is no OpenAPI document: it has no 'paths'.")
    return document


def _parsed(text: str, path: Path) -> Any:
    if path.suffix == ".json":
        return json.loads(text)
    if find_spec("yaml") is None:
        raise ConfigurationError(
            f"{path} is YAML, which needs PyYAML: pip install pyyaml. Or give JSON."
        )
    yaml = import_module("yaml")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ConfigurationError(f"{path} is no YAML: {exc}") from exc


def endpoints_in(document: dict[str, Any]) -> Iterator[Endpoint]:
    """Give the write endpoints of *document*, and the key that each declares."""
    prefix = _prefix(document)
    for path, given in document["paths"].items():
        item = _resolved(given, document)
        for method in WRITES:
            operation = item.get(method.lower())
            if isinstance(operation, dict):
                yield Endpoint(
                    method,
                    prefix + str(path),
                    str(operation.get("operationId", "")),
                    declared=_declared_key(item, operation, document),
                )


def _prefix(document: dict[str, Any]) -> str:
    """Give the path that all endpoints stand under, if there is one server."""
    servers = document.get("servers") or []
    if len(servers) != 1:
        return ""
    return urlsplit(str(servers[0].get("url", ""))).path.rstrip("/")


def _declared_key(
    item: dict[str, Any], operation: dict[str, Any], document: dict[str, Any]
) -> str | None:
    # An operation's own parameter overrides the one of its path.
    for place in (operation, item):
        for given in place.get("parameters") or ():
            parameter = _resolved(given, document)
            name = str(parameter.get("name", "")).lower()
            if parameter.get("in") == "header" and name == HEADER:
                return "required" if parameter.get("required") else "optional"
    return None


def _resolved(value: Any, document: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference inside the document."""
    for _ in range(8):  # a reference may lead to another, and not in circles
        reference = value.get("$ref") if isinstance(value, dict) else None
        if not isinstance(reference, str) or not reference.startswith("#/"):
            break
        value = _pointed(document, reference)
    return value if isinstance(value, dict) else {}


def _pointed(document: Any, reference: str) -> Any:
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        document = document.get(name) if isinstance(document, dict) else None
    return document
