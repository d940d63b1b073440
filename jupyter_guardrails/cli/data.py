"""`jupyter guardrails data`: the datasets that you may know of, one in full, whether contracts are in order, and who may read them."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jupyter_guardrails.catalog import load_catalog
from jupyter_guardrails.catalog.odcs import NAME
from jupyter_guardrails.cli import data_decisions, data_publications, data_quality
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line, table
from jupyter_guardrails.control.interface.messages import DatasetCheck, DatasetShow, DatasetsSearch
from jupyter_guardrails.errors import BadRequest

WIDE = 200  # where the output is no terminal
STATUSES = {"granted": "yes", "requestable": "on request", "refused": "no", "broken": "broken contract"}


def add_parser(subparsers: Any) -> None:
    """`data list [QUERY]`, `data show NAME`, `data check [DIR|NAME]`."""
    data = subparsers.add_parser("data", help="datasets: list, show, check contracts, decide requests").add_subparsers(
        dest="data_command", required=True, metavar="COMMAND"
    )
    listing = data.add_parser("list", help="datasets that you may read or ask for")
    listing.add_argument("query", nargs="*", metavar="WORD", help="only those with these words in name, description, columns, tags or owner")
    listing.add_argument("--scope", choices=("all", "granted", "requestable"), default="all", help="default: all")
    listing.add_argument("--limit", type=int, default=200, metavar="N", help="how many at once, at most 1000 (default: 200)")
    listing.add_argument("--offset", type=int, default=0, metavar="N", help="leave out so many of the first ones: the next page")
    show = data.add_parser("show", help="one dataset: columns, first rows, the line to type")
    show.add_argument("name", help="like nyc/flights")
    check = data.add_parser("check", help="mistakes in dataset contracts, or whether one dataset's data is as it should be; exit code 1 if not")
    check.add_argument(
        "what",
        nargs="?",
        metavar="DIR|NAME",
        help="a folder of contracts; or a dataset, whose quality rules are then measured (default: the catalogue of the running control, for admins)",
    )
    for parser, run in ((listing, run_list), (show, run_show), (check, run_check)):
        parser.add_argument("--json", action="store_true", help="the answer as JSON")
        parser.set_defaults(run=run)
    data_decisions.add_parsers(data)
    data_publications.add_parsers(data)


def run_list(arguments: argparse.Namespace) -> int:
    """A table of datasets, or JSON."""
    with connected(os.environ) as client:
        found = client.call(_asked(arguments))
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    rows = [(row["name"], STATUSES[row["status"]], row["classification"], row["owner"], _marks(row), row["description"]) for row in found["datasets"]]
    print(table(("name", "readable", "classification", "owner", "marks", "description"), rows, _width()) if rows else "no datasets")
    seen = arguments.offset + len(rows)
    if found["total"] > seen:
        print(f"and {found['total'] - seen} more: add a word to narrow it down, or --offset {seen} for the next ones")
    return 0


def _marks(row: dict[str, Any]) -> str:
    """`advisory`: this account can open the files without us. `late`: older than the contract promises."""
    return ", ".join(word for word, is_so in (("advisory", row["advisory"]), ("late", row["fresh"] is False)) if is_so)


def _asked(arguments: argparse.Namespace) -> DatasetsSearch:
    try:
        return DatasetsSearch(q=" ".join(arguments.query), scope=arguments.scope, limit=arguments.limit, offset=arguments.offset)
    except ValidationError as error:
        mistakes = "; ".join(f"--{item['loc'][0]}: {item['msg'][0].lower()}{item['msg'][1:]}" for item in error.errors())
        raise BadRequest(mistakes, next_step="--limit is 1 to 1000, --offset 0 or more") from error


def run_show(arguments: argparse.Namespace) -> int:
    """Everything about one dataset, or JSON."""
    with connected(os.environ) as client:
        found = client.call(DatasetShow(name=arguments.name))
    print(json.dumps(found, indent=2) if arguments.json else described(found, _width()))
    return 0


def run_check(arguments: argparse.Namespace) -> int:
    """Every contract with its mistakes, or one dataset's checks; 1 if there is a mistake, or a check that fails."""
    what = arguments.what
    if what and NAME.fullmatch(what) and not os.path.isdir(what):
        return data_quality.run_check(what, as_json=arguments.json, width=_width())
    contracts = _checked(Path(what)) if what else _catalogue()
    if arguments.json:
        print(json.dumps({"contracts": contracts}, indent=2))
    else:
        _print_check(contracts)
    return 1 if any(contract["problems"] for contract in contracts) else 0


def _catalogue() -> list[dict[str, Any]]:
    with connected(os.environ) as client:
        contracts: list[dict[str, Any]] = client.call(DatasetCheck())["contracts"]
        return contracts


def _checked(folder: Path) -> list[dict[str, Any]]:
    """The same answer as control's, for a folder that is not in force yet."""
    catalog = load_catalog(folder)
    rows = [{"file": problem.file, "name": "", "problems": [str(problem)]} for problem in catalog.folder_problems]
    contracts = sorted((*catalog.contracts.values(), *catalog.broken), key=lambda contract: contract.file)
    return rows + [{"file": c.file, "name": c.name, "problems": [str(problem) for problem in c.problems]} for c in contracts]


def _print_check(contracts: list[dict[str, Any]]) -> None:
    broken = [contract for contract in contracts if contract["problems"]]
    for contract in broken:
        print("\n".join(contract["problems"]), file=sys.stderr)
    fine = len(contracts) - len(broken)
    print(f"{fine} contract{'s are' if fine != 1 else ' is'} in order, {len(broken)} {'have' if len(broken) != 1 else 'has'} mistakes")


def described(found: dict[str, Any], width: int) -> str:
    """One dataset as text: facts, columns, first rows, and how to read or ask for it."""
    columns = [(c["name"], c["type"], c["classification"], c["mask"], c["description"]) for c in found["schema"]]
    parts = [f"{line(found['name'])}: {line(found['description'])}", _facts(found)]
    parts.append(table(("column", "type", "classification", "mask", "description"), columns, width) if columns else "")
    parts.append(data_quality.described(found["quality"], width) if found["quality"] else "")
    parts.append(_rows(found["preview"], width) if found["preview"] else "")
    parts.append(found["snippets"].get("pandas", ""))
    return "\n\n".join(filter(None, parts))


def _facts(found: dict[str, Any]) -> str:
    facts = {key: found[key] for key in ("owner", "classification", "version", "format")}
    facts |= {
        "size": _size(found["size_bytes"]),
        "updated": found["updated_at"],
        "readable": STATUSES[found["status"]],
        "marks": _marks(found),
        "rule": found["rule"],
    }
    facts["made of"] = ", ".join(f"{one['name']} {one['version']}".strip() for one in found["inputs"])
    facts["counts"] = f"jobs read only the file with sha256 {found['sha256']}" if found["sha256"] else ""
    facts["made by"] = (found["produced_by"] or {}).get("text", "")
    facts |= {"place": found["path"], "next": found["next_step"], "error": found["error"]}
    return "\n".join(f"  {key + ':':<16}{line(value)}" for key, value in facts.items() if value)


def _rows(preview: dict[str, Any], width: int) -> str:
    return table(preview["columns"], [["" if cell is None else cell for cell in row] for row in preview["rows"]], width)


def _size(count: int | None) -> str:
    """`1.5 MiB`."""
    if count is None:
        return ""
    amount, units = float(count), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while amount >= 1024 and len(units) > 1:
        amount /= 1024
        units.pop(0)
    return f"{amount:.4g} {units[0]}"


def _width() -> int:
    return shutil.get_terminal_size((WIDE, 24)).columns if sys.stdout.isatty() else WIDE
