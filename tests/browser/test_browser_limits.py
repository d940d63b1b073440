"""Limits in a real browser: what a kernel uses, what may be chosen, what is enforced, and a policy with a mistake."""

from __future__ import annotations

import re

import pytest
from governed_lab import POLICY
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ALLOCATE = "block = bytearray(300 * 2**20)"
SOON_MS = 20_000


def test_a_kernels_memory_follows_what_the_notebook_does(lab):
    """The gauge of the panel and the status bar show the 300 MiB that a cell takes."""
    lab.open("good.ipynb")
    limits = lab.panel.limits
    card = limits.get_by_role("article", name="good.ipynb")
    expect(card.get_by_role("meter", name="Memory")).to_have_attribute("aria-valuetext", re.compile(r"MiB of 1 GiB"))
    before = int(card.get_by_role("meter").get_attribute("aria-valuenow"))
    lab.add_cell(ALLOCATE)
    lab.run_active()
    lab.wait_until(f"e => Number(e.getAttribute('aria-valuenow')) >= {before + 290 * 2**20}", card.get_by_role("meter"))
    expect(lab.memory_status).to_have_text(re.compile(r"Memory [3-9]\d\d MiB of 1 GiB"), timeout=SOON_MS)


def test_the_status_bar_leads_to_the_limits(lab):
    lab.open("good.ipynb")
    lab.memory_status.click(timeout=SOON_MS)
    expect(lab.page.get_by_role("tabpanel", name="Limits")).to_be_visible()


def test_a_chosen_size_is_what_the_restarted_kernel_has(lab):
    lab.open("good.ipynb")
    limits = lab.panel.limits
    try:
        limits.get_by_role("combobox").select_option("large")
        limits.get_by_role("button", name="Restart kernel").click()
        lab.page.get_by_role("button", name="Confirm Kernel Restart").click()
        meter = limits.get_by_role("article", name="good.ipynb").get_by_role("meter")
        expect(meter).to_have_attribute("aria-valuetext", re.compile("of 2 GiB"), timeout=SOON_MS)
        expect(limits.get_by_role("button", name="Restart kernel")).to_be_hidden()
    finally:
        limits.get_by_role("combobox").select_option("small")
        expect(limits.get_by_text("still runs as “large”")).to_be_visible()


def test_what_is_enforced_and_who_stands_behind_it_is_said(lab):
    limits = lab.open().panel.limits
    enforced = limits.get_by_role("region", name="What is enforced here")
    for name in ("Files", "Network"):
        item = enforced.get_by_role("listitem").filter(has=lab.page.get_by_text(name, exact=True))
        expect(item).not_to_contain_text("not held")
        item.get_by_text("held", exact=True).click()
        expect(item).to_contain_text(re.compile(name, re.IGNORECASE))
    expect(enforced.get_by_text("nobody else approves")).to_be_visible()
    expect(limits.get_by_text("No budget is set for you.")).to_be_visible()


def test_a_mistake_in_the_policy_shows_with_its_place_and_goes_when_it_is_mended(lab, governed):
    """The last valid policy stays in force meanwhile: its profiles are still offered."""
    lab.open()
    expect(lab.panel.limits.get_by_role("combobox")).to_be_visible()
    try:
        governed.policy.write_text(POLICY.replace("rules:", "ruels:"))
        banner = lab.reloaded_until(lambda limits: limits.get_by_role("status").filter(has_text="The policy file has mistakes"))
        expect(banner).to_contain_text(re.compile(r"guardrails\.yaml:\d+:\d+"))
        expect(banner).to_contain_text("ruels")
        expect(lab.panel.limits.get_by_role("combobox")).to_have_value("small")
    finally:
        governed.policy.write_text(POLICY)
    lab.reloaded_until(lambda limits: limits.locator(":scope:not(:has-text('The policy file has mistakes'))"))


def test_a_kernel_that_is_refused_says_why_and_what_to_do_within_its_dialog(lab, governed):
    """JupyterLab's dialog would cut a long line off."""
    lab.open("good.ipynb")  # one kernel runs
    try:
        governed.policy.write_text(POLICY.replace("max: 8", "max: 1"))
        lab.reloaded_until(lambda limits: limits.get_by_text(re.compile(r"of at most 1$")))
        lab.page.locator(".jp-LauncherCard[data-category=Notebook]", has_text="Study").click()
        said = lab.page.get_by_role("dialog").locator("pre")
        expect(said).to_contain_text("no more are allowed at once", timeout=SOON_MS)
        expect(said).to_contain_text("next: shut one down")
        lab.wait_until("e => e.scrollWidth <= e.clientWidth", said)
        lab.page.get_by_role("button", name="Ok").click()
    finally:
        governed.policy.write_text(POLICY)
    lab.reloaded_until(lambda limits: limits.get_by_text(re.compile(r"of at most 8$")))


def test_a_restart_that_is_refused_says_why_and_a_later_one_works(lab, governed):
    """JupyterLab tells it to the browser's console alone."""
    lab.open("good.ipynb")
    python = governed.root / "env" / "bin" / "python"
    python.rename(python.with_name("away"))
    try:
        lab.restart_kernel()
        dialog = lab.page.get_by_role("dialog").filter(has_text="The kernel could not be restarted")
        expect(dialog.locator("pre")).to_contain_text(str(python), timeout=SOON_MS)
        dialog.get_by_role("button", name="Ok").click()
        expect(lab.notebook.get_by_text("No Kernel")).to_be_visible()
    finally:
        python.with_name("away").rename(python)
    lab.notebook.locator(".jp-NotebookPanel-toolbar").get_by_role("button", name="Restart the kernel", exact=True).click()
    lab.wait_idle()
    lab.add_cell("print(6 * 7)")
    lab.run_active()
    expect(lab.page.locator(".jp-OutputArea-output").last).to_have_text("42", timeout=SOON_MS)
