"""A governed kernel without a server, as the clean run starts it: real control, real sandbox, real ipykernel."""

import asyncio
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface import Settings, start_own_control
from jupyter_guardrails.control.interface.messages import Audit, Kernels
from jupyter_guardrails.kernels.folders import make_run_dir
from jupyter_guardrails.kernels.governed import GovernedContext, kernel_manager_class

POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {small: {memory: 1GiB, cpus: 1}}
rules: [{name: everyone, for: everyone, kernels: {profiles: [small], default: small, max: 2}}]
"""
ARGV = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]


@pytest.fixture(scope="module")
def control():
    root = Path(tempfile.mkdtemp(prefix="gk-", dir="/tmp"))
    (root / "guardrails.yaml").write_text(POLICY)
    (root / "catalog").mkdir()
    own = start_own_control(Settings(root / "guardrails.yaml", root / "catalog", root / "state", root / "state" / "control.sock", self_chosen=True))
    yield own.client
    own.stop()
    shutil.rmtree(root)


@pytest.fixture
def context(control, tmp_path):
    run_dir = make_run_dir()
    yield GovernedContext(control, tmp_path, run_dir)
    shutil.rmtree(run_dir)


async def output_of(client, code):
    printed = []

    def hear(message):
        content = message["content"]
        printed.append(content.get("text") or (f"{content['ename']}: {content['evalue']}" if message["msg_type"] == "error" else ""))

    await client.execute_interactive(code, output_hook=hear, timeout=60)
    return "".join(printed)


def live(control):
    return [k for k in control.call(Kernels())["kernels"] if k["state"] in ("starting", "active")]


def test_it_runs_restarts_and_leaves_nothing(context, control, tmp_path_factory):
    outside = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    outside.write_text("not for kernels")
    (context.workspace / "own.txt").write_text("mine")

    async def scene():
        manager = kernel_manager_class(context, ARGV)(kernel_name="python3")
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(120)
        assert "FileNotFoundError" in await output_of(client, f"open({str(outside)!r}).read()")
        assert "mine" in await output_of(client, "print(open('own.txt').read())")
        assert str(context.workspace) in await output_of(client, "import os; print(os.getcwd())")
        (before,) = live(control)
        await manager.restart_kernel()
        await client.wait_for_ready(120)
        assert [k["started_at"] for k in live(control)] == [before["started_at"]]
        client.stop_channels()
        await manager.shutdown_kernel(now=True)

    asyncio.run(scene())
    assert live(control) == []
    assert list((context.run_dir / "k").iterdir()) == []


def test_a_program_that_is_not_there_is_refused_and_the_lease_released(context, control):
    async def scene():
        manager = kernel_manager_class(context, ["/no/such/program", "{connection_file}"])(kernel_name="python3")
        with pytest.raises(errors.GuardrailsError, match=r"no/such/program|refused"):
            await manager.start_kernel()

    asyncio.run(scene())
    assert live(control) == []
    assert list((context.run_dir / "k").iterdir()) == []
    last = control.call(Audit())["records"][-1]
    assert last["action"] in ("kernel.end", "kernel.start")


def test_a_kernel_that_its_manager_does_not_take_over_is_ended(context, control):
    """jupyter_client 8.10 reads the connection file once more after the start; one that a kernel has spoilt made it forget a running kernel."""

    class Stumbles(kernel_manager_class(context, ARGV)):
        def _reconcile_connection_info(self, info):
            raise ValueError("spoilt")

    folders = context.run_dir / "k"

    async def scene():
        manager = Stumbles(kernel_name="python3")
        with pytest.raises(ValueError, match="spoilt"):
            await asyncio.create_task(manager.start_kernel())
        process = manager.provisioner.process
        async with asyncio.timeout(20):
            while live(control) or (process is not None and process.poll() is None) or list(folders.iterdir()):
                await asyncio.sleep(0.02)

    asyncio.run(scene())
    assert list((context.run_dir / "k").iterdir()) == []


def test_a_start_that_is_cancelled_releases_its_lease(context, control):
    async def scene():
        manager = kernel_manager_class(context, ARGV)(kernel_name="python3")
        start = asyncio.ensure_future(manager.start_kernel())
        while not live(control):
            await asyncio.sleep(0.01)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start

    asyncio.run(scene())
    assert live(control) == []


def test_a_start_that_is_cancelled_while_control_answers_releases_its_lease(context, control, monkeypatch):
    """Control has admitted it, and its answer is still on the way when the start is cancelled."""
    admit, admitted, answer = control.admit, threading.Event(), threading.Event()

    def answer_late(request):
        admission = admit(request)
        admitted.set()
        assert answer.wait(60)
        return admission

    async def scene():
        start = asyncio.ensure_future(kernel_manager_class(context, ARGV)(kernel_name="python3").start_kernel())
        await asyncio.to_thread(admitted.wait, 60)
        start.cancel()
        answer.set()
        with pytest.raises(asyncio.CancelledError):
            await start

    monkeypatch.setattr(control, "admit", answer_late)
    asyncio.run(scene())
    assert live(control) == []


def test_starts_at_once_against_a_limit_admit_exactly_as_many(context, control):
    async def scene():
        managers = [kernel_manager_class(context, ARGV)(kernel_name="python3") for _ in range(5)]
        results = await asyncio.gather(*(m.start_kernel() for m in managers), return_exceptions=True)
        for manager, result in zip(managers, results, strict=True):
            if not isinstance(result, BaseException):
                await manager.shutdown_kernel(now=True)
        return results

    results = asyncio.run(scene())
    refused = [r for r in results if isinstance(r, errors.LimitReached)]
    assert len(refused) == 3
    assert "guardrails.yaml:" in refused[0].rule
    assert live(control) == []
