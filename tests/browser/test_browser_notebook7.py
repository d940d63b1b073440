"""The panel, the Submit button, notices and the memory of the kernel in a really running, governed Notebook 7."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import notebook7
import pytest
from conftest import SHOTS, opened
from governed_lab import GovernedLab, running
from lab_page import LabPage
from playwright.sync_api import Locator, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON_MS = 60_000


@pytest.fixture(scope="module")
def classic(governed) -> Iterator[GovernedLab]:
    """`jupyter guardrails notebook`, whose person has a notebook that reads what is shut."""
    folder = Path(tempfile.mkdtemp(prefix="gn-", dir="/tmp"))
    try:
        python = notebook7.make_environment(folder / "env")
        with running(jupyter_path=governed.jupyter_path, command=(str(python), "notebook")) as server:
            server.add_notebook("shut.ipynb", "import guarded\nguarded.path('hr/headcount')")
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def page(chromium, classic) -> Iterator[LabPage]:
    with opened(chromium, classic) as lab:
        yield lab


def visit(lab: LabPage, place: str) -> Locator:
    """Load one of Notebook 7's pages; the memory that stands by its menus once a kernel runs."""
    lab.page.goto(f"{lab.url}{place}?token={lab.token}")
    expect(lab.page.get_by_role("menubar").first).to_be_visible(timeout=SOON_MS)
    return lab.page.locator("#menu-panel").get_by_role("button", name="Memory")


def picture(lab: LabPage, name: str) -> None:
    SHOTS.mkdir(exist_ok=True)
    lab.page.screenshot(path=SHOTS / f"notebook7-{name}.png")


def test_limits_and_submit_are_where_the_notebook_is(page):
    memory = visit(page, "notebooks/good.ipynb")
    expect(memory).to_have_text(re.compile(r"Memory \d.* MiB of 1 GiB"), timeout=SOON_MS)
    memory.click()
    root = page.page.locator("#jupyter-guardrails-panel")
    expect(root.get_by_role("tab", name="Limits")).to_be_focused(timeout=SOON_MS)
    expect(root.get_by_role("article", name="good.ipynb")).to_be_visible(timeout=SOON_MS)
    picture(page, "1-limits")
    assert page.violations() == []
    page.submit_button.click()
    expect(root.get_by_role("list", name="Checks")).to_be_visible(timeout=SOON_MS)
    expect(root.get_by_text(re.compile("ready|failed|passed", re.IGNORECASE)).first).to_be_visible(timeout=2 * SOON_MS)
    picture(page, "2-submit")


def test_what_is_refused_is_said_above_the_cells(page):
    memory = visit(page, "notebooks/shut.ipynb")
    expect(memory).to_be_visible(timeout=SOON_MS)
    expect(page.page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle", timeout=SOON_MS)
    page.cells.first.locator(".jp-InputPrompt").click()
    page.page.keyboard.press("Control+Enter")
    refused = page.notebook.get_by_role("region", name="Data of this notebook")
    expect(refused).to_contain_text("hr/headcount", timeout=SOON_MS)
    expect(refused.get_by_role("button", name=re.compile("Request access"))).to_be_visible()
    picture(page, "3-refused")
    assert page.violations(".jp-Guardrails-notebookBar") == []


def test_the_page_of_files_has_the_panel_by_its_keys(page):
    visit(page, "tree")
    expect(page.page.get_by_role("tabpanel", name="Files").get_by_text("good.ipynb")).to_be_visible(timeout=SOON_MS)
    page.page.keyboard.press("Control+Alt+g")
    root = page.page.locator("#jupyter-guardrails-panel")
    expect(root.get_by_role("tab", name="Limits")).to_be_focused(timeout=SOON_MS)
    page.page.keyboard.press("ArrowRight")
    expect(page.panel.dataset("nyc/flights")).to_be_visible(timeout=SOON_MS)
