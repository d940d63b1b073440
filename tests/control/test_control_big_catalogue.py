"""A real control over a big catalogue: while that is read, and while it changes, everything else is answered."""

import os
import sys
import time

import pytest
from data_world import DataWorld

from jupyter_guardrails.catalog.folder import SMALL
from jupyter_guardrails.catalog.reading import WORKER
from jupyter_guardrails.control.interface import Settings, own, start_own_control
from jupyter_guardrails.control.interface.messages import DatasetsSearch, Me
from jupyter_guardrails.errors import CatalogBusy

PATIENCE_S = 60
CONTROL = """#!{python} -I
import runpy, sys
from jupyter_guardrails.catalog import reading
reading.FEW, sys.executable = 0, {held!r}
assert sys.argv[1:3] == ["-I", "-m"]
del sys.argv[:3]
runpy.run_module(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def world(tmp_path):
    world = DataWorld(tmp_path)
    world.dataset("nyc/flights")
    for number in range(SMALL):
        (world.folder / f"broken-{number}.yaml").write_text(f"id: nyc/b{number}\n")
    yield world
    world.close()


def found(client, words):
    """The names that a search finds, once the catalogue is there."""
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        try:
            return [row["name"] for row in client.call(DatasetsSearch(q=words))["datasets"]]
        except CatalogBusy:
            assert client.call(Me())["person"] == "ana"
    raise AssertionError("the catalogue was never read")


@pytest.fixture
def gate(monkeypatch, tmp_path):
    """A FIFO: control's catalogue is read by processes, and these start once it was opened for writing, and closed."""
    gate, held, interpreter = tmp_path / "gate", tmp_path / "held", tmp_path / "python"
    os.mkfifo(gate)
    held.write_text(f'#!/bin/sh\n[ "$3" = {WORKER} ] && [ -e {gate} ] && read -r go < {gate}\nexec {sys.executable} "$@"\n')
    interpreter.write_text(CONTROL.format(python=sys.executable, held=str(held)))
    for program in (held, interpreter):
        program.chmod(0o755)
    monkeypatch.setattr(own.sys, "executable", str(interpreter))
    return gate


def test_control_answers_while_its_catalogue_is_read_and_while_it_changes(world, gate):
    text = (world.folder / "nyc-flights.odcs.yaml").read_text()
    control = start_own_control(Settings(world.policy_file, world.folder, world.root / "state", world.root / "c.sock", True, "ana"))
    try:
        for _ in range(20):
            assert control.client.call(Me())["person"] == "ana"
            with pytest.raises(CatalogBusy):
                control.client.call(DatasetsSearch(q="flights"))
        with gate.open("w"):  # waits until one of them reads it; all go on at its end
            gate.unlink()
        assert found(control.client, "flights") == ["nyc/flights"]
        (world.folder / "nyc-flights.odcs.yaml").write_text(text.replace("All flights", "All arrivals"))
        ends = time.monotonic() + PATIENCE_S
        while found(control.client, "arrivals") != ["nyc/flights"]:
            assert time.monotonic() < ends, "the change never showed"
            assert found(control.client, "nyc flights") == ["nyc/flights"]
    finally:
        control.stop()
