# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What `doctor` looks at in a Redis server, and for what a store refuses it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from keyonce.core.model import Finding
from keyonce.stores.durability import weaker
from keyonce.stores.redis.procedures import LARGEST_RESULT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from keyonce.stores.durability import Durability

OLDEST: Final = (6, 0)
APART: Final = 60.0
NEARLY_FULL: Final = 0.8
MIB: Final = 1024 * 1024
SETTINGS: Final = (
    "maxmemory-policy",
    "appendonly",
    "appendfsync",
    "no-appendfsync-on-rewrite",
    "proto-max-bulk-len",
)


class Facts(NamedTuple):
    """What one primary says of itself; *settings* is None where it does not."""

    name: str
    info: Mapping[str, Any]
    settings: Mapping[str, str] | None
    seconds_apart: float


def facts_of(name: str, client: Any) -> Facts:
    """Ask one server. What it refuses to tell is left out."""
    seconds, micros = client.time()
    apart = int(seconds) + int(micros) / 1e6 - time.time()
    return Facts(name, client.info(), _settings(client), apart)


def _settings(client: Any) -> Mapping[str, str] | None:
    found: dict[str, str] = {}
    try:
        for setting in SETTINGS:
            found |= client.config_get(setting)
    except Exception as error:
        if "ResponseError" not in {kind.__name__ for kind in type(error).__mro__}:
            raise
        return None  # a managed service, or a user who may not
    return found


def refusal(facts: Sequence[Facts], durability: Durability) -> str | None:
    """Say why a store must not use these servers, or None."""
    errors = [
        f"Redis, {found.subject}: {found.detail} {found.mend}"
        for found in findings_of(facts, durability)
        if found.level == "error"
    ]
    return "\n".join(errors) or None


def findings_of(facts: Sequence[Facts], durability: Durability) -> list[Finding]:
    """Judge every primary."""
    found = [(one.name, each) for one in facts for each in _about(one, durability)]
    if len(facts) == 1:
        return [each for _, each in found]
    return [replace(each, subject=f"{each.subject} of {name}") for name, each in found]


def rights(not_allowed: Sequence[str]) -> Finding:
    """Say whether this user may do what keyonce does."""
    if not_allowed:
        detail = f"This user may not give the commands {', '.join(not_allowed)}."
        mend = (
            "With ACL SETUSER allow it EVAL, EVALSHA, TIME, PEXPIRE and the commands "
            "of hashes and lists on keyonce's keys."
        )
        return Finding("error", "privileges", detail, mend)
    return Finding("ok", "privileges", "scripts, and the commands that they use")


def _about(facts: Facts, durability: Durability) -> Iterator[Finding]:
    yield _version(facts.info)
    yield _role(facts.info)
    yield _eviction(facts, declared=durability == "declared")
    yield _durability(facts, durability)
    yield _failover(facts.info)
    yield _memory(facts.info)
    yield _largest(facts.settings)
    yield _clock(facts.seconds_apart)


def _version(info: Mapping[str, Any]) -> Finding:
    speaks = str(info.get("redis_version", ""))
    detail = f"Redis {speaks}"
    if "valkey_version" in info:
        detail = f"Valkey {info['valkey_version']}, speaking as Redis {speaks}"
    numbers = tuple(int(part) for part in speaks.split(".")[:2] if part.isdecimal())
    if numbers and numbers < OLDEST:
        mend = "Install Redis 6 or newer, or Valkey."
        return Finding("error", "version", f"{detail} is too old.", mend)
    return Finding("ok", "version", detail)


def _role(info: Mapping[str, Any]) -> Finding:
    role = str(info.get("role", "unknown"))
    if role == "slave":
        detail = "This server is a replica: it takes no writes."
        mend = "Name the primary, or its sentinels (redis+sentinel://…/service)."
        return Finding("error", "role", detail, mend)
    return Finding("ok", "role", "primary" if role == "master" else role)


def _eviction(facts: Facts, *, declared: bool) -> Finding:
    settings = facts.settings or {}
    policy = settings.get("maxmemory-policy") or facts.info.get("maxmemory_policy")
    if policy == "noeviction":
        return Finding("ok", "eviction", "none: a full memory refuses new work")
    if policy is not None:
        detail = f"maxmemory-policy is {policy}: records may vanish, work runs twice."
        mend = "Set maxmemory-policy to noeviction, or use a server for keyonce alone."
        return Finding("error", "eviction", detail, mend)
    detail = "The server does not tell its maxmemory-policy."
    if declared:
        return Finding("warning", "eviction", f"{detail} Declared as noeviction.")
    return Finding(
        "error",
        "eviction",
        detail,
        "See that it is noeviction, and say durability=declared in the store's URL.",
    )


def _durability(facts: Facts, durability: Durability) -> Finding:
    if facts.info.get("aof_last_write_status", "ok") != "ok":
        detail = "The last write to its append-only file failed."
        mend = "Make room on the server's disk, and look at its log."
        return Finding("error", "durability", detail, mend)
    settings = facts.settings
    if settings is None:
        detail = "The server does not tell what it writes to disk, and when."
        return weaker("durability", detail, "Let this user read CONFIG.", durability)
    if settings.get("appendonly") != "yes":
        detail = (
            "No append-only file: a restart forgets keys, and their work runs again."
        )
        mend = "Set appendonly to yes and appendfsync to always."
        return weaker("durability", detail, mend, durability)
    return _fsync(settings)


def _fsync(settings: Mapping[str, str]) -> Finding:
    when = settings.get("appendfsync", "")
    if when != "always":
        lost = "a second" if when == "everysec" else "half a minute"
        detail = f"appendfsync is {when}: a power loss forgets up to about {lost}."
        mend = "Set appendfsync to always where at-most-once has to survive that."
        return Finding("warning", "durability", detail, mend)
    if settings.get("no-appendfsync-on-rewrite") == "yes":
        detail = "While the append-only file is rewritten, nothing is forced to disk."
        mend = "Set no-appendfsync-on-rewrite to no."
        return Finding("warning", "durability", detail, mend)
    detail = "append-only file, on disk before the answer (appendfsync always)"
    return Finding("ok", "durability", detail)


def _failover(info: Mapping[str, Any]) -> Finding:
    replicas = int(info.get("connected_slaves", 0))
    if not replicas and not info.get("cluster_enabled"):
        return Finding("ok", "failover", "no replica: nothing takes over by itself")
    detail = (
        f"{replicas} replicas, which hear of a write after it was answered: when one "
        "of them takes over, the last keys may be forgotten and run a second time."
    )
    mend = "min-replicas-to-write and min-replicas-max-lag make the gap small."
    return Finding("warning", "failover", detail, mend)


def _memory(info: Mapping[str, Any]) -> Finding:
    used, bound = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if bound and used > NEARLY_FULL * bound:
        detail = f"{used // MIB} of {bound // MIB} MiB are used."
        mend = "Raise maxmemory, or lower retention: a full memory refuses new work."
        return Finding("warning", "memory", detail, mend)
    of = f" of {bound // MIB} MiB" if bound else ", without a bound"
    return Finding("ok", "memory", f"{used // MIB} MiB used{of}")


def _largest(settings: Mapping[str, str] | None) -> Finding:
    bound = int((settings or {}).get("proto-max-bulk-len", 0))
    if bound and bound < 2 * LARGEST_RESULT:
        detail = f"proto-max-bulk-len is {bound}: large outcomes cannot be written."
        mend = f"Set it to {2 * LARGEST_RESULT} or more (Redis starts with 512 MiB)."
        return Finding("error", "largest outcome", detail, mend)
    return Finding("ok", "largest outcome", f"{LARGEST_RESULT // MIB} MiB")


def _clock(apart: float) -> Finding:
    if abs(apart) > APART:
        detail = f"The server's clock is {apart:+.0f} s from the one of this machine."
        mend = "Keep both by NTP. Leases and retention follow the server's."
        return Finding("warning", "clock", detail, mend)
    return Finding("ok", "clock", "with the one of this machine")
