"""The panel without a pointer, as a person likes it, and as it is seen for the first time."""

from __future__ import annotations

import re

import pytest
from lab_page import set_panel
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON_MS = 60_000


@pytest.fixture
def as_new(governed, lab):
    """What a person finds who never used the panel."""
    set_panel(governed.url, governed.token)
    yield lab
    set_panel(governed.url, governed.token, introduction=False)


def test_a_dataset_is_found_and_inserted_by_keyboard_alone(lab):
    lab.open("good.ipynb")
    lab.cells.first.locator(".jp-InputPrompt").click()
    lab.page.keyboard.press("Control+Alt+s")
    search = lab.panel.root.get_by_role("searchbox", name="Search datasets")
    expect(search).to_be_focused(timeout=SOON_MS)
    lab.page.keyboard.type("weather")
    expect(lab.panel.root.get_by_text("1 dataset", exact=True)).to_be_visible(timeout=SOON_MS)
    lab.page.keyboard.press("Control+Alt+g")  # back to the notebook
    expect(search).not_to_be_focused()
    lab.page.keyboard.press("Control+Alt+g")
    expect(lab.panel.root.get_by_role("tab", name="Data")).to_be_focused()
    lab.page.keyboard.press("ArrowRight")
    expect(lab.panel.root.get_by_role("tabpanel", name="Submit")).to_be_visible()


def test_the_palette_has_what_the_panel_does(lab):
    lab.open("good.ipynb")
    lab.page.keyboard.press("Control+Shift+c")
    expect(lab.page.locator("#modal-command-palette input")).to_be_focused(timeout=SOON_MS)
    lab.page.keyboard.type("Choose Size of the Next")
    expect(lab.page.locator("#modal-command-palette .lm-CommandPalette-item.lm-mod-active")).to_have_text(re.compile("^Choose Size"), timeout=SOON_MS)
    lab.page.keyboard.press("Enter")
    dialog = lab.page.get_by_role("dialog").filter(has_text="Size of the next kernel")
    try:
        dialog.get_by_role("combobox").select_option("large: 2 GiB, 2 cores")
        dialog.get_by_role("button", name="Choose").click()
        expect(lab.page.locator("#jupyter-guardrails-panel")).to_be_visible(timeout=SOON_MS)
        expect(lab.panel.limits.get_by_text("still runs as “small”")).to_be_visible(timeout=SOON_MS)
    finally:
        lab.panel.limits.get_by_role("combobox", name="Size of the next kernel").select_option("small")
        expect(lab.panel.limits.get_by_role("button", name="Restart kernel")).to_be_hidden(timeout=SOON_MS)


def test_it_introduces_itself_until_that_was_read_and_comes_back_as_it_was(as_new):
    lab = as_new.open()
    root = lab.page.locator("#jupyter-guardrails-panel")
    introduction = root.get_by_role("region", name="What this panel is for").locator("visible=true")
    expect(introduction).to_contain_text("nothing ends without a warning", timeout=SOON_MS)
    assert lab.violations() == []
    with lab.page.expect_response(re.compile("api/settings/.*panel")):
        introduction.get_by_role("button", name="Got it").click()
    expect(introduction).to_have_count(0)
    lab.panel.section("Data")
    with lab.page.expect_response(lambda answer: saves_part(answer.request, "submit"), timeout=SOON_MS):
        lab.panel.section("Submit")
    lab.page.goto(f"{lab.url}lab?token={lab.token}")
    expect(root.get_by_role("tabpanel", name="Submit")).to_be_visible(timeout=SOON_MS)
    expect(introduction).to_have_count(0)


def saves_part(request, part):
    """Whether JupyterLab is writing down its layout with this part of the panel in front."""
    shown = f'"jupyter-guardrails:panel:section":"{part}"'
    return request.method == "PUT" and "/api/workspaces/" in request.url and shown in (request.post_data or "")


def test_settings_that_do_not_fit_are_named_and_the_defaults_hold(lab):
    """As IT's overrides can bring them; what a person saves is checked before."""

    def overridden(route):
        answer = route.fetch()
        body = answer.json()
        all_read = body.get("settings", [])  # JupyterLab reads all at once, and then again what doesn't fit
        for one in [body, *all_read] if isinstance(all_read, list) else [body]:
            if one.get("id") == "jupyter-guardrails:panel":
                one["raw"] = '{"pollSeconds": 9999}'
        route.fulfill(response=answer, json=body)

    lab.page.route(re.compile(r"/lab/api/settings(/jupyter-guardrails:panel)?\?\d+$"), overridden)
    lab.open()
    expect(lab.page.get_by_text("The settings of Guardrails do not fit")).to_contain_text("pollSeconds", timeout=SOON_MS)
    expect(lab.panel.limits.get_by_role("combobox")).to_be_visible(timeout=SOON_MS)


def test_the_launcher_leads_to_approved_data(lab):
    lab.open()
    lab.page.get_by_role("tabpanel", name="Launcher").get_by_text("Show Approved Data").click()
    expect(lab.panel.root.get_by_role("tabpanel", name="Data")).to_be_visible(timeout=SOON_MS)
