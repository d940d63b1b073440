"""The catalogue's folder -> Catalog: one contract a file; broken ones are kept with their problems and offer nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from jupyter_guardrails.catalog.assembly import Assembly
from jupyter_guardrails.catalog.model import Catalog
from jupyter_guardrails.catalog.reading import read_all
from jupyter_guardrails.catalog.stamps import stamps_of
from jupyter_guardrails.errors import Problem


def load_catalog(path: Path) -> Catalog:
    """The contracts in `*.yaml` beneath a folder; a missing folder is an empty catalogue with a problem. Never raises."""
    assembly = Assembly()
    assembly.change(read_all(list(stamps_of(str(path)))))
    return assembly.catalog(missing_folder(path))


def missing_folder(path: Path) -> tuple[Problem, ...]:
    """What is wrong with a catalogue that is no folder; nothing with one that is."""
    return () if os.path.isdir(path) else (Problem(str(path), 0, 0, "the catalogue folder does not exist", "create it, with one contract a file"),)


def contract_files(path: Path) -> Iterator[Path]:
    """Contract files beneath a folder, in the order of their names; hidden ones and linked folders are left out."""
    return map(Path, stamps_of(str(path)))
