"""The schemas of events, one YAML file each in `events/`, in the style of jupyter_events; a family like `submission.*` shares one.

They describe what is in the log. Nothing is sent to the server's EventLogger: anybody may post a registered schema there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

FOLDER = Path(__file__).parent / "events"
COMMON = "record.yaml"


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Name of an event, or of a family of them -> its schema."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yaml")) if path.name != COMMON}


def schema_of(action: str) -> dict[str, Any] | None:
    """The schema of an action; None when there is none."""
    return schemas().get(action) or schemas().get(action.partition(".")[0])


def mistakes(record: Mapping[str, Any]) -> list[str]:
    """What of a record its event's schema doesn't allow, a sentence each."""
    schema = schema_of(str(record.get("action")))
    if schema is None:
        return [f"there is no schema for {record.get('action')!r}"]
    return [f"{'.'.join(map(str, error.absolute_path)) or 'the record'}: {error.message}" for error in _validator(schema["$id"]).iter_errors(record)]


@cache
def _validator(name: str) -> Draft202012Validator:
    schema = next(one for one in schemas().values() if one["$id"] == name)
    common = Resource.from_contents(yaml.safe_load((FOLDER / COMMON).read_text()), default_specification=DRAFT202012)
    base = schema["$id"].removesuffix("v1") + COMMON  # what `record.yaml` means, seen from the schema
    return Draft202012Validator(schema, registry=Registry().with_resource(base, common))
