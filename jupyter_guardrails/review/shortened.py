"""A notebook that is too large to be shown whole: all its cells, without the biggest of their outputs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from jupyter_guardrails.package.jsonstream import Span
from jupyter_guardrails.package.skeleton import Skeleton, read_skeleton

MOST_HELD = 64 << 20  # bytes of all outputs that are shown
MOST_WALKED = 1 << 30  # bytes of a notebook whose outputs are looked for: some ten seconds of a processor


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Stands where an output was; no notebook can hold one."""

    bytes: int


def shortened(path: Path) -> dict[str, Any]:
    """The notebook with the smallest of its outputs, as many as fit, and `LeftOut` for each other one; ValueError where it is none."""
    if path.stat().st_size > MOST_WALKED:
        raise ValueError(f"it has more than {MOST_WALKED >> 30} GiB")
    with path.open("rb") as file:
        skeleton = read_skeleton(file)
        notebook: dict[str, Any] = json.loads(skeleton.text)
        if skeleton.is_old or "worksheets" in notebook:
            raise ValueError("it is of a format before nbformat 4")
        kept, cells = _smallest(skeleton), notebook.get("cells")
        if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
            raise ValueError("it has no cells, or something else among them")
        for cell, spans in zip(cells, skeleton.outputs, strict=True):
            if spans:
                cell["outputs"] = [_output(file, span) if span in kept else LeftOut(span[1] - span[0]) for span in spans]
    return notebook


def left_out(notebook: Mapping[str, Any]) -> list[LeftOut]:
    """All that is not there of a notebook."""
    return [one for cell in notebook.get("cells", []) for one in cell.get("outputs", []) if isinstance(one, LeftOut)]


def _smallest(skeleton: Skeleton) -> frozenset[Span]:
    return frozenset(_fitting(sorted((span for spans in skeleton.outputs for span in spans), key=lambda span: (span[1] - span[0], span))))


def _fitting(spans: Iterable[Span]) -> Iterable[Span]:
    left = MOST_HELD
    for start, end in spans:
        left -= end - start
        if left < 0:
            return
        yield start, end


def _output(file: BinaryIO, span: Span) -> Any:
    file.seek(span[0])
    return json.loads(file.read(span[1] - span[0]))
