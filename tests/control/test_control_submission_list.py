"""A person's submissions, as a list: bounded, searched by notebook, newest first, nobody else's."""

from datetime import timedelta

import pytest
from decision_world import POLICY, DecisionWorld

from jupyter_guardrails.control.interface.messages import SubmissionsList
from jupyter_guardrails.records import submissions


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Five hundred drafts of ana's, and one of ben's with the same notebook as her last one."""
    world = DecisionWorld(tmp_path_factory.mktemp("list"), POLICY)
    said = {"frozen": "", "notebook_digest": "d", "parameters": {}, "reason": "", "draft": True}

    def store(connection):
        for number in range(500):
            names = {"id": f"a{number}", "key": f"a{number}", "notebook": f"team/100%_n{number}.ipynb", "name": f"n{number}"}
            submissions.create(connection, now=world.now + timedelta(seconds=number), principal="ana", **names, **said)
        names = {"id": "b", "key": "b", "notebook": "team/100%_n499.ipynb", "name": "n499"}
        submissions.create(connection, now=world.now, principal="ben", **names, **said)

    world.records.write_sync(store)
    yield world
    world.close()


def listed(world, **asked):
    found = world.ask("ana", SubmissionsList(**asked))
    return [one["id"] for one in found["submissions"]], found["total"]


def test_it_is_bounded_and_says_how_many_there_are(world):
    ids, total = listed(world, limit=50)
    assert (ids, total) == ([f"a{number}" for number in range(499, 449, -1)], 500)
    assert len(listed(world, limit=1000)[0]) == 500


@pytest.mark.parametrize(
    ("words", "found"),
    [("n499", ["a499"]), ("N12.", ["a12"]), ("100%_n7.", ["a7"]), ("%", 500), ("_n499", ["a499"]), ("team_", []), ("a%z", []), ("'; --", [])],
)
def test_it_is_searched_by_the_notebook_s_path_and_words_are_no_patterns(world, words, found):
    ids, total = listed(world, words=words, limit=1000)
    assert (total, len(ids)) == ((found, found) if isinstance(found, int) else (len(found), len(found)))
    assert isinstance(found, int) or ids == found


def test_it_is_one_s_own(world):
    assert [one["id"] for one in world.ask("ben", SubmissionsList())["submissions"]] == ["b"]
