"""A submission whose checks warned goes to no reviewer without a word of its author, whatever its worker says."""

import asyncio
import json
import shutil
from dataclasses import replace

import pytest
from decision_world import POLICY, DecisionWorld

from jupyter_guardrails.control import submissions as control
from jupyter_guardrails.control import workers
from jupyter_guardrails.control.interface.messages import WorkerFinish
from jupyter_guardrails.records import submissions


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, POLICY)
    world.service = False
    world.state()
    yield world
    world.close()


def told_built(world, *, reason="", draft=False, check="warned"):
    """What control answers to a worker that says that all is built."""
    said = {"notebook": "report.ipynb", "name": "report", "frozen": "", "notebook_digest": "d", "parameters": {}, "reason": reason}
    write, state = world.records.write_sync, replace(world.state(), worker="s1")
    row = write(submissions.create, now=world.now, id="s1", key="s1", draft=draft, principal="ana", uid=world.uid("ana"), **said)
    write(submissions.transition, "s1", "checking", now=world.now, actor="ana")
    write(submissions.set_check, "s1", "order", title="Order", state=check, detail="", findings=[], progress=None, seconds=0.1, now=world.now)
    folder = workers.folder_of(state, "s1")
    folder.mkdir(parents=True)
    (folder / "asked.json").write_text(json.dumps({"workspace": str(world.root)}))
    world.package(row, policy_digest=state.effective("ana").digest)
    shutil.copytree(world.root / "built" / "s1", folder / "package")
    return asyncio.run(control.finish(state, WorkerFinish(submission="s1", state="built", folder=str(folder / "package")), []))


@pytest.mark.parametrize("reason", ["", " \n"])
def test_warnings_without_a_reason_are_not_submitted(world, reason):
    found = told_built(world, reason=reason)
    assert (found["state"], found["package"]) == ("checks_failed", "")
    assert found["error"] == "there are warnings, and no reason to go on: Order"
    assert found["label"] == "its warnings need a reason"
    assert "--reason" in found["next_step"]


@pytest.mark.parametrize(("said", "state"), [({"reason": "known"}, "in_review"), ({"check": "passed"}, "in_review"), ({"draft": True}, "draft")])
def test_with_a_reason_without_warnings_or_as_a_draft_it_goes_on(world, said, state):
    found = told_built(world, **said)
    assert (found["state"], found["error"], found["reason"]) == (state, "", said.get("reason", ""))
