"""Notices on their way from the outbox to webhook and mail: beside the requests, at least once, with a back-off, given up on the record."""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
import stat
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import announcing, authority, company_network, notify_mail, notify_webhook
from jupyter_guardrails.control.conversation import Line, within
from jupyter_guardrails.control.interface.oversight import NotifyCheck
from jupyter_guardrails.control.repeating import repeat
from jupyter_guardrails.control.state import ControlState, Operations, log
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.policy.document import Notify
from jupyter_guardrails.records import outbox

EVERY_S = 1.0
TOTAL_S = 30.0  # for one notice, however slowly its receiver answers
KEYS = ("webhook_secret", "smtp_login")
Row = dict[str, Any]


async def deliver_forever(state: ControlState) -> None:
    """Look every second for what is due; never ends, whatever a receiver does."""
    await repeat(functools.partial(deliver, state), every_s=EVERY_S, name="notices")


async def deliver(state: ControlState, *, total_s: float = TOTAL_S) -> None:
    """Send what is due, the targets beside each other: one that is away keeps only its own notices waiting."""
    rows = await state.records.read(outbox.due, now=state.clock())
    targets = dict.fromkeys(row["target"] for row in rows)
    await asyncio.gather(*(_deliver_to(state, [row for row in rows if row["target"] == target], total_s) for target in targets))


async def _deliver_to(state: ControlState, rows: list[Row], total_s: float) -> None:
    """In order, until one fails: the rest would fail alike, and has its turn again."""
    for row in rows:
        try:
            await _send(state, row, total_s)
        except (OSError, GuardrailsError) as error:  # TimeoutError, smtplib's and ssl's errors are OSErrors
            log.warning("a notice (%s) did not reach %s: %s", row["event"]["kind"], row["target"], error)
            await state.records.write(_failed, row, str(error), state)
            return
        await state.records.write(outbox.sent, row["id"], row["target"], now=state.clock())


async def _send(state: ControlState, row: Row, total_s: float) -> None:
    told = announcing.settings(state)
    if not getattr(told, row["target"]):
        raise OSError(f"the policy names no {row['target']} any more")
    secrets, tls = await asyncio.to_thread(_read, state, told)
    event, sent_at = row["event"], int(state.clock().timestamp())

    def work(line: Line) -> None:
        if row["target"] == "webhook":
            notify_webhook.post(line, str(told.webhook), event, secret=secrets["webhook_secret"], sent_at=sent_at, tls=tls)
        else:
            notify_mail.send(line, told, event, login=secrets["smtp_login"], tls=tls)

    await within(work, total_s=total_s)


async def check(state: ControlState, request: NotifyCheck, fds: list[int]) -> dict[str, Any]:
    """Whether each target takes connections now, and how many notices wait for it."""
    await authority.require_admin(state, "notify.check", "notices")
    told = announcing.settings(state)
    found = [await _reached(state, told, target) for target in announcing.targets(state)]
    return {"targets": found, "waiting": await state.records.read(outbox.waiting)}


async def _reached(state: ControlState, told: Notify, target: str) -> dict[str, Any]:
    def work(line: Line) -> None:
        if target == "webhook":
            notify_webhook.reach(line, str(told.webhook), tls=tls)
        else:
            notify_mail.reach(line, told, login=secrets["smtp_login"], tls=tls)

    try:
        secrets, tls = await asyncio.to_thread(_read, state, told)
        await within(work, total_s=TOTAL_S / 3)
    except (OSError, GuardrailsError) as error:
        return {"target": target, "ok": False, "error": str(error)}
    return {"target": target, "ok": True, "error": ""}


def secret_files(state: ControlState) -> tuple[str, ...]:
    """What stays shut to kernels in every mode."""
    path = announcing.settings(state).credentials
    return (path,) if path else ()


def _read(state: ControlState, told: Notify) -> tuple[dict[str, str], ssl.SSLContext]:
    """Secrets, read anew for each notice so that a new one counts at once, and whom TLS trusts: the company's certificates too."""
    tls = ssl.create_default_context()
    bundle = company_network.read(state.settings.policy_path).ca_bundle
    if bundle:
        tls.load_verify_locations(cafile=bundle)
    return _credentials(state, told.credentials), tls


def _credentials(state: ControlState, path: str | None) -> dict[str, str]:
    """`key=value` lines; OSError, which quotes nothing of it, when it is not control's alone or holds something else."""
    found = dict.fromkeys(KEYS, "")
    if path is None:
        return found
    _refuse_open(state, path)
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        key, separator, value = line.strip().partition("=")
        if not key or key.startswith("#"):
            continue
        if not separator or key.strip() not in KEYS:
            raise OSError(f"{path}:{number} is not one of {', '.join(KEYS)}, each with = and a value")
        found[key.strip()] = value.strip()
    return found


def _refuse_open(state: ControlState, path: str) -> None:
    """Others may not read it; where kernels run as control's account, they would if it lay where they read."""
    status = os.stat(path)
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid not in (0, os.geteuid()):
        raise OSError(f"{path} may be read by others, or belongs to somebody else: chown and chmod 600")
    real = Path(os.path.realpath(path))
    policy = state.policies.current
    listed = policy.document.paths if policy else None
    reach = (*company_network.SYSTEM, *(listed.read if listed else ()), *(listed.write if listed else ()))
    place = next((place for place in reach if real.is_relative_to(os.path.realpath(place))), None)
    if place is not None and not state.service:
        raise OSError(f"{path} lies in {place}, which kernels of this same account may read: keep it in control's state directory")


def _failed(connection: Connection, row: Row, error: str, state: ControlState) -> None:
    """Again later, or given up with a record of it, in one transaction."""
    now = state.clock()
    if outbox.failed(connection, row, error, now=now):
        announcing.given_up(connection, row, error, now=now, policy_digest=state.policy_digest)


OPERATIONS: Operations = {NotifyCheck: check}
