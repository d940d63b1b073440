"""What the broker needs beside control: a library, and the secret of its hashes."""

import asyncio
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from scan_world import COLUMNS, ROWS, shows_nothing

from jupyter_guardrails.control import broker_process, salt
from jupyter_guardrails.control.interface.messages import DatasetShow
from jupyter_guardrails.errors import Conflict


def workers(parent):
    """Brokers that a control started and that still run."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            command, ppid = (status.parent / "cmdline").read_bytes(), int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
        found += [status.parent.name] if b"broker_worker" in command and ppid == parent else []
    return found


def test_a_real_control_shows_masked_rows_and_takes_its_broker_along(world):
    pq.write_table(pa.table(ROWS), world.root / "people.parquet")
    contract = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "hr/people", "version": "1.0.0", "status": "active", "domain": "hr"}
    contract |= {"description": {"purpose": "People"}, "team": {"name": "t", "members": [{"username": "dana", "role": "owner"}]}}
    contract |= {"servers": [{"server": "here", "type": "local", "path": str(world.root.resolve() / "people.parquet"), "format": "parquet"}]}
    masked = [column | {"customProperties": [{"property": "guardrails.mask", "value": "hash"}]} for column in COLUMNS if column["name"] != "region"]
    contract |= {"schema": [{"name": "people", "properties": [*masked, {"name": "region"}]}]}
    contract |= {"customProperties": [{"property": "guardrails.classification", "value": "internal"}]}
    (world.root / "catalog" / "people.odcs.yaml").write_text(yaml.safe_dump(contract))
    world.policy.write_text(world.policy.read_text().replace("workspace: {size: 20GiB}", 'data: {read: ["hr/*"]}'))
    own = world.start()
    shown = own.client.call(DatasetShow(name="hr/people"))
    assert [row[3] for row in shown["preview"]["rows"]] == ROWS["region"]
    shows_nothing(shown)
    (worker,) = workers(own.process.pid)
    own.stop()
    assert not Path(f"/proc/{worker}").exists()


@pytest.mark.parametrize("missing", ["pyarrow", "numpy"])
def test_without_its_libraries_beside_control_masked_data_says_what_to_install(monkeypatch, missing):
    monkeypatch.setattr(broker_process.importlib.util, "find_spec", lambda name: None if name == missing else name)
    with pytest.raises(Conflict, match=f"needs {missing}") as caught:
        asyncio.run(broker_process.Broker().begin({"do": "hello"}, ()))
    assert "pip install 'jupyter_guardrails[broker]'" in caught.value.next_step


def test_a_salt_that_others_could_read_is_no_salt(tmp_path):
    made = salt.salt_of(tmp_path)
    assert (tmp_path / salt.NAME).read_bytes() == made
    other = tmp_path / "other"
    other.mkdir()
    (other / salt.NAME).write_bytes(made)
    (other / salt.NAME).chmod(0o644)
    with pytest.raises(Conflict, match="is not the secret that masks need"):
        salt.salt_of(other)
    (other / salt.NAME).chmod(0o600)
    assert salt.salt_of(other) == made
