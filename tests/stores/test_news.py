# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that listens: when it begins, what it tells, how it ends."""

from __future__ import annotations

import threading
import time
from queue import Empty, Queue
from typing import Any

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.stores import news as room
from keyonce.stores.news import News

SOON = 20.0


class Switchboard:
    """Lines that say what the test puts on them; *answers* decide the next calls."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.lines: list[Wire] = []
        self.calls = 0

    def __call__(self):
        self.calls += 1
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        if answer == "nobody":
            return None
        self.lines.append(Wire())
        return self.lines[-1]


class Wire:
    """A line on which names come in; an exception breaks it."""

    def __init__(self):
        self.names: Queue[Any] = Queue()
        self.closed = False

    def hear(self, seconds):
        try:
            name = self.names.get(timeout=seconds)
        except Empty:
            return
        if isinstance(name, Exception):
            raise name
        yield name

    def close(self):
        self.closed = True


@pytest.fixture
def heard():
    """Remembers who was woken."""
    return Queue()


@pytest.fixture
def open_news():
    opened = []

    def opening(*answers):
        board = Switchboard(*answers)
        opened.append(News(board))
        return opened[-1], board

    yield opening
    for each in opened:
        each.close()
    assert "keyonce-news" not in {thread.name for thread in threading.enumerate()}


def until(true):
    deadline = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def listening(news, heard, name="order"):
    """Be the first to watch, up to the wake that says that it is in force."""
    watch = news.watch(name, lambda: heard.put(name))
    assert name == heard.get(timeout=SOON)
    assert watch.in_force
    return watch


def names_in(heard):
    found = []
    while not heard.empty():
        found.append(heard.get())
    return found


def test_no_thread_is_there_before_somebody_waits(open_news):
    _, board = open_news()

    assert 0 == board.calls
    assert "keyonce-news" not in {thread.name for thread in threading.enumerate()}


def test_all_listen_on_one_line_and_hear_their_own_names(open_news, heard):
    news, board = open_news()
    listening(news, heard)
    for name in ("order", "other", "last"):
        news.watch(name, lambda name=name: heard.put(name))

    board.lines[0].names.put("order")
    board.lines[0].names.put("last")
    until(lambda: heard.qsize() == 3)

    assert ["order", "order", "last"] == names_in(heard)
    assert 1 == board.calls


def test_those_who_came_before_the_line_was_open_are_told_to_look(open_news, heard):
    news, _ = open_news()

    news.watch("order", lambda: heard.put("order"))

    assert "order" == heard.get(timeout=SOON)


def test_a_gap_wakes_everybody_twice(open_news, heard):
    news, board = open_news()
    watch = listening(news, heard)

    board.lines[0].names.put(OSError("cut"))

    assert ["order", "order"] == [heard.get(timeout=SOON) for _ in range(2)]
    until(lambda: watch.in_force)
    assert (2, True) == (board.calls, board.lines[0].closed)


def test_what_may_have_been_missed_wakes_everybody(open_news, heard):
    news, board = open_news()
    listening(news, heard)

    board.lines[0].names.put(None)

    assert "order" == heard.get(timeout=SOON)


def test_a_server_that_is_away_is_tried_again(open_news, heard):
    news, board = open_news(OSError("away"), OSError("away"))

    watch = listening(news, heard)

    assert (3, True) == (board.calls, watch.in_force)


@pytest.mark.parametrize("answer", ["nobody", ConfigurationError("no twin")])
def test_where_nothing_will_tell_nobody_watches(open_news, heard, answer):
    news, board = open_news(answer)
    watch = news.watch("order", lambda: heard.put("order"))
    until(lambda: news.watch("later", print) is None)

    assert (1, False) == (board.calls, watch.in_force)
    watch.close()


def test_a_line_that_nobody_uses_is_given_up_and_opened_again(
    open_news, heard, monkeypatch
):
    monkeypatch.setattr(room, "IDLE_FOR", 0.0)
    news, board = open_news()
    news.watch("order", print).close()
    until(lambda: bool(board.lines) and board.lines[0].closed)
    until(lambda: news._thread is None)
    again = listening(news, heard)

    assert (2, True) == (board.calls, again.in_force)


def test_who_is_closed_hears_nothing_and_opens_nothing(open_news, heard):
    news, board = open_news()
    watch = listening(news, heard)

    news.close()
    news.close()

    assert board.lines[0].closed
    assert not watch.in_force
    assert news.watch("order", print) is None


@pytest.mark.parametrize(
    ("answer", "told"), [(None, True), ("nobody", False), (OSError("away"), True)]
)
def test_whether_there_is_a_line_can_be_tried(open_news, answer, told):
    news, board = open_news(answer)

    assert told is news.may_tell()
    assert all(line.closed for line in board.lines)


def test_who_cannot_be_woken_keeps_no_other_from_it(open_news, heard):
    news, board = open_news()
    listening(news, heard, "first")

    def of_an_ended_loop():
        raise RuntimeError("Event loop is closed")

    news.watch("order", of_an_ended_loop)
    news.watch("order", lambda: heard.put("order"))
    for _ in range(2):
        board.lines[0].names.put("order")

    assert ["order"] * 2 == [heard.get(timeout=SOON) for _ in range(2)]
    assert 1 == board.calls


def test_a_line_that_cannot_hang_up_is_followed_by_another(open_news, heard):
    news, board = open_news()
    listening(news, heard)

    def refuse():
        raise RuntimeError("not now")

    board.lines[0].close = refuse
    board.lines[0].names.put(OSError("broken"))
    until(lambda: len(board.lines) > 1)

    board.lines[1].names.put("order")
    until(lambda: heard.qsize() >= 3)
