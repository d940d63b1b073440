"""What a clean run really opened, by cell: datasets, files of the package, results, places of the network, and what nobody declared."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from jupyter_guardrails.promotion.results import Finding
from jupyter_guardrails.sandbox.tracer import Seen

LOOPBACK = ("127.", "[::1]", "0.0.0.0:", "[::]")  # the proxy, and the notebook's own servers: what is behind the proxy control has recorded
PARTS = ("datasets", "files", "written", "hosts", "undeclared", "refused")
Cell = int | None  # None: before the first one, while the kernel started


@dataclass(frozen=True, slots=True)
class Begun:
    """When a cell began, on both clocks; `cell` is None for one that isn't the notebook's own."""

    monotonic_s: float
    epoch_s: float
    cell: Cell


@dataclass
class Traced:
    """Each thing with the cell that opened it first. `undeclared` was read, `refused` was tried and not there; `gap`: why this isn't all."""

    datasets: dict[str, Cell] = field(default_factory=dict)
    files: dict[str, Cell] = field(default_factory=dict)
    written: dict[str, Cell] = field(default_factory=dict)
    hosts: dict[str, Cell] = field(default_factory=dict)
    undeclared: dict[str, Cell] = field(default_factory=dict)
    refused: dict[str, Cell] = field(default_factory=dict)
    gap: str = ""

    def to_json(self) -> dict[str, Any]:
        """evidence/inputs.json; `cell` counts from 0. The same run gives the same."""
        return {"gap": self.gap} | {name: [{"name": key, "cell": cell} for key, cell in sorted(getattr(self, name).items())] for name in PARTS}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Traced:
        """The value of which `to_json` made that."""
        return cls(**{name: {entry["name"]: entry["cell"] for entry in said[name]} for name in PARTS}, gap=said["gap"])

    def moved(self, places: Mapping[int, int]) -> Traced:
        """The same with other numbers of cells."""
        parts = {name: {key: None if cell is None else places[cell] for key, cell in getattr(self, name).items()} for name in PARTS}
        return Traced(**parts, gap=self.gap)

    def add_reached(self, reached: Mapping[str, Sequence[Mapping[str, Any]]], begun: Sequence[Begun]) -> None:
        """What went through control: datasets that it delivered, and places behind its proxy (`{name, allowed, epoch_s}`).

        Before the first cell a kernel is given the paths of its datasets, which opens none.
        """
        times = [one.epoch_s for one in begun]
        for kind, found in (("datasets", self.datasets), ("hosts", self.hosts)):
            for entry in reached[kind]:
                if entry["allowed"] and (cell := _at(begun, times, entry["epoch_s"])) is not None:
                    found.setdefault(entry["name"], cell)

    def undeclared_findings(self) -> list[Finding]:
        """A finding for each input that is neither a dataset nor in the package."""
        fix = "put it into the workspace, or have it made a dataset: in production nothing vouches for it"
        return [Finding(f"it reads {path}, which is no dataset and not in the package", cell, fix=fix) for path, cell in self.undeclared.items()]

    def refused_findings(self) -> list[Finding]:
        """A finding for each attempt of a cell that the production profile does not let through."""
        fix = "read it as a dataset or from the workspace, or leave it out"
        return [Finding(f"it tried {path}, which is not there for a job", cell, fix=fix) for path, cell in self.refused.items() if cell is not None]


def sort_out(seen: Iterable[Seen], begun: Sequence[Begun], *, workspace: Path, places: Mapping[str, str], declared: frozenset[str]) -> Traced:
    """`places`: where data is -> its name, of which `declared` ones may be read; the rest of what was opened is the package's, or nobody's."""
    times = [one.monotonic_s for one in begun]
    found = Traced()
    for one in sorted(seen, key=lambda item: item.at):
        cell = _at(begun, times, one.at)
        if one.kind == "connect":
            if not one.what.startswith(LOOPBACK):
                found.refused.setdefault(one.what, cell)  # a job has no network but the proxy
            continue
        _file(found, one, cell, workspace=workspace, places=places, declared=declared)
    return found


def _file(found: Traced, one: Seen, cell: Cell, *, workspace: Path, places: Mapping[str, str], declared: frozenset[str]) -> None:
    path = PurePosixPath(one.what)
    if path.is_relative_to(workspace):
        name = str(path.relative_to(workspace))
        (found.written if one.kind == "write" else found.files).setdefault(name, cell)
        return
    dataset = dataset_of(path, places)
    if one.stopped:
        found.refused.setdefault(one.what if dataset is None else f"{one.what} (the dataset {dataset})", cell)
    elif one.kind == "read":
        if dataset is not None and dataset in declared:
            found.datasets.setdefault(dataset, cell)
        else:
            found.undeclared.setdefault(one.what, cell)


def dataset_of(path: PurePosixPath, places: Mapping[str, str]) -> str | None:
    """The dataset to whose place a path belongs."""
    return next((places[str(place)] for place in (path, *path.parents) if str(place) in places), None)


def _at(begun: Sequence[Begun], times: Sequence[float], at: float) -> Cell:
    """The cell that had begun last."""
    place = bisect_right(times, at)
    return begun[place - 1].cell if place else None
