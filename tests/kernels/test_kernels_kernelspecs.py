"""Which folders a kernelspec opens: those of its interpreter, and never one that somebody only names."""

import sys
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpec

from jupyter_guardrails import errors
from jupyter_guardrails.kernels import kernelspecs


@pytest.fixture
def installation(tmp_path):
    """A Python installation elsewhere, as uv or pyenv make one."""
    base = tmp_path / "pythons" / "cpython-3.12"
    (base / "bin").mkdir(parents=True)
    (base / "lib" / "python3.12").mkdir(parents=True)
    (base / "lib" / "python3.12" / "os.py").touch()
    program = base / "bin" / "python3.12"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return base


def venv_of(base: Path, place: Path) -> Path:
    (place / "bin").mkdir(parents=True)
    (place / "pyvenv.cfg").write_text(f"home = {base / 'bin'}\n")
    (place / "bin" / "python").symlink_to(base / "bin" / "python3.12")
    return place / "bin" / "python"


def test_a_venv_opens_itself_and_the_base_it_was_made_from(tmp_path, installation):
    program = venv_of(installation, tmp_path / "env")
    assert set(kernelspecs.interpreter_folders(str(program))) == {str(tmp_path / "env"), str(installation)}


def test_a_venv_that_names_a_folder_without_a_python_does_not_open_it(tmp_path, installation):
    program = venv_of(installation, tmp_path / "env")
    private = tmp_path / "private"
    (private / "bin").mkdir(parents=True)
    (tmp_path / "env" / "pyvenv.cfg").write_text(f"home = {private / 'bin'}\n")
    assert str(private) not in kernelspecs.interpreter_folders(str(program))


def test_a_script_opens_itself_alone(tmp_path):
    script = tmp_path / "home" / "bin" / "start-kernel"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert kernelspecs.interpreter_folders(str(script)) == (str(script),)


def test_this_interpreter_is_found():
    assert sys.prefix in kernelspecs.interpreter_folders(sys.executable)


def test_a_program_that_is_not_there_opens_nothing():
    assert kernelspecs.interpreter_folders("no-such-program") == ()


def test_a_kernelspec_whose_program_is_not_there_is_refused_with_the_next_step():
    with pytest.raises(errors.Refused, match="no-such-program, which is not there") as refused:
        kernelspecs.spec_folders(KernelSpec(argv=["/no-such-program"], display_name="Late"))
    assert "start the server again" in refused.value.next_step
    assert sys.prefix in kernelspecs.spec_folders(KernelSpec(argv=[sys.executable], display_name="There"))


def test_ones_own_kernelspec_may_not_hide_an_admins(tmp_path, monkeypatch):
    admins, own = tmp_path / "admin" / "kernels", tmp_path / "own" / "kernels"
    for folder in (admins / "python3", own / "Python3", own / "mine"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(kernelspecs, "ENV_JUPYTER_PATH", [str(tmp_path / "admin")])
    dirs = [str(own), str(admins)]
    with pytest.raises(errors.Refused, match="hides the one that your admin installed"):
        kernelspecs.refuse_shadowing("python3", str(own / "Python3"), dirs)
    kernelspecs.refuse_shadowing("python3", str(admins / "python3"), dirs)
    kernelspecs.refuse_shadowing("mine", str(own / "mine"), dirs)


@pytest.mark.parametrize("program", ["/bin/sh", "/bin/bash", "/bin/python3", "/../bin/sh"])
def test_a_program_of_the_system_opens_no_more_than_itself(program):
    """KRN-07: `/` looks like a Python installation where /lib/python3 is, and would open everything that the account may read."""
    folders = kernelspecs.interpreter_folders(program)
    assert "/" not in folders
    assert all(folder.startswith(("/bin/", "/usr")) for folder in folders)
