"""What no software can keep apart is at least said where people look for it."""

from pathlib import Path

import pytest

SECURITY = Path(__file__).parents[2] / "docs" / "security.md"


def test_the_docs_say_that_a_prompt_may_be_a_kernels():
    """KRN-06: a cell can ask for a password; the panel never does."""
    if not SECURITY.exists():
        pytest.skip("the documentation is not beside these tests")
    text = SECURITY.read_text()
    assert "the panel never asks for a secret" in text
    assert "a cell's prompt" in text
