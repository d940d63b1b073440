"""Every kernel of a server starts through here: admitted by control, planned, sandboxed, reported, watched, settled.

`GuardedProvisionerFactory` replaces jupyter_client's singleton, so it governs each kernelspec, whatever provisioner its metadata names.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from datetime import datetime
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Instance, TraitError

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.kernels import kernelspecs, plan
from jupyter_guardrails.kernels.context import GovernedContext
from jupyter_guardrails.kernels.folders import KernelFolders
from jupyter_guardrails.kernels.lease import Lease, OnFailure
from jupyter_guardrails.kernels.spares import Spare
from jupyter_guardrails.sandbox.handover import Prepared

END_WAIT_S = 2.0  # for the sandbox to end everything inside it, before SIGKILL


class GuardedProvisioner(LocalProvisioner):
    """One kernel. jupyter_client keeps the instance over restarts, and so it keeps the lease."""

    context = Instance(GovernedContext)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lease = Lease(self.context, self.kernel_id)
        self._complete = True
        self._ended_by = ""  # why we ended it, for its record
        self._ending: list[asyncio.Task[None]] = []  # the loop itself holds tasks only weakly

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Called by KernelManager before each start and restart; returns what `launch_kernel` gets: the shim's command, environment and fds."""
        async with OnFailure(self._abandon):  # jupyter_client calls no cleanup after a failed start
            return await self._plan_launch(**kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Called by KernelManager after `pre_launch`; the kernel runs only once its report holds what the policy requires."""
        async with OnFailure(self._abandon):
            if self.lease.spare:
                self._take_over(self.lease.spare)
            else:
                await super().launch_kernel(cmd, **kwargs)
            assert self.pid
            await self.lease.confirm(self.pid, self)
            self._end_unless_complete()
            return self.connection_info

    async def post_launch(self, **kwargs: Any) -> None:
        """Called by KernelManager when it has taken the kernel over: from now on it shuts it down."""
        self._complete = True
        await super().post_launch(**kwargs)

    def _end_unless_complete(self) -> None:
        """Before `post_launch` KernelManager reads a file that the kernel may have written: when that fails, it forgets what it has launched."""
        self._complete = False
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: None if self._complete else self._ending.append(asyncio.ensure_future(self._abandon("was not taken over"))))

    def _take_over(self, spare: Spare) -> None:
        """What LocalProvisioner.launch_kernel would have set, for a process that was started before."""
        self.process = spare.process
        self.pid = spare.process.pid
        self.pgid = os.getpgid(self.pid)

    async def send_signal(self, signum: int) -> None:
        """Called for interrupts; never after the process ended, when its group's number may belong to another."""
        if self.process is not None and self.process.poll() is None:
            await super().send_signal(signum)

    async def terminate(self, restart: bool = False) -> None:
        """Called when a polite shutdown takes too long: the sandbox's outer process ends everything inside."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    async def kill(self, restart: bool = False) -> None:
        """Called last, and by `shutdown now`: like `terminate`, which leaves nothing behind; then SIGKILL, after which the inner warden sweeps."""
        if self.process is None:
            return
        await self.terminate(restart)
        deadline = time.monotonic() + END_WAIT_S
        while self.process.poll() is None and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        if self.process.poll() is None:
            await super().kill(restart)

    async def cleanup(self, restart: bool = False) -> None:
        """Called after each end; a restart keeps lease and folders."""
        if restart:
            self.lease.pause()
        else:
            await self.lease.release(self._ended_by or "shut down")
        await super().cleanup(restart)

    # What the watch asks

    def running(self) -> bool:
        """Whether the sandbox's process lives."""
        return self.process is not None and self.process.poll() is None

    def idle_s(self) -> float:
        """Seconds since the kernel was last busy, as its manager saw it; 0 where nobody looks."""
        try:
            last: datetime | None = getattr(self.parent, "last_activity", None)
        except TraitError:  # jupyter_server's trait has no value until the start is complete
            last = None
        if last is None or getattr(self.parent, "execution_state", None) == "busy":
            return 0.0
        return max(0.0, time.time() - last.timestamp())

    def say(self, text: str) -> None:
        """Show a sentence where the kernel's outputs are shown."""
        self.context.tell(self.kernel_id, text)

    async def interrupt(self) -> None:
        """Stop the running cell, as its kernelspec says how: `KeyboardInterrupt` in Python, the variables stay."""
        await self._manager.interrupt_kernel()

    async def end(self, reason: str, *, restart: bool) -> None:
        """End the kernel and show why; `restart`: its manager may start it again."""
        self.log.warning("kernel %s: %s", self.kernel_id, reason)
        self._ended_by = "" if restart else reason
        self.context.tell(self.kernel_id, reason)
        if restart:
            await self.kill()
        else:
            await self._shut_down()

    async def gone(self) -> None:
        """The kernel ended by itself and nobody restarted it."""
        await self.lease.release("ended by itself")

    # Steps of a start

    @property
    def _manager(self) -> Any:
        """The KernelManager."""
        return self.parent

    async def _plan_launch(self, **kwargs: Any) -> dict[str, Any]:
        manager = self._manager
        session = (kwargs.pop("env", None) or {}).get("JPY_SESSION_NAME", "")
        kernelspecs.refuse_shadowing(manager.kernel_name, self.kernel_spec.resource_dir, manager.kernel_spec_manager.kernel_dirs)
        notebook = plan.relative_to_workspace(session, self.context.workspace)
        admission, folders = await self.lease.admit(kernelspec=manager.kernel_name, notebook=notebook)
        self._use_private_transport(folders)
        cwd = plan.working_folder(kwargs.pop("cwd", None), self.context.workspace)
        names = {"JPY_SESSION_NAME": session} if session else {}
        planned = await super().pre_launch(**kwargs, env=dict(names), transport_encryption=self._encryption())
        self._refuse_open_sockets(admission)
        prepared = await self._prepare(planned["cmd"], cwd=cwd, names=names)
        return planned | {"cmd": prepared.argv, "env": dict(prepared.env), "pass_fds": prepared.pass_fds, "cwd": "/"}

    def _use_private_transport(self, folders: KernelFolders) -> None:
        """Sockets and connection file in the kernel's own folder: ports of the machine are open to every process on it."""
        manager = self._manager
        manager.transport = "ipc"
        manager.cache_ports = False
        manager.ip = str(folders.connection / "s")
        manager.connection_file = str(folders.connection / "kernel.json")

    def _encryption(self) -> str:
        """Curve for each kernelspec that knows it: Landlock doesn't keep other processes of the same account from a socket's path."""
        return "required" if self._manager.transport_encryption == "required" else "auto"

    def _refuse_open_sockets(self, admission: Admission) -> None:
        if "sockets" in admission.require and self._manager.curve_publickey is None:
            raise errors.HostCannotEnforce(
                f"the kernel {self._manager.kernel_name!r} can't encrypt its messages, and the policy requires that sockets are held",
                next_step='use a kernel whose kernelspec has "supported_encryption": ["curve"] (ipykernel 7.3 or newer)',
                rule=admission.rule,
            )

    async def _prepare(self, command: list[str], *, cwd: str, names: dict[str, str]) -> Prepared:
        argv = [os.path.expanduser(part) for part in command]
        argv[0] = shutil.which(argv[0]) or argv[0]
        own = {**self.kernel_spec.env, **names, **plan.kernel_start_variables(argv)}
        return await self.lease.prepare(argv, own=own, cwd=cwd, read=kernelspecs.spec_folders(self.kernel_spec, argv[0]))

    async def _abandon(self, reason: str) -> None:
        """A start failed: nothing of it stays."""
        if self.process is not None:
            await self.kill()
            await self.wait()
        await self.lease.release(reason)

    async def _shut_down(self) -> None:
        """For good: through the manager of all kernels where there is one, so that its list is right."""
        everyone = self._manager.parent
        if everyone is not None and self.kernel_id in everyone:
            await everyone.shutdown_kernel(self.kernel_id, now=True)
        else:
            await self._manager.shutdown_kernel(now=True)


class GuardedProvisionerFactory(KernelProvisionerFactory):
    """Gives every kernelspec a GuardedProvisioner of one context."""

    context = Instance(GovernedContext)

    def is_provisioner_available(self, kernel_spec: Any) -> bool:
        """Called by KernelSpecManager to list kernelspecs: what their metadata asks for does not matter here."""
        return True

    def create_provisioner_instance(self, kernel_id: str, kernel_spec: Any, parent: Any) -> GuardedProvisioner:
        """Called by KernelManager before the first start of a kernel."""
        return GuardedProvisioner(context=self.context, kernel_id=kernel_id, kernel_spec=kernel_spec, parent=parent)


def factory_in_force() -> KernelProvisionerFactory:
    """The factory that jupyter_client asks at the next start of a kernel."""
    return KernelProvisionerFactory.instance()


def install(context: GovernedContext, **configurable: Any) -> GuardedProvisionerFactory:
    """Replace jupyter_client's factory singleton, or the one that a kernelspec manager made already."""
    KernelProvisionerFactory.clear_instance()
    return GuardedProvisionerFactory.instance(context=context, **configurable)
