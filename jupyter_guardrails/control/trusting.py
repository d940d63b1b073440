"""Whose signatures on packages count: control's own key, and those that were put into its trust store, which lies in no package."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from securesystemslib.signer._key import Key

from jupyter_guardrails.control import authority
from jupyter_guardrails.control.interface.trust import TrustAdd, TrustList, TrustRemove
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import Conflict
from jupyter_guardrails.package import canonical, signatures, trust

OWN_RULE = "whoever control runs as trusts whom they like"
OWN_NAME = "this control"


async def add(state: ControlState, request: TrustAdd, fds: list[int]) -> dict[str, Any]:
    """Trusted when this answers; recorded."""
    key = trust.parse_key(request.key, name=request.name)
    rule = await _may(state, "trust.add", key.keyid)
    await state.audit("trust.add", key.keyid, reason=key.name, rule=rule)
    return _shape(await asyncio.to_thread(trust.add, store(state), key))


async def remove(state: ControlState, request: TrustRemove, fds: list[int]) -> dict[str, Any]:
    """No longer trusted when this answers; recorded. Control's own key stays."""
    rule = await _may(state, "trust.remove", request.keyid)
    if any(key.keyid == request.keyid for key in await asyncio.to_thread(_own, state)):
        raise Conflict("this is control's own key, which signs what is submitted here", next_step="`jupyter guardrails suspend job NAME` stops a job")
    found = await asyncio.to_thread(trust.remove, store(state), request.keyid)
    await state.audit("trust.remove", request.keyid, reason=request.reason, rule=rule)
    return _shape(found)


async def listed(state: ControlState, request: TrustList, fds: list[int]) -> dict[str, Any]:
    """For everybody: public keys are no secret, and whose word counts concerns whoever runs a package."""
    own, others = await asyncio.to_thread(lambda: (_own(state), trust.listed(store(state))))
    return {"keys": [*(_shape(key, own=True) for key in own), *map(_shape, others)]}


def store(state: ControlState) -> Path:
    """Where keys of others lie."""
    return state.settings.state_dir / "trust"


def trusted(state: ControlState) -> list[Key]:
    """All that counts: what signs here (made at the first signature), and what was added."""
    return trust.keys(state.settings.state_dir / "keys", store(state))


def _own(state: ControlState) -> list[trust.TrustedKey]:
    """The key that signs here; it is made when somebody first asks for it."""
    key = signatures.open_signer(state.settings.state_dir / "keys").public_key
    return [trust.parse_key(canonical.dumps(key.to_dict()), name=OWN_NAME)]


async def _may(state: ControlState, action: str, resource: str) -> str:
    """The rule by which this person decides: an admin's word; beside a control of one's own, nobody else's store is at stake."""
    return await authority.require_admin(state, action, resource) if state.service else OWN_RULE


def _shape(key: trust.TrustedKey, *, own: bool = False) -> dict[str, Any]:
    """What is told of a key; `public` is the text of a file that another control can be given."""
    return {"keyid": key.keyid, "name": key.name, "own": own, "public": canonical.dumps(key.to_json())}


OPERATIONS: Operations = {TrustAdd: add, TrustList: listed, TrustRemove: remove}
