"""What panel.py asks of a real Chromium: when the panel is painted, how it scrolls, and what a tab sends."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = os.environ.get("GUARDRAILS_CHROMIUM") or shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-webgl"]
WAIT_MS = 120_000
OURS = "/guardrails/"
# marks for what we measure, set by a script of the benchmark alone: the product has none
MARKS = """
let app;
Object.defineProperty(window, 'jupyterapp', { get: () => app, set: value => {
  app = value;
  app.restored.then(() => performance.mark('restored'));
} });
const seen = { painted: '.jp-Guardrails-section > *', filled: '#jupyter-guardrails-panel-limits section' };
new MutationObserver(() => {
  for (const [name, selector] of Object.entries(seen)) {
    if (document.querySelector(selector)) {
      delete seen[name];
      requestAnimationFrame(() => setTimeout(() => performance.mark(name)));  // after the frame that draws it
    }
  }
}).observe(document, { childList: true, subtree: true });
"""
MARKED = "() => Object.fromEntries(performance.getEntriesByType('mark').map(mark => [mark.name, mark.startTime]))"
EARLY = "([ours, until]) => performance.getEntriesByType('resource').filter(one => one.name.includes(ours) && one.startTime < until).length"
# milliseconds between frames while something scrolls by as much as a person's wheel does
SCROLL = """async ([selector, frames]) => {
  const element = document.querySelector(selector);
  element.scrollTop = 0;
  const times = [];
  for (let left = frames; left > 0; left--) {
    times.push(await new Promise(requestAnimationFrame));
    element.scrollTop += 60;
  }
  return { deltas: times.slice(1).map((time, at) => time - times[at]), moved: element.scrollTop };
}"""
PLAIN_LIST = """rows => {
  const list = document.body.appendChild(document.createElement('div'));
  list.id = 'plain-list';
  list.style.cssText = 'position: fixed; inset: 0 0 0 auto; width: 300px; overflow: auto; background: white; z-index: 9999';
  for (let row = 0; row < rows; row++) {
    list.appendChild(document.createElement('p')).textContent = `dataset ${row}`;
  }
}"""


@dataclass(frozen=True)
class Sent:
    """One request of a tab: seconds after the recording began, method and path with its query."""

    after_s: float
    method: str
    path: str

    @property
    def is_ours(self) -> bool:
        """Whether it goes to our server extension."""
        return OURS in self.path


@dataclass
class Lab:
    """JupyterLab of one server in one browser."""

    browser: Browser
    url: str
    token: str
    pages: list[Page] = field(default_factory=list)

    def open(self, place: str = "lab") -> Page:
        """A tab in which JupyterLab is ready; its layout is that of the last tab that saved one."""
        page = self.browser.new_page(viewport={"width": 1280, "height": 800})
        page.add_init_script(MARKS)
        page.goto(f"{self.url}{place}?token={self.token}")
        page.locator("#jp-main-dock-panel").wait_for(timeout=WAIT_MS)
        page.wait_for_function("() => performance.getEntriesByName('restored').length > 0", timeout=WAIT_MS)
        self.pages.append(page)
        return page

    def leave_open(self, page: Page) -> None:
        """Have the panel in the layout that the next tab restores."""
        with page.expect_response(lambda answer: answer.request.method == "PUT" and "jupyter-guardrails-panel" in (answer.request.post_data or "")):
            self.show(page, "limits")

    def show(self, page: Page, section: str) -> None:
        """A part of the panel in front."""
        page.evaluate("section => jupyterapp.commands.execute('guardrails:open', { section })", section)
        page.locator(f"#jupyter-guardrails-panel-{section}").wait_for(timeout=WAIT_MS)


@contextlib.contextmanager
def lab_of(url: str, token: str) -> Iterator[Lab]:
    """A Chromium for the length of this block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield Lab(browser, url, token)
        browser.close()


def painted(lab: Lab) -> dict[str, float]:
    """Milliseconds from when JupyterLab is ready until the panel is painted, and until it shows the server's answers; our requests before."""
    page = lab.open()
    page.wait_for_function("() => performance.getEntriesByName('filled').length > 0", timeout=WAIT_MS)
    marks: dict[str, float] = page.evaluate(MARKED)
    early: int = page.evaluate(EARLY, [OURS, marks["restored"]])
    page.close()
    after = {name: max(0.0, marks[name] - marks["restored"]) for name in ("painted", "filled")}
    return {"ready_ms": marks["restored"], "painted_ms": after["painted"], "filled_ms": after["filled"], "requests_before": early}


def scrolled(lab: Lab, frames: int, rows: int) -> dict[str, list[float]]:
    """Milliseconds between frames while the list of datasets scrolls, and while a plain list of as many rows does in the same tab."""
    page = lab.open()
    lab.show(page, "datasets")
    page.locator(".jp-Guardrails-dataset").first.wait_for(timeout=WAIT_MS)
    page.evaluate(PLAIN_LIST, rows)
    found: dict[str, list[float]] = {}
    for name, selector in (("plain", "#plain-list"), ("panel", "#jupyter-guardrails-panel-datasets")):
        result: dict[str, Any] = page.evaluate(SCROLL, [selector, frames])
        assert result["moved"] > 0, f"{selector} does not scroll"
        found[name] = result["deltas"]
    page.close()
    return found


def recorded(page: Page, seconds: float) -> list[Sent]:
    """What a tab that is left alone sends."""
    sent: list[Sent] = []
    begin = time.monotonic()

    def note(request: Any) -> None:
        parts = urlsplit(request.url)
        sent.append(Sent(time.monotonic() - begin, request.method, parts.path + (f"?{parts.query}" if parts.query else "")))

    page.on("request", note)
    page.wait_for_timeout(seconds * 1000)
    page.remove_listener("request", note)
    return sent
