"""Marks on folders: what was given where, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from jupyter_guardrails.records import marks


def row(place, dataset="hr/headcount", principal="ana", classification="confidential", version="1.0.0", **more):
    keys = {"place": place, "principal": principal, "dataset": dataset, "version": version, "classification": classification}
    return keys | {"purposes": [], "expires_at": None, "kernel": "k1"} | more


def datasets(records, *places):
    return {found["dataset"] for found in records.read_sync(marks.overlapping, places)}


def test_a_folder_has_the_marks_of_what_lies_in_it_and_of_what_it_lies_in(records, now):
    for place, dataset in (("/w", "a/outer"), ("/w/sub", "a/inner"), ("/w2", "a/other"), ("/w_x", "a/like"), ("/", "a/all")):
        records.write_sync(marks.put, [row(place, dataset)], now=now)
    assert datasets(records, "/w") == {"a/outer", "a/inner", "a/all"}
    assert datasets(records, "/w/sub/deep") == {"a/outer", "a/inner", "a/all"}
    assert datasets(records, "/w_") == {"a/all"}, "an underscore is a letter, no wildcard"
    assert datasets(records, "/w/sub", "/w2") == {"a/outer", "a/inner", "a/other", "a/all"}
    assert datasets(records, "/") == {"a/outer", "a/inner", "a/other", "a/like", "a/all"}
    assert datasets(records) == set()


def test_the_same_once_more_keeps_its_first_time_and_has_the_newest_end(records, now):
    first, later = now + timedelta(days=1), now + timedelta(days=30)
    records.write_sync(marks.put, [row("/w", expires_at=first)], now=now)
    records.write_sync(marks.put, [row("/w", expires_at=later, kernel="k2", purposes=["churn"])], now=now + timedelta(hours=1))
    (found,) = records.read_sync(marks.overlapping, ["/w"])
    assert (found["since"], found["expires_at"], found["kernel"], found["purposes"]) == (now, later, "k2", ["churn"])


def test_a_lower_classification_does_not_replace_a_higher_one(records, now):
    records.write_sync(marks.put, [row("/w"), row("/w", classification="internal")], now=now)
    assert {found["classification"] for found in records.read_sync(marks.overlapping, ["/w"])} == {"confidential", "internal"}


def test_many_kernels_at_once_mark_one_folder(records, now):
    def give(number):
        records.write_sync(marks.put, [row("/w", kernel=f"k{number}", expires_at=now + timedelta(days=number))], now=now)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(give, range(24)))
    assert len(records.read_sync(marks.overlapping, ["/w"])) == 1
    assert len(records.read_sync(marks.of_person, "ana")) == 1
    assert records.read_sync(marks.of_person, "ben") == []
