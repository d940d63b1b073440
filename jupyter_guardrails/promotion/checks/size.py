"""size: a notebook that opens quickly, and a package that travels."""

from __future__ import annotations

from collections.abc import Iterator

from jupyter_guardrails.promotion.offers import CLEAR_OUTPUTS
from jupyter_guardrails.promotion.results import Finding, Result, failed, many, passed
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "size", "Outputs and files are small"
CELL_BYTES = 10 << 20
NOTEBOOK_BYTES = 50 << 20  # what JupyterLab opens here: server/notebooks.py
FILE_BYTES = 50 << 20
AS_DATASET = "data belongs into a dataset: ask your admin for one, or publish it with guarded.publish"


def run(work: Work, progress: Progress) -> Result:
    """Weigh the outputs of each cell, the notebook, and the files that go along."""
    findings = [*_outputs(work), *_files(work)]
    size = work.notebook.path.stat().st_size
    if size > NOTEBOOK_BYTES and not any(finding.kind == "large_output" for finding in findings):
        findings.append(Finding(f"the notebook has {size >> 20} MiB: it hardly opens", fix="clear all outputs", kind="large_notebook"))
    if findings:
        return failed(f"{many(len(findings), 'thing is', 'things are')} larger than they should be", findings)
    return passed(f"the notebook has {_readable(size)}")


def _outputs(work: Work) -> Iterator[Finding]:
    for cell in work.notebook.cells:
        size = work.notebook.output_bytes(cell.index)
        if size > CELL_BYTES:
            fix = "show less of it (`.head()`, a picture of fewer points), or clear this cell's outputs"
            yield Finding(f"the outputs of this cell have {_readable(size)}", cell.index, fix=fix, kind="large_output", offer=CLEAR_OUTPUTS)


def _files(work: Work) -> Iterator[Finding]:
    for path in sorted(work.order.frozen.rglob("*")):
        name, size = path.relative_to(work.order.frozen).as_posix(), path.stat().st_size
        if path.is_file() and name not in work.notebooks and size > FILE_BYTES:
            yield Finding(f"{name} has {_readable(size)}, and goes into every package", fix=AS_DATASET, kind="large_file")


def _readable(size: int) -> str:
    return f"{size >> 20} MiB" if size >> 20 else f"{size >> 10} KiB"
