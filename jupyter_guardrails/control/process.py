"""The process `jupyter guardrails control`: hardened, alone on its state directory, ready, and ended in good order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import secrets
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from jupyter_guardrails.catalog import CatalogFolder
from jupyter_guardrails.control import breakglass, hardening, lifetimes, notify, stops, submissions
from jupyter_guardrails.control.groups import Groups, system_groups
from jupyter_guardrails.control.interface import Settings
from jupyter_guardrails.control.policies import PolicyHolder
from jupyter_guardrails.control.service import Service
from jupyter_guardrails.control.state import LEASE_TTL_S, ControlState, log
from jupyter_guardrails.errors import BadRequest, Conflict, Refused
from jupyter_guardrails.records import leases, open_records
from jupyter_guardrails.records.places import private_directory

SOCKET_PATH_BYTES = 107  # struct sockaddr_un: 108 with its NUL


@dataclass(frozen=True, slots=True)
class Options:
    """How control was started."""

    settings: Settings
    ready_fd: int | None = None
    die_with_parent: bool = False
    lease_ttl_s: float = LEASE_TTL_S


def run(options: Options) -> int:
    """Serve until SIGTERM; 0 after a clean end. Raises what keeps it from starting, with the next step."""
    settings = options.settings
    os.umask(0o077)
    hardening.not_dumpable()
    hardening.many_descriptors()
    parent = hardening.end_with_parent() if options.die_with_parent else None
    private_directory(settings.state_dir)
    lock = hardening.hold_lock(settings.state_dir)
    try:
        with contextlib.closing(listen(settings.control_socket)) as listener:
            asyncio.run(_serve(options, listener, parent))
            settings.control_socket.unlink(missing_ok=True)
    finally:
        os.close(lock)
    return 0


def principal_of(settings: Settings) -> str:
    """Who everyone on this socket is: the account of this process, never a name that a variable can set; `--as` in *own* mode only."""
    if settings.person is None:
        return pwd.getpwuid(os.getuid()).pw_name
    if not settings.self_chosen:
        raise Refused("--as is for demos: this machine has an admin's policy", next_step="leave --as away")
    return settings.person


def listen(path: Path) -> socket.socket:
    """A listening socket that only this uid may reach; Conflict when another control answers there."""
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        raise BadRequest(f"the socket's path is longer than {SOCKET_PATH_BYTES} bytes: {path}", next_step="choose a shorter one: `--socket`")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
        probe.connect(str(path))
        raise Conflict(f"another control already answers at {path}", next_step="use that one, end it, or choose another --socket")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    listener.bind(str(path))
    os.chmod(path, 0o600)
    listener.listen(128)
    return listener


async def _serve(options: Options, listener: socket.socket, parent: int | None) -> None:
    """From the first request to the last."""
    stop = _stop_event(parent)
    state = await asyncio.to_thread(open_state, options)
    try:
        await state.records.write(leases.reprieve, now=state.clock(), ttl_s=state.lease_ttl_s)
        serving = asyncio.create_task(Service(state).serve(listener))
        await state.groups.refresh(state.principal)
        state.spawn(lifetimes.sweep_forever(state), "sweep")
        state.spawn(state.watch(), "watch over the policy")
        state.spawn(submissions.resume(state), "submissions left unfinished")
        state.spawn(stops.follow_forever(state), "suspensions")
        state.spawn(breakglass.follow_forever(state), "break-glass")
        state.spawn(notify.deliver_forever(state), "notices")
        _say_ready(options, state)
        await asyncio.wait([serving, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
        await _end(state, serving)
    finally:
        await asyncio.to_thread(state.records.close)
        options.settings.token_file.unlink(missing_ok=True)


def _stop_event(parent: int | None) -> asyncio.Event:
    """Set by SIGTERM, by the end of the parent whose pidfd this is, and without one by Ctrl-C."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # Ctrl-C reaches the whole process group: the launcher decides what it means (Jupyter asks first), control ends with it
    loop.add_signal_handler(signal.SIGINT, stop.set if parent is None else (lambda: None))
    if parent is not None:
        loop.add_reader(parent, _parent_ended, parent, stop)
    return stop


def _parent_ended(parent: int, stop: asyncio.Event) -> None:
    asyncio.get_running_loop().remove_reader(parent)
    stop.set()


def open_state(options: Options) -> ControlState:
    """Policy, catalogue and records, read for the first time; a broken policy is told, and control runs on to tell it."""
    settings = options.settings
    policies = PolicyHolder(settings.policy_path)
    policies.refresh()
    for problem in policies.errors:
        log.error("policy: %s", problem)
    token = secrets.token_urlsafe(32)
    _write_private(settings.token_file, token)
    return ControlState(
        settings=settings,
        principal=principal_of(settings),
        policies=policies,
        catalogs=CatalogFolder(settings.catalog_path),
        records=open_records(settings.state_dir / "records.sqlite", journal=settings.state_dir / "audit.jsonl"),
        token=token,
        lease_ttl_s=options.lease_ttl_s,
        groups=Groups(system_groups if settings.person is None else None),
    )


async def _end(state: ControlState, serving: asyncio.Task[None]) -> None:
    """Workers first, then requests, then leases: nothing starts while the rest is settled."""
    state.stopping.set()
    for hook in state.at_end:
        await hook()
    serving.cancel()
    for task in state.tasks:
        task.cancel()
    await asyncio.gather(serving, *state.tasks, return_exceptions=True)
    await lifetimes.end_all(state)
    await state.egress.stop()


def _write_private(path: Path, text: str) -> None:
    """A file of mode 0600, there whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "w") as file:
        file.write(text)
    os.replace(fresh, path)


def _say_ready(options: Options, state: ControlState) -> None:
    """One JSON line with socket and token on the fd of whoever started this."""
    if options.ready_fd is None:
        return
    with open(options.ready_fd, "w") as pipe:
        pipe.write(json.dumps({"socket": str(state.settings.control_socket), "token": state.token}) + "\n")
