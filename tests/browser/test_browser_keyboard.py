"""The whole main job by keyboard alone: no click, no focus by a script; each stop on the way is drawn as focused, in sight and named."""

from __future__ import annotations

import re

import pytest
from keyboard import Keyboard
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
JOB_MS = 120_000
OPEN = "Control+Alt+g"  # the panel, and back to the notebook
SECRET = "print('pass' + \"word = 'hunter2-and-more-Z8xQ1v'\")"


@pytest.fixture
def size_as_before(lab):
    """The next tests of this server begin with the small size again."""
    yield
    lab.panel.limits.get_by_role("combobox", name="Size of the next kernel").select_option("small")
    expect(lab.panel.limits.get_by_text("still runs as “large”")).to_be_visible()


@pytest.mark.usefixtures("size_as_before")
def test_the_main_job_by_keyboard_alone(lab, governed):
    """Keeping an idle kernel, which needs its time, is in test_browser_notices.py."""
    governed.add_notebook("job.ipynb", SECRET)
    governed.add_dataset("hr/travel", "Journeys by team and month", "confidential")  # nobody else asks for it
    lab.open("job.ipynb")
    keys = Keyboard(lab.page)
    read_the_limits_and_choose_a_size(lab, keys)
    insert_a_dataset_and_run_it(lab, keys)
    ask_for_another(lab, keys)
    mend_and_submit(lab, keys)
    reopen_it(lab, keys)
    assert keys.unseen == []


def read_the_limits_and_choose_a_size(lab, keys):
    """The panel takes the focus; a choice and a dialog give it back."""
    keys.press(OPEN)
    expect(lab.page.get_by_role("tab", name="Limits", exact=True)).to_be_focused()
    expect(lab.page.get_by_role("article", name="job.ipynb").get_by_role("meter")).to_be_visible()
    keys.press("Tab")
    assert keys.is_at("tabpanel", "Limits")  # scrolled by arrows
    keys.tab_to("combobox", "Size of the next kernel")
    keys.type("l")
    expect(lab.page.get_by_role("button", name="Restart kernel…")).to_be_visible()
    expect(lab.page.get_by_role("combobox", name="Size of the next kernel")).to_be_focused()
    keys.tab_to("button", "Restart kernel…")
    keys.press("Enter")
    expect(lab.page.get_by_role("button", name="Confirm Kernel Restart")).to_be_focused()
    keys.press("Enter")
    expect(lab.page.get_by_role("article", name="job.ipynb")).to_contain_text("large", timeout=JOB_MS)
    expect(lab.page.get_by_role("button", name="Restart kernel…")).to_have_count(0)
    in_panel(lab)


def insert_a_dataset_and_run_it(lab, keys):
    """Found as typed; the new cell takes the focus, so that it can be run at once."""
    keys.tab_to("tab", "Limits", back=True)
    keys.press("ArrowRight")
    assert keys.is_at("tab", "Data")
    keys.tab_to("searchbox", "Search datasets")
    keys.type("flights")
    expect(lab.page.get_by_role("status").filter(has_text=re.compile(r"^\d datasets?$"))).to_be_visible()
    keys.tab_to("button", "Insert code that opens nyc/flights")
    keys.press("Enter")
    expect(lab.active_cell).to_contain_text("flights")
    expect(lab.active_cell.get_by_role("textbox")).to_be_focused()
    keys.press("Control+Enter")
    expect(lab.active_cell.locator(".jp-InputPrompt")).to_have_text("[1]:", timeout=JOB_MS)
    keys.press("Escape", "ArrowUp", "Control+Enter")
    expect(lab.cells.first.locator(".jp-OutputArea-output")).to_contain_text("hunter2")


def ask_for_another(lab, keys):
    """The keys that opened the panel lead back to where one was in it; the form's end gives the focus back to its dataset."""
    keys.press(OPEN)
    assert keys.is_at("tab", "Data")
    keys.tab_to("searchbox", "Search datasets")
    keys.press("Control+a")
    keys.type("travel")
    expect(lab.page.get_by_role("status").filter(has_text="1 dataset")).to_be_visible()
    keys.tab_to("button", "^Request access$")
    keys.press("Enter")
    expect(lab.page.get_by_role("textbox", name="What do you need it for?")).to_be_focused()
    keys.type("plan the next year")
    keys.tab_to("button", "Send request")
    keys.press("Enter")
    expect(lab.panel.dataset("hr/travel")).to_contain_text("You asked for access")
    expect(lab.page.get_by_role("button", name="hr/travel", exact=True)).to_be_focused()
    keys.press(OPEN)  # and back to the notebook
    expect(lab.active_cell).to_be_focused()


def mend_and_submit(lab, keys):
    """Checks, two fixes, then the job; the focus is where it was when the buttons can be used again."""
    keys.press(OPEN)
    assert keys.is_at("tab", "Data")
    keys.press("ArrowRight")
    keys.tab_to("button", "Check draft")
    keys.press("Enter")
    secrets = lab.page.get_by_role("listitem").filter(has_text="No passwords, tokens or keys")
    expect(secrets).to_contain_text("failed", timeout=JOB_MS)
    expect(lab.page.get_by_role("button", name="Check draft")).to_be_focused()
    assert lab.violations_in_both_themes() == []
    keys.tab_to("button", "Clear its outputs")
    keys.press("Enter")
    expect(lab.cells.first.locator(".jp-OutputArea-output")).to_have_count(0)
    expect(lab.cells.first.get_by_role("textbox")).to_be_focused()  # where it is mended
    keys.press("Control+a")
    keys.type("print('no secret')")
    keys.press(OPEN)
    keys.tab_to("button", "Restart and run all cells…")
    keys.press("Enter")
    expect(lab.page.get_by_role("button", name="Confirm Kernel Restart")).to_be_focused()
    keys.press("Enter")
    expect(lab.cells.nth(1).locator(".jp-InputPrompt")).to_have_text("[2]:", timeout=JOB_MS)
    to_the_tabs(lab, keys)
    keys.tab_to("button", "Submit for production")
    keys.press("Enter")
    expect(lab.page.get_by_role("link", name=re.compile("Download job"))).to_be_visible(timeout=JOB_MS)
    in_panel(lab)


def reopen_it(lab, keys):
    """An experiment again, in a notebook of its own, which has the focus; and back to what was submitted."""
    keys.tab_to("button", "Reopen as experiment")
    keys.press("Enter")
    expect(lab.page.get_by_text(re.compile(r"^Reopened in job-"))).to_be_visible(timeout=JOB_MS)
    expect(lab.cells.first.get_by_role("textbox")).to_be_focused(timeout=JOB_MS)  # the last thing that opening it does
    to_the_tabs(lab, keys)
    assert lab.violations_in_both_themes() == []


def to_the_tabs(lab, keys):
    """From the notebook, which the latest action brought to the front."""
    expect(lab.notebook.locator(":focus")).to_have_count(1)
    keys.press(OPEN)
    assert keys.is_at("tab", "Submit")


def in_panel(lab):
    """The focus is in the panel: nothing that went has taken it along."""
    lab.page.wait_for_function("() => document.activeElement.closest('#jupyter-guardrails-panel') !== null")
