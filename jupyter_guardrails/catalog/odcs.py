"""From an Open Data Contract Standard file (v3) to a Contract. Anything unknown is a mistake: a misspelt `classification` would open data.

A dataset's name is `id` where that holds a slash (`hr/people`), else `name` where that does, else `domain`/`name` or `domain`/`id`.
Names are lower-case ASCII, so that no two look alike. Our own keys stand only under `customProperties`, with the prefix `guardrails.`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydantic
from open_data_contract_standard.model import CustomProperty, OpenDataContractStandard, SchemaObject, SchemaProperty, Server, Team

from jupyter_guardrails.catalog.document import Document, Trail, read_document
from jupyter_guardrails.catalog.freshness import allowed_age_s
from jupyter_guardrails.catalog.labels import LADDER
from jupyter_guardrails.catalog.model import Column, Contract
from jupyter_guardrails.catalog.places import FILE_FORMATS, FORMATS, complaint_about, guess_format
from jupyter_guardrails.catalog.produced import problem_of
from jupyter_guardrails.catalog.products import read_product
from jupyter_guardrails.catalog.quality import QualityRule, read_rules
from jupyter_guardrails.catalog.servers import KNOWN, LOCAL, Place, place_of
from jupyter_guardrails.errors import CatalogError, Problem

PREFIX = "guardrails."
CONTRACT_KEYS = ("classification", "delivery", "rowFilter", "purposes", "product", "sql", "produced_by", "sha256")
COLUMN_KEYS = ("mask",)
DELIVERIES = ("direct", "view", "brokered")
TABLE = "table"  # the format of what lies in a database
STATUSES = ("proposed", "draft", "active", "deprecated", "retired")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*){1,4}")
SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*")
SHA256 = re.compile(r"[0-9a-f]{64}")
MAX_NAME = 200


def read_contract(file: Path) -> Contract:
    """The contract in a file; a broken one has problems, and as many of the other values as could be read."""
    try:
        document = read_document(file)
    except CatalogError as error:
        return Contract(file.name.partition(".")[0], str(file), problems=error.problems)
    try:
        standard = OpenDataContractStandard.model_validate(document.data)
    except pydantic.ValidationError as error:
        problems = tuple(document.problem(tuple(e["loc"]), _sentence(e), _nearest_key(e)) for e in error.errors())
        return Contract(_name(document.data)[0], str(file), problems=problems)
    return _Reader(document, standard).contract()


def _sentence(error: Any) -> str:
    key = ".".join(map(str, error["loc"]))
    return f"unknown key {key}" if error["type"] == "extra_forbidden" else f"{key}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _nearest_key(error: Any) -> str:
    known = [field.alias or name for name, field in OpenDataContractStandard.model_fields.items()]
    near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1) if error["type"] == "extra_forbidden" else []
    return f"did you mean {near[0]}?" if near else ""


def _name(data: dict[str, Any]) -> tuple[str, Trail]:
    """The dataset's name by the rule in this module's docstring, and the key that gave it."""
    identity, name, domain = (value if isinstance(value := data.get(key), str) else "" for key in ("id", "name", "domain"))
    for key, value in (("id", identity), ("name", name)):
        if "/" in value:
            return value, (key,)
    key, last = ("name", name) if SLUG.fullmatch(name) else ("id", identity)
    return f"{domain}/{last}", (key,)


def _inside(item: SchemaObject | SchemaProperty, path: str) -> Iterator[tuple[SchemaProperty, str, Trail]]:
    """What is nested in a table or column: it, its path, and where it stands."""
    for index, inner in enumerate(item.properties or []):
        yield inner, f"{path}.{inner.name}" if path else inner.name or "", ("properties", index)
    if isinstance(item, SchemaProperty) and item.items:
        yield item.items, f"{path}[]", ("items",)


def _unchecked(rules: Sequence[QualityRule]) -> Iterator[QualityRule]:
    """Rules of one table among several; what is not checked anyway is left out."""
    yield from (replace(rule, unchecked="its contract describes several tables") for rule in rules if not rule.unchecked)


class _Reader:
    """One file's checks; each gives a value and notes its problems."""

    def __init__(self, document: Document, standard: OpenDataContractStandard) -> None:
        self.document = document
        self.standard = standard
        self.problems: list[Problem] = []

    def contract(self) -> Contract:
        """All values with all problems."""
        self._check_unknown(self.document.data, self.standard.model_dump(by_alias=True, exclude_unset=True), ())
        standard, own = self.standard, self._own(self.standard.customProperties, ("customProperties",), CONTRACT_KEYS)
        place, path_line = self._product(own["product"]) if "product" in own else self._place()
        local = place.get("kind", "files") == "files"
        columns = tuple(self._columns())
        description = standard.description.purpose if standard.description else None
        self._required(("description", "purpose"), description)
        self._check_kind()
        return Contract(
            name=self._checked_name(),
            file=self.document.file,
            version=self._required(("version",), standard.version),
            status=self._one_of(("status",), standard.status or "", STATUSES),
            description=(description or "").strip(),
            owner=self._owner(),
            domain=self._required(("domain",), standard.domain),
            classification=self._classification(own, columns),
            tags=tuple(standard.tags or ()),
            path=place.get("path", "") if local else "",
            format=place.get("format", "") if local or "format" in place else TABLE,
            columns=columns,
            delivery=self._delivery(own, local=local),
            row_filter=str(own.get("rowFilter", "")),
            purposes=self._purposes(own),
            produced_by=self._produced_by(own),
            sql=self._sql(own, place),
            sha256=self._sha256(own, place),
            path_line=path_line,
            place=place,
            fresh_within_s=self._fresh_within_s(),
            quality=tuple(self._quality()),
            problems=tuple(self.problems),
        )

    def _note(self, trail: Trail, message: str, hint: str = "") -> None:
        self.problems.append(self.document.problem(trail, message, hint))

    def _required(self, trail: Trail, value: str | None) -> str:
        if not (value or "").strip():
            self._note(trail, f"{'.'.join(map(str, trail))} is missing")
        return (value or "").strip()

    def _one_of(self, trail: Trail, value: object, allowed: Sequence[str]) -> str:
        if value not in allowed:
            self._note(trail, f"{value or 'nothing'!s} is not one of {', '.join(allowed)}")
        return str(value)

    def _check_kind(self) -> None:
        if self.standard.kind != "DataContract":
            self._note(("kind",), "kind has to be DataContract")
        if not (self.standard.apiVersion or "").startswith("v3."):
            self._note(("apiVersion",), "apiVersion has to be v3.x of the Open Data Contract Standard")

    def _check_unknown(self, given: Any, known: Any, trail: Trail) -> None:
        """The standard's model drops unknown keys below the top; what it dropped is named here."""
        if isinstance(given, dict) and isinstance(known, dict):
            for key, value in given.items():
                if key not in known:
                    self._note((*trail, key), f"unknown key {key}", "our own keys go under customProperties, with the prefix guardrails.")
                else:
                    self._check_unknown(value, known[key], (*trail, key))
        elif isinstance(given, list) and isinstance(known, list):
            for index, (inner, inner_known) in enumerate(zip(given, known, strict=True)):
                self._check_unknown(inner, inner_known, (*trail, index))

    def _checked_name(self) -> str:
        name, trail = _name(self.document.data)
        if not NAME.fullmatch(name) or len(name) > MAX_NAME:
            self._note(trail, f"{name!r} cannot be a dataset's name", "lower-case letters, digits, . _ - in parts with / between, like nyc/flights")
        return name

    def _owner(self) -> str:
        team = self.standard.team
        members = (team.members if isinstance(team, Team) else team) or []
        owners = [member.username or member.name or "" for member in members if (member.role or "").lower() in ("owner", "data owner")]
        named = [*owners, (team.name or "") if isinstance(team, Team) else ""]
        return self._required(("team",), next(filter(None, named), ""))

    def _classification(self, own: dict[str, Any], columns: tuple[Column, ...]) -> str:
        """`guardrails.classification`, else the highest of the columns'."""
        classes = {column.classification for column in columns}
        found = own.get("classification") or next((rung for rung in reversed(LADDER) if rung in classes), "")
        if not isinstance(found, str) or not found:
            hint = "add to customProperties: {property: guardrails.classification, value: internal}"
            self._note(("customProperties",), "the dataset has no classification", hint)
        return str(found)

    def _delivery(self, own: dict[str, Any], *, local: bool) -> str:
        """`guardrails.delivery`; only files of this machine can be delivered as they are."""
        allowed = DELIVERIES if local else DELIVERIES[1:]
        return self._one_of(self._own_trail("delivery"), own.get("delivery", "direct" if local else "brokered"), allowed)

    def _sql(self, own: dict[str, Any], place: Place) -> str:
        """`guardrails.sql`: whether SQL of a person is taken, run by the database as an account of theirs."""
        if "sql" not in own:
            return ""
        if place.get("dialect") != "postgresql":
            self._note(self._own_trail("sql"), "guardrails.sql is for databases of type postgres alone", "remove it")
        return self._one_of(self._own_trail("sql"), own["sql"], ("per-person",))

    def _sha256(self, own: dict[str, Any], place: Place) -> str:
        """`guardrails.sha256`: the bytes that count, of one file of this machine."""
        if "sha256" not in own:
            return ""
        if place.get("kind", "files") != "files" or place.get("format") == "directory":
            self._note(self._own_trail("sha256"), "guardrails.sha256 is for one file of this machine alone", "remove it")
        if not isinstance(own["sha256"], str) or not SHA256.fullmatch(own["sha256"]):
            self._note(self._own_trail("sha256"), "guardrails.sha256 has to be 64 hexadecimal digits, in quotes", "sha256sum FILE prints them")
            return ""
        return str(own["sha256"])

    def _purposes(self, own: dict[str, Any]) -> tuple[str, ...]:
        purposes = own.get("purposes", [])
        if not isinstance(purposes, list) or not all(isinstance(purpose, str) for purpose in purposes):
            self._note(self._own_trail("purposes"), "guardrails.purposes has to be a list of texts")
            return ()
        return tuple(purposes)

    def _produced_by(self, own: dict[str, Any]) -> dict[str, Any]:
        """`guardrails.produced_by`: the job that makes it."""
        if "produced_by" not in own or not (problem := problem_of(own["produced_by"])):
            return dict(own.get("produced_by", {}))
        self._note(self._own_trail("produced_by"), problem, "write {job: sales, version: 3}; deployment, run, output and content_digest may follow")
        return {}

    def _fresh_within_s(self) -> float:
        found, mistakes = allowed_age_s(self.standard.slaProperties or [])
        for index, message, hint in mistakes:
            self._note(("slaProperties", index), message, hint)
        return found

    def _own(self, properties: list[CustomProperty] | None, trail: Trail, known: Sequence[str]) -> dict[str, Any]:
        """Our own keys of a customProperties list, without the prefix; other tools' keys are theirs."""
        found: dict[str, Any] = {}
        for index, item in enumerate(properties or []):
            name = item.property or ""
            if not name.lower().startswith(PREFIX):
                continue
            key = name.removeprefix(PREFIX)
            if key not in known or key in found:
                hint = f"known: {', '.join(PREFIX + key for key in known)}"
                self._note((*trail, index), f"{name} is unknown or stands twice here", hint)
            found[key] = item.value
        return found

    def _own_trail(self, key: str) -> Trail:
        properties = self.standard.customProperties or []
        index = next((i for i, item in enumerate(properties) if item.property == PREFIX + key), 0)
        return ("customProperties", index, "value")

    def _product(self, value: Any) -> tuple[Place, int]:
        """The place of what is made of other datasets, and the line that says so."""
        tables = self.standard.schema_ or []
        names = [item.name or "" for item in (tables[0].properties if tables else None) or []]
        place, complaints = read_product(value, names)
        if self.standard.servers:
            self._note(("servers",), "a product has no servers of its own", "remove them: its data is that of its inputs")
        if len(tables) > 1:
            self._note(("schema", 1), f"{len(tables)} tables in one contract", "a product is one table")
        for message, hint in complaints:
            self._note(self._own_trail("product"), message, hint)
        return place or {"kind": "product", "from": []}, self.document.line(self._own_trail("product"))

    def _quality(self) -> Iterator[QualityRule]:
        """The rules of every table and column. Columns of several tables have the table's name before theirs, and no one source."""
        tables = self.standard.schema_ or []
        for index, table in enumerate(tables):
            yield from self._rules(table, "", ("schema", index), checked=len(tables) == 1)

    def _rules(self, item: SchemaObject | SchemaProperty, path: str, trail: Trail, *, checked: bool) -> Iterator[QualityRule]:
        rules, mistakes = read_rules(item.quality or [], path)
        for index, key, message, hint in mistakes:
            self._note((*trail, "quality", index, *([key] if key else [])), message, hint)
        yield from rules if checked else _unchecked(rules)
        for inner, name, place in _inside(item, path):
            yield from self._rules(inner, name, (*trail, *place), checked=checked)

    def _place(self) -> tuple[Place, int]:
        """The place and its line, of the first local server, else of the first that can be read."""
        servers = list(enumerate(self.standard.servers or []))
        local = next(((i, s) for i, s in servers if s.type in LOCAL), None)
        found = local or next(((i, s) for i, s in servers if s.type in KNOWN), None)
        if found is None:
            hint = f"add {{server: …, type: local, path: /…}}, or one of type {', '.join(KNOWN[2:])}"
            self._note(("servers",), "no server of a type that can be read", hint)
            return {}, self.document.line(("servers",))
        index, server = found
        if local:
            return self._local(server, index), self.document.line(("servers", index, "path"))
        return self._remote(server, index), self.document.line(("servers", index, "location" if server.location else "type"))

    def _local(self, server: Server, index: int) -> Place:
        trail: Trail = ("servers", index, "path")
        path = self._required(trail, server.path)
        wrong = complaint_about(path) if path else None
        if wrong:
            self._note(trail, *wrong)
        return {"kind": "files", "path": path, "format": self._format(server, path, trail)}

    def _remote(self, server: Server, index: int) -> Place:
        tables = self.standard.schema_ or []
        if len(tables) > 1:
            self._note(("schema", 1), f"{len(tables)} tables in one contract", "write one contract for each table or folder")
        place, mistakes = place_of(server, tables[0] if tables else None)
        for key, message, hint in mistakes:
            self._note(("schema", 0) if tables and not key else ("servers", index, key or "type"), message, hint)
        return place

    def _format(self, server: Server, path: str, trail: Trail) -> str:
        form = guess_format(path, server.format or "")
        if form not in FORMATS:
            self._note((*trail[:-1], "format"), f"the format {form or 'is not given and'} is not one of {', '.join(FORMATS)}")
        elif form not in FILE_FORMATS and Path(path).is_file():
            self._note((*trail[:-1], "format"), f"{path} is a file, not a directory")
        return form

    def _columns(self) -> Iterator[Column]:
        tables = self.standard.schema_ or []
        for index, table in enumerate(tables):
            before = f"{table.name or index}." if len(tables) > 1 else ""
            yield from self._properties(table, before, ("schema", index))

    def _properties(self, parent: SchemaObject | SchemaProperty, before: str, trail: Trail) -> Iterator[Column]:
        for index, item in enumerate(parent.properties or []):
            here = (*trail, "properties", index)
            name = before + self._required((*here, "name"), item.name)
            yield from self._property(item, name, here)

    def _property(self, item: SchemaProperty, name: str, trail: Trail) -> Iterator[Column]:
        own = self._own(item.customProperties, (*trail, "customProperties"), COLUMN_KEYS)
        kind = item.logicalType or item.physicalType or ""
        yield Column(name, kind, item.classification or "", item.description or "", str(own.get("mask", "")))
        yield from self._properties(item, f"{name}.", trail)
        if item.items:
            yield from self._property(item.items, f"{name}[]", (*trail, "items"))
