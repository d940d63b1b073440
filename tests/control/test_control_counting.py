"""Which bytes count by a contract: said in it, looked at before a job reads them, held to by its package, and told when others count."""

import asyncio
import hashlib

import pytest
from data_world import DataWorld

from jupyter_guardrails.catalog.model import Column, Contract
from jupyter_guardrails.cli import data as data_command
from jupyter_guardrails.control import contract_drift, counting, datasets, declared
from jupyter_guardrails.control.interface.messages import DatasetShow
from jupyter_guardrails.errors import Conflict, NotFound, Refused
from jupyter_guardrails.package.job import Input, Job
from jupyter_guardrails.promotion import inputs
from jupyter_guardrails.promotion.payload import run as payload

OTHER = "ab" * 32


@pytest.fixture
def world(tmp_path):
    world = DataWorld(tmp_path)
    world.parquet("nyc/planes.parquet")
    yield world
    world.close()


def pinned(world, sha256=None, **more):
    """The contract of planes with the digest of the file that is there, or this one."""
    path = world.data / "nyc/planes.parquet"
    now = hashlib.sha256(path.read_bytes()).hexdigest()
    world.dataset("nyc/planes", path=path, own={"sha256": sha256 or now} | more)
    asyncio.run(world.state().refresh())
    return now


def declare(world):
    return asyncio.run(declared.of_clean_run(world.state(), ["nyc/planes"]))


def test_a_job_reads_the_file_that_counts_and_no_other(world):
    now = pinned(world)
    (entry,) = declare(world)
    assert (entry.name, entry.counts) == ("nyc/planes", now)
    asyncio.run(declared.check_job(world.state(), [entry]))
    world.parquet("nyc/planes.parquet", rows=30)
    for attempt in (lambda: declare(world), lambda: asyncio.run(declared.check_job(world.state(), [entry]))):
        with pytest.raises(Refused, match="the file of nyc/planes is not the one that its contract says counts") as refused:
            attempt()
        assert "dana" in refused.value.next_step
        assert refused.value.rule.endswith("nyc-planes.odcs.yaml: guardrails.sha256 of its contract")
    world.parquet("nyc/planes.parquet")
    assert declare(world) == [entry], "the same bytes again"


def test_a_masked_copy_and_a_product_are_held_to_the_file_behind_them(world):
    pinned(world, sha256=OTHER, rowFilter="origin = 'JFK'")
    with pytest.raises(Refused, match="abababababab… counts"):
        declare(world)
    contract = world.state().catalogs.current.contracts["nyc/planes"]
    with pytest.raises(Refused, match="abababababab… counts"):
        counting.check(Contract("mart/all", "f", made_from=(contract,)))
    counting.check(Contract("mart/all", "f"))


def test_a_job_whose_contract_names_another_file_since_is_refused(world):
    pinned(world)
    (entry,) = declare(world)
    world.parquet("nyc/planes.parquet", rows=30)
    pinned(world)
    with pytest.raises(Refused, match="other bytes of nyc/planes count by its contract now"):
        asyncio.run(declared.check_job(world.state(), [entry]))
    assert declare(world) != [entry], "a new submission is taken"
    asyncio.run(declared.check_job(world.state(), [entry.model_copy(update={"counts": ""})]))  # whoever was held to nothing still is


def test_a_digest_is_known_until_the_file_changes(world, monkeypatch):
    now = pinned(world)
    contract = world.state().catalogs.current.contracts["nyc/planes"]
    assert counting.digest(contract) == now
    with monkeypatch.context() as patch:
        patch.setattr(counting.hashlib, "file_digest", None)  # it is not read again
        assert counting.digest(contract) == now
    world.parquet("nyc/planes.parquet", rows=30)
    assert counting.digest(contract) == hashlib.sha256((world.data / "nyc/planes.parquet").read_bytes()).hexdigest() != now
    monkeypatch.setattr(counting, "MOST_BYTES", 10)
    with pytest.raises(Conflict, match=r"take guardrails\.sha256 out"):
        counting.check(contract)
    (world.data / "nyc/planes.parquet").unlink()
    with pytest.raises((Conflict, NotFound)):
        counting.check(contract)


@pytest.mark.parametrize(
    ("value", "form", "words"),
    [
        ("abc", "parquet", "64 hexadecimal digits"),
        (7, "parquet", "64 hexadecimal digits"),
        (OTHER.upper(), "parquet", "64 hexadecimal digits"),
        (OTHER, "directory", "for one file of this machine alone"),
    ],
)
def test_what_can_not_be_held_to_is_a_mistake_of_the_contract(world, value, form, words):
    place = world.data / "nyc" if form == "directory" else world.data / "nyc/planes.parquet"
    world.dataset("nyc/planes", path=place, form=form, own={"sha256": value})
    asyncio.run(world.state().refresh())
    (broken,) = world.state().catalogs.current.broken
    assert any(words in problem.message for problem in broken.problems)


def test_whoever_looks_at_the_dataset_reads_it(world):
    now = pinned(world)
    found = asyncio.run(datasets.show(world.state(), DatasetShow(name="nyc/planes"), []))
    assert found["sha256"] == now
    assert f"jobs read only the file with sha256 {now}" in data_command.described(found, 120)
    assert "jobs read only" not in data_command.described(found | {"sha256": ""}, 120)


def test_a_run_elsewhere_is_held_to_the_bytes_of_the_clean_run(tmp_path, capsys):
    (tmp_path / "then.csv").write_text("a\n1\n")
    (tmp_path / "now.csv").write_text("a\n2\n")
    digest = hashlib.sha256(b"a\n1\n").hexdigest()
    wanted = {"name": "nyc/planes", "version": "1", "sha256": digest, "size_bytes": 4, "counts": digest}
    (said,) = payload.inputs({"inputs": [wanted]}, {"nyc/planes": str(tmp_path / "then.csv")}, [])
    assert said["same_file"] is True
    assert payload.inputs({"inputs": [wanted]}, {"nyc/planes": None}, [])[0]["same_file"] is None, "control looked before the run"
    with pytest.raises(SystemExit) as ended:
        payload.inputs({"inputs": [wanted]}, {"nyc/planes": str(tmp_path / "now.csv")}, [])
    assert (ended.value.code, "dataset nyc/planes is pinned" in capsys.readouterr().err) == (2, True)


def test_a_clean_run_that_read_other_bytes_than_count_is_known(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    digest = hashlib.sha256(b"a\n1\n").hexdigest()
    found = [Input(name="x/a", path=str(tmp_path / "a.csv"), counts=digest), Input(name="x/b", counts=digest), Input(name="x/c", path="/nowhere")]
    assert inputs.pin(found, inputs.stamps(found)) == []
    assert inputs.lost(found, []) == []
    assert inputs.lost(found, ["x/c"]) == ["x/c"]
    assert inputs.lost([found[0].model_copy(update={"counts": OTHER})], []) == ["x/a"]
    assert inputs.lost([found[0].model_copy(update={"sha256": ""})], []) == ["x/a"]


def job(**said):
    python = {"version": "3.11", "implementation": "cpython", "system": "linux", "machine": "x86_64"}
    whole = {"name": "a", "entry": "a.ipynb", "owner": "ana", "python": python, "parameters": {"json_schema": {}}, "policy_digest": "p"}
    whole |= {"resources": {"memory_bytes": 1, "cpus": 1, "tasks": 1, "wall_s": 1}}
    return Job.model_validate(whole | {"inputs": [{"name": "x/a", "version": "1"} | said]})


def now(*columns, **said):
    return {"x/a": Contract("x/a", "f", version="1", columns=tuple(Column(*one) for one in columns), **said)}


def test_a_contract_that_promises_other_columns_or_another_file_is_told():
    promised = {"id": "integer", "fare": "number", "note": "varchar(20)", "free": ""}
    same = (("id", "integer"), ("fare", "number"), ("note", "varchar(20)"), ("free", "string"))
    assert contract_drift.changed(job(promised=promised, counts=OTHER), now(*same, sha256=OTHER)) == []
    other = (("id", "string"), ("fare", ""), ("note", "varchar(20)"), ("seat", "integer"))
    assert contract_drift.changed(job(promised=promised), now(*other)) == [
        "x/a, by its contract: column free is gone",
        "x/a, by its contract: column id was integer, and is string",
        "x/a, by its contract: column seat (integer) is new",
    ]
    assert contract_drift.changed(job(promised=promised), now()) == contract_drift.changed(job(), now(*same)) == [], "nobody promised anything"
    (told,) = contract_drift.changed(job(counts=OTHER), now(sha256="cd" * 32))
    assert told == "x/a, by its contract: the file with sha256 cdcdcdcdcdcd… counts now, and abababababab… did in its clean run"
    assert "any file counts now" in contract_drift.changed(job(counts=OTHER), now())[0]
    many = contract_drift.changed(job(promised={f"c{n}": "string" for n in range(30)}), now(("id", "integer")))
    assert (len(many), many[-1]) == (11, "x/a, by its contract: 21 more columns are others")
