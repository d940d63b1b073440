"""`decide`: may this person do that? Pure, total, deterministic. Deny wins, what nothing allows is refused, every answer says why and what next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from jupyter_guardrails.policy.compiled import Crowd
from jupyter_guardrails.policy.decision import Decision, Mode, Obligations, Resource, RuleRef, Value
from jupyter_guardrails.policy.globs import LONGEST_NAME, compile_glob
from jupyter_guardrails.policy.hosts import bracketed, check_port, normal_host, split_port
from jupyter_guardrails.policy.person import EffectivePolicy, package_name
from jupyter_guardrails.policy.resolve import STRICTNESS
from jupyter_guardrails.policy.rule import DataEntry

REFUSED_BY_DEFAULT = RuleRef("", 0, "default: what nothing allows is refused")
WELL_FORMED = RuleRef("", 0, "names must be well-formed")
ANYONE_SUBMITS = RuleRef("", 0, "everybody may submit")
NOT_ONES_OWN = RuleRef("", 0, "nobody reviews their own work")
UNBOUND = Obligations()
REQUEST_DAYS = 30


def decide(effective: EffectivePolicy, action: str, resource: Resource, now: datetime) -> Decision:
    """The decision, with its reason, rule and next step; an allowed read carries its masks and row filter. `now` is for grants that end."""
    answer = ACTIONS.get(action)
    if answer is None:
        return _refuse(f"{action!r} is not an action that policy knows", WELL_FORMED, f"actions: {', '.join(ACTIONS)}")
    if not is_name(resource.name):
        return _refuse("the name is empty, too long or holds control characters", WELL_FORMED, "use the name as it is listed")
    return answer(effective, resource)


def is_name(name: str) -> bool:
    """True for what may name a resource of any kind."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable()


def _refuse(reason: str, rule: RuleRef, next_step: str, mode: Mode = "enforce") -> Decision:
    return Decision(False, reason, rule, next_step, UNBOUND, mode)


def _admin(effective: EffectivePolicy) -> str:
    return f"an admin ({effective.admins})"


def _read(effective: EffectivePolicy, resource: Resource) -> Decision:
    """A dataset is read."""
    return _no_name(resource) or _unless_denied(effective, resource, _may_read)


def _request(effective: EffectivePolicy, resource: Resource) -> Decision:
    """Access to a dataset is asked for; the obligations are those that a granted read would be bound to."""
    return _no_name(resource) or _unless_denied(effective, resource, _ask)


def _unless_denied(effective: EffectivePolicy, resource: Resource, answer: Callable[[EffectivePolicy, Resource], Decision]) -> Decision:
    """An enforced deny is the answer, whatever else is said; with a softer one, or none, it depends."""
    denied = _denied(effective, resource)
    if denied is not None and denied.blocks:
        return denied
    return _stricter(denied, answer(effective, resource))


def _may_read(effective: EffectivePolicy, resource: Resource) -> Decision:
    rule = effective.read_index.first(resource.name)
    if rule is not None:
        return _bound(effective, resource, reason=f"{effective.person} may read {resource.name}", rule=rule)
    reason, mode, next_step = f"no rule lets {effective.person} read {resource.name}", effective.mode.value, _how_to_get(effective, resource)
    if mode == "enforce":
        return _refuse(reason, REFUSED_BY_DEFAULT, next_step)
    return _bound(effective, resource, allowed=False, reason=reason, rule=REFUSED_BY_DEFAULT, next_step=next_step, mode=mode)


def _ask(effective: EffectivePolicy, resource: Resource) -> Decision:
    rule = effective.request_index.first(resource.name)
    if rule is not None:
        reason = f"{effective.person} may ask for {resource.name}"
        return _bound(effective, resource, reason=reason, rule=rule, next_step=_how_to_ask(effective, resource))
    if (readable := effective.read_index.first(resource.name)) is not None:
        return _refuse(f"{effective.person} may read {resource.name} already", readable, f"guarded.path({resource.name!r})")
    return _refuse(f"no rule lets {effective.person} ask for {resource.name}", REFUSED_BY_DEFAULT, _talk_to(effective, resource))


def _no_name(resource: Resource) -> Decision | None:
    """The refusal of what can't be a dataset's name."""
    if is_dataset_name(resource.name):
        return None
    return _refuse(f"{resource.name!r} is not the name of a dataset", WELL_FORMED, "look it up: guarded.datasets('part of the name')")


def is_dataset_name(name: str) -> bool:
    """True for what may name a dataset: no part of it is empty, `.` or `..`."""
    framed = f"/{name}/"
    return not ("//" in framed or "/./" in framed or "/../" in framed)


def _denied(effective: EffectivePolicy, resource: Resource) -> Decision | None:
    """The refusal by the strictest deny that matches."""
    denied = effective.deny_index.first(resource)
    if denied is None:
        return None
    return _refuse(_why_denied(resource, denied), denied.rule, _talk_to(effective, resource), effective.deny_modes[denied.rule])


def _stricter(denied: Decision | None, found: Decision) -> Decision:
    """A deny wins, but a soft one never opens what is shut without it; where it isn't carried out, the bounds of the read stay."""
    if denied is None or (not found.allowed and STRICTNESS[found.mode] > STRICTNESS[denied.mode]):
        return found
    return denied if denied.blocks else replace(denied, obligations=found.obligations)


def _why_denied(resource: Resource, denied: Value[DataEntry]) -> str:
    entry = denied.value
    said = [(entry.classification, "is classified"), (entry.domain, "belongs to the domain"), (entry.tag, "is tagged")]
    labels = [f"{words} {value}" for value, words in said if value is not None]
    return f"{resource.name} {' and '.join(labels)}" if labels else f"{resource.name} is denied by name ({entry.text})"


def _bound(
    effective: EffectivePolicy, resource: Resource, *, reason: str, rule: RuleRef, allowed: bool = True, next_step: str = "", mode: Mode = "enforce"
) -> Decision:
    """A decision that lets a read happen, with masks and row filter; a filter that asks for something unknown about the person refuses."""
    rows = effective.row_index.of(resource.name)
    bounds = Obligations(effective.masked(resource), rows.text if rows else "")
    if rows is None or not rows.unknown:
        return Decision(allowed, reason, rule, next_step, bounds, mode)
    asked = rows.unknown[0]
    asking = (row for row in effective.rows if f"{{user.{asked}}}" in row.value.filter)
    rule = next(row.rule for row in asking if compile_glob(row.value.dataset).fullmatch(resource.name))
    reason = f"the rows of {resource.name} are filtered by user.{asked}, which nothing tells about {effective.person}"
    return Decision(False, reason, rule, f"ask {_admin(effective)} to provide it", bounds)


def _how_to_get(effective: EffectivePolicy, resource: Resource) -> str:
    """The line to type where access may be asked for, else whom to talk to."""
    return _talk_to(effective, resource) if effective.request_index.first(resource.name) is None else _how_to_ask(effective, resource)


def _how_to_ask(effective: EffectivePolicy, resource: Resource) -> str:
    """The line to type."""
    grant = effective.auto_grant.value if effective.auto_grant else None
    at_once = grant is not None and resource.classification.casefold() in {label.casefold() for label in grant.classification}
    days = min(REQUEST_DAYS, grant.max_days) if grant and at_once else REQUEST_DAYS
    asked = effective.data_reviewers.replace("its owner", resource.owner or "its owner")
    line = f"guarded.request({resource.name!r}, purpose='…', days={days})"
    return f"granted at once if you say what for: {line}" if at_once else f"ask {asked}: {line}"


def _talk_to(effective: EffectivePolicy, resource: Resource) -> str:
    owner = f"its owner ({resource.owner}) or " if resource.owner else ""
    return f"it can't be requested here; talk to {owner}{_admin(effective)}"


def _connect(effective: EffectivePolicy, resource: Resource) -> Decision:
    """A kernel connects to `host:port`."""
    try:
        host, port_text = split_port(resource.name)
        host, port = normal_host(host), check_port(port_text)
    except ValueError as error:
        return _refuse(str(error), WELL_FORMED, "write host:port, like packages.example.com:443")
    place = f"{bracketed(host)}:{port}"
    denied: Decision | None = None
    if (position := effective.network_deny_index.first(host, port)) is not None:
        entry = effective.network_deny[position]
        reason = f"{place} is denied ({entry.value.text})"
        denied = _refuse(reason, entry.rule, f"talk to {_admin(effective)}", effective.deny_modes[entry.rule])
    if (position := effective.network_allow_index.first(host, port)) is not None:
        entry = effective.network_allow[position]
        return _stricter(denied, Decision(True, f"{place} is on the approved network list ({entry.value.text})", entry.rule))
    reason = f"{place} is not on the approved network list"
    return _stricter(denied, _refuse(reason, REFUSED_BY_DEFAULT, f"ask {_admin(effective)} to allow {place}", effective.mode.value))


def _start(effective: EffectivePolicy, resource: Resource) -> Decision:
    """A kernel with a profile is started; how many are running is not looked at here."""
    if effective.max_kernels.value == 0:
        return _refuse(f"{effective.person} may not start kernels", effective.max_kernels.rule, f"talk to {_admin(effective)}", effective.mode.value)
    profile = effective.profiles.get(resource.name)
    if profile is not None:
        return Decision(True, f"{effective.person} may start kernels with the profile {resource.name}", profile.rule)
    reason = f"the profile {resource.name} is not one of {effective.person}'s"
    next_step = f"choose one of: {', '.join(effective.profiles)}; or ask {_admin(effective)}"
    return _refuse(reason, REFUSED_BY_DEFAULT, next_step, effective.mode.value)


def _submit(effective: EffectivePolicy, resource: Resource) -> Decision:
    """A notebook is submitted for production."""
    return Decision(True, f"{effective.person} may submit; the checks decide", ANYONE_SUBMITS)


def _review(effective: EffectivePolicy, resource: Resource) -> Decision:
    """A submission of `resource.owner` is reviewed."""
    rule = effective.place("promotion.reviewers")
    if not Crowd(effective.document.promotion.reviewers).has(effective.person, effective.groups):
        return _refuse(f"{effective.person} is not a reviewer", rule, f"reviewers are named under promotion.reviewers by {_admin(effective)}")
    if resource.owner == effective.person:
        return _refuse(f"{effective.person} submitted {resource.name}", NOT_ONES_OWN, "another reviewer must look at it")
    return Decision(True, f"{effective.person} is a reviewer", rule)


def _use_package(effective: EffectivePolicy, resource: Resource) -> Decision:
    """A Python package is part of a job."""
    name = package_name(resource.name)
    if (pattern := effective.package_deny_index.first(name)) is not None:
        next_step = f"do without it, or talk to {_admin(effective)}"
        return _refuse(f"the package {name} is denied ({pattern})", effective.place("promotion.packages.deny"), next_step)
    pattern, rule = effective.package_allow_index.first(name), effective.place("promotion.packages.allow")
    if pattern is None and (granted := effective.packages_granted.get(name)) is not None:
        return Decision(True, f"the package {name} is approved on request", granted)
    if pattern is None:
        next_step = f'guarded.request_package("{name}", purpose="…"), or `jupyter guardrails request package {name}` outside of JupyterLab'
        return _refuse(f"the package {name} is not on the approved list", rule, next_step)
    return Decision(True, f"the package {name} is on the approved list ({pattern})", rule)


ACTIONS: Mapping[str, Callable[[EffectivePolicy, Resource], Decision]] = {
    "data.read": _read,
    "data.request": _request,
    "network.connect": _connect,
    "kernel.start": _start,
    "promotion.submit": _submit,
    "promotion.review": _review,
    "package.use": _use_package,
}
