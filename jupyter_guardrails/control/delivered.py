"""Which columns somebody is given of a dataset, through the broker: what a package says of its data, and what its runs compare with that."""

from __future__ import annotations

from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.catalog.delivery import TABLES
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.control import scans
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.package.tables import Found, named


async def columns_of(state: ControlState, contract: Contract, access: Access) -> Found:
    """`{format, columns: {name: type}, problem}` after this person's masks, as `tables.look` says it of a file; no row is read."""
    if contract.format not in TABLES:
        return _untold(contract, "it is no table")
    try:
        said = await scans.told(state, contract, scans.plan_of(contract, access, form="columns", limit=1))
    except TimeoutError:
        return _untold(contract, f"its source did not answer within {scans.PREVIEW_S:g} s")
    except GuardrailsError as error:
        return _untold(contract, error.message)
    return named(contract.format, [(str(name), str(kind)) for name, kind in said["columns"]])


def _untold(contract: Contract, problem: str) -> Found:
    """Why there are no columns to compare; without a `format` where nothing says that it is a table at all (a folder of pictures, say)."""
    said = contract.format if contract.format in TABLES and contract.format != "directory" else ""
    return {"format": said, "columns": {}, "problem": problem}
