"""`demo --check`: the whole way from an opened notebook to a job that another account runs, without a browser, as one report."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from jupyter_guardrails import errors
from jupyter_guardrails.cli import demo_job, demo_server
from jupyter_guardrails.cli.demo_server import CellRun, Kernel, Server
from jupyter_guardrails.cli.demo_setup import KERNELSPEC, DemoFolder
from jupyter_guardrails.control.interface import ControlClient, find_settings
from jupyter_guardrails.control.interface.own import running_control
from jupyter_guardrails.control.interface.quality import QualityCheck
from jupyter_guardrails.kernels.variables import THREADS

ROUNDS = 2  # the fastest of so many runs, since a busy machine only ever adds time
REASON = "the demo's notebook is submitted as it comes, before anybody has run it"
ENDED = {"checks_failed", "in_review", "changes_requested", "rejected", "withdrawn", "cancelled", "approved", "deployed"}
SUBMISSION_TIMEOUT_S = 600.0
DATASETS = ("nyc/flights", "nyc/weather", "nyc/planes")
PRODUCT = "nyc/departures"
Say = Callable[[str], None]


def check(folder: DemoFolder, *, say: Say) -> dict[str, Any]:
    """The report; raises GuardrailsError with one clear sentence at the first thing that is not as it should be."""
    place = folder.root / "check"
    shutil.rmtree(place, ignore_errors=True)
    workspace = _copy_workspace(folder, place / "workspace")
    environment = {**os.environ, **folder.environment(person="ana", state=place / "state")}
    with demo_server.serve(["jupyter_guardrails", "server"], workspace, environment=environment, log=place / "governed.log") as server:
        enforced = [one["name"] for one in server.request("GET", "/guardrails/me").json()["enforced"] if one["held"]]
        say(f"enforced here: {', '.join(enforced)}")
        tour = take_tour(server, say) | {"quality": measure(server, environment, say)}
        delays = compare_delays(server, folder, place, say)
        packages = [submit(server, "delays.ipynb", say) for _ in range(2)]
        file = _download(server, packages[0], place)
    author = (workspace / "result.csv").read_bytes()
    job = demo_job.run_elsewhere(file, {name: str(folder.root / "data" / f"{name}.parquet") for name in DATASETS}, table="result.csv")
    _same_table(author, job.table, say)
    shutil.rmtree(job.folder)
    package = {"path": str(file), "content_digest": packages[0]["content_digest"], "content_digest_again": packages[1]["content_digest"]}
    _expect(
        package["content_digest"] == package["content_digest_again"],
        "the same notebook gave two different packages",
        "compare the two with `jupyter guardrails job`",
    )
    rows = len(author.splitlines()) - 1
    return {
        "enforced": enforced,
        "delays": delays,
        **tour,
        "package": package,
        "job": {"account": job.account, "rows": rows, "table": job.table.decode()},
    }


def _copy_workspace(folder: DemoFolder, workspace: Path) -> Path:
    workspace.mkdir(parents=True)
    for notebook in folder.workspace.glob("*.ipynb"):
        shutil.copyfile(notebook, workspace / notebook.name)
    return workspace


def take_tour(server: Server, say: Say) -> dict[str, Any]:
    """Run tour.ipynb and look at what its cells showed: refusal, memory, files, network."""
    kernel = server.kernel(KERNELSPEC, notebook="tour.ipynb")
    cells = {run.id: run for run in run_notebook(kernel, _cells(server, "tour.ipynb"))}
    kernel.close()
    refusal = cells["refused"].text
    _expect("restricted-stays-shut" in refusal, "hr/salaries was not refused by the rule restricted-stays-shut", refusal)
    masked = cells["masked"].text
    _expect(
        "***@airline.example.com" in masked and not re.search(r"[a-z]+\.[a-z]+\d+@", masked), "mail addresses of hr/roster were not masked", masked
    )
    say("hr/roster is read with its mail addresses masked")
    data = look_at_data(cells, say)
    _expect("restricted-stays-shut" in cells["no-way-around"].text, "a plain open() of hr/salaries was not explained", cells["no-way-around"].text)
    _expect(cells["bomb"].text.startswith("MemoryError"), "the memory bomb did not end as a MemoryError", cells["bomb"].text)
    for cell in ("outside", "network"):
        _expect("not refused" not in cells[cell].text, f"a guardrail did not hold (cell {cell!r} of tour.ipynb)", cells[cell].text)
    say(f"refused, with its reason: {refusal.splitlines()[0]}")
    kept = "still here" in cells["kept"].text
    _expect(kept, "a variable was lost to the memory bomb", cells["kept"].text)
    return {"refusal": refusal.strip(), "memory_bomb": {"error": cells["bomb"].text.partition(":")[0], "variable_kept": kept}, "data": data}


def look_at_data(cells: dict[str, CellRun], say: Say) -> dict[str, str]:
    """What the tour's other ways to data showed: a masked copy, a product, a request, a publication."""
    wanted = {"view": "flight deck", "product": "Frontier Airlines", "request": "open", "published": "private"}
    for cell, words in wanted.items():
        _expect(words in cells[cell].text, f"cell {cell!r} of tour.ipynb does not show {words!r}", cells[cell].text)
    say("hr/roster as a masked copy, nyc/departures as a product, hr/headcount requested, team/lateness published: private")
    return {cell: cells[cell].text.strip() for cell in wanted}


def measure(server: Server, environment: dict[str, str], say: Say) -> str:
    """Have the product's quality rules measured, as its owner would in a shell; what everybody sees of them then."""
    control = running_control(find_settings([], environment, home=Path.home()))
    _expect(control is not None, "control does not answer", "")
    found = cast(ControlClient, control).call(QualityCheck(name=PRODUCT))
    shown = server.request("GET", f"/guardrails/datasets/{quote(PRODUCT, safe='')}").json()["quality"]
    failed = [check["limit"] for check in found["checks"] if check["state"] != "passed"]
    _expect(not failed and shown["summary"] == found["summary"], f"the quality of {PRODUCT} is not as it should be", f"{failed} {shown}")
    say(f"quality of {PRODUCT}: {found['summary']}")
    return str(found["summary"])


def compare_delays(server: Server, folder: DemoFolder, place: Path, say: Say) -> dict[str, Any]:
    """Run delays.ipynb governed and in a plain kernel of the same environment and with as many threads, in turn."""
    plain_workspace = _copy_workspace(folder, place / "plain")
    cpus = next(profile["cpus"] for profile in server.request("GET", "/guardrails/me").json()["profiles"] if profile["chosen"])
    environment = {**_plain_environment(folder, place), **dict.fromkeys(THREADS, str(int(cpus)))}
    with demo_server.serve(["jupyter_server"], plain_workspace, environment=environment, log=place / "plain.log") as plain:
        pairs = [(_timed(server), _timed(plain)) for _ in range(ROUNDS)]
    seconds, plain_seconds = (min(times) for times in zip(*pairs, strict=True))
    say(f"delays.ipynb: {seconds:.1f} s governed, {plain_seconds:.1f} s plain")
    return {
        "cells": len(_cells(server, "delays.ipynb")),
        "seconds": round(seconds, 2),
        "plain_seconds": round(plain_seconds, 2),
        "ratio": round(seconds / plain_seconds, 3),
    }


def _plain_environment(folder: DemoFolder, place: Path) -> dict[str, str]:
    """A Jupyter without our extension; the client finds its datasets through a file, as in a job."""
    bindings = place / "bindings.json"
    bindings.write_text(json.dumps({name: str(folder.root / "data" / f"{name}.parquet") for name in DATASETS}))
    client = Path(__file__).resolve().parents[1] / "client"
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GUARDRAILS_")}
    return {
        **kept,
        "JUPYTER_PATH": str(folder.jupyter_path),
        "JUPYTER_NO_CONFIG": "1",
        "PYTHONPATH": str(client),
        "GUARDRAILS_BINDINGS": str(bindings),
    }


def _timed(server: Server) -> float:
    """Seconds that delays.ipynb takes; it is saved with its outputs, as an author would."""
    cells = _cells(server, "delays.ipynb")
    kernel = server.kernel(KERNELSPEC, notebook="delays.ipynb")
    begin = time.perf_counter()
    runs = run_notebook(kernel, cells)
    seconds = time.perf_counter() - begin
    kernel.close()
    _save(server, "delays.ipynb", {run.id: (count, run) for count, run in enumerate(runs, 1)})
    return seconds


def _save(server: Server, notebook: str, runs: dict[str, tuple[int, CellRun]]) -> None:
    model = server.request("GET", f"/api/contents/{notebook}?content=1").json()
    for cell in model["content"]["cells"]:
        if cell["id"] in runs:
            cell["execution_count"], run = runs[cell["id"]]
            cell["outputs"] = run.as_saved()
    server.request("PUT", f"/api/contents/{notebook}", {"type": "notebook", "format": "json", "content": model["content"]})


def run_notebook(kernel: Kernel, cells: list[dict[str, Any]]) -> list[CellRun]:
    """Run code cells from top to bottom; a cell fails exactly when it is tagged `raises-exception`."""
    runs = []
    for cell in cells:
        run = kernel.run("".join(cell["source"]), cell_id=cell["id"])
        wanted = "error" if "raises-exception" in cell["metadata"].get("tags", []) else "ok"
        _expect(run.status == wanted, f"cell {cell['id']!r} ended with {run.status}, not {wanted}", run.text)
        runs.append(run)
    return runs


def _cells(server: Server, notebook: str) -> list[dict[str, Any]]:
    content = server.request("GET", f"/api/contents/{notebook}?content=1").json()["content"]
    return [cell for cell in content["cells"] if cell["cell_type"] == "code"]


def submit(server: Server, notebook: str, say: Say) -> dict[str, Any]:
    """Submit a notebook and wait until it is packed."""
    shown: dict[str, Any] = server.request(
        "POST", "/guardrails/submissions", {"notebook": notebook, "reason": REASON}, headers={"Idempotency-Key": uuid.uuid4().hex}
    ).json()
    end = time.monotonic() + SUBMISSION_TIMEOUT_S
    while shown["state"] not in ENDED and time.monotonic() < end:
        time.sleep(0.5)
        shown = server.request("GET", f"/guardrails/submissions/{shown['id']}").json()
    found = "\n".join(
        f"{check['title']}: {check['detail']} {check['findings']}" for check in shown["checks"] if check["state"] not in ("passed", "not_checked")
    )
    _expect(bool(shown["content_digest"]), f"{notebook} was not packed: {shown['state']} {shown['error']}", found)
    say(f"{notebook} packed as {shown['package']}, content {shown['content_digest'][:12]}")
    return shown


def _download(server: Server, submission: dict[str, Any], place: Path) -> Path:
    file = place / Path(submission["package"]).name
    file.write_bytes(server.request("GET", f"/guardrails/submissions/{submission['id']}/package").content)
    return file


def _same_table(author: bytes, job: bytes, say: Say) -> None:
    _expect(author == job, "the job's result table is not the author's", f"author:\n{author.decode()}\njob:\n{job.decode()}")
    say(f"the job gave the author's table: {len(author.splitlines()) - 1} rows")


def _expect(holds: bool, otherwise: str, detail: str) -> None:
    if not holds:
        raise errors.GuardrailsError(f"{otherwise}.\n{detail.strip()}", next_step="see the logs in the folder check/ of the demo")
