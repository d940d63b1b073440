"""Access that comes and goes under a control with an account of its own; and data that belongs to that account, which no person may open."""

import re

import live_access
import pytest
import service_machine

WHY_NOT = service_machine.why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")]


@pytest.fixture(scope="module")
def machine():
    with service_machine.made() as machine:
        live_access.world(machine).start_service()
        yield machine


@pytest.fixture(scope="module")
def server(machine):
    return machine.serve("ana")


@pytest.fixture(scope="module")
def story(machine, server):
    return live_access.tell(machine, server)


def test_a_kernel_that_runs_gets_what_is_granted_and_loses_what_is_revoked_as_the_docs_show(machine, story):
    said = [step[2] for step in story.steps]
    assert live_access.without_chance(story.page()) == live_access.without_chance(live_access.PAGE.read_text()), "write it anew: see live_access.py"
    assert said[4] == "department,people"
    assert said[5] == "sales,12"
    assert "No such file or directory" in said[7]
    assert said[9].startswith("department,people")
    assert ("hr/headcount", True) in live_access.audited(machine, "data.revoke")
    assert ("hr/headcount", True) in live_access.audited(machine, "data.read")


READ_PAY = """
import guarded
print(guarded.open("pay/roll").read().decode().split()[1], guarded.open("pay/months", file="may.csv").read().decode().split()[1])
"""


def test_files_of_controls_account_are_given_by_descriptor_and_nobody_else_opens_them(machine, server, story):
    place = machine.root / "data" / "payroll.csv"
    assert "Permission denied" in machine.run("ana", "-c", f"open({str(place)!r})").stderr
    assert server.execute(story.kernel, READ_PAY).strip() == "ana,1 may,2"
    for code in (f"open({str(place)!r})", "import os; open(os.environ['GUARDRAILS_DATA'] + '/pay/roll')"):
        assert "Permission denied" in server.execute(story.kernel, code)
    said = server.execute(story.kernel, "guarded.path('pay/roll')")
    assert "pay/roll belongs to another account of this machine" in said
    assert "guarded.open('pay/roll')" in said
    said = server.execute(story.kernel, "guarded.open('pay/months')")
    assert "is a folder of 2 files" in said
    assert re.search(r"guarded.open\('pay/months', file='(june|may).csv'\)", said)


def test_dataset_urls_list_and_read_a_folder_of_controls_account(server, story):
    code = "import fsspec\nfiles = fsspec.filesystem('dataset')\nprint(*files.ls('pay/months', detail=False))\n"
    code += "print(files.cat('pay/months/may.csv').split()[1].decode())"
    assert server.execute(story.kernel, code).strip().split() == ["pay/months/june.csv", "pay/months/may.csv", "may,2"]
