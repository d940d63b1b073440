"""A reviewer's desk: what waits, what is shown to them, what they decided; and who has nothing on it."""

import asyncio
from datetime import timedelta

import pytest
from decision_world import POLICY, DecisionWorld

from jupyter_guardrails.control import review_desk, workers
from jupyter_guardrails.control.interface.decisions import ReviewsOverview
from jupyter_guardrails.control.interface.sharing import SubmissionShare
from jupyter_guardrails.records import submissions


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, POLICY)
    yield world
    world.close()


def desk(world, person="rita"):
    return world.ask(person, ReviewsOverview())


def ids(rows):
    return [row["id"] for row in rows]


def test_what_waits_is_on_it_oldest_first_without_checks(world):
    world.submission()
    world.now += timedelta(minutes=1)
    world.submission("s2", person="ben")
    found = desk(world)
    assert (found["person"], found["service"], found["reviewer"]["allowed"]) == ("rita", True, True)
    assert ids(found["waiting"]) == ["s1", "s2"]
    line = found["waiting"][0]
    assert (line["name"], line["person"], line["decisions"], line["notebook"]) == ("report", "ana", 0, "report.ipynb")
    assert "checks" not in line


@pytest.mark.parametrize("who", ["ben", "stella", "carol", "dana"])
def test_who_reviews_nothing_has_an_empty_desk_that_says_why(world, who):
    world.submission()
    found = desk(world, who)
    assert (found["waiting"], found["drafts"], found["decided"]) == ([], [], [])
    assert (found["reviewer"]["allowed"], found["reviewer"]["reason"]) == (False, f"{who} is not a reviewer")
    assert found["reviewer"]["rule"].startswith("guardrails.yaml:")
    assert "promotion.reviewers" in found["reviewer"]["next_step"]


def test_ones_own_does_not_wait_for_oneself_though_one_reviews_others(world):
    world.submission()
    world.submission("s2", person="ben")
    assert ids(desk(world, "ana")["waiting"]) == ["s2"]


def test_what_one_decided_moves_and_others_still_have_it_with_its_count(world):
    world.submission()
    world.ask("rita", world.decision(words="agrees with last month"))
    found = desk(world)
    assert found["waiting"] == []
    (said,) = found["decided"]
    assert (said["id"], said["decision"], said["words"], said["state"]) == ("s1", "approve", "agrees with last month", "in_review")
    (waiting,) = desk(world, "ron")["waiting"]
    assert (waiting["id"], waiting["decisions"]) == ("s1", 1)


def test_a_draft_is_on_it_while_its_author_shows_it(world):
    world.submission("s1", draft=True)
    workers.folder_of(world.state(), "s1").mkdir(parents=True)
    assert desk(world)["drafts"] == []
    world.ask("ana", SubmissionShare(id="s1"))
    assert ids(desk(world)["drafts"]) == ["s1"]
    assert desk(world, "ben")["drafts"] == [], "for reviewers alone"
    assert desk(world, "ana")["drafts"] == [], "who shows it has it elsewhere"
    world.ask("ana", SubmissionShare(id="s1", shared=False))
    assert desk(world)["drafts"] == []


def test_in_own_mode_it_is_a_self_test(world):
    world.service = False
    world.submission()
    found = desk(world, "ana")
    assert (found["service"], ids(found["waiting"])) == (False, ["s1"])
    assert found["waiting"][0]["label"] == "self-test: nobody else has approved this"


def test_many_that_wait_are_read_at_once(world):
    """In one reading of the tables, not one for each."""
    for number in range(40):
        world.submission(f"s{number}", person=f"p{number}", state="checking")
        world.records.write_sync(submissions.transition, f"s{number}", "in_review", now=world.now, actor=f"p{number}")
    state, asked = world.state("rita"), []
    read = state.records.read

    async def counting(work, *arguments, **named):
        asked.append(work)
        return await read(work, *arguments, **named)

    state.records.read = counting
    found = asyncio.run(review_desk.overview(state, ReviewsOverview(), []))
    assert (len(found["waiting"]), len(asked)) == (40, 1)
