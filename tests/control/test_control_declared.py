"""What a job may read on its channel: what it declares, never looser than its clean run did; and how a row filter is named without being told."""

import asyncio
import dataclasses
import os

import pytest
from channel_world import Served
from data_world import DataWorld, Loop

from jupyter_guardrails.catalog.access import access_to
from jupyter_guardrails.catalog.delivery import Bounds
from jupyter_guardrails.control import admission, channel_operations, declared, reads
from jupyter_guardrails.control.channel_operations import Name
from jupyter_guardrails.control.interface.jobs import DeclaredInput
from jupyter_guardrails.control.interface.messages import KernelAdmit
from jupyter_guardrails.errors import BadRequest, NotFound, Refused

COLUMNS = [{"name": "origin", "logicalType": "string", "classification": "pii"}, {"name": "delay", "logicalType": "integer"}]


@pytest.fixture
def world(tmp_path):
    os.chmod(tmp_path, 0o700)
    world = DataWorld(tmp_path)
    world.dataset("nyc/flights")
    world.dataset("nyc/people", schema=[{"name": "people", "properties": COLUMNS}], own={"rowFilter": "origin = 'JFK'"})
    world.dataset("nyc/bound", own={"purposes": ["churn"]})
    world.dataset("hr/headcount", "confidential")
    yield world
    world.close()


def of(world, *names, person="ana"):
    return asyncio.run(declared.of_clean_run(world.state(person), names))


def job(world, entries, kind="clean_run"):
    live = world.kernel(kind=kind)
    return dataclasses.replace(live, admission=live.admission.model_copy(update={"declared": entries}))


def read(world, live, name, purpose=""):
    return asyncio.run(reads.read_of(world.state(), live, name, purpose=purpose))


def test_it_is_bound_as_its_author_reads_it(world):
    flights, people = of(world, "nyc/flights", "nyc/people", "nyc/flights")
    assert flights == DeclaredInput(name="nyc/flights", version="1.2.0")
    assert people.masks == {"origin": "hash"}
    assert len(people.rows) == 32
    assert "JFK" not in str(people)
    assert of(world, "nyc/people") == [people]


@pytest.mark.parametrize(("name", "kind"), [("hr/headcount", Refused), ("hr/nothing", NotFound)])
def test_what_its_author_may_not_read_is_not_declared(world, name, kind):
    with pytest.raises(kind):
        of(world, name)


@pytest.mark.parametrize("kind", ["clean_run", "exec"])
def test_it_reads_what_it_declares_and_nothing_else(world, kind):
    live = job(world, of(world, "nyc/people"), kind)
    _, access = read(world, live, "nyc/people")
    assert access.bounds.masks == {"origin": "hash"}
    with pytest.raises(Refused, match="nyc/flights is not among the datasets that this job declares"):
        read(world, live, "nyc/flights")
    assert [(row["resource"], row["allowed"]) for row in world.audited("data.read")] == [("nyc/people", True), ("nyc/flights", False)]


def test_a_kernel_that_is_no_job_reads_whatever_its_person_may(world):
    assert read(world, world.kernel(), "nyc/flights")[1].granted


def test_a_purpose_is_named_in_a_job_as_anywhere(world):
    live = job(world, of(world, "nyc/bound"))
    assert read(world, live, "nyc/bound", "churn")[1].granted
    with pytest.raises(Refused, match="for churn only"):
        read(world, live, "nyc/bound")


def test_masks_that_are_lifted_meanwhile_refuse_the_read(world):
    live = job(world, of(world, "nyc/people"))
    world.policy_file.write_text(world.policy_file.read_text().replace("    mask: {pii: hash}\n", ""))
    world.state().policies.refresh()
    with pytest.raises(Refused, match=r"less so now: origin \(hash, now none\)"):
        read(world, live, "nyc/people")


def test_a_contract_that_changes_in_a_clean_run_refuses_it_and_a_later_job_goes_on(world):
    entries = of(world, "nyc/flights")
    world.dataset("nyc/flights", version="1.3.0")
    with pytest.raises(Refused, match=r"was 1\.2\.0 when this clean run began, and is 1\.3\.0 now"):
        read(world, job(world, entries), "nyc/flights")
    assert read(world, job(world, entries, "exec"), "nyc/flights")[1].granted


@pytest.mark.parametrize(
    ("seen", "now", "words"),
    [
        ({}, {"a": "hash"}, ""),
        ({"a": "hash"}, {"a": "hash"}, ""),
        ({"a": "hash"}, {"a": "blank", "b": "hash"}, ""),
        ({"a": "hash"}, {"a": "partial"}, "a (hash, now partial)"),
        ({"a": "blank"}, {"b": "blank"}, "a (blank, now none)"),
    ],
)
def test_equal_or_stricter(seen, now, words):
    said = declared.looser(DeclaredInput(name="x/y", masks=seen), DeclaredInput(name="x/y", masks=now))
    assert (words in said) if words else said == ""


@pytest.mark.parametrize(("seen", "now", "same"), [("", "", True), ("", "1f", True), ("1f", "1f", True), ("1f", "", False), ("1f", "2e", False)])
def test_rows_are_the_same_or_were_all(seen, now, same):
    assert (declared.looser(DeclaredInput(name="x/y", rows=seen), DeclaredInput(name="x/y", rows=now)) == "") is same


def test_rows_that_a_products_inputs_keep_are_its_own_too(world):
    people = access_to(world.state().catalogs.current.contracts["nyc/people"], world.state().effective(), world.state().clock()).bounds
    digests = {
        declared.rows_digest(world.state(), bounds)
        for bounds in (people, Bounds(inputs=(people, Bounds())), Bounds(inputs=(Bounds(), people)), Bounds(inputs=(people,), keep=people.keep))
    }
    assert len(digests) == 4
    assert "" not in digests
    assert declared.rows_digest(world.state(), Bounds(inputs=(Bounds(), Bounds()))) == ""


def admit(kind, inputs):
    return KernelAdmit(kernel_id="k", kernelspec="job", workspace="/w", key="k", kind=kind, inputs=inputs)


def test_a_job_is_admitted_to_what_it_declares(world):
    inputs = [DeclaredInput(name="nyc/flights")]
    assert asyncio.run(admission._inputs(world.state(), admit("exec", inputs))) == inputs
    with pytest.raises(BadRequest, match="a kernel declares no inputs"):
        asyncio.run(admission._inputs(world.state(), admit("kernel", inputs)))
    with pytest.raises(Refused, match="would be less so now"):
        asyncio.run(admission._inputs(world.state(), admit("exec", [DeclaredInput(name="nyc/flights", masks={"delay": "blank"})])))


def test_a_mask_that_there_is_not_is_a_mistake_and_no_failure():
    with pytest.raises(ValueError, match="partial"):
        DeclaredInput(name="nyc/flights", masks={"delay": "rot13"})


def test_the_path_of_what_is_masked_is_no_path_in_a_clean_run_either(world):
    said = asyncio.run(channel_operations.path(world.state(), job(world, of(world, "nyc/people")), Name(name="nyc/people"))).result
    assert (said["readable"], said["path"]) == (False, "dataset://nyc/people")


@pytest.fixture
def loop():
    loop = Loop()
    yield loop
    loop.close()


def test_a_clean_run_reads_only_what_its_job_declares(world, loop):
    served = Served(world, loop, kind="clean_run", datasets={"nyc/flights": str(world.data / "nyc/flights.parquet")})
    inputs = [DeclaredInput(name="nyc/flights", version="1.2.0")]
    served.live.admission = served.live.admission.model_copy(update={"declared": inputs})
    kernel = served.connect()
    assert kernel.result("datasets.path", name="nyc/flights")["readable"]
    world.dataset("nyc/planes")
    error = kernel.result("datasets.path", name="nyc/planes")
    assert "not among the datasets" in error["message"]
    assert [record["allowed"] for record in world.audited("data.read")] == [True, False]
