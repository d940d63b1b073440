"""Everybody can use the panel: WCAG A and AA in both themes, when the server is away, and after a reload."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from states import states

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON_MS = 20_000


def test_no_state_of_the_panel_breaks_wcag(lab, governed):
    """Those with checks that ran are in test_browser_keyboard.py, which gets there by itself; `make screenshots` looks at all."""
    found = [(state, lab.violations_in_both_themes()) for state in states(lab, governed, checked=False)]
    assert [one for one in found if one[1]] == []
    assert len(found) >= 9


def test_the_probe_for_violations_finds_one(lab):
    """Else the test above could not fail."""
    lab.open()
    panel = lab.panel.root
    panel.evaluate("e => e.insertAdjacentHTML('beforeend', '<button id=nameless></button>')")
    assert any("nameless" in line for line in lab.violations())


def test_a_server_that_is_away_is_said_and_what_is_known_stays(lab):
    lab.open("good.ipynb")
    limits = lab.panel.limits
    expect(limits.get_by_role("meter").first).to_be_visible()
    lab.page.route("**/guardrails/**", lambda route: route.abort())
    expect(limits.get_by_text("The server cannot be reached")).to_be_visible(timeout=SOON_MS)
    expect(limits.get_by_role("meter").first).to_be_visible()
    lab.page.unroute("**/guardrails/**")
    limits.get_by_role("button", name="Try again").click()
    expect(limits.get_by_text("The server cannot be reached")).to_be_hidden()


def saves_the_panel_with_data(request):
    """Whether JupyterLab is writing down that our panel is open and its part "datasets" in front."""
    body = request.post_data or ""
    open_panel, part = '"current":"jupyter-guardrails-panel"', '"jupyter-guardrails:panel:section":"datasets"'
    return request.method == "PUT" and "/api/workspaces" in request.url and open_panel in body and part in body


def test_the_part_in_front_survives_a_reload(lab):
    lab.open()
    with lab.page.expect_response(lambda response: saves_the_panel_with_data(response.request)):
        lab.panel.data  # noqa: B018 - choosing it is the point
    lab.page.reload()
    expect(lab.page.get_by_role("tabpanel", name="Data")).to_be_visible(timeout=60_000)
