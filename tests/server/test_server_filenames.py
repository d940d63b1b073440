"""PATH-08: nothing new gets a name that misleads or that other systems can't take; what has one can be listed, opened, renamed and deleted."""

import json
import uuid
from urllib.parse import quote

import pytest

from jupyter_guardrails.server import filenames

MISLEADING = {
    "a\nb.txt": "U+000A",
    "a\tb.txt": "U+0009",
    "a\x7fb.txt": "U+007F",
    "a\x9bb.txt": "U+009B",
    "a\u2028b.txt": "LINE SEPARATOR",
    **{f"a{chr(code)}gpj.txt": f"U+{code:04X}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
    " begins.txt": "blank",
    "ends.txt ": "blank",
    "\u00a0.txt": "blank",
    "con.": "dot",
    "...": "dot",
}
UNUSABLE = {
    "a\0b.txt": "NUL",
    "a" * 252 + ".txt": "256 bytes",
    "ä" * 126 + ".txt": "256 bytes",
    "/".join(["d" * 200] * 21): "4095",
    "a\ud800.txt": "half",
}
FINE = ("notes.txt", ".hidden", "Überblick 2026.ipynb", "עברית.txt", "گزارش\u200cها.csv", "a" * 251 + ".txt", "con.txt", "a..b", "x - copy (2).py")


@pytest.mark.parametrize(("name", "why"), MISLEADING.items())
def test_a_misleading_name_is_refused_with_the_reason_in_plain_signs(name, why):
    said = filenames.misleading(name)
    assert why in said
    assert said.isprintable()
    assert "leave it out" in said


@pytest.mark.parametrize(("path", "why"), UNUSABLE.items())
def test_a_path_that_no_file_can_have_says_why(path, why):
    said = filenames.unusable(path)
    assert why in said
    assert said.isprintable()
    assert filenames.unusable(f"folder/{path}")


@pytest.mark.parametrize("name", FINE)
def test_names_that_people_use_are_fine(name):
    assert not filenames.misleading(name)
    assert not filenames.unusable(name)


@pytest.fixture
def folder(server):
    """A folder of the workspace for one test."""
    name = f"names-{uuid.uuid4().hex[:8]}"
    assert server.rest("PUT", f"api/contents/{name}", json={"type": "directory"}).status_code == 201
    return name


def put(server, path, **changed):
    model = {"type": "file", "format": "text", "content": "x", **changed}
    return server.rest("PUT", f"api/contents/{quote(path)}", json=model)


NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
WAYS = {
    "save": lambda server, folder, name: put(server, f"{folder}/{name}"),
    "notebook": lambda server, folder, name: put(server, f"{folder}/{name}", type="notebook", format="json", content=NOTEBOOK),
    "chunk": lambda server, folder, name: put(server, f"{folder}/{name}", chunk=1),
    "folder": lambda server, folder, name: server.rest("PUT", f"api/contents/{quote(f'{folder}/{name}')}", json={"type": "directory"}),
    "extension": lambda server, folder, name: server.rest("POST", f"api/contents/{folder}", json={"type": "file", "ext": name}),
    "rename": lambda server, folder, name: server.rest("PATCH", f"api/contents/{folder}/plain.txt", json={"path": f"{folder}/{name}"}),
    "copy": lambda server, folder, name: server.rest("POST", f"api/contents/{folder}", json={"copy_from": f"{folder}/{name}"}),
}


@pytest.mark.parametrize("name", ["a\nb.txt", "a\u202egpj.txt", "con."])
@pytest.mark.parametrize("way", WAYS)
def test_no_way_makes_a_file_with_such_a_name(server, folder, way, name):
    assert put(server, f"{folder}/plain.txt").status_code == 201
    if way == "copy":
        (server.workspace / folder / name).write_text("was there")
    before = sorted(path.name for path in (server.workspace / folder).iterdir())
    answer = WAYS[way](server, folder, name)
    assert answer.status_code == 400
    assert "leave it out" in answer.json()["message"]
    assert sorted(path.name for path in (server.workspace / folder).iterdir()) == before


@pytest.mark.parametrize("way", WAYS)
def test_every_way_makes_one_with_a_usual_name(server, folder, way):
    assert put(server, f"{folder}/plain.txt").status_code == 201
    if way == "copy":
        (server.workspace / folder / "notes.txt").write_text("was there")
    assert WAYS[way](server, folder, "notes.txt").status_code in (200, 201)


@pytest.mark.parametrize("path", UNUSABLE)
def test_what_no_file_can_be_called_is_the_callers_mistake(server, path):
    raw = quote(path, errors="surrogatepass")
    for method, body in (("GET", None), ("PUT", {"type": "file", "format": "text", "content": "x"}), ("DELETE", None)):
        answer = server.rest(method, f"api/contents/{raw}", json=body)
        assert 400 <= answer.status_code < 500, f"{method} {answer.status_code} {answer.text}"


@pytest.mark.parametrize("name", ["a\nb.txt", "a\u202egpj.txt", "con.", " .txt"])
def test_a_file_that_has_such_a_name_is_listed_opened_saved_renamed_and_deleted(server, folder, name):
    (server.workspace / folder / name).write_text("mine")
    (server.workspace / folder / f"too{name}").write_text("mine")
    for path in (server.workspace / folder).iterdir():
        path.chmod(0o666)
    address = f"api/contents/{quote(f'{folder}/{name}')}"
    assert name in [entry["name"] for entry in server.rest("GET", f"api/contents/{folder}").json()["content"]]
    assert server.rest("GET", address).json()["content"] == "mine"
    assert put(server, f"{folder}/{name}", content="edited").status_code == 200
    assert server.rest("PATCH", address, json={"path": f"{folder}/better.txt"}).status_code == 200
    assert (server.workspace / folder / "better.txt").read_text() == "edited"
    assert server.rest("DELETE", f"api/contents/{quote(f'{folder}/too{name}')}").status_code == 204


def test_a_file_moves_to_another_folder_with_the_name_it_has(server, folder):
    (server.workspace / folder / "a\nb.txt").write_text("mine")
    assert server.rest("PUT", f"api/contents/{folder}/sub", json={"type": "directory"}).status_code == 201
    moved = server.rest("PATCH", f"api/contents/{quote(f'{folder}/a' + chr(10) + 'b.txt')}", json={"path": f"{folder}/sub/a\nb.txt"})
    assert moved.status_code == 200, json.dumps(moved.json())
