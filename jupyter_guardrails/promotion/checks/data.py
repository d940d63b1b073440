"""data: each dataset that the code names is declared, and its author may read it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import PurePosixPath

from jupyter_guardrails.control.interface.messages import DatasetShow
from jupyter_guardrails.control.interface.work import WorkerInputs
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.package.job import Input
from jupyter_guardrails.promotion import code, offers
from jupyter_guardrails.promotion.notebook import CodeCell
from jupyter_guardrails.promotion.results import Finding, Result, failed, many, passed, warned
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "data", "Datasets are approved"
SCHEME = "dataset://"
MOST_PROMISED = 2000  # columns of a contract: of more the package says nothing
Use = tuple[str, int, int]  # dataset, cell, line


def run(work: Work, progress: Progress) -> Result:
    """Find the names, ask control about each, keep what a job needs to know of them."""
    unclear: list[Finding] = []
    uses = list(_uses(work, unclear))
    refused: list[Finding] = []
    names = list(dict.fromkeys(name for name, _, _ in uses))
    for done, name in enumerate(names, 1):
        cell, line = next((cell, line) for used, cell, line in uses if used == name)
        refused += _ask(work, name, cell, line)
        progress(done, len(names), name)
    if refused:
        return failed(f"{len(refused)} of {many(len(names), 'dataset')} can't be used", [*refused, *unclear])
    _declare(work)
    granted = f"granted: {', '.join(_as_seen(entry) for entry in work.inputs if entry.name in names)}" if names else "the code names no dataset"
    return warned(granted, unclear) if unclear else passed(granted)


def _ask(work: Work, name: str, cell: int, line: int) -> list[Finding]:
    """Declare the dataset as an input, or say why it can't be; once for all notebooks of a job."""
    if any(entry.name == name for entry in work.inputs):
        return []
    try:
        shown = work.control.call(DatasetShow(name=name))
    except GuardrailsError as error:
        return [Finding(f"{error.message} {_rule(error.rule)}".strip(), cell, line, error.next_step, kind="no_such_dataset")]
    if shown["status"] != "granted":
        why = shown.get("error") or f"you may not read {name}: it is {shown['status']}"
        ask = shown.get("next_step") or f"guarded.request('{name}', purpose='…')"
        offer = offers.request(name) if shown["status"] == "requestable" else None
        return [Finding(f"{why} {_rule(shown.get('rule', ''))}".strip(), cell, line, ask, kind="not_granted", offer=offer)]
    promised = {column["name"]: column["type"] for column in shown["schema"]}
    promised = promised if len(promised) <= MOST_PROMISED else {}
    work.inputs.append(Input(name=name, version=shown.get("version", ""), path=shown.get("path"), promised=promised))
    return []


def _declare(work: Work) -> None:
    """Tell control the names: the clean run reads these alone, bound as its answer says, and so does the package."""
    asked = WorkerInputs(submission=work.order.submission, names=[entry.name for entry in work.inputs])
    said = {entry["name"]: entry for entry in work.control.call(asked)["inputs"]}
    work.inputs[:] = [entry.model_copy(update=said[entry.name]) for entry in work.inputs]


def _as_seen(entry: Input) -> str:
    """`hr/people (email hash; some of its rows)`"""
    masks = ", ".join(f"{column} {kind}" for column, kind in entry.masks.items())
    told = "; ".join(filter(None, (masks, "some of its rows" if entry.rows else "")))
    return f"{entry.name} ({told})" if told else entry.name


def _rule(rule: str) -> str:
    return f"[{rule}]" if rule else ""


def _uses(work: Work, unclear: list[Finding]) -> Iterator[Use]:
    trees = [cell.tree for cell in work.notebook.cells if cell.tree]
    modules, functions = code.client_names(trees)
    constants = code.constants(trees)
    for cell in work.notebook.cells:
        if cell.tree is None:
            continue
        for argument, line in code.dataset_calls(cell.tree, modules, functions):
            name = _text(argument, constants)
            if name is not None:
                yield name.removeprefix(SCHEME), cell.index, line
            else:
                fix = "write the dataset's name as a text: what isn't declared isn't given to the job"
                unclear.append(Finding("which dataset this reads can't be seen", cell.index, line, fix, kind="computed_name"))
        yield from _texts(cell.tree, cell, work.order.places, unclear, min(modules, default=""))


def _texts(tree: ast.AST, cell: CodeCell, places: dict[str, str], unclear: list[Finding], client: str) -> Iterator[Use]:
    """`dataset://` addresses, and absolute paths that belong to a contract."""
    for named in code.texts(tree):
        if named.text.startswith(SCHEME):
            yield named.text.removeprefix(SCHEME), cell.index, named.line
        elif name := dataset_at(named.text, places):
            fix = f'use guarded.path("{name}"): elsewhere the data is at another place'
            message = f"this path is the dataset {name}, written as a place of this machine"
            offer = _as_dataset(named, name, cell, places, client)
            unclear.append(Finding(message, cell.index, named.line, fix, kind="path_of_dataset", offer=offer))
            yield name, cell.index, named.line


def _as_dataset(named: code.Named, name: str, cell: CodeCell, places: dict[str, str], client: str) -> offers.Offer | None:
    """The path's text with its quotes, and a call of the client instead; where the code imports that and the text stands there once."""
    place = next(place for place, dataset in places.items() if dataset == name)
    rest = named.text.removeprefix(place)
    written = [quoted for quoted in (f"'{named.text}'", f'"{named.text}"') if cell.source.splitlines()[named.line - 1].count(quoted) == 1]
    call = f'{client}.path("{name}")' + (f" + {json.dumps(rest)}" if rest else "")
    return offers.replace(written[0], call) if client and written else None


def dataset_at(path: str, places: dict[str, str]) -> str | None:
    """The dataset to whose place an absolute path belongs."""
    if not path.startswith("/"):
        return None
    pure = PurePosixPath(path)
    return next((places[str(place)] for place in (pure, *pure.parents) if str(place) in places), None)


def _text(argument: ast.expr | None, constants: dict[str, str]) -> str | None:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value
    return constants.get(argument.id) if isinstance(argument, ast.Name) else None
