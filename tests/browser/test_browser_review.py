"""The Review tab in a real browser: ben looks at what ana submitted, decides in his shell, and the tab follows."""

from __future__ import annotations

import shlex
import time

import pytest
from conftest import opened
from lab_page import set_theme
from playwright.sync_api import expect
from review_page import PATIENCE_MS, ReviewPage
from review_world import HOSTILE, service_machine

WHY_NOT = service_machine.why_not()
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")]


@pytest.fixture(scope="module")
def hostile(reviewing):
    """A submission whose outputs try to run a script in whoever looks at them."""
    return reviewing.submit("hostile.ipynb", *HOSTILE)


@pytest.fixture
def review(chromium, reviewing, hostile):
    with opened(chromium, reviewing) as lab:
        yield ReviewPage(lab.open()).open()


def words_of(command, words):
    """What a person types after `jupyter guardrails`, with their words in place of the dots."""
    jupyter, guardrails, *rest = shlex.split(command.replace("…", words))
    assert (jupyter, guardrails) == ("jupyter", "guardrails")
    return rest


def test_a_reviewer_looks_at_a_job_decides_in_a_shell_and_the_tab_follows(review, reviewing, hostile):
    detail = review.choose("hostile-1")
    expect(detail).to_contain_text("waits for its reviewers")
    expect(detail.get_by_role("list", name="Checks")).to_contain_text("A clean run from top to bottom")
    expect(detail).to_contain_text("the sum includes returns; <b>agreed with Ben</b>")
    expect(review.part("What changed")).to_contain_text("No version was approved before this one", timeout=PATIENCE_MS)
    costs = review.part("Data and cost").get_by_role("region", name="What the clean run of hostile used")
    expect(costs).to_contain_text("Each run may use")
    expect(review.part("Decide")).to_contain_text("a notebook that you trust could send a decision")
    refused = review.lab.page.request.post(f"{reviewing.url}guardrails/submissions/{hostile['id']}/decision", data={})
    assert refused.status in (400, 403), "no request from a page decides"
    reviewing.shell("ben", *words_of(review.command("approve"), "numbers agree"))
    expect(review.decided.filter(has_text="hostile-1")).to_be_visible(timeout=PATIENCE_MS)
    expect(review.part("Decide")).to_contain_text("numbers agree", timeout=PATIENCE_MS)
    expect(review.part("Decide")).to_contain_text("There is nothing to decide: approved")
    reviewing.submit("hostile.ipynb", HOSTILE[0], "y = 2")
    expect(review.waiting.filter(has_text="hostile-2")).to_be_visible(timeout=PATIENCE_MS)
    review.choose("hostile-2")
    changes = review.part("What changed")
    expect(changes).to_contain_text("Since version 1, which was approved", timeout=PATIENCE_MS)
    expect(changes).to_contain_text("+y = 2")
    tops = changes.locator("pre > span").evaluate_all("lines => lines.map(line => line.getBoundingClientRect().top)")
    assert tops == sorted(set(tops)), "each line below the one before"
    assert review.lab.violations("#jupyter-guardrails-review") == []


def test_nothing_in_the_clean_run_acts(review):
    """In the frame, and as a page by itself; the twin: the outputs are there, as text."""
    page, loaded = review.lab.page, []
    page.on("request", lambda request: loaded.append(request.url))
    review.choose("hostile-1")
    with page.expect_response("**/clean-run*") as answer:
        frame = review.part("Clean run").frame_locator("iframe")
    expect(frame.locator("body")).to_contain_text("text/html is not shown here", timeout=PATIENCE_MS)
    expect(frame.locator("body")).to_contain_text('<script>parent.document.title = "taken"')
    headers = answer.value.headers
    policy = {part.strip() for part in headers["content-security-policy"].split(";")}
    assert policy >= {"sandbox", "default-src 'none'", "img-src data:", "style-src 'unsafe-inline'", "frame-ancestors 'self'"}
    assert (headers["x-content-type-options"], headers["content-type"]) == ("nosniff", "text/html; charset=utf-8")
    assert page.evaluate("[document.title.includes('taken'), 'taken' in window]") == [False, False]
    assert not [url for url in loaded if url.endswith("/x")]
    page.goto(answer.value.url)
    assert page.evaluate("self.origin") == "null", "in a tab of its own it is nobody's page either"
    expect(page.locator("script")).to_have_count(0)


def test_it_is_there_again_after_the_page_was_loaded_anew(review, reviewing, hostile):
    page = review.lab.page
    review.choose("hostile-1")
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while hostile["id"] not in page.request.get(f"{reviewing.url}lab/api/workspaces/default").text():
        assert time.monotonic() < deadline, "JupyterLab saves its layout a while after it changed"
        time.sleep(0.1)
    page.goto(f"{reviewing.url}lab")
    expect(review.detail.get_by_role("heading", level=2)).to_contain_text("hostile-1", timeout=PATIENCE_MS)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(chromium, reviewing, hostile, theme):
    with opened(chromium, reviewing) as lab:
        set_theme(reviewing.url, reviewing.token, theme)
        review = ReviewPage(lab.open()).open()
        review.choose("hostile-1")
        for part in ("Checks", "What changed", "Clean run", "Data and cost", "Decide"):
            review.part(part)
            assert lab.violations("#jupyter-guardrails-review") == [], part
