"""What the launcher must let through its outer domain, so that a kernel's sandbox inside it can be what admission grants."""

from __future__ import annotations

from typing import Any

from jupyter_guardrails.control import company_network, datasets, observing, profiles
from jupyter_guardrails.control.interface.messages import LaunchPaths
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import PolicyError


async def paths(state: ControlState, request: LaunchPaths, fds: list[int]) -> dict[str, Any]:
    """Paths of the policy and of the datasets granted now; without a valid policy nothing, since no kernel starts then."""
    try:
        effective = state.effective()
        certificates = company_network.read(state.settings.policy_path).paths()
    except PolicyError:
        return {"read": [], "write": [], "devices": list(profiles.DEVICES), "require": [], "observed": [], "shut": []}
    granted = await datasets.grants_at_start(state, effective, state.clock())
    bounds = await observing.bounds(state, effective)
    devices = {device: None for value in effective.all_profiles.values() for device in (*profiles.DEVICES, *profiles.devices(value.value))}
    return {
        "read": [*effective.read_paths, *granted.values(), *certificates],
        "write": list(effective.write_paths),
        "devices": list(devices),
        "require": [] if bounds.observed else list(effective.require),
        "observed": list(bounds.observed),
        "shut": [path for path in bounds.shut if not _is_needed(state, path)],
    }


def _is_needed(state: ControlState, path: str) -> bool:
    """A service is found by the server, around which the outer domain is, and not by the kernels in it."""
    return state.settings.service and path == observing.found_in(state)


OPERATIONS: Operations = {LaunchPaths: paths}
