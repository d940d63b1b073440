"""The tab with use, policy and host state as a person sees it: opened by the palette, and each of its parts."""

from __future__ import annotations

from lab_page import LabPage
from playwright.sync_api import Locator, expect

PATIENCE_MS = 60_000
KNOWS_MISTAKES = "async ([url, some]) => { const said = await (await fetch(url)).json(); return (said.policy.errors.length > 0) === some; }"


class AdminPage:
    """The Use and Policy tab of a JupyterLab; `open` brings it to the front."""

    def __init__(self, lab: LabPage) -> None:
        self.lab = lab
        self.root = lab.page.get_by_role("region", name="Use, policy and host")

    def open(self) -> AdminPage:
        """By the palette as a person would; returns when it was read."""
        self.lab.page.keyboard.press("Control+Shift+c")
        palette = self.lab.page.locator("#modal-command-palette")
        expect(palette.locator("input")).to_be_focused(timeout=PATIENCE_MS)
        self.lab.page.keyboard.type("Open Use and Policy")
        expect(palette.locator(".lm-CommandPalette-item.lm-mod-active")).to_contain_text("Open Use", timeout=PATIENCE_MS)
        self.lab.page.keyboard.press("Enter")
        expect(self.root.get_by_role("heading").first).to_be_visible(timeout=PATIENCE_MS)
        return self

    def part(self, name: str) -> Locator:
        """`Use`, `Budget`, `Policy`, `What is enforced here`, `Where audit records go`."""
        return self.root.get_by_role("region", name=name, exact=True)

    @property
    def policy(self) -> Locator:
        """The policy in force, its mistakes and what changed."""
        return self.part("Policy")

    @property
    def rows(self) -> Locator:
        """The lines of the table of use, without its head and its sum."""
        return self.root.get_by_role("region", name="What was used").locator("tbody tr")

    def summed(self, by: str) -> Locator:
        """Choose what use is summed by; the rows that answer it."""
        with self.lab.page.expect_response(lambda answer: "/guardrails/usage" in answer.url and f"by={by}" in answer.url, timeout=PATIENCE_MS):
            self.root.get_by_label("Summed by what").select_option(by)
        expect(self.root.get_by_role("table")).to_have_attribute("aria-busy", "false", timeout=PATIENCE_MS)
        return self.rows

    def wait_for_mistakes(self, some: bool) -> None:
        """Until the server has read a changed policy file and found mistakes in it, or none."""
        self.lab.page.wait_for_function(KNOWS_MISTAKES, arg=[f"{self.lab.url}guardrails/me", some], polling=300, timeout=PATIENCE_MS)
