"""Approved data in a real browser: found, inserted, run; asked for; refused with its rule."""

from __future__ import annotations

import re

import pytest
from conftest import SHOTS
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
RUN_MS = 60_000


def picture(lab, name):
    SHOTS.mkdir(exist_ok=True)
    lab.page.screenshot(path=SHOTS / f"data-{name}.png")


def test_search_finds_a_dataset_by_a_word_of_its_description(lab):
    data = lab.open().panel.data
    expect(lab.panel.dataset("nyc/flights")).to_be_visible()
    data.get_by_role("searchbox").fill("airports")
    expect(lab.panel.dataset("nyc/flights")).to_be_hidden()
    expect(lab.panel.dataset("nyc/weather")).to_be_visible()
    data.get_by_role("searchbox").fill("nothing-has-this-name")
    expect(data.get_by_text("Nothing found")).to_be_visible()


def test_inserted_code_runs_and_prints_the_data(lab):
    """From the list to rows of the file, without typing a path."""
    lab.open("good.ipynb")
    data = lab.panel.data
    lab.panel.dataset("nyc/flights").get_by_role("button", name="Insert code").click()
    expect(data).to_be_visible()
    expect(lab.active_cell).to_contain_text("dataset://nyc/flights")
    expect(lab.cells).to_have_count(3)
    lab.run_active()
    lab.add_cell("print('flights:', df['flights'].sum())")
    lab.run_active()
    expect(lab.notebook.get_by_text("flights: 15", exact=True)).to_be_visible(timeout=RUN_MS)


def drag_to(lab, name, place, *, by_grip=True, at=(0.5, 0.5)):
    """Take hold of a dataset with the mouse and move it over a part of the page; its details have come by then."""
    row = lab.panel.dataset(name)
    held = row.locator(".jp-Guardrails-grip") if by_grip else row.get_by_role("button", name=name, exact=True)
    with lab.page.expect_request_finished(lambda request: "/guardrails/datasets/" in request.url):
        held.hover()
        lab.page.mouse.down()
    box = place.bounding_box()
    lab.page.mouse.move(box["x"] + at[0] * box["width"], box["y"] + at[1] * box["height"], steps=8)


def test_a_dataset_is_dragged_between_cells(lab):
    """Onto what is no editor of a notebook: a new cell, above the one that it is dropped on."""
    lab.open("good.ipynb")
    expect(lab.panel.data).to_be_visible()
    drag_to(lab, "nyc/flights", lab.cells.nth(1).locator(".jp-InputPrompt"))
    expect(lab.page.locator(".jp-Guardrails-dragImage")).to_have_text("nyc/flights")
    picture(lab, "3-dragged")
    assert lab.page.evaluate("getSelection().toString()") == ""
    lab.page.mouse.up()
    expect(lab.page.locator(".jp-Guardrails-dragImage")).to_have_count(0)
    expect(lab.cells).to_have_count(3)
    expect(lab.cells.nth(1)).to_contain_text("dataset://nyc/flights")
    expect(lab.active_cell).to_have_count(1)
    expect(lab.active_cell).to_contain_text("dataset://nyc/flights")
    expect(lab.notebook.locator(".jp-Cell.jp-mod-selected")).to_have_count(1)


def test_a_dataset_is_dropped_into_a_cell_where_the_pointer_is(lab):
    lab.open("good.ipynb")
    expect(lab.panel.data).to_be_visible()
    line = lab.cells.nth(1).locator(".cm-line").first
    drag_to(lab, "nyc/flights", line, by_grip=False, at=(0.99, 0.5))
    lab.page.mouse.up()
    expect(lab.cells.nth(1)).to_contain_text("print(df['x'].sum())import pandas as pd")
    expect(lab.cells.nth(1)).to_contain_text("dataset://nyc/flights")
    expect(lab.cells).to_have_count(2)
    expect(lab.panel.dataset("nyc/flights").get_by_role("button", name="nyc/flights", exact=True)).to_have_attribute("aria-expanded", "false")


def test_a_dataset_that_may_not_be_read_is_not_dragged(lab):
    lab.open("good.ipynb")
    expect(lab.panel.data).to_be_visible()
    expect(lab.panel.dataset("hr/headcount").locator(".jp-Guardrails-grip")).to_have_count(0)
    lab.panel.dataset("hr/headcount").get_by_role("button", name="hr/headcount", exact=True).hover()
    lab.page.mouse.down()
    box = lab.cells.nth(1).bounding_box()
    lab.page.mouse.move(box["x"] + 5, box["y"] + 5, steps=8)
    expect(lab.page.locator(".jp-Guardrails-dragImage")).to_have_count(0)
    lab.page.mouse.up()
    expect(lab.cells).to_have_count(2)


def test_the_library_that_was_chosen_is_there_after_a_reload(lab):
    data = lab.open("good.ipynb").panel.data
    data.get_by_role("button", name="nyc/flights", exact=True).click()
    library = data.get_by_role("combobox", name="Library")
    expect(library.locator("option")).to_have_text(["path", "pandas", "polars", "duckdb"])  # this notebook speaks Python
    with lab.page.expect_response(lambda answer: "jupyter-guardrails" in answer.url and answer.request.method == "PUT"):
        library.select_option("polars")
    try:
        data = lab.open("good.ipynb").panel.data
        lab.panel.dataset("nyc/flights").get_by_role("button", name="Insert code").click()
        expect(lab.active_cell).to_contain_text("pl.read_csv")
    finally:
        data.get_by_role("button", name="nyc/flights", exact=True).click()
        with lab.page.expect_response(lambda answer: "jupyter-guardrails" in answer.url and answer.request.method == "PUT"):
            library.select_option("pandas")


def test_details_show_columns_rows_and_code_of_other_libraries(lab):
    data = lab.open("good.ipynb").panel.data
    data.get_by_role("button", name="nyc/flights", exact=True).click()
    expect(data.get_by_role("region", name="Columns of nyc/flights")).to_contain_text("Airline")
    expect(data.get_by_role("region", name="First rows of nyc/flights")).to_contain_text("DL")
    data.get_by_role("combobox", name="Library").select_option("path")
    expect(data.get_by_role("region", name="Code")).to_contain_text('guarded.path("nyc/flights")')


def test_access_is_asked_for_with_a_purpose(lab):
    data = lab.open().panel.data
    salaries = lab.panel.dataset("hr/headcount")
    salaries.get_by_role("button", name="Request access").click()
    send = salaries.get_by_role("button", name="Send request")
    expect(send).to_be_disabled()
    salaries.get_by_label("What do you need it for?").fill("capacity planning")
    salaries.get_by_label("For how many days?").fill("14")
    send.click()
    mine = data.get_by_role("region", name="My requests")
    expect(mine).to_contain_text("hr/headcount")
    expect(mine).to_contain_text(re.compile("for 14 days.*capacity planning"))


def test_a_refused_dataset_names_its_rule_and_offers_nothing(lab):
    data = lab.open("good.ipynb").panel.data
    expect(data).to_be_visible()
    refused = lab.panel.dataset("hr/salaries")
    expect(refused).to_contain_text("refused")
    expect(refused).to_contain_text(re.compile(r"guardrails\.yaml:\d+ restricted-stays-shut"))
    expect(refused.get_by_role("button", name=re.compile("Insert|Request"))).to_have_count(0)
    expect(lab.panel.dataset("nyc/flights").get_by_role("button", name="Insert code")).to_be_visible()


def test_a_cell_that_may_not_read_gets_a_card_that_asks_for_it(lab):
    """Where it happens: above the notebook, with the reason, the rule and the request."""
    lab.open("good.ipynb").add_cell("import guarded\nguarded.open('hr/bonuses')")
    lab.run_active()
    card = lab.notebook.get_by_role("region", name="Data of this notebook").get_by_role("status").filter(has_text="hr/bonuses was refused")
    expect(card).to_contain_text("no rule lets ana read hr/bonuses", timeout=RUN_MS)
    picture(lab, "1-refused")
    assert lab.violations(".jp-Guardrails-notebookBar") == []
    card.get_by_role("button", name="Request access").click()
    card.get_by_label("What do you need it for?").fill("a study of churn")
    expect(card.get_by_role("button", name="Send request")).to_be_in_viewport()
    picture(lab, "2-request")
    card.get_by_role("button", name="Send request").click()
    expect(card).to_contain_text("nobody has answered yet")
    expect(card.get_by_role("button", name="Request access")).to_have_count(0)
    card.get_by_role("button", name="Hide").click()
    expect(card).to_have_count(0)
