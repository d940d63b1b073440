"""The catalogue's folder -> Catalog: one contract a file; broken ones are kept with their problems and offer nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from jupyter_guardrails.catalog.conflicts import without_conflicts
from jupyter_guardrails.catalog.model import Catalog, Contract
from jupyter_guardrails.catalog.odcs import read_contract
from jupyter_guardrails.catalog.products import with_inputs
from jupyter_guardrails.errors import Problem

SUFFIXES = (".yaml", ".yml")


def load_catalog(path: Path) -> Catalog:
    """The contracts in `*.yaml` beneath a folder; a missing folder is an empty catalogue with a problem. Never raises."""
    return assembled((read_contract(file) for file in contract_files(path)), problems=missing_folder(path))


def missing_folder(path: Path) -> tuple[Problem, ...]:
    """What is wrong with a catalogue that is no folder; nothing with one that is."""
    return () if os.path.isdir(path) else (Problem(str(path), 0, 0, "the catalogue folder does not exist", "create it, with one contract a file"),)


def assembled(contracts: Iterable[Contract], *, problems: tuple[Problem, ...] = ()) -> Catalog:
    """The catalogue of contracts that were read; those without conflicts stay the objects that they were."""
    given = list(contracts)
    checked = [old if len(old.problems) == len(new.problems) else new for old, new in zip(given, without_conflicts(given), strict=True)]
    checked = with_inputs(checked)
    usable = {contract.name: contract for contract in checked if not contract.problems}
    return Catalog(usable, tuple(contract for contract in checked if contract.problems), problems)


def contract_files(path: Path) -> Iterator[Path]:
    """Contract files beneath a folder, in the order of their names; hidden ones and linked folders are left out."""
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(SUFFIXES) and not name.startswith("."))
