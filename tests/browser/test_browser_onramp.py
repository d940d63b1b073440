"""The way to data in a real browser, where somebody else decides: found, inserted, asked for, granted, read by the kernel that runs.

Then what was made of it is published, proposed and reviewed. `GUARDRAILS_SHOTS=1` keeps a picture of each step in shots/.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from conftest import SHOTS, opened
from playwright.sync_api import Locator, expect

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))

import live_access
import service_machine

WHY_NOT = service_machine.why_not()
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")]
RUN_MS = 60_000
POLICY = live_access.POLICY.replace("rules:", "groups: {team: [ana, carol]}\nrules:").replace(
    'data: {request: ["hr/*"]}', 'data: {read: ["nyc/*"], request: ["hr/*"]}\n    publish: {to: [team]}'
)
MAKE = """\
open("staff.csv", "w").write("team,people,mail\\nsales,12,ada@example.com\\n")
print(guarded.publish("staff.csv", "team/staff", description="staff of a team"))"""


@pytest.fixture(scope="module")
def machine():
    """Ben owns hr/headcount, which ana may ask for; all may read nyc/flights; what ana makes, ben looks at."""
    with service_machine.made() as machine:
        live_access.world(machine)
        (machine.admins / "guardrails.yaml").write_text(POLICY)
        (machine.root / "data" / "flights.csv").write_text("carrier,people\nAA,3\nUA,5\n")
        live_access.add_contract(machine, "nyc/flights", machine.root / "data" / "flights.csv")
        machine.add_notebook("ana", "print('ready')", name="study.ipynb", kernel="python3")
        machine.start_service()
        yield machine


@pytest.fixture
def tab(chromium, machine):
    """Opens somebody's JupyterLab."""
    with contextlib.ExitStack() as stack:

        def tab_of(account):
            server = machine.serve(account, launcher=("jupyter_guardrails", "lab"))
            server.token = service_machine.TOKEN
            return stack.enter_context(opened(chromium, server))

        yield tab_of


def picture(lab, step: str) -> None:
    if os.environ.get("GUARDRAILS_SHOTS"):
        SHOTS.mkdir(exist_ok=True)
        lab.page.screenshot(path=SHOTS / f"onramp-{step}.png")


def run_cell(lab, code: str, says: str | re.Pattern[str]) -> None:
    lab.add_cell(code)
    lab.run_active()
    expect(lab.active_cell).to_contain_text(says, timeout=RUN_MS)


def decided(machine, account: str, *words: str) -> str:
    done = machine.guardrails(account, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def command_in(place: Locator, beginning: str) -> list[str]:
    """The words after `jupyter guardrails` of a command that the panel shows."""
    text = place.locator("code", has_text=beginning).inner_text()
    return shlex.split(text)[2:]


def test_from_a_search_to_the_running_kernel_that_reads_it_and_on_to_what_is_published(machine, tab):
    lab = tab("ana").open("study.ipynb")
    look_and_insert(lab)
    ask(lab)
    grant_and_read(lab, machine)
    publish_and_propose(lab)
    review(tab("ben"), machine)
    run_cell(lab, "print('and the panel looks again')", "looks again")
    mine = lab.panel.data.get_by_role("region", name="Published by me")
    expect(mine).to_contain_text("published")
    expect(mine).to_contain_text("jupyter guardrails data withdraw team/staff")
    expect(mine.get_by_role("button", name="Withdraw team/staff", exact=True)).to_have_count(0)
    picture(lab, "9-published")


def look_and_insert(lab) -> None:
    """Found by a word, looked at, and in the notebook with one click."""
    data = lab.panel.data
    data.get_by_role("searchbox").fill("flights")
    expect(lab.panel.dataset("hr/headcount")).to_be_hidden()
    picture(lab, "1-search")
    data.get_by_role("button", name="nyc/flights", exact=True).click()
    expect(data.get_by_role("region", name="First rows of nyc/flights")).to_contain_text("UA")
    picture(lab, "2-preview")
    data.get_by_role("button", name="Insert this code").click()
    expect(lab.active_cell).to_contain_text("dataset://nyc/flights")
    lab.run_active()
    run_cell(lab, "print('people:', df['people'].sum())", "people: 8")
    picture(lab, "3-inserted")


def ask(lab) -> None:
    """Refused before it is granted, which shows that the grant opens it."""
    run_cell(lab, "import guarded\nopen(guarded.path('hr/headcount'))", "Refused: no rule lets ana read hr/headcount")
    lab.panel.data.get_by_role("searchbox").fill("headcount")
    wanted = lab.panel.dataset("hr/headcount")
    wanted.get_by_role("button", name="Request access").click()
    wanted.get_by_label("What do you need it for?").fill("staffing study")
    picture(lab, "4-request")
    wanted.get_by_role("button", name="Send request").click()
    expect(wanted).to_contain_text("nobody has answered yet")
    expect(refused_in(lab)).to_contain_text("nobody has answered yet", timeout=RUN_MS)


def refused_in(lab) -> Locator:
    """What stands above the notebook about data that a cell could not read."""
    return lab.notebook.get_by_role("region", name="Data of this notebook")


def grant_and_read(lab, machine) -> None:
    """Ben grants in his shell; the panel says so by itself, and what it then inserts reads the data in the kernel that runs."""
    wanted = lab.panel.dataset("hr/headcount")
    expect(wanted.get_by_role("button", name="Insert code")).to_have_count(0)
    request = live_access.ID.search(decided(machine, "ben", "data", "requests"))[0]
    decided(machine, "ben", "data", "grant", request, "--reason", "for the study")
    expect(wanted).to_contain_text("ready", timeout=RUN_MS)
    expect(refused_in(lab)).to_contain_text("hr/headcount is open to you now", timeout=RUN_MS)
    picture(lab, "5-granted")
    wanted.get_by_role("button", name="Insert code").click()
    expect(lab.active_cell).to_contain_text("dataset://hr/headcount")
    lab.run_active()
    run_cell(lab, "print('rows:', df.values.tolist())", "rows: [['sales', 12]]")


def publish_and_propose(lab) -> None:
    """What a cell publishes stands in the panel at once, with what was found in it; proposed there, it waits for another person."""
    run_cell(lab, MAKE, "team/staff")
    data = lab.panel.data
    data.get_by_role("navigation").get_by_role("button", name="Published by me (1)").click()
    mine = data.get_by_role("region", name="Published by me")
    mine.get_by_role("button", name="team/staff", exact=True).click()
    expect(mine).to_contain_text("hr/headcount")
    expect(mine).to_contain_text("email address in 1 cell of mail")
    picture(lab, "6-evidence")
    mine.get_by_role("button", name="Propose team/staff").click()
    mine.get_by_role("form").get_by_role("button", name="Propose").click()
    expect(mine).to_contain_text("Waits for ben")
    assert lab.violations() == []
    picture(lab, "7-proposed")


def review(lab, machine) -> None:
    """Ben sees all of it in his panel, and decides with its command in a shell; the panel itself offers no decision."""
    data = lab.open().panel.data
    data.get_by_role("navigation").get_by_role("button", name="Waits for a decision (1)").click()
    waiting = data.get_by_role("region", name="Waits for a decision")
    waiting.get_by_role("button", name="team/staff", exact=True).click()
    expect(waiting.get_by_role("region", name="First rows of team/staff")).to_contain_text("sales")
    expect(waiting).to_contain_text("email address in 1 cell of mail")
    assert lab.violations() == []
    picture(lab, "8-review")
    expect(waiting.get_by_role("button", name=re.compile("^(Approve|Send back|Grant)"))).to_have_count(0)
    assert "published" in decided(machine, "ben", *command_in(waiting, "data approve"))
