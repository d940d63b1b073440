"""What an admin stopped or opened for a person, and how a kernel went, in the panel of a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import SHOTS, opened
from governed_lab import POLICY, GovernedLab, running
from lab_page import LabPage
from playwright.sync_api import expect

from jupyter_guardrails.control.interface import ControlClient, Settings
from jupyter_guardrails.control.interface.own import running_control
from jupyter_guardrails.control.interface.stops import BreakGlass, BreakGlassEnd, Suspend, SuspensionLift

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON_MS = 40_000
PERSON = "ana"


@pytest.fixture(scope="module")
def own(governed) -> Iterator[GovernedLab]:
    """A Lab whose person is an admin, so that the test may speak to its control."""
    admins = f"mode: enforce\nadmins: {{users: [{PERSON}]}}"
    with running(policy=POLICY.replace("mode: enforce", admins), jupyter_path=governed.jupyter_path) as server:
        yield server


@pytest.fixture
def own_lab(chromium, own) -> Iterator[LabPage]:
    with opened(chromium, own) as page:
        yield page


@pytest.fixture
def control(own) -> ControlClient:
    """As the command line of an admin reaches it."""
    found = running_control(Settings(own.policy, own.catalog, own.state, own.state / "control.sock", True, PERSON))
    assert found is not None
    return found


def picture(lab: LabPage, name: str) -> None:
    SHOTS.mkdir(exist_ok=True)
    lab.page.screenshot(path=SHOTS / f"account-{name}.png")


def card(lab: LabPage, title: str) -> Any:
    return lab.panel.root.get_by_role("status").filter(has_text=title)


def test_how_a_kernel_went_is_drawn_while_its_card_is_open(own_lab):
    lab = own_lab.open("good.ipynb")
    kernel = lab.panel.limits.get_by_role("article", name="good.ipynb")
    with lab.page.expect_response("**/history*"):
        kernel.get_by_text("Over time").click()
    memory = kernel.get_by_role("img", name=re.compile(r"^Memory in the last .*MiB to .*MiB$"))
    expect(memory).to_be_visible(timeout=2 * SOON_MS)
    expect(kernel.get_by_role("img", name=re.compile("^Processor in the last "))).to_be_visible()
    picture(lab, "1-history")
    assert lab.violations() == []
    kernel.get_by_text("Over time").click()
    expect(memory).to_be_hidden()


def test_break_glass_shows_by_whom_why_and_until_when_and_goes_with_its_end(own_lab, control):
    lab = own_lab.open()
    lab.panel.limits.wait_for()
    opened = control.call(BreakGlass(kind="dataset", name="hr/salaries", person=PERSON, reason="payroll is down, ticket 99"))
    shown = card(lab, "hr/salaries is open to you")
    expect(shown).to_contain_text("payroll is down, ticket 99", timeout=SOON_MS)
    expect(shown).to_contain_text(f"jupyter guardrails break-glass end {opened['id']}")
    picture(lab, "2-break-glass")
    assert lab.violations() == []
    control.call(BreakGlassEnd(id=opened["id"]))
    expect(shown).to_be_hidden(timeout=SOON_MS)


def test_a_suspended_person_reads_who_did_it_why_and_what_ends_when(own_lab, control):
    lab = own_lab.open("good.ipynb")
    lab.panel.limits.wait_for()
    control.call(Suspend(kind="user", name=PERSON, reason="account taken over, ticket 12", grace_s=3600))
    shown = card(lab, "Your account is suspended")
    expect(shown).to_contain_text("was suspended by ana", timeout=SOON_MS)
    for text in ("ticket 12", "What still runs ends at", "Next step: talk to ana"):
        expect(shown).to_contain_text(text)
    picture(lab, "3-suspended")
    assert lab.violations() == []
    control.call(SuspensionLift(kind="user", name=PERSON, reason="it was nothing"))
    expect(shown).to_be_hidden(timeout=SOON_MS)
