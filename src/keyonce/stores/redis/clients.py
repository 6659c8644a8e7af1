# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The clients behind a store: made from a URL, or the twin of one that was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType

    from keyonce.stores.redis.address import Address

# What a connection is made of, and is the same for threads and for loops.
_SHARED: Final = (
    "host",
    "port",
    "path",
    "db",
    "username",
    "password",
    "credential_provider",
    "socket_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "client_name",
    "ssl_ca_certs",
    "ssl_ca_data",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_ciphers",
    "ssl_keyfile",
    "ssl_min_version",
)


def open_client(address: Address, timeout: float) -> Any:
    """Make a client for threads; a Cluster is looked up at once."""
    redis = _driver()
    return _client(address, timeout, redis, _no_retry(redis))


def open_async_client(address: Address, timeout: float) -> Any:
    """Make a client for one loop; nothing is sent before it is used."""
    _driver()
    from redis import asyncio as aio  # noqa: PLC0415 - optional

    return _client(address, timeout, aio, _no_retry(aio))


def _driver() -> ModuleType:
    try:
        import redis  # noqa: PLC0415 - optional
    except ImportError as exc:
        raise ConfigurationError(
            "A Redis store by URL needs redis-py: pip install 'keyonce[redis]'."
        ) from exc
    return redis


def _no_retry(driver: ModuleType) -> Any:
    """Give a policy without retries: the guard repeats, and knows for how long."""
    from redis.backoff import NoBackoff  # noqa: PLC0415 - optional

    return driver.retry.Retry(NoBackoff(), 0)


def _few_retries(driver: ModuleType) -> Any:
    """Give a policy to follow a slot that has moved, without a pause."""
    from redis.backoff import NoBackoff  # noqa: PLC0415 - optional

    return driver.retry.Retry(NoBackoff(), 3)


def _client(address: Address, timeout: float, driver: Any, retry: Any) -> Any:
    common = {
        "username": address.username,
        "password": address.password,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "protocol": 2,  # what it adds is of no use here, and costs a trip
    }
    if address.tls:
        common |= {"ssl": True, "ssl_check_hostname": True, **dict(address.files)}
    match address.kind:
        case "cluster":
            nodes = [_node(driver)(host, port) for host, port in address.hosts]
            return driver.RedisCluster(
                startup_nodes=nodes, retry=_few_retries(driver), **common
            )
        case "sentinel":
            return _behind_sentinel(address, driver, common | {"retry": retry})
        case "unix":
            where: dict[str, Any] = {"unix_socket_path": address.path}
        case "one":
            host, port = address.hosts[0]
            where = {"host": host, "port": port}
    return driver.Redis(db=address.db, retry=retry, **where, **common)


def _node(driver: Any) -> Any:
    return driver.cluster.ClusterNode


def _behind_sentinel(address: Address, driver: Any, common: dict[str, Any]) -> Any:
    """Make a client of whichever server the sentinels call the master."""
    login = {name.removeprefix("sentinel_"): value for name, value in address.login}
    timeouts = {name: common[name] for name in ("socket_timeout", "retry")}
    connecting = {"socket_connect_timeout": common["socket_connect_timeout"]}
    sentinel = driver.sentinel.Sentinel(
        address.hosts,
        sentinel_kwargs=timeouts | connecting | login | _tls(common),
        **common,
    )
    return sentinel.master_for(address.service, db=address.db)


def _tls(common: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in common.items() if name.startswith("ssl")}


def parts_of(client: Any) -> list[Any]:
    """Give every client that has to be closed with *client*, itself the last."""
    pool = getattr(client, "connection_pool", None)
    manager = getattr(pool, "sentinel_manager", None)
    return [client] if manager is None else [*manager.sentinels, client]


def twin_of(client: Any) -> Any:
    """Make the client for threads that speaks to the same server as an async one.

    Heartbeats need it: a handler that blocks the loop must not starve them.

    Raises:
        ConfigurationError: it is no client that can be understood.
    """
    package = _package_of(client)
    if hasattr(client, "nodes_manager"):
        return _cluster_twin(client, package)
    pool: Any = getattr(client, "connection_pool", None)
    settings = getattr(pool, "connection_kwargs", None)
    if settings is None:
        raise _unknown(client)
    manager = getattr(pool, "sentinel_manager", None)
    if manager is not None:
        return _sentinel_twin(manager, pool, package)
    kind = getattr(package, pool.connection_class.__name__, None)
    if kind is None:
        raise _unknown(client)
    chosen = _shared(settings)
    return _class_of(package).from_pool(
        package.ConnectionPool(connection_class=kind, **chosen)
    )


def _cluster_twin(client: Any, package: Any) -> Any:
    manager = client.nodes_manager
    nodes = [
        package.cluster.ClusterNode(node.host, node.port)
        for node in manager.startup_nodes.values()
    ]
    cluster = package.cluster
    kind = getattr(cluster, "RedisCluster", None) or cluster.ValkeyCluster
    settings = _shared(manager.connection_kwargs)
    for name in ("host", "port", "db", "path"):
        settings.pop(name, None)
    tls = "SSL" in manager.connection_kwargs.get("connection_class", object).__name__
    return kind(startup_nodes=nodes, **settings, **({"ssl": True} if tls else {}))


def _sentinel_twin(manager: Any, pool: Any, package: Any) -> Any:
    hosts = [
        (found.connection_kwargs["host"], found.connection_kwargs["port"])
        for found in (each.connection_pool for each in manager.sentinels)
    ]
    settings = _shared(pool.connection_kwargs)
    for name in ("host", "port"):
        settings.pop(name, None)
    if "SSL" in pool.connection_class.__name__:
        settings["ssl"] = True
    sentinel = package.sentinel.Sentinel(
        hosts, sentinel_kwargs=_shared(manager.sentinel_kwargs), **settings
    )
    return sentinel.master_for(pool.service_name)


def _shared(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in _SHARED if settings.get(name) is not None}


def _class_of(package: Any) -> Any:
    return getattr(package, "Redis", None) or package.Valkey


def _package_of(client: Any) -> Any:
    from importlib import import_module  # noqa: PLC0415 - only for given clients

    name = type(client).__module__.partition(".")[0]
    package = import_module(name)
    if not hasattr(package, "ConnectionPool"):
        raise _unknown(client)
    import_module(f"{name}.cluster")
    import_module(f"{name}.sentinel")
    return package


def _unknown(client: Any) -> ConfigurationError:
    return ConfigurationError(
        f"A {type(client).__module__}.{type(client).__qualname__} is no client that "
        "this store can use from a loop and from threads. Hand it one of "
        "redis.asyncio or valkey.asyncio, or a URL."
    )
