"""What a cell's code names: paths, modules, datasets. A reading of the syntax tree; nothing is run."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

READS = ("open", "read_", "Path", "load", "glob", "listdir", "scandir", "loadtxt", "genfromtxt", "imread", "scan_", "connect")
WRITES = ("to_", "save", "write", "dump", "mkdir", "makedirs")
CLIENT = "guarded"
_NO_NODES = frozenset({"ctx", "op", "ops", "id", "attr", "arg", "name", "asname", "module", "level", "kind", "type_comment", "type_ignores"})
_known_fields: dict[type[ast.AST], tuple[str, ...]] = {}
GIVERS = ("path", "open", "sql")  # of the client: each gives what a dataset holds, and takes its name first


@dataclass(frozen=True, slots=True)
class Named:
    """A text in the code, the line it is on, and the last part of the name of the call that gets it ("" = none)."""

    text: str
    line: int
    call: str = ""
    mode: str = ""

    @property
    def is_written(self) -> bool:
        """The call that gets it writes."""
        return any(mark in self.mode for mark in "wax") or self.call.startswith(WRITES)

    @property
    def is_read(self) -> bool:
        """The call that gets it is known to take a path to read."""
        return self.call.startswith(READS) and not self.is_written


@functools.lru_cache(maxsize=20_000)
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """All nodes of a tree as they stand in the code, each before what is in it; names' contexts and operators left out."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += reversed(children(node))
    return tuple(found)


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below one, in order."""
    found: list[ast.AST] = []
    for name in _fields(type(node)):
        value = getattr(node, name, None)
        if isinstance(value, ast.AST):
            found.append(value)
        elif value.__class__ is list:
            found += [part for part in value if isinstance(part, ast.AST)]
    return found


def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    if kind not in _known_fields:
        _known_fields[kind] = tuple(name for name in kind._fields if name not in _NO_NODES)
    return _known_fields[kind]


def texts(tree: ast.AST) -> Iterator[Named]:
    """Every constant text, paths put together from constants (`Path("a") / "b"`, `join("a", "b")`) as one."""
    calls = {id(argument): call for call in nodes(tree) if isinstance(call, ast.Call) for argument in [*call.args, *(k.value for k in call.keywords)]}
    inner: set[int] = set()
    for node in nodes(tree):
        joined = _joined(node) if isinstance(node, (ast.Constant, ast.BinOp, ast.Call)) and id(node) not in inner else None
        if joined is not None:
            if not isinstance(node, ast.Constant):
                inner |= {id(child) for child in ast.walk(node)}
            call = calls.get(id(node))
            yield Named(joined, getattr(node, "lineno", 1), _last_name(call.func) if call else "", _mode(call))


def imports(tree: ast.AST) -> Iterator[str]:
    """The first part of every module that is imported."""
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def constants(trees: Iterable[ast.AST]) -> dict[str, str]:
    """Names that one text is assigned to, and never anything else."""
    found: dict[str, set[str | None]] = {}
    for node in (node for tree in trees for node in nodes(tree) if isinstance(node, ast.Assign)):
        for name in (target.id for target in node.targets if isinstance(target, ast.Name)):
            found.setdefault(name, set()).add(_text(node.value))
    return {name: text for name, values in found.items() if len(values) == 1 and (text := next(iter(values))) is not None}


def client_names(trees: Iterable[ast.AST]) -> tuple[set[str], set[str]]:
    """Under which names the code knows our client: the module's, and those of its `path`, `open` and `sql`."""
    found = [node for tree in trees for node in nodes(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    modules = _known_as([node for node in found if isinstance(node, ast.Import)], (CLIENT,))
    return modules, _known_as([node for node in found if isinstance(node, ast.ImportFrom) and node.module == CLIENT], GIVERS)


def _known_as(statements: Iterable[ast.Import | ast.ImportFrom], names: tuple[str, ...]) -> set[str]:
    return {alias.asname or alias.name for statement in statements for alias in statement.names if alias.name in names}


def dataset_calls(tree: ast.AST, modules: set[str], functions: set[str]) -> Iterator[tuple[ast.expr | None, int]]:
    """The first argument, and the line, of each call of the client's `path`, `open` or `sql`."""
    for node in nodes(tree):
        if isinstance(node, ast.Call) and _is_client_call(node.func, modules, functions):
            named = next((keyword.value for keyword in node.keywords if keyword.arg == "name"), None)
            yield (node.args[0] if node.args else named), node.lineno


def _is_client_call(function: ast.expr, modules: set[str], functions: set[str]) -> bool:
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return function.value.id in modules and function.attr in GIVERS
    return isinstance(function, ast.Name) and function.id in functions


def _joined(node: ast.AST) -> str | None:
    if (text := _text(node)) is not None:
        return text
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return _together([node.left, node.right])
    if isinstance(node, ast.Call) and _last_name(node.func) in ("Path", "PurePath", "join", "joinpath") and node.args and not node.keywords:
        return _together(node.args)
    return None


def _together(parts: list[ast.expr]) -> str | None:
    found = [_joined(part) for part in parts]
    return "/".join(text for text in found if text) if all(text is not None for text in found) else None


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _last_name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""


def _mode(call: ast.Call | None) -> str:
    """The mode that an `open` gets; empty when it gets none that is constant."""
    if call is None or _last_name(call.func) != "open":
        return ""
    given = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return (_text(given[0]) or "") if given else ""
