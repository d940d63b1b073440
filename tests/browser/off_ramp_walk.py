"""A notebook from a click to its production runs, as its author sees it in JupyterLab.

Ben decides and deploys in his shell, as in `tests/cli/off_ramp.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab_page import LabPage
from playwright.sync_api import Locator, Response, expect

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))

import off_ramp

CHECKS_MS = 900_000
RUN_MS = 300_000
Pictured = Callable[[str], None]


def is_submission(answer: Response) -> bool:
    """Whether it answers to a notebook that was submitted."""
    return answer.request.method == "POST" and answer.url.partition("?")[0].endswith("/submissions")


class Walk:
    """One submission of `delays.ipynb`; `picture` is told the name of each step while it can be seen."""

    def __init__(self, lab: LabPage, story: off_ramp.Story, picture: Pictured) -> None:
        self.lab, self.story, self.picture = lab, story, picture

    def run(self, engines: Sequence[str], data: Mapping[str, Path]) -> None:
        """Click, checks, review, deployments, runs."""
        self.work_on_it()
        self.click()
        submission = self.submit()
        self.story.review(submission)
        self.looks_again()
        expect(self.shown.get_by_text("numbers as last month", exact=True)).to_be_visible()
        self.picture("4-approved")
        self.produce(submission, engines, data)

    @property
    def shown(self) -> Locator:
        """The submission, in the panel."""
        return self.lab.panel.production.get_by_role("region", name="Submission of delays.ipynb")

    def work_on_it(self) -> None:
        """What a scientist does before: run it, and look at what it says."""
        self.lab.open("delays.ipynb")
        self.lab.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.lab.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        last = self.lab.notebook.locator(".jp-CodeCell").last
        expect(last.locator(".jp-InputPrompt")).to_have_text("[9]:", timeout=RUN_MS)

    def click(self) -> None:
        """The button in the notebook's toolbar checks the draft."""
        production = self.lab.panel.production
        production.get_by_text("About the job").click()
        for name, value in off_ramp.PARAMETERS.items():
            production.get_by_role("textbox", name=name).fill(value)
        production.get_by_text("About the job").click()
        self.lab.submit_button.hover()
        self.picture("1-click")
        self.lab.submit_button.click()

    def submit(self) -> str:
        """Its checks, then the same once more as a submission; its id."""
        progress = self.shown.get_by_role("progressbar", name="A clean run")
        progress.scroll_into_view_if_needed(timeout=CHECKS_MS)  # it runs for a minute, so that it can be seen
        self.picture("2-checks")
        expect(self.shown.get_by_text("draft checked")).to_be_visible(timeout=CHECKS_MS)
        production = self.lab.panel.production
        reason = production.get_by_label("There are warnings")
        if reason.is_visible():
            reason.fill("fonts are looked for in a cache that a job does not have")
        with self.lab.page.expect_response(is_submission) as made:
            production.get_by_role("button", name="Submit for production").click()
        expect(production.get_by_role("link", name="Download delays")).to_be_visible(timeout=CHECKS_MS)
        self.shown.evaluate("place => place.scrollIntoView()")
        self.picture("3-submitted")
        return str(made.value.json()["id"])

    def produce(self, submission: str, engines: Sequence[str], data: Mapping[str, Path]) -> None:
        """One content digest on every engine, and the author sees each run."""
        started = {engine: self.story.deploy(submission, engine, data) for engine in engines}
        self.looks_again()
        expect(self.shown.get_by_text("It has not run yet.")).to_have_count(len(engines))
        self.picture("5-deployed")
        for engine, deployment in started.items():
            self.story.start(deployment, engine)
        self.looks_again()
        for engine in engines:
            expect(self.shown.get_by_role("region", name=f"Runs on {engine}")).to_contain_text("complete")
        self.picture("6-runs")

    def looks_again(self) -> None:
        """The panel reads at once what others did meanwhile: a command of the palette."""
        self.lab.page.keyboard.press("ControlOrMeta+Shift+C")
        palette = self.lab.page.locator("#modal-command-palette")
        palette.get_by_placeholder("Search").fill("Refresh Limits, Data and Submissions")
        with self.lab.page.expect_response("**/production*"):
            palette.get_by_text("Refresh Limits, Data and Submissions").click()
