"""One admitted kernel or terminal from admission to settlement: lease, private folders, sandbox, report, watch."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.kernels import accounts, fonts, plan, roots
from jupyter_guardrails.kernels import folders as private
from jupyter_guardrails.kernels.context import GovernedContext, Kind, new_key
from jupyter_guardrails.kernels.forwards import write_hosts
from jupyter_guardrails.kernels.spares import Spare
from jupyter_guardrails.kernels.traced import Follower, Refusals
from jupyter_guardrails.kernels.watch import Watched
from jupyter_guardrails.sandbox.handover import Prepared, prepare
from jupyter_guardrails.sandbox.spec import Report, SandboxSpec
from jupyter_guardrails.sandbox.tracer import Tracer


class Lease:
    """Asked of control by `admit`; the same one over restarts until `release`. Used by one task at a time."""

    def __init__(self, context: GovernedContext, kernel_id: str) -> None:
        self.context = context
        self.kernel_id = kernel_id
        self.admission: Admission | None = None
        self.folders: private.KernelFolders | None = None
        self.report: Report | None = None
        self._key: str | None = None
        self.spare: Spare | None = None  # made ahead, and started already
        self._prepared: Prepared | None = None
        self._spec: SandboxSpec | None = None
        self._follower: Follower | None = None
        self._releasing = asyncio.Lock()

    async def admit(self, *, kernelspec: str, notebook: str | None = None, kind: Kind | None = None) -> tuple[Admission, private.KernelFolders]:
        """What control grants now, and the folders that show it; Refused or LimitReached with the rule."""
        self._key = self._key or new_key()
        asking = self.context.admit(kernel_id=self.kernel_id, kernelspec=kernelspec, key=self._key, notebook=notebook, kind=kind)
        await self._answered(asyncio.ensure_future(asking))
        assert self.admission
        if self.folders is None:
            self.spare = None if kind == "terminal" or self.context.spares is None else self.context.spares.take()
            self.folders = self.spare.folders if self.spare else private.make_folders(self.context.run_dir)
            await asyncio.to_thread(fonts.carry, self.folders)
        private.show_grants(self.folders, self.admission.datasets)
        write_hosts(self.folders, self.admission.forwards)
        accounts.write_account(self.folders, self.admission.principal, str(self.context.workspace))
        return self.admission, self.folders

    async def _answered(self, asking: asyncio.Future[Admission]) -> None:
        """Take what control grants; also when this start is cancelled meanwhile, since a lease of which nobody knows can't be released."""
        try:
            self.admission = await asyncio.shield(asking)
        except asyncio.CancelledError:
            with contextlib.suppress(errors.GuardrailsError):
                self.admission = await asking
            raise

    async def prepare(self, argv: Sequence[str], *, own: Mapping[str, str], cwd: str, read: Sequence[str] = (), tty: bool = False) -> Prepared:
        """What to start: a command, an environment and file descriptors. HostCannotEnforce when the policy requires more than this host holds."""
        assert self.admission
        assert self.folders
        spec = plan.make_spec(
            self.admission,
            argv=argv,
            env=os.environ,
            own=own,
            cwd=cwd,
            workspace=self.context.workspace,
            kernel_dir=self.folders.root,
            read=read,
            shut=private.server_secrets(),
            channel=f"guardrails-{secrets.token_hex(8)}",
            tty=tty,
            unlisted=accounts.is_unlisted(),
            record=self.context.recording is not None,
        )
        self._spec = spec
        if self.spare and not self.spare.prepared.fits(spec):
            await asyncio.to_thread(self.spare.end, keep_folders=True)
            self.spare = None
        if self.spare:
            self._prepared = self.spare.prepared
        else:
            mounter = roots.mounter_for(self.context, self.admission, spec)
            self._prepared = await asyncio.to_thread(prepare, spec, mounter, fresh_proc=roots.fresh_proc(self.context))
        return self._prepared

    async def confirm(self, pid: int, watched: Watched) -> Report:
        """After the start: wait for the sandbox's report, check it, hand its listeners to control, watch. `pid` is the started process."""
        assert self.admission
        assert self.folders
        assert self._prepared
        self._prepared.release_child_side()
        self.spare = None  # it is the kernel now
        report, listeners = await asyncio.to_thread(self._prepared.receive, spec=self._spec)
        self.report = report
        try:
            require_held(self.admission, report)
            await self.context.started(self.admission, report, pid=pid, listeners=listeners, data=self.folders.data)
        finally:
            for fd in listeners:
                os.close(fd)
        self._follow(self._prepared.take_tracer(), watched)
        self.drop_prepared()
        gone = missing_of_policy(self.admission, report)
        if gone:
            self.context.tell(self.kernel_id, f"granted by the policy, but not there: {', '.join(map(repr, gone))}; ask your admin")
        self.context.watch.add(self.admission, kernel_id=self.kernel_id, pid=pid, watched=watched)
        self._make_another()
        return report

    def _make_another(self) -> None:
        """Whoever started one kernel often starts a second one like it."""
        if self.context.spares is not None and self._spec is not None and self.admission is not None:
            mounter_for = functools.partial(roots.mounter_for, self.context)
            self.context.spares.refill(self._spec, self.admission, mounter_for, fresh_proc=roots.fresh_proc(self.context))

    def _follow(self, tracer: Tracer | None, watched: Watched) -> None:
        """Where the policy only observes, and in a clean run: pass on what is found; end what runs when its tracer is gone."""
        recording = self.context.recording
        if tracer is None:
            if recording is not None and self.report is not None:
                recording.absent = str(self.report.layers["trace"])
            return
        assert self.admission
        loop, context, kernel_id = asyncio.get_running_loop(), self.context, self.kernel_id

        def tell(text: str) -> None:
            loop.call_soon_threadsafe(context.tell, kernel_id, text)

        def broke(reason: str) -> None:
            asyncio.run_coroutine_threadsafe(watched.end(reason, restart=False), loop)

        found = recording.add if recording is not None else Refusals(self.admission, call=context.control.call, tell=tell).add
        self._follower = Follower(tracer, self.admission.lease, found=found, broke=broke)

    def pause(self) -> None:
        """Between two runs: the lease stays, nothing is watched."""
        if self.admission:
            self.context.watch.pause(self.admission.lease)

    async def release(self, reason: str) -> None:
        """Settle, once, and remove the private folders; whoever calls it second waits for the first. A later `admit` is a new lease."""
        self.drop_prepared()
        if self.spare:
            await asyncio.to_thread(self.spare.end, keep_folders=True)
            self.spare = None
        async with self._releasing:
            admission, self.admission, self._key = self.admission, None, None
            if self._follower:
                await asyncio.to_thread(self._follower.finish)
            if admission:
                await self.context.settle(admission, reason)
            leaving, self.folders = self.folders, None
            if leaving:
                await asyncio.to_thread(_leave, leaving)

    def drop_prepared(self) -> None:
        """Close this side of a hand-over that is done or has failed."""
        if self._prepared:
            self._prepared.close()
            self._prepared = None


def _leave(leaving: private.KernelFolders) -> None:
    fonts.keep(leaving)
    private.remove_folders(leaving)


class OnFailure:
    """`async with OnFailure(undo):` awaits `undo("did not start: …")` when the block fails or is cancelled; the error goes on."""

    def __init__(self, undo: Callable[[str], Awaitable[None]]) -> None:
        self._undo = undo

    async def __aenter__(self) -> None:
        """Nothing to do yet."""

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            await self._undo(f"did not start: {error}")


def missing_of_policy(admission: Admission, report: Report) -> tuple[str, ...]:
    """Paths that the policy or a dataset names and that don't exist on this machine: nobody should look for the mistake in their notebook."""
    named = {*admission.read_paths, *admission.write_paths, *admission.devices, *admission.datasets.values()}
    return tuple(path for path in report.missing_paths if path in named)


def require_held(admission: Admission, report: Report) -> None:
    """HostCannotEnforce when a layer that the policy requires is not in the report."""
    missing = sorted(set(admission.required) - set(report.held()))
    if not missing:
        return
    advice = [g.next_step for g in report.guarantees if g.name in missing and g.next_step]
    raise errors.HostCannotEnforce(
        f"{admission.principal} can't start a kernel here: the policy requires {', '.join(missing)}, which this machine did not hold",
        next_step="; ".join(advice) or "ask your admin to run `jupyter guardrails doctor` on this machine",
        rule=admission.rule,
    )
