"""Rules for what was refused, or would have been: for whom, with evidence; and what is left out, with the reason. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jupyter_guardrails.policy.compiled import Policy
from jupyter_guardrails.policy.decision import RuleRef
from jupyter_guardrails.policy.globs import check_glob
from jupyter_guardrails.policy.hosts import parse_entry
from jupyter_guardrails.policy.past import Fact, Groups, People
from jupyter_guardrails.policy.person import EffectivePolicy
from jupyter_guardrails.policy.replay import NOT_BY_POLICY, SHUT, judge
from jupyter_guardrails.policy.suggest_paths import folders, objection, with_user
from jupyter_guardrails.policy.verdict import is_dataset_name, is_name

KINDS = ("network.connect", "data.read", "data.request", "file.read", "file.write")
OPEN_LABELS = ("public", "internal")  # may be read by a rule; what is labelled otherwise, asked for
RESTRICTED = "restricted"
METADATA_HOSTS = ("metadata.google.internal", "metadata.goog", "metadata", "instance-data")
METADATA = tuple(map(ipaddress.ip_address, ("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")))
MOST = 300  # suggestions of a kind; the most frequent stay


@dataclass(slots=True)
class Evidence:
    """How often, by whom, last when."""

    count: int = 0
    people: set[str] = field(default_factory=set)
    last: str = ""

    def add(self, fact: Fact) -> None:
        """One more fact for the same."""
        self.count += fact.count
        self.people.add(fact.person)
        self.last = max(self.last, fact.last)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`kind`: network.allow, data.read, data.request, paths.read or paths.write; `value` as it stands in a policy."""

    kind: str
    value: str
    groups: tuple[str, ...]
    users: tuple[str, ...]
    evidence: Evidence
    note: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was refused and is not suggested, and why not."""

    action: str
    resource: str
    why: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Suggested:
    """Most frequent first, both."""

    suggestions: tuple[Suggestion, ...]
    left_out: tuple[LeftOut, ...]


def suggest(policy: Policy, facts: Iterable[Fact], groups: Groups, now: datetime, *, shut: Sequence[str] = ()) -> Suggested:
    """From the refusals among the facts, under the policy as it is: what it allows by now needs nothing."""
    people = People(policy, groups)
    wanted: dict[tuple[str, str], Evidence] = {}
    refused: dict[tuple[str, str, str], Evidence] = {}
    for fact in facts:
        person = people.of(fact.person)
        if fact.allowed or fact.action not in KINDS or person is None or _is_settled(person, fact, now):
            continue
        if why := _objection(person, fact, shut):
            refused.setdefault((fact.action, fact.resource, why), Evidence()).add(fact)
        else:
            wanted.setdefault(_entry(fact), Evidence()).add(fact)
    found = [_suggestion(policy, kind, value, evidence) for (kind, value), evidence in _collapsed(wanted, shut).items()]
    left_out = [LeftOut(*key, evidence) for key, evidence in refused.items()]
    return Suggested(tuple(_most(found)), tuple(sorted(left_out, key=lambda one: (-one.evidence.count, one.resource))))


def _is_settled(person: EffectivePolicy, fact: Fact, now: datetime) -> bool:
    """Whether the policy allows it by now, or no policy decides it at all."""
    decision = judge(person, fact, now) if fact.labels or not fact.action.startswith("data.") else None
    return decision is not None and decision.allowed


def _objection(person: EffectivePolicy, fact: Fact, shut: Sequence[str]) -> str:
    """Why this is never suggested; empty when it may be."""
    if fact.rule in NOT_BY_POLICY or fact.rule.startswith(SHUT):
        return f"it is shut whatever a policy says ({fact.rule})"
    if fact.action == "network.connect":
        return _host_objection(person, fact.resource)
    if fact.action.startswith("data."):
        return _data_objection(person, fact)
    return objection(fact.resource, writes=fact.action == "file.write", shut=shut)


def _host_objection(person: EffectivePolicy, place: str) -> str:
    try:
        entry = parse_entry(place)
    except ValueError as error:
        return f"no host:port that a policy can name: {error}"
    if entry.port is None or "*" in entry.host:
        return "no single host:port"
    if (position := person.network_deny_index.first(entry.host, entry.port)) is not None:
        return _denied(person.network_deny[position].rule)
    if entry.host in METADATA_HOSTS or _never_opened(entry.host):
        return "metadata of a cloud, loopback or link-local: nobody's kernels need it"
    return ""


def _never_opened(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    closed = mapped.is_link_local or mapped.is_loopback or mapped.is_multicast or mapped.is_unspecified or mapped.is_reserved
    return closed or mapped in METADATA


def _data_objection(person: EffectivePolicy, fact: Fact) -> str:
    if fact.labels is None:
        return "there is no usable contract of it now"
    if not _is_plain(fact.resource):
        return "its name would be a pattern in a policy"
    if fact.labels.classification.casefold() == RESTRICTED:
        return "it is classified restricted"
    if (denied := person.deny_index.first(fact.labels)) is not None:
        return _denied(denied.rule)
    if fact.action == "data.read" and person.request_index.first(fact.resource) is not None:
        return "it may be asked for already: guarded.request()"
    return ""


def _is_plain(name: str) -> bool:
    try:
        return check_glob(name) == name and "*" not in name and is_name(name) and is_dataset_name(name)
    except ValueError:
        return False


def _denied(rule: RuleRef) -> str:
    return f"a deny says no ({rule})"


def _entry(fact: Fact) -> tuple[str, str]:
    """Kind and value of what would allow it."""
    if fact.action == "network.connect":
        return "network.allow", parse_entry(fact.resource).text
    if fact.action.startswith("data."):
        label = fact.labels.classification.casefold() if fact.labels else ""
        reads = fact.action == "data.read" and label in OPEN_LABELS
        return ("data.read" if reads else "data.request"), fact.resource
    kind = "paths.write" if fact.action == "file.write" else "paths.read"
    return kind, with_user(fact.resource, fact.person)


def _collapsed(wanted: dict[tuple[str, str], Evidence], shut: Sequence[str]) -> dict[tuple[str, str], Evidence]:
    """Many files of a folder as the folder; a tree that may be written needs no line for reading."""
    joined: dict[tuple[str, str], Evidence] = {}
    for kind in ("paths.write", "paths.read"):
        paths = [value for known, value in wanted if known == kind]
        for path, stands in folders(paths, writes=kind == "paths.write", shut=shut).items():
            _join(joined.setdefault((kind, stands), Evidence()), wanted[kind, path])
    others = {key: evidence for key, evidence in wanted.items() if not key[0].startswith("paths.")}
    return others | joined


def _join(into: Evidence, more: Evidence) -> None:
    into.count += more.count
    into.people |= more.people
    into.last = max(into.last, more.last)


def _suggestion(policy: Policy, kind: str, value: str, evidence: Evidence) -> Suggestion:
    groups = tuple(_whole_groups(policy, evidence.people))
    inside = {person for group in groups for person in policy.document.groups[group]}
    users = tuple(sorted(evidence.people - inside))
    note = "an address: better the host's name" if kind == "network.allow" and _is_address(value) else ""
    return Suggestion(kind, value, groups, users, evidence, note)


def _whole_groups(policy: Policy, people: set[str]) -> Iterator[str]:
    """Groups of the file (only there it is known who is in one) all of whose people needed it, the largest first; nobody counts twice."""
    left = set(people)
    for name, members in sorted(policy.document.groups.items(), key=lambda item: (-len(set(item[1])), item[0])):
        if len(set(members)) > 1 and set(members) <= left:
            left -= set(members)
            yield name


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(parse_entry(value).host)
    except ValueError:
        return False
    return True


def _most(found: list[Suggestion]) -> Iterator[Suggestion]:
    """The most frequent of each kind."""
    found.sort(key=lambda one: (-one.evidence.count, one.kind, one.value))
    seen: dict[str, int] = {}
    for one in found:
        seen[one.kind] = seen.get(one.kind, 0) + 1
        if seen[one.kind] <= MOST:
            yield one
