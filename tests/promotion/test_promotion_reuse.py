"""A clean run whose code, environment, files and data are those of an earlier one is not run again, and says so; anything else is."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell
from promotion_world import World, check_of
from work_bench import bench

from jupyter_guardrails.control.interface.work import WorkerEarlier
from jupyter_guardrails.errors import Refused
from jupyter_guardrails.package.job import Input
from jupyter_guardrails.promotion import reuse
from jupyter_guardrails.promotion.interpreter import Interpreter

pytestmark = pytest.mark.slow
CELLS = (
    "n = 1",
    "import guarded, mine\nprint(len(open(guarded.path('nyc/flights')).read()), mine.WORD)",
    "import uuid\nprint(uuid.uuid4())\nopen('result.txt', 'w').write(str(n));",
)


def write(world: World, *cells: str, remark: str = "") -> None:
    """The notebook, with a text cell before its code where there is a remark."""
    path = world.notebook(*cells, name="long.ipynb", c0=["parameters"])
    if remark:
        node = nbformat.read(path, as_version=4)
        node.cells.insert(0, new_markdown_cell(remark, id="remark"))
        nbformat.write(node, path)


def evidence(world: World, submission: dict, tmp_path: Path) -> dict[str, dict]:
    with zipfile.ZipFile(world.package(submission["id"], tmp_path / f"{submission['id']}.zip")) as package:
        return {name: json.loads(package.read(f"evidence/{name}")) for name in ("checks.json", "inputs.json", "executed.ipynb")}


def was_run(submission: dict) -> bool:
    check = check_of(submission, "clean_run")
    assert check["state"] in ("passed", "warned"), submission
    return "not run again" not in check["detail"]


def test_a_change_of_text_is_not_run_again_and_a_change_of_anything_else_is(world: World, tmp_path: Path) -> None:
    data = world.dataset("nyc/flights")
    (world.workspace / "mine.py").write_text("WORD = 'a'\n")
    write(world, *CELLS)
    sample = check_of(world.submit("long.ipynb", draft=True, sample_s=600), "clean_run")
    assert (sample["state"], "in which all of it ran" in sample["detail"]) == ("warned", True), sample  # not what its author saw
    first = world.submit("long.ipynb", draft=True)  # what a sample gave is no evidence
    assert was_run(first)
    write(world, *CELLS, remark="# What it is for")
    second = world.submit("long.ipynb")
    assert not was_run(second)
    assert f"{first['name']}-{first['version']} of " in check_of(second, "clean_run")["detail"]
    found = evidence(world, second, tmp_path)
    drawn = found["executed.ipynb"]["cells"][3]["outputs"][0]["text"]
    assert found["inputs.json"]["datasets"] == [{"name": "nyc/flights", "cell": 2}]  # cells counted as they are now
    assert found["inputs.json"]["written"] == [{"name": "result.txt", "cell": 3}]
    third = world.submit("long.ipynb")
    assert not was_run(third)
    assert evidence(world, third, tmp_path) == found, "the same once more: the same evidence, file by file"
    (world.workspace / "mine.py").write_text("WORD = 'b'\n")
    fourth = world.submit("long.ipynb")
    assert was_run(fourth)
    assert evidence(world, fourth, tmp_path)["executed.ipynb"]["cells"][2]["outputs"][0]["text"] != drawn
    status = data.stat()
    data.write_text(data.read_text().replace("1", "2"))
    os.utime(data, ns=(status.st_atime_ns, status.st_mtime_ns))  # nobody is fooled by that
    assert was_run(world.submit("long.ipynb", draft=True))
    assert not was_run(world.submit("long.ipynb", draft=True))
    assert was_run(world.submit("long.ipynb", draft=True, parameters={"n": 2}))


def key_of(root: Path, cells: tuple[str, ...] = CELLS, **changes: object) -> str | None:
    """Of a bench's work, with an interpreter and locks as its environment's check leaves them."""
    root.mkdir()
    work = bench(root, list(cells), **{name: value for name, value in changes.items() if name not in ("lock", "base", "inputs")})
    base = str(changes.get("base", "/usr/bin/python3"))
    work.interpreter = Interpreter(base, base, "3.11.2", "CPython", "Linux", "x86_64", False, ())
    work.locks = {"kernel": str(changes.get("lock", "lock")), "runner": ""}
    work.inputs = list(changes.get("inputs", []))  # type: ignore[call-overload]
    return reuse.key_of(work)


def test_what_the_key_names(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a")
    seen = Input(name="a/b", version="1", path=str(tmp_path / "data.csv"))
    same = key_of(tmp_path / "0")
    assert same == key_of(tmp_path / "1")
    others = [
        key_of(tmp_path / "2", (*CELLS, "1")),
        key_of(tmp_path / "3", parameters={"n": 1}),
        key_of(tmp_path / "4", lock="other"),
        key_of(tmp_path / "5", base="/opt/python"),
        key_of(tmp_path / "6", policy_digest="1"),
        key_of(tmp_path / "7", profile="large"),
        key_of(tmp_path / "8", inputs=[seen]),
        key_of(tmp_path / "9", inputs=[seen.model_copy(update={"version": "2"})]),
    ]
    assert len({same, *others}) == len(others) + 1
    assert None not in others


def test_data_whose_state_can_not_be_seen_is_read_again(tmp_path: Path) -> None:
    assert key_of(tmp_path / "0", inputs=[Input(name="a/b", path=None)]) is None
    assert key_of(tmp_path / "1", inputs=[Input(name="a/b", path=str(tmp_path / "gone"))]) is None


def test_only_a_worker_is_given_what_was_kept(world: World) -> None:
    with pytest.raises(Refused):
        world.client.call(WorkerEarlier(submission="s", key="0" * 64))
