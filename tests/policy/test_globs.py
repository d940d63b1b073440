"""Patterns: the meaning by a naive matcher, the index by trying all, the time by hostile patterns."""

import itertools
import time
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_guardrails.policy.globs import LONGEST_NAME, PatternIndex, check_glob, compile_glob

PATTERNS = st.text("ab/*", max_size=9).filter(lambda pattern: "***" not in pattern)


def naive(pattern, name):
    """What the words say: * stands for anything without a slash, ** for anything."""

    @cache
    def match(i, j):
        if i == len(pattern):
            return j == len(name)
        if pattern.startswith("**", i):
            return match(i + 2, j) or (j < len(name) and match(i, j + 1))
        if pattern[i] == "*":
            return match(i + 1, j) or (j < len(name) and name[j] != "/" and match(i, j + 1))
        return j < len(name) and name[j] == pattern[i] and match(i + 1, j + 1)

    return match(0, 0)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("nyc/*", "nyc/flights", "nyc/a/b"),
        ("nyc/**", "nyc/a/b", "nycx/a"),
        ("*", "flights", "nyc/flights"),
        ("**", "a/b/c", None),
        ("hr/salaries", "hr/salaries", "hr/salaries2"),
        ("a.c", "a.c", "abc"),
        ("**/secret", "x/y/secret", "secretx"),
        ("n*/f*s", "nyc/flights", "nyc/x/flights"),
    ],
)
def test_patterns_are_anchored(pattern, yes, no):
    assert compile_glob(pattern).fullmatch(yes)
    assert no is None or not compile_glob(pattern).fullmatch(no)


def test_every_short_pattern_means_what_the_words_say():
    texts = ["".join(letters) for size in range(5) for letters in itertools.product("a/", repeat=size)]
    patterns = ["".join(letters) for size in range(6) for letters in itertools.product("a/*", repeat=size)]
    for pattern in (p for p in patterns if "***" not in p):
        assert {t for t in texts if compile_glob(pattern).fullmatch(t)} == {t for t in texts if naive(pattern, t)}, pattern


@given(PATTERNS, st.text("ab/", max_size=10))
def test_longer_ones_too(pattern, name):
    assert bool(compile_glob(pattern).fullmatch(name)) == naive(pattern, name)


@given(st.lists(PATTERNS, max_size=8), st.text("ab/", max_size=8), st.booleans())
def test_the_index_finds_the_first_that_matches(patterns, name, from_end):
    index = PatternIndex([(pattern, position) for position, pattern in enumerate(patterns)], from_end=from_end)
    assert index.first(name) == next((position for position, pattern in enumerate(patterns) if naive(pattern, name)), None)


@pytest.mark.parametrize("pattern", ["*a" * 50 + "*b", "**a" * 50 + "**b", "**a*a" * 20 + "b", "**" + "a*" * 50 + "b"])
def test_no_pattern_takes_long(pattern):
    started = time.process_time()
    assert not compile_glob(pattern).fullmatch("a" * LONGEST_NAME)
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("bad", ["", None, 3, "a?", "[ab]", "{a,b}", "a***", "a\nb", "a\\b", " a", "a" * 1025])
def test_what_is_no_pattern_is_refused(bad):
    with pytest.raises(ValueError, match=r"pattern|in a row"):
        check_glob(bad)


def test_dots_separate_hosts():
    assert compile_glob("*.example.com", ".").fullmatch("a.example.com")
    assert not compile_glob("*.example.com", ".").fullmatch("a.b.example.com")
    assert compile_glob("**.example.com", ".").fullmatch("a.b.example.com")
