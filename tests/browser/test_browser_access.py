"""Everybody can use the panel: WCAG A and AA in both themes, by keyboard alone, when the server is away, and after a reload."""

from __future__ import annotations

import pytest
from lab_page import set_theme
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON_MS = 20_000


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_part_of_the_panel_breaks_wcag(lab, governed, theme):
    set_theme(governed.url, governed.token, theme)
    lab.open("good.ipynb")
    expect(lab.panel.limits.get_by_role("meter")).not_to_have_count(0)
    assert lab.violations() == []
    data = lab.panel.data
    data.get_by_role("button", name="nyc/flights", exact=True).click()
    expect(data.get_by_role("region", name="First rows of nyc/flights")).to_be_visible()
    assert lab.violations() == []
    expect(lab.panel.production.get_by_role("region", name="My submissions")).to_be_visible()
    assert lab.violations() == []


def test_the_probe_for_violations_finds_one(lab):
    """Else the test above could not fail."""
    lab.open()
    panel = lab.panel.root
    panel.evaluate("e => e.insertAdjacentHTML('beforeend', '<button id=nameless></button>')")
    assert any("nameless" in line for line in lab.violations())


def test_every_part_is_reached_by_keyboard(lab):
    lab.open()
    lab.page.keyboard.press("Control+Alt+g")
    expect(lab.panel.root).to_be_visible()
    lab.panel.root.get_by_role("tab", name="Limits").focus()
    lab.page.keyboard.press("ArrowRight")
    expect(lab.panel.root.get_by_role("tab", name="Data")).to_be_focused()
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Tab")
    expect(lab.panel.root.get_by_role("searchbox")).to_be_focused()


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
