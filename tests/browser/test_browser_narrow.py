"""The panel where there is little room: at 200 % of a small screen, in every part nothing is cut off at its side, and nothing scrolls sideways."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ZOOMED = {"width": 640, "height": 400}  # 1280 x 800 at 200 %
CUT = """panel => {
    const right = panel.getBoundingClientRect().right + 1;
    const scrolls = element => element.closest('.jp-Guardrails-tableFrame, pre, .jp-Guardrails-srOnly') !== null;
    const beyond = [...panel.querySelectorAll('*')].filter(one => one.getClientRects().length && one.getBoundingClientRect().right > right);
    return beyond.filter(one => !scrolls(one)).map(one => one.outerHTML.slice(0, 200));
}"""


@pytest.mark.parametrize("name", ["Limits", "Data", "Submit"])
def test_nothing_is_cut_where_there_is_little_room(lab, name):
    lab.page.set_viewport_size(ZOOMED)
    lab.open("good.ipynb")
    part = lab.panel.section(name)
    if name == "Data":
        part.get_by_role("button", name="nyc/flights", exact=True).click()
        expect(part.get_by_role("region", name="Code")).to_be_visible()
    else:
        expect(part.get_by_role("heading").first).to_be_visible()
        for summary in part.locator("summary:visible").all():
            summary.click()
    assert part.evaluate(CUT) == []
    assert part.evaluate("panel => panel.scrollWidth <= panel.clientWidth")
