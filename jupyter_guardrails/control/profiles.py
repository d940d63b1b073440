"""Which profile a kernel gets: asked for, chosen before, or the policy's default; and whether this person may have it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jupyter_guardrails.control.interface.messages import KernelAdmit
from jupyter_guardrails.control.policies import allowed
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.errors import Refused
from jupyter_guardrails.policy import Decision, EffectivePolicy, Profile, RuleRef
from jupyter_guardrails.records import choices

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
    chosen, decision = permitted(state, policy, name)
    if not decision.allowed:  # policy only observes or warns: recorded, and done
        await state.audit("kernel.start", name, decision, kernel=request.kernel_id, notebook=request.notebook)
    return chosen


async def preferred(state: ControlState, policy: EffectivePolicy, notebook: str | None) -> str:
    """The stored choice for this notebook or for all, as long as the policy still has it; else the default."""
    name = await state.records.read(choices.chosen, state.principal, notebook)
    return name if name in policy.profiles else policy.default_profile.value


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
