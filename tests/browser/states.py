"""Every state of the panel, one after another on a really running server: for pictures, and for what axe-core says of each."""

from __future__ import annotations

from collections.abc import Iterator

from governed_lab import POLICY, GovernedLab
from lab_page import LabPage
from playwright.sync_api import expect
from review_page import ReviewPage

WAIT_MS = 120_000


def states(lab: LabPage, server: GovernedLab, *, checked: bool = True) -> Iterator[str]:
    """Bring the panel from state to state, each of which is on the page when it is named; without `checked` nothing is submitted."""
    lab.open()
    lab.panel.production.wait_for()
    yield "no-notebook"
    lab.open("good.ipynb")
    yield from of_limits(lab)
    yield from of_data(lab)
    yield from of_asking(lab)
    if checked:
        yield from of_production(lab)
    yield from of_trouble(lab, server)


def of_limits(lab: LabPage) -> Iterator[str]:
    """A kernel with memory in use, then what is enforced."""
    limits = lab.panel.limits
    lab.add_cell("block = bytearray(760 * 2**20)")
    lab.run_active()
    expect(limits.get_by_text("high")).to_be_visible(timeout=WAIT_MS)
    yield "limits"
    limits.get_by_text("All limits and where they come from").click()
    limits.get_by_text("You are ana").scroll_into_view_if_needed()
    yield "limits-all"
    lab.add_cell("del block")
    lab.run_active()


def of_data(lab: LabPage) -> Iterator[str]:
    """The list, a dataset's details, a request, nothing found."""
    data = lab.panel.data
    expect(lab.panel.dataset("nyc/flights")).to_be_visible()
    yield "data"
    data.get_by_role("button", name="nyc/flights", exact=True).click()
    expect(data.get_by_role("region", name="Code")).to_be_visible()
    yield "data-details"
    data.get_by_role("button", name="nyc/flights", exact=True).click()
    request = lab.panel.dataset("hr/headcount").get_by_role("button", name="Request access")
    if request.is_visible():
        request.click()
        yield "data-request"
    data.get_by_role("searchbox").fill("nothing-has-this-name")
    expect(data.get_by_text("Nothing found")).to_be_visible()
    yield "data-nothing-found"


def of_asking(lab: LabPage) -> Iterator[str]:
    """What can be said before anything is submitted."""
    production = lab.panel.production
    production.get_by_text("About the job").click()
    expect(production.get_by_label("When it runs")).to_be_visible()
    yield "submit-about-the-job"
    production.get_by_text("About the job").click()
    production.get_by_role("button", name="Ask for a package…").click()
    yield "submit-ask-for-a-package"
    production.get_by_role("form", name="Ask for a package").get_by_role("button", name="Cancel").click()


def of_production(lab: LabPage) -> Iterator[str]:
    """Failed checks, checks under way, and a package."""
    lab.open("bad.ipynb")
    production = lab.panel.production
    production.get_by_role("button", name="Check draft").click()
    expect(production.get_by_text("checks failed", exact=True).first).to_be_visible(timeout=WAIT_MS)
    yield "submit-failed"
    lab.open("good.ipynb")
    production = lab.panel.production
    production.get_by_role("button", name="Submit for production").click()
    reason = production.get_by_label("There are warnings: why should it go on all the same?")
    expect(reason).to_be_visible(timeout=WAIT_MS)
    yield "submit-needs-a-reason"
    reason.fill("it was never run here")
    production.get_by_role("button", name="Submit for production").click()
    expect(production.get_by_role("progressbar", name="Checks done")).to_be_visible(timeout=WAIT_MS)
    yield "submit-checking"
    link = production.get_by_role("link", name="Download good")
    expect(link).to_be_visible(timeout=WAIT_MS)
    yield "submit-done"
    link.scroll_into_view_if_needed()
    yield "submit-package"
    production.get_by_role("button", name="Reopen as experiment").click()
    reopened = lab.panel.production.get_by_text("Reopened in good-")
    expect(reopened.first).to_be_visible(timeout=WAIT_MS)
    reopened.first.scroll_into_view_if_needed()
    yield "submit-reopened"


def of_trouble(lab: LabPage, server: GovernedLab) -> Iterator[str]:
    """A policy with a mistake, and a server that is away."""
    try:
        server.policy.write_text(POLICY.replace("rules:", "ruels:"))
        lab.reloaded_until(lambda limits: limits.get_by_role("status").filter(has_text="The policy file has mistakes"))
        yield "policy-mistake"
    finally:
        server.policy.write_text(POLICY)
    lab.page.route("**/guardrails/**", lambda route: route.abort())
    expect(lab.panel.limits.get_by_text("The server cannot be reached")).to_be_visible(timeout=WAIT_MS)
    yield "server-away"


def of_review(lab: LabPage, title: str) -> Iterator[str]:
    """Each part of one submission's evidence in the Review tab of a reviewer's JupyterLab, where it waits."""
    review = ReviewPage(lab.open()).open()
    review.choose(title)
    for part in ("Checks", "What changed", "Clean run", "Data and cost", "Decide"):
        shown = review.part(part)
        expect(shown.get_by_role("status", name="Reading")).to_have_count(0, timeout=WAIT_MS)
        yield f"review-{part.lower().replace(' ', '-')}"
