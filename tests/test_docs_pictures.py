"""The pictures of the documentation: each exists and is small, none is left that nothing shows, those of docs/images are of known states."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHOWN = [(page, page.parent / name) for page in PAGES for name in re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", page.read_text())]
MOST_BYTES = 150_000
MAKE = re.compile(r"^(?:\$ )?make ([a-z-]+)", re.MULTILINE)


@pytest.mark.parametrize(("page", "picture"), SHOWN, ids=lambda path: path.name)
def test_a_picture_that_a_page_shows_is_there_and_small(page, picture):
    assert picture.is_file(), f"{page.name} shows {picture}"
    assert picture.stat().st_size < MOST_BYTES


def test_every_picture_is_shown():
    assert {path.resolve() for path in (ROOT / "docs").rglob("*.png")} == {picture.resolve() for _, picture in SHOWN}


def test_the_pictures_of_the_panel_are_those_of_states_that_are_pictured():
    text = (ROOT / "tests" / "browser" / "screenshots.py").read_text()
    named = set(re.findall(r'"([a-z-]+)"', re.search(r"^DOCS = \((.*?)\)", text, re.DOTALL | re.MULTILINE).group(1)))
    states = (ROOT / "tests" / "browser" / "states.py").read_text()
    assert named == {path.stem for path in (ROOT / "docs" / "images").glob("*.png")}
    parts = {f"review-{part.lower()}" for part in re.findall(r'"(Checks|Decide)"', states)}
    assert named <= {*re.findall(r'yield "([a-z-]+)"', states), *parts}


@pytest.mark.parametrize("target", sorted({name for page in PAGES for name in MAKE.findall(page.read_text())}))
def test_a_target_of_make_that_a_page_shows_exists(target):
    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"make {target}"
