"""What people publish, as contracts: drafted from the file itself and from what it inherits. Like any contract it grants nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jupyter_guardrails.catalog.labels import Input, Label, from_json, highest
from jupyter_guardrails.catalog.model import Column, Contract

PERSONAL, PERSONAL_DATA = "pii", "confidential"  # of a column with findings, and of data that has one
REVIEWED = ("name", "version", "author", "audience", "description", "inherited", "purposes", "inputs", "format", "content")


@dataclass(frozen=True, slots=True)
class Published(Contract):
    """A contract of published data: `inputs` are all that it was made of, `expires_at` when the first grant of its author to one of them ends."""

    inputs: tuple[Input, ...] = ()
    expires_at: datetime | None = None
    state: str = ""


def contract_of(row: Mapping[str, Any], path: str) -> Published:
    """The contract of one version."""
    name = str(row["name"])
    columns = tuple(Column(item["name"], item["type"], item.get("classification", "")) for item in row["content"]["columns"])
    return Published(
        name=name,
        file=f"publication {name} {row['version']}",
        version=str(row["version"]),
        status="active",
        description=row["description"],
        owner=row["author"],
        domain=name.partition("/")[0],
        classification=row["classification"],
        path=path,
        format=row["format"],
        columns=columns,
        delivery="direct",
        purposes=tuple(row["purposes"]),
        inputs=tuple(from_json(item) for item in row["inputs"]),
        expires_at=row["expires_at"],
        state=row["state"],
        produced_by=row.get("produced_by") or {},
    )


def classified(content: dict[str, Any], label: Label, known: Mapping[str, str]) -> dict[str, Any]:
    """The content with each column's class: that of a column of this name in an input (`known`), else personal where the scan says so."""
    found = {finding["column"] for finding in content["scan"]["findings"]}
    columns = []
    for item in content["columns"]:
        classification = known.get(item["name"].casefold(), "") or (PERSONAL if item["name"] in found else "")
        columns.append(item | {"classification": classification})
    return content | {"columns": columns}


def suggested(content: Mapping[str, Any], *others: str) -> str:
    """The classification to begin with: the highest of what is inherited and what every upload gets, and of personal data that was found."""
    return highest([text for text in (*others, PERSONAL_DATA if content["scan"]["findings"] else "") if text])


def digest_of(row: Mapping[str, Any]) -> str:
    """sha256 hex of all that a reviewer decides about: another file, group, word or input is another digest."""
    said = {key: row[key] for key in REVIEWED} | ({"produced_by": row["produced_by"]} if row.get("produced_by") else {})
    said |= {"expires_at": row["expires_at"].isoformat() if row["expires_at"] else None}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
