"""What `doctor` says about data: which datasets an account can open without us, so that a policy about them is advice."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from jupyter_guardrails.catalog import Catalog
from jupyter_guardrails.control.advisory import opens
from jupyter_guardrails.control.interface import Settings
from jupyter_guardrails.sandbox.permissions import Account

CONTROLS_ACCOUNT = "jupyter-guardrails"  # that of the service (docs/admins.md)


def advisory(catalog: Catalog, account: Account, settings: Settings) -> dict[str, Any]:
    """`{datasets, advisory: [name], next_step}`: of all datasets with files of this machine, those that the account can open."""
    local = [contract for contract in catalog.contracts.values() if contract.path]
    found = [contract for contract in local if opens(contract, account)]
    return {"datasets": len(local), "advisory": sorted(one.name for one in found), "next_step": _next_step(settings, [one.path for one in found])}


def lines(report: dict[str, Any], account: str) -> Iterator[str]:
    """How many, the first of them, and what mends it."""
    names = report["advisory"]
    if names:
        shown = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
        yield f"data       {account} can open {len(names)} of {report['datasets']} datasets without us: {shown}"
        yield f"           next: {report['next_step']}"


def _next_step(settings: Settings, paths: list[str]) -> str:
    if not paths:
        return ""
    if not settings.service:
        return (
            "nothing here can prevent it: control is this account, too. It takes control as a service (docs/admins.md), and files that belong to it"
        )
    return f"chown -R {CONTROLS_ACCOUNT}: {shlex.quote(paths[0])} && chmod -R u=rwX,go= {shlex.quote(paths[0])}, and so for the others"
