"""A limit that runs out while a person works, in a real browser: each step is seen, nothing is lost in silence."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from conftest import SHOTS, opened
from governed_lab import POLICY, GovernedLab, running
from keyboard import Keyboard
from lab_page import LabPage, set_theme
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BUDGET = "budget: {cpu_hours: 0.006, per: 1d, grace: 20s, warn_at: 60%}"
STEP_MS = 90_000


def with_rule(text: str, *, profile: str = "small: {memory: 1GiB, cpus: 1}") -> str:
    """The shared policy with a budget, and another small profile."""
    policy = POLICY.replace("terminals: small}\n", f"terminals: small}}\n    {text}\n").replace("small: {memory: 1GiB, cpus: 1}", profile)
    assert text in policy
    return policy


@pytest.fixture(scope="module")
def tight(governed) -> Iterator[GovernedLab]:
    """A Lab of its own, since a budget counts what every test before has used."""
    with running(policy=with_rule(BUDGET), jupyter_path=governed.jupyter_path) as server:
        yield server


@pytest.fixture
def tight_lab(chromium, tight) -> Iterator[LabPage]:
    with opened(chromium, tight) as page:
        yield page


def seen(lab: LabPage, step: str) -> None:
    """A picture, and what stands there in words."""
    SHOTS.mkdir(exist_ok=True)
    lab.page.screenshot(path=SHOTS / f"notices-{step}.png")
    print(f"--- {step}\n{lab.notices.inner_text()}")


def test_a_budget_that_runs_out_while_a_cell_runs(tight_lab, tight):
    """80 % (here 60), 100 % with a countdown, the interrupt with the variable still there, the end with its reason on the notebook."""
    lab = tight_lab.open("good.ipynb")
    lab.panel.limits.wait_for()
    lab.add_cell("kept = 41\nwhile True: pass")
    burning = lab.active_cell
    lab.run_active()
    expect(lab.notices.get_by_text(re.compile(r"^Budget used up to \d+%$"))).to_be_visible(timeout=STEP_MS)
    expect(lab.page.locator("#jp-main-statusbar").get_by_role("button", name=re.compile(r"Budget used up to \d+%"))).to_be_visible()
    seen(lab, "1-warned")
    expect(lab.notices.get_by_text("Budget used up", exact=True)).to_be_visible(timeout=STEP_MS)
    expect(lab.notices.get_by_role("timer")).to_have_text(re.compile(r"^0:\d\d$"))
    expect(lab.notices.get_by_text(re.compile(r"guardrails\.yaml:\d+ everyone-starts-small"))).to_be_visible()
    seen(lab, "2-counting-down")
    assert lab.violations() == []
    assert lab.violations(".jp-Guardrails-notebookBar") == []
    expect(burning).to_contain_text("KeyboardInterrupt", timeout=STEP_MS)
    expect(burning).to_contain_text("interrupted: your budget is used up")
    expect(lab.notices.get_by_text("Ended in", exact=True)).to_be_visible()
    lab.add_cell("print(kept + 1)")
    lab.run_active()
    expect(lab.active_cell.locator(".jp-OutputArea-output").first).to_contain_text("42")
    seen(lab, "3-interrupted")
    expect(lab.notices.get_by_text("This kernel was ended", exact=True)).to_be_visible(timeout=STEP_MS)
    expect(lab.notices).to_contain_text("your budget is used up", ignore_case=True)
    expect(burning.locator("..").get_by_text("this kernel was ended: your budget is used up").first).to_be_visible()
    seen(lab, "4-ended")
    print(f"--- below the cells\n{lab.notebook.locator('.jp-Notebook').inner_text()}")
    assert lab.violations(".jp-Guardrails-notebookBar") == []


def test_an_idle_kernel_is_kept_or_saved_and_stopped(tight_lab, tight):
    tight.put_policy(with_rule("budget: {cpu_hours: 99}", profile="small: {memory: 1GiB, cpus: 1, idle: 60s}"))
    tight.add_notebook("kept.ipynb", "print('kept')")
    lab = tight_lab.open("kept.ipynb")
    keep = lab.notices.get_by_role("button", name="Keep")
    expect(keep).to_be_visible(timeout=STEP_MS)
    keep_by_keyboard(lab)
    lab.add_cell("print('not saved yet')")
    expect(keep).to_be_visible(timeout=STEP_MS)
    seen(lab, "5-idle")
    lab.notices.get_by_role("button", name="More for a while").click()
    form = lab.page.get_by_role("form", name="More for a while")
    expect(form.get_by_label("More of what?")).to_have_value("idle")
    form.get_by_label("What do you need it for?").fill("a long lunch")
    seen(lab, "6-more")
    assert lab.violations() == []
    form.get_by_role("button", name="Send request").click()
    expect(lab.page.get_by_role("region", name="More for a while").get_by_text("waiting")).to_be_visible()
    lab.notices.get_by_role("button", name="Save and stop").click()
    expect(lab.notebook.get_by_text("No Kernel")).to_be_visible()
    assert "not saved yet" in (tight.workspace / "kept.ipynb").read_text()


def keep_by_keyboard(lab: LabPage) -> None:
    """From the cell that has the focus, and back to it when the notice goes."""
    keys = Keyboard(lab.page)
    keys.tab_to("button", "^Keep$", back=True)
    keys.press("Enter")
    expect(lab.notices).to_be_hidden()
    expect(lab.notebook.locator(".jp-Notebook :focus")).to_have_count(1)
    assert keys.unseen == []


def test_notices_in_the_dark(tight_lab, tight):
    """What a kernel took to start is more than this budget: it is told at once."""
    tight.put_policy(with_rule("budget: {cpu_hours: 98}"))
    lab = tight_lab.open("bad.ipynb")
    set_theme(tight.url, tight.token, "dark")
    tight.put_policy(with_rule("budget: {cpu_hours: 0.0001, per: 1d, grace: 10m}"))
    lab.page.reload()
    lab.panel.limits.wait_for()
    expect(lab.notices.get_by_role("timer")).to_have_text(re.compile(r"^9:\d\d$"), timeout=STEP_MS)
    seen(lab, "7-dark")
    assert lab.violations() == []
    assert lab.violations(".jp-Guardrails-notebookBar") == []
