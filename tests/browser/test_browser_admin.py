"""The tab with use, policy and host state: an admin's, and that of somebody who is none."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from admin_page import AdminPage
from admin_states import ADMINS, BROKEN, of_admin
from conftest import opened
from governed_lab import GovernedLab, running
from lab_page import LabPage
from playwright.sync_api import Request, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON_MS = 60_000


@pytest.fixture(scope="module")
def own(governed) -> Iterator[GovernedLab]:
    """A Lab whose person is an admin."""
    with running(policy=ADMINS, jupyter_path=governed.jupyter_path) as server:
        yield server


@pytest.fixture
def own_lab(chromium, own) -> Iterator[LabPage]:
    with opened(chromium, own) as page:
        yield page


def keeps_layout(request: Request) -> bool:
    """Whether JupyterLab saves a layout with the tab in it."""
    return request.method == "PUT" and "/api/workspaces/" in request.url and "guardrails-admin" in (request.post_data or "")


def test_an_admin_sees_use_by_person_and_what_changed_in_the_policy(own_lab, own):
    lab = own_lab.open("good.ipynb")
    own.policy.write_text(ADMINS.replace(*BROKEN))
    with lab.page.expect_request(keeps_layout, timeout=SOON_MS):
        tab = AdminPage(lab).open()
    expect(tab.root.get_by_role("heading", name="What people used")).to_be_visible()
    expect(tab.root.get_by_role("row", name=re.compile("^ana"))).to_be_visible()
    expect(tab.summed("notebook").filter(has_text="good.ipynb")).to_be_visible(timeout=SOON_MS)
    tab.wait_for_mistakes(True)
    own.policy.write_text(ADMINS)
    expect(tab.policy).to_contain_text("It is enforced")
    lab.page.goto(f"{lab.url}lab?token={lab.token}")  # it comes back where it was, with what changed meanwhile
    expect(tab.policy.get_by_role("listitem").filter(has_text="ruels").first).to_be_visible(timeout=SOON_MS)


def test_no_state_of_the_tab_breaks_wcag(own_lab, own):
    found = [(state, own_lab.violations_in_both_themes(".jp-Guardrails-admin")) for state in of_admin(own_lab, own)]
    assert [one for one in found if one[1]] == []
    assert len(found) >= 9


def test_who_is_no_admin_sees_their_own_and_why_not_more(lab):
    tab = AdminPage(lab.open("good.ipynb")).open()
    expect(tab.root.get_by_role("heading", name="What you used")).to_be_visible()
    expect(tab.root.get_by_text("are for admins")).to_be_visible()
    expect(tab.part("What is enforced here").get_by_role("listitem").first).to_be_visible()
    expect(tab.root.get_by_text("What changed, and when")).to_have_count(0)
