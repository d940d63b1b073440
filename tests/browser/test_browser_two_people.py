"""Two accounts of one machine, each with a JupyterLab of their own, and control as a service of a third: one submits, the other decides.

What one does shows in the other's browser without reloading; nobody decides on their own work, from nowhere. `GUARDRAILS_SHOTS=1` keeps a picture of
each step in shots/.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import SHOTS, opened
from lab_page import LabPage
from playwright.sync_api import Locator, expect
from review_page import ReviewPage
from review_world import ReviewWorld, service_machine

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))

import review_browser

WHY_NOT = service_machine.why_not()
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")]
PATIENCE_MS = 60_000
CHECKS_MS = 150_000
NOTEBOOK = "delays.ipynb"
LATE = "with open('late.csv', 'w') as file:\n    file.writelines(f'{name},{minutes}\\n' for name, minutes in rows if minutes > late_after)"
CELLS = ("late_after = 15", "rows = [('AA', 3), ('UA', 21), ('DL', 16)]", LATE)
WAITS = "nobody else has approved this yet"
HTML = "<b onclick=alert(1)>as last month</b>"


@dataclass
class Two:
    """Both people, at their browsers."""

    world: ReviewWorld
    ana: LabPage
    ben: LabPage
    review: ReviewPage
    pictures: int = 0

    @property
    def shown(self) -> Locator:
        """Ana's submission, in her panel."""
        return self.ana.panel.root.get_by_role("region", name=f"Submission of {NOTEBOOK}")

    def picture(self, name: str) -> None:
        """What both see now, where a person wants to look at it."""
        if os.environ.get("GUARDRAILS_SHOTS") == "1":
            SHOTS.mkdir(exist_ok=True)
            self.pictures += 1
            for who, lab in (("ana", self.ana), ("ben", self.ben)):
                lab.page.screenshot(path=SHOTS / f"two-people-{self.pictures}-{name}-{who}.png")

    def submit(self) -> dict[str, Any]:
        """By the button in the panel; what the server answered."""
        production = self.ana.panel.production
        posted = lambda answer: answer.request.method == "POST" and answer.url.partition("?")[0].endswith("/submissions")  # noqa: E731
        with self.ana.page.expect_response(posted) as answer:
            production.get_by_role("button", name="Submit for production").click()
        found: dict[str, Any] = answer.value.json()
        return found


@pytest.fixture(scope="module")
def two(chromium, reviewing) -> Iterator[Two]:
    """Ana's own server beside the one of ben's; both look at where they wait for each other."""
    reviewing.machine.add_notebook("ana", *CELLS, name=NOTEBOOK, parameters=True)
    server = reviewing.machine.serve("ana", launcher=("jupyter_guardrails", "lab"))
    server.token = reviewing.token
    try:
        with contextlib.ExitStack() as tabs:
            ana, ben = (tabs.enter_context(opened(chromium, one)) for one in (server, reviewing))
            review = ReviewPage(ben.open()).open()
            ana.open(NOTEBOOK)
            ana.panel.production.wait_for()
            yield Two(reviewing, ana, ben, review)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def submitted(two) -> dict[str, Any]:
    """Ana's notebook, submitted by clicks; it has come into ben's queue by itself."""
    two.picture("before")
    made = two.submit()
    two.picture("submitted")
    expect(two.shown).to_contain_text(WAITS, timeout=CHECKS_MS)
    expect(two.review.waiting.filter(has_text="delays-1")).to_be_visible(timeout=PATIENCE_MS)
    two.picture("arrived")
    found: dict[str, Any] = json.loads(two.world.shell("ana", "job", "show", made["id"], "--json"))
    return found


def deciding(submission: dict[str, Any]) -> str:
    """A decision from the page that it runs in: with its cookie and its XSRF token, as JavaScript of a trusted notebook could."""
    said = {"decision": "approve", "words": "mine"} | {name: submission[name] for name in ("content_digest", "evidence_digest")}
    return f"""async base => {{
      const headers = {{ 'X-XSRFToken': document.cookie.match('_xsrf=([^;]*)')[1] }};
      const address = new URL('guardrails/submissions/{submission["id"]}/decision', base);
      const answer = await fetch(address, {{ method: 'POST', headers, body: {json.dumps(json.dumps(said))} }});
      return [answer.status, (await answer.json()).message];
    }}"""


def test_nobody_decides_from_a_page_and_nobody_on_their_own_work(two, submitted):
    """The policy names ana a reviewer, too. The twin is what ben does in the next test."""
    for lab in (two.ana, two.ben):
        status, message = lab.page.evaluate(deciding(submitted), lab.url)
        assert (status, "decisions are not made from JupyterLab" in message) == (403, True)
    machine, digest = two.world.machine, ("--digest", submitted["content_digest"], "--reason", "mine")
    own = machine.guardrails("ana", "job", "approve", submitted["id"], *digest, GUARDRAILS_AS="ben", LOGNAME="ben", USER="ben")
    assert (own.returncode, "submitted" in own.stderr) == (1, True), own.stderr
    assert machine.guardrails("carol", "job", "approve", submitted["id"], *digest).returncode == 1, "who reviews nothing knows of nothing"
    expect(two.shown).to_contain_text(WAITS)
    assert two.review.waiting.filter(has_text="delays-1").count() == 1


def test_ben_looks_approves_and_deploys_and_ana_sees_each_of_it(two, submitted):
    detail = two.review.choose("delays-1")
    expect(detail.get_by_role("list", name="Checks")).to_contain_text("A clean run from top to bottom")
    two.picture("looked-at")
    clean_run = two.review.part("Clean run").frame_locator("iframe").locator("body")
    expect(clean_run).to_contain_text("late_after = 15", timeout=PATIENCE_MS)
    two.picture("clean-run")
    jupyter, guardrails, *words = shlex.split(two.review.command("approve").replace("…", HTML))
    assert (jupyter, guardrails, HTML in words) == ("jupyter", "guardrails", True)
    two.picture("decide")
    two.world.shell("ben", *words)
    expect(two.shown).to_contain_text("approved", timeout=PATIENCE_MS)
    expect(two.shown.get_by_text(HTML, exact=True)).to_be_visible(timeout=PATIENCE_MS)
    expect(two.shown).to_contain_text("Reviewers (1 of 1 have approved)")
    expect(two.review.decided.filter(has_text="delays-1")).to_be_visible(timeout=PATIENCE_MS)
    two.picture("approved")
    deployed = json.loads(two.world.shell("ben", "job", "deploy", submitted["id"], "--param", "late_after=20", "--json"))["deployment"]
    runs = two.shown.get_by_role("region", name="Runs on local")
    expect(runs).to_contain_text("It has not run yet", timeout=PATIENCE_MS)
    two.world.shell("ben", "job", "start", deployed["id"])
    expect(runs).to_contain_text("Run 1", timeout=PATIENCE_MS)
    expect(runs).to_contain_text("complete", timeout=PATIENCE_MS)
    expect(runs).to_contain_text("Made late.csv")
    runs.get_by_text("End of its log").click()
    expect(runs).to_contain_text("of 4: ok")
    two.picture("in-production")


@pytest.fixture
def approved(two, submitted):
    """The first version: in the test above, or here where that one ran in another process."""
    if json.loads(two.world.shell("ben", "job", "show", submitted["id"], "--json"))["state"] != "approved":
        two.world.shell("ben", "job", "approve", submitted["id"], "--digest", submitted["content_digest"], "--reason", "looked at")
    return submitted


def test_ben_approves_in_the_plain_page_with_the_code_of_his_terminal(two, approved):
    """The next version, in a browser of his that is no JupyterLab."""
    two.world.machine.add_notebook("ana", *CELLS, name=NOTEBOOK, parameters=True, remark="late is later now")
    two.ana.open(NOTEBOOK)
    newer = two.submit()
    expect(two.review.waiting.filter(has_text="delays-2")).to_be_visible(timeout=CHECKS_MS)
    two.review.choose("delays-2")
    expect(two.review.part("What changed")).to_contain_text("Since version 1, which was approved", timeout=PATIENCE_MS)
    two.picture("changed")
    with review_browser.opened(two.world.machine, "ben") as served, contextlib.closing(two.ben.page.context.new_page()) as page:
        page.goto(served.url)
        page.get_by_role("link", name="delays-2").click()
        digest = re.search(r"content ([0-9a-f]{64})", page.locator("body").inner_text())[1]
        page.get_by_label("approve", exact=True).check()
        page.get_by_label("The content digest of what you reviewed").fill(digest[:12])
        page.get_by_label("Your words").fill(HTML)
        page.get_by_role("button", name="Next").click()
        what, code = served.code()
        assert what == f"approve delays-2 of ana, content {digest}"
        page.get_by_label("Code").fill(code)
        page.get_by_role("button", name="approve").click()
        expect(page.get_by_role("heading", name="delays-2: approved")).to_be_visible(timeout=PATIENCE_MS)
        assert served.terminal() == "done: approve delays-2: approved"
    expect(two.shown).to_contain_text("Version 2")
    expect(two.shown.get_by_text(HTML, exact=True)).to_be_visible(timeout=PATIENCE_MS)
    assert newer["id"] != approved["id"]
    two.picture("approved-in-the-page")
