"""Licences as packages name them, against a list of denied ones."""

import pytest

from jupyter_guardrails.promotion.licenses import is_denied, spdx

DENIED = ("GPL-*", "AGPL-*", "GPL")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("MIT", "MIT"),
        ("MIT License", "MIT"),
        (" GNU General Public License v3 (GPLv3) ", "GPL-3.0-only"),
        ("GPLv3", "GPL-3.0-only"),
        ("Our own terms", "Our own terms"),
    ],
)
def test_names_become_those_of_spdx_where_they_are_known(said, name):
    assert spdx(said) == name


@pytest.mark.parametrize(
    ("said", "denied"),
    [
        ("MIT", False),
        ("LGPL-3.0-only", False),
        ("gpl-3.0-ONLY", True),
        ("GNU General Public License v2 (GPLv2)", True),
        ("MIT OR GPL-3.0-only", False),
        ("GPL-3.0-only OR AGPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", True),
        ("(MIT OR GPL-3.0-only) AND BSD-3-Clause", False),
        ("(MIT OR BSD-3-Clause) AND GPL-3.0-only", True),
        ("MIT OR (BSD-3-Clause AND GPL-3.0-only)", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", True),
        ("Apache-2.0 WITH LLVM-exception", False),
        ("GPL-3.0-only AND", True),
        ("((MIT", False),
        ("", False),
    ],
)
def test_a_choice_that_is_left_is_enough(said, denied):
    assert is_denied(said, DENIED) is denied


def test_a_long_expression_is_judged_in_bounded_time():
    assert is_denied(" AND ".join(f"(A-{n} OR GPL-{n})" for n in range(200)), ("GPL-*", "A-*"))
    assert not is_denied("MIT AND " * 500 + "MIT", DENIED)
