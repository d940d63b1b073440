"""Gives kernels a root of their own, from outside the server's Landlock domain, in which nobody may mount.

It is forked by the launcher, keeps the two capabilities that mounting takes (of the launcher's user namespace, never of the machine), and takes
orders from control alone. An order names what a kernel asks to see; it gets what the launcher's table holds, its own private folder, and what control
granted by path, device and inode. Each order is carried out by a child with a deadline, so that one that hangs holds up no other.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from jupyter_guardrails.sandbox import launch_mounts as mounts
from jupyter_guardrails.sandbox import launch_root, mounter_live, wire
from jupyter_guardrails.sandbox.beneath import open_beneath
from jupyter_guardrails.sandbox.launch_libc import PR_SET_DUMPABLE, drop_capabilities, no_new_privileges, prctl, syscall
from jupyter_guardrails.sandbox.launch_namespaces import NEWNS, NEWPID, NEWUSER
from jupyter_guardrails.sandbox.launch_root import Found, Shown, View

CAP_SYS_CHROOT, CAP_SYS_ADMIN = 18, 21
SETNS = {"x86_64": 308, "aarch64": 268}
DEADLINE_S = 8
ROOT = "/tmp"  # where in a kernel's mount namespace its root is put together; it then is "/" and nothing else is left
PRIVATE = re.compile(r"(?P<kernel>[0-9a-f]{8})/(?P<part>c|tmp|state|data|config|config/migrated|hosts|passwd|group)")
GIVES = {"read": ("read",), "write": ("write", "read"), "device": ("device",)}
COVERED = {"/etc/hosts": "hosts", "/etc/passwd": "passwd", "/etc/group": "group"}


@dataclass(frozen=True, slots=True)
class Tables:
    """What the launcher lets kernels see: paths held since the launch, and the folder of private folders."""

    found: Found
    private_path: str
    private: int
    root: int  # an O_PATH descriptor of the directory that every kernel's root is: the server's domain has a rule for it
    server: int  # process id


def serve(control: socket.socket, tables: Tables) -> NoReturn:
    """Carry out orders until control or the server has ended."""
    try:
        _harden(control, tables)
        _listen(control, tables)
    except Exception:  # noqa: BLE001 - a defect of ours: it is shown, control sees the end, and nothing starts any more
        traceback.print_exc()
    finally:
        os._exit(0)  # never back into the launcher's stack


def _listen(control: socket.socket, tables: Tables) -> None:
    server = os.pidfd_open(tables.server)
    poll = select.poll()
    for fd in (control.fileno(), server):
        poll.register(fd, select.POLLIN)
    while server not in dict(poll.poll()):
        order, fds = wire.receive_in_memory(control)
        if not order:
            return
        _carry_out(control, tables, order, fds)


def _harden(control: socket.socket, tables: Tables) -> None:
    """Nothing of this account reads its memory, a terminal's Ctrl-C is not for it, and it holds none of the launcher's sockets."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended children need no burial
    keep = sorted({control.fileno(), tables.private, tables.root, *(one.handle for one in tables.found.shown)})
    for after, before in zip([2, *keep], [*keep, 1 << 20], strict=True):
        os.closerange(after + 1, before)
    prctl(PR_SET_DUMPABLE, 0)
    no_new_privileges()
    drop_capabilities(keep=(CAP_SYS_CHROOT, CAP_SYS_ADMIN))


def _carry_out(control: socket.socket, tables: Tables, order: dict[str, Any], fds: list[int]) -> None:
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.alarm(DEADLINE_S)
        try:
            answer = _do(tables, order, fds[0])
        except Exception as error:  # noqa: BLE001 - whatever it was, control must hear that it was not done
            answer = {"error": f"{type(error).__name__}: {error}"}
        with suppress(OSError):  # control has gone: it refuses the start by itself
            wire.send_in_memory(control, {"id": order.get("id"), **answer})
        os._exit(0)
    for fd in fds:
        os.close(fd)


def _do(tables: Tables, order: dict[str, Any], process: int) -> dict[str, Any]:
    return {"failed": follow(tables, order["follow"], process)} if "follow" in order else give_root(tables, order, process)


def follow(tables: Tables, body: dict[str, Any], process: int) -> dict[str, str]:
    """Have a kernel that runs see the datasets of an order, and no others; place -> why not."""
    order = mounter_live.Order.read(body)
    folder = _open_private(tables, order.folder, ("data",))

    def enter(work: Callable[[], Any]) -> Any:
        return _in_child(lambda: _inside(process, work))

    return mounter_live.carry_out(order, folder=folder, root=tables.root, enter=enter)


def _inside(process: int, work: Callable[[], Any]) -> Any:
    syscall(SETNS[os.uname().machine], process, NEWUSER | NEWNS)
    return work()


def give_root(tables: Tables, order: dict[str, Any], process: int) -> dict[str, Any]:
    """Put a root together in the namespaces of the process behind a pidfd, and make it its root.

    `missing`: what of the order isn't to be had; `written`: the places in it that are written and outlive it.
    """
    asked = order["asked"]
    found = choose(tables, asked, order["granted"])
    view = View((), (), shm_bytes=order["shm_bytes"], terminal=asked["terminal"], fresh_proc=asked["fresh_proc"])
    trees = launch_root.copies(found.shown)
    root = mounts.copy_tree(tables.root)
    # refused for the server itself, whose user namespace this one is: only a sandbox gets another root
    syscall(SETNS[os.uname().machine], process, NEWUSER | NEWNS | (NEWPID if view.fresh_proc else 0))
    _in_child(lambda: _build(root, view, trees, found.links))
    own = tables.private_path + "/"  # goes with the kernel
    lasting = [one.path for one in found.shown if one.rights == "write" and not one.elsewhere and not one.path.startswith(own)]
    return {"missing": found.missing, "written": lasting}


def choose(tables: Tables, asked: dict[str, Any], granted: dict[str, Any]) -> Found:
    """Of what is asked for: what the launcher's table has, what is the kernel's own, and what control granted. All else is missing."""
    found = Found([], dict(tables.found.links), [])
    for rights in ("read", "write", "device"):
        allowed = {entry["path"]: entry for entry in granted[rights]}
        for path in asked[rights]:
            if path not in launch_root.ALREADY:
                _choose_one(tables, found, path, rights, allowed.get(path))
    for source, target in asked["covers"]:
        launch_root.cover(found, _open_private(tables, source, (COVERED[target],)), target)
    if asked["temporary"]:
        found.shown.append(Shown(launch_root.TEMPORARY, _open_private(tables, asked["temporary"], ("tmp",)), "write", elsewhere=True))
    return found


def _choose_one(tables: Tables, found: Found, path: str, rights: str, granted: dict[str, Any] | None) -> None:
    try:
        real, handle = _granted(found, granted) if granted else _private(tables, path) or _listed(tables, path, rights)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        found.missing.append(path)
    else:
        found.shown.append(Shown(real, handle, rights))


def _granted(found: Found, entry: dict[str, Any]) -> tuple[str, int]:
    """A path of the policy or of a dataset: the very file that control saw, without a symbolic link that somebody put in its way since."""
    real = launch_root.follow(entry["path"], found.links)
    handle = open_beneath("/", real.lstrip("/"), os.O_PATH, no_symlinks=True)
    now = os.fstat(handle)
    if [now.st_dev, now.st_ino] != entry["file"]:
        raise ValueError(f"{entry['path']} is another file than the one that was granted")
    return real, handle


def _listed(tables: Tables, path: str, rights: str) -> tuple[str, int]:
    """Something of the launcher's table, or below it; FileNotFoundError for anything else."""
    real = launch_root.follow_known(path, tables.found.links)
    if real == tables.private_path or real.startswith(tables.private_path + "/"):
        raise FileNotFoundError(path)  # the server's, with the folders of all its kernels in it
    for one in tables.found.shown:
        if rights in GIVES[one.rights] and (real == one.path or real.startswith(one.path + "/")):
            below = os.path.relpath(real, one.path)
            return real, one.handle if below == "." else open_beneath(one.handle, below, os.O_PATH, no_symlinks=True)
    raise FileNotFoundError(path)


def _private(tables: Tables, path: str) -> tuple[str, int] | None:
    """A folder of a kernel's own, None for another path."""
    matched = PRIVATE.fullmatch(os.path.relpath(path, tables.private_path))
    return (path, _open_private(tables, path, (matched["part"],))) if matched else None


def _open_private(tables: Tables, path: str, parts: tuple[str, ...]) -> int:
    """A part of a kernel's private folder; PermissionError for any other path."""
    matched = PRIVATE.fullmatch(os.path.relpath(path, tables.private_path))
    if not matched or matched["part"] not in parts:
        raise PermissionError(f"{path} is not a folder of a kernel's own")
    return open_beneath(tables.private, matched[0], os.O_PATH, no_symlinks=True)


def _build(root: int, view: View, trees: list[launch_root.Tree], links: dict[str, str]) -> None:
    mounts.set_propagation(mounts.MS_PRIVATE)
    mounts.put(root, ROOT)
    launch_root.assemble(ROOT, view, trees, links)
    mounts.pivot(ROOT)


def _in_child(work: Callable[[], Any]) -> Any:
    """What it returns, as JSON can say it: in a child, since nobody comes back from a namespace that was entered, and of a process namespace
    only children are in it. Its error is raised here."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        signal.alarm(DEADLINE_S)
        try:
            told = {"done": work()}
        except Exception as error:  # noqa: BLE001 - it travels to the parent, which raises it
            told = {"problem": f"{type(error).__name__}: {error}"[:4000]}
        with open(write_end, "w") as pipe:
            json.dump(told, pipe)
        os._exit(0)
    os.close(write_end)
    with open(read_end) as answer:
        said = answer.read()
    status = os.waitpid(child, 0)[1]
    heard = json.loads(said) if said else {}
    if status or "done" not in heard:
        raise OSError(heard.get("problem") or "it did not end in time")
    return heard["done"]
