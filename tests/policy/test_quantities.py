"""Quantities: exact where they are clear, refused where they could mean two things."""

import pytest

from jupyter_guardrails.policy.quantities import format_bytes, format_duration, parse_amount, parse_bytes, parse_duration, parse_share

HOSTILE = ["-1", "nan", "inf", "1e999", True, "\u0663GiB", "1_000B", " 5B ", "5B\n", "", None, "GiB", "1.GiB", ".5GiB", "1gib", (), {}, 1.5]


@pytest.mark.parametrize(("text", "expected"), [("2GiB", 2**31), ("500MB", 500_000_000), ("1.5KiB", 1536), ("7B", 7), ("1 TiB", 2**40)])
def test_sizes(text, expected):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("30s", 30), ("15m", 900), ("12h", 43200), ("7d", 604800), ("2w", 1209600), ("1.5h", 5400)])
def test_durations(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("80%", 0.8), ("100%", 1.0), ("0.5%", 0.005)])
def test_shares(text, expected):
    assert parse_share(text) == pytest.approx(expected)


@pytest.mark.parametrize("hostile", [*HOSTILE, "0B", "9999999TiB", "80", 3])
@pytest.mark.parametrize("parse", [parse_bytes, parse_duration, parse_share])
def test_what_is_no_quantity_is_refused_in_a_sentence(parse, hostile):
    with pytest.raises(ValueError, match="must be"):
        parse(hostile)


def test_a_number_without_unit_says_so():
    with pytest.raises(ValueError, match="2 has no unit"):
        parse_bytes(2)


@pytest.mark.parametrize("share", ["0%", "101%", "999.9%"])
def test_shares_have_bounds(share):
    with pytest.raises(ValueError, match="at most 100%"):
        parse_share(share)


def test_amounts_are_positive_finite_numbers():
    assert parse_amount(1.5) == 1.5
    assert parse_amount(2) == 2.0
    for hostile in (0, -1, float("nan"), float("inf"), True, "1", 10**400):
        with pytest.raises(ValueError, match="above 0"):
            parse_amount(hostile)


@pytest.mark.parametrize("size", [1, 999, 1000, 1024, 1500, 2**30, 3 * 2**30, 10**9, 2**40 + 1])
def test_sizes_survive_a_round_trip(size):
    assert parse_bytes(format_bytes(size)) == size


@pytest.mark.parametrize("seconds", [1, 59, 60, 90, 3600, 5400, 86400, 7 * 86400, 86401])
def test_durations_survive_a_round_trip(seconds):
    assert parse_duration(format_duration(seconds)) == seconds


def test_shortest_spelling():
    assert (format_bytes(2**31), format_duration(604800), format_duration(5400)) == ("2GiB", "7d", "90m")
