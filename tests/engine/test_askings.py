# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

from keyonce.engine.askings import HOUR, LONGEST_PAUSE, Askings
from tests.engine.samples import identity

K = identity("k")


def askings(**bounds: int) -> Askings[object]:
    return Askings(**bounds)


def test_whoever_comes_second_joins_the_first():
    keys = askings()

    first = keys.join(K, 0.0, object)
    second = keys.join(K, 0.0, object)

    assert first is not None
    assert second is not None
    assert (True, False) == (first[1], second[1])
    assert first[0] is second[0]


def test_a_pause_doubles_up_to_the_longest():
    keys = askings()
    now, pauses = 0.0, []
    for _ in range(12):
        assert keys.join(K, now, object) is not None
        keys.over(K, now, decided=False)
        pauses.append(keys.again_in(K, now))
        now += pauses[-1]

    assert 1 <= pauses[0] <= 3
    assert 4 <= pauses[2] <= 12
    assert all(pause <= LONGEST_PAUSE * 1.5 for pause in pauses)
    assert pauses[-1] >= LONGEST_PAUSE / 2


def test_a_key_that_is_decided_is_forgotten():
    keys = askings()
    keys.join(K, 0.0, object)

    keys.over(K, 0.0, decided=True)

    assert 0 == keys.again_in(K, 0.0)
    assert keys.join(K, 0.0, object) is not None


def test_only_so_many_keys_are_asked_about_at_once():
    keys = askings(at_once=2)
    keys.join(identity("a"), 0.0, object)
    keys.join(identity("b"), 0.0, object)

    full = keys.join(identity("c"), 0.0, object)
    keys.over(identity("a"), 0.0, decided=True)

    assert full is None
    assert keys.join(identity("c"), 0.0, object) is not None


def test_the_pauses_of_only_so_many_keys_are_remembered():
    keys = askings(remembered=3)
    for number in range(10):
        keys.join(identity(f"k-{number}"), 0.0, object)
        keys.over(identity(f"k-{number}"), 0.0, decided=False)

    remembered = [
        number for number in range(10) if keys.again_in(identity(f"k-{number}"), 0.0)
    ]

    assert [7, 8, 9] == remembered


def test_a_failure_is_told_once_for_each_key_and_hour():
    keys = askings()
    keys.join(K, 0.0, object)

    told = [keys.to_be_told(K, now) for now in (0.0, 60.0, HOUR - 1, HOUR, HOUR + 1)]

    assert [True, False, False, True, False] == told


def test_a_child_process_begins_with_none():
    keys = askings()
    keys.join(K, 0.0, object)

    child = os.fork()
    if child == 0:
        joined = keys.join(K, 0.0, object)
        os._exit(0 if joined is not None and joined[1] else 1)
    _, status = os.waitpid(child, 0)

    assert 0 == os.waitstatus_to_exitcode(status)
