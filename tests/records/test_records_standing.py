"""Which grants, exemptions and suspensions are in force: by person, at one moment."""

from datetime import timedelta

from jupyter_guardrails.records import exemptions, requests, standing, suspensions

SAID = {"principal": "carol", "allowed": True, "reason": "an incident", "rule": "", "policy_digest": "d"}


def fields(now, action, resource):
    return {"now": now, "action": action, "resource": resource, **SAID}


def give(records, now, id, person="ana", days=2):
    said = {"actor": "dana", "reason": "a study", "rule": "r", "policy_digest": "d"}
    return records.write_sync(requests.give, id=id, principal=person, dataset="hr/people", now=now, days=days, **said)


def of(records, person, now):
    return records.read_sync(standing.in_force, now=now).of(person)


def test_a_grant_counts_for_its_person_until_it_is_over(records, now):
    give(records, now, "g-1")
    give(records, now, "g-2", person="ben", days=9)
    assert (of(records, "ana", now), of(records, "ben", now), of(records, "carol", now)) == ({"g-1"}, {"g-2"}, set())
    assert of(records, "ana", now + timedelta(days=2)) == set()
    assert of(records, "ben", now + timedelta(days=2)) == {"g-2"}
    records.write_sync(requests.revoke, "g-2", now=now, actor="dana", reason="it is over")
    assert of(records, "ben", now) == set()


def test_stops_count_for_whom_they_stop_and_break_glass_for_whom_it_opens(records, now):
    for kind, name in (("user", "ana"), ("dataset", "hr/people"), ("job", "report")):
        stop = {"id": f"s-{kind}", "kind": kind, "name": name, "reason": "an incident", "ends_kernels_at": None}
        records.write_sync(suspensions.suspend, **stop, fields=fields(now, f"suspend.{kind}", name))
    opened = exemptions.Exemption("b-1", "dataset", "ben", "hr/people", False, "payroll", "carol", "r", now, now + timedelta(hours=1))
    records.write_sync(exemptions.record, opened, fields(now, "break_glass.begin", "hr/people"))
    assert of(records, "ben", now) == {"s-dataset"}  # recorded is not yet in force
    records.write_sync(exemptions.begin, "b-1")
    assert (of(records, "ana", now), of(records, "ben", now)) == ({"s-user", "s-dataset"}, {"s-dataset", "b-1"})
    assert of(records, "ben", now + timedelta(hours=1)) == {"s-dataset"}
    records.write_sync(suspensions.lift, "dataset", "hr/people", reason="mended", fields=fields(now, "lift.dataset", "hr/people"))
    assert (of(records, "ana", now), of(records, "ben", now)) == ({"s-user"}, {"b-1"})
