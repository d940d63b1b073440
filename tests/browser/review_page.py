"""The Review tab as a person sees it: its queue, the one that they look at, and the parts of its evidence."""

from __future__ import annotations

from lab_page import LabPage
from playwright.sync_api import Locator, expect

PATIENCE_MS = 60_000


class ReviewPage:
    """The Review tab of a JupyterLab; `open` brings it to the front by the command palette."""

    def __init__(self, lab: LabPage) -> None:
        self.lab = lab
        self.root = lab.page.locator("#jupyter-guardrails-review")

    def open(self) -> ReviewPage:
        """Until it has read what waits."""
        self.lab.page.keyboard.press("ControlOrMeta+Shift+C")
        palette = self.lab.page.locator("#modal-command-palette")
        palette.get_by_placeholder("Search").fill("Open Review")
        palette.get_by_text("Open Review").click()
        expect(self.queue).to_be_visible(timeout=PATIENCE_MS)
        return self

    @property
    def queue(self) -> Locator:
        """Everything that waits, drafts that are shown, and what was decided lately."""
        return self.root.get_by_role("navigation", name="To review")

    @property
    def waiting(self) -> Locator:
        """The lines of what waits."""
        return self.queue.get_by_role("list", name="Waits for you").get_by_role("button")

    @property
    def decided(self) -> Locator:
        """The lines of what this person decided."""
        return self.queue.get_by_role("list", name="Decided by you").get_by_role("button")

    @property
    def detail(self) -> Locator:
        """The one that is looked at."""
        return self.root.get_by_role("region", name="What you look at")

    def choose(self, title: str) -> Locator:
        """Look at one by its title, such as `sales-1`; returns when it was read."""
        self.queue.get_by_role("button", name=title).first.click()
        expect(self.detail.get_by_role("heading", level=2)).to_contain_text(title, timeout=PATIENCE_MS)
        return self.detail

    def part(self, tab: str) -> Locator:
        """A part of its evidence: `Checks`, `Data and cost`, `Decide`, …"""
        self.detail.get_by_role("tab", name=tab).click()
        return self.detail.get_by_role("tabpanel", name=tab)

    def command(self, word: str) -> str:
        """What the button beside a command copies; `word`: approve, send-back or reject."""
        self.part("Decide").get_by_role("button", name=f"Copy the command: jupyter guardrails job {word} ").click()
        return str(self.lab.page.evaluate("navigator.clipboard.readText()"))
