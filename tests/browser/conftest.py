"""A real Chromium that looks at a really running governed JupyterLab."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest
import review_world
from governed_lab import running
from lab_page import LabPage, set_theme
from playwright.sync_api import expect, sync_playwright

CHROMIUM = os.environ.get("GUARDRAILS_CHROMIUM") or shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-webgl", "--disable-lcd-text"]
VIEWPORT = {"width": 1280, "height": 800}
expect.set_options(timeout=20_000)  # the machine may be busy with other tests
OURS = "extensions/jupyter-guardrails/"  # in the stack of what our JavaScript threw
CANCELED = "Canceled future for"  # JupyterLab's own: a restart takes back what it had asked the kernel, whoever asked for the restart
SHOTS = Path(__file__).parents[2] / "shots"


@pytest.fixture(scope="session")
def governed():
    """The server that all browser tests share."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def reviewing():
    """Ana, ben with his JupyterLab, and control as a service: what tests of reviews share."""
    with review_world.made() as world:
        if isinstance(world, str):
            pytest.skip(f"no package index answers here: {world}")
        yield world


@pytest.fixture(scope="module")
def chromium():
    """One browser for a file's tests; playwright keeps an event loop in this thread meanwhile, in which tests of other rooms could not run theirs."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (set GUARDRAILS_CHROMIUM to its path)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Keep a picture and the server's log of what failed, in shots/ (never committed)."""
    report = yield
    lab, governed = item.funcargs.get("lab"), item.funcargs.get("governed")
    if report.failed and governed is not None:
        SHOTS.mkdir(exist_ok=True)
        (SHOTS / f"failed-{item.name}.log").write_text(governed.log())
        if lab is not None and report.when == "call":
            lab.page.screenshot(path=SHOTS / f"failed-{item.name}.png")
    return report


@pytest.fixture
def lab(chromium, governed):
    """A fresh tab of the shared server."""
    with opened(chromium, governed) as page:
        yield page


@contextlib.contextmanager
def opened(chromium, governed):
    """A fresh tab that has not loaded anything yet, in the light theme; an error that passes through our code fails the test."""
    set_theme(governed.url, governed.token, "light")
    context = chromium.new_context(viewport=VIEWPORT, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(f"{error}\n{error.stack}"))
    yield LabPage(page, governed.url, governed.token)
    context.close()
    ours = [error for error in errors if OURS in error and not error.startswith(CANCELED)]
    assert not ours, ours
