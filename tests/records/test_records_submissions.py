"""Submissions move only along their table, requests likewise, and each move is on the audit log."""

from datetime import timedelta

import pytest

from jupyter_guardrails.control.interface.messages import SUBMISSION_STATES
from jupyter_guardrails.errors import Conflict, NotFound
from jupyter_guardrails.records import audit, requests, submissions


def create(records, now, *, id="s1", key="k1", draft=False, principal="ana", **more):
    said = {
        "notebook": "a/report.ipynb",
        "name": "report",
        "frozen": "/state/frozen/s1",
        "notebook_digest": "d1",
        "parameters": {"day": "1"},
        "reason": "weekly",
    }
    return records.write_sync(submissions.create, now=now, id=id, key=key, draft=draft, principal=principal, **said | more)


def move(records, now, *states, id="s1", **more):
    for state in states:
        records.write_sync(submissions.transition, id, state, now=now, actor="ana", **more)
    return records.read_sync(submissions.get, id)


def check(records, now, name, state="passed", **more):
    said = {"title": name.title(), "state": state, "detail": "", "findings": [], "progress": None, "seconds": None}
    records.write_sync(submissions.set_check, "s1", name, now=now, **said | more)


def actions(records):
    return [(item["action"], item["resource"]) for item in records.read_sync(audit.newest)]


def test_the_table_speaks_of_exactly_the_states_of_the_interface():
    assert set(submissions.TRANSITIONS) == set(SUBMISSION_STATES)
    assert set().union(*submissions.TRANSITIONS.values()) <= set(SUBMISSION_STATES)


def test_from_submitted_to_in_review(records, now):
    assert create(records, now)["state"] == "submitted"
    row = move(records, now + timedelta(seconds=5), "checking", "in_review")
    assert (row["state"], row["revision"], row["updated_at"], row["created_at"]) == ("in_review", 3, now + timedelta(seconds=5), now)
    assert actions(records) == [(f"submission.{state}", "report-1") for state in ("submitted", "checking", "in_review")]


@pytest.mark.parametrize(
    "path", [["checking", "in_review", "approved", "checking"], ["deployed"], ["cancelled", "checking"], ["checking", "checks_failed", "in_review"]]
)
def test_a_move_that_the_table_lacks_is_refused_and_changes_nothing(records, now, path):
    create(records, now)
    *first, last = path
    if first:
        move(records, now, *first)
    before = records.read_sync(submissions.get, "s1"), actions(records)
    with pytest.raises(Conflict, match=f"can't become {last}"):
        move(records, now, last)
    assert (records.read_sync(submissions.get, "s1"), actions(records)) == before


WAYS = {  # a state -> how a submission comes there
    "submitted": [],
    "checking": ["checking"],
    "checks_failed": ["checking", "checks_failed"],
    "cancelled": ["cancelled"],
    "withdrawn": ["withdrawn"],
    "in_review": ["checking", "in_review"],
    "changes_requested": ["checking", "in_review", "changes_requested"],
    "rejected": ["checking", "in_review", "rejected"],
    "approved": ["checking", "in_review", "approved"],
    "deployed": ["checking", "in_review", "approved", "deployed"],
    "superseded": ["checking", "in_review", "approved", "deployed", "superseded"],
    "retired": ["checking", "in_review", "approved", "deployed", "retired"],
}
LEGAL = {  # the design's table: all else is refused
    "submitted": "checking checks_failed cancelled withdrawn",
    "checking": "checks_failed in_review draft submitted cancelled",
    "checks_failed": "withdrawn",
    "in_review": "changes_requested rejected approved withdrawn superseded",
    "changes_requested": "withdrawn superseded",
    "approved": "deployed withdrawn superseded retired",
    "deployed": "superseded retired",
    "superseded": "deployed retired",
}
REASONS = {
    "submitted": "its checks come first",
    "checking": "its checks come first",
    "checks_failed": "an edit is a new version",
    "in_review": "only what was approved goes into production",
    "changes_requested": "an edit is a new version",
    "approved": "an edit is a new version, without approvals",
    "deployed": "an edit is a new version, without approvals",
    "superseded": "a newer version took its place",
    "rejected": "a rejection is for good",
    "withdrawn": "its author took it back",
    "cancelled": "submit it again",
    "retired": "a revocation says so",
}


@pytest.mark.parametrize("start", WAYS)
def test_every_move_that_is_not_in_the_table_is_refused_with_its_reason(records, now, start):
    for number, to_state in enumerate(SUBMISSION_STATES):
        id = f"{start}-{number}"
        create(records, now, id=id, key=id)
        move(records, now, *WAYS[start], id=id)
        if to_state in LEGAL.get(start, "").split():
            assert move(records, now, to_state, id=id)["state"] == to_state
            continue
        with pytest.raises(Conflict, match=f"is {start} and can't become {to_state}: .*{REASONS[start]}"):
            move(records, now, to_state, id=id)
        assert records.read_sync(submissions.get, id)["state"] == start


def test_only_what_had_its_approvals_says_when(records, now):
    create(records, now)
    move(records, now, "checking", "in_review", "superseded")
    assert records.read_sync(submissions.get, "s1")["approved_at"] is None
    create(records, now, id="s2", key="k2")
    move(records, now, "checking", "in_review", "approved", id="s2")
    move(records, now + timedelta(days=1), "deployed", "superseded", id="s2")
    assert records.read_sync(submissions.get, "s2")["approved_at"] == now


def test_a_draft_is_checked_and_never_reviewed(records, now):
    assert create(records, now, draft=True)["state"] == "draft"
    with pytest.raises(Conflict):
        move(records, now, "checking", "in_review")
    assert move(records, now, "draft")["state"] == "draft"


def test_the_same_key_gives_the_first_row_back(records, now):
    create(records, now)
    again = create(records, now, id="s2", notebook="other.ipynb")
    assert (again["id"], again["notebook"]) == ("s1", "a/report.ipynb")
    assert create(records, now, id="s3", principal="ben")["id"] == "s3", "a key is one person's own"
    assert len(actions(records)) == 2


def test_versions_count_up_by_name_and_person(records, now):
    assert [create(records, now, id=f"s{n}", key=f"k{n}")["version"] for n in (1, 2)] == [1, 2]
    assert create(records, now, id="s3", key="k3", name="other")["version"] == 1


def test_whoever_looked_at_an_older_row_is_told(records, now):
    row = create(records, now)
    move(records, now, "checking")
    with pytest.raises(Conflict, match="changed meanwhile"):
        move(records, now, "checks_failed", expected_version=row["revision"])
    assert move(records, now, "checks_failed", expected_version=row["revision"] + 1, error="no lock")["error"] == "no lock"


def test_checks_keep_their_order_and_their_last_state(records, now):
    create(records, now)
    check(records, now, "order", "running", progress={"done": 1, "total": 4})
    check(records, now, "paths")
    check(records, now, "order", "failed", findings=[{"cell": 1, "message": "m"}], seconds=0.5)
    found = records.read_sync(submissions.get, "s1")["checks"]
    assert [(item["name"], item["state"]) for item in found] == [("order", "failed"), ("paths", "passed")]
    assert (found[0]["findings"], found[0]["progress"], found[0]["seconds"]) == ([{"cell": 1, "message": "m"}], None, 0.5)


def test_a_package_is_noted_once(records, now):
    create(records, now)
    package = {"name": "report-1.job.zip", "content_digest": "c", "evidence_digest": "e", "path": "/state/p", "now": now}
    with pytest.raises(Conflict):
        records.write_sync(submissions.set_package, "s1", **package)
    move(records, now, "checking")
    records.write_sync(submissions.set_package, "s1", **package)
    row = records.read_sync(submissions.get, "s1")
    assert (row["package"], row["content_digest"], row["evidence_digest"], row["package_path"]) == ("report-1.job.zip", "c", "e", "/state/p")
    with pytest.raises(Conflict):
        records.write_sync(submissions.set_package, "s1", **package | {"content_digest": "swapped"})


def test_newest_first_own_or_all(records, now):
    create(records, now)
    create(records, now + timedelta(seconds=1), id="s2", key="k2")
    create(records, now, id="s3", principal="ben")
    assert [row["id"] for row in records.read_sync(submissions.newest, "ana")] == ["s2", "s1"]
    assert len(records.read_sync(submissions.newest, None)) == 3
    with pytest.raises(NotFound):
        records.read_sync(submissions.get, "s9")


def ask(records, now, *, id="r1", dataset="hr/pay", principal="ana", days=30):
    return records.write_sync(requests.create, now=now, id=id, principal=principal, dataset=dataset, purpose="quarterly report", days=days)


def decide(records, now, state, id="r1"):
    return records.write_sync(requests.decide, id, state, now=now, actor="carol", reason="fine", rule="p.yaml:9 stewards")


def grants(records, now, person="ana"):
    return records.read_sync(requests.active_grants, person, now=now)


def test_a_granted_request_gives_access_for_its_days(records, now):
    assert ask(records, now)["state"] == "open"
    assert grants(records, now) == {}
    row = decide(records, now, "granted")
    assert (row["state"], row["decided_by"], row["reason"]) == ("granted", "carol", "fine")
    assert grants(records, now)["hr/pay"]["expires_at"] == now + timedelta(days=30)
    assert grants(records, now + timedelta(days=31)) == {}
    assert grants(records, now, "ben") == {}
    assert actions(records) == [("request.create", "hr/pay"), ("request.granted", "hr/pay")]


def test_a_refused_request_gives_nothing_and_stays_refused(records, now):
    ask(records, now)
    decide(records, now, "refused")
    with pytest.raises(Conflict, match="is refused"):
        decide(records, now, "granted")
    assert grants(records, now) == {}


def test_asking_twice_is_one_request_until_it_is_decided(records, now):
    ask(records, now)
    assert ask(records, now, id="r2")["id"] == "r1"
    decide(records, now, "refused")
    assert ask(records, now + timedelta(seconds=1), id="r3")["id"] == "r3"
    assert [row["id"] for row in records.read_sync(requests.newest, "ana")] == ["r3", "r1"]


def test_a_revoked_grant_ends_now(records, now):
    ask(records, now)
    decide(records, now, "granted")
    grant = grants(records, now)["hr/pay"]
    records.write_sync(requests.revoke, grant["id"], now=now, actor="carol", reason="left the team")
    assert grants(records, now) == {}
    with pytest.raises(NotFound):
        records.write_sync(requests.revoke, grant["id"], now=now, actor="carol", reason="again")


def test_checks_that_nobody_ends_are_ended_and_a_late_word_is_not_heard(records, now):
    """A worker that is killed may have said something that control writes only after it knew of the end."""
    create(records, now)
    move(records, now, "checking")
    said = {"title": "Order", "detail": "", "findings": [], "progress": None, "seconds": None, "now": now}
    for name, state in (("order", "passed"), ("paths", "running"), ("size", "waiting")):
        assert records.write_sync(submissions.report_check, "s1", name, state=state, **said)
    records.write_sync(submissions.end_checks, "s1")
    move(records, now, "checks_failed")
    assert not records.write_sync(submissions.report_check, "s1", "size", state="waiting", **said)
    assert not records.write_sync(submissions.report_check, "s1", "data", state="waiting", **said)
    found = {check["name"]: (check["state"], check["detail"]) for check in records.read_sync(submissions.get, "s1")["checks"]}
    assert found["order"] == ("passed", "")
    assert found["paths"] == ("failed", "the worker ended during this check")
    assert found["size"] == ("not_checked", "the worker ended before it")
    assert "data" not in found
