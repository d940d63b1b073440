"""`submit --details job.yaml --schedule … --output …`: what is said about the job, from a file, and above it from the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.package.details import Details

MAX_BYTES = 1 << 20
LISTS = {"secret": "secrets", "network": "network", "output": "outputs", "pin": "pinned"}  # flag that may be repeated -> its key
ONES = ("description", "contact", "run_as", "schedule", "retries")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `submit` that say something about the job."""
    group = parser.add_argument_group("about the job")
    group.add_argument("--details", type=Path, metavar="FILE", help="YAML with the keys below (outputs may have name, path, dataset, columns)")
    group.add_argument("--description", help="what it is for, for those who review and run it")
    group.add_argument("--contact", help="whom to ask when it fails (default: you)")
    group.add_argument("--run-as", metavar="ACCOUNT", help="the account that it runs as in production")
    group.add_argument("--schedule", metavar="CRON", help="minute hour day month weekday, like '0 6 * * 1'")
    group.add_argument("--retries", type=int, metavar="N", help="how often a run that failed is tried again")
    group.add_argument("--label", action="append", default=[], metavar="NAME=VALUE")
    group.add_argument("--secret", action="append", default=[], metavar="NAME", help="an environment variable that the engine binds; never its value")
    group.add_argument("--network", action="append", default=[], metavar="HOST:PORT", help="a host that the job needs")
    group.add_argument("--output", action="append", default=[], metavar="PATH", help="a file that it makes, relative to the notebook")
    group.add_argument("--pin", action="append", default=[], metavar="DATASET", help="a dataset of one file: the job refuses other bytes of it")


def details_of(arguments: argparse.Namespace, *, then: Sequence[str] = ()) -> Details:
    """All that was said, with the notebooks that run after the first; BadRequest names each key that can't be used."""
    said = _from_file(arguments.details) if arguments.details else {}
    said |= {key: value for key in ONES if (value := getattr(arguments, key)) is not None}
    for flag, key in LISTS.items():
        if given := getattr(arguments, flag):
            said[key] = [*said.get(key, []), *given]
    if then:
        said["then"] = [*said.get("then", []), *then]
    if arguments.label:
        said["labels"] = said.get("labels", {}) | dict(_pair(text) for text in arguments.label)
    try:
        return Details.model_validate(said)
    except ValidationError as error:
        raise BadRequest("; ".join(_problems(error)), next_step="`jupyter guardrails submit --help` names the keys") from error


def _problems(error: ValidationError) -> list[str]:
    found = [(".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, ")) for item in error.errors()]
    return [f"{place}: {words}" if place else words for place, words in found]


def _from_file(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8") as file:
            found = yaml.safe_load(file.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise BadRequest(f"{path} can't be read: {' '.join(str(error).split())}", next_step="give a YAML file of keys and values") from error
    if not isinstance(found, dict):
        raise BadRequest(f"{path} holds no keys with values", next_step="write lines like `schedule: 0 6 * * 1`")
    return found


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise BadRequest(f"--label takes NAME=VALUE, not {text!r}")
    return name, value
