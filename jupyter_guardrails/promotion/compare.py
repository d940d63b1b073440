"""What the author saw against what the clean run gave: text exact, numbers to a tolerance, pictures by kind and size."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jupyter_guardrails.promotion.offers import CLEAR_OUTPUTS
from jupyter_guardrails.promotion.pictures import size_of
from jupyter_guardrails.promotion.results import Finding

NUMBER = re.compile(r"[-+]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")  # `<Figure at 0x7f…>`
RELATIVE = 1e-6
ABSOLUTE = 1e-9
PREFERRED = ("text/plain", "text/html", "application/json", "text/markdown", "text/latex")
SHOWN = 80


def differences(before: Iterable[Any], after: Sequence[Any]) -> Iterator[Finding]:
    """A finding for each code cell whose outputs differ; cells that were never run are left out, and outputs None are too long."""
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        if old["cell_type"] != "code" or old.get("execution_count") is None:
            continue
        if old["outputs"] is None:
            yield Finding("the author's output is too long to compare", index, fix="show less of it", kind="not_compared", offer=CLEAR_OUTPUTS)
            continue
        difference = _difference(_readable(old["outputs"]), _readable(new["outputs"]))
        if difference:
            yield Finding(f"the output differs from the author's: {difference}", index, fix="run the notebook again and compare; set a random seed")


def same_text(old: str, new: str) -> bool:
    """Equal but for numbers within the tolerance and addresses of objects in memory."""
    old, new = ADDRESS.sub("0x", old), ADDRESS.sub("0x", new)
    if old == new:
        return True
    if NUMBER.sub("#", old) != NUMBER.sub("#", new):
        return False
    return all(_close(a, b) for a, b in zip(NUMBER.findall(old), NUMBER.findall(new), strict=True))


def _close(old: str, new: str) -> bool:
    try:
        return math.isclose(float(old.replace(",", "")), float(new.replace(",", "")), rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    except ValueError:
        return old == new


def _difference(old: list[tuple[str, str]], new: list[tuple[str, str]]) -> str:
    if [kind for kind, _ in old] != [kind for kind, _ in new]:
        return f"{_kinds(old)} before, {_kinds(new)} now"
    for (kind, before), (_, after) in zip(old, new, strict=True):
        if kind.startswith("image/"):
            if (old_size := size_of(kind, before)) != (new_size := size_of(kind, after)):
                return f"{kind} of {old_size or 'no known size'} before, of {new_size or 'no known size'} now"
        elif not same_text(before, after):
            return _first_difference(before, after)
    return ""


def _first_difference(before: str, after: str) -> str:
    lines = zip([*before.splitlines(), ""], [*after.splitlines(), ""], strict=False)
    old, new = next(((a, b) for a, b in lines if not same_text(a, b)), (before, after))
    return f"{old[:SHOWN]!r} before, {new[:SHOWN]!r} now"


def _kinds(outputs: list[tuple[str, str]]) -> str:
    return ", ".join(kind for kind, _ in outputs) or "nothing"


def _readable(outputs: Sequence[Any]) -> list[tuple[str, str]]:
    """(kind, text) of each output; pieces of one stream are one."""
    found: list[tuple[str, str]] = []
    for output in outputs:
        kind, text = _one(output)
        if found and kind.startswith("stream") and found[-1][0] == kind:
            found[-1] = (kind, found[-1][1] + text)
        else:
            found.append((kind, text))
    return sorted(found, key=lambda item: item[0])  # streams and results interleave by chance


def _one(output: Any) -> tuple[str, str]:
    if output["output_type"] == "stream":
        return f"stream {output['name']}", "".join(output["text"])
    if output["output_type"] == "error":
        return "error", f"{output['ename']}: {output['evalue']}"
    data = output.get("data", {})
    picture = next((kind for kind in sorted(data) if kind.startswith("image/")), None)
    chosen = picture or next((kind for kind in PREFERRED if kind in data), next(iter(sorted(data)), "nothing"))
    value = data.get(chosen, "")
    return chosen, value if isinstance(value, str) else json.dumps(value, sort_keys=True)
