"""Search: words find datasets, nobody finds what they may not see, and no text is an error."""

import random
import string

import pytest

from jupyter_guardrails.catalog.model import Column, Contract
from jupyter_guardrails.catalog.search import SearchIndex

CONTRACTS = [
    Contract(
        "nyc/flights",
        "f",
        description="Departures from New York",
        owner="carol",
        tags=("aviation",),
        columns=(Column("dep_delay", description="minutes late"),),
    ),
    Contract("nyc/weather", "w", description="Hourly weather, for flights", owner="dana", tags=("Météo",)),
    Contract("hr/salaries", "s", description="Secret salaries", owner="erin", columns=(Column("salary"),)),
]
ALL = [contract.name for contract in CONTRACTS]


@pytest.fixture(scope="module")
def index():
    return SearchIndex(CONTRACTS)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("salar", ["hr/salaries"]),
        ("DEPARTURES", ["nyc/flights"]),
        ("dep_delay", ["nyc/flights"]),
        ("minutes", ["nyc/flights"]),
        ("nyc/weather", ["nyc/weather"]),
        ("meteo", ["nyc/weather"]),
        ("erin", ["hr/salaries"]),
        ("new york", ["nyc/flights"]),
        ("new salaries", []),
        ("", ["hr/salaries", "nyc/flights", "nyc/weather"]),
        ("  ", ["hr/salaries", "nyc/flights", "nyc/weather"]),
    ],
)
def test_words_find_datasets(index, query, expected):
    assert index.search(query, ALL) == expected


def test_a_name_weighs_more_than_a_description(index):
    assert index.search("flights", ALL) == ["nyc/flights", "nyc/weather"]


@pytest.mark.parametrize("query", ["salaries", "secret", "", "erin", "* OR salaries", 'salaries" OR "x'])
def test_what_is_not_visible_is_not_found(index, query):
    assert "hr/salaries" not in index.search(query, ["nyc/flights", "nyc/weather"])
    assert index.search("salaries", ALL) == ["hr/salaries"]


def test_who_sees_one_of_thousands_still_finds_it():
    many = [Contract(f"d{i}/flights", "f", description="flights flights") for i in range(3000)]
    assert SearchIndex([*many, *CONTRACTS]).search("flights", ["nyc/flights"]) == ["nyc/flights"]


HOSTILE = [
    '"',
    "'",
    '""',
    "*",
    "nyc*",
    "NEAR(a b)",
    "name:x",
    "a AND",
    "OR",
    "-x",
    "^nyc",
    "{a b}:c",
    "(",
    "a) or (b",
    "\0",
    "nyc\0flights",
    "\ud800",
    "%",
    ";drop table datasets",
    "_",
    "a" * 100_000,
    "🙂",
    "\x1f",
]


@pytest.mark.parametrize("query", HOSTILE)
def test_no_text_is_an_error(index, query):
    assert set(index.search(query, ALL)) <= set(ALL)


def test_no_random_text_is_an_error(index):
    dice = random.Random(1)
    letters = string.printable + "\"'*():^-{}\0\ud800é中"
    for _ in range(500):
        assert set(index.search("".join(dice.choices(letters, k=dice.randrange(12))), ALL)) <= set(ALL)
    assert index.search("salaries", ALL) == ["hr/salaries"]


def test_names_with_odd_characters_in_the_visible_set_are_data(index):
    assert index.search("", ['"]) or 1=1 --', "nyc/flights"]) == ["nyc/flights"]


def test_contracts_with_half_surrogates_are_indexed():
    assert SearchIndex([Contract("a/b", "f", description="bad \ud800 text")]).search("text", ["a/b"]) == ["a/b"]
