"""The import table of the house: who may import whom, imports hidden in functions included."""

import ast
from pathlib import Path

import pytest

import jupyter_guardrails

HOUSE = Path(jupyter_guardrails.__file__).parent
INTERFACE = "control.interface"
ALL = {"errors", "policy", "records", "sandbox", "package", "engines", "catalog", "control", "kernels", "promotion", INTERFACE}
TABLE = {
    "errors": set(),
    "client": set(),
    "policy": {"errors"},
    "records": {"errors"},
    "sandbox": {"errors"},
    "package": {"errors"},
    "engines": {"errors", "package"},
    "catalog": {"errors", "policy"},
    "control": {"errors", "policy", "records", "sandbox", "package", "engines", "catalog"},
    "kernels": {"errors", "policy", "sandbox", INTERFACE},
    "promotion": {"errors", "policy", "sandbox", "package", "kernels", INTERFACE},
    "review": {"errors", "package", INTERFACE},
    "server": {"errors", "policy", "kernels", "review", INTERFACE},
    "hub": {"errors", "policy", "control"},
    "cli": ALL | {"client", "review"},
    "demo": set(),
    "pytest_plugin": ALL,
}
ONLY_IN = {
    "tornado": {"server", "hub", "control/service.py"},
    "jupyter_server": {"server", "hub"},
    "jupyter_client": {"kernels"},
    "nbclient": {"promotion"},
    "sqlalchemy": {"records", "control", "catalog/sources"},
}
PAYLOAD = [HOUSE / "promotion" / "payload" / name for name in ("run.py", "run_environments.py")]
STANDALONE = [*sorted((HOUSE / "sandbox").glob("launch*.py")), *sorted((HOUSE / "client").rglob("*.py")), *PAYLOAD]


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it, as an absolute dotted name."""
    package = ["jupyter_guardrails", *path.relative_to(HOUSE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found |= {stem} | {f"{stem}.{alias.name}" for alias in node.names}
    return found


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def rooms_imported(path: Path) -> set[str]:
    """Rooms (or `control.interface`) that a file imports."""
    found = set()
    for name in imports_of(path):
        if not name.startswith("jupyter_guardrails."):
            continue
        inner = name.removeprefix("jupyter_guardrails.")
        room = inner.split(".")[0]
        if room.startswith("__"):  # a name of the package itself, like __version__
            continue
        if inner == "control" and room_of(path) != "control":
            continue  # `from jupyter_guardrails.control import interface` is reported as control.interface beside it
        found.add(INTERFACE if inner == INTERFACE or inner.startswith(INTERFACE + ".") else room)
    return found


NO_ROOM = {"labextension", "demo", "__init__.py", "__main__.py"}
FILES = [p for p in sorted(HOUSE.rglob("*.py")) if not NO_ROOM & set(p.relative_to(HOUSE).parts)]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(HOUSE)))
def test_a_file_imports_only_what_its_room_may(path):
    room = room_of(path)
    assert room in TABLE, f"the room {room} is not in the table of the architecture"
    allowed = TABLE[room] | {room} | ({INTERFACE} if room == "control" else set())
    assert rooms_imported(path) <= allowed, f"{room} may not import {rooms_imported(path) - allowed}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(HOUSE)))
def test_frameworks_stay_in_their_rooms(path):
    place = str(path.relative_to(HOUSE))
    for framework, rooms in ONLY_IN.items():
        uses = any(name == framework or name.startswith(framework + ".") for name in imports_of(path))
        assert not uses or any(place == r or place.startswith(r + "/") for r in rooms), f"{framework} has no place in {place}"


@pytest.mark.parametrize("path", STANDALONE, ids=lambda p: str(p.relative_to(HOUSE)))
def test_what_runs_in_foreign_interpreters_is_standard_library_only(path):
    """The shim runs with `-I -S` before every kernel; the client, and what runs a package, in environments that lack this project."""
    import sys

    siblings = {p.stem for p in path.parent.glob("*.py")} | {"guarded"}
    optional = {"fsspec", "pandas", "IPython"} if "client" in path.parts else set()
    shim = "jupyter_guardrails.sandbox.launch"  # its own parts, imported relatively: they are loaded by path, without the project around them
    roots = {name.split(".")[0] for name in imports_of(path) if name and not name.startswith(shim) and name != "jupyter_guardrails.sandbox"}
    assert roots <= set(sys.stdlib_module_names) | siblings | optional | {"jupyter_guardrails" if "client" in path.parts else ""}


def test_the_table_refuses_a_wrong_import(tmp_path, monkeypatch):
    """The check itself can fail: a policy file that reaches for the server is found."""
    bad = HOUSE / "policy" / "zz_never_written.py"
    source = "def f():\n    from jupyter_guardrails.server import app\n"
    monkeypatch.setattr(Path, "read_text", lambda self, *a, **k: source)
    assert rooms_imported(bad) == {"server"}
