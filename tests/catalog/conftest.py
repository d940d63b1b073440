"""A catalogue folder with real data beside it, and a way to write contracts into it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

pytest.register_assert_rewrite("tests.catalog.source_contract")


def contract(name: str, path: Path | str, /, **changes) -> dict:
    """A whole, correct contract as data; `changes` replace top-level keys, None takes one away."""
    domain, _, last = name.partition("/")
    data = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"id-of-{last}",
        "name": last,
        "version": "1.2.0",
        "status": "active",
        "domain": domain,
        "description": {"purpose": f"Everything about {last}"},
        "tags": [domain],
        "team": {"name": f"{domain}-team", "members": [{"username": "dana", "role": "owner"}]},
        "servers": [{"server": "here", "type": "local", "path": str(path), "format": "parquet"}],
        "schema": [
            {
                "name": last,
                "properties": [
                    {"name": "origin", "logicalType": "string", "description": "airport of departure"},
                    {"name": "email", "logicalType": "string", "classification": "pii"},
                ],
            }
        ],
        "customProperties": [{"property": "guardrails.classification", "value": "internal"}],
    }
    return {key: value for key, value in (data | changes).items() if value is not None}


class World:
    """`folder` is the catalogue, `data` the place of the data."""

    def __init__(self, root: Path) -> None:
        self.folder, self.data = root / "catalog", root / "data"
        self.folder.mkdir()
        self.data.mkdir()

    def parquet(self, name: str, rows: int = 3) -> Path:
        """A real Parquet file with the columns of `contract`."""
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"origin": ["JFK"] * rows, "email": [f"p{i}@example.com" for i in range(rows)]}), path)
        return path

    def write(self, name: str, path: Path | str | None = None, /, *, file: str | None = None, **changes) -> Path:
        """A contract file, with data made for it unless a path is given."""
        place = path if path is not None else self.parquet(f"{name}.parquet")
        target = self.folder / (file or f"{name.replace('/', '-')}.odcs.yaml")
        target.write_text(yaml.safe_dump(contract(name, place, **changes), sort_keys=False))
        return target


@pytest.fixture
def world(tmp_path):
    return World(tmp_path.resolve())
