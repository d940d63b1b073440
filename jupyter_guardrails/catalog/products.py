"""Products: contracts that are a view over other datasets. What an admin writes, the inputs found in the catalogue, and what follows from them.

customProperties: {property: guardrails.product, value: {from: [crm/people, shop/orders], how: join, on: [customer],
                   columns: {customer: customer, region: "crm/people:region", total: "shop/orders:amount"}}}

A union has the rows of all its inputs, which share its columns (`columns: {ours: theirs}`, or none: all have the names of the schema). A join has
the rows of the first input with those of the others that have equal keys; the first one is streamed, the others are held in memory.
Who may read a product need not be allowed to read its inputs. Their masks, filters, purposes and labels hold in it all the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from jupyter_guardrails.catalog.labels import highest
from jupyter_guardrails.catalog.model import Column, Contract
from jupyter_guardrails.errors import Problem

HOWS = ("union", "join")
KEYS = ("from", "how", "on", "columns")
MOST_INPUTS = 16  # of one product, and of all that it is made of
MOST_DEEP = 4  # products of products
COLUMN_HINT = "a column of a join is written input:column, but for those in `on`; a union's is the name that all inputs have"
EVERY = -1  # in place of an input's number: a column that all of them have
Complaint = tuple[str, str]  # what is wrong, and what to write instead
Named = Callable[[str], Contract | None]  # the contract of a name


def read_product(value: Any, names: Iterable[str]) -> tuple[dict[str, Any], list[Complaint]]:
    """The place of a product with these columns, and every mistake in what its contract says."""
    if not isinstance(value, Mapping):
        return {}, [("guardrails.product has to be a mapping", f"known keys: {', '.join(KEYS)}")]
    said = {key: value.get(key) for key in KEYS}
    inputs, on = _texts(said["from"]), _texts(said["on"])
    columns, wrong = _columns(said, inputs, on, list(names))
    place = {"kind": "product", "how": said["how"], "from": inputs, "on": on, "columns": columns}
    return place, [*_about_keys(value), *_about_inputs(said, inputs, on), *wrong]


def _texts(value: Any) -> list[str]:
    """A list of texts; none of anything else."""
    return value if isinstance(value, list) and all(isinstance(name, str) for name in value) else []


def _about_keys(value: Mapping[str, Any]) -> Iterator[Complaint]:
    for key in value:
        if key not in KEYS:
            yield f"guardrails.product has no key {key}", f"known: {', '.join(KEYS)}"


def _about_inputs(said: Mapping[str, Any], inputs: list[str], on: list[str]) -> Iterator[Complaint]:
    if said["how"] not in HOWS:
        yield f"how: {said['how']} is not one of {', '.join(HOWS)}", ""
    if not 2 <= len(inputs) <= MOST_INPUTS or len(set(inputs)) != len(inputs):
        yield "from has to be a list of 2 to 16 different datasets", "from: [crm/people, shop/orders]"
    if said["how"] == "join" and not on:
        yield "a join needs `on`, a list of columns that all inputs have", "on: [customer]"
    if said["how"] == "union" and said["on"] is not None:
        yield "a union has no `on`", "remove it, or write how: join"


def _columns(said: Mapping[str, Any], inputs: list[str], on: list[str], names: list[str]) -> tuple[dict[str, list[Any]], list[Complaint]]:
    """Our column -> [number of the input or EVERY, its column]."""
    given = _given(said, names)
    if not given:
        return {}, [("columns has to say where each column comes from", 'columns: {customer: customer, region: "crm/people:region"}')]
    places = {ours: _place_of(theirs, said["how"], inputs, on) for ours, theirs in given.items()}
    found = {str(ours): place for ours, place in places.items() if place}
    wrong = [(f"columns.{ours}: {given[ours]} names no column of an input", COLUMN_HINT) for ours, place in places.items() if not place]
    if sorted(map(str, given)) != sorted(names):
        wrong.append(("columns and the schema do not name the same columns", f"the schema has {', '.join(names[:8]) or 'none'}"))
    return found, wrong


def _given(said: Mapping[str, Any], names: list[str]) -> dict[Any, str]:
    """Our column -> what is written for it; empty for what doesn't say it."""
    if said["columns"] is None and said["how"] == "union":
        return {name: name for name in names}
    given = said["columns"]
    return dict(given) if isinstance(given, Mapping) and all(isinstance(theirs, str) for theirs in given.values()) else {}


def _place_of(theirs: str, how: Any, inputs: list[str], on: list[str]) -> list[Any]:
    """Number of the input and its column, as `_columns` says; empty for what names none."""
    dataset, colon, column = theirs.rpartition(":")
    if colon:
        return [inputs.index(dataset), column] if dataset in inputs and how == "join" else []
    return [EVERY, theirs] if how != "join" or theirs in on else []


def is_product(contract: Contract) -> bool:
    """Whether it is made of other datasets."""
    return contract.place.get("kind") == "product"


def resolved(product: Contract, named: Named, depth: int = 1) -> Contract:
    """A product with its inputs and what it inherits of them, or with what keeps it from being made; a broken one as it is."""
    if product.problems:
        return product
    if chain := _circle(product, named):
        return _broken(product, [(f"it is made of itself: {' -> '.join(chain)}", "products are made of other datasets")])
    if depth > MOST_DEEP:
        return _broken(product, [(f"products are nested more than {MOST_DEEP} deep", "make it of the datasets below")])
    inputs = {name: _input(named(name), named, depth) for name in product.place["from"]}
    problems = [said for name, one in inputs.items() if (said := _complaint(name, one))]
    return _broken(product, problems) if problems else _inheriting(product, [one for one in inputs.values() if one])


def _input(found: Contract | None, named: Named, depth: int) -> Contract | None:
    """An input as it is read: a product is resolved before."""
    return resolved(found, named, depth + 1) if found and is_product(found) else found


def _broken(product: Contract, problems: Iterable[Complaint]) -> Contract:
    return replace(product, problems=tuple(Problem(product.file, product.path_line, 1, *said) for said in problems))


def _circle(product: Contract, named: Named) -> tuple[str, ...]:
    """The way from a product back to itself, if there is one."""
    waiting: list[tuple[str, ...]] = [(product.name,)]
    seen: set[str] = set()
    while waiting:
        way = waiting.pop()
        found = named(way[-1])
        for name in found.place["from"] if found and is_product(found) and not found.problems else ():
            if name == product.name:
                return (*way, name)
            if name not in seen:
                seen.add(name)
                waiting.append((*way, name))
    return ()


def _complaint(name: str, found: Contract | None) -> Complaint | None:
    if found is None:
        return f"its input {name} is not in the catalogue", "write the name of a dataset, like nyc/flights"
    return (f"its input {name} has mistakes: {found.problems[0].message}", f"correct {found.file}") if found.problems else None


def _inheriting(product: Contract, inputs: list[Contract]) -> Contract:
    """With the highest classification, every limit on purposes, and each column's class where the product's own says none."""
    purposes = _purposes([product, *inputs])
    problems = [*_mismatches(product, inputs), *_beyond(inputs, purposes)]
    if problems:
        return _broken(product, problems)
    columns = tuple(_labelled(column, product, inputs) for column in product.columns)
    classification = highest([product.classification, *(one.classification for one in inputs)])
    return replace(product, classification=classification, purposes=tuple(sorted(purposes or ())), columns=columns, made_from=tuple(inputs))


def _purposes(parts: Iterable[Contract]) -> set[str] | None:
    """Those that all allow; None where none of them is bound to any."""
    limits = [set(one.purposes) for one in parts if one.purposes]
    return set.intersection(*limits) if limits else None


def _beyond(inputs: list[Contract], purposes: set[str] | None) -> Iterator[Complaint]:
    """What keeps inputs that fit each other from being one dataset."""
    if purposes is not None and not purposes:
        yield "its inputs may be used for no purpose that all of them allow", "make it of datasets with a purpose in common"
    if sum(1 for one in inputs for _ in leaves(one)) > MOST_INPUTS:
        yield f"it is made of more than {MOST_INPUTS} datasets in all", "make fewer of them one dataset"


def _labelled(column: Column, product: Contract, inputs: list[Contract]) -> Column:
    if column.classification:
        return column
    theirs = [found.classification for found in _sources(product, inputs, column.name) if found.classification]
    return replace(column, classification=highest(theirs)) if theirs else column


def _mismatches(product: Contract, inputs: list[Contract]) -> Iterator[Complaint]:
    types = {column.name: column.type for column in product.columns}
    for ours, (number, theirs) in product.place["columns"].items():
        for one in _chosen(inputs, number):
            if (said := _about_column(one, theirs, ours, types.get(ours, ""))) is not None:
                yield said
    for key, one in itertools.product(product.place["on"], inputs):
        if _type_of(one, key) is None:
            yield f"its input {one.name} {one.version} has no column {key}, which `on` names", "join on a column that all inputs have"


def _about_column(one: Contract, theirs: str, ours: str, wanted: str) -> Complaint | None:
    """What is wrong with the column of an input of which ours is made, which is `wanted` in the product."""
    kind = _type_of(one, theirs)
    if kind is None:
        return f"its input {one.name} {one.version} has no column {theirs}", "it was renamed, or is written wrongly here"
    if kind and wanted and kind != wanted:
        return f"the column {ours} is {wanted} here, and {kind} in {one.name}", "write the same logicalType in both"
    return None


def _type_of(contract: Contract, name: str) -> str | None:
    """Of its column, empty where it says none; None where it has no such column."""
    return next((column.type for column in contract.columns if column.name == name), None)


def _chosen(inputs: Iterable[Contract], number: int) -> list[Contract]:
    return [one for index, one in enumerate(inputs) if number in (EVERY, index)]


def _sources(product: Contract, inputs: Iterable[Contract], path: str) -> Iterator[Column]:
    """The columns of inputs from which one of the product, also a nested one, is made."""
    for ours, (number, theirs) in product.place["columns"].items():
        if (rest := inner(path, ours)) is not None:
            yield from (column for one in _chosen(inputs, number) for column in one.columns if column.name == theirs + rest)


def inner(path: str, column: str) -> str | None:
    """`.zip` of `home.zip` in `home`, empty for the column itself, None for another."""
    rest = path.removeprefix(column)
    return rest if path.startswith(column) and (not rest or rest.startswith((".", "[]"))) else None


def leaves(contract: Contract) -> Iterator[Contract]:
    """The datasets that hold the data: of a product, in the order in which its source opens them."""
    if not contract.made_from:
        yield contract
    for one in contract.made_from:
        yield from leaves(one)


def parts_of(contract: Contract) -> Iterator[Contract]:
    """A contract and all that it is made of, products between included."""
    yield contract
    for one in contract.made_from:
        yield from parts_of(one)


def versions(contract: Contract) -> str:
    """`1.0.0`, of a product `1.0.0 (of hr/people 2.1.0, nyc/flights 1.2.0)`."""
    parts = [f"{one.name} {one.version}" for one in parts_of(contract) if one is not contract]
    return contract.version + (f" (of {', '.join(parts)})" if parts else "")
