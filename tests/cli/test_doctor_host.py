"""What doctor says about a machine: facts without names, and the one setting that would make it hold more."""

import os
import socket

import pytest

from jupyter_guardrails.cli import doctor_host, doctor_preflight
from jupyter_guardrails.sandbox.probe import for_another_account

NOTHING = {"settings": dict.fromkeys(name.replace("/", ".") for name in doctor_host.SYSCTLS), "lsm": None, "seccomp_around_us": "0", "container": []}
LAYERS = {
    "uid": 0,
    "user_namespace": "",
    "network_namespace": "",
    "seccomp": "",
    "process_count": "Linux counts no processes of root",
    "landlock": {"abi": 7, "reason": "", "scopes": 3, "tcp": False},
}


def found(**changes):
    settings = {name: value for name, value in changes.items() if "." in name}
    return NOTHING | {k: v for k, v in changes.items() if "." not in k} | {"settings": NOTHING["settings"] | settings}


@pytest.mark.parametrize(
    ("reason", "host", "setting"),
    [
        ("", found(), ""),
        ("ENOSPC: No space left on device", found(), "sysctl -w user.max_user_namespaces"),
        ("EPERM: Operation not permitted", found(**{"user.max_user_namespaces": "0"}), "sysctl -w user.max_user_namespaces"),
        ("EPERM: Operation not permitted", found(**{"kernel.unprivileged_userns_clone": "0"}), "sysctl -w kernel.unprivileged_userns_clone=1"),
        ("EPERM: Operation not permitted", found(**{"kernel.apparmor_restrict_unprivileged_userns": "1"}), "AppArmor profile"),
        ("EPERM: Operation not permitted", found(container=["docker"], seccomp_around_us="2"), "--security-opt seccomp="),
        ("EPERM: Operation not permitted", found(container=["kubernetes"], seccomp_around_us="2"), "seccompProfile"),
    ],
)
def test_one_setting_gives_user_namespaces(reason, host, setting):
    assert doctor_host.for_user_namespaces(reason, host).startswith(setting) or setting in doctor_host.for_user_namespaces(reason, host)
    assert bool(doctor_host.for_user_namespaces(reason, host)) is bool(setting)


@pytest.mark.parametrize(
    ("reason", "version", "host", "setting"),
    [
        ("", 7, found(), ""),
        ("", 3, found(), "boot a newer Linux"),
        ("[Errno 95] Operation not supported", 0, found(lsm="lockdown,yama"), "boot with lsm=lockdown,yama,landlock"),
        ("[Errno 1] Operation not permitted", 0, found(lsm="yama,landlock", seccomp_around_us="2"), "landlock_create_ruleset"),
        ("[Errno 38] Function not implemented", 0, found(), "boot Linux 6.12"),
    ],
)
def test_one_setting_gives_landlock(reason, version, host, setting):
    said = doctor_host.for_landlock(reason, version, host)
    assert (setting in said) if setting else said == ""


def test_what_holds_needs_no_setting_and_what_nobody_can_set_has_none():
    for name in ("files", "network", "memory", "sockets"):
        assert doctor_host.setting_for(name, LAYERS, found()) == ""
    assert "ordinary account" in doctor_host.setting_for("processes", LAYERS, found())
    assert doctor_host.setting_for("files", {}, found()) == ""


def test_the_facts_name_no_person_and_no_host(tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/sys/user").mkdir(parents=True)
    (tmp_path / "proc/sys/user/max_user_namespaces").write_text("0\n")
    (tmp_path / "proc/self/status").write_text("Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\n")
    (tmp_path / ".dockerenv").touch()
    facts = doctor_host.facts(tmp_path)
    assert facts["settings"]["user.max_user_namespaces"] == "0"
    assert facts["settings"]["user.max_net_namespaces"] is None
    assert (facts["seccomp_around_us"], facts["no_new_privileges"], facts["container"]) == ("2", "1", ["docker"])
    assert socket.gethostname() not in str(doctor_host.facts()).replace(facts["kernel"], "")
    assert os.path.expanduser("~") not in str(doctor_host.facts())


def held(layers):
    return {g.name for g in for_another_account(layers) if g.held}


def test_root_builds_for_an_ordinary_account():
    assert "processes" in held(doctor_preflight.as_ordinary(LAYERS, found()))
    closed = doctor_preflight.as_ordinary(LAYERS, found(**{"kernel.apparmor_restrict_unprivileged_userns": "1"}))
    assert "processes" not in held(closed)
    assert held(closed) >= {"files", "network"}
    assert held({}) == set()
