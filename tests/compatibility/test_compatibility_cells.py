"""Every cell of cells.yaml, in a governed kernel and in a plain one."""

import shutil

import pytest
from matrix import CELLS, SOAK

pytestmark = [pytest.mark.slow]
AS_ROOT = ("multiprocessing", "joblib", "`%pip install", "papermill", "DuckDB, in", "SQLite")


def marks(row):
    return [pytest.mark.soak, pytest.mark.timeout(600)] if row.get("soak") else []


ROWS = [pytest.param(row, id=row["what"][:40], marks=marks(row)) for row in CELLS]


def check(row, server, wheel, key):
    """Run the cell in a kernel of its own; the whole output is the error."""
    if row.get("needs") and not shutil.which(row["needs"]):
        pytest.skip(f"{row['needs']} is not on this machine")
    if row.get("soak") and not SOAK:
        pytest.skip("a long run only: GUARDRAILS_SOAK=1")
    shutil.copy(wheel, server.workspace)
    kernel = server.kernel("study")
    try:
        outcome = kernel.run(row["cell"].replace("{wheel}", wheel.name), answer=row.get("answer"))
    finally:
        kernel.close()
    missing = [text for text in row.get(key, row.get("prints", ())) if text not in outcome.text]
    assert not missing, f"{missing} not in:\n{outcome.text}"
    if "shows" in row:
        assert outcome.shown(row["shows"]), outcome.kinds()


@pytest.mark.parametrize("row", ROWS)
def test_a_cell_governed(row, governed, wheel):
    check(row, governed, wheel, "prints")


@pytest.mark.parametrize("row", ROWS)
def test_the_same_cell_plain(row, plain, wheel):
    check(row, plain, wheel, "plain_prints")


@pytest.mark.parametrize("row", [row for row in ROWS if row.id.startswith(AS_ROOT)])
def test_the_same_cell_governed_as_root(row, governed_root, wheel):
    check(row, governed_root, wheel, "prints")
