"""What no software can keep apart is at least said where people look for it."""

import re
from pathlib import Path

import pytest
from masked_ways import WAYS
from test_attacks_published import ABSENT, SUITE, cases_of

SECURITY = Path(__file__).parents[2] / "docs" / "security.md"
TABLE = SECURITY.parent / "reference" / "attacks.md"


def test_the_docs_say_that_a_prompt_may_be_a_kernels():
    """KRN-06: a cell can ask for a password; the panel never does."""
    if not SECURITY.exists():
        pytest.skip("the documentation is not beside these tests")
    text = SECURITY.read_text()
    assert "the panel never asks for a secret" in text
    assert "a cell's prompt" in text


def test_the_docs_say_that_what_is_read_can_leave():
    """DATA-17: no scan of outputs, plots or files tells data from a result."""
    if not SECURITY.exists():
        pytest.skip("the documentation is not beside these tests")
    assert "Data that a kernel may read can leave" in SECURITY.read_text()


@pytest.mark.parametrize("groups", [("PATH", "DATA"), ("PKG", "PARSE"), ("FLOW",), ("WEB", "XSS")], ids="-".join)
def test_the_tables_have_every_case_and_none_that_did_not_pass(groups):
    if not TABLE.exists():
        pytest.skip("the documentation is not beside these tests")
    if SUITE is None:
        pytest.skip(ABSENT)
    rows = re.findall(r"^\| ([A-Z]+-\d+) \|.* \| ([^|]+) \|$", TABLE.read_text(), re.MULTILINE)
    ends = {name: end for name, end in rows if name.startswith(groups)}
    assert set(ends) == set(cases_of(*groups))
    assert {name: end for name, end in ends.items() if not re.search(r": \d+ passed$", end)} == {}


def test_the_table_of_ways_to_a_masked_column_has_every_way():
    if not TABLE.exists():
        pytest.skip("the documentation is not beside these tests")
    ways = re.findall(r"^\| ([^|]+) \|", TABLE.read_text().partition("## Ways")[2], re.MULTILINE)[2:]
    assert sorted(ways) == sorted([*WAYS, "package evidence"])
