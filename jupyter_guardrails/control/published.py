"""Who may read what people published, and who may decide about it. It grants nothing: groups are named by a rule's `publish`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.catalog.delivery import Bounds, bounds_of, obstacle
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.odcs import NAME
from jupyter_guardrails.catalog.published import Published, contract_of
from jupyter_guardrails.catalog.search import WORD
from jupyter_guardrails.control import authority
from jupyter_guardrails.control.rights import Rights, rights, stopped
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.policy import Decision, EffectivePolicy, RuleRef, decide
from jupyter_guardrails.policy.verdict import NOT_ONES_OWN, REFUSED_BY_DEFAULT
from jupyter_guardrails.records import publications

Row = dict[str, Any]
OWN = RuleRef("", 0, "one's own publication")
FOLDER = "publications"


class Seen(NamedTuple):
    """A version that this person may know of."""

    row: Row
    contract: Published
    access: Access


class Verdict(NamedTuple):
    """`inputs`: those about which this person may decide; `decision` is the refusal where there is none."""

    inputs: frozenset[str]
    decision: Decision


def path_of(state: ControlState, row: Mapping[str, Any]) -> Path:
    """Where the file of a version is: control's own, in a folder that no sandbox holds."""
    return (state.settings.state_dir / FOLDER).resolve() / f"{row['id']}.{row['format']}"


async def find(state: ControlState, name: str) -> Seen | None:
    """The newest version of a name that this person may know of."""
    rows = await state.records.read(publications.of_name, name) if NAME.fullmatch(name) else []
    return next(iter(await seen(state, rows)), None)


async def seen(state: ControlState, rows: list[Row]) -> list[Seen]:
    """Those that this person may know of, in the order given."""
    if not rows:
        return []
    policy, held, owners = state.effective(), await rights(state), await owners_of(state, rows)
    found = []
    for row in rows:
        contract = contract_of(row, str(path_of(state, row)))
        found.append(Seen(row, contract, _access(state, policy, held, contract, row, owners)))
    return [one for one in found if one.access.listed]


async def listed(state: ControlState, query: str) -> dict[str, Seen]:
    """The newest version of each name that this person may know of and that has all words of a query, each as the beginning of one of its words."""
    words = [word.casefold() for word in WORD.findall(query)]
    if query.strip() and not words:
        return {}
    found: dict[str, Seen] = {}
    for one in await seen(state, await state.records.read(publications.live)):
        texts = WORD.findall(" ".join(_texts(one.contract)).casefold())
        if all(any(text.startswith(word) for text in texts) for word in words):
            found.setdefault(one.contract.name, one)
    return found


def _texts(contract: Contract) -> list[str]:
    return [contract.name, contract.description, contract.owner, *(column.name for column in contract.columns)]


def _access(state: ControlState, policy: EffectivePolicy, held: Rights, contract: Published, row: Row, owners: Mapping[str, str]) -> Access:
    """Author, group, or who decides about it; then suspensions, its end, the policy's denies, and what cannot be delivered."""
    found = _reader(state, policy, row, owners)
    if found is None:
        refusal = Decision(False, f"no rule lets {policy.person} read {contract.name}", REFUSED_BY_DEFAULT, f"ask {contract.owner}")
        return Access("refused", refusal, False, policy.digest)
    decision = _unless_stopped(state, policy, held, contract, found)
    bounds = Bounds() if contract.owner == policy.person else bounds_of(contract, policy.obligations(contract.resource), policy.attributes)
    return Access("granted" if decision.allowed else "refused", decision, True, policy.digest, bounds if decision.allowed else Bounds())


def _unless_stopped(state: ControlState, policy: EffectivePolicy, held: Rights, contract: Published, found: Decision) -> Decision:
    if stop := held.person or held.datasets.get(contract.name):
        return stopped(stop)
    if contract.expires_at is not None and contract.expires_at <= state.clock():
        reason = f"{contract.name} ended on {contract.expires_at:%Y-%m-%d}: it inherits the end of a grant to one of its inputs"
        return Decision(False, reason, found.rule, f"{contract.owner} publishes it again under a new grant")
    read = decide(policy, "data.read", contract.resource, state.clock())
    if read.blocks and read.rule != REFUSED_BY_DEFAULT:
        return read
    blocked = "" if contract.owner == policy.person else obstacle(contract, policy.obligations(contract.resource), policy.attributes)
    return Decision(False, blocked, found.rule, f"talk to its owner ({contract.owner})") if blocked else found


def _reader(state: ControlState, policy: EffectivePolicy, row: Row, owners: Mapping[str, str]) -> Decision | None:
    """Why this person may know of a version; None for most."""
    if row["author"] == policy.person:
        return Decision(True, f"{policy.person} published {row['name']}", OWN)
    if row["state"] == "published" and row["audience"] in policy.groups and (rule := publish_rule(state, row["audience"])):
        bounds = policy.obligations(contract_of(row, "").resource)
        return Decision(True, f"{row['name']} was published by {row['author']} to the group {row['audience']}", rule, obligations=bounds)
    if row["state"] == "proposed" and (verdict := verdict_on(policy, row, owners)).decision.allowed:
        return verdict.decision
    return None


def publish_rule(state: ControlState, group: str) -> RuleRef | None:
    """The rule of the policy in force by which anything is published to a group: when it goes, so does what was published by it."""
    policy = state.policies.current
    for rule in policy.rules if policy else ():
        if rule.rule.publish is not None and group in rule.rule.publish.to:
            return rule.ref
    return None


async def owners_of(state: ControlState, rows: list[Row]) -> dict[str, str]:
    """Dataset -> owner, of everything that these publications were made of; empty where nobody owns it any more."""
    contracts = state.catalogs.current.by_name
    names = {item["name"] for row in rows for item in row["inputs"]}
    found = {name: contracts[name].owner for name in names if name in contracts}
    if missing := names - found.keys():
        authors = {row["name"]: row["author"] for row in await state.records.read(publications.live)}
        found |= {name: authors.get(name, "") for name in missing}
    return found


def needed(row: Row, owners: Mapping[str, str]) -> list[str]:
    """About what somebody has to decide: each input that is not the author's own publication; the publication itself where there is none."""
    names = {item["name"] for item in row["inputs"]}
    others = {name for name in names if owners.get(name) != row["author"]}
    return sorted(others or names or {row["name"]})


def deciders(policy: EffectivePolicy, row: Row, owners: Mapping[str, str], inputs: list[str]) -> list[str]:
    """In words, who decides about these inputs of a publication: what `verdict_on` answers them."""
    reviewers, author = policy.document.data.reviewers, row["author"]
    named = {name for name in reviewers.users if name != author} | {f"group {group}" for group in reviewers.groups}
    found: set[str] = set()
    for name in inputs:
        owner = owners.get(name, "") if reviewers.owner else ""
        found |= named | ({owner} - {author, ""}) or {f"an admin ({policy.admins})"}
    return sorted(found)


def verdict_on(policy: EffectivePolicy, row: Row, owners: Mapping[str, str]) -> Verdict:
    """The owner of an input decides what is made of it, or those whom `data.reviewers` names; never the author. Admins, where that is nobody."""
    if row["author"] == policy.person:
        reason = f"{policy.person} published {row['name']}"
        return Verdict(frozenset(), Decision(False, reason, NOT_ONES_OWN, "another person must look at it"))
    inputs = needed(row, owners)
    judged = {name: authority.on_input(policy, name, owner=owners.get(name, ""), asked_by=row["author"]) for name in inputs}
    allowed = frozenset(name for name, decision in judged.items() if decision.allowed)
    first = next((decision for decision in judged.values() if decision.allowed), next(iter(judged.values())))
    return Verdict(allowed, first)
