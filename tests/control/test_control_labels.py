"""Labels that data leaves on workspaces: by what they come, who carries them on, and that nothing but a fresh folder is free of them."""

import asyncio
import dataclasses
import os
from datetime import timedelta

import pytest
from data_world import POLICY, DataWorld

from jupyter_guardrails.control import channel_operations, labels
from jupyter_guardrails.control.channel_operations import Arguments, Name, Open
from jupyter_guardrails.errors import Refused
from jupyter_guardrails.records import exemptions, marks, requests

SHARED = POLICY.replace("groups:", 'paths: {write: ["/scratch/{user}"], read: [/pool]}\ngroups:', 1)


@pytest.fixture
def world(tmp_path):
    world = DataWorld(tmp_path)
    world.dataset("nyc/flights", "public")
    world.dataset("hr/headcount", "confidential")
    yield world
    world.close()


def kernel(world, workspace="/w/ana", person="ana", **admission):
    live = world.kernel(person)
    return dataclasses.replace(live, workspace=workspace, admission=live.admission.model_copy(update=admission))


def ask(world, live, operation, arguments):
    return asyncio.run(operation(world.state(live.admission.principal), live, arguments)).result


def label(world, live):
    return ask(world, live, channel_operations.carried, Arguments())


def read(world, live, name="hr/headcount"):
    return ask(world, live, channel_operations.path, Name(name=name))


def grant(world, person="ana", days=5):
    world.records.write_sync(requests.create, now=world.now, id=f"r-{person}", principal=person, dataset="hr/headcount", purpose="a study", days=days)
    world.records.write_sync(requests.decide, f"r-{person}", "granted", now=world.now, actor="dana", reason="fine")


def test_a_fresh_workspace_has_none(world):
    found = label(world, kernel(world))
    assert (found["classification"], found["inputs"]) == ("", [])
    assert found["text"].startswith("none")


def test_a_read_marks_the_workspace_with_version_and_end(world):
    grant(world)
    read(world, kernel(world))
    found = label(world, kernel(world))
    assert found["classification"] == "confidential"
    assert found["inputs"] == [{"name": "hr/headcount", "version": "1.2.0", "classification": "confidential"}]
    assert found["expires_at"].startswith(f"{world.now + timedelta(days=5):%Y-%m-%dT%H:%M}")


def test_a_descriptor_marks_like_a_path(world):
    grant(world)
    answer = asyncio.run(channel_operations.open_file(world.state(), kernel(world), Open(name="hr/headcount")))
    assert label(world, kernel(world))["classification"] == "confidential"
    for fd in answer.fds:
        os.close(fd)


def test_what_is_refused_leaves_no_mark(world):
    with pytest.raises(Refused):
        read(world, kernel(world))
    assert label(world, kernel(world))["inputs"] == []


def test_the_policys_own_data_has_no_end(world):
    read(world, kernel(world), "nyc/flights")
    assert (label(world, kernel(world))["classification"], label(world, kernel(world))["expires_at"]) == ("public", None)


@pytest.mark.parametrize("workspace", ["/w/ana", "/w/ana/deep/folder", "/w", "/w/ana/../ana"])
def test_a_second_kernel_or_terminal_in_the_folder_or_around_it_carries_it_too(world, workspace):
    grant(world)
    read(world, kernel(world))
    assert label(world, kernel(world, workspace))["classification"] == "confidential"


@pytest.mark.parametrize("workspace", ["/w/ana2", "/elsewhere"])
def test_another_workspace_does_not(world, workspace):
    grant(world)
    read(world, kernel(world))
    assert label(world, kernel(world, workspace))["inputs"] == []


def test_a_link_to_the_folder_is_that_folder(world):
    grant(world)
    (world.root / "real").mkdir()
    (world.root / "alias").symlink_to(world.root / "real")
    read(world, kernel(world, str(world.root / "alias")))
    assert label(world, kernel(world, str(world.root / "real")))["classification"] == "confidential"


def test_a_folder_that_all_kernels_write_carries_it_into_every_workspace(world):
    grant(world)
    read(world, kernel(world, "/w/ana", write_paths=["/scratch/ana"]))
    assert label(world, kernel(world, "/w/fresh", write_paths=["/scratch/ana"]))["classification"] == "confidential"
    assert label(world, kernel(world, "/w/fresh", read_paths=["/scratch"]))["classification"] == "confidential"
    assert label(world, kernel(world, "/w/fresh"))["inputs"] == []


def test_another_persons_kernel_in_a_shared_folder_carries_it_without_its_name(world):
    grant(world)
    read(world, kernel(world, "/w/shared"))
    found = label(world, kernel(world, "/w/shared", person="erin"))
    assert found["classification"] == "confidential"
    assert [item["name"] for item in found["inputs"]] == [labels.UNKNOWN]
    assert "hr/headcount" not in str(found)
    assert label(world, kernel(world, "/w/erin", person="erin"))["inputs"] == []


def test_a_contract_that_is_lowered_later_lowers_nothing_that_was_read_before(world):
    grant(world)
    read(world, kernel(world))
    world.dataset("hr/headcount", "public", path=world.data / "hr/headcount.parquet")
    read(world, kernel(world))
    assert label(world, kernel(world))["classification"] == "confidential"


def test_what_break_glass_opens_ends_with_it(world):
    end = world.now + timedelta(hours=1)
    wanted = exemptions.Exemption("b1", "dataset", "ana", "hr/headcount", True, "an incident", "carol", "", world.now, end)
    world.records.write_sync(exemptions.record, wanted, world.state("carol").audit_fields("break_glass.begin", "hr/headcount"))
    world.records.write_sync(exemptions.begin, "b1")
    read(world, kernel(world))
    (row,) = world.records.read_sync(marks.of_person, "ana")
    assert row["expires_at"] == end


def test_a_submission_shows_what_its_workspace_carries(world):
    grant(world)
    read(world, kernel(world))
    found = asyncio.run(labels.of_job(world.state(), "/w/ana/jobs", []))
    assert [item.name for item in found.inputs] == ["hr/headcount"]
    assert asyncio.run(labels.of_job(world.state(), "/w/other", [])).empty
    declared = asyncio.run(labels.of_job(world.state(), "/w/other", ["nyc/flights", "no/such"]))
    assert [item.name for item in declared.inputs] == ["nyc/flights"]


def test_the_policys_shared_folders_count_for_submissions(tmp_path):
    world = DataWorld(tmp_path, SHARED)
    world.dataset("hr/headcount", "confidential")
    grant(world)
    read(world, kernel(world, "/w/ana", write_paths=["/scratch/ana"]))
    assert not asyncio.run(labels.of_job(world.state(), "/w/fresh", [])).empty
    world.close()
