"""Would-be refusals of traced kernels: judged by the rules in force, recorded once with the mode of the kernel, bounded."""

import socket

import pytest
from pydantic import ValidationError

from jupyter_guardrails.control.interface.messages import Audit, KernelWouldRefuse, LaunchPaths, Seen
from jupyter_guardrails.control.state import Worker
from jupyter_guardrails.errors import GuardrailsError

NO_FILES = {"pid": 1, "guarantees": [{"name": "memory", "held": True, "how": "tested", "next_step": ""}], "layers": {}}


@pytest.fixture
def observing(desk):
    """A desk whose policy observes, and a kernel that was started under it."""
    change(desk, "mode: enforce", "mode: observe")
    return desk, desk.begin(report=NO_FILES)


def change(desk, old, new):
    text = desk.world.policy.read_text()
    assert old in text
    desk.world.policy.write_text(text.replace(old, new))


def report(desk, admission, *seen, lost=0):
    items = [Seen(kind=kind, what=what, stopped=bool(rest)) for kind, what, *rest in seen]
    return desk.ask(KernelWouldRefuse(lease=admission.lease, seen=items, lost=lost))["refused"]


def recorded(desk):
    records = desk.ask(Audit())["records"]
    return [(one["action"], one["resource"], one["mode"]) for one in records if not one["allowed"]]


def test_where_the_policy_enforces_nothing_is_observed(desk):
    admission = desk.admit()
    assert (admission.observed, admission.shut, admission.required) == ([], [], ["files", "network"])
    assert (desk.ask(LaunchPaths())["observed"], desk.ask(LaunchPaths())["require"]) == ([], ["files", "network"])


def test_where_it_observes_files_and_network_are_open_but_for_controls_own(observing):
    desk, admission = observing
    state = str(desk.world.settings.state_dir)
    assert admission.observed == ["files", "network"]
    assert admission.shut == ["/etc/jupyter/guardrails/credentials", state]
    assert desk.ask(LaunchPaths())["shut"] == admission.shut


def test_a_missing_guarantee_is_recorded_and_refuses_nothing(desk):
    change(desk, "require: [files, network]", "require: [files, network, processes]")
    change(desk, "mode: enforce", "mode: observe")
    desk.begin(report=NO_FILES)
    started = [one["reason"] for one in desk.ask(Audit())["records"] if one["action"] == "kernel.start"]
    assert started == ["memory held; files, network only observed; enforced, it would not start without: processes"]


def test_clean_runs_are_enforced_in_every_mode(desk):
    change(desk, "mode: enforce", "mode: observe")
    desk.state.worker_tokens["secret"] = Worker("s1", "ana")
    admission = desk.admit(kind="clean_run", submission="s1", token="secret")
    assert (admission.mode, admission.observed, admission.required) == ("observe", [], ["files", "network"])


def test_each_thing_is_recorded_once_with_rule_and_mode(observing):
    desk, admission = observing
    seen = (("read", "/data/x"), ("write", "/data/x"), ("connect", "192.0.2.7:443"))
    (read, _, connect) = report(desk, admission, *seen)
    assert (read["rule"][:15], read["mode"]) == ("built-in files:", "observe")
    assert "paths: {read: [/data/x]}" in read["next_step"]
    assert connect["reason"] == "192.0.2.7:443 is not on the approved network list"
    assert report(desk, admission, *seen) == []
    expected = [("file.read", "/data/x", "observe"), ("file.write", "/data/x", "observe"), ("network.connect", "192.0.2.7:443", "observe")]
    assert recorded(desk) == expected


def test_what_was_stopped_is_recorded_as_enforced(observing):
    desk, admission = observing
    report(desk, admission, ("read", "/state/control.token", True))
    assert recorded(desk) == [("file.read", "/state/control.token", "enforce")]


def test_the_mode_is_that_of_the_kernel_also_after_a_reload(observing):
    desk, admission = observing
    change(desk, "mode: observe", "mode: enforce")
    report(desk, admission, ("connect", "192.0.2.7:443"))
    assert recorded(desk) == [("network.connect", "192.0.2.7:443", "observe")]


def test_the_address_of_an_approved_name_is_approved_and_another_port_is_not(observing):
    desk, admission = observing
    change(desk, 'allow: ["packages.example.com:443"]', 'allow: ["localhost:443"]')
    address = socket.getaddrinfo("localhost", 443, type=socket.SOCK_STREAM)[0][4][0]
    place = f"[{address}]" if ":" in address else address
    assert report(desk, admission, ("connect", f"{place}:443")) == []
    assert len(report(desk, admission, ("connect", f"{place}:444"))) == 1


def test_an_enforced_deny_of_a_host_keeps_the_network_from_being_opened(desk):
    change(desk, "mode: enforce", "mode: observe")
    change(
        desk,
        "  - name: analysts-large",
        '  - {name: shut, for: everyone, mode: enforce, deny: {network: ["bad.example.com:*"]}}\n  - name: analysts-large',
    )
    admission = desk.begin(report=NO_FILES)
    assert admission.observed == ["files"]
    assert report(desk, admission, ("connect", "127.0.0.1:3128")) == []


def test_what_was_too_much_to_keep_is_one_record(observing):
    desk, admission = observing
    (lost,) = report(desk, admission, lost=4000)
    assert lost["reason"].startswith("4000 more files or connections")
    assert recorded(desk) == [("file.uncounted", "(several)", "observe")]


def test_a_report_is_bounded_and_needs_a_running_kernel(observing):
    desk, admission = observing
    with pytest.raises(ValidationError):
        KernelWouldRefuse(lease=admission.lease, seen=[Seen(kind="read", what="/x")] * 257)
    desk.settle(admission)
    with pytest.raises(GuardrailsError):
        report(desk, admission, ("read", "/x"))
