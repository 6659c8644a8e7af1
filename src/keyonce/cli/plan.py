# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce plan``: what a store will need, before there is one."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from keyonce.cli.measured import SECONDS_A_TRIP, STORES
from keyonce.cli.output import console, emit, json_option, pairs, plain, size, table
from keyonce.cli.sizing import Demand, need_of
from keyonce.core.errors import ConfigurationError
from keyonce.http.durations import duration_text, parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.cli.measured import Measured
    from keyonce.cli.sizing import Need

_RATE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?/ ?(s|m|h|d)").fullmatch
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%").fullmatch

_OPTIONS: Final = (
    click.option("--rate", required=True, help="Requests, such as 500/s or 20/m."),
    click.option("--retention", required=True, help="How long keys live: 24h, 7d."),
    click.option(
        "--body",
        required=True,
        help="Bytes of an answer's body, such as 2KiB, or 0B for none.",
    ),
    click.option(
        "--headers", default="200B", show_default=True, help="Bytes of its headers."
    ),
    click.option(
        "--duplicates",
        default="5%",
        show_default=True,
        help="Share of requests that bring a key once more.",
    ),
    click.option(
        "--store", metavar="URL", help="Only this kind of store; it is not opened."
    ),
    json_option,
)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(name="plan")
@_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    rate: str,
    retention: str,
    body: str,
    headers: str,
    duplicates: str,
    store: str | None,
    as_json: bool,
) -> None:
    """What each store will need for a rate of requests and a retention.

    Reckoned from what was measured on one machine: expect to be right within a
    quarter for the room, and try the rates on your own. Ends with 1 if the store that
    was named cannot do it.
    """
    demand = Demand(
        rate=_rate(rate),
        retention=parse_duration(retention, name="--retention").total_seconds(),
        body=parse_size(body, name="--body"),
        headers=parse_size(headers, name="--headers"),
        duplicates=_share(duplicates),
    )
    needs = [need_of(demand, each) for each in _chosen(store)]
    if as_json:
        emit({"demand": _asked(demand), "stores": [asdict(each) for each in needs]})
    else:
        _print(demand, needs)
        if inner := _wrapped(store):
            console().print(plain(inner, "dim"))
    ctx.exit(1 if store and not all(each.fits for each in needs) else 0)


def _rate(text: str) -> float:
    found = _RATE(text.strip())
    if found is None or float(found[1]) == 0:
        raise ConfigurationError(
            f"--rate is {text!r}: write how many requests in which time, as in "
            "'500/s', '20/m' or '3000/h'."
        )
    return float(found[1]) / _SECONDS[found[2]]


def _share(text: str) -> float:
    found = _SHARE(text.strip())
    if found is None or float(found[1]) >= 100:  # noqa: PLR2004 - per cent
        raise ConfigurationError(
            f"--duplicates is {text!r}: write a percentage below 100, as in '5%'."
        )
    return float(found[1]) / 100


def _chosen(url: str | None) -> tuple[Measured, ...]:
    if url is None:
        return STORES
    scheme = _durable(url).partition(":")[0].lower()
    kind = _KINDS.get(scheme) or _KINDS.get(scheme.partition("+")[0])
    if kind is None:
        raise ConfigurationError(
            f"--store is of a kind ({scheme!r}) that nothing was measured of. There "
            f"are {', '.join(each.name for each in STORES)}."
        )
    return tuple(each for each in STORES if each.name == kind)


def _durable(url: str) -> str:
    """Give the URL of the store that the records of *url* are in."""
    from keyonce.stores.url import beneath  # noqa: PLC0415 - drivers load late

    url = beneath(url)
    if not url.startswith("tiered:"):
        return url
    from keyonce.stores.tiered.address import address_of  # noqa: PLC0415 - as above

    return beneath(address_of(url).durable)


def _wrapped(url: str | None) -> str:
    """Say what is not reckoned of a store within another."""
    if url is None or not ("sealed+" in url or url.startswith("tiered:")):
        return ""
    parts = []
    if "sealed+" in url:
        parts.append("Sealing adds at most 80 bytes to an answer.")
    if "tiered:" in url:
        parts.append("A cache in front saves trips of replays, which is not counted.")
    return " ".join(["Reckoned for the store that holds the records.", *parts])


_KINDS: Final = {each.name: each.name for each in STORES} | {
    "postgresql": "postgres",
    "mariadb": "mysql",
    "rediss": "redis",
    "unix": "redis",
}


def _asked(demand: Demand) -> dict[str, Any]:
    return asdict(demand) | {"fresh": demand.fresh, "rows": demand.rows}


def _print(demand: Demand, needs: list[Need]) -> None:
    terminal = console()
    terminal.print(
        plain(
            f"{demand.fresh:,.4g} new keys a second for "
            f"{duration_text(demand.retention)}: {demand.rows:,} records, "
            f"answers of {size(demand.answer)}",
            "bold",
        )
    )
    listing = table(
        "store", "disk", "memory", "writes/s", "trips/s", "purge/s", "connections"
    )
    for column in listing.columns[1:]:
        column.justify = "right"
    for need in needs:
        listing.add_row(*map(plain, _cells(need)))
    terminal.print(listing)
    units = [(need.store, plain(_units(need))) for need in needs if need.write_units]
    remarks = [
        (need.store, plain(remark, "yellow" if need.fits else "bold red"))
        for need in needs
        for remark in need.remarks
    ]
    terminal.print(pairs([*units, *remarks]))
    terminal.print(plain(_BASIS, "dim"))


_BASIS: Final = (
    f"Connections in use at once, at {SECONDS_A_TRIP * 1000:.0f} ms a trip; a process "
    "opens 10 at most. Disk without backups, logs and replicas."
)


def _cells(need: Need) -> list[str]:
    return [
        need.store,
        size(need.disk),
        "-" if need.memory is None else size(need.memory),
        _number(need.writes),
        _number(need.trips),
        _number(need.purge) if need.purge else "by itself",
        "-" if need.connections is None else str(need.connections),
    ]


def _units(need: Need) -> str:
    return (
        f"{_number(need.write_units or 0)} write units and "
        f"{_number(need.read_units or 0)} read units a second"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"  # noqa: PLR2004
