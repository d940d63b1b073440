"""Publications on both databases: versions, names, and that of two who move one at once only the first does."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from jupyter_guardrails.errors import Conflict, NotFound
from jupyter_guardrails.records import audit, publications

ODD = "é 日本 \u202e <b> ' \" \\"


def fields(now, action="publication.create"):
    return {"now": now, "principal": "ana", "action": action, "resource": "team/churn", "reason": "r", "rule": "p.yaml:1 r"} | {
        "allowed": True,
        "policy_digest": "",
    }


def row(now, id="p-1", name="team/churn", version=1, author="ana", **more):
    found = {"id": id, "name": name, "version": version, "author": author, "state": "private", "audience": "", "description": ODD, "rule": "r"}
    found |= {"classification": "internal", "inherited": "internal", "purposes": ["churn"], "expires_at": now + timedelta(days=1), "format": "csv"}
    return (
        found | {"inputs": [], "content": {"columns": [{"name": ODD}]}, "digest": "d", "decisions": [], "created_at": now, "updated_at": now} | more
    )


def create(records, now, **more):
    return records.write_sync(publications.create, row(now, **more), fields(now))


def move(records, now, found, to_state, **values):
    return records.write_sync(publications.move, found, to_state, fields=fields(now, f"publication.{to_state}"), now=now, **values)


def test_what_was_written_is_read(records, now):
    found = create(records, now)
    assert (found["description"], found["content"]["columns"][0]["name"], found["purposes"]) == (ODD, ODD, ["churn"])
    assert found["expires_at"] == now + timedelta(days=1)
    assert records.read_sync(publications.get, "p-1") == found
    with pytest.raises(NotFound):
        records.read_sync(publications.get, "p-2")


def test_versions_count_on_whatever_became_of_those_before(records, now):
    move(records, now, create(records, now), "withdrawn")
    assert records.read_sync(publications.of_name, "team/churn") == []
    assert records.read_sync(publications.next_version, "team/churn") == 2
    with pytest.raises(Conflict, match="meanwhile"):
        create(records, now, id="p-2", version=1)
    assert create(records, now, id="p-2", version=2)["version"] == 2


def test_a_name_is_its_authors_as_long_as_something_of_it_lives(records, now):
    found = create(records, now)
    with pytest.raises(Conflict, match="taken"):
        create(records, now, id="p-2", version=2, author="ben")
    move(records, now, found, "withdrawn")
    assert create(records, now, id="p-2", version=2, author="ben")["author"] == "ben"


def test_the_published_one_is_replaced_by_the_next(records, now):
    first = move(records, now, move(records, now, create(records, now), "proposed"), "published")
    second = create(records, now, id="p-2", version=2)
    assert [one["version"] for one in records.read_sync(publications.of_name, "team/churn")] == [2, 1]
    move(records, now, second, "published")
    assert records.read_sync(publications.get, first["id"])["state"] == "superseded"


@pytest.mark.parametrize(
    ("state", "to_state"), [("withdrawn", "published"), ("published", "private"), ("published", "proposed"), ("withdrawn", "private")]
)
def test_no_way_back(records, now, state, to_state):
    found = move(records, now, create(records, now), state)
    with pytest.raises(Conflict, match="can't become"):
        move(records, now, found, to_state)


def test_of_many_who_decide_at_once_one_does(records, now):
    found = move(records, now, create(records, now), "proposed")

    def decide(number):
        try:
            return move(records, now, found, "published" if number % 2 else "private")["state"]
        except Conflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        states = [state for state in pool.map(decide, range(16)) if state]
    assert len(states) == 1
    assert records.read_sync(publications.get, "p-1")["state"] == states[0]
    actions = [record["action"] for record in records.read_sync(audit.newest, limit=100)]
    assert actions == ["publication.create", "publication.proposed", f"publication.{states[0]}"]
