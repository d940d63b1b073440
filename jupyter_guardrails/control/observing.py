"""What a policy that only observes or warns leaves open for a kernel, and what stays shut all the same."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

from jupyter_guardrails.catalog.places import Places
from jupyter_guardrails.control import company_network, datasets, notify
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
    sets, numbered = await datasets.sets_of(state, held, policy, now)
    refused = (contract.path for contract in numbered.among(sets.shut) if contract.path)
    softly = frozenset(contract.name for contract in numbered.among(sets.softly))
    return Bounds(_observed(policy), await asyncio.to_thread(_real, (*_secrets(state), *refused)), softly)


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


def _real(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Each once, in order; a broken contract may name no place, or all of them."""
    places = Places()
    found = {places.real(path) if path else "/" for path in paths}
    return tuple(sorted(found - {"/"}))
