"""From layers to sentences: nothing is called held that isn't."""

from __future__ import annotations

import pytest

from jupyter_guardrails.errors import HostCannotEnforce
from jupyter_guardrails.sandbox.guarantees import check_required, judge, nothing_holds
from jupyter_guardrails.sandbox.spec import GUARANTEES, Limits, Report, SandboxSpec

SPEC = SandboxSpec(("true",), {}, "/", limits=Limits(memory_bytes=1 << 30, tasks=10))
FULL = {
    "uid": 1000,
    "user_namespace": "",
    "network_namespace": "",
    "ipc_namespace": "",
    "process_count": "",
    "seccomp": "",
    "landlock": {"abi": 7, "reason": "", "scopes": 3, "tcp": False},
    "data_limit": "",
}
OLD = {"abi": 5, "reason": "", "scopes": 0, "tcp": False}
NONE = {"abi": 0, "reason": "ENOSYS"}


def held(layers: dict[str, object], spec: SandboxSpec = SPEC) -> set[str]:
    return {g.name for g in judge(layers, spec) if g.held}


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({}, set()),
        ({"landlock": NONE}, {"files", "processes"}),
        ({"landlock": OLD}, {"processes"}),
        ({"landlock": OLD | {"abi": 2}}, {"files", "processes"}),
        ({"seccomp": "EINVAL"}, {"network", "processes", "memory"}),
        ({"process_count": "no user namespace"}, {"processes"}),
        ({"data_limit": "EPERM"}, {"memory"}),
        ({"network_namespace": "EPERM"}, set()),  # every internet socket is refused instead
    ],
)
def test_what_a_missing_layer_costs(change, lost):
    assert held(FULL) == {"files", "network", "processes", "memory"}
    assert held(FULL | change) == held(FULL) - lost
    for guarantee in judge(FULL | change, SPEC):
        assert guarantee.how
        assert guarantee.held or guarantee.next_step


def test_what_was_not_asked_for_is_not_held():
    assert "memory" not in held(FULL, SandboxSpec(("true",), {}, "/"))
    assert "network" not in held(FULL, SandboxSpec(("true",), {}, "/", network="host"))
    assert "processes" in held(FULL | {"process_count": "not asked for"}, SandboxSpec(("true",), {}, "/"))


def test_the_order_and_names_are_the_published_ones():
    assert tuple(g.name for g in judge(FULL, SPEC)) == GUARANTEES == tuple(g.name for g in nothing_holds("broken"))


def test_a_refusal_names_all_that_lacks_and_each_setting():
    verdicts = judge(FULL | {"landlock": NONE}, SPEC)
    check_required(verdicts, ("network", "memory"))
    with pytest.raises(HostCannotEnforce) as refusal:
        check_required(verdicts, ("files", "sockets", "network"))
    assert "files (Landlock is not available" in refusal.value.message
    assert "sockets" in refusal.value.message
    assert "network" not in refusal.value.message
    assert "lsm=" in refusal.value.next_step
    assert refusal.value.exit_code == 3


def test_a_report_lists_what_holds():
    report = Report(1, judge(FULL, SPEC), FULL)
    assert report.held() == ("files", "network", "processes", "memory")
    assert report.to_json()["guarantees"][0]["name"] == "files"
