"""Labels as values: the highest class, every limit, the earliest end."""

from datetime import UTC, datetime

import pytest

from jupyter_guardrails.catalog.labels import Input, Label, from_json, highest, in_words, label_of, to_json

MAY, JUNE = datetime(2031, 5, 1, tzinfo=UTC), datetime(2031, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ((), ""),
        (("public",), "public"),
        (("internal", "public"), "internal"),
        (("restricted", "confidential"), "restricted"),
        (("Confidential", "internal"), "Confidential"),
        (("restricted", "acme-secret"), "acme-secret"),
    ],
)
def test_the_highest_counts_and_an_unknown_one_is_above_the_ladder(classes, expected):
    assert highest(classes) == expected
    assert highest(reversed(classes)) == expected


def test_every_limit_on_purposes_holds():
    two = label_of([Input("a", "1", "internal", ("churn", "fraud")), Input("b", "1", "internal", ("fraud", "audit")), Input("c", "1", "public")])
    assert (two.purposes, two.exhausted) == (("fraud",), False)
    none = label_of([Input("a", "1", "internal", ("churn",)), Input("b", "1", "internal", ("audit",))])
    assert (none.purposes, none.exhausted) == ((), True)
    assert "for no purpose" in in_words(none)
    free = label_of([Input("c", "1", "public")])
    assert (free.purposes, free.exhausted) == ((), False)


def test_the_earliest_end_counts_and_none_is_no_end():
    assert label_of([Input("a", "1", "internal", (), JUNE), Input("b", "1", "internal", (), MAY), Input("c", "1", "public")]).expires_at == MAY
    assert label_of([Input("c", "1", "public")]).expires_at is None


def test_words():
    assert in_words(Label()).startswith("none")
    made = label_of([Input("hr/headcount", "1.2.0", "confidential", ("churn",), MAY), Input("nyc/flights", "2.0.0", "public")])
    assert in_words(made) == "confidential, from hr/headcount 1.2.0, nyc/flights 2.0.0; until 2031-05-01; for churn only"


def test_there_and_back():
    for item in (Input("a/b", "1", "internal", ("churn",), MAY), Input("a/b", "1", "internal")):
        assert from_json(to_json(item)) == item
