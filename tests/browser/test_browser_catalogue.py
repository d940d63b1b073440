"""A catalogue of 5,000 datasets in a real browser: all are in reach, few are in the page, and the keyboard gets along."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import SHOTS
from playwright.sync_api import Locator, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
COUNT = 5000
# Rows come to be higher than was thought when they are drawn, and the end moves on.
TO_THE_END = """e => {
  e.scrollTop = e.scrollHeight;
  const last = e.querySelector('[aria-posinset="5000"]');
  return last !== null && last.getBoundingClientRect().bottom <= e.getBoundingClientRect().bottom;
}"""
IN_PAGE = 60  # rows at most, whatever the list is scrolled to


def dataset(number: int) -> dict[str, object]:
    """One of the many: descriptions of different lengths make rows of different heights."""
    told = {"description": "What was counted at the gates. " * (1 + number % 5), "owner": "carol", "classification": "internal"}
    state = {"status": "granted" if number < 4000 else "requestable", "rule": "guardrails.yaml:9 all", "next_step": "", "error": ""}
    return {"name": f"big/d{number:04}", "format": "parquet", "columns": 3, "size_bytes": 2048, "updated_at": None, **told, **state}


@pytest.fixture
def many(lab):
    """The listing answers with 5,000, page by page; everything else is the server's."""
    asked: list[dict[str, str]] = []

    def answer(route):
        query = {name: values[0] for name, values in parse_qs(urlsplit(route.request.url).query).items()}
        asked.append(query)
        found = [dataset(number) for number in range(COUNT) if query.get("q", "") in f"big/d{number:04}"]
        start, limit = int(query["offset"]), int(query["limit"])
        body = {"datasets": found[start : start + limit], "total": len(found)}
        route.fulfill(status=200, content_type="application/json", body=json.dumps(body))

    lab.page.route("**/guardrails/datasets?*", answer)
    return asked


def rows(lab) -> Locator:
    return lab.panel.root.get_by_role("list", name="Datasets").locator("> [aria-posinset]")


def picture(lab, name):
    SHOTS.mkdir(exist_ok=True)
    lab.page.screenshot(path=SHOTS / f"catalogue-{name}.png")


def test_all_of_5000_are_in_reach_and_few_are_in_the_page(lab, many):
    data = lab.open("good.ipynb").panel.data
    expect(data.get_by_text("5000 datasets")).to_be_visible()
    first = lab.panel.dataset("big/d0000")
    expect(first).to_have_attribute("aria-setsize", "5000")
    picture(lab, "1-top")
    lab.wait_until(TO_THE_END, data, timeout_ms=60_000)
    last = lab.panel.dataset("big/d4999")
    expect(last).to_be_in_viewport()
    expect(last).to_have_attribute("aria-posinset", "5000")
    expect(last.get_by_role("button", name="Request access")).to_be_visible()
    picture(lab, "2-end")
    assert rows(lab).count() < IN_PAGE
    assert {int(query["limit"]) for query in many} == {200}
    data.focus()
    lab.page.keyboard.press("Home")
    expect(first).to_be_in_viewport()
    assert lab.violations() == []


def test_rows_stand_where_they_stood_while_they_are_measured(lab, many):
    """Rows that come into sight have other heights than was thought: what one looks at must not jump."""
    data = lab.open("good.ipynb").panel.data
    expect(lab.panel.dataset("big/d0000")).to_be_visible()
    data.evaluate("e => { e.scrollTop = 30000; }")
    expect(rows(lab).locator("visible=true").first).to_be_visible()
    jumps = data.evaluate(
        """async e => {
          const frame = () => new Promise(requestAnimationFrame);
          const top = node => node.getBoundingClientRect().top;
          const inSight = () => [...e.querySelectorAll('[aria-posinset]')].find(row => top(row) > top(e) + 100);
          await frame(); await frame();
          const jumps = [];
          for (let step = 0; step < 40; step++) {
            const row = inSight();
            const before = top(row);
            e.scrollTop -= 37;
            await frame(); await frame();
            jumps.push(row.isConnected ? Math.abs(top(row) - before - 37) : 999);
          }
          return jumps;
        }"""
    )
    assert max(jumps) <= 2, jumps


def test_the_keyboard_walks_through_rows_that_come_and_go(lab, many):
    data = lab.open("good.ipynb").panel.data
    lab.panel.dataset("big/d0000").get_by_role("button", name="big/d0000", exact=True).focus()
    for _ in range(60):
        lab.page.keyboard.press("Tab")
    expect(lab.panel.dataset("big/d0030").get_by_role("button", name="big/d0030", exact=True)).to_be_focused()
    expect(lab.panel.dataset("big/d0030")).to_be_in_viewport()
    data.evaluate("e => { e.scrollTop = 200000; }")
    expect(lab.panel.dataset("big/d0030").get_by_role("button", name="big/d0030", exact=True)).to_be_focused()
    assert rows(lab).count() < IN_PAGE
    lab.page.keyboard.press("Control+f")
    search = data.get_by_role("searchbox")
    expect(search).to_be_focused()
    lab.page.keyboard.type("d4321")
    expect(data.get_by_text("1 dataset", exact=True)).to_be_visible()
    expect(lab.panel.dataset("big/d4321")).to_be_in_viewport()
    expect(search).to_be_focused()
