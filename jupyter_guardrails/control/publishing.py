"""Taking data over that somebody publishes or brings along: what the policy allows, a copy of our own, a contract drafted from it.

Whatever it is made of, it inherits (labels.py). Until its author proposes it, nobody else knows of it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.catalog import intake
from jupyter_guardrails.catalog.labels import Label, highest, to_json
from jupyter_guardrails.catalog.odcs import MAX_NAME, NAME
from jupyter_guardrails.catalog.published import classified, digest_of, suggested
from jupyter_guardrails.control import authority, labels, published
from jupyter_guardrails.control.interface.publishing import DataImport
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.errors import BadRequest, Conflict, LimitReached
from jupyter_guardrails.policy import Decision, EffectivePolicy, RuleRef
from jupyter_guardrails.records import publications
from jupyter_guardrails.records.columns import storable

MOST_BYTES = 1 << 30  # of one file, where the policy says nothing
MOST_TOGETHER_BYTES = 10 << 30  # of all that one person has published, where the policy does not limit workspaces
MOST_LIVE = 200  # versions of one person
ROOM_BYTES = 1 << 30  # of the disk that the records are on, and that stays free
MAX_DESCRIPTION = 4000

_in_hand: set[str] = set()  # people whose file is being taken over


@dataclass(frozen=True, slots=True)
class Made:
    """A file that a job's run left: its sha256 as the run's record has it, and which job and run that were."""

    digest: str
    produced_by: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be published. `upload`: a file that its author brought along from outside of kernels; `made`: one that a job's run left."""

    name: str
    description: str
    format: str
    upload: bool = False
    made: Made | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a file may be, and the rule that lets it be published at all."""

    most_bytes: int
    together_bytes: int
    label: str
    rule: RuleRef


async def import_file(state: ControlState, request: DataImport, fds: list[int]) -> dict[str, Any]:
    """A file from outside of kernels, as a private publication. A copy looks like any file, so it inherits all that its person was given."""
    if len(fds) != 1:
        raise BadRequest("send one descriptor of the file")
    wanted = Wanted(request.name, request.description, request.format, upload=True)
    return await take(state, wanted, fds[0], lambda: labels.of_person(state))


async def take(state: ControlState, wanted: Wanted, fd: int, inherits: Callable[[], Awaitable[Label]]) -> dict[str, Any]:
    """The row of a new private version; Refused, BadRequest, Conflict or LimitReached, and nothing is kept.

    What it inherits is asked when the copy is made: a file may change until then.
    """
    policy = state.effective()
    await authority.refuse_suspended_person(state, "publication.create", wanted.name[:MAX_NAME])
    _check_words(wanted)
    bounds = await _bounds(state, policy, wanted)
    await _check_type(state, policy, wanted)
    with _one_at_a_time(state.principal):
        await _check_name(state, wanted.name)
        await _check_room(state, bounds)
        row = {"id": f"p-{secrets.token_hex(8)}", "name": wanted.name, "format": wanted.format}
        path = published.path_of(state, row)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        content = await intake.take_in(fd, path, wanted.format, most_bytes=bounds.most_bytes)
        try:
            _check_bytes(wanted, content)
            row |= await _drafted(state, wanted, await inherits(), content, bounds)
            made, gone = await state.records.write(_write, state, row)
        except BaseException:
            path.unlink()
            raise
    for other in gone:
        published.path_of(state, other).unlink(missing_ok=True)
    return made


def _check_bytes(wanted: Wanted, content: dict[str, Any]) -> None:
    if wanted.made is not None and content["digest"] != wanted.made.digest:
        said = f"the file is not the one that the run left: that has the sha256 {wanted.made.digest[:16]}…, this one {content['digest'][:16]}…"
        raise Conflict(said, next_step="run the job again, and publish what that makes")


async def _bounds(state: ControlState, policy: EffectivePolicy, wanted: Wanted) -> Bounds:
    """What a rule's `publish` and `uploads` allow; refused, and recorded, where there is none."""
    size, rule = policy.upload_max_bytes, policy.publish.rule if policy.publish else None
    if size.value is not None and (wanted.upload or rule is None):
        rule = size.rule
    elif wanted.upload:
        rule = None
    if rule is None:
        key = "uploads.max_size" if wanted.upload else "publish"
        reason = f"no rule lets {policy.person} {'bring files along' if wanted.upload else 'publish data'} (`{key}`)"
        refusal = Decision(False, reason, RuleRef("", 0, "default: what nothing allows is refused"), f"ask an admin ({policy.admins})")
        await authority.refuse(state, "publication.create", wanted.name, refusal)
    together = policy.workspace_size.value or MOST_TOGETHER_BYTES
    return Bounds(size.value or MOST_BYTES, together, policy.upload_label.value, rule)


async def _check_type(state: ControlState, policy: EffectivePolicy, wanted: Wanted) -> None:
    types = policy.upload_types
    if types.value is not None and wanted.format not in types.value:
        reason = f"{wanted.format} files are not taken from {policy.person} (`uploads.types`)"
        refusal = Decision(False, reason, types.rule, f"write one of {', '.join(types.value)}")
        await authority.refuse(state, "publication.create", wanted.name, refusal)


def _check_words(wanted: Wanted) -> None:
    if not NAME.fullmatch(wanted.name) or len(wanted.name) > MAX_NAME:
        shown = ascii(wanted.name[:MAX_NAME])
        raise BadRequest(
            f"{shown} cannot be a dataset's name", next_step="lower-case letters, digits, . _ - in parts with / between, like team/churn"
        )
    if wanted.format not in intake.FORMATS:
        raise BadRequest(f"{wanted.format[:20]!a} files are not taken", next_step=f"write one of {', '.join(intake.FORMATS)}")
    if not wanted.description.strip() or len(wanted.description) > MAX_DESCRIPTION:
        raise BadRequest(f"a description of at most {MAX_DESCRIPTION} characters is needed", next_step='description="what it is and how it was made"')


@contextmanager
def _one_at_a_time(person: str) -> Iterator[None]:
    if person in _in_hand:
        raise LimitReached("another file of yours is being taken over", next_step="wait for it")
    _in_hand.add(person)
    try:
        yield
    finally:
        _in_hand.discard(person)


async def _check_name(state: ControlState, name: str) -> None:
    """A name of the catalogue, or of somebody else's publication, is theirs: nobody may look like it."""
    rows = await state.records.read(publications.of_name, name)
    if name in state.catalogs.current.by_name or any(row["author"] != state.principal for row in rows):
        taken = Decision(False, f"the name {name} is taken", RuleRef("", 0, "one name, one dataset"), "choose another name")
        await state.audit("publication.create", name, taken)
        raise Conflict(taken.reason, next_step=taken.next_step)


async def _check_room(state: ControlState, bounds: Bounds) -> None:
    rows = [row for row in await state.records.read(publications.of_author, state.principal) if row["state"] in publications.LIVE]
    used = sum(row["content"]["size_bytes"] for row in rows)
    next_step = "withdraw what is not needed: `jupyter guardrails data withdraw NAME`"
    if len(rows) >= MOST_LIVE or used >= bounds.together_bytes:
        raise LimitReached(
            f"{len(rows)} publications of yours hold {used} bytes: at most {MOST_LIVE} and {bounds.together_bytes}", next_step=next_step
        )
    disk = os.statvfs(state.settings.state_dir)
    if disk.f_bavail * disk.f_frsize < bounds.most_bytes + ROOM_BYTES:
        raise LimitReached(
            "control's disk has no room for a file of that size", next_step="tell your admin: the disk of the state directory is nearly full"
        )


async def _drafted(state: ControlState, wanted: Wanted, label: Label, content: dict[str, Any], bounds: Bounds) -> dict[str, Any]:
    """The row: what is in the file, what it inherits, and the digest of both."""
    content = classified(content, label, await _known_columns(state, label))
    inherited = suggested(content, highest([text for text in (label.classification, bounds.label) if text]))
    now = state.clock()
    row = {"name": wanted.name, "version": await state.records.read(publications.next_version, wanted.name), "author": state.principal}
    row |= {"state": "private", "audience": "", "description": storable(wanted.description.strip()), "format": wanted.format, "content": content}
    row |= {"classification": inherited, "inherited": inherited, "purposes": list(label.purposes), "expires_at": label.expires_at}
    row |= {"inputs": [to_json(item) for item in label.inputs], "decisions": [], "rule": str(bounds.rule), "created_at": now, "updated_at": now}
    row |= {"produced_by": wanted.made.produced_by} if wanted.made else {}
    return row | {"digest": digest_of(row)}


async def _known_columns(state: ControlState, label: Label) -> dict[str, str]:
    """Column name, without case -> its class in an input, of several the highest."""
    contracts = state.catalogs.current.by_name
    found: dict[str, list[str]] = {}
    for name in {item.name for item in label.inputs}:
        if name in contracts:
            columns = [(column.name, column.classification) for column in contracts[name].columns]
        else:
            rows = await state.records.read(publications.of_name, name)
            columns = [(item["name"], item["classification"]) for row in rows for item in row["content"]["columns"]]
        for column, classification in columns:
            found.setdefault(column.casefold(), []).extend([classification] if classification else [])
    return {column: highest(classes) for column, classes in found.items()}


def _write(connection: Connection, state: ControlState, row: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The new version, and the author's earlier ones that were not published yet and go for it."""
    earlier = [other for other in publications.of_name(connection, row["name"]) if other["state"] in ("private", "proposed")]
    made = publications.create(connection, row, fields(state, row, "create", f"version {row['version']}, {row['classification']}"))
    for other in earlier:
        said = fields(state, other, "withdraw", f"version {row['version']} takes its place")
        publications.move(connection, other, "withdrawn", fields=said, now=state.clock())
    return made, earlier


async def tidy(state: ControlState) -> None:
    """Called when control starts: files that a killed control left without a row, or after their row was over, are removed.

    Requests are served beside it, so what it looks at is fixed before it first waits.
    """
    folder = (state.settings.state_dir / published.FOLDER).resolve()
    files = set(folder.iterdir()) if folder.is_dir() else set()
    kept = {published.path_of(state, row) for row in await state.records.read(publications.live)}
    for path in files - kept:
        path.unlink(missing_ok=True)


def fields(state: ControlState, row: dict[str, Any], step: str, reason: str, rule: str = "") -> dict[str, Any]:
    """The audit record of a step of a publication."""
    return state.audit_fields(f"publication.{step}", row["name"], reason=reason, rule=rule or row["rule"])
