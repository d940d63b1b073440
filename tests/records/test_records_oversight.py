"""Decisions, suspensions, break-glass, the outbox and the counted past, on both databases."""

from datetime import timedelta

import pytest
from test_records_submissions import create, move

from jupyter_guardrails.errors import Conflict, NotFound
from jupyter_guardrails.records import audit, decisions, exemptions, outbox, past, submissions, suspensions


def fields(now, action="x", **more):
    said = {"principal": "carol", "action": action, "resource": "r", "allowed": True, "reason": "why", "rule": "a.yaml:1 admins"}
    return said | {"now": now, "policy_digest": "p"} | more


def in_review(records, now):
    create(records, now)
    move(records, now, "checking")
    digests = {"content_digest": "c" * 64, "evidence_digest": "e" * 64}
    records.write_sync(submissions.set_package, "s1", name="x", path="/x", now=now, **digests)
    move(records, now, "in_review")


def say(records, now, reviewer, word="approve", *, approvals=2, self_test=False, **digests):
    said = {"content_digest": "c" * 64, "evidence_digest": "e" * 64, "words": "w", "rule": "", "policy_digest": "p"} | digests
    wanted = decisions.Said(submission="s1", reviewer=reviewer, decision=word, self_test=self_test, **said)
    return records.write_sync(decisions.decide, wanted, now=now, approvals=approvals)["state"]


def test_enough_distinct_reviewers_approve_and_nothing_else_counts(records, now):
    in_review(records, now)
    assert say(records, now, "rita", self_test=True) == "in_review"
    assert say(records, now, "rita") == "in_review"
    with pytest.raises(Conflict):
        say(records, now, "rita")
    with pytest.raises(Conflict):
        say(records, now, "ron", evidence_digest="f" * 64)
    assert say(records, now, "ron") == "approved"
    assert [(row["reviewer"], row["self_test"]) for row in records.read_sync(decisions.of, "s1")].count(("rita", False)) == 1
    for against in ("reject", "send_back"):
        with pytest.raises(Conflict):
            say(records, now, "rob", word=against)
    assert say(records, now, "rob") == "approved", "one approval more, for when another lapses"
    assert say(records, now, "rita") == "approved", "the same, given once more"
    assert [row["reviewer"] for row in records.read_sync(decisions.of, "s1") if not row["self_test"]] == ["rita", "rob", "ron"]


def test_a_refused_decision_leaves_nothing(records, now):
    create(records, now)
    before = len(records.read_sync(audit.newest))
    with pytest.raises(Conflict):
        say(records, now, "rita")
    assert records.read_sync(decisions.of, "s1") == []
    assert len(records.read_sync(audit.newest)) == before


def test_a_suspension_is_one_until_it_is_lifted(records, now):
    said = {"kind": "user", "name": "ana", "reason": "an incident", "ends_kernels_at": None}
    records.write_sync(suspensions.suspend, id="1", **said, fields=fields(now, "suspend.user"))
    with pytest.raises(Conflict):
        records.write_sync(suspensions.suspend, id="2", **said, fields=fields(now, "suspend.user"))
    assert list(records.read_sync(suspensions.active)) == [("user", "ana")]
    records.write_sync(suspensions.lift, "user", "ana", reason="nothing", fields=fields(now, "lift.user"))
    assert records.read_sync(suspensions.active) == {}
    with pytest.raises(NotFound):
        records.write_sync(suspensions.lift, "user", "ana", reason="nothing", fields=fields(now, "lift.user"))
    records.write_sync(suspensions.suspend, id="3", **said, fields=fields(now, "suspend.user"))
    assert len(records.read_sync(suspensions.history)) == 2
    assert [row["action"] for row in records.read_sync(audit.newest)] == ["suspend.user", "lift.user", "suspend.user"]


def test_an_exemption_counts_after_it_began_and_before_it_ends(records, now):
    said = {"kind": "dataset", "person": "ana", "name": "hr/x", "unmasked": False, "reason": "why", "given_by": "carol", "rule": ""}
    wanted = exemptions.Exemption(id="b1", **said, begins_at=now, ends_at=now + timedelta(hours=1))
    records.write_sync(exemptions.record, wanted, fields(now, "break_glass.begin"))
    assert records.read_sync(exemptions.active, "ana", now=now) == {}, "recorded is not open"
    records.write_sync(exemptions.begin, "b1")
    assert list(records.read_sync(exemptions.active, "ana", now=now)) == [("dataset", "hr/x")]
    late = now + timedelta(hours=1)
    assert records.read_sync(exemptions.active, "ana", now=late) == {}
    assert [row["id"] for row in records.read_sync(exemptions.over, now=late)] == ["b1"]
    records.write_sync(exemptions.end, "b1", fields=fields(late, "break_glass.end"))
    with pytest.raises(NotFound):
        records.write_sync(exemptions.end, "b1", fields=fields(late, "break_glass.end"))
    records.write_sync(exemptions.begin, "b1")
    assert records.read_sync(exemptions.active, "ana", now=now) == {}, "what ended does not begin again"


def put(records, now, id="n1", targets=("webhook", "smtp")):
    return records.write_sync(outbox.put, targets, {"id": id, "kind": "x"}, now=now)


def test_the_outbox_waits_backs_off_and_gives_up(records, now):
    put(records, now)
    put(records, now)
    rows = records.read_sync(outbox.due, now=now)
    assert sorted((row["id"], row["target"]) for row in rows) == [("n1", "smtp"), ("n1", "webhook")]
    records.write_sync(outbox.sent, "n1", "smtp", now=now)
    pauses = []
    for attempt in range(1, outbox.MOST_ATTEMPTS + 1):
        (row,) = records.read_sync(outbox.due, now=now)
        assert records.write_sync(outbox.failed, row, "away", now=now) == (attempt == outbox.MOST_ATTEMPTS)
        assert records.read_sync(outbox.due, now=now) == []
        pauses.append(min(2.0 * 2 ** (attempt - 1), 3600.0))
        now += timedelta(seconds=pauses[-1])
    assert records.read_sync(outbox.due, now=now + timedelta(days=1)) == []
    assert records.read_sync(outbox.waiting) == {}


def test_what_was_sent_is_forgotten_after_a_while_and_not_told_again_before(records, now):
    put(records, now, targets=("webhook",))
    records.write_sync(outbox.sent, "n1", "webhook", now=now)
    put(records, now + timedelta(days=6), targets=("webhook",))
    assert records.read_sync(outbox.due, now=now + timedelta(days=6)) == []
    later = now + timedelta(days=8)
    put(records, later, "n2", ("webhook",))
    records.write_sync(outbox.sent, "n2", "webhook", now=later)
    put(records, later, targets=("webhook",))
    assert [row["id"] for row in records.read_sync(outbox.due, now=later)] == ["n1"]


def test_the_same_decision_is_counted_once(records, now):
    for moment in range(3):
        said = fields(now + timedelta(minutes=moment), "data.read", principal="ana", resource="nyc/x", kernel="k1")
        records.write_sync(audit.append, **said)
    records.write_sync(audit.append, **fields(now, "data.read", principal="ana", resource="nyc/x", allowed=False, mode="observe"))
    records.write_sync(audit.append, **fields(now, "other", principal="ana"))
    rows, total = records.read_sync(past.counted, now, ("data.read",), most=10)
    assert [(row["count"], row["allowed"], row["mode"]) for row in rows] == [(3, True, None), (1, False, "observe")]
    assert (total, rows[0]["last"]) == (2, "2025-03-01T12:02:00.000000Z")
    rows, total = records.read_sync(past.counted, now, ("data.read",), most=1, refused_only=True)
    assert [row["allowed"] for row in rows] == [False]
    assert records.read_sync(past.counted, now + timedelta(minutes=2), ("data.read",), most=10)[0][0]["count"] == 1
