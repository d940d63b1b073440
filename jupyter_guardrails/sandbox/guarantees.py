"""From the layers that a start reported to guarantees in plain words. Pure: no operating system in here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from jupyter_guardrails.errors import GuardrailsError, HostCannotEnforce
from jupyter_guardrails.sandbox.spec import GUARANTEES, Guarantee, SandboxSpec

Layers = dict[str, Any]
SCOPE_SIGNAL = 2
LANDLOCK_FOR_FILES, LANDLOCK_FOR_SCOPES = 3, 6  # truncation since version 3; signals and abstract sockets since version 6

ENABLE_LANDLOCK = (
    "start Linux 6.12 or newer with `landlock` in its lsm= parameter; in a container, allow the landlock_* system calls in its seccomp profile"
)
ENABLE_USER_NAMESPACES = (
    "allow unprivileged user namespaces: sysctl user.max_user_namespaces above 0 (ENOSPC); kernel.apparmor_restrict_unprivileged_userns=0 or an "
    "AppArmor profile with `userns` (EPERM or EACCES on Ubuntu); kernel.unprivileged_userns_clone=1 (EPERM on Debian); in a container, a seccomp "
    "profile that allows unshare and clone with CLONE_NEWUSER"
)
ENABLE_SECCOMP = "use a Linux kernel with CONFIG_SECCOMP_FILTER on x86-64 or aarch64"
NO_OWN_ROOT = "not asked for"
ENFORCE = "set `mode: enforce` in the policy, or in a rule for these people, and start the kernel again"
OWN_ROOT = (
    f"{ENABLE_USER_NAMESPACES}; or "
    "move the sockets of ssh agents, session buses and container engines below a directory that this account cannot enter, or run the server under "
    "an account that may not use them"
)


def judge(layers: Layers, spec: SandboxSpec) -> tuple[Guarantee, ...]:
    """One verdict for every guarantee, in the order of `GUARANTEES`."""
    verdicts = {
        "files": _observed_files(layers, spec) if spec.observed else _files(layers),
        "network": _network(layers, spec),
        "processes": _processes(layers, spec),
        "memory": _memory(layers, spec),
        "sockets": _sockets(layers),
    }
    return tuple(verdicts[name] for name in GUARANTEES)


def softened(guarantees: Iterable[Guarantee], observed: Iterable[str]) -> tuple[Guarantee, ...]:
    """What a machine can hold, for a person whose policy only observes some of it."""
    names = {*observed, *(("sockets",) if "files" in observed else ())}  # where files are open, so are sockets with a path
    how = "the policy does not enforce: nothing is refused, what would be is recorded; this machine {} hold it"
    return tuple(
        replace(g, held=False, how=how.format("could" if g.held else "could not"), next_step=ENFORCE) if g.name in names else g for g in guarantees
    )


def nothing_holds(reason: str) -> tuple[Guarantee, ...]:
    """The verdicts for a machine on which not even the start worked."""
    return tuple(Guarantee(name, False, f"a sandboxed process cannot be started at all: {reason}", ENABLE_LANDLOCK) for name in GUARANTEES)


def check_required(guarantees: Iterable[Guarantee], require: Iterable[str]) -> None:
    """HostCannotEnforce, naming each required guarantee that does not hold and the setting that would change it."""
    known = {guarantee.name: guarantee for guarantee in guarantees}
    unknown = [name for name in require if name not in known]
    if unknown:
        raise GuardrailsError(f"there is no guarantee called {', '.join(unknown)}", next_step=f"require any of {', '.join(GUARANTEES)}")
    lacking = [known[name] for name in require if not known[name].held]
    if lacking:
        raise HostCannotEnforce(
            "this machine cannot give what the policy requires: " + "; ".join(f"{g.name} ({g.how})" for g in lacking),
            next_step="; or ".join(dict.fromkeys(g.next_step for g in lacking if g.next_step)),
        )


def _observed_files(layers: Layers, spec: SandboxSpec) -> Guarantee:
    """Nothing is refused but what is shut; without Landlock not even that is."""
    if layers["landlock"]["reason"]:
        return _files(layers)
    record = f"; nothing is recorded either ({layers['trace']})" if layers["trace"] else "; what would be refused is recorded"
    return Guarantee(
        "files", False, f"the policy does not enforce: files are not refused, but for {len(spec.shut)} places that stay shut{record}", ENFORCE
    )


def _files(layers: Layers) -> Guarantee:
    landlock = layers["landlock"]
    if landlock["reason"]:
        return Guarantee("files", False, f"Landlock is not available ({landlock['reason']}): every file of the account is open", ENABLE_LANDLOCK)
    if landlock["abi"] < LANDLOCK_FOR_FILES:
        how = f"Landlock version {landlock['abi']} is too old: files outside could be emptied by truncation"
        return Guarantee("files", False, how, ENABLE_LANDLOCK)
    root = "; it runs as root, so files that only root may read are readable below the listed directories" if layers["uid"] == 0 else ""
    how = f"processes can open only the listed files and directories (Landlock version {landlock['abi']}); {_elsewhere(layers)}{root}"
    return Guarantee("files", True, how, "run the server under an ordinary account" if root else "")


def _elsewhere(layers: Layers) -> str:
    if not layers.get("own_root", NO_OWN_ROOT):
        return "nothing else is there for them, not even its name"
    return "names, sizes and dates elsewhere stay visible, and the account's own files can have their modes and dates changed"


def _network(layers: Layers, spec: SandboxSpec) -> Guarantee:
    if spec.network == "host" and spec.observed:
        return Guarantee("network", False, "the policy does not enforce: the network of this machine is open, connections are recorded", ENFORCE)
    if spec.network == "host":
        return Guarantee("network", False, "the network of this machine was asked for on purpose: TCP and UDP to anywhere", "")
    if layers["seccomp"]:
        return Guarantee("network", False, f"no system call filter ({layers['seccomp']})", ENABLE_SECCOMP)
    if not layers["network_namespace"]:
        return Guarantee("network", True, "a network of its own with nothing in it but its loopback; UDP and raw sockets are refused")
    why = layers["network_namespace"]
    how = f"no network of its own ({why}), so every internet socket is refused: also to its own loopback and to allowed hosts"
    return Guarantee("network", True, how, ENABLE_USER_NAMESPACES)


def _processes(layers: Layers, spec: SandboxSpec) -> Guarantee:
    landlock = layers["landlock"]
    if layers["seccomp"]:
        return Guarantee("processes", False, f"no system call filter ({layers['seccomp']}): debugging other processes is possible", ENABLE_SECCOMP)
    if landlock["abi"] < LANDLOCK_FOR_SCOPES or not landlock["scopes"] & SCOPE_SIGNAL:
        version = f"version {landlock['abi']}, {LANDLOCK_FOR_SCOPES} needed"
        how = f"Landlock is missing or too old ({version}): other processes of the account can be signalled"
        return Guarantee("processes", False, how, ENABLE_LANDLOCK)
    held = "signals and debugging end at the sandbox, and nothing started in it survives it"
    if spec.limits.tasks is None:
        return Guarantee("processes", True, f"{held}; the number of processes is not limited")
    if layers["process_count"]:
        step = "run the server under an ordinary account" if layers["uid"] == 0 else ENABLE_USER_NAMESPACES
        return Guarantee("processes", False, f"{held}; but their number is not limited: {layers['process_count']}", step)
    return Guarantee("processes", True, f"{held}; at most {spec.limits.tasks} processes and threads")


def _memory(layers: Layers, spec: SandboxSpec) -> Guarantee:
    if spec.limits.memory_bytes is None:
        return Guarantee("memory", False, "no memory limit was asked for", "give the profile a memory limit")
    if layers["seccomp"]:
        return Guarantee("memory", False, f"no system call filter ({layers['seccomp']}): a process could raise its own limit", ENABLE_SECCOMP)
    if layers.get("data_limit"):
        return Guarantee("memory", False, f"its data limit cannot be set from outside: {layers['data_limit']}", "run it under the server's account")
    shared = "all of its own /dev/shm counts, a memfd" if not layers.get("own_root", NO_OWN_ROOT) else "a memory file (memfd, /dev/shm) counts"
    how = (
        f"{spec.limits.memory_bytes >> 20} MiB: the program that started it caps each process several times a second (MemoryError in the cell), then "
        f"interrupts, ends the biggest child or empties the biggest memory file, ends the tree; {shared} once it was seen open"
    )
    return Guarantee("memory", True, how)


def _sockets(layers: Layers) -> Guarantee:
    if not layers.get("own_root", NO_OWN_ROOT):
        return Guarantee("sockets", True, "only the listed folders exist for it: sockets of other programs, and names of other files, are not there")
    scoped = not layers["network_namespace"] or bool(layers["landlock"].get("scopes"))
    abstract = "abstract ones of other processes are out of reach" if scoped else "so can abstract ones"
    why = f"it has no root of its own ({layers.get('own_root', NO_OWN_ROOT)})"
    how = f"{why}: unix sockets with a path can be connected to wherever file permissions allow, because Landlock does not control that; {abstract}"
    return Guarantee("sockets", False, how, OWN_ROOT)
