"""Calls that never come back: whoever waits for them is told, may leave, and can't pile them up."""

import threading

import pytest

from jupyter_guardrails.catalog.sources import deadline
from jupyter_guardrails.catalog.sources.deadline import Deadline, watched
from jupyter_guardrails.errors import SourceAway


class Left(Exception):
    """Whoever waited has gone."""


@pytest.fixture
def stuck():
    """A call that comes back when the test is over."""
    over = threading.Event()
    yield lambda: over.wait(60)
    over.set()


def leave():
    raise Left


def test_a_call_that_hangs_ends_with_who_waits_for_it_and_its_end_is_not_waited_for(stuck):
    closed = threading.Event()
    with watched(leave):
        made = Deadline("a store", 60)
    with pytest.raises(Left):
        made.call(stuck)
    with pytest.raises(Left):
        made.end(closed.set)
    assert not closed.is_set()


def test_nobody_looks_outside_of_the_block_nor_at_a_call_that_comes_back():
    with watched(leave):
        made = Deadline("a store", 60)
    assert made.call(lambda: "here") == "here"
    assert Deadline("a store", 60)._look is None
    made.end(lambda: None)


def test_who_stays_gets_the_answer():
    looked, ready = [], threading.Event()
    with watched(lambda: (looked.append(1), ready.set())):
        made = Deadline("a store", 60)
    assert made.call(lambda: ready.wait(30)) is True
    assert looked
    made.end(lambda: None)


def test_calls_that_hang_do_not_pile_up(stuck, monkeypatch):
    monkeypatch.setattr(deadline, "THREAD", "of this test alone: ")
    monkeypatch.setattr(deadline, "MOST_THREADS", 1)
    with watched(leave):
        made = Deadline("a store", 60)
    with pytest.raises(Left):
        made.call(stuck)
    with pytest.raises(SourceAway, match="have not answered yet"):
        Deadline("another store", 60)
    monkeypatch.setattr(deadline, "MOST_THREADS", 2)
    assert Deadline("another store", 60).call(lambda: 1) == 1
