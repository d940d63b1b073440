"""Pictures of every state of the panel, Use and Policy and the Review tab in each theme, from really running servers, and one sheet of all.

    python tests/browser/screenshots.py shots [--docs]

`FOLDER/THEME-STATE.png`, `contact.html` and `contact.png`; `--docs` writes those of docs/images, too. Fails on what axe-core finds in any state.
"""

from __future__ import annotations

import argparse
import html
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

import admin_states
import review_world
from conftest import ARGUMENTS, CHROMIUM, VIEWPORT
from governed_lab import GovernedLab, running
from lab_page import THEMES, LabPage, set_theme
from playwright.sync_api import Browser, sync_playwright
from review_world import ReviewWorld
from states import of_review, states

IMAGES = Path(__file__).parents[2] / "docs" / "images"
DOCS = ("limits", "data-details", "submit-failed", "review-checks")  # what docs/ and the README show
SALES = ("sales = {'north': 310, 'south': 275}", "print(sum(sales.values()))")
MORE_SALES = ("sales = {'north': 310, 'south': 275, 'west': 120}", "print(sum(sales.values()))")
SHEET = """<!doctype html>
<meta charset="utf-8">
<title>Every state of the panel</title>
<style>
  body { margin: 16px; font: 14px sans-serif; display: grid; grid-template-columns: repeat(4, 1fr); gap: 16px; }
  figure { margin: 0; } img { width: 100%; border: 1px solid #bbb; } figcaption { padding: 4px 0; }
</style>
"""
SHEET_WIDTH = 2000


def main() -> int:
    """0 when all were made and axe-core found nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("shots"), help="where they go (default: %(default)s)")
    parser.add_argument("--docs", action="store_true", help="write those of docs/images, too")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    pictures = Pictures(arguments.folder, docs=arguments.docs)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        with running() as server:
            of_panel(browser, server, pictures)
            of_tab(browser, server, pictures, admin_states.of_no_admin)
            with running(policy=admin_states.ADMINS, jupyter_path=server.jupyter_path) as of_admin:
                of_tab(browser, of_admin, pictures, lambda lab: admin_states.of_admin(lab, of_admin))
        with review_world.made() as world:
            of_reviewer(browser, world, pictures)
        pictures.sheet(browser)
        browser.close()
    print("\n".join([*pictures.violations, f"{len(pictures.made)} pictures in {arguments.folder}, {len(pictures.violations)} violations"]))
    return int(bool(pictures.violations))


class Pictures:
    """What was made, and what axe-core found meanwhile."""

    def __init__(self, folder: Path, *, docs: bool) -> None:
        self.folder, self.docs = folder, docs
        self.made: list[str] = []
        self.violations: list[str] = []

    def take(self, lab: LabPage, state: str, selector: str) -> None:
        """Both themes of a state that is on the page."""
        for theme in THEMES:
            lab.wear(theme)
            self.one(lab, f"{theme}-{state}", selector)
        lab.wear("light")

    def one(self, lab: LabPage, name: str, selector: str) -> None:
        """The page as it is."""
        self.violations += [f"{name}: {line}" for line in lab.violations(selector)]
        lab.page.screenshot(path=self.folder / f"{name}.png")
        self.made.append(name)
        theme, _, state = name.partition("-")
        if self.docs and theme == "light" and state in DOCS:
            IMAGES.mkdir(exist_ok=True)
            lab.page.screenshot(path=IMAGES / f"{state}.png")

    def sheet(self, browser: Browser) -> None:
        """All of them on one page, and that page as a picture."""
        figures = [f'<figure><img src="{name}.png" alt=""><figcaption>{html.escape(name)}</figcaption></figure>' for name in sorted(self.made)]
        page_file = self.folder / "contact.html"
        page_file.write_text(SHEET + "\n".join(figures))
        page = browser.new_page(viewport={"width": SHEET_WIDTH, "height": 1000})
        page.goto(page_file.resolve().as_uri())
        page.screenshot(path=self.folder / "contact.png", full_page=True)
        page.close()


def of_panel(browser: Browser, server: GovernedLab, pictures: Pictures) -> None:
    """One walk through all states."""
    set_theme(server.url, server.token, "light")
    lab = LabPage(browser.new_page(viewport=VIEWPORT), server.url, server.token)
    for state in states(lab, server):
        pictures.take(lab, state, "#jupyter-guardrails-panel")
    lab.page.close()


def of_tab(browser: Browser, server: GovernedLab, pictures: Pictures, walk: Callable[[LabPage], Iterator[str]]) -> None:
    """The Use and Policy tab."""
    lab = LabPage(browser.new_page(viewport=VIEWPORT), server.url, server.token)
    for state in walk(lab):
        pictures.take(lab, state, ".jp-Guardrails-admin")
    lab.page.close()


def of_reviewer(browser: Browser, world: ReviewWorld | str, pictures: Pictures) -> None:
    """The Review tab, once in each theme; a line says why not where this machine can't have two accounts."""
    if isinstance(world, str):
        print(f"no pictures of the Review tab: {world}")
        return
    first = world.submit("sales.ipynb", *SALES)
    world.shell("ben", "job", "approve", first["id"], "--digest", first["content_digest"], "--reason", "numbers agree")
    world.submit("sales.ipynb", *MORE_SALES)
    for theme, state, lab in walks(browser, world):
        pictures.one(lab, f"{theme}-{state}", "#jupyter-guardrails-review")


def walks(browser: Browser, world: ReviewWorld) -> Iterator[tuple[str, str, LabPage]]:
    """Theme and state of each that is on the page; this server shows its pages no commands, so each theme is loaded."""
    for theme in THEMES:
        set_theme(world.url, world.token, theme)
        lab = LabPage(browser.new_page(viewport=VIEWPORT), world.url, world.token)
        for state in of_review(lab, "sales-2"):
            yield theme, state, lab
        lab.page.close()


if __name__ == "__main__":
    sys.exit(main())
