"""Policy + person -> EffectivePolicy. Lists add up in order, of single values the last matching rule wins, masks and filters only tighten."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy.compiled import CompiledRule, Crowd, Policy
from jupyter_guardrails.policy.decision import Mode, RuleRef, Value
from jupyter_guardrails.policy.document import CHECKS
from jupyter_guardrails.policy.fields import MaskKind, is_principal
from jupyter_guardrails.policy.limits import MAX_KERNELS, STANDARD, BudgetSpec, Profile, make_profile
from jupyter_guardrails.policy.person import EffectivePolicy, RowRule
from jupyter_guardrails.policy.rule import Budget, Rule

T = TypeVar("T")
Rules = Sequence[CompiledRule]
BUDGET_FIELDS = {"per": "per_s", "grace": "grace_s"}
STRICTNESS: dict[str, int] = {mode: level for level, mode in enumerate(get_args(Mode))}
MASK_STRICTNESS: dict[str, int] = {kind: level for level, kind in enumerate(get_args(MaskKind))}


def effective(
    policy: Policy, person: str, groups: Iterable[str] | None = None, *, attributes: Mapping[str, str | tuple[str, ...]] | None = None
) -> EffectivePolicy:
    """What the policy means for a person. `groups` None: those of the file; `attributes` fill {user.…} in row filters, beside name and groups."""
    names = membership(policy, person, groups)
    rules = policy.rules_for(person, names)
    modes = _modes(policy, rules)
    denying = sorted((rule for rule in rules if rule.rule.denies), key=lambda rule: -STRICTNESS[modes["deny_modes"][rule.ref]])
    parts = {**modes, **_kernels(policy, rules), **_network(rules), **_data(rules), **_denies(denying)}
    parts |= {**_files(policy, person, rules), **_promotion(policy)}
    parts["production_profile"] = _production(policy, parts)
    return EffectivePolicy(
        person=person,
        groups=names,
        digest=policy.digest,
        roles=roles_of(policy, person, names),
        places=policy.places,
        attributes={**(attributes or {}), "name": person, "groups": names},
        admins=", ".join(policy.admins.in_words) or "whoever runs this machine",
        document=policy.document,
        **parts,
    )


def membership(policy: Policy, person: str, groups: Iterable[str] | None) -> tuple[str, ...]:
    """The groups that count for a person, each once: those given, else those of the file; BadRequest if nobody can have that name."""
    if not is_principal(person):
        raise BadRequest(f"{person!r} can't be the name of a person", next_step="a name has no slash, no pattern, no control character")
    return tuple(dict.fromkeys(policy.groups_of(person) if groups is None else groups))


def _last(rules: Rules, key: str, default: T, name: str, part: Callable[[Rule], BaseModel]) -> Value[T]:
    """The value of the last rule that sets a key of one of its parts, else the built-in one."""
    for rule in reversed(rules):
        if key in part(rule.rule).model_fields_set:
            return Value(getattr(part(rule.rule), key), rule.ref)
    return Value(default, RuleRef("", 0, name))


def _whole(rules: Rules, key: str, part: Callable[[Rule], BaseModel]) -> Value[Any] | None:
    """Like `_last` where there is no built-in value."""
    found = _last(rules, key, None, "", part)
    return found if found.value is not None else None


def _all(entries: Iterable[tuple[T, RuleRef]]) -> tuple[Value[T], ...]:
    """Entries in order without repeats; the first rule that has one is its rule."""
    first: dict[T, Value[T]] = {}
    for value, ref in entries:
        first.setdefault(value, Value(value, ref))
    return tuple(first.values())


def _kernels(policy: Policy, rules: Rules) -> dict[str, Any]:
    built_in = {STANDARD.name: Value(STANDARD, RuleRef("", 0, "profiles.standard"))}
    defined = {name: Value(make_profile(name, spec), policy.place(f"profiles.{name}")) for name, spec in policy.document.profiles.items()}
    known: dict[str, Value[Profile]] = built_in | defined
    given = _all((name, rule.ref) for rule in rules for name in rule.rule.kernels.profiles)
    profiles = {entry.value: Value(known[entry.value].value, entry.rule) for entry in given} or {STANDARD.name: known[STANDARD.name]}
    first = next(iter(profiles.items()))
    default: Value[str] = _last(rules, "default", first[0], "kernels.default", lambda rule: rule.kernels)
    if default.value not in profiles or not default.rule.line:
        default = Value(first[0], first[1].rule)
    return {
        "profiles": profiles,
        "all_profiles": known,
        "default_profile": default,
        "terminal_profile": _last(rules, "terminals", default.value, "kernels.terminals", lambda rule: rule.kernels),
        "max_kernels": _last(rules, "max", MAX_KERNELS, "kernels.max", lambda rule: rule.kernels),
        **_budget(rules),
    }


def _budget(rules: Rules) -> dict[str, Any]:
    built_in = BudgetSpec()
    keys = {key: BUDGET_FIELDS.get(key, key) for key in Budget.model_fields}
    values = {key: _last(rules, key, getattr(built_in, field), f"budget.{key}", lambda rule: rule.budget) for key, field in keys.items()}
    limits = [values[key] for key in ("cpu_hours", "memory_gib_hours", "gpu_hours") if values[key].value is not None]
    if not limits:
        return {"budget": None, "budget_values": {}}
    sharers = values["share"].rule.name if values["share"].value == "group" else ""
    spec = BudgetSpec(**{field: values[key].value for key, field in keys.items()}, sharers=sharers)
    return {"budget": Value(spec, limits[0].rule), "budget_values": values}


def _network(rules: Rules) -> dict[str, Any]:
    return {"network_allow": _all((network.entry, rule.ref) for rule in rules for network in rule.rule.network.allow)}


def _denies(rules: Rules) -> dict[str, Any]:
    """What is denied. The strictest rules come first: a soft deny that matches too must not stand before an enforced one."""
    return {
        "network_deny": _all((network.entry, rule.ref) for rule in rules for network in rule.rule.deny.network),
        "data_deny": _all((entry, rule.ref) for rule in rules for entry in rule.rule.deny.data),
    }


def _data(rules: Rules) -> dict[str, Any]:
    return {
        "data_read": _all((name, rule.ref) for rule in rules for name in rule.rule.data.read),
        "data_request": _all((name, rule.ref) for rule in rules for name in rule.rule.data.request),
        "auto_grant": _whole(rules, "auto_grant", lambda rule: rule.data),
        "browse": _last(rules, "browse", "allowed", "data.browse", lambda rule: rule.data),
        "masks": _masks(rules),
        "rows": _all((RowRule(name, text), rule.ref) for rule in rules for name, text in rule.rule.rows.items()),
        "publish": _whole(rules, "publish", lambda rule: rule),
        "upload_max_bytes": _last(rules, "max_size", None, "uploads.max_size", lambda rule: rule.uploads),
        "upload_types": _last(rules, "types", None, "uploads.types", lambda rule: rule.uploads),
        "upload_label": _last(rules, "label", "internal", "uploads.label", lambda rule: rule.uploads),
    }


def _masks(rules: Rules) -> dict[str, Value[str]]:
    """The strictest mask of each classification; `unmask` lifts those of earlier rules only."""
    masks: dict[str, Value[str]] = {}
    for rule in rules:
        for label in rule.rule.unmask:
            masks.pop(label.casefold(), None)
        for label, kind in rule.rule.mask.items():
            present = masks.get(label.casefold())
            if present is None or MASK_STRICTNESS[kind] > MASK_STRICTNESS[present.value]:
                masks[label.casefold()] = Value(kind, rule.ref)
    return masks


def _files(policy: Policy, person: str, rules: Rules) -> dict[str, Any]:
    document = policy.document
    return {
        "workspace_size": _last(rules, "size", None, "workspace.size", lambda rule: rule.workspace),
        "require": tuple(dict.fromkeys(document.require)),
        "environment_pass": document.environment.pass_,
        "environment_set": dict(document.environment.set_),
        "read_paths": tuple(path.replace("{user}", person) for path in document.paths.read),
        "write_paths": tuple(path.replace("{user}", person) for path in document.paths.write),
    }


def _promotion(policy: Policy) -> dict[str, Any]:
    promotion, reviewers = policy.document.promotion, policy.document.data.reviewers
    levels: dict[str, str] = {**CHECKS, **promotion.checks}
    return {
        "checks": {name: Value(level, policy.place(f"promotion.checks.{name}")) for name, level in levels.items()},
        "engines": {name: dict(settings) for name, settings in promotion.engines.items()},
        "packages_allow": promotion.packages.allow,
        "packages_deny": promotion.packages.deny,
        "licenses_deny": promotion.packages.deny_licenses,
        "approvals": promotion.approvals,
        "run_as": promotion.run_as,
        "data_reviewers": " or ".join([*(["its owner"] if reviewers.owner else []), *filter(None, [", ".join(reviewers.in_words)])]) or "an admin",
    }


def _production(policy: Policy, parts: Mapping[str, Any]) -> Value[Profile]:
    name = policy.document.promotion.production_profile
    if name is None:
        return Value(parts["all_profiles"][parts["default_profile"].value].value, parts["default_profile"].rule)
    return Value(parts["all_profiles"][name].value, policy.place("promotion.production_profile"))


def _modes(policy: Policy, rules: Rules) -> dict[str, Any]:
    """The person's mode, and that of each rule that denies: a deny is never softened by another rule."""
    mode: Value[Mode] = Value(policy.mode, policy.place("mode"))
    for rule in rules:
        if rule.rule.mode and not rule.rule.only_denies:
            mode = Value(rule.rule.mode, rule.ref)
    floor: Mode = max(policy.mode, mode.value, key=lambda item: STRICTNESS[item])
    return {"mode": mode, "deny_modes": {rule.ref: rule.rule.mode or floor for rule in rules if rule.rule.denies}}


def roles_of(policy: Policy, person: str, groups: Sequence[str]) -> frozenset[str]:
    """What somebody is here: a scientist, and perhaps an admin or a reviewer of jobs or requests."""
    document = policy.document
    roles = {"scientist"}
    roles |= {"admin"} if Crowd(document.admins).has(person, groups) else set()
    reviews = Crowd(document.promotion.reviewers).has(person, groups) or Crowd(document.data.reviewers).has(person, groups)
    return frozenset(roles | ({"reviewer"} if reviews else set()))
