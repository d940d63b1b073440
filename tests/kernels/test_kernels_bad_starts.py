"""Starts that break in the middle: refused, with no process, descriptor or folder left."""

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.kernels import folders, kernelspecs
from jupyter_guardrails.sandbox.handover import prepare
from jupyter_guardrails.sandbox.meter import sample
from jupyter_guardrails.sandbox.spec import SandboxSpec

SPEC = SandboxSpec(("/bin/sh", "-c", "echo ran"), {}, "/", read=("/usr", "/lib", "/lib64", "/bin"))


@pytest.mark.parametrize("whom", ["the warden that the server knows", "everyone"])
def test_a_start_that_is_killed_after_its_report_never_runs_its_program(whom):
    before = len(os.listdir("/proc/self/fd"))
    prepared = prepare(SPEC)
    process = subprocess.Popen(prepared.argv, env=prepared.env, pass_fds=prepared.pass_fds, stdout=subprocess.PIPE)
    prepared.release_child_side()
    assert select.select([prepared._ours], [], [], 20)[0]  # the report is there, the word to go was not given
    pids = sample(process.pid).pids
    for pid in pids if whom == "everyone" else pids[:1]:
        with suppress(ProcessLookupError):  # the inner ones end with the outer one
            os.kill(pid, signal.SIGKILL)
    process.wait()
    if whom == "everyone":
        with pytest.raises(GuardrailsError, match="it ended before"):
            prepared.receive()
    prepared.close()
    assert process.stdout.read() == b""
    process.stdout.close()
    assert len(os.listdir("/proc/self/fd")) <= before  # fewer where what another test left was collected meanwhile


def test_the_same_start_runs_when_nobody_kills_it():
    prepared = prepare(SPEC)
    with subprocess.Popen(prepared.argv, env=prepared.env, pass_fds=prepared.pass_fds, stdout=subprocess.PIPE) as process:
        prepared.receive()
        assert process.communicate(timeout=20)[0] == b"ran\n"


def test_folders_that_cannot_be_made_leave_nothing(tmp_path):
    (tmp_path / "k").write_text("in the way")
    with pytest.raises(GuardrailsError, match="private folders can't be made"):
        folders.make_folders(tmp_path)
    (tmp_path / "k").unlink()
    assert folders.make_folders(tmp_path).connection.is_dir()


class Specs:
    """A kernelspec manager with one answer."""

    def __init__(self, answer):
        self.answer = answer

    def find_kernel_specs(self):
        return {"python3": "/x"}

    def get_kernel_spec(self, name):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_kernelspec_that_is_fine_passes():
    from jupyter_client.kernelspec import KernelSpec

    kernelspecs.refuse_unusable("python3", Specs(KernelSpec(argv=[sys.executable])))
    with pytest.raises(GuardrailsError, match="names no program"):
        kernelspecs.refuse_unusable("python3", Specs(KernelSpec(argv=[])))
    with pytest.raises(GuardrailsError, match="can't be used"):
        kernelspecs.refuse_unusable("python3", Specs(ValueError("broken")))
