"""What a policy that only observes or warns leaves open for a kernel, and what stays shut all the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.control import company_network, notify
from jupyter_guardrails.control.interface.settings import ADMIN_DIR
from jupyter_guardrails.control.rights import rights
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.policy import EffectivePolicy


@dataclass(frozen=True, slots=True)
class Bounds:
    """`observed`: which of files and network are recorded and not refused; `shut`: real paths that stay closed; `softly`: datasets that are
    delivered although enforcement would refuse them."""

    observed: tuple[str, ...] = ()
    shut: tuple[str, ...] = ()
    softly: frozenset[str] = frozenset()


async def bounds(state: ControlState, policy: EffectivePolicy, *, kind: str = "kernel") -> Bounds:
    """Nothing is observed where the policy enforces, nor in a clean run: it shows that a job does with what it declared.

    A dataset that is refused in this mode too (a deny with `mode: enforce`, behind a mask) stays shut as a file.
    """
    if policy.mode.value == "enforce" or kind == "clean_run":
        return Bounds()
    held, now = (await rights(state)).lasting(), state.clock()
    contracts = state.catalogs.current.by_name.values()
    found = [(contract, held.access(contract, policy, now)) for contract in contracts]
    refused = (contract.path for contract, access in found if contract.path and _stays_shut(access))
    softly = frozenset(contract.name for contract, access in found if access.granted and not access.decision.allowed)
    return Bounds(_observed(policy), tuple(sorted(set(_real((*_secrets(state), *refused))))), softly)


def _stays_shut(access: Access) -> bool:
    """Refused in this mode too, or given out by the broker alone: the file behind a mask has what the mask hides."""
    return not access.bounds.raw if access.granted else access.decision.blocks


def _observed(policy: EffectivePolicy) -> tuple[str, ...]:
    """An enforced deny of a host can only be held by the proxy: then the network is not open, and the proxy lets through what is observed."""
    enforced = any(policy.deny_modes[entry.rule] == "enforce" for entry in policy.network_deny)
    return ("files",) if enforced else ("files", "network")


def _secrets(state: ControlState) -> tuple[str, ...]:
    """Control's own: shut in every mode; of a service also the folder in which everyone else finds its token."""
    service = [found_in(state)] if state.settings.service else []
    files = (*company_network.secrets(state.settings.policy_path), *notify.secret_files(state), *state.credentials.files())
    return (str(state.settings.state_dir), *service, str(ADMIN_DIR / "credentials"), *files)


def found_in(state: ControlState) -> str:
    """The folder of control's socket."""
    return os.path.realpath(state.settings.control_socket.parent)


def _real(paths: tuple[str, ...]) -> Iterator[str]:
    for path in paths:
        found = os.path.realpath(path) if path else "/"
        if found != "/":  # a broken contract may name no place, or all of them
            yield found
