"""Terminals under policy: each shell in the sandbox of the terminal profile, with a lease and a report like a kernel."""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

import asyncio
import codecs
import os
import secrets
import shutil
import signal
import sys
import time
from collections import deque
from typing import Any

from jupyter_server._tz import utcnow
from jupyter_server_terminals.terminalmanager import MODEL, RUNNING_TOTAL, TerminalManager
from ptyprocess import PtyProcessUnicode
from terminado.management import DEFAULT_TERM_TYPE, PtyWithClients
from traitlets import Instance, default

from jupyter_guardrails import errors
from jupyter_guardrails.kernels import plan
from jupyter_guardrails.kernels.context import GovernedContext
from jupyter_guardrails.kernels.kernelspecs import interpreter_folders
from jupyter_guardrails.kernels.lease import Lease, OnFailure

END_WAIT_S = 2.0


class GuardedTerminal(PtyWithClients):
    """A pseudo terminal whose process is the sandbox's; terminado's own constructor can't hand file descriptors over."""

    def __init__(self, lease: Lease, *, argv: list[str], env: dict[str, str], pass_fds: tuple[int, ...]) -> None:
        self.lease = lease
        self.ended_by = ""  # why we ended it, for its record
        self.clients = []
        self.read_buffer = deque(maxlen=1000)
        self.last_activity = utcnow()
        self.ptyproc = PtyProcessUnicode.spawn(argv, env=env, cwd="/", pass_fds=pass_fds, preexec_fn=lambda: _before_exec(pass_fds))
        self.ptyproc.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def running(self) -> bool:
        """Whether its process lives."""
        return bool(self.ptyproc.isalive())

    def idle_s(self) -> float:
        """Seconds since something was typed or printed."""
        return max(0.0, time.time() - self.last_activity.timestamp())

    def say(self, text: str) -> None:
        """Show a sentence in the terminal."""
        for client in self.clients:
            client.on_pty_read(f"\r\nguardrails: {text}\r\n")

    async def interrupt(self) -> None:
        """Called by nobody: a terminal is where one saves one's work."""

    async def end(self, reason: str, *, restart: bool) -> None:
        """Say why, then end it; a terminal is never started again by itself."""
        self.say(reason)
        self.ended_by = reason
        await self.terminate(force=True)

    async def gone(self) -> None:
        """The shell ended and its end was noticed by the watch first."""
        await self.lease.release("ended by itself")

    async def abandon(self, reason: str) -> None:
        """Its start failed: without its sandbox's report it must not stay."""
        await self.terminate(force=True)

    async def terminate(self, force: bool = False) -> bool:
        """Called by the manager; the sandbox's outer process ends everything inside on SIGTERM, terminado's SIGKILL would leave daemons."""
        if self.ptyproc.isalive():
            self.kill(signal.SIGTERM)
            deadline = time.monotonic() + END_WAIT_S
            while self.ptyproc.isalive() and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
        return bool(await super().terminate(force=force))


class GuardedTerminalManager(TerminalManager):
    """Jupyter's terminal manager; `start` is the only way to a new terminal."""

    context = Instance(GovernedContext)
    _ending: set[asyncio.Task[None]]

    @default("context")
    def _context_of_server(self) -> GovernedContext:
        serverapp: Any = self.parent
        found: GovernedContext = serverapp.web_app.settings["guardrails"]
        return found

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._ending = set()

    async def start(self, cwd: str | None = None) -> MODEL:
        """A new terminal's model; Refused or LimitReached with the rule."""
        name = str(self._next_available_name())
        terminal = await self._open(plan.working_folder(self._folder(cwd), self.context.workspace))
        terminal.term_name = name
        self.terminals[name] = terminal
        self.start_reading(terminal)
        self._initialize_culler()
        RUNNING_TOTAL.inc()
        return self.get_terminal_model(name)

    def new_terminal(self, **kwargs: Any) -> PtyWithClients:
        """Called by terminado's own ways to start one, which know no policy."""
        raise errors.Refused("a terminal starts only through POST api/terminals", next_step="open it from the launcher of JupyterLab")

    async def terminate(self, name: str, force: bool = False) -> None:
        """Called by DELETE and when the server stops; returns when the lease is settled."""
        terminal = self.terminals.get(name)
        await super().terminate(name, force=force)
        if isinstance(terminal, GuardedTerminal):
            await terminal.lease.release(terminal.ended_by or "closed")

    def on_eof(self, ptywclients: PtyWithClients) -> None:
        """Called when a shell has ended."""
        super().on_eof(ptywclients)
        if isinstance(ptywclients, GuardedTerminal):
            task = asyncio.ensure_future(ptywclients.lease.release(ptywclients.ended_by or "closed"))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _open(self, cwd: str) -> GuardedTerminal:
        """With the server's programs on the PATH, as in any Jupyter, and our package where it lies in a checkout: its commands say what they need."""
        lease = Lease(self.context, f"terminal-{secrets.token_hex(6)}")
        own = {"TERM": DEFAULT_TERM_TYPE, "SHELL": _shell(), "PATH": f"{os.path.dirname(sys.executable)}:${{PATH}}"}
        read = (*interpreter_folders(sys.executable), str(plan.CLIENT_DIR.parent))
        async with OnFailure(lease.release):
            await lease.admit(kernelspec="terminal", kind="terminal")
            prepared = await lease.prepare([_shell()], own=own, cwd=cwd, read=read, tty=True)
            terminal = GuardedTerminal(lease, argv=list(prepared.argv), env=dict(prepared.env), pass_fds=tuple(prepared.pass_fds))
            async with OnFailure(terminal.abandon):
                await lease.confirm(terminal.ptyproc.pid, terminal)
        return terminal

    def _folder(self, cwd: str | None) -> str | None:
        """JupyterLab sends paths relative to the workspace."""
        return os.path.join(self.context.workspace, cwd) if cwd else None


def _shell() -> str:
    return shutil.which("bash") or "/bin/sh"


def _before_exec(fds: tuple[int, ...]) -> None:
    """In the child: what Popen's pass_fds does."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for fd in fds:
        os.set_inheritable(fd, True)
