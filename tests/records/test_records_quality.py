"""What checks found, on both databases: the newest counts, and old ones go."""

from datetime import timedelta

from jupyter_guardrails.records import audit, quality


def row(now, dataset="hr/people", version="1.0.0", **more):
    results = [{"state": "failed", "count": 3, "percent": 12.5, "reason": ""}, {"state": "text", "count": None, "percent": None, "reason": ""}]
    return {
        "dataset": dataset,
        "checked_at": now,
        "version": version,
        "rules": "d",
        "checked_by": "dana",
        "row_count": 2**40,
        "results": results,
    } | more


def put(records, now, **more):
    fields = {"principal": "dana", "action": "data.quality", "resource": "hr/people", "allowed": True, "reason": "1 of 2", "rule": ""}
    records.write_sync(quality.put, row(now, **more), fields | {"now": now, "policy_digest": ""})


def test_a_check_is_kept_as_it_was_found_and_audited(records, now):
    put(records, now)
    assert records.read_sync(quality.newest, "hr/people") == row(now)
    assert records.read_sync(quality.newest, "hr/other") is None
    assert [one["action"] for one in records.read_sync(audit.newest, limit=5)] == ["data.quality"]


def test_the_newest_counts_and_of_one_moment_the_last(records, now):
    put(records, now, version="1.0.0")
    put(records, now + timedelta(hours=1), version="2.0.0")
    put(records, now + timedelta(hours=1), version="3.0.0")
    put(records, now, dataset="hr/other", version="9.0.0")
    assert records.read_sync(quality.newest, "hr/people")["version"] == "3.0.0"
    assert [one["version"] for one in records.read_sync(quality.history, "hr/people")] == ["3.0.0", "1.0.0"]


def test_the_oldest_go_and_only_of_that_dataset(records, now):
    put(records, now, dataset="hr/other")
    for number in range(quality.KEPT + 5):
        put(records, now + timedelta(minutes=number))
    kept = records.read_sync(quality.history, "hr/people")
    assert len(kept) == quality.KEPT
    assert kept[-1]["checked_at"] == now + timedelta(minutes=5)
    assert len(records.read_sync(quality.history, "hr/other")) == 1
