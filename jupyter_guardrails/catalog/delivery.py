"""How a dataset gets to a person: as it is, or not at all. Masked, filtered and purpose-bound delivery is to come, and refused until then."""

from __future__ import annotations

from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.policy.decision import Obligations

OFFERED = ("active", "deprecated")
LATER = "is not available in this version, so it stays shut"


def obstacle(contract: Contract, obligations: Obligations) -> str:
    """Why a dataset cannot be given out as it is, in one sentence; empty when it can."""
    if contract.problems:
        return f"the contract of {contract.name} has mistakes, and offers nothing until they are corrected"
    if contract.status not in OFFERED:
        return f"{contract.name} is {contract.status}, and is given out while it is {' or '.join(OFFERED)}"
    masked = sorted({*obligations.masks, *(column.name for column in contract.columns if column.mask)})
    if masked:
        return f"{contract.name} would have to be masked ({', '.join(masked[:5])}{' …' if len(masked) > 5 else ''}), and masked delivery {LATER}"
    if obligations.row_filter or contract.row_filter:
        return f"{contract.name} would have to be filtered by rows, and filtered delivery {LATER}"
    if contract.delivery != "direct":
        return f"{contract.name} asks for {contract.delivery} delivery, which {LATER}"
    if contract.purposes:
        return f"{contract.name} may be used for {', '.join(contract.purposes)} only, and delivery bound to a purpose {LATER}"
    return ""
