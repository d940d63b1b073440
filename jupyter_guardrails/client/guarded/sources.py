"""Where datasets come from in this process: the kernel's broker, a job's bindings, or nowhere."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from guarded.channel import TIMEOUT_S, Channel
from guarded.errors import GuardedError, NotFound, Unavailable


class Bindings:
    """A production job's datasets: a JSON file `{name: path}` that the job's run wrote; null for one that is read through `channel`."""

    def __init__(self, file: str, channel: Channel | None = None) -> None:
        self.file = file
        self.pid = os.getpid()
        self._channel = channel

    def call(self, op: str, *, timeout_s: float = 0.0, send: Sequence[int] = (), **args: Any) -> tuple[dict[str, Any], list[int]]:
        """The same answers as the broker's, for what a job may do: search, path, open; all else for what is read through the broker."""
        if self._channel is not None and (op == "datasets.scan_end" or self._is_brokered(args.get("name"))):
            return self._channel.call(op, timeout_s=timeout_s or TIMEOUT_S, send=send, **args)
        if op == "datasets.search":
            return {"datasets": [_row(name) for name in sorted(self._paths()) if args["q"] in name]}, []
        if op == "datasets.path":
            return {"path": self._path(args["name"]), "bound": True}, []
        if op == "datasets.open":
            return self._open(self._path(args["name"]), args.get("file"))
        if op == "explain":
            return {"message": ""}, []
        raise GuardedError(f"a production job can't do this: {op}", next_step="do it in a governed kernel and submit the notebook again")

    def _is_brokered(self, name: str | None) -> bool:
        paths = self._paths()
        return name in paths and paths[name] is None

    def _paths(self) -> dict[str, str | None]:
        try:
            with open(self.file, encoding="utf-8") as file:
                return dict(json.load(file))
        except (OSError, ValueError) as error:
            raise Unavailable(f"the job's list of datasets can't be read: {error}", next_step="start the job with its run.py") from error

    def _path(self, name: str) -> str:
        paths = self._paths()
        if name not in paths:
            known = ", ".join(sorted(paths)) or "none"
            raise NotFound(f"this job has no dataset {name} (it has: {known})", next_step=f"start it with --dataset {name}=PATH")
        where = paths[name]
        if where is None:
            raise Unavailable(f"{name} is read through the broker, and this process has none", next_step="start the job with `job run`")
        return os.path.abspath(where)

    def _open(self, path: str, file: str | None) -> tuple[dict[str, Any], list[int]]:
        chosen = os.path.join(path, file) if file else path
        fd = os.open(chosen, os.O_RDONLY | os.O_CLOEXEC)
        return {"path": chosen, "size": os.fstat(fd).st_size}, [fd]


def _row(name: str) -> dict[str, Any]:
    return {"name": name, "description": "bound to this job", "owner": "", "classification": "", "status": "granted", "next_step": ""}


_source: Channel | Bindings | None = None


def current() -> Channel | Bindings:
    """This process's source: a forked child gets a connection of its own, since two processes on one would mix up their answers."""
    global _source
    if _source is None or _source.pid != os.getpid():
        _source = _find(os.environ.get("GUARDRAILS_CHANNEL", ""), os.environ.get("GUARDRAILS_BINDINGS", ""))
    return _source


def _find(channel: str, bindings: str) -> Channel | Bindings:
    if bindings:  # a job's own, also where it runs in a sandbox with a channel
        return Bindings(bindings, Channel(channel) if channel else None)
    if channel:
        return Channel(channel)
    raise Unavailable(
        "datasets are given out in governed kernels and jobs only, and this is neither (GUARDRAILS_CHANNEL and GUARDRAILS_BINDINGS are not set)",
        next_step="open the notebook in `jupyter guardrails lab`",
    )
