"""Each line of Python about promotion in docs/scientists.md runs, over a real channel, as in a kernel."""

from pathlib import Path

import pytest
from channel_world import Served
from data_world import DataWorld, Loop
from test_control_scientists_guide import said_by

from jupyter_guardrails.control.interface.messages import RequestsList
from jupyter_guardrails.control.requests import newest

GUIDE = Path(__file__).parents[2] / "docs" / "scientists.md"
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
rules: [{name: everyone, for: everyone, data: {read: ["nyc/*"]}}]
promotion: {packages: {allow: [pandas], deny: [leftpad]}}
"""


def blocks():
    """The Python of the section on promotion, block by block."""
    section = GUIDE.read_text().partition("## Into production\n")[2].partition("\n## ")[0]
    return [part.partition("```")[0] for part in section.split("```python\n")[1:]]


@pytest.fixture
def loop():
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def served(tmp_path, loop, request):
    world = DataWorld(tmp_path, POLICY)
    yield Served(world, loop, **getattr(request, "param", {})), world
    world.close()


def test_asking_for_a_package_in_a_notebook_leaves_a_request(served, loop, tmp_path):
    channel, world = served
    (block,) = blocks()
    said_by(channel, tmp_path / "work", block)
    (asked,) = loop.run(newest(world.state("ana"), RequestsList(), []))["requests"]
    assert (asked["package"], asked["person"], asked["days"], asked["state"]) == ("polars", "ana", 90, "open")
    assert asked["purpose"] == "frames that fit into memory"


def test_what_is_denied_by_name_is_refused_in_the_notebook(served, tmp_path):
    program = "try:\n    guarded.request_package('leftpad', purpose='to pad')\nexcept PermissionError as error:\n    print(error)"
    refused = said_by(served[0], tmp_path / "work", program)
    assert "the package leftpad is denied (leftpad)" in refused
    assert "guardrails.yaml:4 promotion.packages.deny" in refused


@pytest.mark.parametrize("served", [{"kind": "clean_run"}], indirect=True)
def test_a_clean_run_asks_for_nothing(served, loop):
    error = served[0].connect().result("requests.package", package="polars", purpose="frames")
    assert (error["code"], "a clean run asks for nothing" in error["message"]) == ("refused", True)
    assert loop.run(newest(served[1].state("ana"), RequestsList(), [])) == {"requests": []}
