"""What `requests show` says of a package: what it needs, licences, sizes, advisories, and what of that no job of its person may hold yet."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.package_requests import Fact, PackageSeen, RequestShow
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.promotion.package_facts import gather
from jupyter_guardrails.promotion.results import many

UNKNOWN = "not known"
MEGABYTE = 1e6


def gathered(client: ControlClient, found: dict[str, Any]) -> dict[str, Any]:
    """`facts` of the package and of what it needs, and which of these control refuses; `facts_problem` where nothing could be learnt.

    Control keeps them for the decision of whoever may make it.
    """
    request = found["request"]
    try:
        facts = [one.to_json() for one in gather(str(request["package"]))]
    except GuardrailsError as error:
        return {"facts": [], "facts_problem": error.message}
    told = client.call(RequestShow(id=request["id"], packages=tuple(one["name"] for one in facts)))
    if told["decides"] and request["state"] == "open":
        told["seen"] = client.call(PackageSeen(id=request["id"], facts=tuple(map(Fact.model_validate, facts))))
    return {"facts": facts, "facts_problem": "", "refused": told["refused"], "seen": told["seen"]}


def described(found: dict[str, Any]) -> Iterator[str]:
    """The lines about the package, each of its own; nothing for requests of other kinds."""
    seen = found.get("seen")
    if seen and seen["facts"] != found.get("facts"):
        yield f"what {line(seen['by'])} saw on {seen['at'][:16].replace('T', ' ')} UTC (sha256 {seen['digest']}):"
        yield from (_line(one, "", first=number == 0) for number, one in enumerate(seen["facts"]))
        yield "now:" if found.get("facts") else ""
    if problem := found.get("facts_problem"):
        yield f"what it is and needs: {UNKNOWN} ({line(problem)})"
    facts = found.get("facts") or []
    if not facts:
        return
    yield from (_line(one, found["refused"].get(one["name"], ""), first=number == 0) for number, one in enumerate(facts))
    yield f"in all: {many(len(facts), 'package')}, {_size(_total(facts))}"
    yield from _approval(found, facts)


def _approval(found: dict[str, Any], facts: list[dict[str, Any]]) -> Iterator[str]:
    """The command that allows it with what it needs, where that is open."""
    request = found["request"]
    needed = [one["name"] for one in facts[1:] if one["name"] in found["refused"]]
    if request["state"] == "open" and found["groups"]:
        words = ["jupyter", "guardrails", "requests", "approve", request["id"], *(["--with", *needed] if needed else [])]
        yield f"to allow it{' with what it needs' if needed else ''}: {shlex.join(words)} --reason '…'"


def _line(one: dict[str, Any], refused: str, *, first: bool) -> str:
    told = one["advisories"]
    advisories = f"advisories {UNKNOWN}" if told is None else "; ".join(map(line, told)) or "no known advisories"
    said = f"{'' if first else '  needs '}{line(one['name'])} {line(one['version'])}: licence {line(one['license'] or UNKNOWN)}, "
    return f"{said}{_size(one['size_bytes'])}, {advisories}" + (f"; {line(refused)}" if refused and not first else "")


def _total(facts: list[dict[str, Any]]) -> int | None:
    sizes = [one["size_bytes"] for one in facts]
    return None if None in sizes else sum(sizes)


def _size(size: int | None) -> str:
    return f"size {UNKNOWN}" if size is None else f"{size / MEGABYTE:.1f} MB"
