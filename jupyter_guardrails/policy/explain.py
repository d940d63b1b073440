"""An effective policy for readers: every value in words with its rule; and, for one question, every rule that had a say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from jupyter_guardrails.policy.decision import Resource, RuleRef, Value
from jupyter_guardrails.policy.globs import compile_glob
from jupyter_guardrails.policy.hosts import HostIndex, check_port, normal_host, split_port
from jupyter_guardrails.policy.limits import Profile
from jupyter_guardrails.policy.person import EffectivePolicy, LabelIndex
from jupyter_guardrails.policy.quantities import format_bytes, format_duration

NOTHING = RuleRef("", 0, "default")


@dataclass(frozen=True, slots=True)
class Line:
    """One value: `text` is how it reads, `listed` says that the key may have several."""

    key: str
    value: Any
    text: str
    rule: RuleRef
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Considered:
    """One entry that could decide a question, and whether it matches."""

    effect: str
    entry: str
    rule: RuleRef
    matches: bool


def lines(effective: EffectivePolicy) -> tuple[Line, ...]:
    """Every effective value of a person, in the order of the file's keys."""
    return (*_kernels(effective), *_network(effective), *_data(effective), *_files(effective), *_promotion(effective))


def _one(key: str, value: Value[Any], text: str | None = None) -> Line:
    return Line(key, value.value, str(value.value) if text is None else text, value.rule)


def _many(key: str, entries: Iterable[tuple[Any, str, RuleRef]]) -> tuple[Line, ...]:
    """A line an entry; one that says so where there is none."""
    found = tuple(Line(key, value, text, rule, listed=True) for value, text, rule in entries)
    return found or (Line(key, None, "nothing", NOTHING, listed=True),)


def _kernels(effective: EffectivePolicy) -> Iterator[Line]:
    yield _one("mode", effective.mode)
    yield from _many("kernels.profiles", ((name, describe(profile.value), profile.rule) for name, profile in effective.profiles.items()))
    yield _one("kernels.default", effective.default_profile)
    yield _one("kernels.max", effective.max_kernels)
    yield _one("kernels.terminals", effective.terminal_profile)
    size = effective.workspace_size
    yield _one("workspace.size", size, "off" if size.value is None else format_bytes(size.value))
    for key, value in effective.budget_values.items():
        yield _one(f"budget.{key}", value, _budget_text(key, value.value))
    if effective.budget is None:
        yield Line("budget", None, "no limit", NOTHING)


def _network(effective: EffectivePolicy) -> Iterator[Line]:
    for key, entries in (("network.allow", effective.network_allow), ("deny.network", effective.network_deny)):
        yield from _many(key, ((entry.value.text, _network_text(entry.value.text, entry.value.private), entry.rule) for entry in entries))


def _data(effective: EffectivePolicy) -> Iterator[Line]:
    yield from _many("data.read", ((entry.value, entry.value, entry.rule) for entry in effective.data_read))
    yield from _many("data.request", ((entry.value, entry.value, entry.rule) for entry in effective.data_request))
    yield from _many("deny.data", ((entry.value.text, entry.value.text, entry.rule) for entry in effective.data_deny))
    if grant := effective.auto_grant:
        yield _one("data.auto_grant", grant, f"{', '.join(grant.value.classification)}: at once, up to {grant.value.max_days} days")
    yield _one("data.browse", effective.browse)
    for label, mask in effective.masks.items():
        yield _one(f"mask.{label}", mask)
    for row in effective.rows:
        yield Line(f"rows.{row.value.dataset}", row.value.filter, row.value.filter, row.rule, listed=True)
    if publish := effective.publish:
        yield _one("publish", publish, f"{', '.join(publish.value.to)}{' after review' if publish.value.review else ''}")
    largest = effective.upload_max_bytes
    yield _one("uploads.max_size", largest, "off" if largest.value is None else format_bytes(largest.value))
    yield _one("uploads.label", effective.upload_label)


def _files(effective: EffectivePolicy) -> Iterator[Line]:
    kept = {
        "require": effective.require,
        "environment.pass": effective.environment_pass,
        "paths.read": effective.read_paths,
        "paths.write": effective.write_paths,
    }
    for key, values in kept.items():
        yield from _many(key, ((value, value, effective.place(key)) for value in values))
    for name, text in effective.environment_set.items():
        yield Line(f"environment.set.{name}", text, text, effective.place(f"environment.set.{name}"))


def _promotion(effective: EffectivePolicy) -> Iterator[Line]:
    yield from _many("roles", ((role, role, _role_place(effective, role)) for role in sorted(effective.roles)))
    profile = effective.production_profile
    yield Line("promotion.production_profile", profile.value.name, describe(profile.value), profile.rule)
    yield Line("promotion.approvals", effective.approvals, str(effective.approvals), effective.place("promotion.approvals"))
    yield Line("promotion.run_as", effective.run_as, effective.run_as or "the submitter", effective.place("promotion.run_as"))
    yield from _many("promotion.engines", ((name, name, effective.place(f"promotion.engines.{name}")) for name in effective.engines))
    for name, level in effective.checks.items():
        yield _one(f"promotion.checks.{name}", level)
    for key, patterns in (("allow", effective.packages_allow), ("deny", effective.packages_deny)):
        place = effective.place(f"promotion.packages.{key}")
        yield from _many(f"promotion.packages.{key}", ((pattern, pattern, place) for pattern in patterns))


def describe(profile: Profile) -> str:
    """A profile in one line: `small: 2GiB memory, 1 cpu, ends after 8h idle`."""
    parts = [f"{format_bytes(profile.memory_bytes)} memory", f"{profile.cpus:g} cpu{'' if profile.cpus == 1 else 's'}"]
    parts += [f"{profile.gpus} gpu{'' if profile.gpus == 1 else 's'}"] if profile.gpus else []
    parts += [f"ends after {format_duration(profile.idle_s)} idle"] if profile.idle_s else []
    parts += [f"lives {format_duration(profile.lifetime_s)}"] if profile.lifetime_s else []
    return f"{profile.name}: {', '.join(parts)}"


def _network_text(text: str, private: tuple[str, ...]) -> str:
    return f"{text} (private {', '.join(private)})" if private else text


def _budget_text(key: str, value: Any) -> str:
    if key in ("per", "grace"):
        return format_duration(value)
    if key == "warn_at":
        return f"{value * 100:g}%"
    return "no limit" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _role_place(effective: EffectivePolicy, role: str) -> RuleRef:
    keys = {"admin": ("admins",), "reviewer": ("promotion.reviewers", "data.reviewers")}.get(role, ())
    return next((place for key in keys if (place := effective.place(key)).line), RuleRef("", 0, "everybody"))


def considered(effective: EffectivePolicy, action: str, resource: Resource) -> tuple[Considered, ...]:
    """For one question: every entry that could decide it, in the order in which they are looked at (deny first)."""
    match action:
        case "data.read" | "data.request":
            return _considered_data(effective, action.removeprefix("data."), resource)
        case "network.connect":
            return _considered_hosts(effective, resource.name)
        case "kernel.start":
            return tuple(Considered("allow", name, profile.rule, name == resource.name) for name, profile in effective.profiles.items())
    return ()


def _considered_data(effective: EffectivePolicy, effect: str, resource: Resource) -> tuple[Considered, ...]:
    denies = (Considered("deny", entry.value.text, entry.rule, LabelIndex((entry,)).first(resource) is not None) for entry in effective.data_deny)
    entries = effective.data_read if effect == "read" else effective.data_request
    allows = (Considered(effect, entry.value, entry.rule, compile_glob(entry.value).fullmatch(resource.name) is not None) for entry in entries)
    return (*denies, *allows)


def _considered_hosts(effective: EffectivePolicy, name: str) -> tuple[Considered, ...]:
    try:
        host, port_text = split_port(name)
        host, port = normal_host(host), check_port(port_text)
    except ValueError:
        return ()
    lists = (("deny", effective.network_deny), ("allow", effective.network_allow))
    return tuple(
        Considered(effect, entry.value.text, entry.rule, HostIndex((entry.value,), deny=effect == "deny").first(host, port) is not None)
        for effect, entries in lists
        for entry in entries
    )
