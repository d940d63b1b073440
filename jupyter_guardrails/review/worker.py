"""A process that reads packages for a server: what changed, as JSON, or the clean run, as a page, on its standard output.

`python -I -m jupyter_guardrails.review.worker changes|light|dark FD DIGEST [FD DIGEST]`: the package in review, then the one approved before.
A package comes from an author, so it is read here, in memory and time that are bounded, and ends with this process.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jupyter_guardrails.errors import GuardrailsError, PackageError
from jupyter_guardrails.review import evidence, page
from jupyter_guardrails.review.diff import Change
from jupyter_guardrails.review.evidence import Content

MEMORY_BYTES = 2 << 30
CPU_S = 60
MOST_CHARACTERS = 2_000_000  # of all changes
LONGEST_LINE = 2_000
READ = ("name", "version", "masks", "sha256", "size_bytes")
COLUMNS = 500  # of one output that are named


def main(arguments: Sequence[str]) -> int:
    """0, or 1 with the error as JSON on standard error; nothing is printed before the package was verified."""
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_CPU, CPU_S)
    what, *packages = arguments
    pairs = [(int(fd), digest) for fd, digest in zip(packages[::2], packages[1::2], strict=True)]
    try:
        for part in changes(pairs) if what == "changes" else clean_run(pairs, what):
            sys.stdout.write(part)
        sys.stdout.flush()
    except GuardrailsError as error:
        print(json.dumps(error.to_json()), file=sys.stderr)
        return 1
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError, OSError) as error:
        print(json.dumps(_unreadable(error).to_json()), file=sys.stderr)
        return 1
    return 0


def _limit(what: int, most: int) -> None:
    """At most so much, or what it is limited to already."""
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def clean_run(packages: Sequence[tuple[int, str]], theme: str) -> Iterator[str]:
    """The page of the clean runs in a theme, piece by piece."""
    ((package, digest),) = packages
    with evidence.opened(package, digest) as folder:
        yield from page.clean_run_page("Clean run", evidence.clean_runs(folder), theme=theme)


def changes(packages: Sequence[tuple[int, str]]) -> Iterator[str]:
    """`ReviewContent` of openapi.yaml."""
    now, *before = [_content(package, digest) for package, digest in packages]
    found = list(_bounded(evidence.changes(before[0], now))) if before else None
    yield json.dumps({"changes": found, "inputs": list(_inputs(now)), "outputs": list(_outputs(now)), "resources": now.job["resources"]})


def _content(package: int, digest: str) -> Content:
    with evidence.opened(package, digest) as folder:
        return evidence.read(folder, runs=False)


def _bounded(found: Iterable[Change]) -> Iterator[dict[str, Any]]:
    """As much as a reader can take in; `job save` has all of it."""
    left = MOST_CHARACTERS
    for change in found:
        lines = list(map(_cut, change.lines))
        left -= len(change.what) + sum(map(len, lines))
        if left < 0:
            yield {"what": "… and more: save the package to look at all of it", "lines": []}
            return
        yield {"what": change.what[:LONGEST_LINE], "lines": lines}


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}… and {len(line) - LONGEST_LINE} characters more"


def _inputs(content: Content) -> Iterator[dict[str, Any]]:
    """What it reads, as its clean run was bound to it."""
    pinned = content.job.get("pinned", ())
    for entry in content.job["inputs"]:
        only = {"some_rows": bool(entry.get("rows")), "pinned": entry["name"] in pinned or bool(entry.get("counts"))}
        yield {key: entry.get(key) for key in READ} | only


def _outputs(content: Content) -> Iterator[dict[str, Any]]:
    """What it makes: columns and types from job.json, and how much the clean run wrote."""
    for one in content.job["outputs"]:
        said = one if isinstance(one, dict) else {"path": one}
        path = str(said.get("path") or said.get("name"))
        made = content.made.get(path, {})
        columns = [{"name": str(name), "type": str(kind)} for name, kind in list((said.get("columns") or {}).items())[:COLUMNS]]
        size = {key: made.get(key) for key in ("format", "rows", "size_bytes", "problem")}
        yield {"path": path, "dataset": said.get("dataset") or "", "columns": columns} | size


def _unreadable(error: Exception) -> PackageError:
    what = "it is larger than can be shown here" if isinstance(error, MemoryError) else f"{type(error).__name__}: {str(error)[:200]}"
    return PackageError(f"this package can't be read: {what}", next_step="save it, and look at it there: `jupyter guardrails job save ID`")


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main(sys.argv[1:]))
