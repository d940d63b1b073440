"""Which profile a kernel gets: asked for, chosen before, or the policy's default; and whether this person may have it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from jupyter_guardrails.control.interface.messages import KernelAdmit
from jupyter_guardrails.control.policies import allowed
from jupyter_guardrails.control.rights import BREAK_GLASS
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.errors import Refused
from jupyter_guardrails.policy import Decision, EffectivePolicy, Profile, RuleRef
from jupyter_guardrails.records import choices, exemptions

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts")
GPU_CONTROL = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A profile and the rule that gives it to this person."""

    profile: Profile
    rule: RuleRef


async def choose(state: ControlState, policy: EffectivePolicy, request: KernelAdmit) -> Chosen:
    """The profile for this start, or Refused with the profiles that are allowed."""
    if request.kind == "clean_run":
        return Chosen(policy.production_profile.value, policy.production_profile.rule)
    if request.kind == "terminal" and request.profile is None:
        return Chosen(policy.terminal.value, policy.terminal.rule)
    name = request.profile or await preferred(state, policy, request.notebook)
    chosen, decision = await opened(state, policy, name) or permitted(state, policy, name)
    if not decision.allowed:  # policy only observes or warns: recorded, and done
        await state.audit("kernel.start", name, decision, kernel=request.kernel_id, notebook=request.notebook)
    return chosen


async def preferred(state: ControlState, policy: EffectivePolicy, notebook: str | None) -> str:
    """What was chosen for this notebook, else what was chosen for all, else the default; a choice that may no longer be used is passed over."""
    own = await kept(state, policy, notebook) if notebook else None
    return own or await kept(state, policy, None) or policy.default_profile.value


async def kept(state: ControlState, policy: EffectivePolicy, notebook: str | None) -> str | None:
    """The stored choice for this notebook alone (None: for all), as long as this person may still use it."""
    name = await state.records.glance(choices.chosen, state.principal, notebook)
    usable = name is not None and (name in policy.profiles or await opened(state, policy, name) is not None)
    return name if usable else None


async def opened(state: ControlState, policy: EffectivePolicy, name: str) -> tuple[Chosen, Decision] | None:
    """The profile by break-glass, where the policy does not give it; a kernel with it lives no longer than the exemption."""
    now, value = state.clock(), policy.all_profiles.get(name)
    if value is None or name in policy.profiles or policy.max_kernels.value == 0:
        return None
    row = (await state.records.glance(exemptions.active, state.principal, now=now)).get(("profile", name))
    if row is None:
        return None
    left_s = max(1, int((row["ends_at"] - now).total_seconds()))
    bounded = replace(value.value, lifetime_s=min(left_s, value.value.lifetime_s or left_s))
    reason = f"{name} is open to {row['person']} by break-glass of {row['given_by']} until {row['ends_at']:%Y-%m-%d %H:%M} UTC: {row['reason']}"
    return Chosen(bounded, BREAK_GLASS), Decision(True, reason, BREAK_GLASS)


def permitted(state: ControlState, policy: EffectivePolicy, name: str) -> tuple[Chosen, Decision]:
    """The profile of this name with the decision about it, or Refused."""
    decision = allowed(policy, "kernel.start", name, state.clock())
    value = policy.all_profiles.get(name)
    if decision.blocks or value is None:
        raise Refused(decision.reason, next_step=decision.next_step, rule=str(decision.rule))
    return Chosen(value.value, decision.rule), decision


def devices(profile: Profile, *, dev: Path = Path("/dev")) -> list[str]:
    """Device files of a kernel: the built-in ones, and as many NVIDIA devices as the profile has GPUs."""
    if not profile.gpus:
        return list(DEVICES)
    numbered = sorted(dev.glob("nvidia[0-9]*"), key=lambda path: int(path.name.removeprefix("nvidia")))
    shared = [dev / name for name in GPU_CONTROL if (dev / name).exists()]
    return [*DEVICES, *(str(path) for path in (*numbered[: profile.gpus], *shared))]
