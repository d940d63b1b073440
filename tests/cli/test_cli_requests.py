"""`request package` and `requests list|show|approve|refuse|revoke` against a really started control."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.main import main
from jupyter_guardrails.control.interface.messages import Kernels
from jupyter_guardrails.control.interface.notices import MoreAsk
from tests.promotion.package_index import Index, wheel

POLICY = """\
apiVersion: guardrails/v1
admins: {users: [carol]}
groups: {analysts: [ana]}
rules: [{name: everyone, for: everyone, kernels: {max: 2}}]
promotion: {packages: {allow: [pandas], deny: [leftpad]}}
"""


@pytest.fixture
def ana(monkeypatch, tmp_path):
    """Whoever types is ana; GUARDRAILS_AS, which is no boundary, makes it somebody else."""
    (tmp_path / "guardrails.yaml").write_text(POLICY)
    (tmp_path / "catalog").mkdir()
    monkeypatch.setenv("GUARDRAILS_POLICY", str(tmp_path / "guardrails.yaml"))
    monkeypatch.setenv("GUARDRAILS_CATALOG", str(tmp_path / "catalog"))
    monkeypatch.setenv("GUARDRAILS_STATE_DIR", str(tmp_path / "s"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not Path("/etc/jupyter/guardrails").exists()
    monkeypatch.setenv("GUARDRAILS_AS", "ana")


@pytest.fixture
def asked(ana):
    """Ana has asked for more kernels."""
    until = datetime.now(UTC) + timedelta(hours=2)
    with connected(os.environ) as client:
        return client.call(MoreAsk(resource="kernels.max", amount=4, until=until, purpose="a workshop \x1b[31mred"))


def test_an_admin_sees_and_approves_and_it_is_in_force(asked, monkeypatch, capsys):
    monkeypatch.setenv("GUARDRAILS_AS", "carol")
    assert main(["requests", "list"]) == 0
    shown = capsys.readouterr().out
    assert asked["id"] in shown
    assert "kernels.max 4" in shown
    assert "\x1b" not in shown
    assert main(["requests", "approve", asked["id"], "--reason", "for the workshop"]) == 0
    assert "of ana: kernels.max 4 granted (for the workshop)" in capsys.readouterr().out
    monkeypatch.setenv("GUARDRAILS_AS", "ana")
    with connected(os.environ) as client:
        assert client.call(Kernels())["max"] == 4
    monkeypatch.setenv("GUARDRAILS_AS", "carol")
    assert main(["requests", "revoke", asked["id"], "--reason", "the workshop is over"]) == 0
    assert "of ana: kernels.max 4 revoked (the workshop is over)" in capsys.readouterr().out
    monkeypatch.setenv("GUARDRAILS_AS", "ana")
    with connected(os.environ) as client:
        assert client.call(Kernels())["max"] == 2


def test_a_refusal_and_what_is_no_admins(asked, monkeypatch, capsys):
    monkeypatch.setenv("GUARDRAILS_AS", "ben")
    assert main(["requests", "approve", asked["id"], "--reason", "why not"]) == 1
    assert "ben may not decide" in capsys.readouterr().err
    assert main(["requests", "revoke", asked["id"], "--reason", "why not"]) == 1
    assert "ben is not an admin" in capsys.readouterr().err
    monkeypatch.setenv("GUARDRAILS_AS", "carol")
    assert main(["requests", "refuse", asked["id"], "--reason", "not now", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "refused"


def printed(capsys, *words, code=0):
    """What a command prints on the stream that its exit code is for."""
    assert main([*words]) == code
    said = capsys.readouterr()
    return said.err if code else said.out


def test_a_package_from_asking_to_revocation(ana, monkeypatch, capsys):
    made = printed(capsys, "request", "package", "Polars", "--purpose", "frames \x1b[31mthat fit", "--days", "30")
    id = made.partition(":")[0]
    assert made.startswith(f"{id}: polars is asked for, for 30 days; an admin decides\n")
    assert "is denied (leftpad)" in printed(capsys, "request", "package", "leftpad", "--purpose", "to pad", code=1)
    monkeypatch.setenv("GUARDRAILS_AS", "carol")
    shown = printed(capsys, "requests", "show", id, "--offline")
    assert shown.splitlines()[:3:2] == [f"{id}: ana asks for package polars, 30 days", "state: open"]
    assert ("groups of ana: analysts" in shown, "\x1b" in shown) == (True, False)
    assert "package polars" in printed(capsys, "requests", "list")
    until = f"{datetime.now(UTC) + timedelta(days=10):%Y-%m-%d}"
    approve = ("requests", "approve", id, "--reason", "looked at it", "--group", "analysts", "--until", until)
    assert printed(capsys, *approve) == f"{id} of ana: package polars for group analysts granted (looked at it)\n"
    assert f"{until} " in printed(capsys, "requests", "list")
    monkeypatch.setenv("GUARDRAILS_AS", "ana")
    assert "jobs may hold polars already" in printed(capsys, "request", "package", "polars", "--purpose", "again", code=1)
    monkeypatch.setenv("GUARDRAILS_AS", "carol")
    assert "revoked (a worm)" in printed(capsys, "requests", "revoke", id, "--reason", "a worm")
    monkeypatch.setenv("GUARDRAILS_AS", "ana")
    assert "polars is asked for" in printed(capsys, "request", "package", "polars", "--purpose", "once more")


def test_a_limit_is_raised_for_nobodys_group(asked, monkeypatch, capsys):
    monkeypatch.setenv("GUARDRAILS_AS", "carol")
    refused = printed(capsys, "requests", "approve", asked["id"], "--reason", "for all", "--group", "analysts", code=2)
    assert "not for a group" in refused


@pytest.mark.parametrize("days", ["0", "400"])
def test_days_that_make_no_sense_are_said(ana, capsys, days):
    assert "days: input should be" in printed(capsys, "request", "package", "polars", "--purpose", "frames", "--days", days, code=2)


@pytest.fixture
def index(monkeypatch):
    """A package index with polars, which needs polars-runtime, and pandas, that the policy allows."""
    made = Index()
    made.add("polars", wheel("polars", metadata="License-Expression: MIT\nRequires-Dist: polars-runtime\nRequires-Dist: pandas\n"))
    made.add("polars-runtime", wheel("polars-runtime", metadata="License-Expression: Apache-2.0\x1b[31m\n"))
    made.add("pandas", wheel("pandas"))
    made.api["polars/1.0"] = {"vulnerabilities": []}
    monkeypatch.setenv("UV_DEFAULT_INDEX", made.simple)
    yield made
    made.stop()


def test_an_admin_reads_what_it_is_and_needs_and_the_command_that_allows_it(ana, index, monkeypatch, capsys):
    id = printed(capsys, "request", "package", "polars", "--purpose", "frames that fit").partition(":")[0]
    assert "to allow it" not in printed(capsys, "requests", "show", id), "who asks decides nothing"
    monkeypatch.setenv("GUARDRAILS_AS", "carol")
    lines = printed(capsys, "requests", "show", id).splitlines()
    assert lines[-5].startswith("polars 1.0: licence MIT, 0.0 MB, no known advisories")
    assert lines[-4] == "  needs pandas 1.0: licence not known, 0.0 MB, advisories not known"
    assert lines[-3].startswith("  needs polars-runtime 1.0: licence Apache-2.0 [31m, ")
    assert lines[-3].endswith("; the package polars-runtime is not on the approved list")
    assert lines[-2].startswith("in all: 3 packages, ")
    assert lines[-1] == f"to allow it with what it needs: jupyter guardrails requests approve {id} --with polars-runtime --reason '…'"
    granted = printed(capsys, "requests", "approve", id, "--with", "polars-runtime", "--reason", "looked at it")
    assert granted == f"{id} of ana: package polars (with polars-runtime) granted (looked at it (with polars-runtime))\n"
    kept = printed(capsys, "requests", "show", id, "--offline").splitlines()
    assert kept[-4].startswith("what carol saw on ")
    assert kept[-3] == lines[-5], "what was known when it was decided, though nobody is asked now"
    index.api["polars/1.0"] = {"vulnerabilities": [{"id": "PYSEC-2026-9", "aliases": [], "fixed_in": [], "withdrawn": None}]}
    later = printed(capsys, "requests", "show", id)
    assert "no known advisories" in later.partition("now:")[0]
    assert "polars 1.0: licence MIT, 0.0 MB, PYSEC-2026-9, not fixed" in later.partition("now:")[2]
    monkeypatch.setenv("GUARDRAILS_AS", "ana")
    assert "jobs may hold polars-runtime already" in printed(capsys, "request", "package", "polars-runtime", "--purpose", "is it in?", code=1)


def test_what_no_index_has_is_not_known_and_can_be_refused(ana, index, monkeypatch, capsys):
    id = printed(capsys, "request", "package", "gone", "--purpose", "no idea").partition(":")[0]
    monkeypatch.setenv("GUARDRAILS_AS", "carol")
    shown = json.loads(printed(capsys, "requests", "show", id, "--json"))
    assert (shown["facts"], "no wheels of gone" in shown["facts_problem"]) == ([], True)
    assert "what it is and needs: not known (the package index has no wheels of gone" in printed(capsys, "requests", "show", id)
    assert "refused (no such thing)" in printed(capsys, "requests", "refuse", id, "--reason", "no such thing")
