"""From a notebook to a package in a real browser: checks as they run, what they found, and the zip."""

from __future__ import annotations

import json
import re
import zipfile

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CHECKS_MS = 120_000
PARAMETERS = "month: int = 1\nkind: Literal['sold', 'lost'] = 'sold'\nuntil: int | None = 9\nlast = False"
WARNINGS = "There are warnings: why should it go on all the same?"


def submit(production):
    """Submit a notebook that was never run here: that is a warning, and it goes on with a reason."""
    button = production.get_by_role("button", name="Submit for production")
    button.click()
    production.get_by_label(WARNINGS).fill("it was never run here", timeout=CHECKS_MS)
    button.click()


def test_the_toolbar_checks_a_draft_and_the_panel_shows_how_it_ended(lab):
    lab.open("good.ipynb")
    expect(lab.submit_button).to_be_visible()
    lab.submit_button.click()
    production = lab.page.get_by_role("tabpanel", name="Submit")
    submission = production.get_by_role("region", name="Submission of good.ipynb")
    expect(submission.get_by_text("draft checked")).to_be_visible(timeout=CHECKS_MS)
    expect(lab.panel.check("A clean run from top to bottom")).to_contain_text("passed")
    expect(lab.panel.check("Cells were run once")).to_contain_text("warning")
    expect(production.get_by_role("button", name="Submit for production")).to_be_disabled()
    production.get_by_label(WARNINGS).fill("it was never run here")
    expect(production.get_by_role("button", name="Submit for production")).to_be_enabled()


def test_what_is_said_about_a_job_goes_into_its_package_which_is_downloaded_and_reopened(lab, governed, tmp_path):
    cells = ("from typing import Literal", PARAMETERS, "open('month.txt', 'w').write(str(month))")
    governed.add_notebook("monthly.ipynb", *cells, tags={1: ["parameters"]})
    governed.add_notebook("report.ipynb", "print(open('month.txt').read())")
    lab.open("monthly.ipynb")
    production = lab.panel.production
    say_about_the_job(lab, production)
    submit(production)
    link = production.get_by_role("link", name=re.compile(r"Download monthly.*\.job\.zip"))
    expect(link).to_be_visible(timeout=CHECKS_MS)
    expect(production).to_contain_text("nobody else has approved this")
    expect(production).to_contain_text("Said of its warnings: it was never run here")
    production.get_by_role("button", name="Copy the whole digest: Content").click()
    digest = production.locator("code[title]").first.get_attribute("title")
    assert lab.page.evaluate("navigator.clipboard.readText()") == digest
    assert re.fullmatch("[0-9a-f]{64}", digest)
    with lab.page.expect_download() as download:
        link.click()
    download.value.save_as(tmp_path / "job.zip")
    with zipfile.ZipFile(tmp_path / "job.zip") as package:
        job = json.loads(package.read("job.json"))
        assert "run.py" in package.namelist()
    assert (job["parameters"]["values"], job["then"]) == ({"month": 6, "kind": "lost", "until": None}, ["report.ipynb"])
    assert (job["schedule"], job["contact"]) == ("0 6 * * 1", "ana, room 4")
    production.get_by_role("button", name="Reopen as experiment").click()
    expect(lab.panel.production).to_contain_text("Reopened in monthly-", timeout=CHECKS_MS)
    expect(lab.cells.nth(1)).to_contain_text("month: int = 1")
    lab.panel.production.get_by_text("About the job").click()
    expect(lab.panel.production.get_by_role("textbox", name="month")).to_have_value("6")
    expect(lab.panel.production.get_by_role("textbox", name="until")).to_have_value("none")
    expect(lab.panel.production.get_by_label("When it runs")).to_have_value("0 6 * * 1")
    expect(lab.panel.production.get_by_label("Whom to ask about it")).to_have_value("ana, room 4")
    expect(lab.panel.production.get_by_role("list", name="Order of the notebooks")).to_have_text(re.compile("^report.ipynb"))
    lab.wait_idle()  # with the kernel of its notebook, for which nobody is asked
    expect(lab.page.get_by_role("dialog")).to_have_count(0)
    [pins] = governed.workspace.glob("monthly-*/reopened.json")
    pinned = json.loads(pins.read_text())
    assert (pinned["kernelspec"], pinned["details"]["then"]) == ("study", ["report.ipynb"])


def say_about_the_job(lab, production):
    """Parameters, a schedule, whom to ask, and a notebook that runs after it: by its name, another one left out again."""
    production.get_by_text("About the job").click()
    set_parameters(lab, production)
    then = production.get_by_label("Notebooks that run after it")
    for name in ("bad.ipynb", "report.ipynb"):
        then.select_option(label=name)
    production.get_by_role("button", name="Run report.ipynb earlier").press("Enter")
    production.get_by_role("button", name="Leave bad.ipynb out").press("Enter")
    production.get_by_label("When it runs").select_option(label="Every Monday at 6:00")
    production.get_by_label("Whom to ask about it").fill("ana, room 4")
    assert lab.violations() == []


def set_parameters(lab, production):
    """A wrong value keeps the notebook from being sent, and is mended where it stands."""
    month = production.get_by_role("textbox", name="month")
    month.fill("2.5")
    production.get_by_role("button", name="Submit for production").click()
    expect(production.get_by_text("Correct month under")).to_be_visible()
    expect(month).to_be_focused()
    expect(month).to_have_value("2.5")
    expect(month).to_have_accessible_description("This takes a whole number.")
    assert lab.violations_in_both_themes() == []
    month.fill("6")
    expect(production.get_by_text("This takes")).to_have_count(0)
    production.get_by_role("combobox", name="kind").select_option(label="lost")
    production.get_by_role("textbox", name="until").fill("none")


def test_a_finding_leads_to_its_cell_and_says_how_to_mend_it(lab):
    lab.open("bad.ipynb")
    production = lab.panel.production
    production.get_by_role("button", name="Check draft").click()
    expect(production.get_by_text("checks failed", exact=True).first).to_be_visible(timeout=CHECKS_MS)
    secrets = lab.panel.check("No passwords, tokens or keys")
    expect(secrets).to_contain_text("failed")
    expect(secrets).to_contain_text("Fix")
    expect(production).not_to_contain_text("hunter2")
    secrets.get_by_role("button", name=re.compile("Cell 2")).first.click()
    expect(lab.active_cell).to_contain_text("password")


def test_checks_that_end_unseen_are_told_and_lead_back(lab, governed):
    governed.add_notebook("late.ipynb", "import time\n\ntime.sleep(5)  # somebody looks elsewhere meanwhile", "1 / 0")
    lab.open("late.ipynb")
    lab.panel.production.get_by_role("button", name="Check draft").click()
    expect(lab.panel.limits).to_be_visible()
    toast = lab.page.get_by_role("alert").filter(has_text="late: its checks failed")
    expect(toast).to_be_visible(timeout=CHECKS_MS)
    toast.get_by_role("button", name="Show").click()
    expect(lab.panel.check("A clean run from top to bottom")).to_contain_text("failed")


def test_checks_are_shown_while_they_run_and_can_be_cancelled(lab, governed):
    governed.add_notebook("long.ipynb", "import time", "time.sleep(600)")
    lab.open("long.ipynb")
    production = lab.panel.production
    production.get_by_role("button", name="Check draft").click()
    submission = production.get_by_role("region", name="Submission of long.ipynb")
    expect(submission.get_by_text("checking")).to_be_visible()
    expect(production.get_by_role("button", name="Submit for production")).to_be_disabled()
    submission.get_by_role("button", name="Cancel").click()
    expect(production.get_by_text("cancelled").first).to_be_visible(timeout=CHECKS_MS)
    expect(production.get_by_role("button", name="Check draft")).to_be_enabled()


def test_a_fix_that_can_be_carried_out_is_one_click(lab, governed):
    governed.add_notebook("told.ipynb", "x = 1", "print('pass' + \"word = 'hunter2-and-more-Z8xQ1v'\")")
    lab.open("told.ipynb")
    lab.cells.nth(1).locator(".jp-InputPrompt").click()
    lab.run_active()
    output = lab.cells.nth(1).locator(".jp-OutputArea-output")
    expect(output).to_contain_text("hunter2")
    lab.panel.production.get_by_role("button", name="Check draft").click()
    secrets = lab.panel.check("No passwords, tokens or keys")
    secrets.get_by_role("button", name="Clear its outputs").first.click(timeout=CHECKS_MS)
    expect(output).to_have_count(0)


@pytest.fixture
def with_a_list(governed):
    """The server, while its policy names the packages that jobs may hold."""
    text = governed.policy.read_text()
    governed.put_policy(text + "  packages: {allow: [pandas, numpy]}\n")
    yield governed
    governed.put_policy(text)


def test_a_package_is_asked_for_where_it_is_refused(lab, with_a_list):
    lab.open("good.ipynb")
    production = lab.panel.production
    production.get_by_role("button", name="Check draft").click()
    packages = lab.panel.check("Packages are approved")
    expect(packages).to_contain_text("failed", timeout=CHECKS_MS)
    packages.get_by_role("button", name="Ask for fsspec…").click()
    form = production.get_by_role("form", name="Ask for a package")
    expect(form.get_by_label("Which package?")).to_have_value("fsspec")
    expect(form.get_by_label("Which package?")).to_be_focused()
    form.get_by_label("What do you need it for?").fill("files elsewhere")
    form.get_by_role("button", name="Send request").click()
    asked = production.get_by_role("region", name="Packages on request").get_by_role("listitem").filter(has_text="fsspec")
    expect(asked).to_contain_text("waiting")
    assert lab.violations() == []
