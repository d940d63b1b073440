"""Groups of the operating system: real accounts of this machine, and directories that are slow, silent or gone."""

import asyncio
import grp
import os
import pwd
import subprocess
import threading

import pytest

from jupyter_guardrails.control.groups import FRESH_S, RETRY_S, Groups, system_groups
from jupyter_guardrails.control.interface.messages import Kernels, Me
from jupyter_guardrails.errors import GroupsUnknown, GuardrailsError, from_json


class Directory:
    """A directory whose answers a test sets; `gate` keeps them back."""

    def __init__(self):
        self.answer, self.asked, self.gate = ("staff",), 0, threading.Event()
        self.gate.set()

    def __call__(self, person):
        self.asked += 1
        self.gate.wait(30)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def directory():
    made = Directory()
    yield made
    made.gate.set()


@pytest.fixture
def bench(directory):
    """Groups over the directory with a clock in a list, and a loop to run them in."""
    now = [0.0]
    with asyncio.Runner() as runner:
        yield Groups(directory, clock=lambda: now[0], patience_s=30.0), now, runner.run


async def until(condition):
    """Let the loop work until something is so; pytest's own timeout ends what never is."""
    while not condition():
        await asyncio.sleep(0)


def test_the_groups_of_a_real_account():
    account = pwd.getpwuid(os.getuid())
    told = subprocess.run(["id", "-Gn", account.pw_name], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(system_groups(account.pw_name)) == sorted(told)
    assert system_groups(account.pw_name)[0] == grp.getgrgid(account.pw_gid).gr_name


def test_nobody_is_no_account():
    with pytest.raises(KeyError):
        system_groups("no-such-account-here")


def test_people_are_asked_for_once_until_it_is_time_again(bench, directory):
    groups, now, run = bench
    for _ in range(3):
        run(groups.refresh("ana"))
    assert (groups.of("ana"), directory.asked) == (("staff",), 1)
    directory.answer, now[0] = ("staff", "interns"), FRESH_S + 1

    async def later():
        await groups.refresh("ana")
        await until(lambda: groups.of("ana") == ("staff", "interns"))

    run(later())
    assert directory.asked == 2


def test_known_groups_stay_while_the_directory_is_away(bench, directory):
    groups, now, run = bench
    run(groups.refresh("ana"))
    directory.answer, now[0] = OSError("the directory is away"), FRESH_S + 1

    async def asked_again(count):
        await groups.refresh("ana")
        await until(lambda: directory.asked == count and not groups._asking)

    run(asked_again(2))
    assert groups.of("ana") == ("staff",)
    directory.answer, now[0] = ("interns",), now[0] + RETRY_S + 1
    run(asked_again(3))
    assert groups.of("ana") == ("interns",)


def test_nobody_waits_for_news_of_what_is_known(bench, directory):
    groups, now, run = bench
    run(groups.refresh("ana"))
    directory.gate.clear()
    now[0] = FRESH_S + 1
    run(groups.refresh("ana"))
    run(groups.refresh("ana"))
    assert groups.of("ana") == ("staff",)
    run(until(lambda: directory.asked == 2))  # one question, not one a request


def test_somebody_of_whom_nothing_is_known_is_refused(bench, directory):
    _, _, run = bench
    groups = Groups(directory, clock=lambda: 0.0, patience_s=0.05)
    directory.gate.clear()
    run(groups.refresh("ana"))
    with pytest.raises(GroupsUnknown) as caught:
        groups.of("ana")
    assert "id ana" in caught.value.next_step
    directory.gate.set()
    run(until(lambda: not groups._asking))
    assert groups.of("ana") == ("staff",)


def test_an_account_that_is_none_is_refused_as_well(bench, directory):
    groups, _, run = bench
    directory.answer = KeyError("ana")
    run(groups.refresh("ana"))
    with pytest.raises(GroupsUnknown):
        groups.of("ana")


def test_the_demo_s_people_have_the_groups_of_the_file_only():
    groups = Groups()
    asyncio.run(groups.refresh("root"))
    assert groups.of("root") == ()


POLICY = """apiVersion: guardrails/v1
groups: {from-file: [ana]}
rules:
- {name: staff-may-more, for: {groups: [staff]}, kernels: {max: 7}}
- {name: interns-less, for: {groups: [interns]}, kernels: {max: 1}}
- {name: in-the-file, for: {groups: [from-file]}, workspace: {size: 3GiB}}
"""


def test_control_uses_both_sources_and_follows_changes(desk, directory):
    desk.world.policy.write_text(POLICY)
    now = [0.0]
    desk.state.groups = Groups(directory, clock=lambda: now[0])
    values = {limit["key"]: limit["value"] for limit in desk.ask(Me())["limits"]}
    assert (values["kernels.max"], values["workspace.size"]) == ("7", "3 GiB")
    directory.answer, now[0] = ("interns",), FRESH_S + 1
    desk.ask(Me())
    desk.run(until(lambda: not desk.state.groups._asking))
    assert desk.ask(Kernels())["max"] == 1


def test_control_refuses_while_nothing_is_known_and_says_so(desk, directory):
    desk.world.policy.write_text(POLICY)
    directory.answer = OSError("the directory is away")
    desk.state.groups = Groups(directory)
    with pytest.raises(GuardrailsError, match="does not tell the groups of ana") as caught:
        desk.admit()
    again = from_json(caught.value.to_json())  # as it arrives on the other side of control's socket
    assert (type(again), again.status) == (GroupsUnknown, 503)
    answer = desk.ask(Me())
    assert "does not tell the groups of ana" in answer["policy"]["errors"][0]
    assert (answer["limits"], answer["roles"]) == ([], [])
    directory.answer = ("staff",)
    assert desk.admit().profile == "standard"
