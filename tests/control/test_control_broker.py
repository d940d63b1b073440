"""What the broker needs beside control: a library, and the secret of its hashes."""

import asyncio

import pytest

from jupyter_guardrails.control import broker_process, salt
from jupyter_guardrails.errors import Conflict


def test_without_pyarrow_beside_control_masked_data_says_what_to_install(monkeypatch):
    monkeypatch.setattr(broker_process.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Conflict, match="needs pyarrow") as caught:
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
