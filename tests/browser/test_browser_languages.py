"""Another language: every string of ours goes through the translator, and one that is 40 % longer still has room."""

from __future__ import annotations

from collections.abc import Iterator

import pseudo_locale
import pytest
from admin_states import of_no_admin
from conftest import opened
from governed_lab import GovernedLab, running
from lab_page import LabPage
from playwright.sync_api import Locator, expect
from states import of_asking, of_data

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON_MS = 60_000
THEIRS = {
    "bdi": "sentences, names and notes from policies, contracts and people, which are set apart wherever they are shown",
    "code, pre": "places in a policy, digests, commands and snippets",
    "td": "rows of data",
    ".jp-Guardrails-limits": "limits, in the server's words",
    ".jp-Guardrails-boundary": "who stands behind the policy, in the server's words",
    ".jp-Guardrails-badge[data-tone=plain]": "profiles, which the policy names",
    "tbody th": "people",
    "option:not([value])": "libraries, whose name is what is chosen",
}


@pytest.fixture(scope="module")
def own(governed) -> Iterator[GovernedLab]:
    """A Lab in which nobody submitted anything: on the shared one names of other tests' jobs would show, which no translator knows."""
    with running(jupyter_path=governed.jupyter_path) as server:
        yield server


@pytest.fixture
def foreign(chromium, own) -> Iterator[LabPage]:
    """A tab in the language of brackets."""
    with opened(chromium, own) as page:
        pseudo_locale.speak(page.page)
        yield page


def parts(lab: LabPage) -> Iterator[tuple[str, Locator]]:
    """What is on the page, under its name."""
    lab.open("good.ipynb")
    limits = lab.panel.limits
    expect(limits.get_by_role("article").first).to_be_visible(timeout=SOON_MS)
    for summary in limits.locator("summary:visible").all():
        summary.click()
    yield "limits", lab.panel.root
    for walk in (of_data, of_asking):
        for state in walk(lab):
            yield state, lab.panel.root
    for state in of_no_admin(lab):
        yield state, lab.page.locator(".jp-Guardrails-admin")


def test_no_text_of_ours_lacks_its_translation_and_none_is_cut(foreign):
    found = {}
    for state, part in parts(foreign):
        expect(part.get_by_text("⟦").first).to_be_visible()
        if wrong := pseudo_locale.untranslated(part, THEIRS) + pseudo_locale.cut(part):
            found[state] = wrong
    assert found == {}


def test_the_probes_find_a_bare_word_and_one_that_leaves_its_part(foreign):
    """Else the test above could not fail."""
    foreign.open()
    root = foreign.panel.root
    expect(root.get_by_text("⟦").first).to_be_visible()
    root.evaluate("e => e.insertAdjacentHTML('beforeend', '<p style=\"width: 2000px\" title=\"⟦x⟧ bare\">⟦x⟧ never translated</p>')")
    assert pseudo_locale.untranslated(root, THEIRS) == ["p. ⟦x⟧ never translated", "title=⟦x⟧ bare"]
    assert any("2000px" in one for one in pseudo_locale.cut(root))
