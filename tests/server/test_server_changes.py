"""What others change is told to a browser that looks, within seconds, and asked of control only while one does."""

import asyncio
import contextlib
import io
import json
import logging
import re
from types import SimpleNamespace

import pytest
import websocket
from jupyter_events import EventLogger

from jupyter_guardrails.errors import ControlAway
from jupyter_guardrails.server import changes, hints
from jupyter_guardrails.server.changes import LOOKED_S, Changes


class Followed:
    """Marks as control gives them, at a time that the test says."""

    def __init__(self):
        self.now, self.marks, self.asked, self.told = 0.0, {"submissions": "a", "requests": "a"}, 0, []
        self.away = False
        self.changes = Changes(self.ask, self.told.append, clock=lambda: self.now)

    async def ask(self):
        self.asked += 1
        if self.away:
            raise ControlAway("control does not answer")
        return dict(self.marks)

    def looked(self):
        asyncio.run(self.changes.looked())

    def look(self):
        asyncio.run(self.changes.look())
        told = list(self.told)
        self.told.clear()
        return told


@pytest.fixture
def followed():
    return Followed()


def test_a_change_is_told_once(followed):
    followed.looked()
    assert followed.look() == []
    followed.marks["submissions"] = "b"
    assert followed.look() == ["submissions"]
    assert followed.look() == []


def test_nobody_is_asked_while_nobody_looks(followed):
    followed.look()
    followed.looked()
    followed.now += LOOKED_S
    followed.look()
    assert followed.asked == 1
    followed.looked()
    assert followed.asked == 2, "the twin"


def test_what_changed_while_nobody_looked_is_not_told_and_what_changes_after_the_first_look_is(followed):
    followed.looked()
    followed.now += LOOKED_S
    followed.marks["submissions"] = "b"
    followed.looked()
    assert followed.look() == [], "whoever looks now reads it as it is"
    followed.marks["submissions"] = "c"
    assert followed.look() == ["submissions"]


def test_a_topic_that_comes_and_one_that_goes_are_changes(followed):
    """Something waits for this person's word, and then nothing does."""
    followed.looked()
    followed.marks["decisions"] = "a"
    assert followed.look() == ["decisions"]
    assert followed.look() == []
    del followed.marks["decisions"]
    assert followed.look() == ["decisions"]
    assert followed.look() == []


def test_nothing_is_told_before_there_is_something_to_compare_with(followed):
    followed.away = True
    followed.looked()
    followed.away = False
    assert followed.look() == []
    followed.marks["requests"] = "b"
    assert followed.look() == ["requests"], "the twin"


def test_control_that_is_away_ends_nothing(followed):
    followed.looked()
    followed.away = True
    assert followed.look() == []
    followed.away = False
    followed.marks["requests"] = "b"
    assert followed.look() == ["requests"], "also what changed meanwhile"


def test_a_look_that_fails_unexpectedly_ends_nothing_and_is_told(caplog, monkeypatch):
    monkeypatch.setattr(changes, "EVERY_S", 0.0)
    tries = iter([OSError("the disk is gone"), asyncio.CancelledError()])

    async def ask():
        raise next(tries)

    followed = Changes(ask, lambda topic: None, clock=lambda: -LOOKED_S + 1)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(followed.look_forever())
    assert "the disk is gone" in caplog.text


@pytest.mark.parametrize("topic", ["submissions", "requests", "review", "decisions"])
def test_each_topic_that_control_marks_is_one_that_may_be_told(topic):
    events, written = EventLogger(), io.StringIO()
    events.register_handler(logging.StreamHandler(written))
    hints.of_changes(SimpleNamespace(event_logger=events))(topic)
    assert json.loads(written.getvalue())["topic"] == topic


def test_a_browser_that_looks_hears_of_a_request_that_was_made_elsewhere(make_server):
    """Over a real server where nothing is asked for yet: the list is read, another client asks for something, the event comes."""
    server = make_server().wait_ready()
    headers = {"Authorization": "token token-of-the-test-server"}
    address = f"ws://127.0.0.1:{server.port}/api/events/subscribe"
    with contextlib.closing(websocket.create_connection(address, header=headers, timeout=60)) as events:
        assert server.rest("GET", "guardrails/requests").status_code == 200
        asked = server.rest("POST", "guardrails/requests", json={"dataset": "hr/salaries", "purpose": "a change that others see"})
        assert asked.status_code == 201, asked.text
        event = {}
        while not re.search("guardrails.*/changed$", event.get("schema_id", "")):
            event = json.loads(events.recv())
    assert event["topic"] == "requests"
    assert not {"person", "id", "dataset"} & set(event), "a hint says nothing else"
