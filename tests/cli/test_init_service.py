"""The units, the account and the settings that `init --service` writes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_guardrails.cli import init_service
from jupyter_guardrails.cli.main import main
from jupyter_guardrails.control.interface.machine import read_machine_settings


@pytest.fixture
def written(tmp_path, capsys):
    assert main(["init", "--service", str(tmp_path / "out"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert sorted(os.listdir(tmp_path / "out")) == sorted(Path(name).name for name in report["written"])
    return tmp_path / "out"


def test_the_units_name_this_installation(written):
    text = (written / init_service.SERVICE).read_text()
    assert f"\nExecStart={sys.executable} -I -m jupyter_guardrails control --service\n" in text
    for line in ("User=jupyter-guardrails", "RuntimeDirectoryPreserve=yes", "StateDirectoryMode=0700", "Type=notify", "Restart=always"):
        assert f"\n{line}\n" in text
    assert "\nListenStream=/run/jupyter-guardrails/control.sock\n" in (written / init_service.SOCKET).read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
def test_systemd_has_nothing_to_say_about_them(written):
    def verify():
        units = [str(written / name) for name in (init_service.SERVICE, init_service.SOCKET)]
        done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
        return done.returncode, [line for line in done.stderr.splitlines() if "guardrails" in line]

    assert verify() == (0, [])
    unit = written / init_service.SERVICE
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSistem=strict"))
    assert any("ProtectSistem" in line for line in verify()[1]), "the probe works"


def test_the_settings_are_a_services_and_nothing_is_overwritten(written, capsys):
    assert read_machine_settings(written).control == "service"
    assert main(["init", "--service", str(written)]) == 1
    assert "exists already, and init overwrites nothing" in capsys.readouterr().err


def test_a_place_that_can_not_be_written_is_a_sentence(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["init", "--service", str(tmp_path / "file" / "out")]) == 1
    assert "can't be written: Not a directory" in capsys.readouterr().err


def test_the_units_are_shipped_beside_the_package():
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert '"jupyter_guardrails/cli/service" = "share/jupyter-guardrails/systemd"' in project
    assert init_service.SHIPPED in init_service.shipped(init_service.SERVICE)
