"""The way into production in a real browser: clicked, checked, approved by another person, deployed, run; one content digest all the way.

`GUARDRAILS_SHOTS=1` keeps a picture of each step in shots/, and what docs/ shows of it.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from conftest import SHOTS, opened
from off_ramp_walk import Walk, off_ramp

service_machine = off_ramp.service_machine
WHY_NOT = service_machine.why_not()
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")]
ENGINES = ("local", "slurm", "airflow")
PICTURES = Path(__file__).parents[2] / "docs" / "reference" / "off-ramp"


def picture(lab, step):
    """The whole page in shots/; the panel, and the page that is clicked in, in docs/."""
    if os.environ.get("GUARDRAILS_SHOTS"):
        SHOTS.mkdir(exist_ok=True)
        lab.page.screenshot(path=SHOTS / f"offramp-{step}.png")
        (lab.page if step == "1-click" else lab.panel.root).screenshot(path=PICTURES / f"{step}.png")


def walk(lab, story, data):
    """All of it; a machine has one story."""
    Walk(lab, story, partial(picture, lab)).run(ENGINES, data)
    assert story.digests == {story.content}
    assert set(story.results) == set(ENGINES)
    assert len(set(story.results.values())) == 1


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("GUARDRAILS_SOAK"), reason="a long run only: GUARDRAILS_SOAK=1")
def test_a_click_leads_to_runs_on_three_engines(chromium):
    if why_not := off_ramp.why_not():
        pytest.skip(why_not)
    with off_ramp.three_engines() as made:
        if isinstance(made, str):
            pytest.skip(f"no package index answers here: {made}")
        machine, environment, data = made
        server = machine.serve("ana", launcher=("jupyter_guardrails", "lab"))
        server.token = service_machine.TOKEN
        with opened(chromium, server) as lab:
            walk(lab, off_ramp.Story(machine, environment), data)
