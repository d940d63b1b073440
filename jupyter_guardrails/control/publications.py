"""What becomes of published data: private -> proposed -> looked at by another person -> a group's; or sent back, or withdrawn."""

from __future__ import annotations

import shlex
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.catalog import produced
from jupyter_guardrails.catalog.labels import from_json, label_of, rank
from jupyter_guardrails.catalog.published import digest_of
from jupyter_guardrails.control import announcing, authority, labels, published
from jupyter_guardrails.control.interface.publishing import (
    DataImport,
    PublicationDecide,
    PublicationDiscard,
    PublicationPropose,
    PublicationShow,
    PublicationsList,
    PublicationSubmit,
    PublicationWithdraw,
)
from jupyter_guardrails.control.published import Row, Verdict
from jupyter_guardrails.control.publishing import fields, import_file
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound
from jupyter_guardrails.policy import Decision, RuleRef, Value
from jupyter_guardrails.policy.rule import Publish
from jupyter_guardrails.records import publications
from jupyter_guardrails.records.columns import iso, storable

OUTSIDE = RuleRef("", 0, "built-in decisions-are-made-outside")
DECLASSIFY = RuleRef("", 0, "who lowers a label decides about every input")


async def import_own(state: ControlState, request: DataImport, fds: list[int]) -> dict[str, Any]:
    """A file from outside of kernels, private to whoever brought it."""
    return await shape(state, await import_file(state, request, fds))


async def newest(state: ControlState, request: PublicationsList, fds: list[int]) -> dict[str, Any]:
    """Own publications, or what waits for this person's word; and what this person may do with theirs."""
    policy = state.effective()
    allowed = policy.publish.value if policy.publish else None
    may = {"person": policy.person, "groups": list(allowed.to) if allowed else [], "reviewed": allowed is None or allowed.review}
    may |= {"imports": policy.upload_max_bytes.value is not None}
    rows = await (waiting(state) if request.review else state.records.read(publications.of_author, state.principal))
    return {"publications": [await shape(state, row) for row in rows], **may}


async def waiting(state: ControlState) -> list[Row]:
    """What others propose about which this person has to say something yet."""
    rows = await state.records.read(publications.proposed)
    return [row for row in rows if (await _verdict(state, row)).inputs - _covered(row)]


async def show(state: ControlState, request: PublicationShow, fds: list[int]) -> dict[str, Any]:
    """The newest version that this person may know of."""
    return await shape(state, await _found(state, request.name))


async def propose(state: ControlState, request: PublicationPropose, fds: list[int]) -> dict[str, Any]:
    """Private -> proposed to a group that the policy names for its author; published at once where it asks for no review."""
    row = await _own(state, request.name)
    await authority.refuse_suspended_person(state, "publication.propose", row["name"])
    allowed = await _allowed(state, request, row)
    _check_purposes(row)
    proposed = row | {"audience": request.group}
    values = {"audience": request.group, "decisions": [], "rule": str(allowed.rule), "digest": digest_of(proposed)}
    to_state, words = ("proposed", "proposed to") if allowed.value.review else ("published", "published without review to")
    title = f"{state.principal} {words} the group {request.group}: {row['name']}"
    said = fields(state, row, "propose", title, str(allowed.rule))
    return await shape(state, await _moved(state, row, to_state, said, values, title))


async def _allowed(state: ControlState, request: PublicationPropose, row: Row) -> Value[Publish]:
    """What a rule lets this person publish to the group; refused, and recorded, where none does, or where it would be out without review."""
    policy = state.effective()
    allowed, person = policy.publish, policy.person
    if allowed is None or request.group not in allowed.value.to:
        groups = f"to: {', '.join(allowed.value.to)}" if allowed else "to nobody"
        rule = allowed.rule if allowed else RuleRef("", 0, "default: what nothing allows is refused")
        reason = f"{person} may not publish to the group {request.group[:128]}, but {groups}"
        await authority.refuse(state, "publication.propose", row["name"], Decision(False, reason, rule, f"ask an admin ({policy.admins})"))
    if isinstance(request, PublicationSubmit) and not allowed.value.review:
        reason = f"nobody would review {row['name']}: code in a notebook that {person} trusts could publish it in their name"
        command = f"in a shell outside of JupyterLab: jupyter guardrails data propose {row['name']} --to {shlex.quote(request.group)}"
        await authority.refuse(state, "publication.propose", row["name"], Decision(False, reason, allowed.rule, command))
    return allowed


def _check_purposes(row: Row) -> None:
    if label_of(map(from_json, row["inputs"])).exhausted:
        raise Conflict(f"the inputs of {row['name']} have no purpose in common, so it may be used for none", next_step="make it of fewer inputs")


async def decide(state: ControlState, request: PublicationDecide, fds: list[int]) -> dict[str, Any]:
    """A reviewer's word on what they looked at. Published when somebody who may has agreed about each input."""
    row = await _found(state, request.name)
    step = f"publication.{request.decision}"
    verdict = await _verdict(state, row)
    if not verdict.decision.allowed:
        await authority.refuse(state, step, row["name"], verdict.decision)
    await authority.refuse_suspended_person(state, step, row["name"])
    if row["state"] != "proposed":
        raise Conflict(f"{row['name']} version {row['version']} is {row['state']}, not proposed")
    if request.digest != row["digest"]:
        raise Conflict(f"what is proposed now is {row['digest'][:12]}…, not what was looked at", next_step="look at it again, then decide")
    if request.decision == "send_back":
        return await _send_back(state, row, request, verdict)
    return await _approve(state, row, request, verdict)


async def _send_back(state: ControlState, row: Row, request: PublicationDecide, verdict: Verdict) -> dict[str, Any]:
    if not request.reason.strip():
        raise BadRequest("say what must change: its author reads it", next_step="--reason '…'")
    values = {"decisions": [*row["decisions"], _said(state, request, verdict)]}
    title = f"{state.principal} sent {row['name']} back to {row['author']}"
    said = fields(state, row, "send_back", request.reason, str(verdict.decision.rule))
    return await shape(state, await _moved(state, row, "private", said, values, title))


async def _approve(state: ControlState, row: Row, request: PublicationDecide, verdict: Verdict) -> dict[str, Any]:
    values: dict[str, Any] = {"decisions": [*row["decisions"], _said(state, request, verdict)]}
    owners = await published.owners_of(state, [row])
    if request.classification is not None:
        await _may_classify(state, row, request, verdict, owners)
        values["classification"] = storable(request.classification.strip())
    missing = set(published.needed(row, owners)) - _covered(row | values)
    title = f"{state.principal} approved {row['name']} version {row['version']} of {row['author']}"
    reason = f"{request.reason or title}; label {values.get('classification', row['classification'])} (inherited {row['inherited']})"
    said = fields(state, row, "approve", f"{reason}; digest {row['digest'][:12]}", str(verdict.decision.rule))
    return await shape(state, await _moved(state, row, "proposed" if missing else "published", said, values, title))


async def _may_classify(state: ControlState, row: Row, request: PublicationDecide, verdict: Verdict, owners: dict[str, str]) -> None:
    """Up is anybody's to say who reviews; down is a declassification, by somebody who decides about every input, with a reason."""
    wanted, present = (request.classification or "").strip(), row["classification"]
    if not wanted:
        raise BadRequest("an empty classification says nothing", next_step="leave it out to keep the inherited one")
    if wanted.casefold() == present.casefold() or rank(wanted) > rank(present):
        return
    others = sorted(set(published.needed(row, owners)) - verdict.inputs)
    if others:
        reason = f"{state.principal} does not decide about {', '.join(others[:5])}, which {row['name']} was made of"
        await authority.refuse(
            state, "publication.declassify", row["name"], Decision(False, reason, DECLASSIFY, "approve it with its label, or let their owners decide")
        )
    if not request.reason.strip():
        raise BadRequest(
            f"to lower {row['classification']} to {wanted} needs a reason", next_step="--reason 'why nothing of its inputs is left in it'"
        )


def _said(state: ControlState, request: PublicationDecide, verdict: Verdict) -> dict[str, Any]:
    said = {"reviewer": state.principal, "decision": request.decision, "reason": storable(request.reason), "classification": request.classification}
    return said | {"digest": request.digest, "inputs": sorted(verdict.inputs), "at": iso(state.clock())}


def _covered(row: Row) -> set[str]:
    """The inputs about which somebody has agreed, for exactly what is proposed."""
    return {name for one in row["decisions"] if one["decision"] == "approve" and one["digest"] == row["digest"] for name in one["inputs"]}


async def withdraw(state: ControlState, request: PublicationWithdraw, fds: list[int]) -> dict[str, Any]:
    """By its author or an admin: nobody opens it any more, its file is removed. What is open stays readable."""
    row = await _found(state, request.name, for_admins=True)
    refusal = _no_withdrawal(state, row, discard=isinstance(request, PublicationDiscard))
    if refusal is not None:
        await authority.refuse(state, "publication.withdraw", row["name"], refusal)
    title = f"{state.principal} withdrew {row['name']} version {row['version']}"
    return await shape(state, await _moved(state, row, "withdrawn", fields(state, row, "withdraw", request.reason or title), {}, title))


def _no_withdrawal(state: ControlState, row: Row, *, discard: bool) -> Decision | None:
    """Why this person can't take it back; `discard`: from where code of a notebook may ask in their name, so only what no others read."""
    policy, author = state.effective(), row["author"]
    if author != policy.person and (discard or "admin" not in policy.roles):
        return Decision(False, f"{row['name']} is {author}'s", published.OWN, f"ask {author}, or an admin ({policy.admins})")
    if discard and row["state"] == "published":
        reason = f"the group {row['audience']} reads {row['name']}: code in a notebook that {author} trusts could take it from them"
        return Decision(False, reason, OUTSIDE, f"in a shell outside of JupyterLab: jupyter guardrails data withdraw {row['name']}")
    return None


async def _moved(state: ControlState, row: Row, to_state: str, said: dict[str, Any], values: dict[str, Any], title: str) -> Row:
    """The step and its notice in one transaction; then the files of what is gone."""
    told = announcing.notice(state, said["action"], title, resource=row["name"], person=row["author"])
    before = [other for other in await state.records.read(publications.of_name, row["name"]) if other["state"] == "published"]
    moved = await state.records.write(_move, row, to_state, said, values, told)
    gone = [other for other in before if to_state == "published" and other["id"] != row["id"]] + ([row] if to_state == "withdrawn" else [])
    for other in gone:
        published.path_of(state, other).unlink(missing_ok=True)
    return moved


def _move(connection: Connection, row: Row, to_state: str, said: dict[str, Any], values: dict[str, Any], told: announcing.Notice) -> Row:
    moved = publications.move(connection, row, to_state, fields=said, now=said["now"], **values)
    told.put(connection)
    return moved


async def _verdict(state: ControlState, row: Row) -> Verdict:
    return published.verdict_on(state.effective(), row, await published.owners_of(state, [row]))


async def _own(state: ControlState, name: str) -> Row:
    """The newest of one's own that is private; Conflict where there is none."""
    rows = [row for row in await state.records.read(publications.of_name, name) if row["author"] == state.principal]
    if not rows:
        raise _missing(name)
    if rows[0]["state"] != "private":
        raise Conflict(f"{name} version {rows[0]['version']} is {rows[0]['state']} already", next_step="publish a new version, and propose that")
    return rows[0]


async def _found(state: ControlState, name: str, *, for_admins: bool = False) -> Row:
    if (one := await published.find(state, name)) is not None:
        return one.row
    rows = await state.records.read(publications.of_name, name) if for_admins and "admin" in state.effective().roles else []
    if not rows:
        raise _missing(name)
    return rows[0]


def _missing(name: str) -> NotFound:
    return NotFound(f"there is no publication {name[:200]!a} that you may know of", next_step="`jupyter guardrails data publications` lists yours")


async def shape(state: ControlState, row: Row) -> dict[str, Any]:
    """A publication as it is shown: to its author, to who decides about it, and to its readers."""
    same = ("name", "version", "author", "state", "description", "classification", "inherited", "purposes", "format", "digest", "rule")
    times = {"created_at": iso(row["created_at"]), "expires_at": iso(row["expires_at"]) if row["expires_at"] else None}
    content, owners = row["content"], await published.owners_of(state, [row])
    knows_all = row["author"] == state.principal or bool(published.verdict_on(state.effective(), row, owners).inputs)
    waits = sorted(set(published.needed(row, owners)) - _covered(row)) if row["state"] == "proposed" and knows_all else []
    inputs = await _inputs(state, row, all_by_name=knows_all)
    decisions = [{key: one[key] for key in ("reviewer", "decision", "reason", "classification", "at")} for one in row["decisions"]]
    said = {key: row[key] for key in same} | times | {"group": row["audience"], "inputs": inputs, "waits_for": waits, "decisions": decisions}
    said["produced_by"] = produced.shown(row["produced_by"] or {})
    said["deciders"] = published.deciders(state.effective(), row, owners, waits)
    said |= {key: content[key] for key in ("size_bytes", "rows", "columns", "scan")} | {"content_digest": content["digest"]}
    return said | {"next_step": _next_step(row, waits)}


async def _inputs(state: ControlState, row: Row, *, all_by_name: bool) -> list[dict[str, Any]]:
    """What it was made of, by name where this person may know of that."""
    inputs = [{key: item[key] for key in ("name", "version", "classification")} for item in row["inputs"]]
    if all_by_name:
        return inputs
    known = await labels.known_to(state, [item["name"] for item in inputs])
    return [item if item["name"] in known else item | {"name": labels.UNKNOWN, "version": ""} for item in inputs]


def _next_step(row: Row, waits: list[str]) -> str:
    digest = f"--digest {row['digest'][:12]}"
    return {
        "private": f"jupyter guardrails data propose {row['name']} --to GROUP",
        "proposed": f"somebody who decides about {', '.join(waits)}: jupyter guardrails data approve {row['name']} {digest}",
        "published": f"guarded.open({row['name']!r})",
    }.get(row["state"], "")


OPERATIONS: Operations = {
    DataImport: import_own,
    PublicationsList: newest,
    PublicationShow: show,
    PublicationPropose: propose,
    PublicationSubmit: propose,
    PublicationDecide: decide,
    PublicationWithdraw: withdraw,
    PublicationDiscard: withdraw,
}
