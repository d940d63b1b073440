"""An effective policy for readers: every value in words with the rule that gave it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from jupyter_guardrails.policy.decision import RuleRef, Value
from jupyter_guardrails.policy.document import Witness
from jupyter_guardrails.policy.fields import People
from jupyter_guardrails.policy.hosts import NetworkEntry
from jupyter_guardrails.policy.limits import Profile
from jupyter_guardrails.policy.person import EffectivePolicy
from jupyter_guardrails.policy.quantities import format_bytes, format_duration
from jupyter_guardrails.policy.rule import AutoGrant, Publish

T = TypeVar("T")
NOTHING = RuleRef("", 0, "default")


@dataclass(frozen=True, slots=True)
class Line:
    """One value: `text` is how it reads, `listed` says that the key may have several, `detail` that another line says it in short."""

    key: str
    value: Any
    text: str
    rule: RuleRef
    listed: bool = False
    detail: bool = False


def lines(effective: EffectivePolicy) -> tuple[Line, ...]:
    """Every effective value of a person, in the order of the file's keys."""
    parts = (_general, _environment, _profiles, _kernels, _network, _data, _own_data, _promotion, _records)
    return tuple(line for part in parts for line in part(effective))


def _one(key: str, value: Value[Any], text: str | None = None) -> Line:
    return Line(key, value.value, str(value.value) if text is None else text, value.rule)


def _many(key: str, entries: Iterable[tuple[Any, str, RuleRef]]) -> tuple[Line, ...]:
    """A line an entry; one that says so where there is none."""
    found = tuple(Line(key, value, text, rule, listed=True) for value, text, rule in entries)
    return found or (Line(key, None, "nothing", NOTHING, listed=True),)


def _maybe(key: str, value: Value[T] | None, text_of: Callable[[T], str]) -> tuple[Line, ...]:
    """A value that may be left out."""
    return (Line(key, None, "nothing", NOTHING, listed=True),) if value is None else (_one(key, value, text_of(value.value)),)


def _said(effective: EffectivePolicy, key: str, value: Any, text: str | None = None) -> Line:
    """A value that is the same for everybody, with its place outside of the rules."""
    return Line(key, value, str(value) if text is None else text, effective.place(key))


def _general(effective: EffectivePolicy) -> Iterator[Line]:
    yield _one("mode", effective.mode)
    yield from _many("require", ((name, name, effective.place("require")) for name in effective.require))
    yield from _people(effective, "admins", effective.document.admins)
    yield from _many("roles", ((role, role, _role_place(effective, role)) for role in sorted(effective.roles)))


def _people(effective: EffectivePolicy, key: str, people: People) -> tuple[Line, ...]:
    return _many(key, ((name, name, effective.place(key)) for name in people.in_words))


def _role_place(effective: EffectivePolicy, role: str) -> RuleRef:
    keys = {"admin": ("admins",), "reviewer": ("promotion.reviewers", "data.reviewers")}.get(role, ())
    return next((place for key in keys if (place := effective.place(key)).line), RuleRef("", 0, "everybody"))


def _environment(effective: EffectivePolicy) -> Iterator[Line]:
    kept = {"environment.pass": effective.environment_pass, "paths.read": effective.read_paths, "paths.write": effective.write_paths}
    for key, values in kept.items():
        yield from _many(key, ((value, value, effective.place(key)) for value in values))
    for name, text in effective.environment_set.items():
        yield _said(effective, f"environment.set.{name}", text)


def _profiles(effective: EffectivePolicy) -> Iterator[Line]:
    """Each profile, in short and key by key; the built-in one only where it is used."""
    used = {*effective.document.profiles, *effective.profiles, effective.terminal_profile.value, effective.production_profile.value.name}
    for name, profile in effective.all_profiles.items():
        if name in used:
            yield Line(f"profiles.{name}", name, describe(profile.value), profile.rule)
            yield from (_profile_line(effective, f"profiles.{name}.{key}", value, text) for key, value, text in _profile_parts(profile.value))


def _profile_line(effective: EffectivePolicy, key: str, value: Any, text: str) -> Line:
    return Line(key, value, text, effective.place(key), detail=True)


def _profile_parts(profile: Profile) -> Iterator[tuple[str, Any, str]]:
    sizes = {"memory": profile.memory_bytes, "shm": profile.shm_bytes, "file_size": profile.file_size_bytes}
    yield from ((key, value, _off(value, format_bytes)) for key, value in sizes.items())
    yield from ((key, value, f"{value:g}") for key, value in {"cpus": profile.cpus, "tasks": profile.tasks, "gpus": profile.gpus}.items())
    spans = {"idle": profile.idle_s, "lifetime": profile.lifetime_s}
    yield from ((key, value, _off(value, format_duration)) for key, value in spans.items())


def _off(value: int | None, text_of: Callable[[int], str]) -> str:
    return "off" if value is None else text_of(value)


def describe(profile: Profile) -> str:
    """A profile in one line: `2GiB memory, 1 cpu, ends after 8h idle`."""
    parts = [f"{format_bytes(profile.memory_bytes)} memory", f"{profile.cpus:g} cpu{'' if profile.cpus == 1 else 's'}"]
    parts += [f"{profile.gpus} gpu{'' if profile.gpus == 1 else 's'}"] if profile.gpus else []
    parts += [f"ends after {format_duration(profile.idle_s)} idle"] if profile.idle_s else []
    parts += [f"lives {format_duration(profile.lifetime_s)}"] if profile.lifetime_s else []
    return ", ".join(parts)


def _kernels(effective: EffectivePolicy) -> Iterator[Line]:
    yield from _many("kernels.profiles", ((name, name, profile.rule) for name, profile in effective.profiles.items()))
    yield _one("kernels.default", effective.default_profile)
    yield _one("kernels.max", effective.max_kernels)
    yield _one("kernels.terminals", effective.terminal_profile)
    size = effective.workspace_size
    yield _one("workspace.size", size, _off(size.value, format_bytes))
    for key, value in effective.budget_values.items():
        yield _one(f"budget.{key}", value, _budget_text(key, value))
    if effective.budget is None:
        yield Line("budget", None, "no limit", NOTHING)


def _budget_text(key: str, source: Value[Any]) -> str:
    value = source.value
    if key in ("per", "grace"):
        return "month" if value is None else format_duration(value)
    if value == "group":
        return f"group (everyone of {source.rule.name} together)"
    if key == "warn_at":
        return f"{value * 100:g}%"
    return "no limit" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _network(effective: EffectivePolicy) -> Iterator[Line]:
    yield from _many("network.allow", ((entry.value.text, _network_text(entry.value), entry.rule) for entry in effective.network_allow))
    yield from _many(
        "deny.network", ((entry.value.text, entry.value.text + _softly(effective, entry.rule), entry.rule) for entry in effective.network_deny)
    )


def _network_text(entry: NetworkEntry) -> str:
    return f"{entry.text} (private {', '.join(entry.private)})" if entry.private else entry.text


def _softly(effective: EffectivePolicy, rule: RuleRef) -> str:
    """The mode of a deny that is softer than usual and not the person's anyway."""
    mode = effective.deny_modes[rule]
    return "" if mode in ("enforce", effective.mode.value) else f" ({mode})"


def _data(effective: EffectivePolicy) -> Iterator[Line]:
    yield from _many("data.read", ((entry.value, entry.value, entry.rule) for entry in effective.data_read))
    yield from _many("data.request", ((entry.value, entry.value, entry.rule) for entry in effective.data_request))
    yield from _many(
        "deny.data", ((entry.value.text, entry.value.text + _softly(effective, entry.rule), entry.rule) for entry in effective.data_deny)
    )
    yield from _maybe("data.auto_grant", effective.auto_grant, _grant_text)
    yield _one("data.browse", effective.browse)
    reviewers = effective.document.data.reviewers
    names = [*(["owner"] if reviewers.owner else []), *reviewers.in_words]
    yield from _many("data.reviewers", ((name, name, effective.place("data.reviewers")) for name in names))
    for label, mask in effective.masks.items():
        yield _one(f"mask.{label}", mask)
    for row in effective.rows:
        yield Line(f"rows.{row.value.dataset}", row.value.filter, row.value.filter, row.rule, listed=True)


def _grant_text(grant: AutoGrant) -> str:
    return f"{', '.join(grant.classification)}: at once, up to {grant.max_days} days"


def _publish_text(publish: Publish) -> str:
    return f"{', '.join(publish.to)}{' after review' if publish.review else ''}"


def _own_data(effective: EffectivePolicy) -> Iterator[Line]:
    yield from _maybe("publish", effective.publish, _publish_text)
    largest = effective.upload_max_bytes
    yield _one("uploads.max_size", largest, _off(largest.value, format_bytes))
    types = effective.upload_types
    yield _one("uploads.types", types, ", ".join(types.value or ("all",)))
    yield _one("uploads.label", effective.upload_label)


def _promotion(effective: EffectivePolicy) -> Iterator[Line]:
    promotion, profile = effective.document.promotion, effective.production_profile
    yield from _people(effective, "promotion.reviewers", promotion.reviewers)
    yield _said(effective, "promotion.approvals", effective.approvals)
    place = effective.place("promotion.sign_off")
    yield from _many("promotion.sign_off", ((entry.text, entry.text, place) for entry in promotion.sign_off))
    yield Line("promotion.production_profile", profile.value.name, profile.value.name, profile.rule)
    yield _said(effective, "promotion.run_as", effective.run_as, effective.run_as or "the submitter")
    for name, settings in effective.engines.items():
        text = ", ".join(f"{key}: {value}" for key, value in settings.items()) or "as it comes"
        yield _said(effective, f"promotion.engines.{name}", name, text)
    for name, level in effective.checks.items():
        yield _one(f"promotion.checks.{name}", level)
    lists = (("allow", effective.packages_allow), ("deny", effective.packages_deny), ("deny_licenses", effective.licenses_deny))
    for key, patterns in lists:
        place = effective.place(f"promotion.packages.{key}")
        yield from _many(f"promotion.packages.{key}", ((pattern, pattern, place) for pattern in patterns))
    yield _said(effective, "promotion.review_every", promotion.review_every, _off(promotion.review_every, format_duration))
    yield _said(effective, "promotion.on_lapse", promotion.on_lapse)


def _witness_text(one: Witness) -> str:
    return one.to + (" (required)" if one.required else "") + (" (each record)" if one.records else "")


def _records(effective: EffectivePolicy) -> Iterator[Line]:
    audit, notify = effective.document.audit, effective.document.notify
    yield _said(effective, "audit.cells", audit.cells)
    yield _said(effective, "audit.keep", audit.keep, _off(audit.keep, format_duration))
    yield _said(effective, "audit.anchor_every", audit.anchor_every, format_duration(audit.anchor_every))
    yield _said(effective, "audit.witness", [one.model_dump() for one in audit.witness], ", ".join(map(_witness_text, audit.witness)) or "nobody")
    yield _said(effective, "notify.webhook", notify.webhook, notify.webhook or "off")
    yield _said(effective, "notify.smtp", notify.smtp, notify.smtp or "off")
    yield _said(effective, "notify.from", notify.from_, notify.from_ or "nobody")
    yield _said(effective, "notify.to", list(notify.to), ", ".join(notify.to) or "nobody")
    yield _said(effective, "notify.starttls", notify.starttls, "yes" if notify.starttls else "no")
    yield _said(effective, "notify.credentials", notify.credentials, notify.credentials or "none")
