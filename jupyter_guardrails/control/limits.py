"""A person's limits in plain words, each with the rule and place that set it."""

from __future__ import annotations

from typing import Any

from jupyter_guardrails.policy import BudgetSpec, EffectivePolicy, Profile, Value

UNITS = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
SPANS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def shown(policy: EffectivePolicy) -> list[dict[str, str]]:
    """Every limit as {key, label, value, rule}, in the order in which a person meets them."""
    found = [_limit("kernels.max", "Kernels at once", str(policy.max_kernels.value), policy.max_kernels)]
    found += [
        _limit(f"profile.{name}", f"One kernel, profile {name}", _profile(value.value), value) for name, value in sorted(policy.profiles.items())
    ]
    if policy.budget is not None:
        found.append(_limit("budget", "Budget", budget_in_words(policy.budget.value), policy.budget))
    size = policy.workspace_size.value
    found.append(_limit("workspace.size", "Workspace", "no limit" if size is None else in_bytes(size), policy.workspace_size))
    return found + _network(policy)


def profiles(policy: EffectivePolicy, chosen: str) -> list[dict[str, Any]]:
    """The profiles that this person may use; the one for the next start is `chosen`."""
    return [
        {"name": name, "memory_bytes": value.value.memory_bytes, "cpus": value.value.cpus, "chosen": name == chosen, "rule": str(value.rule)}
        for name, value in sorted(policy.profiles.items())
    ]


def in_bytes(size: int) -> str:
    """`2 GiB`, `1.5 GiB`, `200 bytes`."""
    name, unit = next(((name, unit) for name, unit in UNITS if size >= unit), ("bytes", 1))
    return f"{size / unit:.3g} {name}"


def in_time(seconds: int) -> str:
    """`7 d`, `12 h`, `90 s`: the largest unit that divides it."""
    name, unit = next((name, unit) for name, unit in SPANS if seconds % unit == 0)
    return f"{seconds // unit} {name}"


def _network(policy: EffectivePolicy) -> list[dict[str, str]]:
    if not policy.network_allow:
        return [{"key": "network", "label": "Network", "value": "none", "rule": "built-in: nothing allows any"}]
    return [_limit("network", "Network", entry.value.text, entry) for entry in policy.network_allow]


def _limit(key: str, label: str, value: str, source: Value[Any]) -> dict[str, str]:
    return {"key": key, "label": label, "value": value, "rule": str(source.rule)}


def _profile(profile: Profile) -> str:
    parts = [f"{in_bytes(profile.memory_bytes)} memory", f"{profile.cpus:g} processor{'' if profile.cpus == 1 else 's'}"]
    parts += [f"{profile.gpus} GPU{'' if profile.gpus == 1 else 's'}"] if profile.gpus else []
    parts += [f"ended after {in_time(profile.idle_s)} idle"] if profile.idle_s else []
    parts += [f"ended after {in_time(profile.lifetime_s)}"] if profile.lifetime_s else []
    return ", ".join(parts)


def budget_in_words(budget: BudgetSpec) -> str:
    """`40 processor-hours in 7 d, for each person`."""
    units = (("cpu_hours", "processor-hours"), ("memory_gib_hours", "memory GiB-hours"), ("gpu_hours", "GPU-hours"))
    amounts = " and ".join(f"{getattr(budget, key):g} {name}" for key, name in units if getattr(budget, key) is not None)
    span = "a calendar month (UTC)" if budget.per_s is None else in_time(budget.per_s)
    return f"{amounts} in {span}, for {f'everyone of {budget.sharers} together' if budget.sharers else 'each person'}"
