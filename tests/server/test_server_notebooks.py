"""Notebooks that can't be opened say why and what to do, before the server has loaded them."""

import json
import uuid
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # left out of `make test-fast`

MIB = 1 << 20


def notebook(*, output="", **metadata):
    cell = {"cell_type": "code", "id": "a", "execution_count": 1, "metadata": {}, "source": "print(1)"}
    outputs = [{"output_type": "stream", "name": "stdout", "text": output}]
    return {"cells": [{**cell, "outputs": outputs}], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def place(server):
    """Write a file into the workspace as a kernel could; its name."""
    made = []

    def write(content):
        path = server.workspace / f"nb-{uuid.uuid4().hex[:8]}.ipynb"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        path.chmod(0o666)
        made.append(path)
        return path.name

    yield write
    for path in made:
        path.unlink(missing_ok=True)


def peak_bytes(server):
    """The most memory that the server has had."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) << 10


def test_a_notebook_above_the_limit_is_refused_unread_and_its_outputs_can_be_cleared(server, place):
    """PARSE-08: 60 MiB of outputs."""
    name = place(notebook(output="x" * 60 * MIB))
    before = peak_bytes(server)
    answer = server.rest("GET", f"api/contents/{name}")
    assert answer.status_code == 413
    said = answer.json()["message"]
    assert "60 MiB" in said
    assert "50 MiB" in said
    assert f"jupyter nbconvert --clear-output --inplace {name}" in said
    assert peak_bytes(server) - before < 20 * MIB
    assert name in [entry["name"] for entry in server.rest("GET", "api/contents").json()["content"]]
    assert server.rest("GET", f"api/contents/{name}?content=0").status_code == 200
    assert server.rest("GET", f"files/{name}", stream=True).status_code == 200  # may be taken elsewhere as it is


def test_the_command_of_the_refusal_opens_it_again(server, kernel, place):
    name = place(notebook(output="x" * 52 * MIB))
    said = server.rest("GET", f"api/contents/{name}").json()["message"]
    command = said.partition("stays: ")[2].partition(". Or ask")[0]
    assert command.startswith("jupyter nbconvert --clear-output")
    done = kernel.run(f"import subprocess; print(subprocess.run({command!r}, shell=True, capture_output=True, text=True))")
    assert "returncode=0" in done, done
    opened = server.rest("GET", f"api/contents/{name}").json()["content"]
    assert opened["cells"][0]["source"] == "print(1)"


def test_a_notebook_below_the_limit_opens(server, place):
    assert server.rest("GET", f"api/contents/{place(notebook(output='x' * 10 * MIB))}").status_code == 200


def test_an_admin_may_set_another_limit(make_server):
    small = make_server(arguments=["--GuardedContentsManager.max_notebook_bytes=4096"]).wait_ready()
    for output, status in (("x" * 8192, 413), ("x", 200)):
        saved = small.rest("PUT", "api/contents/a.ipynb", json={"type": "notebook", "content": notebook(output=output)})
        assert saved.status_code in (200, 201)  # a save is never refused for its size: that would lose work
        assert small.rest("GET", "api/contents/a.ipynb").status_code == status


def test_half_a_character_in_a_notebook_is_the_files_mistake_and_can_be_removed(server, place):
    """PARSE-05."""
    name = place(b'{"cells":[],"metadata":{"x":"\\ud800"},"nbformat":4,"nbformat_minor":5}')
    answer = server.rest("GET", f"api/contents/{name}")
    assert answer.status_code == 400
    assert "\\ud800" in answer.json()["message"]
    text = server.rest("GET", f"api/contents/{name}?type=file&format=text").json()["content"].replace("\\ud800", "")
    assert server.rest("PUT", f"api/contents/{name}", json={"type": "file", "format": "text", "content": text}).status_code == 200
    assert server.rest("GET", f"api/contents/{name}").status_code == 200


def test_half_a_character_is_not_saved_and_a_whole_one_is(server, place):
    name = place(notebook())
    for text, status in (("\ud83d", 400), ("\ud83d\ude00", 200)):
        body = json.dumps({"type": "notebook", "content": notebook(x=text)})
        answer = server.rest("PUT", f"api/contents/{name}", data=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status, answer.text
    assert server.rest("GET", f"api/contents/{name}").status_code == 200


BROKEN = {
    "latin": b'{"cells":[],"metadata":{"t":"\xe9\xff"},"nbformat":4,"nbformat_minor":5}',
    "types": b'{"cells":7,"metadata":[],"nbformat":4,"nbformat_minor":5}',
    "no format": b"{}",
    "huge number": b'{"cells":[],"metadata":{"x":' + b"9" * 5000 + b'},"nbformat":4,"nbformat_minor":5}',
    "future": b'{"cells":[],"metadata":{},"nbformat":99,"nbformat_minor":0}',
    "empty": b"",
    "deep": b'{"cells":' + b"[" * 200_000,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_notebook_is_400(server, place, kind):
    assert server.rest("GET", f"api/contents/{place(BROKEN[kind])}").status_code == 400
