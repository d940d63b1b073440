"""The panel for people who need contrast: JupyterLab's high contrast theme, and a system that forces its own colours upon every page."""

from __future__ import annotations

import pytest
from conftest import SHOTS
from lab_page import set_theme
from playwright.sync_api import Locator, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
COLOUR = "(element, property) => getComputedStyle(element)[property]"


def picture(lab, name: str) -> None:
    SHOTS.mkdir(exist_ok=True)
    lab.page.screenshot(path=SHOTS / f"contrast-{name}.png")


def colour(found: Locator, property: str = "backgroundColor") -> str:
    """As the browser draws it."""
    return str(found.evaluate(COLOUR, property))


def test_every_part_in_the_high_contrast_theme_and_in_forced_colours(lab, governed):
    """axe, and what only a shape tells: how full a gauge is, and which tab is in front."""
    set_theme(governed.url, governed.token, "contrast")
    lab.open("good.ipynb")
    parts = {
        "limits": lambda: lab.panel.limits.get_by_role("meter").first,
        "data": lambda: lab.panel.data.get_by_role("button", name="nyc/flights", exact=True),
        "production": lambda: lab.panel.production.get_by_role("region", name="My submissions"),
    }
    for forced in (False, True):
        lab.page.emulate_media(forced_colors="active" if forced else "none")
        assert lab.page.evaluate("matchMedia('(forced-colors: active)').matches") is forced
        for name, part in parts.items():
            expect(part()).to_be_visible()
            picture(lab, f"{'forced' if forced else 'theme'}-{name}")
            assert lab.violations() == [], (forced, name)
        gauge = lab.panel.limits.get_by_role("meter").first
        assert colour(gauge.locator(".jp-Guardrails-gaugeFill")) != colour(gauge), "a gauge's fill is seen on it"
        tabs = lab.panel.root.get_by_role("tab")
        front, other = tabs.and_(lab.page.locator("[aria-selected=true]")), tabs.and_(lab.page.locator("[aria-selected=false]")).first
        assert colour(front, "borderBottomColor") != colour(other, "borderBottomColor")
        assert colour(front, "borderBottomColor") != colour(lab.panel.root), "the one in front has a line"
