"""Which keys the model of a file knows at a place; and where a key belongs that stands somewhere else."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import takewhile
from operator import itemgetter
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel

Loc = tuple[int | str, ...]
Model = type[BaseModel]
MOST_SHOWN, MOST_COMPARED = 20, 1000
CLOSE = 2  # up to this distance a key's exact name elsewhere tells more than a similar name here
ENTRY, MEMBER = "[]", "{}"  # in a path: an entry of a list, a member of a mapping with names of the admin's own


class Place(NamedTuple):
    """A key that the model knows: the path of the mapping that it stands in, and what kind of node its value is."""

    path: tuple[str, ...]
    kinds: tuple[str, ...]


def similar(word: object, known: Sequence[str]) -> str:
    """The known word that is most like another, whatever its case, empty if none is; of very many only the first are looked at."""
    folded = {name.casefold(): name for name in reversed(known[:MOST_COMPARED])}
    close = difflib.get_close_matches(str(word).casefold()[:100], folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else ""


def nearest(word: object, known: Sequence[str]) -> str:
    """A hint that names the known word that is most like another, or all of them."""
    if close := similar(word, known):
        return f"did you mean `{close}`?"
    more = f" and {len(known) - MOST_SHOWN:,} more" if len(known) > MOST_SHOWN else ""
    return f"known: {', '.join(known[:MOST_SHOWN])}{more}" if known else ""


def key_hint(key: str, kind: str, root: Model, loc: Loc) -> str:
    """What to do about an unknown key in the mapping at `loc`, whose value is a node of that kind: where it belongs, or what was meant."""
    model, path = walk(root, loc)
    places = sorted(((_distance(place, kind, path), place) for place in _places(root).get(key, ())), key=itemgetter(0))
    if places and places[0][0] <= CLOSE:
        return _belongs(key, [place for distance, place in places if distance == places[0][0]], path)
    near = nearest(key, keys_of(model))
    return _belongs(key, [places[0][1]], path) if places and not near.startswith("did") else near


def _distance(place: Place, kind: str, path: tuple[str, ...]) -> int:
    """How many levels lie between where a key is and where it could be; more if its value doesn't fit there, less in a part of the same name."""
    shared = _shared(place.path, path)
    levels = len(path) + len(place.path) - 2 * shared
    same_name = bool(path) and path[-1:] == place.path[-1:] and path[-1] not in (ENTRY, MEMBER)
    return levels + (0 if kind in place.kinds else 2) - (3 if same_name else 0)


def walk(root: Model, loc: Loc) -> tuple[Model | None, tuple[str, ...]]:
    """The model that checks what stands at a location, and the location's path in the model."""
    model: Model | None = root
    path: tuple[str, ...] = ()
    member = False
    for part in loc:
        fields = _fields(model)
        if part in fields and not member:
            model, shape = _inner(fields[str(part)]), _shape(fields[str(part)])
            member, path = shape == MEMBER, (*path, str(part), *([shape] if shape else []))
        else:
            member = False
    return model, path


def required_hint(key: str, model: Model | None) -> str:
    """What a key that is missing would say: its only value, or its description."""
    info = next((info for name, info in model.model_fields.items() if key == (info.alias or name)), None) if model else None
    if info is None:
        return ""
    values = get_args(info.annotation) if get_origin(info.annotation) is Literal else ()
    return f"write `{key}: {values[0]}`" if len(values) == 1 else f"write `{key}: …`: {info.description}" if info.description else ""


def keys_of(model: Model | None) -> list[str]:
    """The keys of a model as they are written in a file."""
    return list(_fields(model))


def _fields(model: Model | None) -> dict[str, Any]:
    return {(info.alias or name): info.annotation for name, info in model.model_fields.items()} if model else {}


@cache
def _places(root: Model) -> dict[str, list[Place]]:
    """Every key that there is in a model and in the models in it, with all its places."""
    found: dict[str, list[Place]] = {}
    for name, place in _walk_all(root, ()):
        found.setdefault(name, []).append(place)
    return found


def _walk_all(model: Model, path: tuple[str, ...]) -> Iterator[tuple[str, Place]]:
    for name, annotation in _fields(model).items():
        inner, shape = _inner(annotation), _shape(annotation)
        yield name, Place(path, _kinds(inner, shape))
        if inner is not None:
            yield from _walk_all(inner, (*path, name, *([shape] if shape else [])))


def _belongs(key: str, places: list[Place], path: tuple[str, ...]) -> str:
    """Names the best places, from where the key stands now."""
    best = places[0].path
    shared = _shared(best, path)
    if shared == len(best):
        beside = f"beside `{path[shared]}`"
        return f"`{key}` belongs {beside}, not inside it" if shared else f"`{key}` belongs at the top of the file, {beside}"
    if best[:-1] == path:
        return f"`{key}` belongs under {' or '.join(f'`{place.path[-1]}`' for place in places if place.path[:-1] == path)}"
    return f"`{key}` belongs under `{best[shared]}`, as in {_example(best, key)}"


def _example(path: tuple[str, ...], key: str) -> str:
    """`profiles: {NAME: {memory: …}}`"""
    text = f"{key}: …"
    for part in reversed(path):
        text = (
            f"[{{{text}}}]"
            if part == ENTRY
            else f"NAME: {{{text}}}"
            if part == MEMBER
            else f"{part}: {text if text.startswith('[') else f'{{{text}}}'}"
        )
    return text


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many parts two paths have in common at their beginning."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))


def _inner(annotation: Any) -> Model | None:
    """The model in an annotation like `tuple[Rule, ...]` or `Budget | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _inner(argument))), None)


def kind_of(value: object) -> str:
    """The kind of node that a plain value comes from."""
    return "mapping" if isinstance(value, dict) else "sequence" if isinstance(value, tuple) else "scalar"


def _shape(annotation: Any) -> str:
    """What holds an annotation's models or values: a list, a mapping with names of the admin's own, or nothing."""
    origin = get_origin(annotation)
    if origin in (tuple, dict):
        return ENTRY if origin is tuple else MEMBER
    return next((found for argument in get_args(annotation) if (found := _shape(argument))), "")


def _kinds(inner: Model | None, shape: str) -> tuple[str, ...]:
    """The kinds of nodes that a key takes; a part with a short form takes text too."""
    if shape:
        return ("sequence",) if shape == ENTRY else ("mapping",)
    if inner is None:
        return ("scalar",)
    return ("mapping", "scalar") if hasattr(inner, "text_schema") else ("mapping",)
