"""From a notebook to production, as docs/reference/off-ramp.md shows it: one package, three engines, the same results."""

import os

import off_ramp
import pytest

WHY_NOT = off_ramp.why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")]


def told(*, small):
    story = off_ramp.told(small=small)
    if isinstance(story, str):
        pytest.skip(f"no package index answers here: {story}")
    return story


def holds(story):
    """What is true of each telling: one content digest everywhere, and one result."""
    assert story.digests == {story.content}
    assert set(story.results) == {"local", "slurm", "airflow"}
    assert len(set(story.results.values())) == 1


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("GUARDRAILS_SOAK"), reason="a long run only: GUARDRAILS_SOAK=1")
def test_a_small_notebook_takes_the_same_way_as_the_docs_show():
    story = told(small=True)
    holds(story)
    assert off_ramp.typed(story.page()) == off_ramp.typed(off_ramp.PAGE.read_text()), "write it anew: see off_ramp.py"


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("GUARDRAILS_SOAK"), reason="a long run only: GUARDRAILS_SOAK=1")
def test_delays_takes_the_way_that_the_docs_show():
    story = told(small=False)
    holds(story)
    assert off_ramp.typed(story.page()) == off_ramp.typed(off_ramp.PAGE.read_text()), "write it anew: see off_ramp.py"
