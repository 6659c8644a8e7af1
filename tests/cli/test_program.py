# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The program as a shell sees it: help, version, exit statuses."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import keyonce as keyonce_package
from keyonce.cli.group import SECTIONS
from tests.cli.conftest import run

PROGRAM = "import sys; from keyonce.cli import main; sys.exit(main())"


def shell(*args, program=PROGRAM, cwd=None):
    return subprocess.run(
        [sys.executable, "-c", program, *args],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        check=False,
    )


def test_the_version():
    ran = shell("--version")

    assert (0, f"keyonce {version('keyonce')}\n") == (ran.returncode, ran.stdout)


def test_the_help_is_short_and_names_every_command():
    ran = run("--help")

    assert len(ran.out.splitlines()) <= 30
    for commands in SECTIONS.values():
        assert all(f"  {name} " in ran.out for name in commands)


@pytest.mark.parametrize(
    "command", [name for commands in SECTIONS.values() for name in commands]
)
def test_every_command_has_help(command):
    ran = run(command, "--help")

    assert 0 == ran.code
    assert ran.out.startswith(f"Usage: keyonce {command}")


def test_an_unknown_command_is_a_usage_error():
    ran = shell("kyes")

    assert 2 == ran.returncode
    assert "kyes" in ran.stderr


def test_statuses_reach_the_shell(shop):
    negative = shell("keys", "show", "never", "--store", shop.url)
    fine = shell("keys", "list", "--json", "--store", shop.url)

    assert (1, "") == (negative.returncode, negative.stdout)
    assert (0, "") == (fine.returncode, fine.stderr)


def test_without_a_store_the_shell_hears_what_to_do(tmp_path):
    ran = shell("stats", cwd=tmp_path)

    assert 2 == ran.returncode
    assert 1 == len(ran.stderr.splitlines())
    assert "KEYONCE_STORE" in ran.stderr
    assert [] == list(tmp_path.iterdir())


def test_without_click_one_friendly_line():
    bare = [sys.executable, "-I", "-S"]  # the standard library alone
    source = Path(keyonce_package.__file__).parents[1]
    program = f"import sys; sys.path.insert(0, {str(source)!r}); {PROGRAM}"

    ran = subprocess.run(
        [*bare, "-c", program, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 2 == ran.returncode
    assert ran.stderr == (
        "keyonce: the command line needs click and rich: pip install 'keyonce[cli]'\n"
    )


def test_help_loads_no_command():
    program = (
        "import sys\nfrom keyonce.cli.group import keyonce\n"
        "keyonce.main(['--help'], standalone_mode=False)\n"
        "sys.exit('keyonce.cli.keys' in sys.modules)"
    )

    assert 0 == shell(program=program).returncode


def test_serve_says_what_is_missing(tmp_path):
    ran = shell("serve", cwd=tmp_path)

    assert 2 == ran.returncode
    assert "--upstream" in ran.stderr
    assert "--scope" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
@pytest.mark.parametrize(
    ("answer", "status", "word"), [(b"n\n", 1, "unknown"), (b"y\n", 0, "released")]
)
def test_on_a_terminal_a_decision_is_asked_for(shop, answer, status, word):
    import pty

    identity = shop.unknown("pay-1")
    ours, theirs = pty.openpty()
    os.write(ours, answer)

    told = ["keys", "release", "pay-1", "--reason", "looked", "--store", shop.url]
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *told],
        stdin=theirs,
        capture_output=True,
        timeout=60,
        check=False,
    )

    os.close(ours)
    os.close(theirs)
    assert status == ran.returncode
    assert b"Really release it" in ran.stderr
    assert word == shop.store.find(identity).record.status.word
