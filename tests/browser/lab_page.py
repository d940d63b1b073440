"""What the browser tests see of JupyterLab and of our panel: places and moves, named as a person would name them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Locator, Page, expect

AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark", "contrast": "JupyterLab Dark High Contrast"}
START_MS = 60_000
WORN = "name => document.body.dataset.jpThemeName === name && !document.getElementById('jupyterlab-splash')"  # which covers the page meanwhile
KERNEL_IDLE = re.compile(r"\| Idle$")


def set_theme(url: str, token: str, theme: str) -> None:
    """Have pages that load from now on use a theme, and ask nobody about news."""
    _set(url, token, "themes", {"theme": THEMES[theme]})
    _set(url, token, "notification", {"fetchNews": "false", "checkForUpdates": False})
    set_panel(url, token, introduction=False)


def set_panel(url: str, token: str, **settings: Any) -> None:
    """Have pages that load from now on use these settings of the panel, and its defaults for all others."""
    _put(url, token, "jupyter-guardrails:panel", settings)


def _set(url: str, token: str, plugin: str, settings: dict[str, Any]) -> None:
    _put(url, token, f"@jupyterlab/apputils-extension:{plugin}", settings)


def _put(url: str, token: str, plugin: str, settings: dict[str, Any]) -> None:
    address = f"{url}lab/api/settings/{plugin}"
    answer = requests.put(address, json={"raw": json.dumps(settings)}, headers={"Authorization": f"token {token}"}, timeout=30)
    answer.raise_for_status()


class LabPage:
    """One tab with JupyterLab."""

    def __init__(self, page: Page, url: str, token: str) -> None:
        self.page = page
        self.url = url
        self.token = token

    def open(self, notebook: str | None = None) -> LabPage:
        """Load JupyterLab afresh, with a notebook whose kernel is ready."""
        place = f"lab/tree/{notebook}" if notebook else "lab"
        self.page.goto(f"{self.url}{place}?reset&token={self.token}")
        expect(self.page.locator("#jp-main-dock-panel")).to_be_visible(timeout=START_MS)
        if notebook is None:  # it takes the focus when it comes
            expect(self.page.get_by_role("tabpanel", name="Launcher")).to_be_visible(timeout=START_MS)
        else:
            self.wait_idle()
        return self

    def wait_idle(self) -> None:
        """Until the notebook in front has a kernel that waits: its own indicator is "idle" before, and JupyterLab drops what is run until then."""
        expect(self.page.locator("#jp-main-statusbar").get_by_text(KERNEL_IDLE)).to_be_visible(timeout=START_MS)

    @property
    def panel(self) -> PanelPage:
        """Our panel, opened if it isn't."""
        panel = PanelPage(self.page)
        if not panel.root.is_visible():
            self.page.get_by_role("tab", name="Limits, approved data, production").click()
        expect(panel.root).to_be_visible()
        return panel

    @property
    def notebook(self) -> Locator:
        """The notebook in front."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    @property
    def notices(self) -> Locator:
        """What stands above its cells about limits."""
        return self.notebook.get_by_role("region", name="Limits of this notebook")

    @property
    def cells(self) -> Locator:
        """Its cells."""
        return self.notebook.locator(".jp-Cell")

    @property
    def active_cell(self) -> Locator:
        """The selected cell."""
        return self.notebook.locator(".jp-Cell.jp-mod-active")

    @property
    def memory_status(self) -> Locator:
        """The status bar's memory of the notebook in front."""
        return self.page.locator("#jp-main-statusbar").get_by_role("button", name="Memory")

    @property
    def submit_button(self) -> Locator:
        """The button in the notebook's toolbar."""
        return self.notebook.locator(".jp-NotebookPanel-toolbar").get_by_role("button", name="Submit")

    def add_cell(self, source: str) -> None:
        """A cell with this source below the selected one; it is then the selected one."""
        self.active_cell.locator(".jp-InputPrompt").click()
        self.page.keyboard.press("b")
        self.page.keyboard.press("Enter")
        expect(self.active_cell.locator(".cm-content")).to_be_focused()
        self.page.keyboard.insert_text(source)

    def run_active(self) -> None:
        """Run the selected cell and stay on it."""
        self.active_cell.locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Control+Enter")

    def restart_kernel(self) -> None:
        """By the notebook's toolbar, confirmed."""
        self.notebook.locator(".jp-NotebookPanel-toolbar").get_by_role("button", name="Restart the kernel", exact=True).click()
        self.page.get_by_role("button", name="Confirm Kernel Restart").click()

    def wait_until(self, condition: str, locator: Locator, *, timeout_ms: int = 30_000) -> None:
        """Return when a JavaScript function of the located element gives true."""
        handle = locator.element_handle()
        self.page.wait_for_function(condition, arg=handle, timeout=timeout_ms)

    def reloaded_until(self, find: Callable[[Locator], Locator], *, tries: int = 10) -> Locator:
        """Look at the limits afresh until something is there: a changed policy takes effect within seconds."""
        for _ in range(tries):
            with self.page.expect_response("**/guardrails/me*"):
                self.open()
                limits = self.panel.limits
            found = find(limits)
            try:
                expect(found).to_be_visible(timeout=3000)
            except AssertionError:
                continue
            return found
        raise AssertionError("it never showed")

    def wear(self, theme: str) -> None:
        """Change the theme of this page; what is open stays as it is."""
        name = THEMES[theme]
        self.page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", name)
        self.page.wait_for_function(WORN, arg=name)

    def violations_in_both_themes(self, selector: str = "#jupyter-guardrails-panel") -> list[str]:
        """As `violations`; in the dark theme its colours, which are all that is other there. The page is in the light one before and after."""
        found = self.violations(selector)
        self.wear("dark")
        found += [f"dark: {line}" for line in self.violations(selector, only={"type": "rule", "values": ["color-contrast"]})]
        self.wear("light")
        return found

    def violations(self, selector: str = "#jupyter-guardrails-panel", *, only: dict[str, Any] | None = None) -> list[str]:
        """What axe-core finds against WCAG A and AA below a selector, one line each."""
        self.page.evaluate("code => { if (!window.axe) { (0, eval)(code); } }", AXE.read_text())
        rules = only or {"type": "tag", "values": WCAG}
        result: dict[str, Any] = self.page.evaluate("([selector, runOnly]) => axe.run(selector, { runOnly })", [selector, rules])
        assert result["passes"], "axe looked at nothing"
        return [f"{found['id']}: {node['html']} {node.get('failureSummary', '')}" for found in result["violations"] for node in found["nodes"]]


class PanelPage:
    """Our panel at the right."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator("#jupyter-guardrails-panel")

    def section(self, tab: str) -> Locator:
        """Choose a part by its tab; what it shows."""
        self.root.get_by_role("tab", name=tab).click()
        return self.root.get_by_role("tabpanel", name=tab)

    @property
    def limits(self) -> Locator:
        """Limits and use."""
        return self.section("Limits")

    @property
    def data(self) -> Locator:
        """Approved data."""
        return self.section("Data")

    @property
    def production(self) -> Locator:
        """Submit for production."""
        return self.section("Submit")

    def dataset(self, name: str) -> Locator:
        """One dataset in the list."""
        return self.root.locator(".jp-Guardrails-dataset", has=self.page.get_by_role("button", name=name, exact=True))

    def check(self, title: str) -> Locator:
        """One check of the submission that is shown."""
        return self.root.get_by_role("list", name="Checks").get_by_role("listitem").filter(has_text=title)
