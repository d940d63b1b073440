"""Approved places that don't speak HTTP, as a kernel sees them: their names in its /etc/hosts, and listeners behind the addresses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jupyter_guardrails.control.interface.messages import Forward, ListenerKind
from jupyter_guardrails.kernels.folders import KernelFolders

HOSTS = "/etc/hosts"


def listener_kinds(count: int, first: Sequence[ListenerKind] = ("channel", "proxy")) -> list[ListenerKind]:
    """What the listeners of a start are, in the order in which they come."""
    forwards: list[ListenerKind] = ["forward"] * (count - len(first))
    return [*first, *forwards][:count]


def write_hosts(folders: KernelFolders, forwards: Sequence[Forward], machine: Path | str = HOSTS) -> None:
    """The machine's /etc/hosts with the names of `forwards` before it; nothing without any. In place: it may be in a kernel's root already."""
    if not forwards:
        return
    names = {forward.host: forward.address for forward in forwards}
    ours = [f"{address}\t{name}\n" for name, address in names.items()]
    folders.hosts.write_text("".join([*ours, *_without(Path(machine), names)]), encoding="utf-8", errors="surrogateescape")


def _without(machine: Path, names: dict[str, str]) -> list[str]:
    """Lines of a hosts file, without these names: another address of the same name (IPv6) leads nowhere from inside."""
    try:
        lines = machine.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        address, *others = line.partition("#")[0].split() or [""]
        kept = [name for name in others if name.lower().removesuffix(".") not in names]
        if kept:
            found.append("\t".join([address, *kept]) + "\n")
    return found
