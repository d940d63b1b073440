"""`requests list|approve|refuse|revoke` against a really started control."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.main import main
from jupyter_guardrails.control.interface.messages import Kernels
from jupyter_guardrails.control.interface.notices import MoreAsk

POLICY = """\
apiVersion: guardrails/v1
admins: {users: [carol]}
rules: [{name: everyone, for: everyone, kernels: {max: 2}}]
"""


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Ana has asked for more kernels; her commands and carol's are told apart by GUARDRAILS_AS, which is no boundary."""
    (tmp_path / "guardrails.yaml").write_text(POLICY)
    (tmp_path / "catalog").mkdir()
    monkeypatch.setenv("GUARDRAILS_POLICY", str(tmp_path / "guardrails.yaml"))
    monkeypatch.setenv("GUARDRAILS_CATALOG", str(tmp_path / "catalog"))
    monkeypatch.setenv("GUARDRAILS_STATE_DIR", str(tmp_path / "s"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not Path("/etc/jupyter/guardrails").exists()
    monkeypatch.setenv("GUARDRAILS_AS", "ana")
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
