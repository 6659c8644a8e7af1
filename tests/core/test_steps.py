# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyonce.core.errors import RecordUnreadable
from keyonce.core.model import Fingerprint
from keyonce.core.steps import Progress, Step, Steps, read_steps, write_steps

REQUEST = Fingerprint("scheme-1", bytes(range(32)))
TAKEN = (Step("hold", Progress.DONE, b'{"id":1}'), Step("charge", Progress.BEGUN))

steps_taken = st.lists(
    st.builds(Step, st.text(), st.sampled_from(Progress), st.binary()), min_size=1
)


def test_where_nothing_was_taken_nothing_is_written():
    assert write_steps(Steps(REQUEST)) == b""
    assert read_steps(b"") is None


@given(steps_taken)
def test_what_was_written_is_read(taken):
    steps = Steps(REQUEST, tuple(taken))

    assert steps == read_steps(write_steps(steps))


def test_the_frame_of_version_one_stays_readable():
    golden = Steps(
        Fingerprint("ab1", b"\xaa\xbb"), (Step("hold", Progress.DONE, b"{}"),)
    )
    frame = "010000000361623100000002aabb0200000004686f6c64000000027b7dcc7213ea"

    assert golden == read_steps(bytes.fromhex(frame))
    assert frame == write_steps(golden).hex()


@given(st.data())
def test_no_torn_frame_is_read(data):
    frame = write_steps(Steps(REQUEST, TAKEN))
    end = data.draw(st.integers(1, len(frame) - 1))

    with pytest.raises(RecordUnreadable):
        read_steps(frame[:end])


@given(st.data())
def test_no_changed_frame_is_read(data):
    frame = bytearray(write_steps(Steps(REQUEST, TAKEN)))
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] ^= data.draw(st.integers(1, 255))

    with pytest.raises(RecordUnreadable):
        read_steps(bytes(frame))


@given(st.binary(min_size=1))
def test_garbage_is_refused_whatever_it_is(garbage):
    with pytest.raises(RecordUnreadable):
        read_steps(garbage)
