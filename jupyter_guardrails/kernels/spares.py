"""One start made ahead: namespaces, root and private folders for the next kernel like the last one, so that a person doesn't wait for them."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from jupyter_client.launcher import launch_kernel

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.kernels import accounts
from jupyter_guardrails.kernels import folders as private
from jupyter_guardrails.kernels.forwards import write_hosts
from jupyter_guardrails.sandbox.handover import Mounter, Prepared, prepare
from jupyter_guardrails.sandbox.spec import SandboxSpec

LOG = logging.getLogger(__name__)
DELAY_S = 0.25  # the kernel that has just started needs the processors first
LOOK_S, LONGEST_S = 0.5, 30.0  # and so do its cells: one that ran for 0.25 s on two processors took 0.29 s beside the making of a spare


@dataclass(frozen=True)
class Spare:
    """A process that waits in its place for a program, and the private folders that it sees."""

    folders: private.KernelFolders
    prepared: Prepared
    process: subprocess.Popen[bytes]

    def end(self, *, keep_folders: bool = False) -> None:
        """It is not needed, or doesn't fit: it ends by itself when nobody holds the other end any more."""
        self.prepared.close()
        self.process.kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        if not keep_folders:
            private.remove_folders(self.folders)


class Spares:
    """At most one spare, made like the last kernel that started. Used by one event loop; a spare ends with the process that made it."""

    def __init__(self, run_dir: Path, busy: Callable[[], bool] = lambda: False) -> None:
        self._run_dir, self._busy = run_dir, busy
        self._ready: Spare | None = None
        self._making: asyncio.Task[None] | None = None

    def take(self) -> Spare | None:
        """The spare, if there is one that still runs; the caller's from now on."""
        spare, self._ready = self._ready, None
        if spare is not None and spare.process.poll() is not None:
            spare.end()
            return None
        return spare

    def refill(
        self, spec: SandboxSpec, admission: Admission, mounter_for: Callable[[Admission, SandboxSpec], Mounter | None], *, fresh_proc: bool
    ) -> None:
        """Make the next one like `spec`, once no kernel is busy; nothing where one is ready or being made."""
        if self._ready or (self._making and not self._making.done()) or spec.tty or spec.trace:
            return
        self._making = asyncio.ensure_future(self._make(spec, admission, mounter_for, fresh_proc))

    async def _make(self, like: SandboxSpec, admission: Admission, mounter_for: Callable[..., Mounter | None], fresh_proc: bool) -> None:
        await self._wait_for_rest()
        try:
            spare = await asyncio.to_thread(self._start, like, admission, mounter_for, fresh_proc)
        except (errors.GuardrailsError, OSError) as error:
            LOG.warning("no kernel could be made ready ahead, the next one starts as the first one did: %s", error)
        else:
            self._ready = spare

    async def _wait_for_rest(self) -> None:
        """Until no kernel runs a cell, but not for ever."""
        await asyncio.sleep(DELAY_S)
        for _ in range(int(LONGEST_S / LOOK_S)):
            if not self._busy():
                break
            await asyncio.sleep(LOOK_S)

    def _start(self, like: SandboxSpec, admission: Admission, mounter_for: Callable[..., Mounter | None], fresh_proc: bool) -> Spare:
        """In a thread: the place, whole and waiting."""
        folders = private.make_folders(self._run_dir)
        process = None
        try:
            private.show_grants(folders, admission.datasets)
            write_hosts(folders, admission.forwards)
            accounts.write_account(folders, admission.principal, like.env.get("HOME", "/"))
            spec = moved(like, str(folders.root))
            prepared = prepare(spec, mounter_for(admission, spec), fresh_proc=fresh_proc)
            process = launch_kernel(list(prepared.argv), env=dict(prepared.env), cwd="/", pass_fds=prepared.pass_fds)
            prepared.make_place()
        except BaseException:
            if process is not None:
                process.kill()
                process.wait()
            private.remove_folders(folders)
            raise
        return Spare(folders, prepared, process)


def moved(spec: SandboxSpec, folder: str) -> SandboxSpec:
    """The same specification with other private folders; it has no program. Pure."""
    before = spec.temporary.rpartition("/")[0] if spec.temporary else None

    def there(path: str) -> str:
        return folder + path.removeprefix(before) if before and (path == before or path.startswith(before + "/")) else path

    return replace(
        spec,
        argv=("true",),
        env={},
        cwd="/",
        channel=None,
        read=tuple(map(there, spec.read)),
        write=tuple(map(there, spec.write)),
        temporary=there(spec.temporary) if spec.temporary else None,
        covers=tuple((there(source), target) for source, target in spec.covers),
    )
