# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The reference of keyonce.toml: every key, every default, and no other."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.util import find_spec

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.proxy.config import load
from tests.docs.pages import PAGES, fences, name_of, named, page, section

TOP = 'upstream = "http://127.0.0.1:8000"\n'
SCOPE = '[scope]\nheader = "X-Api-Key"\n'
UNKNOWN = "xxxxxxxx"

# The heading of the section, and how a key of its table is written in a file.
TABLES = {
    "Top level": "{key}" + TOP + SCOPE,
    "`[scope]`": TOP + '[scope]\nheader = "X-Api-Key"\n{key}',
    "`[[rule]]`": TOP + SCOPE + '[[rule]]\nmatch = "POST /x"\n{key}',
    "`[replay]`": TOP + SCOPE + "[replay]\n{key}",
    "`[cors]`": TOP + SCOPE + "[cors]\n{key}",
}
FINGERPRINT = TOP + SCOPE + '[[rule]]\nmatch = "POST /x"\n[rule.fingerprint]\n{key}'

EXAMPLES = [
    pytest.param(fence.text, id=f"{name_of(found)}:{fence.line}")
    for found in PAGES
    for fence in fences(found.read_text(encoding="utf-8"), "toml")
]


def read(text, tmp_path):
    path = tmp_path / "keyonce.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, {}, {})


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_can_be_used(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokens.pem").touch()

    if "jwt" in tomllib.loads(text).get("scope", {}) and find_spec("jwt") is None:
        with pytest.raises(ConfigurationError, match="needs PyJWT") as refusal:
            read(text, tmp_path)
        assert 1 == len(str(refusal.value).splitlines())
    else:
        read(text, tmp_path)


def known_keys(template, tmp_path) -> set[str]:
    """The keys that a table has, as the program tells whoever misspells one."""
    with pytest.raises(ConfigurationError) as refusal:
        read(template.format(key=f"{UNKNOWN} = 1\n"), tmp_path)
    listed = re.search(
        rf"{UNKNOWN} is no setting\. There are: (.*)\.", str(refusal.value)
    )
    assert listed is not None
    return set(listed[1].split(", "))


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_is_documented_and_no_other(heading, tmp_path):
    documented = set(named(_table(heading)))

    known = known_keys(TABLES[heading], tmp_path)

    assert known - {"scope", "replay", "cors", "rule"} == documented


def test_every_key_of_a_fingerprint_is_documented_and_no_other(tmp_path):
    documented = named(_table("`[[rule]]`", part=1))

    assert known_keys(FINGERPRINT, tmp_path) == set(documented)


@pytest.mark.parametrize("heading", ["Top level", "`[[rule]]`", "`[cors]`"])
def test_every_documented_default_is_the_default(heading, tmp_path):
    template = TABLES[heading]
    without = read(template.format(key=""), tmp_path)
    for key, (_, default, *_rest) in named(_table(heading)).items():
        value = re.fullmatch(r"`(.+)`", default)
        if value is not None:
            given = read(template.format(key=f"{key} = {value[1]}\n"), tmp_path)

            assert _settings(without) == _settings(given), key


def test_a_default_that_is_wrong_is_seen(tmp_path):
    template = TABLES["`[[rule]]`"]
    usual = read(template.format(key=""), tmp_path)
    other = read(template.format(key='lease = "31s"\n'), tmp_path)

    assert _settings(usual) != _settings(other)


def test_flags_that_are_marked_exist():
    from keyonce.cli.serve import command

    marked = re.findall(r"\| `(--\w+)`", _table("Top level"))

    flags = {flag for option in command.params for flag in option.opts}
    assert flags - {"--config", "--scope"} == set(marked)


def test_problems_of_a_rule_name_its_place(tmp_path):
    with pytest.raises(ConfigurationError, match=r"rule\[1\]\.lease"):
        read(TABLES["`[[rule]]`"].format(key='lease = "0"\n'), tmp_path)


def _table(heading, part=0):
    """The tables under *heading*; a rule's second one is for its fingerprint."""
    parts = section(page("docs/sidecar.md"), heading).split("`[rule.fingerprint]`:")
    return parts[part]


def _settings(config):
    names = [name for name in type(config).__slots__ if name not in {"told", "scope"}]
    return json.dumps({name: repr(getattr(config, name)) for name in names})
