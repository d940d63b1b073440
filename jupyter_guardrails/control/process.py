"""The process `jupyter guardrails control`: hardened, alone on its state directory, ready, and ended in good order."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from jupyter_guardrails.catalog import CatalogFolder
from jupyter_guardrails.control import (
    activation,
    auditing,
    breakglass,
    company_network,
    descriptor_store,
    hardening,
    lapses,
    lifetimes,
    live_grants,
    notify,
    publishing,
    reattach,
    sampling,
    stops,
    submissions,
    usage,
)
from jupyter_guardrails.control.credentials import CredentialsFile
from jupyter_guardrails.control.descriptor_store import LISTENER, DescriptorStore
from jupyter_guardrails.control.groups import Groups, system_groups
from jupyter_guardrails.control.interface import Settings
from jupyter_guardrails.control.lineage import Lineage, Target
from jupyter_guardrails.control.peers import account_of
from jupyter_guardrails.control.policies import PolicyHolder
from jupyter_guardrails.control.service import Service
from jupyter_guardrails.control.state import LEASE_TTL_S, ControlState, log
from jupyter_guardrails.errors import BadRequest, Conflict, Refused
from jupyter_guardrails.records import leases, open_records
from jupyter_guardrails.records.places import private_directory
from jupyter_guardrails.sandbox.wire import SEALS

TOKEN = "token"  # the name under which it is kept
SOCKET_PATH_BYTES = 107  # struct sockaddr_un: 108 with its NUL


@dataclass(frozen=True, slots=True)
class Options:
    """How control was started."""

    settings: Settings
    ready_fd: int | None = None
    die_with_parent: bool = False
    lease_ttl_s: float = LEASE_TTL_S
    lasting: bool = False  # SIGTERM leaves leases, socket and token to the control that is started next


def run(options: Options) -> int:
    """Serve until SIGTERM; 0 after a clean end. Raises what keeps it from starting, with the next step."""
    settings = options.settings
    os.umask(0o077)
    hardening.not_dumpable()
    hardening.many_descriptors()
    parent = hardening.end_with_parent() if options.die_with_parent else None
    store = descriptor_store.from_environment(os.environ)
    private_directory(settings.state_dir)
    lock = hardening.hold_lock(settings.state_dir)
    try:
        with contextlib.closing(_listener(settings, store)) as listener:
            asyncio.run(_serve(options, listener, parent, store))
            if not options.lasting:
                settings.control_socket.unlink(missing_ok=True)
    finally:
        os.close(lock)
    return 0


def principal_of(settings: Settings) -> str:
    """Who everyone on this socket is: the account of this process, never a name that a variable can set; `--as` in *own* mode only."""
    if settings.person is None:
        return account_of(os.getuid())
    if not settings.self_chosen:
        raise Refused("--as is for demos: this machine has an admin's policy", next_step="leave --as away")
    return settings.person


def listen(path: Path, *, for_everyone: bool = False) -> socket.socket:
    """A listening socket that this uid, or `for_everyone` each account, may reach; Conflict when another control answers there."""
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        raise BadRequest(f"the socket's path is longer than {SOCKET_PATH_BYTES} bytes: {path}", next_step="choose a shorter one: `--socket`")
    activation.make_folder(path.parent) if for_everyone else path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
        probe.connect(str(path))
        raise Conflict(f"another control already answers at {path}", next_step="use that one, end it, or choose another --socket")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    listener.bind(str(path))
    os.chmod(path, 0o666 if for_everyone else 0o600)
    listener.listen(128)
    return listener


def _listener(settings: Settings, store: DescriptorStore) -> socket.socket:
    """The listening socket that systemd made, or of the control before this one, whose callers still wait in its queue; else a fresh one."""
    path = settings.control_socket
    if given := activation.listener(path, store):
        return given
    for fd in store.take(LISTENER):
        kept = socket.socket(fileno=fd)
        if kept.getsockname() == str(path) and path.is_socket():
            kept.setblocking(False)
            return kept
        kept.close()
    store.remove(LISTENER)
    made = listen(path, for_everyone=settings.service)
    store.put(LISTENER, [made.fileno()])
    return made


async def _serve(options: Options, listener: socket.socket, parent: int | None, store: DescriptorStore) -> None:
    """From the first request to the last."""
    stop = _stop_event(parent)
    state = await asyncio.to_thread(open_state, options, store)
    try:
        await state.records.write(leases.reprieve, now=state.clock(), ttl_s=state.lease_ttl_s)
        upkeep = await auditing.begin(state)
        await reattach.reattach(state)
        # before the first request: tasks begin in the order in which they are made, and what is submitted now is none of its business
        state.spawn(submissions.resume(state), "submissions left unfinished")
        state.spawn(publishing.tidy(state), "files of publications")
        serving = asyncio.create_task(Service(state).serve(listener))
        await state.groups.refresh(state.principal)
        sampling.resume(state.sampler, await state.records.read(leases.live, None))
        state.spawn(lifetimes.sweep_forever(state), "sweep")
        state.spawn(sampling.sample_forever(state.sampler, ttl_s=state.lease_ttl_s), "samples of kernels")
        state.spawn(usage.tidy_forever(state), "tidy up")
        state.spawn(auditing.keep_up(state, upkeep), "upkeep of the audit log")
        state.spawn(state.watch(), "watch over the policy")
        state.spawn(stops.follow_forever(state), "suspensions")
        state.spawn(lapses.follow_forever(state), "approvals that end")
        state.spawn(breakglass.follow_forever(state), "break-glass")
        state.spawn(live_grants.follow_forever(state), "data of kernels that run")
        state.spawn(notify.deliver_forever(state), "notices")
        store.say("READY=1")  # first: whoever is told by the pipe may kill this process at once, and expects that it is started again
        _say_ready(options, state)
        await asyncio.wait([serving, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
        store.say("STOPPING=1")
        await _end(state, serving, lasting=options.lasting)
    finally:
        await asyncio.to_thread(state.records.close)
        if not options.lasting:
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
    log.warning("whoever started this control has ended, and so it ends")
    asyncio.get_running_loop().remove_reader(parent)
    stop.set()


def open_state(options: Options, store: DescriptorStore | None = None) -> ControlState:
    """Policy, catalogue and records, read for the first time; a broken policy is told, and control runs on to tell it."""
    settings = options.settings
    policies = PolicyHolder(settings.policy_path)
    policies.refresh()
    for problem in policies.errors:
        log.error("policy: %s", problem)
    credentials = CredentialsFile(settings.credentials_path, shared_account=not settings.service)
    credentials.problems()  # logs them
    store = store or DescriptorStore()
    token = _token(store)
    _write_whole(settings.token_file, token, mode=0o644 if settings.service else 0o600)
    return ControlState(
        settings=settings,
        principal=principal_of(settings),
        policies=policies,
        catalogs=CatalogFolder(settings.catalog_path, cache=settings.state_dir / "catalogue.sqlite"),
        records=open_records(database_of(settings), journal=settings.state_dir / "audit.jsonl"),
        token=token,
        lineage=lineage_of(settings),
        lease_ttl_s=options.lease_ttl_s,
        store=store,
        credentials=credentials,
        groups=Groups(system_groups if settings.person is None else None),
    )


def _token(store: DescriptorStore) -> str:
    """The secret that callers know already, where one was kept, in memory that nobody can change; else a fresh one."""
    for fd in store.take(TOKEN):
        with open(fd, "rb") as kept:
            return os.pread(kept.fileno(), 200, 0).decode()
    token = secrets.token_urlsafe(32)
    memory = os.memfd_create("token", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.write(memory, token.encode())
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, SEALS)
        store.put(TOKEN, [memory])
    finally:
        os.close(memory)
    return token


async def _end(state: ControlState, serving: asyncio.Task[None], *, lasting: bool) -> None:
    """Workers first, then requests, then leases: nothing starts while the rest is settled."""
    state.stopping.set()
    for hook in state.at_end:
        await hook()
    serving.cancel()
    for task in state.tasks:
        task.cancel()
    await asyncio.gather(serving, *state.tasks, return_exceptions=True)
    await (lifetimes.leave_all(state) if lasting else lifetimes.end_all(state))
    await state.brokers.stop()
    await auditing.end(state)
    await (state.egress.leave() if lasting else state.egress.stop())


def lineage_of(settings: Settings) -> Lineage:
    """Where what was read in which run is told."""
    bundle = company_network.read(settings.policy_path).ca_bundle if settings.lineage_url else None
    return Lineage(settings.state_dir / "lineage.ndjson", Target(settings.lineage_url, settings.lineage_token_file, bundle))


def database_of(settings: Settings) -> str | Path:
    """Where the records are; an address that names a password file keeps it."""
    if not settings.records:
        return settings.state_dir / "records.sqlite"
    if not settings.records_passfile or "passfile=" in settings.records:
        return settings.records
    return f"{settings.records}{'&' if '?' in settings.records else '?'}passfile={quote(settings.records_passfile)}"


def _write_whole(path: Path, text: str, *, mode: int) -> None:
    """A file of this mode, there whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "w") as file:
        file.write(text)
        os.fchmod(fd, mode)
    os.replace(fresh, path)


def _say_ready(options: Options, state: ControlState) -> None:
    """One JSON line with socket and token on the fd of whoever started this."""
    if options.ready_fd is None:
        return
    with contextlib.suppress(BrokenPipeError), open(options.ready_fd, "w") as pipe:  # one before this one has said it, and died at once
        pipe.write(json.dumps({"socket": str(state.settings.control_socket), "token": state.token}) + "\n")
