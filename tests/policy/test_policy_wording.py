"""How values of a file read in a sentence."""

import pytest

from jupyter_guardrails.policy.wording import shown, visible


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"),
        ("it's", '"it\'s"'),
        ("x" * 60, f"'{'x' * 60}'"),
        ("x" * 1061, f"'{'x' * 50}'… (1,061 characters)"),
        (True, "true"),
        (7, "7"),
        (1.5, "1.5"),
        (("a",), "a list"),
        ({"a": 1}, "a mapping"),
        (None, "nothing"),
    ],
)
def test_a_value_in_a_sentence(value, text):
    assert shown(value) == text


def test_what_steers_a_terminal_is_written_out():
    assert visible("a\x1b[2J\u202eb\n") == r"a\x1b[2J\u202eb\n"
    assert visible("Müller 日本 🦉") == "Müller 日本 🦉"
