"""Many contracts are read by processes of their own: the same contracts and mistakes as read here, whatever becomes of a process."""

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jupyter_guardrails.catalog import CatalogFolder, load_catalog, reading
from jupyter_guardrails.catalog.encoding import Decoder, encoded
from jupyter_guardrails.catalog.odcs import read_contract
from jupyter_guardrails.catalog.stamps import stamps_of
from jupyter_guardrails.errors import CatalogBusy


@pytest.fixture
def catalogue(world, monkeypatch):
    """Files of every kind, read by processes, three at a time."""
    place = world.parquet("one.parquet")
    for number in range(8):
        world.write(f"nyc/d{number}", place if number < 2 else None, tags=["größe"], description={"purpose": "Äther\u2028"})
    quality = [
        {"name": "t", "quality": [{"metric": "rowCount", "mustBeGreaterThan": 0}], "properties": [{"name": "origin", "logicalType": "string"}]}
    ]
    world.write("nyc/rules", schema=quality, slaProperties=[{"property": "frequency", "value": 1, "unit": "d"}])
    own = [{"property": "guardrails.product", "value": {"from": ["nyc/d3", "nyc/d4"], "how": "union"}}]
    world.write("nyc/made", "", servers=None, customProperties=[*own, {"property": "guardrails.classification", "value": "internal"}])
    world.write("nyc/broken", version=None, status="open", classification="x")
    (world.folder / "no.yaml").write_text("status: [active")
    (world.folder / "nowhere.yaml").symlink_to("missing")
    os.mkdir(os.fsencode(world.folder) + b"/\xff")
    (world.folder / "no.yaml").rename(os.fsdecode(os.fsencode(world.folder) + b"/\xff/no.yaml"))
    monkeypatch.setattr(reading, "FEW", 0)
    monkeypatch.setattr(reading, "PART", 3)
    return world


def read_here(world):
    return {file: read_contract(Path(file)) for file in stamps_of(str(world.folder))}


def test_processes_read_what_is_read_here(catalogue):
    found, expected = reading.read_all(list(stamps_of(str(catalogue.folder)))), read_here(catalogue)
    assert found == expected
    assert list(found) == list(expected)
    assert sum(bool(one.problems) for one in found.values()) == 3


def test_a_contract_survives_its_text(catalogue):
    decoder = Decoder()
    for contract in read_here(catalogue).values():
        assert "\n" not in encoded(contract)
        assert decoder.decoded(encoded(contract)) == contract
    alike = [one.columns for one in map(decoder.decoded, map(encoded, read_here(catalogue).values())) if one.columns]
    assert alike[0][0] is alike[1][0]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[1, 2]", "null"])
def test_what_is_no_contract_is_a_mistake(text):
    with pytest.raises(ValueError, match=r".+"):
        Decoder().decoded(text)


def test_what_a_process_leaves_unread_is_read_here(catalogue, monkeypatch, tmp_path, caplog):
    """One that ends at once, and one that answers for another file."""
    expected = read_here(catalogue)
    for body in ("raise SystemExit(3)", "import sys\nfor line in sys.stdin: print(line, flush=True)"):
        interpreter = tmp_path / "python"
        (tmp_path / "worker.py").write_text(body)
        interpreter.write_text(f"#!/bin/sh\nexec {sys.executable} -I {tmp_path / 'worker.py'}\n")
        interpreter.chmod(0o755)
        with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
            patched.setattr(reading.sys, "executable", str(interpreter))
            assert reading.read_all(list(expected)) == expected
        assert "its part is read without it" in caplog.text
        caplog.clear()


def test_a_reading_process_ends_with_whoever_started_it(catalogue):
    """Its input ends, and it with it, also in the middle of its work."""
    command = [sys.executable, "-I", "-m", reading.WORKER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        files = list(stamps_of(str(catalogue.folder)))
        process.stdin.write(json.dumps(files).encode() + b"\n")
        process.stdin.flush()
        assert len([process.stdout.readline() for _ in files]) == len(files)
        process.stdin.close()
        assert process.wait(30) == 0


def test_processes_that_are_held_up_hold_up_nobody_else(catalogue, monkeypatch, tmp_path):
    """What is asked meanwhile is answered; the catalogue is there once they go on."""
    gate, interpreter = tmp_path / "gate", tmp_path / "python"
    os.mkfifo(gate)
    interpreter.write_text(f'#!/bin/sh\n[ -e {gate} ] && read -r go < {gate}\nexec {sys.executable} "$@"\n')
    interpreter.chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setattr(reading.sys, "executable", str(interpreter))
        folder = CatalogFolder(catalogue.folder, small=1)
        for _ in range(100):
            with pytest.raises(CatalogBusy):
                _ = folder.current
        with gate.open("w"):  # waits until one of them reads it; all go on at its end
            gate.unlink()
        for thread in threading.enumerate():
            if thread.name == "catalogue":
                thread.join()
    assert "nyc/d7" in folder.known.catalog.by_name


def test_a_whole_catalogue_read_by_processes_is_the_same(catalogue, monkeypatch):
    by_processes = load_catalog(catalogue.folder)
    monkeypatch.setattr(reading, "FEW", 1000)
    assert by_processes == load_catalog(catalogue.folder)
    assert {"nyc/made", "nyc/rules"} <= by_processes.contracts.keys()
