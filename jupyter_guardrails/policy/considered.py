"""For one question: every entry that could decide it, in the order in which they are looked at, and which of them match."""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_guardrails.policy.compiled import Crowd
from jupyter_guardrails.policy.decision import Resource, RuleRef
from jupyter_guardrails.policy.globs import compile_glob
from jupyter_guardrails.policy.hosts import HostIndex, check_port, normal_host, split_port
from jupyter_guardrails.policy.person import EffectivePolicy, LabelIndex, package_name


@dataclass(frozen=True, slots=True)
class Considered:
    """One entry that could decide a question, and whether it matches."""

    effect: str
    entry: str
    rule: RuleRef
    matches: bool


def considered(effective: EffectivePolicy, action: str, resource: Resource) -> tuple[Considered, ...]:
    """For one question: every entry that could decide it, in the order in which they are looked at (deny first)."""
    match action:
        case "data.read" | "data.request":
            return _considered_data(effective, action.removeprefix("data."), resource)
        case "network.connect":
            return _considered_hosts(effective, resource.name)
        case "kernel.start":
            return tuple(Considered("allow", name, profile.rule, name == resource.name) for name, profile in effective.profiles.items())
        case "package.use":
            return _considered_packages(effective, package_name(resource.name))
        case "promotion.review":
            people = ", ".join(effective.document.promotion.reviewers.in_words) or "nobody"
            return (
                Considered(
                    "allow",
                    people,
                    effective.place("promotion.reviewers"),
                    Crowd(effective.document.promotion.reviewers).has(effective.person, effective.groups),
                ),
            )
    return ()


def _considered_data(effective: EffectivePolicy, effect: str, resource: Resource) -> tuple[Considered, ...]:
    denies = (Considered("deny", entry.value.text, entry.rule, LabelIndex((entry,)).first(resource) is not None) for entry in effective.data_deny)
    entries = effective.data_read if effect == "read" else effective.data_request
    allows = (Considered(effect, entry.value, entry.rule, compile_glob(entry.value).fullmatch(resource.name) is not None) for entry in entries)
    return (*denies, *allows)


def _considered_packages(effective: EffectivePolicy, name: str) -> tuple[Considered, ...]:
    lists = (("deny", effective.packages_deny), ("allow", effective.packages_allow))
    written = tuple(
        Considered(effect, pattern, effective.place(f"promotion.packages.{effect}"), compile_glob(package_name(pattern)).fullmatch(name) is not None)
        for effect, patterns in lists
        for pattern in patterns
    )
    return written + tuple(Considered("allow", granted, rule, granted == name) for granted, rule in effective.packages_granted.items())


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
