"""One page of a listing of datasets: of the catalogue's own and of what people published, in an order that holds over all pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.catalog.folder import Shelf
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.numbered import Bits
from jupyter_guardrails.control.interface.messages import DatasetsSearch
from jupyter_guardrails.control.published import Seen
from jupyter_guardrails.control.visibility import Sets


@dataclass(frozen=True, slots=True)
class Part:
    """Datasets that are listed together: the catalogue's own, as numbers, and behind them what people published."""

    numbers: Bits
    published: Sequence[Seen]


@dataclass(frozen=True, slots=True)
class Page:
    """`found`: contracts of one page, each with what this person may have of it; `total`: how many there are on all pages."""

    found: list[tuple[Contract, Access]]
    total: int


def parts_of(request: DatasetsSearch, sets: Sets, published: Sequence[Seen]) -> list[Part]:
    """What is listed one after another: all in one, or what can be read, then what can be asked for, then the rest."""
    if request.order == "name" or request.q.strip() or request.scope != "all":
        return [Part(sets.within(request.scope), published)]
    granted, asked = sets.within("granted"), sets.within("requestable") & ~sets.granted
    readable = [one for one in published if one.access.status == "granted"]
    askable = [one for one in published if one.access.status == "requestable"]
    others = [one for one in published if one.access.status not in ("granted", "requestable")]
    return [Part(granted, readable), Part(asked, askable), Part(sets.listed & ~granted & ~asked, others)]


def page_of(request: DatasetsSearch, parts: Sequence[Part], access: Callable[[Contract], Access], shelf: Shelf) -> Page:
    """The page that a request asks for; `access` says what this person may have of a contract."""
    found: list[tuple[Contract, Access]] = []
    before = 0  # datasets of the parts that came before
    for part in parts:
        left, offset = request.limit - len(found), max(0, request.offset - before)
        page = shelf.index.search(request.q, part.numbers, shelf.numbered, limit=max(1, left), offset=offset)
        own = [contract for number in page.numbers[:left] if (contract := shelf.numbered.contracts[number])]
        skipped = max(0, offset - page.total)
        theirs = part.published[skipped : skipped + left - len(own)]
        found += [(contract, access(contract)) for contract in own] + [(one.contract, one.access) for one in theirs]
        before += page.total + len(part.published)
    return Page(found, before)
