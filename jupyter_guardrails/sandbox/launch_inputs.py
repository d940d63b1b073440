"""What a traced program really opened and connected to, where that is to be known and not judged: a clean run's inputs and outputs."""

from __future__ import annotations

import os

from .launch_seen import COMPILED, Judge, Named, changeable, folder, printable, within

MOST = 10_000  # different files of one run that are told apart
MODULES = (b".pyc", b".so")  # of the environment they are its own, whatever they are links to: most opens are of these


class Recorder(Judge):
    """Says each file once that lies in `told` or outside of `beside` (the nearest one decides): interpreters and libraries open thousands.

    The third part of what it says is whether the sandbox, which has these lists, refused it. A directory that is listed is no input.
    """

    most = MOST

    def __init__(self, told: list[str], beside: list[str], **lists: list[str]) -> None:
        super().__init__(**lists)
        self._told = frozenset(folder(path) for path in told)
        self._beside = frozenset(folder(path) for path in beside) - self._told
        self._modules: dict[bytes, bytes] = {}  # a folder -> where it leads, with a slash; nothing where it isn't the environment's

    def _path(self, kind: str, raw: bytes) -> tuple[str, str] | None:
        if raw.endswith(MODULES) and self._is_the_environments(raw):
            return None
        path = self._real(raw, entry=kind == "entry")
        if not self._is_told(path):
            return None
        mine = within(path, self._write)
        if mine and COMPILED in path.split(b"/"):
            return None
        if kind == "read":
            return ("read", printable(path)) if os.path.exists(path) and not os.path.isdir(path) else None
        return ("write", printable(path)) if mine or changeable(path, kind) else None

    def rest(self) -> None:
        """Nothing waits to be looked at: where folders lead may change until there is."""
        super().rest()
        self._modules.clear()

    def _is_the_environments(self, module: bytes) -> bool:
        """Whether it lies in a folder that is neither told nor one where the program may write: there it could make a link to anything."""
        folder, _, name = module.rpartition(b"/")
        real = self._modules.get(folder)
        if real is None:
            real = os.path.dirname(self._real(module, entry=True))
            real = self._modules[folder] = b"" if self._is_told(real) or within(real, self._write) else os.path.join(real, b"")
        path = real + name
        return bool(real) and path not in self._told and path not in self._write

    def _is_told(self, path: bytes) -> bool:
        while path not in self._told:
            if path in self._beside:
                return False
            if path in (b"/", b""):
                return True
            path = os.path.dirname(path)
        return True

    def _was_stopped(self, named: Named, path: bytes) -> bool:
        if named.kind == "address":
            return False
        return not within(self._real(path, entry=named.kind == "entry"), self._read if named.kind == "read" else self._write)
