"""Limits as plain values in base units, and the safe ones that hold where the file says nothing."""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_guardrails.policy.document import ProfileSpec

MAX_KERNELS = 5


@dataclass(frozen=True, slots=True)
class Profile:
    """What one kernel may use; None = no limit."""

    name: str
    memory_bytes: int
    cpus: float
    tasks: int
    shm_bytes: int
    file_size_bytes: int | None = None
    gpus: int = 0
    idle_s: int | None = None
    lifetime_s: int | None = None


@dataclass(frozen=True, slots=True)
class BudgetSpec:
    """Processor, memory and GPUs over a rolling window of `per_s` seconds, or (None) the calendar month in UTC; amounts: None = not limited."""

    cpu_hours: float | None = None
    memory_gib_hours: float | None = None
    gpu_hours: float | None = None
    per_s: int | None = 7 * 86400
    warn_at: float = 0.8
    grace_s: int = 15 * 60
    share: str = "person"
    sharers: str = ""  # the rule whose people have it together; empty: each person has it


def make_profile(name: str, spec: ProfileSpec) -> Profile:
    """The profile that a file describes; without `shm` it is half of the memory, as Linux does."""
    shm_bytes = spec.shm if spec.shm is not None else spec.memory // 2
    return Profile(name, spec.memory, spec.cpus, spec.tasks, shm_bytes, spec.file_size, spec.gpus, spec.idle, spec.lifetime)


STANDARD = make_profile("standard", ProfileSpec())
