"""Limits in a real browser: what a kernel uses, what may be chosen, what is enforced, and a policy with a mistake."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests
from governed_lab import POLICY
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ALLOCATE = "block = bytearray(300 * 2**20)"
SOON_MS = 20_000
UNUSED = "unused.ipynb"
UNUSED_MS = 150_000  # it takes a minute until a kernel counts as unused


@pytest.fixture(scope="module", autouse=True)
def unused(governed) -> Iterator[None]:
    """A kernel that nobody uses while the tests before are at work."""
    governed.add_notebook(UNUSED, "1 + 1")
    with requests.Session() as session:
        session.headers["Authorization"] = f"token {governed.token}"
        wanted = {"path": UNUSED, "name": UNUSED, "type": "notebook", "kernel": {"name": "study"}}
        started = session.post(f"{governed.url}api/sessions", json=wanted, timeout=120)
        started.raise_for_status()
        yield
        session.delete(f"{governed.url}api/sessions/{started.json()['id']}", timeout=120).raise_for_status()


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


def choose_for(lab, notebook, profile):
    """As a script of this person would."""
    body = {"profile": profile, "notebook": notebook}
    requests.put(f"{lab.url}guardrails/profile", json=body, headers={"Authorization": f"token {lab.token}"}, timeout=60).raise_for_status()


def test_a_size_that_was_stored_for_one_notebook_is_shown_there_and_changed_there(lab):
    """It holds against the choice for all: the panel offered a restart that came back in the same size, again and again."""
    choose_for(lab, "good.ipynb", "large")
    try:
        limits = lab.open("good.ipynb").panel.limits
        own = limits.get_by_role("combobox", name="Size of the next kernel of good.ipynb")
        expect(own).to_have_value("large", timeout=SOON_MS)
        lab.restart_kernel()
        meter = limits.get_by_role("article", name="good.ipynb").get_by_role("meter")
        expect(meter).to_have_attribute("aria-valuetext", re.compile("of 2 GiB"), timeout=60_000)
        restart = limits.get_by_role("button", name="Restart kernel")
        expect(restart).to_be_hidden()
        limits.get_by_role("button", name="Same as others").click()
        expect(limits.get_by_role("combobox", name="Size of the next kernel", exact=True)).to_have_value("small", timeout=SOON_MS)
        restart.click()
        lab.page.get_by_role("button", name="Confirm Kernel Restart").click()
        expect(meter).to_have_attribute("aria-valuetext", re.compile("of 1 GiB"), timeout=60_000)
        expect(restart).to_be_hidden()
    finally:
        choose_for(lab, "good.ipynb", None)


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


def test_budget_idle_time_and_what_happens_at_100_percent_are_said(lab, governed):
    """With the time that is left at the present rate, and a bigger limit one form away."""
    budget = "terminals: small}\n    budget: {cpu_hours: 90, per: 1d}\n"
    policy = POLICY.replace("terminals: small}\n", budget).replace("small: {memory: 1GiB, cpus: 1}", "small: {memory: 1GiB, cpus: 1, idle: 2h}")
    try:
        governed.policy.write_text(policy)
        lab.reloaded_until(lambda limits: limits.get_by_role("meter", name="Processor time"))
        lab.open("good.ipynb")
        lab.restart_kernel()  # its idle time is told at its start
        lab.wait_idle()
        limits = lab.panel.limits
        card = limits.get_by_role("article", name="good.ipynb")
        expect(card).to_contain_text("Ends after 2 h without use", timeout=60_000)
        expect(limits.get_by_text("At 100% of the memory")).to_be_visible()
        part = limits.get_by_role("region", name="Budget")
        expect(part.get_by_role("meter", name="Processor time")).to_have_attribute("aria-valuetext", re.compile("h of 90 h"))
        expect(part).to_contain_text("over the last 24 h")
        expect(part).to_contain_text("At 100% nothing new starts.")
        expect(part).to_contain_text(re.compile(r"guardrails\.yaml:\d+ everyone-starts-small"))
        expect(part).to_contain_text(re.compile("At the present rate this lasts for .+ days"), timeout=60_000)
        ask_for_more(lab)
        assert lab.violations() == []
    finally:
        governed.policy.write_text(POLICY)
    lab.reloaded_until(lambda limits: limits.get_by_text("No budget is set for you."))


def ask_for_more(lab):
    more = lab.panel.limits.get_by_role("region", name="More for a while")
    more.get_by_role("button", name="Ask for more").click()
    form = more.get_by_role("form", name="More for a while")
    form.get_by_label("More of what?").select_option("budget.cpu_hours")
    expect(form.get_by_label("How much in all?")).to_have_value("180")
    form.get_by_label("What do you need it for?").fill("a big study")
    form.get_by_role("button", name="Send request").click()
    asked = more.get_by_role("listitem").first
    expect(asked).to_contain_text("180 in all")
    expect(asked).to_contain_text("waiting")


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
        governed.policy.write_text(POLICY.replace("max: 20", "max: 1"))
        lab.reloaded_until(lambda limits: limits.get_by_text(re.compile(r"of at most 1$")))
        lab.page.locator(".jp-LauncherCard[data-category=Notebook]", has_text="Study").click()
        said = lab.page.get_by_role("dialog").locator("pre")
        expect(said).to_contain_text("no more are allowed at once", timeout=SOON_MS)
        expect(said).to_contain_text("next: shut one down")
        lab.wait_until("e => e.scrollWidth <= e.clientWidth", said)
        lab.page.get_by_role("button", name="Ok").click()
    finally:
        governed.policy.write_text(POLICY)
    lab.reloaded_until(lambda limits: limits.get_by_text(re.compile(r"of at most 20$")))


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


def test_an_unused_kernel_counts_down_and_is_kept_in_its_card(lab):
    """Long before its notice comes; by keyboard, and the focus stays in the panel when the button goes."""
    limits = lab.open().panel.limits
    card = limits.get_by_role("article", name=UNUSED)
    countdown = card.get_by_role("timer")
    expect(countdown).to_have_text(re.compile(r"^7:\d\d:\d\d$"), timeout=UNUSED_MS)
    expect(card.get_by_text("Ends without use in")).to_be_visible()
    assert lab.violations() == []
    keep = card.get_by_role("button", name=f"Keep {UNUSED}")
    keep.focus()
    with lab.page.expect_response("**/guardrails/kernels/*/keep*") as answer:
        lab.page.keyboard.press("Enter")
    assert answer.value.ok, answer.value.text()
    expect(keep).to_be_hidden(timeout=60_000)
    expect(card).to_contain_text("Ends after 8 h without use")
    expect(lab.panel.root.locator(":focus")).to_have_count(1)
